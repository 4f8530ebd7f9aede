//go:build !linux

package mirror

import (
	"errors"
	"io/fs"
)

// exchange swaps two files' names at once.
func exchange(a, b string) error { return errors.ErrUnsupported }

// inode is the number of a file in its file system; 0: unknown.
func inode(info fs.FileInfo) uint64 { return 0 }

// keepOwner gives a file the owner and the group of another: they are its maker's here.
func keepOwner(path string, of fs.FileInfo) bool { return true }
