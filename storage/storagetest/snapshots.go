package storagetest

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"quire/storage"
)

func (f *fixture) snapshot(info storage.Info, rev storage.Revision, data []byte) {
	f.t.Helper()
	if err := f.PutSnapshot(f.ctx, info.ID, info.Incarnation, storage.Snapshot{Rev: rev, Type: "text", Data: data}); err != nil {
		f.t.Fatalf("put snapshot of %q at %d: %v", info.ID, rev, err)
	}
}

// checkSnapshot fails the test unless the snapshot for revision at is rev's.
func (f *fixture) checkSnapshot(id string, at, rev storage.Revision, data []byte) {
	f.t.Helper()
	s, err := f.Snapshot(f.ctx, id, at)
	if err != nil || s.Rev != rev || s.Type != "text" || !bytes.Equal(s.Data, data) {
		f.t.Errorf("snapshot of %q for %d: revision %d, %d bytes, %v; want revision %d, %d bytes",
			id, at, s.Rev, len(s.Data), err, rev, len(data))
	}
}

func (f *fixture) checkRevisions(id string, want ...storage.Revision) {
	f.t.Helper()
	if got, err := f.Snapshots(f.ctx, id); err != nil || !slices.Equal(got, want) {
		f.t.Errorf("snapshots of %q at %v, %v; want %v", id, got, err, want)
	}
}

func testSnapshots(t *testing.T, f *fixture) {
	before, info, after := f.create("a"), f.create("b"), f.create("c")
	f.append(&before, records("one", 1, 0, 9)...)
	f.append(&after, records("one", 1, 0, 9)...)
	f.snapshot(before, 9, []byte("of a"))
	f.snapshot(after, 1, []byte("of c"))
	none := func(at storage.Revision) {
		t.Helper()
		_, err := f.Snapshot(f.ctx, "b", at)
		checkError(t, "snapshot", err, storage.ErrNotFound)
	}
	none(0)
	none(math.MaxInt64)
	f.checkRevisions("b")
	f.append(&info, records("one", 1, 0, 100)...)
	f.snapshot(info, 60, []byte("at 60"))
	f.snapshot(info, 100, nil)
	f.snapshot(info, 30, []byte("at 30"))
	f.checkRevisions("b", 30, 60, 100)
	none(-1)
	none(29)
	f.checkSnapshot("b", 30, 30, []byte("at 30"))
	f.checkSnapshot("b", 59, 30, []byte("at 30"))
	f.checkSnapshot("b", 60, 60, []byte("at 60"))
	f.checkSnapshot("b", 100, 100, nil)
	f.checkSnapshot("b", math.MaxInt64, 100, nil)
	f.snapshot(info, 60, []byte("again at 60"))
	f.checkSnapshot("b", 99, 60, []byte("again at 60"))
	f.checkRevisions("b", 30, 60, 100)

	for _, rev := range []storage.Revision{-1, 101, math.MaxInt64} {
		err := f.PutSnapshot(f.ctx, "b", info.Incarnation, storage.Snapshot{Rev: rev})
		checkError(t, "put snapshot outside", err, storage.ErrInvalid)
	}
	if !Race {
		huge := storage.Snapshot{Rev: 1, Type: "text", Data: make([]byte, storage.MaxSnapshot+1)}
		checkError(t, "huge", f.PutSnapshot(f.ctx, "b", info.Incarnation, huge), storage.ErrInvalid)
	}
	checkError(t, "another incarnation", f.PutSnapshot(f.ctx, "b", info.Incarnation+1, storage.Snapshot{Rev: 1}), storage.ErrNotFound)
	checkError(t, "put snapshot", f.PutSnapshot(f.ctx, "missing", 1, storage.Snapshot{Rev: 1}), storage.ErrNotFound)
	_, err := f.Snapshot(f.ctx, "missing", 1)
	checkError(t, "snapshot", err, storage.ErrNotFound)
	_, err = f.Snapshots(f.ctx, "missing")
	checkError(t, "snapshots", err, storage.ErrNotFound)
}

// noise returns bytes that cannot be compressed, the same ones every time.
func noise(n int) []byte { return bytes.Clone(allNoise()[:n]) }

// allNoise is as much noise as any test needs, made once.
var allNoise = sync.OnceValue(func() []byte {
	b := make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
})

// testSnapshotSizes stores snapshots of sizes around those that drivers may split at.
func testSnapshotSizes(t *testing.T, f *fixture) {
	info := f.create("doc")
	f.append(&info, records("one", 1, 0, 1)...)
	sizes := []int{0, 1, 4095, 65_536, 262_143, 262_144, 262_145, 524_288, 1 << 20, 4_500_001, 3}
	if Race {
		sizes = slices.DeleteFunc(sizes, func(n int) bool { return n > 1<<20 })
	}
	for _, n := range sizes {
		f.snapshot(info, 1, noise(n))
		f.checkSnapshot("doc", 1, 1, noise(n))
	}
	// Each one is replaced while others read it: they get one of the two, whole.
	times := 20
	if Race {
		times = 8
	}
	var stop atomic.Bool
	parallel(3, func(i int) {
		if i == 0 {
			defer stop.Store(true)
			for k := range times {
				f.snapshot(info, 1, noise(200_000+k*40_000))
			}
			return
		}
		for !stop.Load() {
			s, err := f.Snapshot(f.ctx, "doc", 1)
			if err != nil || !bytes.Equal(s.Data, allNoise()[:len(s.Data)]) {
				t.Errorf("a snapshot of %d bytes, %v", len(s.Data), err)
				return
			}
		}
	})
}

// testThinning stores many snapshots and compares with what storage.Thin leaves.
func testThinning(t *testing.T, f *fixture) {
	info := f.create("doc")
	f.append(&info, records("one", 1, 0, 1000)...)
	var want []storage.Revision
	put := func(rev storage.Revision) {
		t.Helper()
		f.snapshot(info, rev, []byte{byte(rev)})
		at, there := slices.BinarySearch(want, rev)
		if !there {
			want = slices.Insert(want, at, rev)
		}
		drop := storage.Thin(want, rev)
		want = slices.DeleteFunc(want, func(r storage.Revision) bool { return slices.Contains(drop, r) })
		f.checkRevisions("doc", want...)
	}
	for rev := storage.Revision(10); rev <= 1000; rev += 10 {
		put(rev)
	}
	for _, rev := range []storage.Revision{5, 500, 1000, 333, 1, 999} {
		put(rev)
	}
	if len(want) > 25 {
		t.Errorf("%d snapshots are left of 106", len(want))
	}
	for i, rev := range want {
		f.checkSnapshot("doc", rev, rev, []byte{byte(rev)})
		if i > 0 {
			f.checkSnapshot("doc", rev-1, want[i-1], []byte{byte(want[i-1])})
		}
	}
}

func testDelete(t *testing.T, f *fixture) {
	checkError(t, "delete", f.Delete(f.ctx, "doc"), storage.ErrNotFound)
	keep := f.create("doc2")
	f.append(&keep, records("one", 1, 0, 50)...)
	var old storage.Info
	for round := range 4 {
		info := f.create("doc")
		if info.Incarnation == old.Incarnation || info.Head != 0 {
			t.Errorf("created again: %+v after %+v", info, old)
		}
		if seq, rev, err := f.LastSeq(f.ctx, "doc", "one"); seq != 0 || rev != 0 || err != nil {
			t.Errorf("a new document has last seq %d at %d, %v", seq, rev, err)
		}
		f.checkRevisions("doc")
		_, err := f.Snapshot(f.ctx, "doc", math.MaxInt64)
		checkError(t, "snapshot", err, storage.ErrNotFound)
		if round > 0 {
			checkError(t, "append to the old one", f.Append(f.ctx, "doc", old.Incarnation, 0, records("one", 1, 0, 1)), storage.ErrNotFound)
			checkError(t, "append to the old one", f.Append(f.ctx, "doc", old.Incarnation, old.Head, records("one", 1, old.Head, 1)), storage.ErrNotFound)
		}
		for i := range 30 {
			f.append(&info, records("one", uint64(info.Head)+1, info.Head, 40+i)...)
		}
		f.snapshot(info, 100, noise(700_000))
		f.snapshot(info, 200, []byte("small"))
		checkRecords(t, f.all("doc", 0, info.Head), records("one", 1, 0, int(info.Head)))
		if err := f.Delete(f.ctx, "doc"); err != nil {
			t.Fatalf("delete: %v", err)
		}
		f.checkGone("doc", info)
		old = info
	}
	checkRecords(t, f.all("doc2", 0, 50), records("one", 1, 0, 50))
}

// checkGone fails the test unless every call says that a document is not there.
func (f *fixture) checkGone(id string, info storage.Info) {
	f.t.Helper()
	_, err := f.Stat(f.ctx, id)
	checkError(f.t, "stat", err, storage.ErrNotFound)
	_, err = f.Read(f.ctx, id, 0, 1)
	checkError(f.t, "read", err, storage.ErrNotFound)
	_, err = f.Snapshot(f.ctx, id, math.MaxInt64)
	checkError(f.t, "snapshot", err, storage.ErrNotFound)
	_, err = f.Snapshots(f.ctx, id)
	checkError(f.t, "snapshots", err, storage.ErrNotFound)
	_, _, err = f.LastSeq(f.ctx, id, "one")
	checkError(f.t, "last seq", err, storage.ErrNotFound)
	checkError(f.t, "append", f.Append(f.ctx, id, info.Incarnation, info.Head, records("one", 1, 0, 1)), storage.ErrNotFound)
	checkError(f.t, "put snapshot", f.PutSnapshot(f.ctx, id, info.Incarnation, storage.Snapshot{Rev: 1}), storage.ErrNotFound)
	checkError(f.t, "delete", f.Delete(f.ctx, id), storage.ErrNotFound)
	infos, err := f.List(f.ctx, id, "", 1)
	if err != nil || len(infos) > 0 && infos[0].ID == id {
		f.t.Errorf("list: %+v, %v", infos, err)
	}
}

// testDeleteWhileUsed deletes and creates a document again and again under the
// hands of others: what they read is right, or not there, and never damaged.
func testDeleteWhileUsed(t *testing.T, f *fixture) {
	var stop atomic.Bool
	gone := func(what string, err error) bool {
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
			return false
		}
		return true
	}
	parallel(4, func(i int) {
		if i == 0 {
			defer stop.Store(true)
			rounds := 15
			if Race {
				rounds = 3
			}
			for range rounds {
				info := f.create("doc")
				f.append(&info, records("one", 1, 0, 500)...)
				f.append(&info, records("one", 501, 500, 100)...)
				f.snapshot(info, 300, noise(300_000))
				if err := f.Delete(f.ctx, "doc"); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
			return
		}
		for !stop.Load() {
			info, err := f.Stat(f.ctx, "doc")
			if !gone("stat", err) {
				return
			}
			if err == nil {
				recs, err := f.Read(f.ctx, "doc", -1, info.Head)
				if errors.Is(err, storage.ErrInvalid) {
					continue // a new one, with fewer records
				}
				if !gone("read", err) {
					return
				}
				if err == nil {
					checkRecords(t, recs, slices.Concat([]storage.Record{creation("text", "")}, records("one", 1, 0, len(recs)-1)))
				}
			}
			s, err := f.Snapshot(f.ctx, "doc", math.MaxInt64)
			if !gone("snapshot", err) {
				return
			}
			if err == nil && (s.Rev != 300 || len(s.Data) != 300_000) {
				t.Errorf("a snapshot at %d of %d bytes", s.Rev, len(s.Data))
			}
		}
	})
}

func testClose(t *testing.T, f *fixture) {
	info := f.create("doc")
	f.append(&info, records("one", 1, 0, 3)...)
	f.close()
	f.close()
	_, err := f.Create(f.ctx, "new", creation("text", ""))
	checkError(t, "create", err, storage.ErrClosed)
	_, err = f.Stat(f.ctx, "doc")
	checkError(t, "stat", err, storage.ErrClosed)
	checkError(t, "append", f.Append(f.ctx, "doc", info.Incarnation, 3, records("one", 4, 3, 1)), storage.ErrClosed)
	_, err = f.Read(f.ctx, "doc", 0, 1)
	checkError(t, "read", err, storage.ErrClosed)
	_, err = f.Snapshot(f.ctx, "doc", 1)
	checkError(t, "snapshot", err, storage.ErrClosed)
	_, err = f.Snapshots(f.ctx, "doc")
	checkError(t, "snapshots", err, storage.ErrClosed)
	checkError(t, "put snapshot", f.PutSnapshot(f.ctx, "doc", info.Incarnation, storage.Snapshot{Rev: 1}), storage.ErrClosed)
	_, _, err = f.LastSeq(f.ctx, "doc", "one")
	checkError(t, "last seq", err, storage.ErrClosed)
	_, err = f.List(f.ctx, "", "", 1)
	checkError(t, "list", err, storage.ErrClosed)
	checkError(t, "delete", f.Delete(f.ctx, "doc"), storage.ErrClosed)
}

// testCloseWhileUsed closes the store under running calls; each finishes or
// returns ErrClosed, and what succeeded is there when it is opened again.
func testCloseWhileUsed(t *testing.T, f *fixture) {
	const docs = 20
	infos := make([]storage.Info, docs)
	for i := range infos {
		infos[i] = f.create("doc " + long(i+1))
	}
	started := make(chan struct{}, docs)
	parallel(docs+1, func(i int) {
		if i == docs {
			for range docs {
				<-started
			}
			f.close()
			return
		}
		info := &infos[i]
		for n := 0; ; n++ {
			err := f.Append(f.ctx, info.ID, info.Incarnation, info.Head, records("one", uint64(info.Head)+1, info.Head, 1))
			if err == nil {
				info.Head++
				_, err = f.Read(f.ctx, info.ID, 0, info.Head)
			}
			if err == nil {
				_, err = f.List(f.ctx, "", "", docs)
			}
			if n == 5 {
				started <- struct{}{}
			}
			if err != nil {
				checkError(t, "call under way", err, storage.ErrClosed)
				if n < 5 {
					started <- struct{}{}
				}
				return
			}
		}
	})
	if !f.Durable {
		return
	}
	f.open()
	for _, info := range infos {
		got, err := f.Stat(f.ctx, info.ID)
		if err != nil || got.Head < info.Head || got.Head > info.Head+1 {
			t.Errorf("head %d, %v, acknowledged was %d", got.Head, err, info.Head)
		}
		checkRecords(t, f.all(info.ID, 0, info.Head), records("one", 1, 0, int(info.Head)))
	}
}
