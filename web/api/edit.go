package api

import (
	"crypto/sha256"
	"encoding/json"
	"strings"

	"github.com/valyala/fasthttp"

	"quire/ot"
	"quire/session"
)

// maxOps is the most operations in one request.
const maxOps = 10_000

// writer returns who edits, and what tells a repeated request.
func (a *API) writer(r *request) (session.Writer, error) {
	by, err := a.author(r)
	if err != nil {
		return session.Writer{}, err
	}
	w := session.Writer{User: by}
	h := &r.ctx.Request.Header
	if key := h.Peek("Idempotency-Key"); key != nil {
		if len(key) < 1 || len(key) > 200 || strings.ContainsFunc(string(key), unprintable) {
			return w, bad("bad_key", "Idempotency-Key is 1 to 200 bytes of printable text.")
		}
		w.Key = string(key)
		who := by.Author
		if who == "" {
			who = by.Name
		}
		sum := sha256.New()
		for _, part := range [][]byte{h.Method(), []byte(strings.Join(r.route.path, "/")), h.Peek("If-Match"), h.ContentType(), []byte(who), r.ctx.Request.Body()} {
			digest := sha256.Sum256(part)
			sum.Write(digest[:])
		}
		w.Sum = sum.Sum(nil)
	}
	return w, nil
}

// edited is the answer to an edit: Op leads from revision Base to Rev.
type edited struct {
	Rev      session.Revision `json:"rev"`
	Base     session.Revision `json:"base"`
	Type     string           `json:"type"`
	Op       json.RawMessage  `json:"op,omitempty"`
	Content  json.RawMessage  `json:"content,omitempty"` // of a document that was deleted before
	Repeated bool             `json:"repeated,omitempty"`
}

// answerEdit answers with what became of an edit.
func (a *API) answerEdit(r *request, e session.Edited, err error) error {
	if err != nil {
		return a.numbered(r, err)
	}
	out := edited{Rev: e.Rev, Base: e.Rev - 1, Repeated: e.Repeated}
	out.Type, out.Op, out.Content = wire(e.Type, e.Op)
	if out.Op != nil && e.Type.IsIdentity(e.Op) {
		out.Base = e.Rev
	}
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, out)
	t := etag{rev: e.Rev}
	if info, err := a.opt.Manager.Stat(r.c, r.id); err == nil {
		t.inc = info.Incarnation
	}
	setTag(r.ctx, t)
	return nil
}

// wire returns the JSON form of a step: the type of the content it is about, and an
// operation or the content it begins with, or neither when it deletes.
func wire(typ ot.Type, op ot.Op) (name string, opJSON, content json.RawMessage) {
	switch op := op.(type) {
	case session.Creation:
		return op.Type.Name(), nil, op.Type.AppendDoc(nil, op.Doc)
	case session.Deletion:
		if typ != nil {
			name = typ.Name()
		}
		return name, nil, nil
	}
	return typ.Name(), typ.AppendOp(nil, op), nil
}

// operations serves POST /api/docs/{id}/operations.
func (a *API) operations(r *request) error {
	var base *int64
	var list []json.RawMessage
	if err := r.object(map[string]any{"base": &base, "ops": &list}); err != nil {
		return err
	}
	switch {
	case base == nil || len(list) == 0:
		return bad("missing_field", `The body has "base", the revision that the operations were made on, and "ops", at least one operation.`)
	case len(list) > maxOps:
		return TooLarge(maxOps, "There are %d operations, limit %d.", len(list), maxOps)
	}
	rev, err := fieldRevision("base", base, 0)
	if err != nil {
		return err
	}
	w, err := a.writer(r)
	if err != nil {
		return err
	}
	ops := make([][]byte, len(list))
	for i := range list {
		ops[i] = list[i]
	}
	e, err := a.opt.Manager.Edit(r.c, r.id, rev, ops, w)
	return a.answerEdit(r, e, err)
}

const howToPut = `Say which revision the text was made from: read the document, and send its ETag as If-Match. What others did since then stays. If-None-Match: * creates a document.`

// precondition refuses a PUT that does not say what its text was made from.
func (r *request) precondition() error {
	match, none := r.ctx.Request.Header.Peek("If-Match"), r.ctx.Request.Header.Peek("If-None-Match")
	switch {
	case match == nil && none == nil:
		return Errorf(fasthttp.StatusPreconditionRequired, "precondition_required", "%s", howToPut)
	case match != nil && none != nil || none != nil && string(none) != "*":
		return bad("bad_precondition", "%s", howToPut)
	case none != nil:
		return nil
	}
	if _, given := r.param("type"); given {
		return bad("unknown_parameter", "type is for a new document.")
	}
	_, err := tag(string(match))
	return err
}

// put serves PUT /api/docs/{id}: a text that was made from a revision, or a new document.
func (a *API) put(r *request) error {
	match := r.ctx.Request.Header.Peek("If-Match")
	if match == nil {
		return a.putNew(r)
	}
	base, err := tag(string(match))
	if err != nil {
		return err
	}
	info, err := a.stat(r)
	if err != nil {
		return err
	}
	if base.inc != 0 && base.inc != info.Incarnation {
		return Errorf(fasthttp.StatusPreconditionFailed, string(session.CodeIncarnation), "The document that this was made from is not there any more; another one has its id.")
	}
	body, err := r.body()
	if err != nil {
		return err
	}
	content, seen, err := a.contentFor(r, info, body)
	if err != nil {
		return err
	}
	w, err := a.writer(r)
	if err != nil {
		return err
	}
	e, err := a.opt.Manager.Merge(r.c, r.id, base.rev, content, seen, w)
	if err != nil && session.AsError(err).Code == session.CodeFuture {
		p := asError(a.numbered(r, err))
		p.Status = fasthttp.StatusPreconditionFailed
		return p
	}
	return a.answerEdit(r, e, err)
}

// contentFor returns a body as content of the document that info is of, and what of content
// its form shows, nil when that is everything.
func (a *API) contentFor(r *request, info session.Info, body []byte) (content []byte, seen session.Seen, err error) {
	typ := a.opt.Manager.Type(info.Type)
	switch {
	case r.media == mediaJSON:
		if !json.Valid(body) {
			return nil, nil, bad("bad_json", "The body is not JSON.")
		}
		return body, nil, nil
	case typ != nil && textual(typ): // Markdown and HTML are its source
		content, err = json.Marshal(string(body))
		return content, nil, err
	}
	if _, content, err = a.converted(r, info.Type, body); err != nil || r.media == mediaDelta {
		return content, nil, err
	}
	return content, func(content []byte) ([]byte, error) { return a.seen(r, info.Type, content) }, nil
}

// seen returns what is left of content that is read and brought back in the form of the request.
func (a *API) seen(r *request, typ string, content []byte) (back []byte, err error) {
	format := ""
	for _, f := range formats {
		if f.media == r.media {
			format = f.name
		}
	}
	done, err := a.convert(r, len(content))
	if err != nil {
		return nil, err
	}
	defer done()
	form, _, err := a.opt.Formats.Render(format, typ, content)
	if err == nil {
		_, back, err = a.opt.Formats.Parse(r.media, typ, form)
	}
	if err != nil {
		a.opt.Logger.Info("a document cannot be compared in a format", "doc", r.id, "format", format, "err", err)
		return nil, session.Errorf(session.CodeTooLarge, "it would take too long to write the document as %s, so what changed cannot be told", r.media)
	}
	return back, nil
}

// putNew creates a document at the address.
func (a *API) putNew(r *request) error {
	body, err := r.body()
	if err != nil {
		return err
	}
	d := draft{id: &r.id}
	if d.typ, d.content, err = a.parse(r, body); err != nil {
		return err
	}
	err = a.make(r, d)
	if err != nil && session.AsError(err).Code == session.CodeExists {
		return Errorf(fasthttp.StatusPreconditionFailed, string(session.CodeExists), "The document is there already.")
	}
	return err
}
