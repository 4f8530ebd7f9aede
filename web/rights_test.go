package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/golang-jwt/jwt/v5"

	"quire/ot"
	"quire/ot/ottypes"
	"quire/ot/text"
	"quire/session"
	"quire/storage/mem"
	"quire/storage/storagetest"
	"quire/storage/storagetest/overdue"
	"quire/web/api"
	"quire/web/auth"
	"quire/web/hooks"
	"quire/web/metrics"
	"quire/web/sharedb"
)

// site is a whole server on a store in memory, which asks people who they are.
type site struct {
	t      *testing.T
	server *Server
	m      *session.Manager
	auth   *auth.Authority
	hooks  *hooks.Hooks
	addr   string
	store  *storagetest.Faulty
	secret auth.Key
	ready  error
	later  atomic.Int64 // nanoseconds by which the clock of webhooks is ahead
}

func newSite(t *testing.T, opt Options) *site {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	key, err := auth.NewKey("", []byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	store := storagetest.NewFaulty(mem.New())
	s := &site{t: t, secret: key, store: store}
	s.m = session.New(session.Options{Store: store, Types: []ot.Type{text.Type{}}, Logger: log})
	if s.auth, err = auth.New(auth.Options{Keys: []auth.Key{key}, Links: true, Store: store, Logger: log}); err != nil {
		t.Fatal(err)
	}
	if s.hooks, err = hooks.New(hooks.Options{Manager: s.m, Store: store, Logger: log, Now: func() time.Time {
		return time.Now().Add(time.Duration(s.later.Load()))
	}}); err != nil {
		t.Fatal(err)
	}
	var dialects []sharedb.Dialect
	for _, d := range ottypes.All() {
		dialects = append(dialects, d)
	}
	opt.Auth, opt.Manager, opt.Hooks, opt.Logger, opt.Dialects = s.auth, s.m, s.hooks, log, dialects
	opt.Metrics = metrics.New(s.m.Stats, func() int { return 0 }, func() int { return 0 })
	opt.Page = fstest.MapFS{"index.html": {Data: []byte("<!doctype html>")}, "assets/app.js": {Data: []byte("1")}}
	opt.Unified = func(string, string, string, string, int) string { return "" }
	opt.Backup = func(context.Context) (api.Copy, error) {
		return api.Copy{ReadCloser: io.NopCloser(strings.NewReader("all")), Size: 3}, nil
	}
	opt.Ready = func() error { return s.ready }
	server, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
	overdue.Watch(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := errors.Join(server.Shutdown(ctx), <-served, s.hooks.Close(ctx), s.m.Close(ctx))
		s.auth.Close()
		if err != nil {
			t.Error(err)
		}
	})
	for _, id := range []string{"acme/plan", "other/plan"} {
		if _, err := s.m.Create(t.Context(), id, "text", []byte(`"secret"`), session.User{Name: "Ada"}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// token signs what somebody may do.
func (s *site) token(author, namespace string, grants ...auth.Grant) string {
	s.t.Helper()
	token, err := auth.Sign(s.secret, auth.Claims{
		RegisteredClaims: jwt.RegisteredClaims{Subject: author, ID: author + "'s", IssuedAt: jwt.NewNumericDate(time.Now()), ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))},
		Namespace:        namespace, Grants: grants,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *site) operator() string { return s.token("op", "", auth.Grant{Docs: "*", Role: auth.Admin}) }

// ask sends a request and returns the answer with its body read; of a stream, nothing is read.
func (s *site) ask(method, path, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return resp, ""
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(data)
}

// want is ask, for a status and a part of the body.
func (s *site) want(status int, part, method, path, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	resp, got := s.ask(method, path, body, header...)
	if resp.StatusCode != status || !strings.Contains(got, part) {
		s.t.Errorf("%s %s %s %q: %d %s, want %d %s", method, path, body, header, resp.StatusCode, got, status, part)
	}
	return resp, got
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// cookie returns the Cookie header that an answer asks for.
func cookie(t *testing.T, resp *http.Response) string {
	t.Helper()
	for _, c := range resp.Cookies() {
		if c.Name == auth.CookieName {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatalf("no cookie: %v", resp.Header)
	return ""
}

// field returns a string of a JSON object, by its name.
func field(body, name string) string {
	_, v, _ := strings.Cut(body, `"`+name+`":"`)
	v, _, _ = strings.Cut(v, `"`)
	return v
}

// quiet waits until nobody has a pass, held until so many are had.
func (s *site) quiet(what string) { s.t.Helper(); s.held(what, 0) }

func (s *site) held(what string, n int) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); s.auth.Live() != n; time.Sleep(time.Millisecond) { // then look again
		if time.Now().After(end) {
			s.t.Fatalf("%s: %d passes are held", what, s.auth.Live())
		}
	}
}

// TestLogin exchanges a token for a cookie, uses it, and logs out.
func TestLogin(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{Proxies: Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}})
	token := s.token("ada", "acme", auth.Grant{Docs: "*", Role: auth.Write})
	resp, body := s.want(200, `"author":"ada","name":"ada","namespace":"acme","expires":"`, "POST", "/api/session", `{"token":"`+token+`"}`)
	set := resp.Header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Lax", "path=/", "expires="} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie is without %s: %s", part, set)
		}
	}
	if strings.Contains(set, "secure") || strings.Contains(body, "quire_session") || strings.Contains(strings.ToLower(set), "domain") {
		t.Errorf("%s %s", set, body)
	}
	safe, _ := s.want(200, "", "POST", "/api/session", `{"token":"`+token+`"}`, "X-Forwarded-Proto", "https")
	if set := safe.Header.Get("Set-Cookie"); !strings.Contains(set, "secure") || safe.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("by https: %s, %v", set, safe.Header)
	}
	c := cookie(t, resp)
	s.want(200, `"author":"ada"`, "GET", "/api/session", "", "Cookie", c)
	s.want(200, `"content":"secret"`, "GET", "/api/docs/acme%2Fplan", "", "Cookie", c)
	s.want(404, "not_found", "GET", "/api/docs/other%2Fplan", "", "Cookie", c)
	s.want(200, `"author":"ada"`, "GET", "/api/session", "", bearer(token)...)
	for _, bad := range []string{c + "x", auth.CookieName + "=", auth.CookieName + "=" + strings.Repeat("A", 43)} {
		resp, _ := s.want(401, "unauthenticated", "GET", "/api/docs/acme%2Fplan", "", "Cookie", bad)
		if !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("401 without WWW-Authenticate: %v", resp.Header)
		}
	}
	s.want(401, "", "GET", "/api/session", "")
	s.want(401, "", "POST", "/api/session", `{"token":"`+token+`x"}`)
	s.want(401, "", "POST", "/api/session", `{"link":"`+strings.Repeat("A", 51)+`","name":"Eve"}`)
	s.want(400, "bad_message", "POST", "/api/session", `{}`)
	s.want(400, "unknown_field", "POST", "/api/session", `{"password":"x"}`)
	s.want(401, "unauthenticated", "GET", "/api/docs/acme%2Fplan?access_token="+token, "")
	s.want(400, "unknown_parameter", "GET", "/api/docs?token="+token, "", bearer(token)...)

	// Logging out needs the origin, as all that changes something, and ends the cookie for good.
	own := "http://" + s.addr
	s.want(403, "origin", "DELETE", "/api/session", "", "Cookie", c)
	resp, _ = s.want(204, "", "DELETE", "/api/session", "", "Cookie", c, "Origin", own)
	if set := resp.Header.Get("Set-Cookie"); !strings.Contains(set, auth.CookieName+"=;") {
		t.Errorf("the cookie stays: %s", set)
	}
	s.want(401, "", "GET", "/api/session", "", "Cookie", c)
	s.want(204, "", "DELETE", "/api/session", "", "Cookie", c, "Origin", own)
	s.want(204, "", "DELETE", "/api/session", "")
	s.quiet("logging in and out")
}

// TestInvitations makes, lists, takes up and withdraws invitations.
func TestInvitations(t *testing.T) {
	s := newSite(t, Options{})
	admin := bearer(s.token("tina", "acme", auth.Grant{Docs: "*", Role: auth.Admin}))
	writer := bearer(s.token("will", "", auth.Grant{Docs: "*", Role: auth.Write}))
	other := bearer(s.token("otto", "other", auth.Grant{Docs: "*", Role: auth.Admin}))
	const links = "/api/docs/acme%2Fplan/links"
	_, made := s.want(201, `"role":"read"`, "POST", links, `{"role":"read","uses":1,"note":"for Eve"}`, admin...)
	secret, id := field(made, "secret"), field(made, "id")
	if url := field(made, "url"); url != "http://"+s.addr+"/join#"+secret || len(secret) < 43 {
		t.Errorf("%s", made)
	}
	if _, list := s.want(200, `"note":"for Eve"`, "GET", links, "", admin...); strings.Contains(list, secret) || strings.Contains(list, "secret") || strings.Contains(list, "hash") {
		t.Errorf("the list tells secrets: %s", list)
	}
	for _, body := range []string{`{"role":"admin"}`, `{"role":"none"}`, `{}`, `{"role":"read","uses":0}`, `{"role":"read","expires":"2001-01-01T00:00:00Z"}`, `{"role":"read","expires":"soon"}`, `{"role":"read","docs":"acme/other"}`, `{"role":"owner"}`} {
		s.want(400, "", "POST", links, body, admin...)
	}
	s.want(403, "forbidden", "POST", links, `{"role":"read","docs":"*"}`, admin...)
	s.want(403, "forbidden", "POST", links, `{"role":"read","docs":"acme*"}`, admin...)
	s.want(403, "forbidden", "POST", links, `{"role":"read"}`, writer...)
	s.want(404, "not_found", "POST", links, `{"role":"read"}`, other...)
	s.want(404, "not_found", "DELETE", links+"/"+id, "", other...)
	s.want(404, "", "DELETE", "/api/docs/acme%2Fother/links/"+id, "", admin...)
	s.want(400, "bad_field", "POST", "/api/docs/acme%2F*/links", `{"role":"read"}`, admin...)

	resp, who := s.want(200, `"docs":"acme/plan"`, "POST", "/api/session", `{"link":"`+secret+`","name":"Eve"}`)
	guest := cookie(t, resp)
	if author := field(who, "author"); !strings.HasPrefix(author, "Eve~") {
		t.Errorf("the guest is %s", author)
	}
	s.want(401, "", "POST", "/api/session", `{"link":"`+secret+`","name":"Mallory"}`)
	s.want(200, "secret", "GET", "/api/docs/acme%2Fplan", "", "Cookie", guest)
	s.want(200, `{"docs":[{"id":"acme/plan"`, "GET", "/api/docs", "", "Cookie", guest)
	s.want(404, "", "GET", "/api/docs/acme%2Fother", "", "Cookie", guest)
	s.want(403, "forbidden", "DELETE", "/api/docs/acme%2Fplan", "", "Cookie", guest, "Origin", "http://"+s.addr)
	s.want(204, "", "DELETE", links+"/"+id, "", admin...)
	s.want(401, "", "GET", "/api/docs/acme%2Fplan", "", "Cookie", guest)
	s.want(404, "", "DELETE", links+"/"+id, "", admin...)
	s.quiet("invitations")
}

// TestRevocations withdraws what somebody was given, from what is live and from the webhooks that they registered.
func TestRevocations(t *testing.T) {
	s := newSite(t, Options{})
	op := bearer(s.operator())
	tina := s.token("tina", "acme", auth.Grant{Docs: "*", Role: auth.Admin})
	resp, _ := s.want(200, "", "POST", "/api/session", `{"token":"`+tina+`"}`)
	c := cookie(t, resp)
	_, hook := s.want(201, `"owner":"tina","confined":true`, "POST", "/api/hooks", `{"url":"https://example.org/x","docs":"acme/"}`, bearer(tina)...)
	req, err := http.NewRequest("GET", "http://"+s.addr+"/api/docs/acme%2Fplan/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tina)
	events, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	some := bearer(s.token("sam", "acme", auth.Grant{Docs: "acme/plans/*", Role: auth.Admin}))
	s.want(403, "forbidden", "POST", "/api/revocations", `{"author":"op"}`, some...)
	s.want(403, "forbidden", "GET", "/api/revocations", "", some...)
	s.want(400, "bad_message", "POST", "/api/revocations", `{}`, op...)
	s.want(400, "bad_message", "POST", "/api/revocations", `{"author":"tina","namespace":"a/b"}`, op...)
	s.want(413, "too_large", "POST", "/api/revocations", `{"author":"tina","namespace":"`+strings.Repeat("n", 256)+`"}`, op...)
	s.want(201, `"author":"tina","by":"op","at":"`, "POST", "/api/revocations", `{"author":"tina"}`, op...)
	s.want(200, `"author":"tina"`, "GET", "/api/revocations", "", op...)
	rest, err := io.ReadAll(events.Body)
	if err != nil || !strings.Contains(string(rest), `event: end`) || !strings.Contains(string(rest), "unauthenticated") {
		t.Errorf("the stream of events: %s, %v", rest, err)
	}
	s.want(401, "", "GET", "/api/session", "", bearer(tina)...)
	s.want(401, "", "GET", "/api/session", "", "Cookie", c)
	s.want(200, `"state":"disabled"`, "GET", "/api/hooks/"+field(hook, "id"), "", op...)
	s.quiet("revocations")
}

// TestCrossSite refuses what a page of another site has a browser do with the cookies that it has.
func TestCrossSite(t *testing.T) {
	s := newSite(t, Options{Origins: []string{"https://editor.example", "*"}})
	token := s.token("ada", "acme", auth.Grant{Docs: "*", Role: auth.Write})
	resp, _ := s.want(200, "", "POST", "/api/session", `{"token":"`+token+`"}`)
	c, own := cookie(t, resp), "http://"+s.addr
	for _, x := range []struct {
		name   string
		header []string
		ok     bool
	}{
		{"own", []string{"Cookie", c, "Origin", own}, true},
		{"own, said otherwise", []string{"Cookie", c, "Sec-Fetch-Site", "same-origin"}, true},
		{"named", []string{"Cookie", c, "Origin", "https://editor.example"}, true},
		{"none", []string{"Cookie", c}, false},
		{"another", []string{"Cookie", c, "Origin", "https://evil.example"}, false}, // * is not for cookies
		{"another port", []string{"Cookie", c, "Origin", "http://127.0.0.1:1"}, false},
		{"null", []string{"Cookie", c, "Origin", "null"}, false},
		{"same site", []string{"Cookie", c, "Sec-Fetch-Site", "same-site"}, false},
		{"cross site", []string{"Cookie", c, "Sec-Fetch-Site", "cross-site"}, false},
		{"typed", []string{"Cookie", c, "Sec-Fetch-Site", "none"}, false},
		{"own and cross site", []string{"Cookie", c, "Origin", "https://evil.example", "Sec-Fetch-Site", "same-origin"}, false},
		{"a token", bearer(token), true},
		{"a token of any page", append(bearer(token), "Origin", "https://evil.example"), true},
		{"a token and a cookie", append(bearer(token), "Cookie", c), true},
	} {
		resp, body := s.ask("PATCH", "/api/docs/acme%2Fplan", `{"title":"x"}`, x.header...)
		if resp.StatusCode != map[bool]int{true: 200, false: 403}[x.ok] {
			t.Errorf("%s: %d %s", x.name, resp.StatusCode, body)
		}
		for _, path := range []string{"/ws", "/sharedb"} {
			ws, resp, err := s.dial(path, x.header...)
			if err == nil {
				ws.Close()
			}
			if (err == nil) != x.ok || !x.ok && resp.StatusCode != 403 {
				t.Errorf("%s: a WebSocket at %s: %v", x.name, path, err)
			}
		}
	}
	s.quiet("cross site")
}

// dial opens a WebSocket.
func (s *site) dial(path string, header ...string) (*websocket.Conn, *http.Response, error) {
	h := http.Header{}
	d := websocket.Dialer{HandshakeTimeout: time.Minute, Subprotocols: []string{"quire.v1", "sharedb"}}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Sec-WebSocket-Protocol" {
			d.Subprotocols = strings.Split(header[i+1], ", ")
			continue
		}
		h.Set(header[i], header[i+1])
	}
	return d.Dial("ws://"+s.addr+path, h)
}

// TestRefusedWebSocket tells a browser, which sees no status of an upgrade, by a message and a close code who has to
// say who they are, and a program by the status.
func TestRefusedWebSocket(t *testing.T) {
	s := newSite(t, Options{})
	own := "http://" + s.addr
	for _, path := range []string{"/ws", "/sharedb"} {
		for name, header := range map[string][]string{
			"nothing":    {"Origin", own},
			"a bad one":  {"Origin", own, "Cookie", auth.CookieName + "=x"},
			"not signed": {"Origin", own, "Sec-WebSocket-Protocol", "quire.v1, sharedb, " + auth.TokenProtocol + "a.b.c"},
		} {
			ws, _, err := s.dial(path, header...)
			if err != nil {
				t.Errorf("%s with %s: %v", path, name, err)
				continue
			}
			_ = ws.SetReadDeadline(time.Now().Add(time.Minute))
			_, message, err := ws.ReadMessage()
			if err != nil || !strings.Contains(string(message), `"t":"error"`) || !strings.Contains(string(message), `"code":"unauthenticated"`) {
				t.Errorf("%s with %s: %s, %v", path, name, message, err)
			}
			_, _, err = ws.ReadMessage()
			if closed := (&websocket.CloseError{}); !errors.As(err, &closed) || closed.Code != 4401 {
				t.Errorf("%s with %s: it ends with %v", path, name, err)
			}
			ws.Close()
		}
		if _, resp, err := s.dial(path); err == nil || resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("a program at %s: %v", path, err)
		}
		token := s.token("ada", "acme", auth.Grant{Docs: "*", Role: auth.Write})
		ws, resp, err := s.dial(path, "Origin", own, "Sec-WebSocket-Protocol", auth.TokenProtocol+token+", quire.v1, sharedb")
		if err != nil {
			t.Fatal(err)
		}
		if chosen := resp.Header.Get("Sec-WebSocket-Protocol"); strings.Contains(chosen, token) || chosen == "" {
			t.Errorf("%s: the subprotocol is %q", path, chosen)
		}
		ws.Close()
	}
	s.quiet("WebSockets")
}

// TestPassesAreReleased has requests end in every way there is, and looks that each pass is given back, and none
// while there is still use for it.
func TestPassesAreReleased(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{MaxMessage: 2000}})
	token := s.token("ada", "acme", auth.Grant{Docs: "*", Role: auth.Admin})
	line := "Host: localhost\r\nAuthorization: Bearer " + token + "\r\n"
	large := strings.Repeat("x", 3000)
	upgrade := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: quire.v1\r\n"
	for name, sent := range map[string]string{
		"a page":                     "GET / HTTP/1.1\r\n" + line + "\r\n",
		"a document":                 "GET /api/docs/acme%2Fplan HTTP/1.1\r\n" + line + "\r\n",
		"not there":                  "GET /api/docs/other%2Fplan HTTP/1.1\r\n" + line + "\r\n",
		"no address":                 "GET /api/nothing HTTP/1.1\r\n" + line + "\r\n",
		"a hook":                     "GET /api/hooks HTTP/1.1\r\n" + line + "\r\n",
		"metrics":                    "GET /metrics HTTP/1.1\r\n" + line + "\r\n",
		"readyz":                     "GET /readyz HTTP/1.1\r\n" + line + "\r\n",
		"HEAD of events":             "HEAD /api/docs/acme%2Fplan/events HTTP/1.1\r\n" + line + "\r\n",
		"a bundle":                   "GET /api/docs/acme%2Fplan?format=bundle HTTP/1.1\r\n" + line + "\r\n",
		"two bundles":                strings.Repeat("GET /api/docs/acme%2Fplan?format=bundle HTTP/1.1\r\n"+line+"\r\n", 2),
		"a large body":               "PUT /api/docs/acme%2Fl HTTP/1.1\r\nIf-None-Match: *\r\nContent-Type: text/plain\r\nContent-Length: 3000\r\n" + line + "\r\n" + large,
		"a large body, cut":          "PUT /api/docs/acme%2Fm HTTP/1.1\r\nIf-None-Match: *\r\nContent-Type: text/plain\r\nContent-Length: 3000\r\n" + line + "\r\n" + large[:100],
		"a large body, asked for":    "PUT /api/docs/acme%2Fn HTTP/1.1\r\nIf-None-Match: *\r\nContent-Type: text/plain\r\nContent-Length: 3000\r\nExpect: 100-continue\r\n" + line + "\r\n" + large,
		"a large body, refused":      "PUT /api/docs/other%2Fl HTTP/1.1\r\nIf-None-Match: *\r\nContent-Type: text/plain\r\nContent-Length: 3000\r\n" + line + "\r\n" + large,
		"an upgrade without a key":   "GET /ws HTTP/1.1\r\n" + upgrade + line + "\r\n",
		"an upgrade, not wanted":     "GET /ws HTTP/1.1\r\n" + line + "\r\n",
		"an upgrade that is no GET":  "POST /ws HTTP/1.1\r\n" + upgrade + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 0\r\n" + line + "\r\n",
		"an upgrade of no protocol":  "GET /ws HTTP/1.1\r\n" + strings.Replace(upgrade, "quire.v1", "other", 1) + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + line + "\r\n",
		"an upgrade with close":      "GET /ws HTTP/1.1\r\n" + strings.Replace(upgrade, "Upgrade\r\n", "close, Upgrade\r\n", 1) + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + line + "\r\n",
		"an upgrade after a request": "GET / HTTP/1.1\r\n" + line + "\r\nGET /ws HTTP/1.1\r\n" + upgrade + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + line + "\r\n",
	} {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := c.Write([]byte(sent)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(name, "cut") {
			_ = c.(*net.TCPConn).CloseWrite()
		}
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode >= 500 {
			t.Errorf("%s: %v %v", name, resp, err)
		}
		c.Close()
		s.quiet(name)
		if c, err = net.Dial("tcp", s.addr); err != nil { // and somebody who does not wait for the answer
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(sent))
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
		s.quiet(name + ", left")
	}

	// What goes on has its pass.
	ws, _, err := s.dial("/ws", bearer(token)...)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	s.held("a WebSocket", 1) // besides, who left may only just be served
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /api/docs/acme%%2Fplan/events?from=-1 HTTP/1.1\r\n%s\r\n", line)
	for in := bufio.NewScanner(c); in.Scan() && !strings.Contains(in.Text(), "secret"); {
	}
	s.held("with events", 2)
	c.Close()
	ws.Close()
	s.quiet("what went on")
}

// TestStrangersSendNothing refuses who may not before any of a large body is read, and without a place for it.
func TestStrangersSendNothing(t *testing.T) {
	s := newSite(t, Options{})
	reader := s.token("rita", "acme", auth.Grant{Docs: "*", Role: auth.Read})
	const head = " HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nIf-None-Match: *\r\nContent-Length: 30000000\r\n"
	for name, x := range map[string]struct {
		sent   string
		status int
	}{
		"a stranger":              {"PUT /api/docs/acme%2Fx" + head, 401},
		"a stranger who asks":     {"PUT /api/docs/acme%2Fx" + head + "Expect: 100-continue\r\n", 401},
		"a reader":                {"PUT /api/docs/acme%2Fx" + head + "Authorization: Bearer " + reader + "\r\n", 403},
		"a reader who asks":       {"PUT /api/docs/acme%2Fx" + head + "Authorization: Bearer " + reader + "\r\nExpect: 100-continue\r\n", 403},
		"a bundle of a reader":    {"POST /api/docs" + strings.Replace(head, "text/plain", "application/vnd.quire.bundle", 1) + "Authorization: Bearer " + reader + "\r\n", 403},
		"another's document":      {"PUT /api/docs/other%2Fplan" + head + "Authorization: Bearer " + reader + "\r\n", 404},
		"a hook of a stranger":    {"POST /api/hooks" + head, 401},
		"a hook of a reader":      {"POST /api/hooks" + head + "Authorization: Bearer " + reader + "\r\n", 403},
		"another page":            {"PUT /api/docs/acme%2Fx" + head + "Origin: https://evil.example\r\n", 403},
		"no address":              {"POST /nothing" + head, 404},
		"a page's address":        {"POST /" + head, 404},
		"a stranger's WebSocket":  {"POST /ws" + head, 401},
		"a body for what has one": {"GET /api/docs/acme%2Fplan/events" + head, 400},
	} {
		for range 20 { // more than there are places
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			fmt.Fprint(c, x.sent+"\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != x.status || resp.Header.Get("Content-Security-Policy") == "" {
				t.Fatalf("%s: %v %v, want %d", name, resp, err, x.status)
			}
		}
	}
	s.quiet("strangers")
}

// TestOperatorsOnly tells what is about the server as a whole to operators, and strangers whether it works.
func TestOperatorsOnly(t *testing.T) {
	s := newSite(t, Options{})
	tina := bearer(s.token("tina", "acme", auth.Grant{Docs: "*", Role: auth.Admin}))
	op := bearer(s.operator())
	s.ready = errors.New("edits of other/plan cannot be written")
	for _, who := range [][]string{nil, tina, {"Cookie", auth.CookieName + "=x"}} {
		s.want(403, "forbidden", "GET", "/metrics", "", who...)
		if _, body := s.want(503, "not ready", "GET", "/readyz", "", who...); strings.Contains(body, "other/plan") {
			t.Errorf("readyz tells a stranger: %s", body)
		}
		s.want(200, "ok", "GET", "/healthz", "", who...)
		s.want(200, "openapi", "GET", "/api/openapi.json", "", who...)
	}
	s.want(200, "quire_", "GET", "/metrics", "", op...)
	s.want(503, "other/plan", "GET", "/readyz", "", op...)
	s.want(403, "forbidden", "GET", "/api/backup", "", tina...)
	s.want(200, "all", "GET", "/api/backup", "", op...)
	s.want(401, "", "GET", "/api/backup", "")
	s.quiet("operators")
}

// TestSecurityHeaders looks for the headers that every answer has, whatever it is.
func TestSecurityHeaders(t *testing.T) {
	s := newSite(t, Options{})
	op := bearer(s.operator())
	for _, x := range []struct {
		method, path string
		header       []string
	}{
		{"GET", "/", nil}, {"GET", "/join", nil}, {"GET", "/assets/app.js", nil}, {"GET", "/nothing", nil}, {"GET", "/healthz", nil}, {"GET", "/readyz", nil},
		{"GET", "/metrics", nil}, {"GET", "/metrics", op}, {"GET", "/ws", nil}, {"GET", "/ws", op}, {"GET", "/api/docs", nil}, {"GET", "/api/docs", op}, {"GET", "/api/docs/acme%2Fplan", op},
		{"GET", "/api/docs/acme%2Fplan?format=text", op}, {"GET", "/api/docs/acme%2Fplan?format=bundle", op}, {"GET", "/api/docs/acme%2Fplan/events", op},
		{"PUT", "/api/docs/acme%2Fplan", op}, {"POST", "/", nil}, {"GET", "/api/backup", op}, {"GET", "/api/session", op}, {"DELETE", "/api/session", nil}, {"GET", "/api/openapi.json", nil},
	} {
		resp, _ := s.ask(x.method, x.path, "", x.header...)
		h := resp.Header
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Permissions-Policy": "camera=()",
		} {
			if got := h.Get(name); !strings.Contains(got, want) || len(h.Values(name)) != 1 || strings.Contains(got, "unsafe") {
				t.Errorf("%s %s: %d with %s %q", x.method, x.path, resp.StatusCode, name, h.Values(name))
			}
		}
		if got := h.Get("Cache-Control"); got != "no-store" && !strings.Contains(got, "no-cache") || strings.HasPrefix(x.path, "/api/") && got == "no-cache" && x.path != "/api/openapi.json" {
			t.Errorf("%s %s: Cache-Control %q", x.method, x.path, got)
		}
		if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s %s: %v", x.method, x.path, h)
		}
	}
}
