package bolt

import (
	"context"
	"sort"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// At returns the newest revision at a time; see storagetest.Store.
func (s *Store) At(ctx context.Context, id string, time int64) (storage.Revision, error) {
	d, err := s.find(ctx, id)
	if err != nil {
		return 0, err
	}
	for {
		s.index.mu.RLock()
		t := timeSearch{past: d.past(), open: &s.opener, time: time}
		s.index.mu.RUnlock()
		err := s.read(t.run)
		switch {
		case s.moved(d, t.past):
		case err != nil:
			return 0, s.lost(d, err)
		default:
			return t.answer()
		}
	}
}

// past is where a document's records are, as the index says it. The tail's entries are
// never changed, so it may be read without the index's lock.
type past struct {
	num, segs    uint64
	oldest, head storage.Revision
	created      int64
	trimmed      int64
	tail         []entry
}

// past returns where a document's records are now. The caller holds index.mu.
func (d *document) past() past {
	return past{num: d.num, segs: d.segs, oldest: d.oldest, head: d.head, created: d.created, trimmed: d.trimmed, tail: d.tail}
}

// moved reports whether a document's records were moved elsewhere or dropped since p
// was: then what could not be read there is perhaps no damage.
func (s *Store) moved(d *document, p past) bool {
	s.index.mu.RLock()
	defer s.index.mu.RUnlock()
	return !d.gone && (d.segs != p.segs || d.oldest != p.oldest)
}

// timeSearch looks for the newest record that is not younger than a time.
type timeSearch struct {
	past
	open *opener
	time int64
	rev  storage.Revision // after that record
	ok   bool             // there is one
}

// answer is what At returns once run has ended well.
func (t *timeSearch) answer() (storage.Revision, error) {
	switch {
	case t.ok:
		return t.rev, nil
	case t.oldest < 0 || t.time < t.created:
		return -1, nil
	case t.time >= t.trimmed:
		return t.oldest, nil
	}
	return 0, storage.ErrTrimmed
}

// run searches the tail first: what of it is no longer in the log is in segments.
func (t *timeSearch) run(tx *bbolt.Tx) (err error) {
	log := tx.Bucket(bucketLog)
	after := func(e entry) bool {
		v := log.Get(key1(e.seq))
		if err != nil || v == nil {
			return err != nil
		}
		var run []byte
		var first int64
		if _, run, err = parseLog(v); err == nil {
			first, err = firstTime(run)
		}
		return err != nil || first > t.time
	}
	i := sort.Search(len(t.tail), func(i int) bool { return after(t.tail[i]) })
	if err != nil {
		return err
	}
	if i > 0 && log.Get(key1(t.tail[i-1].seq)) != nil {
		recs, err := readEntry(log, t.num, t.tail[i-1], nil)
		if err == nil {
			t.within(t.tail[i-1].base, recs)
		}
		return err
	}
	return t.segments(tx)
}

// within finds the record among some of which the first is not too young.
func (t *timeSearch) within(first storage.Revision, recs []storage.Record) {
	n := until(recs, t.time)
	t.rev, t.ok = first+storage.Revision(n), n > 0
}

// until returns how many of the first records are not younger than a time.
func until(recs []storage.Record, time int64) int {
	return sort.Search(len(recs), func(i int) bool { return recs[i].Time > time })
}

// segments halves the revisions in question by the time of the first record in a segment.
func (t *timeSearch) segments(tx *bbolt.Tx) error {
	c := tx.Bucket(bucketSegments).Cursor()
	var in segment // the last that begins in time
	var first, n storage.Revision
	for lo, hi := t.oldest, t.head; lo < hi; {
		mid := lo + (hi-lo)/2
		k, v := floor(c, keySegment(t.segs, mid))
		at, ok := firstOf(k, t.segs)
		if !ok || at < t.oldest {
			break // there are none
		}
		count, seg, err := parseSegment(k, v)
		if err != nil {
			return err
		}
		begins, err := t.open.firstTime(seg)
		if err != nil {
			return err
		}
		if begins > t.time {
			hi = at
			continue
		}
		in, first, n = seg, at, count
		lo = max(at+count, mid+1) // mid may be in the log
	}
	if n == 0 {
		return nil
	}
	until, err := t.open.until(in, n, t.time)
	t.rev, t.ok = first+storage.Revision(until), until > 0
	return err
}
