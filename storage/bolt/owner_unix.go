//go:build unix

package bolt

import (
	"os"
	"syscall"
)

// ownAs gives what root made at a path to the owner of something else: a service that runs as a user of
// its own could not open what an administrator's command left it. Whatever others make is their own.
func ownAs(path, like string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 && int(st.Gid) == os.Getegid() {
		return nil
	}
	return os.Lchown(path, int(st.Uid), int(st.Gid))
}
