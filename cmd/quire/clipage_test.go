package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"quire/cmd/quire/commands"
)

// asTerminal, as the value of asServer, makes the test binary the program as it is on a terminal.
const asTerminal = "terminal"

// onTerminal is main as if a person looked at what it prints.
func onTerminal(args []string) int {
	return runWith(context.Background(), args, &commands.Program{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(), Terminal: true,
	})
}

// differing is what differs each time in what the commands print.
var differing = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{3}Z)?|\d\d:\d\d:\d\d|\d+ bytes|"(bytes|before|after)":\d+|/tmp/\S*/`)

// TestCommandLinePage runs the examples of docs/cli.md, and sees that there is one of each command.
func TestCommandLinePage(t *testing.T) {
	for _, tool := range []string{"sh", "head", "cut", "cat", "env", "grep"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the commands of docs/cli.md cannot be run: %v", err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n%s=%s exec '%s' \"$@\"\n", asServer, asTerminal, exe)
	if err := os.WriteFile(filepath.Join(bin, "quire"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	_, url, _ := start(t, "--data", t.TempDir())
	env := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "QUIRE_SERVER="+strings.TrimSuffix(url, "/"), "QUIRE_AUTHOR=Ada", "NO_COLOR=1", "TZ=UTC")
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run := strings.Join(runPage(t, "../../docs/cli.md", &shell{t: t, dir: dir, env: env}, func(s string) string {
		return differing.ReplaceAllString(strings.ReplaceAll(s, dir+"/", ""), "…")
	}), "\n")
	for _, c := range newRoot(&commands.Program{}).Commands() {
		if !c.Hidden && !strings.Contains(run, "quire "+c.Name()) && c.Name() != "help" {
			t.Errorf("docs/cli.md has no example of quire %s", c.Name())
		}
	}
}
