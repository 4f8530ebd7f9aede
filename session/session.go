package session

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
	"weak"

	"quire/ot"
	"quire/session/limits"
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
//	-1 … window.start … head … appending … staged … tip
//	     (in the store)  (durable)  (being synced)  (next batch)
//
// A document's creation leads from revision -1, Unborn, to 0. Deleting it and
// creating it again are operations in the row like any other. A session is there
// also for a document that is not, so that its creation can be waited for.
//
// Readers see what is below head. A submission is transformed over everything up
// to the tip, so its place is fixed before it is written.
type Session struct {
	// Static after loading.
	m    *Manager
	id   string
	rate *limits.Pace // of operations

	// Guarded by Manager.mu.
	refs int // subscriptions, and opens under way

	mu sync.Mutex
	// Guarded by mu.
	inc       uint64  // 0 until the store has the document
	at        content // at head
	tip       content // at the tip
	head      Revision
	oldest    Revision // the past begins with it; Unborn unless it was squashed
	time      int64    // of the newest record, in Unix milliseconds
	window    window
	appending []*submission // in the store's hands
	staged    []*submission // after them
	unsaved   int           // bytes of both
	committer bool          // a commit step is scheduled or running
	left      bool          // memory: nothing is charged any more
	scratch   []ot.Op       // what unseen returned last
	writers   int           // about how many clients submit at the moment
	batches   int           // committed, for forgetting writers
	gather    int           // the next batch waits for so many submissions
	failures  int           // failed writes in a row
	failure   string        // what the last one said
	flow      flow          // of operations
	tracing   *tracing      // of appending; nil unless somebody wants to know
	dead      *Error        // why the session ended
	subs      []*Subscription
	clients   map[string]*clientState
	people    people
	creating  []chan *Error             // who waits for a creation that is under way
	caughtUp  weak.Pointer[Batch]       // the last composite read from the store
	copied    weak.Pointer[contentCopy] // of the content, as readers were given it last
	snap      snapshots
	held      chan struct{} // closed when nothing is being written; nil unless it is held
	idleSince time.Time
	charged   int // of Manager.memory
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
	// author made the operation that last and rev tell of, as far as that was looked up.
	author string
	// pace is how often it may submit; nil for as often as it likes. Set once, when it opens the document.
	pace *limits.Pace
}

// submission is one run of operations on its way to the disk.
type submission struct {
	sub      *Subscription
	client   *clientState
	received time.Time
	base     Revision // Head: whatever is newest
	seq      uint64
	placedAt time.Time // when it got its place; only when traced
	typ      ot.Type   // of ops
	side     ot.Side   // of ops to what was committed before them
	ops      []ot.Op   // of typ, or one Creation or Deletion
	cursor   ot.Cursor // after the run; nil when not sent
	waiting  *waiting  // of a Writer; nil when a reader submitted it

	// Set by stage.
	out   []ot.Op // transformed
	after content // the document after the run
	first Revision
	moved ot.Cursor // cursor at first+len(out)
	bytes int
	recs  []storage.Record
}

// stage fixes a submission's place after the tip: it transforms its run over what its
// reader had not seen, applies it, and leaves everything as it was when that fails.
func (s *Session) stage(u *submission) *Error {
	over, refusal := s.unseen(u)
	if refusal == nil {
		over, refusal = s.admissible(u, over)
	}
	if refusal != nil {
		return refusal
	}
	if len(over) == 0 {
		// Perhaps a Creation or a Deletion, which have no cost.
	} else if work := ot.TransformCost(u.typ, u.ops, over); work > s.m.opt.Limits.Work {
		return Errorf(CodeStale, "transforming over %d operations would take %d steps, limit %d", len(over), work, s.m.opt.Limits.Work)
	}
	out, rest, refusal := s.transform(u, over)
	if refusal != nil {
		return refusal
	}
	then := s.tip
	for i, op := range out {
		var err error
		if then, err = then.apply(op, s.window.tip()+Revision(i)+1); err != nil {
			return Errorf(CodeBadOp, "operation %d of the run: %v", i+1, err)
		}
	}
	if size := then.size(); size > s.m.opt.Limits.Document && size > s.tip.size() {
		return s.m.Exceeds(limits.Document, s.m.opt.Limits.Document, CodeTooLarge, "the document would be %d bytes", size)
	}
	u.out, u.after, u.first = out, then, s.window.tip()
	u.moved = nil
	if u.cursor != nil {
		u.moved = u.cursor
		for _, x := range rest {
			u.moved = u.typ.TransformCursor(u.moved, x, ot.Left)
		}
		if err := u.typ.CheckCursor(then.doc, u.moved); err != nil {
			u.moved = nil
			u.sub.refuse(Errorf(CodeBadCursor, "%v", err))
		}
	}
	s.place(u)
	return nil
}

// place puts a transformed submission after the tip.
func (s *Session) place(u *submission) {
	if s.m.opt.Observer.Traced != nil {
		u.placedAt = s.m.opt.Now()
	}
	s.time = max(s.time, s.m.opt.Now().UnixMilli())
	u.recs, u.bytes = make([]storage.Record, len(u.out)), 0
	for i, op := range u.out {
		rec := encode(u.typ, op)
		rec.Author, rec.Client, rec.Seq, rec.Time = u.sub.user.author(), u.sub.client, u.seq+uint64(i), s.time
		u.recs[i] = rec
		u.bytes += len(rec.Op)
		s.window.push(entryOf(op, &rec))
	}
	s.unsaved += u.bytes
	s.tip = u.after
	s.staged = append(s.staged, u)
	s.placed(u.client, u.seq+uint64(len(u.ops))-1)
}

// placed notes that a client's newest operation is the one before the tip. What is
// below goes to it one by one.
func (s *Session) placed(c *clientState, seq uint64) {
	if seq == 0 {
		return
	}
	c.tipSeq, c.tipRev = seq, s.window.tip()
	for _, r := range s.subs {
		if r.state == c { // also one that has replaced the submission's
			r.single = max(r.single, c.tipRev)
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
	case u.base == Head:
		return nil, nil
	case r.convention == Versioned && u.base > s.head:
		return nil, Errorf(CodeFuture, "revision %d, head %d", u.base, s.head)
	case r.convention == Versioned && u.base >= s.window.start:
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

// admissible refuses what cannot be where the submission would go: content is created
// where there is none and deleted or edited where there is some, and an edit does not
// outlive the content it was made on. It returns the operations to transform over.
func (s *Session) admissible(u *submission, over []ot.Op) ([]ot.Op, *Error) {
	_, creates := u.ops[0].(Creation)
	_, deletes := u.ops[0].(Deletion)
	for _, x := range over {
		switch x.(type) {
		case Creation:
			return nil, Errorf(CodeExists, "the document was created meanwhile")
		case Deletion:
			if !deletes {
				return nil, Errorf(CodeDeleted, "the document was deleted meanwhile")
			}
		}
	}
	switch {
	case creates && s.tip.typ != nil:
		return nil, Errorf(CodeExists, "a document of that name exists")
	case creates, deletes && s.window.tip() >= 0:
		return nil, nil // no edit changes what these do
	case s.tip.typ == nil:
		return nil, Errorf(CodeNotFound, "no such document")
	case s.tip.typ != u.typ:
		return nil, Errorf(CodeBadOp, "an operation of type %s on a document of type %s", u.typ.Name(), s.tip.typ.Name())
	}
	return over, nil
}

// transform moves a run over the operations its submitter had not seen, which it may
// overwrite: a grid of single steps, on the side that it says. When
// the submission brings a cursor it also returns them as they read after the run.
func (s *Session) transform(u *submission, over []ot.Op) (out, rest []ot.Op, refusal *Error) {
	if _, deletes := u.ops[0].(Deletion); deletes {
		return []ot.Op{Deletion{s.tip.typ}}, nil, nil
	}
	if len(over) == 0 {
		return u.ops, nil, nil
	}
	_, grows := u.typ.(ot.Pairwise)
	work, err := 0, error(nil)
	out = make([]ot.Op, len(u.ops))
	for i, p := range u.ops {
		last := i == len(u.ops)-1 && u.cursor == nil // over is not needed any more
		if last && !grows {
			if out[i], err = u.typ.TransformAll(p, over, u.side); err != nil {
				return nil, nil, untransformed(err)
			}
			break
		}
		for j, x := range over {
			if !last {
				if over[j], err = u.typ.Transform(x, p, u.side.Other()); err != nil {
					return nil, nil, untransformed(err)
				}
			}
			if p, refusal = s.step(u, p, x, &work); refusal != nil {
				return nil, nil, refusal
			}
		}
		out[i] = p
	}
	return out, over, nil
}

// step transforms one operation of a submission over another. Operations may grow on the
// way, so work counts what each step takes.
func (s *Session) step(u *submission, op, over ot.Op, work *int) (ot.Op, *Error) {
	x := []ot.Op{over}
	before := ot.TransformCost(u.typ, []ot.Op{op}, x)
	op, err := u.typ.Transform(op, over, u.side)
	if err != nil {
		return nil, untransformed(err)
	}
	limit := s.m.opt.Limits.Work
	if *work += max(before, ot.TransformCost(u.typ, []ot.Op{op}, x)); *work < 0 || *work > limit {
		return nil, Errorf(CodeStale, "transforming would take more than %d steps", limit)
	}
	return op, nil
}

// untransformed says why an operation has no place. One that is too much to transform may
// come again on a newer base.
func untransformed(err error) *Error {
	if errors.Is(err, ot.ErrLimit) {
		return Errorf(CodeStale, "it cannot be transformed: %v", err)
	}
	return Errorf(CodeBadOp, "it cannot be transformed: %v", err)
}

// committed makes everything in appending visible: the head advances, one batch is
// published, authors and presence follow.
func (s *Session) committed(took time.Duration) {
	now := s.m.opt.Now()
	from, ops := s.head, 0
	received := now
	for _, u := range s.appending {
		if u.received.Before(received) {
			received = u.received
		}
		ops += len(u.out)
		s.unsaved -= u.bytes
		s.snap.bytes += u.bytes
		if u.seq > 0 {
			u.client.last, u.client.rev = u.seq+uint64(len(u.ops))-1, u.first+Revision(len(u.out))
			u.client.author = u.sub.user.author()
		}
		u.sub.inFlight = false
		s.turn(u.out[0], u.after)
		s.people.moved(s, u)
		s.release(u.sub.client, u.client)
		u.waiting.end(nil)
		s.m.opt.Observer.Acknowledged(now.Sub(u.received))
		s.trace(u, now)
	}
	s.publish(from, ops, received)
	s.m.opt.Observer.Committed(len(s.appending), ops, took)
	s.appending = nil
	s.failures, s.failure = 0, ""
	s.flow.add(ops, now)
	if lim := &s.m.opt.Limits; s.window.over(lim.Window, lim.WindowBytes) {
		s.people.settle(s)
		s.window.trim(s.head, lim.Window, lim.WindowBytes)
	}
	s.idleSince = now
	s.weigh()
}

// publish advances the head over the next n entries and cuts them into batches for the
// readers: one, unless the document was created or deleted on the way.
func (s *Session) publish(from Revision, n int, received time.Time) {
	s.head = from + Revision(n)
	batches := cut(nil, s.window.slice(from, s.head), s.id, s.typeAt(from), from)
	for _, b := range batches {
		b.Received = received
	}
	s.window.batches = append(s.window.batches, batches...)
}

// typeAt returns the type of the content at a revision in [window.start, head].
func (s *Session) typeAt(rev Revision) ot.Type {
	for _, e := range s.window.slice(rev, s.window.tip()) {
		if e.turns() {
			before, _ := around(nil, e.op)
			return before
		}
	}
	return s.tip.typ
}

// created tells whoever waits for a creation how it ended.
func (s *Session) created(err *Error) {
	for _, wait := range s.creating {
		wait <- err
	}
	s.creating = nil
}

// turn takes the step to the content after a committed submission.
func (s *Session) turn(op ot.Op, then content) {
	s.at = then
	switch op.(type) {
	case Creation:
		s.created(nil)
	case Deletion:
		s.people.forgetCursors(s)
		for _, r := range s.subs {
			if r.convention == Sequenced && r.closed == nil {
				r.closed = Errorf(CodeDeleted, "the document was deleted")
			}
		}
	}
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
	s.created(s.dead)
	for _, u := range slices.Concat(s.appending, s.staged) {
		u.waiting.end(s.dead)
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
