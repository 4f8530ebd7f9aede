package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestNamesOfAuthors lets people whose authors say nothing edit by each protocol: every answer that has
// their authors says what they are called, also after a restart, and those of another namespace do not learn it.
func TestNamesOfAuthors(t *testing.T) {
	key, data := filepath.Join(t.TempDir(), "key"), t.TempDir()
	if code, _, errOut := cli([]string{"genkey", key}); code != exitOK {
		t.Fatal(errOut)
	}
	token := func(author, name, ns, grant string) string {
		code, out, errOut := cli([]string{"token", "--key", key, "--author", author, "--name", name, "--ns", ns, "--grant", grant})
		if code != exitOK {
			t.Fatal(errOut)
		}
		return strings.TrimSpace(out)
	}
	told := make(chan map[string]string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct {
			Names  map[string]string
			Events []struct{ Names map[string]string }
		}
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		for _, one := range e.Events {
			maps.Copy(e.Names, one.Names)
		}
		told <- e.Names
	}))
	defer receiver.Close()
	serve := func() (url string, stop func()) {
		m, url, done := start(t, "--data", data, "--auth-keys", key+".pub", "--auth-links", "--hooks-private")
		return strings.TrimSuffix(url, "/"), func() {
			t.Helper()
			m.Close()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	url, stop := serve()
	d, s := newDescribed(t, url), &tenants{t: t, url: url}
	as := func(token string) map[string]string { return header("Authorization", "Bearer "+token) }

	ada, eve := token("idp|1", "Ada", "acme", "*=admin"), token("idp|1", "Eve", "other", "*=admin")
	d.do(exchange{"POST /api/hooks", as(ada), `{"url":"` + receiver.URL + `","docs":"acme/"}`, 201, ""})
	d.do(exchange{"POST /api/docs", as(ada), `{"id":"acme/plan","content":"one\n"}`, 201, ""})
	if names := <-told; names["idp|1"] != "Ada" {
		t.Errorf("a webhook is told %v", names)
	}
	d.do(exchange{"POST /api/docs", as(eve), `{"id":"other/plan","content":"one\n"}`, 201, ""})
	native := s.listen("/ws", "quire.v1", token("idp|2", "Bob", "acme", "*=write"),
		`{"t":"open","doc":"acme/plan","client":"bobsclient"}`, `{"t":"submit","doc":"acme/plan","base":0,"seq":1,"ops":[[4,"two\n"]]}`)
	native.until(`"t":"ops"`)
	share := s.listen("/sharedb", "sharedb", token("idp|3", "Ada\u202e", "acme", "*=write"),
		`{"a":"hs","id":null}`, `{"a":"op","c":"acme","d":"plan","v":2,"seq":1,"op":[8,"three\n"],"x":{}}`)
	share.until(`"a":"op"`)
	if got := s.must(token("op", "", "", "*=admin"), "GET", "/api/admin/connections", ""); !strings.Contains(got, `"author":"idp|2","name":"Bob","namespace":"acme"`) {
		t.Errorf("the connections: %s", got)
	}
	_, _ = native.c.CloseNow(), share.c.CloseNow()
	d.do(exchange{"PUT /api/docs/acme%2Fplan/labels/l", as(ada), `{"rev":1}`, 200, `"names":{"idp|1":"Ada"}`})
	d.do(exchange{"POST /api/docs/acme%2Fplan/links", as(ada), `{"role":"read"}`, 201, `"by":"idp|1"`})

	const adas, all = `"names":{"idp|1":"Ada"}`, `"names":{"idp|1":"Ada","idp|2":"Bob","idp|3":"Ada` + "\u202e" + `"}`
	reader := as(token("r", "", "acme", "*=read"))
	look := func() {
		t.Helper()
		for _, x := range []exchange{
			{"GET /api/docs/acme%2Fplan/history", reader, "", 200, all},
			{"GET /api/docs/acme%2Fplan/history?before=1", reader, "", 200, `"names":{"idp|1":"Ada","idp|2":"Bob"}`},
			{"GET /api/docs/acme%2Fplan/history/0", reader, "", 200, adas},
			{"GET /api/docs/acme%2Fplan/blame", reader, "", 200, all},
			{"GET /api/docs/acme%2Fplan/diff?from=0&to=1", reader, "", 200, `"names":{"idp|2":"Bob"}`},
			{"GET /api/docs/acme%2Fplan/labels", reader, "", 200, adas},
			{"GET /api/docs/acme%2Fplan/events?from=0", reader, "", 200, `"names":{"idp|2":"Bob"}`},
			{"GET /api/docs/acme%2Fplan/links", as(ada), "", 200, adas},
			{"GET /api/docs/other%2Fplan/history", as(eve), "", 200, `"names":{"idp|1":"Eve"}`},
		} {
			d.do(x)
		}
		answer := d.do(exchange{"GET /api/docs/acme%2Fplan/diff?from=0&to=1&fields=op", reader, "", 200, ""})
		if strings.Contains(string(answer.body), "names") {
			t.Errorf("a difference without authors: %s", answer.body)
		}
		bundle := d.do(exchange{"GET /api/docs/acme%2Fplan?format=bundle", header("Authorization", "Bearer "+ada, "Accept-Encoding", "identity"), "", 200, ""})
		if strings.Contains(string(bundle.body), "names") || !strings.Contains(string(bundle.body), "idp|1") {
			t.Errorf("a bundle, which is the record: %s", bundle.body)
		}
	}
	look()

	command := func(want string, args ...string) {
		t.Helper()
		code, out, errOut := cli(args, "QUIRE_TOKEN="+token("r", "", "acme", "*=read"))
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("quire %s: code %d, %s%s; want %q", strings.Join(args, " "), code, out, errOut, want)
		}
	}
	log := func(to ...string) {
		t.Helper()
		command("Author: Ada (idp|1)", append([]string{"log", "acme/plan"}, to...)...)
		command(" Ada\ufffd: 1 operation", append([]string{"log", "acme/plan", "--oneline"}, to...)...)
		command(`"names":{"idp|1":"Ada"`, append([]string{"log", "acme/plan", "--json"}, to...)...)
		command("1  Bob   ", append([]string{"blame", "acme/plan"}, to...)...)
		command("l\t1\tAda\t", append([]string{"label", "list", "acme/plan"}, to...)...)
	}
	log("--server", url)
	stop()
	log("--data", data)

	url, stop = serve()
	d.url = url
	look()
	stop()
}
