package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogramBuckets(t *testing.T) {
	last := -1
	for v := uint64(0); v < 1<<20; v++ {
		b := bucket(v)
		if b != last && b != last+1 {
			t.Fatalf("bucket %d follows %d at %d", b, last, v)
		}
		if v > top(b) || top(b)-v > v/32 {
			t.Fatalf("%d is in the bucket up to %d", v, top(b))
		}
		last = b
	}
	if b := bucket(1<<63 - 1); b >= len(histogram{}.counts) || top(b) != 1<<63-1 {
		t.Fatalf("the longest duration is in bucket %d up to %d", b, top(b))
	}
}

func TestHistogramAgainstSorting(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var all, half histogram
		var sorted []time.Duration
		for i := range 1 + r.IntN(3000) {
			d := time.Duration(r.Int64N(1 << (1 + r.IntN(40))))
			sorted = append(sorted, d)
			if i%2 == 0 {
				half.record(d)
			} else {
				all.record(d)
			}
		}
		all.add(&half)
		slices.Sort(sorted)
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
			want := sorted[max(0, int(q*float64(len(sorted))+0.5)-1)]
			if got := all.quantile(q); got < want || got-want > want/32 {
				t.Fatalf("seed %d: quantile %v of %d is %v, sorting gives %v", seed, q, len(sorted), got, want)
			}
		}
		if all.n != int64(len(sorted)) || all.max != sorted[len(sorted)-1] {
			t.Fatalf("seed %d: %d counted up to %v", seed, all.n, all.max)
		}
	}
	var none histogram
	if none.quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
}
