package session

import (
	"context"

	"quire/storage"
)

// Store is what a session needs of a storage driver. The contract of each method
// (ranges, errors, durability, ownership of slices) is written on
// storagetest.Store, and storagetest.Run checks drivers against it. In short:
// Append is a durable compare-and-swap on the head, Read returns [from, to) in
// bounded pieces, and "not found" is never used for "could not read".
type Store interface {
	Create(ctx context.Context, id string, first storage.Record) (storage.Info, error)
	Stat(ctx context.Context, id string) (storage.Info, error)
	Append(ctx context.Context, id string, incarnation uint64, base storage.Revision, recs []storage.Record) error
	Read(ctx context.Context, id string, from, to storage.Revision) ([]storage.Record, error)
	Snapshot(ctx context.Context, id string, at storage.Revision) (storage.Snapshot, error)
	PutSnapshot(ctx context.Context, id string, incarnation uint64, s storage.Snapshot) error
	Snapshots(ctx context.Context, id string) ([]storage.Revision, error)
	LastSeq(ctx context.Context, id, client string) (seq uint64, rev storage.Revision, err error)
	List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error)
	Delete(ctx context.Context, id string) error
	Rename(ctx context.Context, from, to string) error
	At(ctx context.Context, id string, time int64) (storage.Revision, error)
	Notes(ctx context.Context, id, prefix, after string, limit int) ([]storage.Note, error)
	SetNotes(ctx context.Context, id string, incarnation uint64, notes []storage.Note) error
	Trim(ctx context.Context, id string, incarnation uint64, oldest storage.Revision, keep []storage.Revision) error
	Rewrite(ctx context.Context, id string, incarnation uint64,
		record func(rev storage.Revision, r storage.Record) (storage.Record, error),
		snapshot func(s storage.Snapshot) (storage.Snapshot, error)) error
}

// Revision counts the operations applied to a document; see storage.Revision.
type Revision = storage.Revision

// Info is what is known of a document without its content; see storage.Info.
type Info = storage.Info
