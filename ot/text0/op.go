// Package text0 is ShareDB's type text0, as npm's ot-json0 1.1 has it (lib/text0.js):
// a document is a string, and an operation is a list of inserts and deletes, each at a
// position of the text that the ones before it left. The components by themselves are
// also what json0 edits strings with.
//
// Positions and lengths are UTF-16 code units. Texts are valid UTF-8, and no component
// may begin or end inside a surrogate pair.
package text0

import (
	"fmt"

	"quire/ot"
	"quire/ot/text"
	"quire/ot/units"
)

// maxPosition is the largest position and length there is: the default and upper bound
// of ot.Limits.MaxLength.
const maxPosition = 1<<31 - 1

// Component is one insert or delete.
type Component struct {
	// Pos is where it takes effect, in units from the start, at least 0.
	Pos int
	// Text is what it inserts or deletes, valid UTF-8.
	Text string
	// N is the length of Text in units.
	N int
	// Delete says that Text is deleted, not inserted.
	Delete bool
}

// Insert returns the component that inserts s, valid UTF-8, at pos.
func Insert(pos int, s string) Component {
	return Component{Pos: pos, Text: s, N: units.Count(s)[units.UTF16]}
}

// Delete returns the component that deletes s, valid UTF-8, from pos on.
func Delete(pos int, s string) Component {
	c := Insert(pos, s)
	c.Delete = true
	return c
}

// end returns where the component's text ends when it begins at Pos.
func (c *Component) end() int { return c.Pos + c.N }

// slice returns the part [from, to) of the component's text, in units from its start,
// clipped to what there is, as a component at pos. It fails with ot.ErrMismatch inside a
// surrogate pair.
func (c *Component) slice(from, to, pos int) (Component, error) {
	from, to = max(0, from), min(c.N, to)
	if from >= to {
		return Component{Pos: pos, Delete: c.Delete}, nil
	}
	start, ok1 := units.Seek(c.Text, units.UTF16, from)
	end, ok2 := units.Seek(c.Text, units.UTF16, to)
	if !ok1 || !ok2 {
		return Component{}, split()
	}
	return Component{pos, c.Text[start[units.Bytes]:end[units.Bytes]], to - from, c.Delete}, nil
}

// injected returns c with the text of in put in at units from its start,
// 0 <= at <= c.N.
func (c *Component) injected(at int, in *Component) (Component, error) {
	cut, ok := units.Seek(c.Text, units.UTF16, at)
	if !ok {
		return Component{}, split()
	}
	i := cut[units.Bytes]
	return Component{c.Pos, c.Text[:i] + in.Text + c.Text[i:], c.N + in.N, c.Delete}, nil
}

func split() error {
	return fmt.Errorf("%w: it would split a surrogate pair", ot.ErrMismatch)
}

// Op is an operation: components in the order they are applied, each on the text the
// ones before it left. An empty Op changes nothing. Neighbours need not be merged, and a
// text may be empty: what Append would drop is valid all the same.
type Op []Component

// Append adds c at the end of op, which must be the caller's own: the last component is
// replaced when c can be merged with it, which is when an insert falls into or beside
// the one before, or when a delete surrounds or touches it. An empty component is
// dropped. It fails with ot.ErrMismatch when merging would split a surrogate pair.
func Append(op []Component, c Component) ([]Component, error) {
	if c.N == 0 {
		return op, nil
	}
	if len(op) > 0 {
		last := &op[len(op)-1]
		var err error
		switch {
		case c.Delete != last.Delete:
		case !c.Delete && last.Pos <= c.Pos && c.Pos <= last.end():
			*last, err = last.injected(c.Pos-last.Pos, &c)
			return op, err
		case c.Delete && c.Pos <= last.Pos && last.Pos <= c.end():
			*last, err = c.injected(last.Pos-c.Pos, last)
			return op, err
		}
	}
	return append(op, c), nil
}

// appended returns a followed by the components of b, a as it is. It fails as Append does.
func appended(a, b Op) (Op, error) {
	out := append(make([]Component, 0, len(a)+len(b)), a...)
	for _, c := range b {
		var err error
		if out, err = Append(out, c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Compose returns the one operation that does what a and then b do. It fails with
// ot.ErrMismatch when b would split a surrogate pair that a inserts.
func Compose(a, b Op) (Op, error) { return appended(a, b) }

// Normalize returns op with its neighbours merged where Append merges them. It fails as
// Compose does.
func Normalize(op Op) (Op, error) { return appended(nil, op) }

// Invert returns the operation that takes op back, on any text op fits.
func Invert(op Op) Op {
	out := make(Op, 0, len(op))
	for i := len(op) - 1; i >= 0; i-- {
		c := op[i]
		c.Delete = !c.Delete
		out = append(out, c)
	}
	return out
}

// ApplyString returns s, valid UTF-8, as it reads after op. It fails with ot.ErrMismatch
// when a component reaches past the end, would split a surrogate pair, or deletes
// another text than there is.
func ApplyString(s string, op Op) (string, error) {
	for i := range op {
		c := &op[i]
		at, ok := units.Seek(s, units.UTF16, c.Pos)
		if !ok {
			return "", fmt.Errorf("%w: no position %d in a string of %d", ot.ErrMismatch, c.Pos, units.Count(s)[units.UTF16])
		}
		before, after := s[:at[units.Bytes]], s[at[units.Bytes]:]
		if !c.Delete {
			s = before + c.Text + after
			continue
		}
		if len(after) < len(c.Text) || after[:len(c.Text)] != c.Text {
			return "", mismatched()
		}
		s = before + after[len(c.Text):]
	}
	return s, nil
}

// Slice returns the units [from, to) of s, valid UTF-8. It fails with ot.ErrMismatch when that
// is not within s or would split a surrogate pair.
func Slice(s string, from, to int) (string, error) {
	start, ok1 := units.Seek(s, units.UTF16, from)
	end, ok2 := units.Seek(s, units.UTF16, to)
	if !ok1 || !ok2 || from > to {
		return "", fmt.Errorf("%w: no units from %d to %d in a string of %d", ot.ErrMismatch, from, to, units.Count(s)[units.UTF16])
	}
	return s[start[units.Bytes]:end[units.Bytes]], nil
}

func mismatched() error {
	return fmt.Errorf("%w: Delete component does not match deleted text", ot.ErrMismatch)
}

// Apply returns d as it reads after op. It fails as ApplyString does, and with
// ot.ErrLimit when the text would pass 1<<31 - 1 units.
func Apply(d *text.Doc, op Op) (*text.Doc, error) {
	for i := range op {
		c := &op[i]
		if _, err := d.FromUnitsToBytes(c.Pos); err != nil {
			return nil, err
		}
		if c.Delete {
			if c.N > d.Len()-c.Pos {
				return nil, mismatched()
			}
			// A slice that would split a pair is not what c deletes either.
			if s, err := d.Slice(c.Pos, c.end()); err != nil || s != c.Text {
				return nil, mismatched()
			}
		}
		step, err := c.step()
		if err == nil {
			d, err = d.Apply(step)
		}
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

// step returns what c does to a text as an operation of plain text.
func (c *Component) step() (text.Op, error) {
	var b text.Builder
	b.Retain(c.Pos)
	if c.Delete {
		b.Delete(c.N)
	} else {
		b.Insert(c.Text)
	}
	return b.Op()
}
