package session

import (
	"bytes"
	"context"
	"fmt"

	"quire/ot"
	"quire/storage"
)

// VerifyStore is what Verify needs of a storage driver, as in storagetest.Store.
type VerifyStore interface {
	Stat(ctx context.Context, id string) (storage.Info, error)
	Read(ctx context.Context, id string, from, to storage.Revision) ([]storage.Record, error)
	Snapshot(ctx context.Context, id string, at storage.Revision) (storage.Snapshot, error)
	Snapshots(ctx context.Context, id string) ([]storage.Revision, error)
}

// verifyBeginning reads the content that a squashed document's past begins with, and
// whatever else is kept of before. It returns the snapshots that are left to verify; content born at Unborn when
// there is nothing to begin with.
func (m *Manager) verifyBeginning(ctx context.Context, store VerifyStore, info Info, snaps []Revision, report func(rev Revision, what string)) (content, []Revision, error) {
	for len(snaps) > 0 && snaps[0] <= info.Oldest {
		snap, err := store.Snapshot(ctx, info.ID, snaps[0])
		if err != nil {
			return content{}, nil, err
		}
		at := content{born: min(info.Born, info.Oldest)}
		if snap.Type != "" {
			if at.typ = m.types[snap.Type]; at.typ == nil {
				err = fmt.Errorf("unknown document type %q", snap.Type)
			} else {
				at.doc, err = at.typ.UnmarshalDoc(snap.Data)
			}
		}
		if err != nil {
			report(snap.Rev, fmt.Sprintf("the snapshot cannot be decoded: %v", err))
		} else if snap.Rev == info.Oldest {
			return at, snaps, nil
		}
		snaps = snaps[1:]
	}
	report(info.Oldest, "there is nothing that the past could begin with")
	return content{born: Unborn}, nil, nil
}

// Verify replays a document's whole log and calls report for everything that does not
// fit: a record that is no operation or cannot be applied, a client's sequence number
// that does not grow, a snapshot that differs from the replayed content. Of a document that was squashed it
// begins with the snapshot that the past begins with, and decodes those that are kept for labels. It returns how
// many records it replayed, the creation included. An error means that the document could not be read.
func Verify(ctx context.Context, store VerifyStore, types []ot.Type, id string, report func(rev Revision, what string)) (int, error) {
	info, err := store.Stat(ctx, id)
	if err != nil {
		return 0, err
	}
	m := &Manager{types: map[string]ot.Type{}}
	for _, t := range types {
		m.types[t.Name()] = t
	}
	snaps, err := store.Snapshots(ctx, id)
	if err != nil {
		return 0, err
	}
	var at content
	if info.Oldest >= 0 {
		if at, snaps, err = m.verifyBeginning(ctx, store, info, snaps, report); err != nil || at.born == Unborn {
			return 0, err
		}
	}
	compare := func(rev Revision) error {
		for len(snaps) > 0 && snaps[0] <= rev {
			snap, err := store.Snapshot(ctx, id, snaps[0])
			if err != nil {
				return err
			}
			var want storage.Snapshot
			if at.typ != nil {
				want.Type, want.Data = at.typ.Name(), at.typ.MarshalDoc(nil, at.doc)
			}
			if snap.Rev != rev || snap.Type != want.Type || !bytes.Equal(snap.Data, want.Data) {
				report(snaps[0], "the snapshot differs from what the records make")
			}
			snaps = snaps[1:]
		}
		return nil
	}
	last := map[string]uint64{}
	rev := info.Oldest
	for rev < info.Head {
		recs, err := store.Read(ctx, id, rev, info.Head)
		if err != nil {
			return int(rev - info.Oldest), err
		}
		for i := range recs {
			if err := compare(rev); err != nil {
				return int(rev - info.Oldest), err
			}
			r := &recs[i]
			if r.Seq > 0 && r.Seq <= last[r.Client] {
				report(rev, fmt.Sprintf("client %q has seq %d after %d: an operation is there twice", r.Client, r.Seq, last[r.Client]))
			}
			last[r.Client] = max(last[r.Client], r.Seq)
			op, err := m.decode(at.typ, r)
			if err == nil {
				at, err = at.apply(op, rev+1)
			}
			if err != nil {
				report(rev, fmt.Sprintf("the record cannot be applied: %v", err))
				return int(rev - info.Oldest), nil
			}
			rev++
		}
	}
	name := ""
	if at.typ != nil {
		name = at.typ.Name()
	}
	if name != info.Type || at.born != info.Born {
		report(rev, fmt.Sprintf("the document is kept as of type %q since revision %d, its records say %q since %d", info.Type, info.Born, name, at.born))
	}
	return int(rev - info.Oldest), compare(rev)
}
