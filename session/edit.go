package session

import (
	"context"
	"time"

	"quire/ot"
)

// Writer is who edits a document without having it open.
type Writer struct {
	// User is recorded as the author.
	User User
	// Key makes a request that is repeated with the same Key and Sum take effect once,
	// for as long as the document exists; 1 to 200 bytes, or empty for none. The same
	// Key with another Sum is CodeReused.
	Key string
	// Sum is a digest of the request, for telling a repetition from another request.
	Sum []byte
}

// Edited is what became of an edit.
type Edited struct {
	// Rev is the revision that the operation led to; when it did nothing, and nothing
	// was committed, the head.
	Rev Revision
	// Type and Op are the operation as it was applied. Op is the identity when there
	// was nothing to do.
	Type ot.Type
	Op   ot.Op
	// Repeated: the edit had been committed before, under the same Writer.Key.
	Repeated bool
}

// Edit applies operations, in JSON wire form and one after another, that were made on
// revision base (Head: whatever is newest), as one operation with one revision:
// transformed over what was committed since, on the Right. It is durable on return.
// The document is opened if need be and live readers see the operation like any other.
// Errors are *Error: those of Subscription.Change, CodeGone when base is older than
// what is kept, CodeReused.
func (m *Manager) Edit(ctx context.Context, doc string, base Revision, ops [][]byte, w Writer) (Edited, error) {
	return Edited{}, Errorf(CodeInternal, "not built")
}

// Merge brings in content, in its type's JSON wire form, that was made from revision
// base: what changed between them, as small as Options.Diff makes it, merged with what
// was committed since. Otherwise as Edit.
func (m *Manager) Merge(ctx context.Context, doc string, base Revision, content []byte, w Writer) (Edited, error) {
	return Edited{}, Errorf(CodeInternal, "not built")
}

// Restore makes the document what it was at revision to, by an operation forward from
// the head; what is committed while that is made stays. A document that was deleted is
// created again with what it was. One that was deleted at revision to, or is of another
// type now, is CodeBadType. Otherwise as Edit.
func (m *Manager) Restore(ctx context.Context, doc string, to Revision, w Writer) (Edited, error) {
	return Edited{}, Errorf(CodeInternal, "not built")
}

// Revert takes back what one author did in revisions (from, to], and keeps everybody
// else's work: the inverses of the author's operations, transformed to the head. to may
// be Head. CodeStale when that would take more work than Limits.Work allows. Otherwise
// as Edit.
func (m *Manager) Revert(ctx context.Context, doc, author string, from, to Revision, w Writer) (Edited, error) {
	return Edited{}, Errorf(CodeInternal, "not built")
}

// Meta is what people say of a document.
type Meta struct {
	// Title is shown instead of the id; at most 200 bytes.
	Title string
	// Fields are whatever an application keeps with it: a JSON object of at most 16 KiB,
	// or nil.
	Fields []byte
}

// Meta returns what people say of a document.
func (m *Manager) Meta(ctx context.Context, doc string) (Meta, error) {
	return Meta{}, Errorf(CodeInternal, "not built")
}

// SetMeta replaces it. Durable on return.
func (m *Manager) SetMeta(ctx context.Context, doc string, meta Meta) error {
	return Errorf(CodeInternal, "not built")
}

// Label is a name for a revision.
type Label struct {
	// Name is 1 to 100 bytes of UTF-8 without control characters, unique in its document.
	Name string
	Rev  Revision
	// Author and Time are who set it, and when.
	Author string
	Time   time.Time
}

// Labels returns a document's labels in the order of their revisions, then names.
func (m *Manager) Labels(ctx context.Context, doc string) ([]Label, error) {
	return nil, Errorf(CodeInternal, "not built")
}

// SetLabel names a revision (Head: the newest); a name that is there is moved to it. At most
// 1,000 a document, CodeTooLarge. Durable on return. Retention keeps what is named readable.
func (m *Manager) SetLabel(ctx context.Context, doc, name string, rev Revision, by User) (Label, error) {
	return Label{}, Errorf(CodeInternal, "not built")
}

// DeleteLabel removes a name, or is CodeNotFound.
func (m *Manager) DeleteLabel(ctx context.Context, doc, name string) error {
	return Errorf(CodeInternal, "not built")
}
