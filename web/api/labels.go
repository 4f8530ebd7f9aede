package api

import (
	"github.com/valyala/fasthttp"

	"quire/session"
)

// label is a label in answers.
type label struct {
	Name   string           `json:"name"`
	Rev    session.Revision `json:"rev"`
	Author string           `json:"author"`
	Time   string           `json:"time"`
	Names  names            `json:"names,omitempty"` // not in lists and bundles
}

func labelOf(l session.Label) label {
	return label{Name: l.Name, Rev: l.Rev, Author: l.Author, Time: timeOf(l.Time)}
}

func labelsOf(ls []session.Label) []label {
	out := make([]label, len(ls))
	for i, l := range ls {
		out[i] = labelOf(l)
	}
	return out
}

// labels serves GET /api/docs/{id}/labels.
func (a *API) labels(r *request) error {
	ls, err := a.opt.Manager.Labels(r.c, r.id)
	if err != nil {
		return err
	}
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, struct {
		Labels []label `json:"labels"`
		Names  names   `json:"names,omitempty"`
	}{labelsOf(ls), a.names(r.id, each(ls, func(l session.Label) []string { return []string{l.Author} }))})
	return nil
}

// setLabel serves PUT /api/docs/{id}/labels/{name}.
func (a *API) setLabel(r *request) error {
	var n *int64
	if len(r.ctx.Request.Body()) > 0 {
		if err := r.object(map[string]any{"rev": &n}); err != nil {
			return err
		}
	}
	rev, err := fieldRevision("rev", n, session.Head)
	if err != nil {
		return err
	}
	by, err := a.author(r)
	if err != nil {
		return err
	}
	l, err := a.opt.Manager.SetLabel(r.c, r.id, r.arg, rev, by)
	if err != nil {
		return a.numbered(r, err)
	}
	out := labelOf(l)
	out.Names = a.names(r.id, one(l.Author))
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, out)
	return nil
}

// deleteLabel serves DELETE /api/docs/{id}/labels/{name}.
func (a *API) deleteLabel(r *request) error {
	err := a.opt.Manager.DeleteLabel(r.c, r.id, r.arg)
	if err == nil {
		r.ctx.SetStatusCode(fasthttp.StatusNoContent)
		return nil
	}
	if session.AsError(err).Code == session.CodeNotFound {
		if _, statErr := a.opt.Manager.Stat(r.c, r.id); statErr == nil {
			return Errorf(fasthttp.StatusNotFound, "no_such_label", "The document has no label %s.", quote(r.arg))
		}
	}
	return err
}
