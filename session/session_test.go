package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"quire/ot"
	"quire/ot/diff"
	"quire/ot/text"
	"quire/session"
	"quire/storage"
	"quire/storage/mem"
	"quire/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a manager on a store whose faults the test decides.
type world struct {
	t     *testing.T
	store *storagetest.Faulty
	*session.Manager
}

// newWorld starts a manager inside a synctest bubble; zero options are usable.
func newWorld(t *testing.T, opt session.Options, store *storagetest.Faulty) *world {
	if store == nil {
		store = storagetest.NewFaulty(mem.New())
	}
	opt.Store, opt.Types = store, allTypes()
	if opt.Diff == nil {
		opt.Diff = diff.Between
	}
	opt.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	w := &world{t: t, store: store, Manager: session.New(opt)}
	return w
}

// stop closes the manager and lets its last timer run out.
func (w *world) stop() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.Close(ctx); err != nil {
		w.t.Error(err)
	}
	time.Sleep(time.Hour) // the bubble's time
}

// editor is a client that keeps what it was delivered.
type editor struct {
	*session.Subscription
	w      *world
	opened *session.Opened
	rev    session.Revision
	text   string
	seen   []session.Delivery
	own    []uint64
	id     string
}

func (w *world) open(req session.OpenRequest) (*editor, error) {
	e := &editor{w: w, id: req.Client}
	req.Doc, req.Notify = "doc", func() {}
	if !req.Resume {
		req.Create = "text"
	}
	var err error
	if e.Subscription, e.opened, err = w.Open(context.Background(), req); err != nil {
		return nil, err
	}
	e.rev = e.opened.Rev
	if !req.Resume {
		s := string(e.opened.AppendContent(nil))
		e.text = s[1 : len(s)-1]
	}
	return e, nil
}

func (w *world) editor(id string) *editor {
	w.t.Helper()
	e, err := w.open(session.OpenRequest{Client: id, User: session.User{Name: id}})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (e *editor) submit(base session.Revision, seq uint64, ops ...string) {
	e.w.t.Helper()
	if err := e.try(base, seq, ops...); err != nil {
		e.w.t.Fatal(err)
	}
}

func (e *editor) try(base session.Revision, seq uint64, ops ...string) error {
	raw := make([][]byte, len(ops))
	for i, op := range ops {
		raw[i] = []byte(op)
	}
	return e.Submit(base, seq, raw, nil)
}

// take gives the server time, then takes what is new and applies it.
func (e *editor) take() session.Delivery {
	e.w.t.Helper()
	time.Sleep(5 * time.Millisecond) // the bubble's time
	return e.look()
}

// look is take at this very moment.
func (e *editor) look() session.Delivery {
	e.w.t.Helper()
	var all session.Delivery
	for more := true; more; {
		synctest.Wait()
		d, err := e.Take(context.Background())
		if err != nil {
			e.w.t.Fatal(err)
		}
		for _, b := range d.Batches {
			if b.From != e.rev {
				e.w.t.Fatalf("a batch from %d, the reader is at %d", b.From, e.rev)
			}
			for i, it := range b.Items {
				e.rev += session.Revision(it.N)
				e.text = apply(e.w.t, e.text, string(b.AppendOp(nil, i)))
				if it.Client == e.id {
					e.own = append(e.own, it.Seq)
				}
			}
			if b.To != e.rev {
				e.w.t.Fatalf("a batch to %d, its items lead to %d", b.To, e.rev)
			}
		}
		more = d.More
		d.Batches = append(all.Batches, d.Batches...)
		all = d
	}
	e.seen = append(e.seen, all)
	return all
}

func apply(t *testing.T, doc, op string) string {
	t.Helper()
	d, err := text.FromString(doc)
	if err != nil {
		t.Fatal(err)
	}
	o, err := text.Decode([]byte(op), ot.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if d, err = d.Apply(o); err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// holds checks what a reader has after taking everything.
func (e *editor) holds(want string) {
	e.w.t.Helper()
	e.take()
	if e.text != want {
		e.w.t.Fatalf("%s holds %q, want %q", e.id, e.text, want)
	}
}

func code(err error) session.Code {
	var e *session.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return session.Code(fmt.Sprint(err))
}

func bubble(name string, t *testing.T, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestAcknowledgementIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a, b := w.editor("author-1"), w.editor("reader-1")
		gate := w.store.Block(storagetest.Append)
		a.submit(0, 1, `["hello"]`)
		<-gate.Arrived()
		for _, e := range []*editor{a, b} {
			if d := e.take(); len(d.Batches) > 0 {
				t.Errorf("%s was told of an operation that is not on disk", e.id)
			}
		}
		if c := w.editor("late-one"); c.text != "" || c.rev != 0 {
			t.Errorf("a fresh open shows %q at %d before it is on disk", c.text, c.rev)
		}
		gate.Open()
		a.holds("hello")
		b.holds("hello")
		if len(a.own) != 1 || a.own[0] != 1 {
			t.Errorf("acknowledged %v", a.own)
		}
	})
}

func TestBatchesGatherWhileOneIsSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		var es []*editor
		for i := range 6 {
			es = append(es, w.editor(fmt.Sprintf("client-%d", i)))
		}
		gate := w.store.Block(storagetest.Append)
		es[0].submit(0, 1, `["0"]`)
		<-gate.Arrived()
		for i, e := range es[1:] {
			e.submit(0, 1, fmt.Sprintf(`["%d"]`, i+1))
		}
		gate.Open()
		for _, e := range es {
			e.holds("012345")
			d := e.seen[0]
			if len(d.Batches) != 2 || len(d.Batches[1].Items) != 5 {
				t.Fatalf("%d batches, the second of %d", len(d.Batches), len(d.Batches[1].Items))
			}
		}
		if es[0].seen[0].Batches[1] != es[1].seen[0].Batches[1] {
			t.Error("readers do not share the batch")
		}
		if n := w.store.Calls(storagetest.Append); n != 2 {
			t.Errorf("%d appends, want 2", n)
		}
	})
}

func TestFailedWriteIsReportedAndRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a, b := w.editor("author-1"), w.editor("reader-1")
		w.store.Fail(storagetest.Append, 3, nil)
		a.submit(0, 1, `["x"]`)
		synctest.Wait()
		for _, e := range []*editor{a, b} {
			if d := e.take(); !d.StatusChanged || d.Saved || len(d.Batches) > 0 {
				t.Fatalf("%s: after a failed write: %+v", e.id, d)
			}
		}
		if st := w.Stats(); st.Unsaved != 1 || st.Failing != 1 {
			t.Errorf("stats %+v", st)
		}
		b.submit(0, 1, `["y"]`) // gathers meanwhile
		time.Sleep(time.Minute)
		for _, e := range []*editor{a, b} {
			e.holds("xy")
			if d := e.seen[len(e.seen)-1]; !d.StatusChanged || !d.Saved {
				t.Errorf("%s was not told that writing works again", e.id)
			}
		}
		if n := w.store.Calls(storagetest.Append); n != 5 {
			t.Errorf("%d appends, want 3 failed, the first batch, the second", n)
		}
	})
}

func TestUnknownOutcomeIsSettled(t *testing.T) {
	for _, applied := range []bool{true, false} {
		bubble(fmt.Sprint("applied=", applied), t, func(t *testing.T) {
			w := newWorld(t, session.Options{}, nil)
			defer w.stop()
			a := w.editor("author-1")
			w.store.LoseAppends(1, applied)
			a.submit(0, 1, `["x"]`, `[1,"y"]`)
			time.Sleep(time.Minute)
			a.holds("xy")
			if info, _ := w.store.Stat(context.Background(), "doc"); info.Head != 2 {
				t.Errorf("the store has %d records, want 2", info.Head)
			}
		})
	}
}

func TestAnotherProcessAppends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a, b := w.editor("author-1"), w.editor("author-2")
		a.submit(0, 1, `["abc"]`)
		b.holds("abc")
		op, _ := text.Decode([]byte(`[3,"!"]`), ot.Limits{})
		err := w.store.Append(context.Background(), "doc", b.opened.Incarnation, 1, []storage.Record{{Op: op.AppendBinary(nil), Client: "elsewhere", Seq: 1}})
		if err != nil {
			t.Fatal(err)
		}
		a.take()
		gate := w.store.Block(storagetest.Append)
		a.submit(1, 2, `[3,"?"]`, `[4,"?"]`)
		<-gate.Arrived()
		b.submit(1, 1, `[-1]`)
		gate.Open()
		a.holds("bc!??")
		b.holds("bc!??")
		if w.editor("author-3").text != "bc!??" {
			t.Error("a fresh reader sees something else")
		}
	})
}

func TestLoadErrorRefusesAndIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		a := w.editor("author-1")
		a.submit(0, 1, `["precious"]`)
		a.holds("precious")
		store := w.store
		w.stop()
		w = newWorld(t, session.Options{}, store)
		defer w.stop()
		for n := 1; n <= 4; n++ { // Stat, Snapshot, Read, LastSeq
			store.Fail(storagetest.Read, 1, nil)
			if _, err := w.open(session.OpenRequest{Client: "client-1"}); code(err) != session.CodeUnavailable {
				t.Fatalf("opening a document that cannot be read: %v", err)
			}
			store.Heal()
		}
		w.editor("client-1").holds("precious")
	})
}

func TestDuplicatesAreAppliedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		a := w.editor("author-1")
		a.submit(0, 1, `["a"]`, `[1,"b"]`)
		a.submit(0, 1, `["a"]`, `[1,"b"]`) // before it is answered
		a.holds("ab")
		a.submit(2, 1, `["a"]`, `[1,"b"]`)
		if d := a.take(); len(d.Acks) != 1 || d.Acks[0] != (session.Ack{Seq: 1, Rev: 2}) {
			t.Errorf("acks %+v", d.Acks)
		}
		store := w.store
		w.stop()

		w = newWorld(t, session.Options{}, store)
		defer w.stop()
		b := w.editor("author-1")
		if b.opened.Seq != 2 {
			t.Fatalf("after a restart the client's seq is %d", b.opened.Seq)
		}
		b.submit(2, 2, `[1,"b"]`)
		b.submit(0, 1, `["a"]`)
		b.holds("ab")
		if err := b.try(2, 2, `["x"]`, `["y"]`); code(err) != session.CodeInFlight {
			t.Errorf("a run of which a part was committed: %v", err)
		}
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Limits: session.Limits{Document: 20, Run: 3}}, nil)
		defer w.stop()
		a, b := w.editor("author-1"), w.editor("author-2")
		a.submit(0, 1, `["0123456789"]`)
		a.holds("0123456789")
		b.take()
		for _, c := range []struct {
			name string
			code session.Code
			base session.Revision
			seq  uint64
			ops  []string
		}{
			{"past the end", session.CodeBadOp, 1, 2, []string{`[11,"x"]`}},
			{"second of a run past the end", session.CodeBadOp, 1, 2, []string{`["x"]`, `[12,"x"]`}},
			{"not canonical", session.CodeBadOp, 1, 2, []string{`["x",1]`}},
			{"not an operation", session.CodeBadOp, 1, 2, []string{`{"a":1}`}},
			{"from the future", session.CodeFuture, 2, 2, []string{`["x"]`}},
			{"far in the future", session.CodeFuture, 1 << 60, 2, []string{`["x"]`}},
			{"before its own", session.CodeInFlight, 0, 2, []string{`["x"]`}},
			{"negative base", session.CodeInFlight, -1, 2, []string{`["x"]`}},
			{"a gap in seq", session.CodeSeq, 1, 3, []string{`["x"]`}},
			{"seq 0", session.CodeSeq, 1, 0, []string{`["x"]`}},
			{"huge seq", session.CodeSeq, 1, 1 << 63, []string{`["x"]`}},
			{"no operation", session.CodeBadMessage, 1, 2, nil},
			{"long run", session.CodeTooLarge, 1, 2, []string{`["x"]`, `["x"]`, `["x"]`, `["x"]`}},
			{"large document", session.CodeTooLarge, 1, 2, []string{`["01234567890"]`}},
		} {
			if err := a.try(c.base, c.seq, c.ops...); code(err) != c.code {
				t.Errorf("%s: %v, want %s", c.name, err, c.code)
			}
		}
		if err := b.try(-1, 1, `["x"]`); code(err) != session.CodeInFlight {
			t.Errorf("negative base: %v", err)
		}
		gate := w.store.Block(storagetest.Append)
		a.submit(1, 2, `[10,"x"]`)
		if err := a.try(1, 3, `["y"]`); code(err) != session.CodeInFlight {
			t.Errorf("a second submission in flight: %v", err)
		}
		gate.Open()
		a.holds("0123456789x")
		b.holds("0123456789x")
		if info, _ := w.store.Stat(context.Background(), "doc"); info.Head != 2 {
			t.Errorf("the store has %d records, want 2", info.Head)
		}
	})
}

func TestSlowReaderGetsOneComposite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, window := range []int{1000, 20} { // from memory, and from the store
			w := newWorld(t, session.Options{Limits: session.Limits{CompositeAfter: 10, Window: window}}, nil)
			slow, a := w.editor("reader-1"), w.editor("author-1")
			start, want := slow.rev, slow.text
			for i := range uint64(300) {
				a.submit(a.rev, i+1, `["x"]`)
				a.take()
				want = "x" + want
			}
			slow.holds(want)
			if d := slow.seen[0]; len(d.Batches) != 1 || len(d.Batches[0].Items) != 1 || d.Batches[0].Items[0].N != 300 {
				t.Fatalf("window %d: the slow reader got %d batches", window, len(d.Batches))
			}
			if err := slow.try(start, 1, `["late"]`); code(err) != session.CodeStale {
				t.Errorf("window %d: a base before a composite: %v", window, err)
			}
			slow.submit(slow.rev, 1, `["late"]`)
			a.holds("late" + want)
			slow.Close()
			a.Close()
			w.stop()
		}
	})
}

func TestResumeKeepsOwnOperationsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Limits: session.Limits{CompositeAfter: 10, Window: 50}}, nil)
		defer w.stop()
		a, b := w.editor("author-1"), w.editor("author-2")
		b.submit(0, 1, `["b"]`)
		a.submit(0, 1, `["a"]`)
		synctest.Wait()
		a.Close() // before it takes anything
		b.take()
		for i := range uint64(200) {
			b.submit(b.rev, i+2, `[2,"x"]`)
			b.take()
		}
		a, err := w.open(session.OpenRequest{Client: "author-1", Resume: true, Incarnation: b.opened.Incarnation, Rev: 0, Seq: 0})
		if err != nil {
			t.Fatal(err)
		}
		a.holds("ba" + strings.Repeat("x", 200))
		var got []string
		for _, bt := range a.seen[0].Batches {
			for _, it := range bt.Items {
				got = append(got, fmt.Sprintf("%s/%d", it.Client, it.N))
			}
		}
		if s := strings.Join(got, " "); s != "author-2/1 author-1/1 /200" {
			t.Errorf("the missed operations came as %s", s)
		}
	})
}

func TestResumeIsRefusedWhenItCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a := w.editor("author-1")
		a.submit(0, 1, `["x"]`)
		a.holds("x")
		inc := a.opened.Incarnation
		for _, c := range []struct {
			req  session.OpenRequest
			code session.Code
		}{
			{session.OpenRequest{Client: "author-1", Incarnation: inc + 1, Rev: 1, Seq: 1}, session.CodeIncarnation},
			{session.OpenRequest{Client: "author-1", Incarnation: inc, Rev: 2, Seq: 1}, session.CodeFuture},
			{session.OpenRequest{Client: "author-1", Incarnation: inc, Rev: -1, Seq: 1}, session.CodeFuture},
			{session.OpenRequest{Client: "author-1", Incarnation: inc, Rev: 1, Seq: 2}, session.CodeMismatch},
			{session.OpenRequest{Client: "author-1", Incarnation: inc, Rev: 1, Seq: 0}, session.CodeMismatch},
			{session.OpenRequest{Client: "stranger", Incarnation: inc, Rev: 1, Seq: 1}, session.CodeMismatch},
		} {
			c.req.Resume = true
			if _, err := w.open(c.req); code(err) != c.code {
				t.Errorf("%+v: %v, want %s", c.req, err, c.code)
			}
		}
		if d := a.take(); d.Closed != nil {
			t.Errorf("refused attempts closed the live one: %v", d.Closed)
		}
	})
}

// aloof is text whose operations cannot be composed.
type aloof struct{ text.Type }

func (aloof) Name() string { return "aloof" }

func (aloof) ComposeAll([]ot.Op) (ot.Op, error)     { return nil, errors.New("no") }
func (aloof) ComposeStored([][]byte) (ot.Op, error) { return nil, errors.New("no") }

func TestWhatCannotBeComposedComesOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Limits: session.Limits{CompositeAfter: 2, Window: 8}}, nil)
		defer w.stop()
		if _, err := w.Manager.Create(context.Background(), "doc", "aloof", nil, session.User{}); err != nil {
			t.Fatal(err)
		}
		a, near, far := w.editor("author-1"), w.editor("author-2"), w.editor("author-3")
		want := ""
		for i := range 30 {
			a.submit(session.Revision(i), uint64(i+1), `["x"]`)
			a.take()
			want += "x"
			if i == 24 {
				near.holds(want)
			}
		}
		near.holds(want)
		far.holds(want)
	})
}

// fragile is text that panics where cursors move, and when it is encoded, while broken.
type fragile struct{ text.Type }

var broken atomic.Bool

func (fragile) Name() string { return "fragile" }

func (f fragile) TransformCursor(c ot.Cursor, op ot.Op, side ot.Side) ot.Cursor {
	if broken.Load() {
		panic("of a test")
	}
	return f.Type.TransformCursor(c, op, side)
}

func (f fragile) MarshalDoc(dst []byte, d ot.Doc) []byte {
	if broken.Load() {
		panic("of a test")
	}
	return f.Type.MarshalDoc(dst, d)
}

// A panic in a type's code, behind everybody's back, ends that session and nothing else.
func TestPanicEndsTheSessionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{SnapshotOps: 4, Limits: session.Limits{Window: 8}}, nil)
		defer w.stop()
		if _, err := w.Manager.Create(context.Background(), "doc", "fragile", nil, session.User{}); err != nil {
			t.Fatal(err)
		}
		a := w.editor("author-1")
		if err := a.SetPresence(0, []byte(`[[0,0]]`), nil); err != nil {
			t.Fatal(err)
		}
		writer := w.from("author-3", session.Head)
		broken.Store(true)
		defer broken.Store(false)
		n := 0
		for { // until cursors have to move
			if err := writer.try(session.Revision(n), uint64(n+1), `["x"]`); code(err) == session.CodeInternal {
				break
			} else if err != nil || n > 100 {
				t.Fatalf("nothing panicked in %d edits, %v", n, err)
			}
			n++
			time.Sleep(2 * time.Second) // the bubble's time; snapshots are due
			if n == 2 {
				func() { // a reader that panics leaves the session usable
					defer func() {
						if recover() == nil {
							t.Error("moving cursors did not panic")
						}
					}()
					_, _ = a.Take(context.Background())
				}()
			}
		}
		if d, err := a.Take(context.Background()); err != nil || d.Closed == nil || d.Closed.Code != session.CodeInternal {
			t.Errorf("told %v, %v", d.Closed, err)
		}
		broken.Store(false)
		b := w.editor("author-2")
		want := strings.Repeat("x", n)
		b.holds(want)
		b.submit(session.Revision(n), 1, `["y"]`)
		b.holds("y" + want)
	})
}
