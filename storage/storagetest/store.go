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
	// PutSnapshot keeps a snapshot at a revision in [0, head]; one that is there
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
	// Rename gives a document another id; its records, snapshots, notes, sequence numbers and
	// incarnation stay. ErrNotFound; ErrExists when the other id is taken. Durable on return.
	Rename(ctx context.Context, from, to string) error
	// At returns the newest revision whose record was committed at or before a time in
	// Unix milliseconds, Unborn (-1) when the document was created later, ErrTrimmed when
	// it would be below Info.Oldest of a trimmed document. Times of records never go back. It costs a few reads,
	// however long the past is.
	At(ctx context.Context, id string, time int64) (storage.Revision, error)
	// Notes returns the notes of a document, or of the store as a whole when id is "", whose keys
	// begin with prefix, in byte order, after the key after, at most limit (1 or more). ErrNotFound when there is no such document.
	Notes(ctx context.Context, id, prefix, after string, limit int) ([]storage.Note, error)
	// SetNotes writes notes, and removes those whose Value is nil, all or none; incarnation
	// is not looked at when id is "". They go with the document when it is removed. Durable on return. Together at most
	// storage.MaxAppend bytes.
	SetNotes(ctx context.Context, id string, incarnation uint64, notes []storage.Note) error
	// Trim drops the records below oldest, which becomes Info.Oldest and at which there has to be
	// a snapshot (ErrInvalid otherwise), and the snapshots below it except those at keep. Reading dropped
	// records is ErrTrimmed from then on; snapshots at keep are found as before. PutSnapshot never thins the one
	// at Oldest nor those below it, and putting one below is ErrTrimmed. Clients' sequence numbers stay. ErrInvalid also
	// when oldest is below Info.Oldest, past the head or negative. Durable on return.
	Trim(ctx context.Context, id string, incarnation uint64, oldest storage.Revision, keep []storage.Revision) error
	// Rewrite replaces records and snapshots in place: record is called for each record there is, in order, then
	// snapshot for each snapshot; they return what to keep instead. Kind, Type, Seq, Client and Time of a record,
	// Rev and Type of a snapshot must stay (ErrInvalid); an error of record or snapshot is returned, and nothing was
	// changed then. A call of Read or Snapshot sees all of it or nothing, but not one call as the last. It fails with *storage.ConflictError, and may be
	// tried again, when the document was appended to, trimmed or given a snapshot meanwhile. Durable on return; the old bytes may stay in unused
	// pages of the file until it is compacted.
	Rewrite(ctx context.Context, id string, incarnation uint64,
		record func(rev storage.Revision, r storage.Record) (storage.Record, error),
		snapshot func(s storage.Snapshot) (storage.Snapshot, error)) error
	// Close flushes and releases everything. Calls under way finish or return
	// ErrClosed; later calls return ErrClosed. Closing twice is not an error.
	Close() error
}
