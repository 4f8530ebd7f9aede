package session_test

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"quire/session"
)

// BenchmarkRedactMemory reports how much memory that is in use redacting takes at most, for each byte of a document, beside
// the document as it is open.
func BenchmarkRedactMemory(b *testing.B) {
	const size = 1 << 20
	fill := func(s string) string { return strings.Repeat(s+",", size/(len(s)+1)) }
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	for _, c := range []struct{ typ, name, content string }{
		{"json0", "numbers", "[" + fill("1") + `"secret"]`},
		{"json0", "lists", "[" + fill("[]") + `"secret"]`},
		{"json0", "objects", "[" + fill(`{"secret":"secret"}`) + `1]`},
		{"json0", "string", `"` + strings.Repeat("some words ", size/11) + `secret"`},
		{"text", "once", `"` + strings.Repeat("some words ", size/11) + `secret"`},
		{"text", "everywhere", `"` + strings.Repeat("secret b", size/8) + `"`},
		{"delta", "everywhere", `[{"insert":"` + strings.Repeat("secret b", size/8) + `\n"}]`},
	} {
		b.Run(c.typ+"/"+c.name, func(b *testing.B) {
			most := uint64(0)
			for b.Loop() {
				w := newWorld(nil, session.Options{}, nil)
				if _, err := w.Manager.Create(b.Context(), "doc", c.typ, []byte(c.content), session.User{}); err != nil {
					b.Fatal(err)
				}
				runtime.GC()
				before := inUse()
				stop, peak := make(chan struct{}), make(chan uint64)
				go watchHeap(stop, peak)
				if _, err := w.Redact(b.Context(), "doc", session.Redaction{Text: "secret"}); err != nil {
					b.Fatal(err)
				}
				close(stop)
				most = max(most, <-peak-before)
				if err := w.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(most)/float64(len(c.content)), "peak-B/B")
		})
	}
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// watchHeap says the most that was in use until stop.
func watchHeap(stop <-chan struct{}, peak chan<- uint64) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	most := inUse()
	for {
		select {
		case <-stop:
			peak <- most
			return
		case <-tick.C:
			most = max(most, inUse())
		}
	}
}
