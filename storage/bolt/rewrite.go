package bolt

import (
	"bytes"
	"context"
	"slices"

	"github.com/klauspost/compress/zstd"

	"quire/storage"
)

// segmentsChange writes rewritten records as segments of a number that no document has
// yet: they are trash until a rewriteChange makes them a document's.
type segmentsChange struct {
	segs  uint64
	first storage.Revision
	recs  []storage.Record
	bytes int
}

func (c *segmentsChange) admit(*Store) error { return nil }

func (c *segmentsChange) write(t *batchTx) error {
	t.state.nextNum = max(t.state.nextNum, c.segs+1)
	if err := allSegments(c.segs).put(t.Tx); err != nil {
		return err
	}
	return putSegments(t.Tx, c.segs, c.first, c.recs)
}

func (c *segmentsChange) applied(*Store) {}
func (c *segmentsChange) undo(*Store)    {}
func (c *segmentsChange) size() int      { return c.bytes }

// rewritten is a snapshot before and after a Rewrite.
type rewritten struct {
	rev      storage.Revision
	old, new snapHead
}

// rewrite is a Rewrite under way. What it writes is trash until the end.
type rewrite struct {
	s     *Store
	ctx   context.Context
	doc   *document
	was   past
	segs  uint64 // number of the new segments
	snaps []rewritten
	wrote []trashItem // what is in the file by now
}

// Rewrite replaces records and snapshots; see storagetest.Store.
func (s *Store) Rewrite(ctx context.Context, id string, incarnation uint64,
	record func(storage.Revision, storage.Record) (storage.Record, error),
	snapshot func(storage.Snapshot) (storage.Snapshot, error)) error {
	d, err := s.ofIncarnation(ctx, id, incarnation)
	if err != nil {
		return err
	}
	s.index.mu.RLock()
	w := &rewrite{s: s, ctx: ctx, doc: d, was: d.past(), segs: d.segs}
	s.index.mu.RUnlock()
	err = w.records(record)
	if err == nil {
		err = w.snapshots(snapshot)
	}
	if err == nil {
		err = w.finish()
	}
	if err != nil && len(w.wrote) > 0 {
		// If that fails as well, the next Open does it.
		_ = s.submit(context.Background(), abandonChange(w.wrote))
	}
	return err
}

// conflict says that the document is not what it was when the rewriting began.
func (w *rewrite) conflict(now storage.Info) error {
	return &storage.ConflictError{Base: w.was.head, Head: now.Head}
}

// records writes the records anew, a piece at a time.
func (w *rewrite) records(record func(storage.Revision, storage.Record) (storage.Record, error)) error {
	if w.was.oldest == w.was.head {
		return nil
	}
	if err := w.s.foldTo(w.ctx, w.doc, w.was.head); err != nil {
		return err
	}
	w.segs = w.s.nextNum.Add(1)
	c := &segmentsChange{segs: w.segs, first: w.was.oldest}
	for at := w.was.oldest; at < w.was.head; {
		recs, err := w.read(at)
		if err != nil {
			return err
		}
		for i := range recs {
			r, err := record(at, recs[i])
			if err == nil {
				err = storage.CheckRewrite(&recs[i], &r)
			}
			if err != nil {
				return err
			}
			r.Op = bytes.Clone(r.Op)
			c.recs, c.bytes, at = append(c.recs, r), c.bytes+len(r.Op)+4, at+1
			if len(c.recs) < foldRecords && c.bytes < foldBytes && at < w.was.head {
				continue
			}
			if err := w.s.submit(w.ctx, c); err != nil {
				return err
			}
			w.wrote = []trashItem{allSegments(w.segs)}
			c = &segmentsChange{segs: w.segs, first: at}
		}
	}
	return nil
}

// read reads records of the document, which may have got another id.
func (w *rewrite) read(at storage.Revision) ([]storage.Record, error) {
	recs, err := w.s.readDoc(w.ctx, w.doc, at, w.was.head)
	if err == storage.ErrTrimmed {
		err = w.conflict(w.s.info(w.doc))
	}
	return recs, err
}

// snapshots writes the content of those snapshots anew that change.
func (w *rewrite) snapshots(snapshot func(storage.Snapshot) (storage.Snapshot, error)) error {
	revs, err := w.s.revisionsOf(w.doc)
	if err != nil {
		return err
	}
	for _, rev := range revs {
		at, head, err := w.s.snapHead(w.doc, rev)
		if err != nil {
			return err
		}
		if at != rev {
			return w.conflict(w.s.info(w.doc))
		}
		data, err := w.s.readBlob(w.ctx, head)
		if err != nil {
			return w.s.lost(w.doc, err)
		}
		old := storage.Snapshot{Rev: rev, Type: head.typ, Data: data, Pinned: head.pinned}
		now, err := snapshot(old)
		if err == nil {
			err = storage.CheckRewriteSnapshot(old, now)
		}
		if err != nil {
			return err
		}
		kept := compress(now.Data, zstd.SpeedDefault)
		x := rewritten{rev, head, newSnapHead(now, kept)}
		x.new.typ, x.new.pinned = head.typ, head.pinned
		if x.new.sum == head.sum && bytes.Equal(now.Data, data) { // data may have been changed in place
			x.new = head
		} else if err := w.blob(&x.new, kept); err != nil {
			return err
		}
		w.snaps = append(w.snaps, x)
	}
	return nil
}

// blob writes a snapshot's content, as it is kept.
func (w *rewrite) blob(h *snapHead, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	h.blob = w.s.nextBlob.Add(1)
	index := uint64(0)
	for piece := range slices.Chunk(data, blobPiece) {
		if err := w.s.submit(w.ctx, &pieceChange{blob: h.blob, index: index, data: piece}); err != nil {
			return err
		}
		if index == 0 {
			w.wrote = append(w.wrote, trashItem{kind: trashBlob, num: h.blob})
		}
		index++
	}
	return nil
}

// finish makes what was written the document's.
func (w *rewrite) finish() error {
	c := &rewriteChange{rewrite: w}
	if err := w.s.submit(w.ctx, c); err != nil {
		return err
	}
	return c.err
}

// rewriteChange takes what a rewrite has written out of the trash, and puts in what it
// takes the place of.
type rewriteChange struct {
	*rewrite
	err   error       // why nothing was written, set by write
	trash []trashItem // set by write
}

func (c *rewriteChange) alone() {}

func (c *rewriteChange) admit(*Store) error {
	switch d := c.doc; {
	case d.gone:
		return storage.ErrNotFound
	case d.head != c.was.head || d.segs != c.was.segs || d.oldest != c.was.oldest:
		return c.conflict(d.info())
	}
	return nil
}

func (c *rewriteChange) write(t *batchTx) error {
	c.trash = nil
	revs := revisions(t.Tx, c.doc.num)
	same := len(revs) == len(c.snaps)
	for i := 0; same && i < len(revs); i++ {
		key := key2(c.doc.num, revs[i])
		h, err := parseSnapHead(key, t.Bucket(bucketSnapshots).Get(key))
		if err != nil {
			return err
		}
		same = revs[i] == c.snaps[i].rev && h == c.snaps[i].old
	}
	if !same {
		c.err = c.conflict(c.doc.info())
		return nil
	}
	for _, item := range c.wrote {
		if err := t.Bucket(bucketTrash).Delete(item.key()); err != nil {
			return err
		}
	}
	for _, x := range c.snaps {
		if x.old == x.new {
			continue
		}
		if x.old.blob != 0 {
			c.trash = append(c.trash, trashItem{kind: trashBlob, num: x.old.blob})
		}
		if err := put(t.Tx, bucketSnapshots, key2(c.doc.num, x.rev), x.new.append(nil)); err != nil {
			return err
		}
	}
	if c.segs != c.was.segs {
		val, err := getDoc(t.Tx, c.doc)
		if err != nil {
			return err
		}
		val.segs = c.segs
		if err := put(t.Tx, bucketDocs, []byte(c.doc.id), val.append(nil)); err != nil {
			return err
		}
		c.trash = append(c.trash, allSegments(c.was.segs))
	}
	return putTrash(t.Tx, c.trash)
}

func (c *rewriteChange) applied(s *Store) {
	if c.err == nil {
		c.doc.segs = c.segs
		s.discard(c.trash...)
	}
}

func (c *rewriteChange) undo(*Store) {}
func (c *rewriteChange) size() int   { return 128 * (len(c.snaps) + 1) }
