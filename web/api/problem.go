package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/session/limits"
	"quire/web/trail"
)

// Error is a refusal as HTTP tells it: problem details (RFC 9457) with a stable code.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Code is a stable name of what went wrong: one of the session's or, of what only
	// HTTP has, one that docs/http.md lists.
	Code string
	// Detail is a sentence for people that says what to do.
	Detail string
	// Name is the limit that is the reason; empty for none, or one that the session has counted.
	Name limits.Name
	Numbers
}

// Numbers are what a refusal tells beside its sentence.
type Numbers struct {
	Head   *int64 `json:"head,omitempty"`   // the newest revision
	Oldest *int64 `json:"oldest,omitempty"` // the oldest revision that can be read
	Limit  *int64 `json:"limit,omitempty"`  // the limit that was passed
}

// Error returns the code and the sentence.
func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// Errorf makes an Error.
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// TooLarge is a refusal of something larger than a limit.
func TooLarge(limit int, format string, args ...any) *Error {
	e := Errorf(fasthttp.StatusRequestEntityTooLarge, string(session.CodeTooLarge), format, args...)
	n := int64(limit)
	e.Limit = &n
	return e
}

// BodyTooLarge is the refusal of a body.
func BodyTooLarge(limit int, name string) *Error {
	return limited(limits.Name(name), limit, fasthttp.StatusRequestEntityTooLarge, session.CodeTooLarge, "The body has more than %d bytes, the limit %s.", limit, name)
}

// limited is a refusal because of a limit.
func limited(name limits.Name, most, status int, code session.Code, format string, args ...any) *Error {
	e := Errorf(status, string(code), format, args...)
	n := int64(most)
	e.Name, e.Limit = name, &n
	return e
}

// limitKey is where a request keeps the limit that it was refused for.
const limitKey = "quire.limit"

// LimitOf returns the limit that a request was refused for, "" when it was not, or it was counted already.
func LimitOf(ctx *fasthttp.RequestCtx) limits.Name {
	name, _ := ctx.UserValue(limitKey).(limits.Name)
	return name
}

func bad(code, format string, args ...any) *Error {
	return Errorf(fasthttp.StatusBadRequest, code, format, args...)
}

// statuses maps the session's codes to HTTP; what is not here is 400.
var statuses = map[session.Code]int{
	session.CodeNotFound:        fasthttp.StatusNotFound,
	session.CodeFuture:          fasthttp.StatusNotFound,
	session.CodeDeleted:         fasthttp.StatusNotFound,
	session.CodeMoved:           fasthttp.StatusNotFound,
	session.CodeGone:            fasthttp.StatusGone,
	session.CodeExists:          fasthttp.StatusConflict,
	session.CodeReused:          fasthttp.StatusConflict,
	session.CodeStale:           fasthttp.StatusConflict,
	session.CodeInFlight:        fasthttp.StatusConflict,
	session.CodeTooMany:         fasthttp.StatusConflict,
	session.CodeTooLarge:        fasthttp.StatusRequestEntityTooLarge,
	session.CodeUnavailable:     fasthttp.StatusServiceUnavailable,
	session.CodeBusy:            fasthttp.StatusServiceUnavailable,
	session.CodeUnauthenticated: fasthttp.StatusUnauthorized,
	session.CodeForbidden:       fasthttp.StatusForbidden,
	session.CodeRate:            fasthttp.StatusTooManyRequests,
	session.CodeInternal:        fasthttp.StatusInternalServerError,
}

// asError turns any error into one to be told.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	s := session.AsError(err)
	status, ok := statuses[s.Code]
	if !ok {
		status = fasthttp.StatusBadRequest
	}
	return &Error{Status: status, Code: string(s.Code), Detail: s.Message}
}

// Refuse answers with an error: an *Error as it is, one of the session by its code,
// anything else as "internal".
func Refuse(ctx *fasthttp.RequestCtx, err error) {
	e := asError(err)
	if e.Status == fasthttp.StatusUnauthorized {
		ctx.Response.Header.Set("WWW-Authenticate", `Bearer realm="quire"`)
	}
	if e.Name != "" {
		ctx.SetUserValue(limitKey, e.Name)
	}
	if e.Status == fasthttp.StatusServiceUnavailable || e.Status == fasthttp.StatusTooManyRequests {
		ctx.Response.Header.Set("Retry-After", "1")
	}
	id := trail.Of(ctx).ID
	if id == "" { // it was refused before anybody looked at it
		id = trail.Attach(ctx, netip.Addr{}, false).ID
	}
	trail.SetCode(ctx, e.Code)
	answer(ctx, e.Status, "application/problem+json", struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
		Req    string `json:"req"`
		Numbers
	}{fasthttp.StatusMessage(e.Status), e.Status, e.Code, e.Detail, id, e.Numbers})
}

// Problem answers with problem details.
func Problem(ctx *fasthttp.RequestCtx, status int, code, detail string) {
	Refuse(ctx, &Error{Status: status, Code: code, Detail: detail})
}

// answer sends a value as JSON.
func answer(ctx *fasthttp.RequestCtx, status int, contentType string, v any) {
	body := marshal(v)
	ctx.SetStatusCode(status)
	ctx.SetContentType(contentType)
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.Response.SetBodyRaw(body)
}

// marshal returns a value of ours as a line of JSON.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // structs of strings, numbers and JSON that was checked
	}
	return b.Bytes()
}

// numbered adds, to a refusal of a revision, what revisions there are.
func (a *API) numbered(r *request, err error) error {
	e := asError(err)
	if e.Code != string(session.CodeFuture) && e.Code != string(session.CodeGone) {
		return err
	}
	info, statErr := a.opt.Manager.Stat(r.c, r.id)
	switch head, first := int64(info.Head), oldest(info); {
	case statErr != nil: // of a document that is not there, every revision is in the future
		return statErr
	case e.Code == string(session.CodeFuture):
		e.Head = &head
	default:
		e.Oldest = &first
	}
	return e
}
