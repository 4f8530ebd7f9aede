package text_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text"
)

// session makes n operations that follow one another from d as a person would:
// runs of typing and of both delete keys, jumps, pastes, and at times a random
// operation of many components.
func session(t *testing.T, r *rand.Rand, d *text.Doc, n int) (ops []text.Op, end *text.Doc) {
	t.Helper()
	gen, at, habit := ottest.Text(), 0, 0
	for range n {
		if r.IntN(12) == 0 {
			habit = r.IntN(16)
		}
		if r.IntN(30) == 0 {
			at = r.IntN(d.Runes() + 1)
		}
		at = min(at, d.Runes())
		var o text.Op
		switch {
		case habit < 6:
			o = patch(t, d, at, 0, ottest.Alphabet[r.IntN(len(ottest.Alphabet))])
			at++
		case habit < 10:
			k := min(1, at)
			at -= k
			o = patch(t, d, at, k, "")
		case habit < 13:
			o = patch(t, d, at, min(1, d.Runes()-at), "")
		case habit < 14:
			o = patch(t, d, at, 0, strings.Repeat(ottest.Alphabet[r.IntN(len(ottest.Alphabet))], r.IntN(3000)))
			habit = 0
		case habit < 15:
			o = patch(t, d, at, r.IntN(d.Runes()-at+1)/2, "z")
			habit = 6
		default:
			o = gen.Op(r, d, 40).(text.Op)
		}
		after, err := d.Apply(o)
		must(t, err)
		d = after
		ops = append(ops, o)
	}
	return ops, d
}

// TestComposeAll compares the composer with pairwise composition over sessions
// long enough that its chunks divide.
func TestComposeAll(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 3))
			start := doc(t, strings.Repeat("ab🌍c", r.IntN(2)*2000))
			ops, end := session(t, r, start, 3000)
			untyped := make([]ot.Op, len(ops))
			for i, o := range ops {
				untyped[i] = o
			}
			want, err := ot.ComposeBalanced(text.Type{}, untyped)
			must(t, err)
			got, err := text.ComposeAll(ops)
			must(t, err)
			if str(got) != str(want.(text.Op)) {
				t.Fatalf("the composer gives %d components, pairwise composition %d", len(got), len(want.(text.Op)))
			}
			after, err := start.Apply(got)
			must(t, err)
			if after.String() != end.String() {
				t.Fatal("the composite leads to another text")
			}
			must(t, after.Check())
			must(t, end.Check())
		})
	}
}
