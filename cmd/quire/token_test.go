package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/cmd/quire/commands"
)

func TestKeysAndTokens(t *testing.T) {
	dir := t.TempDir()
	for _, alg := range []string{"eddsa", "hs256"} {
		key := filepath.Join(dir, alg)
		if code, _, errOut := cli([]string{"genkey", "--alg", alg, key}); code != 0 {
			t.Fatal(errOut)
		}
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", key, info.Mode(), err)
		}
		if code, _, errOut := cli([]string{"genkey", "--alg", alg, key}); code != commands.Changed || !strings.Contains(errOut, key+" is there already") {
			t.Errorf("%s is overwritten: code %d, %s", key, code, errOut)
		}
	}
	public, private := filepath.Join(dir, "eddsa.pub"), filepath.Join(dir, "eddsa")
	_, url, _ := start(t, "--data", t.TempDir(), "--auth-keys", public+","+filepath.Join(dir, "hs256"))
	token := func(key string, more ...string) string {
		t.Helper()
		code, out, errOut := cli(append([]string{"token", "--key", key, "--author", "ada", "--grant", "plans/*=write"}, more...))
		if code != 0 {
			t.Fatal(errOut)
		}
		return strings.TrimSpace(out)
	}
	status := func(token string) int {
		req, _ := http.NewRequest("GET", url+"api/docs", nil)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, c := range []struct {
		token string
		want  int
	}{{"", 401}, {"x", 401}, {token(private), 200}, {token(filepath.Join(dir, "hs256")), 200}, {token(private, "--audience", "other"), 401}, {token(private, "--expires", "-1h"), 401}} {
		if got := status(c.token); got != c.want {
			t.Errorf("%.20s: %d, want %d", c.token, got, c.want)
		}
	}
	if code, _, errOut := cli([]string{"token", "--key", public, "--author", "ada"}); code == 0 || !strings.Contains(errOut, "public") {
		t.Errorf("signed with the public key: %s", errOut)
	}
	if code, _, errOut := cli([]string{"ls", "--server", strings.TrimSuffix(url, "/")}, "QUIRE_TOKEN="+token(private)); code != 0 {
		t.Error(errOut)
	}
	if code, _, errOut := cli([]string{"ls", "--server", strings.TrimSuffix(url, "/")}); code != 8 || !strings.Contains(errOut, "token") {
		t.Errorf("code %d: %s", code, errOut)
	}
}

func TestOffLoopbackItAsks(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:80", "example.org:80"} {
		code, _, errOut := cli([]string{"checkconfig", "--listen", listen})
		if code != exitUsage || !strings.Contains(errOut, "insecure-open") {
			t.Errorf("%s: code %d, %s", listen, code, errOut)
		}
		for _, more := range []string{"--insecure-open", "--auth-keys=x", "--auth-url=https://app.example.org/who"} {
			if code, _, errOut := cli([]string{"checkconfig", "--listen", listen, more}); code != 0 {
				t.Errorf("%s %s: %s", listen, more, errOut)
			}
		}
	}
	for _, bad := range [][]string{
		{"--auth-links"}, {"--insecure-open", "--auth-keys", "x"}, {"--auth-url", "http://app.example.org/who"}, {"--auth-jwks", "ftp://x"},
	} {
		if code, _, _ := cli(append([]string{"checkconfig"}, bad...)); code != exitUsage {
			t.Errorf("%s: code %d", bad, code)
		}
	}
}

// TestInvitationsGoWithDocuments checks that a guest follows a document to another id, and has no
// rights in another that gets the id later.
func TestInvitationsGoWithDocuments(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if code, _, errOut := cli([]string{"genkey", key}); code != exitOK {
		t.Fatal(errOut)
	}
	_, out, _ := cli([]string{"token", "--key", key, "--author", "root", "--grant", "*=admin"})
	_, url, _ := start(t, "--data", t.TempDir(), "--auth-keys", key+".pub", "--auth-links")
	as := [2]string{"Authorization", "Bearer " + strings.TrimSpace(out)}
	do := func(want int, who [2]string, method, path, body string) *http.Response {
		t.Helper()
		req, _ := http.NewRequest(method, url+path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", strings.TrimSuffix(url, "/"))
		req.Header.Set(who[0], who[1])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		if resp.StatusCode != want {
			t.Fatalf("%s %s: %s, want %d", method, path, resp.Status, want)
		}
		return resp
	}
	do(201, as, "POST", "api/docs", `{"id":"plan"}`)
	var link struct{ Secret string }
	if err := json.NewDecoder(do(201, as, "POST", "api/docs/plan/links", `{"role":"write"}`).Body).Decode(&link); err != nil {
		t.Fatal(err)
	}
	joined := do(200, [2]string{"Accept", "*/*"}, "POST", "api/session", `{"link":"`+link.Secret+`","name":"Ada"}`)
	ada := [2]string{"Cookie", strings.Split(joined.Header.Get("Set-Cookie"), ";")[0]}
	do(200, ada, "GET", "api/docs/plan", "")
	do(200, as, "PATCH", "api/docs/plan", `{"id":"plan2"}`)
	do(404, ada, "GET", "api/docs/plan", "")
	do(200, ada, "GET", "api/docs/plan2", "")
	do(201, as, "POST", "api/docs", `{"id":"plan"}`)
	do(404, ada, "GET", "api/docs/plan", "")
	do(204, as, "DELETE", "api/docs/plan2", "")
	do(201, as, "POST", "api/docs", `{"id":"plan2"}`)
	do(401, ada, "GET", "api/docs/plan2", "")
}
