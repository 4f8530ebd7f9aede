package mirror

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxFile is the largest file in bytes.
const maxFile = 256 << 20

// look is the file as it was found.
type look struct {
	content string
	there   bool
	mark    mark
}

// mark tells one saved file from another without reading it.
type mark struct {
	size  int64
	mtime time.Time
	id    uint64 // of the inode, where there are such
}

// read reads the file. A file that changes while it is read is read again.
func read(path string) (look, error) {
	for {
		l, err := readOnce(path)
		if errors.Is(err, fs.ErrNotExist) {
			return look{}, nil
		}
		if err != nil {
			return l, err
		}
		if now, err := os.Stat(path); err == nil && markOf(now) == l.mark && l.mark.size == int64(len(l.content)) {
			return l, nil
		}
	}
}

func readOnce(path string) (look, error) {
	if info, err := os.Stat(path); err != nil {
		return look{}, err
	} else if !info.Mode().IsRegular() { // to open a pipe would wait for whoever writes into it
		return look{}, fmt.Errorf("%s is not an ordinary file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return look{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return look{}, err
	case info.Size() > maxFile:
		return look{}, fmt.Errorf("%s has %d bytes; a file may have %d", path, info.Size(), maxFile)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	return look{string(data), true, markOf(info)}, err
}

func markOf(info fs.FileInfo) mark { return mark{info.Size(), info.ModTime(), inode(info)} }

// writeSynced makes a file of data in the place of whatever has that name, and syncs it. It has mode, less the umask, and then
// the owner and the permissions of like, unless that is nil: nobody who may not read that one can read this at any time.
func writeSynced(path string, data []byte, mode fs.FileMode, like fs.FileInfo) error {
	if err := discard(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && like != nil {
		mode := like.Mode().Perm()
		if !keepOwner(path, like) { // this group may do no more than everybody
			mode &= 0o707 | mode<<3&0o070
		}
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, discard(path))
	}
	return nil
}

// discard removes a file, which need not be there.
func discard(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder makes a name in path's folder durable.
func syncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync() // not every file system can
	return nil
}

// partPath is where the content that is written in turn n is before it takes the file's place, and what was in the file
// after. The turns of one writing count from 1; 0 is for a file that is made.
func partPath(path string, n int) string {
	return filepath.Join(filepath.Dir(path), fmt.Sprintf("%s%d", partPrefix(path), n))
}

// partPrefix is what the names of a file's parts begin with; their numbers follow.
func partPrefix(path string) string { return "." + filepath.Base(path) + ".quire-part" }

// parts returns the paths of all of a file's parts.
func parts(path string) (paths []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		if n, ok := strings.CutPrefix(e.Name(), partPrefix(path)); ok && n != "" && strings.Trim(n, "0123456789") == "" {
			paths = append(paths, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	return paths, err
}

// discardParts removes all of a file's parts.
func discardParts(path string) error {
	paths, err := parts(path)
	for _, part := range paths {
		err = errors.Join(err, discard(part))
	}
	return err
}

// prepare writes what is to take the place of a file, with its permissions.
func prepare(path, content string, n int) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return writeSynced(partPath(path, n), []byte(content), 0o600, info)
}

// create makes the file, which must not be there.
func create(path, content string) error {
	part := partPath(path, 0)
	if err := writeSynced(part, []byte(content), 0o666, nil); err != nil {
		return err
	}
	err := os.Link(part, path) // fails when somebody was first
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = os.Rename(part, path) // a file system without links
	} else {
		err = errors.Join(err, os.Remove(part))
	}
	if err != nil {
		return err
	}
	return syncFolder(path)
}

// swap puts what was prepared in the place of the file, and what was there at that moment in its own. Where the
// system cannot exchange two names at once, the file has to be as expected, and somebody who saves between that
// look and the renaming is not seen.
func swap(path, expected string, n int) error {
	part := partPath(path, n)
	if err := exchange(part, path); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	was, err := read(path)
	switch {
	case err != nil:
		return err
	case !was.there: // removed: it stays so
		return fs.ErrNotExist
	case was.content != expected:
		return errChanged
	}
	return os.Rename(part, path)
}

var (
	errUnfit   = errors.New("no document can have what was saved just now")
	errChanged = errors.New("it was changed just now")
	errBusy    = errors.New("it is being written all the time")
)
