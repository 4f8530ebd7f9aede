package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"quire/ot"
	"quire/session"
	"quire/storage"
)

// kinds are the names of what a step does.
var kinds = [...]string{storage.Edit: "edit", storage.Create: "create", storage.Delete: "delete"}

// group is a stretch of revisions that reads as one edit, in answers.
type group struct {
	From       session.Revision `json:"from"`
	To         session.Revision `json:"to"`
	Start      string           `json:"start"`
	End        string           `json:"end"`
	Authors    []string         `json:"authors"`
	Kind       string           `json:"kind"`
	Operations int              `json:"operations"`
	Inserted   int              `json:"inserted"`
	Deleted    int              `json:"deleted"`
	Labels     []string         `json:"labels"`
}

// history serves GET /api/docs/{id}/history.
func (a *API) history(r *request) error {
	before, err := r.revisionParam("before", session.Head)
	if err != nil {
		return err
	}
	limit, err := a.page(r)
	if err != nil {
		return err
	}
	var g session.Grouping
	if g.Pause, err = r.duration("pause"); err != nil {
		return err
	}
	if g.Span, err = r.duration("span"); err != nil {
		return err
	}
	groups, next, err := a.opt.Manager.Groups(r.c, r.id, before, limit, g)
	if err != nil && before == session.Head && session.AsError(err).Code == session.CodeGone {
		next, err = session.Unborn, nil // nothing but the content is kept
	}
	if err != nil {
		return a.numbered(r, err)
	}
	labels, err := a.opt.Manager.Labels(r.c, r.id)
	if err != nil {
		return err
	}
	out := struct {
		Edits []group           `json:"edits"`
		Next  *session.Revision `json:"next,omitempty"`
		Names names             `json:"names,omitempty"`
	}{Edits: make([]group, len(groups))}
	for i, g := range groups {
		out.Edits[i] = groupOf(g, labels)
	}
	out.Names = a.names(r.id, each(groups, func(g session.Group) []string { return g.Authors }))
	if next != session.Unborn {
		out.Next = &next
	}
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, out)
	return nil
}

func groupOf(g session.Group, labels []session.Label) group {
	names := []string{}
	for _, l := range labels {
		if g.From < l.Rev && l.Rev <= g.To {
			names = append(names, l.Name)
		}
	}
	authors := g.Authors
	if authors == nil {
		authors = []string{}
	}
	return group{g.From, g.To, timeOf(g.Start), timeOf(g.End), authors, kinds[g.Kind], g.Operations, g.Inserted, g.Deleted, names}
}

// step is one revision's step, in answers, in events and in bundles. One that creates has
// Content, an edit has Op.
type step struct {
	Rev     session.Revision `json:"rev"`
	Kind    string           `json:"kind"`
	Type    string           `json:"type,omitempty"`
	Author  string           `json:"author"`
	Names   names            `json:"names,omitempty"` // not in bundles
	Client  string           `json:"client,omitempty"`
	Seq     uint64           `json:"seq,omitempty"`
	Time    string           `json:"time,omitempty"`
	Op      json.RawMessage  `json:"op,omitempty"`
	Content json.RawMessage  `json:"content,omitempty"`
}

func stepOf(e session.Entry) step {
	s := step{Rev: e.Rev, Kind: kinds[e.Kind], Author: e.Author, Client: e.Client, Seq: e.Seq, Time: timeOf(e.Time)}
	s.Type, s.Op, s.Content = wire(e.Type, e.Op)
	return s
}

// step serves GET /api/docs/{id}/history/{rev}.
func (a *API) step(r *request) error {
	rev, err := revision("rev", r.arg)
	if err != nil {
		return err
	}
	steps, err := a.opt.Manager.Entries(r.c, r.id, rev-1, rev, 1)
	if err != nil {
		return a.numbered(r, err)
	}
	if len(steps) == 0 {
		return session.Errorf(session.CodeNotFound, "no such document")
	}
	out := stepOf(steps[0])
	out.Names = a.names(r.id, one(out.Author))
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, out)
	return nil
}

// span is a part of a document with who made it.
type span struct {
	Start  int              `json:"start"`
	Length int              `json:"length"`
	Path   json.RawMessage  `json:"path,omitempty"`
	Author string           `json:"author"`
	Rev    session.Revision `json:"rev"`
	Time   string           `json:"time"`
}

func spansOf(parts []session.Part) []span {
	out := make([]span, len(parts))
	for i, p := range parts {
		out[i] = span{p.Start, p.Length, p.Path, p.Author, session.Revision(p.Origin), timeOf(p.Time)}
	}
	return out
}

// blame serves GET /api/docs/{id}/blame.
func (a *API) blame(r *request) error {
	rev, err := r.revisionParam("rev", session.Head)
	if err != nil {
		return err
	}
	since, err := r.revisionParam("since", session.Unborn)
	if err != nil {
		return err
	}
	parts, at, typ, err := a.opt.Manager.Blame(r.c, r.id, rev, since)
	if err != nil {
		return a.numbered(r, err)
	}
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, struct {
		Rev   session.Revision `json:"rev"`
		Type  string           `json:"type"`
		Spans []span           `json:"spans"`
		Names names            `json:"names,omitempty"`
	}{at, typ.Name(), spansOf(parts), a.namesOfParts(r.id, parts)})
	return nil
}

// difference is what diff answers; what was not asked for is left out.
type difference struct {
	From    session.Revision `json:"from"`
	To      session.Revision `json:"to"`
	Type    string           `json:"type"`
	Op      json.RawMessage  `json:"op,omitempty"`
	Unified *string          `json:"unified,omitempty"`
	Spans   *[]span          `json:"spans,omitempty"`
	Names   names            `json:"names,omitempty"` // of the authors in Spans
}

var diffFields = []string{"op", "unified", "spans"}

// diff serves GET /api/docs/{id}/diff.
func (a *API) diff(r *request) error {
	asked := diffFields
	if s, ok := r.param("fields"); ok {
		asked = strings.Split(s, ",")
		for _, f := range asked {
			if !slices.Contains(diffFields, f) {
				return bad("bad_fields", "fields has %s; it is a list of %s, with commas.", quote(f), list(diffFields))
			}
		}
	}
	media := acceptable(string(r.ctx.Request.Header.Peek("Accept")), []string{mediaJSON, mediaDiff})
	if len(media) == 0 {
		return Errorf(fasthttp.StatusNotAcceptable, "not_acceptable", "A difference can be had as %s and %s.", mediaJSON, mediaDiff)
	}
	from, err := a.resolve(r, r.momentParam("from", "from_at", "from_label"), -1)
	if err != nil {
		return err
	}
	if from < 0 {
		return bad("missing_parameter", "Say from which revision: from, from_at or from_label.")
	}
	to, err := a.resolve(r, r.momentParam("to", "to_at", "to_label"), session.Head)
	if err != nil {
		return err
	}
	done, err := a.comparing.take(r)
	if err != nil {
		return err
	}
	defer done()
	d, err := a.opt.Manager.Difference(r.c, r.id, from, to)
	if err != nil {
		return a.numbered(r, err)
	}
	r.ctx.Response.Header.Set("Vary", "Accept")
	if media[0] == mediaDiff {
		raw(r.ctx, mediaDiff+"; charset=utf-8", []byte(a.unified(d)))
		return nil
	}
	out, err := a.differenceOf(r, d, asked)
	if err != nil {
		return err
	}
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, out)
	return nil
}

func (a *API) differenceOf(r *request, d session.Difference, asked []string) (difference, error) {
	out := difference{From: d.From, To: d.To, Type: d.Type.Name()}
	for _, f := range asked {
		switch f {
		case "op":
			out.Op = d.Type.AppendOp(nil, d.Op)
		case "unified":
			text := a.unified(d)
			out.Unified = &text
		case "spans":
			spans := []span{}
			if d.From < d.To {
				parts, _, _, err := a.opt.Manager.Blame(r.c, r.id, d.To, d.From)
				if err != nil {
					return out, a.numbered(r, err)
				}
				spans, out.Names = spansOf(parts), a.namesOfParts(r.id, parts)
			}
			out.Spans = &spans
		}
	}
	return out, nil
}

// unified returns a difference as a unified diff of lines; "" when there is none.
func (a *API) unified(d session.Difference) string {
	const context = 3
	before, after := readable(d.Type, d.Before), readable(d.Type, d.After)
	return a.opt.Unified(fmt.Sprintf("revision %d", d.From), fmt.Sprintf("revision %d", d.To), before, after, context)
}

// readable returns content as lines for people: text as it is, anything else as indented
// JSON.
func readable(t ot.Type, d ot.Doc) string {
	content := t.AppendDoc(nil, d)
	if content[0] == '"' && textual(t) {
		return plain(content)
	}
	var out bytes.Buffer
	if json.Indent(&out, content, "", "  ") != nil {
		return string(content)
	}
	return out.String() + "\n"
}
