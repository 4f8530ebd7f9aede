package sharedb

import (
	"quire/ot"
	"quire/web/sharedb/wire"
)

// A Dialect is how ShareDB's clients speak of documents of one ot.Type: by which names,
// and in which JSON. It is stateless and safe for concurrent use. Byte slices handed in
// are not kept.
type Dialect interface {
	// URI is the type's name in messages to clients.
	URI() string
	// Names are its other names, which create.type may have as well.
	Names() []string
	// Type is the type that documents are stored as.
	Type() ot.Type
	// Side is where a client's operation stands, in Type, to those committed before it:
	// what the client's type does with "left".
	Side() ot.Side

	// Create returns the document of a create's data; nil when the create has none.
	// It fails with ot.ErrSyntax or ot.ErrLimit.
	Create(data []byte) (ot.Doc, error)
	// AppendDoc appends a document as it is in snapshots and in creates.
	AppendDoc(dst []byte, d ot.Doc) []byte

	// NeedsDoc reports whether what an operation says depends on the document that it
	// was made on. If not, the document given below may be nil.
	NeedsDoc() bool
	// DecodeOp reads an operation that was made on d, in any form that clients send. It
	// fails with ot.ErrSyntax, ot.ErrLimit or ot.ErrMismatch.
	DecodeOp(d ot.Doc, data []byte, lim ot.Limits) (ot.Op, error)
	// AppendOp appends an operation that was made on d. It fails when it was not.
	AppendOp(dst []byte, d ot.Doc, op ot.Op) ([]byte, error)
}

// A PresenceDialect is a Dialect whose clients have presences in documents.
type PresenceDialect interface {
	Dialect
	// Cursor returns where in a document a presence is, whose JSON is given. It fails when
	// that cannot be told.
	Cursor(presence []byte) (ot.Cursor, error)
	// AppendPresence appends a presence with its cursor replaced; the rest of it stays as
	// it is.
	AppendPresence(dst, presence []byte, c ot.Cursor) []byte
}

// DefaultType is the URI of json0, the type that snapshots need not name.
const DefaultType = "http://sharejs.org/types/JSONv0"

// dialects finds Dialects.
type dialects struct {
	named  map[string]Dialect // by URI and other names: for creating
	stored map[string]Dialect // by the name of the type as stored
}

// newDialects makes the tables. Of two dialects with one name the first counts.
func newDialects(list []Dialect) dialects {
	d := dialects{named: map[string]Dialect{}, stored: map[string]Dialect{}}
	for _, x := range list {
		if d.stored[x.Type().Name()] == nil {
			d.stored[x.Type().Name()] = x
		}
		for _, name := range append([]string{x.URI()}, x.Names()...) {
			if d.named[name] == nil {
				d.named[name] = x
			}
		}
	}
	return d
}

// of returns the dialect of documents of type t.
func (d dialects) of(t ot.Type) (Dialect, error) {
	if x := d.stored[t.Name()]; x != nil {
		return x, nil
	}
	return nil, wire.Errorf(codeType, "Unknown type")
}
