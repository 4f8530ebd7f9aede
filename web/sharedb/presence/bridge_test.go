package presence_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/json0"
	"quire/session"
	"quire/storage/mem"
	"quire/storage/storagetest"
	"quire/web/sharedb/presence"
)

// world is a session manager with a hub beside it, in a bubble of synctest.
type world struct {
	t     *testing.T
	store *storagetest.Faulty
	*session.Manager
	hub *presence.Hub
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, store: storagetest.NewFaulty(mem.New())}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	w.Manager = session.New(session.Options{Store: w.store, Types: []ot.Type{delta.Type{}, json0.Type{}}, Logger: quiet})
	w.hub = presence.New(presence.Options{Sessions: w.Manager, Logger: quiet})
	return w
}

func (w *world) stop() {
	w.hub.Close()
	if err := w.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
	time.Sleep(time.Hour) // the bubble's time, for the last timers
}

func (w *world) create(id, typ, content string) {
	w.t.Helper()
	if _, err := w.Create(context.Background(), id, typ, []byte(content), session.User{}); err != nil {
		w.t.Fatal(err)
	}
}

// editor edits through quire.v1.
type editor struct {
	*session.Subscription
	w    *world
	base session.Revision
	seq  uint64
}

func (w *world) editor(id, doc string) *editor {
	w.t.Helper()
	sub, opened, err := w.Open(context.Background(), session.OpenRequest{Doc: doc, Client: id, User: session.User{Name: "name of " + id, Color: "#c2410c"}, Notify: func() {}})
	if err != nil {
		w.t.Fatal(err)
	}
	return &editor{Subscription: sub, w: w, base: opened.Rev}
}

func (e *editor) take() {
	e.w.t.Helper()
	synctest.Wait()
	d, err := e.Take(context.Background())
	if err != nil || len(d.Rejections)+len(d.Errs) > 0 || d.Closed != nil {
		e.w.t.Fatal(d, err)
	}
	for _, b := range d.Batches {
		e.base = b.To
	}
}

func (e *editor) edit(op string) {
	e.w.t.Helper()
	e.take()
	e.seq++
	if err := e.Submit(e.base, e.seq, [][]byte{[]byte(op)}, nil); err != nil {
		e.w.t.Fatal(err)
	}
	e.take()
}

func (e *editor) cursor(c string) {
	e.w.t.Helper()
	e.take()
	if err := e.SetPresence(e.base, []byte(c), nil); err != nil {
		e.w.t.Fatal(err)
	}
	settle()
}

// settle lets a round of presence pass and everything that follows from it.
func settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

// said is a "p" message, its version counted from the first one.
func (m *member) said() (out []string) {
	m.t.Helper()
	for _, text := range m.news() {
		var p struct {
			A, Ch, Src, ID, C, D, T string
			P                       json.RawMessage
			PV                      uint64
			V                       int64
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			m.t.Fatal(text, err)
		}
		switch {
		case p.A != "p":
		case p.Ch != p.C+"."+p.D || p.T != presence.RichText:
			m.t.Error(text)
		case p.Src != p.ID || p.PV < 946684800000: // the bubble's clock begins in 2000
			out = append(out, fmt.Sprintf("%s/%s %s pv%d v%d", p.Src, p.ID, p.P, p.PV, p.V))
		default:
			out = append(out, fmt.Sprintf("%s %s v%d", p.Src, p.P, p.V))
		}
	}
	return out
}

func (m *member) hears(want ...string) {
	m.t.Helper()
	if got := m.said(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		m.t.Errorf("%s heard\n\t%s\nwant\n\t%s", m.Source(), strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

const who = `,"name":"name of ada","color":"#c2410c"}`

// Who comes to a channel is told once who is there, whether the bridge to the document is made for them or is there.
func TestToldOnce(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.stop()
			w.create("notes/p1", "delta", `[{"insert":"hello\n"}]`)
			w.editor("ada", "notes/p1").cursor("[[3,1],[5,5]]")
			members := []*member{join(t, w.hub, "A"), join(t, w.hub, "B"), join(t, w.hub, "C"), join(t, w.hub, "D")}
			for _, m := range members {
				go func() { m.ok(m.Subscribe("notes.p1", 1)) }()
			}
			settle()
			for _, m := range members {
				m.hears(`ada {"index":1,"length":2` + who + ` v1`)
			}
		})
	}
}

func TestBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.create("notes/p1", "delta", `[{"insert":"hello\n"}]`)
		ada := w.editor("ada", "notes/p1")
		ada.cursor("[[3,1],[5,5]]")
		a := join(t, w.hub, "A")
		a.ok(a.Subscribe("notes.p1", 1))
		settle()
		a.hears(`ada {"index":1,"length":2` + who + ` v1`)

		// Their edits move the cursor without a word; the next word is on the new version.
		ada.edit(`[{"insert":">> "}]`)
		settle()
		a.hears()
		b := join(t, w.hub, "B")
		b.ok(b.Subscribe("notes.p1", 1))
		settle()
		b.hears(`ada {"index":4,"length":2` + who + ` v2`)
		a.hears()
		ada.cursor("[[4,4]]")
		a.hears(`ada {"index":4,"length":0` + who + ` v2`)
		b.hears(`ada {"index":4,"length":0` + who + ` v2`)

		// An insert of the person's own at the cursor carries it along, another's does not.
		ada.edit(`[{"retain":4},{"insert":"xy"}]`)
		eve := w.editor("eve", "notes/p1")
		eve.edit(`[{"retain":6},{"insert":"z"}]`)
		settle()
		a.news()
		a.ok(a.Request("notes.p1"))
		settle()
		a.hears(`ada {"index":6,"length":0` + who + ` v4`)

		// A connection's own entry in the session is not told back.
		src := w.editor("A", "notes/p1")
		src.cursor("[[1,1]]")
		a.hears()
		b.gets(`{"a":"pr","ch":"notes.p1"}`)

		// No selection is no presence; leaving is none either.
		ada.cursor("[]")
		b.hears("ada null v4")
		ada.cursor("[[2,2]]")
		b.hears(`ada {"index":2,"length":0` + who + ` v4`)
		ada.Close()
		settle()
		b.hears("ada null v4")
		b.ok(b.Request("notes.p1"))
		settle()
		b.hears("ada null v4")

		a.Close()
		b.Close()
		settle()
		if st := w.hub.Stats(); st != (presence.Stats{}) {
			t.Errorf("%+v is left", st)
		}
		eve.Close()
		src.Close()
		settle()
		if n := w.Manager.Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// TestRemovalOnTheNewestVersion: a client that is past the version of a removal drops it
// and asks; the answer is on the version that there is by then.
func TestRemovalOnTheNewestVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.create("notes/p1", "delta", `[{"insert":"hello\n"}]`)
		ada := w.editor("ada", "notes/p1")
		a, b := join(t, w.hub, "A"), join(t, w.hub, "B")
		b.ok(b.Subscribe("notes.p1", 1))
		a.ok(a.Publish(in(value("notes.p1", "cur", `{"index":1,"length":0}`, 3), 1)))
		settle()
		b.hears(`A/cur {"index":1,"length":0} pv3 v1`)
		for range 3 {
			ada.edit(`[{"insert":"x"}]`)
		}
		a.Close()
		settle()
		b.hears("A/cur null pv3 v4")
		ada.edit(`[{"insert":"x"}]`)
		b.ok(b.Request("notes.p1"))
		settle()
		b.hears("A/cur null pv3 v5")

		// Back again, it is no longer told as removed.
		a = join(t, w.hub, "random")
		a.Rename("A")
		a.ok(a.Publish(in(value("notes.p1", "cur", `{"index":1,"length":0}`, 4), 5)))
		b.ok(b.Request("notes.p1"))
		settle()
		b.hears(`A/cur {"index":1,"length":0} pv4 v5`)
		a.Close()
		b.Close()
		ada.Close()
	})
}

// TestDocumentsTurn: documents that are not there yet, of another type, deleted, removed
// altogether, and created again.
func TestDocumentsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		a := join(t, w.hub, "A")
		a.ok(a.Subscribe("notes.p1", 1))
		a.ok(a.Subscribe("room", 2))
		settle()
		a.hears()
		w.create("notes/p1", "delta", `[{"insert":"hello\n"}]`)
		ada := w.editor("ada", "notes/p1")
		ada.cursor("[[3,1]]")
		a.hears(`ada {"index":1,"length":2` + who + ` v1`)

		del, _, err := w.Open(context.Background(), session.OpenRequest{Convention: session.Versioned, Doc: "notes/p1", Client: "del", Notify: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		defer del.Close()
		if err := del.Change(context.Background(), session.Change{Base: session.Head, Seq: 1, Op: session.Deletion{}}); err != nil {
			t.Fatal(err)
		}
		settle()
		a.hears("ada null v2")
		ada.Close()

		w.create("notes/p1", "json0", `{"a":1}`)
		del.Close()
		settle()
		if err := w.Delete(context.Background(), "notes/p1"); err != nil {
			t.Fatal(err)
		}
		settle()
		a.hears()
		w.create("notes/p1", "delta", `[{"insert":"again\n"}]`)
		time.Sleep(time.Minute)
		ada = w.editor("ada", "notes/p1")
		ada.cursor("[[3,3]]")
		a.hears(`ada {"index":3,"length":0` + who + ` v1`)

		// While the document cannot be read nothing is lost.
		b := join(t, w.hub, "B")
		b.ok(b.Publish(in(value("notes.p1", "cur", `{"index":1,"length":0}`, 3), 1)))
		a.hears(`B/cur {"index":1,"length":0} pv3 v1`)
		ada.Close()
		settle()
		a.hears("ada null v1")
		a.Close()
		b.Close()
	})
}

func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.create("notes/a.b", "delta", `[{"insert":"hello\n"}]`)
		time.Sleep(time.Hour) // it leaves memory
		w.store.Fail(storagetest.Read, 1000, nil)
		a := join(t, w.hub, "A")
		a.ok(a.Subscribe("notes.a.b", 1))
		settle()
		w.store.Heal()
		time.Sleep(time.Minute)
		ada := w.editor("ada", "notes/a.b")
		ada.cursor("[[3,1]]")
		a.hears(`ada {"index":1,"length":2` + who + ` v1`)

		// Where the dot is, only a publication tells.
		w.create("notes.a/b", "delta", `[{"insert":"hello\n"}]`)
		eve := w.editor("ada", "notes.a/b")
		eve.cursor("[[0,1]]")
		p := value("notes.a.b", "cur", "null", 3)
		p.Doc = &presence.Doc{Collection: "notes.a", ID: "b", Version: 1, Type: presence.RichText}
		a.hears()
		a.ok(a.Publish(p))
		settle()
		a.hears("A/cur null pv3 v1", `ada {"index":0,"length":1`+who+` v1`)
		a.Close()
		ada.Close()
		eve.Close()
	})
}

func TestFromPresence(t *testing.T) {
	for _, x := range []struct{ in, cursor, user string }{
		{`{"index":3,"length":5}`, "[[3,8]]", "-"},
		{` {"length":0,"index":0,"x":[1]} `, "[[0,0]]", "-"},
		{`{"index":3,"length":5,"name":"Ada","color":"#c2410c"}`, "[[3,8]]", "Ada #c2410c"},
		{`{"index":3,"length":5,"name":"Ada\n\ufffd Lovelace, \ud83c\udf0d","color":"red"}`, "[[3,8]]", "Ada Lovelace, "},
		{`{"index":3,"length":5,"name":7,"color":"#C2410C"}`, "[[3,8]]", " #C2410C"},
		{`{"index":3,"length":5,"color":"#c2410"}`, "[[3,8]]", "-"},
		{`{"index":3,"length":5,"color":"#c2410g"}`, "[[3,8]]", "-"},
		{"null", "[]", "-"}, {"", "[]", "-"},
	} {
		cursor, user, ok := presence.FromPresence([]byte(x.in), 16)
		got := "-"
		if user != nil {
			got = user.Name + " " + user.Color
		}
		if strings.TrimRight(got, " ") != strings.TrimRight(x.user, " ") || string(cursor) != x.cursor || !ok {
			t.Errorf("%s: %s, %q, %v", x.in, cursor, got, ok)
		}
	}
	for _, in := range []string{"7", `"x"`, "{}", "[]", "{", `{"index":3}`, `{"length":3}`, `{"index":-1,"length":1}`, `{"index":1.5,"length":1}`, `{"index":1,"length":1e99}`, `{"index":"1","length":1}`} {
		if cursor, user, ok := presence.FromPresence([]byte(in), 16); ok {
			t.Errorf("%s: %s, %v", in, cursor, user)
		}
	}
}

func FuzzFromPresence(f *testing.F) {
	f.Add([]byte(`{"index":3,"length":5,"name":"Ada","color":"#c2410c"}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, value []byte) {
		cursor, user, ok := presence.FromPresence(value, 16)
		if !ok {
			return
		}
		if _, err := (delta.Type{}).DecodeCursor(cursor, ot.Limits{}); err != nil {
			t.Errorf("%q: the cursor %s: %v", value, cursor, err)
		}
		if user != nil && (len(user.Name) > 16 || user.Color != "" && len(user.Color) != 7) {
			t.Errorf("%q: %+v", value, user)
		}
	})
}
