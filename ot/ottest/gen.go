package ottest

import (
	"math/rand/v2"

	"quire/ot"
)

// Gen supplies random values of a type. What it returns depends on nothing but
// its arguments, and grows with size, which is at least 1.
type Gen struct {
	// Doc returns a document.
	Doc func(r *rand.Rand, size int) ot.Doc
	// Op returns an operation that fits d.
	Op func(r *rand.Rand, d ot.Doc, size int) ot.Op
	// Cursor returns a cursor that fits d.
	Cursor func(r *rand.Rand, d ot.Doc, size int) ot.Cursor
}
