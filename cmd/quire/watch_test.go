package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/cmd/quire/top"
	"quire/web/admin"
	"quire/web/audit"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

// written is a buffer that many write to.
type written struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

// String returns what was written so far.
func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// watched is a server with everything that tells what it does.
type watched struct {
	t                *testing.T
	url, side, audit string
	log              *written
	stop             func() // and wait
	m                *Main
}

// startWatched starts one with an operators' listener, an audit log, and a log in JSON.
func startWatched(t *testing.T, args ...string) *watched {
	t.Helper()
	w := &watched{t: t, audit: filepath.Join(t.TempDir(), "audit.jsonl"), log: &written{}}
	args = append([]string{"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data", t.TempDir(), "--log-format", "json", "--audit-log", w.audit}, args...)
	c, err := configure(args, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out written
	w.m = NewMain(c, &out, c.logger(w.log))
	ready := make(chan string, 1)
	w.m.Ready = func(url string) { ready <- url }
	done := make(chan error, 1)
	go func() { done <- w.m.Run(context.Background()) }()
	select {
	case w.url = <-ready:
		w.url = strings.TrimSuffix(w.url, "/")
	case err := <-done:
		t.Fatal(err)
	}
	w.stop = sync.OnceFunc(func() {
		w.m.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.stop)
	at := regexp.MustCompile(`Operators are at (http://\S+)/admin`).FindStringSubmatch(out.String())
	if at == nil {
		t.Fatalf("it does not say where operators are:\n%s", out.String())
	}
	w.side = at[1]
	return w
}

// do sends a request and returns the answer and its body.
func (w *watched) do(method, url, body string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(data)
}

// ask is do for a status that has to be, and an answer in JSON.
func (w *watched) ask(status int, method, path, body string, into any) string {
	w.t.Helper()
	resp, text := w.do(method, w.side+path, body)
	if resp.StatusCode != status {
		w.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			w.t.Fatalf("%s %s: %s: %v", method, path, text, err)
		}
	}
	return text
}

// lines reads a log in JSON.
func (w *watched) lines() (out []map[string]any) {
	w.t.Helper()
	for line := range strings.Lines(w.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			w.t.Fatalf("%q: %v", line, err)
		}
		out = append(out, m)
	}
	return out
}

// events reads the audit log.
func (w *watched) events() (out []audit.Event) {
	w.t.Helper()
	data, err := os.ReadFile(w.audit)
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var e audit.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			w.t.Fatalf("%q: %v", line, err)
		}
		out = append(out, e)
	}
	return out
}

// join opens a document over the protocol and edits it once.
func (w *watched) join(doc, id string) *client.Conn {
	w.t.Helper()
	c, _, err := client.Dial(w.url, client.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	say := func(text, want string) {
		w.t.Helper()
		if err := c.WebSocket().WriteMessage(1, []byte(text)); err != nil {
			w.t.Fatal(err)
		}
		for {
			m, err := c.Receive()
			if err != nil {
				w.t.Fatal(err)
			}
			if m.T == "error" {
				w.t.Fatalf("%s: %s", m.Code, m.Message)
			}
			if m.T == want {
				return
			}
		}
	}
	say(`{"t":"open","doc":"`+doc+`","client":"`+id+`","create":"text"}`, "opened")
	say(`{"t":"submit","doc":"`+doc+`","base":0,"seq":1,"ops":[["secret words"]]}`, "ops")
	return c
}

// TestRequestsInTheLog makes requests whose addresses, bodies and headers hold what is nobody's
// business: the log has each by its id, without any of that.
func TestRequestsInTheLog(t *testing.T) {
	w := startWatched(t, "--access-log", "--trust-proxy", "127.0.0.1")
	resp, _ := w.do("POST", w.url+"/api/docs?format=topsecret-query", `{"id":"plan","content":"topsecret-body"}`, "Authorization", "Bearer topsecret-token", "Cookie", "quire_session=topsecret-cookie", "X-Request-Id", "from-the-proxy_1", "X-Forwarded-For", "192.0.2.7")
	if id := resp.Header.Get("X-Request-Id"); id != "from-the-proxy_1" {
		t.Errorf("the proxy's id became %q", id)
	}
	var problem struct{ Req, Code string }
	resp, body := w.do("GET", w.url+"/api/docs/nothing%2Fhere", "", "X-Request-Id", "not good", "X-Forwarded-For", "192.0.2.7")
	if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.Code != "not_found" || problem.Req != resp.Header.Get("X-Request-Id") || len(problem.Req) != 16 {
		t.Errorf("%s, header %s", body, resp.Header.Get("X-Request-Id"))
	}
	w.join("chat", "client-a").Close()
	w.stop()
	if i := strings.Index(w.log.String(), "topsecret"); i >= 0 {
		t.Errorf("the log tells: %s", w.log.String()[i-60:i+40])
	}
	var refused, missing, ended bool
	for _, l := range w.lines() {
		switch {
		case l["msg"] == "request" && l["req"] == "from-the-proxy_1":
			refused = l["path"] == "/api/docs" && l["status"] == 400.0 && l["remote"] == "192.0.2.7" && l["method"] == "POST" && l["code"] == "unknown_parameter"
		case l["msg"] == "request" && l["req"] == problem.Req:
			missing = l["path"] == "/api/docs/nothing%2Fhere" && l["code"] == "not_found"
		case l["msg"] == "connection ended":
			ended = l["protocol"] == "quire.v1" && l["messages"] == 2.0 && l["remote"] == "127.0.0.1" && l["req"] != ""
		}
	}
	if !refused || !missing || !ended {
		t.Errorf("refused %v, missing %v, ended %v in\n%s", refused, missing, ended, w.log.String())
	}
}

// beyondPresence returns the next message that is not about who is here, which comes at any time.
func beyondPresence(c *client.Conn) (*quirev1.ServerMessage, error) {
	for {
		if m, err := c.Receive(); err != nil || m.T != "presence" {
			return m, err
		}
	}
}

// TestOperators does everything there is on the operators' listener while somebody edits.
func TestOperators(t *testing.T) {
	w := startWatched(t)
	c := w.join("a/plan", "client-a")

	var status admin.Status
	w.ask(200, "GET", "/api/admin/status", "", &status)
	if !status.Ready || status.Connections != 1 || status.Sessions != 1 || status.Places != 1 || status.Rate <= 0 || status.Latency.Acknowledge.Count == 0 || status.Disk == nil || status.Disk.File == 0 || status.Limits["max-document"] == "" || status.Memory.System == 0 {
		t.Errorf("%+v", status)
	}
	var sessions admin.Sessions
	w.ask(200, "GET", "/api/admin/sessions?by=memory", "", &sessions)
	if len(sessions.Sessions) != 1 || sessions.Sessions[0].Doc != "a/plan" || sessions.Sessions[0].Writers != 1 || sessions.Sessions[0].Readers != 0 || sessions.Sessions[0].Head != 1 {
		t.Errorf("%+v", sessions)
	}
	var conns admin.Connections
	w.ask(200, "GET", "/api/admin/connections?doc=a%2Fplan", "", &conns)
	if len(conns.Connections) != 1 || conns.Connections[0].Address != "127.0.0.1" || conns.Connections[0].Protocol != "quire.v1" || conns.Connections[0].Docs[0] != "a/plan" || conns.Connections[0].Messages != 2 {
		t.Fatalf("%+v", conns)
	}
	var none admin.Connections
	if w.ask(200, "GET", "/api/admin/connections?author=ada", "", &none); none.Total != 0 {
		t.Errorf("%+v", none)
	}
	var docs admin.Docs
	w.ask(200, "GET", "/api/admin/docs?prefix=a&limit=1", "", &docs)
	if len(docs.Docs) != 1 || docs.Docs[0].Session == nil || docs.Next != "a/plan" {
		t.Errorf("%+v", docs)
	}

	// Its client is told to open the document again; then its connection to come back.
	w.ask(204, "DELETE", "/api/admin/sessions/a%2Fplan", "", nil)
	if m, err := beyondPresence(c); err != nil || m.T != "error" || m.Code != "internal" {
		t.Errorf("%+v, %v", m, err)
	}
	w.ask(404, "DELETE", "/api/admin/sessions/a%2Fplan", "", nil)
	w.ask(204, "DELETE", "/api/admin/connections/"+conns.Connections[0].ID, "", nil)
	if m, err := beyondPresence(c); err != nil || m.T != "bye" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := beyondPresence(c); err == nil {
		t.Error("the connection goes on")
	}
	w.ask(404, "DELETE", "/api/admin/connections/nobody", "", nil)

	var squashed admin.Squashed
	if w.ask(200, "POST", "/api/admin/docs/a%2Fplan/squash", `{"revisions":1}`, &squashed); squashed.Oldest != 1 {
		t.Errorf("%+v", squashed)
	}
	w.ask(400, "POST", "/api/admin/docs/a%2Fplan/squash", `{}`, nil)
	w.ask(400, "POST", "/api/admin/docs/a%2Fplan/squash", `{"revisions":0}`, nil)
	w.ask(404, "POST", "/api/admin/docs/b/squash", `{"seconds":1}`, nil)

	var made admin.Backup
	w.ask(201, "POST", "/api/admin/backups", "", &made)
	var kept admin.Backups
	w.ask(200, "GET", "/api/admin/backups", "", &kept)
	if len(kept.Backups) != 1 || kept.Backups[0].File != made.File || kept.Backups[0].Bytes != made.Bytes {
		t.Fatalf("%+v, %+v", made, kept)
	}
	folder := filepath.Join(t.TempDir(), "restored")
	if code, out, errOut := cli([]string{"restore-backup", filepath.Join(kept.Folder, made.File), "--data", folder}); code != exitOK {
		t.Errorf("code %d, %s%s", code, out, errOut)
	}
	w.ask(404, "GET", "/api/admin/nothing", "", nil)
	w.ask(405, "PUT", "/api/admin/status", "", nil)
	w.ask(400, "GET", "/api/admin/sessions?by=luck", "", nil)
	w.ask(400, "GET", "/api/admin/sessions?limit=0", "", nil)
	w.stop()

	var got []string
	for _, e := range w.events() {
		if e.Req == "" && e.What != audit.Start && e.What != audit.Stop {
			t.Errorf("%+v has no request", e)
		}
		got = append(got, string(e.What)+" "+e.Outcome+" "+e.Doc)
	}
	want := "start ok |release ok a/plan|release not_found a/plan|disconnect ok |disconnect not_found |squash ok a/plan|squash bad_field a/plan|squash bad_field a/plan|squash not_found b|backup ok |stop ok "
	if strings.Join(got, "|") != want {
		t.Errorf("audit:\n%s\nwant\n%s", strings.Join(got, "|"), want)
	}
}

// TestListeners asks each listener for what is the other's.
func TestListeners(t *testing.T) {
	w := startWatched(t)
	for _, x := range []struct {
		url    string
		status int
		header []string
	}{
		{w.side + "/metrics", 200, nil}, {w.side + "/readyz", 200, nil}, {w.side + "/admin", 200, nil}, {w.side + "/assets/admin.js", 200, nil},
		{w.side + "/debug/pprof/", 200, nil}, {w.side + "/debug/pprof/goroutine?debug=1", 200, nil}, {w.side + "/debug/pprof/profile?seconds=61", 400, nil},
		{w.url + "/debug/pprof/", 404, nil}, {w.url + "/debug/pprof/heap", 404, nil}, {w.url + "/admin", 200, nil}, {w.url + "/api/admin/status", 200, nil},
		{w.side + "/api/docs", 404, nil}, {w.side + "/d/plan", 404, nil}, {w.side + "/ws", 404, nil}, {w.side + "/", 404, nil},
		// A page that a name leads here (DNS rebinding), and one that asks from elsewhere.
		{w.side + "/metrics", 421, []string{"Host", "evil.example"}}, {w.side + "/debug/pprof/heap", 421, []string{"Host", "evil.example"}},
		{w.side + "/api/admin/status", 421, []string{"Host", "evil.example"}},
	} {
		if resp, body := w.do("GET", x.url, "", x.header...); resp.StatusCode != x.status {
			t.Errorf("%s %v: %d, want %d: %.200s", x.url, x.header, resp.StatusCode, x.status, body)
		}
	}
	if resp, body := w.do("DELETE", w.side+"/api/admin/sessions/x", "", "Origin", "https://evil.example"); resp.StatusCode != 403 {
		t.Errorf("a foreign page: %d %s", resp.StatusCode, body)
	}
	resp, _ := w.do("GET", w.side+"/admin", "")
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("the page may run %q", csp)
	}
}

// TestOpenForAll refuses to have everybody be an operator from elsewhere.
func TestOpenForAll(t *testing.T) {
	code, _, errOut := cli([]string{"--listen", "127.0.0.1:0", "--admin-listen", "0.0.0.0:0", "--data", t.TempDir()})
	if code != exitUsage || !strings.Contains(errOut, `admin-listen is "0.0.0.0:0", which others can reach, and this server asks nobody`) {
		t.Errorf("code %d, %s", code, errOut)
	}
}

// TestTimesInTheLog has no bare nanoseconds in logs that programs read.
func TestTimesInTheLog(t *testing.T) {
	var out bytes.Buffer
	c := &Config{}
	c.LogFormat = "json"
	c.logger(&out).Info("request", "took", 1500*time.Microsecond)
	if !strings.Contains(out.String(), `"took":0.0015`) {
		t.Error(out.String())
	}
}

// TestFolderHasNoListener: a command on a data folder, which asks nobody, lets in no operators
// whatever the settings of the server are.
func TestFolderHasNoListener(t *testing.T) {
	data := t.TempDir()
	m, _, done := start(t, "--data", data)
	m.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if code, _, errOut := cli([]string{"ls", "--data", data}, "QUIRE_ADMIN_LISTEN="+taken.Addr().String()); code != exitOK {
		t.Errorf("code %d, %s", code, errOut)
	}
}

// TestAuditRotation renames the audit log, and has the server read again what it has from
// files, as SIGHUP does.
func TestAuditRotation(t *testing.T) {
	w := startWatched(t)
	if err := os.Rename(w.audit, w.audit+".1"); err != nil {
		t.Fatal(err)
	}
	w.m.watcher.reopen()
	w.do("POST", w.url+"/api/docs", `{"id":"plan"}`)
	if got := w.events(); len(got) != 1 || got[0].What != audit.Create || got[0].Doc != "plan" || got[0].Who.Kind != "open" {
		t.Errorf("%+v", got)
	}
}

// TestTop asks once, as people without a terminal and programs do.
func TestTop(t *testing.T) {
	w := startWatched(t)
	w.join("a/plan", "client-a")
	code, out, errOut := cli([]string{"top", "--admin", w.side})
	if code != 0 || !strings.Contains(out, "\na/plan ") || !strings.Contains(out, "connections 1 ") || !strings.Contains(out, "quire.v1") {
		t.Errorf("code %d\n%s%s", code, out, errOut)
	}
	code, out, errOut = cli([]string{"top", "--server", w.url, "--json"})
	var f top.Frame
	if err := json.Unmarshal([]byte(out), &f); code != 0 || err != nil || len(f.Sessions) != 1 || f.Connections[0].Docs[0] != "a/plan" {
		t.Errorf("code %d, %v\n%s%s", code, err, out, errOut)
	}
	for _, args := range [][]string{{"--every", "1ms"}, {"--by", "luck"}, {"--admin", "nowhere"}} {
		if code, _, errOut := cli(append([]string{"top"}, args...)); code != exitUsage {
			t.Errorf("%v: code %d, %s", args, code, errOut)
		}
	}
}

// TestRightsAreWatched has people try what they may not: operators see it in the audit log and the
// metrics, others see nothing of either, and no token is anywhere.
func TestRightsAreWatched(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if code, _, errOut := cli([]string{"genkey", key}); code != exitOK {
		t.Fatal(errOut)
	}
	token := func(author string, more ...string) string {
		t.Helper()
		code, out, errOut := cli(append([]string{"token", "--key", key, "--author", author, "--id", "id-of-" + author}, more...))
		if code != exitOK {
			t.Fatal(errOut)
		}
		return strings.TrimSpace(out)
	}
	root, ada, bob := token("root", "--grant", "*=admin"), token("ada", "--ns", "acme", "--grant", "*=admin"), token("bob", "--grant", "acme/*=read")
	w := startWatched(t, "--auth-keys", key+".pub", "--access-log")
	as := func(who string) []string { return []string{"Authorization", "Bearer " + who} }
	try := func(status int, who, method, url, body string) {
		t.Helper()
		if resp, text := w.do(method, url, body, as(who)...); resp.StatusCode != status {
			t.Errorf("%s %s: %d, want %d: %s", method, url, resp.StatusCode, status, text)
		}
	}
	try(201, ada, "POST", w.url+"/api/docs", `{"id":"acme/plan"}`)
	// Who may only read tries to edit on a connection, and to open what is none of their business.
	c, _, err := client.Dial(w.url, client.Options{Token: bob})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, text := range []string{
		`{"t":"open","doc":"acme/plan","client":"client-b"}`, `{"t":"submit","doc":"acme/plan","base":0,"seq":1,"ops":[["x"]]}`, `{"t":"open","doc":"umbrella/plan","client":"client-b"}`,
	} {
		if err := c.WebSocket().WriteMessage(1, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for refusals := 0; refusals < 2; {
		m, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if m.T == "error" {
			refusals++
		}
	}
	var conns admin.Connections
	_, text := w.do("GET", w.side+"/api/admin/connections?author=bob", "", as(root)...)
	if err := json.Unmarshal([]byte(text), &conns); err != nil || len(conns.Connections) != 1 || conns.Connections[0].Author != "bob" {
		t.Errorf("%s", text)
	}
	c.Close()
	try(403, bob, "DELETE", w.url+"/api/docs/acme%2Fplan", "")
	try(404, ada, "GET", w.url+"/api/docs/other%2Fplan", "")
	try(401, "rubbish", "GET", w.url+"/api/docs/acme%2Fplan", "")
	for _, path := range []string{"/api/admin/status", "/api/admin/sessions", "/api/admin/connections", "/api/admin/docs", "/api/admin/backups", "/metrics"} {
		try(200, root, "GET", w.url+path, "")
		try(403, ada, "GET", w.url+path, "") // who has all of a namespace runs no server
		if path != "/metrics" {              // free for this machine
			try(403, bob, "GET", w.side+path, "")
			try(401, "rubbish", "GET", w.side+path, "")
		}
	}
	try(200, root, "GET", w.side+"/debug/pprof/", "")
	try(403, ada, "GET", w.side+"/debug/pprof/heap", "")
	if resp, _ := w.do("GET", w.side+"/debug/pprof/heap", ""); resp.StatusCode/100 != 4 {
		t.Errorf("profiles for nobody known: %d", resp.StatusCode)
	}

	_, metrics := w.do("GET", w.side+"/metrics", "")
	for _, name := range []string{"acme", "plan", "ada", "bob", "umbrella"} {
		if regexp.MustCompile(`\b` + name + `\b`).MatchString(metrics) {
			t.Errorf("the metrics tell of %q", name)
		}
	}
	if !regexp.MustCompile(`quire_auth_refusals_total\{code="forbidden"\} [1-9]`).MatchString(metrics) || !regexp.MustCompile(`quire_auth_refusals_total\{code="unauthenticated"\} [1-9]`).MatchString(metrics) {
		t.Error("refusals are not counted")
	}
	w.stop()

	found := map[string]bool{}
	for _, e := range w.events() {
		if e.From.String() != "127.0.0.1" && e.What != audit.Start && e.What != audit.Stop {
			t.Errorf("from %v: %+v", e.From, e)
		}
		found[strings.Join([]string{string(e.What), e.Outcome, e.Doc, e.Who.Author, e.Who.Namespace, e.Who.Kind, e.Who.Credential}, " ")] = true
	}
	for _, want := range []string{
		"create ok acme/plan ada acme token id-of-ada",
		"delete forbidden acme/plan bob  token id-of-bob",
		"refused not_found other/plan ada acme token id-of-ada",
		"refused forbidden  ada acme token id-of-ada",
		"refused unauthenticated     ",
		"refused forbidden acme/plan bob  token id-of-bob",
		"refused not_found umbrella/plan bob  token id-of-bob",
	} {
		if !found[want] {
			t.Errorf("the audit log has no %q:\n%v", want, found)
		}
	}
	data, _ := os.ReadFile(w.audit)
	for _, secret := range []string{root, ada, bob, "rubbish"} {
		if strings.Contains(w.log.String(), secret) || bytes.Contains(data, []byte(secret)) {
			t.Error("a token is in a log")
		}
	}
}

// TestPeopleComeAndGo follows a login, an invitation, who comes by it, a logout and a revocation, in the audit
// log.
func TestPeopleComeAndGo(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if code, _, errOut := cli([]string{"genkey", key}); code != exitOK {
		t.Fatal(errOut)
	}
	code, out, errOut := cli([]string{"token", "--key", key, "--author", "root", "--id", "t1", "--grant", "*=admin"})
	if code != exitOK {
		t.Fatal(errOut)
	}
	root := strings.TrimSpace(out)
	w := startWatched(t, "--auth-keys", key+".pub", "--auth-links")
	own := []string{"Origin", w.url}
	as := append([]string{"Authorization", "Bearer " + root}, own...)
	do := func(status int, method, path, body string, headers ...string) (resp *http.Response, text string) {
		t.Helper()
		if resp, text = w.do(method, w.url+path, body, headers...); resp.StatusCode != status {
			t.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, status, text)
		}
		return resp, text
	}
	do(401, "POST", "/api/session", `{"token":"rubbish"}`, own...)
	resp, _ := do(200, "POST", "/api/session", `{"token":"`+root+`"}`, own...)
	cookie := append([]string{"Cookie", strings.Split(resp.Header.Get("Set-Cookie"), ";")[0]}, own...)
	do(201, "POST", "/api/docs", `{"id":"plan"}`, cookie...)
	var link struct{ ID, Secret string }
	_, text := do(201, "POST", "/api/docs/plan/links", `{"role":"read"}`, cookie...)
	if err := json.Unmarshal([]byte(text), &link); err != nil {
		t.Fatal(err)
	}
	do(200, "POST", "/api/session", `{"link":"`+link.Secret+`","name":"Ada"}`, own...)
	do(204, "DELETE", "/api/docs/plan/links/"+link.ID, "", cookie...)
	do(204, "DELETE", "/api/session", "", cookie...)
	do(201, "POST", "/api/revocations", `{"jti":"stolen"}`, as...)
	w.stop()
	var got []string
	for _, e := range w.events() {
		if e.What == audit.LinkJoined && (e.Doc != "plan" || !strings.HasPrefix(e.Who.Author, "Ada~")) {
			t.Errorf("%+v", e)
		}
		author, _, _ := strings.Cut(e.Who.Author, "~")
		got = append(got, strings.Join([]string{string(e.What), e.Outcome, author, strings.ReplaceAll(e.Who.Credential, link.ID, "LINK"), strings.ReplaceAll(e.Detail["link"], link.ID, "LINK"), e.Detail["role"], e.Detail["jti"]}, ","))
	}
	want := []string{
		"start,ok,,,,,", "login,unauthenticated,,,,,", "login,ok,root,t1,,,", "create,ok,root,t1,,,", "link_made,ok,root,t1,LINK,read,", "link_joined,ok,Ada,LINK,,,",
		"link_withdrawn,ok,root,t1,LINK,,", "logout,ok,root,t1,,,", "revoked,ok,root,t1,,,stolen", "stop,ok,,,,,",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the audit log:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	data, _ := os.ReadFile(w.audit)
	for _, secret := range []string{root, link.Secret, strings.TrimPrefix(cookie[1], "quire_session=")} {
		if strings.Contains(w.log.String(), secret) || bytes.Contains(data, []byte(secret)) {
			t.Error("a secret is in a log")
		}
	}
}
