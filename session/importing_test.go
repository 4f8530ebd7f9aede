package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage"
	"quire/storage/storagetest"
)

// from returns entries one after the other.
func from(entries []session.Entry) func() (session.Entry, error) {
	return func() (session.Entry, error) {
		if len(entries) == 0 {
			return session.Entry{}, io.EOF
		}
		e := entries[0]
		entries = entries[1:]
		return e, nil
	}
}

// written is a step of a past that is written by hand.
func written(rev session.Revision, at int, who string, seq uint64, op any) session.Entry {
	e := session.Entry{Rev: rev, Type: text.Type{}, Op: op, Author: who, Time: time.UnixMilli(int64(at)).UTC()}
	if seq > 0 {
		e.Client, e.Seq = who+"-1", seq
	}
	switch v := op.(type) {
	case session.Creation:
		e.Type, e.Kind = v.Type, storage.Create
	case session.Deletion:
		e.Kind = storage.Delete
	case string:
		decoded, err := text.Decode([]byte(v), ot.Limits{})
		if err != nil {
			panic(err)
		}
		e.Op = decoded
	}
	return e
}

// nothingLeft checks that an import left nothing behind.
func (w *world) nothingLeft() {
	w.t.Helper()
	infos, err := w.store.List(context.Background(), "", "", 10)
	if err != nil || len(infos) > 0 {
		w.t.Errorf("the store holds %v, %v", infos, err)
	}
}

// A document's past comes out of an import as it went in, for every type and all lives.
func TestImport(t *testing.T) {
	for _, c := range everyType {
		bubble(c.typ.Name(), t, func(t *testing.T) {
			w := newWorld(t, session.Options{Limits: session.Limits{Window: 4}, SnapshotOps: 4}, nil)
			defer w.stop()
			ctx := context.Background()
			w.made(c.typ.Name(), c.old)
			a := w.from("author-1", session.Head)
			for i := range 9 {
				if _, err := w.Edit(ctx, "doc", session.Head, ops(c.op), by(fmt.Sprint("person ", i%3))); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
			}
			a.take()
			a.change(9, 7, session.Deletion{})
			a.take()
			a.change(10, 8, created(text.Type{}, `"another life"`))
			a.take()
			a.change(11, 9, `[7," new"]`)
			a.take()

			meta := session.Meta{Title: "Two lives", Fields: []byte(`{"tags":["x"]}`)}
			labels := []session.Label{{Name: "start", Rev: 0, Author: "ann", Time: time.UnixMilli(17).UTC()}, {Name: "now", Rev: 12, Time: time.UnixMilli(18).UTC()}}
			info, err := w.Import(ctx, "copy", meta, labels, from(past(t, w, session.Unborn)))
			if err != nil {
				t.Fatal(err)
			}
			original, err := w.store.Stat(ctx, "doc")
			if err != nil {
				t.Fatal(err)
			}
			original.ID, original.Incarnation = info.ID, info.Incarnation
			if info != original {
				t.Errorf("the copy is %+v, the original %+v", info, original)
			}
			want, err := w.store.Read(ctx, "doc", -1, 12)
			if err != nil {
				t.Fatal(err)
			}
			got, err := w.store.Read(ctx, "copy", -1, 12)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("the copy's records are %v, %v; want %v", got, err, want)
			}
			if gotMeta, err := w.Meta(ctx, "copy"); err != nil || fmt.Sprint(gotMeta) != fmt.Sprint(meta) {
				t.Errorf("meta %v, %v", gotMeta, err)
			}
			if gotLabels, err := w.Labels(ctx, "copy"); err != nil || fmt.Sprint(gotLabels) != fmt.Sprint(labels) {
				t.Errorf("labels %v, %v", gotLabels, err)
			}
			if _, err := session.Verify(ctx, w.store, allTypes(), "copy", func(rev session.Revision, what string) { t.Errorf("revision %d: %s", rev, what) }); err != nil {
				t.Error(err)
			}
			if _, err := w.Import(ctx, "copy", meta, nil, from(past(t, w, session.Unborn))); code(err) != session.CodeExists {
				t.Errorf("a second time: %v", err)
			}
			is(t, "an edit of the copy", told(w.Edit(ctx, "copy", 12, ops(`["!"]`), by("ann"))), `13 ["!"]`)
		})
	}
}

// What cannot be a past is refused with its revision, and nothing is left of it.
func TestImportRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Limits: session.Limits{Document: 20}}, nil)
		defer w.stop()
		ctx := context.Background()
		begin := written(0, 10, "ann", 1, created(text.Type{}, `"one"`))
		for _, c := range []struct {
			name    string
			entries []session.Entry
			want    string
		}{
			{"nothing", nil, "bad_op: there is no revision"},
			{"an edit first", []session.Entry{written(0, 10, "ann", 1, `["x"]`)}, "bad_op: revision 0: an operation of another type"},
			{"a deletion first", []session.Entry{written(0, 10, "ann", 1, session.Deletion{})}, "bad_op: revision 0: a deletion of what is not there"},
			{"a negative revision", []session.Entry{written(-1, 10, "ann", 1, created(text.Type{}, `"one"`))}, "bad_op: revision -1: the first is of revision 0, or at most 4194304"},
			{"a huge revision", []session.Entry{written(1<<60, 10, "ann", 1, created(text.Type{}, `"one"`))}, "bad_op: revision 1152921504606846976: the first is of revision 0, or at most 4194304"},
			{"a gap", []session.Entry{begin, written(2, 11, "ann", 2, `["x"]`)}, "bad_op: revision 2: comes after revision 0"},
			{"twice", []session.Entry{begin, written(0, 11, "ann", 2, `["x"]`)}, "bad_op: revision 0: comes after revision 0"},
			{"back in time", []session.Entry{begin, written(1, 9, "ann", 2, `["x"]`)}, "bad_op: revision 1: its time is before the time of the revision before"},
			{"before time", []session.Entry{written(0, -10, "ann", 1, created(text.Type{}, `"one"`))}, "bad_op: revision 0: its time is before the time of the revision before"},
			{"of the future", []session.Entry{begin, {Rev: 1, Type: text.Type{}, Op: text.Op(nil), Time: time.Now().Add(48 * time.Hour)}}, "bad_op: revision 1: its time is in the future"},
			{"past the end", []session.Entry{begin, written(1, 11, "ann", 2, `[4,"x"]`)}, ""},
			{"another type", []session.Entry{begin, {Rev: 1, Type: other{}, Op: text.Op(nil), Time: time.UnixMilli(12)}}, "bad_op: revision 1: an operation of another type"},
			{"not an operation", []session.Entry{begin, {Rev: 1, Type: text.Type{}, Op: 17, Time: time.UnixMilli(12)}}, "bad_op: revision 1: it does not fit the document"},
			{"no operation", []session.Entry{begin, {Rev: 1, Type: text.Type{}, Time: time.UnixMilli(12)}}, "bad_op: revision 1: it does not fit the document"},
			{"created twice", []session.Entry{begin, written(1, 11, "ann", 2, created(text.Type{}, `"one"`))}, "bad_op: revision 1: a creation of what is there"},
			{"an unknown type", []session.Entry{{Op: session.Creation{Type: stranger{}}, Time: time.UnixMilli(12)}}, "bad_op: revision 0: unknown document type"},
			{"no content", []session.Entry{{Op: session.Creation{Type: text.Type{}}, Time: time.UnixMilli(12)}}, "bad_op: revision 0: a creation without content"},
			{"a sequence number twice", []session.Entry{begin, written(1, 11, "ann", 1, `["x"]`)}, `bad_op: revision 1: sequence number 1 of client "ann-1" is not above the one before`},
			{"a large document", []session.Entry{begin, written(1, 11, "ann", 2, `["xxxxxxxxxxxxxxxxxxxx"]`)}, "too_large: revision 1: the document would be 23 bytes, the limit max-document is 20"},
			{"a control character", []session.Entry{begin, written(1, 11, "a\x00", 0, `["x"]`)}, "bad_op: revision 1: a name holds a control character or is not UTF-8"},
		} {
			_, err := w.Import(ctx, "doc", session.Meta{}, nil, from(c.entries))
			if got := fmt.Sprint(err); got != c.want && c.want != "" || code(err) != session.CodeBadOp && code(err) != session.CodeTooLarge {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
			w.nothingLeft()
		}
		good := []session.Entry{begin, written(1, 10, "ann", 2, `["x"]`)}
		for _, c := range []struct {
			id     string
			meta   session.Meta
			labels []session.Label
			want   session.Code
		}{
			{"", session.Meta{}, nil, session.CodeBadID},
			{".quire/import/x", session.Meta{}, nil, session.CodeBadID},
			{"doc", session.Meta{Fields: []byte(`[]`)}, nil, session.CodeBadMessage},
			{"doc", session.Meta{}, []session.Label{{Name: "x", Rev: 2}}, session.CodeBadMessage},
			{"doc", session.Meta{}, []session.Label{{Name: "x", Rev: -1}}, session.CodeBadMessage},
			{"doc", session.Meta{}, []session.Label{{Name: "x"}, {Name: "x"}}, session.CodeBadMessage},
			{"doc", session.Meta{}, []session.Label{{Name: ""}}, session.CodeBadMessage},
			{"doc", session.Meta{}, make([]session.Label, 1001), session.CodeTooLarge},
		} {
			if _, err := w.Import(ctx, c.id, c.meta, c.labels, from(good)); code(err) != c.want {
				t.Errorf("%+v: %v", c, err)
			}
			w.nothingLeft()
		}
		broken := errors.New("the file ends here")
		if _, err := w.Import(ctx, "doc", session.Meta{}, nil, func() (session.Entry, error) { return session.Entry{}, broken }); !errors.Is(err, broken) {
			t.Errorf("a reader that fails: %v", err)
		}
		w.nothingLeft()
		for _, call := range []storagetest.Call{storagetest.Create, storagetest.Append, storagetest.PutSnapshot, storagetest.Read} {
			w.store.Fail(call, 1, nil)
			if _, err := w.Import(ctx, "doc", session.Meta{}, nil, from(good)); code(err) != session.CodeUnavailable {
				t.Errorf("on a store that fails: %v", err)
			}
			w.store.Heal()
			w.nothingLeft()
		}
		if _, err := w.Import(ctx, "doc", session.Meta{}, nil, from(good)); err != nil {
			t.Fatal(err)
		}
		w.verified()
	})
}

type stranger struct{ text.Type }

func (stranger) Name() string { return "stranger" }

// A document whose beginning was squashed keeps its revision numbers.
func TestImportOfASquashedPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		const oldest = 20_000
		entries := []session.Entry{written(oldest, 1000, "ann", 0, created(text.Type{}, `"one"`)), written(oldest+1, 2000, "bob", 1, `["x"]`)}
		info, err := w.Import(ctx, "doc", session.Meta{}, []session.Label{{Name: "first", Rev: oldest}}, from(entries))
		if err != nil || info.Oldest != oldest || info.Head != oldest+1 {
			t.Fatalf("%+v, %v", info, err)
		}
		w.head(`text "xone"`)
		if _, err := w.View(ctx, "doc", oldest-1); code(err) != session.CodeGone {
			t.Errorf("before it begins: %v", err)
		}
		if _, err := w.Entries(ctx, "doc", oldest-1, session.Head, 1); code(err) != session.CodeGone {
			t.Errorf("steps before it begins: %v", err)
		}
		if _, _, err := w.Groups(ctx, "doc", oldest, 1, session.Grouping{}); code(err) != session.CodeGone {
			t.Errorf("groups before it begins: %v", err)
		}
		gs, next, err := w.Groups(ctx, "doc", session.Head, 10, session.Grouping{})
		if err != nil || next != session.Unborn {
			t.Fatal(next, err)
		}
		is(t, "groups", groups(gs), "(20000,20001] bob 0")
		is(t, "a revert", told(w.Revert(ctx, "doc", "bob", oldest, session.Head, by("ann"))), "20002 [-1]")
		is(t, "a revert of what is gone", told(w.Revert(ctx, "doc", "bob", 0, session.Head, by("ann"))), "gone")
		is(t, "a restore of what is gone", told(w.Restore(ctx, "doc", 0, by("ann"))), "gone")
		is(t, "an edit of what is gone", w.edit(0, `["y"]`, by("ann")), "gone")
		if _, err := w.SetLabel(ctx, "doc", "gone", 0, session.User{}); code(err) != session.CodeGone {
			t.Errorf("a label of what is gone: %v", err)
		}
	})
}

// Imports that were under way when the server was stopped are hidden, and go.
func TestImportLeftOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		ctx := context.Background()
		w.made("text", `"x"`)
		w.store.Fail(storagetest.Append, 1, nil)
		w.store.Fail(storagetest.Delete, 1, nil)
		entries := []session.Entry{written(0, 10, "ann", 1, created(text.Type{}, `"one"`)), written(1, 10, "ann", 2, `["x"]`)}
		if _, err := w.Import(ctx, "new", session.Meta{}, nil, from(entries)); code(err) != session.CodeUnavailable {
			t.Fatal(err)
		}
		hidden, err := w.store.List(ctx, ".", "", 10)
		if err != nil || len(hidden) != 1 {
			t.Fatal("nothing was left over", err)
		}
		if infos, err := w.List(ctx, "", "", 1); err != nil || len(infos) != 1 || infos[0].ID != "doc" {
			t.Errorf("listed %v, %v", infos, err)
		}
		if _, err := w.View(ctx, hidden[0].ID, session.Head); code(err) != session.CodeBadID {
			t.Errorf("it can be seen: %v", err)
		}
		store := w.store
		w.stop()
		w = newWorld(t, session.Options{}, store)
		defer w.stop()
		store.Fail(storagetest.Read, 1, nil)
		if err := w.CleanUp(ctx); err == nil {
			t.Error("a store that fails was cleaned up")
		}
		if err := w.CleanUp(ctx); err != nil {
			t.Error(err)
		}
		if infos, err := store.List(ctx, "", "", 10); err != nil || len(infos) != 1 {
			t.Errorf("the store holds %v, %v", infos, err)
		}
	})
}

// Whoever waits for a document is told when it is imported.
func TestImportTellsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		a := w.from("author-1", session.Head)
		entries := []session.Entry{written(0, 10, "ann", 1, created(text.Type{}, `"one"`))}
		if _, err := w.Import(context.Background(), "doc", session.Meta{}, nil, from(entries)); err != nil {
			t.Fatal(err)
		}
		if a.take(); a.closed == nil || a.closed.Code != session.CodeUnavailable {
			t.Errorf("told %v", a.closed)
		}
		a = w.from("author-1", session.Head)
		a.change(0, 1, `["x"]`)
		a.holds(1, `text "xone"`, "1@1")
	})
}
