package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// settled opens a store whose committer says after every transaction how it
// stands. until waits for it to stand as wanted.
func settled(t *testing.T, opts Options) (s *Store, until func(func(Stats) bool)) {
	t.Helper()
	commits := make(chan struct{}, 1)
	opts.OnCommit = func(CommitStats) {
		select {
		case commits <- struct{}{}:
		default:
		}
	}
	s = testStore(t, opts)
	return s, func(want func(Stats) bool) {
		t.Helper()
		for !want(s.Stats()) {
			select {
			case <-commits:
			case <-t.Context().Done():
				t.Fatalf("waited in vain: %+v", s.Stats())
			}
		}
	}
}

func noTrash(st Stats) bool { return st.Trash == 0 }
func noTail(st Stats) bool  { return st.TailEntries == 0 }

// leftOf counts the keys that a closed store has of a document or blob number.
func leftOf(t *testing.T, path string, num uint64) map[string]int {
	t.Helper()
	left := make(map[string]int)
	editFile(t, path, func(tx *bbolt.Tx) error {
		for _, bucket := range [][]byte{bucketSegments, bucketLastSeq, bucketSnapshots} {
			c := tx.Bucket(bucket).Cursor()
			for k, _ := c.Seek(key1(num)); bytes.HasPrefix(k, key1(num)); k, _ = c.Next() {
				left[string(bucket)]++
			}
		}
		left["blobs"] = count(tx, bucketBlobs)
		left["trash"] = count(tx, bucketTrash)
		return tx.Bucket(bucketLog).ForEach(func(_, v []byte) error {
			if val, _, err := parseLog(v); err != nil || val.num == num {
				left["log"]++
			}
			return nil
		})
	})
	return left
}

func count(tx *bbolt.Tx, bucket []byte) (n int) {
	c := tx.Bucket(bucket).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		n++
	}
	return n
}

// TestDeleteIsComplete deletes a document of every sort of data, and looks into
// the file, also when the store was closed in the middle.
func TestDeleteIsComplete(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		t.Run(fmt.Sprintf("interrupted=%v", interrupted), func(t *testing.T) {
			s, until := settled(t, Options{FoldAfter: 5})
			addDoc(t, s, "kept", 700)
			info := addDoc(t, s, "doc", 5000)
			for i := range 2000 {
				rec := storage.Record{Client: fmt.Sprint("client ", i), Seq: 1}
				recs := []storage.Record{rec, rec}
				recs[1].Seq++
				if err := s.Append(t.Context(), "doc", info.Incarnation, info.Head, recs); err != nil {
					t.Fatal(err)
				}
				info.Head += 2
			}
			for i := range 5 {
				snap := storage.Snapshot{Rev: storage.Revision(1000 * (i + 1)), Type: "text", Data: noise(i * 300_000)}
				if err := s.PutSnapshot(t.Context(), "doc", info.Incarnation, snap); err != nil {
					t.Fatal(err)
				}
			}
			until(noTail)
			num := s.index.find("doc").num
			if interrupted {
				s.fold.resting.Store(true) // or it could be complete before the store is closed
			}
			if err := s.Append(t.Context(), "doc", info.Incarnation, info.Head, typed("client", 5000, 1)); err != nil {
				t.Fatal(err)
			}
			if err := s.Delete(t.Context(), "doc"); err != nil {
				t.Fatal(err)
			}
			if interrupted {
				s.Close()
				left := leftOf(t, s.opts.Path, num)
				if left["segments"] == 0 || left["clients"] == 0 || left["log"] == 0 || left["trash"] == 0 {
					t.Errorf("nothing to go on with: %v", left)
				}
				s, until = settled(t, s.opts)
			}
			until(noTrash)
			s.Close()
			for where, n := range leftOf(t, s.opts.Path, num) {
				if n > 0 {
					t.Errorf("%d keys are left in %s", n, where)
				}
			}
			sum, err := Check(t.Context(), Options{Path: s.opts.Path}, func(p Problem) { t.Error(p) })
			if err != nil || sum.Documents != 1 || sum.Records != 701 || sum.LogEntries != 0 {
				t.Errorf("check: %+v, %v", sum, err)
			}
			checkDoc(t, testStore(t, s.opts), "kept", 700)
		})
	}
}

// TestUnfinishedSnapshot ends a large snapshot's context between two pieces, and
// kills the process there in another run: no snapshot, and no pieces are left.
func TestUnfinishedSnapshot(t *testing.T) {
	snap := storage.Snapshot{Rev: 5, Type: "text", Data: noise(10 * blobPiece)}
	t.Run("given up", func(t *testing.T) {
		s, until := settled(t, Options{})
		info := addDoc(t, s, "doc", 10)
		ctx, cancel := context.WithCancel(t.Context())
		pieces := 0
		setUpdate(s, func(fn func(*bbolt.Tx) error) error {
			if pieces++; pieces == 4 {
				cancel()
			}
			return s.db.Update(fn)
		})
		// The context may end before or after the caller asks for the next piece.
		if err := s.PutSnapshot(ctx, "doc", info.Incarnation, snap); !errors.Is(err, context.Canceled) {
			t.Errorf("put: %v", err)
		}
		until(noTrash)
		if _, err := s.Snapshot(t.Context(), "doc", 10); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("snapshot: %v", err)
		}
		s.Close()
		if left := leftOf(t, s.opts.Path, 0); left["blobs"]+left["trash"] > 0 {
			t.Errorf("left: %v", left)
		}
	})
	t.Run("killed", func(t *testing.T) {
		s, _ := settled(t, Options{MapSize: 1})
		info := addDoc(t, s, "doc", 10)
		image := filepath.Join(t.TempDir(), "quire.db")
		pieces := 0
		setUpdate(s, func(fn func(*bbolt.Tx) error) error {
			if pieces++; pieces == 5 { // what a killed process leaves
				data, err := os.ReadFile(s.opts.Path)
				if err != nil {
					return err
				}
				if err := os.WriteFile(image, data, 0o600); err != nil {
					return err
				}
			}
			return s.db.Update(fn)
		})
		if err := s.PutSnapshot(t.Context(), "doc", info.Incarnation, snap); err != nil {
			t.Errorf("put: %v", err)
		}
		s.Close()
		if sum, err := Check(t.Context(), Options{Path: image}, func(p Problem) { t.Error(p) }); err != nil || sum.Snapshots != 0 {
			t.Errorf("check: %+v, %v", sum, err)
		}
		s, until := settled(t, Options{Path: image})
		until(noTrash)
		if _, err := s.Snapshot(t.Context(), "doc", 10); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("snapshot: %v", err)
		}
		if err := s.PutSnapshot(t.Context(), "doc", info.Incarnation, snap); err != nil {
			t.Errorf("put: %v", err)
		}
		if got, err := s.Snapshot(t.Context(), "doc", math.MaxInt64); err != nil || len(got.Data) != len(snap.Data) {
			t.Errorf("snapshot of %d bytes, %v", len(got.Data), err)
		}
	})
}

// TestSnapshotGoesBetweenAppends stores a large snapshot while appends are made: none
// of them waits for more than one piece of it.
func TestSnapshotGoesBetweenAppends(t *testing.T) {
	largest := 0
	s := testStore(t, Options{OnCommit: func(c CommitStats) { largest = max(largest, c.Bytes) }})
	info := addDoc(t, s, "doc", 10)
	if err := s.PutSnapshot(t.Context(), "doc", info.Incarnation, storage.Snapshot{Rev: 1, Type: "text", Data: noise(20 << 20)}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if largest > 2*blobPiece {
		t.Errorf("one transaction took %d bytes", largest)
	}
}

// TestTailIsBounded appends without a pause: the log is folded all the same.
func TestTailIsBounded(t *testing.T) {
	s, until := settled(t, Options{FoldAfter: 100, FoldAlways: 200})
	infos := fill(t, s, 100, 0)
	most := 0
	for range 60 {
		done := make(chan error)
		for i := range infos {
			go func() {
				info := &infos[i]
				err := s.Append(t.Context(), info.ID, info.Incarnation, info.Head, typed("client", int(info.Head), 1))
				info.Head++
				done <- err
			}()
		}
		for range infos {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		most = max(most, s.Stats().TailEntries)
	}
	if most > 500 {
		t.Errorf("the log had up to %d entries", most)
	}
	until(func(st Stats) bool { return st.TailEntries < 100 })
	for _, info := range infos {
		checkDoc(t, s, info.ID, 60)
	}
	s.Close()
	if sum, err := Check(t.Context(), Options{Path: s.opts.Path}, func(p Problem) { t.Error(p) }); err != nil || sum.Records != 6100 {
		t.Errorf("check: %+v, %v", sum, err)
	}
	s = testStore(t, s.opts)
	for _, info := range infos {
		checkDoc(t, s, info.ID, 60)
	}
}

// TestSegments folds in many small steps and looks at what they leave: full
// segments, but for the last.
func TestSegments(t *testing.T) {
	s, until := settled(t, Options{FoldAfter: 1})
	info := addDoc(t, s, "doc", 0)
	for info.Head < 3000 {
		n := 1 + int(info.Head)%29
		if err := s.Append(t.Context(), "doc", info.Incarnation, info.Head, typed("client", int(info.Head), n)); err != nil {
			t.Fatal(err)
		}
		info.Head += storage.Revision(n)
		if info.Head%7 == 0 {
			until(noTail)
		}
	}
	until(noTail)
	checkDoc(t, s, "doc", int(info.Head))
	num := s.index.find("doc").num
	var firsts []storage.Revision
	if err := s.read(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketSegments).ForEach(func(k, _ []byte) error {
			first, _ := firstOf(k, num)
			firsts = append(firsts, first)
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	for i, first := range firsts {
		if first != storage.Revision(i*segmentRecords)-1 {
			t.Errorf("segment %d begins at record %d", i, first)
		}
	}
}

// TestDamagedSegment damages the segment that new records would be added to. That
// document's records stay in the log, where they can be read; the others are
// folded.
func TestDamagedSegment(t *testing.T) {
	s, until := settled(t, Options{FoldAfter: 1})
	bad, good := addDoc(t, s, "bad", 100), addDoc(t, s, "good", 100)
	until(noTail)
	num := s.index.find("bad").num
	s.Close()
	editFile(t, s.opts.Path, func(tx *bbolt.Tx) error {
		v := bytes.Clone(tx.Bucket(bucketSegments).Get(keySegment(num, -1)))
		v[50] ^= 1
		return tx.Bucket(bucketSegments).Put(keySegment(num, -1), v)
	})
	s, until = settled(t, s.opts)
	for range 20 {
		for _, info := range []*storage.Info{&bad, &good} {
			if err := s.Append(t.Context(), info.ID, info.Incarnation, info.Head, typed("client", int(info.Head), 10)); err != nil {
				t.Fatal(err)
			}
			info.Head += 10
		}
	}
	until(func(st Stats) bool { return st.Stuck == 1 && st.TailEntries == 0 })
	checkDoc(t, s, "good", 300)
	if recs, err := s.Read(t.Context(), "bad", 100, 300); err != nil || len(recs) != 200 {
		t.Errorf("%d records after the damage, %v", len(recs), err)
	}
	if _, err := s.Read(t.Context(), "bad", 0, 300); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("read of the damage: %v", err)
	}
	if err := s.Delete(t.Context(), "bad"); err != nil {
		t.Fatal(err)
	}
	until(noTrash)
	s.Close()
	if _, err := Check(t.Context(), Options{Path: s.opts.Path}, func(p Problem) { t.Error(p) }); err != nil {
		t.Error(err)
	}
}
