package json0

import (
	"quire/ot"
	"quire/ot/jsonvalue"
)

// Type is json0 as an ot.Type. Its documents are *Doc, its operations Op, its cursors
// Cursor (a nil ot.Cursor counts as empty); its methods panic when handed values of
// another type. The checksum is over the content in the form of RFC 8785, which is also
// both the JSON form and the binary form of a document; the binary form of an operation
// is its JSON form.
//
// Compose merges components as the reference does, so how a composite is written may
// depend on how its parts were grouped; what it does never does. Compose(Identity(), op)
// merges the components of op.
type Type struct{}

var _ ot.Pairwise = Type{}

// Name returns "json0".
func (Type) Name() string { return "json0" }

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
	list := make([]Op, len(ops))
	for i, op := range ops {
		list[i] = op.(Op)
	}
	return boxed(ComposeAll(list))
}

// ComposeStored is ComposeAll of operations in binary form.
func (t Type) ComposeStored(stored [][]byte) (ot.Op, error) {
	ops, err := ot.UnmarshalAll(t, stored)
	if err != nil {
		return nil, err
	}
	return t.ComposeAll(ops)
}

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

// TransformCursor is Cursor.Transform.
func (Type) TransformCursor(c ot.Cursor, op ot.Op, _ ot.Side) ot.Cursor {
	return cursor(c).Transform(op.(Op))
}

// CheckCursor is Cursor.Check.
func (Type) CheckCursor(d ot.Doc, c ot.Cursor) error { return cursor(c).Check(d.(*Doc)) }

// DecodeOp is the function Decode.
func (Type) DecodeOp(data []byte, lim ot.Limits) (ot.Op, error) { return boxed(Decode(data, lim)) }

// AppendOp is Op.AppendJSON.
func (Type) AppendOp(dst []byte, op ot.Op) []byte { return op.(Op).AppendJSON(dst) }

// UnmarshalOp reads the binary form, which is the JSON form.
func (Type) UnmarshalOp(data []byte) (ot.Op, error) {
	return boxed(Decode(data, ot.Limits{MaxComponents: len(data) + 1}))
}

// MarshalOp appends the binary form, which is the JSON form.
func (Type) MarshalOp(dst []byte, op ot.Op) []byte { return op.(Op).AppendJSON(dst) }

// Create returns the document with content, any JSON value that jsonvalue.Parse accepts,
// or null when content is nil.
func (Type) Create(content []byte) (ot.Doc, error) {
	if content == nil {
		return &Doc{}, nil
	}
	return parseDoc(content)
}

func parseDoc(data []byte) (ot.Doc, error) {
	v, err := jsonvalue.Parse(data, jsonvalue.DefaultDepth)
	if err != nil {
		return nil, err
	}
	return &Doc{value: v}, nil
}

// AppendDoc appends the content of d.
func (Type) AppendDoc(dst []byte, d ot.Doc) []byte { return jsonvalue.Append(dst, d.(*Doc).value) }

// UnmarshalDoc reads the binary form, which is the content, as Create does.
func (Type) UnmarshalDoc(data []byte) (ot.Doc, error) { return parseDoc(data) }

// MarshalDoc appends the content of d.
func (Type) MarshalDoc(dst []byte, d ot.Doc) []byte { return jsonvalue.Append(dst, d.(*Doc).value) }

// Size returns the length of the content in bytes. It takes O(1) for lists and objects.
func (Type) Size(d ot.Doc) int { return jsonvalue.Size(d.(*Doc).value) }

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

// Weight implements ot.Weighty. A list of small numbers is the most.
func (Type) Weight() int { return 13 }

// Cost returns the number of components of op, those of text0 operations in it counted
// one by one, and more for what it deletes, which is changed with every edit inside.
func (Type) Cost(op ot.Op) int {
	n := 0
	for _, c := range op.(Op) {
		n += c.cost()
		if c.has(LD | OD) {
			n += jsonvalue.Size(c.Deleted) / 64
		}
	}
	return n
}

// Pairwise says that Transform takes time in proportion to the product of the costs.
func (Type) Pairwise() {}

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
