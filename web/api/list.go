package api

import (
	"strings"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/web/auth"
)

const (
	defaultPage = 100
)

// list serves GET /api/docs: of the documents, those that the sender may read.
func (a *API) list(r *request) error {
	limit, err := a.page(r)
	if err != nil {
		return err
	}
	prefix, _ := r.param("prefix")
	after, _ := r.param("after")
	infos, err := a.readable(r, prefix, after, limit)
	if err != nil {
		return err
	}
	out := struct {
		Docs []doc  `json:"docs"`
		Next string `json:"next,omitempty"`
	}{Docs: make([]doc, 0, len(infos))}
	for _, info := range infos {
		d, err := a.described(r, info)
		if session.AsError(err).Code == session.CodeNotFound && err != nil {
			continue // it was removed meanwhile
		}
		if err != nil {
			return err
		}
		out.Docs = append(out.Docs, d)
	}
	if len(infos) == limit {
		out.Next = infos[limit-1].ID
	}
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, out)
	return nil
}

// readable is Manager.List of the documents that the sender may read. It looks at no others, so that a
// page costs the same however many there are.
func (a *API) readable(r *request, prefix, after string, limit int) ([]session.Info, error) {
	var out []session.Info
	for _, p := range r.pass.Identity().With(auth.Read, prefix) {
		if len(out) == limit {
			break
		}
		infos, err := a.matching(r, p, after, limit-len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, infos...)
	}
	return out, nil
}

// matching returns up to limit documents of a pattern, in the order of their ids, that come after one.
func (a *API) matching(r *request, p auth.Pattern, after string, limit int) ([]session.Info, error) {
	if prefix, many := strings.CutSuffix(string(p), "*"); many {
		return a.opt.Manager.List(r.c, prefix, after, limit)
	}
	if string(p) <= after {
		return nil, nil
	}
	info, err := a.opt.Manager.Stat(r.c, string(p))
	switch {
	case err != nil && session.AsError(err).Code != session.CodeUnavailable, err == nil && info.Type == "":
		return nil, nil // it is not there, or the grant names what cannot be
	case err != nil:
		return nil, err
	}
	return []session.Info{info}, nil
}
