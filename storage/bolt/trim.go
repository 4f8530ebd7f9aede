package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
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
	doc    *document
	oldest storage.Revision
	keep   []storage.Revision

	cut cut

	// set by write
	err   error // why nothing was written
	again bool  // nothing was written, because the segment is not what it was
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
	for {
		c := &trimChange{doc: d, oldest: oldest, keep: keep}
		var was past
		if c.cut, was, err = s.cutAt(d, oldest); err != nil && s.moved(d, was) {
			continue
		} else if err != nil {
			return s.lost(d, err)
		}
		if err := s.submit(ctx, c); err != nil || !c.again {
			if err == nil {
				err = c.err
			}
			return err
		}
	}
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
		ok, err := c.cut.put(t.Tx, d.segs, c.oldest)
		if c.again = !ok; c.again || err != nil {
			return err
		}
		c.val.trimmed = c.cut.time
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

// cut is how the segment is cut that has the records on both sides of the revision to
// trim to: what is prepared for the committer.
type cut struct {
	key, value []byte // of the segment
	time       int64  // of the last record that goes
	rest       []byte // the body of a segment with the records that stay; nil when none do
}

// cutAt prepares to cut the segment with the record before a revision.
func (s *Store) cutAt(d *document, at storage.Revision) (c cut, p past, err error) {
	s.index.mu.RLock()
	p = d.past()
	typ, born := d.typ.Value(), d.born
	s.index.mu.RUnlock()
	if at <= p.oldest {
		return c, p, nil
	}
	var recs []storage.Record
	sealed := false
	err = s.read(func(tx *bbolt.Tx) error {
		k, v := floor(tx.Bucket(bucketSegments).Cursor(), keySegment(p.segs, at-1))
		first, ok := firstOf(k, p.segs)
		if !ok {
			return corrupt("bucket segments: record %d is missing", at-1)
		}
		n, seg, err := parseSegment(k, v)
		if err != nil {
			return err
		}
		if first+n < at {
			return corrupt("bucket segments: record %d is missing", at-1)
		}
		c.key, c.value, sealed = bytes.Clone(k), bytes.Clone(v), seg.sealed
		recs, err = s.opener.part(nil, seg, n, int(at-1-first), int(n))
		return err
	})
	if err != nil || len(recs) == 0 {
		return c, p, err
	}
	c.time = recs[0].Time
	if recs = recs[1:]; len(recs) == 0 {
		return c, p, nil
	}
	if sealed {
		c.rest = s.opts.sealBody(recs, typeOf(recs, at, typ, born))
	}
	if c.rest == nil {
		c.rest = appendRun(binary.AppendUvarint(nil, uint64(len(recs))), recs)
	}
	return c, p, nil
}

// put stores the rest of the segment, if that is still what it was.
func (c *cut) put(tx *bbolt.Tx, segs uint64, at storage.Revision) (ok bool, err error) {
	if !bytes.Equal(tx.Bucket(bucketSegments).Get(c.key), c.value) {
		return false, nil
	}
	if c.rest == nil {
		return true, nil
	}
	return true, put(tx, bucketSegments, keySegment(segs, at), bytes.Clone(c.rest))
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
	if c.err != nil || c.again {
		return
	}
	c.doc.oldest, c.doc.trimmed = c.val.oldest, c.val.trimmed
	s.discard(c.trash...)
}

func (c *trimChange) undo(*Store) {}
func (c *trimChange) size() int   { return len(c.cut.rest) + 64 }
