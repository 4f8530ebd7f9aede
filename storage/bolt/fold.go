package bolt

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// What one background transaction does at most, so that appends wait a few
// milliseconds for it, not more.
const (
	foldRecords = 4096
	foldBytes   = 256 << 10
	foldDocs    = 64
	trimEntries = 4096
)

// A segment is full when it has this many records or bytes of operations; one
// that is not is written again with more records. Larger segments would make that
// dearer, smaller ones make reading slower.
const (
	segmentRecords = 512
	segmentBytes   = 16 << 10
)

// restMin and restMax are how long the background work stops after an error, and
// after the last of many.
const (
	restMin = time.Second
	restMax = time.Minute
)

// folder remembers which documents have log entries to fold. It is owned by run.
type folder struct {
	queue   []pending     // ascending seqs
	active  bool          // a round is under way
	target  uint64        // the round folds what is below
	rest    time.Duration // the last one; 0 when all is well
	resting atomic.Bool
	timer   *time.Timer // ends resting
}

// pending is a document and the seq of the oldest entry of its tail.
type pending struct {
	seq uint64
	doc *document
}

// push takes in a document whose tail gets its first entry, with the highest seq
// of all, now.
func (f *folder) push(d *document, seq uint64) { f.queue = append(f.queue, pending{seq, d}) }

// oldest returns the seq below which every log entry is folded or of a document
// that is gone; next is the seq of the next entry.
func (f *folder) oldest(next uint64) uint64 {
	for len(f.queue) > 0 && f.queue[0].doc.gone {
		f.queue = f.queue[1:]
	}
	if len(f.queue) == 0 {
		return next
	}
	return f.queue[0].seq
}

func (f *folder) stop() {
	if f.timer != nil {
		f.timer.Stop()
	}
}

// isBehind reports whether the log is so long that appends have to take turns with
// folding.
func (s *Store) isBehind() bool { return s.index.tailCount >= s.opts.FoldAlways }

// wantsBackground reports whether there is background work, and nothing that speaks
// against it.
func (s *Store) wantsBackground() bool {
	work := s.fold.active || s.purgeable() || s.foldDue()
	return work && !s.fold.resting.Load() && s.queue.failure() == nil
}

// foldDue reports whether a new round of folding is worth while.
func (s *Store) foldDue() bool {
	return s.logNext > s.fold.target && (s.index.tailCount >= s.opts.FoldAfter || s.trashWaits())
}

// background does one small piece of work that nobody waits for, and reports
// whether there was any.
func (s *Store) background() bool {
	if !s.wantsBackground() {
		return false
	}
	did, err := s.purgeStep()
	if !did {
		var foldErr error
		did, foldErr = s.foldStep()
		err = errors.Join(err, foldErr)
	}
	if err == nil {
		s.fold.rest = 0
		return did
	}
	s.fold.rest = min(max(restMin, 2*s.fold.rest), restMax)
	s.log.Warn("background work on the data file failed; it is tried again", "after", s.fold.rest, "err", err)
	s.fold.resting.Store(true)
	s.fold.timer = time.AfterFunc(s.fold.rest, func() {
		s.fold.resting.Store(false)
		s.kick()
	})
	return did
}

// pick is the oldest n entries of a document's tail, to be folded.
type pick struct {
	doc    *document
	n      int
	folded storage.Revision // the document's, afterwards
}

// foldStep moves some of the oldest log entries into segments and removes from the
// log what earlier steps have moved. A round begins when there is reason for one
// and ends when it has folded everything that the log had then.
func (s *Store) foldStep() (did bool, err error) {
	f := &s.fold
	if !f.active {
		if !s.foldDue() {
			return false, nil
		}
		f.active, f.target = true, s.logNext
	}
	trim := min(f.oldest(s.logNext), s.state.logFirst+trimEntries)
	picks := f.pick()
	if len(picks) == 0 && trim == s.state.logFirst {
		f.active = false
		return false, nil
	}
	stats := CommitStats{Folded: int(trim - s.state.logFirst)}
	st := s.state
	var at *document // that is being folded
	err = s.update(&stats, func(tx *bbolt.Tx) error {
		for i := range picks {
			at = picks[i].doc
			if err := foldDoc(tx, &picks[i]); err != nil {
				return err
			}
		}
		at = nil
		log := tx.Bucket(bucketLog)
		log.FillPercent = logFill
		for ; st.logFirst < trim; st.logFirst++ {
			if err := log.Delete(key1(st.logFirst)); err != nil {
				return err
			}
		}
		return st.put(tx)
	})
	switch {
	case err == nil:
		s.state = st
		s.index.mu.Lock()
		s.foldApplied(picks)
		s.index.mu.Unlock()
	case at != nil && errors.Is(err, storage.ErrCorrupt):
		// The others go on without it.
		s.index.mu.Lock()
		s.index.setStuck(at)
		s.index.mu.Unlock()
		s.log.Error("a document's records cannot be folded; they stay in the log", "doc", at.id, "err", err)
		err = nil
	}
	s.observe(&stats)
	return err == nil, err
}

// pick chooses what one step folds: the documents that have waited longest.
func (f *folder) pick() (picks []pick) {
	records, bytes := 0, 0
	for _, p := range f.queue {
		if p.seq >= f.target || len(picks) == foldDocs || records >= foldRecords || bytes >= foldBytes {
			break
		}
		if p.doc.stuck {
			continue
		}
		picks = append(picks, p.doc.pick(&records, &bytes))
	}
	return picks
}

// pick chooses how many entries of a document's tail one step folds, and counts what they are.
func (d *document) pick(records, bytes *int) pick {
	n := 0
	for n < len(d.tail) && (n == 0 || *records < foldRecords && *bytes < foldBytes) {
		*records += int(d.tail[n].n)
		*bytes += int(d.tail[n].size)
		n++
	}
	return pick{doc: d, n: n}
}

// foldApplied makes memory agree with what a step has written. The caller holds index.mu.
func (s *Store) foldApplied(picks []pick) {
	f := &s.fold
	picked := 0
	f.queue = slices.DeleteFunc(f.queue, func(p pending) bool {
		// They are in the order of the queue.
		if picked < len(picks) && picks[picked].doc == p.doc {
			picked++
			return true
		}
		return false
	})
	for _, p := range picks {
		if p.doc.gone {
			continue
		}
		records, bytes := 0, 0
		for _, e := range p.doc.tail[:p.n] {
			records, bytes = records+int(e.n), bytes+int(e.size)
		}
		s.sealDue(p.doc, records, bytes)
		p.doc.folded = p.folded
		s.index.cutTail(p.doc, p.n)
		if len(p.doc.tail) > 0 {
			left := pending{p.doc.tail[0].seq, p.doc}
			at, _ := slices.BinarySearchFunc(f.queue, left, func(a, b pending) int { return cmp.Compare(a.seq, b.seq) })
			f.queue = slices.Insert(f.queue, at, left)
		}
	}
}

// foldDoc writes the picked records to segments, with the document's new head
// and its clients' sequence numbers.
func foldDoc(tx *bbolt.Tx, p *pick) error {
	d := p.doc
	if d.gone || p.n == 0 {
		return nil
	}
	first, recs, err := openSegment(tx, d)
	if err != nil {
		return err
	}
	old := len(recs)
	log := tx.Bucket(bucketLog)
	for _, e := range d.tail[:p.n] {
		if recs, err = readEntry(log, d.num, e, recs); err != nil {
			return err
		}
	}
	p.folded = first + storage.Revision(len(recs))
	if err := putSegments(tx, d.segs, first, recs); err != nil {
		return err
	}
	if err := putLastSeqs(tx, d, recs[old:]); err != nil {
		return err
	}
	val, err := getDoc(tx, d)
	if err != nil {
		return err
	}
	val.typ, val.born = lifeAfter(val.typ, val.born, d.folded, recs[old:])
	val.folded, val.modified = p.folded, recs[len(recs)-1].Time
	return put(tx, bucketDocs, []byte(d.id), val.append(nil))
}

// getDoc returns what is stored of a document: the index knows it as of the tail's end.
func getDoc(tx *bbolt.Tx, d *document) (docValue, error) {
	body, err := get(tx, bucketDocs, []byte(d.id))
	if err != nil {
		return docValue{}, err
	}
	val, err := parseDoc(body)
	if err == nil && (val.num != d.num || val.folded != d.folded) {
		err = corrupt("bucket docs, key %x: not what it was", d.id)
	}
	return val, err
}

// readEntry appends the records of one log entry to recs.
func readEntry(log *bbolt.Bucket, num uint64, e entry, recs []storage.Record) ([]storage.Record, error) {
	v := log.Get(key1(e.seq))
	if v == nil {
		return recs, corrupt("bucket log: entry %d is missing", e.seq)
	}
	val, run, err := parseLog(v)
	if err != nil {
		return recs, fmt.Errorf("entry %d: %w", e.seq, err)
	}
	if val.num != num || val.base != e.base || val.n != storage.Revision(e.n) {
		return recs, corrupt("bucket log: entry %d is not what it was", e.seq)
	}
	return parseRun(recs, run, val.n)
}

// openSegment returns the last segment of a document and its first revision if
// it is not full, else no records and the revision that the next one begins at.
func openSegment(tx *bbolt.Tx, d *document) (storage.Revision, []storage.Record, error) {
	if d.folded == d.oldest {
		return d.folded, nil, nil
	}
	k, v := floor(tx.Bucket(bucketSegments).Cursor(), keySegment(d.segs, d.folded))
	first, ok := firstOf(k, d.segs)
	if !ok {
		return 0, nil, corrupt("bucket segments: nothing below revision %d", d.folded)
	}
	n, seg, err := parseSegment(k, v)
	if err != nil {
		return 0, nil, err
	}
	if first+n != d.folded {
		return 0, nil, corrupt("bucket segments: the last ends at revision %d, expected %d", first+n, d.folded)
	}
	if seg.sealed || n >= segmentRecords || len(seg.body) >= segmentBytes {
		return d.folded, nil, nil
	}
	recs, err := parseRun(nil, seg.body, n)
	return first, recs, err
}

// putSegments stores records as segments, all but the last one full.
func putSegments(tx *bbolt.Tx, num uint64, first storage.Revision, recs []storage.Record) error {
	for len(recs) > 0 {
		n, size := 0, 0
		for n < len(recs) && n < segmentRecords && size < segmentBytes {
			size += len(recs[n].Op) + 4
			n++
		}
		if err := putSegment(tx, num, first, recs[:n]); err != nil {
			return err
		}
		first, recs = first+storage.Revision(n), recs[n:]
	}
	return nil
}

// putLastSeqs stores the highest sequence numbers among recs, which are the
// records up to the revision that d.folded and they add up to.
func putLastSeqs(tx *bbolt.Tx, d *document, recs []storage.Record) error {
	last := make(map[string]lastSeq)
	for i := range recs {
		if r := &recs[i]; r.Seq > last[r.Client].seq {
			last[r.Client] = lastSeq{r.Seq, d.folded + storage.Revision(i) + 1}
		}
	}
	for client, l := range last {
		old, err := getLastSeq(tx, d.num, client)
		if err != nil {
			return err
		}
		if l.seq > old.seq {
			if err := put(tx, bucketLastSeq, keyClient(d.num, client), l.append(nil)); err != nil {
				return err
			}
		}
	}
	return nil
}
