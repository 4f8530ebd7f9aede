// Package delta is the rich text type of Quire: Quill's Delta. A document is a row
// of inserts, texts and embedded objects with attributes, and an operation walks over
// it from its start, retaining (and formatting), inserting and deleting. The algebra
// is that of the npm packages quill-delta 5 and rich-text 4, result for result;
// retains of embedded objects, which need code for each kind of object, are refused.
//
// Positions and lengths are UTF-16 code units unless a name says otherwise; an
// embedded object has length 1. Text is valid UTF-8, so it has no unpaired
// surrogates, and no operation may split a surrogate pair.
package delta

import (
	"fmt"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/jsonvalue"
	"quire/ot/text"
	"quire/ot/units"
)

// maxLength is the largest span an operation may have: the default and upper
// bound of ot.Limits.MaxLength.
const maxLength = 1<<31 - 1

// Kind says what a Component does.
type Kind = text.Kind

// The kinds: a Retain may format what it leaves in place.
const (
	Retain = text.Retain
	Insert = text.Insert
	Delete = text.Delete
)

// Component is one step of an operation.
type Component struct {
	Kind Kind
	// N is the length in UTF-16 units, at least 1; for an Insert that of its text,
	// or 1 for an embedded object.
	N int
	// S is the text of an Insert, valid UTF-8; otherwise empty.
	S string
	// Embed is the object of an Insert that embeds one; otherwise nil.
	Embed *jsonvalue.Object
	// Attributes is the formatting of an Insert or Retain: nil when there is none,
	// never an empty object. In a Retain the value null takes an attribute away.
	Attributes *jsonvalue.Object
}

// joins reports whether c and next, which follows it, are to be one component.
func (c *Component) joins(next *Component) bool {
	return c.Kind == next.Kind && c.Embed == nil && next.Embed == nil && sameAttributes(c.Attributes, next.Attributes)
}

// Op is an operation in canonical form, the one quill-delta leaves: neighbours that
// could be one component are one, no insert follows a delete (it comes before it), no
// retain without attributes is at the end. What is left of the document after the
// last component is retained. An empty Op changes nothing.
//
// Every Op that this package returns is canonical and is never changed afterwards.
// Make one with a Builder, Decode, Parse or Unmarshal; the functions of this package
// expect canonical operations.
type Op []Component

// lengths returns how many units op takes from the document (retains and deletes)
// and how many it puts in (inserts).
func (op Op) lengths() (span, inserted int) {
	for i := range op {
		if op[i].Kind == Insert {
			inserted += op[i].N
		} else {
			span += op[i].N
		}
	}
	return span, inserted
}

// output returns how many units op retains and inserts.
func (op Op) output() (n int) {
	for i := range op {
		if op[i].Kind != Delete {
			n += op[i].N
		}
	}
	return n
}

// Builder makes an operation from components in order and keeps it canonical: empty
// components vanish, neighbours that are alike become one, an insert behind a delete
// goes before it, a retain without attributes at the end is dropped. Attributes may be
// nil or empty for none. The zero value is ready to use; an error sticks until Op.
type Builder struct {
	ops     []Component
	text    []byte // the insert at the end, once it is long and has several parts
	deleted int    // a delete behind ops, which inserts still go before
	span    int    // sum of the retains and deletes
	formats int    // bytes of attributes that were put in or put together
	room    int    // the most formats may be; 0 for any
	err     error
}

// Retain leaves the next n units, n >= 0, and sets attributes on them.
func (b *Builder) Retain(n int, attributes *jsonvalue.Object) {
	b.checked(Component{Kind: Retain, N: n, Attributes: attributes})
}

// Delete takes the next n units, n >= 0, out.
func (b *Builder) Delete(n int) { b.checked(Component{Kind: Delete, N: n}) }

// Insert puts s in, which must be valid UTF-8.
func (b *Builder) Insert(s string, attributes *jsonvalue.Object) {
	if !utf8.ValidString(s) {
		b.err = fmt.Errorf("%w: insert of invalid UTF-8", ot.ErrSyntax)
		return
	}
	b.checked(Component{Kind: Insert, N: units.Count(s)[units.UTF16], S: s, Attributes: attributes})
}

// Embed puts an object in, which must not be nil.
func (b *Builder) Embed(object, attributes *jsonvalue.Object) {
	if object == nil {
		b.err = fmt.Errorf("%w: no object to embed", ot.ErrSyntax)
		return
	}
	b.checked(Component{Kind: Insert, N: 1, Embed: object, Attributes: attributes})
}

func (b *Builder) checked(c Component) {
	if c.Attributes != nil && c.Attributes.Len() == 0 {
		c.Attributes = nil
	}
	switch {
	case c.N < 0:
		b.err = fmt.Errorf("%w: negative length %d", ot.ErrSyntax, c.N)
	case c.N > maxLength:
		b.err = fmt.Errorf("%w: length %d is past %d", ot.ErrLimit, c.N, maxLength)
	case c.N > 0:
		b.add(c)
	}
}

// Op returns the operation and leaves the Builder empty. It fails with ot.ErrSyntax
// when a length was negative, a text invalid or an object nil, and with ot.ErrLimit
// when the retains and deletes together pass 1<<31 - 1 units.
func (b *Builder) Op() (Op, error) {
	op, err := b.finish()
	*b = Builder{}
	return op, err
}

// sized returns a Builder for an operation of about n components.
func sized(n int) Builder { return Builder{ops: make([]Component, 0, n)} }

// add appends a component of at least one unit. It is the only way components get
// into an operation.
func (b *Builder) add(c Component) {
	switch c.Kind {
	case Delete:
		b.deleted += c.N
		b.span += c.N
		return
	case Retain:
		b.flush()
		b.span += c.N
	}
	if len(b.ops) > 0 {
		if last := &b.ops[len(b.ops)-1]; last.joins(&c) {
			last.N += c.N
			if c.Kind == Insert {
				b.lengthen(last, c.S)
			}
			return
		}
		b.join()
	}
	b.ops = append(b.ops, c)
	b.format(c.Attributes)
}

// maxFormats is how many bytes of attributes may come out of operations and documents
// beyond what these have themselves: one component may be divided into very many, and
// each of them says again what is set.
const maxFormats = 32 << 20

// format counts attributes that were put in or put together.
func (b *Builder) format(list ...*jsonvalue.Object) {
	for _, a := range list {
		if a != nil {
			b.formats += jsonvalue.Size(a)
		}
	}
	if b.formats > b.room && b.room > 0 {
		b.err = fmt.Errorf("%w: more than %d bytes of attributes", ot.ErrLimit, b.room)
	}
}

// formats returns how many bytes of attributes op has.
func (op Op) formats() int {
	var b Builder
	for i := range op {
		b.format(op[i].Attributes)
	}
	return b.formats
}

// flush appends the delete that waits for inserts to go before it.
func (b *Builder) flush() {
	b.join()
	if b.deleted > 0 {
		b.ops = append(b.ops, Component{Kind: Delete, N: b.deleted})
		b.deleted = 0
	}
}

// lengthen appends s to the text of the insert at the end. A text of many parts
// is gathered in a buffer, as adding strings would be quadratic.
func (b *Builder) lengthen(last *Component, s string) {
	if len(b.text) == 0 {
		if len(last.S)+len(s) <= 64 {
			last.S += s
			return
		}
		b.text = append(b.text, last.S...)
	}
	b.text = append(b.text, s...)
}

// join ends the insert at the end: what was gathered becomes its text.
func (b *Builder) join() {
	if len(b.text) > 0 {
		b.ops[len(b.ops)-1].S = string(b.text)
		b.text = b.text[:0]
	}
}

// finish returns the operation, which takes over the Builder's memory.
func (b *Builder) finish() (Op, error) {
	if b.err != nil {
		return nil, b.err
	}
	b.flush()
	n := len(b.ops)
	if n > 0 && b.ops[n-1].Kind == Retain && b.ops[n-1].Attributes == nil {
		n--
		b.span -= b.ops[n].N
	}
	switch {
	case b.span > maxLength:
		return nil, fmt.Errorf("%w: operation spans %d units, limit %d", ot.ErrLimit, b.span, maxLength)
	case n == 0:
		return nil, nil
	}
	return Op(b.ops[:n:n]), nil
}
