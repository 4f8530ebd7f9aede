package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/cmd/quire/mirror"
	"quire/cmd/quire/remote"
)

// remoteClient is a client of a server that runs.
func remoteClient(t *testing.T, url, author string) *remote.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &remote.Client{URL: strings.TrimSuffix(url, "/"), Author: author, HTTP: &http.Client{Transport: transport}}
}

// place is a file and a document that are kept the same.
type place struct {
	t      *testing.T
	file   string
	opt    mirror.Options
	client *remote.Client // somebody else's

	stop  context.CancelFunc
	ended chan error

	replaced     map[string]bool // words in whose place the editor saved others, since something else had been written over what it knew
	replacements []string        // those others

	mu    sync.Mutex
	notes []mirror.Note
	bell  chan struct{} // closed and replaced when a note comes
}

// newPlace makes a place in a folder of its own.
func newPlace(t *testing.T, url, name, doc string) *place {
	t.Helper()
	p := &place{t: t, file: filepath.Join(t.TempDir(), name), client: remoteClient(t, url, "remote"), replaced: map[string]bool{}, bell: make(chan struct{})}
	p.opt = mirror.Options{Client: remoteClient(t, url, "local"), File: p.file, Doc: doc, Note: p.note,
		Settle: 15 * time.Millisecond, Empty: time.Minute, Gather: 5 * time.Millisecond, Poll: time.Second, Retry: 20 * time.Millisecond, RetryMost: 200 * time.Millisecond}
	return p
}

func (p *place) note(n mirror.Note) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, n)
	close(p.bell)
	p.bell = make(chan struct{})
}

// run begins to keep them the same.
func (p *place) run() {
	p.t.Helper()
	m, err := mirror.Open(p.opt)
	if err != nil {
		p.t.Fatal(err)
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(p.t.Context())
	ended, done := make(chan error, 1), make(chan struct{})
	p.ended = ended
	go func() {
		defer close(done)
		err := m.Run(ctx)
		m.Close()
		ended <- err
	}()
	stop := p.stop
	p.t.Cleanup(func() { stop(); <-done })
}

// halt stops, which has to be in order.
func (p *place) halt() {
	p.t.Helper()
	p.stop()
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Error(err)
		}
	case <-time.After(time.Minute):
		p.mu.Lock()
		defer p.mu.Unlock()
		p.t.Fatalf("it did not stop in a minute; notes: %+v", p.notes)
	}
	stacks := make([]byte, 1<<20)
	if n := runtime.Stack(stacks, true); strings.Contains(string(stacks[:n]), "cmd/quire/mirror.") {
		p.t.Errorf("something goes on after the end:\n%s", stacks[:n])
	}
}

// until waits until cond holds, looking again whenever something is noted, and now and then.
func (p *place) until(what string, cond func(notes []mirror.Note) bool) {
	p.t.Helper()
	end := time.After(time.Minute)
	for {
		p.mu.Lock()
		notes, bell := p.notes, p.bell
		p.mu.Unlock()
		if cond(notes) {
			return
		}
		again := time.NewTimer(20 * time.Millisecond) // the file and the document are not signalled
		select {
		case <-bell:
		case <-again.C:
		case <-end:
			content, err := os.ReadFile(p.file)
			p.t.Fatalf("waiting for %s\nthe file: %q %v\nthe document: %q\nnotes: %+v", what, content, err, p.doc(), notes)
		}
		again.Stop()
	}
}

// noted waits for a note of an event after the first n notes, and returns the first.
func (p *place) noted(event string, n int) (found mirror.Note) {
	p.t.Helper()
	p.until("the note "+event, func(notes []mirror.Note) bool {
		for _, note := range notes[min(n, len(notes)):] {
			if note.Event == event {
				found = note
				return true
			}
		}
		return false
	})
	return found
}

func (p *place) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.notes)
}

// doc is the document's text.
func (p *place) doc() string {
	d, err := p.client.Get(p.t.Context(), p.opt.Doc, remote.Point{})
	if err != nil {
		return "error: " + err.Error()
	}
	var s string
	if json.Unmarshal(d.Content, &s) != nil {
		return string(d.Content)
	}
	return s
}

// same waits until both have this content.
func (p *place) same(want string) {
	p.t.Helper()
	p.until(fmt.Sprintf("both to be %q", want), func([]mirror.Note) bool {
		content, err := os.ReadFile(p.file)
		return err == nil && string(content) == want && p.doc() == want
	})
}

// edit makes the document another, as somebody else.
func (p *place) edit(change func(string) string) {
	p.t.Helper()
	d, err := p.client.Get(p.t.Context(), p.opt.Doc, remote.Point{})
	if err != nil {
		p.t.Fatal(err)
	}
	var s string
	if err := json.Unmarshal(d.Content, &s); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.client.Put(p.t.Context(), p.opt.Doc, d.Rev, "text/plain", []byte(change(s)), ""); err != nil {
		p.t.Fatal(err)
	}
}

// make creates the document.
func (p *place) make(docType, content string) {
	p.t.Helper()
	raw, err := json.Marshal(content)
	if docType == "json0" {
		raw = []byte(content)
	}
	if err == nil {
		_, err = p.client.Create(p.t.Context(), remote.New{ID: p.opt.Doc, Type: docType, Content: raw})
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// saves are the ways in which editors save a file.
var saves = map[string]func(path, content string) error{
	"truncate and write": func(path, content string) error { return os.WriteFile(path, []byte(content), 0o644) },
	"write in pieces": func(path, content string) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0o644)
		if err != nil {
			return err
		}
		for len(content) > 0 {
			n := min(7, len(content))
			if _, err := f.WriteString(content[:n]); err != nil {
				return err
			}
			content = content[n:]
		}
		return errors.Join(f.Sync(), f.Close())
	},
	"temporary file and rename": func(path, content string) error {
		temp := path + ".tmp~"
		return errors.Join(os.WriteFile(temp, []byte(content), 0o644), os.Rename(temp, path))
	},
	"backup and new file": func(path, content string) error { // vim with backupcopy=no, emacs
		return errors.Join(os.Rename(path, path+"~"), os.WriteFile(path, []byte(content), 0o644), os.Remove(path+"~"))
	},
	"delete and make again": func(path, content string) error {
		return errors.Join(os.Remove(path), os.WriteFile(path, []byte(content), 0o644))
	},
}

func TestSyncSaves(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	for name, save := range saves {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, url, "notes.txt", "saves/"+name)
			if name == "write in pieces" { // as one save, also when this process has to wait in between
				p.opt.Settle = time.Second
			}
			p.make("text", "one\ntwo\nthree\n")
			p.run()
			p.same("one\ntwo\nthree\n")
			if err := os.Chmod(p.file, 0o640); err != nil {
				t.Fatal(err)
			}
			if err := save(p.file, "one\n2\nthree\n"); err != nil {
				t.Fatal(err)
			}
			p.same("one\n2\nthree\n")
			before, err := os.Stat(p.file)
			if err != nil {
				t.Fatal(err)
			}
			p.edit(func(s string) string { return s + "four\n" })
			p.same("one\n2\nthree\nfour\n")
			if after, err := os.Stat(p.file); err != nil || after.Mode() != before.Mode() {
				t.Errorf("the mode was %v and is %v, %v", before.Mode(), after.Mode(), err)
			}
			if err := save(p.file, "zero\none\n2\nthree\nfour\n"); err != nil {
				t.Fatal(err)
			}
			p.same("zero\none\n2\nthree\nfour\n")
			p.oneEdit()
			p.halt()
			left, err := filepath.Glob(filepath.Join(filepath.Dir(p.file), ".*"))
			if err != nil || len(left) != 1 || filepath.Base(left[0]) != ".notes.txt.quire" {
				t.Errorf("left beside the file: %v, %v", left, err)
			}
		})
	}
}

// oneEdit checks that what was saved last became the one edit that it was.
func (p *place) oneEdit() {
	p.t.Helper()
	if rev := p.head(); rev != 3 {
		p.t.Errorf("three edits made revision %d", rev)
	}
	diff, err := p.client.Diff(p.t.Context(), p.opt.Doc, remote.AtRev(2), remote.AtRev(3))
	if err != nil || string(diff.Op) != `["zero\n"]` {
		p.t.Errorf("the save became %s, %v", diff.Op, err)
	}
}
