package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
	"quire/storage"
	"quire/storage/mem"
	"quire/storage/storagetest"
)

// TestActivities looks at a document while it is edited, while the disk is full, and after.
func TestActivities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storagetest.NewFaulty(mem.New())
		w := newWorld(t, session.Options{}, store)
		defer w.stop()
		a, b := w.editor("client-a"), w.editor("client-b")
		defer b.Close()
		a.submit(0, 1, `["Hello"]`)
		synctest.Wait()
		a.take()
		all := w.Activities()
		if len(all) != 1 {
			t.Fatalf("%d sessions", len(all))
		}
		if x := all[0]; x.Doc != "doc" || x.Type != "text" || x.Head != 1 || x.Size != 5 || x.Places != 2 || x.Writers != 1 || x.UnsavedOps != 0 || x.Rate <= 0 || x.Memory < x.Size {
			t.Errorf("%+v", x)
		}
		fast := all[0].Rate
		time.Sleep(time.Minute)
		if x := w.Activities()[0]; x.Rate >= fast/100 {
			t.Errorf("a minute later it is edited %v times a second, before %v", x.Rate, fast)
		}
		store.Fail(storagetest.Append, 1000, errors.New("no space left on device"))
		a.submit(1, 2, `[5," you"]`)
		synctest.Wait()
		if x := w.Activities()[0]; x.Failures == 0 || x.Failure != "no space left on device" || x.UnsavedOps != 1 || x.UnsavedBytes == 0 || x.Head != 1 {
			t.Errorf("while the disk is full: %+v", x)
		}
		if err := w.Release("doc"); session.AsError(err).Code != session.CodeBusy {
			t.Errorf("a document with unsaved edits leaves memory: %v", err)
		}
		store.Heal()
		time.Sleep(time.Minute)
		if x := w.Activities()[0]; x.Failures != 0 || x.Failure != "" || x.UnsavedOps != 0 || x.Head != 2 {
			t.Errorf("when it works again: %+v", x)
		}
		a.Close()
	})
}

// TestRelease has a document leave memory: whoever has it open is told to open it again and
// finds everything.
func TestRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a := w.editor("client-a")
		a.submit(0, 1, `["Hello"]`)
		synctest.Wait()
		if err := w.Release("doc"); err != nil {
			t.Fatal(err)
		}
		d, err := a.Take(context.Background())
		for err == nil && d.More {
			d, err = a.Take(context.Background())
		}
		if err != nil || d.Closed == nil || d.Closed.Code.Class() != session.Resync {
			t.Errorf("told %+v, %v", d.Closed, err)
		}
		a.Close()
		if err := w.Release("doc"); session.AsError(err).Code != session.CodeNotFound {
			t.Errorf("again: %v", err)
		}
		b := w.editor("client-b")
		defer b.Close()
		if b.text != "Hello" || b.rev != 1 {
			t.Errorf("%q at %d", b.text, b.rev)
		}
	})
}

// slowStore takes a second for an append.
type slowStore struct{ session.Store }

func (s slowStore) Append(ctx context.Context, id string, inc uint64, base storage.Revision, recs []storage.Record) error {
	time.Sleep(time.Second)
	return s.Store.Append(ctx, id, inc, base, recs)
}

// TestTraces follows submissions: each moment of one is at or after the one before, and the
// disk's second is where it belongs.
func TestTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var traces []session.Trace
		type key struct{}
		loads := 0
		m := session.New(session.Options{Store: slowStore{mem.New()}, Types: allTypes(), Observer: session.Observer{
			Traced: func(t *session.Trace) { traces = append(traces, *t) },
			Loading: func(c context.Context, doc string) func(error) {
				return func(err error) {
					if c.Value(key{}) == 7 && doc == "d" && err == nil {
						loads++
					}
				}
			},
		}})
		ctx := context.WithValue(context.Background(), key{}, 7)
		if _, err := m.Create(ctx, "d", "text", nil, session.User{}); err != nil {
			t.Fatal(err)
		}
		sub, _, err := m.Open(ctx, session.OpenRequest{Doc: "d", Client: "client-a", Notify: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		if err := sub.Submit(0, 1, [][]byte{[]byte(`["a"]`), []byte(`[1,"b"]`)}, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(traces) != 2 || loads != 1 {
			t.Fatalf("%d traces, %d loads", len(traces), loads)
		}
		x := traces[1]
		if x.Doc != "d" || x.Client != "client-a" || x.Operations != 2 || x.Rev != 2 || x.Context.Value(key{}) != 7 {
			t.Errorf("%+v", x)
		}
		for i, pair := range [][2]time.Time{{x.Received, x.Placed}, {x.Placed, x.Handed}, {x.Durable, x.Published}} {
			if pair[0].IsZero() || pair[1].Before(pair[0]) {
				t.Errorf("step %d goes from %v to %v", i, pair[0], pair[1])
			}
		}
		if d := x.Durable.Sub(x.Handed); d != time.Second {
			t.Errorf("the disk took %v", d)
		}
		sub.Close()
		_ = m.Close(ctx)
		time.Sleep(time.Hour)
	})
}
