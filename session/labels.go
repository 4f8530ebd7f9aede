package session

import (
	"context"
	"time"
)

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

// Resolve returns the revision that is meant: by a label's name, or the newest at or before a time
// (CodeNotFound when there is no such label, or the document was created later; CodeGone when that is
// older than what is kept).
func (m *Manager) Resolve(ctx context.Context, doc, label string, at time.Time) (Revision, error) {
	if _, err := m.stat(ctx, doc); err != nil {
		return 0, err
	}
	if label != "" {
		labels, err := m.Labels(ctx, doc)
		if err != nil {
			return 0, err
		}
		for _, l := range labels {
			if l.Name == label {
				return l.Rev, nil
			}
		}
		return 0, Errorf(CodeNotFound, "no label %q", label)
	}
	rev, err := m.RevisionAt(ctx, doc, at)
	if err == nil && rev == Unborn {
		err = Errorf(CodeNotFound, "the document was created after %s", at.UTC().Format(time.RFC3339))
	}
	return rev, err
}
