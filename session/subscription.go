package session

import (
	"context"
	"errors"
	"fmt"
	"weak"

	"quire/ot"
	"quire/session/limits"
	"quire/storage"
)

// Subscription is one editing instance's place in a document: it submits, and it
// reads by position. Its methods are safe for concurrent use, except that one
// goroutine at a time may call Take.
type Subscription struct {
	// Static after opening.
	s          *Session
	client     string
	order      uint64 // as OpenRequest.Order
	convention Convention
	state      *clientState
	author     authorPace // of the user that it was opened as
	notify     func()
	ctx        context.Context // of who opened it, for its values alone

	// Guarded by Session.mu.
	user     User
	typ      ot.Type  // of the content at pos; a Sequenced reader's is static
	pos      Revision // everything below was taken
	single   Revision // what is below goes out one by one: a submission was transformed over it
	composed Revision // the end of the last composite sent: no base before it is accepted
	inFlight bool
	presence uint64 // news of people up to here was taken
	check    bool
	saved    bool // what the reader was last told
	news     Delivery
	refusals []refusal // of a Versioned reader, in order
	closed   *Error
}

// Submit hands in a run of operations, each in JSON wire form, made one after the
// other on revision base, with sequence numbers from seq on, and optionally where
// the cursor is after them. It returns at once. The run is acknowledged by coming
// back in a Batch, or refused by a Rejection or by the error returned; in each
// refusal nothing of it was applied. Slices are not kept.
func (r *Subscription) Submit(base Revision, seq uint64, ops [][]byte, cursor []byte) error {
	err := r.submit(base, seq, ops, cursor)
	if err == nil {
		return nil
	}
	r.s.m.opt.Observer.Refused(err.Code)
	return err
}

func (r *Subscription) submit(base Revision, seq uint64, ops [][]byte, cursor []byte) *Error {
	s := r.s
	lim := &s.m.opt.Limits
	switch {
	case r.client == "":
		return Errorf(CodeBadID, "a reader without a client id cannot submit")
	case len(ops) == 0:
		return Errorf(CodeBadMessage, "a run has at least one operation")
	case len(ops) > lim.Run:
		return s.m.Exceeds(limits.Run, lim.Run, CodeTooLarge, "a run of %d operations", len(ops))
	case seq == 0 || seq > 1<<53-1-uint64(len(ops)):
		return Errorf(CodeSeq, "seq %d is not in 1 to 2^53-1", seq)
	}
	u := &submission{sub: r, client: r.state, received: s.m.opt.Now(), base: base, seq: seq, typ: r.typ, side: ot.Right, ops: make([]ot.Op, len(ops))}
	if err := s.pace(len(ops), r.state.pace, r.author); err != nil {
		return err
	}
	for i, data := range ops {
		var err *Error
		if u.ops[i], err = s.m.decodeOp(r.typ, data); err != nil {
			err.Message = fmt.Sprintf("operation %d of the run: %s", i+1, err.Message)
			return err
		}
	}
	if cursor != nil {
		c, _, err := r.decodeCursor(cursor)
		if err != nil {
			return err
		}
		u.cursor = c
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	last := seq + uint64(len(ops)) - 1
	switch {
	case r.closed != nil:
		return r.closed
	case s.m.stopping():
		return Errorf(CodeBusy, "the server is stopping")
	case last <= r.state.tipSeq:
		r.duplicate(seq, last)
		return nil
	case seq <= r.state.tipSeq:
		return Errorf(CodeInFlight, "operations up to seq %d of this run are here already", r.state.tipSeq)
	case r.inFlight:
		return Errorf(CodeInFlight, "the submission before is not answered yet")
	case seq != r.state.tipSeq+1:
		return Errorf(CodeSeq, "seq %d, expected %d", seq, r.state.tipSeq+1)
	case s.unsaved > 4*lim.WindowBytes:
		return Errorf(CodeBusy, "too many edits wait for the disk")
	}
	if err := s.stage(u); err != nil {
		return err
	}
	r.inFlight = true
	u.client.refs++
	s.kick()
	return nil
}

// duplicate answers a run that was submitted before. What is not committed, or was
// not sent to this reader, it will meet in the stream.
func (r *Subscription) duplicate(seq, last uint64) {
	if last <= r.state.last && r.state.rev <= r.pos {
		r.news.Acks = append(r.news.Acks[:0], Ack{Seq: seq, Rev: r.state.rev}) // the newest says it all
		r.notify()
	}
}

func (r *Subscription) reject(seq uint64, err *Error) {
	r.inFlight = false
	r.news.Rejections = append(r.news.Rejections, Rejection{seq, err})
	r.s.m.opt.Observer.Refused(err.Code)
}

func (r *Subscription) refuse(err *Error) {
	r.news.Errs = append(r.news.Errs, err)
	r.s.m.opt.Observer.Refused(err.Code)
	r.notify()
}

// RequestCheck asks for the checksum at the revision the reader reaches next; it
// comes in a Delivery.
func (r *Subscription) RequestCheck() {
	r.s.mu.Lock()
	r.check = true
	r.s.mu.Unlock()
	r.notify()
}

// Take returns everything the reader has not had, without waiting: committed
// operations from its position on, as shared batches when it is near the head, or
// composed when it is far behind, then what else is new. An error means that the
// log could not be read; the subscription is of no more use then.
func (r *Subscription) Take(ctx context.Context) (Delivery, error) {
	s := r.s
	d, more := r.takeNow()
	if more.stored {
		return r.takeStored(ctx, d)
	}
	if more.sumDoc != nil {
		d.Check.Sum = more.typ.Checksum(more.sumDoc)
	}
	if more.behind != nil {
		it, err := compose(more.typ, more.behind)
		if err != nil { // a sum past the largest number, for example
			s.log().Info("operations cannot be composed; a reader gets them one by one", "rev", more.from, "to", more.to, "err", err)
			d.Batches = cut(d.Batches, more.behind, s.id, more.typ, more.from)
			return d, nil
		}
		s.m.opt.Observer.Composed(it.N)
		d.Batches = append(d.Batches, &Batch{Doc: s.id, From: more.from, To: more.to, Items: []Item{it}, typ: more.typ})
	}
	return d, nil
}

// leftover is what takeNow leaves to do without the lock.
type leftover struct {
	stored   bool // what comes next is in the store only
	typ      ot.Type
	behind   []entry // to be composed: [from, to)
	from, to Revision
	sumDoc   ot.Doc // to be summed; may be nil
}

// takeNow is what Take does under the lock.
func (r *Subscription) takeNow() (d Delivery, more leftover) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r.news = r.news, Delivery{}
	if saved := s.failures == 0; saved != r.saved {
		r.saved = saved
		d.StatusChanged, d.Saved = true, saved
	}
	if r.closed != nil {
		d.Closed = r.closed
		return d, more
	}
	if r.pos < s.window.start {
		more.stored = true
		return d, more
	}
	if r.pos < r.single || int(s.head-r.pos) <= s.compositeAfter(r) {
		end := s.head
		if int(s.head-r.pos) > s.compositeAfter(r) {
			end = min(end, r.single)
		}
		d.Batches = s.window.singles(make([]*Batch, 0, 1), s.id, r.typ, r.pos, end)
		r.reached(d.Batches)
	}
	d.Rejections = append(d.Rejections, r.refused()...)
	more.typ, more.from, more.to = r.typ, r.pos, s.head
	if more.from < more.to {
		more.behind = s.window.slice(more.from, more.to)
		r.pos, r.composed = more.to, more.to
		r.presence = 0 // a composite does not tell whose text moved a cursor: say where all are
	}
	d.Presence = s.people.news(s, r)
	if r.check {
		r.check = false
		more.sumDoc = s.at.doc
		d.Check = &Check{Rev: s.head}
	}
	return d, more
}

// reached moves the reader's position to the end of batches that it is given.
func (r *Subscription) reached(batches []*Batch) {
	if n := len(batches); n > 0 {
		b := batches[n-1]
		r.pos = b.To
		if r.convention == Versioned { // else it is static, and read without the lock
			_, r.typ = around(b.typ, b.Items[len(b.Items)-1].Op)
		}
	}
}

// compositeAfter is how many operations a reader may be behind before it receives a
// composite. One that keeps editing over a slow link, and was refused for that, gets
// more of them singly.
func (s *Session) compositeAfter(r *Subscription) int {
	lim := &s.m.opt.Limits
	if r.state.slow {
		return max(lim.CompositeAfter, lim.Window/2)
	}
	return lim.CompositeAfter
}

// takeStored is Take for a reader whose position is no longer in memory. No submission
// on a base that old is accepted meanwhile.
func (r *Subscription) takeStored(ctx context.Context, d Delivery) (Delivery, error) {
	s := r.s
	s.mu.Lock()
	from, to, single, typ := r.pos, s.head, r.pos < r.single, r.typ
	if single {
		to = min(r.single, s.head)
	}
	size := s.at.size()
	s.mu.Unlock()

	var batches []*Batch
	var err error
	if !single {
		if d.Done, err = s.m.Leave(ctx, int(to-from)*missedCost+2*size); err != nil {
			return d, err
		}
		var b *Batch
		if b, err = s.catchUp(ctx, typ, from, to); err == nil {
			batches = append(batches, b)
		} else {
			s.log().Info("operations cannot be composed; a reader gets them one by one", "rev", from, "to", to, "err", err)
			single = true
		}
	}
	if single {
		var entries []entry
		if entries, err = s.readEntries(ctx, typ, from, to); err == nil {
			batches = cut(nil, entries, s.id, typ, from)
		}
	}
	if errors.Is(err, storage.ErrTrimmed) {
		s.mu.Lock()
		if r.closed == nil {
			r.closed = gone(from, max(s.oldest, from+1))
		}
		d.Closed = r.closed
		s.mu.Unlock()
		return d, nil
	}
	if err != nil {
		if d.Done != nil {
			d.Done()
		}
		return d, fmt.Errorf("reading for a reader: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.reached(batches)
	if !single {
		r.composed = r.pos
		r.presence = 0
	}
	d.Batches, d.More = append(d.Batches, batches...), true
	return d, nil
}

// readEntries reads a bounded piece of [from, to) from the store, where typ is the type
// of the content at from.
func (s *Session) readEntries(ctx context.Context, typ ot.Type, from, to Revision) ([]entry, error) {
	recs, err := s.m.opt.Store.Read(ctx, s.id, from, to)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, len(recs))
	for i := range recs {
		op, err := s.m.decode(typ, &recs[i])
		if err != nil {
			return nil, &ReplayError{Rev: from + Revision(i), Err: err}
		}
		entries[i] = entryOf(op, &recs[i])
		_, typ = around(typ, op)
	}
	return entries, nil
}

// catchUp reads [from, to) from the store and composes it into one operation. Memory
// holds one piece of the log at a time and what has been composed of it.
//
// Only a few readers are caught up at a time, and those who missed the same share the
// result for as long as one of them has it, so that many who come back at once do not
// have it in memory as many times.
func (s *Session) catchUp(ctx context.Context, typ ot.Type, from, to Revision) (*Batch, error) {
	select {
	case s.m.catchUps <- struct{}{}:
		defer func() { <-s.m.catchUps }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	b := s.caughtUp.Value()
	s.mu.Unlock()
	if b != nil && b.From == from && b.To == to {
		return b, nil
	}
	var parts []ot.Op
	for rev := from; rev < to; {
		recs, err := s.m.opt.Store.Read(ctx, s.id, rev, to)
		if err != nil {
			return nil, err
		}
		ops := make([][]byte, len(recs))
		for i := range recs {
			ops[i] = recs[i].Op
		}
		op, err := typ.ComposeStored(ops)
		if err != nil {
			return nil, fmt.Errorf("records [%d, %d): %w", rev, rev+Revision(len(recs)), err)
		}
		parts = append(parts, op)
		rev += Revision(len(recs))
	}
	op, err := typ.ComposeAll(parts)
	if err != nil {
		return nil, err
	}
	n := int(to - from)
	s.m.opt.Observer.Composed(n)
	b = &Batch{Doc: s.id, From: from, To: to, Items: []Item{{N: n, Op: op}}, typ: typ}
	s.mu.Lock()
	s.caughtUp = weak.Make(b)
	s.mu.Unlock()
	return b, nil
}

// Close ends the subscription: its presence goes, nothing is delivered any more.
// What it submitted is committed all the same. Closing twice is not an error.
func (r *Subscription) Close() {
	s := r.s
	s.mu.Lock()
	subs := s.leave(r)
	s.mu.Unlock()
	if subs != nil {
		wake(subs)
		s.m.unref(s)
	}
}

// leave takes a subscription out of the session and returns who remains to be
// told; nil when it had left before.
func (s *Session) leave(r *Subscription) []*Subscription {
	rest := make([]*Subscription, 0, len(s.subs))
	for _, o := range s.subs {
		if o != r {
			rest = append(rest, o)
		}
	}
	if len(rest) == len(s.subs) {
		return nil
	}
	s.subs = rest
	if r.closed == nil {
		r.closed = Errorf(CodeNotOpen, "the document was closed")
	}
	s.release(r.client, r.state)
	s.m.leave(r.author)
	if !s.here(r.client) {
		s.people.remove(s, r.client)
	}
	s.idleSince = s.m.opt.Now()
	return rest
}

// here reports whether a client has the document open.
func (s *Session) here(client string) bool {
	for _, o := range s.subs {
		if o.client == client {
			return true
		}
	}
	return false
}
