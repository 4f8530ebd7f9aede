package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"quire/ot"
	"quire/ot/jsonvalue"
	"quire/session"
	"quire/web/audit"
	"quire/web/auth"
	"quire/web/trail"
)

// doc is a document in answers.
type doc struct {
	ID       string           `json:"id"`
	Type     string           `json:"type"`
	Title    string           `json:"title"`
	Meta     json.RawMessage  `json:"meta,omitempty"`
	Rev      session.Revision `json:"rev"`
	Oldest   int64            `json:"oldest"`
	Created  string           `json:"created"`
	Modified string           `json:"modified"`
}

func describe(i session.Info, m session.Meta) doc {
	return doc{i.ID, i.Type, m.Title, m.Fields, i.Head, oldest(i), timeOfMilli(i.Created), timeOfMilli(i.Modified)}
}

// oldest returns the oldest revision that can be read.
func oldest(i session.Info) int64 { return int64(max(i.Oldest, 0)) }

// described is describe of a document whose Meta is read for it.
func (a *API) described(r *request, i session.Info) (doc, error) {
	m, err := a.opt.Manager.Meta(r.c, i.ID)
	return describe(i, m), err
}

// stat returns what is known of the request's document, which has to have content.
func (a *API) stat(r *request) (session.Info, error) {
	info, err := a.opt.Manager.Stat(r.c, r.id)
	if err == nil && info.Type == "" {
		err = deleted()
	}
	return info, err
}

func deleted() *Error {
	return Errorf(fasthttp.StatusNotFound, string(session.CodeDeleted), "The document was deleted. Its earlier revisions can be read and restored.")
}

// draft is a document that is to be created.
type draft struct {
	id      *string
	typ     string
	content []byte
	meta    session.Meta
}

// create serves POST /api/docs: a JSON object that describes a document, or a document in
// another form that is imported.
func (a *API) create(r *request) error {
	switch r.media {
	case mediaJSON:
		return a.createFromJSON(r)
	case mediaBundle:
		return a.importBundle(r)
	}
	body, err := r.body()
	if err != nil {
		return err
	}
	d := draft{}
	if d.typ, d.content, err = a.parse(r, body); err != nil {
		return err
	}
	if id, ok := r.param("id"); ok {
		d.id = &id
	}
	d.meta.Title, _ = r.param("title")
	return a.make(r, d)
}

func (a *API) createFromJSON(r *request) error {
	if r.ctx.QueryArgs().Len() > 0 {
		return bad("unknown_parameter", "With application/json, id, title and type are fields of the body.")
	}
	var typ, title *string
	var content, meta json.RawMessage
	d := draft{typ: "text"}
	err := r.object(map[string]any{"id": &d.id, "type": &typ, "content": &content, "title": &title, "meta": &meta})
	if err != nil {
		return err
	}
	if typ != nil {
		d.typ = *typ
	}
	if title != nil {
		d.meta.Title = *title
	}
	d.content = content
	if meta != nil && string(meta) != "null" {
		if d.meta.Fields, err = fields(meta); err != nil {
			return err
		}
	}
	return a.make(r, d)
}

// parse reads a document in the form of the request's media type; the parameter type
// chooses one that has the same form.
func (a *API) parse(r *request, body []byte) (typ string, content []byte, err error) {
	asked, forced := r.param("type")
	if forced && a.opt.Manager.Type(asked) == nil {
		return "", nil, session.Errorf(session.CodeBadType, "no such document type")
	}
	if typ = "text"; forced {
		typ = asked
	}
	switch {
	case r.media == mediaJSON:
		return typ, body, nil
	case (forced || r.media == mediaText) && textual(a.opt.Manager.Type(typ)):
		content, err = json.Marshal(string(body)) // Markdown and HTML are the text
		return typ, content, err
	}
	return a.converted(r, asked, body)
}

// converted reads a document of a type, "" for any, in the form of the request's media type.
func (a *API) converted(r *request, typ string, body []byte) (made string, content []byte, err error) {
	done, err := a.convert(r, len(body))
	if err != nil {
		return "", nil, err
	}
	defer done()
	made, content, err = a.opt.Formats.Parse(r.media, typ, body)
	switch {
	case errors.Is(err, ErrFormat):
		return "", nil, unreadable(typ, r.media)
	case err != nil:
		return "", nil, bad("bad_content", "The body cannot be read as %s: %v.", r.media, err)
	}
	return made, content, nil
}

// unreadable: documents of a type cannot be written in that form.
func unreadable(typ, media string) *Error {
	if typ == "" {
		return Errorf(fasthttp.StatusUnsupportedMediaType, "content_type", "This server does not read %s.", media)
	}
	return Errorf(fasthttp.StatusUnsupportedMediaType, "content_type", "A document of type %s cannot be written as %s; it can as %s.", typ, media, mediaJSON)
}

// Limits of what people say of a document; see session.Meta.
const (
	maxTitle = 200
	maxMeta  = 16 << 10
	maxNests = 32 // lists and objects of meta within one another
)

func checkMeta(m session.Meta) error {
	switch {
	case len(m.Title) > maxTitle:
		return TooLarge(maxTitle, "The title has %d bytes, limit %d.", len(m.Title), maxTitle)
	case len(m.Fields) > maxMeta:
		return TooLarge(maxMeta, "meta has %d bytes, limit %d.", len(m.Fields), maxMeta)
	case strings.ContainsFunc(m.Title, unprintable):
		return bad("bad_title", "The title holds a control character.")
	}
	return nil
}

// fields checks that v is an object, not too deep, and returns it without spaces.
func fields(v json.RawMessage) ([]byte, error) {
	var out bytes.Buffer
	if len(v) > 4*maxMeta {
		return nil, checkMeta(session.Meta{Fields: v})
	}
	if _, err := jsonvalue.Parse(v, maxNests); errors.Is(err, ot.ErrLimit) {
		return nil, TooLarge(maxNests, "meta has numbers past what JSON carries, or lists and objects more than %d deep.", maxNests)
	} else if err != nil {
		return nil, bad("bad_field", "meta is a JSON object: %v.", err)
	}
	if err := json.Compact(&out, v); err != nil || out.Bytes()[0] != '{' {
		return nil, bad("bad_field", "meta is a JSON object.")
	}
	return out.Bytes(), nil
}

// make creates a document and answers with it.
func (a *API) make(r *request, d draft) error {
	by, err := a.author(r)
	if err != nil {
		return err
	}
	if err := checkMeta(d.meta); err != nil {
		return err
	}
	id, err := r.newID()
	if d.id != nil {
		id, err = *d.id, r.may(*d.id, auth.Write)
	}
	if err != nil {
		return err
	}
	info, err := a.opt.Manager.Create(r.c, id, d.typ, d.content, by)
	if err != nil {
		return err
	}
	if d.meta.Title != "" || d.meta.Fields != nil {
		if err := a.opt.Manager.SetMeta(r.c, id, d.meta); err != nil {
			return err
		}
	}
	a.created(r, info, d.meta)
	return nil
}

// created answers with a document that is new.
func (a *API) created(r *request, info session.Info, m session.Meta) {
	trail.SetDoc(r.ctx, info.ID)
	answer(r.ctx, fasthttp.StatusCreated, mediaJSON, describe(info, m))
	r.ctx.Response.Header.Set("Location", "/api/docs/"+url.PathEscape(info.ID))
	setTag(r.ctx, tagOf(info, info.Head))
}

// patch serves PATCH /api/docs/{id}: another id, title or fields.
func (a *API) patch(r *request) error {
	var id *string
	var title, meta json.RawMessage
	if err := r.object(map[string]any{"id": &id, "title": &title, "meta": &meta}); err != nil {
		return err
	}
	if id != nil && *id != r.id {
		for _, id := range []string{r.id, *id} {
			if err := r.may(id, auth.Admin); err != nil {
				return err
			}
		}
	}
	a.patching.Lock()
	defer a.patching.Unlock()
	if _, err := a.stat(r); err != nil {
		return err
	}
	m, err := a.opt.Manager.Meta(r.c, r.id)
	if err != nil {
		return err
	}
	if m, err = patched(m, title, meta); err != nil {
		return err
	}
	if id != nil && *id != r.id {
		audit.Note(r.ctx, "to", *id)
		if err := a.opt.Manager.Rename(r.c, r.id, *id); err != nil {
			return err
		}
		r.id = *id
	}
	if title != nil || meta != nil {
		if err := a.opt.Manager.SetMeta(r.c, r.id, m); err != nil {
			return err
		}
	}
	info, err := a.stat(r)
	if err != nil {
		return err
	}
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, describe(info, m))
	setTag(r.ctx, tagOf(info, info.Head))
	return nil
}

// patched returns m with a merge patch (RFC 7396) applied.
func patched(m session.Meta, title, meta json.RawMessage) (session.Meta, error) {
	if title != nil {
		m.Title = ""
		if err := json.Unmarshal(title, &m.Title); err != nil {
			return m, bad("bad_field", "The field title is a string or null.")
		}
	}
	switch {
	case meta == nil:
	case string(meta) == "null":
		m.Fields = nil
	default:
		change, err := fields(meta)
		if err != nil {
			return m, err
		}
		if m.Fields, err = mergePatch(m.Fields, change); err != nil {
			return m, err
		}
	}
	return m, checkMeta(m)
}

// mergePatch applies a merge patch that is an object. Names that stay keep their values
// byte for byte.
func mergePatch(target, patch json.RawMessage) (json.RawMessage, error) {
	var have, change map[string]json.RawMessage
	if len(target) > 0 && target[0] == '{' {
		if err := json.Unmarshal(target, &have); err != nil {
			return nil, err
		}
	}
	if have == nil {
		have = map[string]json.RawMessage{}
	}
	if err := json.Unmarshal(patch, &change); err != nil {
		return nil, bad("bad_json", "The body is not a JSON object: %v.", err)
	}
	for name, v := range change {
		switch v[0] {
		case 'n':
			delete(have, name)
		case '{':
			merged, err := mergePatch(have[name], v)
			if err != nil {
				return nil, err
			}
			have[name] = merged
		default:
			have[name] = v
		}
	}
	return bytes.TrimSuffix(marshal(have), []byte("\n")), nil
}

// remove serves DELETE /api/docs/{id}: the document goes for good, with its past.
func (a *API) remove(r *request) error {
	if err := a.opt.Manager.Delete(r.c, r.id); err != nil {
		return err
	}
	r.ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}
