package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"quire/cmd/quire/mirror"
	"quire/cmd/quire/remote"
)

// write saves the file in place.
func (p *place) write(content string) {
	p.t.Helper()
	if err := os.WriteFile(p.file, []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// head is the document's revision.
func (p *place) head() int64 {
	p.t.Helper()
	d, err := p.client.Stat(p.t.Context(), p.opt.Doc)
	if err != nil {
		p.t.Fatal(err)
	}
	return d.Rev
}

// sha is a digest as the state beside the file has it.
func sha(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// once makes both the same, and returns the error.
func (p *place) once() error {
	p.t.Helper()
	m, err := mirror.Open(p.opt)
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Once(p.t.Context())
}

// stopped checks that err is a Stop for a reason.
func stopped(t *testing.T, err error, reason mirror.Reason, words string) {
	t.Helper()
	var s *mirror.Stop
	if !errors.As(err, &s) || s.Reason != reason || !strings.Contains(s.Text, words) {
		t.Errorf("got %v, want reason %d with %q", err, reason, words)
	}
}

func TestSyncEmptiedFile(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	p := newPlace(t, url, "notes.txt", "emptied")
	p.make("text", "some text\n")
	p.run()
	p.same("some text\n")
	p.write("")
	// The file stays empty for many times as long as others have to be left alone.
	for end := time.Now().Add(10 * p.opt.Settle); time.Now().Before(end); time.Sleep(p.opt.Settle) {
		if p.head() != 0 {
			t.Fatal("a file that is about to be written was taken for an emptied one")
		}
	}
	p.write("some more text\n")
	p.same("some more text\n")
	if rev := p.head(); rev != 1 {
		t.Errorf("one save made revision %d", rev)
	}
	p.halt()
	p.opt.Empty = 4 * p.opt.Settle
	p.run()
	p.write("")
	p.same("") // it is meant
}

func TestSyncFileGoneAndBack(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	p := newPlace(t, url, "notes.txt", "gone")
	p.make("text", "one\ntwo\n")
	p.run()
	p.same("one\ntwo\n")
	n := p.count()
	if err := os.Remove(p.file); err != nil {
		t.Fatal(err)
	}
	p.noted("missing", n)
	p.edit(func(s string) string { return s + "three\n" })
	if rev := p.head(); rev != 1 || p.doc() != "one\ntwo\nthree\n" {
		t.Errorf("revision %d: %q", rev, p.doc())
	}
	p.halt()
	stopped(t, p.once(), mirror.NotFound, "is not there, and the document gone is not emptied")
	p.run()
	p.write("zero\none\ntwo\n") // as it was, with a change
	p.same("zero\none\ntwo\nthree\n")
}

func TestSyncRefusedContent(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir(), "--max-document", "2000", "--max-body", "4000")
	for name, c := range map[string]struct{ bad, words string }{
		"not UTF-8": {"caf\xe9\n", "not UTF-8"},
		"too large": {strings.Repeat("text ", 500), "limit"},
		"huge":      {strings.Repeat("text ", 5000), "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, url, "notes.txt", "refused/"+name)
			p.make("text", "one\n")
			p.run()
			p.same("one\n")
			n := p.count()
			p.write(c.bad)
			if text := p.noted("refused", n).Text; !strings.Contains(text, c.words) {
				t.Errorf("it says %q", text)
			}
			p.edit(func(s string) string { return s + "two\n" })
			p.halt()
			n = p.count()
			p.run()
			p.noted("refused", n)
			if content, err := os.ReadFile(p.file); err != nil || string(content) != c.bad || p.doc() != "one\ntwo\n" {
				t.Errorf("the file: %.20q %v, the document: %.20q", content, err, p.doc())
			}
			p.write("zero\none\n")
			p.same("zero\none\ntwo\n")
		})
	}
}

func TestSyncKeepsBytes(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	for i, content := range []string{"a\r\nb\r\n", "a\r\nb", "a\nb", "a\rb\r", "\ufeffa\n", "a\u2028b\n\n\n", "a\r\n\nb\r", "😀é\r\n"} {
		p := newPlace(t, url, "notes.txt", fmt.Sprintf("bytes/%d", i))
		p.write(content)
		p.run() // makes the document
		p.same(content)
		p.edit(func(s string) string { return "x" + s })
		p.same("x" + content)
		p.write("x" + content + "y")
		p.same("x" + content + "y")
		p.halt()
	}
}

func TestSyncLink(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	p := newPlace(t, url, "notes.txt", "link")
	real := filepath.Join(t.TempDir(), "real.txt")
	if err := errors.Join(os.WriteFile(real, []byte("one\n"), 0o600), os.Symlink(real, p.file)); err != nil {
		t.Fatal(err)
	}
	p.run()
	p.same("one\n")
	p.edit(func(s string) string { return s + "two\n" })
	p.same("one\ntwo\n")
	if to, err := os.Readlink(p.file); err != nil || to != real {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	_, err := mirror.Open(p.opt)
	stopped(t, err, mirror.Changed, "another quire sync has")
}

func TestSyncFirstTime(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	p := newPlace(t, url, "notes.txt", "first")
	stopped(t, p.once(), mirror.NotFound, "neither a file")
	p.make("text", "the document\n")
	p.write("the file\n")
	stopped(t, p.once(), mirror.Changed, "are both there and differ")
	p.opt.Prefer = mirror.FromFile
	if err := p.once(); err != nil {
		t.Fatal(err)
	}
	p.same("the file\n")
	if err := os.Remove(filepath.Join(filepath.Dir(p.file), ".notes.txt.quire")); err != nil {
		t.Fatal(err)
	}
	p.write("another file\n")
	p.opt.Prefer = mirror.FromDocument
	if err := p.once(); err != nil {
		t.Fatal(err)
	}
	p.same("the file\n")
	p.opt.Doc = "other"
	stopped(t, p.once(), mirror.Changed, "is kept the same as the document first")
}

func TestSyncDocumentGoes(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	p := newPlace(t, url, "notes.txt", "goes")
	p.make("text", "one\n")
	p.run()
	p.noted("same", 1) // now that it hears of the document, too
	n := p.count()
	req, err := http.NewRequest("PATCH", url+"api/docs/goes", strings.NewReader(`{"id":"went"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("renaming: %v %v", resp, err)
	}
	resp.Body.Close()
	p.noted("moved", n)
	p.opt.Doc = "went"
	p.write("one\ntwo\n")
	p.same("one\ntwo\n")
	p.edit(func(s string) string { return s + "three\n" })
	p.same("one\ntwo\nthree\n")
	p.halt()
	n = p.count()
	p.run() // by the new name
	p.noted("same", n)
}

func TestSyncDocumentIsRemoved(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	p := newPlace(t, url, "notes.txt", "removed")
	p.make("text", "one\n")
	p.run()
	p.same("one\n")
	if err := p.client.Delete(t.Context(), "removed"); err != nil {
		t.Fatal(err)
	}
	stopped(t, <-p.ended, mirror.NotFound, "is not there any more")
	stopped(t, p.once(), mirror.NotFound, "is not there any more")
	// Another of the same name: a file without changes of its own takes its text, one with
	// changes is not merged into what it was not made from.
	p.make("text", "another\n")
	if err := p.once(); err != nil {
		t.Fatal(err)
	}
	p.same("another\n")
	if err := p.client.Delete(t.Context(), "removed"); err != nil {
		t.Fatal(err)
	}
	p.make("text", "a third\n")
	p.write("another, changed\n")
	stopped(t, p.once(), mirror.Changed, "is not the one that")
	if content, err := os.ReadFile(p.file); err != nil || string(content) != "another, changed\n" || p.doc() != "a third\n" {
		t.Errorf("the file: %q %v, the document: %q", content, err, p.doc())
	}
}

// lossy loses answers to what changes something, after the server has done it.
type lossy struct {
	http.RoundTripper
	lose atomic.Int32
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == http.MethodPut && l.lose.Add(-1) >= 0 {
		resp.Body.Close()
		return nil, errors.New("the answer is lost")
	}
	return resp, err
}

// TestSyncLostAnswer has the server apply a change whose answer is lost. What is sent again after a
// restart, when both have changed further, must not take effect twice.
func TestSyncLostAnswer(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	p := newPlace(t, url, "notes.txt", "lost")
	p.make("text", "begin\nend\n")
	net := &lossy{RoundTripper: p.opt.Client.HTTP.Transport}
	p.opt.Client.HTTP.Transport = net
	if err := p.once(); err != nil {
		t.Fatal(err)
	}
	net.lose.Store(1)
	p.write("begin\nlocal 1\nend\n")
	var away *remote.Unreachable
	if err := p.once(); !errors.As(err, &away) {
		t.Fatalf("a lost answer: %v", err)
	}
	if p.doc() != "begin\nlocal 1\nend\n" {
		t.Fatalf("the document is %q", p.doc())
	}
	p.edit(func(s string) string { return "remote\n" + s })
	p.write("begin\nlocal 1\nlocal 2\nend\n")
	p.opt.Client.Author = "somebody else by now"
	if err := p.once(); err != nil {
		t.Fatal(err)
	}
	p.same("remote\nbegin\nlocal 1\nlocal 2\nend\n")
	// And while it runs.
	p.run()
	net.lose.Store(3)
	p.write("remote\nbegin\nlocal 1\nlocal 2\nlocal 3\nend\n")
	p.noted("back", 0)
	p.same("remote\nbegin\nlocal 1\nlocal 2\nlocal 3\nend\n")
	if rev := p.head(); rev != 4 {
		t.Errorf("four edits made revision %d", rev)
	}
}

// TestSyncCutOff starts from what a crash leaves at each moment of writing the file.
func TestSyncCutOff(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	for name, c := range map[string]struct{ file, temp, want string }{
		"before the file was written":             {file: "one\n", temp: "one\ntwo\n", want: "one\ntwo\n"},
		"with the old content beside it":          {file: "one\ntwo\n", temp: "one\n", want: "one\ntwo\n"},
		"after the file was written":              {file: "one\ntwo\n", want: "one\ntwo\n"},
		"after that, and then the file was saved": {file: "one\ntwo\nmore\n", want: "one\ntwo\nmore\n"},
		"before that, and then it was saved":      {file: "one more\n", temp: "one\ntwo\n", want: "one more\ntwo\n"},
		"with what was saved just before":         {file: "one\ntwo\n", temp: "saved\none\n", want: "saved\none\ntwo\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, url, "notes.txt", "cut off/"+name)
			p.make("text", "one\n")
			if err := p.once(); err != nil {
				t.Fatal(err)
			}
			p.edit(func(s string) string { return s + "two\n" })
			path := filepath.Join(filepath.Dir(p.file), ".notes.txt.quire")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var state map[string]any
			if err := json.Unmarshal(data, &state); err != nil {
				t.Fatal(err)
			}
			state["writing"] = map[string]any{"rev": 1, "sum": sha("one\ntwo\n"), "turn": 1, "was": "one\n", "target": sha("one\ntwo\n")}
			if data, err = json.Marshal(state); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			p.write(c.file)
			if c.temp != "" {
				if err := os.WriteFile(path+"-part1", []byte(c.temp), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.once(); err != nil {
				t.Fatal(err)
			}
			p.same(c.want)
			kept, err := filepath.Glob(p.file + ".kept-*")
			if err != nil || len(kept) > 0 {
				t.Errorf("kept: %v, %v", kept, err)
			}
			if left, err := filepath.Glob(path + "?*"); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

func TestSyncJSON(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	p := newPlace(t, url, "list.json", "list")
	p.make("json0", `{"a":[1,2],"b":"x"}`)
	p.run()
	const shown = "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": \"x\"\n}\n"
	p.until("the file", func([]mirror.Note) bool {
		content, err := os.ReadFile(p.file)
		return err == nil && string(content) == shown
	})
	n := p.count()
	p.write(`{"a": [1, 2,`)
	if text := p.noted("refused", n).Text; !strings.Contains(text, "it is not JSON: line 1") {
		t.Errorf("it says %q", text)
	}
	p.write("{\"a\": [1, 2, 3], \"b\": \"x\"}\n")
	p.until("the document", func([]mirror.Note) bool { return p.doc() == `{"a":[1,2,3],"b":"x"}` })
	if _, err := p.client.Put(t.Context(), "list", p.head(), "application/json", []byte(`{"a":[1,2,3],"b":"y"}`), ""); err != nil {
		t.Fatal(err)
	}
	p.until("the file", func([]mirror.Note) bool {
		content, err := os.ReadFile(p.file)
		return err == nil && strings.Contains(string(content), `"b": "y"`)
	})
	if rev := p.head(); rev != 2 {
		t.Errorf("two edits made revision %d", rev)
	}
}

func TestSyncRichText(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	p := newPlace(t, url, "rich.md", "rich")
	p.opt.Type = "delta"
	p.write("# Title\n\nSome *text*\n")
	p.run()
	p.noted("same", 0)
	p.write("# Title\n\nSome *text* and **more**\n")
	p.until("the document", func([]mirror.Note) bool {
		d, err := p.client.Get(t.Context(), "rich", remote.Point{})
		return err == nil && strings.Contains(string(d.Content), `{"insert":"more","attributes":{"bold":true}}`)
	})
	if _, err := p.client.Put(t.Context(), "rich", p.head(), "text/markdown", []byte("# New title\n\nSome *text* and **more**\n"), ""); err != nil {
		t.Fatal(err)
	}
	p.until("the file", func([]mirror.Note) bool {
		content, err := os.ReadFile(p.file)
		return err == nil && string(content) == "# New title\n\nSome *text* and **more**\n"
	})
}

// TestSyncMarkdownAsWritten makes rich text of Markdown that the server writes otherwise.
func TestSyncMarkdownAsWritten(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	p := newPlace(t, url, "notes.md", "written")
	p.opt.Type = "delta"
	p.write("* a __b__\n* c\n")
	if err := p.once(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(p.file)
	if err != nil || !strings.Contains(string(content), "a **b**") || p.head() != 0 {
		t.Errorf("the file is %q, %v; head %d", content, err, p.head())
	}
	for _, name := range []string{"page.html", "page.delta"} {
		p := newPlace(t, url, name, name)
		p.write("<p>a</p>\n")
		p.opt.Type = "delta"
		stopped(t, p.once(), mirror.Refused, "name it .md")
		p.opt.Type = ""
		if err := p.once(); err != nil { // its source
			t.Fatal(err)
		}
		p.same("<p>a</p>\n")
		p.opt.Doc = "written"
		if err := os.Remove(filepath.Join(filepath.Dir(p.file), "."+name+".quire")); err != nil {
			t.Fatal(err)
		}
		stopped(t, p.once(), mirror.Refused, "name it .md")
	}
}

// TestSyncProgram runs the real program: quire sync, killed again and again while both are edited.
func TestSyncProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN with -short: it starts many processes")
	}
	_, url, _ := start(t, "--data", t.TempDir())
	p := newPlace(t, url, "notes.txt", "killed")
	p.make("text", "begin\nend\n")
	args := []string{"sync", p.file, "killed", "--server", url, "--settle", "60ms"}
	if code, _, errOut := cli(append(args, "--once")); code != exitOK {
		t.Fatalf("code %d: %s", code, errOut)
	}
	words := killWhileSyncing(t, p, args)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for p.once() != nil && ctx.Err() == nil { // what was on its way is finished first
		continue
	}
	text := p.doc()
	if content, err := os.ReadFile(p.file); err != nil || string(content) != text {
		t.Errorf("the file is %q, %v\nthe document %q", content, err, text)
	}
	for i, w := range append(words, p.replacements...) {
		// Which of two equal line ends belongs to which of two new lines cannot be told.
		if n := strings.Count(text, strings.TrimSpace(w)); !p.right(w, n) {
			t.Errorf("word %d of %d (even: of the file; then those saved again) is there %d times", i, len(words), n)
		}
	}
	if kept, err := filepath.Glob(p.file + ".kept-*"); err != nil || len(kept) > 0 {
		t.Errorf("kept: %v, %v", kept, err)
	}
}
