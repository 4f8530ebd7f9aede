package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/web/auth"
)

// TestBenchAsSomebody measures a server that asks people who they are.
func TestBenchAsSomebody(t *testing.T) {
	url, token := guarded(t)
	args := []string{"bench", "hot", "--url", url, "--writers", "2", "--warm-up", "10ms", "--duration", "50ms"}
	if code, _, errOut := cli(args); code == 0 || !strings.Contains(errOut, "401") {
		t.Errorf("nobody: code %d, %s", code, errOut)
	}
	op := token("op", "", auth.Grant{Docs: "*", Role: auth.Admin})
	if code, out, errOut := cli(args, "QUIRE_TOKEN="+op); code != 0 || !strings.Contains(out, "operations per second") {
		t.Errorf("by the environment: code %d, %s%s", code, out, errOut)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(op+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errOut := cli(append(args, "--token-file", file)); code != 0 || strings.Contains(out+errOut, op) {
		t.Errorf("by a file: code %d, %s%s", code, out, errOut)
	}
	if code, _, errOut := cli(append(args, "--token-file", file), "QUIRE_TOKEN=x"); code != 0 {
		t.Errorf("a file counts before the environment: code %d, %s", code, errOut)
	}
	will := token("will", "", auth.Grant{Docs: "*", Role: auth.Write})
	if code, _, errOut := cli(args, "QUIRE_TOKEN="+will); code == 0 || !strings.Contains(errOut, "metrics, which are for its operators") {
		t.Errorf("somebody else: code %d, %s", code, errOut)
	}
	if code, _, errOut := cli(append(args, "--token-file", file+"s")); code != 3 || !strings.Contains(errOut, "the token cannot be read") {
		t.Errorf("a file that is not there: code %d, %s", code, errOut)
	}
}
