package session

import (
	"context"
	"errors"

	"quire/storage"
)

// hold has a document's session write nothing, neither operations nor snapshots, until
// let is called. What is submitted meanwhile waits. The session is returned with a
// reference to it. CodeBusy when it is held already.
func (m *Manager) hold(ctx context.Context, doc string) (*Session, error) {
	s, err := m.session(ctx, doc)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	switch {
	case s.dead != nil:
		err = s.dead
	case s.held != nil:
		err = Errorf(CodeBusy, "the document is being renamed or redacted")
	default:
		s.held = make(chan struct{})
		s.calm()
	}
	held := s.held
	s.mu.Unlock()
	if err != nil {
		m.unref(s)
		return nil, err
	}
	select {
	case <-held:
		return s, nil
	case <-ctx.Done():
		m.let(s, nil, nil)
		return nil, Errorf(CodeUnavailable, "edits of the document wait for the disk")
	}
}

// calm tells whoever holds the session when it writes nothing any more. Called with the
// lock held, after a step has ended.
func (s *Session) calm() {
	if s.held == nil || s.committer || s.snap.busy {
		return
	}
	select {
	case <-s.held:
	default:
		close(s.held)
	}
}

// let has a session go on that was held, or, when a reason is given, end: its readers are
// told why, and who waits for an edit to be written is told refusal. Nothing that was not written was acknowledged.
func (m *Manager) let(s *Session, why, refusal *Error) {
	s.mu.Lock()
	s.held = nil
	var subs []*Subscription
	if why == nil {
		s.kick()
		s.snapshotIfDue()
	} else {
		for _, u := range s.staged {
			u.waiting.end(refusal)
		}
		subs = s.end(why)
	}
	s.mu.Unlock()
	if why != nil {
		m.forget(s)
		wake(subs)
		m.progressed()
	}
	m.unref(s)
}

// Rename gives a document another id; what is open under the old one ends with
// CodeMoved, whose message is the new id. A document by the old id does not exist from
// then on. CodeBadID, CodeExists, CodeNotFound. Durable on return.
func (m *Manager) Rename(ctx context.Context, doc, to string) error {
	if err := errors.Join(checkDocID(doc), checkDocID(to)); err != nil {
		return AsError(err)
	}
	if _, err := m.stat(ctx, doc); err != nil {
		return err
	}
	s, err := m.hold(ctx, doc)
	if err != nil {
		return err
	}
	if err := m.opt.Store.Rename(ctx, doc, to); err != nil {
		m.let(s, nil, nil)
		var refusal *Error
		if errors.As(err, &refusal) || errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrExists) {
			return AsError(err)
		}
		m.opt.Logger.ErrorContext(ctx, "cannot rename a document", "doc", doc, "err", err)
		return Errorf(CodeUnavailable, "the document cannot be renamed now")
	}
	moved := Errorf(CodeMoved, "%s", to)
	m.let(s, moved, moved)
	m.appeared(to)
	m.changed(doc)
	m.changed(to)
	return nil
}
