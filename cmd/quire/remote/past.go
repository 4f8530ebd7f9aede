package remote

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// Names are what authors are called, by author, where that is not the author itself.
type Names map[string]string

// of returns the names of some of them; nil for none.
func (n Names) of(authors ...string) (out Names) {
	for _, author := range authors {
		if name, ok := n[author]; ok {
			if out == nil {
				out = Names{}
			}
			out[author] = name
		}
	}
	return out
}

// Group is a stretch of revisions, after From and up to To, that reads as one edit.
type Group struct {
	From       int64    `json:"from"`
	To         int64    `json:"to"`
	Start      Time     `json:"start"`
	End        Time     `json:"end"`
	Authors    []string `json:"authors"`
	Names      Names    `json:"names,omitempty"`
	Kind       string   `json:"kind"`
	Operations int      `json:"operations"`
	Inserted   int      `json:"inserted"`
	Deleted    int      `json:"deleted"`
	Labels     []string `json:"labels,omitempty"`
}

// Span is a part of a document with who made it.
type Span struct {
	Path   json.RawMessage `json:"path,omitempty"`
	Start  int             `json:"start"`
	Length int             `json:"length"`
	Author string          `json:"author"`
	Names  Names           `json:"names,omitempty"`
	Rev    int64           `json:"rev"`
	Time   Time            `json:"time"`
}

// Label is a name for a revision.
type Label struct {
	Name   string `json:"name"`
	Rev    int64  `json:"rev"`
	Author string `json:"author"`
	Names  Names  `json:"names,omitempty"`
	Time   Time   `json:"time"`
}

// Difference is what leads from one revision to another.
type Difference struct {
	From    int64           `json:"from"`
	To      int64           `json:"to"`
	Type    string          `json:"type"`
	Op      json.RawMessage `json:"op"`
	Unified string          `json:"unified"`
}

// History returns up to limit groups, newest first, of the revisions up to before (nil: the
// head), and the revision to ask on with, nil when that was all.
func (c *Client) History(ctx context.Context, id string, before *int64, limit int) ([]Group, *int64, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if before != nil {
		q.Set("before", strconv.FormatInt(*before, 10))
	}
	var out struct {
		Edits []Group `json:"edits"`
		Next  *int64  `json:"next"`
		Names Names   `json:"names"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: docPath(id, "history"), query: q}, &out)
	for i := range out.Edits {
		out.Edits[i].Names = out.Names.of(out.Edits[i].Authors...)
	}
	return out.Edits, out.Next, err
}

// Diff returns what leads from one point to another.
func (c *Client) Diff(ctx context.Context, id string, from, to Point) (Difference, error) {
	q := to.set(from.set(url.Values{}, "from", "from_"), "to", "to_")
	var d Difference
	err := c.do(ctx, request{method: http.MethodGet, path: docPath(id, "diff"), query: q}, &d)
	return d, err
}

// Blame returns who made each part of a document at a revision, nil for the head.
func (c *Client) Blame(ctx context.Context, id string, rev *int64) ([]Span, int64, error) {
	q := url.Values{}
	if rev != nil {
		q.Set("rev", strconv.FormatInt(*rev, 10))
	}
	var out struct {
		Rev   int64  `json:"rev"`
		Spans []Span `json:"spans"`
		Names Names  `json:"names"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: docPath(id, "blame"), query: q}, &out)
	for i := range out.Spans {
		out.Spans[i].Names = out.Names.of(out.Spans[i].Author)
	}
	return out.Spans, out.Rev, err
}

// Labels returns a document's labels.
func (c *Client) Labels(ctx context.Context, id string) ([]Label, error) {
	var out struct {
		Labels []Label `json:"labels"`
		Names  Names   `json:"names"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: docPath(id, "labels")}, &out)
	for i := range out.Labels {
		out.Labels[i].Names = out.Names.of(out.Labels[i].Author)
	}
	return out.Labels, err
}

// SetLabel names a revision, nil for the head.
func (c *Client) SetLabel(ctx context.Context, id, name string, rev *int64) (Label, error) {
	in := map[string]any{}
	if rev != nil {
		in["rev"] = *rev
	}
	var l Label
	err := c.do(ctx, request{
		method: http.MethodPut, path: docPath(id, "labels", name), header: map[string]string{"Content-Type": "application/json"}, body: jsonBody(in),
	}, &l)
	return l, err
}

// DeleteLabel removes a name.
func (c *Client) DeleteLabel(ctx context.Context, id, name string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: docPath(id, "labels", name)}, nil)
}
