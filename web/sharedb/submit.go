package sharedb

import (
	"errors"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/session"
	"quire/web/sharedb/wire"
	"quire/web/ws"
)

// submission is what an op message asks for.
type submission struct {
	client string
	seq    uint64
	// op is an edit as the client wrote it; nil in other messages.
	op []byte
	// does is a session.Creation or session.Deletion; nil in an edit's message.
	does ot.Op
}

// prepared reports whether the operation of a message can go straight to a place that is
// there.
func (c *Conn) prepared(r *request) bool {
	if _, edits := r.get("op"); !edits || r.value("src") != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	pl := c.find(r.doc, c.src, r.rev)
	if pl == nil || pl.typ == nil || r.rev == session.Head {
		return false
	}
	d, err := c.p.dialects.of(pl.typ)
	return err == nil && (!d.NeedsDoc() || pl.knows(r.rev))
}

// readSubmission reads an op message, in the order in which ShareDB's server looks for
// mistakes.
func (c *Conn) readSubmission(r *request) (*submission, *wire.Error) {
	edit, edits := r.get("op")
	create, _ := r.get("create")
	del, _ := r.get("del")
	if !edits && !truthy(create) && !truthy(del) {
		return nil, malformed("Invalid op message")
	}
	s := &submission{client: c.src}
	if err := s.identify(r); err != nil {
		return nil, err
	}
	switch {
	case edits:
		s.op = edit
		return s, nil
	case truthy(create):
		creation, err := c.readCreate(create)
		s.does = creation
		return s, err
	case string(del) != "true":
		return nil, wire.Errorf(codeOp, "del value must be true")
	}
	s.does = session.Deletion{}
	return s, nil
}

// identify reads an operation's src and seq.
func (s *submission) identify(r *request) *wire.Error {
	const maxSeq = 1<<53 - 1
	v := r.value("seq")
	if v == nil {
		return wire.Errorf(codeOp, "Both src and seq must be set together")
	}
	seq, _ := asNumber(v)
	if seq >= maxSeq {
		return wire.Errorf(codeSeqOverflow, "Connection seq has exceeded the max safe integer, maybe from being open for too long")
	}
	if seq < 1 || seq != float64(uint64(seq)) {
		return wire.Errorf(codeOp, "seq must be a positive integer")
	}
	s.seq = uint64(seq)
	src, ok := r.text("src")
	switch {
	case !ok:
		return wire.Errorf(codeOp, "src must be a string")
	case len(src) > maxClient:
		return wire.Errorf(codeOp, "src must be at most 255 bytes long")
	case src != "":
		s.client = src
	}
	return nil
}

// readCreate reads the member create of an op message.
func (c *Conn) readCreate(v []byte) (ot.Op, *wire.Error) {
	in := jsonscan.New(v)
	var typ, data []byte
	err := in.Object(func(name string) error {
		raw, err := in.Raw()
		switch name {
		case "type":
			typ = raw
		case "data":
			data = raw
		}
		return err
	})
	if err != nil || in.End() != nil {
		return nil, wire.Errorf(codeOp, "Create data must be an object")
	}
	name, ok := asString(typ)
	if !ok {
		return nil, wire.Errorf(codeOp, "Missing create type")
	}
	d := c.p.dialects.named[name]
	if d == nil {
		return nil, wire.Errorf(codeType, "Unknown type")
	}
	doc, err := d.Create(data)
	if err != nil {
		return nil, badOp(err)
	}
	return session.Creation{Type: d.Type(), Doc: doc}, nil
}

// submit hands an operation to its document's session. The acknowledgement, or a
// refusal that comes later, is sent from the stream.
func (c *Conn) submit(r *request) *ws.CloseError {
	s, bad := c.readSubmission(r)
	if bad != nil {
		return c.refuse(r, bad)
	}
	refusal := c.permit(r)
	switch {
	case hidden(refusal):
		return c.refuseHidden(r, s, refusal)
	case refusal != nil && r.value("src") == nil:
		return c.refuseOp(r, s, refusal)
	}
	pl, err := c.board(r, s)
	switch {
	case hidden(err):
		return c.refuseHidden(r, s, err)
	case refusal != nil && !passing(err):
		return c.repeat(r, s, pl, refusal)
	case err != nil:
		return c.refuseOp(r, s, err)
	}
	defer c.letGo(pl)
	ch := session.Change{Base: r.rev, Seq: s.seq, Op: s.does}
	if s.does == nil {
		if err := c.decode(pl, s.op, &ch); err != nil {
			c.bail(pl, s.seq)
			return c.refuseOp(r, s, err)
		}
	}
	if err := pl.sub.Change(c.ctx, ch); err != nil {
		e, again := told(err)
		if again {
			return c.refuseOp(r, s, err) // what it misses is still to be sent
		}
		if c.bail(pl, s.seq).late(e) {
			return nil
		}
		return c.refuseOp(r, s, err)
	}
	return nil
}

// passing reports whether an error is one that the client is not told of: its connection ends, and it
// tries again.
func passing(err error) bool {
	e, ok := err.(*session.Error)
	return ok && (e.Code == session.CodeUnauthenticated || refusals[e.Code].again)
}

// repeat acknowledges an operation that the client must not make any more, and that it sends
// again because it had made it before; else it refuses it. The place is nil when there is none.
func (c *Conn) repeat(r *request, s *submission, pl *place, refusal error) *ws.CloseError {
	if pl != nil {
		defer c.letGo(pl)
		if pl.sub.Repeat(s.seq) {
			return nil
		}
		c.bail(pl, s.seq)
	}
	return c.refuseOp(r, s, refusal)
}

// board takes an operation in flight, in a place that sends what its client misses.
func (c *Conn) board(r *request, s *submission) (*place, error) {
	add := func(pl *place) {
		if pl.flights == nil {
			pl.flights = map[uint64]flight{}
		}
		f := pl.flights[s.seq]
		_, deletes := s.does.(session.Deletion)
		f = flight{n: f.n + 1, quiet: r.rev == session.Head, deletes: deletes, crossed: f.crossed}
		if r.rev < pl.turned {
			f.crossed = f.yields() // it was on its way when that was sent
		}
		pl.flights[s.seq] = f
	}
	c.mu.Lock()
	pl := c.find(r.doc, s.client, r.rev)
	if pl != nil {
		add(pl)
	}
	c.mu.Unlock()
	if pl != nil {
		return pl, nil
	}
	return c.open(r.doc, r.c, r.d, s.client, r.rev, func(pl *place, _ *session.Opened) {
		add(pl)
		hold(pl) // who is refused is sent nothing but the error
	})
}

// bail takes an operation out of flight that was refused at once, and returns it.
func (c *Conn) bail(pl *place, seq uint64) flight {
	c.mu.Lock()
	done := func() {}
	f, ok := pl.flights[seq]
	if ok {
		if f.n--; f.n > 0 {
			pl.flights[seq] = f
		} else {
			delete(pl.flights, seq)
			done = c.release(pl)
		}
	}
	c.mu.Unlock()
	done()
	return f
}

// refuseOp answers an operation that was refused.
func (c *Conn) refuseOp(r *request, s *submission, err error) *ws.CloseError {
	e, ok := err.(*wire.Error)
	if !ok {
		if e := session.AsError(err); e.Code == session.CodeUnauthenticated {
			return unauthenticated(e)
		}
		var again bool
		if e, again = told(err); again {
			c.closeWith(tryAgain(e)) // so that Send sends all it can
			return tryAgain(e)
		}
	}
	if _, creates := s.does.(session.Creation); creates && e.Code == codeExists {
		e = wire.Errorf(codeExists, "Invalid op submitted. Document already created")
	}
	return c.refuse(r, e)
}

// decode reads an edit, made on the revision ch.Base, Head for the newest, into ch. Errors
// are *wire.Error or *session.Error.
func (c *Conn) decode(pl *place, data []byte, ch *session.Change) error {
	typ, doc, known := pl.content(&c.mu, c.p.dialects, ch.Base)
	if known {
		err := c.decodeAs(typ, doc, data, ch)
		if err == nil || doc != nil {
			return err
		}
		// Perhaps the document had another type then.
	}
	v, err := c.p.opt.Manager.View(c.ctx, pl.doc, ch.Base)
	if err != nil {
		return err
	}
	ch.Base = v.Rev
	if v.Type == nil {
		// There was nothing to edit. The session says what that means now; whatever the
		// operation, it is not looked at.
		ch.Type = c.p.dialects.named[DefaultType].Type()
		ch.Op = ch.Type.Identity()
		return nil
	}
	return c.decodeAs(v.Type, v.Doc, data, ch)
}

func (c *Conn) decodeAs(typ ot.Type, doc ot.Doc, data []byte, ch *session.Change) error {
	d, err := c.p.dialects.of(typ)
	if err != nil {
		return err
	}
	m := c.p.opt.Manager
	if refusal := m.CheckOp(data); refusal != nil {
		return refusal
	}
	op, err := d.DecodeOp(doc, data, m.Limits().Op)
	if errors.Is(err, ot.ErrComponents) {
		return m.BadOp(err)
	}
	if err != nil {
		return badOp(err)
	}
	ch.Type, ch.Side, ch.Op = typ, d.Side(), op
	return nil
}
