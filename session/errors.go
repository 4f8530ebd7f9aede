package session

import (
	"errors"
	"fmt"

	"quire/storage"
)

// Code is a stable name of what went wrong. The codes go over the wire as they
// are; docs/protocol.md section 7 lists those of quire.v1 for clients.
type Code string

// The codes, by moment.
const (
	// Opening.
	CodeBadID       Code = "bad_id"       // a document or client id that is not allowed
	CodeBadType     Code = "bad_type"     // an unknown document type
	CodeNotFound    Code = "not_found"    // no such document
	CodeExists      Code = "exists"       // a document of that name is there already
	CodeIncarnation Code = "incarnation"  // the document was deleted and created again
	CodeFuture      Code = "future"       // a revision past what there is
	CodeMismatch    Code = "mismatch"     // the client's seq is not what the document holds
	CodeUnavailable Code = "unavailable"  // the document could not be read now
	CodeBusy        Code = "busy"         // the server is too busy or is stopping
	CodeTooMany     Code = "too_many"     // too many documents on one connection
	CodeNotOpen     Code = "not_open"     // the document is not open here
	CodeAlreadyOpen Code = "already_open" // it is, by another client id
	CodeGone        Code = "gone"         // a revision older than what is kept
	CodeMoved       Code = "moved"        // the document has another id now; the message is it

	// Rights.
	CodeUnauthenticated Code = "unauthenticated" // say who you are: no credential, or it ran out or was withdrawn
	CodeForbidden       Code = "forbidden"       // you may not do this with the document
	CodeRate            Code = "rate"            // more a second than a limit; the message names it

	// Submitting.
	CodeBadOp     Code = "bad_op"     // not canonical, or does not fit the document
	CodeBadCursor Code = "bad_cursor" // malformed or outside the document
	CodeSeq       Code = "seq"        // not the next sequence number
	CodeInFlight  Code = "in_flight"  // overtakes the client's own submission
	CodeStale     Code = "stale"      // the base is too old to transform over
	CodeTooLarge  Code = "too_large"  // a limit would be passed; the message names it
	CodeReused    Code = "reused"     // the idempotency key was used for another request

	// While open.
	CodeReplaced Code = "replaced" // the client id opened the document elsewhere
	CodeDeleted  Code = "deleted"  // the document was deleted
	CodeInternal Code = "internal" // something failed; details are in the log only

	// Messages.
	CodeBadMessage Code = "bad_message" // not a message of the protocol
)

// Class says what a client does about an error.
type Class string

const (
	// Retry: send the same again after a moment.
	Retry Class = "retry"
	// Resync: open the document again, keeping what is pending, and resend it.
	Resync Class = "resync"
	// Fatal: the request will never succeed.
	Fatal Class = "fatal"
)

// Class returns what a client does about an error of this code.
func (c Code) Class() Class {
	switch c {
	case CodeUnavailable, CodeBusy, CodeRate:
		return Retry
	case CodeInFlight, CodeStale, CodeInternal:
		return Resync
	}
	return Fatal
}

// Error is a refusal with a stable code and a message for people, which holds
// the numbers and nothing internal.
type Error struct {
	Code    Code
	Message string
}

// Error returns the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// AsError turns any error into one that may be shown to a client: an *Error as it
// is, storage's sentinels by their meaning, anything else as "internal".
func AsError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, storage.ErrNotFound):
		return Errorf(CodeNotFound, "no such document")
	case errors.Is(err, storage.ErrExists):
		return Errorf(CodeExists, "a document of that name exists")
	case errors.Is(err, storage.ErrInvalid):
		return Errorf(CodeBadID, "that name is not allowed")
	}
	return Errorf(CodeInternal, "the server failed; its log says why")
}
