package json0

import (
	"fmt"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/ot/jsonvalue"
	"quire/ot/text0"
	"quire/ot/units"
)

// Decode reads an operation in its JSON form, a list of components. Every operation is
// accepted as it stands, whether or not neighbours could be merged, the members of a
// component in any order; but
//
//   - a path holds strings and integers from 0 to lim.MaxLength, no name that JavaScript's
//     objects inherit ("Invalid path segment"), and at most 129 keys;
//   - the members of a component belong together, once each, and no others are there;
//   - lm is an integer like those of paths, or a string that spells one: old ShareDB
//     clients send list indexes as strings, and those are kept as they are, because the
//     reference tells them from numbers;
//   - values are what jsonvalue.Parse accepts.
//
// It fails with ot.ErrSyntax or ot.ErrLimit; lim.MaxComponents bounds Cost.
func Decode(data []byte, lim ot.Limits) (Op, error) { return decode(data, lim, false) }

// Parse is Decode for what ShareDB clients send: unknown members are passed over.
func Parse(data []byte, lim ot.Limits) (Op, error) { return decode(data, lim, true) }

// A decoder reads one operation.
type decoder struct {
	in      jsonscan.Scanner
	lim     ot.Limits
	lenient bool
	cost    int // of what was read
}

func decode(data []byte, lim ot.Limits, lenient bool) (Op, error) {
	d := decoder{in: jsonscan.New(data), lim: lim.WithDefaults(), lenient: lenient}
	var op Op
	err := d.in.Array(func() error {
		c, err := d.component()
		if err != nil {
			return err
		}
		if d.cost += c.cost(); d.cost > d.lim.MaxComponents {
			return fmt.Errorf("%w, limit %d", ot.ErrComponents, d.lim.MaxComponents)
		}
		op = append(op, c)
		return nil
	})
	if err == nil {
		err = d.in.End()
	}
	if err != nil {
		return nil, err
	}
	return op, nil
}

// members gives each member of a component, but for the path, by its name.
var members = map[string]Members{"na": NA, "si": SI, "sd": SD, "li": LI, "ld": LD, "lm": LM, "oi": OI, "od": OD}

// component reads one component.
func (d *decoder) component() (Component, error) {
	var c Component
	var typed, edited bool
	err := d.in.Object(func(name string) (err error) {
		twice := false
		switch what := members[name]; {
		case what != 0:
			twice = c.has(what)
			c.Has |= what
			err = d.member(&c, what)
		case name == "p":
			twice = c.Path != nil
			c.Path, err = readPath(&d.in, d.lim.MaxLength)
		case name == "t":
			twice, typed = typed, true
			var t string
			if t, err = d.in.String(); err == nil && t != "text0" {
				err = d.in.Fail("invalid / missing instruction in op: unknown subtype")
			}
		case name == "o":
			twice, edited = edited, true
			c.Edit, err = text0.Read(&d.in, d.lim, d.lenient)
		case d.lenient:
			_, err = jsonvalue.Read(&d.in, 0)
		default:
			err = d.in.Fail("unknown member")
		}
		if twice && err == nil {
			err = d.in.Fail("the same member twice")
		}
		return err
	})
	if err != nil {
		return c, err
	}
	if typed && edited {
		c.Has |= T
	}
	return c, d.check(&c, typed || edited)
}

// member reads one member of c but for the path, t and o.
func (d *decoder) member(c *Component, what Members) (err error) {
	switch what {
	case NA:
		c.Add, err = d.in.Number()
	case SI, SD:
		c.Text, err = d.in.String()
		if n := units.Count(c.Text)[units.UTF16]; err == nil && n > d.lim.MaxLength {
			err = fmt.Errorf("%w: a string of %d units, limit %d", ot.ErrLimit, n, d.lim.MaxLength)
		}
	case LI, OI:
		c.Inserted, err = jsonvalue.Read(&d.in, 0)
	case LD, OD:
		c.Deleted, err = jsonvalue.Read(&d.in, 0)
	case LM:
		if c.To, err = readKey(&d.in, d.lim.MaxLength); err == nil {
			if n, ok := c.To.number(); !ok || n > d.lim.MaxLength {
				err = d.in.Fail("lm is no index")
			}
		}
	}
	return err
}

// check fails when the parts of c do not belong together.
func (d *decoder) check(c *Component, edit bool) error {
	switch {
	case c.Path == nil:
		return d.in.Fail("Missing path")
	case !c.valid(), edit && c.Has != T:
		return d.in.Fail("invalid / missing instruction in op")
	case c.has(SI|SD) && (len(c.Path) == 0 || c.Path.last().IsName()):
		return d.in.Fail("component missing position field: the path of si or sd ends in an offset")
	case c.has(LI|LD|LM) && len(c.Path) == 0:
		return d.in.Fail("Referenced element not a list: the path is empty")
	}
	return nil
}

// cost returns the number of components in c.
func (c *Component) cost() int { return max(1, len(c.Edit)) }

// AppendJSON appends the JSON form of op: of each component p, then t and o, na, si, sd,
// ld, li, lm, od, oi as far as it has them, in this order, without spaces.
func (op Op) AppendJSON(dst []byte) []byte {
	dst = append(dst, '[')
	for i := range op {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = op[i].appendJSON(dst)
	}
	return append(dst, ']')
}

func (c *Component) appendJSON(dst []byte) []byte {
	dst = c.Path.AppendJSON(append(dst, `{"p":`...))
	if c.has(T) {
		dst = c.Edit.AppendJSON(append(dst, `,"t":"text0","o":`...))
	}
	if c.has(NA) {
		dst = jsonvalue.Append(append(dst, `,"na":`...), c.Add)
	}
	if c.has(SI) {
		dst = jsonscan.AppendString(append(dst, `,"si":`...), c.Text)
	}
	if c.has(SD) {
		dst = jsonscan.AppendString(append(dst, `,"sd":`...), c.Text)
	}
	if c.has(LD) {
		dst = jsonvalue.Append(append(dst, `,"ld":`...), c.Deleted)
	}
	if c.has(LI) {
		dst = jsonvalue.Append(append(dst, `,"li":`...), c.Inserted)
	}
	if c.has(LM) {
		dst = c.To.append(append(dst, `,"lm":`...))
	}
	if c.has(OD) {
		dst = jsonvalue.Append(append(dst, `,"od":`...), c.Deleted)
	}
	if c.has(OI) {
		dst = jsonvalue.Append(append(dst, `,"oi":`...), c.Inserted)
	}
	return append(dst, '}')
}
