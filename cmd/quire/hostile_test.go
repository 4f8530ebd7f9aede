package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"quire/storage/storagetest/overdue"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestRubbish feeds the server damaged variants of real messages, on many connections,
// and then expects it to serve as if nothing had been.
func TestRubbish(t *testing.T) {
	files, err := filepath.Glob("../../web/quirev1/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	var messages [][]byte
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if who, msg, ok := strings.Cut(strings.TrimSpace(line), "> "); ok && !strings.Contains(who, " ") {
				messages = append(messages, []byte(msg))
			}
		}
	}
	log := &syncBuffer{}
	m, url, done := startLogging(t, log, "--data", t.TempDir())
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d messages to damage", seed, len(messages))
	addr, _ := client.Address(url)
	dialer := websocket.Dialer{Subprotocols: []string{quirev1.Subprotocol}}
	var wg sync.WaitGroup
	for n := range 8 {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		wg.Go(func() {
			for range 40 {
				c, _, err := dialer.Dial(addr, nil)
				if err != nil {
					t.Error(err)
					return
				}
				go func() { // it reads what it is told, and does not care
					for {
						if _, _, err := c.ReadMessage(); err != nil {
							return
						}
					}
				}()
				for range 30 {
					kind := websocket.TextMessage
					if rng.IntN(200) == 0 {
						kind = websocket.BinaryMessage
					}
					if c.WriteMessage(kind, damage(rng, messages[rng.IntN(len(messages))])) != nil {
						break
					}
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	if err := roundTrip(url, "after-the-rubbish"); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "panic") || strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("the log says:\n%.3000s", log)
	}
	m.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// damage changes a message a little, or not at all, so that it gets far.
func damage(rng *rand.Rand, msg []byte) []byte {
	out := append([]byte(nil), msg...)
	for range rng.IntN(3) {
		if len(out) < 2 {
			break
		}
		i := rng.IntN(len(out))
		switch rng.IntN(6) {
		case 0:
			out[i] = byte(rng.IntN(256))
		case 1:
			out = append(out[:i], out[i+1:]...)
		case 2:
			out = append(out[:i], append([]byte(`"\ud83d",-99999999999,1e9,{}[`), out[i:]...)...)
		case 3:
			out = out[:i]
		case 4:
			j := rng.IntN(len(out))
			out[i], out[j] = out[j], out[i]
		case 5:
			out = append(out[:i], append(bytes.Repeat([]byte("["), 1+rng.IntN(20000)), out[i:]...)...)
		}
	}
	return out
}

// roundTrip has a fresh client create a document, write into it and be acknowledged.
func roundTrip(url, doc string) error { return roundTripOver(url, doc, nil) }

// roundTripOver is roundTrip with a way to verify the server.
func roundTripOver(url, doc string, trust *tls.Config) error {
	conn, _, err := client.Dial(url, client.Options{Compress: true, TLS: trust})
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if err := conn.Send(&quirev1.ClientMessage{T: "open", Doc: &doc, Client: "round-trip", Create: "text"}); err != nil {
		return err
	}
	for {
		m, err := conn.Receive()
		switch {
		case err != nil:
			return err
		case m.T == "opened":
			base, seq := m.Rev, m.Seq+1
			if err := conn.Send(&quirev1.ClientMessage{T: "submit", Doc: &doc, Base: &base, Seq: &seq, Ops: []json.RawMessage{[]byte(`["x"]`)}}); err != nil {
				return err
			}
		case m.T == "ops":
			return nil
		case m.T == "error":
			return fmt.Errorf("%s: %s", m.Code, m.Message)
		}
	}
}

// TestManyOpens opens documents ten thousand times, from many connections, closing them
// in every way there is, and expects the sessions to leave memory afterwards.
func TestManyOpens(t *testing.T) {
	log := &syncBuffer{}
	_, url, _ := startLogging(t, log, "--data", t.TempDir(), "--idle-after", "100ms")
	var wg sync.WaitGroup
	for n := range 10 {
		wg.Go(func() {
			for round := range 5 {
				if err := openMany(url, fmt.Sprintf("client-%d-%d", n, round), 200); err != nil {
					t.Errorf("connection %d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(time.Minute); ; {
		resp, err := http.Get(url + "metrics")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if bytes.Contains(body, []byte("\nquire_sessions 0\n")) && bytes.Contains(body, []byte("\nquire_connections 0\n")) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("sessions or connections stay for a minute after everybody left")
		}
		time.Sleep(20 * time.Millisecond) // then look again
	}
	if err := roundTrip(url, "doc-0"); err != nil {
		t.Error(err)
	}
}

// openMany opens n documents on one connection, closes half of them and cuts the rest.
func openMany(url, id string, n int) error {
	conn, _, err := client.Dial(url, client.Options{})
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		for i := range n {
			doc := fmt.Sprintf("doc-%d", i)
			if conn.Send(&quirev1.ClientMessage{T: "open", Doc: &doc, Client: id, Create: "text"}) != nil {
				return
			}
			if i%2 == 0 && conn.Send(&quirev1.ClientMessage{T: "close", Doc: &doc}) != nil {
				return
			}
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	for opened, closed := 0, 0; opened < n || closed < n/2; {
		m, err := conn.Receive()
		switch {
		case err != nil:
			return fmt.Errorf("after %d opened, %d closed: %w", opened, closed, err)
		case m.T == "opened":
			opened++
		case m.T == "closed":
			closed++
		case m.T == "error":
			return fmt.Errorf("%s: %s", m.Code, m.Message)
		}
	}
	return nil
}

// startLogging is start with a log to read.
func startLogging(t *testing.T, log io.Writer, args ...string) (m *Main, url string, done chan error) {
	t.Helper()
	c, err := configure(append([]string{"--listen", "127.0.0.1:0"}, args...), nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	m = NewMain(c, io.Discard, slog.New(slog.NewTextHandler(log, nil)))
	m.Ready = func(url string) { ready <- url }
	done = make(chan error, 1)
	overdue.Watch(t)
	go func() { done <- m.Run(context.Background()) }()
	select {
	case url = <-ready:
	case err := <-done:
		t.Fatal(err)
	case <-time.After(2 * time.Minute):
		t.Fatal("in two minutes it did not say that it serves")
	}
	t.Cleanup(m.Close)
	return m, url, done
}
