package text0

import (
	"fmt"
	"strconv"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/ot/jsonvalue"
)

// Decode reads an operation in its JSON form, a list of {"p":3,"i":"abc"} (insert abc at
// 3) and {"p":3,"d":"abc"} (delete it there). Every operation is accepted as it stands,
// its members in any order; unknown and repeated members are not. It fails with
// ot.ErrSyntax or ot.ErrLimit.
func Decode(data []byte, lim ot.Limits) (Op, error) { return decode(data, lim, false) }

// Parse is Decode for what ShareDB clients send: unknown members are passed over.
func Parse(data []byte, lim ot.Limits) (Op, error) { return decode(data, lim, true) }

func decode(data []byte, lim ot.Limits, lenient bool) (Op, error) {
	in := jsonscan.New(data)
	op, err := Read(&in, lim, lenient)
	if err == nil {
		err = in.End()
	}
	if err != nil {
		return nil, err
	}
	return op, nil
}

// Read is Decode, or Parse when lenient, of the next value of a longer text.
func Read(in *jsonscan.Scanner, lim ot.Limits, lenient bool) (Op, error) {
	lim = lim.WithDefaults()
	var op Op
	deleted := 0
	err := in.Array(func() error {
		if len(op) >= lim.MaxComponents {
			return fmt.Errorf("%w, limit %d", ot.ErrComponents, lim.MaxComponents)
		}
		c, err := readComponent(in, lim, lenient)
		if err != nil {
			return err
		}
		if c.Delete {
			deleted += c.N
		}
		if c.N > lim.MaxLength || deleted > lim.MaxLength {
			return fmt.Errorf("%w: component %d passes %d units", ot.ErrLimit, len(op), lim.MaxLength)
		}
		op = append(op, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return op, nil
}

func readComponent(in *jsonscan.Scanner, lim ot.Limits, lenient bool) (Component, error) {
	var c Component
	var placed, filled bool
	err := in.Object(func(name string) (err error) {
		switch {
		case name == "p" && !placed:
			placed = true
			if in.Peek() == '-' {
				return in.Fail("position cannot be negative")
			}
			c.Pos, err = in.Int(lim.MaxLength)
		case (name == "i" || name == "d") && !filled:
			filled = true
			var s string
			if s, err = in.String(); name == "i" {
				c = Insert(c.Pos, s)
			} else {
				c = Delete(c.Pos, s)
			}
		case name == "p":
			return in.Fail("second position")
		case name == "i" || name == "d":
			return in.Fail("component needs an i or d field, not both")
		case lenient:
			_, err = jsonvalue.Read(in, 0)
		default:
			return in.Fail("unknown member")
		}
		return err
	})
	switch {
	case err != nil:
	case !placed:
		err = in.Fail("component missing position field")
	case !filled:
		err = in.Fail("component needs an i or d field")
	}
	return c, err
}

// AppendJSON appends the JSON form of op: the position first, no spaces.
func (op Op) AppendJSON(dst []byte) []byte {
	dst = append(dst, '[')
	for i := range op {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"p":`...)
		dst = strconv.AppendInt(dst, int64(op[i].Pos), 10)
		if op[i].Delete {
			dst = append(dst, `,"d":`...)
		} else {
			dst = append(dst, `,"i":`...)
		}
		dst = append(jsonscan.AppendString(dst, op[i].Text), '}')
	}
	return append(dst, ']')
}
