package text0

import (
	"slices"

	"quire/ot"
	"quire/ot/text"
)

// Type is text0 as an ot.Type. Its documents are *text.Doc and its cursors text.Cursor,
// with all their forms, as of package text; its operations are Op. Its methods panic when
// handed values of another type.
//
// Compose merges components as the reference does, so how a composite is written may
// depend on how its parts were grouped; what it does never does. Compose(Identity(), op)
// merges the components of op.
type Type struct{ plain }

// plain is the part that documents and cursors share with plain text.
type plain = text.Type

var _ ot.Pairwise = Type{}

// Name returns "text0".
func (Type) Name() string { return "text0" }

// Apply is the function Apply.
func (Type) Apply(d ot.Doc, op ot.Op) (ot.Doc, error) {
	after, err := Apply(d.(*text.Doc), op.(Op))
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

// ComposeAll is ot.ComposeBalanced.
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

// Invert is the function Invert. It fails as Apply does when op does not fit d.
func (t Type) Invert(d ot.Doc, op ot.Op) (ot.Op, error) {
	if _, err := Apply(d.(*text.Doc), op.(Op)); err != nil {
		return nil, err
	}
	return Invert(op.(Op)), nil
}

// TransformCursor is the function TransformCursor for each end of each selection.
func (Type) TransformCursor(c ot.Cursor, op ot.Op, side ot.Side) ot.Cursor {
	typed, _ := c.(text.Cursor)
	moved := slices.Clone(typed)
	for i := range moved {
		for j := range moved[i] {
			moved[i][j] = TransformCursor(moved[i][j], op.(Op), side)
		}
	}
	return moved
}

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

// Cost returns the number of components of op.
func (Type) Cost(op ot.Op) int { return len(op.(Op)) }

// Pairwise says that Transform takes time in proportion to the product of the costs.
func (Type) Pairwise() {}

// boxed turns a typed result into an untyped one that is nil on an error.
func boxed(op Op, err error) (ot.Op, error) {
	if err != nil {
		return nil, err
	}
	return op, nil
}
