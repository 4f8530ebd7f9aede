package session

import (
	"context"
	"errors"
	"fmt"

	"quire/session/limits"
	"quire/storage"
)

// session returns the session of a document with one more reference to it, loading
// it when need be. One caller loads, the others wait; a failure is told to all of
// them and remembered by nobody. Who loads has the reference before anybody can make the
// session leave again for want of room, so that of many who ask at once somebody gets on.
func (m *Manager) session(ctx context.Context, id string) (*Session, error) {
	for {
		if m.stopping() {
			return nil, Errorf(CodeBusy, "the server is stopping")
		}
		m.mu.Lock()
		l := m.sessions[id]
		loads := l == nil
		if loads {
			l = &loading{done: make(chan struct{})}
			m.sessions[id] = l
			m.mu.Unlock()
			m.load(ctx, id, l)
		} else {
			m.mu.Unlock()
			select {
			case <-l.done:
			case <-ctx.Done():
				return nil, Errorf(CodeUnavailable, "reading the document took too long")
			}
		}
		if l.err != nil {
			return nil, l.err
		}
		m.mu.Lock()
		current := m.sessions[id] == l
		if current && !loads {
			l.s.refs++
		}
		m.mu.Unlock()
		if current {
			return l.s, nil
		}
	}
}

// load reads a document because asker wants it, and leaves it with a reference for asker.
func (m *Manager) load(asker context.Context, id string, l *loading) {
	ctx, cancel := context.WithTimeout(m.ctx, m.opt.LoadTimeout)
	defer cancel()
	var s *Session
	err := errors.New("reading the document panicked")
	if loading := m.opt.Observer.Loading; loading != nil {
		done := loading(asker, id)
		defer func() { done(err) }()
	}
	defer func() { // also when read panics: nobody may wait for ever
		m.mu.Lock()
		if l.s, l.err = s, err; err != nil {
			delete(m.sessions, id)
		} else {
			s.refs++
		}
		m.mu.Unlock()
		close(l.done)
	}()
	turn := m.newTurn()
	if refusal := turn.take(ctx, 0); refusal != nil {
		err = refusal
		return
	}
	leave, busy := m.place(ctx, m.memory.places)
	if busy != nil {
		err = busy
		return
	}
	defer leave()
	start := m.opt.Now()
	if s, err = m.read(ctx, id); err == nil {
		m.opt.Observer.Loaded(m.opt.Now().Sub(start))
		if refusal := m.charge(ctx, s, turn); refusal != nil {
			s, err = nil, refusal
		}
	} else {
		s = nil
		m.opt.Logger.ErrorContext(asker, "cannot read a document; it is refused", "doc", id, "err", err)
		err = Errorf(CodeUnavailable, "the document cannot be read now")
	}
}

// read makes a session from the newest snapshot and the records after it. For a
// document that is not there it makes one that waits for its creation.
func (m *Manager) read(ctx context.Context, id string) (*Session, error) {
	s := &Session{m: m, id: id, rate: limits.NewPace(&m.documentRate), head: Unborn, oldest: Unborn, clients: map[string]*clientState{}, idleSince: m.opt.Now()}
	s.snap.at = m.opt.Now()
	s.people.version, s.people.public = 1, 1
	s.window.start = Unborn
	info, err := m.opt.Store.Stat(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := m.replay(ctx, id, info.Head)
	if err != nil {
		return nil, err
	}
	s.inc, s.head, s.window.start, s.time = info.Incarnation, info.Head, info.Head, info.Modified
	s.oldest = info.Oldest
	s.at = r.content
	s.at.born = info.Born
	s.tip = s.at
	s.snap.rev, s.snap.bytes = max(r.snap, 0), r.bytes
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

// unref gives a reference back. A session without a document is of no use to nobody.
func (m *Manager) unref(s *Session) {
	m.mu.Lock()
	s.refs--
	last := s.refs == 0
	m.mu.Unlock()
	if last {
		s.mu.Lock()
		unborn := s.head == Unborn
		s.mu.Unlock()
		if unborn {
			m.drop(s)
		}
	}
}

// forget takes a session out of the table, so that the next open reads afresh.
func (m *Manager) forget(s *Session) {
	m.mu.Lock()
	if l := m.sessions[s.id]; l != nil && l.s == s {
		s.mu.Lock()
		m.remove(s)
		s.mu.Unlock()
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
