package session_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/session/limits"
	"quire/storage/storagetest"
)

// counted counts refusals by limit.
type counted struct {
	mu sync.Mutex
	n  map[limits.Name]int
}

func (c *counted) add(name limits.Name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[limits.Name]int{}
	}
	c.n[name]++
}

func (c *counted) check(t *testing.T, want map[limits.Name]int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !maps.Equal(c.n, want) {
		t.Errorf("counted %v, want %v", c.n, want)
	}
}

// limited starts a world with limits whose refusals are counted.
func limited(t *testing.T, l session.Limits, store *storagetest.Faulty) (*world, *counted) {
	c := &counted{}
	return newWorld(t, session.Options{Limits: l, IdleAfter: 24 * time.Hour, Observer: session.Observer{Limited: c.add}}, store), c
}

// named checks that a refusal has a code and names a limit with its number.
func named(t *testing.T, what string, err error, want session.Code, limit string) {
	t.Helper()
	if code(err) != want || !strings.Contains(err.Error(), limit) {
		t.Errorf("%s: %v, want %s with %q", what, err, want, limit)
	}
}

// TestClientRate: a burst passes, who goes on is held up and loses nothing, and who does not wait is refused
// and may send the same again.
func TestClientRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := limited(t, session.Limits{Run: 20, ClientRate: 10}, nil)
		defer w.stop()
		a := w.editor("author-1")
		run := make([]string, 20)
		for i := range run {
			run[i] = `["x"]`
		}
		start := time.Now()
		a.submit(0, 1, run...)
		if took := time.Since(start); took != 0 {
			t.Errorf("a burst was held up for %v", took)
		}
		a.look()
		time.Sleep(200 * time.Millisecond)
		named(t, "a second burst", a.try(20, 21, run...), session.CodeRate, "the limit max-client-rate is 10")
		// What comes after may not overtake it.
		named(t, "what comes after", a.try(20, 41, `["y"]`), session.CodeSeq, "")
		start = time.Now()
		for i := range uint64(10) {
			a.submit(a.rev, 21+i, `["z"]`)
			a.take()
		}
		if took := time.Since(start); took < 600*time.Millisecond || took > time.Second {
			t.Errorf("10 operations at 10 a second, 3 of them saved up, took %v", took)
		}
		a.holds(strings.Repeat("z", 10) + strings.Repeat("x", 20))
		time.Sleep(2 * time.Second)
		a.submit(a.rev, 31, run...)
		a.take()
		a.holds(strings.Repeat("x", 20) + strings.Repeat("z", 10) + strings.Repeat("x", 20))
		c.check(t, map[limits.Name]int{limits.ClientRate: 1})
	})
}

// TestAuthorRate counts what one author does as several clients, in several documents, by every way in.
func TestAuthorRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := limited(t, session.Limits{Run: 5, AuthorRate: 1}, nil)
		defer w.stop()
		ctx := context.Background()
		ada, bob := session.User{Author: "ada"}, session.User{Author: "bob"}
		if _, err := w.Manager.Create(ctx, "other", "text", nil, ada); err != nil { // 1
			t.Fatal(err)
		}
		a, err := w.open(session.OpenRequest{Client: "client-1", User: ada}) // 2: creates it
		if err != nil {
			t.Fatal(err)
		}
		a.submit(0, 1, `["a"]`) // 3
		v, _, err := w.Open(ctx, session.OpenRequest{Convention: session.Versioned, Doc: "doc", Client: "client-2", User: ada, Notify: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		op, _ := text.Decode([]byte(`["b"]`), ot.Limits{})
		if err := v.Change(ctx, session.Change{Base: session.Head, Seq: 1, Type: text.Type{}, Op: op}); err != nil { // 4
			t.Fatal(err)
		}
		edit := func(u session.User) error {
			_, err := w.Edit(ctx, "other", session.Head, [][]byte{[]byte(`["c"]`)}, session.Writer{User: u})
			return err
		}
		if err := edit(ada); err != nil { // 5
			t.Fatal(err)
		}
		const limit = "the limit max-author-rate is 1"
		named(t, "an edit", edit(ada), session.CodeRate, limit)
		named(t, "a submission", a.try(0, 2, `["a"]`), session.CodeRate, limit)
		named(t, "a change", v.Change(ctx, session.Change{Base: session.Head, Seq: 2, Type: text.Type{}, Op: op}), session.CodeRate, limit)
		_, err = w.Manager.Create(ctx, "third", "text", nil, ada)
		named(t, "a creation", err, session.CodeRate, limit)
		if err := edit(bob); err != nil {
			t.Errorf("another author: %v", err)
		}
		if err := edit(session.User{Author: "ada", Namespace: "acme"}); err != nil {
			t.Errorf("another namespace's author of that name: %v", err)
		}
		if err := edit(session.User{}); err != nil {
			t.Errorf("nobody: %v", err)
		}
		a.Close()
		named(t, "after leaving", edit(ada), session.CodeRate, limit)
		time.Sleep(time.Second)
		if err := edit(ada); err != nil {
			t.Errorf("a second later: %v", err)
		}
		c.check(t, map[limits.Name]int{limits.AuthorRate: 5})
	})
}

// TestDocumentRate holds up everybody in a document, and nobody in another.
func TestDocumentRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := limited(t, session.Limits{Run: 1, DocumentRate: 10}, nil)
		defer w.stop()
		ctx := context.Background()
		edit := func(doc string) error {
			_, err := w.Edit(ctx, doc, session.Head, [][]byte{[]byte(`["c"]`)}, session.Writer{})
			return err
		}
		for _, doc := range []string{"doc", "other"} {
			if _, err := w.Manager.Create(ctx, doc, "text", nil, session.User{}); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		done, refused := 0, 0
		for range 100 { // 19 at once, 5 more within the time that anybody waits
			all.Go(func() {
				err := edit("doc")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else if code(err) == session.CodeRate && strings.Contains(err.Error(), "the limit max-document-rate is 10") {
					refused++
				} else {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if done != 24 || refused != 76 {
			t.Errorf("%d took place, %d were refused", done, refused)
		}
		if err := edit("other"); err != nil {
			t.Errorf("another document: %v", err)
		}
		c.check(t, map[limits.Name]int{limits.DocumentRate: 76})
	})
}

// TestOperationLimits: each is refused before it has any effect, named and counted.
func TestOperationLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := limited(t, session.Limits{Run: 2, Operation: 40, Op: ot.Limits{MaxComponents: 3}, Document: 50, Presence: 16}, nil)
		defer w.stop()
		a := w.editor("author-1")
		named(t, "bytes", a.try(0, 1, `["`+strings.Repeat("x", 40)+`"]`), session.CodeTooLarge, "the limit max-operation is 40")
		named(t, "components", a.try(0, 1, `["x",1,"y",1]`), session.CodeTooLarge, "the limit max-components is 3")
		named(t, "run", a.try(0, 1, `["x"]`, `["y"]`, `["z"]`), session.CodeTooLarge, "the limit max-run is 2")
		named(t, "document", a.try(0, 1, `["`+strings.Repeat("x", 30)+`"]`, `["`+strings.Repeat("y", 30)+`"]`), session.CodeTooLarge, "the limit max-document is 50")
		named(t, "presence", a.SetPresence(0, []byte(`[[0,0],[0,0],[0,0]]`), nil), session.CodeTooLarge, "the limit max-presence is 16")
		_, err := w.Edit(context.Background(), "doc", 0, [][]byte{[]byte(`["` + strings.Repeat("x", 40) + `"]`)}, session.Writer{})
		named(t, "an edit", err, session.CodeTooLarge, "the limit max-operation is 40")
		a.take()
		a.holds("")
		a.submit(0, 1, `["x"]`)
		a.take()
		a.holds("x")
		c.check(t, map[limits.Name]int{limits.Operation: 2, limits.Components: 1, limits.Run: 1, limits.Document: 1, limits.Presence: 1})
	})
}

func TestPaceOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := limited(t, session.Limits{}, nil)
		defer w.stop()
		ctx := context.Background()
		p := limits.NewPace(&limits.Rate{Name: limits.OpenRate, PerSecond: 1})
		for range 2 {
			if err := w.Pace(ctx, p, "documents"); err != nil {
				t.Fatal(err)
			}
		}
		err := w.Pace(ctx, p, "documents")
		named(t, "the third", err, session.CodeRate, "too many documents in a second, the limit max-open-rate is 1")
		time.Sleep(600 * time.Millisecond)
		start := time.Now()
		if err := w.Pace(ctx, p, "documents"); err != nil || time.Since(start) != 400*time.Millisecond {
			t.Errorf("almost in time: %v after %v", err, time.Since(start))
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		time.Sleep(600 * time.Millisecond)
		start = time.Now()
		if err := w.Pace(gone, p, "documents"); err != nil || time.Since(start) != 0 {
			t.Errorf("a connection that has ended: %v after %v", err, time.Since(start))
		}
		if err := w.Pace(ctx, nil, "documents"); err != nil {
			t.Errorf("without a rate: %v", err)
		}
		c.check(t, map[limits.Name]int{limits.OpenRate: 1})
	})
}

// TestMemory: who is not needed leaves first, what is open stays, and what is not on disk stays.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counted{}
		loads := 0
		w := newWorld(t, session.Options{Limits: session.Limits{Memory: 50_000}, IdleAfter: time.Hour,
			Observer: session.Observer{Limited: c.add, Loaded: func(time.Duration) { loads++ }}}, nil)
		defer w.stop()
		ctx := context.Background()
		content := []byte(`"` + strings.Repeat("x", 6000) + `"`) // about 10 KB with its session
		for _, doc := range []string{"a", "b", "c", "d", "e", "f"} {
			if _, err := w.Manager.Create(ctx, doc, "text", content, session.User{}); err != nil {
				t.Fatal(doc, err)
			}
		}
		time.Sleep(3 * time.Hour)
		open := func(doc string) (*session.Subscription, error) {
			r, _, err := w.Open(ctx, session.OpenRequest{Doc: doc, Client: "client-" + doc, Notify: func() {}})
			return r, err
		}
		for _, doc := range []string{"a", "b", "c", "d", "e"} { // for the last the first has to leave
			r, err := open(doc)
			if err != nil {
				t.Fatal(doc, err)
			}
			time.Sleep(time.Second)
			r.Close()
		}
		if st := w.Stats(); st.Memory > 50_000 || st.Sessions != 4 {
			t.Errorf("%+v with five documents", st)
		}
		before := loads
		for i, doc := range []string{"e", "d", "c", "b", "a"} {
			r, err := open(doc)
			if err != nil {
				t.Fatal(doc, err)
			}
			r.Close()
			if want := before + i/4; loads != want {
				t.Errorf("%s: %d documents were read, want %d", doc, loads-before, want-before)
			}
		}
		var held []*session.Subscription
		for _, doc := range []string{"a", "b", "c", "d"} {
			r, err := open(doc)
			if err != nil {
				t.Fatal(doc, err)
			}
			held = append(held, r)
			time.Sleep(time.Second)
		}
		_, err := open("e")
		named(t, "nobody can leave", err, session.CodeBusy, "the limit max-memory is 50000")
		if _, err := w.Edit(ctx, "f", session.Head, [][]byte{[]byte(`["y"]`)}, session.Writer{}); code(err) != session.CodeBusy {
			t.Errorf("an edit of a document that is not in memory: %v", err)
		}
		// What is there goes on, and what is not saved does not leave, also when nobody has it open.
		w.store.Fail(storagetest.Append, 1000, nil)
		if err := held[0].Submit(0, 1, [][]byte{[]byte(`["y"]`)}, nil); err != nil {
			t.Fatal(err)
		}
		held[0].Close()
		time.Sleep(time.Second)
		_, err = open("e")
		named(t, "the one that could is not saved", err, session.CodeBusy, "the limit max-memory is 50000")
		w.store.Heal()
		time.Sleep(time.Minute)
		r, err := open("e")
		if err != nil {
			t.Fatal("after it was saved", err)
		}
		held = append(held, r)
		for _, r := range held {
			r.Close()
		}
		v, err := w.View(ctx, "a", session.Head)
		if err != nil || v.Rev != 1 {
			t.Errorf("what was not saved: revision %d, %v", v.Rev, err)
		}
		c.check(t, map[limits.Name]int{limits.Memory: 3})
	})
}

// TestMemoryIsGivenBack: after every way out of memory nothing is counted.
func TestMemoryIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{IdleAfter: time.Second}, nil)
		defer w.stop()
		ctx := context.Background()
		a := w.editor("author-1")
		a.submit(0, 1, `["hello"]`)
		a.take()
		with := w.Stats().Memory
		if with < 4000 {
			t.Errorf("%d bytes with a document", with)
		}
		if err := w.Rename(ctx, "doc", "renamed"); err != nil {
			t.Fatal(err)
		}
		a.Close()
		if err := w.Delete(ctx, "renamed"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.open(session.OpenRequest{Client: "author-2", Resume: true, Incarnation: 1}); code(err) != session.CodeNotFound {
			t.Fatal(err)
		}
		b := w.editor("author-2")
		b.Close()
		time.Sleep(time.Minute)
		if st := w.Stats(); st.Memory != 0 || st.Sessions != 0 {
			t.Errorf("%+v when nobody is there", st)
		}
	})
}

// TestLeave: what is on its way to readers has room, or waits; and nobody keeps others from it for ever.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := limited(t, session.Limits{CatchUp: 100}, nil)
		defer w.stop()
		ctx := context.Background()
		start := time.Now()
		first, err := w.Leave(ctx, 1000) // all there is
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := w.Leave(short, 10); code(err) != session.CodeUnavailable {
			t.Errorf("no room: %v", err)
		}
		time.AfterFunc(time.Second, first)
		if _, err := w.Leave(ctx, 60); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, err := w.Leave(ctx, 60); err != nil || time.Since(start) != 12*time.Second {
			t.Errorf("behind one that does not read: %v after %v", err, time.Since(start))
		}
		first() // once more is no matter
		c.check(t, map[limits.Name]int{limits.CatchUp: 3})
	})
}
