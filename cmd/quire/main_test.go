package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"quire/cmd/quire/commands"
	"quire/web/quirev1/client"
)

// cli runs the command line in this process and returns what it printed.
func cli(args []string, environ ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = run(context.Background(), args, environ, &o, &e)
	return code, o.String(), e.String()
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  []string
		code int
		out  string // in stdout
		err  string // in stderr
	}{
		{args: []string{"version"}, out: "quire " + Version},
		{args: []string{"--version"}, out: "quire " + Version},
		{args: []string{"help"}, out: "--listen ADDRESS"},
		{args: []string{"--help"}, out: "--config FILE"},
		{args: []string{"help"}, out: "--access-log             log every"},
		{args: []string{"checkconfig", "--access-log"}, out: "access-log = true\n"},
		{args: []string{"fly"}, code: exitUsage, err: `there is no command "fly"`},
		{args: []string{"--fly"}, code: exitUsage, err: "there is no setting --fly; quire help lists them"},
		{args: []string{"help", "health"}, out: "quire health [flags]"},
		{args: []string{"checkconfig", "--help"}, out: "quire checkconfig [flags]"},
		{args: []string{"help"}, out: "debug, info, warn or error (default info)"},
		{args: []string{"help", "token"}, out: "--grant PATTERN=ROLE"},
		{args: []string{"help", "genkey"}, out: "--alg algorithm"},
		{args: []string{"token", "--expires", "soon"}, code: exitUsage, err: "it has to be a time such as"},
		{args: []string{"serve", "extra"}, code: exitUsage, err: `unexpected argument "extra"`},
		{args: []string{"--listen", "nowhere"}, code: exitUsage, err: "listen is \"nowhere\"; it has to be host:port"},
		{args: []string{"--ping-every", "1ms"}, code: exitUsage, err: "ping-every is 1ms; it has to be at least 100ms"},
		{args: []string{"--max-run", "many"}, code: exitUsage, err: "parse error; numbers are written as"},
		{args: []string{"--max-message", "99999999999"}, code: exitUsage, err: "max-message is 99999999999; it has to be 1024 to 67108864"},
		{args: []string{"--origins", "example.org"}, code: exitUsage, err: "an origin reads https://example.org"},
		{args: []string{"checkconfig"}, out: "listen = 127.0.0.1:8080\n"},
		{args: []string{"checkconfig"}, env: []string{"QUIRE_MAX_RUN=7"}, out: "max-run = 7\n"},
		{args: []string{"checkconfig", "--max-run", "8"}, env: []string{"QUIRE_MAX_RUN=7"}, out: "max-run = 8\n"},
		{args: []string{"checkconfig"}, env: []string{"QUIRE_MAX_RAN=7"}, code: exitUsage, err: "there is no setting QUIRE_MAX_RAN"},
		{args: []string{"checkconfig"}, env: []string{"QUIRE_MAX_RUN=x"}, code: exitUsage, err: "environment: QUIRE_MAX_RUN"},
		{args: []string{"check"}, code: exitUsage, err: "usage: quire check DATA"},
		{args: []string{"check", filepath.Join(t.TempDir(), "none")}, code: commands.NotFound, err: "there is no data at"},
		{args: []string{"bench", "nothing"}, code: exitUsage, err: "nothing"},
	} {
		code, out, errOut := cli(c.args, c.env...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errOut, c.err) {
			t.Errorf("quire %s: code %d, want %d\nprinted %s\n%s", strings.Join(c.args, " "), code, c.code, out, errOut)
		}
		if strings.Contains(errOut, "goroutine") {
			t.Errorf("quire %s shows a trace", c.args)
		}
	}
}

func TestConfigFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "quire.conf")
	write := func(s string) {
		if err := os.WriteFile(name, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# limits\nmax-run = 9\n\nmax-document=123\nlisten = 127.0.0.1:0\n")
	code, out, errOut := cli([]string{"checkconfig", "--config", name, "--listen", "127.0.0.1:99"}, "QUIRE_MAX_RUN=10")
	for _, want := range []string{"max-run = 10\n", "max-document = 123\n", "listen = 127.0.0.1:99\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("code %d, no %q in\n%s%s", code, want, out, errOut)
		}
	}
	if code, out, _ := cli([]string{"checkconfig"}, "QUIRE_CONFIG="+name); code != 0 || !strings.Contains(out, "max-run = 9\n") {
		t.Errorf("named by the environment: code %d\n%s", code, out)
	}
	// What checkconfig prints is a configuration file.
	write(out)
	if code, again, errOut := cli([]string{"checkconfig", "--config", name}); code != 0 || again != out {
		t.Errorf("reading its own output: code %d %s\n%s\nwant\n%s", code, errOut, again, out)
	}
	write("max-run = 9\nmax-ran = 9\n")
	if code, _, errOut := cli([]string{"checkconfig", "--config", name}); code != exitUsage || !strings.Contains(errOut, `quire.conf:2: there is no setting "max-ran"`) {
		t.Errorf("code %d: %s", code, errOut)
	}
}

// start runs the whole program in this process.
func start(t *testing.T, args ...string) (m *Main, url string, done chan error) {
	t.Helper()
	return startLogging(t, io.Discard, args...)
}

func TestSecondProcessIsRefused(t *testing.T) {
	data := t.TempDir()
	m, _, done := start(t, "--data", data)
	code, _, errOut := cli([]string{"--listen", "127.0.0.1:0", "--data", data, "--lock-timeout", "50ms"})
	if code != exitFailed || !strings.Contains(errOut, "another Quire uses the data folder") {
		t.Errorf("a second server: code %d, %s", code, errOut)
	}
	code, _, errOut = cli([]string{"check", data})
	if code != commands.Unreachable || !strings.Contains(errOut, "a server uses the data folder") {
		t.Errorf("check beside a server: code %d, %s", code, errOut)
	}
	m.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if code, out, errOut := cli([]string{"check", data}); code != exitOK || !strings.Contains(out, "No problems found.") {
		t.Errorf("check after the server: code %d, %s%s", code, out, errOut)
	}
}

// TestReached: what the start prints can be opened, also where a server listens on every address.
func TestReached(t *testing.T) {
	for _, c := range []struct {
		addr, want string
		every      bool
	}{
		{"127.0.0.1:8080", "http://127.0.0.1:8080", false},
		{":8080", "http://127.0.0.1:8080", true},
		{"[::]:8080", "http://127.0.0.1:8080", true},
		{"0.0.0.0:8080", "http://127.0.0.1:8080", true},
		{"[::1]:8080", "http://[::1]:8080", false},
		{"docs.example.org:443", "http://docs.example.org:443", false},
	} {
		if got, every := reached("http", c.addr); got != c.want || every != c.every {
			t.Errorf("%s: %s, %t", c.addr, got, every)
		}
	}
	_, url, _ := start(t, "--data", t.TempDir(), "--listen", ":0", "--insecure-open")
	resp, err := http.Get(url + "healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %d", url, resp.StatusCode)
	}
}

func TestAddressInUse(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	addr := strings.Trim(strings.TrimPrefix(url, "http://"), "/")
	if code, _, errOut := cli([]string{"--listen", addr, "--data", t.TempDir()}); code != exitFailed || !strings.Contains(errOut, "cannot serve on "+addr+" (listen): address already in use") {
		t.Errorf("code %d, %s", code, errOut)
	}
}

func TestDamagedDataIsRefused(t *testing.T) {
	data := t.TempDir()
	m, _, done := start(t, "--data", data)
	m.Close()
	<-done
	file := filepath.Join(data, dataFile)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"empty": {}, "cut": whole[:len(whole)/2], "foreign": bytes.Repeat([]byte("no database "), 2000)} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, errOut := cli([]string{"--listen", "127.0.0.1:0", "--data", data})
		if code != exitFailed || !strings.Contains(errOut, "the data cannot be opened") {
			t.Errorf("%s file: code %d, %s", name, code, errOut)
		}
		what := "quire check " + data + " --repair" // which a file of something else is not offered
		if told := strings.Contains(errOut, what); told == (name == "foreign") {
			t.Errorf("%s file: how to repair it is told: %t: %s", name, told, errOut)
		}
		code, _, errOut = cli([]string{"check", data})
		if code != exitFailed || errOut == "" {
			t.Errorf("check of an %s file: code %d, %s", name, code, errOut)
		}
		if told := strings.Contains(errOut, what); told == (name == "foreign") {
			t.Errorf("check of an %s file: how to repair it is told: %t: %s", name, told, errOut)
		}
		if after, _ := os.ReadFile(file); !bytes.Equal(after, content) {
			t.Errorf("the %s file was changed", name)
		}
	}
}

func TestHTTP(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	request := func(method, path, body string) (int, string, http.Header) {
		path, evil := strings.CutSuffix(path, "#evil")
		req, err := http.NewRequest(method, url+strings.TrimPrefix(path, "/"), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if evil { // a page of another site
			req.Header.Set("Origin", "https://evil.example")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(data), resp.Header
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/healthz", "", 200, "ok\n"},
		{"GET", "/readyz", "", 200, "ready\n"},
		{"GET", "/", "", 200, "<!doctype html>"},
		{"GET", "/d/some%2Fdocument", "", 200, "<!doctype html>"},
		{"GET", "/assets/app.js", "", 200, ""},
		{"GET", "/assets/../../etc/passwd", "", 404, "no_such_page"},
		{"GET", "/assets/%2e%2e/%2e%2e/go.mod", "", 404, "no_such_page"},
		{"GET", "/nothing", "", 404, "no_such_page"},
		{"POST", "/", "", 404, ""},
		{"GET", "/ws", "", 400, ""},
		{"GET", "/api/docs", "", 200, `{"docs":[]}`},
		{"POST", "/api/docs", `{"id":"b"}`, 201, `"id":"b","type":"text","title":"","rev":0,"oldest":0,"created":"20`},
		{"POST", "/api/docs", `{"id":"b"}`, 409, `"code":"exists"`},
		{"POST", "/api/docs", `{"id":"a/ü","type":"text"}`, 201, `"id":"a/ü"`},
		{"POST", "/api/docs", `{}`, 201, `"type":"text"`},
		{"POST", "/api/docs", `{"id":""}`, 400, `"code":"bad_id"`},
		{"POST", "/api/docs", `{"id":"x","type":"poem"}`, 400, `"code":"bad_type"`},
		{"POST", "/api/docs", `{"id":7}`, 400, `"code":"bad_field"`},
		{"POST", "/api/docs", `nonsense`, 400, `"code":"bad_json"`},
		{"POST", "/api/docs#evil", `{"id":"evil"}`, 403, `"code":"origin"`},
		{"POST", "/api/docs", `{"id":"full","content":"hello"}`, 201, `"id":"full","type":"text","title":"","rev":0`},
		{"POST", "/api/docs", `{"id":"odd","content":[1]}`, 400, `"code":"bad_op"`},
		{"DELETE", "/api/docs", "", 405, `"code":"method"`},
		{"GET", "/api/docs/full", "", 200, `"content":"hello"`},
		{"POST", "/api/docs/full", "{}", 405, `"code":"method"`},
		{"DELETE", "/api/docs/full", "", 204, ""},
		{"DELETE", "/api/docs/full", "", 404, `"code":"not_found"`},
		{"DELETE", "/api/docs/%2e%2e", "", 404, `"code":"not_found"`},
		{"DELETE", "/api/docs/a%00", "", 400, `"code":"bad_id"`},
		{"DELETE", "/api/docs/x#evil", "", 403, `"code":"origin"`},
		{"POST", "/api/docs", `{"id":"c%/../d"}`, 201, `"id":"c%/../d"`},
		{"DELETE", "/api/docs/c%25%2F..%2Fd", "", 204, ""},
		{"GET", "/api/docs?limit=0", "", 400, `"code":"bad_limit"`},
		{"GET", "/api/docs?prefix=b", "", 200, `{"docs":[{"id":"b"`},
		{"GET", "/api/docs?limit=1&after=a%2F%C3%BC", "", 200, `"next":"b"`},
		{"GET", "/metrics", "", 200, "quire_sessions"},
		{"GET", "/metrics", "", 200, `quire_http_requests_total{route="/api/docs",status="2xx"}`},
		{"GET", "/metrics", "", 200, `quire_http_requests_total{route="other",status="4xx"}`},
		{"GET", "/metrics", "", 200, "\nquire_http_streams 0\n"},
	} {
		status, body, h := request(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %s: %d %.200s, want %d %s", c.method, c.path, c.body, status, body, c.status, c.want)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Security-Policy") == "" {
			t.Errorf("%s %s: no security headers", c.method, c.path)
		}
		if status >= 400 && strings.HasPrefix(c.path, "/api") && h.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: content type %s", c.method, c.path, h.Get("Content-Type"))
		}
	}
	big, err := http.Post(url+"api/docs", "application/json", bytes.NewReader(make([]byte, 33<<20)))
	if err == nil {
		big.Body.Close()
		if big.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("a body of 33 MB: %s", big.Status)
		}
	}
}

func TestOrigins(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir(), "--origins", "https://editor.example, https://two.example")
	own := strings.TrimSuffix(url, "/")
	for origin, ok := range map[string]bool{"": true, own: true, "https://editor.example": true, "https://two.example": true,
		"https://evil.example": false, "null": false, "http://127.0.0.1:1": false, "://": false} {
		req, _ := http.NewRequest("GET", url+"ws", nil)
		for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "quire.v1", "Origin": origin} {
			if v != "" {
				req.Header.Set(k, v)
			}
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.StatusCode == http.StatusSwitchingProtocols; got != ok || !ok && resp.StatusCode != http.StatusForbidden {
			t.Errorf("origin %q: %s", origin, resp.Status)
		}
	}
}

// TestStopTellsClientsToComeBack stops the server in order while a client is there.
func TestStopTellsClientsToComeBack(t *testing.T) {
	m, url, done := start(t, "--data", t.TempDir(), "--come-back", "2s")
	conn, _, err := client.Dial(url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	m.Close()
	bye, err := conn.Receive()
	if err != nil || bye.T != "bye" || bye.In < 0 || bye.In > 2000 {
		t.Fatalf("%+v, %v", bye, err)
	}
	if _, err := conn.Receive(); err == nil {
		t.Error("the connection goes on after bye")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

var (
	firstPort = rand.IntN(20_000)
	ports     atomic.Int32
)

// freeAddr returns an address of this machine where nobody listens. Its port is none of those that a system
// gives to whoever asks for any, and to outgoing connections: such a one could be gone before it is used.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+(firstPort+int(ports.Add(1)))%20_000)
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("of 1000 ports none is free")
	return ""
}

// TestHealthFindsTheServer: of the server that has a data folder its note says where to ask, whatever else
// health is told, unless that is an address.
func TestHealthFindsTheServer(t *testing.T) {
	data, other := t.TempDir(), freeAddr(t)
	if code, _, _ := cli([]string{"health", "--data", data}, "QUIRE_LISTEN="+other); code != commands.Unreachable {
		t.Errorf("before there is a server: code %d", code)
	}
	start(t, "--data", data)
	conf := filepath.Join(t.TempDir(), "quire.conf")
	if err := os.WriteFile(conf, []byte("listen = "+other+"\ndata = "+data+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"health", "--data", data}, {"health", "--config", conf}} {
		if code, out, errOut := cli(args, "QUIRE_LISTEN="+other); code != exitOK || out != "ready\n" {
			t.Errorf("quire %s: code %d, %s%s", strings.Join(args, " "), code, out, errOut)
		}
	}
	if code, _, errOut := cli([]string{"health", "--data", data, "--listen", other}); code != commands.Unreachable || !strings.Contains(errOut, "http://"+other) {
		t.Errorf("of an address that is given: code %d, %s", code, errOut)
	}
}
