package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"quire/ot/jsonscan"
	"quire/session"
	"quire/session/limits"
	"quire/web/auth"
)

// request is one request on its way through a route.
type request struct {
	ctx   *fasthttp.RequestCtx
	c     context.Context
	route *route
	pass  *auth.Pass // of who sends it
	id    string     // of the document
	arg   string     // the second value of the address
	media string     // of the body, without parameters; "" when there is none
}

// check refuses what no route takes: unknown parameters, foreign content types, bodies
// past their limit. What a route has to be told besides, it asks for before it looks at the body.
func (r *request) check(a *API) error {
	if err := CheckQuery(r.ctx, r.route.query); err != nil || r.route.method == fasthttp.MethodGet {
		return err
	}
	if r.route.before != nil {
		if err := r.route.before(r); err != nil {
			return err
		}
	}
	return r.checkBody(a)
}

// CheckQuery refuses parameters that have none of these names, that come twice, or that
// are not UTF-8.
func CheckQuery(ctx *fasthttp.RequestCtx, names []string) error {
	var err error
	seen := map[string]bool{}
	for k, v := range ctx.QueryArgs().All() {
		name := string(k)
		switch {
		case err != nil:
		case !slices.Contains(names, name):
			err = bad("unknown_parameter", "There is no parameter %s here; there is %s.", quote(name), list(names))
		case seen[name]:
			err = bad("repeated_parameter", "The parameter %s comes twice.", name)
		case !utf8.Valid(v):
			err = bad("not_utf8", "The parameter %s is not UTF-8.", name)
		}
		seen[name] = true
	}
	return err
}

// quote shows a name that somebody sent, in a bounded form.
func quote(name string) string { return fmt.Sprintf("%.80q", name) }

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (r *request) checkBody(a *API) error {
	h := &r.ctx.Request.Header
	kind := string(h.ContentType())
	if r.route.bodies == nil {
		if len(r.ctx.Request.Body()) > 0 {
			return bad("unwanted_body", "This request has no body.")
		}
		return nil
	}
	if kind == "" && !(r.route.method == fasthttp.MethodPut && len(r.route.bodies) > 1) { // a text would pass for JSON
		kind = mediaJSON
	}
	media, params, err := mime.ParseMediaType(kind)
	charset := params["charset"]
	if err != nil || !slices.Contains(r.route.bodies, media) || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return Errorf(fasthttp.StatusUnsupportedMediaType, "content_type", "The body's content type is %s; this address takes %s, in UTF-8: send the header Content-Type.", quote(kind), list(r.route.bodies))
	}
	r.media = media
	if coding := string(h.Peek("Content-Encoding")); coding != "" && coding != "identity" && !(media == mediaBundle && coding == "gzip") {
		return Errorf(fasthttp.StatusUnsupportedMediaType, "content_encoding", "The body's Content-Encoding is %s; only bundles may be compressed, with gzip.", quote(coding))
	}
	if r.ctx.RequestBodyStream() != nil {
		return nil // read, and measured, as it comes
	}
	limit, name := a.limit(r.route, media)
	if len(r.ctx.Request.Body()) > limit {
		return BodyTooLarge(limit, name)
	}
	return nil
}

// limit returns the largest body a route takes, and the name of the limit.
func (a *API) limit(rt *route, media string) (int, string) {
	switch {
	case rt.size == whole && media == mediaBundle:
		return a.opt.MaxImport, "max-import"
	case rt.size == small:
		return a.opt.MaxMessage, "max-message"
	}
	return a.opt.MaxBody, "max-body"
}

// Limit returns the largest body in bytes that a request with this header may have, the
// name of that limit, and whether the body is to be handed on as a stream.
func (a *API) Limit(h *fasthttp.RequestHeader, path string) (limit int, name string, streamed bool) {
	rt, _, _ := a.find(string(h.Method()), path)
	if rt == nil || rt.bodies == nil {
		return a.opt.MaxMessage, "max-message", false
	}
	media, _, _ := mime.ParseMediaType(string(h.ContentType()))
	limit, name = a.limit(rt, media)
	return limit, name, rt.size == whole && media == mediaBundle
}

// body returns the body, which must be UTF-8.
func (r *request) body() ([]byte, error) { return textBody(r.ctx) }

func textBody(ctx *fasthttp.RequestCtx) ([]byte, error) {
	b := ctx.Request.Body()
	if !utf8.Valid(b) {
		return nil, bad("not_utf8", "The body is not valid UTF-8. Documents are text: a file of another kind cannot be put here.")
	}
	return b, nil
}

// object is ReadObject of the request.
func (r *request) object(into map[string]any) error { return ReadObject(r.ctx, into) }

// ReadObject reads a request's body as a JSON object; into has, for each name it may have, where
// the value goes.
func ReadObject(ctx *fasthttp.RequestCtx, into map[string]any) error {
	body, err := textBody(ctx)
	if err != nil {
		return err
	}
	return decodeObject(body, into)
}

// decodeObject reads a JSON object whose members all have a place in into.
func decodeObject(body []byte, into map[string]any) error {
	in := jsonscan.New(body)
	seen := map[string]bool{}
	var wrong error
	err := in.Object(func(name string) error {
		raw, err := in.Raw()
		if err != nil {
			return err
		}
		to, known := into[name]
		switch {
		case !known:
			wrong = bad("unknown_field", "There is no field %s here; there is %s.", quote(name), list(sorted(into)))
		case seen[name]:
			wrong = bad("repeated_field", "The field %s comes twice.", name)
		case !json.Valid(raw):
			return in.Fail("no JSON value before")
		case json.Unmarshal(raw, to) != nil:
			wrong = bad("bad_field", "The field %s is of another kind than it should be: %s.", name, kindOf(to))
		}
		seen[name] = true
		return wrong
	})
	if err == nil {
		err = in.End()
	}
	if wrong != nil {
		return wrong
	}
	if err != nil {
		return bad("bad_json", "The body is not a JSON object: %v.", err)
	}
	return nil
}

func sorted(into map[string]any) []string {
	names := make([]string, 0, len(into))
	for name := range into {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// kindOf says what a field is to be.
func kindOf(to any) string {
	switch to.(type) {
	case *string, **string:
		return "a string"
	case **int64, *int64:
		return "a whole number"
	case *[]json.RawMessage:
		return "an array"
	case *bool:
		return "true or false"
	}
	return "a value"
}

// param returns a parameter and whether it was given.
func (r *request) param(name string) (string, bool) {
	args := r.ctx.QueryArgs()
	return string(args.Peek(name)), args.Has(name)
}

// number reads a parameter that is a whole number in [least, most].
func (r *request) number(name string, def, least, most int) (int, error) {
	s, ok := r.param(name)
	if !ok {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, bad("bad_"+name, "%s is %s; it is a number from %d to %d.", name, quote(s), least, most)
	}
	return n, nil
}

// page reads how many entries of a list are wanted.
func (a *API) page(r *request) (int, error) {
	most := a.opt.MaxPage
	n, err := r.number("limit", min(defaultPage, most), 1, math.MaxInt32)
	if err == nil && n > most {
		return 0, limited(limits.Page, most, fasthttp.StatusBadRequest, "bad_limit", "limit is %d; it is a number from 1 to %d, the limit %s.", n, most, limits.Page)
	}
	return n, err
}

// duration reads a parameter such as 90s or 2m.
func (r *request) duration(name string) (time.Duration, error) {
	s, ok := r.param(name)
	if !ok {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Millisecond || d > 365*24*time.Hour {
		return 0, bad("bad_"+name, "%s is %s; it is a time such as 90s, 2m or 1h, from 1ms to 8760h.", name, quote(s))
	}
	return d, nil
}

// maxRevision is the largest number that JSON carries without loss.
const maxRevision = 1<<53 - 1

// revision reads a revision as it is written in an address or a header; name is where.
func revision(name, s string) (session.Revision, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > maxRevision || len(s) > 1 && s[0] == '0' {
		return 0, bad("bad_revision", "%s is %s; a revision is a whole number, 0 or more.", name, quote(s))
	}
	return session.Revision(n), nil
}

// revisionParam reads a parameter that is a revision.
func (r *request) revisionParam(name string, def session.Revision) (session.Revision, error) {
	s, ok := r.param(name)
	if !ok {
		return def, nil
	}
	return revision(name, s)
}

// fieldRevision checks a revision in a body.
func fieldRevision(name string, n *int64, def session.Revision) (session.Revision, error) {
	if n == nil {
		return def, nil
	}
	if *n < 0 || *n > maxRevision {
		return 0, bad("bad_revision", "%s is %d; a revision is a whole number, 0 or more.", name, *n)
	}
	return session.Revision(*n), nil
}

const timeForm = "2006-01-02T15:04:05.000Z"

func timeOf(t time.Time) string { return t.UTC().Format(timeForm) }

func timeOfMilli(ms int64) string { return timeOf(time.UnixMilli(ms)) }

func parseTime(name, s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, bad("bad_time", "%s is %s; a time is written 2026-11-20T10:00:00Z (RFC 3339).", name, quote(s))
	}
	return t, nil
}

// moment says which revision is meant, in one of three ways.
type moment struct {
	names            [3]string // of the three, for messages
	rev, time, label string
	given            int
}

// momentParam reads a moment from parameters with these names.
func (r *request) momentParam(rev, at, label string) moment {
	m := moment{names: [3]string{rev, at, label}}
	for i, to := range []*string{&m.rev, &m.time, &m.label} {
		if s, ok := r.param(m.names[i]); ok {
			*to = s
			m.given |= 1 << i
		}
	}
	return m
}

// resolve returns the revision that is meant, def when none is.
func (a *API) resolve(r *request, m moment, def session.Revision) (session.Revision, error) {
	switch m.given {
	case 0:
		return def, nil
	case 1:
		return revision(m.names[0], m.rev)
	case 2:
		t, err := parseTime(m.names[1], m.time)
		if err != nil {
			return 0, err
		}
		return a.resolved(r, "", t, Errorf(fasthttp.StatusNotFound, "before_creation", "The document was created later than %s.", m.time))
	case 4:
		if m.label == "" {
			return 0, bad("bad_label", "%s is empty.", m.names[2])
		}
		return a.resolved(r, m.label, time.Time{}, Errorf(fasthttp.StatusNotFound, "no_such_label", "The document has no label %s.", quote(m.label)))
	}
	return 0, bad("ambiguous", "Give one of %s, %s and %s.", m.names[0], m.names[1], m.names[2])
}

// resolved asks the session, and has missing told when the document is there.
func (a *API) resolved(r *request, label string, t time.Time, missing *Error) (session.Revision, error) {
	rev, err := a.opt.Manager.Resolve(r.c, r.id, label, t)
	if err == nil {
		return rev, nil
	}
	if session.AsError(err).Code == session.CodeNotFound {
		if _, gone := a.opt.Manager.Stat(r.c, r.id); gone != nil {
			return 0, gone
		}
		return 0, missing
	}
	return 0, a.numbered(r, err)
}

// author returns who edits: who sends the request, or whom it names where nobody is asked.
func (a *API) author(r *request) (session.User, error) {
	if r.pass.Identity().Kind != auth.Open {
		return r.pass.User(session.User{}), nil
	}
	raw := string(r.ctx.Request.Header.Peek("Quire-Author"))
	name, err := url.PathUnescape(raw)
	limit := a.opt.Manager.Limits().UserName
	if err != nil || !utf8.ValidString(name) || len(name) > limit || strings.ContainsFunc(name, unprintable) {
		return session.User{}, bad("bad_author", "Quire-Author is a name of at most %d bytes, in UTF-8 with percent signs as in addresses where it is not printable ASCII.", limit)
	}
	return r.pass.User(session.User{Name: name}), nil
}

func unprintable(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError }
