package json0

import (
	"fmt"
	"math"
	"sync/atomic"

	"quire/ot"
	"quire/ot/checksum"
	"quire/ot/jsonvalue"
	"quire/ot/text0"
)

// Doc is a document: an immutable JSON value. It is safe for concurrent use. The zero
// Doc is null.
type Doc struct {
	value jsonvalue.Value
	sum   atomic.Uint64 // 1<<32 | checksum, or 0 while not known
}

// NewDoc returns the document with the given value. It fails with ot.ErrLimit when lists
// and objects in it lie more than jsonvalue.DefaultDepth deep.
func NewDoc(v jsonvalue.Value) (*Doc, error) {
	if depth := jsonvalue.Depth(v); depth > jsonvalue.DefaultDepth {
		return nil, fmt.Errorf("%w: the document would be %d lists and objects deep, limit %d", ot.ErrLimit, depth, jsonvalue.DefaultDepth)
	}
	return &Doc{value: v}, nil
}

// Value returns the content.
func (d *Doc) Value() jsonvalue.Value { return d.value }

// Checksum returns the CRC-32C of the content in the form of RFC 8785. It is worked out
// once, in time linear in the content.
func (d *Doc) Checksum() uint32 {
	if known := d.sum.Load(); known != 0 {
		return uint32(known)
	}
	crc := checksum.Of(jsonvalue.Append(make([]byte, 0, jsonvalue.Size(d.value)), d.value)).CRC()
	d.sum.Store(1<<32 | uint64(crc))
	return crc
}

// maxWork bounds what one operation may copy in all: the lengths of the lists and objects
// on the paths of its components, and quarters of strings. It is a second or two.
var maxWork = 1 << 27

// Apply returns the document after op; what op does not touch is shared. It fails with
// ot.ErrMismatch, with the reference's words, when op does not fit, and with ot.ErrLimit
// when lists and objects would lie more than jsonvalue.DefaultDepth deep, or when many
// components change a huge list or string, so that its copies would come to gigabytes.
func (d *Doc) Apply(op Op) (*Doc, error) {
	if len(op) == 0 {
		return d, nil
	}
	return d.walk(op, func(*Component, jsonvalue.Value) {})
}

// walk is Apply; it calls see for each component with the value it was applied to.
func (d *Doc) walk(op Op, see func(c *Component, before jsonvalue.Value)) (*Doc, error) {
	v, work := d.value, 0
	for i := range op {
		c := &op[i]
		if work += c.work(v); work > maxWork {
			return nil, fmt.Errorf("%w: %d components would copy too much", ot.ErrLimit, len(op))
		}
		after, err := c.apply(v)
		if err != nil {
			return nil, err
		}
		see(c, v)
		v = after
	}
	return NewDoc(v)
}

// work returns how much applying c to v copies.
func (c *Component) work(v jsonvalue.Value) (n int) {
	for i := 0; ; i++ {
		switch v := v.(type) {
		case *jsonvalue.List:
			n += v.Len()
		case *jsonvalue.Object:
			n += v.Len()
		case string:
			n += len(v) / 4 * c.cost()
		}
		if i == len(c.Path) {
			return n
		}
		v = get(v, c.Path[i])
	}
}

// apply returns v after c.
func (c *Component) apply(v jsonvalue.Value) (jsonvalue.Value, error) {
	switch {
	case c.has(SI | SD):
		edit := c.asEdit()
		return edit.apply(v)
	case c.has(T):
		return change(v, c.Path, c.editString)
	case c.has(NA):
		return change(v, c.Path, c.addNumber)
	case c.has(LI | LD | LM):
		return change(v, c.Path.parent(), c.changeList)
	case len(c.Path) > 0:
		return change(v, c.Path.parent(), c.changeObject)
	case c.has(OI):
		return c.Inserted, nil
	}
	return nil, nil
}

// none stands for a value that is not there: JavaScript's undefined.
type none struct{}

// change returns v with what path leads to changed by f; f gets none{} when there is no
// such place though there could be one.
func change(v jsonvalue.Value, path Path, f func(old jsonvalue.Value) (jsonvalue.Value, error)) (jsonvalue.Value, error) {
	if len(path) == 0 {
		return f(v)
	}
	child := get(v, path[0])
	if child == (none{}) && len(path) > 1 {
		return nil, fmt.Errorf("%w: Path invalid: there is no %q", ot.ErrMismatch, path[0])
	}
	child, err := change(child, path[1:], f)
	if err != nil {
		return nil, err
	}
	if list, ok := v.(*jsonvalue.List); ok {
		i, _ := path[0].number()
		return list.With(i, child), nil
	}
	return v.(*jsonvalue.Object).With(path[0].String(), child), nil
}

// get returns what a key leads to in v, or none{}.
func get(v jsonvalue.Value, k Key) jsonvalue.Value {
	switch v := v.(type) {
	case *jsonvalue.List:
		if i, ok := k.number(); ok && i < v.Len() {
			return v.At(i)
		}
	case *jsonvalue.Object:
		if child, ok := v.Get(k.String()); ok {
			return child
		}
	}
	return none{}
}

func (c *Component) editString(old jsonvalue.Value) (jsonvalue.Value, error) {
	s, ok := old.(string)
	if !ok {
		return nil, fmt.Errorf("%w: Referenced element not a string (it was %s)", ot.ErrMismatch, kind(old))
	}
	s, err := text0.ApplyString(s, c.Edit)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *Component) addNumber(old jsonvalue.Value) (jsonvalue.Value, error) {
	f, ok := old.(float64)
	if !ok {
		return nil, fmt.Errorf("%w: Referenced element not a number (it was %s)", ot.ErrMismatch, kind(old))
	}
	if f += c.Add; math.IsInf(f, 0) {
		return nil, fmt.Errorf("%w: the sum is not finite", ot.ErrMismatch)
	}
	return f, nil
}

func (c *Component) changeList(old jsonvalue.Value) (jsonvalue.Value, error) {
	list, ok := old.(*jsonvalue.List)
	if !ok {
		return nil, fmt.Errorf("%w: Referenced element not a list (it was %s)", ot.ErrMismatch, kind(old))
	}
	size := list.Len()
	if c.Has == LI {
		size++ // it may go at the end
	}
	i, err := index(c.Path.last(), size)
	if err != nil {
		return nil, err
	}
	switch c.Has {
	case LI:
		return list.Inserted(i, c.Inserted), nil
	case LD:
		return list.Removed(i), nil
	case LI | LD:
		return list.With(i, c.Inserted), nil
	}
	to, err := index(c.To, size)
	if err != nil {
		return nil, err
	}
	return list.Moved(i, to), nil
}

// index returns the index k is or spells, which must be less than size.
func index(k Key, size int) (int, error) {
	if i, ok := k.number(); ok && i < size {
		return i, nil
	}
	return 0, fmt.Errorf("%w: Path invalid: no index %q below %d", ot.ErrMismatch, k, size)
}

func (c *Component) changeObject(old jsonvalue.Value) (jsonvalue.Value, error) {
	o, ok := old.(*jsonvalue.Object)
	if !ok {
		return nil, fmt.Errorf("%w: Referenced element not an object (it was %s)", ot.ErrMismatch, kind(old))
	}
	name := c.Path.last().String()
	if dangerous[name] { // decoders refuse it before
		return nil, fmt.Errorf("%w: Invalid path segment", ot.ErrMismatch)
	}
	if c.has(OI) {
		return o.With(name, c.Inserted), nil
	}
	return o.Without(name), nil
}

// kind names what v is, for errors: they may be logged, so they do not quote documents.
func kind(v jsonvalue.Value) string {
	switch v.(type) {
	case none:
		return "undefined"
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case float64:
		return "a number"
	case string:
		return "a string"
	case *jsonvalue.List:
		return "a list"
	}
	return "an object"
}
