package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
	"quire/storage/storagetest"
)

// forms returns the content at every revision up to the head; what it says of those that
// cannot be read is their code.
func (w *world) forms() (out []string) {
	w.t.Helper()
	for rev := session.Revision(0); ; rev++ {
		v, err := w.View(context.Background(), "doc", rev)
		switch {
		case err == nil:
			out = append(out, form(v.Type, v.Doc))
		case code(err) == session.CodeFuture:
			return out
		default:
			out = append(out, string(code(err)))
		}
	}
}

// says checks a refusal's code, and a part of its message.
func says(t *testing.T, what string, err error, want session.Code, part string) {
	t.Helper()
	if err == nil || code(err) != want || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: %v, want %s and %q", what, err, want, part)
	}
}

// again starts another manager on the same store, with nothing in memory.
func (w *world) again(opt session.Options) *world {
	w.t.Helper()
	w.stop()
	return newWorld(w.t, opt, w.store)
}

func (w *world) label(name string, rev session.Revision) {
	w.t.Helper()
	if _, err := w.SetLabel(context.Background(), "doc", name, rev, session.User{Name: "ann"}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) squash(k session.Keep, want session.Revision) {
	w.t.Helper()
	if oldest, err := w.Squash(context.Background(), "doc", k); err != nil || oldest != want {
		w.t.Fatalf("squashed to %d, %v, want %d", oldest, err, want)
	}
}

// TestSquash drops old revisions of a document of every type: those that stay, and those
// with labels, read as before, and every way to the others says that they are gone.
func TestSquash(t *testing.T) {
	for _, c := range everyType {
		bubble(c.typ.Name(), t, func(t *testing.T) {
			ctx := context.Background()
			w := newWorld(t, session.Options{}, nil)
			w.made(c.typ.Name(), c.old)
			born := time.Now()
			for i := range 20 {
				time.Sleep(time.Minute)
				if got := w.edit(session.Head, c.op, by(fmt.Sprint("author ", i))); !strings.HasPrefix(got, fmt.Sprint(i+1, " ")) {
					t.Fatal(got)
				}
			}
			all := w.forms()
			w.label("first", 0)
			w.label("mid", 7)
			w.label("mid again", 7)
			w.label("late", 18)
			w.squash(session.Keep{}, session.Unborn)
			w.squash(session.Keep{Count: 100}, session.Unborn)
			w.squash(session.Keep{Count: 5, Age: time.Hour}, session.Unborn)
			check := func(oldest session.Revision, labelled ...session.Revision) {
				t.Helper()
				got := w.forms()
				if len(got) != len(all) {
					t.Fatalf("%d revisions, want %d", len(got), len(all))
				}
				for rev := range got {
					want := all[rev]
					for at := rev; session.Revision(at) < oldest; at = int(oldest) {
						want = string(session.CodeGone)
						for _, l := range labelled {
							if l == session.Revision(rev) {
								want = all[rev]
							}
						}
					}
					is(t, fmt.Sprint("revision ", rev), got[rev], want)
				}
			}
			check(session.Unborn)
			for range 2 {
				w.squash(session.Keep{Count: 5}, 16)
				check(16, 0, 7)
				w = w.again(session.Options{})
			}
			is(t, "a label", fmt.Sprint(w.Resolve(ctx, "doc", "mid", time.Time{})), "7 <nil>")
			is(t, "a time", fmt.Sprint(w.Resolve(ctx, "doc", "", born.Add(16*time.Minute+time.Second))), "16 <nil>")
			_, err := w.Resolve(ctx, "doc", "", born.Add(15*time.Minute+time.Second))
			says(t, "an older time", err, session.CodeGone, "oldest revision is 16")
			_, err = w.Resolve(ctx, "doc", "", born.Add(-time.Second))
			says(t, "before it was there", err, session.CodeNotFound, "")
			_, err = w.View(ctx, "doc", 15)
			says(t, "an old revision", err, session.CodeGone, "15 is older than what is kept, the oldest is 16")
			_, err = w.Entries(ctx, "doc", 15, session.Head, 10)
			says(t, "an old step", err, session.CodeGone, "the oldest is 16")
			if steps, err := w.Entries(ctx, "doc", 16, session.Head, 10); err != nil || len(steps) != 4 || steps[0].Author != "author 16" {
				t.Errorf("the steps that stay: %v, %v", steps, err)
			}
			_, err = w.Edit(ctx, "doc", 15, ops(c.op), by("late"))
			says(t, "an edit on an old revision", err, session.CodeGone, "the oldest is 16")
			_, err = w.SetLabel(ctx, "doc", "old", 15, session.User{})
			says(t, "a label for an old revision", err, session.CodeGone, "the oldest is 16")
			_, err = w.Difference(ctx, "doc", 15, session.Head)
			says(t, "what was done since", err, session.CodeGone, "the oldest is 16")

			if err := w.DeleteLabel(ctx, "doc", "first"); err != nil {
				t.Fatal(err)
			}
			w.squash(session.Keep{Count: 2}, 19)
			check(19, 7, 18)
			w.squash(session.Keep{Count: 1}, 20)
			check(20, 7, 18)
			if got := w.edit(20, c.op, by("after")); !strings.HasPrefix(got, "21 ") {
				t.Error("an edit on the oldest revision:", got)
			}
			w = w.again(session.Options{})
			w.verified()
			w.stop()
		})
	}
}

// TestSquashByAge keeps what was superseded lately.
func TestSquashByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		w.made("text", `"x"`)
		for range 9 {
			time.Sleep(time.Hour)
			w.edit(session.Head, `["a"]`, by("ann"))
		}
		time.Sleep(30 * time.Minute)
		w.squash(session.Keep{Age: 24 * time.Hour}, session.Unborn)
		// Revision 6 was superseded by 7, two and a half hours ago.
		w.squash(session.Keep{Age: 3 * time.Hour}, 6)
		w.squash(session.Keep{Age: 3 * time.Hour, Count: 8}, 6)
		w.squash(session.Keep{Age: 2 * time.Hour, Count: 2}, 7)
		w.squash(session.Keep{Age: time.Minute}, 9)
		time.Sleep(100 * time.Hour)
		w.squash(session.Keep{Age: time.Minute}, 9)
		w.head(`text "aaaaaaaaax"`)
	})
}

// TestSquashThroughLives drops revisions of a document that was deleted and created as
// another type.
func TestSquashThroughLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		w.made("text", `"x"`)
		w.edit(session.Head, `["a"]`, by("ann")) // 1
		r := w.from("client-1", session.Head)
		r.change(session.Head, 1, session.Deletion{}) // 2
		r.take()
		w.made("json0", `{"a":[]}`) // 3
		w.edit(session.Head, `[{"p":["a",0],"li":1}]`, by("bob"))
		r.take()
		r.Close()
		all := w.forms()
		for _, oldest := range []session.Revision{1, 2, 3, 4} {
			w.squash(session.Keep{Count: int(5 - oldest)}, oldest)
			w = w.again(session.Options{})
			for rev, got := range w.forms() {
				want := all[rev]
				if session.Revision(rev) < oldest {
					want = "gone"
				}
				is(t, fmt.Sprint("revision ", rev), got, want)
			}
			w.verified()
		}
		w.stop()
	})
}

// TestResumeBeforeWhatIsKept opens a document from a revision that was dropped.
func TestResumeBeforeWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		e := w.editor("client-1")
		for i := range 6 {
			e.submit(session.Revision(i), uint64(i+1), `["x"]`)
			e.take()
		}
		inc := e.opened.Incarnation
		w.squash(session.Keep{Count: 2}, 5)
		open := func(c session.Convention, rev session.Revision) error {
			s, _, err := w.Open(t.Context(), session.OpenRequest{Doc: "doc", Convention: c, Client: "client-1", Resume: true, Incarnation: inc, Rev: rev, Seq: uint64(max(rev, 0)), Notify: func() {}})
			if err == nil {
				s.Close()
			}
			return err
		}
		// The operations are still in memory.
		if err := open(session.Sequenced, 4); err != nil {
			t.Error(err)
		}
		e.Close()
		w = w.again(session.Options{})
		for _, c := range []session.Convention{session.Sequenced, session.Versioned} {
			says(t, "an old revision", open(c, 4), session.CodeGone, "revision 4 is older than what is kept, the oldest is 5")
			if err := open(c, 5); err != nil {
				t.Error(err)
			}
			if err := open(c, 6); err != nil {
				t.Error(err)
			}
		}
		says(t, "before the creation", open(session.Versioned, session.Unborn), session.CodeGone, "the oldest is 5")
		w.stop()
	})
}

// TestSquashKeepsWhatReadersNeed leaves a reader that is behind what it has not been sent.
func TestSquashKeepsWhatReadersNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Limits: session.Limits{Window: 2}}, nil)
		defer w.stop()
		slow := w.editor("slow-one")
		fast := w.editor("fast-one")
		for i := range 20 {
			fast.submit(session.Revision(i), uint64(i+1), `["x"]`)
			fast.take()
		}
		w.squash(session.Keep{Count: 1}, 0)
		slow.holds(strings.Repeat("x", 20))
		w.squash(session.Keep{Count: 1}, 20)
	})
}

// TestRetention has the manager drop what is not to be kept, by itself.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Keep: session.Keep{Count: 10}}, nil)
		oldest := func() session.Revision {
			info, err := w.store.Stat(t.Context(), "doc")
			if err != nil {
				t.Fatal(err)
			}
			return info.Oldest
		}
		w.made("text", `""`)
		for range 40 {
			w.edit(session.Head, `["x"]`, by("ann"))
		}
		w.label("here", 3)
		w.store.Fail(storagetest.Trim, 1, nil)
		time.Sleep(10 * time.Second)
		if got := oldest(); got != session.Unborn {
			t.Errorf("the oldest revision is %d though the store failed", got)
		}
		time.Sleep(2 * time.Hour)
		if got := oldest(); got != 31 {
			t.Errorf("the oldest revision is %d, want 31", got)
		}
		w.edit(session.Head, `["x"]`, by("ann"))
		time.Sleep(2 * time.Hour)
		if got := oldest(); got != 32 {
			t.Errorf("the oldest revision is %d, want 32", got)
		}
		is(t, "a labelled one", w.forms()[3], `text "xxx"`)
		w.stop()
	})
}

// TestRename gives a document that is open another id.
func TestRename(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		ctx := t.Context()
		e := w.editor("client-1")
		e.submit(0, 1, `["one"]`)
		e.holds("one")
		if _, err := w.Manager.Create(ctx, "other", "text", nil, session.User{}); err != nil {
			t.Fatal(err)
		}
		says(t, "to one that is there", w.Rename(ctx, "doc", "other"), session.CodeExists, "")
		says(t, "to itself", w.Rename(ctx, "doc", "doc"), session.CodeExists, "")
		says(t, "to no name", w.Rename(ctx, "doc", ""), session.CodeBadID, "")
		says(t, "of none", w.Rename(ctx, "missing", "new"), session.CodeNotFound, "")
		w.store.Fail(storagetest.Rename, 1, nil)
		says(t, "with a broken disk", w.Rename(ctx, "doc", "new"), session.CodeUnavailable, "")
		e.submit(1, 2, `[3," two"]`) // it goes on
		e.holds("one two")

		gate := w.store.Block(storagetest.Rename)
		renamed := make(chan error, 1)
		go func() { renamed <- w.Rename(ctx, "doc", "new") }()
		<-gate.Arrived()
		e.submit(2, 3, `[7,"!"]`) // it waits
		gate.Open()
		if err := <-renamed; err != nil {
			t.Fatal(err)
		}
		d := e.take()
		says(t, "the reader", d.Closed, session.CodeMoved, "new")
		says(t, "the old id", func() error { _, err := w.Edit(ctx, "doc", session.Head, ops(`["x"]`), by("")); return err }(), session.CodeNotFound, "")
		// It goes on under the new id, with what is pending.
		s, o, err := w.Open(ctx, session.OpenRequest{Doc: "new", Client: "client-1", Resume: true, Incarnation: e.opened.Incarnation, Rev: 2, Seq: 2, Notify: func() {}})
		if err != nil || o.Seq != 2 {
			t.Fatal(o, err)
		}
		if err := s.Submit(2, 3, ops(`[7,"!"]`), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		v, err := w.View(ctx, "new", session.Head)
		if err != nil || form(v.Type, v.Doc) != `text "one two!"` {
			t.Errorf("%+v, %v", v, err)
		}
		s.Close()
		e.Close()
		w.made("text", `"again"`) // the old name is free
		w.head(`text "again"`)
		w.stop()
	})
}

// TestRenameToWhereReadersWait gives a document the id that a reader waits for.
func TestRenameToWhereReadersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		waits, _, err := w.Open(t.Context(), session.OpenRequest{Doc: "new", Convention: session.Versioned, Client: "client-2", Notify: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		defer waits.Close()
		w.made("text", `"one"`)
		if err := w.Rename(t.Context(), "doc", "new"); err != nil {
			t.Fatal(err)
		}
		if d, err := waits.Take(t.Context()); err != nil || d.Closed == nil || d.Closed.Code.Class() == session.Fatal {
			t.Errorf("who waits is told %v, %v", d.Closed, err)
		}
	})
}
