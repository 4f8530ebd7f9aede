package ws

import (
	"errors"
	"time"

	"github.com/fasthttp/websocket"

	"quire/web/trail"
)

// Status is what is known of a connection.
type Status struct {
	// Info has its id and where it comes from, Since is when it was opened.
	trail.Info
	Since time.Time
	// Sent is bytes on the wire, Received bytes of messages after decompression, Messages
	// how many of those there were.
	Sent, Received, Messages int64
	// Handler is its protocol; nil until it has begun.
	Handler Handler
}

// Status returns what is known of the connection. It may be called from any goroutine.
func (c *Conn) Status() Status {
	c.mu.Lock()
	h := c.handler
	c.mu.Unlock()
	return Status{c.info, c.since, c.sent.Load(), c.received.Load(), c.messages.Load(), h}
}

// Statuses returns what is known of every connection, in no order.
func (s *Server) Statuses() []Status {
	conns := s.all()
	out := make([]Status, len(conns))
	for i, c := range conns {
		out[i] = c.Status()
	}
	return out
}

// Dismiss closes the connection of that id as if the server went away: its peer is told to come
// back in a moment. One that does not take that in time is cut off. It reports whether there
// is such a connection.
func (s *Server) Dismiss(id string) bool {
	found := false
	for _, c := range s.all() { // a proxy may have given an id to two
		if c.info.ID == id {
			found = true
			c.leave(0)
			_ = c.nc.Conn.SetReadDeadline(time.Now().Add(closeWithin))
		}
	}
	return found
}

// noteCode keeps the code that a peer closed with.
func (c *Conn) noteCode(err error) {
	var peer *websocket.CloseError
	code := int32(websocket.CloseAbnormalClosure)
	if errors.As(err, &peer) {
		code = int32(peer.Code)
	}
	c.code.CompareAndSwap(0, code)
}
