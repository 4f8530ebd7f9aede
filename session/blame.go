package session

import (
	"context"
	"time"

	"quire/ot"
)

// Part is a part of a document with who made it.
type Part struct {
	ot.Span // Origin is the revision that it came with
	Author  string
	Time    time.Time
}

// Blame returns who made each part of a document at a revision (Head: the newest), in
// the document's order, and that revision and type. Parts that came with revision since or before
// are left out; Unborn leaves out none. What retention has squashed keeps its authors.
func (m *Manager) Blame(ctx context.Context, doc string, rev, since Revision) ([]Part, Revision, ot.Type, error) {
	return nil, 0, nil, Errorf(CodeInternal, "not built")
}
