package runs_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"quire/ot"
	"quire/ot/runs"
)

// oracle is a List that keeps every number by itself.
type oracle []int64

func (o oracle) insert(at, n int, first, step int64) oracle {
	more := make(oracle, n)
	for i := range more {
		more[i] = first + step*int64(i)
	}
	return slices.Insert(o, at, more...)
}

func expand(l *runs.List, from, to int, step int64) (out oracle) {
	for r := range l.Range(from, to) {
		out = out.insert(len(out), r.N, r.First, step)
	}
	return out
}

// TestOracle edits lists large enough that their chunks divide and vanish.
func TestOracle(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 5))
		l, step := runs.List{}, int64(0)
		if seed%2 == 1 {
			l, step = *runs.Rising(), 1
		}
		var want oracle
		for i := range 4000 {
			at := r.IntN(len(want) + 1)
			n := r.IntN(1 + min(len(want)-at, 1+r.IntN(40)))
			if r.IntN(300) == 0 && seed < 30 {
				n = len(want) - at
			}
			first := int64(r.IntN(4) * 1000 * (1 + i*int(step)))
			switch k := r.IntN(10); {
			case k < 6 || seed >= 30 && r.IntN(8) > 0: // the last ones grow
				n = 1 + r.IntN(3)
				l.Insert(at, n, first)
				want = want.insert(at, n, first, step)
			case k < 9:
				l.Delete(at, n)
				want = slices.Delete(want, at, at+n)
			default:
				l.Set(at, n, first)
				want = slices.Delete(want, at, at+n).insert(at, n, first, step)
			}
			if l.Len() != len(want) {
				t.Fatalf("seed %d, step %d: %d units, want %d", seed, i, l.Len(), len(want))
			}
			if i%50 == 0 || i < 50 {
				to := at + r.IntN(len(want)-at+1)
				if got := expand(&l, at, to, step); !slices.Equal(got, want[at:to]) {
					t.Fatalf("seed %d, step %d: [%d, %d) is %v, want %v", seed, i, at, to, got, want[at:to])
				}
			}
		}
		again := l.Clone()
		l.Insert(0, 7, 7)
		if got := expand(&again, 0, again.Len(), step); !slices.Equal(got, want) {
			t.Fatalf("seed %d: the copy has %v, want %v", seed, got, want)
		}
		if step == 0 {
			read, err := runs.Unmarshal(again.Marshal(nil))
			if err != nil || !slices.Equal(expand(&read, 0, read.Len(), 0), want) {
				t.Fatalf("seed %d: round trip: %v", seed, err)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	var l runs.List
	l.Insert(0, 5, 1)
	for _, c := range []struct {
		at, n int
		fits  bool
	}{{0, 5, true}, {5, 0, true}, {4, 2, false}, {6, 0, false}, {-1, 1, false}, {0, -1, false}, {3, math.MaxInt, false}} {
		if err := l.Check(c.at, c.n); (err == nil) != c.fits || err != nil && !errors.Is(err, ot.ErrMismatch) {
			t.Errorf("Check(%d, %d): %v", c.at, c.n, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	var l runs.List
	for i, n := range []int64{0, 1, 2, 2, math.MinInt64, math.MaxInt64, -5} {
		l.Insert(l.Len(), 1+i%3, n)
	}
	f.Add(l.Marshal(nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := runs.Unmarshal(data)
		if err != nil {
			if !errors.Is(err, ot.ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		form := l.Marshal(nil)
		again, err := runs.Unmarshal(form)
		if err != nil || again.Len() != l.Len() || !bytes.Equal(again.Marshal(nil), form) {
			t.Fatalf("%x becomes %x: %v", data, form, err)
		}
	})
}

// BenchmarkScattered inserts single units at random places.
func BenchmarkScattered(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		r := rand.New(rand.NewPCG(1, 1))
		var l runs.List
		for i := range n {
			l.Insert(r.IntN(l.Len()+1), 1, int64(i))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/edit")
}
