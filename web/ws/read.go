package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/fasthttp/websocket"

	"quire/session/limits"
)

// read receives messages until the connection ends and returns why.
func (c *Conn) read(h Handler) *CloseError {
	for {
		kind, r, err := c.w.NextReader()
		if err != nil {
			return c.readError(err)
		}
		if end := c.receive(h, kind, r); end != nil {
			return end
		}
	}
}

// receive reads one message and hands it on.
func (c *Conn) receive(h Handler, kind int, r io.Reader) *CloseError {
	in := incoming{conn: c}
	defer in.leave()
	buf := buffers.Get().(*[]byte)
	data, err := in.read((*buf)[:0], r)
	c.received.Add(int64(len(data)))
	c.messages.Add(1)
	c.s.opt.Received(len(data))
	var end *CloseError
	switch {
	case errors.Is(err, errTooBig):
		end = c.tooBig()
	case errors.Is(err, errNoRoom):
		c.s.opt.Limited(limits.Receiving)
		end = &CloseError{CloseTryAgain, fmt.Sprintf("too many large messages at once, the limit %s is %d", limits.Receiving, c.s.room.Most())}
	case err != nil:
		end = c.readError(err)
	case kind != websocket.TextMessage:
		end = &CloseError{CloseUnsupported, "text messages only"}
	case !utf8.Valid(data):
		end = &CloseError{CloseInvalid, "not UTF-8"}
	default:
		end = h.Receive(data)
	}
	if cap(data) <= maxPooled {
		*buf = data[:0]
		buffers.Put(buf)
	}
	return end
}

func (c *Conn) readError(err error) *CloseError {
	if errors.Is(err, websocket.ErrReadLimit) {
		return c.tooBig()
	}
	c.noteCode(err)
	return &CloseError{Code: 0}
}

func (c *Conn) tooBig() *CloseError {
	c.s.opt.Limited(limits.Message)
	return &CloseError{CloseTooBig, fmt.Sprintf("message too large, the limit %s is %d", limits.Message, c.s.opt.MaxMessage)}
}

var (
	errTooBig = errors.New("ws: message too large")
	errNoRoom = errors.New("ws: no room for a large message")
)

// incoming is a message on its way.
type incoming struct {
	conn *Conn
	done func() // gives its room back; nil: it has none
}

// read reads all of r onto dst, at most MaxMessage bytes as they come out of the
// decompressor: the library's own limit counts them before.
func (m *incoming) read(dst []byte, r io.Reader) ([]byte, error) {
	limit := m.conn.s.opt.MaxMessage
	for {
		if len(dst) == cap(dst) {
			var err error
			if dst, err = m.grow(dst); err != nil {
				return dst, err
			}
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		if n > 0 {
			m.conn.touch()
		}
		if len(dst) > limit {
			return dst, errTooBig
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// grow returns dst with more capacity, for which a large message needs room.
func (m *incoming) grow(dst []byte) ([]byte, error) {
	if s := m.conn.s; len(dst) >= maxPooled && m.done == nil {
		ctx, cancel := context.WithTimeout(s.ctx, s.opt.RoomWait)
		defer cancel()
		var err error
		if m.done, err = s.room.Take(ctx, m.conn.from, s.opt.MaxMessage); err != nil {
			return dst, errNoRoom
		}
	}
	out := make([]byte, len(dst), min(max(2*len(dst), 512), max(m.conn.s.opt.MaxMessage, len(dst))+1))
	copy(out, dst)
	return out, nil
}

// leave gives back the room that the message has.
func (m *incoming) leave() {
	if m.done != nil {
		m.done()
	}
}
