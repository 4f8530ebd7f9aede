package bolt

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"unique"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// document is what memory keeps of one document.
type document struct {
	// static
	num, incarnation uint64
	created          int64

	// written by run under index.mu, read by others under it
	id       string
	segs     uint64           // number of its segments
	oldest   storage.Revision // the first record that is kept
	trimmed  int64            // when the record before it was committed
	modified int64
	typ      unique.Handle[string]
	born     storage.Revision
	head     storage.Revision
	folded   storage.Revision // records below are in segments; -1 when none is
	tail     []entry          // log entries with the records [folded, head)
	last     map[string]lastSeq
	gone     bool

	// owned by run
	leaving  bool             // deleted by the batch that is being built
	unsealed int              // records folded since it was last looked at for sealing
	sealSeen bool             // it was looked at since the store was opened
	stuck    bool             // its records cannot be folded, because the last segment is damaged
	next     storage.Revision // the head after the batch that is being built
}

// entry is one log entry of a document's tail.
type entry struct {
	seq  uint64
	base storage.Revision
	n    uint32 // records
	size uint32 // bytes of the value
}

// end returns the revision after the entry's records.
func (e entry) end() storage.Revision { return e.base + storage.Revision(e.n) }

func (d *document) info() storage.Info {
	return storage.Info{
		ID: d.id, Type: d.typ.Value(), Incarnation: d.incarnation,
		Created: d.created, Modified: d.modified, Head: d.head, Born: d.born, Oldest: d.oldest,
	}
}

// noteSeq takes in that a record of the tail at rev-1 has this client and seq.
func (d *document) noteSeq(client string, seq uint64, rev storage.Revision) {
	l, ok := d.last[client]
	if seq <= l.seq {
		return
	}
	if !ok {
		client = strings.Clone(client)
		if d.last == nil {
			d.last = make(map[string]lastSeq)
		}
	}
	d.last[client] = lastSeq{seq, rev}
}

// index is all documents of an open store. Only run changes it.
type index struct {
	mu        sync.RWMutex
	docs      map[string]*document
	tailCount int // entries that can be folded
	tailBytes int
	trash     int
	stuck     int // documents that cannot be folded
}

func (x *index) find(id string) *document {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.docs[id]
}

func (x *index) stats() Stats {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return Stats{Documents: len(x.docs), TailEntries: x.tailCount, TailBytes: x.tailBytes, Trash: x.trash, Stuck: x.stuck}
}

// appendTail takes in a log entry. The caller holds mu or is alone.
func (x *index) appendTail(d *document, e entry) {
	d.tail = append(d.tail, e)
	d.head = e.end()
	if !d.stuck {
		x.tailCount++
		x.tailBytes += int(e.size)
	}
}

// discount takes the first n entries of a tail out of the counts.
func (x *index) discount(d *document, n int) {
	if d.stuck {
		return
	}
	for _, e := range d.tail[:n] {
		x.tailCount--
		x.tailBytes -= int(e.size)
	}
}

// setStuck notes that a document cannot be folded. The caller holds mu.
func (x *index) setStuck(d *document) {
	x.discount(d, len(d.tail))
	d.stuck = true
	x.stuck++
}

// cutTail forgets the first n entries of a tail, which are in segments now or, when
// the document is gone, nowhere. The caller holds mu.
func (x *index) cutTail(d *document, n int) {
	x.discount(d, n)
	if n == len(d.tail) {
		d.tail, d.last = nil, nil
		return
	}
	d.tail = append(make([]entry, 0, len(d.tail)-n), d.tail[n:]...)
	for client, l := range d.last {
		if l.rev <= d.folded {
			delete(d.last, client)
		}
	}
}

// load builds the index and what run owns from the file, and verifies the log.
func (s *Store) load(tx *bbolt.Tx) (err error) {
	s.index.docs = make(map[string]*document)
	if s.state, err = getState(tx); err != nil {
		return err
	}
	byNum, err := s.loadDocs(tx)
	if err != nil {
		return err
	}
	if err := s.loadTrash(tx); err != nil {
		return err
	}
	s.nextNum.Store(s.state.nextNum - 1)
	s.index.trash = len(s.trash)
	if err := verifyLastSeqs(tx); err != nil {
		return err
	}
	if err := verifyNotes(tx); err != nil {
		return err
	}
	return s.loadLog(tx, byNum)
}

// verifyLastSeqs verifies the key of every client's last sequence number. One that was
// damaged would not be found, and its client taken for a new one; nothing but looking
// at all of them shows it.
func verifyLastSeqs(tx *bbolt.Tx) error {
	return tx.Bucket(bucketLastSeq).ForEach(func(k, v []byte) error {
		_, err := unseal(bucketLastSeq, k, v)
		return err
	})
}

func (s *Store) loadDocs(tx *bbolt.Tx) (map[uint64]*document, error) {
	byNum, bySegs := make(map[uint64]*document), make(map[uint64]bool)
	err := tx.Bucket(bucketDocs).ForEach(func(k, v []byte) error {
		d, err := loadDoc(k, v)
		if err != nil {
			return err
		}
		if max(d.num, d.segs) >= s.state.nextNum || min(d.num, d.segs) == 0 || byNum[d.num] != nil || d.segs != d.num && bySegs[d.segs] {
			return corrupt("bucket docs, key %x: number %d is out of range or used twice", k, d.num)
		}
		byNum[d.num], bySegs[d.segs], s.index.docs[d.id] = d, true, d
		return nil
	})
	if err == nil && uint64(len(byNum)) != s.state.docs {
		err = corrupt("bucket docs has %d documents, the file should have %d", len(byNum), s.state.docs)
	}
	return byNum, err
}

func loadDoc(k, v []byte) (*document, error) {
	body, err := unseal(bucketDocs, k, v)
	if err != nil {
		return nil, err
	}
	val, err := parseDoc(body)
	if err != nil {
		return nil, fmt.Errorf("bucket docs, key %x: %w", k, err)
	}
	return newDocument(string(k), val), nil
}

// newDocument returns a document as of the records that are folded.
func newDocument(id string, val docValue) *document {
	return &document{
		id: id, num: val.num, incarnation: val.incarnation,
		created: val.created, modified: val.modified, typ: unique.Make(val.typ), born: val.born,
		segs: val.segs, oldest: val.oldest, trimmed: val.trimmed,
		head: val.folded, folded: val.folded, next: val.folded,
	}
}

// loadLog reads the log from end to end: its keys have no gaps, it ends where the
// bucket's counter says, and each entry continues its document.
func (s *Store) loadLog(tx *bbolt.Tx, byNum map[uint64]*document) error {
	b := tx.Bucket(bucketLog)
	s.logNext = s.state.logFirst
	deleted := make(map[uint64]uint64)
	for _, t := range s.trash {
		if t.kind == trashDoc {
			deleted[t.num] = t.mark
		}
	}
	var recs []storage.Record
	err := b.ForEach(func(k, v []byte) error {
		if len(k) != 8 || binary.BigEndian.Uint64(k) != s.logNext {
			return corrupt("bucket log, key %x: expected %x", k, s.logNext)
		}
		seq := s.logNext
		s.logNext++
		val, run, err := parseLog(v)
		if err != nil {
			return fmt.Errorf("entry %d: %w", seq, err)
		}
		d := byNum[val.num]
		if d == nil {
			if seq < deleted[val.num] {
				return nil // of a document that was deleted
			}
			return corrupt("bucket log, entry %d: there is no document number %d", seq, val.num)
		}
		e := entry{seq: seq, base: val.base, n: uint32(val.n), size: uint32(len(v))}
		if len(d.tail) == 0 && e.end() <= d.folded {
			return nil
		}
		if e.base != d.head {
			return corrupt("document %q: log entry %d begins at revision %d, expected %d", d.id, seq, e.base, d.head)
		}
		if recs, err = parseRun(recs[:0], run, val.n); err != nil {
			return fmt.Errorf("document %q: log entry %d: %w", d.id, seq, err)
		}
		if len(d.tail) == 0 {
			s.fold.push(d, seq)
		}
		s.index.appendTail(d, e)
		d.noteRecords(e.base, recs)
		d.next = d.head
		return nil
	})
	if err == nil && b.Sequence() != s.logNext-1 {
		err = corrupt("bucket log ends at %d, should end at %d", s.logNext-1, b.Sequence())
	}
	for _, d := range byNum {
		if err == nil && d.head < 0 {
			err = corrupt("document %q: the record that creates it is missing", d.id)
		}
	}
	return err
}

// noteRecords takes in what records of the tail, the first of which is record base, say
// beside their operations.
func (d *document) noteRecords(base storage.Revision, recs []storage.Record) {
	for i := range recs {
		d.noteSeq(recs[i].Client, recs[i].Seq, base+storage.Revision(i)+1)
	}
	d.modified = recs[len(recs)-1].Time
	if typ, born := lifeAfter(d.typ.Value(), d.born, base, recs); born != d.born || typ != d.typ.Value() {
		d.typ, d.born = unique.Make(typ), born
	}
}
