package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// storeNum is the document number that notes of the store as a whole are kept under; no
// document has it.
const storeNum = 0

func keyNote(num uint64, key string) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(key)), num), key...)
}

// notesChange is a SetNotes.
type notesChange struct {
	doc   *document // nil for those of the store
	notes []storage.Note
}

// SetNotes writes and removes notes; see storagetest.Store.
func (s *Store) SetNotes(ctx context.Context, id string, incarnation uint64, notes []storage.Note) error {
	if err := storage.CheckNotes(notes); err != nil {
		return err
	}
	d, err := s.findNotes(ctx, id)
	if err != nil {
		return err
	}
	if d != nil && d.incarnation != incarnation {
		return storage.ErrNotFound
	}
	return s.submit(ctx, &notesChange{d, notes})
}

// findNotes returns the document whose notes are meant, nil for the store.
func (s *Store) findNotes(ctx context.Context, id string) (*document, error) {
	if id == "" {
		return nil, s.usable(ctx)
	}
	return s.find(ctx, id)
}

func (d *document) noteNum() uint64 {
	if d == nil {
		return storeNum
	}
	return d.num
}

func (c *notesChange) admit(*Store) error {
	if c.doc != nil && (c.doc.gone || c.doc.leaving) {
		return storage.ErrNotFound
	}
	return nil
}

func (c *notesChange) write(t *batchTx) error {
	b := t.Bucket(bucketNotes)
	for _, n := range c.notes {
		key := keyNote(c.doc.noteNum(), n.Key)
		if n.Value == nil {
			if err := b.Delete(key); err != nil {
				return err
			}
			continue
		}
		body := append(make([]byte, 0, len(n.Value)+sumSize), n.Value...)
		if err := put(t.Tx, bucketNotes, key, body); err != nil {
			return err
		}
	}
	return nil
}

func (c *notesChange) applied(*Store) {}
func (c *notesChange) undo(*Store)    {}

func (c *notesChange) size() (n int) {
	for i := range c.notes {
		n += len(c.notes[i].Key) + len(c.notes[i].Value) + 16
	}
	return n
}

// Notes returns notes in order; see storagetest.Store.
func (s *Store) Notes(ctx context.Context, id, prefix, after string, limit int) ([]storage.Note, error) {
	if err := storage.CheckList(limit); err != nil {
		return nil, err
	}
	d, err := s.findNotes(ctx, id)
	if err != nil {
		return nil, err
	}
	notes := []storage.Note{}
	err = s.read(func(tx *bbolt.Tx) error {
		num := d.noteNum()
		from, stop := keyNote(num, max(prefix, after)), keyNote(num, prefix)
		c := tx.Bucket(bucketNotes).Cursor()
		for k, v := c.Seek(from); bytes.HasPrefix(k, stop) && len(notes) < limit; k, v = c.Next() {
			key := string(k[8:])
			if after != "" && key == after {
				continue
			}
			body, err := unseal(bucketNotes, k, v)
			if err != nil {
				return err
			}
			notes = append(notes, storage.Note{Key: key, Value: append([]byte{}, body...)})
		}
		return nil
	})
	if err == nil && d != nil && len(notes) == 0 {
		_, err = s.findNotes(ctx, id) // it may have gone meanwhile
	}
	switch {
	case err == nil:
		return notes, nil
	case d != nil:
		err = s.lost(d, err)
	}
	return nil, err
}

// verifyNotes verifies the key and value of every note: one whose key was damaged would
// be found no more.
func verifyNotes(tx *bbolt.Tx) error {
	return tx.Bucket(bucketNotes).ForEach(func(k, v []byte) error {
		_, err := unseal(bucketNotes, k, v)
		return err
	})
}

// renameChange is a Rename. It is the only change of its batch.
type renameChange struct {
	doc *document
	to  string
}

func (c *renameChange) alone() {}

// Rename gives a document another id; see storagetest.Store.
func (s *Store) Rename(ctx context.Context, from, to string) error {
	if err := storage.CheckDocID(to); err != nil {
		return err
	}
	d, err := s.find(ctx, from)
	if err != nil {
		return err
	}
	return s.submit(ctx, &renameChange{d, strings.Clone(to)})
}

func (c *renameChange) admit(s *Store) error {
	switch {
	case c.doc.gone:
		return storage.ErrNotFound
	case s.index.docs[c.to] != nil:
		return storage.ErrExists
	}
	return nil
}

func (c *renameChange) write(t *batchTx) error {
	val, err := getDoc(t.Tx, c.doc)
	if err != nil {
		return err
	}
	if err := t.Bucket(bucketDocs).Delete([]byte(c.doc.id)); err != nil {
		return err
	}
	return put(t.Tx, bucketDocs, []byte(c.to), val.append(nil))
}

func (c *renameChange) applied(s *Store) {
	delete(s.index.docs, c.doc.id)
	c.doc.id = c.to
	s.index.docs[c.to] = c.doc
}

func (c *renameChange) undo(*Store) {}
func (c *renameChange) size() int   { return len(c.to) + 64 }
