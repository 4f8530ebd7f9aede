//go:build unix && !solaris && !aix

package mirror

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// lock takes a lock file for this process alone, and returns how to let go of it. It
// returns errLocked when another has it. Who has it may remove it.
func lock(path string) (func(), error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, errLocked
			}
			return nil, &os.PathError{Op: "lock", Path: path, Err: err}
		}
		held, err := f.Stat()
		named, nameErr := os.Stat(path)
		if err == nil && nameErr == nil && os.SameFile(held, named) {
			return func() { f.Close() }, nil
		}
		f.Close() // it was removed by whoever had it, before this did
		if err = errors.Join(err, nameErr); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}
