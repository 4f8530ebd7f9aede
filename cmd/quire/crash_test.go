package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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
	"quire/storage"
	"quire/storage/bolt"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

var crashKills = flag.Int("crash.kills", 24, "how often TestCrash kills the server")

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

// TestCrash kills the server with SIGKILL again and again while clients edit, and
// checks in the end that every operation that was ever acknowledged is in the store,
// once, at the revision it was acknowledged with, and that everybody holds the same.
func TestCrash(t *testing.T) {
	data := t.TempDir()
	addr := freeAddr(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d kills", seed, *crashKills)
	rng := rand.New(rand.NewPCG(seed, 1))

	var run atomic.Bool // clients make new edits
	run.Store(true)
	var writers []*writer
	var wg sync.WaitGroup
	for i := range 2 * len(crashTypes) {
		w := newWriter("http://"+addr+"/", i%len(crashTypes), fmt.Sprintf("client-%04d", i), seed+uint64(i))
		writers = append(writers, w)
		wg.Go(func() { w.live(&run) })
	}
	acked := func() (n int64) {
		for _, w := range writers {
			n += w.acks.Load()
		}
		return n
	}
	for n := range *crashKills {
		p := launch(t, "--listen", addr, "--data", data, "--idle-after", "50ms")
		before := acked()
		deadline := time.Now().Add(30 * time.Second)
		for acked() == before && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond) // until it has work to lose
		}
		if acked() == before {
			t.Fatalf("life %d: nothing was acknowledged; the server's log:\n%s", n, p.log)
		}
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		p.kill()
		for _, w := range writers {
			if err := w.failure(); err != nil {
				t.Fatalf("life %d: %s: %v", n, w.doc.Client, err)
			}
		}
	}
	run.Store(false)
	p := launch(t, "--listen", addr, "--data", data)
	wg.Wait()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("an orderly stop ended with %v\n%s", err, p.log)
	}
	t.Logf("%d operations acknowledged", acked())
	verifyJournals(t, data, writers)
}

func freeAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
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
	w := &writer{url: url, doc: client.NewDocument(crashDoc(i), id, k.typ), kind: k, rng: rand.New(rand.NewPCG(seed, 2)), journal: map[uint64]session.Revision{}}
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

// live edits until run is false and everything is acknowledged, or something is wrong.
func (w *writer) live(run *atomic.Bool) {
	for w.failure() == nil {
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
		m, err := conn.Receive()
		if err != nil {
			return
		}
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

// verifyJournals compares what clients were told with what is on disk.
func verifyJournals(t *testing.T, data string, writers []*writer) {
	var out strings.Builder
	if err := check(context.Background(), []string{data}, &out); err != nil {
		t.Errorf("quire check: %v\n%s", err, &out)
	}
	store, err := bolt.Open(bolt.Options{Path: filepath.Join(data, dataFile), MustExist: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx := context.Background()
	type place struct {
		doc, client string
		seq         uint64
	}
	found := map[place]session.Revision{}
	content := map[string]string{}
	for i, k := range crashTypes {
		id := crashDoc(i)
		info, err := store.Stat(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := k.typ.Create(nil)
		if err != nil {
			t.Fatal(err)
		}
		for rev := storage.Revision(0); rev < info.Head; {
			recs, err := store.Read(ctx, id, rev, info.Head)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range recs {
				op, err := k.typ.UnmarshalOp(r.Op)
				if err == nil {
					doc, err = k.typ.Apply(doc, op)
				}
				if err != nil {
					t.Fatalf("%s: record %d: %v", id, rev, err)
				}
				rev++
				k := place{id, r.Client, r.Seq}
				if found[k] != 0 {
					t.Errorf("%+v is in the store at %d and %d", k, found[k], rev)
				}
				found[k] = rev
			}
		}
		content[id] = string(k.typ.AppendDoc(nil, doc))
	}
	for _, w := range writers {
		if err := w.failure(); err != nil {
			t.Errorf("%s: %v", w.doc.Client, err)
		}
		for seq, rev := range w.journal {
			if got := found[place{w.doc.ID, w.doc.Client, seq}]; got != rev {
				t.Errorf("%s: seq %d was acknowledged at revision %d, the store has it at %d", w.doc.Client, seq, rev, got)
			}
		}
		if uint64(len(w.journal)) != w.edits {
			t.Errorf("%s made %d edits, %d were acknowledged", w.doc.Client, w.edits, len(w.journal))
		}
	}
	// Everybody, also the one that stopped listening first, holds a prefix; a fresh
	// reader holds it all. Here: each writer after it caught up.
	addr := freeAddr(t)
	store.Close()
	p := launch(t, "--listen", addr, "--data", data)
	defer p.kill()
	for _, w := range writers {
		w.url = p.url
		if err := w.catchUp(); err != nil {
			t.Errorf("%s: %v", w.doc.Client, err)
		} else if got := string(w.kind.typ.AppendDoc(nil, w.doc.Local())); got != content[w.doc.ID] {
			t.Errorf("%s holds something else than the store", w.doc.Client)
		}
	}
}

// catchUp resumes and receives everything there is.
func (w *writer) catchUp() error {
	conn, _, err := client.Dial(w.url, client.Options{})
	if err != nil {
		return err
	}
	defer conn.Close()
	w.doc.Disconnected()
	open := w.doc.Open()
	if err := conn.Send(&open); err != nil {
		return err
	}
	for !w.doc.Current() {
		m, err := conn.Receive()
		if err == nil {
			err = w.doc.Receive(m)
		}
		if err != nil {
			return err
		}
	}
	doc := w.doc.ID
	if err := conn.Send(&quirev1.ClientMessage{T: "check", Doc: &doc}); err != nil {
		return err
	}
	for {
		m, err := conn.Receive()
		if err != nil {
			return err
		}
		if m.T == "check" {
			if m.Rev != w.doc.Rev() || m.Sum != w.doc.Sum() {
				return fmt.Errorf("checksum %s at %d, the server has %s at %d", w.doc.Sum(), w.doc.Rev(), m.Sum, m.Rev)
			}
			return nil
		}
	}
}
