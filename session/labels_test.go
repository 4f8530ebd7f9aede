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
	"quire/storage"
	"quire/storage/storagetest"
)

func (w *world) labels() string {
	w.t.Helper()
	labels, err := w.Labels(context.Background(), "doc")
	if err != nil {
		return string(code(err))
	}
	var out []string
	for _, l := range labels {
		out = append(out, fmt.Sprintf("%s@%d by %s", l.Name, l.Rev, l.Author))
	}
	return strings.Join(out, ", ")
}

func TestLabels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		ctx := context.Background()
		ann := session.User{Name: "ann"}
		is(t, "of no document", w.labels(), "not_found")
		if _, err := w.SetLabel(ctx, "doc", "x", 0, ann); code(err) != session.CodeNotFound {
			t.Errorf("a label of no document: %v", err)
		}
		w.made("text", `"x"`)
		for i := range 3 {
			time.Sleep(time.Minute)
			w.edit(session.Revision(i), `["y"]`, by("bob"))
		}
		is(t, "none", w.labels(), "")
		for _, c := range []struct {
			name string
			rev  session.Revision
			code session.Code
		}{
			{"", 0, session.CodeBadMessage}, {strings.Repeat("x", 101), 0, session.CodeBadMessage}, {"a\nb", 0, session.CodeBadMessage},
			{"\xff", 0, session.CodeBadMessage}, {"x", 4, session.CodeFuture}, {"x", -1, session.CodeNotFound},
		} {
			if _, err := w.SetLabel(ctx, "doc", c.name, c.rev, ann); code(err) != c.code {
				t.Errorf("%q at %d: %v, want %s", c.name, c.rev, err, c.code)
			}
		}
		l, err := w.SetLabel(ctx, "doc", "now", session.Head, ann)
		if err != nil || l.Rev != 3 || l.Author != "ann" || time.Since(l.Time) > time.Second {
			t.Errorf("%+v, %v", l, err)
		}
		for _, name := range []string{"première", "a/b", strings.Repeat("x", 100)} {
			if _, err := w.SetLabel(ctx, "doc", name, 1, session.User{Name: "bob"}); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
		if err := w.DeleteLabel(ctx, "doc", strings.Repeat("x", 100)); err != nil {
			t.Error(err)
		}
		if err := w.DeleteLabel(ctx, "doc", "zz"); code(err) != session.CodeNotFound {
			t.Errorf("a label that is not there: %v", err)
		}
		store := w.store
		w.stop()
		w = newWorld(t, session.Options{}, store)
		defer w.stop()
		is(t, "labels", w.labels(), "a/b@1 by bob, première@1 by bob, now@3 by ann")
		if _, err := w.SetLabel(ctx, "doc", "a/b", 2, ann); err != nil {
			t.Error(err)
		}
		is(t, "moved", w.labels(), "première@1 by bob, a/b@2 by ann, now@3 by ann")

		at := func(label string, at time.Time) string {
			rev, err := w.Resolve(ctx, "doc", label, at)
			if err != nil {
				return string(code(err))
			}
			return fmt.Sprint(rev)
		}
		entries, err := w.Entries(ctx, "doc", session.Unborn, session.Head, 10)
		if err != nil || len(entries) != 4 {
			t.Fatal(len(entries), err)
		}
		is(t, "by label", at("a/b", time.Time{}), "2")
		is(t, "by a label that is not there", at("c", time.Now()), "not_found")
		is(t, "by time", at("", entries[2].Time), "2")
		is(t, "just before", at("", entries[2].Time.Add(-time.Millisecond)), "1")
		is(t, "now", at("", time.Now()), "3")
		is(t, "before the creation", at("", entries[0].Time.Add(-time.Hour)), "not_found")
		if _, err := w.Resolve(ctx, "missing", "", time.Now()); code(err) != session.CodeNotFound {
			t.Errorf("of no document: %v", err)
		}

		// Everybody's labels are there.
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				if _, err := w.SetLabel(ctx, "doc", fmt.Sprint("one of many ", i), 0, ann); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		is(t, "many", fmt.Sprint(strings.Count(w.labels(), "one of many")), "30")
		for i := range 967 {
			if _, err := w.SetLabel(ctx, "doc", fmt.Sprint("n", i), 0, ann); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.SetLabel(ctx, "doc", "one too many", 0, ann); code(err) != session.CodeTooLarge {
			t.Errorf("one too many: %v", err)
		}
		if _, err := w.SetLabel(ctx, "doc", "now", 0, ann); err != nil {
			t.Errorf("one that is there: %v", err)
		}
		store.Fail(storagetest.Read, 1, nil)
		is(t, "on a store that does not read", w.labels(), "unavailable")
		store.Heal()
		info, err := store.Stat(ctx, "doc")
		if err != nil {
			t.Fatal(err)
		}
		if err := store.SetNotes(ctx, "doc", info.Incarnation, []storage.Note{{Key: "label/bad", Value: []byte("17")}}); err != nil {
			t.Fatal(err)
		}
		is(t, "damaged", w.labels(), "unavailable")
	})
}

func TestMeta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		if _, err := w.Meta(ctx, "doc"); code(err) != session.CodeNotFound {
			t.Errorf("of no document: %v", err)
		}
		if err := w.SetMeta(ctx, "doc", session.Meta{Title: "x"}); code(err) != session.CodeNotFound {
			t.Errorf("of no document: %v", err)
		}
		w.made("text", `"x"`)
		for _, m := range []session.Meta{{}, {Title: "Ein Titel"}, {Fields: []byte(`{}`)}, {Title: "x", Fields: []byte(`{"a":[1,"<b>"]}`)}, {}} {
			if err := w.SetMeta(ctx, "doc", m); err != nil {
				t.Errorf("%+v: %v", m, err)
			}
			if got, err := w.Meta(ctx, "doc"); err != nil || got.Title != m.Title || (got.Fields == nil) != (m.Fields == nil) {
				t.Errorf("%+v, %v; want %+v", got, err, m)
			}
		}
		for _, c := range []struct {
			m    session.Meta
			code session.Code
		}{
			{session.Meta{Title: strings.Repeat("x", 201)}, session.CodeTooLarge},
			{session.Meta{Title: "a\tb"}, session.CodeBadMessage},
			{session.Meta{Title: "\xff"}, session.CodeBadMessage},
			{session.Meta{Fields: []byte{}}, session.CodeBadMessage},
			{session.Meta{Fields: []byte(`[]`)}, session.CodeBadMessage},
			{session.Meta{Fields: []byte(`{`)}, session.CodeBadMessage},
			{session.Meta{Fields: []byte("{\"a\":\"\xff\"}")}, session.CodeBadMessage},
			{session.Meta{Fields: []byte(`{"a":"` + strings.Repeat("x", 16<<10) + `"}`)}, session.CodeTooLarge},
		} {
			if err := w.SetMeta(ctx, "doc", c.m); code(err) != c.code {
				t.Errorf("%.40q: %v, want %s", c.m.Fields, err, c.code)
			}
		}
	})
}
