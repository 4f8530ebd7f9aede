package ws

import (
	"bytes"
	"encoding/binary"
	"math"
	"sync"

	"github.com/fasthttp/websocket"
	"github.com/klauspost/compress/flate"
)

// Shared is a message for many connections, or the larger part of one; its frames, compressed or not, are made
// once, and a large one is in memory once, however many it waits for. Safe for concurrent use.
type Shared struct {
	text []byte
	once sync.Once
	pm   *websocket.PreparedMessage

	packing sync.Once
	packed  []byte
}

// NewShared makes a Shared of a text, which it keeps.
func NewShared(text []byte) *Shared { return &Shared{text: text} }

// Text returns the message; it must not be changed.
func (m *Shared) Text() []byte { return m.text }

func (m *Shared) prepared() *websocket.PreparedMessage {
	m.once.Do(func() {
		m.pm, _ = websocket.NewPreparedMessage(websocket.TextMessage, m.text) // fails for no text message
	})
	return m.pm
}

// deflated returns the text as blocks of DEFLATE that refer to nothing before them, end on a byte, and are not the last.
func (m *Shared) deflated() []byte {
	m.packing.Do(func() {
		var out bytes.Buffer
		w, err := flate.NewWriter(&out, flate.BestSpeed)
		if err == nil {
			_, err = w.Write(m.text)
		}
		if err == nil {
			err = w.Flush()
		}
		if m.packed = out.Bytes(); err != nil { // writing to memory does not fail
			m.packed = stored(nil, m.text)
		}
	})
	return m.packed
}

// stored appends text as blocks of DEFLATE that are not compressed.
func stored(dst, text []byte) []byte {
	for len(text) > 0 {
		n := min(len(text), math.MaxUint16)
		dst = binary.LittleEndian.AppendUint16(append(dst, 0), uint16(n))
		dst = binary.LittleEndian.AppendUint16(dst, ^uint16(n))
		dst, text = append(dst, text[:n]...), text[n:]
	}
	return dst
}

// around returns what stands before the shared bytes of a message on the wire, those, and what stands after them.
// It is one frame of a text message, as a server sends it (RFC 6455 section 5.2; RFC 7692 section 7.2.1).
func (m *Shared) around(head, tail []byte, deflate bool) (before, shared, after []byte) {
	first := byte(0x80 | websocket.TextMessage)
	if shared = m.text; deflate {
		// The last block is empty and not compressed; all of it but its first byte is left out.
		first |= 0x40
		shared, head, tail = m.deflated(), stored(nil, head), append(stored(nil, tail), 0)
	}
	before = append(make([]byte, 0, 10+len(head)), first)
	switch n := len(head) + len(shared) + len(tail); { // browsers refuse a length that takes more bytes than it has to
	case n <= 125:
		before = append(before, byte(n))
	case n <= math.MaxUint16:
		before = binary.BigEndian.AppendUint16(append(before, 126), uint16(n))
	default:
		before = binary.BigEndian.AppendUint64(append(before, 127), uint64(n))
	}
	return append(before, head...), shared, tail
}

// sharedFrom is from how many bytes on a Shared is not copied for each connection.
const sharedFrom = 64 << 10

// SendShared sends a message that was encoded once for many connections.
func (c *Conn) SendShared(m *Shared) {
	switch {
	case len(m.text) >= sharedFrom:
		c.SendAround(nil, m, nil)
	case !c.deflates || len(m.text) < c.s.opt.CompressFrom:
		c.SendText(m.text)
	default:
		c.w.EnableWriteCompression(true)
		_ = c.w.WritePreparedMessage(m.prepared())
	}
}

// SendAround sends one text message: head, then the text of m, then tail. Head and tail are not kept.
func (c *Conn) SendAround(head []byte, m *Shared, tail []byte) {
	if len(m.text) < sharedFrom {
		c.SendText(bytes.Join([][]byte{head, m.text, tail}, nil))
		return
	}
	if c.code.Load() != 0 {
		return // nothing follows a close
	}
	before, shared, after := m.around(head, tail, c.deflates && len(m.text) >= c.s.opt.CompressFrom)
	c.nc.writeAround(before, lent{m, shared}, after)
}
