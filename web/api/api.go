// Package api is the HTTP interface to documents under /api/docs.
package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
)

// API serves /api/docs. Safe for concurrent use.
type API struct {
	// Manager has the documents. Required.
	Manager *session.Manager
	// Timeout bounds one request's work. Default 30 s.
	Timeout time.Duration
}

// doc is a document in answers.
type doc struct {
	ID       string           `json:"id"`
	Type     string           `json:"type"`
	Rev      session.Revision `json:"rev"`
	Created  int64            `json:"created"`
	Modified int64            `json:"modified"`
}

func describe(i session.Info) doc {
	return doc{ID: i.ID, Type: i.Type, Rev: i.Head, Created: i.Created, Modified: i.Modified}
}

const (
	defaultPage = 100
	maxPage     = 1000
)

// Docs handles /api/docs: GET lists documents (prefix, after, limit), POST creates
// one (id, or a random one, type, and content in the type's JSON form).
func (a *API) Docs(ctx *fasthttp.RequestCtx) {
	c, cancel := a.context()
	defer cancel()
	switch {
	case ctx.IsGet() || ctx.IsHead():
		a.list(c, ctx)
	case ctx.IsPost():
		a.create(c, ctx)
	default:
		ctx.Response.Header.Set("Allow", "GET, HEAD, POST")
		Problem(ctx, fasthttp.StatusMethodNotAllowed, "method", "Use GET to list documents and POST to create one.")
	}
}

// Doc handles /api/docs/{id}: DELETE removes the document for good, with its past. id
// is escaped as in the request.
func (a *API) Doc(ctx *fasthttp.RequestCtx, id string) {
	id, err := url.PathUnescape(id)
	if err != nil {
		Problem(ctx, fasthttp.StatusBadRequest, "bad_id", "The document's id in the address is not escaped as it should be.")
		return
	}
	if string(ctx.Method()) != fasthttp.MethodDelete {
		ctx.Response.Header.Set("Allow", "DELETE")
		Problem(ctx, fasthttp.StatusMethodNotAllowed, "method", "Use DELETE to remove the document for good.")
		return
	}
	c, cancel := a.context()
	defer cancel()
	if err := a.Manager.Delete(c, id); err != nil {
		Refuse(ctx, err)
		return
	}
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

// context bounds one request's work.
func (a *API) context() (context.Context, context.CancelFunc) {
	limit := a.Timeout
	if limit <= 0 {
		limit = 30 * time.Second
	}
	return context.WithTimeout(context.Background(), limit)
}

func (a *API) list(c context.Context, ctx *fasthttp.RequestCtx) {
	args := ctx.QueryArgs()
	limit := defaultPage
	if v := args.Peek("limit"); len(v) > 0 {
		n, err := strconv.Atoi(string(v))
		if err != nil || n < 1 || n > maxPage {
			Problem(ctx, fasthttp.StatusBadRequest, "bad_limit", "limit is a number from 1 to "+strconv.Itoa(maxPage)+".")
			return
		}
		limit = n
	}
	infos, err := a.Manager.List(c, string(args.Peek("prefix")), string(args.Peek("after")), limit)
	if err != nil {
		Refuse(ctx, err)
		return
	}
	out := struct {
		Docs []doc  `json:"docs"`
		Next string `json:"next,omitempty"`
	}{Docs: make([]doc, len(infos))}
	for i, info := range infos {
		out.Docs[i] = describe(info)
	}
	if len(infos) == limit {
		out.Next = infos[limit-1].ID
	}
	reply(ctx, fasthttp.StatusOK, "application/json", out)
}

func (a *API) create(c context.Context, ctx *fasthttp.RequestCtx) {
	var in struct {
		ID      *string         `json:"id"`
		Type    string          `json:"type"`
		Content json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal(ctx.PostBody(), &in); err != nil {
		Problem(ctx, fasthttp.StatusBadRequest, "bad_json", `The body is a JSON object such as {"id":"notes","type":"text"}.`)
		return
	}
	if in.Type == "" {
		in.Type = "text"
	}
	id := rand.Text()[:12]
	if in.ID != nil {
		id = *in.ID
	}
	info, err := a.Manager.Create(c, id, in.Type, in.Content, session.User{})
	if err != nil {
		Refuse(ctx, err)
		return
	}
	reply(ctx, fasthttp.StatusCreated, "application/json", describe(info))
}

// statuses maps the session's codes to HTTP; what is not here is 400.
var statuses = map[session.Code]int{
	session.CodeNotFound:    fasthttp.StatusNotFound,
	session.CodeExists:      fasthttp.StatusConflict,
	session.CodeTooLarge:    fasthttp.StatusRequestEntityTooLarge,
	session.CodeUnavailable: fasthttp.StatusServiceUnavailable,
	session.CodeBusy:        fasthttp.StatusServiceUnavailable,
	session.CodeInternal:    fasthttp.StatusInternalServerError,
}

// Refuse answers with an error of the session.
func Refuse(ctx *fasthttp.RequestCtx, err error) {
	e := session.AsError(err)
	status, ok := statuses[e.Code]
	if !ok {
		status = fasthttp.StatusBadRequest
	}
	Problem(ctx, status, string(e.Code), e.Message)
}

// Problem answers with problem details (RFC 9457) that carry a stable code.
func Problem(ctx *fasthttp.RequestCtx, status int, code, detail string) {
	reply(ctx, status, "application/problem+json", struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{fasthttp.StatusMessage(status), status, code, detail})
}

func reply(ctx *fasthttp.RequestCtx, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // structs of strings and numbers
	}
	ctx.SetStatusCode(status)
	ctx.SetContentType(contentType)
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetBody(append(body, '\n'))
}
