// Package text is the plain text type of Quire: a document is a string, and an
// operation walks over it from its start, retaining, inserting and deleting.
// docs/protocol.md, section 9, specifies it.
//
// Positions and lengths are UTF-16 code units unless a name says otherwise. The
// algebra is the same in any unit: what a Component means does not depend on it, only
// how long a text is and where a position lies. Common makes an ot.Type of it for
// operations in another unit on the same documents, as package textunicode does. The
// text itself is held as valid UTF-8, so it has no unpaired surrogates, and no
// operation may split a surrogate pair.
package text

import (
	"fmt"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/units"
)

// maxLength is the largest span an operation may have: the default and upper
// bound of ot.Limits.MaxLength.
const maxLength = 1<<31 - 1

// Kind says what a Component does.
type Kind uint8

const (
	// Retain leaves the next units as they are.
	Retain Kind = iota
	// Insert puts text in.
	Insert
	// Delete takes the next units out.
	Delete
)

// Component is one step of an operation.
type Component struct {
	Kind Kind
	// N is the length, at least 1, in the unit of the operation, UTF-16 units in an
	// Op; for an Insert that of S.
	N int
	// S is the text of an Insert, valid UTF-8; otherwise empty.
	S string
}

// Op is an operation in canonical form: no two neighbours of one kind, no
// retain at the end. What is left of the document after the last component is
// retained. An empty Op changes nothing.
//
// Every Op that this package returns is canonical and is never changed
// afterwards. Make one with a Builder, Decode or Unmarshal; the functions of
// this package expect canonical operations.
type Op []Component

// Unit returns units.UTF16.
func (Op) Unit() units.Unit { return units.UTF16 }

// lengths returns how many units op takes from the document (retains and
// deletes) and how many it puts in (inserts).
func (op Op) lengths() (span, inserted int) {
	for _, c := range op {
		if c.Kind == Insert {
			inserted += c.N
		} else {
			span += c.N
		}
	}
	return span, inserted
}

// Builder makes an operation from components in order and keeps it canonical:
// empty components vanish, neighbours of one kind become one, a retain at the
// end is dropped. The zero value is ready to use; an error sticks until Op.
type Builder struct {
	// Unit is what lengths count; zero is units.UTF16, the unit of an Op.
	Unit units.Unit

	few  [8]Component // the components while they fit, so that most need no memory
	n    int          // how many of few are in use
	many []Component  // all of them once they do not fit
	text []byte       // the insert at the end, once it is long and has several parts
	span int          // sum of the retains and deletes
	err  error
}

// components returns what was added so far.
func (b *Builder) components() []Component {
	if b.many != nil {
		return b.many
	}
	return b.few[:b.n]
}

// Retain leaves the next n units, n >= 0, as they are.
func (b *Builder) Retain(n int) { b.checked(Retain, n, "") }

// Delete takes the next n units, n >= 0, out.
func (b *Builder) Delete(n int) { b.checked(Delete, n, "") }

// Insert puts s in, which must be valid UTF-8.
func (b *Builder) Insert(s string) {
	if !utf8.ValidString(s) {
		b.err = fmt.Errorf("%w: insert of invalid UTF-8", ot.ErrSyntax)
		return
	}
	b.checked(Insert, units.Count(s)[b.Unit], s)
}

func (b *Builder) checked(kind Kind, n int, s string) {
	switch {
	case n < 0:
		b.err = fmt.Errorf("%w: negative length %d", ot.ErrSyntax, n)
	case n > maxLength:
		b.err = fmt.Errorf("%w: length %d is past %d", ot.ErrLimit, n, maxLength)
	case n > 0:
		b.add(kind, n, s)
	}
}

// Op returns the operation and leaves the Builder empty. It fails with
// ot.ErrSyntax when a length was negative or a text invalid, and with
// ot.ErrLimit when the retains and deletes together pass 1<<31 - 1 units.
func (b *Builder) Op() (Op, error) {
	op, err := b.finish()
	*b = Builder{Unit: b.Unit}
	return op, err
}

// Add adds a component whose N is right, or 0 when it is empty. It fails with
// ot.ErrLimit when the operation passes lim, which must have its defaults; then the
// Builder must not be used any more.
func (b *Builder) Add(c Component, lim ot.Limits) error {
	switch n := len(b.components()); {
	case c.N == 0:
		return nil
	case c.N > lim.MaxLength:
		return fmt.Errorf("%w: component %d is %d %s long, limit %d", ot.ErrLimit, n, c.N, b.Unit, lim.MaxLength)
	}
	b.add(c.Kind, c.N, c.S)
	switch ops := b.components(); {
	case len(ops) > lim.MaxComponents:
		return fmt.Errorf("%w, limit %d", ot.ErrComponents, lim.MaxComponents)
	case max(b.span, ops[len(ops)-1].N) > lim.MaxLength:
		return fmt.Errorf("%w: operation spans or inserts more than %d %s", ot.ErrLimit, lim.MaxLength, b.Unit)
	}
	return nil
}

// add appends n >= 1 units of kind, with their text when they are an Insert. It
// is the only way components get into an operation.
func (b *Builder) add(kind Kind, n int, s string) {
	if kind != Insert {
		b.span += n
	}
	ops := b.components()
	if len(ops) > 0 {
		if last := &ops[len(ops)-1]; last.Kind == kind {
			last.N += n
			if kind == Insert {
				b.lengthen(last, s)
			}
			return
		}
		b.join()
	}
	c := Component{kind, n, s}
	switch {
	case b.many == nil && b.n < len(b.few):
		b.few[b.n] = c
		b.n++
	case b.many == nil:
		b.many = append(append(make([]Component, 0, 4*len(b.few)), b.few[:]...), c)
	default:
		b.many = append(b.many, c)
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
		ops := b.components()
		ops[len(ops)-1].S = string(b.text)
		b.text = b.text[:0]
	}
}

// finish returns the operation in memory of its own, of exactly the right size.
func (b *Builder) finish() (Op, error) {
	if b.err != nil {
		return nil, b.err
	}
	b.join()
	ops := b.components()
	if n := len(ops) - 1; n >= 0 && ops[n].Kind == Retain {
		b.span -= ops[n].N
		ops = ops[:n]
	}
	if b.span > maxLength {
		return nil, fmt.Errorf("%w: operation spans %d units, limit %d", ot.ErrLimit, b.span, maxLength)
	}
	if len(ops) == 0 {
		return nil, nil
	}
	op := make(Op, len(ops))
	copy(op, ops)
	return op, nil
}
