package api

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"quire/ot"
	"quire/session"
)

// formats are the names and media types in which documents can be asked for, in the order
// of the server's preference.
var formats = []struct{ name, media string }{
	{"json", mediaJSON},
	{"text", mediaText},
	{"markdown", mediaMarkdown},
	{"html", mediaHTML},
	{"delta", mediaDelta},
	{"bundle", mediaBundle},
}

func mediaTypes() (media []string) {
	for _, f := range formats {
		media = append(media, f.media)
	}
	return media
}

// wanted returns the names of the formats that a request accepts, the most wanted first.
func (r *request) wanted() ([]string, error) {
	name, ok := r.param("format")
	var names []string
	if ok {
		for _, f := range formats {
			names = append(names, f.name)
			if f.name == name {
				return []string{name}, nil
			}
		}
		return nil, bad("bad_format", "format is %s; it is one of %s.", quote(name), list(names))
	}
	for _, media := range acceptable(string(r.ctx.Request.Header.Peek("Accept")), mediaTypes()) {
		for _, f := range formats {
			if f.media == media {
				names = append(names, f.name)
			}
		}
	}
	return names, nil
}

// read serves GET /api/docs/{id}: a document at the head or in the past, as JSON that
// describes it or raw.
func (a *API) read(r *request) error {
	names, err := r.wanted()
	if err != nil {
		return err
	}
	r.ctx.Response.Header.Set("Vary", "Accept, Accept-Encoding")
	at, err := a.resolve(r, r.momentParam("rev", "at", "label"), session.Head)
	if err != nil {
		return err
	}
	view, info, err := a.view(r, at)
	if err != nil {
		return err
	}
	if len(names) > 0 && names[0] == "bundle" {
		if at != session.Head {
			return bad("bad_parameter", "A bundle holds the whole history: leave out rev, at and label.")
		}
		return a.export(r, info)
	}
	if notModified(r.ctx, view.Rev) {
		return nil
	}
	return a.render(r, names, view, info)
}

// view returns the request's document at a revision, with content.
func (a *API) view(r *request, at session.Revision) (session.View, session.Info, error) {
	info, err := a.opt.Manager.Stat(r.c, r.id)
	if err != nil {
		return session.View{}, info, err
	}
	v, err := a.opt.Manager.View(r.c, r.id, at)
	switch {
	case err != nil:
		return v, info, a.numbered(r, err)
	case v.Rev < 0: // removed meanwhile
		return v, info, session.Errorf(session.CodeNotFound, "no such document")
	case v.Type == nil && at == session.Head:
		return v, info, deleted()
	case v.Type == nil:
		return v, info, Errorf(fasthttp.StatusNotFound, string(session.CodeDeleted), "The document was deleted at revision %d.", v.Rev)
	}
	info.Head = max(info.Head, v.Rev)
	return v, info, nil
}

// notModified answers 304 when the caller has that revision already.
func notModified(ctx *fasthttp.RequestCtx, rev session.Revision) bool {
	etag(ctx, rev)
	have := string(ctx.Request.Header.Peek("If-None-Match"))
	if have == "" {
		return false
	}
	tag := strconv.FormatInt(int64(rev), 10)
	for part := range strings.SplitSeq(have, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == "*" || part == `"`+tag+`"` {
			ctx.SetStatusCode(fasthttp.StatusNotModified)
			return true
		}
	}
	return false
}

// render answers with a document in the first of the formats that its type has.
func (a *API) render(r *request, names []string, v session.View, info session.Info) error {
	content := v.Type.AppendDoc(nil, v.Doc)
	for _, name := range names {
		switch {
		case name == "json":
			return a.asJSON(r, v, info, content)
		case name == "bundle":
			continue // it was not the first choice
		case name == "text" && textual(v.Type):
			raw(r.ctx, mediaText+"; charset=utf-8", []byte(plain(content)))
			return nil
		}
		body, contentType, err := a.rendered(r, name, v.Type.Name(), content)
		var busy *session.Error
		switch {
		case errors.Is(err, ErrFormat):
			continue
		case errors.As(err, &busy):
			return busy
		case errors.Is(err, ErrTooLarge):
			return Errorf(fasthttp.StatusNotAcceptable, "not_acceptable", "It would take too long to write this document as %s. It can be had as %s.", name, mediaJSON)
		case err != nil:
			a.opt.Logger.Error("cannot render a document", "doc", r.id, "rev", v.Rev, "format", name, "err", err)
			return session.Errorf(session.CodeInternal, "the server failed; its log says why")
		}
		if name == "html" { // it comes from our origin, and is somebody's text
			r.ctx.Response.Header.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src data: http: https:; style-src 'unsafe-inline'")
		}
		raw(r.ctx, contentType, body)
		return nil
	}
	return Errorf(fasthttp.StatusNotAcceptable, "not_acceptable", "A document of type %s cannot be had in that form. Every document can be had as %s and %s.", v.Type.Name(), mediaJSON, mediaBundle)
}

// rendered is Formats.Render, a few at a time.
func (a *API) rendered(r *request, format, typ string, content []byte) (body []byte, contentType string, err error) {
	done, err := a.converting.take(r)
	if err != nil {
		return nil, "", err
	}
	defer done()
	return a.opt.Formats.Render(format, typ, content)
}

func raw(ctx *fasthttp.RequestCtx, contentType string, body []byte) {
	ctx.SetContentType(contentType)
	ctx.Response.Header.Set("Cache-Control", "no-cache")
	ctx.Response.SetBodyRaw(body)
}

func (a *API) asJSON(r *request, v session.View, info session.Info, content []byte) error {
	m, err := a.opt.Manager.Meta(r.c, r.id)
	if err != nil {
		return err
	}
	at, err := a.timeAt(r, v.Rev, info)
	if err != nil {
		return err
	}
	out := struct {
		doc
		Head    session.Revision `json:"head"`
		Time    string           `json:"time,omitempty"`
		Content json.RawMessage  `json:"content"`
	}{describe(info, m), info.Head, at, content}
	out.Rev, out.Type = v.Rev, v.Type.Name()
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, out)
	r.ctx.Response.Header.Set("Cache-Control", "no-cache")
	return nil
}

// timeAt returns when a revision was made; "" when its step is not kept.
func (a *API) timeAt(r *request, rev session.Revision, info session.Info) (string, error) {
	if rev == info.Head {
		return timeOfMilli(info.Modified), nil
	}
	steps, err := a.opt.Manager.Entries(r.c, r.id, rev-1, rev, 1)
	switch {
	case err == nil && len(steps) == 1:
		return timeOf(steps[0].Time), nil
	case err == nil || session.AsError(err).Code == session.CodeGone:
		return "", nil
	}
	return "", err
}

// textual reports whether the content of documents of a type is text: a JSON string.
func textual(t ot.Type) bool {
	d, err := t.Create(nil)
	return err == nil && t.AppendDoc(nil, d)[0] == '"'
}

// plain returns the text of a JSON string.
func plain(content []byte) (s string) {
	if json.Unmarshal(content, &s) != nil {
		panic("api: a text that is not a JSON string")
	}
	return s
}
