package delta

import "fmt"

// Check returns an error unless d keeps its promises: the tree holds inserts only, all
// leaves at one depth, all sizes right, every node within its bounds; the tail begins
// with something else.
func (d *Doc) Check() error {
	if len(d.tail) > 0 && d.tail[0].Kind == Insert {
		return fmt.Errorf("the tail begins with an insert")
	}
	if n := len(d.AppendBinary(nil)); n != d.Size() {
		return fmt.Errorf("size %d of %d bytes", d.Size(), n)
	}
	if d.root == nil {
		return nil
	}
	_, err := d.root.check()
	return err
}

func (n *node) check() (height int, err error) {
	length := 0
	if n.kids == nil {
		weighs := 0
		for i := range n.pieces {
			c := &n.pieces[i]
			if c.Kind != Insert || (c.S == "") == (c.Embed == nil) || c.Attributes != nil && c.Attributes.Len() == 0 {
				return 0, fmt.Errorf("leaf with a piece %+v", c)
			}
			if i > 0 && n.pieces[i-1].joins(c) {
				return 0, fmt.Errorf("leaf with neighbours that are alike")
			}
			length += c.N
			weighs += weight(c)
		}
		if weighs != n.weight || weighs > maxLeaf || length != n.units || length == 0 {
			return 0, fmt.Errorf("leaf of weight %d and %d units says %d and %d", weighs, length, n.weight, n.units)
		}
		return 0, nil
	}
	if len(n.kids) < 2 || len(n.kids) > maxKids {
		return 0, fmt.Errorf("inner node with %d kids", len(n.kids))
	}
	for i, kid := range n.kids {
		h, err := kid.check()
		if err != nil {
			return 0, err
		}
		if i > 0 && h != height {
			return 0, fmt.Errorf("kids of height %d and %d", height, h)
		}
		if kid.small() {
			return 0, fmt.Errorf("kid of weight %d and %d kids is too small", kid.weight, len(kid.kids))
		}
		height = h
		length += kid.units
	}
	if length != n.units || n.first != n.kids[0].first || n.last != n.kids[len(n.kids)-1].last {
		return 0, fmt.Errorf("inner node of %d units says %d", length, n.units)
	}
	return height + 1, nil
}
