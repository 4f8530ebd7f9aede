package session

import "context"

// Import creates a document with a past: entries in order, beginning with a Creation that leads to
// revision 0 (or, of a document whose beginning was squashed, content at its oldest revision), with
// authors and times as they are. next returns io.EOF after the last. Nothing is there when it fails:
// CodeExists, CodeBadOp with the revision in the message. Durable on return.
func (m *Manager) Import(ctx context.Context, doc string, meta Meta, labels []Label, next func() (Entry, error)) (Info, error) {
	return Info{}, Errorf(CodeInternal, "not built")
}
