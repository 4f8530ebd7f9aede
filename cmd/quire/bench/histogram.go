package bench

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are at most 1/32 of their value wide.
// The zero value is empty. Not safe for concurrent use.
type histogram struct {
	n      int64
	max    time.Duration
	counts [1888]int64
}

// bucket returns the bucket of v nanoseconds: below 64 each value has its own, from
// there on each power of two has 32.
func bucket(v uint64) int {
	if v < 64 {
		return int(v)
	}
	shift := bits.Len64(v) - 6
	return shift*32 + int(v>>shift)
}

// top returns the largest value of a bucket.
func top(bucket int) uint64 {
	if bucket < 64 {
		return uint64(bucket)
	}
	shift := bucket/32 - 1
	return uint64(bucket-shift*32+1)<<shift - 1
}

// record counts d; what is negative counts as 0.
func (h *histogram) record(d time.Duration) {
	h.n++
	h.max = max(h.max, d)
	h.counts[bucket(uint64(max(d, 0)))]++
}

// add counts everything that o has counted.
func (h *histogram) add(o *histogram) {
	h.n += o.n
	h.max = max(h.max, o.max)
	for i, c := range o.counts {
		h.counts[i] += c
	}
}

// quantile returns the duration that a share q, 0 to 1, of those counted does not
// exceed, rounded up by at most 1/32; 0 when nothing was counted.
func (h *histogram) quantile(q float64) time.Duration {
	left := int64(q*float64(h.n) + 0.5)
	for i, c := range h.counts {
		if left -= c; left <= 0 && c > 0 {
			return min(time.Duration(top(i)), h.max)
		}
	}
	return h.max
}
