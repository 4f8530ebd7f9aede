package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// send makes a request and returns the answer's status and body.
func send(t *testing.T, method, url, contentType, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return resp.StatusCode, string(data)
}

// must is send of a request that has to succeed.
func must(t *testing.T, method, url, contentType, body string, header ...string) string {
	t.Helper()
	status, answer := send(t, method, url, contentType, body, header...)
	if status >= 300 {
		t.Fatalf("%s %s: %d %s", method, url, status, answer)
	}
	return answer
}

// TestBundles exports documents of every type with their past, imports them into another
// server, and exports them there again: the same bytes.
func TestBundles(t *testing.T) {
	_, here, _ := start(t, "--data", t.TempDir())
	_, there, _ := start(t, "--data", t.TempDir(), "--max-message", "1024")
	for typ, c := range map[string]struct{ content, op string }{
		"text":         {`"a🌍\n"`, `[1,"b"]`},
		"text-unicode": {`"a🌍\n"`, `[1,"b"]`},
		"text0":        {`"a🌍\n"`, `[{"p":1,"i":"b"}]`},
		"json0":        {`{"n":1}`, `[{"p":["n"],"na":1}]`},
		"delta":        {`[{"insert":"a\n"}]`, `[{"retain":1,"attributes":{"bold":true}}]`},
	} {
		doc := here + "api/docs/" + typ
		must(t, "POST", here+"api/docs", jsonType, fmt.Sprintf(`{"id":%q,"type":%q,"content":%s,"title":"T <b>","meta":{"k":[1,2]}}`, typ, typ, c.content), "Quire-Author", "Ada")
		for i := range 40 {
			must(t, "POST", doc+"/operations", jsonType, fmt.Sprintf(`{"base":%d,"ops":[%s]}`, i, c.op), "Quire-Author", []string{"Ada", "Zo%C3%AB"}[i%2])
		}
		must(t, "PUT", doc+"/labels/middle%20one", jsonType, `{"rev":20}`, "Quire-Author", "Bob")
		bundle := must(t, "GET", doc+"?format=bundle", "", "")
		if n := strings.Count(bundle, "\n"); n != 43 {
			t.Errorf("%s: %d lines\n%s", typ, n, bundle)
		}
		must(t, "POST", there+"api/docs", bundleType, bundle)
		if again := must(t, "GET", there+"api/docs/"+typ+"?format=bundle", "", ""); again != bundle {
			t.Errorf("%s: there it is\n%s\nhere\n%s", typ, again, bundle)
		}
		if a, b := must(t, "GET", doc+"?format=json", "", ""), must(t, "GET", there+"api/docs/"+typ, "", ""); a != b {
			t.Errorf("%s: %s\n%s", typ, a, b)
		}
		if status, answer := send(t, "POST", there+"api/docs", bundleType, bundle); status != http.StatusConflict {
			t.Errorf("%s: imported twice: %d %s", typ, status, answer)
		}
		// Compressed, under another name; and it can be edited on.
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		fmt.Fprint(z, must(t, "GET", doc+"?format=bundle", "", "", "Accept-Encoding", "identity"))
		z.Close()
		must(t, "POST", there+"api/docs?title=Second&id=second-"+typ, bundleType, zipped.String(), "Content-Encoding", "gzip")
		answer := must(t, "POST", there+"api/docs/second-"+typ+"/operations", jsonType, fmt.Sprintf(`{"base":40,"ops":[%s]}`, c.op))
		if !strings.HasPrefix(answer, `{"rev":41,`) {
			t.Errorf("%s: %s", typ, answer)
		}
	}
}

const bundleType = "application/vnd.quire.bundle"

// TestDamagedBundles refuses a bundle that was cut off or altered anywhere, and imports
// nothing of it.
func TestDamagedBundles(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir(), "--max-import", "100000")
	must(t, "POST", url+"api/docs", jsonType, `{"id":"a","content":"one"}`, "Quire-Author", "Ada")
	for i := range 3 {
		must(t, "POST", url+"api/docs/a/operations", jsonType, fmt.Sprintf(`{"base":%d,"ops":[[3," more"]]}`, i), "Quire-Author", "Bob")
	}
	must(t, "PUT", url+"api/docs/a/labels/l", jsonType, `{"rev":2}`)
	bundle := must(t, "GET", url+"api/docs/a?format=bundle", "", "")
	refused := func(what, body string, header ...string) {
		t.Helper()
		status, answer := send(t, "POST", url+"api/docs?id=copy", bundleType, body, header...)
		if status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge {
			t.Fatalf("%s: %d %s\n%s", what, status, answer, body)
		}
		if status, answer := send(t, "GET", url+"api/docs/copy", "", ""); status != http.StatusNotFound {
			t.Fatalf("%s: there is %s", what, answer)
		}
	}
	for end := 0; end < len(bundle); end += 5 {
		refused(fmt.Sprintf("the first %d bytes", end), bundle[:end])
	}
	for at := 0; at < len(bundle)-1; at += 5 {
		altered := []byte(bundle)
		altered[at] ^= 1
		refused(fmt.Sprintf("byte %d", at), string(altered))
	}
	lines := strings.SplitAfter(bundle, "\n")
	for i := range lines[:len(lines)-1] {
		refused(fmt.Sprintf("without line %d", i+1), strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), ""))
	}
	refused("with more behind", bundle+"{}\n")
	numbered := strings.Replace(strings.Join(lines[:len(lines)-2], ""), `"op"`, `"client":"c","seq":9007199254740992,"op"`, 1)
	if status, answer := send(t, "POST", url+"api/docs?id=copy", bundleType, numbered); status != http.StatusBadRequest || !strings.Contains(answer, "Line 3 of the bundle: sequence number") {
		t.Errorf("a sequence number that JSON does not carry: %d %s", status, answer)
	}
	refused("past the limit", bundle+strings.Repeat("x", 100_000))
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 10<<20))
	z.Close()
	refused("a bomb", bomb.String(), "Content-Encoding", "gzip")
	refused("no gzip", bundle, "Content-Encoding", "gzip")
	must(t, "POST", url+"api/docs?id=copy", bundleType, bundle)
}
