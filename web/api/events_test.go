package api

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage/mem"
	"quire/storage/storagetest/overdue"
	"quire/web/auth"
	"quire/web/stream"
)

// serve runs an API on documents in memory.
func serve(t *testing.T, opt Options) (m *session.Manager, url string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	m = session.New(session.Options{Store: mem.New(), Types: []ot.Type{text.Type{}}, Logger: log})
	opt.Manager, opt.Streams, opt.Logger = m, stream.New(stream.Options{Logger: log}), log
	a := New(opt)
	t.Cleanup(func() {
		opt.Streams.Shutdown(context.Background())
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m, listen(t, func(ctx *fasthttp.RequestCtx) {
		auth.Attach(ctx, auth.Anybody())
		a.Serve(ctx, nil)
	})
}

// listen serves a handler and returns its URL without a slash at the end.
func listen(t *testing.T, handler fasthttp.RequestHandler) string {
	t.Helper()
	overdue.Watch(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &fasthttp.Server{Handler: handler}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return "http://" + ln.Addr().String()
}

// TestSilentStream shows signs of life while a document rests, and holds a reader's place
// only while it is there.
func TestSilentStream(t *testing.T) {
	m, url := serve(t, Options{Heartbeat: time.Millisecond})
	if _, err := m.Create(t.Context(), "a", "text", nil, session.User{}); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(url + "/api/docs/a/events")
	if err != nil {
		t.Fatal(err)
	}
	beats := 0
	for lines := bufio.NewScanner(resp.Body); beats < 3 && lines.Scan(); {
		if lines.Text() == ": still here" {
			beats++
		}
	}
	if n := m.Stats().Subscriptions; beats != 3 || n != 1 {
		t.Errorf("%d signs of life, %d readers", beats, n)
	}
	resp.Body.Close()
	for m.Stats().Subscriptions > 0 {
		time.Sleep(time.Millisecond) // then look again
	}
}
