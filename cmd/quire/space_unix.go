//go:build unix && !solaris && !illumos && !aix && !netbsd && !openbsd

package main

import "golang.org/x/sys/unix"

// space returns how many bytes the file system of a folder has left for this process, and
// in all.
func space(folder string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}
