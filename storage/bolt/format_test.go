package bolt

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quire/storage"
)

var update = flag.Bool("update", false, "write the newest of testdata/v*.db.gz anew, which is right only before a format is released")

// golden returns the path of a copy of a file that an earlier program wrote.
func golden(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, data)
}

// TestFormat3 reads a file that was compacted: with sealed segments and compressed
// snapshots. It has to stay readable.
func TestFormat3(t *testing.T) {
	opts := Options{TimeStep: time.Millisecond, Packers: packers{"text": dice{}}, Logger: testStoreLog}
	content := bytes.Repeat([]byte("content "), 50_000)
	if *update {
		s := testStore(t, Options{})
		info := addDoc(t, s, "doc", 2030)
		if err := s.PutSnapshot(t.Context(), "doc", info.Incarnation, storage.Snapshot{Rev: 1500, Type: "text", Data: content}); err != nil {
			t.Fatal(err)
		}
		addDoc(t, s, "other", 10)
		recs := lives()
		twice, err := s.Create(t.Context(), "lives", recs[0])
		if err == nil {
			err = s.Append(t.Context(), "lives", twice.Incarnation, 0, recs[1:])
		}
		if err != nil {
			t.Fatal(err)
		}
		opts.Path = s.opts.Path
		s.Close()
		if _, err := Compact(t.Context(), opts, nil); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(opts.Path)
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join("testdata", "v3.db.gz"), packed.Bytes())
	}
	opts.Path = golden(t, "v3")
	s := testStore(t, opts)
	if sealed, _ := sealedOf(t, s, 1); len(sealed) != 1 {
		t.Errorf("%d sealed segments", len(sealed))
	}
	checkDoc(t, s, "doc", 2030)
	checkDoc(t, s, "other", 10)
	recs, err := s.Read(t.Context(), "lives", -1, 4)
	if err != nil || !slices.EqualFunc(recs, lives(), sameRecord) {
		t.Errorf("records: %+v, %v", recs, err)
	}
	if snap, err := s.Snapshot(t.Context(), "doc", 2030); err != nil || snap.Rev != 1500 || !bytes.Equal(snap.Data, content) {
		t.Errorf("snapshot at %d of %d bytes, %v", snap.Rev, len(snap.Data), err)
	}
}

// TestFormat2 reads a file that the second version of the format was written in. It
// has to stay readable. Files of the first are refused.
func TestFormat2(t *testing.T) {
	path := golden(t, "v2")
	if sum, problems := checkAll(t, path); len(problems) > 0 || sum.LogEntries != 4 {
		t.Errorf("check: %+v, %v", sum, problems)
	}
	s := testStore(t, Options{Path: path})
	checkDoc(t, s, "doc", 2030)
	checkDoc(t, s, "other", 10)
	if info, err := s.Stat(t.Context(), "lives"); err != nil || info.Type != "" || info.Born != 3 || info.Head != 4 {
		t.Errorf("a document that was deleted: %+v, %v", info, err)
	}
	recs, err := s.Read(t.Context(), "lives", -1, 4)
	if err != nil || !slices.EqualFunc(recs, lives(), sameRecord) {
		t.Errorf("its records: %+v, %v", recs, err)
	}
	if snap, err := s.Snapshot(t.Context(), "lives", 4); err != nil || snap.Rev != 2 || snap.Type != "" || len(snap.Data) != 0 {
		t.Errorf("its snapshot: %+v, %v", snap, err)
	}
	if revs, err := s.Snapshots(t.Context(), "doc"); err != nil || !slices.Equal(revs, []storage.Revision{500, 1000, 1500}) {
		t.Errorf("snapshots at %v, %v", revs, err)
	}
	if snap, err := s.Snapshot(t.Context(), "doc", 2030); err != nil || snap.Rev != 1500 || snap.Type != "text" || len(snap.Data) != 600_000 {
		t.Errorf("snapshot at %d of %d bytes, %v", snap.Rev, len(snap.Data), err)
	}
}
