package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"quire/cmd/quire/commands"
	"quire/storage/bolt"
)

// typing runs a command line in this process, with input, as a person would see it or as a script.
func typing(t *testing.T, person bool, input string, environ []string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = runWith(t.Context(), args, &commands.Program{In: strings.NewReader(input), Out: &o, Err: &e, Environ: environ, Terminal: person, ErrTerminal: person})
	return code, o.String(), e.String()
}

// TestCommandsHereAndThere runs the same commands on a server and on a data folder without one.
func TestCommandsHereAndThere(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	folder := t.TempDir()
	m, _, done := start(t, "--data", folder)
	m.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for where, to := range map[string]string{"--server": url, "--data": folder} {
		do := func(wantCode int, wantOut, wantErr, input string, args ...string) {
			t.Helper()
			code, out, errOut := typing(t, false, input, []string{"QUIRE_AUTHOR=Ada"}, append(args, where, to)...)
			if code != wantCode || !regexp.MustCompile("^(?s:"+wantOut+")$").MatchString(out) || !strings.Contains(errOut, wantErr) || wantErr == "" && errOut != "" {
				t.Errorf("quire %s %s: code %d, want %d\n%s\nwant\n%s\n%s\nwant %q", strings.Join(args, " "), where, code, wantCode, out, wantOut, errOut, wantErr)
			}
		}
		bundle := filepath.Join(dir, where+".quire.gz")
		do(0, "", "", "one\n", "put", "a/ü", "-")
		do(0, "", "", "one\ntwo\n", "put", "a/ü", "-")
		do(0, "one\ntwo\n", "", "", "cat", "a/ü")
		do(0, "one\n", "", "", "cat", "a/ü@0")
		do(0, `\{"id":"a/ü","type":"text",.*"rev":1,.*"content":"one\\ntwo\\n"\}`+"\n", "", "", "cat", "a/ü", "--json")
		do(0, "a/ü\ttext\t1\t[^\t]*\t\n", "", "", "ls", "a/")
		do(0, "", "", "", "ls", "b/")
		do(0, "", "", "x", "put", "ada@example.org", "-")
		do(0, "x", "", "", "cat", "ada@example.org@")
		do(3, "", "no such document", "", "cat", "ada@example.org")
		do(0, `.*\+two.*`, "", "", "diff", "a/ü")
		do(0, "0  Ada  .* 1  one\n1  Ada  .* 2  two\n", "", "", "blame", "a/ü")
		do(0, `\{"start":0,"length":4,"author":"Ada","rev":0,.*`, "", "", "blame", "a/ü", "--json")
		do(0, `\{"name":"first","rev":0,"author":"Ada","time":".*"\}`+"\n", "", "", "label", "set", "a/ü@0", "first", "--json")
		do(0, `.*revision 0 \(first\).*`, "", "", "log", "a/ü")
		do(0, `\{"from":0,"to":1,.*\n\{"from":-1,"to":0,.*\n`, "", "", "log", "a/ü", "--json")
		do(0, `1 .*\n`, "", "", "log", "a/ü", "--oneline", "-n", "1")
		do(0, "", "", "", "restore", "a/ü@first")
		do(0, "one\n", "", "", "cat", "a/ü@first")
		do(0, "first\t0\tAda\t.*\n", "", "", "label", "list", "a/ü")
		do(3, "", "no label", "", "label", "rm", "a/ü", "second")
		do(3, "", "revision 99, head 2", "", "cat", "a/ü@99")
		do(3, "", "created later", "", "cat", "a/ü@2020-01-01")
		do(0, "", "", "", "export", "a/ü", bundle)
		do(0, "again\n", "", "", "import", bundle, "--id", "again")
		do(4, "", "exists", "", "import", bundle, "--id", "again")
		do(0, "one\n", "", "", "cat", "again")
		do(2, "", "say --yes", "", "rm", "again")
		do(0, "", "", "", "rm", "again", "--yes")
		do(3, "", "again: ", "", "rm", "again", "--yes")
		do(3, "", "no such file", "", "put", "a/ü", filepath.Join(dir, "none"))
		do(1, "", "standard input is not taken: it is not UTF-8", "caf\xe9", "put", "a/ü", "-")
		do(1, "", "it is not JSON: line 2", "{\n", "put", "j", "-", "--type", "json0")
		do(4, "", "with the type text", "1", "put", "a/ü", "-", "--type", "json0")
		do(2, "", "usage: quire cat DOC[@POINT]", "", "cat")
		do(2, "", `--color is "blue"`, "", "ls", "--color", "blue")
		do(2, "", "there is no form", "", "cat", "a/ü", "--format", "html5")
	}
}

func TestCommandsErrors(t *testing.T) {
	folder := t.TempDir()
	_, url, _ := start(t, "--data", folder)
	empty := t.TempDir()
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, dataFile), bytes.Repeat([]byte("no database "), 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "backup.db")
	for _, c := range []struct {
		args []string
		env  string
		code int
		err  string
	}{
		{args: []string{"ls"}, env: "QUIRE_SERVER=http://127.0.0.1:1", code: 5, err: "cannot reach http://127.0.0.1:1: "},
		{args: []string{"ls", "--server", "127.0.0.1:1"}, code: 2, err: "it has to be a URL such as"},
		{args: []string{"ls", "--server", url + "nowhere"}, code: 3, err: ""},
		{args: []string{"ls", "--server", url, "--data", empty}, code: 2, err: "not both"},
		{args: []string{"ls", "--data", empty}, code: 3, err: "there is no data at " + empty},
		{args: []string{"ls", "--data", folder}, env: "QUIRE_LOCK_TIMEOUT=20ms", code: 5, err: "reach it with --server " + strings.TrimSuffix(url, "/")},
		{args: []string{"ls", "--data", damaged}, code: 7, err: "the data cannot be opened"},
		{args: []string{"ls", "--timeout", "0s"}, code: 2, err: "--timeout is 0s"},
		{args: []string{"ls", "--nothing"}, code: 2, err: "unknown flag: --nothing; quire help ls lists the flags"},
		{args: []string{"sl"}, code: 2, err: `there is no command "sl", did you mean ls or rm? quire help lists them`},
		{args: []string{"compact", empty}, code: 3, err: "there is no data at " + empty},
		{args: []string{"check", empty}, code: 3, err: "there is no data at " + empty},
		{args: []string{"check", folder}, code: 5, err: "reach it with --server"},
		{args: []string{"label"}, code: 2, err: "quire label needs one of its commands: list, rm, set"},
		{args: []string{"label", "show"}, code: 2, err: `quire label has no command "show"`},
		{args: []string{"completion", "tcsh"}, code: 2, err: `has no command "tcsh"; it has bash, fish, powershell, zsh`},
		{args: []string{"put", "", "-", "--server", url}, code: 2, err: "argument 1 is empty"},
		{args: []string{"label", "set", "notes", "", "--server", url}, code: 2, err: "argument 2 is empty"},
		{args: []string{"put", "notes", "-", "--base", "-5", "--server", url}, code: 2, err: "--base is -5; it has to be 0 or more"},
		{args: []string{"ls", "--limit", "x"}, code: 2, err: `--limit is "x"; it has to be a number; quire help ls`},
		{args: []string{"ls", "--timeout", "x"}, code: 2, err: `--timeout is "x"; it has to be a time such as`},
		{args: []string{"compact", folder}, code: 5, err: "reach it with --server"},
		{args: []string{"compact", damaged}, code: 7, err: ""},
		{args: []string{"check", "--repair", damaged}, code: 7, err: "cannot be repaired"},
		{args: []string{"restore-backup", bin, "--data", empty}, code: 3, err: ""},
		{args: []string{"restore-backup", bin}, code: 2, err: "say where to with --data"},
		{args: []string{"restore-backup", filepath.Join(damaged, dataFile), "--data", empty}, code: 7, err: ""},
		{args: []string{"backup", url, bin}, code: 0},
		{args: []string{"restore-backup", bin, "--data", folder}, code: 4, err: "is not empty"},
		{args: []string{"restore-backup", bin, "--data", empty, "--at", "soon"}, code: 2, err: `--at is "soon"`},
		{args: []string{"restore-backup", bin, "--data", empty, "--at", "1h"}, code: 0},
		{args: []string{"sync", filepath.Join(empty, "f"), "none", "--once", "--server", url}, code: 3, err: "neither a file"},
		{args: []string{"sync", "f", "none", "--prefer", "mine"}, code: 2, err: "--prefer is"},
	} {
		code, _, errOut := typing(t, false, "", []string{c.env}, c.args...)
		if code != c.code || !strings.Contains(errOut, c.err) || (code == 0) != (errOut == "") {
			t.Errorf("quire %s: code %d, want %d\n%s\nwant %q", strings.Join(c.args, " "), code, c.code, errOut, c.err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var o, e bytes.Buffer
	if code := run(ctx, []string{"ls", "--server", url}, nil, &o, &e); code != commands.Interrupted || e.String() != "quire: stopped\n" {
		t.Errorf("Ctrl-C: code %d, %s", code, e.String())
	}
}

func TestCommandsOnATerminal(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	env := []string{"QUIRE_SERVER=" + url, "QUIRE_AUTHOR=Ada"}
	see := func(want, input string, args ...string) {
		t.Helper()
		code, out, errOut := typing(t, true, input, env, args...)
		if code != 0 || !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("quire %s: code %d\n%q\nwant %s\n%s", strings.Join(args, " "), code, out, want, errOut)
		}
	}
	see("There are no documents here.", "", "ls")
	see("Made notes, text.", "bell\a\n", "put", "notes", "-")
	see("^\x1b\\[1mDOCUMENT  TYPE  REVISION  MODIFIED             TITLE\x1b\\[0m\nnotes     text  0 ", "", "ls")
	see("^DOCUMENT", "", "ls", "--color", "never")
	see("\x1b\\[33m0  Ada  .*\x1b\\[0m 1  bell\uFFFD\n$", "", "blame", "notes")
	see("^bell\a\n$", "", "cat", "notes")
	see(`^\{"id":"notes"`, "", "ls", "--json")
	see("^notes has no labels.\n$", "", "label", "list", "notes")
	see("^Nothing to change; notes is at revision 0.\n$", "bell\a\n", "put", "notes", "-")
	see("^Nothing to change; notes is at revision 0.\n$", "", "revert", "notes", "Bob")
	see("is at revision 1", "bell\nmore\n", "put", "notes", "-")
	see("\x1b\\[32m\\+more\x1b\\[0m\n", "", "diff", "notes")
	env = append(env, "NO_COLOR=1")
	see("\n\\+more\n", "", "diff", "notes")
	if code, out, _ := typing(t, true, "n\n", env, "rm", "notes"); code != 1 || !strings.Contains(out, "[y/N]") {
		t.Errorf("code %d: %s", code, out)
	}
	see("Removed notes.", "y\n", "rm", "notes")
}

func TestCompletion(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	env := []string{"QUIRE_SERVER=" + url}
	for _, id := range []string{"notes", "note book", "other"} {
		if code, _, errOut := typing(t, false, "", env, "put", id, "-"); code != 0 {
			t.Fatal(errOut)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"cat no", "note book\ttext\nnotes\ttext\n"},
		{"put o", "other\ttext\n"},
		{"label rm o", "other\ttext\n"},
		{"res", "restore\t"},
		{"ls --col", "--color\t"},
		{"ls --color ne", "auto\nalways\nnever\n"},
		{"serve --max-r", "--max-run\t"},
		{"sync file o", "other\ttext\n"},
		{"bench h", "history\n"},
		{"serve --con", "--config\t"},
	} {
		code, out, errOut := typing(t, false, "", env, append([]string{"__complete"}, strings.Split(c.args, " ")...)...)
		if code != 0 || !strings.Contains(out, c.want) {
			t.Errorf("quire %s<TAB>: code %d\n%s\nwant %q\n%s", c.args, code, out, c.want, errOut)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, _ := typing(t, false, "", nil, "completion", shell); code != 0 || !strings.Contains(out, "quire") {
			t.Errorf("%s: code %d, %d bytes", shell, code, len(out))
		}
	}
}

// TestRepairCommand damages a folder and has it repaired.
func TestRepairCommand(t *testing.T) {
	folder := t.TempDir()
	m, url, done := start(t, "--data", folder)
	for _, id := range []string{"a", "b"} {
		if code, _, errOut := typing(t, false, strings.Repeat("some text\n", 2000), []string{"QUIRE_SERVER=" + url}, "put", id, "-"); code != 0 {
			t.Fatal(errOut)
		}
	}
	m.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, dataFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A byte is flipped in one page after another, from the end, until that matters.
	bad := bytes.Clone(whole)
	for at, problems := len(whole)-2000, 0; problems == 0; at -= 4096 {
		if at < 3*4096 {
			t.Fatal("nothing in the file matters")
		}
		bad = bytes.Clone(whole)
		bad[at] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := bolt.Check(t.Context(), bolt.Options{Path: path, Packers: packers()}, func(bolt.Problem) { problems++ }); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errOut := typing(t, false, "", nil, "check", folder)
	if code != 1 || !strings.Contains(errOut, "problem") {
		t.Fatalf("check: code %d\n%s%s", code, out, errOut)
	}
	code, out, errOut = typing(t, false, "", nil, "check", "--repair", folder, "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var r repaired
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil || code != commands.Damaged || r.Damaged == "" || !strings.Contains(errOut, r.Damaged) {
		t.Fatalf("repair: code %d, %v\n%s%s", code, err, out, errOut)
	}
	if kept, err := os.ReadFile(r.Damaged); err != nil || !bytes.Equal(kept, bad) {
		t.Errorf("the file as it was: %d bytes, %v", len(kept), err)
	}
	if r.Aside != "" {
		if _, err := os.Stat(r.Aside); err != nil {
			t.Error(err)
		}
	}
	if code, out, errOut := typing(t, false, "", nil, "check", folder); code != 0 {
		t.Errorf("check after the repair: code %d\n%s%s", code, out, errOut)
	}
}

// TestCommandsStopReading stops commands that wait for somebody to type.
func TestCommandsStopReading(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	if code, _, errOut := typing(t, false, "", []string{"QUIRE_SERVER=" + url}, "put", "there", "-"); code != 0 {
		t.Fatal(errOut)
	}
	for _, args := range []string{"put notes -", "import - --id notes", "import - --format bundle", "rm there"} {
		ctx, cancel := context.WithCancel(t.Context())
		in, typed := io.Pipe()
		var o, e bytes.Buffer
		done := make(chan int)
		go func() {
			done <- runWith(ctx, append(strings.Split(args, " "), "--server", url), &commands.Program{In: in, Out: &o, Err: &e, Terminal: true})
		}()
		if _, err := typed.Write([]byte(" ")); err != nil { // it reads
			t.Fatal(err)
		}
		cancel()
		if code := <-done; code != commands.Interrupted || e.String() != "quire: stopped\n" {
			t.Errorf("quire %s: code %d, %s", args, code, e.String())
		}
		typed.Close()
	}
	if code, out, errOut := typing(t, false, "", nil, "ls", "--server", url); code != 0 || !strings.HasPrefix(out, "there\t") || strings.Count(out, "\n") != 1 {
		t.Errorf("after it: code %d\n%s%s", code, out, errOut)
	}
}
