package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/json0"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/ot/textunicode"
	"quire/session"
	"quire/storage/storagetest"
)

// everyType is one of each type, with contents that differ by more than one thing.
var everyType = []struct {
	typ        ot.Type
	old, newer string
	op         string // fits old
	after      string // old after it
}{
	{text.Type{}, `"one two three"`, `"one 2 three four"`, `[3,"!"]`, `"one! two three"`},
	{textunicode.Type{}, `"one 😀 three"`, `"one 2 three 😀"`, `[3,"!"]`, `"one! 😀 three"`},
	{text0.Type{}, `"one two three"`, `"one 2 three four"`, `[{"p":3,"i":"!"}]`, `"one! two three"`},
	{delta.Type{}, `[{"insert":"one two\n"}]`, `[{"insert":"one "},{"insert":"2","attributes":{"bold":true}},{"insert":" four\n"}]`, `[{"retain":3},{"insert":"!"}]`, `[{"insert":"one! two\n"}]`},
	{json0.Type{}, `{"a":[1,2,3],"b":"text","c":{"d":4}}`, `{"a":[1,3,5],"b":"next","e":{"d":4}}`, `[{"p":["a",0],"li":0}]`, `{"a":[0,1,2,3],"b":"text","c":{"d":4}}`},
}

func allTypes() []ot.Type {
	types := []ot.Type{other{}, aloof{}, fragile{}}
	for _, c := range everyType {
		types = append(types, c.typ)
	}
	return types
}

// made makes the document "doc" with content in JSON.
func (w *world) made(typ, content string) {
	w.t.Helper()
	if _, err := w.Manager.Create(context.Background(), "doc", typ, []byte(content), session.User{Name: "maker"}); err != nil {
		w.t.Fatal(err)
	}
}

// head checks the newest content.
func (w *world) head(want string) {
	w.t.Helper()
	v, err := w.View(context.Background(), "doc", session.Head)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := form(v.Type, v.Doc); got != want {
		w.t.Errorf("the document is %s, want %s", got, want)
	}
}

func ops(ops ...string) (raw [][]byte) {
	for _, op := range ops {
		raw = append(raw, []byte(op))
	}
	return raw
}

// told is what became of an edit, in a line.
func told(e session.Edited, err error) string {
	if err != nil {
		return string(code(err))
	}
	again := ""
	if e.Repeated {
		again = " again"
	}
	if c, ok := e.Op.(session.Creation); ok {
		return fmt.Sprintf("%d created %s%s", e.Rev, form(c.Type, c.Doc), again)
	}
	return fmt.Sprintf("%d %s%s", e.Rev, e.Type.AppendOp(nil, e.Op), again)
}

func by(name string) session.Writer { return session.Writer{User: session.User{Name: name}} }

func keyed(key, sum string) session.Writer { return session.Writer{Key: key, Sum: []byte(sum)} }

func (w *world) edit(base session.Revision, op string, by session.Writer) string {
	return told(w.Edit(context.Background(), "doc", base, ops(op), by))
}

func is(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func TestEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Limits: session.Limits{Document: 30, Run: 3}}, nil)
		defer w.stop()
		ctx := context.Background()
		is(t, "of no document", w.edit(session.Head, `["x"]`, by("ann")), "not_found")
		a := w.editor("author-1")
		a.submit(0, 1, `["world"]`)
		a.holds("world")

		is(t, "on an older base", w.edit(0, `["hello "]`, by("ann")), `2 [5,"hello "]`)
		is(t, "on the newest", w.edit(session.Head, `[11,"!"]`, by("ann")), `3 [11,"!"]`)
		is(t, "several", told(w.Edit(ctx, "doc", 3, ops(`["<"]`, `[1,">"]`, `[2,-5]`), by("bob"))), `4 ["<>",-5]`)
		a.holds("<>hello !")
		a.submit(4, 2, `[-2]`)
		a.holds("hello !")

		entries, err := w.Entries(ctx, "doc", 1, session.Head, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, fmt.Sprintf("%d %s/%s/%d", e.Rev, e.Author, e.Client, e.Seq))
		}
		is(t, "entries", strings.Join(got, " "), "2 ann//0 3 ann//0 4 bob//0 5 author-1/author-1/2")
		if n := len(a.seen[0].Presence.Set); n != 1 {
			t.Errorf("%d people are here, want the editor alone", n)
		}

		for _, c := range []struct {
			name string
			base session.Revision
			ops  []string
			by   session.Writer
			code session.Code
		}{
			{"from the future", 6, []string{`["x"]`}, by(""), session.CodeFuture},
			{"on a negative revision", -2, []string{`["x"]`}, by(""), session.CodeFuture},
			{"before the creation", -1, []string{`["x"]`}, by(""), session.CodeNotFound},
			{"past the end", 5, []string{`[8,"x"]`}, by(""), session.CodeBadOp},
			{"not canonical", 5, []string{`["x",1]`}, by(""), session.CodeBadOp},
			{"no operation", 5, nil, by(""), session.CodeBadMessage},
			{"a long run", 5, []string{`["x"]`, `["x"]`, `["x"]`, `["x"]`}, by(""), session.CodeTooLarge},
			{"a large document", 5, []string{`["` + strings.Repeat("x", 30) + `"]`}, by(""), session.CodeTooLarge},
			{"a long name", 5, []string{`["x"]`}, by(strings.Repeat("x", 65)), session.CodeTooLarge},
			{"a long key", 5, []string{`["x"]`}, keyed(strings.Repeat("x", 201), ""), session.CodeTooLarge},
		} {
			if _, err := w.Edit(ctx, "doc", c.base, ops(c.ops...), c.by); code(err) != c.code {
				t.Errorf("%s: %v, want %s", c.name, err, c.code)
			}
		}
		is(t, "of nothing", w.edit(5, `[]`, by("ann")), `5 []`)
		a.holds("hello !")
		if _, _, err := w.Open(ctx, session.OpenRequest{Doc: "doc", Client: "key.0123", Notify: func() {}}); code(err) != session.CodeBadID {
			t.Errorf("a client that is called like a key: %v", err)
		}
		w.verified()
	})
}

// An edit is durable when it is answered, and shown to nobody before.
func TestEditIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a := w.editor("author-1")
		gate := w.store.Block(storagetest.Append)
		answer := make(chan string, 1)
		go func() { answer <- w.edit(session.Head, `["x"]`, by("ann")) }()
		<-gate.Arrived()
		if d := a.take(); len(d.Batches) > 0 {
			t.Error("a reader was told of an edit that is not on disk")
		}
		select {
		case got := <-answer:
			t.Errorf("answered %s before it is on disk", got)
		default:
		}
		gate.Open()
		is(t, "the edit", <-answer, `1 ["x"]`)
		a.holds("x")

		w.store.Fail(storagetest.Append, 3, nil)
		go func() { answer <- w.edit(session.Head, `["y"]`, by("ann")) }()
		is(t, "after failed writes", <-answer, `2 ["y"]`)

		w.store.Fail(storagetest.Append, 1000, nil)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		is(t, "on a store that does not write", told(w.Edit(ctx, "doc", session.Head, ops(`["z"]`), by("ann"))), "unavailable")
		w.store.Heal()
		a.take()
		time.Sleep(time.Minute)
		a.holds("zyx") // as it said, it took effect later
	})
}

func TestEditsOnAnUnreadableStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		w.made("text", `"precious"`)
		store := w.store
		w.stop()
		for n := 1; n <= 6; n++ {
			w = newWorld(t, session.Options{}, store)
			store.Fail(storagetest.Read, 1, nil)
			is(t, "an edit", w.edit(0, `["x"]`, keyed("k", "1")), "unavailable")
			store.Heal()
			if _, err := w.View(context.Background(), "doc", session.Head); err != nil { // what is read is in memory
				t.Fatal(err)
			}
			store.Fail(storagetest.Read, 1, nil)
			is(t, "a merge", told(w.Merge(context.Background(), "doc", 0, []byte(`"y"`), nil, keyed("k", "1"))), "unavailable")
			store.Heal()
			w.stop()
		}
		w = newWorld(t, session.Options{}, store)
		defer w.stop()
		w.head(`text "precious"`)
	})
}

func TestIdempotencyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Limits: session.Limits{Window: 2}}, nil)
		w.made("text", `"."`)
		one, two := keyed("first", "sum one"), keyed("second", "sum two")
		is(t, "first", w.edit(0, `["a"]`, one), `1 ["a"]`)
		is(t, "second", w.edit(0, `[1,"b"]`, two), `2 [2,"b"]`)
		is(t, "repeated", w.edit(0, `["a"]`, one), `1 ["a"] again`)
		is(t, "another request", w.edit(0, `["c"]`, keyed("first", "sum of another")), "reused")
		for range 20 { // until it has left memory
			w.edit(session.Head, `["-"]`, by(""))
		}
		is(t, "repeated later", w.edit(0, `[1,"b"]`, two), `2 [2,"b"] again`)
		store := w.store
		w.stop()

		w = newWorld(t, session.Options{}, store)
		is(t, "after a restart", w.edit(0, `[1,"b"]`, two), `2 [2,"b"] again`)
		is(t, "another request after a restart", w.edit(0, `["c"]`, keyed("second", "sum of another")), "reused")
		w.head(`text "` + strings.Repeat("-", 20) + `a.b"`)
		w.verified()
		w.stop()
	})
}

// Requests under one key that arrive at the same moment: one takes effect, repetitions of
// it are answered alike, and another request is refused, whichever comes first.
func TestIdempotencyKeyAtOnce(t *testing.T) {
	for _, fails := range []bool{false, true} {
		bubble(fmt.Sprint("fails=", fails), t, func(t *testing.T) {
			w := newWorld(t, session.Options{}, nil)
			defer w.stop()
			w.made("text", `"."`)
			gate := w.store.Block(storagetest.Append)
			if fails {
				w.store.Fail(storagetest.Append, 2, nil)
			}
			const n = 8
			answers := make(chan string, 2*n)
			for i := range 2 * n {
				go func() { answers <- w.edit(0, fmt.Sprintf(`["%d"]`, i%2), keyed("key", fmt.Sprint(i%2))) }()
			}
			<-gate.Arrived()
			synctest.Wait()
			gate.Open()
			count := map[string]int{}
			for range 2 * n {
				count[<-answers]++
			}
			won := "0"
			if count[`1 ["1"]`] > 0 {
				won = "1"
			}
			want := map[string]int{fmt.Sprintf(`1 ["%s"]`, won): 1, fmt.Sprintf(`1 ["%s"] again`, won): n - 1, "reused": n}
			if fmt.Sprint(count) != fmt.Sprint(want) {
				t.Errorf("answered %v, want %v", count, want)
			}
			w.head(`text "` + won + `."`)
			w.verified()
		})
	}
}

// The outcome of an append may be unknown, and another process may have committed the key.
func TestIdempotencyKeyElsewhere(t *testing.T) {
	for _, sum := range []string{"same", "another"} {
		bubble(sum, t, func(t *testing.T) {
			w := newWorld(t, session.Options{}, nil)
			defer w.stop()
			w.made("text", `"."`)
			a := w.editor("author-1")
			elsewhere := newWorld(t, session.Options{}, w.store)
			defer elsewhere.stop()
			gate := w.store.Block(storagetest.Append)
			answer := make(chan string, 2)
			go func() { answer <- w.edit(0, `["x"]`, keyed("key", "same")) }()
			<-gate.Arrived()
			go func() { answer <- elsewhere.edit(0, `["y"]`, keyed("key", sum)) }()
			<-gate.Arrived()
			gate.Open()
			first, second := <-answer, <-answer
			if first > second {
				first, second = second, first
			}
			switch {
			case sum == "another" && second == "reused" && (first == `1 ["x"]` || first == `1 ["y"]`):
			case sum == "same" && first == second && (first == `1 ["x"]` || first == `1 ["y"]`):
			default:
				t.Errorf("answered %q and %q", first, second)
			}
			a.take()
			w.head(`text "` + first[4:5] + `."`)
			a.holds(first[4:5] + ".")
			w.verified()
		})
	}
}

func TestUnknownOutcomeOfAnEdit(t *testing.T) {
	for _, applied := range []bool{true, false} {
		bubble(fmt.Sprint("applied=", applied), t, func(t *testing.T) {
			w := newWorld(t, session.Options{}, nil)
			defer w.stop()
			w.made("text", `"."`)
			w.store.LoseAppends(1, applied)
			is(t, "the edit", w.edit(0, `["x"]`, keyed("key", "1")), `1 ["x"]`)
			is(t, "again", w.edit(0, `["x"]`, keyed("key", "1")), `1 ["x"] again`)
			w.head(`text "x."`)
		})
	}
}

// Edits, merges and restores by people without a connection, while others type: all end up with
// the same.
func TestEditsWhileOthersType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Limits: session.Limits{Window: 8}}, nil)
		defer w.stop()
		ctx := context.Background()
		a, b := w.editor("author-1"), w.editor("author-2")
		done := make(chan bool)
		go func() {
			defer close(done)
			for i := range 60 {
				base := session.Revision(i / 2)
				switch i % 3 {
				case 0:
					if _, err := w.Edit(ctx, "doc", base, ops(`["e"]`), by("ann")); err != nil {
						t.Error(err)
					}
				case 1:
					v, err := w.View(ctx, "doc", base)
					if err != nil {
						t.Error(err)
					}
					content := v.Type.AppendDoc(nil, v.Doc)
					if _, err := w.Merge(ctx, "doc", base, append(content[:len(content)-1], `m"`...), nil, by("bob")); err != nil {
						t.Error(err)
					}
				case 2:
					if i%12 == 2 {
						if _, err := w.Restore(ctx, "doc", base, by("cyd")); err != nil {
							t.Error(err)
						}
					}
				}
				time.Sleep(time.Millisecond)
			}
		}()
		for i := range uint64(40) {
			a.submit(a.rev, i+1, `["a"]`)
			b.submit(b.rev, i+1, `["b"]`)
			a.take()
			b.take()
		}
		<-done
		a.take()
		b.holds(a.text)
		w.head(fmt.Sprintf("text %q", a.text))
		w.verified()
	})
}

// Two people make different contents from one revision: both are in the document, and
// what one typed meanwhile stays in its place.
func TestTwoMergesFromOneBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		w.made("text", `"the quick fox\njumps"`)
		a := w.editor("author-1")
		a.text = "the quick fox\njumps"
		a.submit(0, 1, `[9," brown"]`)
		a.take()
		is(t, "one", told(w.Merge(ctx, "doc", 0, []byte(`"A quick fox\njumps"`), nil, by("ann"))), `2 ["A",-3]`)
		is(t, "the other", told(w.Merge(ctx, "doc", 0, []byte(`"the quick fox\njumps over"`), nil, by("bob"))), `3 [23," over"]`)
		is(t, "nothing new", told(w.Merge(ctx, "doc", 0, []byte(`"the quick fox\njumps"`), nil, by("bob"))), `3 []`)
		is(t, "not a content", told(w.Merge(ctx, "doc", 0, []byte(`17`), nil, by("bob"))), "bad_op")
		is(t, "no content", told(w.Merge(ctx, "doc", 0, nil, nil, by("bob"))), "bad_op")
		is(t, "from the future", told(w.Merge(ctx, "doc", 4, []byte(`"x"`), nil, by("bob"))), "future")
		is(t, "of no document", told(w.Merge(ctx, "missing", 4, []byte(`"x"`), nil, by("bob"))), "future")
		is(t, "of a bad name", told(w.Merge(ctx, "", 4, []byte(`"x"`), nil, by("bob"))), "bad_id")
		w.head(`text "A quick brown fox\njumps over"`)
		w.verified()
	})
}

func TestMergeAndRestoreOfEveryType(t *testing.T) {
	for _, c := range everyType {
		bubble(c.typ.Name(), t, func(t *testing.T) {
			w := newWorld(t, session.Options{}, nil)
			defer w.stop()
			ctx := context.Background()
			name := c.typ.Name()
			w.made(name, c.old)
			if _, err := w.Merge(ctx, "doc", 0, []byte(c.newer), nil, by("ann")); err != nil {
				t.Fatal(err)
			}
			w.head(name + " " + c.newer)
			if e, err := w.Restore(ctx, "doc", 0, by("bob")); err != nil || e.Rev != 2 {
				t.Fatal(e, err)
			}
			w.head(name + " " + c.old)
			if e, err := w.Restore(ctx, "doc", 0, by("bob")); err != nil || e.Rev != 2 || !c.typ.IsIdentity(e.Op) {
				t.Errorf("a restore to what it is: %+v, %v", e, err)
			}
			if e, err := w.Edit(ctx, "doc", 2, ops(c.op), by("ann")); err != nil || e.Rev != 3 {
				t.Fatal(e, err)
			}
			w.head(name + " " + c.after)
			d, err := w.Difference(ctx, "doc", 1, 3)
			if err != nil {
				t.Fatal(err)
			}
			is(t, "difference", form(d.Type, d.Before)+" to "+form(d.Type, d.After), name+" "+c.newer+" to "+name+" "+c.after)
			for _, at := range [][2]session.Revision{{1, 3}, {3, 1}, {0, session.Head}, {2, 2}} {
				d, err := w.Difference(ctx, "doc", at[0], at[1])
				if err != nil {
					t.Fatal(err)
				}
				got, err := c.typ.Apply(d.Before, d.Op)
				if err != nil || form(c.typ, got) != form(c.typ, d.After) {
					t.Errorf("from %d to %d: %s, %v", at[0], at[1], form(c.typ, got), err)
				}
			}
			w.verified()
		})
	}
}

func TestRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		restore := func(rev session.Revision, by session.Writer) string { return told(w.Restore(ctx, "doc", rev, by)) }
		is(t, "no document", restore(0, by("ann")), "not_found")
		m := w.from("author-1", session.Head)
		m.change(session.Head, 1, created(text.Type{}, `"one"`)) // 0
		m.take()
		m.change(0, 2, `["x"]`) // 1
		m.take()
		is(t, "the future", restore(2, by("ann")), "future")
		is(t, "before the creation", restore(-1, by("ann")), "not_found")
		is(t, "negative", restore(-7, by("ann")), "not_found")
		is(t, "the newest", restore(session.Head, by("ann")), `1 []`)
		key := keyed("undo", "1")
		is(t, "the beginning", restore(0, key), `2 [-1]`)
		is(t, "again", restore(0, key), `2 [-1] again`)

		m.change(2, 3, session.Deletion{}) // 3
		m.take()
		is(t, "what was deleted", restore(3, by("ann")), "bad_type")
		is(t, "a deleted document", restore(1, keyed("back", "1")), `4 created text "xone"`)
		is(t, "a deleted document again", restore(1, keyed("back", "1")), `4 created text "xone" again`)
		is(t, "an earlier life", restore(0, by("ann")), `5 [-1]`)
		m.holds(5, `text "one"`, "1@0", "2@1", "3@3")
		m.change(5, 4, session.Deletion{}) // 6
		m.take()
		m.change(6, 5, created(other{}, `"x"`)) // 7
		m.take()
		is(t, "another type", restore(5, by("ann")), "bad_type")
		is(t, "deleted then", restore(6, by("ann")), "bad_type")
		w.verified()
	})
}

// What was written since is taken out whole, even where it reads like what comes back: whoever
// wrote it may take it back again, and takes nothing along that was restored.
func TestRestoreKeepsNothingWrittenSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		w.made("text", `"which was good"`)
		w.edit(0, `[-5]`, by("ann"))      // 1
		w.edit(1, `["while"]`, by("bob")) // 2
		if _, err := w.Restore(ctx, "doc", 0, by("ann")); err != nil {
			t.Fatal(err)
		}
		w.head(`text "which was good"`)
		w.edit(2, `[-5]`, by("bob")) // made before the restore was known
		w.head(`text "which was good"`)
		w.verified()
	})
}

// A deleted document cannot be restored while the store does not write; it can later.
func TestRestoringADeletedDocumentOnAFailingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		m := w.from("author-1", session.Head)
		m.change(session.Head, 1, created(text.Type{}, `"one"`))
		m.take()
		m.change(0, 2, session.Deletion{})
		m.take()
		w.store.Fail(storagetest.Append, 100, nil)
		is(t, "while it fails", told(w.Restore(ctx, "doc", 0, by("ann"))), "unavailable")
		w.store.Heal()
		is(t, "then", told(w.Restore(ctx, "doc", 0, by("ann"))), `2 created text "one"`)
		w.verified()
	})
}

// A document is removed for good while an edit of it is being written.
func TestEditOfARemovedDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		w.made("text", `"."`)
		gate := w.store.Block(storagetest.Append)
		answer := make(chan string, 1)
		go func() { answer <- w.edit(0, `["x"]`, by("ann")) }()
		<-gate.Arrived()
		if err := w.Delete(context.Background(), "doc"); err != nil {
			t.Fatal(err)
		}
		is(t, "the edit", <-answer, "deleted")
		gate.Open()
		synctest.Wait()
		is(t, "another", w.edit(session.Head, `["x"]`, by("ann")), "not_found")
	})
}

func TestDifferenceRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		m := w.from("author-1", session.Head)
		m.change(session.Head, 1, created(text.Type{}, `"one"`)) // 0
		m.take()
		m.change(0, 2, session.Deletion{}) // 1
		m.take()
		m.change(1, 3, created(text.Type{}, `"won"`)) // 2
		m.take()
		m.change(2, 4, session.Deletion{}) // 3
		m.take()
		m.change(3, 5, created(other{}, `"won"`)) // 4
		m.take()
		for _, c := range []struct {
			from, to session.Revision
			want     string
		}{
			{0, 5, "future"}, {6, 0, "future"}, {-1, 0, "not_found"}, {0, 1, "bad_type"}, {1, 0, "bad_type"},
			{0, 4, "bad_type"}, {0, session.Head, "bad_type"}, {0, 2, `["w",2,-1]`}, {2, 0, `[-1,2,"e"]`}, {4, 4, `[]`},
		} {
			d, err := w.Difference(ctx, "doc", c.from, c.to)
			got := string(code(err))
			if err == nil {
				got = string(d.Type.AppendOp(nil, d.Op))
			}
			is(t, fmt.Sprintf("from %d to %d", c.from, c.to), got, c.want)
		}
		if _, err := w.Difference(ctx, "missing", 0, 0); code(err) != session.CodeNotFound {
			t.Errorf("of no document: %v", err)
		}
	})
}
