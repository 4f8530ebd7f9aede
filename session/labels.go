package session

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"quire/storage"
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

const (
	maxLabels = 1000
	maxLabel  = 100
)

// labelForm is a Label as it is kept. Each has a note of its own, so that setting one never
// touches another.
type labelForm struct {
	Rev    Revision `json:"rev"`
	Author string   `json:"author,omitempty"`
	Time   int64    `json:"time"` // Unix milliseconds
}

func (l Label) note() (storage.Note, error) {
	if l.Name == "" || len(l.Name) > maxLabel || !printable(l.Name) {
		return storage.Note{}, Errorf(CodeBadMessage, "a label is 1 to %d bytes of UTF-8 without control characters", maxLabel)
	}
	value, err := json.Marshal(labelForm{l.Rev, l.Author, l.Time.UnixMilli()})
	return storage.Note{Key: labelNotes + l.Name, Value: value}, err
}

func readLabel(n storage.Note) (Label, error) {
	var form labelForm
	if err := json.Unmarshal(n.Value, &form); err != nil {
		return Label{}, fmt.Errorf("%w: note %q: %v", storage.ErrCorrupt, n.Key, err)
	}
	return Label{strings.TrimPrefix(n.Key, labelNotes), form.Rev, form.Author, time.UnixMilli(form.Time).UTC()}, nil
}

// Labels returns a document's labels in the order of their revisions, then names.
func (m *Manager) Labels(ctx context.Context, doc string) ([]Label, error) {
	if err := checkDocID(doc); err != nil {
		return nil, err
	}
	labels, err := m.labels(ctx, doc)
	if err != nil {
		return nil, m.unreadable(ctx, doc, Head, err)
	}
	return labels, nil
}

func (m *Manager) labels(ctx context.Context, doc string) ([]Label, error) {
	notes, err := m.opt.Store.Notes(ctx, doc, labelNotes, "", maxLabels)
	if err != nil {
		return nil, err
	}
	labels := make([]Label, len(notes))
	for i, n := range notes {
		if labels[i], err = readLabel(n); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(labels, func(a, b Label) int { return cmp.Compare(a.Rev, b.Rev) })
	return labels, nil
}

// SetLabel names a revision (Head: the newest); a name that is there is moved to it. At most
// 1,000 a document, CodeTooLarge. Durable on return. Retention keeps what is named readable.
// CodeBadMessage for a name that is not allowed, CodeFuture, CodeGone, CodeNotFound.
func (m *Manager) SetLabel(ctx context.Context, doc, name string, rev Revision, by User) (Label, error) {
	if err := by.check(m.opt.Limits); err != nil {
		return Label{}, err
	}
	m.labelling.Lock() // nobody squashes the revision, nor sets the last label that may be, meanwhile
	defer m.labelling.Unlock()
	info, err := m.stat(ctx, doc)
	if err != nil {
		return Label{}, err
	}
	if rev == Head {
		rev = info.Head
	}
	switch {
	case rev > info.Head:
		return Label{}, Errorf(CodeFuture, "revision %d, head %d", rev, info.Head)
	case rev < 0:
		return Label{}, Errorf(CodeNotFound, "revision %d is before the document's creation", rev)
	case rev < info.Oldest:
		return Label{}, m.unreadable(ctx, doc, rev, storage.ErrTrimmed)
	}
	l := Label{name, rev, by.author(), m.opt.Now().Truncate(time.Millisecond).UTC()}
	note, err := l.note()
	if err != nil {
		return Label{}, err
	}
	labels, err := m.Labels(ctx, doc)
	if err != nil {
		return Label{}, err
	}
	if len(labels) >= maxLabels && !slices.ContainsFunc(labels, func(o Label) bool { return o.Name == name }) {
		return Label{}, Errorf(CodeTooLarge, "a document has at most %d labels", maxLabels)
	}
	return l, m.note(ctx, info, note)
}

// DeleteLabel removes a name, or is CodeNotFound. Durable on return.
func (m *Manager) DeleteLabel(ctx context.Context, doc, name string) error {
	m.labelling.Lock()
	defer m.labelling.Unlock()
	info, err := m.stat(ctx, doc)
	if err != nil {
		return err
	}
	if _, err := m.labelled(ctx, doc, name); err != nil {
		return err
	}
	return m.note(ctx, info, storage.Note{Key: labelNotes + name})
}

// labelled returns the label of a name, or CodeNotFound.
func (m *Manager) labelled(ctx context.Context, doc, name string) (Label, error) {
	labels, err := m.Labels(ctx, doc)
	if err != nil {
		return Label{}, err
	}
	for _, l := range labels {
		if l.Name == name {
			return l, nil
		}
	}
	return Label{}, Errorf(CodeNotFound, "no label %q", name)
}

// Resolve returns the revision that is meant: by a label's name, or, when label is empty, the newest at
// or before a time (CodeNotFound when there is no such label, or the document was created later; CodeGone
// when that is older than what is kept).
func (m *Manager) Resolve(ctx context.Context, doc, label string, at time.Time) (Revision, error) {
	if _, err := m.stat(ctx, doc); err != nil {
		return 0, err
	}
	if label != "" {
		l, err := m.labelled(ctx, doc, label)
		return l.Rev, err
	}
	rev, err := m.RevisionAt(ctx, doc, at)
	if err == nil && rev == Unborn {
		err = Errorf(CodeNotFound, "the document was created after %s", at.UTC().Format(time.RFC3339Nano))
	}
	return rev, err
}

// NoteHolds reports whether a note that a Manager keeps with a document still means
// something when the document is cut to revision head, as restoring a backup as of a time does.
func NoteHolds(head Revision, n storage.Note) bool {
	if !strings.HasPrefix(n.Key, labelNotes) {
		return true
	}
	l, err := readLabel(n)
	return err == nil && l.Rev <= head
}
