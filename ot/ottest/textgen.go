package ottest

import (
	"math/rand/v2"
	"strings"

	"quire/ot"
	"quire/ot/text"
)

// Alphabet is what Text writes with: one to four bytes of UTF-8, one or two
// UTF-16 units, and what JSON has to escape.
var Alphabet = []string{"a", "b", "é", "中", "🌍", "👩", "\n", `"`}

// Text generates values for the plain text type: documents of up to size
// characters, operations of up to size components, cursors of up to four
// selections.
func Text() Gen {
	return Gen{
		Doc: func(r *rand.Rand, size int) ot.Doc {
			d, err := text.FromString(words(r, r.IntN(size+1)))
			if err != nil {
				panic(err)
			}
			return d
		},
		Op: func(r *rand.Rand, d ot.Doc, size int) ot.Op { return textOp(r, d.(*text.Doc), size) },
		Cursor: func(r *rand.Rand, d ot.Doc, size int) ot.Cursor {
			c := make(text.Cursor, r.IntN(min(size, 4)+1))
			for i := range c {
				c[i] = [2]int{position(r, d.(*text.Doc)), position(r, d.(*text.Doc))}
			}
			return c
		},
	}
}

// words returns n characters of the alphabet.
func words(r *rand.Rand, n int) string {
	var s strings.Builder
	for range n {
		s.WriteString(Alphabet[r.IntN(len(Alphabet))])
	}
	return s.String()
}

// position returns a random position in d that splits no character.
func position(r *rand.Rand, d *text.Doc) int {
	at, err := d.FromRunesToUnits(r.IntN(d.Runes() + 1))
	if err != nil {
		panic(err)
	}
	return at
}

func textOp(r *rand.Rand, d *text.Doc, size int) ot.Op {
	var b text.Builder
	at := 0
	for range r.IntN(size + 1) {
		n := min(r.IntN(1+r.IntN(size)), d.Runes()-at)
		from, err1 := d.FromRunesToUnits(at)
		to, err2 := d.FromRunesToUnits(at + n)
		if err1 != nil || err2 != nil {
			panic("position within the document refused")
		}
		switch r.IntN(3) {
		case 0:
			b.Retain(to - from)
			at += n
		case 1:
			b.Delete(to - from)
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
