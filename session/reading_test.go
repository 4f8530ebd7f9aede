package session_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
)

// readable makes documents that nobody has open, of 60,000 bytes with two revisions, in a world where there is room for 100,000
// bytes of what is read.
func readable(t *testing.T, docs ...string) *world {
	w := newWorld(t, session.Options{Limits: session.Limits{Memory: 400_000}}, nil)
	ctx := context.Background()
	for _, doc := range docs {
		if _, err := w.Manager.Create(ctx, doc, "text", []byte(`"`+strings.Repeat("x", 60_000)+`"`), session.User{}); err != nil {
			t.Fatal(doc, err)
		}
		if _, err := w.Edit(ctx, doc, 0, [][]byte{[]byte(`["y"]`)}, session.Writer{}); err != nil {
			t.Fatal(doc, err)
		}
	}
	time.Sleep(5 * time.Minute)
	if n := w.Stats().Sessions; n != 0 {
		t.Fatalf("%d sessions are left", n)
	}
	return w
}

// What is read of the past, and of documents that nobody has open, is counted as long as somebody has it: others wait, and
// are told so when that takes too long. Who has something does not wait, so that nobody waits for one another.
func TestReadingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := readable(t, "a", "b")
		defer w.stop()
		reads := map[string]func(ctx context.Context) error{
			"the newest revision": func(ctx context.Context) error { _, err := w.View(ctx, "b", session.Head); return err },
			"an older one":        func(ctx context.Context) error { _, err := w.View(ctx, "b", 0); return err },
			"a step":              func(ctx context.Context) error { _, err := w.Entries(ctx, "b", session.Unborn, 0, 1); return err },
		}
		for what, read := range reads {
			has, done := w.Reading(context.Background())
			if _, err := w.View(has, "a", 0); err != nil {
				t.Fatal(err)
			}
			other, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			if err := read(other); code(err) != session.CodeBusy {
				t.Errorf("%s, while there is no room: %v, want %s", what, err, session.CodeBusy)
			}
			cancel()
			if err := read(has); err != nil {
				t.Errorf("%s, by who has another document: %v", what, err)
			}
			waits := make(chan error, 1)
			go func() { waits <- read(context.Background()) }()
			synctest.Wait()
			done()
			if err := <-waits; err != nil {
				t.Errorf("%s, when there is room again: %v", what, err)
			}
		}
	})
}

// Of many who ask for the same content one reads it, and all have it, also where there is no room for two.
func TestReadingIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := readable(t, "a")
		defer w.stop()
		for _, rev := range []session.Revision{0, session.Head} {
			views := make([]session.View, 20)
			var all sync.WaitGroup
			for i := range views {
				all.Go(func() {
					c, done := w.Reading(context.Background())
					defer done()
					var err error
					if views[i], err = w.View(c, "a", rev); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Second) // all come before the first has done
				})
			}
			all.Wait()
			for _, v := range views {
				if v.Doc != views[0].Doc {
					t.Fatalf("revision %d was read more than once", rev)
				}
			}
		}
	})
}

// Who reads for others and gives up leaves them to read it themselves.
func TestReadingGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := readable(t, "a", "b")
		defer w.stop()
		has, done := w.Reading(context.Background())
		if _, err := w.View(has, "a", 0); err != nil {
			t.Fatal(err)
		}
		impatient, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		first, second := make(chan error, 1), make(chan error, 1)
		read := func(ctx context.Context, told chan error) {
			_, err := w.View(ctx, "b", 0)
			told <- err
		}
		go read(impatient, first)
		synctest.Wait()
		go read(context.Background(), second)
		if err := <-first; code(err) != session.CodeBusy {
			t.Errorf("who gave up: %v", err)
		}
		synctest.Wait()
		done()
		if err := <-second; err != nil {
			t.Errorf("who stayed: %v", err)
		}
	})
}

// A restore over steps that are larger together than there is memory to compose them in compares the contents.
func TestRestoreOverLargeSteps(t *testing.T) {
	for _, large := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx := context.Background()
			w := newWorld(t, session.Options{Limits: session.Limits{Memory: 400_000}}, nil) // of which 25,000 for composing
			defer w.stop()
			if _, err := w.Manager.Create(ctx, "a", "text", []byte(`"which was good"`), session.User{}); err != nil {
				t.Fatal(err)
			}
			n := 10
			if large {
				n = 30_000
			}
			ops := []string{`[-14,"while was good"]`, `["` + strings.Repeat("x", n) + `"]`, fmt.Sprintf(`[%d]`, -n)}
			for i, op := range ops {
				if _, err := w.Edit(ctx, "a", session.Revision(i), [][]byte{[]byte(op)}, session.Writer{}); err != nil {
					t.Fatal(op, err)
				}
			}
			e, err := w.Restore(ctx, "a", 0, session.Writer{})
			if err != nil {
				t.Fatal(err)
			}
			if op := string(e.Type.AppendOp(nil, e.Op)); strings.Contains(op, " was good") == large {
				t.Errorf("large %t: %s", large, op)
			}
			v, err := w.View(ctx, "a", session.Head)
			if err != nil || string(v.Type.AppendDoc(nil, v.Doc)) != `"which was good"` {
				t.Errorf("large %t: restored is %s, %v", large, v.Type.AppendDoc(nil, v.Doc), err)
			}
		})
	}
}
