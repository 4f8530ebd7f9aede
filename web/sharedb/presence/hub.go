// Package presence is ShareDB's presence: transient values that clients publish on
// channels. A channel is any name; the one of a document is its collection, a dot and
// its id, and on it the cursors of people who edit the document through other protocols
// are seen as well.
//
// The Hub knows no message of the protocol but those it sends: "p" to the subscribers
// of a channel and, as the acknowledgement, to the sender; "pr" to ask for presences;
// the answers to "ps", "pu" and "pr". Refusals are returned, for the caller to answer
// with the request and the error.
package presence

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"quire/session"
	"quire/web/ws"
)

// Member is one connection as the Hub sees it.
type Member interface {
	// Send hands a message over, in the order in which the member is to get them. It is
	// called from any goroutine, with locks of the Hub held, and must neither block nor
	// call the Hub back. A message that goes to several members is one value.
	Send(m *ws.Shared)
	// MayRead reports whether the member may read a document, by its id, now. Scope is the
	// namespace that the member is confined to, if any: what is published in no document is
	// for those of the same scope. Both are called like Send.
	MayRead(doc string) bool
	Scope() string
}

// Limits bounds what presence may cost. A zero field means its default.
type Limits struct {
	// Value is the largest value in bytes of JSON. Default 4096.
	Value int
	// Name is the longest name of a channel, a presence, a collection, a document or a
	// type in bytes. Default 1024.
	Name int
	// Presences is how many values that are not null a connection may have out at one
	// time. Default 256.
	Presences int
	// Channels is how many channels a connection may be subscribed to. Default 1024.
	Channels int
}

func (l Limits) withDefaults() Limits {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.Value, 4096)
	def(&l.Name, 1024)
	def(&l.Presences, 256)
	def(&l.Channels, 1024)
	return l
}

// Options configures a Hub. The zero value is usable.
type Options struct {
	// Sessions has the documents whose cursors are shared with other protocols. Without
	// it the Hub knows ShareDB clients only.
	Sessions *session.Manager
	// Limits bounds what a connection may have.
	Limits Limits
	// Logger receives failures, once each. Default slog.Default().
	Logger *slog.Logger
	// RetryAfter is how long to wait before a document that could not be opened is tried
	// again. Default 1 s.
	RetryAfter time.Duration

	// Now and After are the clock and the scheduler: time.Now and time.AfterFunc unless
	// a test sets them.
	Now   func() time.Time
	After func(time.Duration, func())
}

// Hub holds the channels of one server process. It is safe for concurrent use.
//
// Locks are taken in this order: Conn.mu, Hub.mu, bridge.mu.
type Hub struct {
	// Static after construction.
	opt    Options
	ctx    context.Context // ends when the Hub is closed
	cancel context.CancelFunc
	group  sync.WaitGroup // the bridges' steps

	mu sync.Mutex
	// Guarded by mu.
	closed   bool
	channels map[string]*channel
	sources  map[string]int // how many connections have a source
}

// channel is there as long as somebody is subscribed to it. Guarded by Hub.mu.
type channel struct {
	name     string
	subs     []*Conn // replaced when changed
	entries  uint64  // subscribers that there have been
	bridge   *bridge // nil when the channel is of no document
	departed []departed
}

// departed is a presence that was removed. In a document it is remembered for a while: a
// client drops the news of a removal when it is of an older version of the document than
// the client has, and asks again.
type departed struct {
	src, scope string
	Publication
}

func (d *departed) audience() audience { return audienceOf(d.Channel, d.Doc, d.scope) }

func (d *departed) message() *ws.Shared { return message(d.src, &d.Publication) }

// maxDeparted is how many removed presences a channel remembers.
const maxDeparted = 256

// New makes a Hub. Close it before the session.Manager.
func New(opt Options) *Hub {
	opt.Limits = opt.Limits.withDefaults()
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.RetryAfter <= 0 {
		opt.RetryAfter = time.Second
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.After == nil {
		opt.After = func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	}
	h := &Hub{opt: opt, channels: map[string]*channel{}, sources: map[string]int{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// Close ends the sharing of cursors with other protocols and waits until nothing of it
// runs any more. Connections may still be closed afterwards.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	for _, ch := range h.channels {
		if ch.bridge != nil {
			ch.bridge.stop()
		}
	}
	h.mu.Unlock()
	h.cancel()
	h.group.Wait()
}

// Stats counts what is in memory.
type Stats struct {
	// Channels are those that somebody is subscribed to; Sources the ids that
	// connections have.
	Channels, Sources int
}

// Stats returns counts as of now.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{Channels: len(h.channels), Sources: len(h.sources)}
}

// enter adds a subscriber to a channel, making the channel when it is the first, and
// returns who was there before.
func (h *Hub) enter(name string, c *Conn, returning bool) []*Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch := h.channels[name]
	if ch == nil {
		ch = &channel{name: name}
		h.channels[name] = ch
	}
	before := ch.subs
	ch.subs = append(before[:len(before):len(before)], c)
	if ch.bridge == nil {
		if doc, ok := documentOf(name); ok && c.in(c.of(name, nil)) {
			h.bridge(ch, doc)
		}
	}
	ch.entries++
	ch.tell(asker{c, ch.entries, returning})
	return before
}

// leave takes a subscriber out of a channel; one that nobody is subscribed to goes.
func (h *Hub) leave(name string, c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch := h.channels[name]
	if ch == nil {
		return
	}
	ch.subs = slices.DeleteFunc(slices.Clone(ch.subs), func(o *Conn) bool { return o == c })
	if len(ch.subs) == 0 {
		delete(h.channels, name)
		if ch.bridge != nil {
			ch.bridge.stop()
		}
	}
}

// others returns who is subscribed to a channel. The slice is not changed any more.
func (h *Hub) others(name string) []*Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ch := h.channels[name]; ch != nil {
		return ch.subs
	}
	return nil
}

// retell tells a connection again what only the Hub knows of a channel.
func (h *Hub) retell(name string, c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ch := h.channels[name]; ch != nil {
		ch.tell(asker{c, 0, true})
	}
}

// tell has a connection told of the cursors of other protocols and, if it asks for it, of
// the presences that were removed.
func (ch *channel) tell(a asker) {
	if ch.bridge != nil {
		ch.bridge.tell(a)
	} else if a.again {
		for i := range ch.departed {
			a.c.hear(&ch.departed[i])
		}
	}
}

// noted keeps the books of a channel for a publication of a source, and returns who is
// to be told, and the channel's count of entries.
func (h *Hub) noted(p *Publication, src, scope string) (subs []*Conn, entries uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch := h.channels[p.Channel]
	if ch == nil {
		return nil, 0
	}
	if p.Doc != nil {
		ch.remember(src, scope, p)
		if doc := p.Doc.name(); doc.channel() == ch.name && (ch.bridge == nil || ch.bridge.doc != doc) {
			h.bridge(ch, doc)
		}
	}
	return ch.subs, ch.entries
}

// remember notes that a presence in a document is there, or was removed.
func (ch *channel) remember(src, scope string, p *Publication) {
	ch.departed = slices.DeleteFunc(ch.departed, func(d departed) bool { return d.src == src && d.ID == p.ID })
	if p.removes() {
		if len(ch.departed) == maxDeparted {
			ch.departed = slices.Delete(ch.departed, 0, 1)
		}
		ch.departed = append(ch.departed, departed{src, scope, Publication{Channel: p.Channel, ID: p.ID, Version: p.Version, Doc: p.Doc}})
	}
}

// depart removes a presence whose connection has ended.
func (h *Hub) depart(d departed) {
	h.mu.Lock()
	ch := h.channels[d.Channel]
	if ch == nil {
		h.mu.Unlock()
		return
	}
	subs := ch.subs
	if d.Doc != nil {
		ch.remember(d.src, d.scope, &d.Publication)
		if ch.bridge != nil && ch.bridge.doc == d.Doc.name() {
			ch.bridge.depart(d)
			subs = nil
		}
	}
	h.mu.Unlock()
	if subs != nil {
		send(subs, d.src, d.message(), d.audience())
	}
}
