// Package storage defines what is kept of a document: a gapless log of opaque
// records, snapshots at revisions, and metadata. It knows no algorithm: what is
// inside a record or a snapshot is the session's business.
//
// Drivers live in sub-packages (bolt, mem) and all pass storagetest.Run. The
// interface they satisfy is declared where it is consumed, as session.Store;
// its contract is repeated on storagetest.Store.
package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"unicode"
)

// Revision counts the records of a document after its first: a new document is
// at revision 0, and the record that leads from revision r to r+1 is record r.
// Record -1 is the one that the document was created with: it leads to revision
// 0. Ranges are half open: [from, to).
type Revision int64

// Kind says what a record does.
type Kind uint8

// The kinds of records. Whether one makes sense after the one before is the
// session's business; here they may follow each other in any order.
const (
	// Edit changes the content by an operation.
	Edit Kind = iota
	// Create gives the document a type and content. Record -1 is one; a later one
	// follows a Delete.
	Create
	// Delete leaves the document there, with its history, but without a type and
	// content.
	Delete
)

// Record is one committed step of a document as it is kept.
type Record struct {
	// Kind says what the record does.
	Kind Kind
	// Type is, of a Create, the name of the ot.Type that the document has from here
	// on, of 1 to MaxType bytes; of any other record it is empty.
	Type string
	// Op is the operation of an Edit or the initial content of a Create, in its
	// type's binary form; opaque here; may be empty. Of a Delete it is empty.
	Op []byte
	// Author is the person, at most MaxName bytes; may be empty.
	Author string
	// Client is the editing instance, at most MaxName bytes; may be empty.
	Client string
	// Seq is the client's counter, 1 or more; 0 when the record is not to be
	// de-duplicated. Within one client's records Seq grows strictly.
	Seq uint64
	// Time is the wall time of the commit in Unix milliseconds.
	Time int64
}

// Limits every driver enforces, with ErrInvalid.
const (
	// MaxDocID is the longest document id in bytes; ids are non-empty.
	MaxDocID = 512
	// MaxName is the longest author or client name in bytes.
	MaxName = 255
	// MaxType is the longest type name in bytes.
	MaxType = 255
	// MaxRecord is the largest operation or initial content in bytes.
	MaxRecord = 64 << 20
	// MaxSnapshot is the largest snapshot in bytes.
	MaxSnapshot = 512 << 20
)

// Snapshot is a document at a revision.
type Snapshot struct {
	// Rev is the revision the content is of, 0 or more.
	Rev Revision
	// Type is the name of the content's ot.Type, at most MaxType bytes; "" of a
	// document that has no content at that revision.
	Type string
	// Data is the content in its type's binary form; empty when Type is.
	Data []byte
	// Pinned keeps it from being thinned. It stays pinned when it is replaced.
	Pinned bool
}

// Note is a small value that is kept beside a document, or beside the store as a whole.
type Note struct {
	// Key is 1 to MaxNoteKey bytes.
	Key string
	// Value is at most MaxNote bytes.
	Value []byte
}

// Limits of notes, enforced with ErrInvalid.
const (
	MaxNoteKey = 1024
	MaxNote    = 16 << 20
)

// Info is what is known of a document without reading its content.
type Info struct {
	// ID is the document's name.
	ID string
	// Type is the name of its ot.Type at the head; "" when the newest record of
	// another kind than Edit is a Delete.
	Type string
	// Incarnation tells this document from an earlier one of the same name: it
	// is chosen at random when the document is created, never 0. See Renew.
	Incarnation uint64
	// Created and Modified are the times of record -1 and of the newest record, in
	// Unix milliseconds.
	Created, Modified int64
	// Head is the newest revision.
	Head Revision
	// Oldest is the first record that is kept, -1 unless the document was trimmed: then
	// it is the revision of the snapshot that the past begins with.
	Oldest Revision
	// Born is the revision that the newest Create led to; 0 when it is record -1.
	Born Revision
}

// epochBits is how many of an incarnation's upper bits are drawn anew when a document is
// brought back from the past, by restoring a backup or repairing a file. The rest is its
// lineage.
const epochBits = 16

// Renew returns another incarnation of the same lineage.
func Renew(incarnation uint64) uint64 {
	for {
		next := uint64(rand.Uint32())<<(64-epochBits) | Lineage(incarnation)
		if next != incarnation && next != 0 {
			return next
		}
	}
}

// Lineage tells a document from others, also after it was brought back from the past: what
// was done about a document, and is not undone with it, is remembered by this.
func Lineage(incarnation uint64) uint64 { return incarnation & (1<<(64-epochBits) - 1) }

// Errors of any driver. Everything else a driver returns means "could not": the
// operation had no effect and may be tried again.
var (
	// ErrNotFound: there is no such document (or no snapshot at or below the
	// revision). Never returned for a document that could not be read.
	ErrNotFound = errors.New("storage: not found")
	// ErrExists: a document of that name is there already.
	ErrExists = errors.New("storage: document exists")
	// ErrUnknown: whether the append took effect is not known (a time-out of a
	// distributed store). The caller settles it by reading back.
	ErrUnknown = errors.New("storage: outcome unknown")
	// ErrCorrupt: what was read is damaged. The message says what and where.
	ErrCorrupt = errors.New("storage: damaged data")
	// ErrInvalid: an argument breaks a limit of this package.
	ErrInvalid = errors.New("storage: invalid argument")
	// ErrTrimmed: the record is older than what is kept of the document.
	ErrTrimmed = errors.New("storage: older than what is kept")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("storage: closed")
)

// ConflictError is a lost compare-and-swap: the document's head was not the base
// that the append named. Nothing was written.
type ConflictError struct {
	Base, Head Revision
}

// Error says both revisions.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("storage: append at base %d, head is %d", e.Base, e.Head)
}

// CheckDocID returns ErrInvalid when id cannot name a document: it is empty,
// longer than MaxDocID, or not valid UTF-8, or has a control character or a line or
// paragraph separator in it.
func CheckDocID(id string) error {
	if id == "" || len(id) > MaxDocID {
		return fmt.Errorf("%w: document id of %d bytes (1 to %d)", ErrInvalid, len(id), MaxDocID)
	}
	for _, r := range id {
		if unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || r == 0xFFFD {
			return fmt.Errorf("%w: document id holds a control character or is not UTF-8", ErrInvalid)
		}
	}
	return nil
}

// CheckRecord returns ErrInvalid when r breaks a limit of this package, is of no
// known kind, or has what its kind has not.
func CheckRecord(r *Record) error {
	switch {
	case r.Kind > Delete:
		return fmt.Errorf("%w: record of kind %d", ErrInvalid, r.Kind)
	case r.Kind == Create && CheckType(r.Type) != nil:
		return CheckType(r.Type)
	case r.Kind != Create && r.Type != "":
		return fmt.Errorf("%w: type in a record that does not create", ErrInvalid)
	case r.Kind == Delete && len(r.Op) > 0:
		return fmt.Errorf("%w: record that deletes, with %d bytes of content", ErrInvalid, len(r.Op))
	case len(r.Author) > MaxName:
		return fmt.Errorf("%w: author of %d bytes (at most %d)", ErrInvalid, len(r.Author), MaxName)
	case len(r.Client) > MaxName:
		return fmt.Errorf("%w: client of %d bytes (at most %d)", ErrInvalid, len(r.Client), MaxName)
	case len(r.Op) > MaxRecord:
		return fmt.Errorf("%w: operation of %d bytes (at most %d)", ErrInvalid, len(r.Op), MaxRecord)
	}
	return nil
}
