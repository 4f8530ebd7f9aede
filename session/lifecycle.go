package session

import (
	"context"
	"fmt"
)

// stopping reports whether Close was called.
func (m *Manager) stopping() bool { return m.closing.Load() }

func (m *Manager) progressed() {
	if m.stopping() {
		m.mu.Lock()
		close(m.progress)
		m.progress = make(chan struct{})
		m.mu.Unlock()
	}
}

// Stats counts what is in memory.
type Stats struct {
	// Sessions and Subscriptions are open documents and their readers.
	Sessions, Subscriptions int
	// Unsaved is how many documents have edits that are not on disk yet.
	Unsaved int
	// Failing is how many of them the store refuses at the moment.
	Failing int
	// Memory is about how many bytes the sessions take.
	Memory int
}

// Stats returns counts as of now.
func (m *Manager) Stats() Stats {
	st := Stats{Memory: m.memory.used()}
	for _, s := range m.all() {
		s.mu.Lock()
		st.Sessions++
		st.Subscriptions += len(s.subs)
		if s.busy() && s.dead == nil {
			st.Unsaved++
		}
		if s.failures > 0 {
			st.Failing++
		}
		s.mu.Unlock()
	}
	return st
}

// all returns the sessions that are loaded.
func (m *Manager) all() []*Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*Session, 0, len(m.sessions))
	for _, l := range m.sessions {
		select {
		case <-l.done:
			if l.s != nil {
				out = append(out, l.s)
			}
		default:
		}
	}
	return out
}

// sweep lets sessions that nobody has open leave memory, after a last snapshot
// when their log has a tail. One with unsaved operations stays. When documents have grown past the memory there
// is for them, those leave earlier that nobody has used for longest.
func (m *Manager) sweep() {
	if m.stopping() {
		return
	}
	now := m.opt.Now()
	for _, s := range m.all() {
		s.mu.Lock()
		idle := s.idle() && now.Sub(s.idleSince) >= m.opt.IdleAfter
		s.mu.Unlock()
		if idle && s.lastSnapshot() {
			m.drop(s)
		}
	}
	if !m.memory.fits() { // they have grown since they were read
		m.evict(m.memory.budget)
	}
	m.opt.After(m.opt.IdleAfter/2, m.sweep)
}

// lastSnapshot writes a snapshot when the tail is worth one, and reports whether
// the session may go. A store that fails keeps nothing in memory: the log has all.
func (s *Session) lastSnapshot() bool {
	s.mu.Lock()
	if s.snap.busy || s.held != nil || s.dead != nil {
		s.mu.Unlock()
		return s.dead != nil
	}
	if s.head-s.snap.rev < minTail || s.at.typ == nil {
		s.mu.Unlock()
		return true
	}
	s.snap.busy = true
	at, rev, bytes := s.at, s.head, s.snap.bytes
	s.mu.Unlock()
	s.snapshot(at, rev, bytes)
	return true
}

// drop removes a session unless someone has come back to it.
func (m *Manager) drop(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.sessions[s.id]
	if l == nil || l.s != s || s.refs > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle() {
		m.remove(s)
	}
}

// Close stops taking edits, waits until everything submitted is durable or ctx ends,
// and writes a last snapshot of the documents that have a tail. It returns an error
// when edits remain that the store did not take: they were never acknowledged.
func (m *Manager) Close(ctx context.Context) error {
	m.closing.Store(true)
	defer m.cancel()
	for {
		m.mu.Lock()
		progress := m.progress
		m.mu.Unlock()
		unsaved := m.Stats().Unsaved
		if unsaved == 0 {
			break
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return &UnsavedError{Documents: unsaved}
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, s := range m.all() {
			if ctx.Err() == nil {
				s.lastSnapshot()
			}
		}
	}()
	select {
	case <-done:
	case <-ctx.Done(): // the log has everything; the snapshots would have saved time
	}
	return nil
}

// UnsavedError says that the store did not take every edit before the time to stop
// was over. None of them was acknowledged; their clients still hold them.
type UnsavedError struct{ Documents int }

// Error says how many documents are concerned.
func (e *UnsavedError) Error() string {
	return fmt.Sprintf("session: edits of %d documents could not be saved", e.Documents)
}
