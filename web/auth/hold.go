package auth

import (
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// holds counts who needs the pass of a request.
type holds struct {
	n       atomic.Int32
	release func()
}

// holdsKey is where a request keeps its holds.
const holdsKey = "quire.holds"

// Hold begins to count who needs what a request has, its pass: the caller, until it calls done
// once, and whoever calls Retain before that. release is called after the last.
func Hold(ctx *fasthttp.RequestCtx, release func()) (done func()) {
	h := &holds{release: release}
	ctx.SetUserValue(holdsKey, h)
	return h.hold()
}

// Retain keeps the pass of a request alive beyond its handler, for an answer that goes on, until done is
// called, once. Without Hold before it does nothing.
func Retain(ctx *fasthttp.RequestCtx) (done func()) {
	if h, ok := ctx.UserValue(holdsKey).(*holds); ok {
		return h.hold()
	}
	return func() {}
}

func (h *holds) hold() func() {
	h.n.Add(1)
	return func() {
		if h.n.Add(-1) == 0 {
			h.release()
		}
	}
}
