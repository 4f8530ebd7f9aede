// Package ottypes has the types of documents that ShareDB's clients know under the names
// of npm's ottypes: how each is called, and how what clients write reads in Quire's
// types.
package ottypes

import (
	"fmt"

	"quire/ot"
	"quire/ot/json0"
	"quire/ot/jsonvalue"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/ot/textunicode"
)

// Type is a document type as ShareDB's clients write it, on top of the ot.Type that its
// documents are kept in. It is stateless; its methods are safe for concurrent use.
type Type interface {
	URI() string
	Names() []string
	Type() ot.Type
	Side() ot.Side
	Create(data []byte) (ot.Doc, error)
	AppendDoc(dst []byte, d ot.Doc) []byte
	NeedsDoc() bool
	DecodeOp(d ot.Doc, data []byte, lim ot.Limits) (ot.Op, error)
	AppendOp(dst []byte, d ot.Doc, op ot.Op) ([]byte, error)
}

// All returns the types, the ones to create documents with before others of the same
// name: text-unicode makes a plain text, which is edited in UTF-16 units by other
// protocols.
func All() []Type {
	return []Type{JSON0{}, Text{}, Text0{}, RichText{}, TextUnicode{}}
}

// JSON0 is json0, ShareDB's default type: package json0.
type JSON0 struct{ leftmost }

// URI returns the type's URI.
func (JSON0) URI() string { return "http://sharejs.org/types/JSONv0" }

// Names returns the short name.
func (JSON0) Names() []string { return []string{"json0"} }

// Type returns json0.Type.
func (JSON0) Type() ot.Type { return json0.Type{} }

// Create returns the document with the value that data is; null when data is nil.
func (JSON0) Create(data []byte) (ot.Doc, error) {
	if data == nil {
		data = []byte("null")
	}
	return json0.Type{}.Create(data)
}

// AppendDoc appends the document's value.
func (JSON0) AppendDoc(dst []byte, d ot.Doc) []byte { return json0.Type{}.AppendDoc(dst, d) }

// Object returns the content when it is an object; else nil.
func (JSON0) Object(d ot.Doc) *jsonvalue.Object {
	o, _ := d.(*json0.Doc).Value().(*jsonvalue.Object)
	return o
}

// DecodeOp is json0.Parse, and says what ShareDB's server says of what is not even in the
// form of an operation. A path that no document may have is ot.ErrMismatch: to ShareDB
// the operation is one that cannot be applied.
func (JSON0) DecodeOp(_ ot.Doc, data []byte, lim ot.Limits) (ot.Op, error) {
	op, err := boxed(json0.Parse(data, lim))
	if err != nil {
		return nil, diagnosed(data, err)
	}
	return op, nil
}

// AppendOp appends the operation.
func (JSON0) AppendOp(dst []byte, _ ot.Doc, op ot.Op) ([]byte, error) {
	return json0.Type{}.AppendOp(dst, op), nil
}

// Text0 is text0, the old type of plain text: package text0.
type Text0 struct{ leftmost }

// URI returns the type's URI.
func (Text0) URI() string { return "http://sharejs.org/types/textv0" }

// Names returns the short name.
func (Text0) Names() []string { return []string{"text0"} }

// Type returns text0.Type.
func (Text0) Type() ot.Type { return text0.Type{} }

// Create returns the document with the text that data is, a JSON string; the empty one
// when data is nil or null.
func (Text0) Create(data []byte) (ot.Doc, error) { return text0.Type{}.Create(nullable(data)) }

// AppendDoc appends the text.
func (Text0) AppendDoc(dst []byte, d ot.Doc) []byte { return text0.Type{}.AppendDoc(dst, d) }

// DecodeOp is text0.Parse.
func (Text0) DecodeOp(_ ot.Doc, data []byte, lim ot.Limits) (ot.Op, error) {
	return boxed(text0.Parse(data, lim))
}

// AppendOp appends the operation.
func (Text0) AppendOp(dst []byte, _ ot.Doc, op ot.Op) ([]byte, error) {
	return text0.Type{}.AppendOp(dst, op), nil
}

// TextUnicode is text-unicode, kept as it is: package textunicode.
type TextUnicode struct{ leftmost }

const textUnicode = "http://sharejs.org/types/text-unicode"

// URI returns the type's URI.
func (TextUnicode) URI() string { return textUnicode }

// Names returns the short name.
func (TextUnicode) Names() []string { return []string{"text-unicode"} }

// Type returns textunicode.Type.
func (TextUnicode) Type() ot.Type { return textunicode.Type{} }

// Create returns the document with the text that data is, a JSON string; the empty one
// when data is nil or null.
func (TextUnicode) Create(data []byte) (ot.Doc, error) {
	return textunicode.Type{}.Create(nullable(data))
}

// AppendDoc appends the text.
func (TextUnicode) AppendDoc(dst []byte, d ot.Doc) []byte {
	return textunicode.Type{}.AppendDoc(dst, d)
}

// DecodeOp is textunicode.Parse.
func (TextUnicode) DecodeOp(_ ot.Doc, data []byte, lim ot.Limits) (ot.Op, error) {
	return boxed(textunicode.Parse(data, lim))
}

// AppendOp appends the operation.
func (TextUnicode) AppendOp(dst []byte, _ ot.Doc, op ot.Op) ([]byte, error) {
	return textunicode.Type{}.AppendOp(dst, op), nil
}

// Text is text-unicode for documents of package text, which count in UTF-16 units:
// operations are converted, for which the document is needed that they were made on.
type Text struct{ TextUnicode }

// Type returns text.Type.
func (Text) Type() ot.Type { return text.Type{} }

// NeedsDoc returns true.
func (Text) NeedsDoc() bool { return true }

// DecodeOp is textunicode.Parse and then textunicode.ToText.
func (Text) DecodeOp(d ot.Doc, data []byte, lim ot.Limits) (ot.Op, error) {
	op, err := textunicode.Parse(data, lim)
	if err != nil {
		return nil, err
	}
	return boxed(textunicode.ToText(d.(*text.Doc), op))
}

// AppendOp appends the operation in code points.
func (Text) AppendOp(dst []byte, d ot.Doc, op ot.Op) ([]byte, error) {
	runes, err := textunicode.FromText(d.(*text.Doc), op.(text.Op))
	if err != nil {
		return nil, fmt.Errorf("converting to code points: %w", err)
	}
	return runes.AppendJSON(dst), nil
}

// leftmost is what most types have in common: "left" is ot.Left, and operations speak for
// themselves.
type leftmost struct{}

// Side returns ot.Left.
func (leftmost) Side() ot.Side { return ot.Left }

// NeedsDoc returns false.
func (leftmost) NeedsDoc() bool { return false }

// boxed keeps the nil of a failed call out of the interface.
func boxed[T any](op T, err error) (ot.Op, error) {
	if err != nil {
		return nil, err
	}
	return op, nil
}

// nullable returns nil for null.
func nullable(data []byte) []byte {
	if string(data) == "null" {
		return nil
	}
	return data
}
