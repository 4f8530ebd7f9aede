package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"quire/ot"
	"quire/ot/diff"
	"quire/ot/text"
	"quire/session"
	"quire/storage"
	"quire/storage/mem"
	"quire/web/auth"
	"quire/web/stream"
	"quire/web/trail"
)

// place is an API whose callers are passes by name.
type place struct {
	t      *testing.T
	m      *session.Manager
	api    *API
	passes map[string]*auth.Pass
	url    string
}

func newPlace(t *testing.T, store session.Store, passes map[string]*auth.Pass) *place {
	t.Helper()
	p := &place{t: t, passes: passes}
	opt := Options{Streams: stream.New(stream.Options{}), Logger: slog.New(slog.DiscardHandler), Unified: func(string, string, string, string, int) string { return "" }}
	opt.Backups = &Backups{Copy: func(context.Context) (Copy, error) {
		return Copy{ReadCloser: io.NopCloser(strings.NewReader("all")), Size: 3}, nil
	}}
	p.m = session.New(session.Options{Store: store, Types: []ot.Type{text.Type{}}, Diff: diff.Between, Logger: opt.Logger})
	opt.Manager = p.m
	asking, err := auth.New(auth.Options{Links: true, Store: store.(auth.Store)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(asking.Close)
	opt.Auth, opt.HTTPS = asking, func(*fasthttp.RequestCtx) bool { return false }
	opt.Credentials = func(ctx *fasthttp.RequestCtx) auth.Credentials { return auth.FromRequest(ctx, netip.Addr{}) }
	p.api = New(opt)
	t.Cleanup(func() {
		opt.Streams.Shutdown(context.Background())
		if err := p.m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	p.url = listen(t, func(ctx *fasthttp.RequestCtx) {
		if pass := p.passes[string(ctx.Request.Header.Peek("Pass"))]; pass != nil {
			auth.Attach(ctx, pass)
		}
		p.api.Serve(ctx, nil)
	})
	return p
}

func (p *place) create(ids ...string) {
	p.t.Helper()
	for _, id := range ids {
		if _, err := p.m.Create(p.t.Context(), id, "text", []byte(`"secret"`), session.User{Name: "Ada"}); err != nil {
			p.t.Fatal(err)
		}
	}
}

// ask sends a request as the holder of a pass.
func (p *place) ask(who, method, path, body string, header ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Pass", who)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	rec := httptest.NewRecorder()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), mediaEvents) {
		resp.Body.Close() // it has no end
	} else if _, err := io.Copy(rec.Body, resp.Body); err != nil {
		p.t.Fatal(err)
	}
	resp.Header.Del("Date")
	rec.Code = resp.StatusCode
	for k, v := range resp.Header {
		rec.Header()[k] = v
	}
	return rec
}

func holder(namespace string, grants ...auth.Grant) *auth.Pass {
	return auth.NewPass(auth.Identity{Author: "ada@acme", Name: "Ada", Kind: auth.Token, Namespace: namespace, Grants: grants})
}

// requests are one well-formed request for each route that is about a document, with the role it needs.
var requests = []struct {
	method, rest, body string
	header             []string
	need               auth.Role
}{
	{"GET", "", "", nil, auth.Read},
	{"HEAD", "", "", nil, auth.Read},
	{"GET", "?format=bundle", "", nil, auth.Read},
	{"GET", "?rev=0&format=text", "", nil, auth.Read},
	{"PUT", "", "other", []string{"If-Match", `"0"`, "Content-Type", mediaText}, auth.Write},
	{"PATCH", "", `{"title":"x"}`, nil, auth.Write},
	{"POST", "/operations", `{"base":0,"ops":[["x"]]}`, nil, auth.Write},
	{"GET", "/events", "", nil, auth.Read},
	{"HEAD", "/events", "", nil, auth.Read},
	{"GET", "/history", "", nil, auth.Read},
	{"GET", "/history/0", "", nil, auth.Read},
	{"GET", "/diff?from=0&to=0", "", nil, auth.Read},
	{"GET", "/blame", "", nil, auth.Read},
	{"POST", "/restore", `{"rev":0}`, nil, auth.Write},
	{"POST", "/revert", `{"author":"Ada"}`, nil, auth.Write},
	{"GET", "/labels", "", nil, auth.Read},
	{"PUT", "/labels/a", `{}`, nil, auth.Write},
	{"DELETE", "/labels/a", "", nil, auth.Write},
	{"GET", "/links", "", nil, auth.Admin},
	{"POST", "/links", `{"role":"read"}`, nil, auth.Admin},
	{"DELETE", "/links/a", "", nil, auth.Admin},
	{"POST", "/redact", `{"text":"secret"}`, nil, auth.Admin},
	{"DELETE", "", "", nil, auth.Admin},
}

// seen is everything of an answer but the request's id, which is random.
func seen(rec *httptest.ResponseRecorder) string {
	all := fmt.Sprint(rec.Code, rec.Header(), rec.Body)
	return strings.ReplaceAll(all, rec.Header().Get(trail.Header), "ID")
}

// TestNotReadableIsNotThere compares, for each route, the answer about a document that is there and may not be
// read with that about one that may be read and is not there: not a byte or a header tells them apart. Then it
// asks with each role about one that is there.
func TestNotReadableIsNotThere(t *testing.T) {
	p := newPlace(t, mem.New(), map[string]*auth.Pass{
		"ada":   holder("", auth.Grant{Docs: "mine/*", Role: auth.Admin}),
		"acme":  holder("mine", auth.Grant{Docs: "*", Role: auth.Admin}),
		"none":  holder("", auth.Grant{Docs: "theirs/*", Role: auth.None}, auth.Grant{Docs: "mine/*", Role: auth.Admin}),
		"read":  holder("", auth.Grant{Docs: "theirs/*", Role: auth.Read}),
		"write": holder("", auth.Grant{Docs: "theirs/*", Role: auth.Write}),
		"admin": holder("", auth.Grant{Docs: "theirs/*", Role: auth.Admin}),
	})
	p.create("theirs/plan")
	exercised := map[string]bool{}
	for _, x := range requests {
		what := x.method + " " + x.rest
		rt, _, _ := p.api.find(x.method, "/api/docs/x"+strings.SplitN(x.rest, "?", 2)[0])
		exercised[rt.method+" "+strings.Join(rt.path, "/")] = true
		for _, who := range []string{"ada", "acme", "none"} {
			missing := p.ask(who, x.method, "/api/docs/mine%2Fnone"+x.rest, x.body, x.header...)
			if strings.HasPrefix(x.rest, "/links") { // there may be some before there is the document
				missing = p.ask(who, "GET", "/api/docs/mine%2Fnone/labels", "")
			}
			hidden := p.ask(who, x.method, "/api/docs/theirs%2Fplan"+x.rest, x.body, x.header...)
			absent := p.ask(who, x.method, "/api/docs/theirs%2Fnone"+x.rest, x.body, x.header...)
			want := seen(missing)
			if missing.Code != http.StatusNotFound || seen(hidden) != want || seen(absent) != want {
				t.Errorf("%s: %s\nnot readable: %d %v %s\nneither: %d %v %s\nmissing: %s", who, what, hidden.Code, hidden.Header(), hidden.Body, absent.Code, absent.Header(), absent.Body, want)
			}
		}
		for who, role := range map[string]auth.Role{"read": auth.Read, "write": auth.Write} {
			if got := p.ask(who, x.method, "/api/docs/theirs%2Fplan"+x.rest, x.body, x.header...); (got.Code == http.StatusForbidden) != (role < x.need) {
				t.Errorf("%s: %s: %d %s", who, what, got.Code, got.Body)
			}
		}
		if x.method != "DELETE" {
			if got := p.ask("admin", x.method, "/api/docs/theirs%2Fplan"+x.rest, x.body, x.header...); got.Code >= 300 {
				t.Errorf("admin: %s: %d %s", what, got.Code, got.Body)
			}
		}
		if got := p.ask("nobody", x.method, "/api/docs/theirs%2Fplan"+x.rest, x.body, x.header...); got.Code != http.StatusUnauthorized {
			t.Errorf("nobody: %s: %d", what, got.Code)
		}
	}
	for _, rt := range p.api.routes {
		if path := strings.Join(rt.path, "/"); strings.Contains(path, "{id}") && !exercised[rt.method+" "+path] {
			t.Errorf("no test asks for %s %s without the right", rt.method, path)
		}
	}
}

// TestRightsAfterWaiting takes the right to read away while an answer waits for room. Nothing of the document leaves.
func TestRightsAfterWaiting(t *testing.T) {
	reader := auth.Identity{Author: "ada", Kind: auth.Token, Grants: []auth.Grant{{Docs: "*", Role: auth.Read}}}
	pass := auth.NewPass(reader)
	p := newPlace(t, mem.New(), map[string]*auth.Pass{"ada": pass})
	if _, err := p.m.Create(t.Context(), "plan", "text", []byte(`"`+strings.Repeat("secret ", largeAnswer)+`"`), session.User{}); err != nil {
		t.Fatal(err)
	}
	var waiting func()
	p.api.opt.Room = func(*fasthttp.RequestCtx, context.Context, int) (func(), error) {
		waiting()
		return func() {}, nil
	}
	for _, path := range []string{"", "?format=text", "/history/0", "/diff?from=0&to=0", "/blame"} {
		for _, c := range []struct {
			take   func()
			status int
			code   string
		}{
			{func() {}, http.StatusOK, ""},
			{func() { pass.Set(auth.Identity{Author: "ada", Kind: auth.Token}) }, http.StatusNotFound, "not_found"},
			{func() { pass.End(session.Errorf(session.CodeUnauthenticated, "it was withdrawn")) }, http.StatusUnauthorized, "unauthenticated"},
		} {
			asked := false
			waiting = func() { asked = true; c.take() }
			got := p.ask("ada", "GET", "/api/docs/plan"+path, "")
			pass = auth.NewPass(reader)
			p.passes["ada"] = pass
			if !asked && path != "" { // it is small
				continue
			}
			if !asked || got.Code != c.status || !strings.Contains(got.Body.String(), c.code) || c.status != http.StatusOK && (strings.Contains(got.Body.String(), "secret") || got.Header().Get("ETag") != "") {
				t.Errorf("%q: %d, %v, %.100s; want %d %s", path, got.Code, got.Header(), got.Body, c.status, c.code)
			}
		}
	}
	waiting = func() {}
	tag := p.ask("ada", "GET", "/api/docs/plan", "").Header().Get("ETag")
	waiting = func() { t.Error("an answer that says that nothing is new waits for room") }
	if got := p.ask("ada", "GET", "/api/docs/plan", "", "If-None-Match", tag); got.Code != http.StatusNotModified {
		t.Errorf("with its tag: %d", got.Code)
	}
}

// TestListAfterWaiting takes the right to read away while a list of documents waits for room: it is made anew. What is
// refused for want of room has no tag.
func TestListAfterWaiting(t *testing.T) {
	reader := auth.Identity{Author: "ada", Kind: auth.Token, Grants: []auth.Grant{{Docs: "*", Role: auth.Read}}}
	pass := auth.NewPass(reader)
	p := newPlace(t, mem.New(), map[string]*auth.Pass{"ada": pass})
	for n := range 600 {
		if _, err := p.m.Create(t.Context(), fmt.Sprintf("secret/%s/%d", strings.Repeat("x", 90), n), "text", []byte(`"a"`), session.User{}); err != nil {
			t.Fatal(err)
		}
	}
	asked := 0
	p.api.opt.Room = func(*fasthttp.RequestCtx, context.Context, int) (func(), error) {
		asked++
		pass.Set(auth.Identity{Author: "ada", Kind: auth.Token, Grants: []auth.Grant{{Docs: "plan", Role: auth.Read}}})
		return func() {}, nil
	}
	got := p.ask("ada", "GET", "/api/docs?limit=600", "")
	if asked != 1 || got.Code != http.StatusOK || strings.Contains(got.Body.String(), "secret") {
		t.Errorf("asked for room %d times: %d, %.100s", asked, got.Code, got.Body)
	}
	pass.Set(reader)
	if _, err := p.m.Create(t.Context(), "plan", "text", []byte(`"`+strings.Repeat("a", largeAnswer)+`"`), session.User{}); err != nil {
		t.Fatal(err)
	}
	p.api.opt.Room = func(*fasthttp.RequestCtx, context.Context, int) (func(), error) {
		return nil, &Error{Status: http.StatusServiceUnavailable, Code: "busy", Detail: "no room"}
	}
	if got := p.ask("ada", "GET", "/api/docs/plan", ""); got.Code != http.StatusServiceUnavailable || got.Header().Get("ETag") != "" {
		t.Errorf("without room: %d, %v", got.Code, got.Header())
	}
}

// TestRightsBeforeTheBody refuses who may not before anything of the request is looked at but its address.
func TestRightsBeforeTheBody(t *testing.T) {
	p := newPlace(t, mem.New(), map[string]*auth.Pass{
		"read":     holder("acme", auth.Grant{Docs: "*", Role: auth.Read}),
		"write":    holder("acme", auth.Grant{Docs: "acme/plans/*", Role: auth.Write}, auth.Grant{Docs: "acme/one", Role: auth.Write}),
		"one":      holder("acme", auth.Grant{Docs: "acme/one", Role: auth.Write}),
		"tenant":   holder("acme", auth.Grant{Docs: "*", Role: auth.Admin}),
		"operator": holder("", auth.Grant{Docs: "*", Role: auth.Admin}),
	})
	p.create("acme/plan", "other/plan")
	for _, c := range []struct {
		who, method, path, body string
		status                  int
		want                    string
	}{
		{"read", "POST", "/api/docs/acme%2Fplan/operations?nonsense", "nonsense", 403, "forbidden"},
		{"read", "PUT", "/api/docs/acme%2Fplan", "nonsense", 403, "forbidden"},
		{"read", "POST", "/api/docs/other%2Fplan/operations?nonsense", "nonsense", 404, "not_found"},
		{"read", "POST", "/api/docs", "nonsense", 403, "forbidden"},
		{"read", "POST", "/api/docs?id=acme%2Fnew", "nonsense", 403, "forbidden"},
		{"read", "POST", "/api/docs?id=other%2Fnew", "nonsense", 404, "not_found"},
		{"write", "POST", "/api/docs", `{"id":"acme/plans/a"}`, 201, ""},
		{"write", "POST", "/api/docs", `{"id":"acme/plans/a"}`, 409, "exists"},
		{"write", "POST", "/api/docs", `{"id":"acme/plan"}`, 404, "not_found"}, // as if it were not there, nor could be
		{"write", "POST", "/api/docs", `{"id":"other/plan"}`, 404, "not_found"},
		{"write", "POST", "/api/docs", `{"id":"other/none"}`, 404, "not_found"},
		{"write", "POST", "/api/docs", `{}`, 201, `"id":"acme/plans/`},
		{"one", "POST", "/api/docs", `{}`, 400, "missing_field"},
		{"one", "POST", "/api/docs", `{"id":"acme/one"}`, 201, ""},
		{"tenant", "POST", "/api/docs", `{}`, 201, `"id":"acme/`},
		{"tenant", "PATCH", "/api/docs/acme%2Fplan", `{"id":"other/new"}`, 404, "not_found"},
		{"tenant", "PATCH", "/api/docs/acme%2Fplan", `{"id":"other/plan"}`, 404, "not_found"},
		{"tenant", "PATCH", "/api/docs/acme%2Fplan", `{"id":"acme/plan2","title":"Moved"}`, 200, `"id":"acme/plan2"`},
		{"write", "PATCH", "/api/docs/acme%2Fplans%2Fa", `{"id":"acme/plans/b"}`, 403, "forbidden"},
		{"write", "PATCH", "/api/docs/acme%2Fplans%2Fa", `{"id":"acme/plans/a","title":"x"}`, 200, `"title":"x"`},
		{"tenant", "GET", "/api/backup", "", 403, "forbidden"},
		{"operator", "GET", "/api/backup", "", 200, "all"},
		{"nobody", "GET", "/api/backup", "", 401, "unauthenticated"},
		{"nobody", "GET", "/api/docs", "", 401, "unauthenticated"},
		{"nobody", "POST", "/api/docs", "nonsense", 401, "unauthenticated"},
		{"nobody", "GET", "/api/openapi.json", "", 200, "openapi"},
		{"operator", "PATCH", "/api/docs/other%2Fplan", `{"id":"acme/taken"}`, 200, `"id":"acme/taken"`},
	} {
		if got := p.ask(c.who, c.method, c.path, c.body); got.Code != c.status || !strings.Contains(got.Body.String(), c.want) {
			t.Errorf("%s: %s %s %s: %d %s, want %d %s", c.who, c.method, c.path, c.body, got.Code, got.Body, c.status, c.want)
		}
	}
	steps := p.ask("tenant", "GET", "/api/docs/acme%2Fplans%2Fa/history/0", "", "Quire-Author", "Eve").Body.String()
	if !strings.Contains(steps, `"author":"ada@acme"`) {
		t.Errorf("the author is not who sent it: %s", steps)
	}
	made := p.ask("write", "POST", "/api/docs", `{"id":"acme/plans/forged"}`, "Quire-Author", "Eve")
	if got := p.ask("write", "GET", "/api/docs/acme%2Fplans%2Fforged/blame", ""); made.Code != 201 || strings.Contains(got.Body.String(), "Eve") {
		t.Errorf("a forged author: %s", got.Body)
	}
}

// counting counts what is asked of a store.
type counting struct {
	session.Store
	listed int
}

func (c *counting) List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error) {
	infos, err := c.Store.List(ctx, prefix, after, limit)
	c.listed += len(infos)
	return infos, err
}

// TestListIsFiltered pages through what may be read among much more that may not, and looks at nothing else.
func TestListIsFiltered(t *testing.T) {
	store := &counting{Store: mem.New()}
	p := newPlace(t, store, map[string]*auth.Pass{
		"acme":   holder("acme", auth.Grant{Docs: "*", Role: auth.Read}),
		"some":   holder("", auth.Grant{Docs: "acme/1*", Role: auth.Read}, auth.Grant{Docs: "acme/12*", Role: auth.Admin}, auth.Grant{Docs: "zebra", Role: auth.Write}, auth.Grant{Docs: "acme/none", Role: auth.Write}, auth.Grant{Docs: "other/*", Role: auth.None}),
		"no one": holder(""),
	})
	var acme, some []string
	for i := range 300 {
		p.create(fmt.Sprintf("big/%d", i))
	}
	for i := range 25 {
		acme = append(acme, fmt.Sprintf("acme/%d", i))
		if strings.HasPrefix(acme[i], "acme/1") {
			some = append(some, acme[i])
		}
	}
	p.create(acme...)
	p.create("zebra", "other/x")
	some = append(some, "zebra")
	slices.Sort(acme)
	slices.Sort(some)
	for who, want := range map[string][]string{"acme": acme, "some": some, "no one": nil} {
		for _, limit := range []int{1, 3, 1000} {
			var got []string
			store.listed = 0
			for after := ""; ; {
				body := p.ask(who, "GET", fmt.Sprintf("/api/docs?limit=%d&after=%s", limit, strings.ReplaceAll(after, "/", "%2F")), "").Body.String()
				for _, part := range strings.Split(body, `{"id":"`)[1:] {
					id, _, _ := strings.Cut(part, `"`)
					got = append(got, id)
				}
				_, next, more := strings.Cut(body, `"next":"`)
				if after, _, _ = strings.Cut(next, `"`); !more {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s by %d: %q, want %q", who, limit, got, want)
			}
			if store.listed > len(want) {
				t.Errorf("%s by %d: %d documents were looked at for %d", who, limit, store.listed, len(want))
			}
		}
	}
	for prefix, want := range map[string]int{"acme%2F1": 11, "acme%2F12": 1, "big": 0, "a": 11, "z": 1, "acme%2Fn": 0} {
		if body := p.ask("some", "GET", "/api/docs?prefix="+prefix, "").Body.String(); strings.Count(body, `{"id":`) != want {
			t.Errorf("prefix %s: %s", prefix, body)
		}
	}
}

// TestEventsEndWithTheRight ends a stream of events when its reader may not read any more, and does not say
// where a document went that they may not read there.
func TestEventsEndWithTheRight(t *testing.T) {
	for name, c := range map[string]struct {
		lose func(p *place, pass *auth.Pass)
		want string
	}{
		"another grant": {func(_ *place, pass *auth.Pass) {
			pass.Set(auth.Identity{Author: "ada", Kind: auth.Token, Grants: []auth.Grant{{Docs: "b", Role: auth.Admin}}})
		}, `"code":"forbidden"`},
		"it ran out": {func(_ *place, pass *auth.Pass) {
			pass.End(session.Errorf(session.CodeUnauthenticated, "the token ran out"))
		}, `"code":"unauthenticated","detail":"the token ran out"`},
		"it moved away": {func(p *place, _ *auth.Pass) {
			if err := p.m.Rename(p.t.Context(), "a", "hidden"); err != nil {
				p.t.Fatal(err)
			}
		}, `"code":"not_found"`},
		"it moved": {func(p *place, _ *auth.Pass) {
			if err := p.m.Rename(p.t.Context(), "a", "ab"); err != nil {
				p.t.Fatal(err)
			}
		}, `"code":"moved","detail":"ab"`},
	} {
		pass := holder("", auth.Grant{Docs: "a*", Role: auth.Read})
		p := newPlace(t, mem.New(), map[string]*auth.Pass{"ada": pass})
		p.create("a")
		req, err := http.NewRequest("GET", p.url+"/api/docs/a/events?from=-1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Pass", "ada")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() && !strings.Contains(lines.Text(), "secret") {
		}
		c.lose(p, pass)
		var rest strings.Builder
		for lines.Scan() {
			rest.WriteString(lines.Text() + "\n")
		}
		resp.Body.Close()
		if !strings.Contains(rest.String(), "event: end\n") || !strings.Contains(rest.String(), c.want) || strings.Contains(rest.String(), "hidden") {
			t.Errorf("%s: %s", name, rest.String())
		}
	}
}

// TestBundleNeedsAdmin does not let somebody who may only write bring in a past that others are said to have made.
func TestBundleNeedsAdmin(t *testing.T) {
	p := newPlace(t, mem.New(), map[string]*auth.Pass{
		"write": holder("", auth.Grant{Docs: "*", Role: auth.Write}),
		"admin": holder("", auth.Grant{Docs: "*", Role: auth.Admin}),
	})
	p.create("a")
	bundle := p.ask("write", "GET", "/api/docs/a?format=bundle", "").Body.String()
	for who, want := range map[string]int{"write": http.StatusForbidden, "admin": http.StatusCreated} {
		for _, path := range []string{"/api/docs?id=" + who, "/api/docs"} {
			sent := strings.Replace(bundle, `"id":"a"`, `"id":"`+who+`2"`, 1)
			if path != "/api/docs" {
				sent = bundle
			}
			got := p.ask(who, "POST", path, sent, "Content-Type", mediaBundle)
			if got.Code != want && !(got.Code == 400 && who == "admin" && path == "/api/docs") { // its checksum is another now
				t.Errorf("%s: POST %s: %d %s", who, path, got.Code, got.Body)
			}
		}
	}
}
