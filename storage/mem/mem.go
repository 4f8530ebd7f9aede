// Package mem is a storage driver that keeps everything in memory, for tests and
// for trying things out. It passes the same suite as the drivers that last.
package mem

import (
	"bytes"
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"quire/storage"
)

// piece is how many operation bytes one Read returns at most, past its first
// record.
const piece = 4 << 20

// Store is the driver; it satisfies storagetest.Store. Its zero value is not
// usable: call New.
type Store struct {
	mu     sync.RWMutex
	closed bool                 // guarded by mu
	docs   map[string]*document // guarded by mu
	notes  notes                // of the store, guarded by mu
}

// notes are by their keys.
type notes map[string][]byte

type document struct {
	info  storage.Info
	recs  []storage.Record   // record r is recs[r-info.Oldest]
	snaps []storage.Snapshot // ascending revisions
	last  map[string]lastSeq
	notes notes
	// trimmed is when the record before info.Oldest was committed.
	trimmed int64
}

type lastSeq struct {
	seq uint64
	rev storage.Revision
}

// New returns an empty store.
func New() *Store {
	return &Store{docs: make(map[string]*document), notes: make(notes)}
}

// usable returns why no call can be served now, or nil. The caller holds mu.
func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return storage.ErrClosed
	}
	return ctx.Err()
}

// find returns the document, or why there is none. The caller holds mu.
func (s *Store) find(ctx context.Context, id string) (*document, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if err := storage.CheckDocID(id); err != nil {
		return nil, err
	}
	d := s.docs[id]
	if d == nil {
		return nil, storage.ErrNotFound
	}
	return d, nil
}

// own is find for a document of one incarnation.
func (s *Store) own(ctx context.Context, id string, incarnation uint64) (*document, error) {
	d, err := s.find(ctx, id)
	if err == nil && d.info.Incarnation != incarnation {
		return nil, storage.ErrNotFound
	}
	return d, err
}

// Create makes a document; see storagetest.Store.
func (s *Store) Create(ctx context.Context, id string, first storage.Record) (storage.Info, error) {
	if err := storage.CheckCreate(&first); err != nil {
		return storage.Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch d, err := s.find(ctx, id); {
	case d != nil:
		return storage.Info{}, storage.ErrExists
	case err != storage.ErrNotFound:
		return storage.Info{}, err
	}
	d := &document{
		info: storage.Info{ID: id, Incarnation: rand.Uint64() | 1, Created: first.Time, Head: -1, Oldest: -1},
		last: make(map[string]lastSeq), notes: make(notes),
	}
	d.add(first)
	s.docs[id] = d
	return d.info, nil
}

// add makes a record the newest.
func (d *document) add(r storage.Record) {
	r.Op = bytes.Clone(r.Op)
	d.recs = append(d.recs, r)
	d.info.Head++
	d.info.Modified = r.Time
	switch r.Kind {
	case storage.Create:
		d.info.Type, d.info.Born = r.Type, d.info.Head
	case storage.Delete:
		d.info.Type = ""
	}
	if r.Seq > d.last[r.Client].seq {
		d.last[strings.Clone(r.Client)] = lastSeq{r.Seq, d.info.Head}
	}
}

// Stat returns what is known of a document; see storagetest.Store.
func (s *Store) Stat(ctx context.Context, id string) (storage.Info, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, err := s.find(ctx, id)
	if err != nil {
		return storage.Info{}, err
	}
	return d.info, nil
}

// Append writes records; see storagetest.Store.
func (s *Store) Append(ctx context.Context, id string, incarnation uint64, base storage.Revision, recs []storage.Record) error {
	if err := storage.CheckAppend(recs); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.own(ctx, id, incarnation)
	if err != nil {
		return err
	}
	if d.info.Head != base {
		return &storage.ConflictError{Base: base, Head: d.info.Head}
	}
	for _, r := range recs {
		d.add(r)
	}
	return nil
}

// Read returns records; see storagetest.Store.
func (s *Store) Read(ctx context.Context, id string, from, to storage.Revision) ([]storage.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := storage.CheckRange(from, to, d.info.Head); err != nil {
		return nil, err
	}
	if from < d.info.Oldest {
		return nil, storage.ErrTrimmed
	}
	recs := make([]storage.Record, 0, to-from)
	size := 0
	for _, r := range d.recs[from-d.info.Oldest : to-d.info.Oldest] {
		if size += len(r.Op); size > piece && len(recs) > 0 {
			break
		}
		r.Op = bytes.Clone(r.Op)
		recs = append(recs, r)
	}
	return recs, nil
}

// Snapshot returns the newest snapshot at or below at; see storagetest.Store.
func (s *Store) Snapshot(ctx context.Context, id string, at storage.Revision) (storage.Snapshot, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, err := s.find(ctx, id)
	if err != nil {
		return storage.Snapshot{}, err
	}
	for _, snap := range slices.Backward(d.snaps) {
		if snap.Rev <= at {
			snap.Data = bytes.Clone(snap.Data)
			return snap, nil
		}
	}
	return storage.Snapshot{}, storage.ErrNotFound
}

// at returns the index of the first snapshot at or after rev.
func (d *document) at(rev storage.Revision) int {
	i, _ := slices.BinarySearchFunc(d.snaps, rev, func(s storage.Snapshot, rev storage.Revision) int {
		return cmp.Compare(s.Rev, rev)
	})
	return i
}

// PutSnapshot keeps a snapshot; see storagetest.Store.
func (s *Store) PutSnapshot(ctx context.Context, id string, incarnation uint64, snap storage.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.own(ctx, id, incarnation)
	if err != nil {
		return err
	}
	if err := storage.CheckSnapshot(snap, d.info.Head); err != nil {
		return err
	}
	if snap.Rev < d.info.Oldest {
		return storage.ErrTrimmed
	}
	snap.Data = bytes.Clone(snap.Data)
	if i := d.at(snap.Rev); i < len(d.snaps) && d.snaps[i].Rev == snap.Rev {
		snap.Pinned = snap.Pinned || d.snaps[i].Pinned
		d.snaps[i] = snap
	} else {
		d.snaps = slices.Insert(d.snaps, i, snap)
	}
	var thin []storage.Revision
	for _, s := range d.snaps[d.at(d.info.Oldest):] {
		if !s.Pinned || s.Rev == d.info.Oldest {
			thin = append(thin, s.Rev)
		}
	}
	drop := storage.Thin(thin, snap.Rev)
	d.snaps = slices.DeleteFunc(d.snaps, func(s storage.Snapshot) bool {
		return s.Rev != d.info.Oldest && slices.Contains(drop, s.Rev)
	})
	return nil
}

func (d *document) revisions() []storage.Revision {
	revs := make([]storage.Revision, len(d.snaps))
	for i, s := range d.snaps {
		revs[i] = s.Rev
	}
	return revs
}

// Snapshots returns the revisions that have snapshots; see storagetest.Store.
func (s *Store) Snapshots(ctx context.Context, id string) ([]storage.Revision, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return d.revisions(), nil
}

// LastSeq returns a client's highest Seq; see storagetest.Store.
func (s *Store) LastSeq(ctx context.Context, id, client string) (uint64, storage.Revision, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, err := s.find(ctx, id)
	if err != nil {
		return 0, 0, err
	}
	last := d.last[client]
	return last.seq, last.rev, nil
}

// List returns documents in order; see storagetest.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if err := storage.CheckList(limit); err != nil {
		return nil, err
	}
	infos := []storage.Info{}
	for id, d := range s.docs {
		if strings.HasPrefix(id, prefix) && id > after {
			infos = append(infos, d.info)
		}
	}
	slices.SortFunc(infos, func(a, b storage.Info) int { return strings.Compare(a.ID, b.ID) })
	return infos[:min(limit, len(infos))], nil
}

// Delete removes a document; see storagetest.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(ctx, id); err != nil {
		return err
	}
	delete(s.docs, id)
	return nil
}

// Close drops everything; see storagetest.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.docs = true, nil
	return nil
}
