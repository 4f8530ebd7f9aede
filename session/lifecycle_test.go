package session_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
	"quire/storage/storagetest"
)

func TestIdleSessionsLeaveMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{IdleAfter: time.Minute}, nil)
		defer w.stop()
		a := w.editor("author-1")
		for i := range uint64(200) {
			a.submit(a.rev, i+1, `["x"]`)
			a.take()
		}
		time.Sleep(time.Hour)
		if n := w.Stats().Sessions; n != 1 {
			t.Fatalf("%d sessions while the document is open", n)
		}
		text := a.text
		a.Close()
		time.Sleep(10 * time.Minute)
		if n := w.Stats().Sessions; n != 0 {
			t.Fatalf("%d sessions long after the last reader left", n)
		}
		if snap, err := w.store.Snapshot(context.Background(), "doc", 200); err != nil || snap.Rev != 200 {
			t.Errorf("snapshot at %d, %v; want one of the head", snap.Rev, err)
		}
		w.editor("author-1").holds(text)
	})
}

func TestUnsavedDocumentStaysInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{IdleAfter: time.Second}, nil)
		defer w.stop()
		a := w.editor("author-1")
		w.store.Fail(storagetest.Append, 1000, nil)
		a.submit(0, 1, `["x"]`)
		a.Close()
		time.Sleep(10 * time.Minute)
		if st := w.Stats(); st.Sessions != 1 || st.Unsaved != 1 {
			t.Fatalf("%+v; a document with unsaved edits has to stay", st)
		}
		w.store.Heal()
		time.Sleep(10 * time.Minute)
		if st := w.Stats(); st.Sessions != 0 {
			t.Fatalf("%+v after the edits were saved", st)
		}
		w.editor("author-2").holds("x")
	})
}

func TestSnapshotsBoundTheTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{SnapshotOps: 50}, nil)
		a := w.editor("author-1")
		w.store.Fail(storagetest.PutSnapshot, 1, nil)
		for i := range uint64(500) {
			a.submit(a.rev, i+1, `["x"]`)
			a.take()
			time.Sleep(time.Second)
		}
		text := a.text
		snap, err := w.store.Snapshot(context.Background(), "doc", 500)
		if err != nil || snap.Rev < 450 {
			t.Fatalf("newest snapshot at %d, %v", snap.Rev, err)
		}
		store := w.store
		w.stop()
		w = newWorld(t, session.Options{}, store)
		defer w.stop()
		w.editor("author-1").holds(text)
	})
}

func TestCloseSavesWhatWasSubmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		a := w.editor("author-1")
		gate := w.store.Block(storagetest.Append)
		a.submit(0, 1, `["x"]`)
		<-gate.Arrived()
		done := make(chan error)
		go func() { done <- w.Close(context.Background()) }()
		synctest.Wait()
		if err := a.try(0, 2, `["y"]`); code(err) != session.CodeBusy {
			t.Errorf("a submission while stopping: %v", err)
		}
		if _, err := w.open(session.OpenRequest{Client: "client-9"}); code(err) != session.CodeBusy {
			t.Errorf("an open while stopping: %v", err)
		}
		gate.Open()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		a.holds("x")
		time.Sleep(time.Hour)
	})
}

func TestCloseGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		a := w.editor("author-1")
		w.store.Fail(storagetest.Append, 1<<20, nil)
		a.submit(0, 1, `["x"]`)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		start := time.Now()
		var unsaved *session.UnsavedError
		if err := w.Close(ctx); !errors.As(err, &unsaved) || unsaved.Documents != 1 {
			t.Errorf("closing with a failing store: %v", err)
		}
		if d := time.Since(start); d > 6*time.Second {
			t.Errorf("it took %v", d)
		}
		if d := a.take(); len(d.Batches) > 0 {
			t.Error("an edit was acknowledged that the store refused")
		}
		time.Sleep(time.Second) // for a step that is under way
		before := w.store.Calls(storagetest.Append)
		time.Sleep(time.Hour)
		if after := w.store.Calls(storagetest.Append); after != before {
			t.Errorf("it went on writing after Close, %d times", after-before)
		}
	})
}

// TestCloseTellsWhoWaits: who waits for an edit, or for a document to be made, is answered when the store does not
// take it before the time to stop is over.
func TestCloseTellsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		ctx := context.Background()
		if _, err := w.Create(ctx, "doc", "text", nil, session.User{}); err != nil {
			t.Fatal(err)
		}
		w.store.Fail(storagetest.Append, 1<<20, nil)
		gate := w.store.Block(storagetest.Create)
		told := make(chan error, 2)
		go func() {
			_, err := w.Edit(ctx, "doc", 0, [][]byte{[]byte(`["x"]`)}, session.Writer{})
			told <- err
		}()
		go func() {
			_, err := w.Create(ctx, "another", "text", nil, session.User{})
			told <- err
		}()
		<-gate.Arrived()
		synctest.Wait()
		over, cancel := context.WithCancel(ctx)
		cancel()
		if err := w.Close(over); err == nil {
			t.Error("everything was saved")
		}
		for range 2 {
			if err := <-told; code(err) != session.CodeUnavailable {
				t.Errorf("%v, want %s", err, session.CodeUnavailable)
			}
		}
		gate.Open()
	})
}

func TestCloseDoesNotWaitForSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		a := w.editor("author-1")
		for i := range uint64(200) {
			a.submit(a.rev, i+1, `["x"]`)
			a.take()
		}
		gate := w.store.Block(storagetest.PutSnapshot)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if err := w.Close(ctx); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > 6*time.Second {
			t.Errorf("it took %v", d)
		}
		gate.Open()
		time.Sleep(time.Hour)
	})
}

func TestFreshOpenWaitsForOwnOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a := w.editor("author-1")
		gate := w.store.Block(storagetest.Append)
		a.submit(0, 1, `["old"]`)
		<-gate.Arrived()
		a.Close()
		if _, err := w.open(session.OpenRequest{Client: "author-1"}); code(err) != session.CodeBusy {
			t.Fatalf("a fresh open while the client's own operation is being written: %v", err)
		}
		gate.Open()
		time.Sleep(time.Second)
		b := w.editor("author-1")
		b.submit(b.rev, b.opened.Seq+1, `["new "]`)
		b.holds("new old")
	})
}

func TestDeletedDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a := w.editor("author-1")
		a.submit(0, 1, `["x"]`)
		a.holds("x")
		if err := w.Delete(context.Background(), "doc"); err != nil {
			t.Fatal(err)
		}
		if d := a.take(); d.Closed == nil || d.Closed.Code != session.CodeDeleted {
			t.Errorf("the reader of a deleted document was told %v", d.Closed)
		}
		if err := a.try(1, 2, `["y"]`); code(err) != session.CodeDeleted {
			t.Errorf("a submission to a deleted document: %v", err)
		}
		b := w.editor("author-2")
		b.holds("")
		if b.opened.Incarnation == a.opened.Incarnation {
			t.Error("the new document has the old one's incarnation")
		}
		_, err := w.open(session.OpenRequest{Client: "author-1", Resume: true, Incarnation: a.opened.Incarnation, Rev: 0, Seq: 0})
		if code(err) != session.CodeIncarnation {
			t.Errorf("resuming the old document: %v", err)
		}
	})
}

func TestDeletedBehindTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a := w.editor("author-1")
		if err := w.store.Delete(context.Background(), "doc"); err != nil {
			t.Fatal(err)
		}
		a.submit(0, 1, `["x"]`)
		if d := a.take(); d.Closed == nil || d.Closed.Code != session.CodeDeleted || len(d.Batches) > 0 {
			t.Errorf("told %v", d.Closed)
		}
	})
}

func TestSameClientOpensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a := w.editor("author-1")
		gate := w.store.Block(storagetest.Append)
		a.submit(0, 1, `["x"]`)
		<-gate.Arrived()
		b, err := w.open(session.OpenRequest{Client: "author-1", Resume: true, Incarnation: a.opened.Incarnation, Rev: 0, Seq: 0})
		if err != nil {
			t.Fatal(err)
		}
		if d := a.take(); d.Closed == nil || d.Closed.Code != session.CodeReplaced {
			t.Errorf("the earlier opening was told %v", d.Closed)
		}
		b.submit(0, 1, `["x"]`) // resent: the first one is still being written
		gate.Open()
		b.holds("x")
		if len(b.own) != 1 {
			t.Errorf("acknowledged %v", b.own)
		}
		b.submit(1, 2, `["y"]`)
		b.holds("yx")
	})
}

// TestLateOpening has the opening of a connection that its client has left arrive after
// that of the connection it has now, which stays.
func TestLateOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a := w.editor("author-1")
		again := session.OpenRequest{Client: "author-1", Resume: true, Incarnation: a.opened.Incarnation, Order: 2}
		b, err := w.open(again)
		if err != nil {
			t.Fatal(err)
		}
		again.Order = 1
		if _, err := w.open(again); code(err) != session.CodeReplaced {
			t.Errorf("a late opening: %v", err)
		}
		b.submit(0, 1, `["x"]`)
		b.holds("x")
		again.Order = 2
		if _, err := w.open(again); err != nil {
			t.Errorf("once more on the same connection: %v", err)
		}
	})
}

func TestUnknownTypesAndIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		open := func(doc, create string) session.Code {
			_, _, err := w.Open(ctx, session.OpenRequest{Doc: doc, Client: "client-1", Create: create, Notify: func() {}})
			return code(err)
		}
		for _, c := range []struct {
			doc, create string
			code        session.Code
		}{
			{"missing", "", session.CodeNotFound},
			{"new", "poem", session.CodeBadType},
			{"", "text", session.CodeBadID},
			{"a\x00b", "text", session.CodeBadID},
			{"\xff", "text", session.CodeBadID},
			{fmt.Sprintf("%0600d", 0), "text", session.CodeBadID},
		} {
			if got := open(c.doc, c.create); got != c.code {
				t.Errorf("open %q as %q: %s, want %s", c.doc, c.create, got, c.code)
			}
		}
		if infos, err := w.List(ctx, "", "", 10); err != nil || len(infos) != 0 {
			t.Errorf("documents after refused opens: %v, %v", infos, err)
		}
	})
}
