package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// described checks real answers against the OpenAPI document that the server serves.
type described struct {
	t         *testing.T
	url       string
	doc       map[string]any
	compiler  *jsonschema.Compiler
	schemas   map[string]*jsonschema.Schema
	exercised map[string]bool // "GET /api/docs/{id} 200"
}

func newDescribed(t *testing.T, url string) *described {
	resp, err := http.Get(url + "/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := jsonschema.UnmarshalJSON(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	d := &described{t: t, url: url, doc: raw.(map[string]any), compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}, exercised: map[string]bool{}}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("http://quire.test/openapi.json", raw); err != nil {
		t.Fatal(err)
	}
	return d
}

// at follows names from the top of the document, through references; the pointer is
// where it arrived.
func (d *described) at(names ...string) (v any, pointer string) {
	v = d.doc
	for i, name := range names {
		m, ok := v.(map[string]any)
		if !ok || m[name] == nil {
			return nil, ""
		}
		v = m[name]
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		if m, ok := v.(map[string]any); ok {
			if ref, ok := m["$ref"].(string); ok {
				return d.at(append(pointerNames(ref), names[i+1:]...)...)
			}
		}
	}
	return v, pointer
}

func pointerNames(ref string) []string {
	names := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	for i, n := range names {
		names[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(n)
	}
	return names
}

// schema returns the compiled schema at a place in the document.
func (d *described) schema(pointer string) *jsonschema.Schema {
	if s := d.schemas[pointer]; s != nil {
		return s
	}
	s, err := d.compiler.Compile("http://quire.test/openapi.json#" + (&url.URL{Path: pointer}).EscapedPath())
	if err != nil {
		d.t.Fatalf("schema at %s: %v", pointer, err)
	}
	d.schemas[pointer] = s
	return s
}

// operation returns the path of the document that an address is described by.
func (d *described) operation(address string) string {
	address, _, _ = strings.Cut(address, "?")
	paths, _ := d.at("paths")
	best := ""
	for p := range paths.(map[string]any) {
		if regexp.MustCompile("^"+regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(p), "[^/]+")+"$").MatchString(address) && (best == "" || strings.Count(p, "{") < strings.Count(best, "{")) {
			best = p
		}
	}
	return best
}

// exchange is one request, and what its answer has to be.
type exchange struct {
	request string            // "GET /api/docs"
	header  map[string]string // may be nil
	body    string
	status  int    // 0: any that is described
	want    string // in the body: a problem's code where status is 400 or more
}

// answered is an answer.
type answered struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request and checks that the answer is as described.
func (d *described) do(x exchange) answered {
	d.t.Helper()
	method, address, _ := strings.Cut(x.request, " ")
	req, err := http.NewRequest(method, d.url, strings.NewReader(x.body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.URL.Opaque = "//" + req.URL.Host + address // escaped as it is
	if x.body != "" && x.body[0] == '{' {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range x.header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		d.t.Fatalf("%s: %v", x.request, err)
	}
	defer resp.Body.Close()
	var body []byte
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") && method == "GET" {
		body = firstEvent(d.t, resp.Body)
	} else if body, err = io.ReadAll(resp.Body); err != nil {
		d.t.Fatalf("%s: %v", x.request, err)
	}
	a := answered{resp.StatusCode, resp.Header, body}
	want := x.want
	if x.status >= 400 && want != "" && method != "HEAD" {
		want = `"code":"` + want + `"`
	}
	if x.status != 0 && a.status != x.status || !strings.Contains(string(a.body), want) {
		d.t.Errorf("%s %.100s: %d %.300s\nwant %d %s", x.request, x.body, a.status, a.body, x.status, want)
	}
	if a.status != http.StatusMethodNotAllowed && d.operation(address) != "" {
		d.check(method, address, x, a)
	}
	return a
}

// firstEvent reads a stream until its first event is whole.
func firstEvent(t *testing.T, r io.Reader) []byte {
	var got []byte
	for buf := make([]byte, 512); ; {
		n, err := r.Read(buf)
		got = append(got, buf[:n]...)
		if i := bytes.Index(got, []byte("\ndata: ")); i >= 0 && bytes.Contains(got[i:], []byte("\n\n")) {
			return got
		}
		if err != nil {
			t.Fatalf("%v after %s", err, got)
		}
	}
}

func (d *described) check(method, address string, x exchange, a answered) {
	d.t.Helper()
	head := method == http.MethodHead
	if head {
		method = http.MethodGet
	}
	path, op, status := d.operation(address), strings.ToLower(method), fmt.Sprint(a.status)
	answer, where := d.at("paths", path, op, "responses", status)
	if answer == nil {
		d.t.Errorf("%s: status %s is not described", x.request, status)
		return
	}
	d.exercised[method+" "+path+" "+status] = true
	described := pointerNames(where[1:])
	if headers, _ := d.at(append(described, "headers")...); headers != nil {
		for name := range headers.(map[string]any) {
			place := append(slices.Clone(described), "headers", name)
			required, _ := d.at(append(place, "required")...)
			_, pointer := d.at(append(place, "schema")...)
			if v := a.header.Get(name); v != "" {
				d.valid(x.request+" header "+name, pointer, v)
			} else if required == true {
				d.t.Errorf("%s: no header %s", x.request, name)
			}
		}
	}
	if a.status < 300 {
		d.checkRequest(path, op, address, x)
	}
	if head || a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		if len(a.body) > 0 {
			d.t.Errorf("%s: %s with a body", x.request, status)
		}
		return
	}
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	content, _ := d.at(append(described, "content", media)...)
	if content == nil {
		d.t.Errorf("%s: content type %s of status %s is not described", x.request, media, status)
		return
	}
	if strings.HasSuffix(media, "json") {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.body))
		if err != nil {
			d.t.Errorf("%s: %v", x.request, err)
			return
		}
		_, pointer := d.at(append(described, "content", media, "schema")...)
		d.valid(x.request, pointer, v)
	}
}

// checkRequest checks that a request that was accepted is one that is described.
func (d *described) checkRequest(path, op, address string, x exchange) {
	d.t.Helper()
	_, query, _ := strings.Cut(address, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		d.t.Error(err)
	}
	var known []string
	params, _ := d.at("paths", path, op, "parameters")
	list, _ := params.([]any)
	for _, p := range list {
		p, _ := d.at(pointerNames(p.(map[string]any)["$ref"].(string))...)
		if p := p.(map[string]any); p["in"] == "query" {
			known = append(known, p["name"].(string))
		}
	}
	for name := range values {
		if !slices.Contains(known, name) {
			d.t.Errorf("%s: the parameter %s was taken, but is not described", x.request, name)
		}
	}
	if x.body == "" || x.body[0] != '{' || x.header["Content-Type"] != "" {
		return
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(x.body))
	if err != nil {
		d.t.Error(err)
	}
	_, pointer := d.at("paths", path, op, "requestBody", "content", "application/json", "schema")
	d.valid(x.request+" request", pointer, v)
}

func (d *described) valid(what, pointer string, v any) {
	d.t.Helper()
	if err := d.schema(pointer).Validate(v); err != nil {
		d.t.Errorf("%s: %v\n%v", what, err, v)
	}
}

// complete checks that every operation was exercised, and every answer that a request by
// itself can bring about.
func (d *described) complete() {
	paths, _ := d.at("paths")
	for p, ops := range paths.(map[string]any) {
		for op, o := range ops.(map[string]any) {
			if op == "parameters" {
				continue
			}
			for _, status := range slices.Sorted(maps.Keys(o.(map[string]any)["responses"].(map[string]any))) {
				full := status == "409" && strings.Contains(fmt.Sprint(o.(map[string]any)["tags"]), "people") // of logins, invitations, revocations
				if status[0] != '5' && status != "429" && !full && !d.exercised[strings.ToUpper(op)+" "+p+" "+status] {
					d.t.Errorf("%s %s: %s is described, but no test brings it about", strings.ToUpper(op), p, status)
				}
			}
		}
	}
}
