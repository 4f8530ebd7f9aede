package ottest

import (
	"math/rand/v2"
	"slices"

	"quire/ot"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/ot/units"
)

// Text0 generates values for the type text0: documents and cursors as Text does, and
// operations of up to half of size components or so.
//
// Operations are merged as far as they can be, because composing with the identity
// merges.
func Text0() Gen {
	gen := Text()
	gen.Regroups = true
	gen.Follow = func(row []int64, op ot.Op, origin int64) []int64 {
		for _, c := range op.(text0.Op) {
			if c.Delete {
				row = slices.Delete(row, c.Pos, c.Pos+c.N)
			} else {
				row = slices.Insert(row, c.Pos, slices.Repeat([]int64{origin}, c.N)...)
			}
		}
		return row
	}
	gen.Op = func(r *rand.Rand, d ot.Doc, size int) ot.Op { return text0Op(r, d.(*text.Doc), size) }
	return gen
}

func text0Op(r *rand.Rand, d *text.Doc, size int) ot.Op {
	var op text0.Op
	for range r.IntN(2 + size/2) {
		c := text0Component(r, d)
		after, err := text0.Apply(d, text0.Op{c})
		if err != nil {
			panic(err)
		}
		op, d = append(op, c), after
	}
	return merged(op, text0.Normalize, text0.Op.AppendJSON)
}

// text0Component returns an insert or a delete in d.
func text0Component(r *rand.Rand, d *text.Doc) text0.Component {
	from := position(d, r.IntN(d.Runes()+1), units.UTF16)
	to := position(d, r.IntN(d.Runes()+1), units.UTF16)
	if from >= to || r.IntN(4) == 0 {
		return text0.Insert(from, words(r, 1+r.IntN(2)))
	}
	s, err := d.Slice(from, to)
	if err != nil {
		panic(err)
	}
	return text0.Delete(from, s)
}

// merged normalizes op until that changes nothing more: what merges may make room for
// another merge.
func merged[Op any](op Op, normalize func(Op) (Op, error), write func(Op, []byte) []byte) Op {
	for form := ""; ; {
		next, err := normalize(op)
		if err != nil {
			panic(err)
		}
		if op = next; form == string(write(op, nil)) {
			return op
		}
		form = string(write(op, nil))
	}
}
