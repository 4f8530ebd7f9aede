package storagetest

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
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
			if rev+1 < len(want) && want[rev+1] == time || rev > 20 && rev%17 > 0 && rev < len(want)-50 {
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

func (f *fixture) trim(info *storage.Info, oldest storage.Revision, keep ...storage.Revision) {
	f.t.Helper()
	if err := f.Trim(f.ctx, info.ID, info.Incarnation, oldest, keep); err != nil {
		f.t.Fatalf("trim %q to %d: %v", info.ID, oldest, err)
	}
	info.Oldest = oldest
}

func testTrim(t *testing.T, f *fixture) {
	other := f.create("other")
	f.append(&other, records("two", 1, 0, 2000)...)
	info := f.createAs("doc", storage.Record{Kind: storage.Create, Type: "text", Client: "maker", Seq: 9, Time: now})
	var want []storage.Record
	add := func(n int) {
		recs := records("one", uint64(info.Head)+1, info.Head, n)
		f.append(&info, recs...)
		want = append(want, recs...)
	}
	add(600)
	f.append(&other, records("two", 2001, 2000, 10)...)
	add(900)
	for _, rev := range []storage.Revision{100, 200, 300, 400, 700} {
		snap := storage.Snapshot{Rev: rev, Type: "text", Data: []byte(long(int(rev) * 1000)), Pinned: true}
		if err := f.PutSnapshot(f.ctx, info.ID, info.Incarnation, snap); err != nil {
			t.Fatal(err)
		}
	}
	put(f, info, 400, []byte("again")) // it stays pinned
	trim := func(inc uint64, oldest storage.Revision, want error) {
		t.Helper()
		checkError(t, "trim", f.Trim(f.ctx, "doc", inc, oldest, nil), want)
	}
	trim(info.Incarnation+1, 700, storage.ErrNotFound)
	trim(info.Incarnation, -1, storage.ErrInvalid)
	trim(info.Incarnation, info.Head+1, storage.ErrInvalid)
	trim(info.Incarnation, 500, storage.ErrInvalid) // no snapshot there
	checkError(t, "trim", f.Trim(f.ctx, "missing", 1, 1, nil), storage.ErrNotFound)

	check := func(snaps ...storage.Revision) {
		t.Helper()
		if got, err := f.Stat(f.ctx, "doc"); err != nil || got != info {
			t.Errorf("stat: %+v, %v, want %+v", got, err, info)
		}
		for from := storage.Revision(0); from < info.Head; from += 33 {
			for _, to := range []storage.Revision{from + 1, min(from+700, info.Head), info.Head} {
				if from >= info.Oldest {
					checkRecords(t, f.all("doc", from, to), want[from:to])
				} else if _, err := f.Read(f.ctx, "doc", from, to); err == nil {
					t.Errorf("records [%d, %d) are there, the oldest should be %d", from, to, info.Oldest)
				} else {
					checkError(t, "read", err, storage.ErrTrimmed)
				}
			}
		}
		if revs, err := f.Snapshots(f.ctx, "doc"); err != nil || !slices.Equal(revs, snaps) {
			t.Errorf("snapshots at %v, %v, want %v", revs, err, snaps)
		}
		for _, rev := range snaps {
			if s, err := f.Snapshot(f.ctx, "doc", rev); err != nil || s.Rev != rev {
				t.Errorf("snapshot at %d: %d, %v", rev, s.Rev, err)
			}
		}
		seq, rev, err := f.LastSeq(f.ctx, "doc", "maker")
		if err != nil || seq != 9 || rev != 0 {
			t.Errorf("last seq %d at %d, %v", seq, rev, err)
		}
		if seq, rev, err = f.LastSeq(f.ctx, "doc", "one"); err != nil || seq != uint64(info.Head) || rev != info.Head {
			t.Errorf("last seq %d at %d, %v", seq, rev, err)
		}
		time := func(rev storage.Revision) int64 { return want[rev-1].Time }
		for _, rev := range []storage.Revision{1, info.Oldest - 1, info.Oldest, info.Oldest + 1, info.Head} {
			if rev < 1 || rev > info.Head {
				continue
			}
			got, err := f.At(f.ctx, "doc", time(rev)+1)
			if rev < info.Oldest {
				checkError(t, "at", err, storage.ErrTrimmed)
			} else if err != nil || got != rev {
				t.Errorf("at the time of %d: %d, %v", rev, got, err)
			}
		}
		if got, err := f.At(f.ctx, "doc", now-1); err != nil || got != -1 {
			t.Errorf("before the beginning: %d, %v", got, err)
		}
	}
	check(100, 200, 300, 400, 700)
	f.trim(&info, 300, 100)
	check(100, 300, 400, 700)
	checkError(t, "put", f.PutSnapshot(f.ctx, "doc", info.Incarnation, storage.Snapshot{Rev: 200, Type: "text"}), storage.ErrTrimmed)
	trim(info.Incarnation, 299, storage.ErrInvalid)
	f.restart()
	check(100, 300, 400, 700)
	add(40)
	f.trim(&info, 700, 100, 400, 555)
	for rev := info.Oldest + 1; rev < info.Head; rev += 60 { // thins what it may
		put(f, info, rev, nil)
	}
	revs, err := f.Snapshots(f.ctx, "doc")
	if err != nil || len(revs) > 12 {
		t.Errorf("snapshots at %v, %v: not thinned", revs, err)
	}
	check(revs...)
	if !slices.Equal(revs[:3], []storage.Revision{100, 400, 700}) {
		t.Errorf("snapshots at %v", revs)
	}
	f.restart()
	check(revs...)
	f.trim(&info, 700) // now the labels go
	check(revs[2:]...)
	put(f, info, info.Head, []byte("all"))
	f.trim(&info, info.Head)
	check(info.Head)
	f.restart()
	check(info.Head)
	add(700)
	put(f, info, info.Head-1, []byte("more"))
	f.restart()
	check(info.Oldest, info.Head-1)
	checkRecords(t, f.all("other", 0, other.Head), records("two", 1, 0, int(other.Head)))
	if err := f.Delete(f.ctx, "doc"); err != nil {
		t.Fatal(err)
	}
	trim(info.Incarnation, info.Head-1, storage.ErrNotFound)
	info, want = f.create("doc"), nil
	add(10)
	f.restart()
	checkRecords(t, f.all("doc", 0, info.Head), want)
}

// shout is what a record or a snapshot is rewritten to in the tests.
func shout(r storage.Record) storage.Record {
	r.Op, r.Author = bytes.ToUpper(r.Op), strings.ToUpper(r.Author)
	return r
}

func shoutRecord(_ storage.Revision, r storage.Record) (storage.Record, error) { return shout(r), nil }

func shoutSnapshot(s storage.Snapshot) (storage.Snapshot, error) {
	s.Data = bytes.ToUpper(s.Data)
	return s, nil
}

func testRewrite(t *testing.T, f *fixture) {
	first := creation("text", "at first")
	info := f.createAs("doc", first)
	want := []storage.Record{first}
	recs := turning(0, records("one", 1, 0, 1800))
	f.append(&info, recs...)
	want = append(want, recs...)
	for _, snap := range []storage.Snapshot{{Rev: 5, Type: "text", Data: []byte("five")}, {Rev: 600}, {Rev: 1100, Type: "text", Data: bytes.Repeat([]byte("large"), 120_000)}, {Rev: 1101, Type: "text", Data: []byte("12345")}} {
		snap.Pinned = true
		if err := f.PutSnapshot(f.ctx, "doc", info.Incarnation, snap); err != nil {
			t.Fatal(err)
		}
	}
	f.setNotes(info, storage.Note{Key: "k", Value: []byte("v")})
	check := func() {
		t.Helper()
		if got, err := f.Stat(f.ctx, "doc"); err != nil || got != info {
			t.Errorf("stat: %+v, %v, want %+v", got, err, info)
		}
		checkRecords(t, f.all("doc", max(-1, info.Oldest), info.Head), want[1+info.Oldest:])
		seq, rev, err := f.LastSeq(f.ctx, "doc", "one")
		if err != nil || seq != uint64(info.Head) || rev != info.Head {
			t.Errorf("last seq %d at %d, %v", seq, rev, err)
		}
		f.checkNotes("doc", "", "", 9, "k")
	}
	snap := func(rev storage.Revision, data string) {
		t.Helper()
		if s, err := f.Snapshot(f.ctx, "doc", rev); err != nil || s.Rev != rev || string(s.Data) != data || !s.Pinned {
			t.Errorf("snapshot at %d: at %d, %.20q (%d bytes), %v", rev, s.Rev, s.Data, len(s.Data), err)
		}
	}
	// What fails changes nothing.
	stop := errors.New("stop")
	type breach func(rev storage.Revision, r *storage.Record) error
	for what, change := range map[string]breach{
		"kind":   func(_ storage.Revision, r *storage.Record) error { r.Kind = storage.Delete; return nil },
		"seq":    func(_ storage.Revision, r *storage.Record) error { r.Seq++; return nil },
		"client": func(_ storage.Revision, r *storage.Record) error { r.Client += "x"; return nil },
		"time":   func(_ storage.Revision, r *storage.Record) error { r.Time++; return nil },
		"author": func(_ storage.Revision, r *storage.Record) error { r.Author = long(storage.MaxName + 1); return nil },
		"stop": func(rev storage.Revision, r *storage.Record) error {
			if rev == info.Head-1 {
				return stop
			}
			return nil
		},
	} {
		err := f.Rewrite(f.ctx, "doc", info.Incarnation, func(rev storage.Revision, r storage.Record) (storage.Record, error) {
			r = shout(r)
			err := change(rev, &r)
			return r, err
		}, shoutSnapshot)
		wrong := storage.ErrInvalid
		if what == "stop" {
			wrong = stop
		}
		checkError(t, what, err, wrong)
	}
	err := f.Rewrite(f.ctx, "doc", info.Incarnation, shoutRecord, func(s storage.Snapshot) (storage.Snapshot, error) {
		s.Rev++
		return s, nil
	})
	checkError(t, "revision of a snapshot", err, storage.ErrInvalid)
	checkError(t, "another incarnation", f.Rewrite(f.ctx, "doc", info.Incarnation+1, shoutRecord, shoutSnapshot), storage.ErrNotFound)
	checkError(t, "no document", f.Rewrite(f.ctx, "missing", 1, shoutRecord, shoutSnapshot), storage.ErrNotFound)
	check()
	snap(5, "five")

	// It sees every record in order; what is changed is changed for good.
	next := storage.Revision(-1)
	err = f.Rewrite(f.ctx, "doc", info.Incarnation, func(rev storage.Revision, r storage.Record) (storage.Record, error) {
		if rev != next || !sameRecord(r, want[rev+1]) {
			t.Fatalf("record %d is %s, want record %d, %s", rev, show(r), next, show(want[next+1]))
		}
		next++
		clear(r.Op) // it is ours
		r.Op = shout(want[rev+1]).Op
		r.Author = shout(r).Author
		return r, nil
	}, func(s storage.Snapshot) (storage.Snapshot, error) {
		copy(s.Data, bytes.ToUpper(s.Data))
		return s, nil
	})
	if err != nil || next != info.Head {
		t.Fatalf("rewritten up to %d, %v", next, err)
	}
	for i := range want {
		want[i] = shout(want[i])
	}
	for range 2 {
		check()
		snap(5, "FIVE")
		snap(600, "")
		snap(1100, strings.Repeat("LARGE", 120_000))
		snap(1101, "12345")
		recs = records("one", uint64(info.Head)+1, info.Head, 600)
		f.append(&info, recs...)
		want = append(want, recs...)
		f.restart()
	}

	// Appended to meanwhile.
	appended := false
	err = f.Rewrite(f.ctx, "doc", info.Incarnation, func(rev storage.Revision, r storage.Record) (storage.Record, error) {
		if !appended {
			appended = true
			recs := records("one", uint64(info.Head)+1, info.Head, 1)
			f.append(&info, recs...)
			want = append(want, recs...)
		}
		return shout(r), nil
	}, shoutSnapshot)
	var conflict *storage.ConflictError
	if !errors.As(err, &conflict) || conflict.Base != info.Head-1 || conflict.Head != info.Head {
		t.Errorf("rewriting what is appended to: %v", err)
	}
	check()

	// Trimmed, and then rewritten.
	f.trim(&info, 1100, 5)
	if err := f.Rewrite(f.ctx, "doc", info.Incarnation, shoutRecord, shoutSnapshot); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i] = shout(want[i])
	}
	f.restart()
	check()
	snap(5, "FIVE")
	snap(1101, "12345")
	put(f, info, info.Head, []byte("end"))
	f.trim(&info, info.Head)
	if err := f.Rewrite(f.ctx, "doc", info.Incarnation, shoutRecord, shoutSnapshot); err != nil {
		t.Fatal(err)
	}
	f.restart()
	check()
	if s, err := f.Snapshot(f.ctx, "doc", info.Head); err != nil || string(s.Data) != "END" {
		t.Errorf("snapshot %q, %v", s.Data, err)
	}
	if err := f.Delete(f.ctx, "doc"); err != nil {
		t.Fatal(err)
	}
	f.restart()
}
