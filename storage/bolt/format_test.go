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

	"quire/storage"
)

var update = flag.Bool("update", false, "write testdata/v2.db.gz anew, which is right only before a format is released")

// TestFormat2 reads a file that the second version of the format was written in. It
// has to stay readable. Files of the first are refused.
func TestFormat2(t *testing.T) {
	golden := filepath.Join("testdata", "v2.db.gz")
	if *update {
		data, err := os.ReadFile(checkedStore(t))
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
		writeFile(t, golden, packed.Bytes())
	}
	f, err := os.Open(golden)
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
	path := filepath.Join(t.TempDir(), "quire.db")
	writeFile(t, path, data)
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
