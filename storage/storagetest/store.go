// Package storagetest is the one conformance suite that every storage driver
// passes, and the contract it checks.
package storagetest

import (
	"context"

	"quire/storage"
)

// Store is the contract of a storage driver. All methods are safe for concurrent
// use. Slices handed in are not kept or changed after the call returns; slices
// handed out belong to the caller. A context that has ended makes a call return
// its error promptly; an append that was already handed to the disk may still
// take effect, and then returns its own result.
type Store interface {
	// Create makes a document of a type at revision 0 and returns its Info, or
	// ErrExists. Durable on return. now is the wall time in Unix milliseconds.
	Create(ctx context.Context, id, typ string, now int64) (storage.Info, error)
	// Stat returns what is known of a document, or ErrNotFound.
	Stat(ctx context.Context, id string) (storage.Info, error)
	// Append writes records [base, base+len(recs)) of a document and advances its
	// head by as many, in one transaction, and returns when they are synced.
	// It fails with *storage.ConflictError when base is not the head, with
	// ErrNotFound when there is no such document or its incarnation is another,
	// with ErrUnknown when it cannot tell. No records, or more than
	// storage.MaxAppend bytes of operations, is ErrInvalid.
	Append(ctx context.Context, id string, incarnation uint64, base storage.Revision, recs []storage.Record) error
	// Read returns records [from, to) of a document in order: at least one, and
	// as many as fit a bounded piece (about 4 MiB), so that no transaction stays
	// open for long; the caller asks again from where it ended. to past the head
	// is ErrInvalid, and so is from < 0 or from >= to.
	Read(ctx context.Context, id string, from, to storage.Revision) ([]storage.Record, error)
	// Snapshot returns the newest snapshot at or below revision at, or ErrNotFound
	// when the document or such a snapshot is missing.
	Snapshot(ctx context.Context, id string, at storage.Revision) (storage.Snapshot, error)
	// PutSnapshot keeps a snapshot at a revision in [1, head]; one that is there
	// already is replaced. Durable on return. Of the older ones those go that
	// storage.Thin names. ErrNotFound when the incarnation is another.
	PutSnapshot(ctx context.Context, id string, incarnation uint64, s storage.Snapshot) error
	// Snapshots returns the revisions that a document has snapshots at, ascending,
	// or ErrNotFound when there is no such document.
	Snapshots(ctx context.Context, id string) ([]storage.Revision, error)
	// LastSeq returns the highest Seq that a client has in a document's records
	// and the revision after that record; 0, 0 when it has none.
	LastSeq(ctx context.Context, id, client string) (seq uint64, rev storage.Revision, err error)
	// List returns documents in byte order of their ids: those that begin with
	// prefix and come after the id after (exclusive; "" is from the start), at
	// most limit, which is 1 or more (ErrInvalid).
	List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error)
	// Delete removes a document with its records, snapshots and sequence numbers,
	// or returns ErrNotFound. Durable on return. Creating it again starts at
	// revision 0 with another incarnation.
	Delete(ctx context.Context, id string) error
	// Close flushes and releases everything. Calls under way finish or return
	// ErrClosed; later calls return ErrClosed. Closing twice is not an error.
	Close() error
}
