// Package textunicode is ShareDB's text type text-unicode (the npm package
// ot-text-unicode): package text with positions and lengths in Unicode code points.
// Documents are the same, *text.Doc, and so is the algebra; FromText and ToText convert
// operations between the two. One document can so be edited in both.
//
// In JSON an operation is an array of components: a positive integer retains, a
// string inserts, {"d":n} deletes.
package textunicode

import (
	"fmt"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/ot/text"
	"quire/ot/units"
)

// Op is an operation in canonical form, as text.Op is, with lengths in code points.
// Every Op that this package returns is canonical and is never changed afterwards.
type Op []text.Component

// Unit returns units.Runes.
func (Op) Unit() units.Unit { return units.Runes }

// AppendJSON appends the JSON wire form of op.
func (op Op) AppendJSON(dst []byte) []byte { return text.Op(op).AppendForm(dst, `{"d":`, `}`) }

// Decode reads an operation in its JSON wire form: [5,"abc",{"d":3}] retains 5,
// inserts abc and deletes 3. Only the canonical form is accepted, though whitespace
// between tokens is allowed. It fails with ot.ErrSyntax or ot.ErrLimit.
func Decode(data []byte, lim ot.Limits) (Op, error) { return read(data, lim, true) }

// Parse reads an operation in any form that clients of ShareDB send, and makes it
// canonical: it leaves out empty components and a retain at the end and joins
// neighbours of one kind. A delete may hold the deleted text, {"d":"abc"}, which counts
// and is not compared with the document; 2 may be written 2.0. It fails with
// ot.ErrSyntax or ot.ErrLimit.
func Parse(data []byte, lim ot.Limits) (Op, error) { return read(data, lim, false) }

// read is Decode when strict, otherwise Parse.
func read(data []byte, lim ot.Limits, strict bool) (Op, error) {
	lim = lim.WithDefaults()
	out := text.Builder{Unit: units.Runes}
	in := jsonscan.New(data)
	n := 0
	err := in.Array(func() error {
		c, err := component(&in, lim.MaxLength, strict)
		if err != nil {
			return err
		}
		n++
		return out.Add(c, lim)
	})
	if err == nil {
		err = in.End()
	}
	if err != nil {
		return nil, err
	}
	op, err := out.Op()
	if err == nil && strict && len(op) != n {
		return nil, fmt.Errorf("%w: %d components where %d do", ot.ErrSyntax, n, len(op))
	}
	return Op(op), err
}

// component reads one component, whose length may be 0.
func component(in *jsonscan.Scanner, limit int, strict bool) (c text.Component, err error) {
	switch in.Peek() {
	case '"':
		c.Kind = text.Insert
		c.S, c.N, err = written(in)
	case '{':
		c.Kind = text.Delete
		members := 0
		err = in.Object(func(name string) (err error) {
			members++
			switch {
			case name != "d" || members > 1:
				err = in.Fail(`delete with other members than one "d"`)
			case in.Peek() == '"' && !strict:
				_, c.N, err = written(in)
			default:
				c.N, err = length(in, limit, strict)
			}
			return err
		})
		if err == nil && members == 0 {
			err = in.Fail(`delete without "d"`)
		}
	default:
		c.N, err = length(in, limit, strict)
	}
	return c, err
}

// written reads a string and counts it.
func written(in *jsonscan.Scanner) (string, int, error) {
	s, err := in.String()
	return s, units.Count(s)[units.Runes], err
}

// length reads a number from 0 to limit.
func length(in *jsonscan.Scanner, limit int, strict bool) (int, error) {
	if strict {
		n, err := in.Int(limit)
		if n < 0 {
			err = in.Fail("negative length")
		}
		return n, err
	}
	f, err := in.Number()
	switch {
	case err != nil:
		return 0, err
	case f > float64(limit):
		return 0, fmt.Errorf("%w: length %g is past %d", ot.ErrLimit, f, limit)
	case f < 0 || f != float64(int(f)):
		return 0, in.Fail("negative or fractional length")
	}
	return int(f), nil
}
