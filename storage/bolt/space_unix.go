//go:build linux || darwin || freebsd

package bolt

import "golang.org/x/sys/unix"

// freeDisk returns how many bytes more may be written to a folder's disk; ok is false
// when the system does not say.
func freeDisk(dir string) (bytes int64, ok bool) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
