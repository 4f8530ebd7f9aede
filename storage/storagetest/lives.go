package storagetest

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"

	"quire/storage"
)

// history is a document and all its records, from -1 on.
type history struct {
	*fixture
	info storage.Info
	recs []storage.Record
}

// begin creates a document and remembers what becomes of it.
func (f *fixture) begin(id string, first storage.Record) *history {
	f.t.Helper()
	h := &history{fixture: f, info: f.createAs(id, first), recs: []storage.Record{first}}
	h.check()
	return h
}

// add appends records, and checks everything that the store says of the document.
func (h *history) add(recs ...storage.Record) {
	h.t.Helper()
	h.append(&h.info, recs...)
	h.recs = append(h.recs, recs...)
	h.check()
}

// check compares everything that the store says of the document with its records.
func (h *history) check() {
	h.t.Helper()
	want := storage.Info{ID: h.info.ID, Incarnation: h.info.Incarnation, Created: h.recs[0].Time, Head: -1, Oldest: -1}
	last := make(map[string]storage.Revision)
	for _, r := range h.recs {
		advance(&want, r)
		if r.Seq > 0 {
			last[r.Client] = want.Head
		}
	}
	if h.info != want {
		h.t.Errorf("the document is %+v, want %+v", h.info, want)
	}
	if got, err := h.Stat(h.ctx, want.ID); err != nil || got != want {
		h.t.Errorf("stat: %+v, %v, want %+v", got, err, want)
	}
	if got, err := h.List(h.ctx, want.ID, "", 1); err != nil || len(got) != 1 || got[0] != want {
		h.t.Errorf("list: %+v, %v, want %+v", got, err, want)
	}
	for _, from := range []storage.Revision{-1, 0, want.Head / 2, want.Head - 1} {
		for _, to := range []storage.Revision{0, 1, from + 1, want.Head} {
			if from = max(from, -1); from < to && to <= want.Head {
				checkRecords(h.t, h.all(want.ID, from, to), h.recs[from+1:to+1])
			}
		}
	}
	for client, rev := range last {
		seq, at, err := h.LastSeq(h.ctx, want.ID, client)
		if err != nil || seq != h.recs[rev].Seq || at != rev {
			h.t.Errorf("last seq of %q is %d at %d, %v, want %d at %d", client, seq, at, err, h.recs[rev].Seq, rev)
		}
	}
}

// testLives deletes documents and creates them again by records, alone and among
// edits, and looks at them after every step.
func testLives(t *testing.T, f *fixture) {
	first := creation("text", "to begin with")
	first.Author, first.Client, first.Seq = "Ada", "maker", 3
	h := f.begin("doc", first)
	other := f.begin("doc 2", creation("json0", "{}"))
	again := func(typ string, seq uint64) storage.Record {
		r := creation(typ, "content of "+typ)
		r.Client, r.Seq, r.Time = "maker", seq, now+9
		return r
	}
	h.add(records("one", 1, 0, 3)...)
	h.add(deletion("one", 4))
	h.add(again("json0", 4))
	h.add(record("one", 5, 5), deletion("two", 1), again("text", 5), record("one", 6, 8))
	h.add(deletion("two", 2))
	f.restart()
	h.check()
	other.check()
	// What comes between is not the driver's business.
	h.add(record("one", 7, 10), deletion("two", 3))
	h.add(again("a", 6), again(long(storage.MaxType), 7))
	h.add(again("a", 8))
	for range 5 {
		h.add(turning(h.info.Head, records("three", uint64(h.info.Head), h.info.Head, 170))...)
		other.add(records("one", uint64(other.info.Head)+1, other.info.Head, 50)...)
		f.restart()
		h.check()
		other.check()
	}
	h.add(deletion("two", 4))
	for range 3 {
		f.restart()
		h.check()
		other.add(deletion("two", uint64(other.info.Head)+1))
		other.add(creation("text", ""))
	}

	// A lost race says so, whatever the winner did.
	stale := h.info.Head
	h.add(again("text", 9))
	for _, late := range []storage.Record{deletion("late", 1), again("late", 1), record("late", 1, stale)} {
		checkConflict(t, f.Append(f.ctx, "doc", h.info.Incarnation, stale, []storage.Record{late}), stale, stale+1)
		checkConflict(t, f.Append(f.ctx, "doc", h.info.Incarnation, -1, []storage.Record{late}), -1, stale+1)
	}
	h.check()
	_, err := f.Create(f.ctx, "doc", again("text", 10))
	checkError(t, "create", err, storage.ErrExists)
	h.add(deletion("two", 5))
	_, err = f.Create(f.ctx, "doc", again("text", 10))
	checkError(t, "create what a record deleted", err, storage.ErrExists)

	if err := f.Delete(f.ctx, "doc"); err != nil {
		t.Fatal(err)
	}
	f.checkGone("doc", h.info)
	f.begin("doc", creation("text", "")).add(record("one", 1, 0))
	for _, client := range []string{"maker", "two", "three"} {
		if seq, rev, err := f.LastSeq(f.ctx, "doc", client); err != nil || seq != 0 || rev != 0 {
			t.Errorf("a new document has last seq %d at %d of %q, %v", seq, rev, client, err)
		}
	}
	other.check()
}

// testLivesAtOnce has clients delete, create and edit at one revision: one of them wins,
// and the document is what that one made it.
func testLivesAtOnce(t *testing.T, f *fixture) {
	h := f.begin("doc", creation("text", ""))
	rivals := []storage.Record{deletion("one", 0), creation("text", "x"), creation("json0", "y"), record("two", 0, 1)}
	for range 40 {
		base := h.info.Head
		var won atomic.Int32
		won.Store(-1)
		parallel(len(rivals), func(i int) {
			switch err := f.Append(f.ctx, "doc", h.info.Incarnation, base, rivals[i:i+1]); {
			case err != nil:
				checkConflict(t, err, base, base+1)
			case !won.CompareAndSwap(-1, int32(i)):
				t.Error("two won")
			}
		})
		if won.Load() < 0 {
			t.Fatal("none won")
		}
		winner := rivals[won.Load()]
		advance(&h.info, winner)
		h.recs = append(h.recs, winner)
		if got, err := f.Stat(f.ctx, "doc"); err != nil || got != h.info {
			t.Fatalf("stat: %+v, %v, want %+v", got, err, h.info)
		}
	}
	f.restart()
	h.check()
}

// testCreateWithContent creates documents with content of all sizes, and reads it back
// alone and with what follows.
func testCreateWithContent(t *testing.T, f *fixture) {
	sizes := []int{0, 1, 5000, 20_000, 300_000, 5 << 20}
	if Race {
		sizes = sizes[:5]
	}
	for _, n := range sizes {
		first := creation("text", "")
		first.Op = bytes.Repeat([]byte{'a', 0, 0xff, '\n'}, (n+3)/4)[:n]
		first.Author, first.Client, first.Seq, first.Time = "Ada", "maker", 1, now-1
		h := f.begin(fmt.Sprint("doc ", n), first)
		h.add(records("maker", 2, 0, 2)...)
		some, err := f.Read(f.ctx, h.info.ID, -1, 2)
		if err != nil || len(some) == 0 {
			t.Fatalf("%d records, %v", len(some), err)
		}
		checkRecords(t, some, h.recs[:len(some)])
		if n >= 5<<20 && len(some) > 1 {
			t.Errorf("%d records in a piece with %d bytes of content", len(some), n)
		}
		for i := range 30 {
			h.append(&h.info, record("maker", uint64(i)+3, h.info.Head))
			h.recs = append(h.recs, record("maker", uint64(i)+3, h.info.Head-1))
		}
		h.check()
		f.restart()
		h.check()
	}
	largest := creation("text", "")
	largest.Op = make([]byte, storage.MaxRecord)
	largest.Op[storage.MaxRecord-1] = 1
	if !Race {
		f.begin("largest", largest)
	}
	largest.Op = append(largest.Op, 0)
	_, err := f.Create(f.ctx, "too large", largest)
	checkError(t, "create", err, storage.ErrInvalid)
}

// testSnapshotTypes stores snapshots of a document that was of several types, and of
// none.
func testSnapshotTypes(t *testing.T, f *fixture) {
	info := f.create("doc")
	f.append(&info, record("one", 1, 0), deletion("one", 2), creation("json0", "{}"), record("one", 3, 3), deletion("one", 4))
	snaps := []storage.Snapshot{
		{Rev: 1, Type: "text", Data: []byte("text")},
		{Rev: 2},
		{Rev: 3, Type: "json0", Data: []byte("{}")},
		{Rev: 4, Type: "json0"},
		{Rev: 5},
	}
	check := func() {
		t.Helper()
		for _, want := range snaps {
			got, err := f.Snapshot(f.ctx, "doc", want.Rev)
			if err != nil || got.Rev != want.Rev || got.Type != want.Type || !bytes.Equal(got.Data, want.Data) {
				t.Errorf("snapshot %+v, %v, want %+v", got, err, want)
			}
		}
	}
	for _, s := range snaps {
		if err := f.PutSnapshot(f.ctx, "doc", info.Incarnation, s); err != nil {
			t.Fatalf("put snapshot %+v: %v", s, err)
		}
	}
	revs, err := f.Snapshots(f.ctx, "doc") // they may have been thinned
	if err != nil {
		t.Fatal(err)
	}
	snaps = slices.DeleteFunc(snaps, func(s storage.Snapshot) bool { return !slices.Contains(revs, s.Rev) })
	if len(snaps) < 3 {
		t.Errorf("snapshots are left at %v", revs)
	}
	check()
	for name, s := range map[string]storage.Snapshot{
		"content without a type": {Rev: 5, Data: []byte{0}},
		"long type":              {Rev: 5, Type: long(storage.MaxType + 1)},
		"revision -1":            {Rev: -1, Type: "text"},
	} {
		checkError(t, name, f.PutSnapshot(f.ctx, "doc", info.Incarnation, s), storage.ErrInvalid)
	}
	check()
	f.restart()
	check()
	_, err = f.Snapshot(f.ctx, "doc", 0)
	checkError(t, "snapshot below the first", err, storage.ErrNotFound)
	if got, err := f.Snapshot(f.ctx, "doc", math.MaxInt64); err != nil || got.Rev != 5 || got.Type != "" {
		t.Errorf("snapshot of a deleted document: %+v, %v", got, err)
	}
}
