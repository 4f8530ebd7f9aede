package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// Compacted is what Compact has done.
type Compacted struct {
	// Before and After are the size of the file in bytes.
	Before, After int64
	// Sealed is how many bytes of it are sealed segments.
	Sealed int64
	// Summary is what Check counted in the new file.
	Summary Summary
}

// Compact makes a data file that no server has open (ErrLocked otherwise) as small as it can be: it
// writes everything into a new file, records in sealed segments where these are smaller and
// snapshots only as far as reading an old revision needs them, verifies that file and compares it
// with the old one, record by record, and then puts it in its place. Times of records that
// are sealed become multiples of opts.TimeStep; deleted and rewritten content is gone for good.
// Of opts, Path, Packers, TimeStep, LockTimeout and Logger count.
//
// Whatever goes wrong, the old file stays as it is: ErrNoSpace when the disk has no room for two of
// it, ctx's error, storage.ErrCorrupt with the first problem. It takes about a second for 200,000
// records.
//
// progress, unless it is nil, is called now and then with how much of how much is done.
func Compact(ctx context.Context, opts Options, progress func(done, all int64)) (Compacted, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	c := &compaction{ctx: ctx, opts: opts.withDefaults(), progress: progress}
	if err := c.run(); err != nil {
		return Compacted{}, fmt.Errorf("bolt: compact %s: %w", opts.Path, err)
	}
	return c.sum, nil
}

// compaction is one run of Compact.
type compaction struct {
	ctx       context.Context
	opts      Options
	progress  func(done, all int64)
	done, all int64
	old, new  *Store // for reading
	sum       Compacted
}

func (c *compaction) run() (err error) {
	if c.old, err = openReadOnly(c.opts); err != nil {
		return err
	}
	defer c.old.closeReadOnly()
	info, err := c.old.file.Stat()
	if err != nil {
		return err
	}
	c.sum.Before = info.Size()
	dir, name := filepath.Dir(c.opts.Path), filepath.Base(c.opts.Path)
	removeLeft(c.opts.Path, c.opts.Logger)
	if err := hasRoom(dir, info.Size()); err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, name+compacting)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	opts := c.opts
	opts.Path = filepath.Join(work, name)
	if err := c.write(opts.Path); err != nil {
		return err
	}
	if c.sum.Summary, err = whole(c.ctx, opts); err != nil {
		return err
	}
	c.sum.After = c.sum.Summary.Bytes
	if err := c.compare(opts); err != nil {
		return err
	}
	if err := ownAs(opts.Path, c.opts.Path); err != nil {
		return err
	}
	// Whoever waited for the lock meanwhile has the old file open and finds it in use.
	if err := os.Rename(opts.Path, c.opts.Path); err != nil {
		return err
	}
	return syncDir(dir)
}

// These follow the name of the data file in that of the folder that it is written anew in.
const (
	compacting = ".compact-"
	repairing  = ".repair-"
)

// removeLeft removes what compactions and repairs left that were killed: each a copy of the data. The
// caller has the file locked.
func removeLeft(path string, log *slog.Logger) {
	dir, name := filepath.Dir(path), filepath.Base(path)
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() && (strings.HasPrefix(e.Name(), name+compacting) || strings.HasPrefix(e.Name(), name+repairing)) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		log.Warn("cannot remove what a compaction or a repair left that was killed", "err", err)
	}
}

// openReadOnly opens a data file for reading, and keeps everybody else out.
func openReadOnly(opts Options) (*Store, error) {
	if err := upgrade(opts); err != nil {
		return nil, err
	}
	db, file, err := openDB(opts, true)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: opts, log: opts.Logger, db: db, file: file, opener: opener{packers: opts.Packers, keep: cacheBytes}}
	s.closer = sync.OnceValue(db.Close)
	err = lockFile(file, true, opts.LockTimeout)
	if err == nil {
		err = view(s.log, db, s.load)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func (s *Store) closeReadOnly() { _ = s.closer() }

// upgrade brings a file to the newest format.
func upgrade(opts Options) error {
	version := uint64(0)
	db, _, err := openDB(opts, true)
	if err != nil {
		return err
	}
	err = view(opts.Logger, db, func(tx *bbolt.Tx) (err error) {
		version, err = readMarker(tx)
		return err
	})
	if err = errors.Join(err, db.Close()); err != nil || version == formatVersion {
		return err
	}
	if db, _, err = openDB(opts, false); err != nil {
		return err
	}
	return db.Close()
}

// write writes the new file.
func (c *compaction) write(path string) (err error) {
	for _, d := range c.old.index.docs {
		c.all += 2 * int64(d.head-d.oldest)
	}
	b, err := newBuilder(path)
	if err != nil {
		return err
	}
	b.level, b.seal = zstd.SpeedBestCompression, &c.opts
	copier := copier{ctx: c.ctx, src: c.old, b: b, spaced: true, read: c.step}
	err = eachDocument(c.ctx, c.old, func(info storage.Info) error { return copier.copy(info, info.Head, every) })
	if err == nil {
		err = copier.notes("", storeNum, every)
	}
	if err != nil {
		return errors.Join(err, b.abandon())
	}
	c.sum.Sealed = b.sealed
	return b.close()
}

func (c *compaction) step(n int) {
	if c.done += int64(n); c.progress != nil {
		c.progress(c.done, c.all)
	}
}

// compare verifies that the new file has what the old one has.
func (c *compaction) compare(opts Options) (err error) {
	if c.new, err = openReadOnly(opts); err != nil {
		return err
	}
	defer c.new.closeReadOnly()
	if old, now := len(c.old.index.docs), len(c.new.index.docs); old != now {
		return fmt.Errorf("the new file has %d documents, should have %d", now, old)
	}
	return eachDocument(c.ctx, c.old, func(info storage.Info) error {
		err := c.compareDoc(info)
		if err != nil {
			err = fmt.Errorf("document %q: %w", info.ID, err)
		}
		return err
	})
}

// errDiffers: the new file is not what it should be, which is our own mistake.
var errDiffers = errors.New("the new file differs from the old one")

func (c *compaction) compareDoc(info storage.Info) error {
	now, err := c.new.Stat(c.ctx, info.ID)
	if err != nil {
		return err
	}
	if now != info {
		return fmt.Errorf("%w: %+v, should be %+v", errDiffers, now, info)
	}
	for at := info.Oldest; at < info.Head; {
		was, err := c.old.Read(c.ctx, info.ID, at, info.Head)
		if err != nil {
			return err
		}
		var is []storage.Record
		for len(is) < len(was) && err == nil {
			var more []storage.Record
			more, err = c.new.Read(c.ctx, info.ID, at+storage.Revision(len(is)), at+storage.Revision(len(was)))
			is = append(is, more...)
		}
		if err != nil {
			return err
		}
		for i := range was {
			if !c.same(&was[i], &is[i]) {
				return fmt.Errorf("%w in record %d", errDiffers, at+storage.Revision(i))
			}
		}
		at += storage.Revision(len(was))
		c.step(len(was))
	}
	return c.compareSnapshots(info.ID)
}

// same reports whether a record is what it was, but for its time, which may have been rounded.
func (c *compaction) same(was, is *storage.Record) bool {
	return was.Kind == is.Kind && was.Type == is.Type && bytes.Equal(was.Op, is.Op) && was.Author == is.Author && was.Client == is.Client &&
		was.Seq == is.Seq && (was.Time == is.Time || floorTo(was.Time, c.opts.TimeStep.Milliseconds()) == is.Time)
}

func (c *compaction) compareSnapshots(id string) error {
	revs, err := c.new.Snapshots(c.ctx, id)
	for _, rev := range revs {
		var was, is storage.Snapshot
		if err == nil {
			was, err = c.old.Snapshot(c.ctx, id, rev)
		}
		if err == nil {
			is, err = c.new.Snapshot(c.ctx, id, rev)
		}
		if err == nil && (was.Rev != is.Rev || was.Type != is.Type || was.Pinned != is.Pinned || !bytes.Equal(was.Data, is.Data)) {
			err = fmt.Errorf("%w in the snapshot at revision %d", errDiffers, rev)
		}
	}
	if err != nil {
		return err
	}
	return c.compareNotes(id)
}

func (c *compaction) compareNotes(id string) error {
	const page = 64
	for after, n := "", page; n == page; {
		was, err := c.old.Notes(c.ctx, id, "", after, page)
		if err != nil {
			return err
		}
		is, err := c.new.Notes(c.ctx, id, "", after, page)
		if err != nil {
			return err
		}
		if !slices.EqualFunc(was, is, func(a, b storage.Note) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) }) {
			return fmt.Errorf("%w in notes", errDiffers)
		}
		if n = len(was); n > 0 {
			after = was[n-1].Key
		}
	}
	return nil
}
