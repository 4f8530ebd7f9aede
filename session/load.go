package session

import (
	"context"
	"errors"
	"fmt"

	"quire/storage"
)

// session returns the session of a document with one more reference to it, loading
// it when need be. One caller loads, the others wait; a failure is told to all of
// them and remembered by nobody.
func (m *Manager) session(ctx context.Context, id string) (*Session, error) {
	for {
		if m.stopping() {
			return nil, Errorf(CodeBusy, "the server is stopping")
		}
		m.mu.Lock()
		l := m.sessions[id]
		if l == nil {
			l = &loading{done: make(chan struct{})}
			m.sessions[id] = l
			m.mu.Unlock()
			m.load(id, l)
		} else {
			m.mu.Unlock()
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, Errorf(CodeUnavailable, "reading the document took too long")
		}
		if l.err != nil {
			return nil, l.err
		}
		m.mu.Lock()
		current := m.sessions[id] == l
		if current {
			l.s.refs++
		}
		m.mu.Unlock()
		if current {
			return l.s, nil
		}
	}
}

func (m *Manager) load(id string, l *loading) {
	ctx, cancel := context.WithTimeout(m.ctx, m.opt.LoadTimeout)
	defer cancel()
	start := m.opt.Now()
	var s *Session
	err := errors.New("reading the document panicked")
	defer func() { // also when read panics: nobody may wait for ever
		m.mu.Lock()
		if l.s, l.err = s, err; err != nil {
			delete(m.sessions, id)
		}
		m.mu.Unlock()
		close(l.done)
	}()
	if s, err = m.read(ctx, id); err == nil {
		m.opt.Observer.Loaded(m.opt.Now().Sub(start))
	} else if s = nil; AsError(err).Code != CodeNotFound {
		m.opt.Logger.Error("cannot read a document; it is refused", "doc", id, "err", err)
		err = Errorf(CodeUnavailable, "the document cannot be read now")
	}
}

// read makes a session from the newest snapshot and the records after it.
func (m *Manager) read(ctx context.Context, id string) (*Session, error) {
	info, err := m.opt.Store.Stat(ctx, id)
	if err != nil {
		return nil, err
	}
	typ := m.types[info.Type]
	if typ == nil {
		return nil, errors.New("unknown document type " + info.Type)
	}
	s := &Session{m: m, id: id, typ: typ, inc: info.Incarnation, head: info.Head, clients: map[string]*clientState{}, idleSince: m.opt.Now()}
	snap, err := m.opt.Store.Snapshot(ctx, id, info.Head)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.doc, err = typ.Create(nil)
	case err == nil:
		s.doc, err = typ.UnmarshalDoc(snap.Data)
		s.snap.rev = snap.Rev
	}
	if err != nil {
		return nil, err
	}
	s.snap.at = s.m.opt.Now()
	for rev := s.snap.rev; rev < s.head; {
		recs, err := m.opt.Store.Read(ctx, id, rev, s.head)
		if err != nil {
			return nil, err
		}
		for i := range recs {
			op, err := typ.UnmarshalOp(recs[i].Op)
			if err == nil {
				s.doc, err = typ.Apply(s.doc, op)
			}
			if err != nil {
				return nil, &ReplayError{Rev: rev + Revision(i), Err: err}
			}
			s.snap.bytes += len(recs[i].Op)
		}
		rev += Revision(len(recs))
	}
	s.tipDoc = s.doc
	s.people.version, s.people.public = 1, 1
	s.window.start = s.head
	return s, nil
}

// readAll reads [from, to), however many pieces that takes.
func (s *Session) readAll(ctx context.Context, from, to Revision) ([]storage.Record, error) {
	var all []storage.Record
	for from < to {
		recs, err := s.m.opt.Store.Read(ctx, s.id, from, to)
		if err != nil {
			return nil, err
		}
		all = append(all, recs...)
		from += Revision(len(recs))
	}
	return all, nil
}

// unref gives a reference back.
func (m *Manager) unref(s *Session) {
	m.mu.Lock()
	s.refs--
	m.mu.Unlock()
}

// forget takes a session out of the table, so that the next open reads afresh.
func (m *Manager) forget(s *Session) {
	m.mu.Lock()
	if l := m.sessions[s.id]; l != nil && l.s == s {
		delete(m.sessions, s.id)
	}
	m.mu.Unlock()
}

// ReplayError says which record of a document could not be applied.
type ReplayError struct {
	Rev Revision
	Err error
}

// Error says the record's revision and the cause.
func (e *ReplayError) Error() string {
	return fmt.Sprintf("record %d cannot be applied: %v", e.Rev, e.Err)
}

// Unwrap returns the cause.
func (e *ReplayError) Unwrap() error { return e.Err }
