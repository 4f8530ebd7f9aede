// Package web speaks the protocols: it routes HTTP requests, upgrades WebSockets,
// checks origins, enforces limits and serves the page. It knows no algorithm and no
// disk.
package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"mime"
	"net"
	"net/netip"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/session/limits"
	"quire/web/admin"
	"quire/web/api"
	"quire/web/audit"
	"quire/web/auth"
	"quire/web/hooks"
	"quire/web/metrics"
	"quire/web/quirev1"
	"quire/web/sharedb"
	"quire/web/spans"
	"quire/web/stream"
	"quire/web/trail"
	"quire/web/ws"
)

// Options configures a Server. The zero value of each field but Manager and Page is
// usable.
type Options struct {
	// Manager has the documents. Required.
	Manager *session.Manager
	// Metrics is told what happens and served at /metrics. Required.
	Metrics *metrics.Metrics
	// Page is the browser's application: index.html and assets. Required.
	Page fs.FS
	// Dialects are the types that ShareDB's clients can use; see sharedb.Options. Required.
	Dialects []sharedb.Dialect
	// Name is the program's name and version, told to clients.
	Name string
	// Formats are the forms of documents besides text and JSON; see api.Options. May be nil.
	Formats api.Formats
	// Unified makes unified diffs; see api.Options. Required.
	Unified func(fromName, toName, from, to string, context int) string
	// Origins are the origins, as browsers send them, whose pages may connect besides
	// those of the server's own host; "*" allows every one.
	Origins []string
	// Hosts are the hosts, without ports, that requests may be for; an entry Loopback stands for all names
	// and addresses of the machine itself. nil: every host.
	Hosts []string
	// Limits bounds what clients may ask for.
	Limits
	// PingEvery is the time between pings. Default 25 s.
	PingEvery time.Duration
	// ComeBack is the span over which clients are told to reconnect when the server
	// stops. Default 3 s.
	ComeBack time.Duration
	// TLS is how connections are encrypted; nil: not at all.
	TLS *tls.Config
	// Timeouts are how long peers may take.
	Timeouts Timeouts
	// Auth says who somebody is and what they may do. Required.
	Auth *auth.Authority
	// Hooks delivers what is committed to other programs. Required.
	Hooks *hooks.Hooks
	// Backup makes a consistent copy of all data; see api.Backups. Required.
	Backup func(ctx context.Context) (api.Copy, error)
	// Ready says why the server cannot do its work; nil when it can.
	Ready func() error
	// Logger receives failures, and at the debug level every request. Default slog.Default().
	Logger *slog.Logger
	// AccessLog has every request and connection logged at the info level.
	AccessLog bool
	// Audit is told who did what. May be nil.
	Audit *audit.Log
	// Tracer makes spans. May be nil.
	Tracer *spans.Tracer
	// Admin is what operators see and do; the server fills in what is its own.
	Admin admin.Options
}

// Server is the HTTP and WebSocket server.
type Server struct {
	opt      Options
	http     *fasthttp.Server
	sockets  *ws.Server
	protocol *quirev1.Protocol
	sharedb  *sharedb.Protocol
	api      *api.API
	streams  *stream.Server
	answers  *limits.Shares[netip.Addr] // bytes of large answers
	admin    *admin.API
	side     *fasthttp.Server // of the listener for operators
	large    *large
	from     *addresses
	fresh    newcomers
	metrics  fasthttp.RequestHandler
	assets   map[string]asset
}

type asset struct {
	body []byte
	mime string
}

// New makes a Server. It reads the page's files.
func New(opt Options) (*Server, error) {
	opt.Limits = opt.Limits.withDefaults()
	if opt.PingEvery <= 0 {
		opt.PingEvery = 25 * time.Second
	}
	if opt.ComeBack <= 0 {
		opt.ComeBack = 3 * time.Second
	}
	if opt.Ready == nil {
		opt.Ready = func() error { return nil }
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	opt.Timeouts = opt.Timeouts.withDefaults()
	s := &Server{opt: opt, metrics: opt.Metrics.Handler(), assets: map[string]asset{}}
	s.large = &large{server: s, each: map[sender]int{}}
	s.from = newAddresses(s)
	s.answers = limits.NewShares[netip.Addr](cmp.Or(opt.MaxSending, 1<<30), cmp.Or(opt.MaxSending, 1<<30)/4)
	s.streams = stream.New(stream.Options{Max: opt.MaxStreams, WriteTimeout: opt.Timeouts.Write, Logger: opt.Logger})
	s.api = api.New(api.Options{
		MaxPage:       opt.MaxPage,
		MaxConversion: opt.MaxConversion,
		Manager:       opt.Manager,
		Streams:       s.streams,
		Backups:       &api.Backups{Copy: opt.Backup},
		Auth:          opt.Auth,
		Credentials:   s.credentials,
		HTTPS:         s.https,
		Revoked:       opt.Hooks.Disown,
		Formats:       opt.Formats,
		Unified:       opt.Unified,
		MaxMessage:    opt.MaxMessage,
		MaxBody:       opt.MaxBody,
		MaxImport:     opt.MaxImport,
		Room:          s.answerRoom,
		Logger:        opt.Logger,
	})
	err := fs.WalkDir(opt.Page, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(opt.Page, name)
		s.assets[name] = asset{body, contentType(name)}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.sockets = ws.New(ws.Options{
		Subprotocol:   quirev1.Subprotocol,
		MaxMessage:    opt.MaxMessage,
		MaxReceiving:  opt.MaxReceiving,
		MaxSending:    opt.MaxSending,
		MaxConns:      opt.MaxConns,
		PingEvery:     opt.PingEvery,
		MaxPerAddress: opt.MaxAddressConns,
		Address:       func(ctx *fasthttp.RequestCtx) netip.Addr { return limits.Network(s.remote(ctx)) },
		Limited:       opt.Metrics.Limited,
		CheckOrigin:   s.originAllowed,
		Logger:        opt.Logger,
		Sent:          opt.Metrics.Sent,
		Received:      opt.Metrics.Received,
		Closed:        s.closed,
	})
	s.sharedb = sharedb.New(sharedb.Options{Manager: opt.Manager, Dialects: opt.Dialects, MaxDocs: opt.MaxOpen, OpenRate: opt.OpenRate, PresenceRate: opt.PresenceRate, Delivered: opt.Metrics.Delivered, Logger: opt.Logger})
	s.protocol = quirev1.New(quirev1.Options{
		Manager:      opt.Manager,
		Server:       opt.Name,
		Instance:     rand.Text(),
		MaxDocs:      opt.MaxOpen,
		OpenRate:     opt.OpenRate,
		PresenceRate: opt.PresenceRate,
		MaxMessage:   opt.MaxMessage,
		PingEvery:    opt.PingEvery,
		Delivered:    opt.Metrics.Delivered,
		Renew:        opt.Auth.Renew,
	})
	s.http = s.listener(s.handle, s.large.expected)
	s.http.ConnState = s.fresh.state
	s.http.ReduceMemoryUsage = true
	s.watch()
	return s, nil
}

// listener returns what reads the requests of a listener, the same on each.
func (s *Server) listener(handle fasthttp.RequestHandler, expected func(*fasthttp.RequestCtx) int) *fasthttp.Server {
	return &fasthttp.Server{
		Name:                  "quire",
		Handler:               handle,
		ErrorHandler:          s.unread,
		HeaderReceived:        s.large.received,
		ExpectHandler:         expected,
		ReadTimeout:           s.opt.Timeouts.Header, // large.received sets that of the body
		WriteTimeout:          s.opt.Timeouts.Write,
		IdleTimeout:           s.opt.Timeouts.KeepAlive,
		MaxRequestBodySize:    s.opt.MaxMessage,
		ReadBufferSize:        s.opt.MaxHeader,
		NoDefaultServerHeader: true,
		CloseOnShutdown:       true,

		DisablePreParseMultipartForm: true,
		Logger:                       quiet{s.opt.Logger},
	}
}

func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// quiet passes fasthttp's own messages, which are about broken peers, to the debug
// level.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("http", "message", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// Serve answers on a listener, of bare connections, until Shutdown; it returns nil then.
func (s *Server) Serve(ln net.Listener) error {
	return s.http.Serve(ws.Listener{Listener: ln, TLS: s.opt.TLS, HandshakeTimeout: s.opt.Timeouts.Handshake, Admit: s.from.admit})
}

// Conns returns how many WebSocket connections are open.
func (s *Server) Conns() int { return s.sockets.Conns() }

// Streams returns how many answers without a fixed length are under way.
func (s *Server) Streams() int { return s.streams.Streams() }

// Shutdown stops accepting, ends streams, tells WebSocket clients to come back and closes
// their connections, and lets requests under way finish; what is left when ctx ends is cut
// off.
func (s *Server) Shutdown(ctx context.Context) error {
	done := make(chan error, 1)
	go s.fresh.shutdown(ctx)
	go func() {
		err := errors.Join(s.http.ShutdownWithContext(ctx), s.side.ShutdownWithContext(ctx))
		s.large.wait(ctx)
		done <- err
	}()
	s.streams.Shutdown(ctx)
	s.sockets.Shutdown(ctx, s.opt.ComeBack)
	s.sharedb.Close()
	return <-done
}

// handle answers one request.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	if s.from.crowded(ctx) {
		s.secure(ctx)
		return
	}
	if !s.large.takeOver(ctx) {
		s.answer(ctx, nil)
	}
}

// answer answers a request. read fetches its body once nothing speaks against its sender, or answers why not;
// nil: it is there.
func (s *Server) answer(ctx *fasthttp.RequestCtx, read func() bool) {
	s.guard(ctx, func() { s.route(ctx, read) })
}

// guard gives a request its id and has f answer it. A panic in it must not take the process with it.
func (s *Server) guard(ctx *fasthttp.RequestCtx, f func()) {
	start, class := time.Now(), s.class(ctx)
	end := s.begin(ctx, class)
	defer func() {
		s.finish(ctx, class, start)
		end()
	}()
	s.secure(ctx) // before, for what is sent as a stream
	defer func() {
		if name := api.LimitOf(ctx); name != "" {
			s.opt.Metrics.Limited(name)
		}
	}()
	defer private(ctx)
	defer s.secure(ctx)
	defer func() {
		if p := recover(); p != nil {
			s.opt.Logger.ErrorContext(trail.Context(ctx), "panic in a request", "path", string(ctx.Path()), "panic", p, "stack", string(debug.Stack()))
			ctx.Response.Reset()
			ctx.Response.Header.Set(trail.Header, trail.Of(ctx).ID)
			api.Problem(ctx, fasthttp.StatusInternalServerError, "internal", "The server failed; its log says why.")
		}
	}()
	f()
}

func (s *Server) route(ctx *fasthttp.RequestCtx, read func() bool) {
	raw := string(ctx.URI().PathOriginal()) // ids may hold dots and slashes
	p := string(ctx.Path())
	if p == "/healthz" { // whoever watches may know no name of ours
		ctx.SetBodyString("ok\n")
		return
	}
	if p == "/readyz" {
		s.ready(ctx)
		return
	}
	if !s.hostAllowed(ctx) {
		return
	}
	switch {
	case isSide(ctx) && !onSide(p):
		api.Problem(ctx, fasthttp.StatusNotFound, "no_such_page", "There is nothing at this address of the operators' listener.")
	case isSide(ctx) && strings.HasPrefix(p, profiles):
		s.profile(ctx)
	case p == "/ws":
		s.connect(ctx, func(start func(*ws.Conn) ws.Handler) { s.sockets.Serve(ctx, start) }, func(in context.Context, pass *auth.Pass, c *ws.Conn) ws.Handler {
			return handler{s.protocol.ConnectIn(in, pass, c.Wake, c.Hold), connected{"quire.v1", pass}}
		})
	case p == "/sharedb":
		s.connect(ctx, func(start func(*ws.Conn) ws.Handler) { s.sockets.ServeAny(ctx, sharedb.Subprotocol, start) }, func(in context.Context, pass *auth.Pass, c *ws.Conn) ws.Handler {
			return shareHandler{s.sharedb.ConnectIn(in, pass, c.Wake, c.Hold), connected{"sharedb", pass}}
		})
	case strings.HasPrefix(raw, "/api/"):
		s.serveAPI(ctx, read)
	case p == "/metrics":
		if !s.mayAsk(ctx) {
			return
		}
		if !(isSide(ctx) && onLoopback(ctx)) && !s.operator(ctx) {
			api.Refuse(ctx, session.Errorf(session.CodeForbidden, "this is for operators of the server"))
			return
		}
		s.metrics(ctx)
	case p == "/" || p == "/join" || strings.HasPrefix(p, "/d/"):
		s.file(ctx, "index.html")
	case p == "/admin":
		s.file(ctx, "admin.html")
	case strings.HasPrefix(p, "/assets/"):
		s.file(ctx, strings.TrimPrefix(p, "/"))
	default:
		api.Problem(ctx, fasthttp.StatusNotFound, "no_such_page", "There is nothing at this address.")
	}
}

// ready answers whether the server can do its work, and operators why it cannot.
func (s *Server) ready(ctx *fasthttp.RequestCtx) {
	err := s.opt.Ready()
	if err == nil {
		ctx.SetBodyString("ready\n")
		return
	}
	if !s.mayAsk(ctx) {
		return
	}
	ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
	ctx.SetBodyString("not ready\n")
	if s.operator(ctx) {
		ctx.SetBodyString("not ready: " + err.Error() + "\n")
	}
}

// serveAPI answers what is under /api/.
func (s *Server) serveAPI(ctx *fasthttp.RequestCtx, read func() bool) {
	if !s.safe(ctx) || !s.from.allow(ctx, s.remote(ctx)) {
		return
	}
	if !s.api.Public(ctx) {
		done, ok := s.admit(ctx)
		if !ok {
			return
		}
		defer done()
		s.denied(ctx, auth.Of(ctx), false)
	}
	if strings.HasPrefix(string(ctx.URI().PathOriginal()), admin.Prefix+"/") {
		if read == nil || read() {
			s.admin.Serve(ctx)
		}
		return
	}
	if hooks.Serves(ctx) {
		s.opt.Hooks.Serve(ctx, read)
		return
	}
	s.api.Serve(ctx, read)
}

// class names what a request is about, for metrics.
func (s *Server) class(ctx *fasthttp.RequestCtx) string {
	switch raw, p := string(ctx.URI().PathOriginal()), string(ctx.Path()); {
	case hooks.Serves(ctx):
		return hooks.Prefix
	case strings.HasPrefix(raw, admin.Prefix+"/"):
		return admin.Route(raw)
	case strings.HasPrefix(raw, "/api/"):
		return s.api.Route(string(ctx.Method()), raw)
	case p == "/ws", p == "/sharedb", p == "/healthz", p == "/readyz", p == "/metrics":
		return p
	case p == "/", p == "/join", p == "/admin", strings.HasPrefix(p, "/d/"), strings.HasPrefix(p, "/assets/"):
		return "page"
	case strings.HasPrefix(p, "/debug/pprof/"):
		return "/debug/pprof"
	}
	return ""
}

// unread answers a request that could not be read by fasthttp.
func (s *Server) unread(ctx *fasthttp.RequestCtx, err error) {
	s.guard(ctx, func() { s.broken(ctx, err) })
}

// broken answers a request that could not be read.
func (s *Server) broken(ctx *fasthttp.RequestCtx, err error) {
	s.secure(ctx)
	var timeout net.Error
	var header *fasthttp.ErrSmallBuffer
	begun := len(ctx.Request.Header.RawHeaders()) > 0 // the header is there
	limited := func(name limits.Name, most int, status int, code, format string, args ...any) {
		s.opt.Metrics.Limited(name)
		e := api.Errorf(status, code, format, args...)
		if n := int64(most); n > 0 {
			e.Limit = &n
		}
		api.Refuse(ctx, e)
	}
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		limited(limits.Message, s.opt.MaxMessage, fasthttp.StatusRequestEntityTooLarge, "too_large", "The request has more than %d bytes, the limit %s.", s.opt.MaxMessage, limits.Message)
	case errors.As(err, &header):
		limited(limits.Header, s.opt.MaxHeader, fasthttp.StatusRequestHeaderFieldsTooLarge, "too_large", "The request's header has more than %d bytes, the limit %s.", s.opt.MaxHeader, limits.Header)
	case errors.As(err, &timeout) && timeout.Timeout() && !begun:
		limited(limits.HeaderTime, 0, fasthttp.StatusRequestTimeout, "timeout", "The request's header did not arrive in %v, the limit %s.", s.opt.Timeouts.Header, limits.HeaderTime)
	case errors.As(err, &timeout) && timeout.Timeout():
		api.Problem(ctx, fasthttp.StatusRequestTimeout, "timeout", "The request did not arrive in time.")
	default:
		api.Problem(ctx, fasthttp.StatusBadRequest, "bad_request", "This is not an HTTP request.")
	}
}

// handler fits a quirev1.Conn to ws.Handler.
type handler struct {
	*quirev1.Conn
	connected
}

// Send implements ws.Handler.
func (h handler) Send(c *ws.Conn) bool { return h.Conn.Send(c) }

// shareHandler fits a sharedb.Conn to ws.Handler.
type shareHandler struct {
	*sharedb.Conn
	connected
}

// Send implements ws.Handler.
func (h shareHandler) Send(c *ws.Conn) bool { return h.Conn.Send(c) }

// file serves one of the page's files. They are looked up in a table, so no path
// reaches a file system.
func (s *Server) file(ctx *fasthttp.RequestCtx, name string) {
	a, ok := s.assets[name]
	if !ok || !ctx.IsGet() && !ctx.IsHead() {
		api.Problem(ctx, fasthttp.StatusNotFound, "no_such_page", "There is nothing at this address.")
		return
	}
	ctx.SetContentType(a.mime)
	ctx.Response.Header.Set("Cache-Control", "no-cache")
	ctx.SetBody(a.body)
}
