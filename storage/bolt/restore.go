package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// FileName is the name that the data file has in its folder.
const FileName = "quire.db"

// RestoreOptions says what to restore.
type RestoreOptions struct {
	// Backup is the file that Store.Backup wrote. Required. It is not changed.
	Backup string
	// Dir is the folder to restore to. Required. It is made when it is not there, and
	// has to be empty (ErrNotEmpty) otherwise.
	Dir string
	// At, unless it is zero, cuts each document to its newest revision at or before this
	// time: later records, snapshots, sequence numbers and notes are left out, and
	// documents that were created later are not there.
	At time.Time
	// Packers are as in Options.
	Packers map[string]Packer
	// KeepNote says whether a note of a document, cut to a revision, still means
	// something. Default: every note does. Not used without At.
	KeepNote func(head storage.Revision, n storage.Note) bool
}

// Restored is what Restore has done.
type Restored struct {
	// Path is the data file.
	Path string
	// Summary is what Check counted in it.
	Summary Summary
	// Left is how many documents were left out, since they were created after At.
	Left int
	// Newer are the documents that are newer than At, because what they were then is not
	// kept any more: they are cut to the oldest revision that is.
	Newer []string
}

func (o *RestoreOptions) options(path string) Options { return Options{Path: path, Packers: o.Packers} }

// ErrNotEmpty: the folder to restore to has something in it.
var ErrNotEmpty = errors.New("bolt: the folder is not empty")

// Restore makes a data file of a backup. It is verified completely, as Check does, before
// it gets its name; when anything is wrong the folder stays empty, and the error
// is storage.ErrCorrupt with the first problem, ErrForeign, ErrVersion or the operating
// system's.
//
// Every document gets another incarnation of the same lineage (see storage.Renew): a
// client may hold revisions that the backup does not have, and must not take those that
// will have their numbers for them.
func Restore(ctx context.Context, o RestoreOptions) (Restored, error) {
	r, err := restore(ctx, o)
	if err != nil {
		return Restored{}, fmt.Errorf("bolt: restore %s: %w", o.Backup, err)
	}
	return r, nil
}

func restore(ctx context.Context, o RestoreOptions) (r Restored, err error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return r, err
	}
	if entries, err := os.ReadDir(o.Dir); err != nil {
		return r, err
	} else if len(entries) > 0 {
		return r, fmt.Errorf("%w: %s has %s in it", ErrNotEmpty, o.Dir, entries[0].Name())
	}
	work, err := os.MkdirTemp(o.Dir, "restore-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(work)
	copied := filepath.Join(work, "copy.db")
	if err := copyFile(ctx, o.Backup, copied); err != nil {
		return r, err
	}
	if r.Summary, err = whole(ctx, o.options(copied)); err != nil {
		return r, err
	}
	path := copied
	if o.At.IsZero() {
		err = renewAll(copied)
	} else {
		path = filepath.Join(work, "cut.db")
		err = cutAll(ctx, o, copied, path, &r)
	}
	if err != nil {
		return r, err
	}
	if r.Summary, err = whole(ctx, o.options(path)); err != nil {
		return r, err
	}
	if err := ownAs(path, o.Dir); err != nil {
		return r, err
	}
	r.Path = filepath.Join(o.Dir, FileName)
	if err := putInPlace(path, r.Path); err != nil {
		return r, err
	}
	return r, nil
}

// copyFile copies a file and syncs the copy.
func copyFile(ctx context.Context, from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a regular file", ErrForeign)
	}
	if err := hasRoom(filepath.Dir(to), info.Size()); err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, withContext{ctx, src})
	return errors.Join(err, dst.Sync(), dst.Close())
}

// whole returns ErrCorrupt with the first problem that Check finds.
func whole(ctx context.Context, opts Options) (Summary, error) {
	var first *Problem
	sum, err := Check(ctx, opts, func(p Problem) {
		if first == nil {
			first = &p
		}
	})
	if err == nil && first != nil {
		err = corrupt("%v (problems: %d)", *first, sum.Problems)
	}
	return sum, err
}

// putInPlace gives a synced file its name, which must not be taken.
func putInPlace(from, to string) error {
	err := os.Link(from, to)
	if err != nil && !errors.Is(err, fs.ErrExist) { // a file system without links
		err = os.Rename(from, to)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

// renewAll gives all documents of a file another incarnation.
func renewAll(path string) error {
	db, _, err := openDB(Options{Path: path, Logger: slog.New(slog.DiscardHandler)}.withDefaults(), false)
	if err != nil {
		return err
	}
	defer db.Close()
	const most = 10_000 // in a transaction
	for after, n := "", most; n == most && err == nil; {
		err = guard(slog.Default(), func() error {
			return db.Update(func(tx *bbolt.Tx) error {
				var ids []string
				ids, _ = listIDs(tx, "", after, most)
				if n = len(ids); n > 0 {
					after = ids[n-1]
				}
				return renew(tx, ids)
			})
		})
	}
	return err
}

func renew(tx *bbolt.Tx, ids []string) error {
	for _, id := range ids {
		body, err := get(tx, bucketDocs, []byte(id))
		if err != nil {
			return err
		}
		val, err := parseDoc(body)
		if err != nil {
			return err
		}
		val.incarnation = storage.Renew(val.incarnation)
		if err := put(tx, bucketDocs, []byte(id), val.append(nil)); err != nil {
			return err
		}
	}
	return nil
}

// cutAll writes the documents of a file, as they were at a time, into another.
func cutAll(ctx context.Context, o RestoreOptions, from, to string, r *Restored) (err error) {
	const never = 1 << 30
	src, err := Open(Options{Path: from, Packers: o.Packers, MustExist: true, FoldAfter: never, FoldAlways: never, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer src.Close()
	b, err := newBuilder(to)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = b.abandon()
		}
	}()
	c := cutter{copier: copier{ctx: ctx, src: src, b: b, renew: true}, o: o, r: r}
	if err := eachDocument(ctx, src, c.document); err != nil {
		return err
	}
	if err := c.notes("", storeNum, every); err != nil {
		return err
	}
	return b.close()
}

// eachDocument calls fn for each document, in the order of their ids.
func eachDocument(ctx context.Context, s *Store, fn func(storage.Info) error) error {
	const page = 1000
	for after, n := "", page; n == page; {
		infos, err := s.List(ctx, "", after, page)
		if err != nil {
			return err
		}
		for _, info := range infos {
			if err := fn(info); err != nil {
				return err
			}
			after = info.ID
		}
		n = len(infos)
	}
	return nil
}

// every is for keeping all notes.
func every(storage.Note) bool { return true }

// copier copies documents into a new file.
type copier struct {
	ctx   context.Context
	src   *Store
	b     *builder
	renew bool // they get another incarnation
	// spaced: snapshots that only make opening quicker are left out.
	spaced bool
	// read, unless it is nil, is told how many records were read.
	read func(n int)
}

// cutter copies documents as they were at a time.
type cutter struct {
	copier
	o RestoreOptions
	r *Restored
}

func (c *cutter) document(info storage.Info) error {
	head, err := c.src.At(c.ctx, info.ID, c.o.At.UnixMilli())
	switch {
	case errors.Is(err, storage.ErrTrimmed):
		head = info.Oldest
		c.r.Newer = append(c.r.Newer, info.ID)
	case err != nil:
		return err
	case head < 0:
		c.r.Left++
		return nil
	}
	return c.copy(info, head, func(n storage.Note) bool { return c.o.KeepNote == nil || c.o.KeepNote(head, n) })
}

// copy copies a document up to a revision, with the notes that keep returns true for.
func (c *copier) copy(info storage.Info, head storage.Revision, keep func(storage.Note) bool) error {
	d, later, err := c.begin(info)
	if err != nil {
		return err
	}
	for at := d.head(); at < head; at = d.head() {
		recs, err := c.src.Read(c.ctx, info.ID, at, head)
		if err != nil {
			return err
		}
		if err := d.add(recs); err != nil {
			return err
		}
		if c.read != nil {
			c.read(len(recs))
		}
	}
	if head == info.Head {
		d.val.modified = info.Modified // times of records may have been rounded
	}
	for client, l := range later {
		if d.seqs[client].seq == 0 {
			// Its last one at that time was dropped: all that is known is this bound.
			d.noteSeq(client, lastSeq{l.seq, info.Oldest})
		}
	}
	if err := c.snapshots(d, info.ID, head); err != nil {
		return err
	}
	if err := c.notes(info.ID, d.val.num, keep); err != nil {
		return err
	}
	return d.finish()
}

// begin begins a document with what it was before the oldest record that is kept. later are the
// clients of one that was trimmed whose last record is among those that are kept.
func (c *copier) begin(info storage.Info) (d *docBuilder, later map[string]lastSeq, err error) {
	src, err := c.src.find(c.ctx, info.ID)
	if err != nil {
		return nil, nil, err
	}
	inc := info.Incarnation
	if c.renew {
		inc = storage.Renew(inc)
	}
	val := docValue{incarnation: inc, created: info.Created, modified: info.Created, oldest: src.oldest, trimmed: src.trimmed}
	if info.Oldest < 0 {
		return c.b.document(info.ID, val), nil, nil
	}
	snap, err := c.src.Snapshot(c.ctx, info.ID, info.Oldest)
	if err != nil {
		return nil, nil, err
	}
	val.modified, val.typ = src.trimmed, snap.Type
	if info.Born <= info.Oldest {
		val.born = info.Born
	}
	d, later = c.b.document(info.ID, val), make(map[string]lastSeq)
	err = c.src.read(func(tx *bbolt.Tx) error {
		return eachLastSeq(tx, src.num, func(client string, l lastSeq) {
			if l.rev <= info.Oldest {
				d.noteSeq(client, l)
			} else {
				later[client] = l
			}
		})
	})
	return d, later, err
}

// eachLastSeq calls fn for the clients whose sequence numbers are stored.
func eachLastSeq(tx *bbolt.Tx, num uint64, fn func(client string, l lastSeq)) error {
	c := tx.Bucket(bucketLastSeq).Cursor()
	for k, v := c.Seek(key1(num)); bytes.HasPrefix(k, key1(num)); k, v = c.Next() {
		body, err := unseal(bucketLastSeq, k, v)
		if err != nil {
			return err
		}
		l, err := parseLastSeq(body)
		if err != nil {
			return err
		}
		fn(string(k[8:]), l)
	}
	return nil
}

// snapshots copies those of a document up to its head.
func (c *copier) snapshots(d *docBuilder, id string, head storage.Revision) error {
	revs, err := c.src.Snapshots(c.ctx, id)
	if err != nil {
		return err
	}
	keep := storage.Space(revs, d.val.oldest)
	for _, rev := range revs {
		if rev > head {
			break
		}
		snap, err := c.src.Snapshot(c.ctx, id, rev)
		if err != nil {
			return err
		}
		if c.spaced && !snap.Pinned && !slices.Contains(keep, rev) {
			continue
		}
		if err := d.snapshot(snap); err != nil {
			return err
		}
	}
	return nil
}

// notes copies those of a document, or of the store, that keep returns true for.
func (c *copier) notes(id string, num uint64, keep func(storage.Note) bool) error {
	const page = 64
	for after, n := "", page; n == page; {
		notes, err := c.src.Notes(c.ctx, id, "", after, page)
		if err != nil {
			return err
		}
		for _, note := range notes {
			after = note.Key
			if !keep(note) {
				continue
			}
			if err := c.b.note(num, note); err != nil {
				return err
			}
		}
		n = len(notes)
	}
	return nil
}
