package api

import (
	"github.com/valyala/fasthttp"

	"encoding/json"
	"quire/session"
)

// momentField reads a moment from the fields of a body.
func momentField(rev *int64, at, label *string) (moment, error) {
	m := moment{names: [3]string{"rev", "at", "label"}}
	if rev != nil {
		n, err := fieldRevision("rev", rev, 0)
		if err != nil {
			return m, err
		}
		raw, _ := json.Marshal(n)
		m.rev, m.given = string(raw), 1
	}
	if at != nil {
		m.time = *at
		m.given |= 2
	}
	if label != nil {
		m.label = *label
		m.given |= 4
	}
	return m, nil
}

// restore serves POST /api/docs/{id}/restore.
func (a *API) restore(r *request) error {
	var rev *int64
	var at, label *string
	if err := r.object(map[string]any{"rev": &rev, "at": &at, "label": &label}); err != nil {
		return err
	}
	m, err := momentField(rev, at, label)
	if err != nil {
		return err
	}
	if m.given == 0 {
		return bad("missing_field", `The body says what to go back to: {"rev": 12}, {"at": "2026-11-20T10:00:00Z"} or {"label": "draft"}.`)
	}
	to, err := a.resolve(r, m, 0)
	if err != nil {
		return err
	}
	w, err := a.writer(r)
	if err != nil {
		return err
	}
	e, err := a.opt.Manager.Restore(r.c, r.id, to, w)
	return a.answerEdit(r, e, err)
}

// revert serves POST /api/docs/{id}/revert.
func (a *API) revert(r *request) error {
	var author, since, until *string
	var from, to *int64
	if err := r.object(map[string]any{"author": &author, "from": &from, "to": &to, "since": &since, "until": &until}); err != nil {
		return err
	}
	if author == nil {
		return bad("missing_field", `The body names whose work to take back: {"author": "Ada"}, and the revisions ("from" exclusive, "to") or times ("since", "until"); without them all there is.`)
	}
	info, err := a.opt.Manager.Stat(r.c, r.id)
	if err != nil {
		return err
	}
	start, err := a.bound(r, "from", from, "since", since, session.Revision(max(info.Oldest, session.Unborn)))
	if err != nil {
		return err
	}
	end, err := a.bound(r, "to", to, "until", until, session.Head)
	if err != nil {
		return err
	}
	if end < start {
		return bad("bad_range", "The range ends, at revision %d, before it begins, at %d.", end, start)
	}
	w, err := a.writer(r)
	if err != nil {
		return err
	}
	e, err := a.opt.Manager.Revert(r.c, r.id, *author, start, end, w)
	return a.answerEdit(r, e, err)
}

// bound returns one end of a range that is given as a revision or a time.
func (a *API) bound(r *request, name string, rev *int64, timeName string, at *string, def session.Revision) (session.Revision, error) {
	switch {
	case rev != nil && at != nil:
		return 0, bad("ambiguous", "Give one of %s and %s.", name, timeName)
	case rev != nil:
		return fieldRevision(name, rev, 0)
	case at == nil:
		return def, nil
	}
	t, err := parseTime(timeName, *at)
	if err != nil {
		return 0, err
	}
	got, err := a.resolved(r, "", t, errBefore)
	if err == errBefore && name == "from" {
		return session.Unborn, nil // everything came since
	}
	if err == errBefore {
		return 0, Errorf(fasthttp.StatusNotFound, "before_creation", "The document was created later than %s.", *at)
	}
	return got, err
}

// errBefore: a time is before the document's creation.
var errBefore = &Error{Code: "before_creation"}

// redact serves POST /api/docs/{id}/redact.
func (a *API) redact(r *request) error {
	var text, author, as *string
	if err := r.object(map[string]any{"text": &text, "author": &author, "as": &as}); err != nil {
		return err
	}
	switch {
	case text == nil && author == nil, text != nil && *text == "", author != nil && *author == "":
		return bad("missing_field", `The body says what to erase: {"text": "a secret"}, or {"author": "Ada", "as": "someone"}, or both.`)
	case as != nil && author == nil:
		return bad("missing_field", "as is what to put in the place of author, which is missing.")
	}
	by, err := a.author(r)
	if err != nil {
		return err
	}
	x := session.Redaction{By: by}
	for _, f := range []struct {
		to   *string
		from *string
	}{{&x.Text, text}, {&x.Author, author}, {&x.As, as}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if x.Author != "" {
		if refusal := a.opt.Auth.ForgetName(r.c, r.pass, r.id, x.Author); refusal != nil {
			return refusal
		}
	}
	n, err := a.opt.Manager.Redact(r.c, r.id, x)
	if err != nil {
		return err
	}
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, map[string]int{"revisions": n})
	return nil
}
