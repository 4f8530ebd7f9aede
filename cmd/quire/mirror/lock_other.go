//go:build !unix || solaris || aix

package mirror

import "os"

// lock notes that this process has a file; another is not held off here.
func lock(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}
