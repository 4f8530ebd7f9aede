package mirror

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// TestLock has several take and let go of one lock again and again: never do two have it.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var holders atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5000 {
				let, err := lock(path)
				if errors.Is(err, errLocked) {
					continue
				} else if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d have it", n)
				}
				holders.Add(-1)
				_ = os.Remove(path) // as Close does
				let()
			}
		})
	}
	all.Wait()
}
