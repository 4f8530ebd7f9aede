package checksum_test

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"quire/ot/checksum"
)

// TestSum divides texts anywhere and puts their sums together again.
func TestSum(t *testing.T) {
	table := crc32.MakeTable(crc32.Castagnoli)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 2000 {
		data := make([]byte, r.IntN(1+i*3))
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		want := crc32.Checksum(data, table)
		whole := checksum.Of(data)
		if whole.CRC() != want {
			t.Fatalf("CRC of %d bytes: %08x, want %08x", len(data), whole.CRC(), want)
		}
		parts, rest := checksum.Empty, data
		for len(rest) > 0 {
			n := min(len(rest), r.IntN(len(data)/2+2))
			parts = parts.Then(checksum.Of(rest[:n]))
			rest = rest[n:]
		}
		if parts != whole {
			t.Fatalf("%d bytes in parts: %016x, whole %016x", len(data), parts, whole)
		}
	}
	if checksum.Of(nil) != checksum.Empty || checksum.Empty.CRC() != 0 {
		t.Error("Empty is not the sum of nothing")
	}
}
