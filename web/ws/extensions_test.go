package ws

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// TestOffersOfCompression: what a peer offers is agreed to when it is done as it asks, and it is sent nothing compressed
// otherwise.
func TestOffersOfCompression(t *testing.T) {
	h := serve(t, Options{})
	for _, x := range []struct {
		offers string
		want   bool
	}{
		{"Sec-WebSocket-Extensions: permessage-deflate", true},
		{"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", true},
		{`Sec-WebSocket-Extensions: permessage-deflate ; client_max_window_bits = "10";server_no_context_takeover`, true},
		{"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10, permessage-deflate; client_no_context_takeover", true},
		{"Sec-WebSocket-Extensions: x-other\r\nSec-WebSocket-Extensions: permessage-deflate", true},
		{"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; client_max_window_bits=12", false},
		{"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=16", false},
		{"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9; client_max_window_bits=10", false},
		{"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover=1", false},
		{"Sec-WebSocket-Extensions: permessage-deflate; other", false},
		{"Sec-WebSocket-Extensions: permessage-deflate2", false},
		{`Sec-WebSocket-Extensions: x; y="permessage-deflate"`, false},
		{"X-Other: permessage-deflate", false},
	} {
		c, err := h.connect()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n\r\n", x.offers)
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s: %v, %v", x.offers, resp, err)
		}
		said := resp.Header.Get(extensions) != ""
		(<-h.conns).tell(func(c *Conn) {
			m := NewShared(bytes.Repeat([]byte("x"), sharedFrom))
			c.SendText(m.Text()[:1000])
			c.SendShared(NewShared(m.Text()[:1000]))
			c.SendShared(m)
		})
		for range 3 {
			first, _ := readFrame(t, r)
			if compressed := first&0x40 != 0; said != x.want || compressed != x.want {
				t.Errorf("%s: agreed %t, compressed %t, want %t", x.offers, said, compressed, x.want)
			}
		}
		_ = c.Close()
	}
}

// readFrame reads a server's frame.
func readFrame(t *testing.T, r io.Reader) (first byte, payload []byte) {
	t.Helper()
	read := func(n uint64) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	head := read(2)
	n := uint64(head[1])
	switch n {
	case 126:
		n = uint64(binary.BigEndian.Uint16(read(2)))
	case 127:
		n = binary.BigEndian.Uint64(read(8))
	}
	return head[0], read(n)
}
