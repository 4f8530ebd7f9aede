package hooks

import (
	"context"
	"encoding/json"
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"quire/web/api"
	"quire/web/audit"
	"quire/web/auth"
	"quire/web/trail"
)

// requestTime bounds one request's work.
const requestTime = 30 * time.Second

// Prefix is where Serve's addresses begin.
const Prefix = "/api/hooks"

// Serves reports whether a request is one for Serve.
func Serves(ctx *fasthttp.RequestCtx) bool {
	path := string(ctx.URI().PathOriginal())
	return path == Prefix || strings.HasPrefix(path, Prefix+"/")
}

// view is a hook in answers.
type view struct {
	Hook
	Token     *struct{} `json:"token,omitempty"` // not shown
	Seen      *struct{} `json:"seen,omitempty"`  // not shown
	Ends      string    `json:"ends,omitempty"`
	Created   string    `json:"created"`
	Behind    int       `json:"behind"`
	Failing   int       `json:"failing"`
	Dead      int       `json:"dead"`
	Error     string    `json:"error,omitempty"`
	ErrorTime string    `json:"error_time,omitempty"`
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func viewOf(s Status) view {
	return view{s.Hook, nil, nil, stamp(s.Ends), stamp(s.Created), s.Behind, s.Failing, s.Dead, s.Error, stamp(s.ErrorTime)}
}

// letterView is a dead letter in answers.
type letterView struct {
	Letter
	Since   string    `json:"since"`
	Time    string    `json:"time"`
	Lineage *struct{} `json:"lineage,omitempty"` // not shown
}

// Serve answers what is under Prefix, once the sender is known: GET lists the hooks and POST registers one; GET and
// DELETE of Prefix/{id}; GET of Prefix/{id}/dead, and POST of Prefix/{id}/dead/retry. A hook that is not the
// sender's concern is not there. read fetches a body that is not there yet, or refuses it; it may be nil.
func (h *Hooks) Serve(ctx *fasthttp.RequestCtx, read func() bool) {
	c, cancel := context.WithTimeout(trail.Context(ctx), requestTime)
	defer cancel()
	path := strings.Split(strings.Trim(strings.TrimPrefix(string(ctx.URI().PathOriginal()), Prefix), "/"), "/")
	rest := strings.Join(path[min(1, len(path)):], "/")
	pass := auth.Of(ctx)
	var refusal error
	if why := pass.Ended(); why != nil {
		refusal = why
	} else if path[0] != "" {
		refusal = h.about(pass, path[0])
	} else if why := registers(pass); why != nil && !ctx.IsGet() && !ctx.IsHead() {
		refusal = why
	}
	if refusal != nil {
		api.Refuse(ctx, refusal)
		return
	}
	if read != nil && !read() {
		return
	}
	switch {
	case path[0] == "":
		only(ctx, nil, map[string]func(){"GET": func() { h.list(ctx, pass) }, "POST": func() { h.register(c, ctx, pass) }})
	case rest == "":
		only(ctx, nil, map[string]func(){"GET": func() { h.get(ctx, path[0]) }, "DELETE": func() { h.remove(c, ctx, path[0]) }})
	case rest == "dead":
		only(ctx, []string{"after", "limit"}, map[string]func(){"GET": func() { h.letters(c, ctx, path[0]) }})
	case rest == "dead/retry":
		only(ctx, nil, map[string]func(){"POST": func() { h.retry(c, ctx, pass, path[0]) }})
	default:
		api.Problem(ctx, fasthttp.StatusNotFound, "no_such_page", "There is nothing at this address.")
	}
}

// only calls the function of the request's method, HEAD being answered as GET, if the
// request has no parameters but these.
func only(ctx *fasthttp.RequestCtx, params []string, methods map[string]func()) {
	method := string(ctx.Method())
	if method == fasthttp.MethodHead {
		method = fasthttp.MethodGet
	}
	if serve := methods[method]; serve != nil {
		if err := api.CheckQuery(ctx, params); err != nil {
			api.Refuse(ctx, err)
			return
		}
		serve()
		return
	}
	var allowed []string
	for _, m := range []string{"GET", "POST", "DELETE"} {
		if methods[m] != nil {
			allowed = append(allowed, m)
		}
	}
	if methods["GET"] != nil {
		allowed = append(allowed, "HEAD")
	}
	ctx.Response.Header.Set("Allow", strings.Join(allowed, ", "))
	api.Problem(ctx, fasthttp.StatusMethodNotAllowed, "method", "This address takes "+strings.Join(allowed, ", ")+".")
}

func reply(ctx *fasthttp.RequestCtx, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // structs of strings and numbers
	}
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetBody(append(body, '\n'))
}

func (h *Hooks) list(ctx *fasthttp.RequestCtx, pass *auth.Pass) {
	out := struct {
		Hooks []view `json:"hooks"`
	}{[]view{}}
	for _, s := range h.List() {
		if may(pass, &s.Hook) {
			out.Hooks = append(out.Hooks, viewOf(s))
		}
	}
	reply(ctx, fasthttp.StatusOK, out)
}

func (h *Hooks) register(c context.Context, ctx *fasthttp.RequestCtx, pass *auth.Pass) {
	if media, _, err := mime.ParseMediaType(string(ctx.Request.Header.ContentType())); err != nil || media != "application/json" {
		api.Problem(ctx, fasthttp.StatusUnsupportedMediaType, "content_type", "The body is JSON: send the header Content-Type: application/json.")
		return
	}
	var in Hook
	if err := api.ReadObject(ctx, map[string]any{"url": &in.URL, "docs": &in.Docs, "doc": &in.Doc, "secret": &in.Secret}); err != nil {
		api.Refuse(ctx, err)
		return
	}
	if err := own(pass, &in); err != nil {
		api.Refuse(ctx, err)
		return
	}
	k, err := h.Register(c, in)
	if err != nil {
		api.Refuse(ctx, err)
		return
	}
	audit.Note(ctx, "hook", k.ID)
	trail.SetDoc(ctx, k.Doc)
	out := viewOf(Status{Hook: k, Ends: h.ends(&k)})
	ctx.Response.Header.Set("Location", Prefix+"/"+k.ID)
	reply(ctx, fasthttp.StatusCreated, out)
}

func (h *Hooks) get(ctx *fasthttp.RequestCtx, id string) {
	s, err := h.Get(id)
	if err != nil {
		api.Refuse(ctx, err)
		return
	}
	reply(ctx, fasthttp.StatusOK, viewOf(s))
}

func (h *Hooks) remove(c context.Context, ctx *fasthttp.RequestCtx, id string) {
	audit.Note(ctx, "hook", id)
	if err := h.Remove(c, id); err != nil {
		api.Refuse(ctx, err)
		return
	}
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

func (h *Hooks) letters(c context.Context, ctx *fasthttp.RequestCtx, id string) {
	const most = 1000
	limit := 100
	if v := ctx.QueryArgs().Peek("limit"); len(v) > 0 {
		n, err := strconv.Atoi(string(v))
		if err != nil || n < 1 || n > most {
			api.Problem(ctx, fasthttp.StatusBadRequest, "bad_limit", "limit is a number from 1 to "+strconv.Itoa(most)+".")
			return
		}
		limit = n
	}
	letters, next, err := h.Dead(c, id, string(ctx.QueryArgs().Peek("after")), limit)
	if err != nil {
		api.Refuse(ctx, err)
		return
	}
	out := struct {
		Letters []letterView `json:"letters"`
		Next    string       `json:"next,omitempty"`
	}{[]letterView{}, next}
	for _, l := range letters {
		out.Letters = append(out.Letters, letterView{Letter: l, Since: stamp(l.Since), Time: stamp(l.Time)})
	}
	reply(ctx, fasthttp.StatusOK, out)
}

func (h *Hooks) retry(c context.Context, ctx *fasthttp.RequestCtx, pass *auth.Pass, id string) {
	err := h.adopt(pass, id)
	n := 0
	if err == nil {
		n, err = h.RetryDead(c, id)
	}
	if err != nil {
		api.Refuse(ctx, err)
		return
	}
	reply(ctx, fasthttp.StatusAccepted, map[string]int{"retrying": n})
}
