package bolt

import (
	"context"
	"fmt"
	"slices"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// foldChange folds the oldest part of a document's tail at once, for what has to find
// it in segments.
type foldChange struct {
	doc  *document
	pick pick
}

func (c *foldChange) alone() {}

func (c *foldChange) admit(*Store) error {
	switch {
	case c.doc.gone:
		return storage.ErrNotFound
	case c.doc.stuck:
		return corrupt("the document's records cannot be folded")
	}
	records, bytes := 0, 0
	c.pick = c.doc.pick(&records, &bytes)
	return nil
}

func (c *foldChange) write(t *batchTx) error { return foldDoc(t.Tx, &c.pick) }

func (c *foldChange) applied(s *Store) {
	if c.pick.n > 0 {
		s.foldApplied([]pick{c.pick})
	}
}

func (c *foldChange) undo(*Store) {}
func (c *foldChange) size() int   { return foldBytes }

// foldTo folds a document's records below a revision, in bounded steps.
func (s *Store) foldTo(ctx context.Context, d *document, rev storage.Revision) error {
	for {
		s.index.mu.RLock()
		done := d.folded >= rev
		s.index.mu.RUnlock()
		if done {
			return nil
		}
		if err := s.submit(ctx, &foldChange{doc: d}); err != nil {
			return err
		}
	}
}

// ofIncarnation returns a document, or why there is none of this incarnation.
func (s *Store) ofIncarnation(ctx context.Context, id string, incarnation uint64) (*document, error) {
	d, err := s.find(ctx, id)
	if err == nil && d.incarnation != incarnation {
		return nil, storage.ErrNotFound
	}
	return d, err
}

// trimChange is the step of a Trim that makes old records unreadable. They go as trash.
type trimChange struct {
	open   *opener
	doc    *document
	oldest storage.Revision
	keep   []storage.Revision

	// set by write
	err   error // why nothing was written
	val   docValue
	trash []trashItem
}

// Trim drops old records and snapshots; see storagetest.Store.
func (s *Store) Trim(ctx context.Context, id string, incarnation uint64, oldest storage.Revision, keep []storage.Revision) error {
	d, err := s.ofIncarnation(ctx, id, incarnation)
	if err != nil {
		return err
	}
	if err := storage.CheckTrim(oldest, s.info(d)); err != nil {
		return err
	}
	if err := s.foldTo(ctx, d, oldest); err != nil {
		return err
	}
	if err := s.splitAt(ctx, d, oldest); err != nil {
		return err
	}
	c := &trimChange{open: &s.opener, doc: d, oldest: oldest, keep: keep}
	if err := s.submit(ctx, c); err != nil {
		return err
	}
	return c.err
}

func (c *trimChange) alone() {}

func (c *trimChange) admit(*Store) error {
	if c.doc.gone {
		return storage.ErrNotFound
	}
	return storage.CheckTrim(c.oldest, c.doc.info())
}

func (c *trimChange) write(t *batchTx) (err error) {
	d := c.doc
	c.trash = nil
	if t.Bucket(bucketSnapshots).Get(key2(d.num, c.oldest)) == nil {
		c.err = fmt.Errorf("%w: no snapshot at revision %d", storage.ErrInvalid, c.oldest)
		return nil
	}
	if c.val, err = getDoc(t.Tx, d); err != nil {
		return err
	}
	if c.oldest > d.oldest {
		if c.val.trimmed, err = cutSegment(c.open, t.Tx, d, c.oldest); err != nil {
			return err
		}
		c.val.oldest = c.oldest
		if err := put(t.Tx, bucketDocs, []byte(d.id), c.val.append(nil)); err != nil {
			return err
		}
		c.trash = []trashItem{{kind: trashSegs, num: d.segs, mark: uint64(c.oldest + 1)}}
		if err := putTrash(t.Tx, c.trash); err != nil {
			return err
		}
	}
	return c.snapshots(t.Tx)
}

// cutSegment gives the records from a revision on a segment that begins there, when one
// has records on both sides, and returns the time of the record before.
func cutSegment(open *opener, tx *bbolt.Tx, d *document, at storage.Revision) (time int64, err error) {
	k, v := floor(tx.Bucket(bucketSegments).Cursor(), keySegment(d.segs, at-1))
	first, ok := firstOf(k, d.segs)
	if !ok {
		return 0, corrupt("bucket segments: record %d is missing", at-1)
	}
	n, seg, err := parseSegment(k, v)
	if err != nil {
		return 0, err
	}
	if first+n < at {
		return 0, corrupt("bucket segments: record %d is missing", at-1)
	}
	recs, err := open.part(nil, seg, n, int(at-1-first), int(n))
	if err != nil {
		return 0, err
	}
	return recs[0].Time, putSegments(tx, d.segs, at, recs[1:])
}

// snapshots drops those that are neither needed nor to be kept.
func (c *trimChange) snapshots(tx *bbolt.Tx) error {
	b := tx.Bucket(bucketSnapshots)
	for _, rev := range revisions(tx, c.doc.num) {
		if rev >= c.oldest || slices.Contains(c.keep, rev) {
			continue
		}
		key := key2(c.doc.num, rev)
		items, err := trashSnapshot(tx, key, b.Get(key))
		if err != nil {
			return err
		}
		c.trash = append(c.trash, items...)
		if err := b.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

func (c *trimChange) applied(s *Store) {
	if c.err != nil {
		return
	}
	c.doc.oldest, c.doc.trimmed = c.val.oldest, c.val.trimmed
	s.discard(c.trash...)
}

func (c *trimChange) undo(*Store) {}
func (c *trimChange) size() int   { return segmentBytes }
