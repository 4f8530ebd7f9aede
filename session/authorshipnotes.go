package session

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"slices"

	"quire/storage"
)

// authorshipNotes begins the keys of the notes that say who made the content at the
// revision that a squashed past begins with: the revision in 16 hexadecimal digits, "/", the number of the piece in 4.
const authorshipNotes = "authorship/"

func authorshipKey(rev Revision) string { return fmt.Sprintf("%s%016x/", authorshipNotes, rev) }

// maxAuthorship bounds an authorship in bytes, as it is before it is compressed.
const maxAuthorship = 1 << 30

// readAuthorship reads what is kept for a revision; nil when that is nothing.
func (m *Manager) readAuthorship(ctx context.Context, info Info, rev Revision) (*authorship, error) {
	prefix := authorshipKey(rev)
	var packed []byte
	for after := ""; ; {
		notes, err := m.opt.Store.Notes(ctx, info.ID, prefix, after, 1)
		if err != nil {
			return nil, err
		}
		if len(notes) == 0 {
			break
		}
		packed, after = append(packed, notes[0].Value...), notes[0].Key
	}
	if packed == nil {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxAuthorship+1))
	if err == nil {
		var a *authorship
		if a, err = m.unmarshalAuthorship(data); err == nil && a.rev == rev {
			return a, nil
		}
	}
	return nil, fmt.Errorf("%w: the authorship at revision %d: %v", storage.ErrCorrupt, rev, err)
}

// notes returns the notes that keep a pruned authorship.
func (a *authorship) notes() ([]storage.Note, error) {
	data := a.marshal()
	if len(data) > maxAuthorship {
		return nil, fmt.Errorf("an authorship of %d bytes, at most %d are kept", len(data), maxAuthorship)
	}
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	var notes []storage.Note
	for piece := range slices.Chunk(packed.Bytes(), storage.MaxNote) {
		notes = append(notes, storage.Note{Key: fmt.Sprintf("%s%04x", authorshipKey(a.rev), len(notes)), Value: piece})
	}
	return notes, nil
}

// dropAuthorship removes what is kept for revisions below rev.
func (m *Manager) dropAuthorship(ctx context.Context, info Info, rev Revision) error {
	var old []storage.Note
	for after := ""; ; {
		notes, err := m.opt.Store.Notes(ctx, info.ID, authorshipNotes, after, 1)
		if err != nil {
			return err
		}
		if len(notes) == 0 {
			break
		}
		if after = notes[0].Key; after >= authorshipKey(rev) {
			break
		}
		old = append(old, storage.Note{Key: after})
	}
	if old == nil {
		return nil
	}
	return m.opt.Store.SetNotes(ctx, info.ID, info.Incarnation, old)
}
