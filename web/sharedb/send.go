package sharedb

import (
	"fmt"

	"quire/ot"
	"quire/session"
	"quire/web/sharedb/wire"
	"quire/web/ws"
)

// Send writes the answers that wait and what is new in the documents, up to about one
// write's worth, and reports whether there is more.
func (c *Conn) Send(w Sender) bool {
	c.haveLeft()
	if c.review(w) {
		return false
	}
	if !c.sendAnswers(w) {
		return true
	}
	for w.Waiting() < c.piece() {
		c.mu.Lock()
		if len(c.news) == 0 || len(c.out) > 0 || c.changed {
			// An answer that has come meanwhile goes first: it may be the snapshot that
			// the news queued here begin after. So does the loss of a right.
			c.mu.Unlock()
			break
		}
		pl := c.news[0]
		c.news = c.news[1:]
		pl.queued = false
		gone := pl.gone
		c.mu.Unlock()
		switch {
		case gone:
		case !c.pull(w, pl):
			c.notify(pl)
		case pl.lost:
			c.closeWith(&ws.CloseError{Code: ws.CloseTryAgain, Reason: unreadableNow})
		}
	}
	c.takeNews()
	c.part(w)
	c.mu.Lock()
	leave, closing := c.leave, c.closing
	c.leave, c.closing = false, nil
	more := len(c.news) > 0 || len(c.out) > 0 || c.asked || c.changed || len(c.left) > 0
	c.mu.Unlock()
	switch {
	case leave:
		w.Close(ws.CloseGoingAway, "the server is going away")
	case closing != nil:
		w.Close(closing.Code, closing.Reason)
	}
	return more
}

// sendAnswers writes the answers in order; it reports whether it came to their end.
func (c *Conn) sendAnswers(w Sender) bool {
	for {
		c.mu.Lock()
		if len(c.out) == 0 {
			c.room.Broadcast()
			c.mu.Unlock()
			return true
		}
		a := c.out[0]
		c.mu.Unlock()
		if len(c.left) > 0 || w.Waiting() >= c.piece() || a.place != nil && !c.pull(w, a.place) {
			return false
		}
		more := false
		if a.show != nil {
			a.msg, a.large, more = a.show()
		}
		c.mu.Lock()
		if len(c.out) > 0 && !more { // else the connection has ended, or there is more of it
			c.pop()
		}
		done, lost, stuck := func() {}, false, false
		if pl := a.place; pl != nil {
			pl.owed--
			if lost = pl.lost; lost && c.subscribedBy(pl) {
				c.docs[pl.doc].subscribed = nil
			}
			done = c.release(pl)
			stuck = lost && !pl.gone // something else waits for it as well
		}
		c.mu.Unlock()
		done()
		switch {
		case lost && a.request != nil && !stuck:
			w.SendText(a.request.refused(wire.Errorf(wire.CodeUnknown, "%s", unreadableNow)))
		case lost:
			c.closeWith(&ws.CloseError{Code: ws.CloseTryAgain, Reason: unreadableNow})
		case a.large != nil:
			w.SendAround(a.large.head, a.large.body, a.large.tail)
			c.left = append(c.left, a.large.left)
		case a.shared != nil:
			w.SendShared(a.shared)
		case len(a.msg) > 0:
			w.SendText(a.msg)
		}
	}
}

// piece is how many bytes go out in one write: more than usual before the connection is
// closed, because there is no other.
func (c *Conn) piece() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil {
		return maxOutbox
	}
	return maxPiece
}

// closeWith ends the connection from the sender's side, after what it is sending.
func (c *Conn) closeWith(why *ws.CloseError) {
	c.mu.Lock()
	if c.closing == nil {
		c.closing = why
	}
	c.mu.Unlock()
}

// pull sends what is new in a place, and reports whether that was all.
func (c *Conn) pull(w Sender, pl *place) bool {
	for {
		for len(pl.rest) > 0 {
			if w.Waiting() >= c.piece() {
				return false
			}
			if err := c.sendBatch(w, pl); err != nil {
				c.fail(pl, err)
				return true
			}
		}
		d := pl.after
		pl.after = session.Delivery{}
		c.settle(w, pl, &d)
		if d.Closed != nil {
			c.purged(w, pl, d.Closed)
			return true
		}
		c.mu.Lock()
		gone := pl.gone
		c.mu.Unlock()
		if gone || pl.lost {
			return true
		}
		next, err := pl.sub.Take(c.ctx)
		if err != nil {
			c.fail(pl, err)
			return true
		}
		if len(next.Batches) == 0 && len(next.Acks) == 0 && len(next.Rejections) == 0 && next.Closed == nil && !next.More {
			return true
		}
		pl.rest, pl.after = next.Batches, next
	}
}

// unreadableNow is what is said when operations cannot be sent.
const unreadableNow = "the document's operations cannot be read now"

// fail notes that the operations of a place cannot be sent. Who asked for them is told; a
// client that would get them without asking loses its connection, and asks again when it
// has another.
func (c *Conn) fail(pl *place, err error) {
	if c.ctx.Err() == nil {
		c.p.opt.Logger.Error("cannot send a document's operations", "doc", pl.doc, "client", pl.client, "err", err)
	}
	pl.rest, pl.msgs, pl.lost = nil, nil, true
}

// sendBatch sends the first batch of a place's rest, or as much of it as fits.
func (c *Conn) sendBatch(w Sender, pl *place) error {
	b := pl.rest[0]
	if pl.msgs == nil {
		if err := c.enter(pl, b); err != nil {
			return err
		}
	}
	for ; pl.item < len(b.Items); pl.item++ {
		if w.Waiting() >= c.piece() {
			return nil
		}
		it := &b.Items[pl.item]
		c.mu.Lock()
		own := c.land(pl, it.Client, it.Seq)
		streams := c.streams(pl) && !pl.gone
		if streams && own.n == 0 { // an acknowledgement of one operation tells nothing of another
			pl.cross(it.Op, b.From+session.Revision(pl.item)+1)
		}
		c.mu.Unlock()
		switch {
		case own.n > 0:
			c.acknowledge(w, pl, own, it.Seq, version(b.From)+int64(pl.item))
		case streams:
			w.SendShared(pl.msgs.list[pl.item])
		}
	}
	if !b.Received.IsZero() {
		c.p.opt.Delivered(c.p.opt.Now().Sub(b.Received))
	}
	pl.rest[0] = nil
	pl.rest, pl.msgs, pl.item = pl.rest[1:], nil, 0
	return nil
}

// land takes an operation of this client out of those in flight. Called with the lock
// held.
func (c *Conn) land(pl *place, client string, seq uint64) flight {
	f, ok := pl.flights[seq]
	if !ok || seq == 0 || client != pl.client {
		return flight{}
	}
	delete(pl.flights, seq)
	return f
}

// acknowledge tells the client that its operation was committed, as often as it sent it,
// and lets go of the place if that was all it was there for.
func (c *Conn) acknowledge(w Sender, pl *place, f flight, seq uint64, v int64) {
	ack := appendAck(nil, pl, seq, v)
	for range f.n {
		w.SendText(ack)
	}
	c.mu.Lock()
	done := c.release(pl)
	c.mu.Unlock()
	done()
}

// settle tells how submissions ended that are not in the stream.
func (c *Conn) settle(w Sender, pl *place, d *session.Delivery) {
	for _, a := range d.Acks {
		c.mu.Lock()
		f := c.land(pl, pl.client, a.Seq)
		c.mu.Unlock()
		c.acknowledge(w, pl, f, a.Seq, int64(a.Rev))
	}
	for _, r := range d.Rejections {
		c.mu.Lock()
		f := c.land(pl, pl.client, r.Seq)
		c.mu.Unlock()
		e, again := told(r.Err)
		if f.n == 0 {
			continue
		}
		if again {
			c.closeWith(tryAgain(e))
			continue
		}
		if !f.late(e) {
			w.SendText(appendRejection(nil, pl, r.Seq, e))
		}
		c.mu.Lock()
		done := c.release(pl)
		c.mu.Unlock()
		done()
	}
}

// enter takes a place's position to the end of a batch, which is about to be sent.
func (c *Conn) enter(pl *place, b *session.Batch) error {
	c.mu.Lock()
	at := pl.at
	c.mu.Unlock()
	typ, then := b.Type(), (*snapshot)(nil)
	needs := false
	if typ != nil {
		d, err := c.p.dialects.of(typ)
		if err != nil {
			return err
		}
		needs = d.NeedsDoc()
	}
	switch op := b.Items[0].Op.(type) {
	case session.Creation:
		typ = op.Type
		if d, err := c.p.dialects.of(typ); err != nil {
			return err
		} else if d.NeedsDoc() {
			then = &snapshot{op.Doc}
		}
		at = nil
	case session.Deletion:
		typ, at = nil, nil
	default:
		if !needs {
			at = nil
		} else if at == nil {
			v, err := c.p.opt.Manager.View(c.ctx, b.Doc, b.From)
			if err != nil {
				return err
			}
			at = &snapshot{v.Doc}
		}
	}
	var before ot.Doc
	if at != nil {
		before = at.doc
	}
	pl.msgs = b.Shared(c.p.key, func() any { return c.p.encode(b, before) }).(*messages)
	if pl.msgs.err != nil {
		return pl.msgs.err
	}
	if at != nil {
		var err error
		if then, err = pl.msgs.after.get(func() (ot.Doc, error) { return play(b, before, b.To) }); err != nil {
			return err
		}
	}
	c.mu.Lock()
	pl.pos, pl.typ, pl.at = b.To, typ, then
	if at != nil {
		if len(pl.past) == maxPast {
			pl.past = append(pl.past[:0], pl.past[1:]...)
		}
		pl.past = append(pl.past, stretch{b, at})
	} else {
		pl.past = nil
	}
	c.mu.Unlock()
	return nil
}

// play returns a document as it is at a revision within a batch, where before is what the
// batch started from.
func play(b *session.Batch, before ot.Doc, rev session.Revision) (ot.Doc, error) {
	doc := before
	for i := range int(rev - b.From) {
		var err error
		if doc, err = b.Type().Apply(doc, b.Items[i].Op); err != nil {
			return nil, fmt.Errorf("operation at revision %d: %w", b.From+session.Revision(i), err)
		}
	}
	return doc, nil
}

// purged ends a place whose session has ended. When the document was removed with its
// past, those who are subscribed see it deleted.
func (c *Conn) purged(w Sender, pl *place, why *session.Error) {
	c.mu.Lock()
	streams, subscribed := c.streams(pl), c.subscribedBy(pl)
	flights, gone := pl.flights, pl.gone
	pl.flights = nil
	if subscribed {
		c.docs[pl.doc].subscribed = nil
	}
	for key, at := range c.shown {
		if at == pl {
			delete(c.shown, key)
			pl.shown--
		}
	}
	had, rev := pl.typ != nil, pl.pos
	pl.typ, pl.at = nil, nil
	done := c.release(pl)
	c.mu.Unlock()
	done()
	if gone {
		return
	}
	if why.Code != session.CodeDeleted {
		e, _ := told(why)
		c.closeWith(tryAgain(e))
		return
	}
	if streams && had {
		dst := appendHead(nil, "op", pl.c, pl.d)
		w.SendText(append(appendNumber(dst, "v", version(rev)), `,"del":true}`...))
	}
	for seq, f := range flights {
		if !(streams && had && f.yields()) {
			w.SendText(appendRejection(nil, pl, seq, wire.Errorf(codeDeleted, "Document was deleted")))
		}
	}
}
