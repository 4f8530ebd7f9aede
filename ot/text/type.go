package text

import (
	"fmt"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/jsonscan"
)

// Type is plain text as an ot.Type. Its documents are *Doc, its operations Op,
// its cursors Cursor (a nil ot.Cursor counts as empty); its methods panic when
// handed values of another type. The checksum is over the UTF-8 of the text.
type Type struct{}

var _ ot.Type = Type{}

// Name returns "text".
func (Type) Name() string { return "text" }

// Apply is Doc.Apply.
func (Type) Apply(d ot.Doc, op ot.Op) (ot.Doc, error) {
	after, err := d.(*Doc).Apply(op.(Op))
	if err != nil {
		return nil, err
	}
	return after, nil
}

// Identity returns the empty operation.
func (Type) Identity() ot.Op { return Op(nil) }

// IsIdentity reports whether op is the empty operation.
func (Type) IsIdentity(op ot.Op) bool { return len(op.(Op)) == 0 }

// Compose is the function Compose.
func (Type) Compose(a, b ot.Op) (ot.Op, error) { return boxed(Compose(a.(Op), b.(Op))) }

// ComposeAll is the function ComposeAll.
func (Type) ComposeAll(ops []ot.Op) (ot.Op, error) {
	typed := make([]Op, len(ops))
	for i, op := range ops {
		typed[i] = op.(Op)
	}
	return boxed(ComposeAll(typed))
}

// ComposeStored is the function ComposeStored.
func (Type) ComposeStored(ops [][]byte) (ot.Op, error) { return boxed(ComposeStored(ops)) }

// Transform is the function Transform.
func (Type) Transform(op, over ot.Op, side ot.Side) (ot.Op, error) {
	return boxed(Transform(op.(Op), over.(Op), side))
}

// TransformAll is the function TransformAll.
func (Type) TransformAll(op ot.Op, over []ot.Op, side ot.Side) (ot.Op, error) {
	var few [64]Op
	typed := few[:0]
	for _, x := range over {
		typed = append(typed, x.(Op))
	}
	return boxed(TransformAll(op.(Op), typed, side))
}

// Invert is the function Invert.
func (Type) Invert(d ot.Doc, op ot.Op) (ot.Op, error) { return boxed(Invert(d.(*Doc), op.(Op))) }

// TransformCursor is Cursor.Transform.
func (Type) TransformCursor(c ot.Cursor, op ot.Op, side ot.Side) ot.Cursor {
	return cursor(c).Transform(op.(Op), side)
}

// CheckCursor is Cursor.Check.
func (Type) CheckCursor(d ot.Doc, c ot.Cursor) error { return cursor(c).Check(d.(*Doc)) }

// DecodeOp is the function Decode.
func (Type) DecodeOp(data []byte, lim ot.Limits) (ot.Op, error) { return boxed(Decode(data, lim)) }

// AppendOp is Op.AppendJSON.
func (Type) AppendOp(dst []byte, op ot.Op) []byte { return op.(Op).AppendJSON(dst) }

// UnmarshalOp is the function Unmarshal.
func (Type) UnmarshalOp(data []byte) (ot.Op, error) { return boxed(Unmarshal(data)) }

// MarshalOp is Op.AppendBinary.
func (Type) MarshalOp(dst []byte, op ot.Op) []byte { return op.(Op).AppendBinary(dst) }

// Create returns the document that content, a JSON string, holds, or the empty
// document when content is nil. It fails with ot.ErrSyntax.
func (Type) Create(content []byte) (ot.Doc, error) {
	if content == nil {
		return &Doc{}, nil
	}
	in := jsonscan.New(content)
	s, err := in.String()
	if err == nil {
		err = in.End()
	}
	if err != nil {
		return nil, err
	}
	return fromString(s), nil
}

// AppendDoc appends the text of d as a JSON string.
func (Type) AppendDoc(dst []byte, d ot.Doc) []byte {
	dst = append(dst, '"')
	for leaf := range d.(*Doc).Leaves() {
		dst = jsonscan.AppendEscaped(dst, leaf)
	}
	return append(dst, '"')
}

// UnmarshalDoc returns the document whose text in UTF-8 is data. It fails with
// ot.ErrSyntax when data is not valid UTF-8.
func (Type) UnmarshalDoc(data []byte) (ot.Doc, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: text of invalid UTF-8", ot.ErrSyntax)
	}
	return &Doc{grow(appendLeaves(nil, data))}, nil
}

// MarshalDoc appends the text of d in UTF-8.
func (Type) MarshalDoc(dst []byte, d ot.Doc) []byte { return d.(*Doc).Append(dst) }

// Size is Doc.Size.
func (Type) Size(d ot.Doc) int { return d.(*Doc).Size() }

// Checksum is Doc.Checksum.
func (Type) Checksum(d ot.Doc) uint32 { return d.(*Doc).Checksum() }

// DecodeCursor is the function DecodeCursor.
func (Type) DecodeCursor(data []byte, lim ot.Limits) (ot.Cursor, error) {
	c, err := DecodeCursor(data, lim)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AppendCursor is Cursor.AppendJSON.
func (Type) AppendCursor(dst []byte, c ot.Cursor) []byte { return cursor(c).AppendJSON(dst) }

// Cost returns the number of components of op.
func (Type) Cost(op ot.Op) int { return len(op.(Op)) }

// boxed turns a typed result into an untyped one that is nil on an error.
func boxed(op Op, err error) (ot.Op, error) {
	if err != nil {
		return nil, err
	}
	return op, nil
}

func cursor(c ot.Cursor) Cursor {
	if c == nil {
		return nil
	}
	return c.(Cursor)
}
