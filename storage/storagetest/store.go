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
	// Create makes a document at revision 0 and returns its Info, or ErrExists.
	// first, whose kind is storage.Create (ErrInvalid otherwise), becomes its record
	// -1: it has the type, the content to begin with and the time of the creation.
	// Durable on return.
	Create(ctx context.Context, id string, first storage.Record) (storage.Info, error)
	// Stat returns what is known of a document, or ErrNotFound.
	Stat(ctx context.Context, id string) (storage.Info, error)
	// Append writes records [base, base+len(recs)) of a document and advances its
	// head by as many, in one transaction, and returns when they are synced. They
	// may be of any kind; Info.Type and Info.Born follow at once.
	// It fails with *storage.ConflictError when base is not the head, with
	// ErrNotFound when there is no such document or its incarnation is another,
	// with ErrUnknown when it cannot tell. No records, or more than
	// storage.MaxAppend bytes of operations, is ErrInvalid, and so is what
	// storage.CheckRecord refuses.
	Append(ctx context.Context, id string, incarnation uint64, base storage.Revision, recs []storage.Record) error
	// Read returns records [from, to) of a document in order, of which the first
	// that there is, with the initial content, is -1. They are at least one, and
	// as many as fit a bounded piece (about 4 MiB), so that no transaction stays
	// open for long; the caller asks again from where it ended. to past the head
	// is ErrInvalid, and so is from < -1 or from >= to.
	Read(ctx context.Context, id string, from, to storage.Revision) ([]storage.Record, error)
	// Snapshot returns the newest snapshot at or below revision at, or ErrNotFound
	// when the document or such a snapshot is missing.
	Snapshot(ctx context.Context, id string, at storage.Revision) (storage.Snapshot, error)
	// PutSnapshot keeps a snapshot at a revision in [1, head]; one that is there
	// already is replaced. Its type must be the document's at that revision, "" where
	// it was deleted; that is not verified. Durable on return. Of the older ones
	// those go that storage.Thin names. ErrNotFound when the incarnation is another.
	PutSnapshot(ctx context.Context, id string, incarnation uint64, s storage.Snapshot) error
	// Snapshots returns the revisions that a document has snapshots at, ascending,
	// or ErrNotFound when there is no such document.
	Snapshots(ctx context.Context, id string) ([]storage.Revision, error)
	// LastSeq returns the highest Seq that a client has in a document's records,
	// record -1 included, and the revision after that record; 0, 0 when it has none.
	LastSeq(ctx context.Context, id, client string) (seq uint64, rev storage.Revision, err error)
	// List returns documents in byte order of their ids: those that begin with
	// prefix and come after the id after (exclusive; "" is from the start), at
	// most limit, which is 1 or more (ErrInvalid).
	List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error)
	// Delete removes a document with its records, snapshots and sequence numbers,
	// or returns ErrNotFound. Durable on return. Creating it again starts at
	// revision 0 with another incarnation. (A record of kind storage.Delete is
	// something else: it keeps all of that.)
	Delete(ctx context.Context, id string) error
	// Close flushes and releases everything. Calls under way finish or return
	// ErrClosed; later calls return ErrClosed. Closing twice is not an error.
	Close() error
}
