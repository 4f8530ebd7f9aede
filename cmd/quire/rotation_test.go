package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quire/session"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

// TestKeyRotation replaces the key of tokens of a running server: by a file that is broken first, which changes
// nothing, then by another key, which ends what the one before had signed and nothing else.
func TestKeyRotation(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, args := range [][]string{{file("old")}, {file("new")}, {"--alg", "hs256", file("other")}} {
		if code, _, errOut := cli(append([]string{"genkey"}, args...)); code != exitOK {
			t.Fatal(errOut)
		}
	}
	write := func(from string) {
		t.Helper()
		data, err := os.ReadFile(file(from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file("next"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file("next"), file("keys")); err != nil {
			t.Fatal(err)
		}
	}
	write("old.pub")
	if err := os.WriteFile(file("broken"), []byte("-----BEGIN PUBLIC KEY-----\nAA"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := startWatched(t, "--auth-keys", file("keys")+","+file("other"))
	dial := func(key string) (*client.Conn, string) {
		t.Helper()
		code, token, errOut := cli([]string{"token", "--key", file(key), "--author", "ada", "--grant", "*=write"})
		if code != exitOK {
			t.Fatal(errOut)
		}
		c, _, err := client.Dial(w.url, client.Options{Token: strings.TrimSpace(token)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		return c, strings.TrimSpace(token)
	}
	old, token := dial("old")
	stays, _ := dial("other")
	status := func() int {
		resp, _ := w.do("GET", w.url+"/api/session", "", "Authorization", "Bearer "+token)
		return resp.StatusCode
	}
	write("broken")
	w.m.keys.Load().Reload()
	if got := status(); got != 200 || !strings.Contains(w.log.String(), "cannot be read again; those before stay") {
		t.Fatalf("a broken file of keys: %d\n%s", got, w.log)
	}
	write("new.pub") // it is looked for
	for {
		m, err := old.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if m.T == "error" {
			if m.Code != session.CodeUnauthenticated || !strings.Contains(m.Message, "key") {
				t.Errorf("%+v", m)
			}
			break
		}
	}
	if got := status(); got != 401 {
		t.Errorf("a token of the key that is gone: %d", got)
	}
	dial("new")
	if err := stays.WebSocket().WriteMessage(1, []byte(`{"t":"open","doc":"plan","client":"client-a"}`)); err != nil {
		t.Fatal(err)
	}
	for m := (&quirev1.ServerMessage{}); m.Doc != "plan"; {
		var err error
		if m, err = stays.Receive(); err != nil {
			t.Fatalf("a connection by another key: %v", err)
		}
	}
}
