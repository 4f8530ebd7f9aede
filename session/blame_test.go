package session_test

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage"
	"quire/storage/storagetest"
)

// blamed writes parts down.
func blamed(parts []session.Part) string {
	var out []string
	for _, p := range parts {
		out = append(out, fmt.Sprintf("%s[%d,%d) %s@%d", p.Path, p.Start, p.Start+p.Length, p.Author, p.Origin))
	}
	return strings.Join(out, " ")
}

func (w *world) blame(rev, since session.Revision) string {
	parts, _, _, err := w.Blame(context.Background(), "doc", rev, since)
	if err != nil {
		return string(code(err))
	}
	return blamed(parts)
}

func TestBlame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		ctx := context.Background()
		is(t, "of no document", w.blame(session.Head, session.Unborn), "not_found")
		w.made("text", `"one two"`)
		time.Sleep(time.Minute)
		w.edit(0, `[3," and"]`, by("ann")) // one and two
		w.edit(1, `[5,"X"]`, by("ann"))    // one aXnd two
		w.edit(2, `[-4]`, by("bob"))       // aXnd two
		is(t, "now", w.blame(session.Head, session.Unborn), "[0,1) ann@1 [1,2) ann@2 [2,4) ann@1 [4,8) maker@0")
		is(t, "before", w.blame(1, session.Unborn), "[0,3) maker@0 [3,7) ann@1 [7,11) maker@0")
		is(t, "since", w.blame(3, 0), "[0,1) ann@1 [1,2) ann@2 [2,4) ann@1")
		is(t, "since then", w.blame(3, 1), "[1,2) ann@2")
		is(t, "the beginning", w.blame(0, session.Unborn), "[0,7) maker@0")
		is(t, "the future", w.blame(4, session.Unborn), "future")
		is(t, "before the creation", w.blame(-1, session.Unborn), "not_found")
		parts, rev, typ, err := w.Blame(ctx, "doc", session.Head, 1)
		if err != nil || rev != 3 || typ.Name() != "text" || len(parts) != 1 || time.Since(parts[0].Time) > time.Second || parts[0].First != 2 {
			t.Errorf("%+v of %v at %d, %v", parts, typ, rev, err)
		}

		a := w.from("author-1", session.Head) // types in one go, and again later
		for i, op := range []string{`["h"]`, `[1,"e"]`, `[2,"y"]`, `[3," "]`} {
			if i == 3 {
				time.Sleep(11 * time.Second)
			}
			a.change(a.rev, uint64(i+1), op)
			a.take()
		}
		is(t, "typed", w.blame(7, 3), "[0,3) @6 [3,4) @7")
		is(t, "typed since", w.blame(7, 4), "[1,3) @6 [3,4) @7")

		a.change(7, 9, session.Deletion{}) // 8
		a.take()
		is(t, "deleted", w.blame(8, session.Unborn), "not_found")
		if _, err := w.Restore(ctx, "doc", 0, by("cyd")); err != nil { // 9
			t.Fatal(err)
		}
		w.edit(9, `["!"]`, by("bob"))
		want := "[0,1) bob@10 [1,8) cyd@9"
		is(t, "another life", w.blame(10, session.Unborn), want)
		is(t, "the life before", w.blame(2, session.Unborn), "[0,3) maker@0 [3,5) ann@1 [5,6) ann@2 [6,8) ann@1 [8,12) maker@0")
		store := w.store
		w.stop()

		w = newWorld(t, session.Options{}, store)
		defer w.stop()
		store.Fail(storagetest.Read, 1, nil)
		is(t, "on a store that does not read", w.blame(session.Head, session.Unborn), "unavailable")
		is(t, "after a restart", w.blame(session.Head, session.Unborn), want)
		is(t, "again", w.blame(session.Head, 9), "[0,1) bob@10")
		store.Fail(storagetest.Read, 100, nil)
		is(t, "again, on a store that does not read", w.blame(session.Head, session.Unborn), "unavailable")
		store.Heal()
	})
}

// TestBlameAgainstTheOracle asks for who made what at random revisions, in any order, so that
// what is kept between is used.
func TestBlameAgainstTheOracle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		rng := rand.New(rand.NewPCG(1, 9))
		w.made("text", `"abcdefgh"`)
		fresh := func(n int) string { return strings.Repeat("x", n) }
		for i := range 200 {
			if got := w.edit(session.Head, randomEdit(rng, w, session.Revision(i), fresh), by(fmt.Sprint("p", rng.IntN(3)))); !strings.HasPrefix(got, fmt.Sprint(i+1)) {
				t.Fatal(got)
			}
		}
		type unit struct {
			rev session.Revision
			by  string
		}
		doc := slices.Repeat([]unit{{0, "maker"}}, 8)
		want := []string{""}
		for _, e := range past(t, w, 0) {
			at := 0
			for _, c := range e.Op.(text.Op) {
				switch c.Kind {
				case text.Retain:
					at += c.N
				case text.Delete:
					doc = slices.Delete(doc, at, at+c.N)
				case text.Insert:
					doc = slices.Insert(doc, at, slices.Repeat([]unit{{e.Rev, e.Author}}, c.N)...)
					at += c.N
				}
			}
			var parts []session.Part
			for i, u := range doc {
				if n := len(parts) - 1; n >= 0 && session.Revision(parts[n].Origin) == u.rev {
					parts[n].Length++
					continue
				}
				p := session.Part{Author: u.by}
				p.Start, p.Length, p.Origin = i, 1, ot.Origin(u.rev)
				parts = append(parts, p)
			}
			want = append(want, blamed(parts))
		}
		for range 300 {
			rev := 1 + rng.IntN(200)
			is(t, fmt.Sprint("revision ", rev), w.blame(session.Revision(rev), session.Unborn), want[rev])
		}
	})
}

func TestBlameOfEveryType(t *testing.T) {
	for _, c := range everyType {
		bubble(c.typ.Name(), t, func(t *testing.T) {
			w := newWorld(t, session.Options{}, nil)
			defer w.stop()
			w.made(c.typ.Name(), c.old)
			if _, err := w.Edit(context.Background(), "doc", 0, ops(c.op), by("ann")); err != nil {
				t.Fatal(err)
			}
			got := w.blame(session.Head, session.Unborn)
			if !strings.Contains(got, "maker@0") || !strings.Contains(got, "ann@1") {
				t.Errorf("the parts are by %s", got)
			}
			if got := w.blame(session.Head, 0); strings.Contains(got, "maker") || !strings.Contains(got, "ann@1") {
				t.Errorf("the new parts are by %s", got)
			}
			gs, _, err := w.Groups(context.Background(), "doc", session.Head, 1, session.Grouping{})
			if err != nil || gs[0].Inserted == 0 {
				t.Errorf("the group is %+v, %v", gs, err)
			}
		})
	}
}

// What a document's past begins with after it was squashed has its authors.
func TestBlameOfASquashedPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		entries := []session.Entry{written(5, 1000, "ann", 0, created(text.Type{}, `"one"`)), written(6, 2000, "bob", 1, `["x"]`)}
		info, err := w.Import(ctx, "doc", session.Meta{}, nil, from(entries))
		if err != nil {
			t.Fatal(err)
		}
		is(t, "now", w.blame(6, session.Unborn), "[0,1) bob@6 [1,4) ann@5")
		is(t, "at its beginning", w.blame(5, session.Unborn), "[0,3) ann@5")
		is(t, "before", w.blame(4, session.Unborn), "gone")
		const key = "authorship/0000000000000005/0000"
		if notes, err := w.store.Notes(ctx, "doc", "authorship/", "", 9); err != nil || len(notes) != 1 || notes[0].Key != key {
			t.Fatal(notes, err)
		}
		for _, form := range []string{"", "\x01", "\x09", "\x01\x05\x04text", "\x01\x05\x04text\x00\x01\x00\x00\x07", "\x01\x05\x04text\x00\xff\xff\xff\xff\x0f", "\x01\x05\x04none\x00\x00", "\x01\x04\x00"} {
			var packed bytes.Buffer
			z, _ := flate.NewWriter(&packed, 1)
			fmt.Fprint(z, form)
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			if form == "" {
				packed.WriteString("!") // not even that
			}
			if err := w.store.SetNotes(ctx, "doc", info.Incarnation, []storage.Note{{Key: key, Value: packed.Bytes()}}); err != nil {
				t.Fatal(err)
			}
			fresh := newWorld(t, session.Options{}, w.store)
			is(t, fmt.Sprintf("with %q for a note", form), fresh.blame(6, session.Unborn), "unavailable")
			fresh.stop()
		}
		if err := w.store.SetNotes(ctx, "doc", info.Incarnation, []storage.Note{{Key: key}}); err != nil {
			t.Fatal(err)
		}
		fresh := newWorld(t, session.Options{}, w.store)
		is(t, "without a note", fresh.blame(6, session.Unborn), "[0,1) bob@6 [1,4) @5")
		fresh.stop()
	})
}
