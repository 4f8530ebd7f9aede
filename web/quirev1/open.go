package quirev1

import (
	"strconv"

	"quire/session"
	"quire/session/limits"
	"quire/web/auth"
	"quire/web/ws"
)

func (c *Conn) open(m *ClientMessage) *session.Error {
	if err := c.p.opt.Manager.Pace(c.ctx, c.opens, "documents opened on this connection"); err != nil {
		return err
	}
	doc := *m.Doc
	if m.Client != "" && !validClient(m.Client) {
		return session.Errorf(session.CodeBadID, "a client id is 8 to 64 of A-Z a-z 0-9 _ -")
	}
	req := session.OpenRequest{Doc: doc, Client: m.Client, Order: c.number, Create: m.Create, User: c.user(m.User)}
	if m.Rev != nil || m.Inc != "" || m.Seq != nil {
		if m.Rev == nil || m.Inc == "" || m.Seq == nil || m.Client == "" || *m.Rev < 0 {
			return session.Errorf(session.CodeBadMessage, "to resume, give client, inc, rev and seq")
		}
		inc, err := strconv.ParseUint(m.Inc, 16, 64)
		if err != nil {
			return session.Errorf(session.CodeIncarnation, "there is no incarnation %s", strconv.Quote(clip(m.Inc)))
		}
		req.Resume, req.Incarnation, req.Rev, req.Seq = true, inc, *m.Rev, *m.Seq
	}
	if err := c.p.opt.Manager.CheckUser(req.User); err != nil {
		return err
	}
	c.mu.Lock()
	old, n := c.docs[doc], len(c.docs)
	c.mu.Unlock()
	// Whatever else is wrong is said before, the same of every document.
	if err := c.pass.Check(doc, auth.Read); err != nil {
		return c.denied(old, err)
	}
	unable := c.pass.Check(doc, auth.Write)
	if unable != nil {
		req.Create = "" // one that is there is opened all the same
	}
	c.mu.Lock()
	if old != nil && old.client == m.Client && m.Client != "" {
		old.leaving = true
	}
	c.mu.Unlock()
	switch {
	case old != nil && (old.client != m.Client || m.Client == ""):
		return session.Errorf(session.CodeAlreadyOpen, "the document is open on this connection")
	case old == nil && n >= c.p.opt.MaxDocs:
		return c.p.opt.Manager.Exceeds(limits.Open, c.p.opt.MaxDocs, session.CodeTooMany, "%d documents are open on this connection", n)
	}
	pl := &place{doc: doc, client: m.Client}
	req.Notify = func() { c.notify(pl) }
	sub, opened, err := c.p.opt.Manager.Open(c.ctx, req)
	if err != nil {
		if old != nil { // it stays open
			c.mu.Lock()
			old.leaving = false
			c.mu.Unlock()
			c.reconsider(old)
			c.notify(old)
		}
		if e := session.AsError(err); e.Code != session.CodeNotFound || m.Create == "" || unable == nil {
			return e
		}
		return unable
	}
	left, err := c.holdLarge(opened, req.Resume)
	if err != nil { // the connection has ended
		sub.Close()
		return nil
	}
	pl.sub, pl.role = sub, c.pass.Role(doc)
	if pl.role < auth.Read { // since it was asked for
		left()
		sub.Close()
		if old != nil { // it was replaced
			c.mu.Lock()
			old.leaving = false
			c.mu.Unlock()
		}
		if err := c.denied(old, c.pass.Check(doc, auth.Read)); err != nil {
			return err
		}
		return lost()
	}
	msg := c.openedMessage(opened, pl, c.told(pl.role), req.Resume)
	c.mu.Lock()
	ended := c.ended || c.over
	if !ended {
		c.docs[doc] = pl
		c.pushMessage(msg)
		c.owed = append(c.owed, left)
		c.queue(pl)
	}
	c.mu.Unlock()
	if old != nil {
		old.sub.Close()
	}
	if ended {
		left()
		sub.Close()
		return nil
	}
	c.reconsider(pl) // it may have changed since the document was asked for
	c.wake()
	return nil
}

// sharedFrom is from how many bytes on the copies of documents that are sent are counted.
const sharedFrom = 64 << 10

// holdLarge waits until the answer to an open may be made, and returns how to say that it has left. A large content is
// the same for all who open it at one revision, and counted once: as it is and compressed.
func (c *Conn) holdLarge(o *session.Opened, resumed bool) (left func(), err error) {
	if size := o.Size(); !resumed && size >= sharedFrom {
		return o.Hold(c.ctx, c.p.opt.Manager, 2*size)
	}
	return func() {}, nil
}

// openedMessage makes the answer to an open. See holdLarge.
func (c *Conn) openedMessage(o *session.Opened, pl *place, role string, resumed bool) message {
	size := o.Size()
	msg := message{head: appendOpening(make([]byte, 0, 256), pl.doc, pl.client, role, o, resumed), shows: pl}
	switch {
	case resumed:
	case size < sharedFrom:
		msg.head = appendSum(o.AppendContent(msg.head), o)
	default:
		msg.body = o.Shared(c.p.contentKey, func() any {
			return ws.NewShared(o.AppendContent(make([]byte, 0, size+size/16)))
		}).(*ws.Shared)
		msg.tail = appendSum(nil, o)
	}
	return msg
}

// user returns who a client is that says it is u, nil for nobody.
func (c *Conn) user(u *User) session.User {
	var claimed session.User
	if u != nil {
		claimed = session.User{Name: u.Name, Color: u.Color}
	}
	return c.pass.User(claimed)
}

func validClient(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		b := id[i]
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b == '-') {
			return false
		}
	}
	return true
}
