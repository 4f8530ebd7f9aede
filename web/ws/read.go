package ws

import (
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
		buf := buffers.Get().(*[]byte)
		data, err := readLimited((*buf)[:0], r, c.s.opt.MaxMessage, c.touch)
		c.received.Add(int64(len(data)))
		c.messages.Add(1)
		c.s.opt.Received(len(data))
		var end *CloseError
		switch {
		case errors.Is(err, errTooBig):
			end = c.tooBig()
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
		if end != nil {
			return end
		}
	}
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

var errTooBig = errors.New("ws: message too large")

// readLimited reads all of r onto dst, at most limit bytes as they come out of the
// decompressor: the library's own limit counts them before.
// It calls progress for each piece that came.
func readLimited(dst []byte, r io.Reader, limit int, progress func()) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		if n > 0 {
			progress()
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
