package mirror

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
	f, err := os.Open(path)
	if err != nil {
		return look{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return look{}, err
	case !info.Mode().IsRegular():
		return look{}, fmt.Errorf("%s is not an ordinary file", path)
	case info.Size() > maxFile:
		return look{}, fmt.Errorf("%s has %d bytes; a file may have %d", path, info.Size(), maxFile)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	return look{string(data), true, markOf(info)}, err
}

func markOf(info fs.FileInfo) mark { return mark{info.Size(), info.ModTime(), inode(info)} }

// writeSynced makes a file of data, and syncs it.
func writeSynced(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode) // whatever the umask is
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
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

// tempPath is where a file's new content is before it takes its place, and what was there after. What is
// there is always whole.
func tempPath(path string) string { return beside(path, "part") }

// unseenPath is where that is put which somebody saved just before the file was written,
// until it is in the file again.
func unseenPath(path string) string { return beside(path, "unseen") }

func beside(path, what string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".quire-"+what)
}

// prepare writes the new content of a file beside it.
func prepare(path, content string, mode fs.FileMode) (temp string, err error) {
	temp = tempPath(path)
	if err := writeSynced(beside(path, "new"), []byte(content), mode); err != nil {
		return "", err
	}
	return temp, os.Rename(beside(path, "new"), temp)
}

// create makes the file, which must not be there.
func create(path, content string) error {
	temp, err := prepare(path, content, 0o644)
	if err != nil {
		return err
	}
	err = os.Link(temp, path) // fails when somebody was first
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = os.Rename(temp, path) // a file system without links
	} else {
		err = errors.Join(err, os.Remove(temp))
	}
	if err != nil {
		return err
	}
	return syncFolder(path)
}

// swap puts content in the place of the file, with its permissions, and returns what was there at that
// moment. When that is not what was expected, it is also at unseenPath; when it is unfit, it is put back. Where the
// system cannot exchange two names at once, somebody who saves between the last look and
// the renaming is not seen.
func swap(path, content, expected string, unfit func(string) error) (found string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	temp, err := prepare(path, content, info.Mode().Perm())
	if err != nil {
		return "", err
	}
	keepOwner(temp, info)
	if err := exchange(temp, path); errors.Is(err, errors.ErrUnsupported) {
		return replace(path, temp, expected)
	} else if err != nil {
		return "", errors.Join(err, os.Remove(temp))
	}
	was, err := read(temp)
	switch {
	case err != nil:
		return "", err
	case was.content == expected:
		return expected, errors.Join(os.Remove(temp), syncFolder(path))
	case unfit(was.content) != nil: // it is for whoever wrote it to say what is meant
		return "", errors.Join(exchange(temp, path), os.Remove(temp), errUnfit)
	}
	return was.content, errors.Join(os.Rename(temp, unseenPath(path)), syncFolder(path))
}

// replace renames temp to the file, if that still is what was expected.
func replace(path, temp, expected string) (found string, err error) {
	was, err := read(path)
	switch {
	case err != nil:
		return "", errors.Join(err, os.Remove(temp))
	case !was.there: // removed: it stays so
		return "", errors.Join(fs.ErrNotExist, os.Remove(temp))
	case was.content != expected:
		return "", errors.Join(errChanged, os.Remove(temp))
	}
	return expected, errors.Join(os.Rename(temp, path), syncFolder(path))
}

var (
	errUnfit   = errors.New("no document can have what was saved just now")
	errChanged = errors.New("it was changed just now")
)
