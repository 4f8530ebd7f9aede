package session

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"quire/storage"
)

// Several writers at once are served best in step: one batch with an edit of each costs
// every writer one sync and every reader one message, where two half batches that overtake
// each other cost two. So after a batch the next one is held back until about as many
// edits have gathered as there were writers, but no longer than it should take them
// to answer. A writer alone does not wait, once it has been alone for a while.
const (
	gatherFrom   = 2
	gatherPerOne = 25 * time.Microsecond
	gatherMemory = 8 // batches after which fewer writers are believed in
)

// gatherMore holds the next batch back after one of n submissions was committed.
// Called with the lock held.
func (s *Session) gatherMore(n int, took time.Duration) {
	if s.batches++; s.batches%gatherMemory == 0 {
		s.writers -= 1 + s.writers/4
	}
	s.writers = max(s.writers, n+len(s.staged))
	if s.writers < gatherFrom {
		return
	}
	s.gather = s.writers - s.writers/16
	batch := s.batches
	s.m.opt.After(min(took, time.Millisecond)+time.Duration(s.writers)*gatherPerOne, func() {
		s.mu.Lock()
		if s.batches == batch {
			s.gather = 0
			s.kick()
		}
		s.mu.Unlock()
	})
}

// kick schedules a commit step unless one is scheduled or running already, or the
// batch is held back. Called with the lock held.
func (s *Session) kick() {
	if s.committer || s.held != nil || !s.busy() || s.dead != nil || len(s.staged) < s.gather {
		return
	}
	s.gather = 0
	s.committer = true
	s.m.opt.Go(s.commit)
}

// commit is one step of the document's committer: it takes everything staged,
// appends it as one batch, and when that is durable publishes it. One step is
// under way at a time; what arrives meanwhile is the next one's batch.
func (s *Session) commit() {
	s.mu.Lock()
	if s.dead != nil || s.background().Err() != nil {
		s.committer = false
		s.calm()
		s.mu.Unlock()
		return
	}
	if s.appending == nil {
		n := len(s.staged)
		if s.inc == 0 {
			n = min(n, 1) // the creation makes the document be there
		}
		s.appending, s.staged = s.staged[:n:n], append([]*submission(nil), s.staged[n:]...)
	}
	base, inc := s.head, s.inc
	n := 0
	for _, u := range s.appending {
		n += len(u.recs)
	}
	recs := make([]storage.Record, 0, n)
	for _, u := range s.appending {
		recs = append(recs, u.recs...)
	}
	if s.m.opt.Observer.Traced != nil {
		s.tracing = &tracing{handed: s.m.opt.Now()}
	}
	s.mu.Unlock()

	if len(recs) == 0 {
		s.settled(0, nil)
		return
	}
	start := s.m.opt.Now()
	var err error
	if inc == 0 {
		err = s.birth(recs[0])
	} else if err = s.m.opt.Store.Append(s.background(), s.id, inc, base, recs); err != nil {
		err = s.settle(err, base, recs)
	}
	s.settled(s.m.opt.Now().Sub(start), err)
}

// birth creates the document in the store.
func (s *Session) birth(first storage.Record) error {
	info, err := s.m.opt.Store.Create(s.background(), s.id, first)
	if errors.Is(err, storage.ErrExists) {
		// Ours, when an earlier try was of unknown outcome; else another process's.
		var recs []storage.Record
		if info, err = s.m.opt.Store.Stat(s.background(), s.id); err != nil {
			return err
		}
		if recs, err = s.m.opt.Store.Read(s.background(), s.id, Unborn, 0); err != nil {
			return err
		}
		if !same(&recs[0], &first) || recs[0].Time != first.Time {
			return storage.ErrNotFound
		}
	}
	if err == nil {
		s.mu.Lock()
		s.inc = info.Incarnation
		s.mu.Unlock()
	}
	return err
}

// same reports whether two records are one operation of one client.
func same(a, b *storage.Record) bool {
	return a.Kind == b.Kind && a.Type == b.Type && a.Client == b.Client && a.Seq == b.Seq && string(a.Op) == string(b.Op)
}

// settled ends a commit step with the append's result.
func (s *Session) settled(took time.Duration, err error) {
	var conflict *storage.ConflictError
	var backlog []storage.Record
	if errors.As(err, &conflict) {
		backlog, err = s.readAll(s.background(), s.head, conflict.Head)
	}

	subs, traces, dead, advanced := s.conclude(took, err, conflict != nil, backlog)
	if dead {
		s.m.forget(s)
	}
	if advanced {
		s.m.changed(s.id) // before its author knows: what it asks for then is to show it
	}
	wake(subs)
	s.m.progressed()
	s.m.report(traces)
}

// conclude takes in what became of an append, and returns who is to be told, what was traced, whether the
// session has ended and whether the head has advanced. A panic in a type's code ends the
// session: the next open reads afresh what is durable.
func (s *Session) conclude(took time.Duration, err error, conflict bool, backlog []storage.Record) (subs []*Subscription, traces []Trace, dead, advanced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committer = false
	before := s.head
	defer func() {
		if p := recover(); p != nil {
			s.log().Error("panic in a session, which ends", "rev", s.head, "panic", p, "stack", string(debug.Stack()))
			s.end(Errorf(CodeInternal, "the server failed; its log says why"))
		}
		s.calm()
		subs, dead, advanced = s.subs, s.dead != nil, s.head > before
		if s.tracing != nil {
			traces, s.tracing = s.tracing.done, nil
		}
	}()
	var delay time.Duration
	recovered := s.failures > 0
	switch {
	case s.dead != nil:
		recovered = false
	case err == nil && conflict:
		s.overtaken(backlog)
	case err == nil:
		if n := len(s.appending); n > 0 {
			s.committed(took)
			s.gatherMore(n, took)
		}
	case errors.Is(err, storage.ErrNotFound):
		s.end(Errorf(CodeDeleted, "the document was deleted"))
	case s.unhoused(err):
		recovered = false
	case len(s.appending) > 0 && s.appending[0].giveUp(err):
		recovered = false
		s.log().Error("cannot create a document", "err", err)
		s.m.opt.Observer.WriteFailed()
		refusal := Errorf(CodeUnavailable, "the document cannot be created now")
		s.created(refusal)
		s.appending[0].waiting.end(refusal)
		s.release("", s.appending[0].client)
		s.restage(s.retract(s.appending[1:]))
	default:
		recovered = false
		delay = s.failed(err)
	}
	if recovered {
		s.log().Info("writing works again", "rev", s.head)
	}
	if delay > 0 && s.background().Err() == nil {
		s.committer = true
		s.m.opt.After(delay, s.commit)
	} else if delay == 0 {
		s.kick()
	}
	s.snapshotIfDue()
	return nil, nil, false, false // as the deferred function says
}

// unhoused hands a creation back, and with it what came after, when the store's answer was a
// refusal: it would be the same another time.
func (s *Session) unhoused(err error) bool {
	var refusal *Error
	if s.inc != 0 || len(s.appending) == 0 || !errors.As(err, &refusal) {
		return false
	}
	u := s.appending[0]
	rest := s.retract(s.appending[1:])
	s.handBack(u, refusal)
	s.release(u.sub.client, u.client)
	s.restage(rest)
	return true
}

// giveUp reports whether a submission is handed back when it could not be written: a
// creation that its caller waits for. What is unknown is tried until it is known.
func (u *submission) giveUp(err error) bool {
	_, creates := u.ops[0].(Creation)
	return creates && u.seq == 0 && !errors.Is(err, storage.ErrUnknown)
}

// failed counts a failed write and returns how long to wait before the next try.
func (s *Session) failed(err error) time.Duration {
	s.failures++
	s.failure = err.Error()
	s.m.opt.Observer.WriteFailed()
	if s.failures == 1 {
		s.log().Error("cannot write; edits are kept in memory, tried again and not acknowledged", "rev", s.head, "unsaved", s.window.tip()-s.head, "err", err)
	}
	d := s.m.opt.RetryMax
	if shift := s.failures - 1; shift < 16 {
		d = min(d, s.m.opt.RetryMin<<shift)
	}
	return d/2 + time.Duration(s.m.opt.Rand()*float64(d/2)) + 1
}

// settle finds out what became of an append whose outcome is unknown, by reading
// back: nil when our records are there, a conflict when others' are, the error
// itself when nothing was written or it cannot be told yet.
func (s *Session) settle(err error, base Revision, recs []storage.Record) error {
	var conflict *storage.ConflictError
	lost := errors.As(err, &conflict)
	if !lost && !errors.Is(err, storage.ErrUnknown) {
		return err
	}
	info, serr := s.m.opt.Store.Stat(s.background(), s.id)
	switch {
	case serr != nil:
		return serr
	case info.Incarnation != s.inc:
		return storage.ErrNotFound
	case info.Head < base:
		return fmt.Errorf("the store lost revisions: head %d, was %d", info.Head, base)
	case info.Head == base:
		return errNotApplied
	}
	end := min(info.Head, base+Revision(len(recs)))
	there, rerr := s.readAll(s.background(), base, end)
	if rerr != nil {
		return rerr
	}
	if len(there) < len(recs) {
		return &storage.ConflictError{Base: base, Head: info.Head}
	}
	for i := range recs {
		if !same(&there[i], &recs[i]) {
			return &storage.ConflictError{Base: base, Head: info.Head}
		}
	}
	return nil
}

var errNotApplied = errors.New("session: the append did not take effect")

// overtaken takes in records that someone else appended at our head, and gives
// every unsaved submission a new place after them.
func (s *Session) overtaken(recs []storage.Record) {
	again := s.retract(s.appending)
	from, then := s.head, s.at
	for i := range recs {
		rec := &recs[i]
		op, err := s.m.decode(then.typ, rec)
		if err == nil {
			then, err = then.apply(op, from+Revision(i)+1)
		}
		if err != nil {
			s.log().Error("a record written by another process cannot be applied", "rev", from+Revision(i), "err", err)
			s.end(Errorf(CodeInternal, "the server failed; its log says why"))
			for _, u := range again {
				u.waiting.end(s.dead)
			}
			return
		}
		s.window.push(entryOf(op, rec))
		if c := s.clients[rec.Client]; c != nil && rec.Seq > 0 {
			c.last, c.rev = rec.Seq, from+Revision(i)+1
			s.placed(c, rec.Seq)
		}
		s.tip, s.time = then, max(s.time, rec.Time)
		s.turn(op, then)
	}
	s.publish(from, len(recs), time.Time{})
	s.weigh()
	s.restage(again)
}

// retract takes everything that is not durable out of the row and returns it: first,
// and what is staged after it.
func (s *Session) retract(first []*submission) []*submission {
	all := append(first, s.staged...)
	s.appending, s.staged, s.unsaved, s.failures, s.failure = nil, nil, 0, 0, ""
	s.window.truncate(s.head)
	s.tip = s.at
	for _, c := range s.clients {
		c.tipSeq, c.tipRev = c.last, c.rev
	}
	for _, r := range s.subs {
		for _, x := range r.refusals { // the reason is gone
			r.reject(x.Seq, Errorf(CodeInFlight, "what it did not go with was taken back"))
		}
		r.refusals = nil
	}
	return all
}

// restage gives submissions a new place after the head, or hands them back.
func (s *Session) restage(again []*submission) {
	for _, u := range again {
		var refusal *Error
		if refusal = u.reused(); refusal != nil {
			// Another process committed the key for another request.
		} else if u.seq > u.client.tipSeq || u.seq == 0 {
			refusal = s.stage(u)
		} else if u.client.tipSeq < u.seq+uint64(len(u.ops))-1 {
			refusal = Errorf(CodeInFlight, "part of the run was committed by another connection")
		} else {
			u.sub.inFlight = false // committed elsewhere: its acknowledgement is in the stream
			s.release(u.sub.client, u.client)
			u.out = nil
			u.waiting.end(nil)
			continue
		}
		if refusal != nil {
			s.handBack(u, refusal)
			s.release(u.sub.client, u.client)
		}
	}
}

// handBack refuses a submission that was staged before. Its client may have opened the
// document again meanwhile, and sent it again: whoever has it open is told.
func (s *Session) handBack(u *submission, refusal *Error) {
	u.sub.inFlight = false
	u.waiting.end(refusal)
	if _, creates := u.ops[0].(Creation); creates {
		s.created(refusal)
	}
	for _, r := range s.subs {
		if r.state == u.client {
			r.reject(u.seq, refusal)
		}
	}
}
