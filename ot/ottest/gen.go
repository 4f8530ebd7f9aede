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
	// Texts returns everything in d in which an ot.Redactor finds a secret.
	Texts func(d ot.Doc) []string
	// Regroups says that how the type writes a composite may depend on how its parts
	// were grouped. What it does must not.
	Regroups bool
	// Open says that documents of the type have no end: an operation made on another
	// document may fit one and yet reach past what is there, and what it does there
	// cannot always be taken back. What Op returns reaches no further than d.
	Open bool
}
