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

var update = flag.Bool("update", false, "write testdata/v1.db.gz anew, which is right only before a format is released")

// TestFormat1 reads a file that the first version of the format was written in. It
// has to stay readable.
func TestFormat1(t *testing.T) {
	golden := filepath.Join("testdata", "v1.db.gz")
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
	if sum, problems := checkAll(t, path); len(problems) > 0 || sum.LogEntries != 3 {
		t.Errorf("check: %+v, %v", sum, problems)
	}
	s := testStore(t, Options{Path: path})
	checkDoc(t, s, "doc", 2030)
	checkDoc(t, s, "other", 10)
	if revs, err := s.Snapshots(t.Context(), "doc"); err != nil || !slices.Equal(revs, []storage.Revision{500, 1000, 1500}) {
		t.Errorf("snapshots at %v, %v", revs, err)
	}
	if snap, err := s.Snapshot(t.Context(), "doc", 2030); err != nil || snap.Rev != 1500 || len(snap.Data) != 600_000 {
		t.Errorf("snapshot at %d of %d bytes, %v", snap.Rev, len(snap.Data), err)
	}
}
