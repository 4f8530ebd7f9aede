package mirror

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// exchange swaps two files' names at once. ErrUnsupported where the file system cannot.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// inode is the number of a file in its file system.
func inode(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}

// keepOwner gives a file the owner and the group of another, as far as that is allowed. It reports whether it has the group.
func keepOwner(path string, of fs.FileInfo) bool {
	s, ok := of.Sys().(*syscall.Stat_t)
	if !ok || os.Chown(path, int(s.Uid), int(s.Gid)) == nil {
		return true
	}
	return os.Chown(path, -1, int(s.Gid)) == nil // the owner may not be given away, a group that one is in may
}
