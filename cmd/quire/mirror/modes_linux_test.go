package mirror

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWhoCanRead looks at the permissions of what is made beside a file and of a file that is made, and whether what
// lies there already under such a name is written into.
func TestWhoCanRead(t *testing.T) {
	m := newTest(t, "one\n")
	part, victim := partPath(m.opt.File, 1), filepath.Join(t.TempDir(), "victim")
	put(t, victim, "somebody's\n")
	if err := os.Symlink(victim, part); err != nil {
		t.Fatal(err)
	}
	if _, err := m.write(t.Context(), "one\n", "one\ntwo\n", writing{Rev: 1}); err != nil {
		t.Fatal(err)
	}
	has(t, victim, "somebody's\n")
	has(t, m.opt.File, "one\ntwo\n")
	if info, err := os.Lstat(m.opt.File); err != nil || info.Mode() != 0o640 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	defer syscall.Umask(syscall.Umask(0o077))
	made := filepath.Join(t.TempDir(), "made.txt")
	if err := create(made, "secret\n"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(made); err != nil || info.Mode() != 0o600 {
		t.Errorf("the mode of a new file is %v, %v", info.Mode(), err)
	}
}

// TestGroupThatCannotBeKept writes a file of a group that its owner is not in: no other group may read it.
func TestGroupThatCannotBeKept(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT RUN without root: it makes a file of another's group")
	}
	for _, c := range []struct{ mode, want os.FileMode }{{0o640, 0o600}, {0o664, 0o644}, {0o606, 0o606}} {
		m := newTest(t, "one\n")
		dir := filepath.Dir(m.opt.File)
		if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chown(dir, 65534, 65534), os.Chown(m.opt.File, 65534, 4242), os.Chmod(m.opt.File, c.mode)); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Seteuid(65534); err != nil {
			t.Fatal(err)
		}
		err := prepare(m.opt.File, "one\ntwo\n", 1)
		if err := syscall.Seteuid(0); err != nil {
			t.Fatal(err)
		}
		info, statErr := os.Stat(partPath(m.opt.File, 1))
		if err != nil || statErr != nil || info.Mode() != c.want {
			t.Errorf("of %v: %v, %v %v; want %v", c.mode, info, err, statErr, c.want)
		}
	}
}

// TestPipe refuses a pipe in the place of the file, without waiting for whoever writes into it.
func TestPipe(t *testing.T) {
	m := newTest(t, "one\n")
	if err := errors.Join(os.Remove(m.opt.File), syscall.Mkfifo(m.opt.File, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.step(t.Context()); err == nil || !strings.Contains(err.Error(), "is not an ordinary file") {
		t.Errorf("got %v", err)
	}
}
