package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// sealing is what is sealed in the background. A goroutine prepares a sealed segment
// from a read transaction, which takes up to half a second, and hands the committer no more than
// to put it in the place of the segments it was made of. So appends are not held up, and
// a kill leaves the file as it was or as it should be.
type sealing struct {
	mu      sync.Mutex
	queue   []*document // guarded by mu: to look at
	running bool        // guarded by mu
	stopped bool        // guarded by mu
	wg      sync.WaitGroup
}

// sealDue notes that records of a document were folded, and has it looked at when
// there may be enough to seal. The caller is run and holds index.mu.
func (s *Store) sealDue(d *document, records, bytes int) {
	d.unsealed += max(records, bytes/16)
	if !d.sealSeen { // nothing is known of what was folded before
		d.sealSeen, d.unsealed = true, s.opts.SealAfter
	}
	if d.unsealed < s.opts.SealAfter {
		return
	}
	d.unsealed = 0
	g := &s.sealing
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return
	}
	if !slices.Contains(g.queue, d) {
		g.queue = append(g.queue, d)
	}
	if !g.running {
		g.running = true
		g.wg.Add(1)
		go s.seal()
	}
}

// stop waits until nothing is sealed any more.
func (g *sealing) stop() {
	g.mu.Lock()
	g.stopped, g.queue = true, nil
	g.mu.Unlock()
	g.wg.Wait()
}

// next returns the next document to look at; nil when there is none.
func (g *sealing) next() *document {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 {
		g.running = false
		return nil
	}
	d := g.queue[0]
	g.queue = slices.Delete(g.queue, 0, 1)
	return d
}

// seal looks at documents until there are no more.
func (s *Store) seal() {
	defer s.sealing.wg.Done()
	for d := s.sealing.next(); d != nil; d = s.sealing.next() {
		more := true
		var err error
		for more && err == nil && s.usable(context.Background()) == nil {
			more, err = s.sealSome(d)
		}
		if err != nil && s.usable(context.Background()) == nil && !errors.Is(s.lost(d, err), storage.ErrNotFound) {
			s.log.Warn("records cannot be sealed; they stay as they are", "doc", d.id, "err", err)
		}
	}
}

// oldSegment is an ordinary segment to be sealed with others.
type oldSegment struct {
	key, value []byte
	first, n   storage.Revision
}

// sealSome seals the oldest records of a document that are not, if there are enough of them, and
// reports whether to look again.
func (s *Store) sealSome(d *document) (more bool, err error) {
	s.index.mu.RLock()
	c := &sealChange{doc: d, segs: d.segs}
	typ, born, oldest := d.typ.Value(), d.born, d.oldest
	s.index.mu.RUnlock()
	if err := s.read(func(tx *bbolt.Tx) error {
		c.old = s.unsealed(tx, c.segs, oldest)
		return nil
	}); err != nil || len(c.old) == 0 {
		return false, err
	}
	var recs []storage.Record
	for _, old := range c.old {
		n, seg, err := parseSegment(old.key, old.value)
		if err == nil {
			recs, err = parseRun(recs, seg.body, n)
		}
		if err != nil {
			return false, err
		}
	}
	first := c.old[0].first
	if c.body = s.opts.sealBody(recs, typeOf(recs, first, typ, born)); c.body == nil {
		return false, errors.New("they do not come out as they are")
	}
	if err := s.submit(context.Background(), c); err != nil {
		return false, err
	}
	return c.done, nil
}

// typeOf returns the type of the edits among records of which the first is record base,
// of a document of type typ since born; "" when it is not known.
func typeOf(recs []storage.Record, base storage.Revision, typ string, born storage.Revision) string {
	for i := len(recs) - 1; i >= 0; i-- {
		if recs[i].Kind == storage.Create {
			return recs[i].Type
		}
	}
	if born > base {
		return ""
	}
	return typ
}

func (o *Options) sealBody(recs []storage.Record, typ string) []byte {
	return packers(o.Packers).seal(recs, typ, o.TimeStep)
}

// unsealed returns copies of the oldest ordinary segments under a number that do not begin
// before oldest, but for the one that may still grow, if there are enough.
func (s *Store) unsealed(tx *bbolt.Tx, segs uint64, oldest storage.Revision) []oldSegment {
	all := lastOrdinary(tx, segs, oldest)
	if len(all) > 1 {
		all = all[:len(all)-1]
	}
	records, size := 0, 0
	for _, old := range all {
		records, size = records+int(old.n), size+len(old.value)
	}
	if max(records, size/16) < s.opts.SealAfter {
		return nil
	}
	all = all[:sealable(all)]
	for i := range all {
		all[i].key, all[i].value = bytes.Clone(all[i].key), bytes.Clone(all[i].value)
	}
	return all
}

// lastOrdinary returns the segments under a number that follow the last sealed one and do
// not begin before oldest. They alias the file. What a gap follows is left out.
func lastOrdinary(tx *bbolt.Tx, segs uint64, oldest storage.Revision) (all []oldSegment) {
	c := tx.Bucket(bucketSegments).Cursor()
	for k, v := floor(c, key2(segs, ^uint64(0))); k != nil; k, v = c.Prev() {
		first, ok := firstOf(k, segs)
		n, size := binary.Uvarint(v)
		if !ok || first < oldest || size <= 0 || n == 0 || n > sealRecords {
			break
		}
		old := oldSegment{key: k, value: v, first: first, n: storage.Revision(n)}
		if len(all) > 0 && first+old.n != all[len(all)-1].first {
			all = all[:0]
		}
		all = append(all, old)
	}
	slices.Reverse(all)
	return all
}

// sealable returns how many of the segments go into one sealed segment.
func sealable(all []oldSegment) int {
	records, size := 0, 0
	for i, old := range all {
		records, size = records+int(old.n), size+len(old.value)
		if i > 0 && (records > sealRecords || size > sealBytes) {
			return i
		}
	}
	return len(all)
}

// sealChange puts a sealed segment in the place of others, if they are still what they were.
type sealChange struct {
	doc  *document
	segs uint64
	old  []oldSegment
	body []byte
	// restKey and rest are, of one that makes two of one, the second.
	restKey, rest []byte
	done          bool // set by write
}

func (c *sealChange) admit(*Store) error {
	if c.doc.gone || c.doc.leaving {
		return storage.ErrNotFound
	}
	return nil
}

func (c *sealChange) write(t *batchTx) error {
	if c.old[0].first < c.doc.oldest || c.segs != c.doc.segs {
		return nil // trimmed or rewritten meanwhile: these segments are trash
	}
	b := t.Bucket(bucketSegments)
	for _, old := range c.old {
		if !bytes.Equal(b.Get(old.key), old.value) {
			return nil // folded on meanwhile
		}
	}
	for _, old := range c.old[1:] {
		if err := b.Delete(old.key); err != nil {
			return err
		}
	}
	c.done = true
	if c.rest != nil {
		if err := put(t.Tx, bucketSegments, c.restKey, c.rest); err != nil {
			return err
		}
	}
	return put(t.Tx, bucketSegments, c.old[0].key, c.body)
}

func (c *sealChange) applied(*Store) {}
func (c *sealChange) undo(*Store)    { c.done = false }
func (c *sealChange) size() int      { return len(c.body) + len(c.rest) + 128 }

// splitAt makes two of the sealed segment that has records on both sides of a revision, so
// that the committer does not have to.
func (s *Store) splitAt(ctx context.Context, d *document, at storage.Revision) error {
	s.index.mu.RLock()
	c := &sealChange{doc: d, segs: d.segs}
	typ, born := d.typ.Value(), d.born
	s.index.mu.RUnlock()
	var recs []storage.Record
	err := s.read(func(tx *bbolt.Tx) error {
		k, v := floor(tx.Bucket(bucketSegments).Cursor(), keySegment(c.segs, at-1))
		first, ok := firstOf(k, c.segs)
		if !ok {
			return nil
		}
		n, seg, err := parseSegment(k, v)
		if err != nil || !seg.sealed || first+n <= at {
			return err
		}
		c.old = []oldSegment{{bytes.Clone(k), bytes.Clone(v), first, n}}
		recs, err = s.opener.records(nil, seg, n)
		return err
	})
	if err != nil || len(c.old) == 0 {
		return err
	}
	first := c.old[0].first
	c.body = s.opts.sealBody(recs[:at-first], typeOf(recs[:at-first], first, typ, born))
	c.rest = s.opts.sealBody(recs[at-first:], typeOf(recs, first, typ, born))
	c.restKey = keySegment(c.segs, at)
	if c.body == nil || c.rest == nil {
		return errors.New("bolt: sealed records do not come out as they are")
	}
	return s.submit(ctx, c)
}
