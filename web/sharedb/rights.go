package sharedb

import (
	"maps"
	"slices"
	"time"

	"quire/session"
	"quire/web/auth"
	"quire/web/sharedb/wire"
	"quire/web/ws"
)

// Here is what a connection may do, and all that a client asks of documents by their names
// goes through here: view and revisionAt for what they are and were, open for places in them,
// permit for operations, readable for queries, member for presence. A document that may not be
// read is one that is not there.
//
// A submission counts as made when permit let it in: one that arrives after the right to write
// was taken is refused, one that had been let in before is committed, and one of those that is
// sent again is acknowledged. One in a document that may not be read any more has no answer:
// an error would have the client throw away what it has, and so it keeps it, and sends it again
// on another connection. That it is made to open when the document may be read again, since
// there is no message that subscribes a client anew.

// watchPass begins to look at what the pass allows.
func (c *Conn) watchPass() {
	c.watch = c.pass.Watch(func() {
		c.queries.Review() // at once: other goroutines work out what it is told
		c.mu.Lock()
		c.changed = true
		c.mu.Unlock()
		c.wake()
	})
	c.mu.Lock()
	c.changed = c.pass.Ended() != nil
	c.mu.Unlock()
}

// MayRead reports whether the connection may read a document, by its id, now.
func (c *Conn) MayRead(doc string) bool { return c.pass.Role(doc) >= auth.Read }

// readable implements query.Readable.
func (c *Conn) readable(prefix string) []auth.Pattern {
	if c.pass.Ended() != nil {
		return nil
	}
	return c.pass.Identity().With(auth.Read, prefix)
}

// view returns a document at a revision, as session.Manager.View does.
func (c *Conn) view(doc string, rev session.Revision) (session.View, error) {
	if c.MayRead(doc) {
		return c.p.opt.Manager.View(c.ctx, doc, rev)
	}
	switch why := c.pass.Ended(); {
	case why != nil:
		return session.View{}, why
	case rev != session.Head && rev > session.Unborn:
		return session.View{}, session.Errorf(session.CodeFuture, "revision %d, head %d", rev, session.Unborn)
	}
	return session.View{Rev: session.Unborn}, nil
}

// revisionAt returns the revision at a time, as session.Manager.RevisionAt does.
func (c *Conn) revisionAt(doc string, at time.Time) (session.Revision, error) {
	if !c.MayRead(doc) {
		return session.Unborn, nil
	}
	return c.p.opt.Manager.RevisionAt(c.ctx, doc, at)
}

// author returns who is recorded with what the connection submits. Those who are present are
// others: they publish that.
func (c *Conn) author() session.User {
	u := c.pass.User(session.User{})
	return session.User{Author: u.Author, Namespace: u.Namespace}
}

// permit refuses an operation that the client may not make.
func (c *Conn) permit(r *request) error {
	return c.check(r.doc, auth.Write)
}

// check is auth.Pass.Check; the error is errHidden when the document may not be read.
func (c *Conn) check(doc string, need auth.Role) error {
	switch err := c.pass.Check(doc, need); {
	case err == nil:
		return nil
	case err.Code == session.CodeNotFound:
		return errHidden
	default:
		return err
	}
}

var errHidden = session.Errorf(session.CodeNotFound, "no such document")

// hidden reports whether open or permit failed because a document may not be read.
func hidden(err error) bool { return err == errHidden }

// refuseHidden refuses an operation in a document that may not be read, as in any that is not
// there; in one that could be read before it leaves it without an answer.
func (c *Conn) refuseHidden(r *request, s *submission, err error) *ws.CloseError {
	c.mu.Lock()
	if d := c.docs[r.doc]; d != nil && d.subscribed != nil {
		c.await(r.doc, true) // what Send will find out
	}
	withheld := c.absent[r.doc]
	c.changed = c.changed || withheld // it may be readable by now
	c.mu.Unlock()
	if withheld {
		c.wake()
		return nil
	}
	if _, creates := s.does.(session.Creation); !creates && r.rev != session.Head && r.rev > session.Unborn {
		err = session.Errorf(session.CodeFuture, "")
	}
	return c.refuseOp(r, s, err)
}

// await notes that the client, as far as it knows, is subscribed to a document that it may not
// read, and whether it has it from when it could. Called with the lock held.
func (c *Conn) await(doc string, had bool) {
	if c.absent == nil {
		c.absent = map[string]bool{}
	}
	c.absent[doc] = had
}

// miss subscribes to a document that may not be read: see await.
func (c *Conn) miss(doc string, had bool) error {
	c.mu.Lock()
	if _, there := c.absent[doc]; !there && len(c.docs)+len(c.absent) >= c.p.opt.MaxDocs {
		c.mu.Unlock()
		return c.tooMany()
	}
	c.await(doc, had)
	c.changed = true // it may be readable by now
	c.mu.Unlock()
	c.wake()
	return nil
}

// unauthenticated ends a connection whose pass has ended.
func unauthenticated(why *session.Error) *ws.CloseError {
	return &ws.CloseError{Code: ws.CloseUnauthenticated, Reason: clip(why.Message)}
}

// parting is a document that the client has lost the right to read. It is told so when what
// it had submitted before has its answer. It is told by an answer to a fetch that it did not
// make, the one error that its document emits and nothing more: one of an operation it would
// take for the end of what it has in flight.
type parting struct {
	c, d   string
	places []*place
}

// review takes in a change of the pass. It reports whether the connection is over.
func (c *Conn) review(w Sender) (over bool) {
	c.mu.Lock()
	if !c.changed || c.over {
		defer c.mu.Unlock()
		return c.over
	}
	c.changed = false
	docs, absent := slices.Collect(maps.Keys(c.docs)), slices.Collect(maps.Keys(c.absent))
	c.mu.Unlock()
	if why := c.pass.Ended(); why != nil {
		c.mu.Lock()
		c.over = true
		done := c.clear()
		c.mu.Unlock()
		done()
		end := unauthenticated(why)
		w.Close(end.Code, end.Reason)
		return true
	}
	for _, id := range docs {
		if !c.MayRead(id) {
			c.presence.Withdraw(id)
			c.leaveDoc(id)
		}
	}
	if slices.ContainsFunc(absent, c.MayRead) {
		c.closeWith(&ws.CloseError{Code: ws.CloseTryAgain, Reason: "a document may be read now"})
	}
	return false
}

// leaveDoc takes a document from the connection that may not be read any more. A place with
// operations in flight stays until these have their answers, and sends until then what was
// committed before them.
func (c *Conn) leaveDoc(id string) {
	c.mu.Lock()
	doc := c.docs[id]
	if doc == nil {
		c.mu.Unlock()
		return
	}
	for key, at := range c.shown {
		if at.doc == id {
			delete(c.shown, key)
			at.shown--
		}
	}
	if doc.subscribed != nil {
		if c.parting == nil {
			c.parting = map[string]*parting{}
		}
		c.parting[id] = &parting{doc.subscribed.c, doc.subscribed.d, append([]*place(nil), doc.places...)}
		doc.subscribed = nil
		c.await(id, true)
	}
	var done []func()
	for _, pl := range append([]*place(nil), doc.places...) {
		if len(pl.flights) == 0 {
			owed := pl.owed
			pl.owed = 0 // the answers go out without it
			done = append(done, c.release(pl))
			pl.owed = owed
		}
	}
	c.mu.Unlock()
	for _, f := range done {
		f()
	}
}

// part tells the client which documents it may not read any more.
func (c *Conn) part(w Sender) {
	c.mu.Lock()
	var gone []*parting
	for id, p := range c.parting {
		waits := false
		for _, pl := range p.places {
			waits = waits || len(pl.flights) > 0
		}
		if !waits {
			delete(c.parting, id)
			gone = append(gone, p)
		}
	}
	c.mu.Unlock()
	for _, p := range gone {
		e := wire.Errorf(codeForbidden, "You may not read this document any more")
		w.SendText(append(e.Append(appendName(appendHead(nil, "f", p.c, p.d), "error")), '}'))
	}
}
