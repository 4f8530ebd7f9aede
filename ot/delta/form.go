package delta

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"strconv"

	"quire/ot/jsonscan"
	"quire/ot/jsonvalue"
)

// A form is a way to write components one after another. A component that a tree
// holds in several pieces is opened once, then each piece's body is written, then it
// is ended: the result does not show where the pieces meet.
type form struct {
	begin, between, end string
	open, body, close   func(dst []byte, c *Component) []byte
}

// append writes all of pieces.
func (f *form) append(dst []byte, pieces iter.Seq[*Component]) []byte {
	dst = append(dst, f.begin...)
	var last *Component
	for c := range pieces {
		dst = f.body(f.glue(dst, last, c), c)
		last = c
	}
	return append(f.glue(dst, last, nil), f.end...)
}

// glue writes what stands between the bodies of two neighbours; either may be nil for
// the start or the end.
func (f *form) glue(dst []byte, last, next *Component) []byte {
	if last != nil && next != nil && last.joins(next) {
		return dst
	}
	if last != nil {
		dst = f.close(dst, last)
	}
	if last != nil && next != nil {
		dst = append(dst, f.between...)
	}
	if next != nil {
		dst = f.open(dst, next)
	}
	return dst
}

// jsonForm is the wire form: [{"insert":"a","attributes":{"bold":true}},{"retain":2}].
var jsonForm = form{
	begin: "[", between: ",", end: "]",
	open: func(dst []byte, c *Component) []byte {
		switch {
		case c.Kind == Retain:
			return strconv.AppendInt(append(dst, `{"retain":`...), int64(c.N), 10)
		case c.Kind == Delete:
			return strconv.AppendInt(append(dst, `{"delete":`...), int64(c.N), 10)
		case c.Embed != nil:
			return append(dst, `{"insert":`...)
		}
		return append(dst, `{"insert":"`...)
	},
	body: func(dst []byte, c *Component) []byte {
		if c.Embed != nil {
			return jsonvalue.Append(dst, c.Embed)
		}
		return jsonscan.AppendEscaped(dst, c.S)
	},
	close: func(dst []byte, c *Component) []byte {
		if c.S != "" {
			dst = append(dst, '"')
		}
		if c.Attributes != nil {
			dst = jsonvalue.Append(append(dst, `,"attributes":`...), c.Attributes)
		}
		return append(dst, '}')
	},
}

// The binary form is a row of components. Each is an unsigned varint that holds what
// it is in its two low bits, then a bit that says whether attributes follow, and the
// length of a retain or delete above them; then the attributes in JSON; then the text
// of an insert in UTF-8 or its object in JSON. These three end with endOfText, a byte
// that UTF-8 does not have.
var binaryForm = form{
	open: func(dst []byte, c *Component) []byte {
		dst = binary.AppendUvarint(dst, head(c))
		if c.Attributes != nil {
			dst = append(jsonvalue.Append(dst, c.Attributes), endOfText)
		}
		return dst
	},
	body: func(dst []byte, c *Component) []byte {
		if c.Embed != nil {
			return jsonvalue.Append(dst, c.Embed)
		}
		return append(dst, c.S...)
	},
	close: func(dst []byte, c *Component) []byte {
		if c.Kind == Insert {
			dst = append(dst, endOfText)
		}
		return dst
	},
}

const (
	endOfText     = 0xFF
	embedCode     = 3 // where others have their Kind
	hasAttributes = 1 << 2
	lengthShift   = 3
)

func head(c *Component) uint64 {
	h := uint64(c.Kind)
	switch {
	case c.Embed != nil:
		h = embedCode
	case c.Kind != Insert:
		h |= uint64(c.N) << lengthShift
	}
	if c.Attributes != nil {
		h |= hasAttributes
	}
	return h
}

// bodySize and frameSize return how long the binary form of a component is: its body,
// and what stands around that.
func bodySize(c *Component) int {
	if c.Embed != nil {
		return jsonvalue.Size(c.Embed)
	}
	return len(c.S)
}

func frameSize(c *Component) int {
	n := (bits.Len64(head(c)|1) + 6) / 7
	if c.Attributes != nil {
		n += jsonvalue.Size(c.Attributes) + 1
	}
	if c.Kind == Insert {
		n++
	}
	return n
}

// each yields the components of op.
func (op Op) each(yield func(*Component) bool) {
	for i := range op {
		if !yield(&op[i]) {
			return
		}
	}
}

// AppendJSON appends the JSON wire form of op.
func (op Op) AppendJSON(dst []byte) []byte { return jsonForm.append(dst, op.each) }

// AppendBinary appends the compact binary form of op, as kept on disk.
func (op Op) AppendBinary(dst []byte) []byte { return binaryForm.append(dst, op.each) }
