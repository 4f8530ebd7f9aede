package text

import (
	"fmt"

	"quire/ot/units"
)

// Check returns an error unless d's tree keeps its promises: all leaves at one
// depth, all sizes right, every node within its bounds.
func (d *Doc) Check() error {
	if d.root == nil {
		return nil
	}
	_, err := d.root.check()
	return err
}

func (n *node) check() (height int, err error) {
	if n.kids == nil {
		if n.size != units.Count(n.text) || len(n.text) == 0 || len(n.text) > maxLeaf {
			return 0, fmt.Errorf("leaf of %d bytes, size %v", len(n.text), n.size)
		}
		return 0, nil
	}
	if len(n.kids) < 2 || len(n.kids) > maxKids {
		return 0, fmt.Errorf("inner node with %d kids", len(n.kids))
	}
	var size units.Measure
	for i, kid := range n.kids {
		h, err := kid.check()
		if err != nil {
			return 0, err
		}
		if i > 0 && h != height {
			return 0, fmt.Errorf("kids of height %d and %d", height, h)
		}
		if kid.small() {
			return 0, fmt.Errorf("kid of %d bytes and %d kids is too small", kid.size[units.Bytes], len(kid.kids))
		}
		height = h
		size.Add(&kid.size)
	}
	if size != n.size {
		return 0, fmt.Errorf("inner node of size %v says %v", size, n.size)
	}
	return height + 1, nil
}
