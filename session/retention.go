package session

import (
	"context"
	"errors"
	"strings"
	"time"

	"quire/storage"
)

// Keep says how much of a document's past is kept. Both zero: everything. A revision
// goes when it is older than both allow.
type Keep struct {
	// Age is how long a revision stays after it was superseded.
	Age time.Duration
	// Count is how many revisions stay.
	Count int
}

// All reports whether everything is kept.
func (k Keep) All() bool { return k.Age <= 0 && k.Count <= 0 }

const (
	// squashEvery is how long the manager rests after it has been through all documents.
	squashEvery = time.Hour
	// squashPause is how long it rests after each page of them.
	squashPause = time.Second
	// squashPage is how many documents it looks at in one go.
	squashPage = 100
	// squashTime is how long it may take for one document.
	squashTime = 10 * time.Minute
)

// Squash drops what Keep does not keep of a document's past: the oldest revision that stays becomes
// a snapshot. Revision numbers stay, and so do labelled revisions and the authorship of what
// remains. What a reader of an open document has not been sent yet stays, too. It returns the oldest
// revision that is there now, Unborn when nothing was dropped ever. CodeNotFound, CodeUnavailable. Durable on return.
func (m *Manager) Squash(ctx context.Context, doc string, k Keep) (Revision, error) {
	info, err := m.stat(ctx, doc)
	if err != nil {
		return Unborn, err
	}
	if oldest, err := m.squashTo(ctx, info, k); err != nil {
		return Unborn, m.unreadable(ctx, doc, Head, err)
	} else if oldest > info.Oldest {
		return m.squash(ctx, info, oldest)
	}
	return info.Oldest, nil
}

// squashTo returns the oldest revision that is to stay; -1 when all are.
func (m *Manager) squashTo(ctx context.Context, info Info, k Keep) (Revision, error) {
	if k.All() {
		return Unborn, nil
	}
	oldest := info.Head
	if k.Count > 0 {
		oldest = max(Unborn, info.Head+1-Revision(k.Count))
	}
	if k.Age > 0 {
		at, err := m.opt.Store.At(ctx, info.ID, m.opt.Now().Add(-k.Age).UnixMilli())
		if errors.Is(err, storage.ErrTrimmed) {
			at, err = Unborn, nil
		}
		if err != nil {
			return Unborn, err
		}
		oldest = min(oldest, at)
	}
	if s := m.loaded(info.ID); s != nil {
		s.mu.Lock()
		for _, r := range s.subs {
			if r.closed == nil {
				oldest = min(oldest, r.pos)
			}
		}
		s.mu.Unlock()
	}
	return oldest, nil
}

// squash makes oldest the revision that the past begins with. Everything that is needed
// from then on is durable before the records go, so that it may end at any moment and be
// done again.
func (m *Manager) squash(ctx context.Context, info Info, oldest Revision) (Revision, error) {
	done, err := m.keep(ctx)
	if err != nil {
		return Unborn, err
	}
	defer done()
	if err = m.keepAuthorship(ctx, info, oldest); err == nil {
		err = m.trim(ctx, info, oldest)
	}
	if err != nil {
		return Unborn, m.unwritable(ctx, info.ID, err)
	}
	m.contents.forget(info.Incarnation)
	if s := m.loaded(info.ID); s != nil {
		s.mu.Lock()
		if s.inc == info.Incarnation {
			s.oldest = max(s.oldest, oldest)
		}
		s.mu.Unlock()
	}
	if err := m.dropAuthorship(ctx, info, oldest); err != nil {
		return Unborn, m.unwritable(ctx, info.ID, err)
	}
	m.opt.Logger.InfoContext(ctx, "old revisions of a document were squashed", "doc", info.ID, "oldest", oldest, "was", info.Oldest, "head", info.Head)
	return oldest, nil
}

// trim drops what is older, but for what is labelled.
func (m *Manager) trim(ctx context.Context, info Info, oldest Revision) error {
	m.labelling.Lock() // nobody labels a revision that is about to go
	defer m.labelling.Unlock()
	labelled, err := m.pin(ctx, info, oldest)
	if err != nil {
		return err
	}
	return m.opt.Store.Trim(ctx, info.ID, info.Incarnation, oldest, labelled)
}

// pin keeps snapshots of what is to stay readable: the oldest revision, and the labelled ones
// below it, which it returns.
func (m *Manager) pin(ctx context.Context, info Info, oldest Revision) (labelled []Revision, err error) {
	labels, err := m.labels(ctx, info.ID)
	if err != nil {
		return nil, err
	}
	for _, l := range labels { // ascending revisions
		if n := len(labelled); l.Rev < oldest && (n == 0 || labelled[n-1] != l.Rev) {
			labelled = append(labelled, l.Rev)
		}
	}
	for _, rev := range append(labelled[:len(labelled):len(labelled)], oldest) {
		if rev < info.Oldest {
			continue // pinned before
		}
		r, err := m.replay(ctx, info.ID, rev)
		if err != nil {
			return nil, err
		}
		snap, err := r.snapshot(rev)
		if err != nil {
			return nil, err
		}
		snap.Pinned = true
		if err := m.opt.Store.PutSnapshot(ctx, info.ID, info.Incarnation, snap); err != nil {
			return nil, err
		}
	}
	return labelled, nil
}

// keepAuthorship notes who made the content at a revision.
func (m *Manager) keepAuthorship(ctx context.Context, info Info, rev Revision) error {
	a, err := m.authorshipAt(ctx, info, rev)
	if err != nil {
		return err
	}
	notes, err := a.notes()
	if err != nil {
		return err
	}
	return m.opt.Store.SetNotes(ctx, info.ID, info.Incarnation, notes)
}

// retain squashes the documents after an id, a page of them, and comes again for the
// next. Only what is worth while is squashed: a sixteenth of what is there.
func (m *Manager) retain(after string) {
	if m.stopping() {
		return
	}
	infos, err := m.opt.Store.List(m.ctx, "", after, squashPage)
	if err != nil {
		m.opt.Logger.Error("cannot list documents to squash their past", "err", err)
	}
	for _, info := range infos {
		if m.stopping() {
			return
		}
		m.retainOne(info)
	}
	if err == nil && len(infos) == squashPage {
		after = infos[len(infos)-1].ID
		m.opt.After(squashPause, func() { m.retain(after) })
		return
	}
	m.opt.After(squashEvery, func() { m.retain("") })
}

// retainOne squashes one document if that is worth while. What goes wrong is logged, and
// tried again on the next round.
func (m *Manager) retainOne(info Info) {
	if strings.HasPrefix(info.ID, importPrefix) {
		return
	}
	ctx, cancel := context.WithTimeout(m.ctx, squashTime)
	defer cancel()
	oldest, err := m.squashTo(ctx, info, m.opt.Keep)
	if err == nil && oldest-info.Oldest > (info.Head-info.Oldest)/16 {
		_, err = m.squash(ctx, info, oldest)
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) && AsError(err).Code != CodeNotFound && m.ctx.Err() == nil {
		m.opt.Logger.Warn("the past of a document cannot be squashed; it stays and is tried again", "doc", info.ID, "err", err)
	}
}
