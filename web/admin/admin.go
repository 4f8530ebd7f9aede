// Package admin is the interface for whoever runs the server, under /api/admin: what it
// is doing, and what to do about it. docs/operations.md describes it. It is for operators
// alone; see auth.Pass.Operator.
package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/web/api"
	"quire/web/audit"
	"quire/web/auth"
	"quire/web/metrics"
	"quire/web/trail"
	"quire/web/ws"
)

// Prefix is where Serve's addresses begin.
const Prefix = "/api/admin"

// Sockets are the WebSocket connections: a *ws.Server.
type Sockets interface {
	Statuses() []ws.Status
	Dismiss(id string) bool
}

// Peer is a handler of a connection that says who is there.
type Peer interface {
	ws.Handler
	// Protocol is the name of the protocol.
	Protocol() string
	// Who is who is connected.
	Who() audit.Who
	// Name is what they are called; empty: as the author.
	Name() string
	// Documents are the ids of those that are open, in byte order.
	Documents() []string
}

// Disk is what the data needs and has, in bytes.
type Disk struct {
	// File is the size of the data file, Free what its file system has left for it, Total
	// how large that is.
	File  int64 `json:"file_bytes"`
	Free  int64 `json:"free_bytes"`
	Total int64 `json:"total_bytes"`
}

// Options configures an API. web.New fills in those that are its own: all from Manager on.
type Options struct {
	// Version is the program's version, Limits its settings that bound something, by name.
	Version string
	Limits  map[string]string
	// Disk asks what the data needs. May be nil.
	Disk func() (Disk, error)
	// Backups is the folder for copies that stay on the server; it is made when it is
	// needed. Empty: there are none.
	Backups string

	Manager *session.Manager
	Sockets Sockets
	Streams func() int
	Ready   func() error
	Latency func() metrics.Latencies
	// Copy makes a consistent copy of all data.
	Copy   func(ctx context.Context) (api.Copy, error)
	Logger *slog.Logger
}

// API serves everything under Prefix. Safe for concurrent use.
type API struct {
	opt     Options
	started time.Time
	copying chan struct{} // has a place for who makes a copy
}

// New makes an API.
func New(opt Options) *API {
	return &API{opt: opt, started: time.Now(), copying: make(chan struct{}, 1)}
}

// workTime bounds one request's work, and longWork that of those that go through a
// document's past or copy all data.
const (
	workTime = 30 * time.Second
	longWork = 10 * time.Minute
)

// call is one request on its way.
type call struct {
	ctx *fasthttp.RequestCtx
	c   context.Context
	arg string // the segment in the address that is a name
}

// route is one operation.
type route struct {
	method string
	path   []string // after Prefix; {} is any segment
	query  []string // the names of its parameters
	long   bool
	serve  func(a *API, c *call) (status int, answer any, err error)
}

var routes = []route{
	{"GET", []string{"status"}, nil, false, (*API).status},
	{"GET", []string{"docs"}, []string{"prefix", "after", "limit"}, false, (*API).docs},
	{"POST", []string{"docs", "{}", "squash"}, nil, true, (*API).squash},
	{"GET", []string{"sessions"}, []string{"by", "limit"}, false, (*API).sessions},
	{"DELETE", []string{"sessions", "{}"}, nil, false, (*API).release},
	{"GET", []string{"connections"}, []string{"by", "limit", "doc", "author"}, false, (*API).connections},
	{"DELETE", []string{"connections", "{}"}, nil, false, (*API).disconnect},
	{"GET", []string{"backups"}, nil, false, (*API).backups},
	{"POST", []string{"backups"}, nil, true, (*API).backUp},
}

func (r *route) match(segments []string) (arg string, ok bool) {
	if len(segments) != len(r.path) {
		return "", false
	}
	for i, want := range r.path {
		switch {
		case segments[i] == "":
			return "", false
		case want == "{}":
			arg = segments[i]
		case want != segments[i]:
			return "", false
		}
	}
	return arg, true
}

func split(path string) []string {
	return strings.Split(strings.TrimPrefix(path, Prefix+"/"), "/")
}

// Route names the address of a request, with {} in it for a name, for metrics; "" when there is
// nothing at it.
func Route(path string) string {
	segments := split(path)
	for i := range routes {
		if _, ok := routes[i].match(segments); ok {
			return Prefix + "/" + strings.Join(routes[i].path, "/")
		}
	}
	return ""
}

// Serve answers a request to an address under Prefix.
func (a *API) Serve(ctx *fasthttp.RequestCtx) {
	if err := a.serve(ctx); err != nil {
		api.Refuse(ctx, err)
	}
}

func (a *API) serve(ctx *fasthttp.RequestCtx) error {
	if !auth.Of(ctx).Operator() {
		if ended := auth.Of(ctx).Ended(); ended != nil {
			return ended
		}
		return session.Errorf(session.CodeForbidden, "this is for operators: the role admin in all documents")
	}
	method := string(ctx.Method())
	if method == fasthttp.MethodHead {
		method = fasthttp.MethodGet
	}
	var allow []string
	segments := split(string(ctx.URI().PathOriginal()))
	for i := range routes {
		rt := &routes[i]
		arg, ok := rt.match(segments)
		if !ok {
			continue
		}
		if rt.method == method {
			return a.run(ctx, rt, arg)
		}
		allow = append(allow, rt.method)
	}
	if allow == nil {
		return api.Errorf(fasthttp.StatusNotFound, "no_such_page", "There is nothing at this address.")
	}
	ctx.Response.Header.Set("Allow", strings.Join(allow, ", "))
	return api.Errorf(fasthttp.StatusMethodNotAllowed, "method", "This address takes %s.", strings.Join(allow, ", "))
}

func (a *API) run(ctx *fasthttp.RequestCtx, rt *route, arg string) error {
	if err := api.CheckQuery(ctx, rt.query); err != nil {
		return err
	}
	plain, err := url.PathUnescape(arg)
	if err != nil {
		return api.Errorf(fasthttp.StatusBadRequest, "bad_id", "The address is not escaped as it should be: a percent sign is written %%25.")
	}
	within := workTime
	if rt.long {
		within = longWork
	}
	c, cancel := context.WithTimeout(trail.Context(ctx), within)
	defer cancel()
	status, answer, err := rt.serve(a, &call{ctx, c, plain})
	if err != nil {
		return err
	}
	ctx.SetStatusCode(status)
	ctx.Response.Header.Set("Cache-Control", "no-store")
	if answer == nil {
		return nil
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	ctx.SetContentType("application/json")
	ctx.Response.SetBodyRaw(append(body, '\n'))
	return nil
}

// limit reads the parameter limit.
func (c *call) limit(byDefault, most int) (int, error) {
	v := c.ctx.QueryArgs().Peek("limit")
	if len(v) == 0 {
		return byDefault, nil
	}
	n, err := c.ctx.QueryArgs().GetUint("limit")
	if err != nil || n < 1 || n > most {
		return 0, api.Errorf(fasthttp.StatusBadRequest, "bad_limit", "limit is a number from 1 to %d.", most)
	}
	return n, nil
}

// by reads the parameter by, which is one of names; the first by default.
func (c *call) by(names ...string) (string, error) {
	v := string(c.ctx.QueryArgs().Peek("by"))
	if v == "" {
		return names[0], nil
	}
	for _, name := range names {
		if v == name {
			return v, nil
		}
	}
	return "", api.Errorf(fasthttp.StatusBadRequest, "bad_field", "by is one of %s.", strings.Join(names, ", "))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
