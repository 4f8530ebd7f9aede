package delta

import (
	"fmt"
	"math"
	"strings"

	"quire/ot"
	"quire/ot/text"
	"quire/ot/units"
)

// An iterator reads an operation component by component and splits components
// on the way: it is the rest of the current one. Past the end of the operation
// it stands on a retain without end, as that is what follows there.
type iterator struct {
	Component
	next []Component
	cut  bool // S is a part of the current component's text
	done bool
}

func iterate(op []Component) iterator {
	it := iterator{next: op}
	it.advance()
	return it
}

// advance goes to the next component.
func (it *iterator) advance() {
	it.cut = false
	if len(it.next) == 0 {
		it.done = true
		it.Component = Component{Kind: Retain, N: math.MaxInt}
		return
	}
	it.Component, it.next = it.next[0], it.next[1:]
}

// skip steps over n units of the current component, 1 <= n <= it.N, which is
// not an Insert unless n is all of it.
func (it *iterator) skip(n int) {
	if it.N -= n; it.N == 0 {
		it.advance()
	}
}

// take steps over n units of the current component, 1 <= n <= it.N, and returns
// them. It reports false when that would split a surrogate pair.
func (it *iterator) take(n int) (Component, bool) {
	c := it.Component
	if c.N = n; c.S != "" && (n < it.N || it.cut) {
		at := n
		if n == it.N {
			at = len(it.S)
		} else if len(it.S) != it.N {
			m, ok := units.Seek(it.S, units.UTF16, n)
			if !ok {
				return c, false
			}
			at = m[units.Bytes]
		}
		c.S, it.S, it.cut = strings.Clone(it.S[:at]), it.S[at:], true
	}
	it.skip(n)
	return c, true
}

// Compose returns the one operation that does what a and then b do. It fails with
// ot.ErrMismatch when b would split a surrogate pair that a inserts, and with
// ot.ErrLimit when the result would span more than 1<<31 - 1 units or have 32 MiB of
// attributes more than a and b.
//
// Apply(Apply(d, a), b) equals Apply(d, Compose(a, b)); Compose is associative,
// operation for operation. Transform does not distribute over it.
func Compose(a, b Op) (Op, error) {
	out := sized(len(a) + len(b))
	out.room = maxFormats + a.formats() + b.formats()
	p, q := iterate(a), iterate(b)
	for !p.done || !q.done {
		if err := out.compose(&p, &q); err != nil {
			return nil, err
		}
	}
	return out.finish()
}

// compose adds what the next of p becomes by the next of q. It fails when that would
// split a surrogate pair, or there is no room for the attributes.
func (b *Builder) compose(p, q *iterator) error {
	switch {
	case q.Kind == Insert:
		b.add(q.Component)
		q.advance()
	case p.Kind == Delete:
		b.add(p.Component)
		p.advance()
	default:
		n := min(p.N, q.N)
		c, ok := p.take(n)
		if !ok {
			return errSplit
		}
		switch {
		case q.Kind == Retain:
			if c.Attributes != nil && q.Attributes != nil {
				b.format(c.Attributes, q.Attributes)
			}
			c.Attributes = composeAttributes(c.Attributes, q.Attributes, c.Kind == Retain)
			b.add(c)
		case c.Kind == Retain:
			b.add(Component{Kind: Delete, N: n})
		}
		q.skip(n)
	}
	return b.err
}

// Transform returns op as it must read after over was applied, when both were
// made on the same document and op stands on the given side of over: on the Left its
// insert goes first and its attributes win. It fails only with ot.ErrLimit, when the
// result would span more than 1<<31 - 1 units or have 32 MiB of attributes more than op.
//
// Apply(Apply(d, a), Transform(b, a, Right)) equals
// Apply(Apply(d, b), Transform(a, b, Left)).
//
// quill-delta calls it over.transform(op, side == Right), and rich-text has the sides
// the other way round: its transform(op, over, "left") is that on the Right here.
func Transform(op, over Op, side ot.Side) (Op, error) {
	out := sized(len(op) + 2)
	out.room = maxFormats + op.formats()
	p, x := iterate(op), iterate(over)
	for !p.done && out.err == nil {
		switch {
		case p.Kind == Insert && (x.Kind != Insert || side == ot.Left):
			out.add(p.Component)
			p.advance()
		case x.Kind == Insert:
			out.add(Component{Kind: Retain, N: x.N})
			x.advance()
		default:
			n := min(p.N, x.N)
			if x.Kind == Retain {
				c := p.Component
				c.N = n
				if c.Attributes = transformAttributes(p.Attributes, x.Attributes, side); c.Attributes != p.Attributes {
					out.format(p.Attributes) // looked through
				}
				out.add(c)
			}
			p.skip(n)
			x.skip(n)
		}
	}
	return out.finish()
}

// TransformPosition returns where a position in UTF-16 units ends up. On the Left it
// stays before an insert made exactly there, on the Right it goes behind.
//
// quill-delta calls it op.transformPosition(at, side == Left).
func TransformPosition(op Op, at int, side ot.Side) int {
	return transformCursor(text.Cursor{{at, at}}, op, side)[0][0]
}

// transformCursor moves a cursor as one in plain text moves over an operation of the
// same lengths.
func transformCursor(c text.Cursor, op Op, side ot.Side) text.Cursor {
	if len(c) == 0 {
		return c
	}
	lengths := make(text.Op, len(op))
	for i := range op {
		lengths[i] = text.Component{Kind: op[i].Kind, N: op[i].N}
	}
	return c.Transform(lengths, side)
}

// Invert returns the operation that takes op back, where d is the document op
// was applied to. It fails with ot.ErrMismatch when op does not fit d, and with ot.ErrLimit
// when it would have 32 MiB of attributes more than op and d.
//
// What op did past the end of the document is taken back as far as can be: formatting
// set there is set to null, a delete there stays. As in quill-delta, an attribute that
// an insert holds as null is not put back but absent afterwards.
func Invert(d *Doc, op Op) (Op, error) {
	out := sized(len(op))
	out.room = maxFormats + op.formats() + d.Size()
	at := 0
	for i := range op {
		c := &op[i]
		if c.Kind == Insert {
			out.add(Component{Kind: Delete, N: c.N})
			continue
		}
		end, rest := at+c.N, c.N
		restore := func(was Component) {
			rest -= was.N
			switch {
			case out.err != nil:
			case c.Kind == Retain:
				if c.Attributes != nil {
					out.format(c.Attributes, was.Attributes) // looked through
				}
				out.add(Component{Kind: Retain, N: was.N, Attributes: invertAttributes(c.Attributes, was.Attributes)})
			case was.Kind == Insert:
				out.add(was)
			}
		}
		from := at
		if c.Kind == Retain && c.Attributes == nil {
			from = end
		}
		if !d.slice(from, end, restore) {
			return nil, errSplit
		}
		if rest > 0 {
			restore(Component{Kind: Retain, N: rest})
		}
		at = end
	}
	return out.finish()
}

var errSplit = fmt.Errorf("%w: it would split a surrogate pair", ot.ErrMismatch)
