package session

import (
	"context"
	"time"

	"quire/storage"
)

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
