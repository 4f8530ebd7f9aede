package session

import (
	"context"

	"quire/ot"
)

// Change is what a Versioned reader submits.
type Change struct {
	// Base is the revision it was made on; Head for whatever is newest.
	Base Revision
	// Seq is above every sequence number the client has used in this document.
	Seq uint64
	// Type is the type of the content that Op is an operation of; not looked at when
	// it is a Creation or a Deletion.
	Type ot.Type
	// Op is an operation of Type, a Creation or a Deletion{}.
	Op ot.Op
	// Side is where Op stands to the operations committed since Base. The submitter's
	// own copy of the document has to come out the same, so this is what its side does
	// with what is called "left" there; that need not be ot.Left for every type.
	Side ot.Side
}

// Change hands in one operation of a Versioned reader. It returns when the operation has
// its place, which is before it is durable. It is acknowledged by coming back in a
// Batch under the reader's client and Seq, or, when it had been committed before and
// was taken already, by an Ack; or it is refused by a Rejection, which comes after the
// operations that are the reason, or by the error returned, an *Error: CodeNotFound where there is no content, CodeExists where there is
// some already, CodeDeleted and CodeExists also when that happened after Base,
// CodeFuture past the head, CodeSeq for a sequence number that was used for something
// else, CodeBadOp when it does not fit.
func (r *Subscription) Change(ctx context.Context, c Change) error {
	if err := r.change(ctx, c); err != nil {
		r.s.m.opt.Observer.Refused(err.Code)
		return err
	}
	return nil
}

func (r *Subscription) change(ctx context.Context, c Change) *Error {
	s := r.s
	if r.client == "" || r.convention != Versioned {
		return Errorf(CodeBadID, "a reader without a client id cannot submit")
	}
	if c.Seq == 0 || c.Seq >= 1<<53-1 {
		return Errorf(CodeSeq, "seq %d is not in 1 to 2^53-2", c.Seq)
	}
	if err := s.pace(1, r.state.pace, r.author); err != nil {
		return err
	}
	u := &submission{sub: r, client: r.state, received: s.m.opt.Now(), base: c.Base, seq: c.Seq, typ: c.Type, side: c.Side, ops: []ot.Op{c.Op}}
	work := 0
	for {
		start, again, err := r.enter(u)
		if !again {
			return err
		}
		if err := s.bringForward(ctx, u, start, &work); err != nil {
			return err
		}
	}
}

// enter stages a submission of a Versioned reader unless it is there already. It asks to
// be called again when the base is no longer in memory, which begins at start.
func (r *Subscription) enter(u *submission) (start Revision, again bool, err *Error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch start = s.window.start; {
	case r.closed != nil:
		return start, false, r.closed
	case s.m.stopping():
		return start, false, Errorf(CodeBusy, "the server is stopping")
	case u.seq <= r.state.tipSeq:
		return start, false, r.repeated(u.seq)
	case s.unsaved > 4*s.m.opt.Limits.WindowBytes:
		return start, false, Errorf(CodeBusy, "too many edits wait for the disk")
	case u.base < Unborn:
		return start, false, Errorf(CodeFuture, "revision %d", u.base)
	case u.base < start:
		return start, true, nil
	}
	if err := s.stage(u); err != nil {
		if tip := s.window.tip(); tip > s.head && err.Code != CodeStale {
			// What it does not go with may never become durable. Whoever is refused is
			// told when it has.
			r.refusals = append(r.refusals, refusal{tip, Rejection{u.seq, err}})
			return start, false, nil
		}
		return start, false, err
	}
	u.client.refs++
	s.kick()
	return start, false, nil
}

// refusal is a Rejection to be told once the head has reached a revision.
type refusal struct {
	at Revision
	Rejection
}

// refused returns the refusals whose time has come. Called with the lock held.
func (r *Subscription) refused() (out []Rejection) {
	for len(r.refusals) > 0 && r.refusals[0].at <= r.s.head {
		out = append(out, r.refusals[0].Rejection)
		r.refusals = r.refusals[1:]
		r.s.m.opt.Observer.Refused(out[len(out)-1].Err.Code)
	}
	return out
}

// Repeat answers an operation of the reader's client that was submitted before, as Change does,
// and reports whether it was. It submits nothing.
func (r *Subscription) Repeat(seq uint64) bool {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.closed == nil && r.client != "" && seq > 0 && seq <= r.state.tipSeq && r.repeated(seq) == nil
}

// repeated answers an operation that was submitted before. What this reader has not been
// sent it will meet in the stream.
func (r *Subscription) repeated(seq uint64) *Error {
	s := r.s
	rev := Revision(-2)
	for i := len(s.window.entries) - 1; i >= 0; i-- {
		if e := &s.window.entries[i]; e.seq == seq && e.client == r.client {
			rev = s.window.start + Revision(i) + 1
			break
		}
	}
	if seq == r.state.last {
		rev = r.state.rev
	}
	if rev < Unborn {
		return Errorf(CodeSeq, "seq %d is not above %d, this client's last", seq, r.state.tipSeq)
	}
	if rev <= r.pos {
		r.news.Acks = append(r.news.Acks, Ack{Seq: seq, Rev: rev})
		r.notify()
	}
	return nil
}

// bringForward transforms a submission over the operations before start, which are in
// the store only. work counts what that takes.
func (s *Session) bringForward(ctx context.Context, u *submission, start Revision, work *int) *Error {
	_, creates := u.ops[0].(Creation)
	_, deletes := u.ops[0].(Deletion)
	for u.base < start {
		entries, err := s.readEntries(ctx, u.typ, u.base, start)
		if err != nil {
			return s.m.unreadable(ctx, s.id, u.base, err)
		}
		for _, e := range entries {
			switch e.op.(type) {
			case Creation:
				return Errorf(CodeExists, "the document was created meanwhile")
			case Deletion:
				if !deletes {
					return Errorf(CodeDeleted, "the document was deleted meanwhile")
				}
				continue
			}
			if creates {
				return Errorf(CodeExists, "a document of that name exists")
			}
			if deletes {
				continue
			}
			op, refusal := s.step(u, u.ops[0], e.op, work)
			if refusal != nil {
				return refusal
			}
			u.ops[0] = op
		}
		u.base += Revision(len(entries))
	}
	return nil
}

// MoveCursor moves a cursor of type typ of this reader's client from revision base to the
// newest one, which it returns; from a base past that it returns the cursor as it is. Over the
// client's own operations it moves on the Right. CodeDeleted when the content it was in
// is gone, CodeStale when base is too old, CodeBadCursor in content of another type.
func (r *Subscription) MoveCursor(typ ot.Type, base Revision, c ot.Cursor) (ot.Cursor, Revision, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case base > s.head:
		return c, base, nil
	case base < s.window.start:
		return nil, 0, Errorf(CodeStale, "base %d is too old, the oldest served is %d", base, s.window.start)
	case s.at.typ == nil || base < s.at.born:
		return nil, 0, Errorf(CodeDeleted, "the document was deleted")
	case s.at.typ != typ:
		return nil, 0, Errorf(CodeBadCursor, "a cursor of type %s in a document of type %s", typ.Name(), s.at.typ.Name())
	}
	for _, e := range s.window.slice(base, s.head) {
		side := ot.Left
		if e.client == r.client {
			side = ot.Right
		}
		c = s.at.typ.TransformCursor(c, e.op, side)
	}
	return c, s.head, nil
}
