package text

import (
	"fmt"
	"slices"
	"strconv"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/ot/units"
)

// Cursor is a list of selections, the main one first, each an anchor and a head
// in UTF-16 units from the start of the document. It may be empty.
type Cursor [][2]int

// Transform moves c over op. An end on the Left stays before text inserted
// exactly at it; on the Right it moves behind. c is left as it was.
//
// An end moves as an insert made there would: for p = [at,"|"] it ends up where
// Transform(p, op, side) inserts.
func (c Cursor) Transform(op Op, side ot.Side) Cursor {
	if len(c) == 0 || len(op) == 0 {
		return c
	}
	moved := slices.Clone(c)
	var room [8]*int
	ends := room[:0] // ascending, so that one walk over op serves them all
	for i := range moved {
		ends = append(ends, &moved[i][0], &moved[i][1])
	}
	slices.SortFunc(ends, func(a, b *int) int { return *a - *b })
	it := iterate(op)
	from, to := 0, 0 // the same place before op and after it
	for _, end := range ends {
		for !it.done {
			if it.Kind == Insert {
				if from == *end && side == ot.Left {
					break
				}
				to += it.N
				it.advance()
				continue
			}
			n := min(it.N, *end-from)
			if n == 0 {
				break
			}
			from += n
			if it.Kind == Retain {
				to += n
			}
			it.skip(n)
		}
		*end += to - from
	}
	return moved
}

// Check fails with ot.ErrMismatch when c reaches outside d or into a surrogate
// pair of it.
func (c Cursor) Check(d *Doc) error { return c.check(units.UTF16, d) }

// check is Check of a cursor in unit.
func (c Cursor) check(unit units.Unit, d *Doc) error {
	for _, selection := range c {
		for _, end := range selection {
			if _, err := d.seek(unit, end); err != nil {
				return err
			}
		}
	}
	return nil
}

// DecodeCursor reads a cursor in its JSON wire form: [[3,8],[12,12]], or [] or
// null for an empty one. It fails with ot.ErrSyntax or ot.ErrLimit.
func DecodeCursor(data []byte, lim ot.Limits) (Cursor, error) {
	lim = lim.WithDefaults()
	in := jsonscan.New(data)
	if in.Null() {
		return nil, in.End()
	}
	if !in.Take('[') {
		return nil, in.Fail("array expected")
	}
	var c Cursor
	for more := !in.Take(']'); more; {
		if len(c) >= lim.MaxRanges {
			return nil, fmt.Errorf("%w: more than %d selections", ot.ErrLimit, lim.MaxRanges)
		}
		var ends [2]int
		for i, before := range [2]byte{'[', ','} {
			if !in.Take(before) {
				return nil, in.Fail("selection of two positions expected")
			}
			if in.Peek() == '-' {
				return nil, in.Fail("negative position")
			}
			var err error
			if ends[i], err = in.Int(lim.MaxLength); err != nil {
				return nil, err
			}
		}
		if !in.Take(']') {
			return nil, in.Fail("selection of two positions expected")
		}
		c = append(c, ends)
		if more = in.Take(','); !more && !in.Take(']') {
			return nil, in.Fail("comma or end of array expected")
		}
	}
	return c, in.End()
}

// AppendJSON appends the JSON wire form of c; an empty one is [].
func (c Cursor) AppendJSON(dst []byte) []byte {
	dst = append(dst, '[')
	for i, selection := range c {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '[')
		dst = strconv.AppendInt(dst, int64(selection[0]), 10)
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, int64(selection[1]), 10)
		dst = append(dst, ']')
	}
	return append(dst, ']')
}
