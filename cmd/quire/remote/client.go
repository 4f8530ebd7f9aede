// Package remote is a client of Quire's HTTP interface (docs/http.md), for the command
// line: documents, their past, events, backups.
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer is the largest answer in bytes that is read into memory: a document's JSON
// form at its largest.
const maxAnswer = 1 << 30

// Client talks to one server. Safe for concurrent use.
type Client struct {
	// URL is the server's, without a slash at the end.
	URL string
	// HTTP does the requests. Required; its Timeout is to be 0.
	HTTP *http.Client
	// Patience is how long a request may go without any progress. Default 30 s.
	Patience time.Duration
	// Author is recorded as the author of edits, where the server asks nobody who they are.
	Author string
	// Token says who asks; empty: nobody says.
	Token string
}

// Problem is a refusal of the server.
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Head   int64  `json:"head"`
	Oldest int64  `json:"oldest"`
}

// Error is the server's own sentence.
func (p *Problem) Error() string { return p.Detail }

// Unreachable is a server that cannot be talked to now: there is no connection, it was
// lost, nothing came in time, or something in between says that the server is away.
type Unreachable struct {
	URL string
	Err error
}

// Error says which server, and why.
func (u *Unreachable) Error() string {
	if p, ok := u.Err.(*Problem); ok {
		return fmt.Sprintf("%s cannot answer now: %s", u.URL, p.Detail)
	}
	return fmt.Sprintf("cannot reach %s: %v", u.URL, u.Err)
}

// Unwrap returns what happened.
func (u *Unreachable) Unwrap() error { return u.Err }

// errSilent ends a request that makes no progress.
var errSilent = errors.New("no answer in time")

// IsCode reports whether err is a refusal with one of these codes.
func IsCode(err error, codes ...string) bool {
	var p *Problem
	if errors.As(err, &p) {
		for _, c := range codes {
			if p.Code == c {
				return true
			}
		}
	}
	return false
}

// request is one request.
type request struct {
	method string
	path   string        // escaped, from the root
	least  time.Duration // of patience
	query  url.Values
	header map[string]string
	body   io.Reader
}

// docPath is the path of a document and of what is below it.
func docPath(id string, below ...string) string {
	p := "/api/docs/" + escape(id)
	for _, b := range below {
		p += "/" + escape(b)
	}
	return p
}

// escape makes a path segment of any text; a segment of dots would be taken for a step up.
func escape(s string) string {
	if strings.Trim(s, ".") == "" {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}

// author is a name as the header Quire-Author has it.
func author(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// open sends a request and returns the answer, whose body the caller closes. Anything but a status
// of the two hundreds is an error: a *Problem, an *Unreachable, or ctx's.
func (c *Client) open(ctx context.Context, r request) (*http.Response, error) {
	patience := c.Patience
	if patience <= 0 {
		patience = 30 * time.Second
	}
	patience = max(patience, r.least)
	ctx, cancel := context.WithCancelCause(ctx)
	silence := time.AfterFunc(patience, func() { cancel(errSilent) })
	progress := func() { silence.Reset(patience) }
	end := func() { silence.Stop(); cancel(nil) }
	target := c.URL + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	body := r.body
	if body != nil {
		body = &watched{Reader: body, progress: progress}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		end()
		return nil, err
	}
	if b, ok := r.body.(*bytes.Reader); ok {
		req.ContentLength = b.Size()
	}
	if c.Author != "" {
		req.Header.Set("Quire-Author", author(c.Author))
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		defer end()
		return nil, c.failed(ctx, err)
	}
	resp.Body = &answer{watched{resp.Body, progress}, resp.Body, end, func(err error) error { return c.failed(ctx, err) }}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, c.refused(resp)
	}
	return resp, nil
}

// failed tells what stopped a request: the caller, or the way to the server.
func (c *Client) failed(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if !errors.Is(cause, errSilent) {
			return cause
		}
		err = cause
	}
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	return &Unreachable{c.URL, err}
}

// refused reads the server's reason.
func (c *Client) refused(resp *http.Response) error {
	p := &Problem{}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	quire := json.Unmarshal(body, p) == nil && p.Code != ""
	p.Status = resp.StatusCode
	if quire && p.Detail != "" {
		if p.Code == "unavailable" || p.Code == "busy" || p.Status == http.StatusTooManyRequests {
			return &Unreachable{c.URL, p}
		}
		return p
	}
	if bytes.HasPrefix(body, []byte("This address speaks HTTPS only.")) { // in the words of web/ws
		p.Detail = c.URL + " speaks HTTPS only: say https://"
		return p
	}
	p.Detail = fmt.Sprintf("%s answered %q, not in the words of a Quire server", c.URL, resp.Status)
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &Unreachable{c.URL, p}
	}
	return p
}

// watched tells of progress.
type watched struct {
	io.Reader
	progress func()
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if n > 0 {
		w.progress()
	}
	return n, err
}

// answer is the body of an answer.
type answer struct {
	watched
	body io.Closer
	end  func()
	fail func(error) error
}

func (a *answer) Read(b []byte) (int, error) {
	n, err := a.watched.Read(b)
	if err != nil && err != io.EOF {
		err = a.fail(err)
	}
	return n, err
}

func (a *answer) Close() error {
	a.end() // first: a body that never ends would be waited for
	return a.body.Close()
}

// do sends a request and decodes the answer, when out is not nil, from JSON.
func (c *Client) do(ctx context.Context, r request, out any) error {
	resp, err := c.open(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := readAll(resp.Body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s answered %s %s with what is not understood here: %w", c.URL, r.method, r.path, err)
	}
	return nil
}

// readAll reads an answer into memory.
func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err == nil && len(data) > maxAnswer {
		err = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return data, err
}

// jsonBody is v as the body of a request.
func jsonBody(v any) io.Reader {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // structs and maps of strings, numbers and valid JSON
	}
	return bytes.NewReader(data)
}
