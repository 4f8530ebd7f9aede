package ottest

import (
	"math/rand/v2"
	"slices"
	"strings"

	"quire/ot"
	"quire/ot/text"
	"quire/ot/textunicode"
	"quire/ot/units"
)

// Alphabet is what Text writes with: one to four bytes of UTF-8, one or two
// UTF-16 units, and what JSON has to escape.
var Alphabet = []string{"a", "b", "é", "中", "🌍", "👩", "\n", `"`}

// Text generates values for the plain text type: documents of up to size
// characters, operations of up to size components, cursors of up to four
// selections.
func Text() Gen {
	return Gen{
		Doc:    textDoc,
		Op:     func(r *rand.Rand, d ot.Doc, size int) ot.Op { return textOp(r, d, size, units.UTF16) },
		Cursor: func(r *rand.Rand, d ot.Doc, size int) ot.Cursor { return textCursor(r, d, size, units.UTF16) },
		Texts:  func(d ot.Doc) []string { return []string{d.(*text.Doc).String()} },
		Units:  func(d ot.Doc) int { return d.(*text.Doc).Len() },
		Follow: func(row []int64, op ot.Op, origin int64) []int64 { return follow(row, op.(text.Op), origin) },
	}
}

// TextUnicode generates values for the type text-unicode: for the same source of
// randomness those of Text, in code points.
func TextUnicode() Gen {
	return Gen{
		Doc:   textDoc,
		Texts: Text().Texts,
		Unit:  units.Runes,
		Units: func(d ot.Doc) int { return d.(*text.Doc).Runes() },
		Follow: func(row []int64, op ot.Op, origin int64) []int64 {
			return follow(row, text.Op(op.(textunicode.Op)), origin)
		},
		Op: func(r *rand.Rand, d ot.Doc, size int) ot.Op {
			return textunicode.Op(textOp(r, d, size, units.Runes))
		},
		Cursor: func(r *rand.Rand, d ot.Doc, size int) ot.Cursor {
			return textunicode.Cursor(textCursor(r, d, size, units.Runes))
		},
	}
}

func textDoc(r *rand.Rand, size int) ot.Doc {
	d, err := text.FromString(words(r, r.IntN(size+1)))
	if err != nil {
		panic(err)
	}
	return d
}

func textCursor(r *rand.Rand, d ot.Doc, size int, unit units.Unit) text.Cursor {
	c := make(text.Cursor, r.IntN(min(size, 4)+1))
	for i := range c {
		for j := range c[i] {
			c[i][j] = position(d, r.IntN(d.(*text.Doc).Runes()+1), unit)
		}
	}
	return c
}

// words returns n characters of the alphabet.
func words(r *rand.Rand, n int) string {
	var s strings.Builder
	for range n {
		s.WriteString(Alphabet[r.IntN(len(Alphabet))])
	}
	return s.String()
}

// position returns in unit the position of a code point of d.
func position(d ot.Doc, at int, unit units.Unit) int {
	if unit == units.UTF16 {
		var err error
		if at, err = d.(*text.Doc).FromRunesToUnits(at); err != nil {
			panic(err)
		}
	}
	return at
}

func textOp(r *rand.Rand, d ot.Doc, size int, unit units.Unit) text.Op {
	b := text.Builder{Unit: unit}
	at, length := 0, d.(*text.Doc).Runes()
	for range r.IntN(size + 1) {
		n := min(r.IntN(1+r.IntN(size)), length-at)
		span := position(d, at+n, unit) - position(d, at, unit)
		switch r.IntN(3) {
		case 0:
			b.Retain(span)
			at += n
		case 1:
			b.Delete(span)
			at += n
		default:
			b.Insert(words(r, 1+r.IntN(2)))
		}
	}
	op, err := b.Op()
	if err != nil {
		panic(err)
	}
	return op
}

// follow is Gen.Follow for plain text.
func follow(row []int64, op text.Op, origin int64) []int64 {
	at := 0
	for _, c := range op {
		switch c.Kind {
		case text.Insert:
			row = slices.Insert(row, at, slices.Repeat([]int64{origin}, c.N)...)
			at += c.N
		case text.Delete:
			row = slices.Delete(row, at, at+c.N)
		default:
			at += c.N
		}
	}
	return row
}
