package mirror

import (
	"os"
	"path/filepath"
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
