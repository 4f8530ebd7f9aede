package bolt

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"quire/storage"
)

// tmpfs mounts a file system of a size in bytes, or skips the test.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("SKIPPED: mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestOpenNotPermitted opens files as a user who may not.
func TestOpenNotPermitted(t *testing.T) {
	dir, err := os.MkdirTemp("", "quire-permissions-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := testStore(t, Options{Path: filepath.Join(dir, "quire.db")})
	addDoc(t, s, "doc", 3)
	s.Close()
	if os.Getuid() == 0 {
		// The files that this thread opens are opened as nobody.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setfsuid(0)
	}
	if err := os.Chmod(s.opts.Path, 0o400); err != nil && os.Getuid() != 0 {
		t.Fatal(err)
	}
	if err := openPlain(s.opts); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that may not be written: %v", err)
	}
	if os.Getuid() == 0 {
		if _, err := Check(t.Context(), Options{Path: s.opts.Path}, func(p Problem) { t.Error(p) }); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("check of a file that may not be read: %v", err)
		}
		if err := openPlain(Options{Path: filepath.Join(dir, "new.db")}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a folder that may not be written: %v", err)
		}
	}
}

func TestOpenReadOnlyFileSystem(t *testing.T) {
	dir := tmpfs(t, "8m")
	s := testStore(t, Options{Path: filepath.Join(dir, "quire.db")})
	addDoc(t, s, "doc", 3)
	s.Close()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := openPlain(s.opts); !errors.Is(err, syscall.EROFS) {
		t.Errorf("open: %v", err)
	}
	if err := openPlain(Options{Path: filepath.Join(dir, "new.db")}); !errors.Is(err, syscall.EROFS) {
		t.Errorf("create: %v", err)
	}
	sum, err := Check(t.Context(), Options{Path: s.opts.Path}, func(p Problem) { t.Error(p) })
	if err != nil || sum.Records != 4 {
		t.Errorf("check: %+v, %v", sum, err)
	}
}

// TestDiskFull fills a real file system up. Appends fail, heads stay, reads
// and deletes go on, and when there is space again so do appends.
func TestDiskFull(t *testing.T) {
	dir := tmpfs(t, "12m")
	ballast := filepath.Join(dir, "ballast")
	writeFile(t, ballast, make([]byte, 4<<20))
	s := testStore(t, Options{Path: filepath.Join(dir, "quire.db")})
	addDoc(t, s, "kept", 1000)
	addDoc(t, s, "deleted", 2000)
	info := addDoc(t, s, "large", 0)
	large := func() error {
		rec := storage.Record{Op: make([]byte, 100<<10), Client: "client", Seq: uint64(info.Head) + 1}
		err := s.Append(t.Context(), "large", info.Incarnation, info.Head, []storage.Record{rec})
		if err == nil {
			info.Head++
		}
		return err
	}
	for large() == nil {
		if info.Head > 200 {
			t.Fatal("the disk does not become full")
		}
	}
	for range 5 {
		if err := large(); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, storage.ErrUnknown) {
			t.Fatalf("append to a full disk: %v", err)
		}
		if got, err := s.Stat(t.Context(), "large"); err != nil || got.Head != info.Head {
			t.Fatalf("after a failed append: %+v, %v, want head %d", got, err, info.Head)
		}
	}
	checkDoc(t, s, "kept", 1000)
	if err := s.Delete(t.Context(), "deleted"); err != nil {
		t.Errorf("delete on a full disk: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := large(); err != nil {
		t.Errorf("append after there is space again: %v", err)
	}
	s.Close()
	s = testStore(t, s.opts)
	checkDoc(t, s, "kept", 1000)
	if got, err := s.Stat(t.Context(), "large"); err != nil || got.Head != info.Head {
		t.Errorf("opened again: %+v, %v, want head %d", got, err, info.Head)
	}
	s.Close()
	if _, err := Check(t.Context(), Options{Path: s.opts.Path}, func(p Problem) { t.Error(p) }); err != nil {
		t.Error(err)
	}
}

// TestDiskHangs closes a store whose disk does not answer.
func TestDiskHangs(t *testing.T) {
	s := testStore(t, Options{CloseTimeout: time.Millisecond})
	info := addDoc(t, s, "doc", 1)
	gate := blockCommits(s)
	result := make(chan error, 1)
	go func() { result <- s.Append(t.Context(), "doc", info.Incarnation, 1, typed("client", 1, 1)) }()
	<-gate.arrived
	if err := s.Close(); err == nil {
		t.Error("close said that all was well")
	}
	close(gate.opened)
	if err := <-result; err != nil {
		t.Errorf("append: %v", err)
	}
	<-s.done
	if err := s.db.Close(); err != nil {
		t.Error(err)
	}
}
