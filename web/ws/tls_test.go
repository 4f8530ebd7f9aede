package ws

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	peer "github.com/coder/websocket"

	"quire/web/certs"
	"quire/web/certs/certstest"
)

// TestOverTLS does with TLS what the other tests do without.
func TestOverTLS(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"Echo":            TestEcho,
		"Refused":         TestRefusedMessages,
		"Panics":          TestPanicsStayInTheirConnection,
		"Close":           TestClose,
		"HalfOpen":        TestHalfOpenPeerIsCutOff,
		"SlowUpload":      TestSlowUploadLives,
		"SlowReader":      TestSlowReaderLives,
		"Shutdown":        TestShutdownIsBounded,
		"AfterTheEnd":     TestPingAfterTheEnd,
		"LargeAndSmaller": testSizes,
		"Around":          TestSendAround,
		"Lent":            TestLentIsCounted,
	} {
		t.Run(name, test)
	}
}

// testSizes has messages of many sizes come back whole.
func testSizes(t *testing.T) {
	h := serve(t, Options{MaxMessage: 4 << 20})
	c, _ := h.dial(peer.CompressionDisabled)
	for _, n := range []int{1, 1400, 16 << 10, 100_000, 3 << 20, 1} {
		msg := bytes.Repeat([]byte("a"), n)
		if err := c.Write(t.Context(), peer.MessageText, msg); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(t.Context()); err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("%d bytes: %d came back, %v", n, len(got), err)
		}
	}
}

// TestWaitingFramesLeaveInOneRecord gathers frames above TLS.
func TestWaitingFramesLeaveInOneRecord(t *testing.T) {
	pair := certstest.New(t)
	near, far := net.Pipe()
	w := &counter{Conn: near}
	nc := &netConn{wire: wire{Conn: &passing{w}}}
	config := certs.Config(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair.TLS, nil })
	secure := &secureConn{netConn: nc, tls: tls.Server(&nc.wire, config), timeout: time.Minute}
	nc.Conn = secure.tls
	got := make(chan string, 1)
	go func() {
		c := tls.Client(far, &tls.Config{RootCAs: pair.Pool, ServerName: "localhost"})
		data, _ := io.ReadAll(io.LimitReader(c, 8))
		got <- string(data)
	}()
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	nc.gather(func() {}, time.Second, func() {})
	before := len(w.writes)
	for i := range 8 {
		_, _ = nc.Write([]byte{byte('0' + i)})
	}
	parts, _, _ := nc.take()
	if n, err := nc.flush(parts); n != 8 || err != nil {
		t.Errorf("flush: %d, %v", n, err)
	}
	if n := len(w.writes) - before; n != 1 || <-got != "01234567" {
		t.Errorf("%d writes", n)
	}
	_ = nc.cut()
}

// passing writes through a counter that only counts.
type passing struct{ *counter }

func (p *passing) Write(b []byte) (int, error) {
	_, _ = p.counter.Write(b)
	return p.counter.Conn.Write(b)
}

// TestSilentHandshakes are cut off: a peer that says nothing, one that stops in between, and one that
// says something else.
func TestSilentHandshakes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pair := certstest.New(t)
	listener := Listener{Listener: ln, HandshakeTimeout: 50 * time.Millisecond,
		TLS: certs.Config(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair.TLS, nil })}
	for begin, want := range map[string]string{"": "", "\x16\x03\x01\x02": "", "GET / HTTP/1.1\r\n\r\n": "HTTPS only"} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, begin)
		served, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := served.(*secureConn).Handshake(); err == nil || want == "" && !os.IsTimeout(err) {
			t.Errorf("%q: %v", begin, err)
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if answer, err := io.ReadAll(c); os.IsTimeout(err) || !strings.Contains(string(answer), want) {
			t.Errorf("%q: %q, %v", begin, answer, err)
		}
	}
}
