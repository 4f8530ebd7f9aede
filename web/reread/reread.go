// Package reread has small files that are read again when they change, such as keys and
// certificates.
package reread

import (
	"context"
	"fmt"
	"io"
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

// stamp tells whether a file is another one, was written, or can be read now.
type stamp struct {
	info os.FileInfo // nil: it cannot be read
	err  string
}

func (s stamp) equal(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == o.info && s.err == o.err
	}
	return os.SameFile(s.info, o.info) && s.info.ModTime().Equal(o.info.ModTime()) && s.info.Size() == o.info.Size()
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
		if now := f.look(); !slices.EqualFunc(now, f.seen, stamp.equal) {
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
		file, err := open(name)
		if err == nil {
			out[i].info, err = file.Stat()
			_ = file.Close()
		}
		if err != nil {
			out[i] = stamp{err: err.Error()}
		}
	}
	return out
}

// open opens a file, unless it is one that opening could wait for.
func open(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = notFile(name)
	}
	if err != nil {
		return nil, err
	}
	return os.Open(name)
}

// MaxFile is the largest file that Read reads, in bytes.
const MaxFile = 1 << 20

// Read reads a regular file of at most MaxFile bytes.
func Read(name string) ([]byte, error) {
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = notFile(name)
	}
	return data, err
}

func notFile(name string) error {
	return fmt.Errorf("%s is not a file of at most %d bytes", name, MaxFile)
}
