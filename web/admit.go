package web

import (
	"context"
	"encoding/json"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/web/api"
	"quire/web/auth"
	"quire/web/trail"
	"quire/web/ws"
)

// admitTime bounds finding out who sends a request.
const admitTime = 10 * time.Second

// ask finds out who sends a request.
func (s *Server) ask(ctx *fasthttp.RequestCtx) (*auth.Pass, *session.Error) {
	c, cancel := context.WithTimeout(trail.Context(ctx), admitTime)
	defer cancel()
	pass, refusal := s.opt.Auth.Admit(c, s.credentials(ctx))
	if refusal == nil {
		s.opt.Hooks.Saw(pass)
	}
	return pass, refusal
}

// credentials returns what a request brought to show who sends it.
func (s *Server) credentials(ctx *fasthttp.RequestCtx) auth.Credentials {
	return auth.FromRequest(ctx, s.remote(ctx))
}

// admit finds out who sends a request and attaches their pass to it, or refuses. Call done when the
// handler ends; the pass is given back then, or when the last who retained it is done.
func (s *Server) admit(ctx *fasthttp.RequestCtx) (done func(), ok bool) {
	pass, refusal := s.ask(ctx)
	if refusal != nil {
		api.Refuse(ctx, refusal)
		return nil, false
	}
	auth.Attach(ctx, pass)
	return auth.Hold(ctx, func() { s.opt.Auth.Release(pass) }), true
}

// mayAsk refuses, outside /api, whoever has it found out too often who they are.
func (s *Server) mayAsk(ctx *fasthttp.RequestCtx) bool {
	return s.opt.Auth.Open() || s.from.allow(ctx, s.remote(ctx))
}

// operator reports whether one who runs the server asks, or everybody is.
func (s *Server) operator(ctx *fasthttp.RequestCtx) bool {
	if s.opt.Auth.Open() {
		return true
	}
	pass, refusal := s.ask(ctx)
	if refusal != nil {
		return false
	}
	auth.Attach(ctx, pass) // for the logs
	defer s.opt.Auth.Release(pass)
	return pass.Operator()
}

// connect admits a WebSocket and has serve upgrade it, which makes its handler with start; the pass is given
// back when the connection has ended, or at once when there is no upgrade. A browser cannot see why an
// upgrade is refused: one that does not say who it is gets a connection that tells it.
func (s *Server) connect(ctx *fasthttp.RequestCtx, serve func(start func(*ws.Conn) ws.Handler), handler func(context.Context, *auth.Pass, *ws.Conn) ws.Handler) {
	if !s.originAllowed(ctx) {
		refuseOrigin(ctx)
		return
	}
	if !s.mayAsk(ctx) {
		return
	}
	pass, refusal := s.ask(ctx)
	switch {
	case refusal == nil:
	case refusal.Code == session.CodeUnauthenticated && len(ctx.Request.Header.Peek("Origin")) > 0:
		serve(func(c *ws.Conn) ws.Handler {
			c.Wake()
			return &refused{why: refusal}
		})
		return
	default:
		api.Refuse(ctx, refusal)
		return
	}
	in := s.opt.Tracer.Connection(trail.Context(ctx))
	release := func() {}
	if !s.opt.Auth.Open() { // else there is nothing to deny or to give back
		s.denied(ctx, pass, true)
		release = func() { s.opt.Auth.Release(pass) } // more than once is as good
		if !ws.OnClose(ctx.Conn(), release) {
			defer release() // no WebSocket can come of it
		}
	}
	serve(func(c *ws.Conn) ws.Handler { return handler(in, pass, c) })
	if !ctx.Hijacked() {
		release()
	}
}

// refused is the handler of a connection that is closed as soon as it was told why.
type refused struct {
	why  *session.Error
	told bool
}

// Receive implements ws.Handler: what comes is not heard.
func (r *refused) Receive([]byte) *ws.CloseError { return nil }

// Send implements ws.Handler.
func (r *refused) Send(c *ws.Conn) bool {
	if r.told {
		return false
	}
	r.told = true
	type why struct {
		Code    session.Code `json:"code"`
		Message string       `json:"message"`
	}
	text, err := json.Marshal(struct {
		T string `json:"t"`
		why
		Error why `json:"error"` // ShareDB's form
	}{"error", why{r.why.Code, r.why.Message}, why{r.why.Code, r.why.Message}})
	if err != nil {
		panic(err) // strings
	}
	c.SendText(text)
	c.Close(ws.CloseUnauthenticated, string(r.why.Code))
	return false
}

// Ended implements ws.Handler.
func (r *refused) Ended() {}

// Leaving implements ws.Handler.
func (r *refused) Leaving(time.Duration) {}
