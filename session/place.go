package session

import "quire/ot"

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

	typ ot.Type
	doc ot.Doc
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
