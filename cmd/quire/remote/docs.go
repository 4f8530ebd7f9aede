package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Time is a time as the interface writes it: RFC 3339 in UTC with milliseconds.
type Time struct{ time.Time }

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) {
	return t.UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"), nil
}

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

// Doc is a document without its content.
type Doc struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Title    string          `json:"title"`
	Meta     json.RawMessage `json:"meta,omitempty"`
	Rev      int64           `json:"rev"`
	Oldest   int64           `json:"oldest"`
	Created  Time            `json:"created"`
	Modified Time            `json:"modified"`
}

// Document is a document as it was at revision Rev.
type Document struct {
	Doc
	Head    int64           `json:"head"`
	Time    Time            `json:"time"`
	Content json.RawMessage `json:"content"`
}

// Point is a place in a document's past: the head when it is zero, else by the one
// field that is set.
type Point struct {
	Rev   *int64
	At    time.Time
	Label string
}

// AtRev is the point of a revision.
func AtRev(rev int64) Point { return Point{Rev: &rev} }

// IsHead reports whether the newest revision is meant.
func (p Point) IsHead() bool { return p.Rev == nil && p.At.IsZero() && p.Label == "" }

// Fields are the names and values of p in a request, the names with what is appended.
func (p Point) fields(rev, suffix string) map[string]any {
	switch {
	case p.Rev != nil:
		return map[string]any{rev: *p.Rev}
	case !p.At.IsZero():
		return map[string]any{suffix + "at": p.At.UTC().Format(time.RFC3339Nano)}
	case p.Label != "":
		return map[string]any{suffix + "label": p.Label}
	}
	return nil
}

func (p Point) set(q url.Values, rev, suffix string) url.Values {
	for k, v := range p.fields(rev, suffix) {
		q.Set(k, fmt.Sprint(v))
	}
	return q
}

// Edited is what became of an edit.
type Edited struct {
	Rev      int64           `json:"rev"`
	Base     int64           `json:"base"`
	Type     string          `json:"type"`
	Op       json.RawMessage `json:"op"`
	Repeated bool            `json:"repeated,omitempty"`
}

// List returns up to limit documents (1 to 1,000) whose ids begin with prefix, in order, after
// an id, and the id to ask on with, "" when that was all.
func (c *Client) List(ctx context.Context, prefix, after string, limit int) ([]Doc, string, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if prefix != "" {
		q.Set("prefix", prefix)
	}
	if after != "" {
		q.Set("after", after)
	}
	var out struct {
		Docs []Doc  `json:"docs"`
		Next string `json:"next"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/docs", query: q}, &out)
	return out.Docs, out.Next, err
}

// Get returns a document at a point of its past.
func (c *Client) Get(ctx context.Context, id string, at Point) (Document, error) {
	var d Document
	err := c.do(ctx, request{method: http.MethodGet, path: docPath(id), query: at.set(url.Values{}, "rev", "")}, &d)
	return d, err
}

// Raw returns a document in a format (text, markdown, html, delta, bundle) and the
// revision that it is of. The caller closes the reader.
func (c *Client) Raw(ctx context.Context, id string, at Point, format string) (io.ReadCloser, int64, error) {
	q := at.set(url.Values{"format": {format}}, "rev", "")
	resp, err := c.open(ctx, request{method: http.MethodGet, path: docPath(id), query: q})
	if err != nil {
		return nil, 0, err
	}
	return resp.Body, revOf(resp), nil
}

// revOf is the revision in an answer's ETag, -1 when there is none.
func revOf(resp *http.Response) int64 {
	tag, _, _ := strings.Cut(strings.Trim(resp.Header.Get("ETag"), `"`), "-")
	rev, err := strconv.ParseInt(tag, 10, 64)
	if err != nil {
		return -1
	}
	return rev
}

// New is a document to be made.
type New struct {
	ID      string          `json:"id,omitempty"` // one is chosen when it is empty
	Type    string          `json:"type,omitempty"`
	Title   string          `json:"title,omitempty"`
	Content json.RawMessage `json:"content,omitempty"` // in the type's wire form
}

// Create makes a document.
func (c *Client) Create(ctx context.Context, n New) (Doc, error) {
	var d Doc
	err := c.do(ctx, request{
		method: http.MethodPost, path: "/api/docs", header: map[string]string{"Content-Type": "application/json"}, body: jsonBody(n),
	}, &d)
	return d, err
}

// Import makes a document of content in another format. body is not closed.
func (c *Client) Import(ctx context.Context, n New, contentType, encoding string, body io.Reader) (Doc, error) {
	q := url.Values{}
	for k, v := range map[string]string{"id": n.ID, "type": n.Type, "title": n.Title} {
		if v != "" {
			q.Set(k, v)
		}
	}
	h := map[string]string{"Content-Type": contentType}
	if encoding != "" {
		h["Content-Encoding"] = encoding
	}
	var d Doc
	err := c.do(ctx, request{method: http.MethodPost, path: "/api/docs", query: q, header: h, body: body}, &d)
	return d, err
}

// Put brings in content that was made from revision base. A key, when it is not empty,
// makes a repetition of the same request take effect once.
func (c *Client) Put(ctx context.Context, id string, base int64, contentType string, content []byte, key string) (Edited, error) {
	h := map[string]string{"Content-Type": contentType, "If-Match": fmt.Sprintf("%q", strconv.FormatInt(base, 10))}
	if key != "" {
		h["Idempotency-Key"] = key
	}
	var e Edited
	err := c.do(ctx, request{method: http.MethodPut, path: docPath(id), header: h, body: bytes.NewReader(content)}, &e)
	return e, err
}

// Delete removes a document for good.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: docPath(id)}, nil)
}

// Restore makes a document what it was at a point.
func (c *Client) Restore(ctx context.Context, id string, at Point) (Edited, error) {
	return c.post(ctx, id, "restore", at.fields("rev", ""))
}

// Revert takes back what an author did after from and up to to.
func (c *Client) Revert(ctx context.Context, id, author string, from, to Point) (Edited, error) {
	in := map[string]any{"author": author}
	for _, e := range []struct {
		p         Point
		rev, time string
	}{{from, "from", "since"}, {to, "to", "until"}} {
		if e.p.Rev != nil {
			in[e.rev] = *e.p.Rev
		} else if !e.p.At.IsZero() {
			in[e.time] = Time{e.p.At}
		}
	}
	return c.post(ctx, id, "revert", in)
}

func (c *Client) post(ctx context.Context, id, what string, in any) (Edited, error) {
	var e Edited
	err := c.do(ctx, request{
		method: http.MethodPost, path: docPath(id, what), header: map[string]string{"Content-Type": "application/json"}, body: jsonBody(in),
	}, &e)
	return e, err
}

// Backup returns the server's data file as it is at one moment. The server copies it before it
// answers, for up to an hour. The caller closes the body.
func (c *Client) Backup(ctx context.Context) (*http.Response, error) {
	return c.open(ctx, request{method: http.MethodGet, path: "/api/backup", least: time.Hour})
}

// Stat returns a document without its content.
func (c *Client) Stat(ctx context.Context, id string) (Doc, error) {
	docs, _, err := c.List(ctx, id, "", 1) // the shortest id with a prefix comes first
	if err == nil && (len(docs) == 0 || docs[0].ID != id) {
		err = &Problem{Status: http.StatusNotFound, Code: "not_found", Detail: fmt.Sprintf("there is no document %q", id)}
	}
	if err != nil {
		return Doc{}, err
	}
	return docs[0], nil
}
