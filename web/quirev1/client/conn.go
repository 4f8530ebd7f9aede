package client

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/fasthttp/websocket"

	"quire/web/quirev1"
)

// Conn is a connection to a server. One goroutine may call Send and another Receive.
type Conn struct {
	ws *websocket.Conn
}

// Options configures Dial. The zero value is usable.
type Options struct {
	// Compress negotiates permessage-deflate.
	Compress bool
	// Timeout bounds the handshake. Default 10 s.
	Timeout time.Duration
	// Token says who this is, to a server that asks; it is sent in a header. May be empty.
	Token string
	// TLS is how to verify a server at https; nil: as the system does.
	TLS *tls.Config
}

// Address turns a server's URL (http or https) into that of its WebSocket; one that is
// a WebSocket's already is left as it is.
func Address(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("client: %q is not a URL such as http://127.0.0.1:8080", server)
	}
	switch u.Scheme {
	case "ws", "wss":
		return server, nil
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	default:
		return "", fmt.Errorf("client: %q: the scheme has to be http or https", server)
	}
	return u.JoinPath("ws").String(), nil
}

// Dial connects to a server by its URL and reads its hello.
func Dial(server string, opt Options) (*Conn, *quirev1.ServerMessage, error) {
	addr, err := Address(server)
	if err != nil {
		return nil, nil, err
	}
	if opt.Timeout <= 0 {
		opt.Timeout = 10 * time.Second
	}
	header := http.Header{}
	if opt.Token != "" {
		header.Set("Authorization", "Bearer "+opt.Token)
	}
	d := websocket.Dialer{TLSClientConfig: opt.TLS, HandshakeTimeout: opt.Timeout, EnableCompression: opt.Compress, Subprotocols: []string{quirev1.Subprotocol}}
	ws, resp, err := d.Dial(addr, header)
	if err != nil {
		if resp != nil {
			return nil, nil, fmt.Errorf("client: %s answered %s", addr, resp.Status)
		}
		return nil, nil, err
	}
	c := &Conn{ws: ws}
	hello, err := c.Receive()
	if err == nil && hello.T == "error" {
		err = &RefusedError{*hello}
	} else if err == nil && (hello.T != "hello" || hello.V != quirev1.Version) {
		err = fmt.Errorf("client: expected hello of version %d, got %q %d", quirev1.Version, hello.T, hello.V)
	}
	if err != nil {
		ws.Close()
		return nil, nil, err
	}
	return c, hello, nil
}

// Send sends a message.
func (c *Conn) Send(m *quirev1.ClientMessage) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return c.ws.WriteMessage(websocket.TextMessage, data)
}

// Receive waits for the next message.
func (c *Conn) Receive() (*quirev1.ServerMessage, error) {
	_, data, err := c.ws.ReadMessage()
	if err != nil {
		return nil, err
	}
	m := &quirev1.ServerMessage{}
	return m, json.Unmarshal(data, m)
}

// SetReadDeadline bounds the next Receive; the zero time removes the bound. After a
// Receive timed out the connection is of no more use.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.ws.SetReadDeadline(t) }

// Close cuts the connection.
func (c *Conn) Close() error { return c.ws.Close() }

// WebSocket returns the connection underneath, for tools that read messages without
// decoding all of them.
func (c *Conn) WebSocket() *websocket.Conn { return c.ws }
