// Package reread has small files that are read again when they change, such as keys and
// certificates.
package reread

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// Files is files that are of use together. Safe for concurrent use.
type Files struct {
	names []string
	read  func()

	mu   sync.Mutex
	seen []stamp // what the files were when they were last read; guarded by mu
}

// stamp tells whether a file is another one or was written.
type stamp struct {
	changed time.Time
	size    int64
	err     string
}

// New makes Files that read reads: it is called once at a time, and not by New. What is read
// the first time has to be read after New.
func New(names []string, read func()) *Files {
	f := &Files{names: names, read: read}
	f.seen = f.look()
	return f
}

// Reload has the files read now.
func (f *Files) Reload() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = f.look()
	f.read()
}

// Watch has the files read when they have changed, looking every so often, until ctx ends.
// (Files are replaced in many ways, by renaming files, folders or links; looking sees each
// of them.)
func (f *Files) Watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		if now := f.look(); !slices.Equal(now, f.seen) {
			f.seen = now
			f.read()
		}
		f.mu.Unlock()
	}
}

// look returns what the files are now.
func (f *Files) look() []stamp {
	out := make([]stamp, len(f.names))
	for i, name := range f.names {
		info, err := os.Stat(name)
		if err != nil {
			out[i].err = err.Error()
			continue
		}
		out[i] = stamp{changed: info.ModTime(), size: info.Size()}
	}
	return out
}

// MaxFile is the largest file that Read reads, in bytes.
const MaxFile = 1 << 20

// Read reads a regular file of at most MaxFile bytes.
func Read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > MaxFile {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", name, MaxFile)
	}
	return os.ReadFile(name)
}
