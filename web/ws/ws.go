// Package ws carries text messages over WebSockets for the protocol packages: it
// upgrades, reads with limits, keeps peers honest with pings, sends everything that
// waits for a connection in one write, and closes all of them on demand. It knows
// no protocol.
package ws

import (
	"context"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"quire/session/limits"
	"quire/web/trail"
)

// Close codes, RFC 6455 section 7.4.1 and its registry.
const (
	CloseGoingAway   = websocket.CloseGoingAway
	CloseUnsupported = websocket.CloseUnsupportedData
	CloseInvalid     = websocket.CloseInvalidFramePayloadData
	CloseTooBig      = websocket.CloseMessageTooBig
	CloseInternal    = websocket.CloseInternalServerErr
	CloseTryAgain    = websocket.CloseTryAgainLater
	// CloseUnauthenticated is for a peer that has to say who it is, again.
	CloseUnauthenticated = 4401
)

// Handler is one connection's protocol.
type Handler interface {
	// Receive is given each text message in turn; data is valid during the call
	// only. It may block to slow its peer down. An error closes the connection.
	Receive(data []byte) *CloseError
	// Send is called after Conn.Wake, by one goroutine at a time, and writes what
	// there is to say. It returns true to be called again after that was sent.
	Send(c *Conn) (more bool)
	// Ended is called once, when nothing more will be received or sent.
	Ended()
	// Leaving is called when the server goes away; the handler may write a last
	// message with Send. The connection is closed right after.
	Leaving(in time.Duration)
}

// CloseError ends a connection with a code and a reason for the peer.
type CloseError struct {
	Code   int
	Reason string
}

// Error returns the reason.
func (e *CloseError) Error() string { return e.Reason }

// Options configures a Server. The zero value is usable.
type Options struct {
	// Subprotocol has to be offered by the peers that Serve is given. Empty: none is.
	Subprotocol string
	// MaxMessage is the largest message in bytes after decompression. Default 1 MiB.
	MaxMessage int
	// MaxReceiving is how many bytes of memory there are for messages of more than 64 KiB on their way, each counted
	// as MaxMessage; a quarter of it for one Address. Who finds no room waits for RoomWait. Defaults 256 MiB and 10 s.
	MaxReceiving int
	RoomWait     time.Duration
	// MaxSending is how many bytes there may be of writes of more than 64 KiB that peers have not taken; a quarter
	// of it for one Address. Past it a peer has HurryTime to take its own, or is cut off. Defaults 1 GiB and 2 s.
	MaxSending int
	HurryTime  time.Duration
	// MaxConns is the most connections at once. Default 100,000.
	MaxConns int
	// MaxPerAddress is the most connections at once that have the same Address; 0 for no bound.
	MaxPerAddress int
	// Address returns where a request comes from, as it is counted. Default: the peer's address.
	Address func(ctx *fasthttp.RequestCtx) netip.Addr
	// Limited is told of what is refused because of a limit. May be nil.
	Limited func(name limits.Name)
	// PingEvery is the time between pings; a peer that shows no life for two such
	// spans is cut off. Default 25 s.
	PingEvery time.Duration
	// CheckOrigin decides on a browser's Origin. Default: the same host.
	CheckOrigin func(ctx *fasthttp.RequestCtx) bool
	// CompressFrom is the smallest message in bytes that is compressed for peers
	// that negotiated it. Default 512.
	CompressFrom int
	// Logger receives panics. Default slog.Default().
	Logger *slog.Logger
	// Sent and Received are told of bytes on the wire and of each message.
	Sent, Received func(bytes int)
	// Closed is told of each connection that has ended, and the close code that it ended
	// with: the server's, else the peer's, 1006 when neither said one. May be nil.
	Closed func(c *Conn, code int)
}

// Server upgrades requests and holds the connections. Safe for concurrent use.
type Server struct {
	opt      Options
	upgrader websocket.FastHTTPUpgrader
	from     *limits.Counts[netip.Addr]
	room     *limits.Shares[netip.Addr]
	sending  sending
	ctx      context.Context // ends when the server stops
	stop     context.CancelFunc

	mu sync.Mutex
	// Guarded by mu.
	conns   map[*Conn]struct{}
	leaving bool
	empty   chan struct{} // closed when leaving and no connection is left
}

// New makes a Server. Close it with Shutdown.
func New(opt Options) *Server {
	if opt.MaxMessage <= 0 {
		opt.MaxMessage = 1 << 20
	}
	if opt.MaxReceiving <= 0 {
		opt.MaxReceiving = 256 << 20
	}
	if opt.MaxSending <= 0 {
		opt.MaxSending = 1 << 30
	}
	if opt.HurryTime <= 0 {
		opt.HurryTime = 2 * time.Second
	}
	if opt.RoomWait <= 0 {
		opt.RoomWait = 10 * time.Second
	}
	if opt.MaxConns <= 0 {
		opt.MaxConns = 100_000
	}
	if opt.PingEvery <= 0 {
		opt.PingEvery = 25 * time.Second
	}
	if opt.CompressFrom <= 0 {
		opt.CompressFrom = 512
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.Address == nil {
		opt.Address = func(ctx *fasthttp.RequestCtx) netip.Addr {
			addr, _ := netip.AddrFromSlice(ctx.RemoteIP())
			return addr.Unmap()
		}
	}
	if opt.Limited == nil {
		opt.Limited = func(limits.Name) {}
	}
	if opt.Sent == nil {
		opt.Sent = func(int) {}
	}
	if opt.Received == nil {
		opt.Received = func(int) {}
	}
	if opt.Closed == nil {
		opt.Closed = func(*Conn, int) {}
	}
	s := &Server{opt: opt, from: limits.NewCounts[netip.Addr](opt.MaxPerAddress), conns: map[*Conn]struct{}{}, empty: make(chan struct{})}
	s.room = limits.NewShares[netip.Addr](opt.MaxReceiving, opt.MaxReceiving/4)
	s.sending = sending{most: opt.MaxSending, each: map[netip.Addr]int{}, lent: map[borrowed]int{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.upgrader = websocket.FastHTTPUpgrader{
		ReadBufferSize:    512,
		WriteBufferSize:   2048,
		WriteBufferPool:   &sync.Pool{},
		CheckOrigin:       opt.CheckOrigin,
		EnableCompression: true,
	}
	go s.pings()
	return s
}

// Serve upgrades a request and runs its connection with the handler that start
// makes. It refuses with an HTTP error when it cannot.
func (s *Server) Serve(ctx *fasthttp.RequestCtx, start func(c *Conn) Handler) {
	if s.opt.Subprotocol != "" && !offers(ctx, s.opt.Subprotocol) {
		ctx.Error("offer the WebSocket subprotocol "+s.opt.Subprotocol, fasthttp.StatusBadRequest)
		return
	}
	s.serve(ctx, s.opt.Subprotocol, start)
}

// ServeAny is Serve for peers that need not offer a subprotocol; when they offer this one it
// is chosen, since a browser that offers several expects one of them.
func (s *Server) ServeAny(ctx *fasthttp.RequestCtx, protocol string, start func(c *Conn) Handler) {
	s.serve(ctx, protocol, start)
}

func (s *Server) serve(ctx *fasthttp.RequestCtx, protocol string, start func(c *Conn) Handler) {
	carrier, ok := ctx.Conn().(gatherer)
	if !ok {
		ctx.Error("this listener does not carry WebSockets", fasthttp.StatusInternalServerError)
		return
	}
	if s.isLeaving() {
		ctx.Error("the server is stopping", fasthttp.StatusServiceUnavailable)
		return
	}
	info, since, deflates := trail.Of(ctx), time.Now(), agree(&ctx.Request.Header)
	from := s.opt.Address(ctx)
	upgrader := s.upgrader
	upgrader.Subprotocols = []string{protocol}
	err := upgrader.Upgrade(ctx, func(w *websocket.Conn) {
		// The request is kept for as long as the connection lives: let its buffers go.
		ctx.Request, ctx.Response = fasthttp.Request{}, fasthttp.Response{}
		s.run(&Conn{s: s, w: w, nc: carrier.gatherer(), deflates: deflates, from: from, info: info, since: since}, start)
	})
	if err != nil && ctx.Response.StatusCode() < 400 {
		ctx.Error(err.Error(), fasthttp.StatusBadRequest)
	}
}

func offers(ctx *fasthttp.RequestCtx, protocol string) bool {
	for f := range strings.SplitSeq(string(ctx.Request.Header.Peek("Sec-WebSocket-Protocol")), ",") {
		if strings.TrimSpace(f) == protocol {
			return true
		}
	}
	return false
}

// run is a connection's life, in the goroutine that fasthttp gives it.
func (s *Server) run(c *Conn, start func(c *Conn) Handler) {
	c.nc.leave()
	c.nc.gather(c.Wake, s.opt.PingEvery/2, c.touch)
	// The library closes without a reason, so the first say is ours; but a frame that says that it is
	// far larger is not waited for.
	c.w.SetReadLimit(2 * int64(s.opt.MaxMessage))
	c.w.SetPongHandler(func(string) error { c.touch(); return nil })
	c.w.SetPingHandler(c.pong)
	defer func() { s.opt.Closed(c, int(c.code.Load())) }()
	if refusal := s.add(c); refusal != nil {
		c.close(refusal)
		return
	}
	defer s.remove(c)
	var h Handler
	if why := c.guard(func() *CloseError { h = start(c); return nil }); why != nil {
		c.close(why)
		return
	}
	c.setHandler(h)
	defer h.Ended()
	c.close(c.guard(func() *CloseError { return c.read(h) }))
}

// guard runs f and turns a panic into a reason to close the connection: it must not
// take the process with it.
func (c *Conn) guard(f func() *CloseError) (why *CloseError) {
	defer func() {
		if p := recover(); p != nil {
			c.s.opt.Logger.Error("panic in a connection; it is closed", "remote", c.RemoteAddr(), "panic", p, "stack", string(debug.Stack()))
			why = &CloseError{CloseInternal, "the server failed"}
		}
	}()
	return f()
}

func (s *Server) isLeaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving
}

func (s *Server) add(c *Conn) *CloseError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving {
		return &CloseError{CloseGoingAway, "the server is stopping"}
	}
	if len(s.conns) >= s.opt.MaxConns {
		s.opt.Limited(limits.Connections)
		return &CloseError{CloseTryAgain, fmt.Sprintf("too many connections, the limit %s is %d", limits.Connections, s.opt.MaxConns)}
	}
	if _, ok := s.from.Enter(c.from, 0); !ok {
		s.opt.Limited(limits.AddressConnections)
		return &CloseError{CloseTryAgain, fmt.Sprintf("too many connections from this address, the limit %s is %d", limits.AddressConnections, s.opt.MaxPerAddress)}
	}
	s.conns[c] = struct{}{}
	return nil
}

func (s *Server) remove(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.from.Leave(c.from)
	if s.leaving && len(s.conns) == 0 {
		close(s.empty)
	}
	s.mu.Unlock()
}

// Conns returns how many connections are open.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *Server) all() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		out = append(out, c)
	}
	return out
}

// pings keeps connections alive and cuts off those that show no life. The pings are
// spread over the span by the time each connection was opened.
func (s *Server) pings() {
	every := s.opt.PingEvery / 16
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			now := time.Now()
			stood := now.Sub(last) - every
			if stood < every {
				stood = 0
			}
			last = now
			for _, c := range s.all() {
				c.tick(now, stood)
			}
		}
	}
}

// Shutdown tells every peer to come back, each after another delay up to spread,
// closes the connections with code 1001, and waits for them until ctx ends; what is
// left then is cut off. New connections are refused from the start.
func (s *Server) Shutdown(ctx context.Context, spread time.Duration) {
	s.mu.Lock()
	first := !s.leaving
	s.leaving = true
	if first {
		s.stop()
		if len(s.conns) == 0 {
			close(s.empty)
		}
	}
	s.mu.Unlock()
	for _, c := range s.all() {
		c.leave(time.Duration(float64(spread) * mrand.Float64()))
	}
	select {
	case <-s.empty:
	case <-ctx.Done():
		for _, c := range s.all() {
			_ = c.nc.cut()
		}
	}
}

// Conn is one connection. Wake may be called from any goroutine; the Send methods
// only inside Handler.Send.
type Conn struct {
	// Static.
	s        *Server
	w        *websocket.Conn
	nc       *netConn
	deflates bool // the peer takes compressed messages
	from     netip.Addr
	info     trail.Info
	since    time.Time

	sent, received, messages atomic.Int64 // bytes on the wire, bytes of messages, messages
	code                     atomic.Int32 // of the close; 0 until there is one

	sender   sync.Mutex  // held by the one goroutine that sends
	thinking atomic.Bool // the handler is in Send, where it may wait for room

	mu sync.Mutex
	// Guarded by mu.
	handler  Handler
	wanted   bool // there is something to send
	sending  bool // a goroutine sends
	alive    time.Time
	pinged   time.Time
	queued   int  // bytes the kernel held when it was last asked
	ping     bool // the sender is to send a ping
	departed bool
	ended    bool
}

func (c *Conn) setHandler(h Handler) {
	now := time.Now()
	c.mu.Lock()
	c.handler = h
	c.alive = now
	c.pinged = now.Add(-time.Duration(mrand.Float64() * float64(c.s.opt.PingEvery)))
	c.mu.Unlock()
	c.Wake()
}

// Wake has Send called soon. A goroutine exists only while there is something to
// send, so that a connection at rest costs no second stack.
func (c *Conn) Wake() {
	c.mu.Lock()
	c.wanted = true
	if !c.sending && c.handler != nil && !c.ended {
		c.sending = true
		go c.send()
	}
	c.mu.Unlock()
}

func (c *Conn) send() {
	c.sender.Lock()
	defer c.sender.Unlock()
	c.nc.setQuiet(true)
	for more := false; c.again(more); {
		if c.takePing() {
			// Only the sender and the reader may write: what they write to is gone,
			// or another's, once the connection has ended.
			_ = c.w.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
		}
		c.thinking.Store(true)
		why := c.guard(func() *CloseError { more = c.handler.Send(c); return nil })
		c.thinking.Store(false)
		if !c.flush() || why != nil {
			more = false
			_ = c.nc.cut() // ends the reader too
		}
	}
}

// again reports whether the sender has to go round again; if not, it is over.
func (c *Conn) again(more bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended && (c.wanted || more || !c.nc.leaveIdle()) {
		c.wanted = false
		return true
	}
	c.sending = false
	return false
}

func (c *Conn) takePing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ping := c.ping
	c.ping = false
	return ping
}

// maxPongs bounds in bytes what waits for a peer that pings and does not read.
const maxPongs = 64 << 10

func (c *Conn) pong(data string) error {
	c.touch()
	if c.nc.waiting() < maxPongs {
		_ = c.w.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	}
	return nil
}

// SendText sends one text message. p is not kept.
func (c *Conn) SendText(p []byte) {
	c.w.EnableWriteCompression(len(p) >= c.s.opt.CompressFrom)
	_ = c.w.WriteMessage(websocket.TextMessage, p) // it fails at the next flush
}

// Waiting returns how many bytes were handed to the Send methods since the last
// flush, so that a handler can send in pieces.
func (c *Conn) Waiting() int { return c.nc.waiting() }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() string { return c.nc.RemoteAddr().String() }

func (c *Conn) touch() {
	now := time.Now()
	c.mu.Lock()
	c.alive = now
	c.mu.Unlock()
}

// tick sends a ping when one is due and cuts the peer off when it has shown no life
// for two spans. Besides answering, it is a sign of life to take bytes that wait for
// it, however slowly: the ping itself may stand behind them. Time in which this process itself stood
// still is not held against the peer, whose signs of life nobody has read yet, nor that in which a ping waits
// for the handler.
func (c *Conn) tick(now time.Time, stood time.Duration) {
	span := c.s.opt.PingEvery
	c.mu.Lock()
	if c.handler == nil {
		c.mu.Unlock()
		return
	}
	if c.alive = c.alive.Add(stood); c.alive.After(now) {
		c.alive = now
	}
	if c.ping && c.thinking.Load() {
		c.alive = now
	}
	due := now.Sub(c.pinged) >= span
	if due {
		c.pinged, c.ping = now, true
	}
	if now.Sub(c.alive) > span {
		n := queued(c.nc.wire.Conn)
		if n < c.queued {
			c.alive = now
		}
		c.queued = n
	}
	dead := now.Sub(c.alive) > 2*span+span/8
	c.mu.Unlock()
	if dead {
		_ = c.nc.cut()
	} else if due {
		c.Wake()
	}
}

// leave tells the peer to come back and closes the connection from this side; the
// reader ends when the peer answers or the server cuts it off.
func (c *Conn) leave(in time.Duration) {
	c.mu.Lock()
	h := c.handler
	again := c.departed
	c.departed = true
	c.mu.Unlock()
	if h == nil || again {
		return
	}
	h.Leaving(in)
	c.Wake()
}

// Depart is called by a handler inside Send after its last message: it closes the
// connection with code 1001.
func (c *Conn) Depart() { c.say(CloseGoingAway, "the server is going away") }

// closeWithin is how long a peer has to answer a close.
const closeWithin = 2 * time.Second

// Close is called by a handler inside Send after its last message: it closes the
// connection with a code, and cuts off a peer that does not agree.
func (c *Conn) Close(code int, reason string) {
	c.say(code, reason)
	_ = c.nc.SetReadDeadline(time.Now().Add(closeWithin))
}

// say sends a close frame.
func (c *Conn) say(code int, reason string) {
	c.code.CompareAndSwap(0, int32(code))
	_ = c.w.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(time.Second))
}

// close ends the connection from the reader's side: it stops the sender, briefly
// waits for what it is sending, and says why when there is a code. Nothing is
// written after it returned.
func (c *Conn) close(why *CloseError) {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.nc.finish(2 * time.Second)
	c.sender.Lock()
	defer c.sender.Unlock()
	c.nc.setQuiet(true)
	if why != nil && why.Code != 0 {
		if c.handler != nil {
			c.guard(func() *CloseError { c.handler.Send(c); return nil }) // the message that explains the close
		}
		c.say(why.Code, why.Reason)
	}
	c.flush()
}
