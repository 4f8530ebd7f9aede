package quirev1

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"quire/session"
	"quire/session/limits"
	"quire/storage"
	"quire/web/auth"
	"quire/web/ws"
)

// Options configures a Protocol.
type Options struct {
	// Manager has the documents. Required.
	Manager *session.Manager
	// Server is the program's name in hello.
	Server string
	// Instance is a random id of this run.
	Instance string
	// MaxDocs is the most documents open on one connection. Default 1024.
	MaxDocs int
	// OpenRate and PresenceRate are how many documents a connection may open, and how many presences
	// it may send, in a second. 0: no bound.
	OpenRate, PresenceRate int
	// MaxMessage and PingEvery are told in hello; give what the ws.Server has.
	MaxMessage int
	PingEvery  time.Duration
	// Delivered is told how long after it was received the oldest edit of a batch
	// was handed to a reader's connection, once for each reader. May be nil.
	Delivered func(d time.Duration)
	// Renew replaces the credential of a connection's pass by a token that its client sent;
	// see auth.Authority. Without it no token is taken.
	Renew func(ctx context.Context, pass *auth.Pass, token string) *session.Error
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Protocol makes connections' handlers.
type Protocol struct {
	opt   Options
	hello []byte
	// Under these keys batches and presences keep their messages, encoded once.
	opsKey, presenceKey any
	// Under this key an opened document keeps its content.
	contentKey any
	// opens and presences are how often a connection may do that.
	opens, presences limits.Rate

	conns atomic.Uint64 // made so far
}

// New makes a Protocol.
func New(opt Options) *Protocol {
	if opt.MaxDocs <= 0 {
		opt.MaxDocs = 1024
	}
	if opt.Delivered == nil {
		opt.Delivered = func(time.Duration) {}
	}
	if opt.Renew == nil {
		opt.Renew = func(context.Context, *auth.Pass, string) *session.Error {
			return session.Errorf(session.CodeUnauthenticated, "this server asks for no tokens")
		}
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	lim := opt.Manager.Limits()
	p := &Protocol{
		opt: opt, opsKey: "quire.v1 ops", presenceKey: "quire.v1 presence", contentKey: "quire.v1 content",
		opens:     limits.Rate{Name: limits.OpenRate, PerSecond: opt.OpenRate},
		presences: limits.Rate{Name: limits.PresenceRate, PerSecond: opt.PresenceRate},
	}
	p.hello = appendHello(nil, opt.Server, opt.Instance, int(opt.PingEvery.Milliseconds()), Limits{
		Message: opt.MaxMessage, Document: lim.Document, Run: lim.Run, Docs: opt.MaxDocs, Ranges: lim.Op.MaxRanges, Presence: lim.Presence,
	})
	return p
}

// Sender is what a Conn writes to: a *ws.Conn, or a test.
type Sender interface {
	SendText(p []byte)
	SendShared(m *ws.Shared)
	SendAround(head []byte, m *ws.Shared, tail []byte)
	Waiting() int
	Depart()
	Close(code int, reason string)
}

// Conn is one client's connection: a ws.Handler without the WebSocket, so that a
// test can drive it by hand.
type Conn struct {
	// Static.
	p      *Protocol
	number uint64 // later connections have higher ones
	pass   *auth.Pass
	watch  func() // stops watching pass
	wake   func()
	ctx    context.Context
	cancel context.CancelFunc
	// opens and presences are how often it may do that.
	opens, presences *limits.Pace

	mu    sync.Mutex
	room  *sync.Cond // the outbox has room again, or the connection ended
	docs  map[string]*place
	out   []message // answers, in order
	held  ws.Held   // out, but for documents that others are sent, too
	lent  int       // bytes of these
	owed  []func()  // to be called when out has left
	news  []*place  // documents with something to take
	bye   time.Duration
	leave bool
	ended bool

	changed bool           // the pass may allow something else than what the client knows
	known   *auth.Identity // what the client was told it is
	doomed  *session.Error // a request found that the pass had ended
	over    bool           // the pass has ended, and the connection with it

	left []func() // to be called when what Send wrote last has left; owned by Send
}

// place is a document open on this connection.
type place struct {
	doc    string
	client string
	sub    *session.Subscription
	// Guarded by Conn.mu.
	queued  bool      // in Conn.news
	leaving bool      // it is being opened again: its end is no news
	role    auth.Role // that the client knows of
}

// maxOutbox bounds the answers that wait for a peer that does not read: Receive
// then waits, and the peer's requests with it.
const maxOutbox = 4 << 20

// maxPiece is about how many bytes go out in one write.
const maxPiece = 256 << 10

// Connect makes the handler of a new connection of somebody who may do what pass says.
// wake is called when there is something to send.
func (p *Protocol) Connect(pass *auth.Pass, wake func()) *Conn {
	return p.ConnectIn(context.Background(), pass, wake, nil)
}

// ConnectIn is Connect with a context, for whose values what the connection asks for is done, and with whom to tell what
// waits for the peer: see ws.Held.
func (p *Protocol) ConnectIn(in context.Context, pass *auth.Pass, wake func(), hold func(bytes int) (room bool)) *Conn {
	c := &Conn{p: p, number: p.conns.Add(1), pass: pass, wake: wake, docs: map[string]*place{}, held: ws.Held{Hold: hold}}
	c.room = sync.NewCond(&c.mu)
	c.ctx, c.cancel = context.WithCancel(in)
	c.opens = limits.NewPace(&p.opens)
	c.presences = limits.NewPace(&p.presences)
	c.out = append(c.out, message{head: p.hello})
	c.watchPass()
	return c
}

// Receive handles one message of the client.
func (c *Conn) Receive(data []byte) *ws.CloseError {
	var m ClientMessage
	if scanSubmit(data, &m) {
		c.dispatch(&m)
		c.waitForRoom()
		return nil
	}
	// What is rare runs on a stack of its own. Opening goes deep, down to the disk, and
	// would leave each connection with a large stack for the rest of its life.
	type result struct {
		end      *ws.CloseError
		panicked any
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			done <- r
		}()
		r.end = c.receive(data)
	}()
	r := <-done
	if r.panicked != nil {
		panic(r.panicked)
	}
	c.waitForRoom()
	return r.end
}

// waitForRoom slows down a peer that asks and does not read the answers.
func (c *Conn) waitForRoom() {
	c.mu.Lock()
	for (c.held.Over(maxOutbox) || c.lent > maxOutbox) && !c.ended {
		c.room.Wait()
	}
	c.mu.Unlock()
}

func (c *Conn) receive(data []byte) *ws.CloseError {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		c.refuse(nil, 0, session.Errorf(session.CodeBadMessage, "not a JSON object"))
		return &ws.CloseError{Code: ws.CloseUnsupported, Reason: "not a JSON object"}
	}
	m, bad := decode(members)
	if bad != "" {
		var seq uint64
		if m.Seq != nil {
			seq = *m.Seq
		}
		c.refuse(m.Doc, seq, session.Errorf(session.CodeBadMessage, "member %q is of the wrong type or out of range", bad))
		return nil
	}
	c.dispatch(m)
	return nil
}

// decode reads the members it knows, by their exact names (encoding/json would take
// them in any case), and names the first one that is wrong.
func decode(members map[string]json.RawMessage) (m *ClientMessage, bad string) {
	m = &ClientMessage{}
	for _, f := range []struct {
		name string
		to   any
	}{
		{"doc", &m.Doc}, {"seq", &m.Seq}, {"t", &m.T}, {"client", &m.Client}, {"create", &m.Create}, {"user", &m.User},
		{"inc", &m.Inc}, {"rev", &m.Rev}, {"base", &m.Base}, {"ops", &m.Ops}, {"cursor", &m.Cursor}, {"token", &m.Token},
	} {
		if raw, there := members[f.name]; there && json.Unmarshal(raw, f.to) != nil && bad == "" {
			bad = f.name
		}
	}
	return m, bad
}

func (c *Conn) dispatch(m *ClientMessage) {
	if m.T == "ping" {
		c.say([]byte(`{"t":"pong"}`))
		return
	}
	var err *session.Error
	switch {
	case m.T == "auth":
		err = c.renew(m)
	case m.T != "open" && m.T != "submit" && m.T != "presence" && m.T != "check" && m.T != "close":
		err = session.Errorf(session.CodeBadMessage, "no such message %s", strconv.Quote(clip(m.T)))
	case m.Doc == nil:
		err = session.Errorf(session.CodeBadMessage, `member "doc" is missing`)
	case m.T == "open":
		err = c.open(m)
	default:
		err = c.inDoc(m)
	}
	if err != nil && err.Code == session.CodeUnauthenticated && m.T != "auth" {
		c.doom(err)
	} else if err != nil {
		var seq uint64
		if m.T == "submit" && m.Seq != nil {
			seq = *m.Seq
		}
		c.refuse(m.Doc, seq, err)
	}
}

// inDoc handles a message about an open document.
func (c *Conn) inDoc(m *ClientMessage) *session.Error {
	c.mu.Lock()
	pl := c.docs[*m.Doc]
	c.mu.Unlock()
	if pl == nil {
		return session.Errorf(session.CodeNotOpen, "the document is not open on this connection")
	}
	if err := c.permit(pl, m.T); err != nil {
		return err
	}
	switch m.T {
	case "submit":
		return c.submit(pl, m)
	case "presence":
		return c.presence(pl, m)
	case "check":
		pl.sub.RequestCheck()
	case "close":
		c.remove(pl)
		c.say(append(head(nil, "closed", pl.doc), '}'))
	}
	return nil
}

func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	n := most
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

func (c *Conn) submit(pl *place, m *ClientMessage) *session.Error {
	if m.Base == nil || *m.Base < 0 || m.Seq == nil || len(m.Ops) == 0 {
		return session.Errorf(session.CodeBadMessage, "to submit, give base, seq and ops")
	}
	ops := make([][]byte, len(m.Ops))
	for i, op := range m.Ops {
		ops[i] = op
	}
	if err := pl.sub.Submit(*m.Base, *m.Seq, ops, m.Cursor); err != nil {
		return session.AsError(err)
	}
	return nil
}

func (c *Conn) presence(pl *place, m *ClientMessage) *session.Error {
	var base session.Revision
	if m.Base != nil {
		base = *m.Base
	}
	if m.Base == nil && m.Cursor != nil || base < 0 {
		return session.Errorf(session.CodeBadMessage, `member "base" is missing or negative`)
	}
	var user *session.User
	if m.User != nil {
		u := c.user(m.User)
		user = &u
	}
	if err := c.p.opt.Manager.Pace(c.ctx, c.presences, "presences on this connection"); err != nil {
		return err
	}
	if err := pl.sub.SetPresence(base, m.Cursor, user); err != nil {
		return session.AsError(err)
	}
	return nil
}

// remove takes a document off the connection; nothing of it is sent any more. It
// reports whether the document was there.
func (c *Conn) remove(pl *place) bool {
	c.mu.Lock()
	there := c.docs[pl.doc] == pl && !pl.leaving
	if there {
		delete(c.docs, pl.doc)
	}
	c.mu.Unlock()
	if there {
		pl.sub.Close()
	}
	return there
}

// notify is called by a session when a document may have news.
func (c *Conn) notify(pl *place) {
	c.mu.Lock()
	ready := c.docs[pl.doc] == pl && c.queue(pl)
	c.mu.Unlock()
	if ready {
		c.wake()
	}
}

// queue puts a document among those to look at, and reports whether it was not there.
// Called with the lock held.
func (c *Conn) queue(pl *place) bool {
	if pl.queued {
		return false
	}
	pl.queued = true
	c.news = append(c.news, pl)
	return true
}

// message is an answer: all of it, or what stands before and after what others are sent, too.
type message struct {
	head []byte
	body *ws.Shared // may be nil
	tail []byte
	// shows is the document whose content is in it, if any: it is not sent to who may not read that any more.
	shows *place
}

// push adds an answer. Called with the lock held.
func (c *Conn) push(msg []byte) { c.pushMessage(message{head: msg}) }

// pushMessage is push of one that may be shared in part.
func (c *Conn) pushMessage(msg message) {
	if c.over || c.ended {
		return
	}
	c.out = append(c.out, msg)
	if c.held.Add(len(msg.head) + len(msg.tail)); msg.body != nil {
		c.lent += len(msg.body.Text())
	}
}

func (c *Conn) say(msg []byte) {
	c.mu.Lock()
	c.push(msg)
	c.mu.Unlock()
	c.wake()
}

func (c *Conn) refuse(doc *string, seq uint64, err *session.Error) {
	if doc != nil && len(*doc) > storage.MaxDocID {
		doc = nil // not an id, and not worth an echo
	}
	c.say(appendError(nil, doc, seq, err))
}

// Send writes the answers that wait and what is new in the documents, up to about one
// write's worth, and reports whether there is more.
func (c *Conn) Send(w Sender) bool {
	for _, done := range c.left { // it has
		done()
	}
	c.left = c.left[:0]
	if c.review(w) {
		return false
	}
	c.mu.Lock()
	out := c.out
	c.left = append(c.left, c.owed...)
	c.forget()
	out = slices.DeleteFunc(out, func(msg message) bool { return msg.shows != nil && msg.shows.role < auth.Read })
	leave, bye := c.leave, c.bye
	c.leave = false
	c.room.Broadcast()
	c.mu.Unlock()
	for _, msg := range out {
		if msg.body != nil {
			w.SendAround(msg.head, msg.body, msg.tail)
		} else {
			w.SendText(msg.head)
		}
	}
	for w.Waiting() < maxPiece && len(c.left) == 0 {
		c.mu.Lock()
		if len(c.news) == 0 || len(c.out) > 0 || c.changed {
			// An answer that has come meanwhile goes first: it may be the "opened" of
			// a document whose news are queued here, or the end of one.
			c.mu.Unlock()
			break
		}
		pl := c.news[0]
		c.news = c.news[1:]
		pl.queued = false
		open := c.docs[pl.doc] == pl
		c.mu.Unlock()
		if open {
			c.deliver(w, pl)
		}
	}
	if leave {
		w.SendText(appendBye(nil, bye.Milliseconds()))
		w.Depart()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.news) > 0 || len(c.out) > 0 || c.changed || len(c.left) > 0
}

// deliver sends one document's news.
func (c *Conn) deliver(w Sender, pl *place) {
	d, err := pl.sub.Take(c.ctx)
	if d.Done != nil {
		c.left = append(c.left, d.Done)
	}
	for _, b := range d.Batches {
		w.SendShared(b.Shared(c.p.opsKey, func() any { return ws.NewShared(appendOps(nil, b)) }).(*ws.Shared))
		if !b.Received.IsZero() {
			c.p.opt.Delivered(c.p.opt.Now().Sub(b.Received))
		}
	}
	if p := d.Presence; p != nil {
		w.SendShared(p.Shared(c.p.presenceKey, func() any { return ws.NewShared(appendPresence(nil, p)) }).(*ws.Shared))
	}
	if d.Check != nil {
		w.SendText(appendCheck(nil, pl.doc, d.Check))
	}
	for _, a := range d.Acks {
		w.SendText(appendAck(nil, pl.doc, a))
	}
	for _, r := range d.Rejections {
		w.SendText(appendError(nil, &pl.doc, r.Seq, r.Err))
	}
	for _, e := range d.Errs {
		w.SendText(appendError(nil, &pl.doc, 0, e))
	}
	if d.StatusChanged {
		w.SendText(appendStatus(nil, pl.doc, d.Saved))
	}
	if err != nil && d.Closed == nil {
		d.Closed = session.Errorf(session.CodeInternal, "the missed operations cannot be read now")
	}
	if d.Closed != nil {
		if c.remove(pl) { // else the client closed it itself, or opens it again
			w.SendText(appendError(nil, &pl.doc, 0, c.discreet(d.Closed)))
		}
	} else if d.More {
		c.notify(pl)
	}
}

// Ended closes every document.
func (c *Conn) Ended() {
	c.watch()
	c.mu.Lock()
	c.ended = true
	places := c.clear()
	c.mu.Unlock()
	c.cancel()
	for _, done := range c.left {
		done()
	}
	for _, pl := range places {
		pl.sub.Close()
	}
}

// clear forgets everything that is open or waits to be sent, and returns the documents, to
// be closed once the lock, which is held, is given up.
func (c *Conn) clear() []*place {
	places := c.places()
	c.docs = map[string]*place{}
	for _, done := range c.owed {
		done()
	}
	c.forget()
	c.news = nil
	c.room.Broadcast()
	return places
}

// forget empties the outbox. Called with the lock held.
func (c *Conn) forget() {
	c.held.Clear()
	c.out, c.lent, c.owed = nil, 0, nil
}

// places returns the open documents. Called with the lock held.
func (c *Conn) places() []*place {
	places := make([]*place, 0, len(c.docs))
	for _, pl := range c.docs {
		places = append(places, pl)
	}
	return places
}

// Leaving makes the next Send say goodbye.
func (c *Conn) Leaving(in time.Duration) {
	c.mu.Lock()
	c.leave, c.bye = true, in
	c.mu.Unlock()
}
