package sharedb

import (
	"slices"
	"sync"
	"weak"

	"quire/ot"
	"quire/session"
	"quire/web/auth"
	"quire/web/sharedb/wire"
)

// document is a document in use on a connection. Guarded by Conn.mu.
type document struct {
	places []*place
	// subscribed is the place that the client is subscribed through; nil when it is not.
	subscribed *place
}

// place is a stretch of a document's operations that goes to a connection's client, from
// revision start on, and where operations of one client id are submitted. Mostly a
// document has one; another is there for a while when something older is asked for, or an
// operation is sent again that was made under another id.
type place struct {
	// Static.
	doc, c, d string
	client    string
	start     session.Revision
	sub       *session.Subscription

	// Guarded by Conn.mu. A place is let go when nothing needs it any more.
	owed    int               // answers that go out when it is up to date
	flights map[uint64]flight // submitted operations by their seq
	shown   int               // presences of the client in the document
	queued  bool              // in Conn.news, or held
	held    bool              // kept from Conn.news for a while
	gone    bool              // let go: nothing of it is sent any more
	pos     session.Revision  // what is below has been taken and encoded
	typ     ot.Type           // of the content at pos as far as known; nil when there is none
	at      *snapshot         // the document at pos, of dialects that need it; else nil
	turned  session.Revision  // what the last creation or deletion that was sent led to
	past    []stretch         // the last batches, when it is known what they started from

	// Owned by Send.
	rest  []*session.Batch // taken, and not sent yet
	msgs  *messages        // of the first of them; nil before it is encoded
	item  int              // the next of msgs
	after session.Delivery // what else was taken with them
	lost  bool             // its operations cannot be read
}

// flight is an operation that is not acknowledged yet.
type flight struct {
	// n is how often the client has sent it on this connection.
	n int
	// quiet: it was made on nothing, so there is nothing that the client misses.
	quiet bool
	// deletes: it is a deletion.
	deletes bool
	// crossed: the client was sent that the document was created or deleted meanwhile,
	// and has taken its operation back by itself.
	crossed bool
}

// yields reports whether the client takes the operation back by itself when it is sent
// that the document was created or deleted (client/doc.js, transformX). An error that comes
// after that it would take for another operation's.
func (f flight) yields() bool { return !f.quiet && !f.deletes }

// late reports whether a refusal comes too late for a client: it has taken the operation
// back by itself.
func (f flight) late(e *wire.Error) bool {
	return f.crossed && (e.Code == codeExists || e.Code == codeDeleted || e.Code == codeMissing)
}

// cross notes what an operation that is being sent, and leads to revision rev, does to
// those in flight. Called with the lock held.
func (pl *place) cross(op ot.Op, rev session.Revision) {
	switch op.(type) {
	case session.Creation, session.Deletion:
		pl.turned = rev
		for seq, f := range pl.flights {
			f.crossed = f.yields()
			pl.flights[seq] = f
		}
	}
}

// snapshot is a document at a revision; a pointer to it so that it can be shared for as
// long as somebody has it.
type snapshot struct{ doc ot.Doc }

// stretch is a batch and the document before it.
type stretch struct {
	batch  *session.Batch
	before *snapshot
}

// maxPast is how many batches a place remembers, for operations made before the last
// ones came.
const maxPast = 16

// shelf holds a document for as long as a place has it.
type shelf struct {
	mu sync.Mutex
	p  weak.Pointer[snapshot]
	// first keeps the document until the first place has taken it.
	first *snapshot
}

func (s *shelf) put(doc ot.Doc) {
	s.first = &snapshot{doc}
	s.p = weak.Make(s.first)
}

// get returns the document, making it when nobody has it any more.
func (s *shelf) get(build func() (ot.Doc, error)) (*snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.p.Value()
	s.first = nil
	if v != nil {
		return v, nil
	}
	doc, err := build()
	if err != nil {
		return nil, err
	}
	v = &snapshot{doc}
	s.p = weak.Make(v)
	return v, nil
}

// needed reports whether anything needs a place. Called with the lock held.
func (c *Conn) needed(pl *place) bool {
	return pl.owed > 0 || pl.shown > 0 || len(pl.flights) > 0 || c.subscribedBy(pl)
}

// streams reports whether the client is to have every operation of a place. Called with
// the lock held.
func (c *Conn) streams(pl *place) bool {
	if pl.owed > 0 || c.subscribedBy(pl) {
		return true
	}
	for _, f := range pl.flights {
		if !f.quiet {
			return true
		}
	}
	return false
}

func (c *Conn) subscribedBy(pl *place) bool {
	doc := c.docs[pl.doc]
	return doc != nil && doc.subscribed == pl
}

// find returns a place where a client's operation on revision base can be submitted: its
// missing operations have been or will be sent. Nil when there is none. Called with the
// lock held.
func (c *Conn) find(doc, client string, base session.Revision) *place {
	d := c.docs[doc]
	if d == nil {
		return nil
	}
	fits := func(pl *place) bool { return pl != nil && pl.client == client && pl.start <= base }
	if fits(d.subscribed) {
		return d.subscribed
	}
	for _, pl := range d.places {
		if fits(pl) {
			return pl
		}
	}
	return nil
}

// open makes a place from revision rev on, Head for the newest, which need calls for: it
// is called with the lock held once the place is there, and reports the reasons to
// keep it.
func (c *Conn) open(docID, cName, dName, client string, rev session.Revision, need func(pl *place, o *session.Opened)) (*place, error) {
	c.mu.Lock()
	n := len(c.docs) + len(c.absent)
	_, absent := c.absent[docID]
	there := absent || c.docs[docID] != nil
	c.mu.Unlock()
	if n >= c.p.opt.MaxDocs && !there {
		return nil, c.tooMany()
	}
	if err := c.mayRead(); err != nil {
		return nil, err
	}
	if err := c.check(docID, auth.Read); err != nil {
		return nil, err
	}
	pl := &place{doc: docID, c: cName, d: dName, client: client}
	sub, o, err := c.p.opt.Manager.Open(c.ctx, session.OpenRequest{
		Convention: session.Versioned, Doc: docID, Client: client, User: c.author(), Resume: rev != session.Head, Rev: rev,
		Notify: func() { c.notify(pl) },
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if err := c.check(docID, auth.Read); err != nil { // it took a while
		c.mu.Unlock()
		sub.Close()
		return nil, err
	}
	pl.sub, pl.start, pl.pos, pl.turned = sub, o.Rev, o.Rev, session.Unborn
	if typ, doc := o.Doc(); typ != nil {
		pl.typ = typ
		if d, err := c.p.dialects.of(typ); err == nil && d.NeedsDoc() {
			pl.at = &snapshot{doc}
		}
	} else if d := c.p.dialects.stored[o.Type]; d != nil {
		pl.typ = d.Type() // most likely
	}
	if c.ended || c.over {
		c.mu.Unlock()
		sub.Close()
		return nil, session.Errorf(session.CodeBusy, "the connection has ended")
	}
	d := c.docs[docID]
	if d == nil {
		d = &document{}
		c.docs[docID] = d
	}
	d.places = append(d.places, pl)
	need(pl, o)
	c.queue(pl)
	c.mu.Unlock()
	c.wake()
	return pl, nil
}

// release lets go of a place unless something needs it, and returns what to do about that
// once the lock, which is held, is given up.
func (c *Conn) release(pl *place) func() {
	d := c.docs[pl.doc]
	if pl.gone || d == nil || c.needed(pl) {
		return func() {}
	}
	pl.gone = true
	d.places = slices.DeleteFunc(d.places, func(o *place) bool { return o == pl })
	if len(d.places) == 0 {
		delete(c.docs, pl.doc)
	}
	return pl.sub.Close
}

// subscribeTo makes a place the one that a client is subscribed through, nil for none, and
// returns what to do once the lock, which is held, is given up.
func (c *Conn) subscribeTo(doc string, pl *place) func() {
	delete(c.absent, doc)
	d := c.docs[doc]
	if d == nil {
		return func() {}
	}
	old := d.subscribed
	d.subscribed = pl
	if old == nil || old == pl {
		return func() {}
	}
	return c.release(old)
}

// hold keeps a new place's news from being sent until letGo. Called with the lock held.
func hold(pl *place) { pl.queued, pl.held = true, true }

// letGo ends hold, if there is a place.
func (c *Conn) letGo(pl *place) {
	if pl == nil {
		return
	}
	c.mu.Lock()
	held := pl.held
	if held {
		pl.queued, pl.held = false, false
		held = !pl.gone && c.queue(pl)
	}
	c.mu.Unlock()
	if held {
		c.wake()
	}
}

// notify is called by a session when a place may have news.
func (c *Conn) notify(pl *place) {
	c.mu.Lock()
	ready := !pl.gone && pl.sub != nil && c.queue(pl)
	c.mu.Unlock()
	if ready {
		c.wake()
	}
}

// queue puts a place among those to look at, and reports whether it was not there.
// Called with the lock held.
func (c *Conn) queue(pl *place) bool {
	if pl.queued {
		return false
	}
	pl.queued = true
	c.news = append(c.news, pl)
	return true
}

// knows reports whether the document at a revision is at hand, of a dialect that needs it.
// Called with the lock held.
func (pl *place) knows(rev session.Revision) bool {
	return rev == pl.pos && pl.at != nil || len(pl.past) > 0 && pl.past[0].batch.From <= rev && rev <= pl.pos
}

// content returns the type of the content at a revision as far as it can be told from
// memory, and the document, if the type's dialect needs it.
func (pl *place) content(mu *sync.Mutex, dialects dialects, rev session.Revision) (ot.Type, ot.Doc, bool) {
	mu.Lock()
	typ, at, past := pl.typ, pl.at, slices.Clone(pl.past)
	if rev != pl.pos {
		at = nil
	}
	mu.Unlock()
	if typ == nil || rev == session.Head {
		return nil, nil, false
	}
	d, err := dialects.of(typ)
	switch {
	case err != nil:
		return nil, nil, false
	case !d.NeedsDoc():
		return typ, nil, true
	case at != nil:
		return typ, at.doc, true
	}
	for _, s := range past {
		if s.batch.From <= rev && rev <= s.batch.To {
			doc, err := play(s.batch, s.before.doc, rev)
			return typ, doc, err == nil
		}
	}
	return nil, nil, false
}
