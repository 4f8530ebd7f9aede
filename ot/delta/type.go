package delta

import (
	"quire/ot"
	"quire/ot/text"
)

// Type is rich text as an ot.Type. Its documents are *Doc, its operations Op, its
// cursors text.Cursor (a nil ot.Cursor counts as empty); its methods panic when handed
// values of another type. The checksum is over the content in JSON as AppendDoc
// writes it.
type Type struct{}

var _ ot.Packer = Type{}

// empty is Quill's empty document: a line end.
var empty = New(Op{{Kind: Insert, N: 1, S: "\n"}})

// Name returns "delta".
func (Type) Name() string { return "delta" }

// Apply is Doc.Apply.
func (Type) Apply(d ot.Doc, op ot.Op) (ot.Doc, error) { return boxedDoc(d.(*Doc).Apply(op.(Op))) }

// Identity returns the empty operation.
func (Type) Identity() ot.Op { return Op(nil) }

// IsIdentity reports whether op is the empty operation.
func (Type) IsIdentity(op ot.Op) bool { return len(op.(Op)) == 0 }

// Compose is the function Compose.
func (Type) Compose(a, b ot.Op) (ot.Op, error) { return boxed(Compose(a.(Op), b.(Op))) }

// ComposeAll composes ops pairwise, then the results pairwise, and so on.
func (t Type) ComposeAll(ops []ot.Op) (ot.Op, error) { return ot.ComposeBalanced(t, ops) }

// ComposeStored is ot.ComposeStoredBalanced.
func (t Type) ComposeStored(ops [][]byte) (ot.Op, error) { return ot.ComposeStoredBalanced(t, ops) }

// Transform is the function Transform.
func (Type) Transform(op, over ot.Op, side ot.Side) (ot.Op, error) {
	return boxed(Transform(op.(Op), over.(Op), side))
}

// TransformAll is ot.TransformEach.
func (t Type) TransformAll(op ot.Op, over []ot.Op, side ot.Side) (ot.Op, error) {
	return ot.TransformEach(t, op, over, side)
}

// Invert is the function Invert.
func (Type) Invert(d ot.Doc, op ot.Op) (ot.Op, error) { return boxed(Invert(d.(*Doc), op.(Op))) }

// TransformCursor moves the ends of a text.Cursor as TransformPosition does.
func (Type) TransformCursor(c ot.Cursor, op ot.Op, side ot.Side) ot.Cursor {
	return transformCursor(cursor(c), op.(Op), side)
}

// CheckCursor fails with ot.ErrMismatch when c reaches outside d or into a surrogate
// pair of it.
func (Type) CheckCursor(d ot.Doc, c ot.Cursor) error {
	for _, selection := range cursor(c) {
		for _, end := range selection {
			if err := d.(*Doc).check(end); err != nil {
				return err
			}
		}
	}
	return nil
}

// DecodeOp is the function Decode.
func (Type) DecodeOp(data []byte, lim ot.Limits) (ot.Op, error) { return boxed(Decode(data, lim)) }

// AppendOp is Op.AppendJSON.
func (Type) AppendOp(dst []byte, op ot.Op) []byte { return op.(Op).AppendJSON(dst) }

// UnmarshalOp is the function Unmarshal.
func (Type) UnmarshalOp(data []byte) (ot.Op, error) { return boxed(Unmarshal(data)) }

// MarshalOp is Op.AppendBinary.
func (Type) MarshalOp(dst []byte, op ot.Op) []byte { return op.(Op).AppendBinary(dst) }

// Create returns the document with the given content, an array of components that
// Decode would accept, as many as there may be. When content is nil that is a line
// end, which Quill calls empty. It fails with ot.ErrSyntax or ot.ErrLimit.
func (Type) Create(content []byte) (ot.Doc, error) {
	if content == nil {
		return empty, nil
	}
	return document(Decode(content, ot.Limits{MaxComponents: len(content) + 1}))
}

// AppendDoc is Doc.AppendJSON.
func (Type) AppendDoc(dst []byte, d ot.Doc) []byte { return d.(*Doc).AppendJSON(dst) }

// UnmarshalDoc reads a document in its binary form, that of an operation. It fails
// with ot.ErrSyntax or ot.ErrLimit.
func (Type) UnmarshalDoc(data []byte) (ot.Doc, error) { return document(Unmarshal(data)) }

// MarshalDoc is Doc.AppendBinary.
func (Type) MarshalDoc(dst []byte, d ot.Doc) []byte { return d.(*Doc).AppendBinary(dst) }

// Size is Doc.Size.
func (Type) Size(d ot.Doc) int { return d.(*Doc).Size() }

// Checksum is Doc.Checksum.
func (Type) Checksum(d ot.Doc) uint32 { return d.(*Doc).Checksum() }

// DecodeCursor is text.DecodeCursor.
func (Type) DecodeCursor(data []byte, lim ot.Limits) (ot.Cursor, error) {
	c, err := text.DecodeCursor(data, lim)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AppendCursor is text.Cursor.AppendJSON.
func (Type) AppendCursor(dst []byte, c ot.Cursor) []byte { return cursor(c).AppendJSON(dst) }

// Weight implements ot.Weighty. Formatted runs of a few characters are the most.
func (Type) Weight() int { return 8 }

// Cost returns the number of components of op.
func (Type) Cost(op ot.Op) int { return len(op.(Op)) }

// boxed and boxedDoc turn typed results into untyped ones that are nil on an error.
func boxed(op Op, err error) (ot.Op, error) {
	if err != nil {
		return nil, err
	}
	return op, nil
}

func boxedDoc(d *Doc, err error) (ot.Doc, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

// document returns the document that an operation makes.
func document(op Op, err error) (ot.Doc, error) {
	if err != nil {
		return nil, err
	}
	return New(op), nil
}

func cursor(c ot.Cursor) text.Cursor {
	if c == nil {
		return nil
	}
	return c.(text.Cursor)
}
