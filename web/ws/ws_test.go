package ws

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	peer "github.com/coder/websocket"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"quire/storage/storagetest/overdue"
	"quire/web/certs"
	"quire/web/certs/certstest"
)

func TestMain(m *testing.M) {
	// The HTTP server keeps a clock running for the Date header, and its pools.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// echo is a handler that says what it hears, and does what it is told.
type echo struct {
	c     *Conn
	ended chan struct{}

	mu     sync.Mutex
	out    [][]byte
	do     []func(c *Conn)
	bye    bool
	boom   bool
	closes bool
}

func (e *echo) Receive(data []byte) *CloseError {
	switch {
	case string(data) == "panic":
		panic("as told")
	case string(data) == "panic in send":
		e.mu.Lock()
		e.boom = true
		e.mu.Unlock()
	case string(data) == "close":
		e.mu.Lock()
		e.closes = true
		e.mu.Unlock()
		e.c.Wake()
	case string(data) == "leave":
		return &CloseError{4000, "as told"}
	case strings.HasPrefix(string(data), "flood "):
		var n int
		fmt.Sscanf(string(data), "flood %d", &n)
		e.say(bytes.Repeat([]byte("x"), n))
		return nil
	default:
		e.say(append([]byte(nil), data...))
	}
	e.c.Wake()
	return nil
}

func (e *echo) say(msg []byte) {
	e.mu.Lock()
	e.out = append(e.out, msg)
	e.mu.Unlock()
	e.c.Wake()
}

func (e *echo) Send(c *Conn) bool {
	e.mu.Lock()
	out, bye, boom, closes := e.out, e.bye, e.boom, e.closes
	do := e.do
	e.out, e.do, e.bye, e.closes = nil, nil, false, false
	e.mu.Unlock()
	if boom {
		panic("as told")
	}
	for _, m := range out {
		c.SendText(m)
	}
	for _, f := range do {
		f(c)
	}
	if closes {
		c.SendText([]byte("last words"))
		c.Close(CloseTryAgain, "as told")
	}
	if bye {
		c.SendText([]byte("bye"))
		c.Depart()
	}
	return false
}

func (e *echo) Ended() { close(e.ended) }

func (e *echo) Leaving(time.Duration) {
	e.mu.Lock()
	e.bye = true
	e.mu.Unlock()
}

// host is a server on loopback.
type host struct {
	t     *testing.T
	s     *Server
	http  *fasthttp.Server
	addr  string
	conns chan *echo
	log   *bytes.Buffer
	trust *tls.Config // nil: without TLS
	any   atomic.Bool // subprotocols are not asked for
}

func serve(t *testing.T, opt Options) *host {
	h := &host{t: t, conns: make(chan *echo, 100), log: &bytes.Buffer{}}
	opt.Logger = slog.New(slog.NewTextHandler(h.log, nil))
	h.s = New(opt)
	h.http = &fasthttp.Server{ReduceMemoryUsage: true, ReadTimeout: time.Minute, Handler: func(ctx *fasthttp.RequestCtx) {
		take := h.s.Serve
		if h.any.Load() {
			take = func(ctx *fasthttp.RequestCtx, start func(c *Conn) Handler) { h.s.ServeAny(ctx, "sharedb", start) }
		}
		take(ctx, func(c *Conn) Handler {
			e := &echo{c: c, ended: make(chan struct{})}
			h.conns <- e
			return e
		})
	}}
	overdue.Watch(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	done := make(chan error, 1)
	listener := Listener{Listener: ln}
	if strings.HasPrefix(t.Name(), "TestOverTLS/") {
		pair := certstest.New(t)
		listener.TLS = certs.Config(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair.TLS, nil })
		h.trust = &tls.Config{RootCAs: pair.Pool}
	}
	go func() { done <- h.http.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		h.s.Shutdown(ctx, 0)
		if err := h.http.ShutdownWithContext(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return h
}

// dial connects with an independent implementation of WebSockets.
func (h *host) dial(mode peer.CompressionMode, protocols ...string) (*peer.Conn, *echo) {
	h.t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return h.connect() }}}
	c, _, err := peer.Dial(context.Background(), "ws://"+h.addr+"/", &peer.DialOptions{HTTPClient: client, CompressionMode: mode, CompressionThreshold: 1, Subprotocols: protocols})
	if err != nil {
		h.t.Fatal(err)
	}
	c.SetReadLimit(1 << 30)
	h.t.Cleanup(func() { _ = c.CloseNow() })
	return c, <-h.conns
}

// connect makes a connection, by TLS when the server speaks it.
func (h *host) connect() (net.Conn, error) {
	if h.trust != nil {
		return tls.Dial("tcp", h.addr, h.trust)
	}
	return net.Dial("tcp", h.addr)
}

// bare returns a connection without its TLS.
func bare(c net.Conn) *net.TCPConn {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return c.(*net.TCPConn)
}

// raw connects and upgrades by hand, for frames that no library would send.
func (h *host) raw() (net.Conn, *bufio.Reader, *echo) {
	h.t.Helper()
	c, err := h.connect()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		h.t.Fatal(resp, err)
	}
	return c, r, <-h.conns
}

// frame makes a masked client frame with a mask of zeros.
func frame(first byte, payload []byte) []byte {
	f := []byte{first}
	switch n := len(payload); {
	case n < 126:
		f = append(f, 0x80|byte(n))
	case n < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, 0x80|126), uint16(n))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 0x80|127), uint64(n))
	}
	return append(append(f, 0, 0, 0, 0), payload...)
}

// closeCode reads frames until a close frame and returns its code, or 0 at the end.
func closeCode(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	for {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return 0
		}
		n := int(head[1])
		if n == 126 {
			var ext [2]byte
			_, _ = io.ReadFull(r, ext[:])
			n = int(binary.BigEndian.Uint16(ext[:]))
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil {
			return 0
		}
		if head[0]&0xf == 8 {
			return int(binary.BigEndian.Uint16(body))
		}
	}
}

func TestEcho(t *testing.T) {
	h := serve(t, Options{CompressFrom: 100})
	for _, mode := range []peer.CompressionMode{peer.CompressionDisabled, peer.CompressionNoContextTakeover} {
		c, _ := h.dial(mode)
		for _, n := range []int{0, 1, 99, 100, 125, 126, 3000, 70_000, 1 << 20} {
			msg := strings.Repeat("é", n/2)
			if err := c.Write(context.Background(), peer.MessageText, []byte(msg)); err != nil {
				t.Fatal(err)
			}
			_, got, err := c.Read(context.Background())
			if err != nil || string(got) != msg {
				t.Fatalf("%d bytes: got %d, %v", n, len(got), err)
			}
		}
	}
}

func TestSubprotocolIsAskedFor(t *testing.T) {
	h := serve(t, Options{Subprotocol: "quire.v1"})
	c, _ := h.dial(peer.CompressionDisabled, "other", "quire.v1")
	if c.Subprotocol() != "quire.v1" {
		t.Errorf("agreed on %q", c.Subprotocol())
	}
	_, resp, err := peer.Dial(context.Background(), "ws://"+h.addr+"/", nil)
	if err == nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("without the subprotocol: %v, %v", resp, err)
	}
}

func TestRefusedMessages(t *testing.T) {
	bomb := func() []byte {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, flate.BestCompression)
		_, _ = w.Write(bytes.Repeat([]byte("0"), 8<<20))
		_ = w.Flush()
		return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
	}()
	if len(bomb) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for _, c := range []struct {
		name string
		send []byte
		code int
	}{
		{"binary", frame(0x82, []byte("x")), CloseUnsupported},
		{"not UTF-8", frame(0x81, []byte{0xff}), CloseInvalid},
		{"half a character", frame(0x81, []byte("é")[:1]), CloseInvalid},
		{"too large", frame(0x81, make([]byte, 100_001)), CloseTooBig},
		{"a frame that says 100 MB", append(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, 100<<20), 0, 0, 0, 0), CloseTooBig},
		{"a frame that says 2^63", append(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, 1<<63), 0, 0, 0, 0), CloseTooBig},
		{"fragments that add up", append(frame(0x01, make([]byte, 60_000)), frame(0x80, make([]byte, 60_000))...), CloseTooBig},
		{"a compressed bomb", frame(0xc1, bomb), CloseTooBig},
		{"told by the handler", frame(0x81, []byte("leave")), 4000},
		{"not masked", []byte{0x81, 1, 'x'}, 1002},
		{"reserved bits", frame(0xb1, []byte("x")), 1002},
		{"broken deflate", frame(0xc1, []byte{0xff, 0xff, 0xff}), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := serve(t, Options{MaxMessage: 100_000})
			conn, r, e := h.raw()
			if _, err := conn.Write(c.send); err != nil && c.code != CloseTooBig { // it is closed before all of it came
				t.Fatal(err)
			}
			if code := closeCode(t, r); code != c.code && !(c.code == CloseTooBig && code == 0) {
				t.Errorf("close code %d, want %d", code, c.code)
			}
			conn.Close()
			<-e.ended
		})
	}
}

func TestPanicsStayInTheirConnection(t *testing.T) {
	for _, where := range []string{"panic", "panic in send"} {
		h := serve(t, Options{})
		bad, e := h.dial(peer.CompressionDisabled)
		good, _ := h.dial(peer.CompressionDisabled)
		if err := bad.Write(context.Background(), peer.MessageText, []byte(where)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := bad.Read(context.Background()); err == nil {
			t.Errorf("%s: the connection goes on", where)
		}
		<-e.ended
		if err := good.Write(context.Background(), peer.MessageText, []byte("hi")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := good.Read(context.Background()); err != nil || string(got) != "hi" {
			t.Errorf("%s: another connection: %q, %v", where, got, err)
		}
		if !strings.Contains(h.log.String(), "panic in a connection") {
			t.Errorf("%s is not in the log", where)
		}
	}
}

// TestClose closes connections from the sender's side: of a peer that agrees, and of one
// that does not.
func TestClose(t *testing.T) {
	h := serve(t, Options{})
	c, e := h.dial(peer.CompressionDisabled)
	if err := c.Write(context.Background(), peer.MessageText, []byte("close")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(context.Background()); string(got) != "last words" {
		t.Errorf("read %q, %v", got, err)
	}
	if _, _, err := c.Read(context.Background()); peer.CloseStatus(err) != CloseTryAgain {
		t.Errorf("the connection ends with %v", err)
	}
	<-e.ended
	stubborn, r, e := h.raw()
	if _, err := stubborn.Write(frame(0x81, []byte("close"))); err != nil {
		t.Fatal(err)
	}
	if code := closeCode(t, r); code != CloseTryAgain {
		t.Errorf("closed with %d", code)
	}
	<-e.ended
}

// TestSubprotocolBesideAToken offers a token as browsers do: it is never what is agreed on.
func TestSubprotocolBesideAToken(t *testing.T) {
	h := serve(t, Options{Subprotocol: "quire.v1"})
	for _, any := range []bool{false, true} {
		h.any.Store(any)
		want := map[bool]string{false: "quire.v1", true: "sharedb"}[any]
		if c, _ := h.dial(peer.CompressionDisabled, "quire.token.a.b.c", "sharedb", "quire.v1"); c.Subprotocol() != want {
			t.Errorf("agreed on %q, want %q", c.Subprotocol(), want)
		}
		if c, _, err := peer.Dial(context.Background(), "ws://"+h.addr+"/", &peer.DialOptions{Subprotocols: []string{"quire.token.a.b.c"}}); err == nil {
			if c.Subprotocol() != "" {
				t.Errorf("agreed on %q", c.Subprotocol())
			}
			c.CloseNow()
		}
	}
}

// TestServeAny takes peers that offer no subprotocol, on the server that asks for one.
func TestServeAny(t *testing.T) {
	h := serve(t, Options{Subprotocol: "quire.v1"})
	h.any.Store(true)
	c, _, err := peer.Dial(context.Background(), "ws://"+h.addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(context.Background(), peer.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(context.Background()); string(got) != "hello" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestHalfOpenPeerIsCutOff(t *testing.T) {
	h := serve(t, Options{PingEvery: 100 * time.Millisecond})
	_, _, e := h.raw() // never answers a ping
	c, live := h.dial(peer.CompressionDisabled)
	go func() { // answers pings while it reads
		for {
			if _, _, err := c.Read(context.Background()); err != nil {
				return
			}
		}
	}()
	<-e.ended
	select {
	case <-live.ended:
		t.Error("the peer that answers was cut off, too")
	default:
	}
	n := h.s.Conns()
	for ; n > 1; n = h.s.Conns() { // a handler's end comes before its connection's
		runtime.Gosched()
	}
	if n != 1 {
		t.Errorf("%d connections are left", n)
	}
}

// TestPingAfterTheEnd has a ping fall due for a connection that has just ended: what it
// would be written to is gone by then, or another connection's.
func TestPingAfterTheEnd(t *testing.T) {
	h := serve(t, Options{})
	conn, _, e := h.raw()
	conn.Close()
	<-e.ended
	for range 2000 {
		e.c.mu.Lock()
		e.c.pinged, e.c.alive = time.Time{}, time.Now()
		e.c.mu.Unlock()
		e.c.tick(time.Now(), 0)
		runtime.Gosched()
	}
	if n := e.c.Waiting(); n > 0 {
		t.Errorf("%d bytes were written to a connection that has ended", n)
	}
}

// TestStandingStill counts no time against a peer in which the server itself stood still, as when its machine was
// suspended.
func TestStandingStill(t *testing.T) {
	h := serve(t, Options{PingEvery: time.Hour})
	c, e := h.dial(peer.CompressionDisabled)
	if err := c.Write(t.Context(), peer.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(t.Context()); err != nil { // from now on nothing more is heard of it
		t.Fatal(err)
	}
	silent := func() time.Time {
		e.c.mu.Lock()
		defer e.c.mu.Unlock()
		e.c.alive = time.Now().Add(-3 * time.Hour)
		return time.Now()
	}
	e.c.tick(silent(), 3*time.Hour)
	e.c.tick(time.Now(), 0)
	select {
	case <-e.ended:
		t.Fatal("cut off for what the server did not hear")
	default:
	}
	e.c.mu.Lock()
	if e.c.alive.After(time.Now()) {
		t.Error("it may be silent for longer than others")
	}
	e.c.mu.Unlock()
	e.c.tick(silent(), 0)
	<-e.ended
}

// TestThinkingHandler counts no time against a peer in which its ping waits for the handler.
func TestThinkingHandler(t *testing.T) {
	h := serve(t, Options{PingEvery: time.Hour})
	c, e := h.dial(peer.CompressionDisabled)
	thinks, done := make(chan struct{}), make(chan struct{})
	e.mu.Lock()
	e.do = append(e.do, func(c *Conn) {
		close(thinks)
		<-done
		c.SendText([]byte("thought"))
	})
	e.mu.Unlock()
	e.c.Wake()
	<-thinks
	silent := func(ping bool) {
		e.c.mu.Lock()
		e.c.pinged, e.c.alive, e.c.ping = time.Now(), time.Now().Add(-3*time.Hour), ping
		e.c.mu.Unlock()
		e.c.tick(time.Now(), 0)
	}
	silent(true)
	select {
	case <-e.ended:
		t.Fatal("cut off for a ping that was not sent")
	default:
	}
	close(done)
	if _, got, err := c.Read(t.Context()); err != nil || string(got) != "thought" {
		t.Fatalf("%q, %v", got, err)
	}
	silent(false)
	<-e.ended
}

func TestSlowUploadLives(t *testing.T) {
	h := serve(t, Options{PingEvery: 100 * time.Millisecond})
	conn, r, e := h.raw()
	msg := frame(0x81, bytes.Repeat([]byte("x"), 60))
	for i := range msg { // far longer in all than pings allow
		if _, err := conn.Write(msg[i : i+1]); err != nil {
			t.Fatal(err)
		}
		select {
		case <-e.ended:
			t.Fatalf("cut off after %d bytes", i)
		case <-time.After(10 * time.Millisecond): // the speed of this peer
		}
	}
	for {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			t.Fatal(err)
		}
		body := make([]byte, head[1])
		if _, err := io.ReadFull(r, body); err != nil {
			t.Fatal(err)
		}
		if head[0] == 0x81 {
			return // the echo
		}
	}
}

func TestSlowReaderLives(t *testing.T) {
	// A span is long beside what a busy machine needs to make the flood, and encrypt it.
	h := serve(t, Options{PingEvery: 500 * time.Millisecond, CompressFrom: 1 << 30})
	conn, r, e := h.raw()
	// What lies in this peer's own buffer the server cannot see: keep it small.
	if err := bare(conn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	const size = 16 << 20
	if _, err := conn.Write(frame(0x81, fmt.Appendf(nil, "flood %d", size))); err != nil {
		t.Fatal(err)
	}
	// It answers no ping and takes its time, far more than pings allow, but takes.
	got := 0
	buf := make([]byte, size/40)
	for start := time.Now(); got < size; {
		select {
		case <-e.ended:
			t.Fatalf("cut off after %v with %d bytes taken", time.Since(start), got)
		case <-time.After(75 * time.Millisecond): // the speed of this peer
		}
		n, err := io.ReadFull(r, buf[:min(len(buf), size-got)])
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
}

func TestShutdownIsBounded(t *testing.T) {
	h := serve(t, Options{CompressFrom: 1 << 30})
	polite, _ := h.dial(peer.CompressionDisabled)
	stuck, _, _ := h.raw() // never reads
	if _, err := stuck.Write(frame(0x81, []byte("flood 50000000"))); err != nil {
		t.Fatal(err)
	}
	half, err := net.Dial("tcp", h.addr) // sends half a request
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	fmt.Fprintf(half, "GET / HTT")

	said := make(chan string, 1)
	go func() {
		_, msg, _ := polite.Read(context.Background())
		_, _, err := polite.Read(context.Background())
		said <- fmt.Sprintf("%s, then %d", msg, peer.CloseStatus(err))
	}()
	// It waits for the two that do not answer, until it is told not to.
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { h.s.Shutdown(ctx, time.Second); close(over) }()
	if got := <-said; got != "bye, then 1001" {
		t.Errorf("the polite peer got %s", got)
	}
	cancel()
	<-over
	if _, resp, err := peer.Dial(context.Background(), "ws://"+h.addr+"/", nil); err == nil {
		t.Errorf("a connection was accepted after the shutdown: %v", resp.Status)
	}
}

func TestTooManyConnections(t *testing.T) {
	h := serve(t, Options{MaxConns: 2})
	h.dial(peer.CompressionDisabled)
	h.dial(peer.CompressionDisabled)
	c, _, err := peer.Dial(context.Background(), "ws://"+h.addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(context.Background()); peer.CloseStatus(err) != CloseTryAgain {
		t.Errorf("the third connection: %v", err)
	}
}

func TestPingFloodDoesNotGrow(t *testing.T) {
	h := serve(t, Options{})
	conn, _, e := h.raw() // never reads the pongs
	go func() {
		ping := frame(0x89, make([]byte, 125))
		for range 200_000 {
			if _, err := conn.Write(ping); err != nil {
				return
			}
		}
		conn.Close()
	}()
	for done := false; !done; {
		select {
		case <-e.ended:
			done = true
		case <-time.After(time.Millisecond):
			if n := e.c.Waiting(); n > maxPongs+1000 {
				t.Fatalf("%d bytes of pongs wait", n)
			}
		}
	}
}

// counter counts the writes of a connection.
type counter struct {
	net.Conn
	writes [][]byte
}

func (c *counter) Write(p []byte) (int, error) {
	c.writes = append(c.writes, append([]byte(nil), p...))
	return len(p), nil
}
func (c *counter) SetWriteDeadline(time.Time) error { return nil }

func TestWaitingFramesLeaveInOneWrite(t *testing.T) {
	w := &counter{}
	nc := &netConn{wire: wire{Conn: w}}
	nc.Conn = &nc.wire
	woken := 0
	_, _ = nc.Write([]byte("HTTP/1.1 101\r\n"))
	nc.gather(func() { woken++ }, time.Second, func() {})
	for i := range 8 {
		_, _ = nc.Write([]byte{byte('0' + i)})
	}
	if woken != 8 || nc.waiting() != 8 {
		t.Errorf("woken %d times, %d bytes wait", woken, nc.waiting())
	}
	parts, _, _ := nc.take()
	if n, err := nc.flush(parts); n != 8 || err != nil {
		t.Errorf("flush: %d, %v", n, err)
	}
	if len(w.writes) != 2 || string(w.writes[1]) != "01234567" {
		t.Errorf("writes %q", w.writes)
	}
}
