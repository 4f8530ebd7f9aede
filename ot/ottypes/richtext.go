package ottypes

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/jsonscan"
	"quire/ot/text"
)

// RichText is rich-text, Quill's Delta: package delta. Documents and operations are
// written {"ops":[…]}; an array alone is read as well.
type RichText struct{ leftmost }

// URI returns the type's URI.
func (RichText) URI() string { return "http://sharejs.org/types/rich-text/v1" }

// Names returns the short name.
func (RichText) Names() []string { return []string{"rich-text"} }

// Type returns delta.Type.
func (RichText) Type() ot.Type { return delta.Type{} }

// Side returns ot.Right: npm's rich-text has the sides the other way round.
func (RichText) Side() ot.Side { return ot.Right }

// Create returns the document with the content that data is; one without anything in it
// when data is nil or null.
func (RichText) Create(data []byte) (ot.Doc, error) {
	if nullable(data) == nil {
		return delta.New(nil), nil
	}
	op, err := delta.Parse(data, ot.Limits{})
	if err != nil {
		return nil, err
	}
	return delta.New(op), nil
}

// AppendDoc appends the content.
func (RichText) AppendDoc(dst []byte, d ot.Doc) []byte {
	return append(d.(*delta.Doc).AppendJSON(append(dst, `{"ops":`...)), '}')
}

// DecodeOp is delta.Parse.
func (RichText) DecodeOp(_ ot.Doc, data []byte, lim ot.Limits) (ot.Op, error) {
	return boxed(delta.Parse(data, lim))
}

// AppendOp appends the operation.
func (RichText) AppendOp(dst []byte, _ ot.Doc, op ot.Op) ([]byte, error) {
	return append(op.(delta.Op).AppendJSON(append(dst, `{"ops":`...)), '}'), nil
}

// Cursor returns the one selection that a presence {"index":3,"length":5} is, from its
// start to its end. Other members are passed over. It fails with ot.ErrSyntax.
func (RichText) Cursor(presence []byte) (ot.Cursor, error) {
	var at [2]int
	found := 0
	err := members(presence, func(name string, value []byte) error {
		i := slices.Index(rangeNames, name)
		if i < 0 {
			return nil
		}
		in := jsonscan.New(value)
		f, err := in.Number()
		if err != nil || in.End() != nil || f < 0 || f > math.MaxInt32 || f != math.Trunc(f) {
			return fmt.Errorf("%w: %s is not an offset", ot.ErrSyntax, name)
		}
		at[i] = int(f)
		found |= 1 << i
		return nil
	})
	if err == nil && found != 3 {
		err = fmt.Errorf("%w: no index or no length", ot.ErrSyntax)
	}
	return text.Cursor{{at[0], at[0] + at[1]}}, err
}

// rangeNames are the members of a presence that Cursor reads.
var rangeNames = []string{"index", "length"}

// AppendPresence appends a presence with its index and length replaced by those of the
// first selection of c. A presence that Cursor does not understand stays as it is.
func (RichText) AppendPresence(dst, presence []byte, c ot.Cursor) []byte {
	selections, _ := c.(text.Cursor)
	if len(selections) == 0 {
		return append(dst, presence...)
	}
	at := [2]int{selections[0][0], selections[0][1] - selections[0][0]}
	out := []byte{'{'}
	err := members(presence, func(name string, value []byte) error {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(jsonscan.AppendString(out, name), ':')
		if i := slices.Index(rangeNames, name); i >= 0 {
			out = strconv.AppendInt(out, int64(at[i]), 10)
		} else {
			out = append(out, value...)
		}
		return nil
	})
	if err != nil {
		return append(dst, presence...)
	}
	return append(append(dst, out...), '}')
}

// members calls f for each member of an object.
func members(object []byte, f func(name string, value []byte) error) error {
	in := jsonscan.New(object)
	err := in.Object(func(name string) error {
		value, err := in.Raw()
		if err != nil {
			return err
		}
		return f(name, value)
	})
	if err != nil {
		return err
	}
	return in.End()
}
