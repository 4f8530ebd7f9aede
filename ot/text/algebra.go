package text

import (
	"fmt"
	"math"

	"quire/ot"
	"quire/ot/units"
)

// An iterator reads an operation component by component and splits components
// on the way: it is the rest of the current one. Past the end of the operation
// it stands on a retain without end, as that is what follows there.
type iterator struct {
	Component
	next []Component
	done bool
}

func iterate(op Op) iterator {
	it := iterator{next: op}
	it.advance()
	return it
}

// advance goes to the next component.
func (it *iterator) advance() {
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

// take steps over n of the current Insert, counted in unit, and returns their text.
// It reports false when that would split a surrogate pair.
func (it *iterator) take(unit units.Unit, n int) (string, bool) {
	s := it.S
	if n < it.N {
		cut := n
		if len(s) != it.N {
			at, ok := units.Seek(s, unit, n)
			if !ok {
				return "", false
			}
			cut = at[units.Bytes]
		}
		s, it.S = s[:cut], s[cut:]
	}
	it.skip(n)
	return s, true
}

// Compose returns the one operation that does what a and then b do. Where a
// deletes and b inserts at the same place, the insert comes first. It fails
// with ot.ErrMismatch when b would split a surrogate pair that a inserts.
//
// Apply(Apply(d, a), b) equals Apply(d, Compose(a, b)); Compose is associative;
// and Transform(p, Compose(a, b), Right) equals
// Transform(Transform(p, a, Right), b, Right), operation for operation.
func Compose(a, b Op) (Op, error) { return compose(units.UTF16, a, b) }

// compose is Compose of operations in unit.
func compose(unit units.Unit, a, b Op) (Op, error) {
	var out Builder
	p, q := iterate(a), iterate(b)
	for !p.done || !q.done {
		switch {
		case q.Kind == Insert:
			out.add(Insert, q.N, q.S)
			q.advance()
		case p.Kind == Delete:
			out.add(Delete, p.N, "")
			p.advance()
		default:
			n := min(p.N, q.N)
			if p.Kind == Retain {
				out.add(q.Kind, n, "")
				p.skip(n)
			} else {
				s, ok := p.take(unit, n)
				if !ok {
					return nil, fmt.Errorf("%w: compose would split a surrogate pair", ot.ErrMismatch)
				}
				if q.Kind == Retain {
					out.add(Insert, n, s)
				}
			}
			q.skip(n)
		}
	}
	return out.finish()
}

// Transform returns op as it must read after over was applied, when both were
// made on the same document and op stands on the given side of over. It fails
// only with ot.ErrLimit, when the result would span more than 1<<31 - 1 units.
//
// Apply(Apply(d, a), Transform(b, a, Right)) equals
// Apply(Apply(d, b), Transform(a, b, Left)).
func Transform(op, over Op, side ot.Side) (Op, error) {
	var out Builder
	p, x := iterate(op), iterate(over)
	for !p.done {
		switch {
		case p.Kind == Insert && (x.Kind != Insert || side == ot.Left):
			out.add(Insert, p.N, p.S)
			p.advance()
		case x.Kind == Insert:
			out.add(Retain, x.N, "")
			x.advance()
		default:
			n := min(p.N, x.N)
			if x.Kind == Retain {
				out.add(p.Kind, n, "")
			}
			p.skip(n)
			x.skip(n)
		}
	}
	return out.finish()
}

// TransformAll returns op as it must read after all of over, which follow one another,
// were applied. It equals transforming over each of them in turn, but while op merely
// moves, as it does over edits elsewhere in a document, nothing is built.
func TransformAll(op Op, over []Op, side ot.Side) (Op, error) {
	moved := 0 // how much longer the retain that op begins with has become
	first, end := op.extent()
	for _, x := range over {
		from, to := x.extent()
		switch {
		case to < first+moved || to == first+moved && side == ot.Right:
			moved += x.growth()
		case from > end+moved:
			// It is all behind op.
		default:
			var err error
			if op, err = op.shift(moved); err == nil {
				op, err = Transform(op, x, side)
			}
			if err != nil {
				return nil, err
			}
			moved = 0
			first, end = op.extent()
		}
	}
	return op.shift(moved)
}

// extent returns where in its document op makes its first change and where its last
// one ends.
func (op Op) extent() (first, end int) {
	if len(op) > 0 && op[0].Kind == Retain {
		first = op[0].N
	}
	end, _ = op.lengths()
	return first, end
}

// growth returns by how much op makes a document longer.
func (op Op) growth() (n int) {
	for _, c := range op {
		switch c.Kind {
		case Insert:
			n += c.N
		case Delete:
			n -= c.N
		}
	}
	return n
}

// shift returns op n units further on; its first retain is at least -n.
func (op Op) shift(n int) (Op, error) {
	if n == 0 || len(op) == 0 {
		return op, nil
	}
	first, end := op.extent()
	if end+n > maxLength {
		return nil, fmt.Errorf("%w: the operation would span %d units", ot.ErrLimit, end+n)
	}
	rest := op
	if first > 0 {
		rest = op[1:]
	}
	out := make(Op, 0, len(rest)+1)
	if first+n > 0 {
		out = append(out, Component{Kind: Retain, N: first + n})
	}
	return append(out, rest...), nil
}

// Invert returns the operation that takes op back, where d is the document op
// was applied to. It fails with ot.ErrMismatch when op does not fit d.
func Invert(d *Doc, op Op) (Op, error) { return invert(units.UTF16, d, op) }

// invert is Invert of an operation in unit.
func invert(unit units.Unit, d *Doc, op Op) (Op, error) {
	var out Builder
	at := 0
	for it := iterate(op); !it.done; it.advance() {
		switch it.Kind {
		case Insert:
			out.add(Delete, it.N, "")
			continue
		case Retain:
			if _, err := d.seek(unit, at+it.N); err != nil {
				return nil, err
			}
			out.add(Retain, it.N, "")
		case Delete:
			s, err := d.slice(unit, at, at+it.N)
			if err != nil {
				return nil, err
			}
			out.add(Insert, it.N, s)
		}
		at += it.N
	}
	return out.finish()
}
