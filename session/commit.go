package session

import (
	"errors"
	"fmt"
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
	if s.committer || !s.busy() || s.dead != nil || len(s.staged) < s.gather {
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
		s.mu.Unlock()
		return
	}
	if s.appending == nil {
		s.appending, s.staged = s.staged, nil
	}
	base := s.head
	n := 0
	for _, u := range s.appending {
		n += len(u.recs)
	}
	recs := make([]storage.Record, 0, n)
	for _, u := range s.appending {
		recs = append(recs, u.recs...)
	}
	s.mu.Unlock()

	if len(recs) == 0 {
		s.settled(0, nil)
		return
	}
	start := s.m.opt.Now()
	err := s.m.opt.Store.Append(s.background(), s.id, s.inc, base, recs)
	if err != nil {
		err = s.settle(err, base, recs)
	}
	s.settled(s.m.opt.Now().Sub(start), err)
}

// settled ends a commit step with the append's result.
func (s *Session) settled(took time.Duration, err error) {
	var conflict *storage.ConflictError
	var backlog []storage.Record
	if errors.As(err, &conflict) {
		backlog, err = s.readAll(s.background(), s.head, conflict.Head)
	}

	s.mu.Lock()
	s.committer = false
	var delay time.Duration
	recovered := s.failures > 0
	switch {
	case s.dead != nil:
		recovered = false
	case err == nil && conflict != nil:
		s.overtaken(backlog)
	case err == nil:
		if n := len(s.appending); n > 0 {
			s.committed(took)
			s.gatherMore(n, took)
		}
	case errors.Is(err, storage.ErrNotFound):
		s.end(Errorf(CodeDeleted, "the document was deleted"))
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
	subs, dead := s.subs, s.dead != nil
	s.mu.Unlock()
	if dead {
		s.m.forget(s)
	}
	wake(subs)
	s.m.progressed()
}

// failed counts a failed write and returns how long to wait before the next try.
func (s *Session) failed(err error) time.Duration {
	s.failures++
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
		if there[i].Client != recs[i].Client || there[i].Seq != recs[i].Seq || string(there[i].Op) != string(recs[i].Op) {
			return &storage.ConflictError{Base: base, Head: info.Head}
		}
	}
	return nil
}

var errNotApplied = errors.New("session: the append did not take effect")

// overtaken takes in records that someone else appended at our head, and gives
// every unsaved submission a new place after them.
func (s *Session) overtaken(recs []storage.Record) {
	again := append(s.appending, s.staged...)
	s.appending, s.staged, s.unsaved, s.failures = nil, nil, 0, 0
	s.window.truncate(s.head)
	for _, c := range s.clients {
		c.tipSeq, c.tipRev = c.last, c.rev
	}
	b := &Batch{Doc: s.id, From: s.head, typ: s.typ}
	doc := s.doc
	for i := range recs {
		rec := &recs[i]
		op, err := s.typ.UnmarshalOp(rec.Op)
		if err == nil {
			doc, err = s.typ.Apply(doc, op)
		}
		if err != nil {
			s.log().Error("a record written by another process cannot be applied", "rev", s.head+Revision(i), "err", err)
			s.end(Errorf(CodeInternal, "the server failed; its log says why"))
			return
		}
		s.window.push(entry{op: op, client: rec.Client, seq: rec.Seq, size: len(rec.Op)})
		b.Items = append(b.Items, Item{N: 1, Client: rec.Client, Seq: rec.Seq, Op: op})
		if c := s.clients[rec.Client]; c != nil && rec.Seq > 0 {
			c.last, c.rev = rec.Seq, s.head+Revision(i)+1
			c.tipSeq, c.tipRev = c.last, c.rev
			for _, r := range s.subs {
				if r.state == c {
					r.single = c.tipRev
				}
			}
		}
	}
	s.head += Revision(len(recs))
	s.doc, s.tipDoc = doc, doc
	b.To = s.head
	s.window.batches = append(s.window.batches, b)
	for _, u := range again {
		var refusal *Error
		if u.seq > u.client.tipSeq {
			refusal = s.stage(u)
		} else if u.client.tipSeq < u.seq+uint64(len(u.ops))-1 {
			refusal = Errorf(CodeInFlight, "part of the run was committed by another connection")
		} else {
			u.sub.inFlight = false // committed elsewhere: its acknowledgement is in the stream
			s.release(u.sub.client, u.client)
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
	for _, r := range s.subs {
		if r.state == u.client {
			r.reject(u.seq, refusal)
		}
	}
}
