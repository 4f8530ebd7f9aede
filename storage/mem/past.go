package mem

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"quire/storage"
)

// Rename gives a document another id; see storagetest.Store.
func (s *Store) Rename(ctx context.Context, from, to string) error {
	if err := storage.CheckDocID(to); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.find(ctx, from)
	switch {
	case err != nil:
		return err
	case s.docs[to] != nil:
		return storage.ErrExists
	}
	delete(s.docs, from)
	s.docs[to], d.info.ID = d, to
	return nil
}

// At returns the newest revision at a time; see storagetest.Store.
func (s *Store) At(ctx context.Context, id string, time int64) (storage.Revision, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, err := s.find(ctx, id)
	if err != nil {
		return 0, err
	}
	n := sort.Search(len(d.recs), func(i int) bool { return d.recs[i].Time > time })
	switch {
	case n > 0 || d.info.Oldest >= 0 && time >= d.trimmed:
		return d.info.Oldest + storage.Revision(n), nil
	case d.info.Oldest < 0 || time < d.info.Created:
		return -1, nil
	}
	return 0, storage.ErrTrimmed
}

// notesOf returns the notes of a document, or of the store when id is "".
func (s *Store) notesOf(ctx context.Context, id string) (notes, *document, error) {
	if id == "" {
		return s.notes, nil, s.usable(ctx)
	}
	d, err := s.find(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	return d.notes, d, nil
}

// Notes returns notes in order; see storagetest.Store.
func (s *Store) Notes(ctx context.Context, id, prefix, after string, limit int) ([]storage.Note, error) {
	if err := storage.CheckList(limit); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	all, _, err := s.notesOf(ctx, id)
	if err != nil {
		return nil, err
	}
	out := []storage.Note{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(key, prefix) && key > after && len(out) < limit {
			out = append(out, storage.Note{Key: key, Value: append([]byte{}, all[key]...)})
		}
	}
	return out, nil
}

// SetNotes writes and removes notes; see storagetest.Store.
func (s *Store) SetNotes(ctx context.Context, id string, incarnation uint64, set []storage.Note) error {
	if err := storage.CheckNotes(set); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all, d, err := s.notesOf(ctx, id)
	if err != nil {
		return err
	}
	if d != nil && d.info.Incarnation != incarnation {
		return storage.ErrNotFound
	}
	for _, n := range set {
		if n.Value == nil {
			delete(all, n.Key)
		} else {
			all[strings.Clone(n.Key)] = bytes.Clone(n.Value)
		}
	}
	return nil
}

// Trim drops old records and snapshots; see storagetest.Store.
func (s *Store) Trim(ctx context.Context, id string, incarnation uint64, oldest storage.Revision, keep []storage.Revision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.own(ctx, id, incarnation)
	if err != nil {
		return err
	}
	if err := storage.CheckTrim(oldest, d.info); err != nil {
		return err
	}
	if i := d.at(oldest); i == len(d.snaps) || d.snaps[i].Rev != oldest {
		return fmt.Errorf("%w: no snapshot at revision %d", storage.ErrInvalid, oldest)
	}
	d.snaps = slices.DeleteFunc(d.snaps, func(s storage.Snapshot) bool {
		return s.Rev < oldest && !slices.Contains(keep, s.Rev)
	})
	if n := oldest - d.info.Oldest; n > 0 {
		d.trimmed = d.recs[n-1].Time
		d.recs = slices.Clone(d.recs[n:])
		d.info.Oldest = oldest
	}
	return nil
}

// Rewrite replaces records and snapshots; see storagetest.Store.
func (s *Store) Rewrite(ctx context.Context, id string, incarnation uint64,
	record func(storage.Revision, storage.Record) (storage.Record, error),
	snapshot func(storage.Snapshot) (storage.Snapshot, error)) error {
	s.mu.RLock()
	d, err := s.own(ctx, id, incarnation)
	if err != nil {
		s.mu.RUnlock()
		return err
	}
	info, recs, snaps := d.info, slices.Clone(d.recs), slices.Clone(d.snaps)
	s.mu.RUnlock()
	for i, old := range recs {
		old.Op = bytes.Clone(old.Op)
		r, err := record(info.Oldest+storage.Revision(i), old)
		if err == nil {
			err = storage.CheckRewrite(&recs[i], &r)
		}
		if err != nil {
			return err
		}
		r.Op = bytes.Clone(r.Op)
		recs[i] = r
	}
	for i, old := range snaps {
		old.Data = bytes.Clone(old.Data)
		r, err := snapshot(old)
		if err == nil {
			err = storage.CheckRewriteSnapshot(old, r)
		}
		if err != nil {
			return err
		}
		snaps[i].Data = bytes.Clone(r.Data)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, err := s.find(ctx, id); err != nil {
		return err
	} else if now != d {
		return storage.ErrNotFound
	}
	same := slices.EqualFunc(d.snaps, snaps, func(a, b storage.Snapshot) bool { return a.Rev == b.Rev })
	if d.info != info || !same {
		return &storage.ConflictError{Base: info.Head, Head: d.info.Head}
	}
	d.recs, d.snaps = recs, snaps
	return nil
}
