//go:build unix && !solaris && !aix

package bolt

import (
	"os"
	"syscall"
	"time"
)

// lockFile takes the lock that bbolt takes too, so that the file can be verified
// before bbolt maps it. It returns ErrLocked when that does not succeed in time.
func lockFile(f *os.File, exclusive bool, timeout time.Duration) error {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	for end := time.Now().Add(timeout); ; time.Sleep(10 * time.Millisecond) {
		switch err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); {
		case err == nil:
			return nil
		case err != syscall.EWOULDBLOCK && err != syscall.EINTR:
			return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		case time.Now().After(end):
			return ErrLocked
		}
	}
}

// releaseFile unlocks and closes. A mapping keeps the lock of a file that is only
// closed.
func releaseFile(f *os.File) error {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	return f.Close()
}
