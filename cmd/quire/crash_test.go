package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/json0"
	"quire/ot/ottest"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/ot/textunicode"
	"quire/session"
	"quire/storage/storagetest/overdue"
	"quire/web/quirev1/client"
)

// asServer makes the test binary be the program, for tests that kill it.
const asServer = "QUIRE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if as := os.Getenv(asServer); as != "" {
		_ = os.Unsetenv(asServer)
		if as == asTerminal {
			os.Exit(onTerminal(os.Args[1:]))
		}
		main()
		return
	}
	// With the race detector a program waits a second before it ends. The hundreds that tests run do not.
	if os.Getenv("GORACE") == "" {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	os.Exit(m.Run())
}

// program is the real program in a process of its own.
type program struct {
	cmd *exec.Cmd
	url string
	log *strings.Builder
}

// launch starts the program and waits until it serves.
func launch(t *testing.T, args ...string) *program {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{cmd: exec.Command(exe, args...), log: &strings.Builder{}}
	p.cmd.Env = append(os.Environ(), asServer+"=1")
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	overdue.Watch(t)
	late := time.AfterFunc(2*time.Minute, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) }) // its stacks tell what it waits for
	defer late.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "Quire is at "); ok {
			p.url = url
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return p
		}
	}
	_ = p.cmd.Wait()
	t.Fatalf("the program did not start:\n%s", p.log)
	return nil
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// writer is a client that edits, comes back whenever it is cut off, and keeps a
// journal of what was acknowledged.
type writer struct {
	url   string
	doc   *client.Document
	kind  crashType
	rng   *rand.Rand
	acks  atomic.Int64
	acked func() // called after each acknowledgement, if any
	edits uint64
	heard time.Time // when a message came

	mu      sync.Mutex
	journal map[uint64]session.Revision
	err     error
}

// crashType is a document type and a source of edits.
type crashType struct {
	typ  ot.Type
	edit func(w *writer) (ot.Op, error)
}

// crashTypes are the types of the documents that are edited: one of each.
var crashTypes = []crashType{
	{text.Type{}, textEdit},
	{delta.Type{}, drawn(ottest.Delta())},
	{json0.Type{}, drawn(ottest.JSON0())},
	{text0.Type{}, drawn(ottest.Text0())},
	{textunicode.Type{}, drawn(ottest.TextUnicode())},
}

func drawn(gen ottest.Gen) func(w *writer) (ot.Op, error) {
	return func(w *writer) (ot.Op, error) { return gen.Op(w.rng, w.doc.Local(), 3), nil }
}

func crashDoc(i int) string { return "crash-" + crashTypes[i].typ.Name() }

func newWriter(url string, i int, id string, seed uint64) *writer {
	k := crashTypes[i]
	w := &writer{url: url, heard: time.Now(), doc: client.NewDocument(crashDoc(i), id, k.typ), kind: k, rng: rand.New(rand.NewPCG(seed, 2)), journal: map[uint64]session.Revision{}}
	w.doc.Create = k.typ.Name()
	w.doc.OnAcked(func(seq uint64, rev session.Revision) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.journal[seq] != 0 {
			w.err = fmt.Errorf("seq %d was acknowledged twice", seq)
		}
		w.journal[seq] = rev
		w.acks.Add(1)
		if w.acked != nil {
			w.acked()
		}
	})
	return w
}

func (w *writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// unheard is how long a server may say nothing to a client that waits for it, and be away.
const unheard = 2 * time.Minute

// live edits until run is false and everything is acknowledged, or something is wrong.
func (w *writer) live(run *atomic.Bool) {
	for w.failure() == nil {
		if time.Since(w.heard) >= unheard {
			w.fail(fmt.Errorf("%s heard nothing for %v; %d acknowledged, %d pending", w.doc.Client, unheard, w.acks.Load(), w.doc.Pending()))
			return
		}
		if !run.Load() && w.doc.Local() != nil && w.doc.Pending() == 0 {
			return
		}
		w.connection(run)
		w.doc.Disconnected()
		time.Sleep(5 * time.Millisecond) // before trying again
	}
}

// connection is the time of one connection.
func (w *writer) connection(run *atomic.Bool) {
	conn, _, err := client.Dial(w.url, client.Options{})
	if err != nil {
		return // the server is down
	}
	defer conn.Close()
	open := w.doc.Open()
	if conn.Send(&open) != nil {
		return
	}
	for {
		_ = conn.SetReadDeadline(w.heard.Add(unheard))
		m, err := conn.Receive()
		if err != nil {
			return
		}
		w.heard = time.Now()
		err = w.doc.Receive(m)
		var refused *client.RefusedError
		switch {
		case errors.As(err, &refused) && refused.Class != session.Fatal:
			return
		case err != nil:
			w.fail(err)
			return
		}
		if !w.doc.Current() {
			continue
		}
		for run.Load() && w.doc.Pending() < 4 {
			w.edit()
		}
		if next := w.doc.Next(); next != nil {
			if conn.Send(next) != nil {
				return
			}
		}
		if !run.Load() && w.doc.Pending() == 0 {
			return
		}
	}
}

// edit makes one edit.
func (w *writer) edit() {
	w.edits++
	op, err := w.kind.edit(w)
	if err == nil {
		err = w.doc.Edit(op)
	}
	if err != nil {
		w.fail(err)
	}
}

// textEdit makes an edit that can be told from every other.
func textEdit(w *writer) (ot.Op, error) {
	length := w.doc.Local().(*text.Doc).Len()
	var b text.Builder
	at := w.rng.IntN(length + 1)
	b.Retain(at)
	if length-at > 3 && length > 2000 {
		b.Delete(1 + w.rng.IntN(3))
	}
	b.Insert(fmt.Sprintf("<%s:%d>", w.doc.Client[7:], w.edits))
	return b.Op()
}
