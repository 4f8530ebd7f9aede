package session

import (
	"context"
	"log/slog"
	"sync"
	"time"
	"weak"

	"quire/ot"
	"quire/storage"
)

// Session is the actor of one open document. It has no goroutine of its own while
// nothing happens: every step (stage a submission, commit a batch, take what is
// new) runs to completion under the session's lock, in the goroutine that brought
// it, and the only thing that ever waits, the append to the store, runs outside
// the lock while the next batch gathers.
//
// The operations of a document lie in a row:
//
//	0 … window.start … head … appending … staged … tip
//	    (in the store)  (durable)  (being synced)  (next batch)
//
// Readers see what is below head. A submission is transformed over everything up
// to the tip, so its place is fixed before it is written.
type Session struct {
	// Static after loading.
	m   *Manager
	id  string
	typ ot.Type
	inc uint64

	// Guarded by Manager.mu.
	refs int // subscriptions, and opens under way

	mu sync.Mutex
	// Guarded by mu.
	doc       ot.Doc // at head
	tipDoc    ot.Doc // at the tip
	head      Revision
	window    window
	appending []*submission // in the store's hands
	staged    []*submission // after them
	unsaved   int           // bytes of both
	committer bool          // a commit step is scheduled or running
	scratch   []ot.Op       // what unseen returned last
	writers   int           // about how many clients submit at the moment
	batches   int           // committed, for forgetting writers
	gather    int           // the next batch waits for so many submissions
	failures  int           // failed writes in a row
	dead      *Error        // why the session ended
	subs      []*Subscription
	clients   map[string]*clientState
	people    people
	caughtUp  weak.Pointer[Batch] // the last composite read from the store
	snap      snapshots
	idleSince time.Time
}

// clientState is what a session knows of a client that has it open or has
// something staged. Guarded by Session.mu.
type clientState struct {
	refs int
	// last and rev are the highest committed seq and the revision after it.
	last uint64
	rev  Revision
	// tipSeq and tipRev are the same at the tip.
	tipSeq uint64
	tipRev Revision
	// slow: it was refused for having been sent a composite that it had not seen.
	slow bool
}

// submission is one run of operations on its way to the disk.
type submission struct {
	sub      *Subscription
	client   *clientState
	received time.Time
	base     Revision
	seq      uint64
	ops      []ot.Op
	cursor   ot.Cursor // after the run; nil when not sent

	// Set by stage.
	out   []ot.Op // transformed
	docs  ot.Doc  // the document after the run
	first Revision
	moved ot.Cursor // cursor at first+len(out)
	bytes int
	recs  []storage.Record
}

// stage fixes a submission's place after the tip: it transforms its run over what its
// reader had not seen, applies it, and leaves everything as it was when that fails.
func (s *Session) stage(u *submission) *Error {
	over, refusal := s.unseen(u)
	if refusal != nil {
		return refusal
	}
	work := 0
	for _, p := range u.ops {
		work += s.typ.Cost(p) * len(over)
	}
	for _, x := range over {
		work += s.typ.Cost(x) * len(u.ops)
	}
	if work > s.m.opt.Limits.Work {
		return Errorf(CodeStale, "transforming over %d operations would take %d steps, limit %d", len(over), work, s.m.opt.Limits.Work)
	}
	out, rest, err := s.transform(u, over)
	if err != nil {
		return Errorf(CodeBadOp, "it cannot be transformed: %v", err)
	}
	doc := s.tipDoc
	for i, op := range out {
		if doc, err = s.typ.Apply(doc, op); err != nil {
			return Errorf(CodeBadOp, "operation %d of the run: %v", i+1, err)
		}
	}
	if size := s.typ.Size(doc); size > s.m.opt.Limits.Document && size > s.typ.Size(s.tipDoc) {
		return Errorf(CodeTooLarge, "the document would be %d bytes, limit %d", size, s.m.opt.Limits.Document)
	}
	u.out, u.docs, u.first = out, doc, s.window.tip()
	u.moved = nil
	if u.cursor != nil {
		u.moved = u.cursor
		for _, x := range rest {
			u.moved = s.typ.TransformCursor(u.moved, x, ot.Left)
		}
		if err := s.typ.CheckCursor(doc, u.moved); err != nil {
			u.moved = nil
			u.sub.refuse(Errorf(CodeBadCursor, "%v", err))
		}
	}
	s.place(u)
	return nil
}

// place puts a transformed submission after the tip.
func (s *Session) place(u *submission) {
	now := s.m.opt.Now().UnixMilli()
	u.recs, u.bytes = make([]storage.Record, len(u.out)), 0
	for i, op := range u.out {
		data := s.typ.MarshalOp(nil, op)
		u.recs[i] = storage.Record{Op: data, Author: u.sub.user.Name, Client: u.sub.client, Seq: u.seq + uint64(i), Time: now}
		u.bytes += len(data)
		s.window.push(entry{op: op, client: u.sub.client, seq: u.seq + uint64(i), size: len(data)})
	}
	s.unsaved += u.bytes
	s.tipDoc = u.docs
	s.staged = append(s.staged, u)
	u.client.tipSeq, u.client.tipRev = u.seq+uint64(len(u.ops))-1, s.window.tip()
	for _, r := range s.subs {
		if r.state == u.client { // also one that has replaced u.sub
			r.single = u.client.tipRev
		}
	}
}

// unseen returns the operations from a submission's base to the tip. Its reader was,
// or will be, sent each of them by itself: composing does not commute with
// transforming for every type, so a base before a composite that was sent is refused.
func (s *Session) unseen(u *submission) ([]ot.Op, *Error) {
	r := u.sub
	oldest := max(s.window.start, r.composed)
	switch {
	case u.base > r.pos:
		return nil, Errorf(CodeFuture, "base %d, sent so far %d", u.base, r.pos)
	case u.base < u.client.tipRev:
		return nil, Errorf(CodeInFlight, "base %d is before the client's own operation at %d", u.base, u.client.tipRev)
	case u.base < oldest:
		u.client.slow = true
		return nil, Errorf(CodeStale, "base %d is too old, the oldest served is %d", u.base, oldest)
	}
	entries := s.window.slice(u.base, s.window.tip())
	s.scratch = s.scratch[:0]
	for i := range entries {
		s.scratch = append(s.scratch, entries[i].op)
	}
	return s.scratch, nil
}

// transform moves a run over the operations its submitter had not seen, which it may
// overwrite: a grid of single steps, the committed side on the Left. When the
// submission brings a cursor it also returns them as they read after the run.
func (s *Session) transform(u *submission, over []ot.Op) (out, rest []ot.Op, err error) {
	if len(over) == 0 {
		return u.ops, nil, nil
	}
	out = make([]ot.Op, len(u.ops))
	for i, p := range u.ops {
		if i == len(u.ops)-1 && u.cursor == nil {
			if out[i], err = s.typ.TransformAll(p, over, ot.Right); err != nil {
				return nil, nil, err
			}
			break
		}
		for j, x := range over {
			p2, err := s.typ.Transform(p, x, ot.Right)
			if err != nil {
				return nil, nil, err
			}
			if over[j], err = s.typ.Transform(x, p, ot.Left); err != nil {
				return nil, nil, err
			}
			p = p2
		}
		out[i] = p
	}
	return out, over, nil
}

// committed makes everything in appending visible: the head advances, one batch is
// published, authors and presence follow.
func (s *Session) committed(took time.Duration) {
	now := s.m.opt.Now()
	b := &Batch{Doc: s.id, From: s.head, typ: s.typ}
	ops := 0
	for _, u := range s.appending {
		for i, op := range u.out {
			b.Items = append(b.Items, Item{N: 1, Client: u.sub.client, Seq: u.seq + uint64(i), Op: op})
		}
		if b.Received.IsZero() || u.received.Before(b.Received) {
			b.Received = u.received
		}
		ops += len(u.out)
		s.unsaved -= u.bytes
		s.snap.bytes += u.bytes
		s.doc = u.docs
		u.client.last, u.client.rev = u.seq+uint64(len(u.ops))-1, u.first+Revision(len(u.out))
		u.sub.inFlight = false
		s.people.moved(s, u)
		s.release(u.sub.client, u.client)
		s.m.opt.Observer.Acknowledged(now.Sub(u.received))
	}
	s.head += Revision(ops)
	b.To = s.head
	s.window.batches = append(s.window.batches, b)
	s.m.opt.Observer.Committed(len(s.appending), ops, took)
	s.appending = nil
	s.failures = 0
	if lim := &s.m.opt.Limits; s.window.over(lim.Window, lim.WindowBytes) {
		s.people.settle(s)
		s.window.trim(s.head, lim.Window, lim.WindowBytes)
	}
	s.idleSince = now
}

// acquire returns the state of a client, making it when it is not known, and
// counts one more user of it.
func (s *Session) acquire(client string) *clientState {
	c := s.clients[client]
	if c == nil {
		c = &clientState{}
		s.clients[client] = c
	}
	c.refs++
	return c
}

func (s *Session) release(client string, c *clientState) {
	if c.refs--; c.refs == 0 {
		delete(s.clients, client)
	}
}

// busy reports whether something is not on disk yet.
func (s *Session) busy() bool { return len(s.staged)+len(s.appending) > 0 }

// wake tells every reader that there may be something to take. Call it without
// the lock, with the readers as they were under it.
func wake(subs []*Subscription) {
	for _, r := range subs {
		r.notify()
	}
}

// end closes every subscription with a reason; the session accepts nothing more.
func (s *Session) end(why *Error) []*Subscription {
	if s.dead == nil {
		s.dead = why
	}
	for _, r := range s.subs {
		if r.closed == nil {
			r.closed = s.dead
		}
	}
	return s.subs
}

func (s *Session) log() *slog.Logger { return s.m.opt.Logger.With("doc", s.id) }

// background is the context of store calls that belong to no caller.
func (s *Session) background() context.Context { return s.m.ctx }
