package bench

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"
)

// conn is a WebSocket client (RFC 6455) that costs little: it reads into one buffer
// and hands out slices of it. Not safe for concurrent use, except Close.
type conn struct {
	nc   net.Conn
	buf  []byte // buf[r:w] was read and not handed out
	r, w int
	part []byte // of a fragmented message
	out  []byte // frames to write
	key  *mrand.Rand
	read int64 // bytes received since the handshake
}

// dialTimeout bounds connecting and the handshake.
const dialTimeout = 20 * time.Second

// dial connects to a WebSocket by its ws or wss URL. subprotocol and token, which says who asks, may be empty.
func dial(address, subprotocol, token string, buffer int) (*conn, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(dialTimeout)
	d := &net.Dialer{Deadline: deadline}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), map[string]string{"ws": "80", "wss": "443"}[u.Scheme])
	}
	var nc net.Conn
	if u.Scheme == "wss" {
		nc, err = tls.DialWithDialer(d, "tcp", host, nil)
	} else {
		nc, err = d.Dial("tcp", host)
	}
	if err != nil {
		return nil, err
	}
	_ = nc.SetDeadline(deadline)
	c := &conn{nc: nc, buf: make([]byte, buffer), key: mrand.New(mrand.NewPCG(mrand.Uint64(), 0))}
	if err := c.handshake(u, subprotocol, token); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nc.SetDeadline(time.Time{})
}

func (c *conn) handshake(u *url.URL, subprotocol, token string) error {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	key := base64.StdEncoding.EncodeToString(nonce)
	request := "GET " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n"
	if subprotocol != "" {
		request += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
	}
	if token != "" {
		request += "Authorization: Bearer " + token + "\r\n"
	}
	if _, err := io.WriteString(c.nc, request+"\r\n"); err != nil {
		return err
	}
	br := bufio.NewReader(c.nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return err
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return fmt.Errorf("%s answered %s to a WebSocket handshake", u, resp.Status)
	}
	early, _ := br.Peek(br.Buffered())
	if len(early) > len(c.buf) {
		c.buf = make([]byte, len(early))
	}
	c.w = copy(c.buf, early)
	return nil
}

// Opcodes, RFC 6455 section 5.2.
const (
	opContinue = 0
	opText     = 1
	opClose    = 8
	opPing     = 9
	opPong     = 10
)

// next returns the next message; it is valid until the next call. Pings are answered.
func (c *conn) next() ([]byte, error) {
	for {
		op, final, data, err := c.frame()
		if err != nil {
			return nil, err
		}
		switch op {
		case opText, opContinue:
			if final && len(c.part) == 0 {
				return data, nil
			}
			c.part = append(c.part, data...)
			if final {
				whole := c.part
				c.part = c.part[:0]
				return whole, nil
			}
		case opPing:
			if err := c.send(opPong, data); err != nil {
				return nil, err
			}
		case opClose:
			if len(data) < 2 {
				return nil, errors.New("the server closed the connection")
			}
			return nil, fmt.Errorf("the server closed the connection: %d %s", binary.BigEndian.Uint16(data), data[2:])
		case opPong:
		default:
			return nil, fmt.Errorf("a WebSocket frame of kind %d", op)
		}
	}
}

// frame returns the next frame.
func (c *conn) frame() (op byte, final bool, data []byte, err error) {
	if err := c.fill(2); err != nil {
		return 0, false, nil, err
	}
	b := c.buf[c.r:]
	if b[0]&0x70 != 0 || b[1]&0x80 != 0 {
		return 0, false, nil, errors.New("a WebSocket frame that is compressed or masked")
	}
	op, final = b[0]&15, b[0]&0x80 != 0
	header, size := 2, int(b[1])
	switch size {
	case 126:
		header = 4
	case 127:
		header = 10
	}
	if err := c.fill(header); err != nil {
		return 0, false, nil, err
	}
	switch b = c.buf[c.r:]; header {
	case 4:
		size = int(binary.BigEndian.Uint16(b[2:]))
	case 10:
		size = int(binary.BigEndian.Uint64(b[2:]))
	}
	if err := c.fill(header + size); err != nil {
		return 0, false, nil, err
	}
	data = c.buf[c.r+header : c.r+header+size]
	c.r += header + size
	return op, final, data, nil
}

// fill reads until at least n bytes are there.
func (c *conn) fill(n int) error {
	if c.w-c.r >= n {
		return nil
	}
	if c.r > 0 && (c.r == c.w || c.r+n > len(c.buf)) {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	if c.r+n > len(c.buf) {
		bigger := make([]byte, max(n, 2*len(c.buf)))
		c.w = copy(bigger, c.buf[c.r:c.w])
		c.buf, c.r = bigger, 0
	}
	for c.w-c.r < n {
		got, err := c.nc.Read(c.buf[c.w:])
		c.w += got
		c.read += int64(got)
		if err != nil && c.w-c.r < n {
			return err
		}
	}
	return nil
}

// queue adds a text message to those that flush writes.
func (c *conn) queue(data []byte) { c.append(opText, data) }

func (c *conn) append(op byte, data []byte) {
	c.out = append(c.out, 0x80|op)
	switch n := len(data); {
	case n < 126:
		c.out = append(c.out, 0x80|byte(n))
	case n < 1<<16:
		c.out = binary.BigEndian.AppendUint16(append(c.out, 0x80|126), uint16(n))
	default:
		c.out = binary.BigEndian.AppendUint64(append(c.out, 0x80|127), uint64(n))
	}
	var key [4]byte
	binary.LittleEndian.PutUint32(key[:], c.key.Uint32())
	c.out = append(c.out, key[:]...)
	for i, b := range data {
		c.out = append(c.out, b^key[i&3])
	}
}

// flush writes the frames that wait, in one write.
func (c *conn) flush() error {
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	return err
}

func (c *conn) send(op byte, data []byte) error {
	c.append(op, data)
	return c.flush()
}

// Close cuts the connection.
func (c *conn) Close() error { return c.nc.Close() }
