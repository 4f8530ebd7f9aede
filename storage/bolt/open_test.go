package bolt

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
	"quire/storage/storagetest/overdue"
)

// testStoreLog keeps what is expected to be logged out of the tests' output.
var testStoreLog = slog.New(slog.DiscardHandler)

// openPlain opens a store and returns the error only.
func openPlain(opts Options) error {
	s, err := Open(opts)
	if err == nil {
		s.Close()
	}
	return err
}

// testStore opens a store in a temporary folder, which is closed with the test.
func testStore(t testing.TB, opts Options) *Store {
	t.Helper()
	overdue.Watch(t)
	if opts.Path == "" {
		opts.Path = filepath.Join(t.TempDir(), "quire.db")
	}
	opts.Logger = testStoreLog
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// newText is record -1 of a text.
var newText = storage.Record{Kind: storage.Create, Type: "text", Time: 1}

// addDoc makes a document with n records, appended in runs of up to 100.
func addDoc(t testing.TB, s *Store, id string, n int) storage.Info {
	t.Helper()
	info, err := s.Create(context.Background(), id, newText)
	if err != nil {
		t.Fatal(err)
	}
	for n > 0 {
		recs := typed("client", int(info.Head), min(100, n))
		if err := s.Append(context.Background(), id, info.Incarnation, info.Head, recs); err != nil {
			t.Fatal(err)
		}
		info.Head += storage.Revision(len(recs))
		n -= len(recs)
	}
	return info
}

// checkDoc fails the test unless a document has n records as addDoc makes them.
func checkDoc(t testing.TB, s *Store, id string, n int) {
	t.Helper()
	info, err := s.Stat(context.Background(), id)
	if err != nil || info.Head != storage.Revision(n) {
		t.Fatalf("document %q: %+v, %v, want head %d", id, info, err, n)
	}
	want := typed("client", 0, n)
	for at := 0; at < n; {
		recs, err := s.Read(context.Background(), id, storage.Revision(at), info.Head)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			if w := want[at]; string(r.Op) != string(w.Op) || r.Seq != w.Seq || r.Time != w.Time || r.Client != w.Client || r.Author != w.Author {
				t.Fatalf("document %q: record %d is %+v, want %+v", id, at, r, w)
			}
			at++
		}
	}
	if seq, rev, err := s.LastSeq(context.Background(), id, "client"); err != nil || seq != uint64(n) || rev != info.Head {
		t.Fatalf("document %q: last seq %d at %d, %v, want %d", id, seq, rev, err, n)
	}
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// editFile changes a closed store's buckets behind its back.
func editFile(t *testing.T, path string, edit func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(edit), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestOpenErrors opens what is no store. It gets an error that says so, and is
// neither changed nor kept open.
func TestOpenErrors(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.db")
	testStore(t, Options{Path: empty}).Close()
	page, err := os.ReadFile(empty)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		opts Options
		want error
		says string
	}{
		{name: "missing, and must exist", opts: Options{MustExist: true}, want: fs.ErrNotExist},
		{name: "folder", make: func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, want: ErrForeign, says: "regular"},
		{name: "empty file", make: func(t *testing.T, path string) { writeFile(t, path, nil) }, want: storage.ErrCorrupt, says: "empty"},
		{name: "short text", make: func(t *testing.T, path string) { writeFile(t, path, []byte("hello")) }, want: ErrForeign},
		{name: "long text", make: func(t *testing.T, path string) {
			writeFile(t, path, []byte(strings.Repeat("hello", 10_000)))
		}, want: ErrForeign},
		{name: "zeros", make: func(t *testing.T, path string) { writeFile(t, path, make([]byte, 1<<20)) }, want: ErrForeign},
		{name: "another bbolt file", make: func(t *testing.T, path string) {
			editFile(t, path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("other")); return err })
		}, want: ErrForeign, says: "bucket"},
		{name: "no marker", make: func(t *testing.T, path string) {
			writeFile(t, path, page)
			editFile(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(bucketQuire).Delete(keyFormat) })
		}, want: ErrForeign, says: "marker"},
		{name: "newer format", make: func(t *testing.T, path string) {
			writeFile(t, path, page)
			editFile(t, path, func(tx *bbolt.Tx) error {
				return put(tx, bucketQuire, keyFormat, appendBytes([]byte{formatVersion + 1}, formatMagic))
			})
		}, want: ErrVersion, says: "4"},
		{name: "older format", make: func(t *testing.T, path string) {
			writeFile(t, path, page)
			editFile(t, path, func(tx *bbolt.Tx) error {
				return put(tx, bucketQuire, keyFormat, appendBytes([]byte{formatVersion - 2}, formatMagic))
			})
		}, want: ErrVersion, says: "1, this program knows 2 and 3"},
		{name: "one page", make: func(t *testing.T, path string) { writeFile(t, path, page[:4096]) }, want: storage.ErrCorrupt, says: "cut short"},
		{name: "half a page missing", make: func(t *testing.T, path string) { writeFile(t, path, page[:len(page)/2-100]) }, want: storage.ErrCorrupt},
		{name: "no state", make: func(t *testing.T, path string) {
			writeFile(t, path, page)
			editFile(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(bucketQuire).Delete(keyState) })
		}, want: storage.ErrCorrupt, says: "state"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.opts.Path = filepath.Join(t.TempDir(), "quire.db")
			test.opts.Logger = testStoreLog
			if test.make != nil {
				test.make(t, test.opts.Path)
			}
			before, _ := os.ReadFile(test.opts.Path)
			for range 2 { // the second time would wait for a lock that was kept
				s, err := Open(test.opts)
				if err == nil {
					s.Close()
					t.Fatal("it opened")
				}
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), test.opts.Path) {
					t.Errorf("got %v, want %v that says %q", err, test.want, test.says)
				}
			}
			if after, _ := os.ReadFile(test.opts.Path); string(before) != string(after) {
				t.Error("the file has changed")
			}
			if names, _ := filepath.Glob(filepath.Dir(test.opts.Path) + "/*"); len(names) > 1 {
				t.Errorf("left behind: %v", names)
			}
		})
	}
	for _, opts := range []Options{{}, {Path: filepath.Join(t.TempDir(), "no", "folder", "quire.db")}} {
		if s, err := Open(opts); err == nil {
			s.Close()
			t.Errorf("%q: it opened", opts.Path)
		}
	}
}

func TestOpenLocked(t *testing.T) {
	s := testStore(t, Options{})
	opts := Options{Path: s.opts.Path, LockTimeout: -1}
	if _, err := Open(opts); !errors.Is(err, ErrLocked) {
		t.Errorf("open twice: %v", err)
	}
	if _, err := Check(t.Context(), Options{Path: opts.Path}, func(p Problem) { t.Error(p) }); !errors.Is(err, ErrLocked) {
		t.Errorf("check an open store: %v", err)
	}
	addDoc(t, s, "doc", 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkDoc(t, testStore(t, opts), "doc", 3)
}

// TestOpenAtOnce starts many stores on one path where nothing is: one of them
// creates it, and the others find it in use.
func TestOpenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quire.db")
	type result struct {
		s   *Store
		err error
	}
	results := make(chan result)
	for range 6 {
		go func() {
			s, err := Open(Options{Path: path, LockTimeout: -1})
			results <- result{s, err}
		}()
	}
	var opened *Store
	for range 6 {
		r := <-results
		switch {
		case r.err == nil && opened == nil:
			opened = r.s
		case r.err == nil:
			r.s.Close()
			t.Error("opened twice")
		case !errors.Is(r.err, ErrLocked):
			t.Error(r.err)
		}
	}
	if opened == nil {
		t.Fatal("none could open it")
	}
	addDoc(t, opened, "doc", 1)
	opened.Close()
	checkDoc(t, testStore(t, Options{Path: path, MustExist: true}), "doc", 1)
	if names, _ := filepath.Glob(filepath.Dir(path) + "/*"); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

// TestMetaPages damages the pages that name the last transaction, where bbolt would
// silently return to the one before.
func TestMetaPages(t *testing.T) {
	s := testStore(t, Options{MapSize: 1}) // for a small file
	addDoc(t, s, "doc", 100)
	addDoc(t, s, "last", 1)
	newest := 0
	if err := s.read(func(tx *bbolt.Tx) error { newest = tx.ID() % 2; return nil }); err != nil {
		t.Fatal(err)
	}
	s.Close()
	data, err := os.ReadFile(s.opts.Path)
	if err != nil {
		t.Fatal(err)
	}
	open := func(page, bit int, rollback bool) (*Store, error) {
		t.Helper()
		copied := []byte(string(data))
		copied[page*4096+bit/8] ^= 1 << (bit % 8)
		opts := s.opts
		opts.Path = filepath.Join(t.TempDir(), "quire.db")
		opts.AllowRollback = rollback
		writeFile(t, opts.Path, copied)
		return Open(opts)
	}
	for bit := pageHeader * 8; bit < (pageHeader+metaSize)*8; bit += 5 {
		if got, err := open(newest, bit, false); !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), "AllowRollback") {
			if err == nil {
				got.Close()
			}
			t.Errorf("bit %d of the newest: %v", bit, err)
		}
	}
	// Its transaction number is made the one of two transactions before.
	for bit := range 8 {
		if got, err := open(newest, (pageHeader+48)*8+bit, false); err == nil {
			got.Close()
			t.Errorf("bit %d of the newest transaction's number: it opened", bit)
		}
	}
	got, err := open(1-newest, (pageHeader+20)*8, false)
	if err != nil {
		t.Fatalf("the older one is of no use any more: %v", err)
	}
	checkDoc(t, got, "last", 1)
	addDoc(t, got, "more", 5)
	got.Close()
	checkDoc(t, testStore(t, got.opts), "more", 5)

	got, err = open(newest, (pageHeader+20)*8, true)
	if err != nil {
		t.Fatalf("with AllowRollback: %v", err)
	}
	defer got.Close()
	checkDoc(t, got, "doc", 100)
	if info, err := got.Stat(t.Context(), "last"); err == nil && info.Head > 0 {
		t.Errorf("nothing was taken back: %+v", info)
	}
}

// TestDamageWhileOpen damages the file under a running store. Calls fail, the
// process lives, and the file is let go of.
func TestDamageWhileOpen(t *testing.T) {
	tests := map[string]func(*os.File) error{
		"truncated": func(f *os.File) error { return f.Truncate(2 * 4096) },
		"zeroed": func(f *os.File) error {
			_, err := f.WriteAt(make([]byte, 512<<10), 2*4096)
			return err
		},
		"garbage": func(f *os.File) error {
			_, err := f.WriteAt([]byte(strings.Repeat("\xa7\x01garbage", 60_000)), 2*4096)
			return err
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			s := testStore(t, Options{FoldAfter: 1})
			info := addDoc(t, s, "doc", 2000)
			f, err := os.OpenFile(s.opts.Path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			// A transaction that is under way could write over the damage: there is none now.
			s.fold.resting.Store(true)
			setUpdate(s, s.db.Update)
			if err := damage(f); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Read(t.Context(), "doc", 0, 2000); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("read: %v", err)
			}
			if err := s.Append(t.Context(), "doc", info.Incarnation, 2000, typed("client", 2000, 1)); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("append: %v", err)
			}
			if got, err := s.Stat(t.Context(), "doc"); err != nil || got.Head != 2000 {
				t.Errorf("after a failed append: %+v, %v", got, err)
			}
			s.fold.resting.Store(false)
			s.kick() // background work may come across it, too
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if _, err := Open(s.opts); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("open again: %v", err)
			}
		})
	}
}
