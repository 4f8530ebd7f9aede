package presence

import (
	"bytes"
	"sync"
	"sync/atomic"

	"quire/web/sharedb/wire"
	"quire/web/ws"
)

// Conn is a connection's part in the Hub. Its methods are safe for concurrent use;
// messages that one connection causes go out in the order of the calls.
type Conn struct {
	hub    *Hub
	member Member
	id     string                 // the random one that the server gave the connection
	src    atomic.Pointer[string] // changed with mu held

	mu sync.Mutex
	// Guarded by mu.
	closed    bool
	channels  map[string]int64 // subscribed to, with the seq of that
	left      map[string]int64 // unsubscribed from, with the seq of that
	presences map[key]*Publication
}

// key names one presence of a connection.
type key struct{ channel, id string }

// Publication is a "p" message of a client.
type Publication struct {
	// Channel is ch, ID is id: of 1 byte to Limits.Name.
	Channel, ID string
	// Value is p as JSON, which must be valid; null or nothing removes the presence.
	Value []byte
	// Version is pv.
	Version uint64
	// Doc is where the value is in a document; nil when it is in none.
	Doc *Doc

	heard bool // it was passed on
}

// Doc is a document at a version: c, d, v and t of a "p" message.
type Doc struct {
	// ID may be empty: the message says that it is of no document then, which is for its
	// receivers to judge.
	Collection, ID string
	// Version is that of the ShareDB protocol: the session's revision and one.
	Version int64
	// Type is the type's URI.
	Type string
}

func (p *Publication) removes() bool {
	v := bytes.TrimSpace(p.Value)
	return len(v) == 0 || string(v) == "null"
}

// Connect adds a connection. id is the random one that the server gave it in "init"; it
// is its source until Rename.
func (h *Hub) Connect(m Member, id string) *Conn {
	c := &Conn{hub: h, member: m, id: id, channels: map[string]int64{}, left: map[string]int64{}, presences: map[key]*Publication{}}
	c.src.Store(&id)
	h.mu.Lock()
	h.sources[id]++
	h.mu.Unlock()
	return c
}

// Rename gives the connection another source: the id of a client's "hs" message, which it
// had in an earlier connection. It is to be called before anything else.
func (c *Conn) Rename(src string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.hub.mu.Lock()
	c.hub.forget(*c.src.Swap(&src))
	c.hub.sources[src]++
	c.hub.mu.Unlock()
}

// forget counts one connection less that has a source. Called with the lock held.
func (h *Hub) forget(src string) {
	if h.sources[src]--; h.sources[src] == 0 {
		delete(h.sources, src)
	}
}

// Source returns what the connection's presences and operations are known by.
func (c *Conn) Source() string { return *c.src.Load() }

// Subscribe is "ps": from here on the connection gets what is published on a channel,
// and whoever else is subscribed to it is asked for their presences; so is the connection
// itself when it has another source than the random one, since it may have presences from
// before a reconnection. It is acknowledged. seq counts over all channels of a
// connection; one below that of the channel's newest Unsubscribe is acknowledged and has
// no effect. Negative means that the message had none.
//
// CodeBadlyFormed for a name that is not allowed, CodeLimit past Limits.Channels.
func (c *Conn) Subscribe(channel string, seq int64) *wire.Error {
	if err := c.hub.checkChannel(channel); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	_, there := c.channels[channel]
	last, overtaken := c.left[channel]
	switch {
	case there:
		c.channels[channel] = max(c.channels[channel], seq)
	case overtaken && 0 <= seq && seq < last:
	case len(c.channels) == c.hub.opt.Limits.Channels:
		return wire.Errorf(wire.CodeLimit, "Subscribed to %d presence channels, the limit", len(c.channels))
	default:
		delete(c.left, channel)
		c.channels[channel] = seq
		request, to := request(channel), c.of(channel, nil)
		for _, o := range c.hub.enter(channel, c, c.Source() != c.id) {
			if o.Source() != c.id && c.in(to) && o.in(to) {
				o.member.Send(request)
			}
		}
		if c.Source() != c.id {
			c.member.Send(request)
		}
	}
	c.member.Send(answer("ps", channel, seq))
	return nil
}

// Unsubscribe is "pu": nothing that is published on the channel from here on comes to the
// connection. It is acknowledged. A seq below that of a later Subscribe is acknowledged
// and has no effect. Presences that the connection has out stay.
func (c *Conn) Unsubscribe(channel string, seq int64) *wire.Error {
	if err := c.hub.checkChannel(channel); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	since, there := c.channels[channel]
	if seq < 0 || seq >= since {
		if there {
			c.hub.leave(channel, c)
			delete(c.channels, channel)
		}
		if len(c.left) >= c.hub.opt.Limits.Channels {
			clear(c.left) // what they could still overtake is long past
		}
		c.left[channel] = max(c.left[channel], seq)
	}
	c.member.Send(answer("pu", channel, seq))
	return nil
}

// Request is "pr" of a client: the other subscribers of the channel are asked for their
// presences, and what the Hub itself knows (cursors of other protocols, removals) is
// told to the connection again. It is answered {"a":"pr"}.
func (c *Conn) Request(channel string) *wire.Error {
	if err := c.hub.checkChannel(channel); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	request, to := request(channel), c.of(channel, nil)
	for _, o := range c.hub.others(channel) {
		if o != c && c.in(to) && o.in(to) {
			o.member.Send(request)
		}
	}
	c.hub.retell(channel, c)
	c.member.Send(ws.NewShared([]byte(`{"a":"pr"}`)))
	return nil
}

// Publish is "p": the value goes to the subscribers of the channel that are its audience, but for those of the
// same source, and as the acknowledgement to the connection, which need not be
// subscribed. A Version below that of the presence's last one is acknowledged only.
// A value in a document must have been transformed to Doc.Version, the newest there is or
// a newer one. Value is not kept.
//
// CodeBadlyFormed for names and numbers that are not allowed, CodeLimit past
// Limits.Value or Limits.Presences.
func (c *Conn) Publish(p Publication) *wire.Error {
	if err := c.hub.check(&p); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	k := key{p.Channel, p.ID}
	last := c.presences[k]
	if last == nil && !p.removes() && len(c.presences) >= c.hub.opt.Limits.Presences {
		return wire.Errorf(wire.CodeLimit, "%d presences on one connection, the limit", len(c.presences))
	}
	src := c.Source()
	m := message(src, &p)
	if last == nil || p.Version >= last.Version {
		c.pass(&p, last, src, m)
	}
	c.member.Send(m)
	return nil
}

// pass passes a publication on to its audience, unless the connection is not in it, and keeps
// the books: last is what was there before. Called with the lock held.
func (c *Conn) pass(p, last *Publication, src string, m *ws.Shared) {
	if to := c.of(p.Channel, p.Doc); c.in(to) {
		subs, _ := c.hub.noted(p, src, c.member.Scope())
		send(subs, src, m, to)
		p.heard = true
	} else if last != nil && last.heard {
		return // that is to be removed still
	}
	k := key{p.Channel, p.ID}
	if p.removes() {
		delete(c.presences, k)
		return
	}
	p.Value = nil // a message says it; what is kept is what its removal takes
	c.presences[k] = p
}

// Close ends the connection's part: it is subscribed to nothing any more, and everything
// that it published and did not remove is removed. Messages that are on their way may
// still be handed to the member. Closing twice is not an error.
func (c *Conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	for name := range c.channels {
		c.hub.leave(name, c)
	}
	c.hub.mu.Lock()
	c.hub.forget(c.Source())
	c.hub.mu.Unlock()
	for _, p := range c.presences {
		if p.heard {
			c.hub.depart(departed{c.Source(), c.member.Scope(), *p})
		}
	}
	c.channels, c.left, c.presences = nil, nil, nil
}

// send hands a publication of a source to its audience, but not to that source.
func send(subs []*Conn, src string, m *ws.Shared, to audience) {
	for _, c := range subs {
		if c.Source() != src && c.in(to) {
			c.member.Send(m)
		}
	}
}

// hear tells the connection of a presence that was removed, if that is for it.
func (c *Conn) hear(d *departed) {
	if c.in(d.audience()) {
		c.member.Send(d.message())
	}
}
