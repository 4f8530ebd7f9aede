package session_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
)

// cursors returns the cursors that a delivery reports, by client.
func cursors(d session.Delivery) map[string]string {
	if d.Presence == nil {
		return nil
	}
	m := map[string]string{}
	for _, e := range d.Presence.Set {
		m[e.Client] = string(e.Cursor)
	}
	return m
}

func (e *editor) point(base session.Revision, cursor string) {
	e.w.t.Helper()
	if err := e.SetPresence(base, []byte(cursor), nil); err != nil {
		e.w.t.Fatal(err)
	}
}

func TestBurstOfCursorMovesIsOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{PresenceEvery: 40 * time.Millisecond}, nil)
		defer w.stop()
		a, b := w.editor("author-1"), w.editor("reader-1")
		a.submit(0, 1, `["0123456789"]`)
		a.take()
		time.Sleep(time.Second)
		b.take()
		told := 0
		for i := range 1000 { // a move every 0.1 ms
			a.point(1, fmt.Sprintf("[[%d,%d]]", i%10, i%10))
			time.Sleep(100 * time.Microsecond)
			if d := b.look(); d.Presence != nil {
				told++
			}
		}
		time.Sleep(time.Second)
		d := b.take()
		if got := cursors(d)["author-1"]; got != "[[9,9]]" {
			t.Errorf("the last state told is %q", got)
		}
		if told < 2 || told > 4 {
			t.Errorf("%d messages in 100 ms, want one in 40 ms", told)
		}
	})
}

func TestCursorsMoveWithOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a, b := w.editor("author-1"), w.editor("author-2")
		a.submit(0, 1, `["0123456789"]`)
		a.take()
		b.take()
		a.point(1, "[[5,7],[2,2]]")
		b.submit(1, 1, `["ab",3,-1]`)
		a.take()
		a.point(1, "[[5,7],[2,2]]") // on an older base: moved over what came since
		time.Sleep(time.Second)
		if got := cursors(b.take())["author-1"]; got != "[[6,8],[4,4]]" {
			t.Errorf("told %s", got)
		}
		// A cursor that comes with a submission counts after its run.
		if err := a.Submit(2, 2, [][]byte{[]byte(`["x"]`)}, []byte(`[[1,1]]`)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := cursors(b.take())["author-1"]; got != "[[1,1]]" {
			t.Errorf("told %s", got)
		}
		// Text inserted exactly at a cursor: one's own goes before it, another's behind it.
		b.submit(3, 2, `[1,"yy"]`)
		synctest.Wait()
		fresh := w.editor("reader-9")
		if got := cursors(fresh.take())["author-1"]; got != "[[1,1]]" {
			t.Errorf("after another's insert at it: %s", got)
		}
		a.take()
		a.submit(4, 3, `[1,"zz"]`)
		synctest.Wait()
		fresh = w.editor("reader-8")
		if got := cursors(fresh.take())["author-1"]; got != "[[3,3]]" {
			t.Errorf("after its own insert at it: %s", got)
		}
	})
}

func TestPresenceComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a := w.editor("author-1")
		time.Sleep(time.Second)
		if d := a.take(); d.Presence == nil || !d.Presence.Full || len(d.Presence.Set) != 1 {
			t.Fatalf("first presence %+v", d.Presence)
		}
		for i := range 300 { // more than departures are remembered
			b := w.editor(fmt.Sprintf("guest-%04d", i))
			if i%2 == 0 {
				time.Sleep(time.Second)
				b.take()
			}
			b.Close()
		}
		stay := w.editor("author-2")
		time.Sleep(time.Second)
		d := a.take()
		if d.Presence == nil || !d.Presence.Full || len(d.Presence.Set) != 2 {
			t.Fatalf("after many departures: %+v", d.Presence)
		}
		stay.Close()
		time.Sleep(time.Second)
		d = a.take()
		if d.Presence == nil || d.Presence.Full || len(d.Presence.Gone) != 1 || d.Presence.Gone[0] != "author-2" {
			t.Fatalf("after a departure: %+v", d.Presence)
		}
	})
}

func TestPresenceRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a := w.editor("author-1")
		a.submit(0, 1, `["ab😀"]`)
		a.take()
		for _, c := range []struct {
			base   session.Revision
			cursor string
			code   session.Code
		}{
			{2, `[[0,0]]`, session.CodeFuture},
			{-1, `[[0,0]]`, session.CodeStale},
			{1, `[[0,5]]`, session.CodeBadCursor},
			{1, `[[0,3]]`, session.CodeBadCursor},
			{1, `[[0]]`, session.CodeBadCursor},
			{1, `{}`, session.CodeBadCursor},
			{1, fmt.Sprintf("[[0,0]%05000d]", 0), session.CodeTooLarge},
		} {
			if err := a.SetPresence(c.base, []byte(c.cursor), nil); code(err) != c.code {
				t.Errorf("%.20s at %d: %v, want %s", c.cursor, c.base, err, c.code)
			}
		}
		for _, u := range []session.User{{Name: "a\nb"}, {Name: fmt.Sprintf("%0100d", 0)}, {Name: "x", Color: "red"}, {Name: "x", Color: "#12345g"}} {
			if err := a.SetPresence(1, nil, &u); err == nil {
				t.Errorf("%+v was accepted", u)
			}
		}
	})
}
