package text0

import (
	"fmt"

	"quire/ot"
)

// An Algebra makes the transformation of whole operations of that of single components,
// for the types whose operations are lists of components each made on the document that
// the ones before it left: text0 and json0. It takes time in proportion to the product
// of the two operations' lengths.
type Algebra[C any] struct {
	// Append adds a component at the end of an operation, which it may change, or
	// merges it with the last one there.
	Append func(op []C, c C) ([]C, error)
	// Transform appends to dst what becomes of c after over was applied, where c
	// stands on the given side of over. It changes neither.
	Transform func(dst []C, c, over *C, side ot.Side) ([]C, error)
}

// maxPairs bounds the product of the lengths of two operations that are transformed: it
// is seconds of work.
const maxPairs = 1 << 22

// Op returns op as it must read after over was applied, when both were made on the same
// document and op stands on the given side. It fails with ot.ErrLimit when the product
// of their lengths is over 4 million; other errors are those of the two functions.
func (a *Algebra[C]) Op(op, over []C, side ot.Side) ([]C, error) {
	switch {
	case len(over) == 0 || len(op) == 0:
		return op, nil
	case len(op) > maxPairs/len(over):
		return nil, fmt.Errorf("%w: transforming %d components over %d, limit %d together", ot.ErrLimit, len(op), len(over), maxPairs)
	case len(op) == 1 && len(over) == 1:
		return a.Transform(nil, &op[0], &over[0], side)
	case side == ot.Left:
		left, _, err := a.Cross(op, over)
		return left, err
	}
	_, right, err := a.Cross(over, op)
	return right, err
}

// Cross returns what becomes of each of two operations after the other was applied. It
// changes neither; what it returns may be one of them.
func (a *Algebra[C]) Cross(left, right []C) (leftAfter, rightAfter []C, err error) {
	var next []C // what becomes of one component of right
	for _, r := range right {
		after := make([]C, 0, len(left))
		gone := false
		for k := 0; k < len(left) && !gone; k++ {
			if after, err = a.Transform(after, &left[k], &r, ot.Left); err != nil {
				return nil, nil, err
			}
			if next, err = a.Transform(next[:0], &r, &left[k], ot.Right); err != nil {
				return nil, nil, err
			}
			if len(next) == 1 {
				r = next[0]
				continue
			}
			// r vanished or fell apart: what is left of left meets nothing, or all
			// the parts.
			rest, parts := left[k+1:], next
			if len(next) > 1 {
				if rest, parts, err = a.Cross(rest, next); err != nil {
					return nil, nil, err
				}
			}
			if after, err = a.all(after, rest); err == nil {
				rightAfter, err = a.all(rightAfter, parts)
			}
			if err != nil {
				return nil, nil, err
			}
			gone = true
		}
		if !gone {
			if rightAfter, err = a.Append(rightAfter, r); err != nil {
				return nil, nil, err
			}
		}
		left = after
	}
	return left, rightAfter, nil
}

// all appends each of more.
func (a *Algebra[C]) all(op, more []C) ([]C, error) {
	var err error
	for _, c := range more {
		if op, err = a.Append(op, c); err != nil {
			return nil, err
		}
	}
	return op, nil
}

var algebra = Algebra[Component]{Append: Append, Transform: transform}

// Transform returns op as it must read after over was applied, when both were made on
// the same text and op stands on the given side. It fails with ot.ErrMismatch when both
// delete different texts at one place, as then they were not, or would split a surrogate
// pair; and with ot.ErrLimit when a position would pass 1<<31 - 1, or as Algebra.Op does.
//
// Apply(Apply(d, a), Transform(b, a, Right)) equals
// Apply(Apply(d, b), Transform(a, b, Left)).
func Transform(op, over Op, side ot.Side) (Op, error) { return algebra.Op(op, over, side) }

// move returns where a position goes when c is applied; one exactly where c inserts
// stays before that on the Left.
func move(pos int, c *Component, side ot.Side) (int, error) {
	switch {
	case c.Delete && pos <= c.Pos:
	case c.Delete && pos <= c.end():
		pos = c.Pos
	case c.Delete:
		pos -= c.N
	case c.Pos < pos || c.Pos == pos && side == ot.Right:
		pos += c.N
	}
	return pos, checkPosition(pos)
}

func checkPosition(pos int) error {
	if pos > maxPosition {
		return fmt.Errorf("%w: position %d, limit %d", ot.ErrLimit, pos, maxPosition)
	}
	return nil
}

// transform is the rule for single components.
func transform(dst []Component, c, over *Component, side ot.Side) ([]Component, error) {
	switch {
	case c.Delete && !over.Delete:
		return aroundInsert(dst, c, over)
	case !c.Delete || c.Pos >= over.end() || c.end() <= over.Pos:
		moved := *c
		var err error
		if moved.Pos, err = move(c.Pos, over, side); err != nil {
			return nil, err
		}
		return Append(dst, moved)
	}
	// They overlap: what lies before and behind over is still to be deleted.
	from, to := max(c.Pos, over.Pos), min(c.end(), over.end())
	own, err1 := c.slice(from-c.Pos, to-c.Pos, 0)
	other, err2 := over.slice(from-over.Pos, to-over.Pos, 0)
	if err1 != nil || err2 != nil || own.Text != other.Text {
		return nil, fmt.Errorf("%w: Delete ops delete different text in the same region of the document", ot.ErrMismatch)
	}
	before, _ := c.slice(0, from-c.Pos, min(c.Pos, over.Pos))
	behind, _ := c.slice(to-c.Pos, c.N, 0)
	before.Text += behind.Text
	before.N += behind.N
	return Append(dst, before)
}

// aroundInsert appends what becomes of a delete after an insert, which it leaves in
// place.
func aroundInsert(dst []Component, c, over *Component) ([]Component, error) {
	before, err := c.slice(0, over.Pos-c.Pos, c.Pos)
	if err != nil {
		return nil, err
	}
	behind, err := c.slice(over.Pos-c.Pos, c.N, c.Pos+over.N)
	if err == nil {
		err = checkPosition(behind.Pos)
	}
	if err == nil {
		dst, err = Append(dst, before)
	}
	if err != nil {
		return nil, err
	}
	return Append(dst, behind)
}

// TransformCursor returns where a position in units goes when op is applied; one exactly
// where text is inserted stays before it on the Left. It stops at 1<<31 - 1.
func TransformCursor(pos int, op Op, side ot.Side) int {
	for i := range op {
		pos, _ = move(pos, &op[i], side)
		pos = min(pos, maxPosition)
	}
	return pos
}
