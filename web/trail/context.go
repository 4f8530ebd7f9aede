package trail

import (
	"context"
	"log/slog"

	"github.com/valyala/fasthttp"
)

// contextKey is where a request keeps its context.
const contextKey = "quire.context"

// SetContext keeps what Context returns.
func SetContext(ctx *fasthttp.RequestCtx, c context.Context) { ctx.SetUserValue(contextKey, c) }

// Context returns the context that work for a request is done in: it has the request's
// id, for logs, and its span. It does not end with the request, so that a WebSocket can go
// on with it.
func Context(ctx *fasthttp.RequestCtx) context.Context {
	if c, ok := ctx.UserValue(contextKey).(context.Context); ok {
		return c
	}
	return context.Background()
}

// idKey is where a context keeps a request's id.
type idKey struct{}

// WithID returns a context whose logs name the request.
func WithID(c context.Context, id string) context.Context { return context.WithValue(c, idKey{}, id) }

// IDOf returns the id that WithID was given; "" when there is none.
func IDOf(c context.Context) string {
	id, _ := c.Value(idKey{}).(string)
	return id
}

// LogHandler adds the id of the request, as the attribute req, to what is logged with its
// context.
type LogHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h LogHandler) Handle(c context.Context, r slog.Record) error {
	if id := IDOf(c); id != "" {
		r.AddAttrs(slog.String("req", id))
	}
	return h.Handler.Handle(c, r)
}

// WithAttrs implements slog.Handler.
func (h LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return LogHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h LogHandler) WithGroup(name string) slog.Handler { return LogHandler{h.Handler.WithGroup(name)} }
