package bolt

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/klauspost/compress/zstd"
	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

const (
	// blobPiece is how much of a snapshot's content one value holds. A snapshot of
	// more is written piece by piece, each in a batch with what else
	// waits, so that appends are not held up.
	blobPiece = 256 << 10
	// readPieces is how many of them are read in one transaction.
	readPieces = 16
)

// pieceChange writes one piece of a large snapshot, as trash until the rest is there.
type pieceChange struct {
	blob, index uint64
	data        []byte // the caller's
}

func (c *pieceChange) admit(*Store) error { return nil }

func (c *pieceChange) write(t *batchTx) error {
	if c.index == 0 {
		if err := (trashItem{kind: trashBlob, num: c.blob}).put(t.Tx); err != nil {
			return err
		}
	}
	return c.put(t.Tx)
}

func (c *pieceChange) put(tx *bbolt.Tx) error {
	body := append(make([]byte, 0, len(c.data)+sumSize), c.data...)
	return put(tx, bucketBlobs, key2(c.blob, c.index), body)
}

func (c *pieceChange) applied(*Store) {}
func (c *pieceChange) undo(*Store)    {}
func (c *pieceChange) size() int      { return len(c.data) + 64 }

// snapshotChange writes the last piece and the head, which makes the snapshot
// be there.
type snapshotChange struct {
	doc   *document
	rev   storage.Revision
	head  snapHead
	last  *pieceChange // nil when the content is empty
	trash []trashItem  // what it replaces, set by write
}

func (c *snapshotChange) admit(*Store) error {
	switch {
	case c.doc.gone || c.doc.leaving:
		return storage.ErrNotFound
	case c.rev < c.doc.oldest:
		return storage.ErrTrimmed
	}
	return nil
}

func (c *snapshotChange) write(t *batchTx) error {
	c.trash = nil
	if c.last != nil {
		if err := c.last.put(t.Tx); err != nil {
			return err
		}
	}
	if c.head.pieces() > 1 {
		if err := t.Bucket(bucketTrash).Delete((trashItem{kind: trashBlob, num: c.head.blob}).key()); err != nil {
			return err
		}
	}
	key := key2(c.doc.num, c.rev)
	if v := t.Bucket(bucketSnapshots).Get(key); v != nil {
		old, err := parseSnapHead(key, v)
		c.head.pinned = c.head.pinned || err == nil && old.pinned
	}
	if err := c.drop(t.Tx, c.rev); err != nil {
		return err
	}
	if err := put(t.Tx, bucketSnapshots, key, c.head.append(nil)); err != nil {
		return err
	}
	for _, rev := range storage.Thin(thinnable(t.Tx, c.doc), c.rev) {
		if rev == c.doc.oldest {
			continue // the past begins with it
		}
		if err := c.drop(t.Tx, rev); err != nil {
			return err
		}
	}
	return nil
}

// drop removes the snapshot at a revision, if there is one.
func (c *snapshotChange) drop(tx *bbolt.Tx, rev storage.Revision) error {
	key := key2(c.doc.num, rev)
	v := tx.Bucket(bucketSnapshots).Get(key)
	if v == nil {
		return nil
	}
	item, err := trashSnapshot(tx, key, v)
	if err != nil {
		return err
	}
	c.trash = append(c.trash, item...)
	return tx.Bucket(bucketSnapshots).Delete(key)
}

func (c *snapshotChange) applied(s *Store) { s.discard(c.trash...) }
func (c *snapshotChange) undo(*Store)      {}

func (c *snapshotChange) size() int {
	if c.last == nil {
		return 64
	}
	return c.last.size()
}

// abandonChange gives up what was written, as trash, of something that will not be completed.
type abandonChange []trashItem

func (c abandonChange) admit(*Store) error   { return nil }
func (c abandonChange) write(*batchTx) error { return nil }
func (c abandonChange) applied(s *Store)     { s.discard(c...) }
func (c abandonChange) undo(*Store)          {}
func (c abandonChange) size() int            { return 0 }

// newSnapHead returns the head of a snapshot whose content is kept as the given bytes,
// without a number yet.
func newSnapHead(snap storage.Snapshot, kept []byte) snapHead {
	return snapHead{size: uint64(len(snap.Data)), sum: crc32.Checksum(snap.Data, castagnoli), typ: snap.Type, kept: uint64(len(kept)), pinned: snap.Pinned}
}

// PutSnapshot keeps a snapshot; see storagetest.Store.
func (s *Store) PutSnapshot(ctx context.Context, id string, incarnation uint64, snap storage.Snapshot) error {
	d, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	if d.incarnation != incarnation {
		return storage.ErrNotFound
	}
	switch info := s.info(d); {
	case storage.CheckSnapshot(snap, info.Head) != nil:
		return storage.CheckSnapshot(snap, info.Head)
	case snap.Rev < info.Oldest:
		return storage.ErrTrimmed
	}
	kept := compress(snap.Data, zstd.SpeedDefault)
	c := &snapshotChange{doc: d, rev: snap.Rev, head: newSnapHead(snap, kept)}
	if len(snap.Data) > 0 {
		c.head.blob = s.nextBlob.Add(1)
	}
	index := uint64(0)
	for data := range slices.Chunk(kept, blobPiece) {
		c.last = &pieceChange{blob: c.head.blob, index: index, data: data}
		if index++; index == c.head.pieces() {
			break
		}
		if err := s.submit(ctx, c.last); err != nil {
			return s.abandon(c.head.blob, index > 1, err)
		}
	}
	if err := s.submit(ctx, c); err != nil {
		return s.abandon(c.head.blob, index > 1, err)
	}
	return nil
}

// abandon returns why a snapshot was not completed, and frees what was written.
// If that fails as well, the next Open does it.
func (s *Store) abandon(blob uint64, written bool, why error) error {
	if written {
		_ = s.submit(context.Background(), abandonChange{{kind: trashBlob, num: blob}})
	}
	return why
}

// Snapshot returns the newest snapshot at or below at; see storagetest.Store.
func (s *Store) Snapshot(ctx context.Context, id string, at storage.Revision) (storage.Snapshot, error) {
	d, err := s.find(ctx, id)
	if err != nil {
		return storage.Snapshot{}, err
	}
	if at < 0 {
		return storage.Snapshot{}, storage.ErrNotFound
	}
	rev, head, err := s.snapHead(d, at)
	for err == nil {
		var data []byte
		var readErr error
		if data, readErr = s.readBlob(ctx, head); readErr == nil {
			return storage.Snapshot{Rev: rev, Type: head.typ, Data: data, Pinned: head.pinned}, nil
		}
		if err := s.usable(ctx); err != nil {
			return storage.Snapshot{}, err
		}
		// It may have been replaced or dropped while it was read.
		was := head
		if rev, head, err = s.snapHead(d, at); err == nil && head == was {
			err = s.lost(d, fmt.Errorf("snapshot at revision %d: %w", rev, readErr))
		}
	}
	return storage.Snapshot{}, err
}

// snapHead returns the newest snapshot's head at or below a revision.
func (s *Store) snapHead(d *document, at storage.Revision) (rev storage.Revision, h snapHead, err error) {
	found := false
	err = s.read(func(tx *bbolt.Tx) error {
		k, v := floor(tx.Bucket(bucketSnapshots).Cursor(), key2(d.num, at))
		if rev, found = revisionOf(k, d.num); !found {
			return nil
		}
		h, err = parseSnapHead(k, v)
		return err
	})
	switch {
	case err != nil:
		return 0, h, s.lost(d, err)
	case !found:
		return 0, h, storage.ErrNotFound
	}
	return rev, h, nil
}

// readBlob returns a snapshot's content, a few pieces at a time.
func (s *Store) readBlob(ctx context.Context, h snapHead) ([]byte, error) {
	r := blobReader{head: h, data: make([]byte, 0, h.kept)}
	for r.next < h.pieces() {
		if err := s.usable(ctx); err != nil {
			return nil, err
		}
		if err := s.read(func(tx *bbolt.Tx) error { return r.read(tx, readPieces) }); err != nil {
			return nil, err
		}
	}
	return r.content()
}

// blobReader puts a snapshot's content together.
type blobReader struct {
	head snapHead
	next uint64 // piece
	data []byte
}

// read takes up to n more pieces.
func (r *blobReader) read(tx *bbolt.Tx, n uint64) error {
	for end := min(r.next+n, r.head.pieces()); r.next < end; r.next++ {
		body, err := get(tx, bucketBlobs, key2(r.head.blob, r.next))
		if err != nil {
			return err
		}
		if want := min(blobPiece, r.head.kept-r.next*blobPiece); uint64(len(body)) != want {
			return corrupt("bucket blobs: piece %d of %d has %d bytes, should have %d", r.next, r.head.blob, len(body), want)
		}
		r.data = append(r.data, body...)
	}
	return nil
}

// content returns what the pieces make, once all were read.
func (r *blobReader) content() ([]byte, error) {
	data, err := expand(r.data, int(r.head.size))
	if err == nil && crc32.Checksum(data, castagnoli) != r.head.sum {
		err = corrupt("they make another content")
	}
	if err != nil {
		return nil, fmt.Errorf("bucket blobs: pieces of %d: %w", r.head.blob, err)
	}
	return data, nil
}

// Snapshots returns the revisions that have snapshots; see storagetest.Store.
func (s *Store) Snapshots(ctx context.Context, id string) (revs []storage.Revision, err error) {
	d, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	revs, err = s.revisionsOf(d)
	if err == nil && len(revs) == 0 && s.index.find(id) != d {
		err = storage.ErrNotFound
	}
	return revs, err
}

func (s *Store) revisionsOf(d *document) (revs []storage.Revision, err error) {
	err = s.read(func(tx *bbolt.Tx) error {
		revs = revisions(tx, d.num)
		return nil
	})
	return revs, err
}

// thinnable returns the revisions of the snapshots that thinning looks at, ascending:
// those that are not pinned, from the one on that the document's past begins with.
func thinnable(tx *bbolt.Tx, d *document) (revs []storage.Revision) {
	b := tx.Bucket(bucketSnapshots)
	for _, rev := range revisions(tx, d.num) {
		key := key2(d.num, rev)
		h, err := parseSnapHead(key, b.Get(key))
		if rev == d.oldest || rev > d.oldest && (err != nil || !h.pinned) {
			revs = append(revs, rev)
		}
	}
	return revs
}

// revisions returns where a document has snapshots, ascending.
func revisions(tx *bbolt.Tx, num uint64) []storage.Revision {
	revs := []storage.Revision{}
	c := tx.Bucket(bucketSnapshots).Cursor()
	for k, _ := c.Seek(key1(num)); k != nil; k, _ = c.Next() {
		rev, ok := revisionOf(k, num)
		if !ok {
			break
		}
		revs = append(revs, rev)
	}
	return revs
}
