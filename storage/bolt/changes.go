package bolt

import (
	"context"
	"math/rand/v2"

	"quire/storage"
)

// maxEntry is how many operation bytes go into one log entry, past its first
// record: a longer append is kept as several, so that each is read in one piece.
const maxEntry = 1 << 20

// appendChange is an Append.
type appendChange struct {
	doc    *document
	base   storage.Revision
	recs   []storage.Record // the caller's
	values [][]byte         // log values
	counts []uint32         // records in each
	seq    uint64           // of the first entry, set by write
}

// Append writes records; see storagetest.Store.
func (s *Store) Append(ctx context.Context, id string, incarnation uint64, base storage.Revision, recs []storage.Record) error {
	if err := storage.CheckAppend(recs); err != nil {
		return err
	}
	d, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	if d.incarnation != incarnation {
		return storage.ErrNotFound
	}
	if base < 0 { // never the head, and not to be coded
		return &storage.ConflictError{Base: base, Head: s.info(d).Head}
	}
	a := &appendChange{doc: d, base: base, recs: recs}
	a.encode()
	return s.submit(ctx, a)
}

func (a *appendChange) encode() {
	for first := 0; first < len(a.recs); {
		end, size := first, 0
		for end < len(a.recs) && (end == first || size+len(a.recs[end].Op) <= maxEntry) {
			size += len(a.recs[end].Op)
			end++
		}
		part := a.recs[first:end]
		v := logValue{num: a.doc.num, base: a.base + storage.Revision(first), n: storage.Revision(len(part))}
		a.values = append(a.values, appendLog(make([]byte, 0, size+24*len(part)+64), v, part))
		a.counts = append(a.counts, uint32(len(part)))
		first = end
	}
}

func (a *appendChange) admit(*Store) error {
	switch d := a.doc; {
	case d.gone || d.leaving:
		return storage.ErrNotFound
	case d.next != a.base:
		return &storage.ConflictError{Base: a.base, Head: d.next}
	}
	a.doc.next += storage.Revision(len(a.recs))
	return nil
}

func (a *appendChange) write(t *batchTx) error {
	a.seq = t.next
	for _, v := range a.values {
		if err := t.log.Put(key1(t.next), v); err != nil {
			return err
		}
		t.next++
	}
	return nil
}

func (a *appendChange) applied(s *Store) {
	d := a.doc
	if len(d.tail) == 0 {
		s.fold.push(d, a.seq)
	}
	for i, v := range a.values {
		s.index.appendTail(d, entry{seq: a.seq + uint64(i), base: d.head, n: a.counts[i], size: uint32(len(v))})
	}
	d.noteRecords(a.base, a.recs)
}

func (a *appendChange) undo(*Store) { a.doc.next = a.doc.head }

func (a *appendChange) size() int {
	n := 0
	for _, v := range a.values {
		n += len(v)
	}
	return n
}

// createChange is a Create: a document's value, and its record -1 as an append.
type createChange struct {
	appendChange
	value docValue
}

// Create makes a document; see storagetest.Store.
func (s *Store) Create(ctx context.Context, id string, first storage.Record) (storage.Info, error) {
	if err := storage.CheckCreate(&first); err != nil {
		return storage.Info{}, err
	}
	switch d, err := s.find(ctx, id); {
	case d != nil:
		return storage.Info{}, storage.ErrExists
	case err != storage.ErrNotFound:
		return storage.Info{}, err
	}
	inc := rand.Uint64()
	for inc == 0 {
		inc = rand.Uint64()
	}
	num := s.nextNum.Add(1)
	c := &createChange{value: docValue{num: num, incarnation: inc, created: first.Time, modified: first.Time, folded: -1, segs: num, oldest: -1}}
	c.appendChange = appendChange{doc: newDocument(id, c.value), base: -1, recs: []storage.Record{first}}
	c.encode()
	if err := s.submit(ctx, c); err != nil {
		return storage.Info{}, err
	}
	return storage.Info{ID: id, Type: first.Type, Incarnation: inc, Created: first.Time, Modified: first.Time, Oldest: -1}, nil
}

func (c *createChange) admit(s *Store) error {
	if old := s.index.docs[c.doc.id]; old != nil && !old.leaving || s.creating[c.doc.id] {
		return storage.ErrExists
	}
	s.creating[c.doc.id] = true
	return nil
}

func (c *createChange) write(t *batchTx) error {
	t.state.nextNum = max(t.state.nextNum, c.value.num+1)
	t.state.docs++
	if err := put(t.Tx, bucketDocs, []byte(c.doc.id), c.value.append(nil)); err != nil {
		return err
	}
	return c.appendChange.write(t)
}

func (c *createChange) applied(s *Store) {
	c.appendChange.applied(s)
	c.doc.next = c.doc.head
	s.index.docs[c.doc.id] = c.doc
	delete(s.creating, c.doc.id)
}

func (c *createChange) undo(s *Store) { delete(s.creating, c.doc.id) }

func (c *createChange) size() int { return c.appendChange.size() + len(c.doc.id) + 64 }

// deleteChange is a Delete. It takes the document's name away at once; the rest
// goes to the trash.
type deleteChange struct {
	doc   *document
	items []trashItem
}

// Delete removes a document; see storagetest.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	d, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	return s.submit(ctx, &deleteChange{doc: d})
}

func (c *deleteChange) admit(*Store) error {
	if c.doc.gone || c.doc.leaving {
		return storage.ErrNotFound
	}
	c.doc.leaving = true
	return nil
}

func (c *deleteChange) write(t *batchTx) error {
	c.items = []trashItem{{kind: trashDoc, num: c.doc.num, mark: t.next}}
	if c.doc.segs != c.doc.num {
		c.items = append(c.items, allSegments(c.doc.segs))
	}
	t.state.docs--
	if err := t.Bucket(bucketDocs).Delete([]byte(c.doc.id)); err != nil {
		return err
	}
	return putTrash(t.Tx, c.items)
}

func (c *deleteChange) applied(s *Store) {
	c.doc.gone = true
	s.index.cutTail(c.doc, len(c.doc.tail))
	if c.doc.stuck {
		s.index.stuck--
	}
	if s.index.docs[c.doc.id] == c.doc {
		delete(s.index.docs, c.doc.id)
	}
	s.discard(c.items...)
}

func (c *deleteChange) undo(*Store) { c.doc.leaving = false }

func (c *deleteChange) size() int { return len(c.doc.id) + 64 }
