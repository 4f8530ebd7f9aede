package delta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/ot/jsonvalue"
	"quire/ot/units"
)

// Decode reads an operation in its JSON wire form, an array of components such as
// {"retain":2}, {"insert":"x","attributes":{"bold":true}}, {"insert":{"image":"a.png"}}
// and {"delete":3}. Only canonical operations are accepted, though members may come in
// any order, with whitespace between tokens. It fails with ot.ErrSyntax or
// ot.ErrLimit.
func Decode(data []byte, lim ot.Limits) (Op, error) {
	d := decoder{in: jsonscan.New(data), lim: lim.WithDefaults()}
	return d.op(d.components)
}

// Parse reads an operation as Quill and ShareDB clients write it: an array of
// components, or an object that has one as "ops". Beyond what Decode accepts, it makes
// canonical, as quill-delta's push does, what is not: neighbours that are alike, an
// insert behind a delete, empty components, a retain at the end, attributes that are
// null or {} or on a delete. Other members are ignored, as quill-delta ignores them.
// It fails with ot.ErrSyntax or ot.ErrLimit.
func Parse(data []byte, lim ot.Limits) (Op, error) {
	d := decoder{in: jsonscan.New(data), lim: lim.WithDefaults(), lenient: true}
	if d.in.Peek() == '[' {
		return d.op(d.components)
	}
	return d.op(d.wrapped)
}

// A decoder reads operations into a Builder.
type decoder struct {
	in      jsonscan.Scanner
	lim     ot.Limits
	lenient bool
	out     Builder
	n       int       // components read
	last    Component // the last of them
}

// op returns what read, which reads all of the text, put into the Builder.
func (d *decoder) op(read func() error) (Op, error) {
	err := read()
	if err == nil {
		err = d.in.End()
	}
	if err != nil {
		return nil, err
	}
	return d.finish()
}

// finish returns the operation.
func (d *decoder) finish() (Op, error) {
	if !d.lenient && d.n > 0 && d.last.Kind == Retain && d.last.Attributes == nil {
		return nil, fmt.Errorf("%w: retain at the end", ot.ErrSyntax)
	}
	return d.out.finish()
}

// wrapped reads an object with the member "ops".
func (d *decoder) wrapped() error {
	found := false
	err := d.in.Object(func(name string) error {
		if name != "ops" {
			return d.ignore()
		}
		if found {
			return d.in.Fail("ops twice")
		}
		found = true
		return d.components()
	})
	if err == nil && !found {
		return d.in.Fail("no ops")
	}
	return err
}

func (d *decoder) components() error {
	return d.in.Array(func() error {
		c, err := d.component()
		if err != nil {
			return err
		}
		return d.add(c)
	})
}

// component reads one component, which has N 0 when it is empty.
func (d *decoder) component() (c Component, err error) {
	did, formatted := false, false
	err = d.in.Object(func(name string) (err error) {
		switch name {
		case "retain", "insert", "delete":
			if did {
				return d.in.Fail("component that does two things")
			}
			did = true
		}
		switch name {
		case "retain":
			c.Kind = Retain
			c.N, err = d.length()
		case "delete":
			c.Kind = Delete
			c.N, err = d.length()
		case "insert":
			err = d.insert(&c)
		case "attributes":
			if formatted {
				return d.in.Fail("attributes twice")
			}
			formatted = true
			c.Attributes, err = d.attributes()
		default:
			if !d.lenient {
				return d.in.Fail("unknown member")
			}
			err = d.ignore()
		}
		return err
	})
	switch {
	case err != nil:
	case !did:
		err = d.in.Fail("component that does nothing")
	case c.Kind == Delete && d.lenient:
		c.Attributes = nil
	case c.Kind == Delete && formatted:
		err = d.in.Fail("delete with attributes")
	}
	return c, err
}

// ignore reads a value of no interest.
func (d *decoder) ignore() error {
	_, err := jsonvalue.Read(&d.in, 0)
	return err
}

func (d *decoder) length() (int, error) {
	if !d.lenient {
		n, err := d.in.Int(d.lim.MaxLength)
		if err == nil && n < 0 {
			err = d.in.Fail("negative length")
		}
		return n, err
	}
	f, err := d.in.Number() // 2.0 is 2 for all that JavaScript sees
	switch {
	case err != nil:
		return 0, err
	case f < 0 || f != math.Trunc(f):
		return 0, d.in.Fail("length that is no natural number")
	case f > float64(d.lim.MaxLength):
		return 0, fmt.Errorf("%w: length is past %d", ot.ErrLimit, d.lim.MaxLength)
	}
	return int(f), nil
}

func (d *decoder) insert(c *Component) (err error) {
	c.Kind = Insert
	if d.in.Peek() == '"' {
		c.S, err = d.in.String()
		c.N = units.Count(c.S)[units.UTF16]
		return err
	}
	c.N = 1
	c.Embed, err = d.object()
	return err
}

// object reads an object.
func (d *decoder) object() (*jsonvalue.Object, error) {
	if d.in.Peek() != '{' {
		return nil, d.in.Fail("object expected")
	}
	v, err := jsonvalue.Read(&d.in, 0)
	if err != nil {
		return nil, err
	}
	return v.(*jsonvalue.Object), nil
}

// attributes reads attributes, nil when there are none.
func (d *decoder) attributes() (*jsonvalue.Object, error) {
	if d.lenient && d.in.Null() {
		return nil, nil
	}
	a, err := d.object()
	if err != nil || a.Len() > 0 {
		return a, err
	}
	if !d.lenient {
		return nil, d.in.Fail("no attributes in attributes")
	}
	return nil, nil
}

// add adds a component that was read, which must be within the limits and, unless the
// decoder is lenient, leave the operation canonical as it stands.
func (d *decoder) add(c Component) error {
	last := d.last
	d.last = c
	switch d.n++; {
	case d.n > d.lim.MaxComponents:
		return fmt.Errorf("%w, limit %d", ot.ErrComponents, d.lim.MaxComponents)
	case c.N > d.lim.MaxLength:
		return fmt.Errorf("%w: component %d is %d units long, limit %d", ot.ErrLimit, d.n-1, c.N, d.lim.MaxLength)
	case d.lenient && c.N == 0:
		return nil
	case c.N == 0:
		return fmt.Errorf("%w: component %d is empty", ot.ErrSyntax, d.n-1)
	case d.lenient || d.n == 1:
	case last.joins(&c):
		return fmt.Errorf("%w: components %d and %d should be one", ot.ErrSyntax, d.n-2, d.n-1)
	case last.Kind == Delete && c.Kind == Insert:
		return fmt.Errorf("%w: component %d is an insert behind a delete", ot.ErrSyntax, d.n-1)
	}
	if d.out.add(c); d.out.span > d.lim.MaxLength {
		return fmt.Errorf("%w: operation spans %d units or more, limit %d", ot.ErrLimit, d.out.span, d.lim.MaxLength)
	}
	return nil
}

// Unmarshal reads an operation in its compact binary form. Damaged data fails with
// ot.ErrSyntax or ot.ErrLimit or gives some canonical operation.
func Unmarshal(data []byte) (Op, error) {
	d := decoder{lim: ot.Limits{MaxComponents: len(data) + 1}.WithDefaults()}
	for len(data) > 0 {
		head, n := binary.Uvarint(data)
		if n <= 0 || n > 1 && data[n-1] == 0 {
			return nil, fmt.Errorf("%w: bad varint", ot.ErrSyntax)
		}
		data = data[n:]
		var c Component
		var err error
		if head&hasAttributes != 0 {
			if c.Attributes, data, err = unmarshalObject(data); err == nil && c.Attributes.Len() == 0 {
				err = fmt.Errorf("%w: no attributes in attributes", ot.ErrSyntax)
			}
		}
		switch kind := head & 3; {
		case err != nil:
		case kind == embedCode:
			c.Kind, c.N = Insert, 1
			c.Embed, data, err = unmarshalObject(data)
		case kind == uint64(Insert):
			c.Kind = Insert
			if c.S, data, err = unmarshalString(data); err == nil {
				c.N = units.Count(c.S)[units.UTF16]
			}
		case head>>lengthShift > maxLength:
			err = fmt.Errorf("%w: length %d is past %d", ot.ErrLimit, head>>lengthShift, maxLength)
		default:
			c.Kind, c.N = Kind(kind), int(head>>lengthShift)
		}
		switch {
		case err != nil:
		case c.Kind == Insert && head>>lengthShift != 0:
			err = fmt.Errorf("%w: insert with a length", ot.ErrSyntax)
		case c.Kind == Delete && c.Attributes != nil:
			err = fmt.Errorf("%w: delete with attributes", ot.ErrSyntax)
		default:
			err = d.add(c)
		}
		if err != nil {
			return nil, err
		}
	}
	return d.finish()
}

// unmarshalString reads up to endOfText and returns the rest, too.
func unmarshalString(data []byte) (string, []byte, error) {
	n := bytes.IndexByte(data, endOfText)
	if n < 0 || !utf8.Valid(data[:n]) {
		return "", nil, fmt.Errorf("%w: text cut short or of invalid UTF-8", ot.ErrSyntax)
	}
	return string(data[:n]), data[n+1:], nil
}

func unmarshalObject(data []byte) (*jsonvalue.Object, []byte, error) {
	n := max(0, bytes.IndexByte(data, endOfText))
	v, err := jsonvalue.Parse(data[:n], 0)
	o, ok := v.(*jsonvalue.Object)
	if err == nil && !ok {
		err = fmt.Errorf("%w: object expected", ot.ErrSyntax)
	}
	if err != nil {
		return nil, nil, err
	}
	return o, data[n+1:], nil
}
