package session

import (
	"context"
	"time"
)

// Trace is the way of one submission through a session.
type Trace struct {
	// Context is what the submitter opened the document or wrote with, for its values: it
	// may have ended.
	Context context.Context
	// Doc is the document's id, Client the editing instance, empty when there is none.
	Doc, Client string
	// Operations is how many there were, Rev the revision after them.
	Operations int
	Rev        Revision
	// Received is when it came, Placed when it was transformed and had its place, Handed
	// when its batch was given to the store, Durable when that was on disk, Published when
	// the readers had been woken.
	Received, Placed, Handed, Durable, Published time.Time
}

// tracing is what is noted of a batch on its way through the store.
type tracing struct {
	handed time.Time // when it was given to the store
	done   []Trace   // of what of it was just committed
}

// trace notes the way of a submission that was just committed, if anybody wants to know.
// Called with the lock held.
func (s *Session) trace(u *submission, durable time.Time) {
	if s.tracing == nil {
		return
	}
	s.tracing.done = append(s.tracing.done, Trace{
		Context: u.sub.ctx, Doc: s.id, Client: u.sub.client, Operations: len(u.out), Rev: u.first + Revision(len(u.out)),
		Received: u.received, Placed: u.placedAt, Handed: s.tracing.handed, Durable: durable,
	})
}

// report tells of what was traced. Call it without the lock.
func (m *Manager) report(traces []Trace) {
	if len(traces) == 0 {
		return
	}
	now := m.opt.Now()
	for i := range traces {
		traces[i].Published = now
		m.opt.Observer.Traced(&traces[i])
	}
}
