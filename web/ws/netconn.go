package ws

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Listener wraps the connections of a listener so that, once one of them has become
// a WebSocket, the frames waiting for it leave in one write, above TLS when it is on.
type Listener struct {
	// Listener accepts bare connections, to which TLS was not done. Required.
	net.Listener
	// TLS is how connections are encrypted; nil: not at all.
	TLS *tls.Config
	// HandshakeTimeout is how long a peer may take for the TLS handshake. Default 10 s.
	HandshakeTimeout time.Duration
	// Admit decides on a connection by the address it comes from: whether it is one too many, and is
	// to be told so, and whether it is taken at all. leave is called when the connection is closed or has become a
	// WebSocket. Nil takes every one.
	Admit func(from net.Addr) (leave func(), over, ok bool)
}

// Accept returns the next connection, wrapped, with TCP_NODELAY on (Go's default). The
// handshake is done when the connection is first used, in the goroutine that serves it.
func (l Listener) Accept() (net.Conn, error) {
	nc, err := l.accept()
	if err != nil {
		return nil, err
	}
	if l.TLS == nil {
		return nc, nil
	}
	timeout := l.HandshakeTimeout
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	secure := tls.Server(&nc.wire, l.TLS)
	nc.Conn = secure
	return &secureConn{netConn: nc, tls: secure, timeout: timeout}, nil
}

// accept returns the next connection that is admitted.
func (l Listener) accept() (*netConn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		nc := &netConn{wire: wire{Conn: c}}
		nc.Conn = &nc.wire
		if l.Admit == nil {
			return nc, nil
		}
		leave, over, ok := l.Admit(c.RemoteAddr())
		if ok {
			nc.admitted, nc.over = leave, over
			return nc, nil
		}
		_ = c.Close()
	}
}

// Over reports whether a connection of a Listener is one too many.
func Over(c net.Conn) bool {
	g, ok := c.(gatherer)
	return ok && g.gatherer().over
}

// gatherer is a connection of Listener.
type gatherer interface{ gatherer() *netConn }

// netConn is a connection whose writes, after gather was called, collect in memory
// until flush sends them. Writing never blocks then; flush does.
type netConn struct {
	net.Conn // &wire, or TLS on it
	wire     wire
	admitted func() // leave of Listener.Admit; may be nil
	over     bool   // one too many
	left     atomic.Bool

	mu sync.Mutex
	// Guarded by mu.
	gathering bool
	quiet     bool   // the sender is at work and will look again
	wake      func() // called after a write that collected, unless quiet
	before    []part // what goes out before buf
	waits     int    // bytes in before and buf
	buf       *[]byte
	err       error
	closed    bool
	onClose   []func()
}

// OnClose has fn called once when the server is done with a connection, whatever became of what was
// begun on it; at once when it is already. For connections that no Listener made it reports false.
func OnClose(c net.Conn, fn func()) bool {
	g, ok := c.(gatherer)
	if !ok {
		return false
	}
	nc := g.gatherer()
	nc.mu.Lock()
	if !nc.closed {
		nc.onClose = append(nc.onClose, fn)
		fn = nil
	}
	nc.mu.Unlock()
	if fn != nil {
		fn()
	}
	return true
}

// leave tells Listener.Admit, once, that the connection does not count any more.
func (c *netConn) leave() {
	if c.admitted != nil && c.left.CompareAndSwap(false, true) {
		c.admitted()
	}
}

// Close closes the connection.
func (c *netConn) Close() error {
	c.leave()
	err := c.Conn.Close()
	c.mu.Lock()
	fns := c.onClose
	c.closed, c.onClose = true, nil
	c.mu.Unlock()
	for _, fn := range fns {
		fn()
	}
	return err
}

func (c *netConn) gatherer() *netConn { return c }

// secureConn is a netConn with TLS. fasthttp calls Handshake before anything else, and tells
// by these methods that a request came by TLS.
type secureConn struct {
	*netConn
	tls     *tls.Conn
	timeout time.Duration
}

// Handshake does the TLS handshake, in the time that the peer has for it.
func (c *secureConn) Handshake() error {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	err := c.tls.Handshake()
	var foreign tls.RecordHeaderError
	if errors.As(err, &foreign) && foreign.Conn != nil && string(foreign.RecordHeader[:]) >= "A" && string(foreign.RecordHeader[:]) < "Z" {
		_, _ = io.WriteString(foreign.Conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis address speaks HTTPS only.\n")
	}
	if err != nil {
		_ = c.cut()
		return err
	}
	return c.SetDeadline(time.Time{})
}

// ConnectionState returns what was agreed on in the handshake.
func (c *secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the largest buffer kept for reuse.
const maxPooled = 64 << 10

// gather begins to collect what is written. From now on the peer may take it as slowly as
// it likes: progress is called when it took some of it after waiting for look.
func (c *netConn) gather(wake func(), look time.Duration, progress func()) {
	c.mu.Lock()
	c.gathering, c.wake = true, wake
	c.mu.Unlock()
	c.wire.bePatient(look, progress)
}

// Write sends p, or collects it once gather was called.
func (c *netConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if !c.gathering {
		c.mu.Unlock()
		return c.Conn.Write(p)
	}
	if c.err != nil {
		defer c.mu.Unlock()
		return 0, c.err
	}
	if c.buf == nil {
		c.buf = buffers.Get().(*[]byte)
	}
	*c.buf = append(*c.buf, p...)
	c.waits += len(p)
	quiet := c.quiet
	c.mu.Unlock()
	if !quiet {
		c.wake()
	}
	return len(p), nil
}

// part is what goes out in one write: own bytes, or lent ones.
type part struct {
	own *[]byte
	lent
}

// lent is bytes that belong to a Shared.
type lent struct {
	of   *Shared
	data []byte
}

// writeAround collects what is the connection's own and, between it, bytes that it shares with others. For the
// sender, after gather was called.
func (c *netConn) writeAround(before []byte, shared lent, after []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	if c.buf == nil {
		c.buf = buffers.Get().(*[]byte)
	}
	*c.buf = append(*c.buf, before...)
	c.before = append(c.before, part{own: c.buf}, part{lent: shared})
	c.buf = buffers.Get().(*[]byte)
	*c.buf = append(*c.buf, after...)
	c.waits += len(before) + len(shared.data) + len(after)
}

func (c *netConn) setQuiet(quiet bool) {
	c.mu.Lock()
	c.quiet = quiet
	c.mu.Unlock()
}

// leaveIdle ends the quiet unless something waits, and reports whether it did: the
// sender may go then, the next write wakes it.
func (c *netConn) leaveIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits > 0 {
		return false
	}
	c.quiet = false
	return true
}

// CloseWrite ends the stream to the peer, whose own stream can still be read.
func (c *netConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// cut closes the connection at once: nothing more is said to the peer.
func (c *netConn) cut() error { return c.wire.Conn.Close() }

// waiting returns how many bytes wait for flush.
func (c *netConn) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waits
}

// take returns what was gathered, in order, and its bytes.
func (c *netConn) take() (parts []part, n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	parts, n, err = c.before, c.waits, c.err
	if c.buf != nil {
		parts = append(parts, part{own: c.buf})
	}
	c.before, c.buf, c.waits = nil, nil, 0
	if err != nil {
		return nil, 0, err
	}
	return parts, n, nil
}

// flush sends what was taken, in one write but for what is lent. One goroutine at a time.
func (c *netConn) flush(parts []part) (sent int, err error) {
	for i := range parts {
		data := parts[i].data
		if own := parts[i].own; own != nil {
			data = *own
		}
		if len(data) > 0 {
			var n int
			n, err = c.Conn.Write(data)
			if sent += n; err != nil {
				break
			}
		}
		if own := parts[i].own; own != nil && cap(*own) <= maxPooled {
			*own = (*own)[:0]
			buffers.Put(own)
		}
	}
	if err != nil {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
	}
	return sent, err
}

// finish lets flush, also one under way, go on for so long and no longer.
func (c *netConn) finish(d time.Duration) { c.wire.finish(d) }
