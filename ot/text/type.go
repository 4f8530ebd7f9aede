package text

import (
	"fmt"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/ot/units"
)

// Type is plain text as an ot.Type, with positions in UTF-16 units. Its operations
// are Op, its cursors Cursor; the rest is Common.
type Type struct{ Common[Op, Cursor] }

var _ ot.Packer = Type{}

// Name returns "text".
func (Type) Name() string { return "text" }

// DecodeOp is the function Decode.
func (Type) DecodeOp(data []byte, lim ot.Limits) (ot.Op, error) {
	return boxed[Op](Decode(data, lim))
}

// AppendOp is Op.AppendJSON.
func (Type) AppendOp(dst []byte, op ot.Op) []byte { return op.(Op).AppendJSON(dst) }

// Operation is a kind of operation on a Doc: Op, or one that counts in another unit.
type Operation interface {
	~[]Component
	// Unit returns what the lengths in every operation of this kind count.
	Unit() units.Unit
}

// Common is what types of plain text have in common: everything of an ot.Type but its
// name and the JSON form of operations. Documents are *Doc, operations O, cursors C (a
// nil ot.Cursor counts as empty), both in the unit of O; its methods panic when handed
// values of another type. The checksum is over the UTF-8 of the text.
type Common[O Operation, C ~[][2]int] struct{}

// Apply returns the document after op, as Doc.Apply does.
func (Common[O, C]) Apply(d ot.Doc, op ot.Op) (ot.Doc, error) {
	o := op.(O)
	after, err := d.(*Doc).apply(o.Unit(), Op(o))
	if err != nil {
		return nil, err
	}
	return after, nil
}

// Identity returns the empty operation.
func (Common[O, C]) Identity() ot.Op { return O(nil) }

// IsIdentity reports whether op is the empty operation.
func (Common[O, C]) IsIdentity(op ot.Op) bool { return len(op.(O)) == 0 }

// Compose composes as the function Compose does.
func (Common[O, C]) Compose(a, b ot.Op) (ot.Op, error) {
	o := a.(O)
	return boxed[O](compose(o.Unit(), Op(o), Op(b.(O))))
}

// ComposeAll composes as the function ComposeAll does.
func (Common[O, C]) ComposeAll(ops []ot.Op) (ot.Op, error) {
	var o O
	return boxed[O](composeAll(o.Unit(), typed[O](make([]Op, 0, len(ops)), ops)))
}

// ComposeStored composes as the function ComposeStored does.
func (Common[O, C]) ComposeStored(ops [][]byte) (ot.Op, error) {
	var o O
	return boxed[O](composeStored(o.Unit(), ops))
}

// Transform is the function Transform.
func (Common[O, C]) Transform(op, over ot.Op, side ot.Side) (ot.Op, error) {
	return boxed[O](Transform(Op(op.(O)), Op(over.(O)), side))
}

// TransformAll is the function TransformAll.
func (Common[O, C]) TransformAll(op ot.Op, over []ot.Op, side ot.Side) (ot.Op, error) {
	var few [64]Op
	return boxed[O](TransformAll(Op(op.(O)), typed[O](few[:0], over), side))
}

// Invert inverts as the function Invert does.
func (Common[O, C]) Invert(d ot.Doc, op ot.Op) (ot.Op, error) {
	o := op.(O)
	return boxed[O](invert(o.Unit(), d.(*Doc), Op(o)))
}

// TransformCursor is Cursor.Transform.
func (Common[O, C]) TransformCursor(c ot.Cursor, op ot.Op, side ot.Side) ot.Cursor {
	return C(cursor[C](c).Transform(Op(op.(O)), side))
}

// CheckCursor checks as Cursor.Check does.
func (Common[O, C]) CheckCursor(d ot.Doc, c ot.Cursor) error {
	var o O
	return cursor[C](c).check(o.Unit(), d.(*Doc))
}

// UnmarshalOp reads what MarshalOp writes. Damaged data fails with ot.ErrSyntax or
// ot.ErrLimit or gives some canonical operation.
func (Common[O, C]) UnmarshalOp(data []byte) (ot.Op, error) {
	var o O
	return boxed[O](unmarshal(o.Unit(), data))
}

// MarshalOp is Op.AppendBinary.
func (Common[O, C]) MarshalOp(dst []byte, op ot.Op) []byte { return Op(op.(O)).AppendBinary(dst) }

// Create returns the document that content, a JSON string, holds, or the empty
// document when content is nil. It fails with ot.ErrSyntax.
func (Common[O, C]) Create(content []byte) (ot.Doc, error) {
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
func (Common[O, C]) AppendDoc(dst []byte, d ot.Doc) []byte {
	dst = append(dst, '"')
	for leaf := range d.(*Doc).Leaves() {
		dst = jsonscan.AppendEscaped(dst, leaf)
	}
	return append(dst, '"')
}

// UnmarshalDoc returns the document whose text in UTF-8 is data. It fails with
// ot.ErrSyntax when data is not valid UTF-8.
func (Common[O, C]) UnmarshalDoc(data []byte) (ot.Doc, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: text of invalid UTF-8", ot.ErrSyntax)
	}
	return &Doc{grow(appendLeaves(nil, data))}, nil
}

// MarshalDoc appends the text of d in UTF-8.
func (Common[O, C]) MarshalDoc(dst []byte, d ot.Doc) []byte { return d.(*Doc).Append(dst) }

// Size is Doc.Size.
func (Common[O, C]) Size(d ot.Doc) int { return d.(*Doc).Size() }

// Checksum is Doc.Checksum.
func (Common[O, C]) Checksum(d ot.Doc) uint32 { return d.(*Doc).Checksum() }

// DecodeCursor is the function DecodeCursor.
func (Common[O, C]) DecodeCursor(data []byte, lim ot.Limits) (ot.Cursor, error) {
	c, err := DecodeCursor(data, lim)
	if err != nil {
		return nil, err
	}
	return C(c), nil
}

// AppendCursor is Cursor.AppendJSON.
func (Common[O, C]) AppendCursor(dst []byte, c ot.Cursor) []byte { return cursor[C](c).AppendJSON(dst) }

// Cost returns the number of components of op.
func (Common[O, C]) Cost(op ot.Op) int { return len(op.(O)) }

// boxed turns a typed result into an untyped one that is nil on an error.
func boxed[O Operation](op Op, err error) (ot.Op, error) {
	if err != nil {
		return nil, err
	}
	return O(op), nil
}

// typed appends untyped operations to dst.
func typed[O Operation](dst []Op, ops []ot.Op) []Op {
	for _, op := range ops {
		dst = append(dst, Op(op.(O)))
	}
	return dst
}

func cursor[C ~[][2]int](c ot.Cursor) Cursor {
	if c == nil {
		return nil
	}
	return Cursor(c.(C))
}
