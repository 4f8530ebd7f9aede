package web

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/pprofhandler"

	"quire/session"
	"quire/web/admin"
	"quire/web/api"
	"quire/web/ws"
)

// maxProfile is the longest that a profile may take, in seconds.
const maxProfile = 60

// watch makes what operators use.
func (s *Server) watch() {
	opt := s.opt.Admin
	opt.Manager = s.opt.Manager
	opt.Sockets = s.sockets
	opt.Streams = s.Streams
	opt.Ready = s.opt.Ready
	opt.Latency = s.opt.Metrics.Latency
	opt.Logger = s.opt.Logger
	opt.Copy = s.opt.Backup
	s.admin = admin.New(opt)
	s.side = s.listener(func(ctx *fasthttp.RequestCtx) {
		ctx.SetUserValue(sideKey, true)
		s.handle(ctx)
	}, func(ctx *fasthttp.RequestCtx) int {
		ctx.SetUserValue(sideKey, true)
		return s.large.expected(ctx)
	})
	s.side.WriteTimeout = (maxProfile + 30) * time.Second
}

// sideKey marks the requests that came to the listener for operators.
const sideKey = "quire.side"

// ServeSide answers operators on a listener of their own until Shutdown; it returns nil
// then. It has their page and its interface, metrics, whether the server is ready, and
// profiles, which nobody has elsewhere. secure has it speak TLS if the server does.
func (s *Server) ServeSide(ln net.Listener, secure bool) error {
	l := ws.Listener{Listener: ln, HandshakeTimeout: s.opt.Timeouts.Handshake, Admit: newAddresses(s).admit} // counted by themselves
	if secure {
		l.TLS = s.opt.TLS
	}
	return s.side.Serve(l)
}

// isSide reports whether a request came to the listener for operators.
func isSide(ctx *fasthttp.RequestCtx) bool { return ctx.UserValue(sideKey) != nil }

// onLoopback reports whether a request came to an address of this machine that no other reaches.
func onLoopback(ctx *fasthttp.RequestCtx) bool {
	a, ok := ctx.LocalAddr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// onSide reports whether the listener for operators has something at an address.
func onSide(path string) bool {
	switch path {
	case "/admin", "/metrics", "/healthz", "/readyz", "/api/session", "/api/backup":
		return true
	}
	for _, prefix := range []string{admin.Prefix + "/", "/assets/", profiles} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// profiles is where profiles are, on the listener for operators.
const profiles = "/debug/pprof/"

// profile answers with a profile of the running program.
func (s *Server) profile(ctx *fasthttp.RequestCtx) {
	if !s.operator(ctx) {
		api.Refuse(ctx, session.Errorf(session.CodeForbidden, "this is for operators of the server"))
		return
	}
	if v := ctx.QueryArgs().Peek("seconds"); len(v) > 0 {
		if n, err := strconv.Atoi(string(v)); err != nil || n < 1 || n > maxProfile {
			api.Problem(ctx, fasthttp.StatusBadRequest, "bad_field", "seconds is 1 to "+strconv.Itoa(maxProfile)+".")
			return
		}
	}
	if string(ctx.Path()) == profiles { // the list of them, which the handler has at another address
		ctx.Request.SetRequestURI(strings.TrimSuffix(profiles, "/"))
	}
	pprofhandler.PprofHandler(ctx)
}
