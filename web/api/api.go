// Package api is the HTTP interface to documents under /api; docs/http.md describes it
// for people and openapi.json for programs.
package api

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/session/limits"
	"quire/web/auth"
	"quire/web/stream"
	"quire/web/trail"
)

// Options configures an API. The zero value of each field but Manager, Streams and
// Backups is usable.
type Options struct {
	// Manager has the documents. Required.
	Manager *session.Manager
	// Streams runs the answers that have no fixed length. Required.
	Streams *stream.Server
	// Backups makes copies of all data. Required.
	Backups *Backups
	// Auth makes logins, invitations and revocations. Required.
	Auth *auth.Authority
	// Credentials returns what a request brought to show who sends it, HTTPS whether it was sent by https. Required.
	Credentials func(ctx *fasthttp.RequestCtx) auth.Credentials
	HTTPS       func(ctx *fasthttp.RequestCtx) bool
	// Revoked is told of each revocation. May be nil.
	Revoked func(auth.Revocation)
	// Room waits until an answer that takes so many bytes of memory may be made for the sender of a request, and returns
	// how to say that it was taken. It fails with an *Error or when ctx ends. Default: there always is room.
	Room func(request *fasthttp.RequestCtx, ctx context.Context, bytes int) (done func(), err error)
	// Formats are the forms of documents besides text and JSON. Default: none.
	Formats Formats
	// Unified returns what differs between two texts as a unified diff with so many lines of
	// context, "" when nothing does; memory and time near-linear in the texts. Required.
	Unified func(fromName, toName, from, to string, context int) string
	// MaxMessage is the largest body of a request without a document in it, in bytes.
	// Default 1 MiB.
	MaxMessage int
	// MaxBody is the largest body with a document or operations in it. Default 32 MiB.
	MaxBody int
	// MaxImport is the largest bundle, before and after it is decompressed. Default 1 GiB.
	MaxImport int
	// MaxPage is the most entries of a list in one answer. Default 1000.
	MaxPage int
	// MaxConversion is how many bytes of documents are converted to or from other forms at one time; a
	// larger one is refused. Default 4 MiB.
	MaxConversion int
	// Timeout bounds one request's work; streams and imports have as long as they make
	// progress. Default 30 s.
	Timeout time.Duration
	// Heartbeat is the time between signs of life in a stream of events without any.
	// Default 15 s.
	Heartbeat time.Duration
	// Logger receives failures. Default slog.Default().
	Logger *slog.Logger
}

// API serves everything under /api. Safe for concurrent use.
type API struct {
	opt    Options
	routes []route

	patching   sync.Mutex     // one change of a document's title and fields at a time
	converting places         // for documents that are turned into other forms
	formBytes  *limits.Budget // their bytes
	comparing  places         // for differences between revisions
	longLines  chan struct{}  // has a place for each long line of a bundle
}

// places are the few that may do at a time what takes seconds, and many times the memory of a
// document.
type places chan struct{}

// fewAtOnce is how many places there are of a kind.
const fewAtOnce = 2

var errBusy = session.Errorf(session.CodeBusy, "too many documents are converted or compared now")

// take waits for a place and returns how to give it back.
func (p places) take(r *request) (done func(), err error) {
	select {
	case p <- struct{}{}:
		return func() { <-p }, nil
	case <-r.c.Done():
		return nil, errBusy
	}
}

// New makes an API.
func New(opt Options) *API {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&opt.MaxMessage, 1<<20)
	def(&opt.MaxBody, 32<<20)
	def(&opt.MaxImport, 1<<30)
	def(&opt.MaxPage, 1000)
	def(&opt.MaxConversion, 4<<20)
	if opt.Timeout <= 0 {
		opt.Timeout = 30 * time.Second
	}
	if opt.Heartbeat <= 0 {
		opt.Heartbeat = 15 * time.Second
	}
	if opt.Revoked == nil {
		opt.Revoked = func(auth.Revocation) {}
	}
	if opt.Formats == nil {
		opt.Formats = noFormats{}
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	return &API{
		opt: opt, routes: routes(),
		converting: make(places, fewAtOnce), formBytes: limits.NewBudget(opt.MaxConversion), comparing: make(places, fewAtOnce), longLines: make(chan struct{}, longLines),
	}
}

// convert has a document of so many bytes converted, when there is room beside the others, and returns how to
// say that it has ended.
func (a *API) convert(r *request, bytes int) (done func(), err error) {
	if most := a.opt.MaxConversion; bytes > most {
		return nil, limited(limits.Conversion, most, fasthttp.StatusRequestEntityTooLarge, session.CodeTooLarge,
			"A document of %d bytes is not converted to or from another form, the limit %s is %d. It can be had and brought back as %s.", bytes, limits.Conversion, most, mediaJSON)
	}
	place, err := a.converting.take(r)
	if err != nil {
		return nil, err
	}
	room, err := a.formBytes.Take(r.c, bytes)
	if err != nil {
		place()
		return nil, errBusy
	}
	return func() { room(); place() }, nil
}

// largeAnswer is from how many bytes of a document on an answer is counted, and answerCost how much memory making one
// takes for each of them: the content, the answer around it, and what these grew out of.
const (
	largeAnswer = 64 << 10
	answerCost  = 4
)

// room waits until an answer with a document of so many bytes may be made. It is given back when the answer was taken, or
// the connection is gone.
func (a *API) room(r *request, bytes int) error {
	if bytes < largeAnswer || a.opt.Room == nil {
		return nil
	}
	done, err := a.opt.Room(r.ctx, r.c, answerCost*bytes)
	if err != nil {
		return err
	}
	r.ctx.SetUserValue(roomKey, onClose(done))
	return nil
}

// leaves counts an answer that is large and not counted yet. What was only asked is refused when there is no room.
func (a *API) leaves(r *request) error {
	if r.ctx.Response.IsBodyStream() || r.ctx.UserValue(roomKey) != nil || a.opt.Room == nil {
		return nil
	}
	bytes := len(r.ctx.Response.Body())
	if bytes < largeAnswer {
		return nil
	}
	done, err := a.opt.Room(r.ctx, r.c, bytes)
	switch {
	case err == nil:
		r.ctx.SetUserValue(roomKey, onClose(done))
	case r.route.method == fasthttp.MethodGet:
		return err
	}
	return nil
}

// roomKey is under what a request has its room, which fasthttp closes with it, when the answer was written.
const roomKey = "quire room"

// onClose is an io.Closer.
type onClose func()

// Close calls f.
func (f onClose) Close() error {
	f()
	return nil
}

// route is one operation at one kind of address.
type route struct {
	method string               // GET answers HEAD too
	path   []string             // segments after /api/; one in braces matches any that is not empty
	access access               // what somebody has to be allowed for it
	query  []string             // the names of its parameters
	bodies []string             // the media types it takes; nil: it takes no body
	size   size                 // of its body
	before func(*request) error // checks more than the body, before it; may be nil
	serve  func(*API, *request) error
}

// size is what kind of a body a route takes, by its limit.
type size uint8

const (
	small    size = iota // MaxMessage
	document             // MaxBody
	whole                // a document, or MaxImport for a bundle
)

func at(method, path string, need access, serve func(*API, *request) error) route {
	return route{method: method, path: strings.Split(path, "/"), access: need, serve: serve}
}

func (r route) params(names ...string) route           { r.query = names; return r }
func (r route) first(check func(*request) error) route { r.before = check; return r }
func (r route) takes(s size, types ...string) route {
	r.size, r.bodies = s, types
	return r
}

const (
	mediaJSON     = "application/json"
	mediaMerge    = "application/merge-patch+json"
	mediaText     = "text/plain"
	mediaMarkdown = "text/markdown"
	mediaHTML     = "text/html"
	mediaDelta    = "application/vnd.quire.delta+json"
	mediaBundle   = "application/vnd.quire.bundle"
	mediaDiff     = "text/x-diff"
	mediaEvents   = "text/event-stream"
)

func routes() []route {
	contents := []string{mediaJSON, mediaText, mediaMarkdown, mediaHTML, mediaDelta}
	return []route{
		at("GET", "docs", listed, (*API).list).params("prefix", "after", "limit"),
		at("POST", "docs", creators, (*API).create).params("id", "title", "type").takes(whole, append(contents, mediaBundle)...),
		at("GET", "docs/{id}", readers, (*API).read).params("rev", "at", "label", "format"),
		at("PUT", "docs/{id}", writers, (*API).put).params("type").first((*request).precondition).takes(document, contents...),
		at("PATCH", "docs/{id}", writers, (*API).patch).takes(small, mediaJSON, mediaMerge),
		at("DELETE", "docs/{id}", admins, (*API).remove),
		at("POST", "docs/{id}/operations", writers, (*API).operations).takes(document, mediaJSON),
		at("GET", "docs/{id}/events", readers, (*API).events).params("from"),
		at("GET", "docs/{id}/history", readers, (*API).history).params("before", "limit", "pause", "span"),
		at("GET", "docs/{id}/history/{rev}", readers, (*API).step),
		at("GET", "docs/{id}/diff", readers, (*API).diff).params("from", "to", "from_at", "to_at", "from_label", "to_label", "fields"),
		at("GET", "docs/{id}/blame", readers, (*API).blame).params("rev", "since"),
		at("POST", "docs/{id}/restore", writers, (*API).restore).takes(small, mediaJSON),
		at("POST", "docs/{id}/revert", writers, (*API).revert).takes(small, mediaJSON),
		at("GET", "docs/{id}/labels", readers, (*API).labels),
		at("PUT", "docs/{id}/labels/{name}", writers, (*API).setLabel).takes(small, mediaJSON),
		at("DELETE", "docs/{id}/labels/{name}", writers, (*API).deleteLabel),
		at("POST", "docs/{id}/redact", admins, (*API).redact).takes(small, mediaJSON),
		at("GET", "docs/{id}/links", admins, (*API).links),
		at("POST", "docs/{id}/links", admins, (*API).invite).takes(small, mediaJSON),
		at("DELETE", "docs/{id}/links/{link}", admins, (*API).withdraw),
		at("GET", "session", listed, (*API).session),
		at("POST", "session", public, (*API).login).takes(small, mediaJSON),
		at("DELETE", "session", public, (*API).logout),
		at("GET", "revocations", revokers, (*API).revocations),
		at("POST", "revocations", revokers, (*API).revoke).takes(small, mediaJSON),
		at("GET", "backup", operators, (*API).backup),
		at("GET", "openapi.json", public, (*API).openapi),
	}
}

// find returns the route of a request, and the values of the segments in braces, still
// escaped. Without one, allow is the methods there are at that address, if any.
func (a *API) find(method, path string) (rt *route, values, allow []string) {
	segments := strings.Split(strings.TrimPrefix(path, "/api/"), "/")
	if method == fasthttp.MethodHead {
		method = fasthttp.MethodGet
	}
	for i := range a.routes {
		rt := &a.routes[i]
		vals, ok := rt.match(segments)
		switch {
		case !ok:
		case rt.method == method:
			return rt, vals, nil
		case rt.method == fasthttp.MethodGet:
			allow = append(allow, "GET", "HEAD")
		default:
			allow = append(allow, rt.method)
		}
	}
	return nil, nil, allow
}

func (r *route) match(segments []string) (values []string, ok bool) {
	if len(segments) != len(r.path) {
		return nil, false
	}
	for i, want := range r.path {
		switch {
		case segments[i] == "":
			return nil, false
		case want[0] == '{':
			values = append(values, segments[i])
		case want != segments[i]:
			return nil, false
		}
	}
	return values, true
}

// Route names the address of a request, with {id} and the like in it, for metrics; ""
// when there is nothing at it.
func (a *API) Route(method, path string) string {
	if rt, _, _ := a.find(method, path); rt != nil {
		return "/api/" + strings.Join(rt.path, "/")
	}
	return ""
}

// Serve answers a request to an address under /api/, once the sender is known; see auth.Of. read
// fetches a body that is not there yet, or refuses it, when nothing else speaks against the sender; nil: the
// body is there.
func (a *API) Serve(ctx *fasthttp.RequestCtx, read func() bool) {
	if err := a.serve(ctx, read); err != nil {
		ctx.Response.Header.Del("ETag") // of what does not leave
		Refuse(ctx, err)
	}
}

func (a *API) serve(ctx *fasthttp.RequestCtx, read func() bool) error {
	r, err := a.request(ctx)
	if err != nil {
		return err
	}
	if err := r.allow(); err != nil {
		return err
	}
	if read != nil {
		if !read() {
			return nil
		}
		if err := r.allow(); err != nil { // it may have taken minutes
			return err
		}
	}
	if err := r.check(a); err != nil {
		return err
	}
	c, cancel := context.WithTimeout(trail.Context(ctx), a.opt.Timeout)
	defer cancel()
	c, done := a.opt.Manager.Reading(c)
	defer done()
	r.c = c
	var was *auth.Identity
	if r.route.access == listed {
		was = r.pass.Identity()
	}
	if err := r.route.serve(a, r); err != nil {
		return err
	}
	if err := a.leaves(r); err != nil || r.route.method != fasthttp.MethodGet || ctx.Response.IsBodyStream() {
		return err
	}
	if err := r.allow(); err != nil { // it may have waited for room, and nothing has left yet
		return err
	}
	if was != nil && r.pass.Identity() != was { // it lists what may be read, which may be less by now
		return r.route.serve(a, r)
	}
	return nil
}

// Allowed returns why the sender of a request may not do what it asks for, or nil, without looking at its body.
func (a *API) Allowed(ctx *fasthttp.RequestCtx) error {
	r, err := a.request(ctx)
	if err != nil {
		return err
	}
	return r.allow()
}

// Public reports whether a request is for what anybody may have.
func (a *API) Public(ctx *fasthttp.RequestCtx) bool {
	rt, _, _ := a.find(string(ctx.Method()), string(ctx.URI().PathOriginal()))
	return rt != nil && rt.access == public
}

// request returns what a request is about.
func (a *API) request(ctx *fasthttp.RequestCtx) (*request, error) {
	rt, values, allow := a.find(string(ctx.Method()), string(ctx.URI().PathOriginal()))
	switch {
	case rt == nil && allow != nil:
		ctx.Response.Header.Set("Allow", strings.Join(allow, ", "))
		return nil, Errorf(fasthttp.StatusMethodNotAllowed, "method", "This address takes %s.", strings.Join(allow, ", "))
	case rt == nil:
		return nil, Errorf(fasthttp.StatusNotFound, "no_such_page", "There is nothing at this address. A document's id is one segment of it: a slash in an id is written %%2F.")
	}
	r := &request{ctx: ctx, route: rt, pass: auth.Of(ctx)}
	for i, v := range values {
		plain, err := url.PathUnescape(v)
		if err != nil {
			return nil, Errorf(fasthttp.StatusBadRequest, "bad_id", "The address is not escaped as it should be: a percent sign is written %%25.")
		}
		values[i] = plain
	}
	if len(values) > 0 {
		r.id = values[0]
		trail.SetDoc(ctx, r.id)
	}
	if len(values) > 1 {
		r.arg = values[1]
	}
	return r, nil
}
