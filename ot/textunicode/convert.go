package textunicode

import (
	"slices"

	"quire/ot/text"
	"quire/ot/units"
)

// The conversions below take O(log n) per component or position, where n is the length
// of the document. Converting commutes with the algebra: if a and b fit d,
//
//	FromText(Apply(d, b), Transform(a, b, side))
//	  = Transform(FromText(d, a), FromText(d, b), side)
//
// if b fits Apply(d, a),
//
//	FromText(d, Compose(a, b)) = Compose(FromText(d, a), FromText(Apply(d, a), b))
//
// and ToText does so likewise. Each is the other's inverse.

// FromText returns in code points the operation op, which was made on d. It fails with
// ot.ErrMismatch when op does not fit d.
func FromText(d *text.Doc, op text.Op) (Op, error) {
	out, err := convert(op, units.Runes, d.FromUnitsToRunes)
	return Op(out), err
}

// ToText returns in UTF-16 units the operation op, which was made on d. It fails with
// ot.ErrMismatch when op does not fit d, and with ot.ErrLimit when the result would
// span more than 1<<31 - 1 units.
func ToText(d *text.Doc, op Op) (text.Op, error) {
	return convert(text.Op(op), units.UTF16, d.FromRunesToUnits)
}

// convert returns op in unit, where position converts positions in the document.
func convert(op text.Op, unit units.Unit, position func(int) (int, error)) (text.Op, error) {
	out := text.Builder{Unit: unit}
	at, converted := 0, 0 // the same place in the document
	for _, c := range op {
		if c.Kind == text.Insert {
			out.Insert(c.S)
			continue
		}
		at += c.N
		end, err := position(at)
		if err != nil {
			return nil, err
		}
		if c.Kind == text.Retain {
			out.Retain(end - converted)
		} else {
			out.Delete(end - converted)
		}
		converted = end
	}
	return out.Op()
}

// Cursor is a list of selections, as text.Cursor is, in code points.
type Cursor [][2]int

// FromTextCursor returns in code points the cursor c in d. It fails with
// ot.ErrMismatch when c reaches outside d or into a surrogate pair of it.
func FromTextCursor(d *text.Doc, c text.Cursor) (Cursor, error) {
	return convertCursor(c, d.FromUnitsToRunes)
}

// ToTextCursor returns in UTF-16 units the cursor c in d. It fails with
// ot.ErrMismatch when c reaches outside d.
func ToTextCursor(d *text.Doc, c Cursor) (text.Cursor, error) {
	return convertCursor(c, d.FromRunesToUnits)
}

// convertCursor returns c with every position converted.
func convertCursor(c [][2]int, position func(int) (int, error)) ([][2]int, error) {
	c = slices.Clone(c)
	for i := range c {
		for j, at := range c[i] {
			var err error
			if c[i][j], err = position(at); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}
