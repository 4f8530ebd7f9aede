package bolt

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// lives is the history of a document that was created twice and deleted twice.
func lives() []storage.Record {
	recs := typed("client", 0, 5)
	for i, kind := range []storage.Kind{storage.Create, storage.Edit, storage.Delete, storage.Create, storage.Delete} {
		recs[i].Kind = kind
	}
	recs[0].Type, recs[2].Op, recs[3].Type, recs[4].Op = "text", nil, "json0", nil
	return recs
}

// noise returns bytes that cannot be compressed, the same ones every time.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// checkedStore returns the path of a closed store with three documents: "doc",
// number 1, has 2,000 folded records, some in the log, and three snapshots; "other" is
// like it, but small; "lives", number 3, has the records of lives, the last of them in the
// log, and a snapshot.
func checkedStore(t *testing.T) string {
	t.Helper()
	s, until := settled(t, Options{FoldAfter: 1, MapSize: 1})
	info := addDoc(t, s, "doc", 2000)
	addDoc(t, s, "other", 10)
	for i, size := range []int{0, 1000, 600_000} {
		snap := storage.Snapshot{Rev: storage.Revision(500 * (i + 1)), Type: "text", Data: noise(size)}
		if err := s.PutSnapshot(t.Context(), "doc", info.Incarnation, snap); err != nil {
			t.Fatal(err)
		}
	}
	recs := lives()
	twice, err := s.Create(t.Context(), "lives", recs[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), "lives", twice.Incarnation, 0, recs[1:4]); err != nil {
		t.Fatal(err)
	}
	if err := s.PutSnapshot(t.Context(), "lives", twice.Incarnation, storage.Snapshot{Rev: 2}); err != nil {
		t.Fatal(err)
	}
	until(func(Stats) bool { // what is folded is taken out of the log a step later
		empty := false
		err := s.read(func(tx *bbolt.Tx) error {
			first, _ := tx.Bucket(bucketLog).Cursor().First()
			empty = first == nil
			return nil
		})
		return err == nil && empty
	})
	s.Close()
	s = testStore(t, Options{Path: s.opts.Path})
	if err := s.Append(t.Context(), "lives", twice.Incarnation, 3, recs[4:]); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		at := 2000 + 10*i
		if err := s.Append(t.Context(), "doc", info.Incarnation, storage.Revision(at), typed("client", at, 10)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	return s.opts.Path
}

func checkAll(t *testing.T, path string) (sum Summary, problems []Problem) {
	t.Helper()
	sum, err := Check(context.Background(), Options{Path: path}, func(p Problem) { problems = append(problems, p) })
	if err != nil || sum.Problems != len(problems) {
		t.Fatalf("check: %+v, %v; %d problems", sum, err, len(problems))
	}
	return sum, problems
}

// TestCheck damages the content of a store in every way that leaves its pages
// in order, and expects to be told where.
func TestCheck(t *testing.T) {
	path := checkedStore(t)
	sum, problems := checkAll(t, path)
	if len(problems) > 0 || sum.Documents != 3 || sum.Records != 2047 || sum.Snapshots != 4 || sum.LogEntries != 4 || sum.Bytes == 0 {
		t.Fatalf("a store without damage: %+v, %v", sum, problems)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	del := func(bucket, key []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			if tx.Bucket(bucket).Get(key) == nil {
				t.Fatalf("bucket %s has no key %x", bucket, key)
			}
			return tx.Bucket(bucket).Delete(key)
		}
	}
	set := func(bucket, key, body []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return put(tx, bucket, key, body) }
	}
	flip := func(bucket, key []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			v := bytes.Clone(tx.Bucket(bucket).Get(key))
			v[len(v)/2] ^= 4
			return tx.Bucket(bucket).Put(key, v)
		}
	}
	// value changes what is stored of a document.
	value := func(id string, change func(*docValue)) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			d, err := loadDoc([]byte(id), tx.Bucket(bucketDocs).Get([]byte(id)))
			if err != nil {
				return err
			}
			val, err := getDoc(tx, d)
			change(&val)
			return errors.Join(err, put(tx, bucketDocs, []byte(id), val.append(nil)))
		}
	}
	// segment replaces the one of the document of lives, which has four records.
	segment := func(change func([]storage.Record)) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			recs := lives()[:4]
			change(recs)
			return putSegment(tx, 3, -1, recs)
		}
	}
	// logKey finds the n-th, from 0, of the last three entries, which are of "doc".
	logKey := func(tx *bbolt.Tx, n int) []byte {
		c := tx.Bucket(bucketLog).Cursor()
		k, _ := c.Last()
		for ; n < 2; n++ {
			k, _ = c.Prev()
		}
		return k
	}
	client := keyClient(1, "client")
	tests := []struct {
		name string
		edit func(*bbolt.Tx) error
		doc  string
		rev  storage.Revision
		says string
		many bool // further problems follow from it
		open bool // it is found when it is read, not when the store is opened
	}{
		{name: "segment missing", edit: del(bucketSegments, keySegment(1, 511)), doc: "doc", rev: 511, says: "expected a segment", open: true},
		{name: "last segment missing", edit: del(bucketSegments, keySegment(1, 1535)), doc: "doc", rev: 1535, says: "end at", many: true, open: true},
		{name: "segment flipped", edit: flip(bucketSegments, keySegment(1, 511)), doc: "doc", rev: 511, says: "checksum", many: true, open: true},
		{name: "sequence number missing", edit: del(bucketLastSeq, client), doc: "doc", rev: 2000, says: "missing", open: true},
		{name: "sequence number wrong", edit: set(bucketLastSeq, client, lastSeq{7, 7}.append(nil)), doc: "doc", rev: 2000, says: "is said to be 7", open: true},
		{name: "sequence number flipped", edit: flip(bucketLastSeq, client), doc: "doc", rev: -1, says: "checksum", many: true},
		{name: "unknown client", edit: set(bucketLastSeq, keyClient(1, "nobody"), lastSeq{7, 7}.append(nil)), doc: "doc", says: "7", open: true},
		{name: "snapshot past the head", edit: set(bucketSnapshots, key2[uint64](1, 2031), snapHead{typ: "text"}.append(nil)), doc: "doc", rev: 2031, says: "past the head", open: true},
		{name: "snapshot flipped", edit: flip(bucketSnapshots, key2[uint64](1, 1000)), doc: "doc", rev: 1000, says: "checksum", many: true, open: true},
		{name: "snapshot's piece missing", edit: del(bucketBlobs, key2[uint64](2, 1)), doc: "doc", rev: 1500, says: "piece 1 of 2", open: true},
		{name: "snapshot's piece flipped", edit: flip(bucketBlobs, key2[uint64](2, 1)), doc: "doc", rev: 1500, says: "checksum", open: true},
		{name: "snapshot's piece too many", edit: set(bucketBlobs, key2[uint64](2, 3), []byte("more")), doc: "doc", rev: 1500, says: "more pieces", open: true},
		{name: "snapshot of another content", edit: set(bucketBlobs, key2[uint64](1, 0), noise(999)), doc: "doc", rev: 1000, says: "999 bytes", open: true},
		{name: "one content for two", edit: set(bucketSnapshots, key2[uint64](1, 500), snapHead{blob: 1, size: 1000, typ: "text"}.append(nil)), doc: "doc", many: true, says: "another", rev: 1000, open: true},
		{name: "content of none", edit: set(bucketBlobs, key2[uint64](77, 0), nil), rev: -1, says: "belongs to nothing", open: true},
		{name: "segment of none", edit: func(tx *bbolt.Tx) error { return putSegment(tx, 9, 0, typed("client", 0, 1)) }, rev: -1, says: "belongs to nothing", open: true},
		{name: "log entry missing", edit: func(tx *bbolt.Tx) error { return del(bucketLog, logKey(tx, 1))(tx) }, doc: "doc", rev: 2010, says: "begins at revision 2020", many: true},
		{name: "last log entry missing", edit: func(tx *bbolt.Tx) error { return del(bucketLog, logKey(tx, 2))(tx) }, rev: -1, says: "should end at"},
		{name: "log entry flipped", edit: func(tx *bbolt.Tx) error { return flip(bucketLog, logKey(tx, 1))(tx) }, rev: -1, says: "checksum", many: true},
		{name: "document missing", edit: del(bucketDocs, []byte("other")), rev: -1, says: "2 documents, there should be 3", many: true},
		{name: "document flipped", edit: flip(bucketDocs, []byte("other")), doc: "other", rev: -1, says: "checksum", many: true},
		{name: "document's head wrong", edit: value("doc", func(v *docValue) { v.folded = 1990 }), doc: "doc", rev: 2000, says: "end at revision 2000, should end at 1990", many: true},
		{name: "first segment missing", edit: del(bucketSegments, keySegment(1, -1)), doc: "doc", rev: 0, says: "expected a segment", many: true, open: true},
		{name: "no records", edit: func(tx *bbolt.Tx) error {
			return errors.Join(value("other", func(v *docValue) { v.folded = -1 })(tx), del(bucketSegments, keySegment(2, -1))(tx))
		}, doc: "other", rev: 0, says: "creates it is missing", many: true},
		{name: "document's type wrong", edit: value("lives", func(v *docValue) { v.typ = "text" }), doc: "lives", rev: 3, says: `type "text" since revision 3, it is "json0" since 3`, open: true},
		{name: "document's birth wrong", edit: value("lives", func(v *docValue) { v.born = 0 }), doc: "lives", rev: 3, says: "since revision 0", open: true},
		{name: "document said to be deleted", edit: value("doc", func(v *docValue) { v.typ = "" }), doc: "doc", rev: 0, says: `type "" since`, open: true},
		{name: "snapshot of another type", edit: set(bucketSnapshots, key2[uint64](3, 2), snapHead{typ: "text"}.append(nil)), doc: "lives", rev: 2, says: `type "text"`, open: true},
		{name: "no creation", edit: segment(func(recs []storage.Record) { recs[0].Kind, recs[0].Type = storage.Edit, "" }), doc: "lives", rev: 0, says: "begins with", open: true},
		{name: "creation without a type", edit: segment(func(recs []storage.Record) { recs[3].Type = "" }), doc: "lives", rev: 3, says: "type name of 0 bytes", many: true, open: true},
		{name: "deletion with content", edit: segment(func(recs []storage.Record) { recs[2].Op = []byte("op") }), doc: "lives", rev: 2, says: "with 2 bytes", open: true},
		{name: "state missing", edit: del(bucketQuire, keyState), rev: -1, says: "state"},
		{name: "trash malformed", edit: set(bucketTrash, []byte("x"), nil), rev: -1, says: "malformed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "quire.db")
			writeFile(t, path, whole)
			editFile(t, path, test.edit)
			_, problems := checkAll(t, path)
			found := false
			for _, p := range problems {
				if p.Doc == test.doc && p.Rev == test.rev && strings.Contains(p.What, test.says) && p.Where != "" {
					found = true
				}
				if s := p.String(); strings.Contains(s, "damaged data") || p.Doc != "" && !strings.Contains(s, p.Doc) {
					t.Errorf("not well put: %s", s)
				}
			}
			if !found || len(problems) > 1 && !test.many {
				t.Errorf("got %v, want document %q, revision %d, %q", problems, test.doc, test.rev, test.says)
			}
			err := openPlain(Options{Path: path, Logger: testStoreLog})
			if test.open && err != nil || !test.open && !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("open: %v", err)
			}
		})
	}
}

// TestCheckPages damages the pages themselves.
func TestCheckPages(t *testing.T) {
	path := checkedStore(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"cut short": whole[:len(whole)/4],
		"empty":     nil,
		"meta":      bytes.Replace(bytes.Clone(whole), whole[16:80], make([]byte, 64), 1),
		"pages":     append(bytes.Clone(whole[:2*4096]), make([]byte, len(whole)-2*4096)...),
	} {
		writeFile(t, path, damaged)
		sum, err := Check(t.Context(), Options{Path: path}, func(p Problem) {
			if p.Where == "" || p.What == "" {
				t.Errorf("%s: %+v", name, p)
			}
		})
		if err != nil || sum.Problems == 0 {
			t.Errorf("%s: %+v, %v", name, sum, err)
		}
	}
	writeFile(t, path, []byte("something else"))
	if _, err := Check(t.Context(), Options{Path: path}, func(p Problem) { t.Error(p) }); !errors.Is(err, ErrForeign) {
		t.Errorf("another file: %v", err)
	}
	if _, err := Check(t.Context(), Options{Path: path + "x"}, func(p Problem) { t.Error(p) }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Check(t.Context(), Options{Path: filepath.Dir(path)}, func(p Problem) { t.Error(p) }); !errors.Is(err, ErrForeign) {
		t.Errorf("a folder: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	writeFile(t, path, whole)
	if _, err := Check(ctx, Options{Path: path}, func(p Problem) { t.Error(p) }); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}
