package textunicode

import (
	"quire/ot"
	"quire/ot/text"
)

// Type is text-unicode as an ot.Type. Its documents are *text.Doc, its operations Op,
// its cursors Cursor; the rest is text.Common.
type Type struct{ text.Common[Op, Cursor] }

var _ ot.Packer = Type{}

// Name returns "text-unicode".
func (Type) Name() string { return "text-unicode" }

// DecodeOp is the function Decode.
func (Type) DecodeOp(data []byte, lim ot.Limits) (ot.Op, error) {
	op, err := Decode(data, lim)
	if err != nil {
		return nil, err
	}
	return op, nil
}

// AppendOp is Op.AppendJSON.
func (Type) AppendOp(dst []byte, op ot.Op) []byte { return op.(Op).AppendJSON(dst) }
