package session

import "context"

// Revert takes back what one author did in revisions (from, to], and keeps everybody
// else's work: the inverses of the author's operations, transformed to the head. to may
// be Head. CodeStale when that would take more work than Limits.Work allows. Otherwise
// as Edit.
func (m *Manager) Revert(ctx context.Context, doc, author string, from, to Revision, w Writer) (Edited, error) {
	return Edited{}, Errorf(CodeInternal, "not built")
}
