package bolt

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// TestCompact compacts a file with all there can be in one, twice, and compares it with
// what it was.
func TestCompact(t *testing.T) {
	path := checkedStore(t)
	s := testStore(t, Options{Path: path})
	if err := s.SetNotes(t.Context(), "", 0, []storage.Note{{Key: "of the store", Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	other, err := s.Stat(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetNotes(t.Context(), "other", other.Incarnation, []storage.Note{{Key: "label", Value: []byte{}}}); err != nil {
		t.Fatal(err)
	}
	trimmed := addDoc(t, s, "trimmed", 700)
	for _, rev := range []storage.Revision{100, 300} {
		snap := storage.Snapshot{Rev: rev, Type: "text", Data: []byte("kept"), Pinned: rev == 100}
		if err := s.PutSnapshot(t.Context(), "trimmed", trimmed.Incarnation, snap); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Trim(t.Context(), "trimmed", trimmed.Incarnation, 300, []storage.Revision{100}); err != nil {
		t.Fatal(err)
	}
	addDoc(t, s, "deleted", 1000)
	if err := s.Delete(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	want, err := s.List(t.Context(), "", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	opts := Options{Path: path, TimeStep: time.Millisecond, Logger: testStoreLog}
	last := int64(math.MaxInt64)
	for range 2 {
		done, all := int64(0), int64(0)
		sum, err := Compact(t.Context(), opts, func(d, a int64) { done, all = d, a })
		if err != nil || sum.After > last || sum.Sealed == 0 || done == 0 || done != all {
			t.Fatalf("%+v, %v; progress %d of %d", sum, err, done, all)
		}
		if info, err := os.Stat(path); err != nil || info.Size() != sum.After {
			t.Errorf("the file has %d bytes, %v, want %d", info.Size(), err, sum.After)
		}
		last = sum.After
	}
	if _, problems := checkAll(t, path); len(problems) > 0 {
		t.Errorf("check: %v", problems)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	s = testStore(t, Options{Path: path})
	if infos, err := s.List(t.Context(), "", "", 100); err != nil || !slices.Equal(infos, want) {
		t.Errorf("documents: %+v, %v, want %+v", infos, err, want)
	}
	checkDoc(t, s, "doc", 2030)
	checkDoc(t, s, "other", 10)
	if revs, err := s.Snapshots(t.Context(), "doc"); err != nil || !slices.Equal(revs, []storage.Revision{1500}) {
		t.Errorf("snapshots at %v, %v", revs, err)
	}
	if snap, err := s.Snapshot(t.Context(), "doc", 2000); err != nil || !bytes.Equal(snap.Data, noise(600_000)) {
		t.Errorf("snapshot of %d bytes, %v", len(snap.Data), err)
	}
	if revs, err := s.Snapshots(t.Context(), "trimmed"); err != nil || !slices.Equal(revs, []storage.Revision{100, 300}) {
		t.Errorf("snapshots at %v, %v", revs, err)
	}
	for doc, want := range map[string]string{"": "of the store", "other": "label"} {
		if notes, err := s.Notes(t.Context(), doc, "", "", 10); err != nil || len(notes) != 1 || notes[0].Key != want {
			t.Errorf("notes of %q: %+v, %v", doc, notes, err)
		}
	}
	recs, err := s.Read(t.Context(), "lives", -1, 4)
	if err != nil || !slices.EqualFunc(recs, lives(), sameRecord) {
		t.Errorf("records: %+v, %v", recs, err)
	}
	doc, err := s.Stat(t.Context(), "doc")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), "doc", doc.Incarnation, 2030, typed("client", 2030, 1000)); err != nil {
		t.Fatal(err)
	}
	checkDoc(t, s, "doc", 3030)
}

// TestCompactRounded compacts a file again whose times were rounded before: when a document was
// modified last stays what it was.
func TestCompactRounded(t *testing.T) {
	opts := Options{Path: filepath.Join(t.TempDir(), "quire.db"), Logger: testStoreLog}
	again := func(f func(s *Store)) {
		t.Helper()
		s := testStore(t, opts)
		f(s)
		want, err := s.List(t.Context(), "", "", 100)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if _, err := Compact(t.Context(), opts, nil); err != nil {
			t.Fatal(err)
		}
		s = testStore(t, opts)
		if infos, err := s.List(t.Context(), "", "", 100); err != nil || !slices.Equal(infos, want) {
			t.Errorf("documents: %+v, %v, want %+v", infos, err, want)
		}
		s.Close()
	}
	var all, none storage.Info
	again(func(s *Store) { all, none = addDoc(t, s, "all", 2003), addDoc(t, s, "none", 2003) })
	again(func(s *Store) {
		if err := s.PutSnapshot(t.Context(), "none", none.Incarnation, storage.Snapshot{Rev: 2003, Type: "text"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Trim(t.Context(), "none", none.Incarnation, 2003, nil); err != nil {
			t.Fatal(err)
		}
	})
	again(func(s *Store) {
		if err := s.Append(t.Context(), "all", all.Incarnation, 2003, typed("client", 2003, 1)); err != nil {
			t.Fatal(err)
		}
	})
}

// TestCompactAfterKill removes what compactions left that were killed, which is a copy of all data.
func TestCompactAfterKill(t *testing.T) {
	path := checkedStore(t)
	for what, do := range map[string]func() error{
		"compacting": func() error {
			_, err := Compact(t.Context(), Options{Path: path, Logger: testStoreLog}, nil)
			return err
		},
		"opening": func() error { return testStore(t, Options{Path: path}).Close() },
	} {
		left := path + ".compact-1"
		if err := os.Mkdir(left, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(left, "quire.db"), []byte("a secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
			t.Errorf("after %s the folder has %v, %v", what, entries, err)
		}
	}
}

// TestCompactRefuses leaves the file alone when anything is wrong.
func TestCompactRefuses(t *testing.T) {
	path := checkedStore(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, ctx context.Context, path string, want error) {
		t.Helper()
		before, _ := os.ReadFile(path)
		if _, err := Compact(ctx, Options{Path: path, LockTimeout: time.Millisecond}, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s: the file has changed", name)
		}
		if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
	s := testStore(t, Options{Path: path})
	refused("in use", t.Context(), path, ErrLocked)
	s.Close()
	refused("missing", t.Context(), path+"x", fs.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	refused("canceled", ctx, path, context.Canceled)
	for name, damage := range map[string]func(*bbolt.Tx) error{
		"segment": func(tx *bbolt.Tx) error {
			v := bytes.Clone(tx.Bucket(bucketSegments).Get(keySegment(1, 511)))
			v[100] ^= 1
			return tx.Bucket(bucketSegments).Put(keySegment(1, 511), v)
		},
		"snapshot": func(tx *bbolt.Tx) error { return tx.Bucket(bucketBlobs).Delete(key2[uint64](2, 1)) },
		"client":   func(tx *bbolt.Tx) error { return tx.Bucket(bucketLastSeq).Put(keyClient(1, "x"), []byte("y")) },
	} {
		damaged := fileOf(t, whole)
		editFile(t, damaged, damage)
		refused(name, t.Context(), damaged, storage.ErrCorrupt)
	}
	refused("cut short", t.Context(), fileOf(t, whole[:len(whole)/2]), storage.ErrCorrupt)
}

// TestOpenOfReplacedFile waits for the lock of a file that is replaced before it is let
// go: what is opened must not be the file that has no name any more.
func TestOpenOfReplacedFile(t *testing.T) {
	path := checkedStore(t)
	s, err := openReadOnly(Options{Path: path, Logger: testStoreLog}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path) // as another process has it that waits for the lock
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fresh := path + ".fresh"
	writeFile(t, fresh, data)
	if err := os.Rename(fresh, path); err != nil {
		t.Fatal(err)
	}
	s.closeReadOnly()
	if err := lockFile(f, true, time.Second); err != nil {
		t.Fatal(err)
	}
	if err := isAt(f, path); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("the file that was replaced: %v", err)
	}
	checkDoc(t, testStore(t, Options{Path: path}), "doc", 2030)
}

// TestCompactSealsAgain joins what was sealed in parts.
func TestCompactSealsAgain(t *testing.T) {
	s, until := settled(t, Options{FoldAfter: 1, SealAfter: 600, TimeStep: time.Millisecond, Packers: packers{"text": dice{}}})
	info := addDoc(t, s, "doc", 3000)
	for n := 1; n < 4; n++ {
		until(func(Stats) bool { sealed, _ := sealedOf(t, s, 1); return len(sealed) >= n })
		if err := s.Append(t.Context(), "doc", info.Incarnation, info.Head, typed("client", int(info.Head), 3000)); err != nil {
			t.Fatal(err)
		}
		info.Head += 3000
	}
	s.Close()
	if _, err := Compact(t.Context(), s.opts, nil); err != nil {
		t.Fatal(err)
	}
	s = testStore(t, s.opts)
	if sealed, ordinary := sealedOf(t, s, 1); len(sealed) != 1 || len(ordinary) != 0 {
		t.Errorf("%d sealed and %d ordinary segments", len(sealed), len(ordinary))
	}
	checkDoc(t, s, "doc", 12000)
}

// TestRepairSealed repairs a file with a sealed segment and damage elsewhere.
func TestRepairSealed(t *testing.T) {
	path := checkedStore(t)
	opts := Options{Path: path, TimeStep: time.Millisecond, Logger: testStoreLog}
	if _, err := Compact(t.Context(), opts, nil); err != nil {
		t.Fatal(err)
	}
	editFile(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(bucketQuire).Delete(keyState) })
	r, err := Repair(t.Context(), opts)
	if err != nil || r.Healthy || r.Records != 2047 || len(r.Cut) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	s := testStore(t, Options{Path: path})
	checkDoc(t, s, "doc", 2030)
	if snap, err := s.Snapshot(t.Context(), "doc", 2000); err != nil || !bytes.Equal(snap.Data, noise(600_000)) {
		t.Errorf("snapshot of %d bytes, %v", len(snap.Data), err)
	}
}
