package trail

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestID takes ids from proxies that are trusted, if they are ones, and makes one otherwise.
func TestID(t *testing.T) {
	for _, x := range []struct {
		given         string
		trusted, kept bool
	}{
		{"abc-DEF_1.2", true, true},
		{"abc-DEF_1.2", false, false},
		{strings.Repeat("x", 64), true, true},
		{strings.Repeat("x", 65), true, false},
		{"", true, false},
		{"a b", true, false},
		{"a\"b", true, false},
		{"ü", true, false},
		{"a,b", true, false},
	} {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.Set(Header, x.given)
		info := Attach(&ctx, netip.MustParseAddr("192.0.2.1"), x.trusted)
		if kept := info.ID == x.given; kept != x.kept || !wellFormed([]byte(info.ID)) {
			t.Errorf("%q, trusted %v: %q", x.given, x.trusted, info.ID)
		}
		if Of(&ctx) != info || string(ctx.Response.Header.Peek(Header)) != info.ID {
			t.Errorf("%q: kept %v, answered %q", x.given, Of(&ctx), ctx.Response.Header.Peek(Header))
		}
	}
	if first, second := NewID(), NewID(); first == second {
		t.Error("an id came twice")
	}
}

// TestLogHandler logs with and without the context of a request.
func TestLogHandler(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(LogHandler{slog.NewTextHandler(&out, nil)}).With("a", 1)
	c := WithID(context.Background(), "r1")
	log.InfoContext(c, "with")
	log.Info("without")
	log.WithGroup("g").InfoContext(c, "in a group")
	lines := strings.Split(out.String(), "\n")
	if !strings.HasSuffix(lines[0], "msg=with a=1 req=r1") || !strings.HasSuffix(lines[1], "msg=without a=1") || !strings.HasSuffix(lines[2], "req=r1") {
		t.Errorf("%q", lines)
	}
}
