package web

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// Timeouts are how long a peer may take for each phase of a connection. What is not positive
// is its default. A WebSocket has none of them: its peer is judged by signs of life; see
// ws.Options.PingEvery.
type Timeouts struct {
	// Handshake is for that of TLS. Default 10 s.
	Handshake time.Duration
	// Header is for the first byte of a connection's first request, and then for the header of
	// each request. Default 10 s.
	Header time.Duration
	// Body is for the body of a request; a large one may take 1 s more for each 16 KiB that
	// came. Default 15 s.
	Body time.Duration
	// Write is for taking an answer, or a piece of up to 64 KiB of one without a fixed length.
	// Default 30 s.
	Write time.Duration
	// KeepAlive is for the next request on the connection. Default 60 s.
	KeepAlive time.Duration
}

// withDefaults returns t with what is not set.
func (t Timeouts) withDefaults() Timeouts {
	for _, f := range []struct {
		d *time.Duration
		s time.Duration
	}{{&t.Handshake, 10}, {&t.Header, 10}, {&t.Body, 15}, {&t.Write, 30}, {&t.KeepAlive, 60}} {
		if *f.d <= 0 {
			*f.d = f.s * time.Second
		}
	}
	return t
}

// newcomers are the connections on which no request has begun. fasthttp waits for each of them
// for five seconds when it stops; many are only kept in reserve by browsers.
type newcomers struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{} // guarded by mu
}

// state follows a connection; it is fasthttp.Server.ConnState.
func (n *newcomers) state(c net.Conn, s fasthttp.ConnState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s != fasthttp.StateNew {
		delete(n.conns, c)
		return
	}
	if n.conns == nil {
		n.conns = map[net.Conn]struct{}{}
	}
	n.conns[c] = struct{}{}
}

// firstRequest is how long a connection that was just made has for its first request when
// the server stops: what is on its way is answered.
const firstRequest = time.Second

// shutdown cuts off those that did not begin a request in that time. No more may come.
func (n *newcomers) shutdown(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(firstRequest):
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		_ = c.Close()
	}
}
