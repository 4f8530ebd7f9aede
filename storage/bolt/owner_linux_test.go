package bolt

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	bbolt "go.etcd.io/bbolt"
)

// TestOwner has root compact, repair and restore the data of a service that runs as a user of its own: all
// of it is the service's afterwards.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: giving files away, which only root can")
	}
	const uid, gid = 64209, 64210
	path, whole := repairStore(t)
	service := func() string {
		dir := t.TempDir()
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	stopped := func() string {
		name := filepath.Join(service(), FileName)
		writeFile(t, name, whole)
		if err := os.Chown(name, uid, gid); err != nil {
			t.Fatal(err)
		}
		return name
	}
	owned := func(what, dir string, files int) {
		t.Helper()
		seen := 0
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if st := info.Sys().(*syscall.Stat_t); st.Uid != uid || st.Gid != gid {
				t.Errorf("%s: %s is of %d:%d", what, name, st.Uid, st.Gid)
			}
			if !d.IsDir() {
				seen++
			}
			return nil
		})
		if err != nil || seen != files {
			t.Errorf("%s: %d files, %v, want %d", what, seen, err, files)
		}
	}

	name := stopped()
	if _, err := Compact(t.Context(), Options{Path: name}, nil); err != nil {
		t.Fatal(err)
	}
	owned("compact", filepath.Dir(name), 1)

	name = stopped()
	editFile(t, name, func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketSegments).Put(keySegment(1, 511), []byte("damage"))
	})
	if r, err := Repair(t.Context(), Options{Path: name}); err != nil || r.Aside == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	owned("repair", filepath.Dir(name), 3)

	dir := service()
	if _, err := Restore(t.Context(), RestoreOptions{Backup: path, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	owned("restore", dir, 1)
}
