package session

import (
	"sync"
	"time"

	"quire/ot"
)

// Item is one step of a Batch: one committed operation, or several of others
// composed into one.
type Item struct {
	// N is how many revisions the item takes the document on by; at least 1.
	N int
	// Client and Seq name the operation when N is 1 and it has an author's
	// sequence number; empty and 0 otherwise.
	Client string
	Seq    uint64
	// Author and Time, in Unix milliseconds, are those of the operation's record when N
	// is 1; empty and 0 otherwise.
	Author string
	Time   int64
	// Op is the operation in the document's type, or a Creation or a Deletion, which is
	// the only item of its batch.
	Op ot.Op
}

// Batch is a stretch [From, To) of a document's committed operations as a reader
// gets it. Batches are immutable and shared by all readers.
type Batch struct {
	Doc      string
	From, To Revision
	Items    []Item
	// Received is when the oldest submission in it arrived; zero for a catch-up.
	Received time.Time

	typ ot.Type
	shared
}

// Type returns the type of the content that the batch is about; nil for a Creation.
func (b *Batch) Type() ot.Type { return b.typ }

// AppendOp appends the JSON wire form of item i's operation.
func (b *Batch) AppendOp(dst []byte, i int) []byte { return b.typ.AppendOp(dst, b.Items[i].Op) }

// shared keeps what protocols make of an immutable value that many readers get,
// so that each protocol encodes it once for everybody.
type shared struct {
	mu   sync.Mutex
	keys []any
	vals []any
}

// Shared returns what build returned for this key the first time. It is safe for
// concurrent use; build runs at most once per key.
func (c *shared) Shared(key any, build func() any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, k := range c.keys {
		if k == key {
			return c.vals[i]
		}
	}
	v := build()
	c.keys, c.vals = append(c.keys, key), append(c.vals, v)
	return v
}

// Presence is news of who is here, as of revision Rev. Immutable and shared.
type Presence struct {
	Doc string
	Rev Revision
	// Full means that whoever is not in Set is not here.
	Full bool
	// Set holds new and changed entries, whole, in the order of their change.
	Set []PresenceEntry
	// Gone names clients that left.
	Gone []string

	shared
}

// User is how a person is shown to others.
type User struct {
	// Author is recorded as the author of their operations. Name is when it is empty.
	Author string
	// Namespace is whose people Author is one of, since others may have one of that name: rates of
	// authors are apart. It is neither recorded nor shown. Empty: of no namespace.
	Namespace string
	// Name is what others see; may be empty.
	Name string
	// Color is "#rrggbb" or empty.
	Color string
}

// author returns who is recorded with their operations.
func (u User) author() string {
	if u.Author != "" {
		return u.Author
	}
	return u.Name
}

// PresenceEntry is one client's presence.
type PresenceEntry struct {
	Client string
	User   User
	// Cursor is the JSON wire form of the type's cursor, nil when there is none.
	Cursor []byte
}

// Check is a document's checksum at a revision.
type Check struct {
	Rev Revision
	Sum uint32
}

// Rejection hands a submission back: nothing of it was applied.
type Rejection struct {
	// Seq is the first sequence number of the submission.
	Seq uint64
	Err *Error
}

// Ack tells of a submission that had been committed before.
type Ack struct {
	Seq uint64
	// Rev is the revision after its last operation.
	Rev Revision
}

// Delivery is everything a reader has not had yet, in the order it is to be told.
type Delivery struct {
	// Batches lead from the reader's position on, without a gap.
	Batches []*Batch
	// Presence is news as of the revision reached; nil when there is none.
	Presence *Presence
	// Check answers Subscription.Check; nil when not asked.
	Check *Check
	// Rejections and Acks answer submissions.
	Rejections []Rejection
	Acks       []Ack
	// Errs are refusals that have no submission (of a presence).
	Errs []*Error
	// StatusChanged says that Saved has news: false while the store fails.
	StatusChanged, Saved bool
	// More says that there is more already: call Take again.
	More bool
	// Closed is why the session ended this subscription; nil while it lives.
	Closed *Error
	// Done is to be called once what is delivered has left, since there is a bound on how much may be on
	// its way; nil when nothing is counted.
	Done func()
}
