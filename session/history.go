package session

import (
	"context"
	"time"

	"quire/ot"
	"quire/storage"
)

// Entry is one revision of a document's past.
type Entry struct {
	// Rev is the revision that the step led to.
	Rev  Revision
	Kind storage.Kind
	// Type is the type of the content that the step is about.
	Type ot.Type
	// Op is an operation of Type, a Creation or a Deletion.
	Op     ot.Op
	Author string
	Client string
	Seq    uint64
	Time   time.Time
}

// Entries returns up to limit steps (1 to 10,000) that led to revisions (from, to], in order; to may be
// Head. Fewer may come, at least one unless from is the head. CodeGone when the step after
// from is older than what is kept, with the oldest revision in the message, CodeFuture past the head.
func (m *Manager) Entries(ctx context.Context, doc string, from, to Revision, limit int) ([]Entry, error) {
	return nil, Errorf(CodeInternal, "not built")
}

// Group is a stretch of revisions (From, To] that reads as one edit: by the same people,
// without a long pause.
type Group struct {
	From, To Revision
	// Start and End are the times of its first and last step.
	Start, End time.Time
	// Authors are who took part, in the order of their first step.
	Authors []string
	// Operations is how many steps it has.
	Operations int
	// Inserted and Deleted is how much they put in and took out; see ot.Measured.
	Inserted, Deleted int
	// Kind is Edit, or what its only step is.
	Kind storage.Kind
}

// Grouping says how steps are grouped. A zero field means its default.
type Grouping struct {
	// Pause is the pause that ends a group. Default 2 minutes.
	Pause time.Duration
	// Span is how long a group may be in all. Default 15 minutes.
	Span time.Duration
	// Most is how many steps it may have. Default 2,000.
	Most int
}

// Groups returns up to limit groups (1 to 1,000), newest first, of the steps that led to revisions
// up to before (Head: the newest), and the revision to ask on with, or Unborn when that
// was all. It looks at 100,000 steps at most, so fewer may come. The boundaries of groups do not depend
// on where one begins to ask, as long as it is at one of them.
func (m *Manager) Groups(ctx context.Context, doc string, before Revision, limit int, g Grouping) ([]Group, Revision, error) {
	return nil, 0, Errorf(CodeInternal, "not built")
}

// Difference is what happened between two revisions.
type Difference struct {
	From, To Revision
	// Type is the type of the content at both.
	Type ot.Type
	// Before and After are the content at From and To.
	Before, After ot.Doc
	// Op leads from Before to After: what was done composed, when From is below To and
	// there are not too many steps between them, else as small as Options.Diff makes it.
	Op ot.Op
}

// Difference returns what leads from one revision to another, which may be older. Either
// may be Head. CodeBadType when the content is of another type there, or was deleted,
// CodeGone, CodeFuture.
func (m *Manager) Difference(ctx context.Context, doc string, from, to Revision) (Difference, error) {
	return Difference{}, Errorf(CodeInternal, "not built")
}

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

// Resolve returns the revision that is meant: by a label's name, or the newest at or before a time
// (CodeNotFound when there is no such label, or the document was created later; CodeGone when that is
// older than what is kept).
func (m *Manager) Resolve(ctx context.Context, doc, label string, at time.Time) (Revision, error) {
	return 0, Errorf(CodeInternal, "not built")
}

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

// Import creates a document with a past: entries in order, beginning with a Creation that leads to
// revision 0 (or, of a document whose beginning was squashed, content at its oldest revision), with
// authors and times as they are. next returns io.EOF after the last. Nothing is there when it fails:
// CodeExists, CodeBadOp with the revision in the message. Durable on return.
func (m *Manager) Import(ctx context.Context, doc string, meta Meta, labels []Label, next func() (Entry, error)) (Info, error) {
	return Info{}, Errorf(CodeInternal, "not built")
}
