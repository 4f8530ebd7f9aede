package api

import (
	"log/slog"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage/mem"
)

// TestComparing makes only a few differences at a time.
func TestComparing(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	m := session.New(session.Options{Store: mem.New(), Types: []ot.Type{text.Type{}}, Logger: log})
	defer m.Close(t.Context())
	if _, err := m.Create(t.Context(), "a", "text", nil, session.User{}); err != nil {
		t.Fatal(err)
	}
	a := New(Options{Manager: m, Logger: log, Timeout: time.Millisecond})
	diff := func() int {
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI("/api/docs/a/diff?from=0&to=0")
		a.Serve(&ctx)
		return ctx.Response.StatusCode()
	}
	for range cap(a.comparing) {
		a.comparing <- struct{}{}
	}
	if got := diff(); got != fasthttp.StatusServiceUnavailable {
		t.Errorf("with no place left: %d", got)
	}
	<-a.comparing
	a.opt.Timeout = time.Minute
	for range 2 * cap(a.comparing) { // each gives its place back
		if got := diff(); got != fasthttp.StatusOK {
			t.Errorf("with a place left: %d", got)
		}
	}
}
