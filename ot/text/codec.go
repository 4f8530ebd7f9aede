package text

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/ot/units"
)

// Decode reads an operation in its JSON wire form: [5,"abc",-3] retains 5,
// inserts abc and deletes 3. Only the canonical form is accepted, though
// whitespace between tokens is allowed. It fails with ot.ErrSyntax or
// ot.ErrLimit.
func Decode(data []byte, lim ot.Limits) (Op, error) {
	lim = lim.WithDefaults()
	var out Builder
	in := jsonscan.New(data)
	if !in.Take('[') {
		return nil, in.Fail("array expected")
	}
	for more := !in.Take(']'); more; {
		var c Component
		var err error
		if in.Peek() == '"' {
			c.Kind = Insert
			if c.S, err = in.String(); err == nil {
				c.N = units.Count(c.S)[units.UTF16]
			}
		} else if c.N, err = in.Int(lim.MaxLength); c.N < 0 {
			c.Kind, c.N = Delete, -c.N
		}
		if err == nil {
			err = out.strict(c, lim)
		}
		if err != nil {
			return nil, err
		}
		if more = in.Take(','); !more && !in.Take(']') {
			return nil, in.Fail("comma or end of array expected")
		}
	}
	if err := in.End(); err != nil {
		return nil, err
	}
	return out.ended()
}

// strict adds a decoded component, which must keep the operation canonical as it
// stands and within the limits.
func (b *Builder) strict(c Component, lim ot.Limits) error {
	ops := b.components()
	switch n := len(ops); {
	case c.N == 0:
		return fmt.Errorf("%w: component %d is empty", ot.ErrSyntax, n)
	case n > 0 && ops[n-1].Kind == c.Kind:
		return fmt.Errorf("%w: components %d and %d are of one kind", ot.ErrSyntax, n-1, n)
	}
	return b.Add(c, lim)
}

// ended returns the operation that strict components made.
func (b *Builder) ended() (Op, error) {
	if ops := b.components(); len(ops) > 0 && ops[len(ops)-1].Kind == Retain {
		return nil, fmt.Errorf("%w: retain at the end", ot.ErrSyntax)
	}
	return b.finish()
}

// AppendJSON appends the JSON wire form of op.
func (op Op) AppendJSON(dst []byte) []byte { return op.AppendForm(dst, "-", "") }

// AppendForm appends a JSON form of op that has the length of a Delete between the
// two given texts, and is otherwise the wire form.
func (op Op) AppendForm(dst []byte, before, after string) []byte {
	dst = append(dst, '[')
	for i, c := range op {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch c.Kind {
		case Retain:
			dst = strconv.AppendInt(dst, int64(c.N), 10)
		case Insert:
			dst = jsonscan.AppendString(dst, c.S)
		case Delete:
			dst = append(dst, before...)
			dst = strconv.AppendInt(dst, int64(c.N), 10)
			dst = append(dst, after...)
		}
	}
	return append(dst, ']')
}

// The binary form is a row of components, each an unsigned varint holding its
// kind in the two low bits and a length above them: that of a Retain or a
// Delete; for an Insert the bytes of UTF-8 that follow.

// AppendBinary appends the compact binary form of op, as kept on disk.
func (op Op) AppendBinary(dst []byte) []byte {
	for _, c := range op {
		n := c.N
		if c.Kind == Insert {
			n = len(c.S)
		}
		dst = binary.AppendUvarint(dst, uint64(n)<<2|uint64(c.Kind))
		dst = append(dst, c.S...)
	}
	return dst
}

// Unmarshal reads an operation in its compact binary form. Damaged data fails
// with ot.ErrSyntax or ot.ErrLimit or gives some canonical operation.
func Unmarshal(data []byte) (Op, error) { return unmarshal(units.UTF16, data) }

// unmarshal is Unmarshal of an operation in unit.
func unmarshal(unit units.Unit, data []byte) (Op, error) {
	out := Builder{Unit: unit}
	if err := out.unmarshal(data); err != nil {
		return nil, err
	}
	return out.ended()
}

// unmarshal adds the components of an operation in binary form.
func (b *Builder) unmarshal(data []byte) error {
	lim := ot.Limits{MaxComponents: len(data) + 1}.WithDefaults()
	for len(data) > 0 {
		head, n := binary.Uvarint(data)
		if n <= 0 || n > 1 && data[n-1] == 0 {
			return fmt.Errorf("%w: bad varint", ot.ErrSyntax)
		}
		data = data[n:]
		if head>>2 > maxLength {
			return fmt.Errorf("%w: length %d is past %d", ot.ErrLimit, head>>2, maxLength)
		}
		c := Component{Kind: Kind(head & 3), N: int(head >> 2)}
		switch {
		case c.Kind > Delete:
			return fmt.Errorf("%w: unknown kind of component", ot.ErrSyntax)
		case c.Kind == Insert:
			if c.N > len(data) || !utf8.Valid(data[:c.N]) {
				return fmt.Errorf("%w: insert cut short or of invalid UTF-8", ot.ErrSyntax)
			}
			c.S, data = string(data[:c.N]), data[c.N:]
			c.N = units.Count(c.S)[b.Unit]
		}
		if err := b.strict(c, lim); err != nil {
			return err
		}
	}
	return nil
}
