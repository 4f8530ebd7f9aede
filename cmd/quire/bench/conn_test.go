package bench

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp keeps a clock running for the Date header, and its pools.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.Cleanup(func(code int) {
			os.RemoveAll(built.folder)
			os.Exit(code)
		}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scripted is a server whose connections do what script says, by another WebSocket
// implementation.
func scripted(t *testing.T, script func(ctx context.Context, c *websocket.Conn) error) *target {
	t.Helper()
	done := make(chan error, 8)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"quire.v1"}})
		if err == nil {
			c.SetReadLimit(-1)
			err = script(ctx, c)
			_ = c.CloseNow()
		}
		done <- err
	}))
	t.Cleanup(func() {
		s.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the scripted server: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return &target{name: "scripted", url: s.URL}
}

func TestConnSizes(t *testing.T) {
	sizes := []int{0, 1, 125, 126, 127, 4095, 4096, 65535, 65536, 1 << 20}
	tg := scripted(t, func(ctx context.Context, c *websocket.Conn) error {
		for range sizes {
			_, data, err := c.Read(ctx)
			if err != nil {
				return err
			}
			if err := c.Write(ctx, websocket.MessageText, data); err != nil {
				return err
			}
		}
		// One message in fragments, with a ping between.
		w, err := c.Writer(ctx, websocket.MessageText)
		if err != nil {
			return err
		}
		for _, part := range []string{"one ", "two ", "three"} {
			if _, err := io.WriteString(w, strings.Repeat(part, 3000)); err != nil {
				return err
			}
		}
		if err := w.Close(); err != nil {
			return err
		}
		ponged := make(chan error, 1)
		go func() { ponged <- c.Ping(ctx) }()
		_, data, err := c.Read(ctx) // takes in the pong
		if err != nil || string(data) != "after the ping" {
			return err
		}
		if err := <-ponged; err != nil {
			return err
		}
		_ = c.Close(websocket.StatusGoingAway, "enough")
		return nil
	})
	c, err := tg.dial("ws", "quire.v1", 512)
	must(t, err)
	defer c.Close()
	for _, n := range sizes {
		want := bytes.Repeat([]byte("q"), n)
		must(t, c.send(opText, want))
		got, err := c.next()
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes came back as %d", n, len(got))
		}
	}
	got, err := c.next()
	must(t, err)
	if want := strings.Repeat("one ", 3000) + strings.Repeat("two ", 3000) + strings.Repeat("three", 3000); string(got) != want {
		t.Fatalf("a fragmented message of %d bytes came as %d", len(want), len(got))
	}
	// The ping is answered while waiting; the message makes the peer read the pong.
	op, _, ping, err := c.frame()
	must(t, err)
	if op != opPing {
		t.Fatalf("frame of kind %d", op)
	}
	must(t, c.send(opPong, ping))
	must(t, c.send(opText, []byte("after the ping")))
	if _, err := c.next(); err == nil || !strings.Contains(err.Error(), "1001 enough") {
		t.Fatalf("closed with %v", err)
	}
}

func TestDialRefused(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	tg := &target{name: "nothing", url: s.URL}
	if _, err := joinQuire(tg, "doc", "", 512); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("joined: %v", err)
	}
	for _, url := range []string{"", "127.0.0.1:80", "ftp://x/"} {
		if _, err := (&target{url: url}).socket("ws"); err == nil {
			t.Errorf("%q is taken for a server", url)
		}
	}
}
