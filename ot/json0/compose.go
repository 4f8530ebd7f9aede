package json0

import (
	"fmt"
	"math"
	"slices"

	"quire/ot"
	"quire/ot/jsonvalue"
	"quire/ot/text0"
)

// Append adds c at the end of op, which must be the caller's own: where the reference
// merges it with the last component, that is replaced or, when both cancel out, removed.
// It fails with ot.ErrMismatch when a sum is not finite or a surrogate pair would be
// split.
func Append(op []Component, c Component) ([]Component, error) {
	if len(op) == 0 {
		return append(op, c), nil
	}
	last := &op[len(op)-1]
	if last.has(SI|SD) && c.has(SI|SD) {
		return appendText(op, &c)
	}
	if !slices.Equal(c.Path, last.Path) {
		return append(op, c), nil
	}
	merged := *last
	switch {
	case c.has(T) && last.has(T):
		var err error
		if merged.Edit, err = text0.Compose(last.Edit, c.Edit); err != nil {
			return nil, err
		}
	case c.has(NA) && last.has(NA):
		if merged.Add += c.Add; math.IsInf(merged.Add, 0) {
			return nil, fmt.Errorf("%w: the sum is not finite", ot.ErrMismatch)
		}
	case last.has(LI) && c.Has == LD && same(c.Deleted, last.Inserted):
		if merged.Has = last.Has &^ LI; merged.Has == 0 {
			return op[:len(op)-1], nil
		}
		merged.Inserted = nil
	case last.Has == OD && c.Has == OI:
		merged.Has, merged.Inserted = OD|OI, c.Inserted
	case last.has(OI) && c.has(OD):
		if merged.Has = last.Has&OD | c.Has&OI; merged.Has == 0 {
			return op[:len(op)-1], nil
		}
		merged.Inserted = c.Inserted
	case c.has(LM) && c.Path.last() == c.To:
		return op, nil
	default:
		return append(op, c), nil
	}
	*last = merged
	return op, nil
}

// same reports whether JavaScript's === does for two values that were read at different
// times: true for equal values that are neither lists nor objects.
func same(a, b jsonvalue.Value) bool {
	return jsonvalue.Depth(a) == 0 && jsonvalue.Equal(a, b)
}

// appendText is Append when both c and the last component have si or sd: inserts and
// deletes in one string are merged as text0 does.
func appendText(op []Component, c *Component) ([]Component, error) {
	last := op[len(op)-1].asEdit()
	edit := c.asEdit()
	if !slices.Equal(edit.Path, last.Path) {
		return append(op, *c), nil
	}
	both, err := text0.Compose(last.Edit, edit.Edit)
	if err != nil {
		return nil, err
	}
	op = op[:len(op)-1]
	for _, part := range both {
		op = append(op, fromEdit(edit.Path, part))
	}
	return op, nil
}

// appended returns a followed by the components of b, a as it is. It fails as Append does.
func appended(a, b Op) (Op, error) {
	out := append(make([]Component, 0, len(a)+len(b)), a...)
	for _, c := range b {
		var err error
		if out, err = Append(out, c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Compose returns the one operation that does what a and then b do. It fails as Append
// does.
func Compose(a, b Op) (Op, error) { return appended(a, b) }

// ComposeAll returns the one operation that does what ops do one after another. Compose,
// as the reference does it, takes an oi without an od at its word that there was nothing
// at its place, so that an od behind it cancels both; here both stay. It
// fails as Append does.
func ComposeAll(ops []Op) (Op, error) {
	var out []Component
	for _, op := range ops {
		for _, c := range op {
			if n := len(out); n > 0 && out[n-1].Has == OI && c.Has == OD && slices.Equal(out[n-1].Path, c.Path) {
				out = append(out, c)
				continue
			}
			var err error
			if out, err = Append(out, c); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// Normalize returns op with its neighbours merged where Append merges them. It fails as
// Append does.
func Normalize(op Op) (Op, error) { return appended(nil, op) }

// Invert returns the operation that takes op back, where d is the document op was
// applied to. What op says that it deletes is not relied upon: d tells. It fails as
// Doc.Apply does.
func Invert(d *Doc, op Op) (Op, error) {
	out := make(Op, 0, len(op))
	_, err := d.walk(op, func(c *Component, before jsonvalue.Value) {
		if inv := c.inverse(before); inv.Has != 0 {
			out = append(out, inv)
		}
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(out)
	return out, nil
}

// find returns what a path leads to in v, or none{}.
func find(v jsonvalue.Value, path Path) jsonvalue.Value {
	for _, k := range path {
		v = get(v, k)
	}
	return v
}

// inverse returns the component that takes c back, where v is the value c fits; one
// without members when there is nothing to take back.
func (c *Component) inverse(v jsonvalue.Value) Component {
	inv := Component{Path: c.Path}
	switch {
	case c.has(T):
		inv.Has, inv.Edit = T, text0.Invert(c.Edit)
	case c.has(SI | SD):
		inv.Has, inv.Text = c.Has^(SI|SD), c.Text
	case c.has(LM):
		inv.Has, inv.Path, inv.To = LM, c.Path.with(len(c.Path)-1, c.To), c.Path.last()
	case c.has(NA):
		old := find(v, c.Path).(float64)
		if sum := old + c.Add; sum-c.Add != old { // rounded: put the old number back
			inv.Deleted, inv.Inserted = sum, old
			inv.Has = OD | OI
			if len(c.Path) > 0 {
				if _, ok := find(v, c.Path.parent()).(*jsonvalue.List); ok {
					inv.Has = LD | LI
				}
			}
			break
		}
		inv.Has, inv.Add = NA, 0-c.Add // not minus zero
	default:
		del, ins := OD, OI
		if c.has(LI | LD) {
			del, ins = LD, LI
		}
		if c.has(ins) {
			inv.Has, inv.Deleted = del, c.Inserted
		}
		// A document that is null may be one that is not there yet.
		old := find(v, c.Path)
		if c.Has != LI && old != (none{}) && (len(c.Path) > 0 || old != nil || c.has(OD)) {
			inv.Has, inv.Inserted = inv.Has|ins, old
		}
	}
	return inv
}
