package json0

import (
	"fmt"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/ot/jsonvalue"
)

// Cursor says at which places of a document a person is: the paths to them, the main one
// first. It may be empty.
type Cursor []Path

// Transform moves c over op: each path goes with what it leads to, through items that
// are inserted, deleted and moved; those of what is deleted or replaced are dropped. c is
// left as it was. There are no sides: nothing goes where a path leads to. Of many paths
// only the first ones go over an operation of very many components.
func (c Cursor) Transform(op Op) Cursor {
	if len(c) == 0 || len(op) == 0 {
		return c
	}
	moved := make(Cursor, 0, len(c))
	for _, path := range c[:min(len(c), 1+maxMoves/len(op))] {
		if path = path.moved(op); path != nil {
			moved = append(moved, path)
		}
	}
	return moved
}

// maxMoves is about how many times a component moves a path of one cursor: some hundredths
// of a second.
const maxMoves = 1 << 17

// moved returns where a path leads after op, or nil.
func (p Path) moved(op Op) Path {
	// A component that adds nothing goes where the path does.
	rest := []Component{{Path: p, Has: NA}}
	for i := range op {
		var err error
		if rest, err = transform(nil, &rest[0], &op[i], ot.Left, nil); err != nil || len(rest) == 0 {
			return nil
		}
	}
	return rest[0].Path
}

// Check fails with ot.ErrMismatch when a path of c leads nowhere in d. The keys of lists
// have to be numbers and those of objects names.
func (c Cursor) Check(d *Doc) error {
	for _, path := range c {
		v := d.value
		for _, k := range path {
			if _, list := v.(*jsonvalue.List); list == k.IsName() {
				v = none{}
				break
			}
			v = get(v, k)
		}
		if v == (none{}) {
			return fmt.Errorf("%w: a path leads nowhere", ot.ErrMismatch)
		}
	}
	return nil
}

// DecodeCursor reads a cursor in its JSON form, a list of paths such as
// [["items",3,"name"]], or null for an empty one. It fails with ot.ErrSyntax or
// ot.ErrLimit.
func DecodeCursor(data []byte, lim ot.Limits) (Cursor, error) {
	lim = lim.WithDefaults()
	in := jsonscan.New(data)
	if in.Null() {
		return nil, in.End()
	}
	var c Cursor
	err := in.Array(func() error {
		if len(c) == lim.MaxRanges {
			return fmt.Errorf("%w: more than %d paths", ot.ErrLimit, lim.MaxRanges)
		}
		path, err := readPath(&in, lim.MaxLength)
		c = append(c, path)
		return err
	})
	if err == nil {
		err = in.End()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AppendJSON appends the JSON form of c; an empty one is [].
func (c Cursor) AppendJSON(dst []byte) []byte {
	dst = append(dst, '[')
	for i, path := range c {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = path.AppendJSON(dst)
	}
	return append(dst, ']')
}
