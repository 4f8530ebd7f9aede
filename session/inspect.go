package session

import (
	"math"
	"time"
)

// Activity is what a session is doing, for whoever runs the server.
type Activity struct {
	// Doc is the document's id, Type the name of its type, empty when there is no content.
	Doc, Type string
	// Head is the newest revision, Oldest the first that is kept.
	Head, Oldest Revision
	// Size is the document's size in bytes, Memory about how many bytes the session takes.
	Size, Memory int
	// Places is on how many connections it is open, Writers how many of them have an edit
	// in it.
	Places, Writers int
	// UnsavedOps and UnsavedBytes are what is not on disk yet.
	UnsavedOps   Revision
	UnsavedBytes int
	// Rate is about how many operations were committed a second lately.
	Rate float64
	// Failures is how many writes failed in a row, Failure what the store said of the last
	// one. It may name files of the server: for operators only.
	Failures int
	Failure  string
	// Edited is when something was committed last, or it was read into memory.
	Edited time.Time
}

// Activities returns what all sessions are doing, in no order. It takes each session's
// lock for a moment.
func (m *Manager) Activities() []Activity {
	sessions := m.all()
	out := make([]Activity, len(sessions))
	now := m.opt.Now()
	for i, s := range sessions {
		s.mu.Lock()
		out[i] = s.activity(now)
		s.mu.Unlock()
	}
	return out
}

// activity is called with the lock held.
func (s *Session) activity(now time.Time) Activity {
	a := Activity{
		Doc: s.id, Head: s.head, Oldest: s.oldest, Size: s.at.size(), Memory: s.cost(), Places: len(s.subs),
		UnsavedOps: s.window.tip() - s.head, UnsavedBytes: s.unsaved, Rate: s.flow.at(now),
		Failures: s.failures, Failure: s.failure, Edited: s.idleSince,
	}
	if s.at.typ != nil {
		a.Type = s.at.typ.Name()
	}
	for _, r := range s.subs {
		if r.state.tipSeq > 0 {
			a.Writers++
		}
	}
	return a
}

// Release ends a document's session: its readers are told to open the document again,
// which reads it afresh, and whatever they have not seen acknowledged they send again.
// CodeNotFound when the document is not in memory, CodeBusy when edits of it are not on
// disk: they leave memory only when they are.
func (m *Manager) Release(doc string) error {
	s := m.loaded(doc)
	if s == nil {
		return Errorf(CodeNotFound, "the document is not in memory")
	}
	s.mu.Lock()
	if s.busy() || s.committer || s.held != nil {
		s.mu.Unlock()
		return Errorf(CodeBusy, "edits of the document are being written")
	}
	subs := s.end(Errorf(CodeInternal, "the server let go of the document; open it again"))
	s.mu.Unlock()
	m.forget(s)
	wake(subs)
	m.progressed()
	return nil
}

// flow is how fast something happens: what happened weighs less the longer ago it was.
type flow struct {
	rate float64 // a second, at time last
	last int64   // in Unix nanoseconds
}

// flowOver is about the span that a flow is a mean of.
const flowOver = 5 * time.Second

// add notes that n things happened. A clock that goes back costs nothing but accuracy.
func (p *flow) add(n int, now time.Time) {
	p.rate, p.last = p.at(now)+float64(n)/flowOver.Seconds(), now.UnixNano()
}

func (p *flow) at(now time.Time) float64 {
	return p.rate * math.Exp(-max(0, time.Duration(now.UnixNano()-p.last).Seconds())/flowOver.Seconds())
}
