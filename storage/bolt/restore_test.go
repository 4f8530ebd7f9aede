package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"quire/storage"
)

// backUp writes a backup of a store to a file.
func backUp(t *testing.T, s *Store) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.db")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Backup(t.Context(), f), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBackupWhileAppending takes backups while several documents grow. Each has everything
// that was acknowledged before it began, without a gap.
func TestBackupWhileAppending(t *testing.T) {
	s := testStore(t, Options{FoldAfter: 50, MapSize: 1})
	const docs = 4
	var mu sync.Mutex
	var acked [docs]storage.Revision
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range docs {
		id := string(rune('a' + i))
		info, err := s.Create(t.Context(), id, newText)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for at := 0; ctx.Err() == nil; at += 7 {
				if err := s.Append(t.Context(), id, info.Incarnation, storage.Revision(at), typed("client", at, 7)); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked[i] = storage.Revision(at + 7)
				mu.Unlock()
			}
		})
	}
	for range 5 {
		mu.Lock()
		before := acked
		mu.Unlock()
		path := backUp(t, s)
		r, err := Restore(t.Context(), RestoreOptions{Backup: path, Dir: filepath.Join(t.TempDir(), "new")})
		if err != nil {
			t.Fatal(err)
		}
		copied := testStore(t, Options{Path: r.Path, MustExist: true})
		for i := range docs {
			id := string(rune('a' + i))
			info, err := copied.Stat(t.Context(), id)
			if err != nil || info.Head < before[i] {
				t.Fatalf("%s is at %d, %v; %d was acknowledged before", id, info.Head, err, before[i])
			}
			checkDoc(t, copied, id, int(info.Head))
		}
	}
	stop()
	wg.Wait()
}

// TestCopy: one at a time, and it can be verified; nothing is left behind.
func TestCopy(t *testing.T) {
	s := testStore(t, Options{})
	addDoc(t, s, "doc", 1000)
	c, err := s.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), io.Discard); !errors.Is(err, ErrBackingUp) {
		t.Errorf("a second one: %v", err)
	}
	addDoc(t, s, "later", 10) // it does not hold up appends, nor is it in the copy
	data, err := io.ReadAll(c)
	if err != nil || int64(len(data)) != c.Size || sha256.Sum256(data) != c.Sum {
		t.Errorf("%d bytes of %d, sum %v, %v", len(data), c.Size, sha256.Sum256(data) == c.Sum, err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	writeFile(t, path, data)
	sum, problems := checkAll(t, path)
	if len(problems) > 0 || sum.Documents != 1 {
		t.Errorf("%+v, %v", sum, problems)
	}
	entries, err := os.ReadDir(filepath.Dir(s.opts.Path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Backup(t.Context(), failing{}); err == nil {
		t.Error("nothing was written, and no error")
	}
	s.Close()
	if err := s.Backup(t.Context(), io.Discard); !errors.Is(err, storage.ErrClosed) {
		t.Error(err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no") }

// TestRestoreAt restores documents as they were at every time there was.
func TestRestoreAt(t *testing.T) {
	path, _ := repairStore(t)
	s := testStore(t, Options{Path: path})
	all := recordsOf(t, fileCopy(t, path))
	backup := backUp(t, s)
	times := []int64{0, 1, 1_700_000_000_000, 1_700_000_000_000 + 3*130, 1_700_000_000_000 + 520*130 + 1, 1_700_000_000_000 + 1999*130, 1_700_000_000_000 + 2024*130, 1_800_000_000_000}
	for _, at := range times {
		var seen []storage.Revision
		r, err := Restore(t.Context(), RestoreOptions{
			Backup: backup, Dir: t.TempDir(), At: time.UnixMilli(at),
			KeepNote: func(head storage.Revision, n storage.Note) bool {
				seen = append(seen, head)
				return n.Key == "key" && head > 1000
			},
		})
		if err != nil {
			t.Fatalf("at %d: %v", at, err)
		}
		got := recordsOf(t, fileCopy(t, r.Path))
		want := make(map[recordAt]storage.Record)
		heads := make(map[string]storage.Revision)
		for place, rec := range all {
			if rec.Time <= at {
				want[place] = rec
				heads[place.doc] = max(heads[place.doc], place.rev)
			}
		}
		if len(got) != len(want) || r.Summary.Documents != len(heads) || r.Left != 3-len(heads) || len(r.Newer) > 0 {
			t.Errorf("at %d: %d records, want %d; %+v", at, len(got), len(want), r)
		}
		for place, rec := range want {
			if !sameRecord(rec, got[place]) {
				t.Errorf("at %d: %+v is %+v, want %+v", at, place, got[place], rec)
			}
		}
		cut := testStore(t, Options{Path: r.Path, MustExist: true})
		for id, head := range heads {
			info, err := cut.Stat(t.Context(), id)
			was, err2 := s.Stat(t.Context(), id)
			if err != nil || err2 != nil || info.Head != head || info.Incarnation == was.Incarnation || storage.Lineage(info.Incarnation) != storage.Lineage(was.Incarnation) {
				t.Errorf("at %d: %+v, %v, want head %d; was %+v", at, info, err, head, was)
			}
			revs, err := cut.Snapshots(t.Context(), id)
			before, _ := s.Snapshots(t.Context(), id)
			before = slices.DeleteFunc(before, func(rev storage.Revision) bool { return rev > head })
			if err != nil || !slices.Equal(revs, before) {
				t.Errorf("at %d: %s has snapshots at %v, %v, want %v", at, id, revs, err, before)
			}
		}
		notes, err := cut.Notes(t.Context(), "", "", "", 10)
		if err != nil || len(notes) != 1 {
			t.Errorf("at %d: notes of the store: %v, %v", at, notes, err)
		}
		if head, ok := heads["doc"]; ok {
			notes, err := cut.Notes(t.Context(), "doc", "", "", 10)
			if err != nil || len(notes) == 1 != (head > 1000) || !slices.Contains(seen, head) {
				t.Errorf("at %d: notes %v, %v, asked about %v", at, notes, err, seen)
			}
		}
		cut.Close()
	}
}

func fileCopy(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, data)
}

// TestRestoreRefuses: nothing is left in the folder when a backup is not whole.
func TestRestoreRefuses(t *testing.T) {
	path, whole := repairStore(t)
	flipped := bytes.ReplaceAll(whole, []byte("op000700"), []byte("op00070_")) // also where it was before
	for _, test := range []struct {
		name   string
		backup string
		want   error
	}{
		{"none", path + "x", fs.ErrNotExist},
		{"cut short", fileOf(t, whole[:len(whole)/2]), storage.ErrCorrupt},
		{"empty", fileOf(t, nil), storage.ErrCorrupt},
		{"flipped", fileOf(t, flipped), storage.ErrCorrupt},
		{"text", fileOf(t, []byte("hello")), ErrForeign},
		{"a folder", t.TempDir(), ErrForeign},
	} {
		for _, when := range []time.Time{{}, time.UnixMilli(5)} {
			dir := filepath.Join(t.TempDir(), "new")
			r, err := Restore(t.Context(), RestoreOptions{Backup: test.backup, Dir: dir, At: when})
			entries, _ := os.ReadDir(dir)
			if !errors.Is(err, test.want) || len(entries) > 0 {
				t.Errorf("%s: %+v, %v, want %v; left %v", test.name, r, err, test.want, entries)
			}
		}
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "something"), nil)
	if _, err := Restore(t.Context(), RestoreOptions{Backup: path, Dir: dir}); !errors.Is(err, ErrNotEmpty) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Restore(ctx, RestoreOptions{Backup: path, Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
