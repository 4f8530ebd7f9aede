// Package stream answers HTTP requests with bodies that have no fixed length: events,
// exports, backups. Each takes its connection over from fasthttp, so that every write has
// a deadline of its own, a peer that went away is noticed, all of them end when the
// server stops, and a panic in one ends that one only.
package stream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"quire/web/ws"
)

// Options configures a Server. The zero value is usable.
type Options struct {
	// Max is the most streams at once. Default 1,000.
	Max int
	// WriteTimeout is how long the peer may take for each piece of up to 64 KiB.
	// Default 30 s.
	WriteTimeout time.Duration
	// Logger receives panics. Default slog.Default().
	Logger *slog.Logger
}

// Server runs the streams. Safe for concurrent use.
type Server struct {
	opt  Options
	ctx  context.Context // ends when the server stops
	stop context.CancelFunc

	mu      sync.Mutex
	running map[net.Conn]struct{} // guarded by mu
	places  int                   // taken; guarded by mu
	idle    chan struct{}         // closed when the last one ended after Shutdown; guarded by mu
}

// New makes a Server.
func New(opt Options) *Server {
	if opt.Max <= 0 {
		opt.Max = 1000
	}
	if opt.WriteTimeout <= 0 {
		opt.WriteTimeout = 30 * time.Second
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	s := &Server{opt: opt, running: map[net.Conn]struct{}{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Context ends when the server stops.
func (s *Server) Context() context.Context { return s.ctx }

// Max returns the most streams at once.
func (s *Server) Max() int { return s.opt.Max }

// Streams returns how many there are.
func (s *Server) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.places
}

// Start answers a request with the header that ctx.Response has now and the body that
// run writes; run is called after the handler returned, and must not use ctx. It is not called for a peer
// that left before; ended is called once, in any case, when it is all over. Start reports
// false, with nothing done, when there are Max streams or the server stops. A body that run ends
// with an error is cut off so that the peer can tell.
func (s *Server) Start(ctx *fasthttp.RequestCtx, run func(w *Writer) error, ended func()) bool {
	if !s.enter() {
		return false
	}
	conn := ctx.Conn()
	var begun atomic.Bool
	over := func() {
		defer ended()
		s.leave(conn)
	}
	ws.OnClose(conn, func() { // the answer may not even begin
		if begun.CompareAndSwap(false, true) {
			over()
		}
	})
	chunked := ctx.Request.Header.IsHTTP11()
	header := headerOf(&ctx.Response.Header, chunked)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) {
		if begun.CompareAndSwap(false, true) {
			defer over()
			s.run(conn, c, header, chunked, run)
		}
	})
	return true
}

// headerOf returns a response's header as it goes over the wire. (fasthttp would add a
// length.)
func headerOf(h *fasthttp.ResponseHeader, chunked bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", h.StatusCode(), fasthttp.StatusMessage(h.StatusCode()))
	fmt.Fprintf(&b, "Date: %s\r\n", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	for k, v := range h.All() {
		switch string(k) {
		case "Content-Length", "Transfer-Encoding", "Connection", "Date":
		default:
			fmt.Fprintf(&b, "%s: %s\r\n", k, v)
		}
	}
	if chunked {
		b.WriteString("Transfer-Encoding: chunked\r\n")
	}
	b.WriteString("Connection: close\r\n\r\n")
	return b.Bytes()
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil || s.places >= s.opt.Max {
		return false
	}
	s.places++
	return true
}

func (s *Server) run(conn, c net.Conn, header []byte, chunked bool, run func(w *Writer) error) {
	ctx, cancel := context.WithCancel(s.ctx)
	w := &Writer{ctx: ctx, conn: c, timeout: s.opt.WriteTimeout, chunked: chunked}
	s.mu.Lock()
	s.running[conn] = struct{}{}
	s.mu.Unlock()
	watched := make(chan struct{})
	go func() { // what else the peer sends is of no interest, but that it left is
		defer close(watched)
		_, _ = io.Copy(io.Discard, c)
		cancel()
	}()
	defer func() {
		if p := recover(); p != nil {
			s.opt.Logger.Error("panic in a stream", "panic", p, "stack", string(debug.Stack()))
		}
		cancel()
		_ = c.SetReadDeadline(time.Now())
		<-watched
	}()
	if w.raw(header) == nil && run(w) == nil {
		w.end()
	}
}

func (s *Server) leave(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, c)
	if s.places--; s.places == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// Shutdown ends all streams: their contexts end, and what is left when ctx ends is cut
// off. No more are started.
func (s *Server) Shutdown(ctx context.Context) {
	s.mu.Lock()
	s.stop()
	if s.places == 0 {
		s.mu.Unlock()
		return
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
		return
	case <-ctx.Done():
	}
	s.mu.Lock()
	left := slices.Collect(maps.Keys(s.running))
	s.mu.Unlock()
	for _, c := range left {
		_ = c.Close()
	}
}

// piece is the most that is written under one deadline, and about how much gathers
// before it is sent.
const piece = 64 << 10

// Writer is the body of an answer. Not safe for concurrent use.
type Writer struct {
	ctx     context.Context
	conn    net.Conn
	timeout time.Duration
	chunked bool
	buf     []byte
	err     error
}

// Context ends when the peer went away or the server stops.
func (w *Writer) Context() context.Context { return w.ctx }

// Write adds to the body. It is sent when enough has gathered, or by Flush; what is large is
// sent at once, not copied: very many streams may send the same.
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) >= piece {
		if w.Flush() == nil {
			w.err = w.whole(p)
		}
		return len(p), w.err
	}
	w.buf = append(w.buf, p...)
	if len(w.buf) >= piece {
		return len(p), w.Flush()
	}
	return len(p), w.err
}

// Flush sends what was written. An error is for good.
func (w *Writer) Flush() error {
	if w.err == nil && len(w.buf) > 0 {
		if w.chunked {
			w.err = w.raw(fmt.Appendf(nil, "%x\r\n", len(w.buf)))
			w.buf = append(w.buf, "\r\n"...)
		}
		if w.err == nil {
			w.err = w.raw(w.buf)
		}
	}
	if w.buf = w.buf[:0]; cap(w.buf) > 4*piece {
		w.buf = nil
	}
	return w.err
}

// whole sends p by itself.
func (w *Writer) whole(p []byte) error {
	if !w.chunked {
		return w.raw(p)
	}
	for _, part := range [][]byte{fmt.Appendf(nil, "%x\r\n", len(p)), p, []byte("\r\n")} {
		if err := w.raw(part); err != nil {
			return err
		}
	}
	return nil
}

// end sends the rest, and that it was the rest.
func (w *Writer) end() {
	if w.Flush() == nil && w.chunked {
		w.err = w.raw([]byte("0\r\n\r\n"))
	}
}

func (w *Writer) raw(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), piece)
		if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
			return err
		}
		if _, err := w.conn.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}
