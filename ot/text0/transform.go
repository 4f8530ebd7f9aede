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
	// stands on the given side of over. It changes neither. What it does beyond a
	// step it takes off the budget.
	Transform func(dst []C, c, over *C, side ot.Side, left *Budget) ([]C, error)
	// Size is about how many bytes are copied to merge something with c.
	Size func(c *C) int
}

// A Budget is how many steps a transformation may still take: one component over another,
// or 32 bytes copied. A component may fall apart into very many that meet all the others,
// so that what there was at first does not tell.
type Budget int

// maxSteps is the budget of one transformation: a second or two.
const maxSteps Budget = 1 << 24

// maxPairs bounds the product of the lengths of two operations that are transformed.
const maxPairs = 1 << 22

// Spend takes a step and the copying of so many bytes off the budget. It fails with
// ot.ErrLimit when it is used up.
func (b *Budget) Spend(bytes int) error {
	if *b -= 1 + Budget(bytes/32); *b < 0 {
		return fmt.Errorf("%w: transforming takes more than %d steps", ot.ErrLimit, maxSteps)
	}
	return nil
}

// Op returns op as it must read after over was applied, when both were made on the same
// document and op stands on the given side. It fails with ot.ErrLimit when the product
// of their lengths is over 4 million, or when so much comes of them on the way that it
// takes more steps than the budget has, 16 million when it is nil; other errors are those of
// the two functions.
func (a *Algebra[C]) Op(op, over []C, side ot.Side, left *Budget) ([]C, error) {
	if left == nil {
		most := maxSteps
		left = &most
	}
	switch {
	case len(over) == 0 || len(op) == 0:
		return op, nil
	case len(op) > maxPairs/len(over):
		return nil, fmt.Errorf("%w: transforming %d components over %d, limit %d together", ot.ErrLimit, len(op), len(over), maxPairs)
	case len(op) == 1 && len(over) == 1:
		return a.Transform(nil, &op[0], &over[0], side, left)
	case side == ot.Left:
		after, _, err := a.cross(op, over, left)
		return after, err
	}
	_, after, err := a.cross(over, op, left)
	return after, err
}

// cross returns what becomes of each of two operations after the other was applied. It
// changes neither; what it returns may be one of them.
func (a *Algebra[C]) cross(left, right []C, budget *Budget) (leftAfter, rightAfter []C, err error) {
	var next []C // what becomes of one component of right
	for _, r := range right {
		after := make([]C, 0, len(left))
		gone := false
		for k := 0; k < len(left) && !gone; k++ {
			if after, err = a.step(after, &left[k], &r, ot.Left, budget); err != nil {
				return nil, nil, err
			}
			if next, err = a.step(next[:0], &r, &left[k], ot.Right, budget); err != nil {
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
				if rest, parts, err = a.cross(rest, next, budget); err != nil {
					return nil, nil, err
				}
			}
			if after, err = a.all(after, rest, budget); err == nil {
				rightAfter, err = a.all(rightAfter, parts, budget)
			}
			if err != nil {
				return nil, nil, err
			}
			gone = true
		}
		if !gone {
			if rightAfter, err = a.all(rightAfter, []C{r}, budget); err != nil {
				return nil, nil, err
			}
		}
		left = after
	}
	return left, rightAfter, nil
}

// step is Transform within the budget.
func (a *Algebra[C]) step(dst []C, c, over *C, side ot.Side, left *Budget) ([]C, error) {
	if err := left.Spend(a.merging(dst)); err != nil {
		return nil, err
	}
	return a.Transform(dst, c, over, side, left)
}

// all appends each of more.
func (a *Algebra[C]) all(op, more []C, left *Budget) ([]C, error) {
	for _, c := range more {
		err := left.Spend(a.merging(op))
		if err == nil {
			op, err = a.Append(op, c)
		}
		if err != nil {
			return nil, err
		}
	}
	return op, nil
}

// merging returns what it may cost to append to op.
func (a *Algebra[C]) merging(op []C) int {
	if len(op) == 0 {
		return 0
	}
	return a.Size(&op[len(op)-1])
}

var algebra = Algebra[Component]{Append: Append, Transform: transform, Size: func(c *Component) int { return len(c.Text) }}

// Transform returns op as it must read after over was applied, when both were made on
// the same text and op stands on the given side. It fails with ot.ErrMismatch when both
// delete different texts at one place, as then they were not, or would split a surrogate
// pair; and with ot.ErrLimit when a position would pass 1<<31 - 1, or as Algebra.Op does.
//
// Apply(Apply(d, a), Transform(b, a, Right)) equals
// Apply(Apply(d, b), Transform(a, b, Left)).
func Transform(op, over Op, side ot.Side) (Op, error) { return algebra.Op(op, over, side, nil) }

// TransformWithin is Transform as a part of something larger that has a budget.
func TransformWithin(op, over Op, side ot.Side, left *Budget) (Op, error) {
	return algebra.Op(op, over, side, left)
}

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
func transform(dst []Component, c, over *Component, side ot.Side, _ *Budget) ([]Component, error) {
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
