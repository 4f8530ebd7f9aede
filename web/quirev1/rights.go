package quirev1

import (
	"context"
	"time"

	"quire/session"
	"quire/web/auth"
	"quire/web/ws"
)

// What a connection may do is looked up at each request (open, permit), and again when its
// pass changes (review). A submission counts as made when it was looked up: one that
// arrives after a right was taken is refused, one that had been let in before is committed
// as a whole. Nothing of a document is sent once review has closed it.

// renewTime bounds the renewal of a credential.
const renewTime = 10 * time.Second

// maxToken is the longest token in bytes, as in a request's header.
const maxToken = 8 << 10

// watchPass begins to look at what the pass allows, and tells the client who it is.
func (c *Conn) watchPass() {
	c.watch = c.pass.Watch(func() {
		c.mu.Lock()
		c.changed = true
		c.mu.Unlock()
		c.wake()
	})
	if c.pass.Ended() != nil {
		c.mu.Lock()
		c.changed = true
		c.mu.Unlock()
		return
	}
	c.introduce()
}

// introduce tells the client who it is unless it knows. A server that asks nobody says nothing.
func (c *Conn) introduce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.pass.Identity()
	if i == c.known || i.Kind == auth.Open {
		return
	}
	c.known = i
	var ms int64
	if !i.Expires.IsZero() {
		ms = max(1, i.Expires.Sub(c.p.opt.Now()).Milliseconds())
	}
	u := c.pass.User(session.User{})
	c.push(appendYou(nil, u.Author, u.Name, ms))
}

// told returns a role as the client is told it: not at all where nobody is asked.
func (c *Conn) told(role auth.Role) string {
	if c.pass.Identity().Kind == auth.Open {
		return ""
	}
	return role.String()
}

// renew takes a new token; "you" answers it.
func (c *Conn) renew(m *ClientMessage) *session.Error {
	switch n := len(m.Token); {
	case n == 0:
		return session.Errorf(session.CodeBadMessage, `member "token" is missing`)
	case n > maxToken:
		return session.Errorf(session.CodeBadMessage, "a token of %d bytes, limit %d", n, maxToken)
	}
	ctx, cancel := context.WithTimeout(c.ctx, renewTime)
	defer cancel()
	if err := c.p.opt.Renew(ctx, c.pass, m.Token); err != nil {
		return err
	}
	c.introduce()
	c.wake()
	return nil
}

// permit decides on a message about an open document. The client learns first what it may
// do now, if it does not know.
func (c *Conn) permit(pl *place, kind string) *session.Error {
	need := auth.Read
	switch kind {
	case "close":
		return nil
	case "submit":
		need = auth.Write
	}
	return c.denied(pl, c.pass.Check(pl.doc, need))
}

// denied returns a refusal by the pass as it is told of a document that is open here; nil for
// none, and for no document the refusal as it is.
func (c *Conn) denied(pl *place, err *session.Error) *session.Error {
	if pl == nil || err == nil {
		return err
	}
	c.reconsider(pl)
	if err.Code == session.CodeNotFound {
		return lost() // that it is there is no secret
	}
	return err
}

func lost() *session.Error {
	return session.Errorf(session.CodeForbidden, "you may not read this document any more")
}

// review takes in a change of the pass. It reports whether the connection is over.
func (c *Conn) review(w Sender) (over bool) {
	c.mu.Lock()
	if !c.changed || c.over {
		defer c.mu.Unlock()
		return c.over
	}
	c.changed = false
	why := c.doomed
	places := c.places()
	c.mu.Unlock()
	if why == nil {
		why = c.pass.Ended()
	}
	if why != nil {
		c.dismiss(w, why)
		return true
	}
	c.introduce()
	for _, pl := range places {
		c.reconsider(pl)
	}
	return false
}

// doom has the connection end although its pass may be good again by then: a request was left
// without an answer, so that the client makes it again on another connection.
func (c *Conn) doom(why *session.Error) {
	c.mu.Lock()
	c.doomed, c.changed = why, true
	c.mu.Unlock()
	c.wake()
}

// dismiss ends the connection because its pass has ended. What waits to be sent is not.
func (c *Conn) dismiss(w Sender, why *session.Error) {
	c.mu.Lock()
	c.over = true
	places := c.clear()
	c.mu.Unlock()
	for _, pl := range places {
		pl.sub.Close()
	}
	w.SendText(appendError(nil, nil, 0, why))
	w.Close(ws.CloseUnauthenticated, "say who you are")
}

// reconsider tells the client when it may do something else with a document than it knows,
// and closes the document when that is not even to read it.
func (c *Conn) reconsider(pl *place) {
	c.mu.Lock()
	role := c.pass.Role(pl.doc)
	if c.docs[pl.doc] != pl || pl.leaving || role == pl.role || role < auth.Read && !c.unseen(pl.doc) {
		c.mu.Unlock()
		return
	}
	pl.role = role
	if role >= auth.Read {
		c.push(appendRights(nil, pl.doc, role.String()))
	} else {
		delete(c.docs, pl.doc)
		c.push(appendError(nil, &pl.doc, 0, lost()))
	}
	c.mu.Unlock()
	if role < auth.Read {
		pl.sub.Close()
	}
	c.wake()
}

// unseen reports whether a pass that has not ended does not let a document be read.
func (c *Conn) unseen(doc string) bool {
	err := c.pass.Check(doc, auth.Read)
	return err != nil && err.Code == session.CodeNotFound
}

// discreet returns why a document was closed as the client may know it: not under which id
// it is now when it may not read that one.
func (c *Conn) discreet(why *session.Error) *session.Error {
	if why.Code == session.CodeMoved && c.pass.Role(why.Message) < auth.Read {
		return session.Errorf(session.CodeDeleted, "the document was deleted")
	}
	return why
}
