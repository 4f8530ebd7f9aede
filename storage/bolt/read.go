package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

const (
	// pieceBytes is how many bytes of coded records one Read stops at.
	pieceBytes = 4 << 20
	// pieceRecords is how many records it stops at.
	pieceRecords = 1 << 17
	// pieceDocs is how many documents List looks at in one transaction.
	pieceDocs = 1024
)

// Every read looks at the index first and begins its transaction afterwards. The
// transaction is then at least as new as what the index said, so that every
// record the index knows of is in it: in a segment, or else in the log.

// info returns a document's Info as of now.
func (s *Store) info(d *document) storage.Info {
	s.index.mu.RLock()
	defer s.index.mu.RUnlock()
	return d.info()
}

// lost returns what it means that something of a document could not be read. If it
// looks damaged, it may just be on its way out.
func (s *Store) lost(d *document, err error) error {
	s.index.mu.RLock()
	defer s.index.mu.RUnlock()
	if d.gone && errors.Is(err, storage.ErrCorrupt) {
		return storage.ErrNotFound
	}
	return fmt.Errorf("document %q: %w", d.id, err)
}

// Stat returns what is known of a document; see storagetest.Store.
func (s *Store) Stat(ctx context.Context, id string) (storage.Info, error) {
	d, err := s.find(ctx, id)
	if err != nil {
		return storage.Info{}, err
	}
	return s.info(d), nil
}

// Read returns records; see storagetest.Store.
func (s *Store) Read(ctx context.Context, id string, from, to storage.Revision) ([]storage.Record, error) {
	d, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.readDoc(ctx, d, from, to)
}

func (s *Store) readDoc(ctx context.Context, d *document, from, to storage.Revision) ([]storage.Record, error) {
	for {
		if err := s.usable(ctx); err != nil {
			return nil, err
		}
		s.index.mu.RLock()
		p, folded, tail := d.past(), d.folded, d.tailRange(from, to)
		s.index.mu.RUnlock()
		if err := storage.CheckRange(from, to, p.head); err != nil {
			return nil, err
		}
		if from < p.oldest {
			return nil, storage.ErrTrimmed
		}
		r := reader{open: &s.opener, num: d.num, segs: p.segs, at: from, to: to, recs: make([]storage.Record, 0, min(to-from, pieceRecords))}
		err := s.read(func(tx *bbolt.Tx) error {
			// What was not folded just now may be by now, but then it is removed from
			// the log in order.
			if from < folded || tx.Bucket(bucketLog).Get(key1(tail[0].seq)) == nil {
				if err := r.segments(tx); err != nil {
					return err
				}
			}
			return r.entries(tx, tail)
		})
		switch {
		case s.moved(d, p):
		case err != nil:
			return nil, s.lost(d, err)
		default:
			return r.recs, nil
		}
	}
}

// tailRange returns a copy of the tail's entries with records of [from, to).
func (d *document) tailRange(from, to storage.Revision) []entry {
	first, _ := slices.BinarySearchFunc(d.tail, from, func(e entry, rev storage.Revision) int {
		return int(min(1, max(-1, e.end()-1-rev)))
	})
	end, _ := slices.BinarySearchFunc(d.tail, to, func(e entry, rev storage.Revision) int {
		return int(min(1, max(-1, e.base-rev)))
	})
	return slices.Clone(d.tail[first:max(first, end)])
}

// reader collects the records [at, to) of a document.
type reader struct {
	open   *opener
	num    uint64 // of the document
	segs   uint64 // of its segments
	at, to storage.Revision
	recs   []storage.Record
	bytes  int // coded bytes so far
}

// full reports whether it is done or has enough for one piece.
func (r *reader) full() bool {
	return r.at >= r.to || r.bytes >= pieceBytes || len(r.recs) >= pieceRecords
}

// take appends what is wanted of a segment of n records from first on, of a sealed one
// no more than fits the piece.
func (r *reader) take(first, n storage.Revision, seg segment) (err error) {
	if first > r.at || first+n <= r.at {
		return corrupt("records %d to %d are where %d is expected", first, first+n, r.at)
	}
	end := min(first+n, r.to)
	if seg.sealed {
		end = min(end, r.at+storage.Revision(pieceRecords-len(r.recs)))
	}
	start := len(r.recs)
	if r.recs, err = r.open.part(r.recs, seg, n, int(r.at-first), int(end-first)); err != nil {
		return err
	}
	r.at = end
	for i := start; i < len(r.recs); i++ {
		r.bytes += len(r.recs[i].Op) + 4
	}
	return nil
}

// segments takes records from segments as far as there are any.
func (r *reader) segments(tx *bbolt.Tx) error {
	c := tx.Bucket(bucketSegments).Cursor()
	k, v := floor(c, keySegment(r.segs, r.at))
	for ; !r.full(); k, v = c.Next() {
		first, ok := firstOf(k, r.segs)
		if !ok {
			return nil
		}
		n, seg, err := parseSegment(k, v)
		if err != nil {
			return err
		}
		if first+n <= r.at && len(r.recs) == 0 {
			return nil // the last one, and it ends before
		}
		if err := r.take(first, n, seg); err != nil {
			return err
		}
	}
	return nil
}

// entries takes the rest from the log.
func (r *reader) entries(tx *bbolt.Tx, tail []entry) error {
	log := tx.Bucket(bucketLog)
	for _, e := range tail {
		if r.full() {
			return nil
		}
		if e.end() <= r.at {
			continue // folded meanwhile
		}
		v := log.Get(key1(e.seq))
		if v == nil {
			return corrupt("log entry %d is missing", e.seq)
		}
		val, run, err := parseLog(v)
		if err != nil {
			return err
		}
		if val.num != r.num {
			return corrupt("log entry %d is of document number %d", e.seq, val.num)
		}
		if err := r.take(val.base, val.n, segment{body: run}); err != nil {
			return err
		}
	}
	if !r.full() {
		return corrupt("record %d is missing", r.at)
	}
	return nil
}

// floor moves a cursor to the greatest key that is not above key.
func floor(c *bbolt.Cursor, key []byte) (k, v []byte) {
	k, v = c.Seek(key)
	switch {
	case k == nil:
		return c.Last()
	case bytes.Equal(k, key):
		return k, v
	}
	return c.Prev()
}

// revisionOf returns the revision of a key of document num.
func revisionOf(k []byte, num uint64) (storage.Revision, bool) {
	if len(k) != 16 || binary.BigEndian.Uint64(k) != num {
		return 0, false
	}
	return storage.Revision(binary.BigEndian.Uint64(k[8:])), true
}

// firstOf returns the first record of the segment with a key, if it is one of document num.
func firstOf(k []byte, num uint64) (storage.Revision, bool) {
	rev, ok := revisionOf(k, num)
	return rev - 1, ok
}

// LastSeq returns a client's highest Seq; see storagetest.Store.
func (s *Store) LastSeq(ctx context.Context, id, client string) (uint64, storage.Revision, error) {
	d, err := s.find(ctx, id)
	if err != nil {
		return 0, 0, err
	}
	s.index.mu.RLock()
	last, ok := d.last[client]
	s.index.mu.RUnlock()
	if !ok {
		err = s.read(func(tx *bbolt.Tx) error {
			last, err = getLastSeq(tx, d.num, client)
			return err
		})
	}
	if err != nil {
		return 0, 0, s.lost(d, err)
	}
	return last.seq, last.rev, nil
}

// List returns documents in order; see storagetest.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error) {
	if err := storage.CheckList(limit); err != nil {
		return nil, err
	}
	infos := []storage.Info{}
	for more := true; more && len(infos) < limit; {
		if err := s.usable(ctx); err != nil {
			return nil, err
		}
		var ids []string
		err := s.read(func(tx *bbolt.Tx) error {
			ids, more = listIDs(tx, prefix, after, min(pieceDocs, limit-len(infos)))
			return nil
		})
		if err != nil {
			return nil, err
		}
		s.index.mu.RLock()
		for _, id := range ids {
			if d := s.index.docs[id]; d != nil {
				infos = append(infos, d.info())
			}
			after = id
		}
		s.index.mu.RUnlock()
	}
	return infos, nil
}

// listIDs returns up to n ids, and whether there may be more.
func listIDs(tx *bbolt.Tx, prefix, after string, n int) (ids []string, more bool) {
	c := tx.Bucket(bucketDocs).Cursor()
	k, _ := c.Seek([]byte(max(prefix, after)))
	if k != nil && string(k) == after {
		k, _ = c.Next()
	}
	for ; k != nil && strings.HasPrefix(string(k), prefix); k, _ = c.Next() {
		if len(ids) == n {
			return ids, true
		}
		ids = append(ids, string(k))
	}
	return ids, false
}
