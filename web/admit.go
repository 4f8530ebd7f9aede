package web

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"quire/web/api"
	"quire/web/auth"
	"quire/web/trail"
)

// admitTime bounds finding out who sends a request.
const admitTime = 10 * time.Second

// admit finds out who sends a request and attaches their pass to it, or refuses. Release the pass.
func (s *Server) admit(ctx *fasthttp.RequestCtx) (*auth.Pass, bool) {
	c, cancel := context.WithTimeout(trail.Context(ctx), admitTime)
	defer cancel()
	pass, refusal := s.opt.Auth.Admit(c, auth.FromRequest(ctx, s.remote(ctx)))
	if refusal != nil {
		api.Refuse(ctx, refusal)
		return nil, false
	}
	auth.Attach(ctx, pass)
	return pass, true
}

// connect admits a WebSocket and serves it with what start makes.
func (s *Server) connect(ctx *fasthttp.RequestCtx, serve func(pass *auth.Pass, in context.Context)) {
	pass, ok := s.admit(ctx)
	if !ok {
		return
	}
	s.denied(ctx, pass, true)
	serve(pass, s.opt.Tracer.Connection(trail.Context(ctx)))
}
