package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// external returns the file of a program of others that a test needs. Where tests have to be
// complete its absence is a failure, elsewhere a reason to skip that is seen.
func external(t *testing.T, name string) string {
	t.Helper()
	if path, err := filepath.Abs(filepath.Join("../../.tools", name)); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	for _, folder := range []string{"/usr/sbin", "/usr/bin"} {
		if path := filepath.Join(folder, name); exec.Command("test", "-x", path).Run() == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: make tools installs it", name)
	}
	t.Skipf("SKIPPED: %s is missing; make tools installs it, on Debian as root", name)
	return ""
}

// runBeside runs a program until the test ends, and waits until it accepts connections.
func runBeside(t *testing.T, addr string, cmd *exec.Cmd) {
	t.Helper()
	log := &syncBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s printed:\n%.4000s", cmd.Path, log)
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", cmd.Path, log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not accept connections", cmd.Path)
		}
	}
}

// quoted returns a piece of a page of the documentation: the block of a language.
func quoted(t *testing.T, page, language string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(data), "\n```"+language+"\n")
	block, _, ended := strings.Cut(rest, "\n```\n")
	if !found || !ended {
		t.Fatalf("%s has no block of %s", page, language)
	}
	return block + "\n"
}

// replaced replaces each of the pairs, which have to be there.
func replaced(t *testing.T, s string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(s, pairs[i]) {
			t.Fatalf("there is no %q in\n%s", pairs[i], s)
		}
		s = strings.ReplaceAll(s, pairs[i], pairs[i+1])
	}
	return s
}
