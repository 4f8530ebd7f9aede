package ws

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// Listener wraps the connections of a listener so that, once one of them has become
// a WebSocket, the frames waiting for it leave in one write. Use it outside TLS.
type Listener struct{ net.Listener }

// Accept returns the next connection, wrapped, with TCP_NODELAY on (Go's default).
func (l Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &netConn{Conn: c}, nil
}

// netConn is a connection whose writes, after gather was called, collect in memory
// until flush sends them. Writing never blocks then; flush does.
type netConn struct {
	net.Conn

	mu sync.Mutex
	// Guarded by mu.
	gathering bool
	quiet     bool   // the sender is at work and will look again
	wake      func() // called after a write that collected, unless quiet
	buf       *[]byte
	err       error
	until     time.Time // when flush gives up; zero: never
	armed     time.Time // the write deadline that is set
	closed    bool
	onClose   []func()
}

// OnClose has fn called once when the server is done with a connection, whatever became of what was
// begun on it; at once when it is already. For connections that no Listener made it reports false.
func OnClose(c net.Conn, fn func()) bool {
	nc, ok := c.(*netConn)
	if !ok {
		return false
	}
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

// Close closes the connection.
func (c *netConn) Close() error {
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

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the largest buffer kept for reuse.
const maxPooled = 64 << 10

func (c *netConn) gather(wake func()) {
	c.mu.Lock()
	c.gathering, c.wake = true, wake
	c.mu.Unlock()
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
	quiet := c.quiet
	c.mu.Unlock()
	if !quiet {
		c.wake()
	}
	return len(p), nil
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
	if c.buf != nil && len(*c.buf) > 0 {
		return false
	}
	c.quiet = false
	return true
}

// SetWriteDeadline has no effect once writes are gathered: flush sets its own.
func (c *netConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gathering {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite ends the stream to the peer, whose own stream can still be read.
func (c *netConn) CloseWrite() error {
	if tcp, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return tcp.CloseWrite()
	}
	return errors.ErrUnsupported
}

// waiting returns how many bytes wait for flush.
func (c *netConn) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf == nil {
		return 0
	}
	return len(*c.buf)
}

// flush sends what was gathered, in one write, and calls progress when the peer took
// some of it late. The peer may be as slow as it likes, until finish. One goroutine at a
// time.
func (c *netConn) flush(look time.Duration, progress func()) (int, error) {
	c.mu.Lock()
	buf, err := c.buf, c.err
	c.buf = nil
	c.mu.Unlock()
	if err != nil || buf == nil {
		return 0, err
	}
	rest := *buf
	for err == nil && len(rest) > 0 {
		var n int
		if err = c.armWrite(look); err != nil {
			break
		}
		n, err = c.Conn.Write(rest)
		rest = rest[n:]
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
			if n > 0 {
				progress()
			}
		}
	}
	sent := len(*buf) - len(rest)
	if cap(*buf) <= maxPooled {
		*buf = (*buf)[:0]
		buffers.Put(buf)
	}
	if err != nil {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
	}
	return sent, err
}

// armWrite sets the deadline of the next write, and fails when finish's is over.
func (c *netConn) armWrite(look time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	next := now.Add(look)
	if !c.until.IsZero() {
		if now.After(c.until) {
			return os.ErrDeadlineExceeded
		}
		next = c.until
	} else if c.armed.Sub(now) > look/2 {
		return nil // it is far enough away; setting it takes longer than asking
	}
	c.armed = next
	return c.Conn.SetWriteDeadline(next)
}

// finish lets flush, also one under way, go on for so long and no longer.
func (c *netConn) finish(d time.Duration) {
	c.mu.Lock()
	c.until = time.Now().Add(d)
	_ = c.Conn.SetWriteDeadline(c.until)
	c.mu.Unlock()
}
