package session

import (
	"context"
	"time"
)

// Rename gives a document another id; what is open under the old one ends with
// CodeMoved, whose message is the new id. CodeExists, CodeNotFound. Durable on return.
func (m *Manager) Rename(ctx context.Context, doc, to string) error {
	return Errorf(CodeInternal, "not built")
}

// Redact replaces every occurrence of text, or where author is given that author's name by another ("" is
// anonymous), in all of a document's past, in place; revisions and lengths stay. Text that is in
// the newest revision is deleted first, by an ordinary operation. Sessions of the document
// begin anew. It returns how many revisions were changed. The old bytes leave the data file when it is
// compacted next.
func (m *Manager) Redact(ctx context.Context, doc string, r Redaction) (int, error) {
	return 0, Errorf(CodeInternal, "not built")
}

// Redaction says what Redact takes out: Text, or Author, or both.
type Redaction struct {
	Text       string // 1 to 10,000 bytes of UTF-8
	Author, As string // a name and what to put in its place
	By         User   // the author of the operation that deletes Text from the newest revision
}

// Keep says how much of a document's past is kept. Both zero: everything. A revision
// goes when it is older than both allow.
type Keep struct {
	// Age is how long a revision stays after it was superseded.
	Age time.Duration
	// Count is how many revisions stay.
	Count int
}

// Squash drops what Keep does not keep of a document's past: the oldest revision that stays becomes
// a snapshot. Revision numbers stay, and so do labelled revisions and the authorship of what
// remains. It returns the oldest revision that is there now, Unborn when nothing was dropped ever.
func (m *Manager) Squash(ctx context.Context, doc string, k Keep) (Revision, error) {
	return 0, Errorf(CodeInternal, "not built")
}
