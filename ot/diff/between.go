// Package diff finds what was changed: the small operation that leads from one document
// to another, and the unified diff that people read. Its results depend on nothing but
// its arguments, never on how long anything took.
package diff

import (
	"fmt"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/json0"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/ot/textunicode"
	"quire/ot/units"
)

// Between returns a small operation of t with which to becomes of from, both documents
// of t:
//
//	Apply(from, Between(t, from, to)) = to
//
// It is the identity when they are equal. In text it is made of characters as people see
// them (grapheme clusters), none of which is ever divided. Lines that are once in each text stay, as
// much of them as is in the same order in both, so that two differences from one text can be
// merged; between them it is the shortest there is where up to a hundred characters of a line
// were changed; beyond, it is merely short. Of documents so
// large and different that looking closer would take seconds, stretches are replaced
// whole. It fails when t is none of the types of this module.
func Between(t ot.Type, from, to ot.Doc) (ot.Op, error) {
	switch t.(type) {
	case text.Type:
		return textOp[text.Op](from.(*text.Doc), to.(*text.Doc))
	case textunicode.Type:
		return textOp[textunicode.Op](from.(*text.Doc), to.(*text.Doc))
	case text0.Type:
		return text0Op(from.(*text.Doc).String(), to.(*text.Doc).String(), newBudget()), nil
	case delta.Type:
		return deltaOp(from.(*delta.Doc), to.(*delta.Doc))
	case json0.Type:
		return jsonOp(from.(*json0.Doc), to.(*json0.Doc)), nil
	}
	return nil, fmt.Errorf("documents of type %q cannot be compared", t.Name())
}

// textOp returns the operation between two texts in the unit of O.
func textOp[O text.Operation](from, to *text.Doc) (ot.Op, error) {
	var o O
	b := text.Builder{Unit: o.Unit()}
	count := func(s string) int { return units.Count(s)[b.Unit] }
	x, y := from.String(), to.String()
	at := 0
	for _, e := range characters(x, y, newBudget()) {
		b.Retain(count(x[at:e.Start]))
		b.Insert(y[e.ReplStart:e.ReplEnd])
		b.Delete(count(x[e.Start:e.End]))
		at = e.End
	}
	op, err := b.Op()
	if err != nil {
		return nil, err
	}
	return O(op), nil
}

// text0Op returns the operation of text0 between two texts.
func text0Op(x, y string, left *budget) text0.Op {
	var op text0.Op
	at, done := 0, 0 // in units of the text as it becomes, and in bytes of x
	for _, e := range characters(x, y, left) {
		at += units.Count(x[done:e.Start])[units.UTF16]
		if e.Start < e.End {
			op = append(op, text0.Delete(at, x[e.Start:e.End]))
		}
		if e.ReplStart < e.ReplEnd {
			c := text0.Insert(at, y[e.ReplStart:e.ReplEnd])
			op = append(op, c)
			at += c.N
		}
		done = e.End
	}
	return op
}
