package session

import (
	"context"
	"sync"
	"weak"

	"quire/ot"
)

// OpenRequest asks for a place in a document.
type OpenRequest struct {
	// Doc is the document's id.
	Doc string
	// Convention says how the reader submits and reads.
	Convention Convention
	// Client is the editing instance; empty for one that only reads.
	Client string
	// Order ranks the openings of one client, by when their connections were made: one with
	// a lower order that comes late, from a connection that the client has left, is
	// refused with CodeReplaced. Of one with the same order, or a higher one, the last replaces the others.
	Order uint64
	// Create names the type to create the document with when it is not there;
	// empty to open existing documents only.
	Create string
	// User is how the person is shown, and recorded as the author.
	User User
	// Resume continues at revision Rev of incarnation Incarnation, with Seq the
	// highest own sequence number known to be committed. Versioned readers give Rev
	// alone.
	Resume      bool
	Incarnation uint64
	Rev         Revision
	Seq         uint64
	// Notify is called, from any goroutine and perhaps with locks held, whenever
	// there may be something to Take. It must not block or call back. Required.
	Notify func()
}

// Convention is how a client of a protocol uses revisions, sequence numbers and sides.
type Convention uint8

const (
	// Sequenced is quire.v1's: sequence numbers without gaps, one submission at a time,
	// bases that were sent to this reader, its own operations on the Right. A reader
	// far behind is given composites. Its place ends when the document is deleted.
	Sequenced Convention = iota
	// Versioned is ShareDB's: sequence numbers that grow, bases at any revision, each
	// operation on the side that it says. The reader is given every operation by itself.
	// It may open a document that is not there, stays when it is deleted, and a client
	// may have it open more than once.
	Versioned
)

// Opened is the state a reader starts from.
type Opened struct {
	// Type is the name of the type of the content at Head; empty when there is none.
	Type string
	// Incarnation tells this content from earlier ones of the same name.
	Incarnation uint64
	// Rev is where the reader's deliveries start; Head is the newest revision now.
	Rev, Head Revision
	// Seq is the client's highest committed sequence number.
	Seq uint64

	typ  ot.Type
	doc  ot.Doc
	copy *contentCopy // of doc; nil without
}

// contentCopy is what readers have of a document's content at one revision, the same for all of them who come while one
// has it.
type contentCopy struct {
	doc ot.Doc
	shared

	turn chan struct{} // has a place for whoever changes what follows
	refs int           // who holds it
	left func()        // gives back what is counted for it
}

// copyOf returns the copy of the content as it is now. Called with the lock held.
func (s *Session) copyOf() *contentCopy {
	c := s.copied.Value()
	if c == nil || c.doc != s.at.doc {
		c = &contentCopy{doc: s.at.doc, turn: make(chan struct{}, 1)}
		s.copied = weak.Make(c)
	}
	return c
}

// Shared returns what build returned for this key the first time one who reads the same content asked, while that is
// held. It is safe for concurrent use. There has to be content.
func (o *Opened) Shared(key any, build func() any) any { return o.copy.Shared(key, build) }

// Hold waits until a copy of the content, which is as large as bytes say, may be made, and returns how to say that it
// has left this reader. It is counted, and what Shared returns kept, once for all who hold it at one time.
func (o *Opened) Hold(ctx context.Context, m *Manager, bytes int) (done func(), err error) {
	c := o.copy
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, Errorf(CodeUnavailable, "too much is on its way to others")
	}
	defer func() { <-c.turn }()
	if c.refs == 0 {
		if c.left, err = m.Leave(ctx, bytes); err != nil {
			return nil, err
		}
	}
	c.refs++
	return sync.OnceFunc(func() {
		c.turn <- struct{}{}
		if c.refs--; c.refs == 0 {
			c.left()
		}
		<-c.turn
	}), nil
}

// AppendContent appends the document at Rev in JSON wire form. It is not there when
// the reader resumed.
func (o *Opened) AppendContent(dst []byte) []byte { return o.typ.AppendDoc(dst, o.doc) }

// Size returns the document's size in bytes, 0 when the reader resumed.
func (o *Opened) Size() int {
	if o.doc == nil {
		return 0
	}
	return o.typ.Size(o.doc)
}

// Doc returns the content at Rev and its type; nil when there is none, or the reader
// resumed before Head.
func (o *Opened) Doc() (ot.Type, ot.Doc) {
	if o.doc == nil {
		return nil, nil
	}
	return o.typ, o.doc
}

// Checksum returns the checksum of the document at Rev.
func (o *Opened) Checksum() uint32 { return o.typ.Checksum(o.doc) }
