package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quire/web/certs/certstest"
)

// proxy starts a reverse proxy, as docs/operations.md configures it, before a server at an
// address, and returns its own.
type proxy func(t *testing.T, pair *certstest.Pair, upstream string) string

func nginx(t *testing.T, pair *certstest.Pair, upstream string) string {
	program := external(t, "nginx")
	folder, addr := t.TempDir(), freeAddr(t)
	cert, key := pair.Write(t, folder)
	site := replaced(t, quoted(t, "operations.md", "nginx"),
		"listen 80;", "listen "+freeAddr(t)+";",
		"listen 443 ssl;", "listen "+addr+" ssl;",
		"docs.example.org;", "localhost;",
		"/etc/ssl/docs.example.org.pem", cert,
		"/etc/ssl/docs.example.org.key", key,
		"127.0.0.1:8080", upstream)
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s/%s;\n", kind, folder, kind)
	}
	config := fmt.Sprintf("daemon off;\nmaster_process off;\npid %s/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n%s%s}\n", folder, &temp, site)
	name := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	runBeside(t, addr, exec.Command(program, "-p", folder, "-e", "stderr", "-c", name))
	return addr
}

func caddy(t *testing.T, pair *certstest.Pair, upstream string) string {
	program := external(t, "caddy")
	folder, addr := t.TempDir(), freeAddr(t)
	cert, key := pair.Write(t, folder)
	_, port, _ := net.SplitHostPort(addr)
	site := replaced(t, quoted(t, "operations.md", "caddyfile"),
		"docs.example.org {", "https://localhost:"+port+" {\n\tbind 127.0.0.1\n\ttls "+cert+" "+key,
		"127.0.0.1:8080", upstream)
	name := filepath.Join(folder, "Caddyfile")
	if err := os.WriteFile(name, []byte("{\n\tadmin off\n\tauto_https disable_redirects\n}\n"+site), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "run", "--adapter", "caddyfile", "--config", name)
	cmd.Env = append(os.Environ(), "HOME="+folder, "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder)
	runBeside(t, addr, cmd)
	return addr
}

// TestProxies drives the server through nginx and Caddy.
func TestProxies(t *testing.T) {
	for name, p := range map[string]proxy{"nginx": nginx, "caddy": caddy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			through(t, p)
			remoteThrough(t, p)
		})
	}
}

// through uses the page, a WebSocket, events and large bodies.
func through(t *testing.T, p proxy) {
	pair := certstest.New(t)
	trust := &tls.Config{RootCAs: pair.Pool, ServerName: "localhost"}
	_, direct, _ := start(t, "--data", t.TempDir(), "--trust-proxy", "127.0.0.1", "--max-rate", "0")
	addr := p(t, pair, strings.Trim(strings.TrimPrefix(direct, "http://"), "/"))
	_, port, _ := net.SplitHostPort(addr)
	url := "https://localhost:" + port + "/"
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
	defer c.CloseIdleConnections()
	do := func(method, path, contentType, body string) string {
		t.Helper()
		req, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Origin", strings.TrimSuffix(url, "/")) // a page of the server itself, as browsers see it
		if method == "PUT" {
			req.Header.Set("If-Match", `"0"`)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %s %.300s %v", method, path, resp.Status, answer, err)
		}
		return string(answer)
	}
	if page := do("GET", "d/some%2Fdocument", "", ""); !strings.Contains(page, "<!doctype html>") {
		t.Errorf("the page: %.200s", page)
	}
	if err := roundTripOver(url, "edited", trust); err != nil {
		t.Errorf("by WebSocket: %v", err)
	}
	if got := do("GET", "api/docs/edited", "", ""); !strings.Contains(got, `"content":"x"`) {
		t.Errorf("what was edited: %s", got)
	}

	do("POST", "api/docs", jsonType, `{"id":"a/b c","content":"one"}`)
	large := strings.Repeat("0123456789abcdef", 12<<20/16)
	do("PUT", "api/docs/a%2Fb%20c", "text/plain", large)
	if got := do("GET", "api/docs/a%2Fb%20c", "", ""); !strings.Contains(got, `"content":"`+large+`"`) {
		t.Errorf("a large document came back as %d bytes", len(got))
	}

	do("POST", "api/docs", jsonType, `{"id":"followed","content":"x"}`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	steps := 0
	err := followOver(ctx, c.Transport, url+"api/docs/followed", -1, func(e event) bool {
		if e.kind == "end" {
			t.Errorf("events end: %s", e.data)
			return true
		}
		if steps++; steps > 5 {
			return true
		}
		// The next event is made only now that this one has arrived.
		do("POST", "api/docs/followed/operations", jsonType, fmt.Sprintf(`{"base":%d,"ops":[["y"]]}`, steps-1))
		return false
	})
	if err != nil || steps != 6 {
		t.Errorf("%d events arrived, %v", steps, err)
	}
}

// remoteThrough sees that clients are told apart by the proxy's word, and not by their own.
func remoteThrough(t *testing.T, p proxy) {
	pair := certstest.New(t)
	_, direct, _ := start(t, "--data", t.TempDir(), "--trust-proxy", "127.0.0.1", "--max-rate", "1")
	addr := p(t, pair, strings.Trim(strings.TrimPrefix(direct, "http://"), "/"))
	_, port, _ := net.SplitHostPort(addr)
	ask := func(from, claim string) int {
		t.Helper()
		d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pair.Pool, ServerName: "localhost"}, DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }}}
		req, err := http.NewRequest("GET", "https://localhost:"+port+"/api/docs", nil)
		if err != nil {
			t.Fatal(err)
		}
		if claim != "" {
			req.Header.Set("X-Forwarded-For", claim)
			req.Header.Set("Forwarded", "for="+claim)
			req.Header.Set("X-Real-IP", claim)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	// Each claims to be another one every time, and still runs into the limit.
	refused := false
	for n := 0; n < 1000 && !refused; n++ {
		refused = ask("127.0.0.2", fmt.Sprintf("203.0.113.%d", n%250)) == http.StatusTooManyRequests
	}
	if !refused {
		t.Error("who says that they come from elsewhere is believed")
	}
	if status := ask("127.0.0.3", ""); status != http.StatusOK {
		t.Errorf("another client is answered %d", status)
	}
}
