package storagetest

import (
	"math"
	"slices"
	"testing"

	"quire/storage"
)

// keys returns what notes are of.
func keys(notes []storage.Note) []string {
	out := make([]string, len(notes))
	for i, n := range notes {
		out[i] = n.Key
	}
	return out
}

func (f *fixture) setNotes(info storage.Info, notes ...storage.Note) {
	f.t.Helper()
	if err := f.SetNotes(f.ctx, info.ID, info.Incarnation, notes); err != nil {
		f.t.Fatalf("set notes of %q: %v", info.ID, err)
	}
}

// checkNotes compares the keys that a document, or the store, has.
func (f *fixture) checkNotes(id, prefix, after string, limit int, want ...string) {
	f.t.Helper()
	got, err := f.Notes(f.ctx, id, prefix, after, limit)
	if err != nil || !slices.Equal(keys(got), want) {
		f.t.Errorf("notes %q of %q after %q: %q, %v, want %q", prefix, id, after, keys(got), err, want)
	}
}

func testNotes(t *testing.T, f *fixture) {
	doc, other := f.create("doc"), f.create("doc/2")
	store := storage.Info{}
	for _, info := range []storage.Info{doc, other, store} {
		f.checkNotes(info.ID, "", "", 10)
		f.setNotes(info,
			storage.Note{Key: "label/b", Value: []byte(info.ID)}, storage.Note{Key: "label/a", Value: []byte("1")},
			storage.Note{Key: "label", Value: []byte{}}, storage.Note{Key: "\x00", Value: make([]byte, 300_000)}, storage.Note{Key: long(storage.MaxNoteKey), Value: []byte("z")},
			storage.Note{Key: "none", Value: nil})
	}
	for range 2 {
		for _, info := range []storage.Info{doc, other, store} {
			f.checkNotes(info.ID, "", "", 10, "\x00", "label", "label/a", "label/b", long(storage.MaxNoteKey))
			f.checkNotes(info.ID, "label", "", 2, "label", "label/a")
			f.checkNotes(info.ID, "label", "label", 2, "label/a", "label/b")
			f.checkNotes(info.ID, "label/", "label/a", 2, "label/b")
			f.checkNotes(info.ID, "label/", "a", 1, "label/a")
			f.checkNotes(info.ID, "label/", "z", 9)
			f.checkNotes(info.ID, "m", "", 9)
			got, err := f.Notes(f.ctx, info.ID, "label", "", 9)
			if err != nil || got[0].Value == nil || len(got[0].Value) != 0 || string(got[1].Value) != "1" || string(got[2].Value) != info.ID {
				t.Errorf("notes of %q: %q, %v", info.ID, got, err)
			}
			clear(got[1].Value) // it is ours
		}
		f.restart()
	}
	f.setNotes(doc, storage.Note{Key: "label/a"}, storage.Note{Key: "label/b", Value: []byte("new")}, storage.Note{Key: "label/c", Value: []byte("")}, storage.Note{Key: "label/c"})
	f.restart()
	f.checkNotes("doc", "label/", "", 9, "label/b")
	f.checkNotes("doc/2", "label/", "", 9, "label/a", "label/b")
	f.checkNotes("", "label/", "", 9, "label/a", "label/b")
	if got, err := f.Notes(f.ctx, "doc", "label/", "", 9); err != nil || string(got[0].Value) != "new" {
		t.Errorf("notes: %q, %v", got, err)
	}

	one := []storage.Note{{Key: "k", Value: []byte("v")}}
	checkError(t, "of another incarnation", f.SetNotes(f.ctx, "doc", doc.Incarnation+1, one), storage.ErrNotFound)
	checkError(t, "of no document", f.SetNotes(f.ctx, "missing", doc.Incarnation, one), storage.ErrNotFound)
	_, err := f.Notes(f.ctx, "missing", "", "", 1)
	checkError(t, "notes of no document", err, storage.ErrNotFound)
	_, err = f.Notes(f.ctx, "doc", "", "", 0)
	checkError(t, "no notes", err, storage.ErrInvalid)
	for what, notes := range map[string][]storage.Note{
		"none": nil, "no key": {{}}, "long key": {{Key: long(storage.MaxNoteKey + 1), Value: []byte("v")}},
		"large": {one[0], {Key: "l", Value: make([]byte, storage.MaxNote+1)}},
		"many":  slices.Repeat([]storage.Note{{Key: "l", Value: make([]byte, storage.MaxNote)}}, storage.MaxAppend/storage.MaxNote),
	} {
		checkError(t, what, f.SetNotes(f.ctx, "doc", doc.Incarnation, notes), storage.ErrInvalid)
	}
	f.checkNotes("doc", "k", "", 9)

	if err := f.Delete(f.ctx, "doc"); err != nil {
		t.Fatal(err)
	}
	checkError(t, "of a deleted document", f.SetNotes(f.ctx, "doc", doc.Incarnation, one), storage.ErrNotFound)
	f.create("doc")
	f.restart()
	f.checkNotes("doc", "", "", 9)
	f.checkNotes("doc/2", "label/", "", 9, "label/a", "label/b")
}

func testRename(t *testing.T, f *fixture) {
	info, other := f.create("doc"), f.create("other")
	f.append(&info, records("one", 1, 0, 600)...)
	f.append(&other, records("two", 1, 0, 3)...)
	put(f, info, 300, []byte("at 300"))
	f.setNotes(info, storage.Note{Key: "k", Value: []byte("v")})
	rename := func(from, to string, want error) {
		t.Helper()
		checkError(t, "rename "+from+" to "+to, f.Rename(f.ctx, from, to), want)
	}
	rename("missing", "new", storage.ErrNotFound)
	rename("missing", "other", storage.ErrNotFound)
	rename("doc", "other", storage.ErrExists)
	rename("doc", "doc", storage.ErrExists)
	rename("doc", "", storage.ErrInvalid)
	rename("doc", "a\x00", storage.ErrInvalid)
	rename("doc", "new", nil)
	for range 2 {
		_, err := f.Stat(f.ctx, "doc")
		checkError(t, "stat", err, storage.ErrNotFound)
		_, err = f.Notes(f.ctx, "doc", "", "", 1)
		checkError(t, "notes", err, storage.ErrNotFound)
		info.ID = "new"
		if got, err := f.Stat(f.ctx, "new"); err != nil || got != info {
			t.Errorf("stat: %+v, %v, want %+v", got, err, info)
		}
		if infos, err := f.List(f.ctx, "", "", 9); err != nil || !slices.Equal(infos, []storage.Info{info, other}) {
			t.Errorf("listed %+v, %v", infos, err)
		}
		checkRecords(t, f.all("new", 0, info.Head), records("one", 1, 0, int(info.Head)))
		if seq, rev, err := f.LastSeq(f.ctx, "new", "one"); err != nil || seq != uint64(info.Head) || rev != info.Head {
			t.Errorf("last seq %d at %d, %v", seq, rev, err)
		}
		if snap, err := f.Snapshot(f.ctx, "new", info.Head); err != nil || snap.Rev != 300 {
			t.Errorf("snapshot at %d, %v", snap.Rev, err)
		}
		f.checkNotes("new", "", "", 9, "k")
		f.append(&info, records("one", uint64(info.Head)+1, info.Head, 5)...)
		f.restart()
	}
	// The old name is free.
	again := f.create("doc")
	rename("new", "doc", storage.ErrExists)
	if again.Incarnation == info.Incarnation {
		t.Error("two documents of one incarnation")
	}
	if err := f.Delete(f.ctx, "doc"); err != nil {
		t.Fatal(err)
	}
	rename("new", "doc", nil)
	f.restart()
	f.checkNotes("doc", "", "", 9, "k")

	// Several at once, to one name: one succeeds, and nothing is lost.
	f.create("a")
	done := make(chan error, 8)
	parallel(8, func(i int) { done <- f.Rename(f.ctx, []string{"doc", "a"}[i%2], "b") })
	ended := 0
	for range 8 {
		if <-done == nil {
			ended++
		}
	}
	f.restart()
	if infos, err := f.List(f.ctx, "", "", 9); err != nil || len(infos) != 3 || ended != 1 {
		t.Errorf("%d were renamed; listed %+v, %v", ended, infos, err)
	}
}

// put keeps a snapshot of a text.
func put(f *fixture, info storage.Info, rev storage.Revision, data []byte) {
	f.t.Helper()
	if err := f.PutSnapshot(f.ctx, info.ID, info.Incarnation, storage.Snapshot{Rev: rev, Type: "text", Data: data}); err != nil {
		f.t.Fatalf("put snapshot of %q at %d: %v", info.ID, rev, err)
	}
}

func testAt(t *testing.T, f *fixture) {
	f.create("before")
	info := f.create("doc")
	want := []int64{now}
	for _, n := range []int{1, 5, 700, 2, 3000, 1, 40} {
		recs := records("one", uint64(info.Head)+1, info.Head, n)
		for i := range recs {
			recs[i].Time = want[len(want)-1] + []int64{0, 0, 10, 1000}[len(want)%4]
			want = append(want, recs[i].Time)
		}
		f.append(&info, recs...)
	}
	f.create("later")
	check := func(time int64, rev storage.Revision) {
		t.Helper()
		if got, err := f.At(f.ctx, "doc", time); err != nil || got != rev {
			t.Errorf("at %d: revision %d, %v, want %d", time, got, err, rev)
		}
	}
	for range 2 {
		check(math.MinInt64, -1)
		check(now-1, -1)
		check(math.MaxInt64, info.Head)
		for rev, time := range want {
			if rev+1 < len(want) && want[rev+1] == time {
				continue
			}
			check(time, storage.Revision(rev))
			check(time+5, storage.Revision(rev))
		}
		f.restart()
	}
	_, err := f.At(f.ctx, "missing", now)
	checkError(t, "at", err, storage.ErrNotFound)
}
