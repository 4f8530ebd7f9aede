package session_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot/diff"
	"quire/session"
	"quire/storage"
	"quire/storage/storagetest"
)

// stored returns everything that the store has of "doc", as text.
func (w *world) stored() string {
	w.t.Helper()
	ctx := context.Background()
	info, err := w.store.Stat(ctx, "doc")
	if err != nil {
		w.t.Fatal(err)
	}
	var out bytes.Buffer
	for rev := info.Oldest; rev < info.Head; {
		recs, err := w.store.Read(ctx, "doc", rev, info.Head)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range recs {
			fmt.Fprintf(&out, "%s by %s\n", r.Op, r.Author)
		}
		rev += storage.Revision(len(recs))
	}
	revs, err := w.store.Snapshots(ctx, "doc")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, rev := range revs {
		s, err := w.store.Snapshot(ctx, "doc", rev)
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s at %d\n", s.Data, rev)
	}
	notes, err := w.store.Notes(ctx, "doc", "label/", "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, n := range notes {
		fmt.Fprintf(&out, "%s %s\n", n.Key, n.Value)
	}
	return out.String()
}

func (w *world) redact(r session.Redaction, want int) {
	w.t.Helper()
	if n, err := w.Redact(context.Background(), "doc", r); err != nil || n != want {
		w.t.Fatalf("%d revisions were redacted, %v, want %d", n, err, want)
	}
}

// secrets are documents of every type in whose past there is a secret.
var secrets = []struct {
	typ, content string
	ops          []string
	secret       string
	head         string // before
	after        string // afterwards
	filled       string // revision 1, afterwards
	n            int    // revisions that change
}{
	{"text", `"one two three"`, []string{`[3," sec",-1]`, `[7,"ret "]`, `["<"]`, `[5,-7]`}, "secret", `"<one two three"`, `"<one two three"`, `"one ███two three"`, 2},
	{"text-unicode", `"one 😀 three"`, []string{`[4,"sec"]`, `[7,"r😀t "]`, `["<"]`}, "secr😀t", `"<one secr😀t 😀 three"`, `"<one  😀 three"`, `"one ███😀 three"`, 2},
	{"text0", `"one two three"`, []string{`[{"p":4,"i":"secret "}]`, `[{"p":0,"i":"<"}]`, `[{"p":5,"d":"secret "}]`}, "secret", `"<one two three"`, `"<one two three"`, `"one ██████ two three"`, 2},
	{"delta", `[{"insert":"one two\n"}]`, []string{`[{"retain":4},{"insert":"sec"}]`, `[{"retain":7},{"insert":"ret ","attributes":{"bold":true}}]`, `[{"insert":"<"}]`, `[{"retain":5},{"delete":7}]`}, "secret", `[{"insert":"<one two\n"}]`, `[{"insert":"<one two\n"}]`, `[{"insert":"one ███two\n"}]`, 2},
	{"json0", `{"a":[1],"b":"a secret"}`, []string{`[{"p":["a",0],"li":["secret"]}]`, `[{"p":["b",2],"sd":"secret"}]`, `[{"p":["a",0],"ld":["secret"]}]`}, "secret", `{"a":[1],"b":"a "}`, `{"a":[1],"b":"a "}`, `{"a":[["██████"],1],"b":"a ██████"}`, 4},
}

// TestRedactText takes a text out of every revision, snapshot and record of a document of every type.
func TestRedactText(t *testing.T) {
	for _, c := range secrets {
		bubble(c.typ, t, func(t *testing.T) {
			ctx := context.Background()
			opt := session.Options{Diff: diff.Between}
			w := newWorld(t, opt, nil)
			w.made(c.typ, c.content)
			for _, op := range c.ops {
				if got := w.edit(session.Head, op, by("ann")); !strings.Contains(got, " ") {
					t.Fatal(op, got)
				}
			}
			w.head(c.typ + " " + c.head)
			w.label("early", 1)
			info, err := w.store.Stat(ctx, "doc")
			if err != nil {
				t.Fatal(err)
			}
			v, err := w.View(ctx, "doc", 2)
			if err != nil {
				t.Fatal(err)
			}
			snap := storage.Snapshot{Rev: 2, Type: c.typ, Data: v.Type.MarshalDoc(nil, v.Doc)}
			if err := w.store.PutSnapshot(ctx, "doc", info.Incarnation, snap); err != nil {
				t.Fatal(err)
			}
			was := w.forms()
			w.redact(session.Redaction{Text: c.secret, By: session.User{Name: "the redactor"}}, c.n)
			for range 2 {
				now := w.forms()
				for rev := range was {
					if strings.Contains(now[rev], c.secret) {
						t.Errorf("revision %d is %s", rev, now[rev])
					}
				}
				w.head(c.typ + " " + c.after)
				is(t, "revision 1", now[1], c.typ+" "+c.filled)
				if s := w.stored(); strings.Contains(s, c.secret) {
					t.Errorf("the store has\n%s", s)
				}
				w.verified()
				w = w.again(opt)
			}
			// Nothing is left to do.
			w.redact(session.Redaction{Text: c.secret}, 0)
			w.stop()
		})
	}
}

// TestRedactInTheHead takes out what is in the newest revision, by an operation that whoever
// has the document open sees, and what was only ever part of an occurrence.
func TestRedactInTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Diff: diff.Between}, nil)
		e := w.editor("client-1")
		e.submit(0, 1, `["a secret and b"]`)
		e.take()
		e.submit(1, 2, `[8,-1," secret"]`) // "a secret secretand b"
		e.take()
		e.submit(2, 3, `[3,-1]`) // "a scret secretand b"
		e.holds("a scret secretand b")
		// What is left of the first is redacted with it.
		w.redact(session.Redaction{Text: "secret", By: session.User{Name: "bob"}}, 2)
		e.take()
		w.head(`text "a  and b"`)
		for rev, got := range w.forms() {
			if strings.Contains(got, "s") && strings.Contains(got, "cret") {
				t.Errorf("revision %d is %s", rev, got)
			}
		}
		entries, err := w.Entries(t.Context(), "doc", 3, session.Head, 10)
		if err != nil || len(entries) == 0 || entries[0].Author != "bob" {
			t.Errorf("%+v, %v", entries, err)
		}
		w.verified()
		e.Close()
		w.stop()
	})
}

// TestRedactDeletes leaves no filler in the newest revision of a document of any type, but in names.
func TestRedactDeletes(t *testing.T) {
	for _, c := range []struct{ typ, content, after string }{
		{"text", `"a secret <b>"`, `"a  <b>"`},
		{"text-unicode", `"😀 secret"`, `"😀 "`},
		{"text0", `"a secret"`, `"a "`},
		{"delta", `[{"insert":"secret"},{"insert":"sec","attributes":{"bold":true}},{"insert":"ret & so on"},{"insert":{"image":"/secret/1"},"attributes":{"alt":"a secret","width":12345678901234567}},{"insert":"\n"}]`,
			`[{"insert":" & so on"},{"attributes":{"alt":"a ","width":12345678901234567},"insert":{"image":"//1"}},{"insert":"\n"}]`},
		{"json0", `{"a":["secret",1e3,{"b":"no secret <b>"}],"a secret":{"c":"secret"},"n":null}`, `{"a":["",1e3,{"b":"no  <b>"}],"a ██████":{"c":""},"n":null}`},
	} {
		bubble(c.typ, t, func(t *testing.T) {
			w := newWorld(t, session.Options{Diff: diff.Between}, nil)
			w.made(c.typ, c.content)
			v, err := w.View(t.Context(), "doc", 0)
			if err != nil {
				t.Fatal(err)
			}
			want, err := v.Type.Create([]byte(c.after))
			if err != nil {
				t.Fatal(err)
			}
			reader := w.from("reader", session.Head)
			if _, err := w.Redact(t.Context(), "doc", session.Redaction{Text: "secret"}); err != nil {
				t.Fatal(err)
			}
			w.head(c.typ + " " + string(v.Type.AppendDoc(nil, want)))
			if c.typ != "text0" && c.typ != "json0" { // whose operations say what they delete
				again := w.from("reader", reader.rev)
				again.doc = reader.doc // as it was
				again.take()
				is(t, "what a reader has who was away", string(v.Type.AppendDoc(nil, again.doc)), string(v.Type.AppendDoc(nil, want)))
				again.Close()
			}
			reader.Close()
			w.verified()
			w.stop()
		})
	}
}

// TestRedactKeepsWhatIsPending redacts while people type: their sessions end so that they open
// the document again, and what was not written yet is.
func TestRedactKeepsWhatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Diff: diff.Between}, nil)
		e := w.editor("client-1")
		e.submit(0, 1, `["a secret"]`)
		e.take()
		e.submit(1, 2, `[1,-7]`)
		e.holds("a")
		offline := w.editor("client-2") // will have missed the redaction
		gate := w.store.Block(storagetest.Rewrite)
		redacted := make(chan error, 1)
		edited := make(chan error, 1)
		go func() {
			_, err := w.Redact(t.Context(), "doc", session.Redaction{Text: "secret"})
			redacted <- err
		}()
		<-gate.Arrived()
		e.submit(2, 3, `[1,"!"]`) // it waits
		go func() {
			_, err := w.Edit(t.Context(), "doc", 2, ops(`["x"]`), by("script"))
			edited <- err
		}()
		synctest.Wait()
		says(t, "another one meanwhile", func() error { return w.Rename(t.Context(), "doc", "new") }(), session.CodeBusy, "")
		gate.Open()
		if err := <-redacted; err != nil {
			t.Fatal(err)
		}
		says(t, "who waits for an edit", <-edited, session.CodeUnavailable, "send it again")
		if d := e.take(); d.Closed == nil || d.Closed.Code.Class() != session.Resync || e.text != "a" {
			t.Fatalf("the reader of %q is told %v", e.text, d.Closed)
		}
		resumed, err := w.open(session.OpenRequest{Client: "client-1", Resume: true, Incarnation: e.opened.Incarnation, Rev: e.rev, Seq: 2})
		if err != nil {
			t.Fatal(err)
		}
		resumed.text = e.text
		resumed.submit(e.rev, 3, `[1,"!"]`)
		resumed.holds("a!")
		// Who holds an old revision comes to the same content.
		late, err := w.open(session.OpenRequest{Client: "client-3", Resume: true, Incarnation: e.opened.Incarnation, Rev: 1})
		if err != nil {
			t.Fatal(err)
		}
		late.text = "a secret"
		late.holds("a!")
		for _, s := range []*editor{e, offline, resumed, late} {
			s.Close()
		}
		w.verified()
		w.stop()
	})
}

// TestRedactNothing leaves a document alone in which there is nothing to redact.
func TestRedactNothing(t *testing.T) {
	for _, c := range secrets {
		bubble(c.typ, t, func(t *testing.T) {
			w := newWorld(t, session.Options{Diff: diff.Between}, nil)
			w.made(c.typ, c.content)
			for _, op := range c.ops {
				w.edit(session.Head, op, by("ann"))
			}
			w.label("by bob", 1)
			w.squash(session.Keep{Count: 2}, session.Revision(len(c.ops)-1))
			reader := w.from("reader", session.Head)
			was := w.stored()
			w.redact(session.Redaction{Text: "not there"}, 0)
			w.redact(session.Redaction{Author: "nobody", As: "somebody"}, 0)
			w.redact(session.Redaction{Author: "ann", As: "ann"}, 0)
			if n := w.store.Calls(storagetest.Rewrite); n > 0 {
				t.Errorf("the past was written anew %d times", n)
			}
			if reader.take(); reader.closed != nil {
				t.Errorf("a reader is told %v", reader.closed)
			}
			is(t, "the store", w.stored(), was)
			reader.Close()
			w.stop()
		})
	}
}

// TestRedactInALabelledRevision takes out what only a snapshot has that is kept for a label.
func TestRedactInALabelledRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Diff: diff.Between}, nil)
		w.made("text", `"a secret"`)
		w.edit(session.Head, `[1,-7]`, by("ann"))
		w.edit(session.Head, `["b"]`, by("ann"))
		w.label("here", 0)
		w.squash(session.Keep{Count: 1}, 2)
		w.redact(session.Redaction{Text: "secret"}, 0)
		if s := w.stored(); strings.Contains(s, "secret") || !strings.Contains(s, "██████") {
			t.Errorf("the store has\n%s", s)
		}
		w.verified()
		w.stop()
	})
}

// TestRedactAuthor gives an author another name, in records, labels and authorship.
func TestRedactAuthor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		w.made("text", `"x"`)
		for i := range 10 {
			w.edit(session.Head, `["a"]`, by([]string{"ann", "bob"}[i%2]))
		}
		w.label("by ann", 5)
		w.squash(session.Keep{Count: 5}, 6)
		w.redact(session.Redaction{Author: "nobody", As: "x"}, 0)
		was := w.forms()
		w.redact(session.Redaction{Author: "ann", As: "somebody"}, 2)
		is(t, "the content", fmt.Sprint(w.forms()), fmt.Sprint(was))
		s := w.stored()
		if strings.Contains(s, " ann\n") || strings.Count(s, "by somebody\n") != 2 || !strings.Contains(s, `"author":"somebody"`) {
			t.Errorf("the store has\n%s", s)
		}
		w.redact(session.Redaction{Author: "bob"}, 2)
		if s := w.stored(); strings.Contains(s, "bob") {
			t.Errorf("the store has\n%s", s)
		}
		w.verified()
		w.stop()
	})
}

// TestRedactAfterSquash redacts a past that begins with a snapshot, and what labels keep of
// before.
func TestRedactAfterSquash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Diff: diff.Between}, nil)
		w.made("text", `"a secret"`)
		for range 5 {
			w.edit(session.Head, `[1,"!"]`, by("ann"))
		}
		w.edit(session.Head, `[7,-6]`, by("ann"))
		w.label("here", 2)
		w.squash(session.Keep{Count: 4}, 3)
		w.redact(session.Redaction{Text: "secret"}, 0) // the deletion does not say what it deletes
		is(t, "the past", fmt.Sprint(w.forms()), `[gone gone text "a!! ██████" text "a!!! ██████" text "a!!!! ██████" text "a!!!!! ██████" text "a!!!!! "]`)
		if s := w.stored(); strings.Contains(s, "secret") {
			t.Errorf("the store has\n%s", s)
		}
		w.verified()
		w.squash(session.Keep{Count: 1}, 6)
		w.redact(session.Redaction{Text: "a"}, 0)
		w.stop()
	})
}

// TestRedactThroughLives redacts each life of a document by itself.
func TestRedactThroughLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Diff: diff.Between}, nil)
		w.made("text", `"a secret"`)
		r := w.from("client-1", session.Head)
		r.change(session.Head, 1, session.Deletion{})
		r.take()
		w.made("json0", `{"secret":["a secret"]}`)
		w.edit(session.Head, `[{"p":["secret"],"od":["a secret"]}]`, by("ann"))
		r.change(session.Head, 2, session.Deletion{})
		r.take()
		r.Close()
		w.redact(session.Redaction{Text: "secret"}, 3)
		for rev, got := range w.forms() {
			if strings.Contains(got, "secret") {
				t.Errorf("revision %d is %s", rev, got)
			}
		}
		if s := w.stored(); strings.Contains(s, "secret") {
			t.Errorf("the store has\n%s", s)
		}
		w.verified()
		w.stop()
	})
}

// TestRedactRefuses what is no redaction, or cannot be done.
func TestRedactRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Diff: diff.Between}, nil)
		defer w.stop()
		redact := func(r session.Redaction) error { _, err := w.Redact(t.Context(), "doc", r); return err }
		says(t, "of no document", redact(session.Redaction{Text: "x"}), session.CodeNotFound, "")
		w.made("other", `"a secret"`)
		w.edit(session.Head, `["x"]`, by("ann"))
		says(t, "nothing", redact(session.Redaction{As: "x"}), session.CodeBadMessage, "neither")
		says(t, "a long text", redact(session.Redaction{Text: strings.Repeat("x", 10_001)}), session.CodeTooLarge, "limit 10000")
		says(t, "what is not UTF-8", redact(session.Redaction{Text: "\xff"}), session.CodeBadMessage, "UTF-8")
		says(t, "a long author", redact(session.Redaction{Author: strings.Repeat("x", 256)}), session.CodeTooLarge, "limit 255")
		says(t, "a long name", redact(session.Redaction{Author: "x", As: strings.Repeat("x", 65)}), session.CodeTooLarge, "limit 64")
		says(t, "a name with a line break", redact(session.Redaction{Author: "x", As: "a\nb"}), session.CodeBadMessage, "control")
		w.store.Fail(storagetest.Rewrite, 1, nil)
		says(t, "with a broken disk", redact(session.Redaction{Author: "ann"}), session.CodeUnavailable, "")
		w.redact(session.Redaction{Author: "ann"}, 1) // and then it can
	})
}

// TestRedactLives redacts a document that was deleted and created again, with a snapshot in each life: the secret
// is in some of them, typed or put in at once.
func TestRedactLives(t *testing.T) {
	for _, c := range secrets {
		bubble(c.typ, t, func(t *testing.T) {
			ctx := t.Context()
			w := newWorld(t, session.Options{}, nil)
			create := func(content string) {
				if _, err := w.Create(ctx, "doc", c.typ, []byte(content), session.User{Name: "maker"}); err != nil {
					t.Fatal(err)
				}
			}
			snapshot := func() {
				v, err := w.View(ctx, "doc", session.Head)
				if err != nil {
					t.Fatal(err)
				}
				info, err := w.store.Stat(ctx, "doc")
				if err == nil {
					err = w.store.PutSnapshot(ctx, "doc", info.Incarnation, storage.Snapshot{Rev: v.Rev, Type: c.typ, Data: v.Type.MarshalDoc(nil, v.Doc)})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			empty := strings.NewReplacer(" secret", "").Replace(c.content)
			for i, with := range []bool{false, true, false, true, false} {
				if !with {
					create(empty)
				} else {
					create(c.content)
					for _, op := range c.ops[:2] {
						w.edit(session.Head, op, by("ann"))
						snapshot()
					}
				}
				snapshot()
				m := w.from(fmt.Sprintf("deleter-%d", i), session.Head)
				if err := m.Change(ctx, session.Change{Base: session.Head, Seq: 1, Op: session.Deletion{}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second) // the bubble's time
				m.Close()
			}
			create(empty)
			was := w.forms()
			if _, err := w.Redact(ctx, "doc", session.Redaction{Text: c.secret}); err != nil {
				t.Fatal(err)
			}
			now := w.forms()
			for rev := range was {
				if strings.Contains(now[rev], c.secret) || !strings.Contains(was[rev], c.secret) && len([]rune(now[rev])) != len([]rune(was[rev])) {
					t.Errorf("revision %d was %s and is %s", rev, was[rev], now[rev])
				}
			}
			if s := w.stored(); strings.Contains(s, c.secret) || !strings.Contains(s, "███") {
				t.Errorf("the store has\n%s", s)
			}
			w.verified()
			w.stop()
		})
	}
}

// TestRedactNeedsRoom: what redacting takes of memory is counted, refused before it is done, and given back.
func TestRedactNeedsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const budget = 1 << 20
		w := newWorld(t, session.Options{Limits: session.Limits{Memory: budget}}, nil)
		w.made("json0", `["`+strings.Repeat("a", budget/40)+`","secret"]`)
		was := w.stored()
		_, err := w.Redact(t.Context(), "doc", session.Redaction{Text: "secret"})
		says(t, "a large document", err, session.CodeTooLarge, "max-memory")
		is(t, "the store", w.stored(), was)
		if err := w.Delete(t.Context(), "doc"); err != nil {
			t.Fatal(err)
		}
		w.made("json0", `["`+strings.Repeat("a", budget/150)+`","secret"]`)
		used := w.Stats().Memory
		for range 5 { // each takes more than a third
			w.redact(session.Redaction{Text: "nowhere"}, 0)
		}
		if now := w.Stats().Memory; now > used+budget/20 {
			t.Errorf("%d bytes are counted, before %d", now, used)
		}
		w.stop()
	})
}

// TestRedactWhileOthersEdit: edits go on while the past is looked at, and what they put in is redacted.
func TestRedactWhileOthersEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		e := w.editor("client-1")
		e.submit(0, 1, `["a secret"]`)
		e.take()
		e.submit(1, 2, `[1,-7]`)
		e.holds("a")
		asked := w.store.Block(storagetest.Read)
		redacted := make(chan error, 1)
		go func() {
			_, err := w.Redact(t.Context(), "doc", session.Redaction{Text: "secret"})
			redacted <- err
		}()
		<-asked.Arrived()
		looks := w.store.Block(storagetest.Read)
		asked.Open()
		<-looks.Arrived()
		e.submit(2, 3, `[1," secret"]`)
		e.take()
		e.submit(3, 4, `[1,-7]`)
		e.holds("a")
		if e.rev != 4 {
			t.Fatalf("revision %d: the edits waited", e.rev)
		}
		looks.Open()
		if err := <-redacted; err != nil {
			t.Fatal(err)
		}
		if s := w.stored(); strings.Contains(s, "secret") || strings.Count(s, "██████") < 2 {
			t.Errorf("the store has\n%s", s)
		}
		e.Close()
		w.verified()
		w.stop()
	})
}
