package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"quire/web/auth"
)

// canary is in everything that a tenant has: ids, texts, names, titles, labels, notes, addresses, tokens.
const canary = "canary"

// tenants is a server with two tenants of which each may do everything in its own namespace.
type tenants struct {
	t    *testing.T
	url  string
	beta string // the token of the one with the canary
}

// do sends a request and returns the answer as a whole, but for what differs from one to the next.
func (s *tenants) do(token, method, path, kind, body string) (status int, answer string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text := []byte("(a stream)")
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		if text, err = io.ReadAll(resp.Body); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, name := range []string{"Date", "X-Request-Id"} {
		resp.Header.Del(name)
	}
	return resp.StatusCode, fmt.Sprint(resp.Status, resp.Header, regexp.MustCompile(`"req":"\w+"`).ReplaceAllString(string(text), ""))
}

// must is do, for what has to succeed.
func (s *tenants) must(token, method, path, body string) string {
	s.t.Helper()
	status, answer := s.do(token, method, path, "application/json", body)
	if status >= 300 {
		s.t.Fatalf("%s %s: %s", method, path, answer)
	}
	return answer
}

// listen opens a WebSocket, sends messages, and returns what comes until the answer to the last of them.
func (s *tenants) listen(path, protocol, token string, messages ...string) *tenantConn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c, _, err := websocket.Dial(ctx, strings.Replace(s.url, "http", "ws", 1)+path, &websocket.DialOptions{Subprotocols: []string{protocol, auth.TokenProtocol + token}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cancel(); c.CloseNow() })
	out := &tenantConn{s: s, ctx: ctx, c: c}
	for _, m := range messages {
		out.say(m)
	}
	return out
}

type tenantConn struct {
	s   *tenants
	ctx context.Context
	c   *websocket.Conn
}

func (c *tenantConn) say(m string) {
	c.s.t.Helper()
	if err := c.c.Write(c.ctx, websocket.MessageText, []byte(m)); err != nil {
		c.s.t.Fatal(err)
	}
}

// until returns what comes up to a message with a part.
func (c *tenantConn) until(part string) (heard []string) {
	c.s.t.Helper()
	for {
		_, data, err := c.c.Read(c.ctx)
		if err != nil {
			c.s.t.Fatalf("before %s: %v; %s", part, err, heard)
		}
		heard = append(heard, string(data))
		if strings.Contains(string(data), part) {
			return heard
		}
	}
}

// TestTenants lets one tenant, its admin, its guest and nobody at all ask for everything there is of another's
// documents, over every route and protocol: the answers are those for documents that are not there, and nothing of
// the other tenant is in any of them, nor in what comes by itself while the other one works.
func TestTenants(t *testing.T) {
	base, token := guarded(t, "--max-namespace", "3")
	s := &tenants{t: t, url: base, beta: token(canary+"-author", "beta", auth.Grant{Docs: "*", Role: auth.Admin})}
	acme := token("eve", "acme", auth.Grant{Docs: "*", Role: auth.Admin})
	const there, missing = "beta/" + canary + "-plan", "beta/" + canary + "-none"
	doc := "/api/docs/" + url.PathEscape(there)
	s.must(s.beta, "POST", "/api/docs", `{"id":"`+there+`","title":"`+canary+`","content":"`+canary+` text"}`)
	s.must(s.beta, "PUT", doc+"/labels/"+canary, `{"rev":0}`)
	s.must(s.beta, "POST", "/api/hooks", `{"url":"http://`+canary+`.example.com/","docs":"beta/"}`)
	made := s.must(s.beta, "POST", doc+"/links", `{"role":"read","note":"`+canary+`"}`)
	link := regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(made)[1]
	hooks := s.must(s.beta, "GET", "/api/hooks", "")
	hook := regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(hooks)[1]
	s.must(acme, "POST", "/api/docs", `{"id":"acme/own","content":"own"}`)
	invited := s.must(acme, "POST", "/api/docs/acme%2Fown/links", `{"role":"write"}`)
	secret := regexp.MustCompile(`"secret":"([^"]+)"`).FindStringSubmatch(invited)[1]
	joined := s.must("", "POST", "/api/session", `{"link":"`+secret+`","name":"Guest"}`)
	if !strings.Contains(joined, "quire_session") {
		t.Fatal("no login: " + joined)
	}

	var described struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	_, text := s.do("", "GET", "/api/openapi.json", "", "")
	if err := json.Unmarshal([]byte(text[strings.Index(text, "{"):]), &described); err != nil {
		t.Fatal(err)
	}
	who := map[string]string{"an admin": acme, "nobody": "", "an admin of all but another namespace": token("mallory", "acme", auth.Grant{Docs: "beta/*", Role: auth.Admin})}
	asked := 0
	for path, methods := range described.Paths {
		for method := range methods {
			if method == "parameters" {
				continue
			}
			method = strings.ToUpper(method)
			for name, token := range who {
				ask := func(id, query, kind, body string) (int, string) {
					asked++
					r := strings.NewReplacer("{id}", url.PathEscape(id), "{rev}", "0", "{name}", canary, "{link}", link)
					p := r.Replace(path)
					if strings.HasPrefix(path, "/api/hooks/") {
						p = strings.Replace(path, "{id}", map[string]string{there: hook, missing: strings.Repeat("A", len(hook))}[id], 1)
					}
					status, answer := s.do(token, method, p+query, kind, body)
					return status, strings.ReplaceAll(answer, id, "ID")
				}
				for _, x := range []struct{ query, kind, body string }{
					{"", "", ""}, {"?rev=0", "", ""}, {"?format=bundle", "", ""}, {"?from=0&to=0", "", ""}, {"?prefix=beta", "", ""}, {"?prefix=beta/" + canary, "", ""},
					{"", "application/json", `{"id":"ID","content":"x"}`}, {"", "application/json", `{"rev":0,"author":"` + canary + `-author"}`},
					{"", "application/json", `{"id":"beta/` + canary + `-to","doc":"ID","docs":"beta/","url":"http://a.example.com/","role":"read"}`},
					{"?id=beta/x", "text/plain", "x"}, {"", "text/plain", "x"},
				} {
					if path == "/api/session" && method == "POST" {
						continue // anybody may, and it is about no document
					}
					if path == "/api/docs" && x.query == "" && x.kind == "text/plain" {
						continue // by an id of the sender's own
					}
					query := strings.ReplaceAll(x.query, "/", "%2F")
					was, one := ask(there, query, x.kind, strings.ReplaceAll(x.body, "ID", there))
					_, other := ask(missing, query, x.kind, strings.ReplaceAll(x.body, "ID", missing))
					if one != other {
						t.Errorf("%s: %s %s%s %s\nthere   %s\nmissing %s", name, method, path, x.query, x.body, one, other)
					}
					if leaked := strings.Contains(one, canary) && !strings.Contains(x.body+x.query, canary); leaked || was < 300 && strings.Contains(one, canary) {
						t.Errorf("%s: %s %s%s %s tells %s", name, method, path, x.query, x.body, one)
					}
				}
			}
		}
	}
	for _, path := range []string{"/metrics", "/readyz", "/healthz", "/api/admin/state", "/api/admin/docs", "/api/admin/connections", "/api/hooks/" + hook, "/api/hooks/" + hook + "/dead"} {
		for name, token := range who {
			if status, answer := s.do(token, "GET", path, "", ""); strings.Contains(answer, canary) || status == 200 && strings.Contains(answer, "quire_") {
				t.Errorf("%s: GET %s tells %s", name, path, answer)
			}
		}
	}
	if asked < 500 {
		t.Fatalf("only %d requests", asked)
	}

	// What others do is not heard.
	native := s.listen("/ws", "quire.v1", acme, `{"t":"open","doc":"acme/own","client":"evesclient1"}`, `{"t":"open","doc":"`+there+`","client":"evesclient1","create":"text"}`)
	heard := native.until(`"doc":"` + there)
	share := s.listen("/sharedb", "sharedb", acme,
		`{"a":"hs","id":null}`, `{"a":"s","c":"beta","d":"`+canary+`-plan"}`, `{"a":"qs","id":1,"c":"beta","q":{}}`, `{"a":"ps","ch":"lobby","seq":1}`,
		`{"a":"ps","ch":"beta.`+canary+`-plan","seq":2}`, `{"a":"nf","c":"beta","d":"`+canary+`-plan","v":null}`, `{"a":"pp"}`)
	told := share.until(`"a":"pp"`)
	owner := s.listen("/ws", "quire.v1", s.beta, `{"t":"open","doc":"`+there+`","client":"`+canary+`client","user":{"name":"`+canary+`"}}`, `{"t":"submit","doc":"`+there+`","base":0,"seq":1,"ops":[["`+canary+`"]],"cursor":[[1,1]]}`)
	owner.until(`"t":"ops"`)
	other := s.listen("/sharedb", "sharedb", s.beta, `{"a":"hs","id":null}`, `{"a":"ps","ch":"lobby","seq":1}`,
		`{"a":"p","ch":"lobby","id":"`+canary+`","p":{"n":"`+canary+`"},"pv":1}`,
		`{"a":"p","ch":"beta.`+canary+`-plan","id":"`+canary+`","p":{"n":"`+canary+`"},"pv":1}`,
		`{"a":"op","c":"beta","d":"`+canary+`-new","v":0,"seq":1,"create":{"type":"http://sharejs.org/types/JSONv0","data":{"n":"`+canary+`"}},"x":{}}`, `{"a":"pp"}`)
	other.until(`"a":"pp"`)
	native.say(`{"t":"ping"}`)
	share.say(`{"a":"pr","ch":"lobby"}`)
	share.say(`{"a":"pp"}`)
	heard = append(heard, native.until("pong")...)
	told = append(told, share.until(`"a":"pp"`)...)
	for _, m := range append(heard, told...) {
		echo := strings.NewReplacer(there, "", canary+"-plan", "").Replace(m)
		if strings.Contains(echo, canary) || strings.Contains(m, " text") || strings.Contains(m, `"v":1`) && strings.Contains(m, canary) {
			t.Errorf("heard of another tenant: %s", m)
		}
	}
	if !slices.ContainsFunc(heard, func(m string) bool { return strings.Contains(m, `"not_found"`) }) {
		t.Errorf("another's document is not missing: %s", heard)
	}

	// One who is full says nothing of it to others, and does not keep them from room of their own.
	for i := range 4 {
		_, _ = s.do(s.beta, "POST", "/api/docs", "application/json", fmt.Sprintf(`{"id":"beta/%d"}`, i))
	}
	if status, answer := s.do(s.beta, "POST", "/api/docs", "application/json", `{"id":"beta/more"}`); status != 409 {
		t.Fatalf("beyond the limit: %s", answer)
	}
	s.must(acme, "POST", "/api/docs", `{"id":"acme/more"}`)
	if status, answer := s.do(acme, "POST", "/api/docs", "application/json", `{"id":"beta/more"}`); status != 404 {
		t.Errorf("in a full namespace of others: %s", answer)
	}
	if status, answer := s.do(acme, "PATCH", "/api/docs/acme%2Fmore", "application/json", `{"id":"beta/more"}`); status != 404 && status != 403 {
		t.Errorf("moved to a full namespace of others: %s", answer)
	}
}
