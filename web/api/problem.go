package api

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"

	"quire/session"
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
	// Numbers are members beside these, such as "head"; may be nil.
	Numbers map[string]int64
}

// Error returns the code and the sentence.
func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// Errorf makes an Error.
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// with adds a number.
func (e *Error) with(name string, n int64) *Error {
	if e.Numbers == nil {
		e.Numbers = map[string]int64{}
	}
	e.Numbers[name] = n
	return e
}

func bad(code, format string, args ...any) *Error {
	return Errorf(fasthttp.StatusBadRequest, code, format, args...)
}

// statuses maps the session's codes to HTTP; what is not here is 400.
var statuses = map[session.Code]int{
	session.CodeNotFound:    fasthttp.StatusNotFound,
	session.CodeFuture:      fasthttp.StatusNotFound,
	session.CodeDeleted:     fasthttp.StatusNotFound,
	session.CodeMoved:       fasthttp.StatusNotFound,
	session.CodeGone:        fasthttp.StatusGone,
	session.CodeExists:      fasthttp.StatusConflict,
	session.CodeReused:      fasthttp.StatusConflict,
	session.CodeStale:       fasthttp.StatusConflict,
	session.CodeInFlight:    fasthttp.StatusConflict,
	session.CodeTooLarge:    fasthttp.StatusRequestEntityTooLarge,
	session.CodeUnavailable: fasthttp.StatusServiceUnavailable,
	session.CodeBusy:        fasthttp.StatusServiceUnavailable,
	session.CodeInternal:    fasthttp.StatusInternalServerError,
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
	if e.Status == fasthttp.StatusServiceUnavailable {
		ctx.Response.Header.Set("Retry-After", "1")
	}
	body := map[string]any{
		"title":  fasthttp.StatusMessage(e.Status),
		"status": e.Status,
		"code":   e.Code,
		"detail": e.Detail,
	}
	for name, n := range e.Numbers {
		body[name] = n
	}
	answer(ctx, e.Status, "application/problem+json", body)
}

// Problem answers with problem details.
func Problem(ctx *fasthttp.RequestCtx, status int, code, detail string) {
	Refuse(ctx, &Error{Status: status, Code: code, Detail: detail})
}

// answer sends a value as JSON.
func answer(ctx *fasthttp.RequestCtx, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // structs of strings, numbers and JSON that was checked
	}
	ctx.SetStatusCode(status)
	ctx.SetContentType(contentType)
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetBody(append(body, '\n'))
}

// numbered adds, to a refusal of a revision, what revisions there are.
func (a *API) numbered(r *request, err error) error {
	e := asError(err)
	if e.Code != string(session.CodeFuture) && e.Code != string(session.CodeGone) {
		return err
	}
	if info, statErr := a.opt.Manager.Stat(r.c, r.id); statErr == nil {
		if e.Code == string(session.CodeFuture) {
			return e.with("head", int64(info.Head))
		}
		return e.with("oldest", oldest(info))
	}
	return e
}
