// Package sharedb speaks the wire protocol of ShareDB, version 1.2 (npm's sharedb; its
// lib/agent.js is the only specification), with documents of a session.Manager, so that
// programs written for ShareDB work with Quire as they are.
package sharedb

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"quire/session"
	"quire/session/limits"
	"quire/storage"
	"quire/web/auth"
	"quire/web/sharedb/presence"
	"quire/web/sharedb/query"
	"quire/web/sharedb/wire"
	"quire/web/ws"
)

// Subprotocol is the WebSocket subprotocol that is chosen when a client offers it. A browser
// that sends a token as a subprotocol has to offer this one beside it.
const Subprotocol = "sharedb"

// Options configures a Protocol.
type Options struct {
	// Manager has the documents. Required.
	Manager *session.Manager
	// Dialects are the types that ShareDB's clients can use, of which the manager must
	// have the Types. One with DefaultType has to be among them. Required.
	Dialects []Dialect
	// MaxDocs is the most documents in use on one connection, and in one message.
	// Default 10,000.
	MaxDocs int
	// OpenRate and PresenceRate are how many documents a connection may open or read, and how many
	// presences it may send, in a second. 0: no bound.
	OpenRate, PresenceRate int
	// Delivered is told how long after it was received the oldest edit of a batch
	// was handed to a reader's connection, once for each reader. May be nil.
	Delivered func(d time.Duration)
	// Logger receives failures. Default slog.Default().
	Logger *slog.Logger
	// Now and After are the clock and the scheduler: time.Now and time.AfterFunc unless
	// a test sets them.
	Now   func() time.Time
	After func(time.Duration, func())
	// NewID makes the ids of clients that bring none. Default: random ones.
	NewID func() string
}

// Protocol makes connections' handlers.
type Protocol struct {
	opt      Options
	dialects dialects
	key      any // under this batches keep their messages, encoded once
	hub      *presence.Hub
	queries  *query.Engine
	// opens and presences are how often a connection may do that.
	opens, presences limits.Rate
}

// New makes a Protocol. Close it before the manager.
func New(opt Options) *Protocol {
	if opt.MaxDocs <= 0 {
		opt.MaxDocs = 10_000
	}
	if opt.Delivered == nil {
		opt.Delivered = func(time.Duration) {}
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.NewID == nil {
		opt.NewID = rand.Text
	}
	p := &Protocol{
		opt: opt, dialects: newDialects(opt.Dialects), key: "sharedb ops",
		opens:     limits.Rate{Name: limits.OpenRate, PerSecond: opt.OpenRate},
		presences: limits.Rate{Name: limits.PresenceRate, PerSecond: opt.PresenceRate},
	}
	p.hub = presence.New(presence.Options{Sessions: opt.Manager, Limits: presence.Limits{Value: opt.Manager.Limits().Presence}, Logger: opt.Logger, Now: opt.Now, After: opt.After})
	p.queries = query.New(query.Options{Sessions: opt.Manager, Codec: codec{p}, Logger: opt.Logger, After: opt.After})
	return p
}

// Close ends what goes on between documents: presences and live queries. Connections may
// still end afterwards.
func (p *Protocol) Close() {
	p.hub.Close()
	p.queries.Close()
}

// Sender is what a Conn writes to: a *ws.Conn, or a test.
type Sender interface {
	SendText(p []byte)
	SendShared(m *ws.Shared)
	SendAround(head []byte, m *ws.Shared, tail []byte)
	Waiting() int
	Close(code int, reason string)
}

// Conn is one client's connection: a ws.Handler without the WebSocket, so that a test
// can drive it by hand.
type Conn struct {
	// Static.
	p      *Protocol
	pass   *auth.Pass
	watch  func() // stops watching pass
	wake   func()
	ctx    context.Context
	cancel context.CancelFunc
	// opens and presences are how often it may do that.
	opens, presences *limits.Pace

	presence *presence.Conn
	queries  *query.Conn

	// src is the client's id. Receive changes it, with mu held.
	src string

	mu   sync.Mutex
	room *sync.Cond // the outbox has room again, or the connection ended
	// Guarded by mu.
	docs map[string]*document
	out  []answer
	pins int     // answers of them that keep a large document
	held ws.Held // out and resumed
	// resumed are how many bytes of documents' names queries brought that wait for their results, by their ids.
	resumed map[string]int
	news    []*place // those with something to take
	asked   bool     // there may be news of queries
	shown   map[shown]*place
	closing *ws.CloseError
	leave   bool
	ended   bool
	changed bool // the pass may allow something else than before
	over    bool // the pass has ended, and the connection with it
	// parting are the documents that the client may not read any more and was not told so.
	parting map[string]*parting
	// absent are the documents that the client is subscribed to as far as it knows and that it may
	// not read: true are those that it has from when it could.
	absent map[string]bool

	left []func() // to be called when what Send wrote last has left; owned by Send
}

// maxPiece is about how many bytes go out in one write.
const maxPiece = 256 << 10

// maxClient is the longest id of a client in bytes.
const maxClient = storage.MaxName

// Connect makes the handler of a new connection of somebody who may do what pass says.
// wake is called when there is something to send.
func (p *Protocol) Connect(pass *auth.Pass, wake func()) *Conn {
	return p.ConnectIn(context.Background(), pass, wake, func(int) bool { return true })
}

// ConnectIn is Connect with a context, for whose values what the connection asks for is done, and with whom to tell
// how many bytes more, or with a negative number less, wait for the peer, in steps of 64 KiB; hold reports whether there
// is room for them: see ws.Conn.Hold.
func (p *Protocol) ConnectIn(in context.Context, pass *auth.Pass, wake func(), hold func(bytes int) (room bool)) *Conn {
	c := &Conn{p: p, pass: pass, wake: wake, held: ws.Held{Hold: hold}, docs: map[string]*document{}, shown: map[shown]*place{}, src: p.opt.NewID()}
	c.room = sync.NewCond(&c.mu)
	c.opens = limits.NewPace(&p.opens)
	c.presences = limits.NewPace(&p.presences)
	c.ctx, c.cancel = context.WithCancel(in)
	c.push(answer{msg: appendGreeting(nil, "init", c.src)})
	c.presence = p.hub.Connect(member{c}, c.src)
	c.queries = p.queries.Connect(func() {
		c.mu.Lock()
		c.asked = true
		c.mu.Unlock()
		c.wake()
	}, c.readable)
	c.watchPass()
	return c
}

// Receive handles one message of the client.
func (c *Conn) Receive(data []byte) *ws.CloseError {
	r, ok := parse(data)
	if !ok {
		return &ws.CloseError{Code: ws.CloseUnsupported, Reason: "not a JSON object"}
	}
	bad := r.check()
	if why := c.pass.Ended(); why != nil {
		return unauthenticated(why) // and no answer: the client keeps what it has to send
	}
	if bad != nil {
		return c.refuse(r, bad)
	}
	if r.a == "op" && c.prepared(r) {
		end := c.submit(r)
		c.waitForRoom()
		return end
	}
	// What is rare runs on a stack of its own. Opening goes deep, down to the disk, and
	// would leave each connection with a large stack for the rest of its life.
	type result struct {
		end      *ws.CloseError
		panicked any
	}
	done := make(chan result, 1)
	go func() {
		var r2 result
		defer func() {
			if p := recover(); p != nil {
				r2.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			done <- r2
		}()
		r2.end = c.dispatch(r)
	}()
	r2 := <-done
	if r2.panicked != nil {
		panic(r2.panicked)
	}
	c.waitForRoom()
	return r2.end
}

func (c *Conn) dispatch(r *request) *ws.CloseError {
	switch r.a {
	case "hs":
		return c.handshake(r)
	case "pp":
		c.say([]byte(`{"a":"pp"}`))
		return nil
	case "op":
		return c.submit(r)
	case "f":
		return c.fetch(r)
	case "s":
		return c.subscribe(r)
	case "u":
		return c.unsubscribe(r)
	case "bf", "bs", "bu":
		return c.bulk(r)
	case "nf", "nt":
		return c.past(r)
	case "p", "ps", "pu", "pr":
		return c.answer(r, c.presenceRequest(r))
	case "qf", "qs", "qu":
		return c.answer(r, c.queryRequest(r))
	}
	return c.refuse(r, malformed("Invalid or unknown message"))
}

// handshake takes the id that the client had before, if any, as its own.
func (c *Conn) handshake(r *request) *ws.CloseError {
	id, ok := r.text("id")
	if !ok || len(id) > maxClient {
		return c.refuse(r, wire.Errorf(codeClientID, "Client id must be a string of at most 255 bytes"))
	}
	if id != "" && id != c.src {
		c.mu.Lock()
		c.src = id
		c.mu.Unlock()
		c.presence.Rename(id)
	}
	c.say(appendGreeting(nil, "hs", c.src))
	return nil
}

// refuse answers a request with an error, or ends the connection when the request is not
// JSON after all.
func (c *Conn) refuse(r *request, e *wire.Error) *ws.CloseError {
	if !r.whole() {
		return &ws.CloseError{Code: ws.CloseUnsupported, Reason: "not a JSON object"}
	}
	c.say(r.refused(e))
	return nil
}

// answer answers a request that failed, if it did.
func (c *Conn) answer(r *request, e *wire.Error) *ws.CloseError {
	if e == nil {
		return nil
	}
	return c.refuse(r, e)
}

// tryAgain ends a connection whose client will do better on another.
func tryAgain(e *wire.Error) *ws.CloseError {
	return &ws.CloseError{Code: ws.CloseTryAgain, Reason: clip(e.Message)}
}

// clip makes a reason fit into a close frame (RFC 6455, section 5.5).
func clip(s string) string {
	for i := range s {
		if i > 100 {
			return s[:i] + "…"
		}
	}
	return s
}

// tooMany refuses more documents than a connection may use.
func (c *Conn) tooMany() *wire.Error {
	e := c.p.opt.Manager.Exceeds(limits.Open, c.p.opt.MaxDocs, session.CodeTooMany, "Too many documents on this connection")
	return &wire.Error{Code: wire.CodeLimit, Message: e.Message}
}

// mayRead refuses, or holds up, a connection that reads too many documents a second.
func (c *Conn) mayRead() *session.Error {
	return c.p.opt.Manager.Pace(c.ctx, c.opens, "documents read on this connection")
}

// Ended closes every document.
func (c *Conn) Ended() {
	c.watch()
	c.mu.Lock()
	c.ended = true
	done := c.clear()
	c.mu.Unlock()
	c.cancel()
	done()
	c.haveLeft()
}

// clear lets go of everything, and returns what to do about that once the lock, which is
// held, is given up.
func (c *Conn) clear() func() {
	var places []*place
	for _, doc := range c.docs {
		places = append(places, doc.places...)
	}
	c.docs = map[string]*document{}
	for _, pl := range places {
		pl.gone = true
	}
	c.held.Clear()
	for i := range c.out {
		c.out[i].drop()
	}
	c.pins = 0
	c.out, c.news, c.shown, c.parting, c.absent, c.resumed = nil, nil, map[shown]*place{}, nil, nil, nil
	c.room.Broadcast()
	return func() {
		c.presence.Close()
		c.queries.Close()
		for _, pl := range places {
			pl.sub.Close()
		}
	}
}

// Leaving makes the next Send close the connection, with code 1001: the protocol has no
// word for goodbye.
func (c *Conn) Leaving(time.Duration) {
	c.mu.Lock()
	c.leave = true
	c.mu.Unlock()
}
