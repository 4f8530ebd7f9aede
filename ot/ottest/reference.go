package ottest

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// Reference runs a generator of cases, web/reference/<name>.mjs, under Node: it draws
// cases of a type, has the type's reference implementation in JavaScript answer them,
// and writes each as one line of JSON. Reference calls check with each line, until one
// returns an error, which it reports with the line and the seed.
//
// QUIRE_SEED=<seed> in the environment asks for other cases than those of seed 1. The
// test is skipped where Node or web/node_modules are missing, but not when CI=true.
func Reference(t *testing.T, name string, cases int, check func(line []byte) error) {
	t.Helper()
	web := webFolder(t)
	missing := func(what string) {
		t.Helper()
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: cannot compare with the reference implementation", what)
		}
		t.Skipf("SKIPPED: comparing with the reference implementation, because %s is missing", what)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("node")
	}
	if _, err := os.Stat(filepath.Join(web, "node_modules", "sharedb")); err != nil {
		missing("web/node_modules (npm --prefix web ci)")
	}
	seed := os.Getenv("QUIRE_SEED")
	if seed == "" {
		seed = "1"
	}
	cmd := exec.Command(node, filepath.Join("reference", name+".mjs"), strconv.Itoa(cases), seed)
	cmd.Dir = web
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReaderSize(out, 1<<20)
	seen := 0
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		seen++
		if err := check(line); err != nil {
			_ = cmd.Process.Kill() // it has more to say that nobody reads
			_ = cmd.Wait()
			t.Fatalf("case %d of seed %s: %v\n%s", seen, seed, err, line)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("reference/%s.mjs: %v\n%s", name, err, stderr.Bytes())
	}
	if seen < cases {
		t.Fatalf("reference/%s.mjs gave %d cases, not %d", name, seen, cases)
	}
}

// webFolder finds the folder web beside go.mod.
func webFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "web")
		}
		if up := filepath.Dir(dir); up != dir {
			dir = up
		} else {
			err = errors.New("no go.mod above the test")
		}
	}
	t.Fatal(err)
	return ""
}
