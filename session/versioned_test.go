package session_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot"
	"quire/ot/json0"
	"quire/ot/text"
	"quire/session"
	"quire/storage"
	"quire/storage/mem"
	"quire/storage/storagetest"
)

// other is text under another name, for documents whose type changes.
type other struct{ text.Type }

func (other) Name() string { return "other" }

// member is a Versioned reader that applies what it is given.
type member struct {
	*session.Subscription
	w      *world
	id     string
	opened *session.Opened
	rev    session.Revision
	typ    ot.Type
	doc    ot.Doc
	own    []string // "seq@rev" of each acknowledgement
	closed *session.Error
}

// from opens the document at a revision; Head is without one.
func (w *world) from(id string, rev session.Revision) *member {
	w.t.Helper()
	m := &member{w: w, id: id}
	req := session.OpenRequest{Convention: session.Versioned, Doc: "doc", Client: id, Notify: func() {}}
	if rev != session.Head {
		req.Resume, req.Rev = true, rev
	}
	var err error
	if m.Subscription, m.opened, err = w.Open(context.Background(), req); err != nil {
		w.t.Fatal(err)
	}
	m.rev = m.opened.Rev
	v, err := w.View(context.Background(), "doc", m.rev)
	if err != nil {
		w.t.Fatal(err)
	}
	m.typ, m.doc = v.Type, v.Doc
	if typ, doc := m.opened.Doc(); rev == session.Head && (typ != m.typ || doc != m.doc) {
		w.t.Fatalf("opened with %v, a view has %v", doc, m.doc)
	}
	return m
}

func (m *member) try(base session.Revision, seq uint64, op any) error {
	c := session.Change{Base: base, Seq: seq, Type: m.typ, Op: op}
	if s, ok := op.(string); ok {
		if c.Type == nil {
			c.Type = text.Type{}
		}
		decoded, err := c.Type.DecodeOp([]byte(s), ot.Limits{})
		if err != nil {
			m.w.t.Fatal(err)
		}
		c.Op = decoded
	}
	return m.Change(context.Background(), c)
}

func (m *member) change(base session.Revision, seq uint64, op any) {
	m.w.t.Helper()
	if err := m.try(base, seq, op); err != nil {
		m.w.t.Fatal(err)
	}
}

func (m *member) refused(base session.Revision, seq uint64, op any, want session.Code) {
	m.w.t.Helper()
	if err := m.try(base, seq, op); code(err) != want {
		m.w.t.Errorf("%v on %d: %v, want %s", op, base, err, want)
	}
}

// take takes everything there is.
func (m *member) take() {
	m.w.t.Helper()
	time.Sleep(5 * time.Millisecond) // the bubble's time
	for more := true; more; {
		synctest.Wait()
		d, err := m.Take(context.Background())
		if err != nil {
			m.w.t.Fatal(err)
		}
		for _, b := range d.Batches {
			if b.From != m.rev {
				m.w.t.Fatalf("%s: a batch from %d at %d", m.id, b.From, m.rev)
			}
			for _, it := range b.Items {
				if it.N != 1 {
					m.w.t.Fatalf("%s was given a composite", m.id)
				}
				m.rev++
				switch op := it.Op.(type) {
				case session.Creation:
					m.typ, m.doc = op.Type, op.Doc
				case session.Deletion:
					m.typ, m.doc = nil, nil
				default:
					if b.Type() != m.typ {
						m.w.t.Fatalf("%s: a batch of type %v on a document of type %v", m.id, b.Type(), m.typ)
					}
					if m.doc, err = m.typ.Apply(m.doc, op); err != nil {
						m.w.t.Fatal(err)
					}
				}
				if it.Client == m.id {
					m.own = append(m.own, fmt.Sprintf("%d@%d", it.Seq, m.rev))
				}
			}
		}
		for _, a := range d.Acks {
			m.own = append(m.own, fmt.Sprintf("again %d@%d", a.Seq, a.Rev))
		}
		for _, r := range d.Rejections {
			m.own = append(m.own, fmt.Sprintf("no %d: %s", r.Seq, r.Err.Code))
		}
		m.closed = d.Closed
		more = d.More
	}
}

func form(typ ot.Type, doc ot.Doc) string {
	if typ == nil {
		return "nothing"
	}
	return typ.Name() + " " + string(typ.AppendDoc(nil, doc))
}

// holds checks what a member has after taking everything, and what it was told of its
// own operations since.
func (m *member) holds(rev session.Revision, want string, own ...string) {
	m.w.t.Helper()
	m.take()
	if got := form(m.typ, m.doc); m.rev != rev || got != want {
		m.w.t.Errorf("%s holds %s at %d, want %s at %d", m.id, got, m.rev, want, rev)
	}
	if fmt.Sprint(m.own) != fmt.Sprint(own) {
		m.w.t.Errorf("%s was told %v, want %v", m.id, m.own, own)
	}
	m.own = nil
}

// views checks a document's past.
func (w *world) views(want map[session.Revision]string) {
	w.t.Helper()
	for rev, form1 := range want {
		v, err := w.View(context.Background(), "doc", rev)
		if err != nil || v.Rev != rev || form(v.Type, v.Doc) != form1 {
			w.t.Errorf("revision %d is %s, %v; want %s", v.Rev, form(v.Type, v.Doc), err, form1)
		}
	}
}

// verified checks the log of the document.
func (w *world) verified() {
	w.t.Helper()
	_, err := session.Verify(context.Background(), w.store, allTypes(), "doc", func(rev session.Revision, what string) {
		w.t.Errorf("revision %d: %s", rev, what)
	})
	if err != nil {
		w.t.Error(err)
	}
}

func created(typ ot.Type, content string) session.Creation {
	doc, err := typ.Create([]byte(content))
	if err != nil {
		panic(err)
	}
	return session.Creation{Type: typ, Doc: doc}
}

func TestLivesOfADocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{SnapshotOps: 2, Limits: session.Limits{Window: 3}}, nil)
		ctx := context.Background()
		a, b := w.from("author-1", session.Head), w.from("author-2", session.Head)
		if a.opened.Type != "" || a.rev != session.Unborn {
			t.Fatalf("a missing document opened as %q at %d", a.opened.Type, a.rev)
		}
		if infos, err := w.List(ctx, "", "", 10); err != nil || len(infos) != 0 {
			t.Errorf("waiting for a document made it: %v, %v", infos, err)
		}
		a.refused(session.Unborn, 1, `["x"]`, session.CodeNotFound)
		a.refused(session.Unborn, 1, session.Deletion{}, session.CodeNotFound)
		a.refused(0, 1, `["x"]`, session.CodeFuture)
		if _, err := w.open(session.OpenRequest{Client: "author-3", Resume: true, Incarnation: 1}); code(err) != session.CodeNotFound {
			t.Errorf("a missing document opened: %v", err)
		}

		born := time.Now()
		a.change(session.Head, 4, created(text.Type{}, `"one"`)) // numbers need not begin at 1
		b.holds(0, `text "one"`)
		a.holds(0, `text "one"`, "4@0")
		b.refused(session.Head, 1, created(text.Type{}, `"two"`), session.CodeExists)
		b.refused(session.Unborn, 1, created(text.Type{}, `"two"`), session.CodeExists)

		sequenced := w.editor("author-3")
		sequenced.submit(0, 1, `[3,"!"]`)
		a.holds(1, `text "one!"`)
		b.change(0, 2, `[3,"?"]`) // on an older base; Left of what was committed
		b.holds(2, `text "one?!"`, "2@2")

		died := time.Now()
		a.change(1, 5, session.Deletion{})
		a.holds(3, "nothing", "5@3")
		if d := sequenced.take(); d.Closed == nil || d.Closed.Code != session.CodeDeleted {
			t.Errorf("the reader by sequence was told %v", d.Closed)
		}
		if err := sequenced.try(2, 2, `["x"]`); code(err) != session.CodeDeleted {
			t.Errorf("its edit: %v", err)
		}
		b.refused(2, 3, `["late"]`, session.CodeDeleted)
		b.refused(3, 3, `["late"]`, session.CodeNotFound)
		b.change(2, 3, session.Deletion{}) // deleted by both
		b.holds(4, "nothing", "3@4")
		if infos, err := w.List(ctx, "", "", 10); err != nil || len(infos) != 0 {
			t.Errorf("a deleted document is listed: %v, %v", infos, err)
		}
		if _, err := w.open(session.OpenRequest{Client: "author-3", Resume: true, Incarnation: sequenced.opened.Incarnation, Rev: 2, Seq: 1}); code(err) != session.CodeNotFound {
			t.Errorf("a deleted document was opened: %v", err)
		}

		time.Sleep(time.Second)
		b.refused(2, 6, created(other{}, `"new"`), session.CodeDeleted)
		b.change(4, 6, created(other{}, `"new"`))
		a.holds(5, `other "new"`)
		b.refused(4, 7, `["x"]`, session.CodeExists) // made before it was created
		if _, err := w.open(session.OpenRequest{Client: "author-3", Resume: true, Incarnation: sequenced.opened.Incarnation, Rev: 2, Seq: 1}); code(err) != session.CodeIncarnation {
			t.Errorf("going on in a new life: %v", err)
		}
		if err := b.Change(ctx, session.Change{Base: 5, Seq: 7, Type: text.Type{}, Op: text.Op(nil)}); code(err) != session.CodeBadOp {
			t.Errorf("an operation of another type: %v", err)
		}
		a.change(5, 6, `[3,"er"]`)
		a.holds(6, `other "newer"`, "6@6")

		past := map[session.Revision]string{-1: "nothing", 0: `text "one"`, 1: `text "one!"`, 2: `text "one?!"`, 3: "nothing", 4: "nothing", 5: `other "new"`, 6: `other "newer"`}
		w.views(past)
		for _, c := range []struct {
			at  time.Time
			rev session.Revision
		}{{born.Add(-time.Second), -1}, {born, 0}, {died.Add(500 * time.Millisecond), 4}, {time.Now(), 6}, {time.Time{}, -1}} {
			if rev, err := w.RevisionAt(ctx, "doc", c.at); err != nil || rev != c.rev {
				t.Errorf("at %v revision %d, %v; want %d", c.at.Sub(born), rev, err, c.rev)
			}
		}
		c := w.from("author-4", session.Unborn) // all of it, from the store
		c.holds(6, `other "newer"`)
		for rev := range past {
			w.from("author-5", rev).holds(6, `other "newer"`)
		}
		w.stop()

		w = newWorld(t, session.Options{}, w.store)
		defer w.stop()
		w.views(past)
		d := w.from("author-1", session.Head)
		d.holds(6, `other "newer"`)
		d.change(3, 6, `[3,"er"]`) // sent again
		d.holds(6, `other "newer"`, "again 6@6")
		d.refused(6, 5, session.Deletion{}, session.CodeSeq)
		w.verified()
	})
}

// A client that lost the answer to a creation sends it again.
func TestCreationSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		a := w.from("author-1", session.Head)
		gate := w.store.Block(storagetest.Create)
		a.change(session.Head, 1, created(text.Type{}, `"x"`))
		<-gate.Arrived()
		a.Close()
		a = w.from("author-1", session.Head)
		a.change(session.Head, 1, created(text.Type{}, `"x"`))
		b := w.from("author-2", session.Head)
		b.change(session.Head, 1, created(text.Type{}, `"y"`)) // refused once it is durable that it is too late
		b.holds(session.Unborn, "nothing")
		gate.Open()
		a.holds(0, `text "x"`, "1@0")
		b.holds(0, `text "x"`, "no 1: exists")
		w.stop()
		w = newWorld(t, session.Options{}, w.store)
		defer w.stop()
		a = w.from("author-1", session.Head)
		a.change(session.Head, 1, created(text.Type{}, `"x"`))
		a.holds(0, `text "x"`, "again 1@0")
		w.verified()
	})
}

func TestCreatingOnAFailingStore(t *testing.T) {
	bubble("refused", t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		w.store.Fail(storagetest.Create, 100, fmt.Errorf("disk on fire"))
		if _, err := w.Manager.Create(ctx, "doc", "text", nil, session.User{}); code(err) != session.CodeUnavailable {
			t.Errorf("on a failing store: %v", err)
		}
		waiting := w.from("author-1", session.Head)
		waiting.change(session.Head, 1, created(text.Type{}, `"kept"`)) // this one is tried until it is there
		time.Sleep(time.Second)
		w.store.Heal()
		time.Sleep(10 * time.Second)
		waiting.holds(0, `text "kept"`, "1@0")
		if _, err := w.Manager.Create(ctx, "doc", "text", nil, session.User{}); code(err) != session.CodeExists {
			t.Errorf("there already: %v", err)
		}
		if _, err := w.Manager.Create(ctx, "doc2", "text", []byte(`"hi"`), session.User{}); err != nil {
			t.Error(err)
		}
		if v, err := w.View(ctx, "doc2", session.Head); err != nil || form(v.Type, v.Doc) != `text "hi"` {
			t.Errorf("created with content: %v, %v", v, err)
		}
		if _, err := w.Manager.Create(ctx, "doc3", "text", []byte(`17`), session.User{}); code(err) != session.CodeBadOp {
			t.Errorf("created with content of another type: %v", err)
		}
	})
	for _, applied := range []bool{true, false} {
		bubble(fmt.Sprintf("unknown/applied=%t", applied), t, func(t *testing.T) {
			w := newWorld(t, session.Options{}, storagetest.NewFaulty(&doubtful{Store: mem.New(), applied: applied, times: 2}))
			defer w.stop()
			a := w.from("author-1", session.Head)
			a.change(session.Head, 1, created(text.Type{}, `"x"`))
			time.Sleep(10 * time.Second)
			a.holds(0, `text "x"`, "1@0")
			a.change(0, 2, `[1,"y"]`)
			a.holds(1, `text "xy"`, "2@1")
			w.verified()
		})
	}
}

// doubtful is a store whose first creations end without saying how.
type doubtful struct {
	*mem.Store
	applied bool
	times   int
}

func (d *doubtful) Create(ctx context.Context, id string, first storage.Record) (storage.Info, error) {
	if d.times > 0 {
		d.times--
		if d.applied {
			if info, err := d.Store.Create(ctx, id, first); err != nil {
				return info, err
			}
		}
		return storage.Info{}, storage.ErrUnknown
	}
	return d.Store.Create(ctx, id, first)
}

// Bases that are no longer in memory are served from the store.
func TestOldBases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Limits: session.Limits{Window: 4, Work: 400}}, nil)
		defer w.stop()
		a, b := w.from("author-1", session.Head), w.from("author-2", session.Head)
		a.change(session.Head, 1, created(text.Type{}, `"."`))
		a.take()
		want := "."
		for i := range 40 {
			a.change(a.rev, uint64(i+2), `["a"]`)
			a.take()
			want = "a" + want
		}
		a.own = nil
		b.change(0, 1, `[1,"b"]`)
		b.holds(41, fmt.Sprintf("text %q", want+"b"), "1@41")
		for i := range 200 {
			a.change(a.rev, uint64(i+100), `["a"]`)
			a.take()
		}
		b.refused(0, 2, `[1,"b"]`, session.CodeStale)
		b.change(0, 3, session.Deletion{})
		b.take()
		if form(b.typ, b.doc) != "nothing" {
			t.Error("a deletion on an old base was not applied")
		}
		a.refused(b.rev-10, 1000, `["x"]`, session.CodeDeleted)
		a.refused(-2, 1000, `["x"]`, session.CodeFuture)
		w.verified()
	})
}

func TestPurgeTellsVersionedReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		var seen []string
		stop := w.Watch(func(doc string) { seen = append(seen, doc) })
		a := w.from("author-1", session.Head)
		a.change(session.Head, 1, created(text.Type{}, `"x"`))
		a.take()
		if err := w.Delete(context.Background(), "doc"); err != nil {
			t.Fatal(err)
		}
		if a.take(); a.closed == nil || a.closed.Code != session.CodeDeleted {
			t.Errorf("told %v", a.closed)
		}
		b := w.from("author-1", session.Head)
		b.change(session.Head, 1, created(text.Type{}, `"anew"`)) // purged, so its numbers are forgotten
		b.holds(0, `text "anew"`, "1@0")
		if len(seen) != 3 {
			t.Errorf("watched %q", seen)
		}
		stop()
		b.change(0, 2, session.Deletion{})
		b.take()
		if len(seen) != 3 {
			t.Errorf("watched %q after stopping", seen)
		}
	})
}

func TestMoveCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a, b := w.from("author-1", session.Head), w.from("author-2", session.Head)
		a.change(session.Head, 1, created(text.Type{}, `"abc"`))
		a.take()
		a.change(0, 2, `["x"]`)
		a.take()
		for _, c := range []struct {
			m    *member
			base session.Revision
			at   int
			want string
		}{
			{a, 0, 0, "[[1,1]] at 1"}, {b, 0, 0, "[[0,0]] at 1"}, {b, 0, 2, "[[3,3]] at 1"}, {b, 1, 2, "[[2,2]] at 1"}, {b, 7, 2, "[[2,2]] at 7"},
		} {
			moved, rev, err := c.m.MoveCursor(text.Type{}, c.base, text.Cursor{{c.at, c.at}})
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%s at %d", text.Type{}.AppendCursor(nil, moved), rev); got != c.want {
				t.Errorf("%s from %d: %s, want %s", c.m.id, c.base, got, c.want)
			}
		}
		if _, _, err := b.MoveCursor(json0.Type{}, 0, json0.Cursor{{json0.Name("a")}}); code(err) != session.CodeBadCursor {
			t.Errorf("of another type: %v", err)
		}
		a.change(1, 3, session.Deletion{})
		a.take()
		if _, _, err := b.MoveCursor(text.Type{}, 1, text.Cursor{{0, 0}}); code(err) != session.CodeDeleted {
			t.Errorf("in a deleted document: %v", err)
		}
	})
}
