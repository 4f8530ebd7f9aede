// Package soak runs the real program under load and disturbs it: it is killed, halted, its disk
// is full, slow or fails, its network loses packets, its peers misbehave. After each
// fault the program has to go on, or refuse with a reason, and in the end the journals of all
// clients have to agree with what is on disk (package journal).
//
// Faults are made outside of the program, which is the one that users run: by
// signals, mounts, a gate in front of its system calls, a network of its own.
package soak

import (
	"fmt"
	"math/rand/v2"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/text"
)

// Kind is a type of documents and a source of edits for them.
type Kind struct {
	Type ot.Type
	// Edit makes an edit of a document, with a text in it that tells it from every other.
	Edit func(rng *rand.Rand, doc ot.Doc, mark string) (ot.Op, error)
	// Marked says that Edit writes the mark, in one piece, so that the edit can be told by it.
	Marked bool
}

// Kinds are those that the command uses.
func Kinds() []Kind {
	return []Kind{{text.Type{}, textEdit, true}, {delta.Type{}, deltaEdit, true}}
}

// mostUnits is how long documents become, about.
const mostUnits = 2000

func textEdit(rng *rand.Rand, doc ot.Doc, mark string) (ot.Op, error) {
	var b text.Builder
	at, cut := spot(rng, doc.(*text.Doc).Len(), len(mark))
	b.Retain(at)
	b.Delete(cut)
	b.Insert(mark)
	return b.Op()
}

func deltaEdit(rng *rand.Rand, doc ot.Doc, mark string) (ot.Op, error) {
	at, cut := spot(rng, doc.(*delta.Doc).Len()-1, len(mark)) // the end of the last line stays
	wire := ""
	if at > 0 {
		wire = fmt.Sprintf(`{"retain":%d},`, at)
	}
	wire += fmt.Sprintf(`{"insert":%q,"attributes":{"bold":true}}`, mark)
	if cut > 0 {
		wire += fmt.Sprintf(`,{"delete":%d}`, cut)
	}
	return delta.Type{}.DecodeOp([]byte("["+wire+"]"), ot.Limits{})
}

// spot chooses where to edit a document of so many units, and how many of them to delete so that
// it does not grow for ever.
func spot(rng *rand.Rand, length, adds int) (at, cut int) {
	at = rng.IntN(max(length, 0) + 1)
	if length > mostUnits {
		cut = min(length-at, 2*adds)
	}
	return at, cut
}
