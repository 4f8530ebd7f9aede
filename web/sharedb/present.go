package sharedb

import (
	"encoding/json"
	"errors"

	"quire/ot"
	"quire/session"
	"quire/session/limits"
	"quire/web/sharedb/presence"
	"quire/web/sharedb/wire"
	"quire/web/ws"
)

// shown names a presence of a connection in a document.
type shown struct{ channel, id string }

// member is a connection as the presence Hub sees it.
type member struct{ c *Conn }

// MayRead implements presence.Member.
func (m member) MayRead(doc string) bool { return m.c.MayRead(doc) }

// Scope implements presence.Member.
func (m member) Scope() string { return m.c.pass.Identity().Namespace }

// Send implements presence.Member. A peer that does not read is cut off: it comes back
// and asks everybody again.
func (m member) Send(msg *ws.Shared) {
	c := m.c
	c.mu.Lock()
	if c.over {
		// Nothing is sent any more.
	} else if !c.held.Over(2 * maxOutbox) {
		c.push(answer{shared: msg})
	} else if c.closing == nil {
		c.closing = &ws.CloseError{Code: ws.CloseTryAgain, Reason: "too many messages wait"}
	}
	c.mu.Unlock()
	c.wake()
}

// presenceRequest handles p, ps, pu and pr.
func (c *Conn) presenceRequest(r *request) *wire.Error {
	channel, _ := r.text("ch")
	if r.a == "p" {
		return c.publish(r, channel)
	}
	seq := int64(-1)
	if v := r.value("seq"); v != nil {
		f, _ := asNumber(v)
		if f < 0 || f != float64(int64(f)) || f >= 1<<53 {
			return malformed("Invalid seq")
		}
		seq = int64(f)
	}
	if r.a == "pu" {
		return c.presence.Unsubscribe(channel, seq)
	}
	// The others have everybody on the channel asked, and answer.
	if err := c.p.opt.Manager.Pace(c.ctx, c.presences, "presences on this connection"); err != nil {
		return &wire.Error{Code: wire.CodeLimit, Message: err.Message}
	}
	if r.a == "ps" {
		return c.presence.Subscribe(channel, seq)
	}
	return c.presence.Request(channel)
}

// publish passes a presence on, moved to the newest version of its document.
func (c *Conn) publish(r *request, channel string) *wire.Error {
	id, ok := r.text("id")
	if !ok || id == "" || !wire.Allowed(id) {
		return malformed("Invalid presence ID")
	}
	pub := presence.Publication{Channel: channel, ID: id, Value: r.value("p")}
	if err := c.mayPublish(pub.Value); err != nil {
		return &wire.Error{Code: wire.CodeLimit, Message: err.Message}
	}
	if len(pub.Value) > 0 && !json.Valid(pub.Value) {
		return malformed("Invalid presence")
	}
	if v := r.value("pv"); v != nil {
		f, ok := asNumber(v)
		if !ok || f < 0 || f >= 1<<53 || f != float64(uint64(f)) {
			return malformed("Invalid presence version")
		}
		pub.Version = uint64(f)
	}
	t, ok := r.text("t")
	if !ok {
		return malformed("Invalid presence type")
	}
	d, moves := c.p.dialects.named[t].(PresenceDialect)
	if t != "" && !moves {
		return wire.Errorf(wire.CodeTypeHasNoPresence, "Type does not support presence: %s", clip(t))
	}
	if r.c == "" && r.d == "" {
		return c.presence.Publish(pub)
	}
	if r.rev == session.Head {
		return malformed("Invalid version")
	}
	pub.Doc = &presence.Doc{Collection: r.c, ID: r.d, Version: version(r.rev), Type: t}
	if t == "" {
		return c.presence.Publish(pub) // nothing is known of what it means
	}
	doc, bad := wire.FromCollection(r.c, r.d)
	if bad != nil {
		return bad
	}
	return c.publishIn(doc, r, d, pub)
}

// mayPublish refuses, or holds up, a connection that publishes too much or too often.
func (c *Conn) mayPublish(value []byte) *session.Error {
	m := c.p.opt.Manager
	if most := m.Limits().Presence; len(value) > most {
		return m.Exceeds(limits.Presence, most, session.CodeTooLarge, "A presence of %d bytes", len(value))
	}
	return m.Pace(c.ctx, c.presences, "presences on this connection")
}

// publishIn passes on a presence in a document.
func (c *Conn) publishIn(doc string, r *request, d PresenceDialect, pub presence.Publication) *wire.Error {
	if !c.MayRead(doc) {
		if r.rev <= session.Unborn {
			pub.Value = nil // as in any document that is not there
		}
		return c.presence.Publish(pub)
	}
	if u := c.pass.User(session.User{}); u.Author != "" { // nobody shows another's name
		pub.Value = presence.Signed(pub.Value, u.Name)
	}
	pl, err := c.show(doc, r, shown{pub.Channel, pub.ID})
	if err != nil {
		e, ok := err.(*wire.Error)
		if !ok {
			e, _ = told(err)
		}
		return e
	}
	original := pub.Value
	if bad := c.move(pl, r.rev, d, &pub); bad != nil {
		c.hide(pl, shown{pub.Channel, pub.ID})
		return bad
	}
	bad := c.presence.Publish(pub)
	if bad == nil {
		// People who edit the document through other protocols see it as well. What
		// means nothing to them, or comes too late, is no error here.
		if cursor, user, ok := presence.FromPresence(original, c.p.opt.Manager.Limits().UserName); ok {
			if user != nil {
				u := c.pass.User(*user)
				user = &u
			}
			_ = pl.sub.SetPresence(r.rev, cursor, user)
		}
	}
	if bad != nil || pub.Value == nil {
		c.hide(pl, shown{pub.Channel, pub.ID})
	}
	return bad
}

// show returns a place of the client in a document, kept for a presence.
func (c *Conn) show(doc string, r *request, key shown) (*place, error) {
	keep := func(pl *place) {
		if old := c.shown[key]; old != pl {
			if old != nil {
				old.shown--
			}
			c.shown[key] = pl
			pl.shown++
		}
	}
	c.mu.Lock()
	pl := c.shown[key]
	if pl == nil || pl.doc != doc || pl.client != c.src {
		pl = c.find(doc, c.src, session.Head)
	}
	done := func() {}
	if pl != nil && !c.ended {
		old := c.shown[key]
		keep(pl)
		if old != nil {
			done = c.release(old)
		}
	}
	c.mu.Unlock()
	done()
	if pl != nil {
		return pl, nil
	}
	return c.open(doc, r.c, r.d, c.src, session.Head, func(pl *place, _ *session.Opened) { keep(pl) })
}

// hide lets go of the place of a presence.
func (c *Conn) hide(pl *place, key shown) {
	c.mu.Lock()
	done := func() {}
	if c.shown[key] == pl {
		delete(c.shown, key)
		pl.shown--
		done = c.release(pl)
	}
	c.mu.Unlock()
	done()
}

// move takes a presence, made on a revision, to the newest one. Where the document it was
// in is gone, so is the presence.
func (c *Conn) move(pl *place, base session.Revision, d PresenceDialect, pub *presence.Publication) *wire.Error {
	c.mu.Lock()
	typ := pl.typ
	c.mu.Unlock()
	if typ != nil && typ.Name() != d.Type().Name() {
		return nil // a document of another type: whoever gets it will make nothing of it
	}
	var cursor ot.Cursor
	var unread error
	if pub.Value != nil {
		cursor, unread = d.Cursor(pub.Value)
	}
	moved, rev, err := pl.sub.MoveCursor(d.Type(), base, cursor)
	var e *session.Error
	switch {
	case errors.As(err, &e) && (e.Code == session.CodeDeleted || pub.Value == nil):
		v, err := c.p.opt.Manager.View(c.ctx, pl.doc, session.Head)
		if err != nil {
			told, _ := told(err)
			return told
		}
		pub.Value, rev = nil, max(v.Rev, base)
	case err != nil:
		return wire.Errorf(codeNotMoved, "The presence is of a version too old")
	case rev == base:
		return nil
	case unread != nil:
		return wire.Errorf(codeNotMoved, "The presence cannot be moved to version %d", version(rev))
	case pub.Value != nil:
		pub.Value = d.AppendPresence(nil, pub.Value, moved)
	}
	pub.Doc.Version = version(rev)
	return nil
}
