package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestHosts takes requests for the machine's own names and addresses alone, and for those that --hosts has: a
// page whose name was made to lead here (DNS rebinding) gets nothing.
func TestHosts(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	_, named, _ := start(t, "--data", t.TempDir(), "--hosts", "docs.example.org, 192.0.2.7")
	_, any, _ := start(t, "--data", t.TempDir(), "--hosts", "*")
	for _, c := range []struct {
		url, host string
		status    int
	}{
		{url, "localhost", 200}, {url, "LocalHost:8080", 200}, {url, "127.0.0.1", 200}, {url, "127.0.0.1:1", 200}, {url, "[::1]:80", 200},
		{url, "localhost.", 200}, {url, "a.localhost", 200}, {url, "127.5.5.5", 200},
		{url, "evil.example", 421}, {url, "evil.example:8080", 421}, {url, "localhost.evil.example", 421}, {url, "127.0.0.1.evil.example", 421},
		{url, "evillocalhost", 421}, {url, "192.0.2.7", 421}, {url, "[::2]", 421}, {url, "", 400}, {url, ":80", 421}, {url, "2130706433", 421}, {url, "docs.example.org", 421},
		{named, "docs.example.org", 200}, {named, "DOCS.example.org:443", 200}, {named, "localhost", 200}, {named, "192.0.2.7:80", 200},
		{named, "www.docs.example.org", 421}, {named, "xdocs.example.org", 421},
		{any, "evil.example", 200},
	} {
		for _, path := range []string{"/", "/api/docs", "/metrics", "/api/openapi.json"} {
			answers, bodies := exchanges(t, c.url, "GET "+path+" HTTP/1.1\r\nHost: "+c.host+"\r\nConnection: close\r\n\r\n")
			if len(answers) != 1 || answers[0].StatusCode != c.status {
				t.Errorf("%s for %q: %.200q, want %d", path, c.host, bodies, c.status)
			}
		}
	}
	ask := func(first, host string) (int, string) {
		answers, bodies := exchanges(t, url, first+"\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		if len(answers) != 1 {
			t.Fatalf("%s: %d answers", first, len(answers))
		}
		return answers[0].StatusCode, bodies[0]
	}
	for _, c := range []struct {
		first, host string
		status      int
	}{
		{"GET http://localhost/healthz HTTP/1.1", "localhost", 200},
		{"GET http://evil.example/api/docs HTTP/1.1", "localhost", 400},
		{"GET http://localhost/api/docs HTTP/1.1", "evil.example", 400},
		{"GET http://evil.example/api/docs HTTP/1.1", "evil.example", 421},
		{"GET http://u:p@localhost/api/docs HTTP/1.1", "evil.example", 400},
		{"GET //evil.example/api/docs HTTP/1.1", "localhost", 404},
		{"GET /healthz HTTP/1.1", "evil.example", 200}, // whoever watches may know no name
		{"GET /readyz HTTP/1.1", "evil.example", 200},
	} {
		if status, body := ask(c.first, c.host); status != c.status {
			t.Errorf("%s for %s: %d %.200s, want %d", c.first, c.host, status, body, c.status)
		}
	}
	if status, body := ask("GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: quire.v1\r\nOrigin: http://evil.example\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "evil.example"); status != 421 {
		t.Errorf("a WebSocket: %d %s", status, body)
	}
}

// TestPathTricks asks for documents and files in ways that some server or other would take for something else.
func TestPathTricks(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	must(t, "POST", url+"api/docs", jsonType, `{"id":"victim","content":"here"}`)
	must(t, "POST", url+"api/docs", jsonType, `{"id":"a/../victim","content":"another"}`)
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/api/docs/a%2F..%2Fvictim", 200, "another"}, // an id is not a path
		{"/api/docs/a/../victim", 404, "no_such_page"},
		{"/api/docs/./victim", 404, "no_such_page"},
		{"/api/docs//victim", 404, "no_such_page"},
		{"/api//docs/victim", 404, "no_such_page"},
		{"/api/docs/victim/", 404, "no_such_page"},
		{"/api/docs/victim;x=1", 404, "not_found"},
		{"/api/docs/victim%20", 404, "not_found"},
		{"/api/docs/VICTIM", 404, "not_found"},
		{"/api/docs/%76ictim", 200, "here"},
		{"/api/docs/%2576ictim", 404, "not_found"}, // unescaped once
		{"/api/docs/victim%00", 400, "bad_id"},
		{"/api/docs/%c0%ae%c0%ae%c0%af", 400, "bad_id"}, // overlong
		{"/api/docs/%ed%a0%80", 400, "bad_id"},          // half a pair of surrogates
		{"/api/docs/%0d%0aX:y", 400, "bad_id"},
		{"/api/docs/%zz", 400, "bad_id"},
		{"/api/docs/%", 400, "bad_id"},
		{"/api/docs/" + strings.Repeat("x", 513), 400, "bad_id"},
		{"/api/docs/" + strings.Repeat("x", 20000), 431, "too_large"},
		{"/api/docs/%e2%80%aemitciv", 404, "not_found"}, // from right to left
		{"/API/docs/victim", 404, "no_such_page"},
		{"/api%2fdocs/victim", 404, "no_such_page"},
		{"/d/../api/docs/victim", 404, "no_such_page"},
		{"/assets/../../../../etc/passwd", 404, "no_such_page"},
		{"/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404, "no_such_page"},
		{"/assets/..%5c..%5cetc%5cpasswd", 404, "no_such_page"},
		{"/assets/app.js%00.html", 404, "no_such_page"},
		{"/%2e%2e/quire.db", 404, "no_such_page"},
		{"/quire-data/quire.db", 404, "no_such_page"},
	} {
		answers, bodies := exchanges(t, url, "GET "+c.path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		if len(answers) != 1 || answers[0].StatusCode != c.status || !strings.Contains(bodies[0], c.want) {
			t.Errorf("%.100s: %.300q, want %d %s", c.path, bodies, c.status, c.want)
		}
	}
}

// TestMethods has a request do what its method says and nothing else does.
func TestMethods(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	must(t, "POST", url+"api/docs", jsonType, `{"id":"victim"}`)
	for _, sent := range []string{
		"GET /api/docs/victim HTTP/1.1\r\nX-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE\r\nX-HTTP-Method: DELETE\r\n",
		"POST /api/docs/victim?_method=DELETE HTTP/1.1\r\nX-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n",
		"delete /api/docs/victim HTTP/1.1\r\n", "TRACE /api/docs/victim HTTP/1.1\r\nCookie: secret\r\n", "CONNECT localhost:1 HTTP/1.1\r\n",
		"OPTIONS * HTTP/1.1\r\n", "OPTIONS /api/docs/victim HTTP/1.1\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: DELETE\r\n",
		"PROPFIND /api/docs/victim HTTP/1.1\r\n", "DELETE /api/docs/victim HTTP/1.1\r\nOrigin: null\r\n", "DELETE /api/docs/victim HTTP/1.1\r\nOrigin: http://localhost.evil.example\r\n",
		"DELETE /api/docs/victim HTTP/1.1\r\nOrigin: file://\r\n", "DELETE /api/docs/victim HTTP/1.1\r\nOrigin: ftp://localhost\r\n",
	} {
		answers, bodies := exchanges(t, url, sent+"Host: localhost\r\nConnection: close\r\n\r\n")
		if len(answers) != 1 || answers[0].StatusCode >= 500 || strings.Contains(bodies[0], "secret") {
			t.Errorf("%.100q: %d answers, %.300q", sent, len(answers), bodies)
		}
		for _, a := range answers {
			if a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Access-Control-Allow-Methods") != "" {
				t.Errorf("%.100q: lets pages of other origins in: %v", sent, a.Header)
			}
		}
	}
	if status, _ := send(t, "GET", url+"api/docs/victim", "", ""); status != http.StatusOK {
		t.Errorf("the victim: %d", status)
	}
}

// TestHostileJSON sends bodies that cost some parsers their stack, their time, or their wits.
func TestHostileJSON(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%07x":0,`, i*0x10001)
		}
		return b.String() + `"end":0`
	}
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"deep content":         {`{"id":"x","type":"json0","content":` + deep(400_000) + `}`, 400, "bad_json"},
		"deep, not closed":     {`{"id":"x","type":"json0","content":` + strings.Repeat("[", 900_000), 400, "bad_json"},
		"deep objects":         {strings.Repeat(`{"a":`, 150_000), 400, "bad_json"},
		"deep meta":            {`{"id":"x","meta":{"a":` + deep(1000) + `}}`, 413, "too_large"},
		"deep id":              {`{"id":` + deep(400_000) + `}`, 400, "bad_json"},
		"many names":           {`{"id":"many","type":"json0","content":{` + keys(50_000) + `}}`, 201, ""},
		"many names of a body": {`{` + keys(50_000) + `}`, 400, "unknown_field"},
		"a name twice":         {`{"id":"x","id":"y"}`, 400, "repeated_field"},
		"a name in disguise":   {`{"id":"x","\u0069d":"y"}`, 400, "repeated_field"},
		"another case":         {`{"ID":"x"}`, 400, "unknown_field"},
		"a prototype":          {`{"id":"x","type":"json0","content":{"__proto__":{"a":1}}}`, 400, "bad_op"},
		"a huge number":        {`{"id":"x","type":"json0","content":1e999999}`, 400, "bad_op"},
		"half a pair":          {`{"id":"\ud800"}`, 400, "bad_id"},
		"a byte order mark":    {"\xef\xbb\xbf{}", 400, "bad_json"},
		"two values":           {`{}{}`, 400, "bad_json"},
	} {
		status, body := send(t, "POST", url+"api/docs", jsonType, c.body)
		if status != c.status || c.code != "" && !strings.Contains(body, `"code":"`+c.code+`"`) {
			t.Errorf("%s: %d %.300s, want %d %s", name, status, body, c.status, c.code)
		}
		if len(body) > 4096 && c.status >= 400 {
			t.Errorf("%s: the answer has %d bytes", name, len(body))
		}
	}
}

// TestScriptsInText puts what a browser would run into every text that there is, and looks that no answer is one
// that it would.
func TestScriptsInText(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	title, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	must(t, "POST", url+"api/docs", jsonType, `{"id":`+string(title)+`,"title":`+string(title)+`,"meta":{"a":`+string(title)+`},"type":"delta","content":[{"insert":`+string(title)+
		`,"attributes":{"link":"javascript:alert(1)","color":"red;background:url(javascript:alert(1))","font":"x\" onload=alert(1) \""}},{"insert":{"image":"javascript:alert(1)"}},{"insert":"\n"}]}`,
		"Quire-Author", "%3Cscript%3Ealert(1)%3C%2Fscript%3E")
	at := url + "api/docs/" + strings.NewReplacer(`"`, "%22", "<", "%3C", ">", "%3E", "/", "%2F", " ", "%20").Replace(evil)
	for _, path := range []string{"", "?format=html", "?format=markdown", "?format=text", "?format=delta", "?format=bundle", "/history", "/history/0", "/blame", "/labels", "/diff?from=0", "?rev=99", "?rev=<script>", "?<script>=1"} {
		req, err := http.NewRequest("GET", at+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html, */*;q=0.1") // as a browser that is led there
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		h, text := resp.Header, strings.ToLower(string(body))
		html := strings.HasPrefix(h.Get("Content-Type"), "text/html")
		if html && (strings.Contains(text, "<script") || strings.Contains(text, "<img src=x") || strings.Contains(text, `="javascript:`)) {
			t.Errorf("%s: %s", path, text)
		}
		csp := h.Get("Content-Security-Policy")
		if h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script-src 'unsafe") {
			t.Errorf("%s: %v", path, h)
		}
		if html && !strings.HasPrefix(csp, "sandbox;") {
			t.Errorf("%s: somebody's HTML is shown as if it were ours: %s", path, csp)
		}
		if kind := h.Get("Content-Type"); strings.Contains(kind, "svg") || strings.Contains(kind, "xml") || kind == "" {
			t.Errorf("%s: content type %q", path, kind)
		}
	}
}
