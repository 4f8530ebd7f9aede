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

// Verify replays a document's whole log and calls report for everything that does not
// fit: a record that is no operation or cannot be applied, a client's sequence number
// that does not grow, a snapshot that differs from the replayed content. It returns how
// many records it replayed. An error means that the document could not be read.
func Verify(ctx context.Context, store VerifyStore, types []ot.Type, id string, report func(rev Revision, what string)) (int, error) {
	info, err := store.Stat(ctx, id)
	if err != nil {
		return 0, err
	}
	var typ ot.Type
	for _, t := range types {
		if t.Name() == info.Type {
			typ = t
		}
	}
	if typ == nil {
		report(0, fmt.Sprintf("the document is of an unknown type %q", info.Type))
		return 0, nil
	}
	snaps, err := store.Snapshots(ctx, id)
	if err != nil {
		return 0, err
	}
	doc, err := typ.Create(nil)
	if err != nil {
		return 0, err
	}
	compare := func(rev Revision) error {
		for len(snaps) > 0 && snaps[0] <= rev {
			snap, err := store.Snapshot(ctx, id, snaps[0])
			if err != nil {
				return err
			}
			if snap.Rev != rev || !bytes.Equal(snap.Data, typ.MarshalDoc(nil, doc)) {
				report(snaps[0], "the snapshot differs from what the records make")
			}
			snaps = snaps[1:]
		}
		return nil
	}
	last := map[string]uint64{}
	rev := Revision(0)
	for rev < info.Head {
		recs, err := store.Read(ctx, id, rev, info.Head)
		if err != nil {
			return int(rev), err
		}
		for i := range recs {
			if err := compare(rev); err != nil {
				return int(rev), err
			}
			r := &recs[i]
			if r.Seq > 0 && r.Seq <= last[r.Client] {
				report(rev, fmt.Sprintf("client %q has seq %d after %d: an operation is there twice", r.Client, r.Seq, last[r.Client]))
			}
			last[r.Client] = max(last[r.Client], r.Seq)
			op, err := typ.UnmarshalOp(r.Op)
			if err == nil {
				doc, err = typ.Apply(doc, op)
			}
			if err != nil {
				report(rev, fmt.Sprintf("the record cannot be applied: %v", err))
				return int(rev), nil
			}
			rev++
		}
	}
	return int(rev), compare(rev)
}
