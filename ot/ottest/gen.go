package ottest

import (
	"math/rand/v2"

	"quire/ot"
	"quire/ot/units"
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
	// Unit is what positions count, and Units is how many of them d has, for types that
	// are one row of text: of Texts, the last is that text, with a byte that is no UTF-8
	// for a unit that is none.
	Unit  units.Unit
	Units func(d ot.Doc) int
	// Follow returns row, which says of each unit of a document where it comes from, after op,
	// the dumbest way: what op puts in or formats comes from origin.
	Follow func(row []int64, op ot.Op, origin int64) []int64
	// Regroups says that how the type writes a composite may depend on how its parts
	// were grouped. What it does must not.
	Regroups bool
	// Open says that documents of the type have no end: an operation made on another
	// document may fit one and yet reach past what is there, and what it does there
	// cannot always be taken back. What Op returns reaches no further than d.
	Open bool
}
