package quirev1

import "testing"

func BenchmarkDecodeSubmit(b *testing.B) {
	msg := []byte(`{"t":"submit","doc":"bench-hot","base":123456,"seq":4567,"ops":[[5321,"a"]]}`)
	b.ReportAllocs()
	for b.Loop() {
		var m ClientMessage
		if !scanSubmit(msg, &m) {
			b.Fatal("not scanned")
		}
	}
}
