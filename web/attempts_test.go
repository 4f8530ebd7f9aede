package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"quire/session"
	"quire/storage/storagetest"
	"quire/web/auth"
)

// TestRevokedThoughNotWritten ends everything by what is revoked also when the disk fails, and says that a restart
// would undo it.
func TestRevokedThoughNotWritten(t *testing.T) {
	s := newSite(t, Options{})
	op := bearer(s.operator())
	tina := s.token("tina", "acme", auth.Grant{Docs: "*", Role: auth.Admin})
	_, hook := s.want(201, "", "POST", "/api/hooks", `{"url":"https://example.org/x","docs":"acme/"}`, bearer(tina)...)
	s.store.Fail(storagetest.SetNotes, 1, nil)
	s.want(503, "at once", "POST", "/api/revocations", `{"author":"tina"}`, op...)
	s.want(401, "", "GET", "/api/session", "", bearer(tina)...)
	s.want(200, `"state":"disabled"`, "GET", "/api/hooks/"+field(hook, "id"), "", op...)
	s.want(201, "", "POST", "/api/revocations", `{"author":"tina"}`, op...)
}

// TestOwnersOfHooksAreSeen has a hook go on whose owner comes by, by a request or a connection, with the right to it.
func TestOwnersOfHooksAreSeen(t *testing.T) {
	s := newSite(t, Options{})
	op := bearer(s.operator())
	tina := bearer(s.token("tina", "acme", auth.Grant{Docs: "*", Role: auth.Admin}))
	_, hook := s.want(201, `"ends":"`, "POST", "/api/hooks", `{"url":"https://example.org/x","docs":"acme/"}`, tina...)
	ends := field(hook, "ends")
	renewed := func(what string, want bool) {
		t.Helper()
		s.later.Add(int64(80 * 24 * time.Hour))
		switch what {
		case "a request of fewer rights":
			s.want(200, "", "GET", "/api/session", "", bearer(s.token("tina", "acme", auth.Grant{Docs: "*", Role: auth.Write}))...)
		case "a request":
			s.want(200, "", "GET", "/api/session", "", tina...)
		}
		_, hook = s.want(200, "", "GET", "/api/hooks/"+field(hook, "id"), "", op...)
		if got := field(hook, "ends"); (got != ends) != want {
			t.Errorf("%s: ends %q, before %q", what, got, ends)
		}
		ends = field(hook, "ends")
	}
	renewed("a request", true)
	renewed("a request", true)
	renewed("a request of fewer rights", false)
	s.later.Add(int64(10 * 24 * time.Hour))
	s.want(200, `"state":"disabled"`, "GET", "/api/hooks/"+field(hook, "id"), "", op...)
}

// TestRightGoneWhileTheBodyComes writes nothing for whose right went while they sent a large body.
func TestRightGoneWhileTheBodyComes(t *testing.T) {
	s := newSite(t, Options{})
	const size = 3 << 19
	if _, err := s.m.Create(t.Context(), "acme/big", "text", []byte(`"`+strings.Repeat("x", size)+`"`), session.User{Name: "Ada"}); err != nil {
		t.Fatal(err)
	}
	_, bundle := s.want(200, "", "GET", "/api/docs/acme%2Fbig?format=bundle", "", bearer(s.operator())...)
	for _, x := range []struct{ name, start, body string }{
		{"a document", "PUT /api/docs/acme%2Fnew HTTP/1.1\r\nContent-Type: text/plain\r\nIf-None-Match: *\r\n", strings.Repeat("x", size)},
		{"an edit", "PUT /api/docs/acme%2Fplan HTTP/1.1\r\nContent-Type: text/plain\r\nIf-Match: \"0\"\r\n", strings.Repeat("x", size)},
		{"a bundle", "POST /api/docs?id=acme%2Fnew HTTP/1.1\r\nContent-Type: application/vnd.quire.bundle\r\n", bundle},
	} {
		s.quiet(x.name)
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		token := s.token("will "+x.name, "acme", auth.Grant{Docs: "*", Role: auth.Admin})
		fmt.Fprintf(c, "%sHost: localhost\r\nAuthorization: Bearer %s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", x.start, token, len(x.body))
		in := bufio.NewReader(c)
		if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
			t.Fatalf("%s: %q %v", x.name, line, err)
		}
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, x.body[:len(x.body)-1]); err != nil {
			t.Fatal(err)
		}
		s.held(x.name, 1)
		s.want(201, "", "POST", "/api/revocations", `{"author":"will `+x.name+`"}`, bearer(s.operator())...)
		if _, err := io.WriteString(c, x.body[len(x.body)-1:]); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != 401 {
			t.Errorf("%s: %v %v", x.name, resp, err)
		}
		s.want(404, "", "GET", "/api/docs/acme%2Fnew", "", bearer(s.operator())...)
		s.want(200, `"secret"`, "GET", "/api/docs/acme%2Fplan", "", bearer(s.operator())...)
	}
}

// TestGuessingIsSlow bounds how often an address may have it found out who it is, wherever it asks.
func TestGuessingIsSlow(t *testing.T) {
	for _, path := range []string{"/ws", "/sharedb", "/metrics", "/api/docs"} {
		s := newSite(t, Options{Limits: Limits{MaxRate: 1}})
		refused := false
		for range 1000 {
			resp, _ := s.ask("GET", path, "", "Cookie", auth.CookieName+"=x", "Origin", "http://"+s.addr)
			if refused = resp.StatusCode == 429; refused {
				break
			}
		}
		if !refused {
			t.Errorf("%s: one may guess as often as one likes", path)
		}
	}
}
