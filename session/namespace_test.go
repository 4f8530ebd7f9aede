package session_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot/text"
	"quire/session"
	"quire/session/limits"
	"quire/storage/mem"
	"quire/storage/storagetest"
)

// TestNamespaces: a namespace takes so many documents, by whatever way they come, and room that one leaves is
// room again, also after a restart.
func TestNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		l := session.Limits{Namespace: 3}
		w, c := limited(t, l, nil)
		const limit = "the limit max-namespace is 3"
		create := func(doc string) error {
			_, err := w.Manager.Create(ctx, doc, "text", nil, session.User{})
			return err
		}
		imports := func(doc string) error {
			_, err := w.Import(ctx, doc, session.Meta{}, nil, from([]session.Entry{written(0, 1, "ada", 0, created(text.Type{}, `"x"`))}))
			return err
		}
		ok := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		for _, doc := range []string{"a/1", "a/2", "a/3", "b/1", "x", "y", "z"} {
			ok(doc, create(doc))
		}
		named(t, "a fourth", create("a/4"), session.CodeTooMany, limit)
		named(t, "a fourth without a namespace", create("w"), session.CodeTooMany, limit)
		named(t, "an import", imports("a/4"), session.CodeTooMany, limit)
		named(t, "one that is there", create("a/3"), session.CodeExists, "")
		ok("a deeper one of another", create("b/a/4"))
		// ShareDB's creations are refused by the stream, and nothing stays of them.
		req := session.OpenRequest{Convention: session.Versioned, Doc: "a/5", Client: "client-1", Notify: func() {}}
		v, _, err := w.Open(ctx, req)
		ok("open", err)
		ok("create in the stream", v.Change(ctx, session.Change{Base: session.Head, Seq: 1, Op: created(text.Type{}, `"x"`)}))
		ok("edit it", v.Change(ctx, session.Change{Base: session.Head, Seq: 2, Type: text.Type{}, Op: written(1, 1, "", 0, `["y"]`).Op}))
		time.Sleep(time.Minute)
		d, err := v.Take(ctx)
		if err != nil || len(d.Batches) != 0 || len(d.Rejections) != 2 {
			t.Fatalf("%+v, %v", d, err)
		}
		named(t, "a creation in the stream", d.Rejections[0].Err, session.CodeTooMany, limit)
		if st := w.Stats(); st.Failing+st.Unsaved != 0 {
			t.Errorf("%+v after a creation was refused", st)
		}
		ok("delete", w.Delete(ctx, "a/1"))
		ok("the same creation again", v.Change(ctx, session.Change{Base: session.Head, Seq: 3, Op: created(text.Type{}, `"x"`)}))
		time.Sleep(time.Second)
		if info, err := w.Stat(ctx, "a/5"); err != nil || info.Type != "text" {
			t.Errorf("%+v, %v", info, err)
		}
		v.Close()
		named(t, "full again", create("a/6"), session.CodeTooMany, limit)
		// A rename.
		ok("within the namespace", w.Rename(ctx, "a/2", "a/7"))
		ok("to another one", w.Rename(ctx, "a/7", "b/2"))
		ok("the room that it left", imports("a/8"))
		named(t, "back", w.Rename(ctx, "b/2", "a/7"), session.CodeTooMany, limit)
		if _, err := w.Stat(ctx, "b/2"); err != nil {
			t.Errorf("a document that could not be renamed: %v", err)
		}
		// What is deleted and can be created again keeps its past, and counts.
		v, _, err = w.Open(ctx, session.OpenRequest{Convention: session.Versioned, Doc: "a/3", Client: "client-2", Notify: func() {}})
		ok("open", err)
		ok("delete in the stream", v.Change(ctx, session.Change{Base: session.Head, Seq: 1, Op: session.Deletion{}}))
		time.Sleep(time.Second)
		named(t, "beside a deleted one", create("a/9"), session.CodeTooMany, limit)
		ok("create it again", create("a/3"))
		v.Close()

		w.stop()
		w2, c2 := limited(t, l, w.store)
		defer w2.stop()
		w = w2
		named(t, "after a restart", create("a/9"), session.CodeTooMany, limit)
		named(t, "after a restart, without a namespace", create("w"), session.CodeTooMany, limit)
		ok("delete", w.Delete(ctx, "a/3"))
		ok("room", create("a/9"))
		c.check(t, map[limits.Name]int{limits.Namespace: 7})
		c2.check(t, map[limits.Name]int{limits.Namespace: 2})
	})
}

// TestNamespaceUnderRaces: however many come and go at once, there are never more than may be, and in the end
// the count is right.
func TestNamespaceUnderRaces(t *testing.T) {
	const most = 10
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		w, _ := limited(t, session.Limits{Namespace: most}, nil)
		defer w.stop()
		there := func() (n int) {
			infos, err := w.store.List(ctx, "a/", "", 1000)
			if err != nil {
				t.Error(err)
			}
			return len(infos)
		}
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				for j := range 5 {
					doc, other := fmt.Sprintf("a/%d.%d", i, j), fmt.Sprintf("b/%d.%d", i, j)
					if _, err := w.Manager.Create(ctx, doc, "text", nil, session.User{}); err != nil && code(err) != session.CodeTooMany {
						t.Error(err)
					} else if err != nil {
						continue
					}
					if n := there(); n > most {
						t.Errorf("%d documents", n)
					}
					switch (i + j) % 3 {
					case 0:
						if err := w.Delete(ctx, doc); err != nil {
							t.Error(err)
						}
					case 1:
						if err := w.Rename(ctx, doc, other); err != nil && code(err) != session.CodeTooMany {
							t.Error(err)
						} else if err == nil {
							_ = w.Rename(ctx, other, doc) // which may have no room any more
						}
					}
				}
			})
		}
		all.Wait()
		for i := range most + 1 {
			_, err := w.Manager.Create(ctx, fmt.Sprintf("a/last%d", i), "text", nil, session.User{})
			if err != nil {
				named(t, "one too many", err, session.CodeTooMany, "max-namespace")
				break
			}
		}
		if n := there(); n != most {
			t.Errorf("%d documents in the end, want %d", n, most)
		}
	})
}

// TestNamespaceInDoubt: when it is not known whether a document came to be, it is found out.
func TestNamespaceInDoubt(t *testing.T) {
	for _, applied := range []bool{true, false} {
		bubble(fmt.Sprintf("applied=%t", applied), t, func(t *testing.T) {
			ctx := context.Background()
			w, _ := limited(t, session.Limits{Namespace: 1}, storagetest.NewFaulty(&doubtful{Store: mem.New(), applied: applied, times: 1}))
			defer w.stop()
			_, err := w.Manager.Create(ctx, "a/1", "text", nil, session.User{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Manager.Create(ctx, "a/2", "text", nil, session.User{})
			named(t, "a second", err, session.CodeTooMany, "max-namespace")
		})
	}
}
