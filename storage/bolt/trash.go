package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	bbolt "go.etcd.io/bbolt"
)

// purgeKeys is how many keys one background transaction removes at most.
const purgeKeys = 512

// Kinds of trash.
const (
	trashDoc  = 'd' // a document's segments, sequence numbers, notes and snapshots
	trashBlob = 'b' // the content of a snapshot
	trashSegs = 's' // segments: those of dropped records, or all when rewritten ones took their place
)

// trashItem names what is still to be removed from the file. It is there from the
// transaction that made it useless to the one that removes the last of it, so
// that a restart finds it again. The pieces of a large snapshot are trash until
// the last one is written.
type trashItem struct {
	kind byte
	num  uint64
	mark uint64 // of a document: its log entries are below; of segments: those with lower keys
	// drained: nothing is left but log entries. Not stored.
	drained bool
}

func (t trashItem) key() []byte { return binary.BigEndian.AppendUint64([]byte{t.kind}, t.num) }

func (t trashItem) put(tx *bbolt.Tx) error {
	return put(tx, bucketTrash, t.key(), binary.AppendUvarint(nil, t.mark))
}

func putTrash(tx *bbolt.Tx, items []trashItem) error {
	for _, t := range items {
		if err := t.put(tx); err != nil {
			return err
		}
	}
	return nil
}

func parseTrash(k, v []byte) (t trashItem, err error) {
	body, err := unseal(bucketTrash, k, v)
	if err != nil {
		return t, err
	}
	p := parser{rest: body}
	t.mark = p.uvarint()
	if p.bad || len(k) != 9 || k[0] != trashDoc && k[0] != trashBlob && k[0] != trashSegs {
		return t, corrupt("bucket trash, key %x: malformed", k)
	}
	t.kind, t.num = k[0], binary.BigEndian.Uint64(k[1:])
	return t, nil
}

// allSegments is all that is stored under a number of segments.
func allSegments(segs uint64) trashItem {
	return trashItem{kind: trashSegs, num: segs, mark: math.MaxUint64}
}

func (s *Store) loadTrash(tx *bbolt.Tx) error {
	err := tx.Bucket(bucketTrash).ForEach(func(k, v []byte) error {
		t, err := parseTrash(k, v)
		s.trash = append(s.trash, t)
		switch t.kind {
		case trashSegs:
			if t.num >= s.state.nextNum {
				err = errors.Join(err, corrupt("bucket trash, key %x: number out of range", k))
			}
		case trashBlob:
			s.nextBlob.Store(max(s.nextBlob.Load(), t.num))
		}
		return err
	})
	if err != nil {
		return err
	}
	if k, _ := tx.Bucket(bucketBlobs).Cursor().Last(); len(k) == 16 {
		s.nextBlob.Store(max(s.nextBlob.Load(), binary.BigEndian.Uint64(k)))
	}
	return nil
}

// trashSnapshot makes the content of the snapshot with this key and value trash. If
// the value is damaged, the content stays where it is, for Check to find.
func trashSnapshot(tx *bbolt.Tx, k, v []byte) ([]trashItem, error) {
	h, err := parseSnapHead(k, v)
	if err != nil || h.blob == 0 {
		return nil, nil
	}
	item := trashItem{kind: trashBlob, num: h.blob}
	return []trashItem{item}, item.put(tx)
}

// discard takes in new trash. The caller is run and holds index.mu.
func (s *Store) discard(items ...trashItem) {
	for _, item := range items {
		// What replaces an item of the same key in the file replaces it here.
		s.trash = slices.DeleteFunc(s.trash, func(t trashItem) bool { return t.kind == item.kind && t.num == item.num })
		s.trash = append(s.trash, item)
	}
	s.index.trash = len(s.trash)
}

// trashWaits reports whether something cannot go before log entries are folded.
func (s *Store) trashWaits() bool {
	return slices.ContainsFunc(s.trash, func(t trashItem) bool { return t.drained })
}

// canPurge reports whether more of an item can be removed now.
func (s *Store) canPurge(t trashItem) bool { return !t.drained || !s.isLogged(t) }

// isLogged reports whether the log has entries of a deleted document.
func (s *Store) isLogged(t trashItem) bool { return t.kind == trashDoc && t.mark > s.state.logFirst }

func (s *Store) purgeable() bool { return slices.ContainsFunc(s.trash, s.canPurge) }

// purgeStep removes a bounded part of the trash, if there is something to do.
func (s *Store) purgeStep() (did bool, err error) {
	if !s.purgeable() {
		return false, nil
	}
	var after []trashItem
	var stats CommitStats
	err = s.update(&stats, func(tx *bbolt.Tx) error {
		left := purgeKeys
		for _, item := range s.trash {
			if left > 0 && s.canPurge(item) {
				more, err := item.purge(tx, &left)
				if err != nil {
					return err
				}
				after = append(after, more...)
				if item.drained && !s.isLogged(item) {
					left--
					if err := tx.Bucket(bucketTrash).Delete(item.key()); err != nil {
						return err
					}
					continue
				}
			}
			after = append(after, item)
		}
		return nil
	})
	if err == nil {
		s.index.mu.Lock()
		s.trash = nil
		s.discard(after...)
		s.index.mu.Unlock()
	}
	s.observe(&stats)
	return err == nil, err
}

// purge removes keys, counting *left down to no less than 0, notes whether none
// remain, and returns what became trash on the way.
func (t *trashItem) purge(tx *bbolt.Tx, left *int) (more []trashItem, err error) {
	prefix := key1(t.num)
	switch t.kind {
	case trashBlob:
		t.drained, err = purgePrefix(tx.Bucket(bucketBlobs), prefix, nil, left, nil)
		return nil, err
	case trashSegs:
		t.drained, err = purgePrefix(tx.Bucket(bucketSegments), prefix, key2(t.num, t.mark), left, nil)
		return nil, err
	}
	t.drained, err = purgePrefix(tx.Bucket(bucketSnapshots), prefix, nil, left, func(k, v []byte) error {
		blob, err := trashSnapshot(tx, k, v)
		more = append(more, blob...)
		return err
	})
	for _, bucket := range [][]byte{bucketSegments, bucketLastSeq, bucketNotes} {
		if t.drained && err == nil {
			t.drained, err = purgePrefix(tx.Bucket(bucket), prefix, nil, left, nil)
		}
	}
	return more, err
}

// purgePrefix deletes keys with a prefix, below the key stop if that is given, at most *left of them, which it counts
// down, and reports whether none are left. It calls each, if any, for each first.
func purgePrefix(b *bbolt.Bucket, prefix, stop []byte, left *int, each func(k, v []byte) error) (drained bool, err error) {
	var keys [][]byte
	wanted := func(k []byte) bool {
		return k != nil && bytes.HasPrefix(k, prefix) && (stop == nil || bytes.Compare(k, stop) < 0)
	}
	c := b.Cursor()
	k, v := c.Seek(prefix)
	for ; wanted(k) && *left > 0; k, v = c.Next() {
		if each != nil {
			if err := each(k, v); err != nil {
				return false, err
			}
		}
		keys = append(keys, bytes.Clone(k))
		*left--
	}
	drained = !wanted(k)
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return false, err
		}
	}
	return drained, nil
}
