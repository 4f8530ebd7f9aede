package api

import (
	"encoding/json"
	"errors"

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
	at, err := a.resolve(r, r.momentParam("rev", "at", "label"), session.Head)
	if err != nil {
		return err
	}
	view, info, err := a.view(r, at)
	if err != nil {
		return err
	}
	r.ctx.Response.Header.Set("Vary", "Accept, Accept-Encoding")
	if len(names) > 0 && names[0] == "bundle" {
		if at != session.Head {
			return bad("bad_parameter", "A bundle holds the whole history: leave out rev, at and label.")
		}
		if err := a.room(r, view.Type.Size(view.Doc)); err != nil {
			return err
		}
		return a.export(r, info)
	}
	m, err := a.opt.Manager.Meta(r.c, r.id)
	if err != nil {
		return err
	}
	out := readOf(view, info, m)
	// What is shown may change at a revision, by redaction or where the title is shown.
	if notModified(r.ctx, tagOf(info, view.Rev).of([]any{names, out, checksum(view.Type, view.Doc)})) {
		return nil
	}
	if err := a.room(r, view.Type.Size(view.Doc)); err != nil {
		return err
	}
	return a.render(r, names, out, view, info)
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

// render answers with a document in the first of the formats that its type has.
func (a *API) render(r *request, names []string, out read, v session.View, info session.Info) error {
	size := v.Type.Size(v.Doc)
	content := v.Type.AppendDoc(make([]byte, 0, size+size/16+64), v.Doc)
	for _, name := range names {
		switch {
		case name == "json":
			return a.asJSON(r, out, info, content)
		case name == "bundle":
			continue // it was not the first choice
		case name == "text" && textual(v.Type):
			raw(r.ctx, mediaText+"; charset=utf-8", []byte(plain(content)))
			return nil
		}
		body, contentType, err := a.rendered(r, name, v.Type.Name(), content)
		var busy *session.Error
		var tooLarge *Error
		switch {
		case errors.As(err, &tooLarge):
			return tooLarge
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
	done, err := a.convert(r, len(content))
	if err != nil {
		return nil, "", err
	}
	defer done()
	return a.opt.Formats.Render(format, typ, content)
}

func raw(ctx *fasthttp.RequestCtx, contentType string, body []byte) {
	ctx.SetContentType(contentType)
	ctx.Response.Header.Set("Cache-Control", "private, no-cache")
	ctx.Response.SetBodyRaw(body)
}

// read is a document at a revision, in answers.
type read struct {
	doc
	Head    session.Revision `json:"head"`
	Time    string           `json:"time,omitempty"`
	Content json.RawMessage  `json:"content"`
}

// readOf describes a document at a revision, without content and time.
func readOf(v session.View, info session.Info, m session.Meta) read {
	out := read{doc: describe(info, m), Head: info.Head}
	out.Rev, out.Type = v.Rev, v.Type.Name()
	return out
}

func (a *API) asJSON(r *request, out read, info session.Info, content []byte) (err error) {
	out.Content = content
	if out.Time, err = a.timeAt(r, out.Rev, info); err != nil {
		return err
	}
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, out)
	r.ctx.Response.Header.Set("Cache-Control", "private, no-cache")
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
