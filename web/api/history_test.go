package api

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"quire/ot"
	"quire/ot/diff"
	"quire/ot/text"
	"quire/session"
	"quire/storage/mem"
	"quire/web/auth"
)

// TestComparing makes only a few differences at a time.
func TestComparing(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	m := session.New(session.Options{Store: mem.New(), Types: []ot.Type{text.Type{}}, Logger: log})
	defer m.Close(t.Context())
	if _, err := m.Create(t.Context(), "a", "text", nil, session.User{}); err != nil {
		t.Fatal(err)
	}
	a := New(Options{Manager: m, Logger: log, Unified: diff.Unified, Timeout: time.Millisecond})
	diff := func() int {
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI("/api/docs/a/diff?from=0&to=0")
		auth.Attach(&ctx, auth.Anybody())
		a.Serve(&ctx, nil)
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

// TestUnified shows each of many lines that changed, not all that is between them.
func TestUnified(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	m := session.New(session.Options{Store: mem.New(), Types: []ot.Type{text.Type{}}, Diff: diff.Between, Logger: log})
	defer m.Close(t.Context())
	document := func(every int) []byte {
		var lines strings.Builder
		for i := range 20_000 {
			if i%50 == every {
				lines.WriteString("changed ")
			}
			fmt.Fprintf(&lines, "line %d\n", i%97)
		}
		content, err := json.Marshal(lines.String())
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	if _, err := m.Create(t.Context(), "a", "text", document(-1), session.User{}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Merge(t.Context(), "a", 0, document(20), nil, session.Writer{}); err != nil {
		t.Fatal(err)
	}
	a := New(Options{Manager: m, Logger: log, Unified: diff.Unified})
	var ctx fasthttp.RequestCtx
	ctx.Request.SetRequestURI("/api/docs/a/diff?from=0&to=1")
	ctx.Request.Header.Set("Accept", mediaDiff)
	auth.Attach(&ctx, auth.Anybody())
	a.Serve(&ctx, nil)
	got := string(ctx.Response.Body())
	if n := strings.Count(got, "\n-line"); n != 400 || strings.Count(got, "\n+changed") != 400 {
		t.Errorf("%d lines are taken out of 400: %.200s", n, got)
	}
}
