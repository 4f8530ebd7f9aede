package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	bbolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"quire/storage"
)

// allocSize is by how much the file grows at a time, in bytes.
const allocSize = 1 << 20

// mapIsFree says whether mapping more than the file's size leaves the file alone.
const mapIsFree = runtime.GOOS != "windows"

// prepare looks at what is at the path and creates a new store when nothing is.
func prepare(opts *Options) error {
	if opts.Path == "" {
		return fmt.Errorf("bolt: %w: no path", storage.ErrInvalid)
	}
	info, err := os.Stat(opts.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !opts.MustExist:
		if err := create(*opts); err != nil {
			return fmt.Errorf("bolt: create %s: %w", opts.Path, err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("bolt: open: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("bolt: open %s: %w: not a regular file", opts.Path, ErrForeign)
	case info.Size() == 0:
		return fmt.Errorf("bolt: open %s: %w", opts.Path, corrupt("the file is empty; a store is never created in place of one"))
	}
	return nil
}

// create makes an empty store under another name and moves it to its path when it
// is whole, so that a file at the path is always one that was complete. When
// another process is quicker, its file is left alone.
func create(opts Options) error {
	f, err := os.CreateTemp(filepath.Dir(opts.Path), filepath.Base(opts.Path)+".new-")
	if err != nil {
		return err
	}
	path := f.Name()
	defer os.Remove(path)
	if err := f.Close(); err != nil {
		return err
	}
	if err := initialize(path, opts.LockTimeout); err != nil {
		return err
	}
	switch err := os.Link(path, opts.Path); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil: // a file system without links
		if err := os.Rename(path, opts.Path); err != nil {
			return err
		}
	}
	return syncDir(filepath.Dir(opts.Path))
}

// initialize writes the buckets, the state and the marker of an empty store.
func initialize(path string, timeout time.Duration) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: timeout, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		if err := (state{nextNum: 1, logFirst: 1}).put(tx); err != nil {
			return err
		}
		return putMarker(tx)
	})
	return errors.Join(err, db.Close())
}

// syncDir makes a new name in a folder last.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// openDB locks and verifies the file before bbolt touches it, opens it and looks
// for the marker. Whatever goes wrong, nothing stays open or locked.
func openDB(opts Options, readOnly bool) (db *bbolt.DB, file *os.File, err error) {
	openFile := func(path string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(path, flag&^os.O_CREATE, mode)
		if err != nil {
			return nil, err
		}
		err = lockFile(f, !readOnly, opts.LockTimeout)
		if err == nil {
			err = isAt(f, path)
		}
		if err != nil {
			releaseFile(f)
			return nil, err
		}
		if err := verifyFile(f, opts.AllowRollback); err != nil {
			releaseFile(f)
			return nil, err
		}
		file = f
		return f, nil
	}
	err = guard(opts.Logger, func() error {
		var err error
		db, err = bbolt.Open(opts.Path, 0o600, &bbolt.Options{
			Timeout:         opts.LockTimeout,
			FreelistType:    bbolt.FreelistMapType,
			InitialMmapSize: opts.MapSize,
			MaxSize:         opts.MaxSize,
			ReadOnly:        readOnly,
			NoStatistics:    true,
			OpenFile:        openFile,
		})
		return err
	})
	if err == nil {
		err = checkFormat(opts, db, readOnly)
	}
	if errors.Is(err, berrors.ErrTimeout) {
		err = ErrLocked
	}
	if err != nil {
		closeDB(db, file)
		return nil, nil, fmt.Errorf("bolt: open %s: %w", opts.Path, err)
	}
	db.AllocSize = allocSize
	return db, file, nil
}

// isAt returns ErrLocked unless a file that was opened and locked is still the one at its
// path: it may have been replaced, by Compact for one, between the two.
func isAt(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	now, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(info, now) {
		return fmt.Errorf("%w: it has just been replaced", ErrLocked)
	}
	return nil
}

// closeDB lets go of a file whose opening did not end well. A panic inside of
// bbolt.Open leaves no database, but an open and locked file.
func closeDB(db *bbolt.DB, file *os.File) {
	switch {
	case db != nil:
		_ = db.Close()
	case file != nil:
		_ = releaseFile(file) // closing it twice does no harm
	}
}

// checkFormat tells our file, in a version we know, from any other, and brings it to
// the newest version unless it is only read.
func checkFormat(opts Options, db *bbolt.DB, readOnly bool) error {
	version := uint64(0)
	err := view(opts.Logger, db, func(tx *bbolt.Tx) (err error) {
		version, err = readMarker(tx)
		return err
	})
	if err != nil || version == formatVersion || readOnly {
		return err
	}
	opts.Logger.Info("the data file is brought to a newer format", "path", opts.Path, "from", version, "to", formatVersion)
	return guard(opts.Logger, func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			for _, name := range since3 {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			return putMarker(tx)
		})
	})
}

// readMarker returns the version of a file of ours.
func readMarker(tx *bbolt.Tx) (version uint64, err error) {
	if tx.Bucket(bucketQuire) == nil {
		return 0, fmt.Errorf("%w: it has no bucket %q", ErrForeign, bucketQuire)
	}
	body, err := get(tx, bucketQuire, keyFormat)
	if err != nil {
		return 0, err
	}
	p := parser{rest: body}
	version, magic := p.uvarint(), string(p.bytes())
	switch {
	case p.bad || magic != formatMagic:
		return 0, fmt.Errorf("%w: it has no marker", ErrForeign)
	case version != formatVersion && version != formatVersion-1:
		return 0, fmt.Errorf("%w: %d, this program knows %d and %d", ErrVersion, version, formatVersion-1, formatVersion)
	}
	for _, name := range buckets {
		isNew := slices.ContainsFunc(since3, func(b []byte) bool { return bytes.Equal(b, name) })
		if tx.Bucket(name) == nil && (version == formatVersion || !isNew) {
			return 0, fmt.Errorf("%w: it has no bucket %q", ErrForeign, name)
		}
	}
	return version, nil
}

func putMarker(tx *bbolt.Tx) error {
	return put(tx, bucketQuire, keyFormat, appendBytes(binary.AppendUvarint(nil, formatVersion), formatMagic))
}

// guard runs fn and turns a panic, or a fault on a page of the mapped file that
// cannot be read, into ErrCorrupt. bbolt panics on pages that make no sense.
// The stack goes to the log, in case it was our own mistake.
func guard(log *slog.Logger, fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in a transaction on the data file", "panic", p, "stack", string(debug.Stack()))
			err = corrupt("%v", p)
		}
	}()
	return fn()
}

// view runs fn in a read transaction under guard.
func view(log *slog.Logger, db *bbolt.DB, fn func(*bbolt.Tx) error) error {
	err := guard(log, func() error { return db.View(fn) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return storage.ErrClosed
	}
	return err
}
