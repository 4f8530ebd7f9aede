//go:build !unix || solaris || aix

package bolt

import (
	"os"
	"time"
)

// lockFile leaves locking to bbolt, which does it a moment later. A file that
// another process writes to meanwhile may then look damaged.
func lockFile(*os.File, bool, time.Duration) error { return nil }

func releaseFile(f *os.File) error { return f.Close() }
