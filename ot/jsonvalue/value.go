// Package jsonvalue is JSON values (RFC 8259) that are never changed: those that
// edits make share most of their memory with those they came from. Numbers are
// IEEE 754 doubles as in JavaScript. The written form is canonical, that of
// RFC 8785: names in the order of their UTF-16 code units, numbers and strings as
// JavaScript's JSON.stringify writes them.
package jsonvalue

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/jsonscan"
)

// Value is one of nil (null), bool, float64 (finite, never minus zero), string (valid
// UTF-8), *List, *Object. Values are immutable and safe for concurrent use.
type Value any

// List is a JSON array.
type List struct {
	items []Value
	shape
}

// Object is a JSON object.
type Object struct {
	members []Member // by name, in UTF-16 order
	shape
}

// Member is one name and value of an Object.
type Member struct {
	Name  string
	Value Value
}

// shape is what is known of a container without walking it.
type shape struct {
	size  int // of the contents' written form
	depth int // of the deepest container in it, itself included
}

// NewList returns the list of items, which it keeps.
func NewList(items []Value) *List {
	l := &List{items: items, shape: shape{depth: 1}}
	for _, v := range items {
		l.grow(v, 0)
	}
	return l
}

// NewObject returns the object of members in any order; of those with one name the
// last counts, as in JavaScript. It keeps and sorts the slice.
func NewObject(members []Member) *Object {
	slices.SortStableFunc(members, func(a, b Member) int { return CompareNames(a.Name, b.Name) })
	n := 0
	for i := range members {
		if i+1 < len(members) && members[i+1].Name == members[i].Name {
			continue
		}
		members[n] = members[i]
		n++
	}
	return object(members[:n])
}

// object returns the object of members that are in order.
func object(members []Member) *Object {
	o := &Object{members: members, shape: shape{depth: 1}}
	for i := range members {
		o.grow(members[i].Value, stringSize(members[i].Name)+1)
	}
	return o
}

// grow counts one more thing in a container.
func (s *shape) grow(v Value, more int) {
	s.size += Size(v) + more
	s.depth = max(s.depth, 1+Depth(v))
}

// Len returns how many items there are.
func (l *List) Len() int { return len(l.items) }

// At returns item i, 0 <= i < Len.
func (l *List) At(i int) Value { return l.items[i] }

// With returns the list with v in place of item i, 0 <= i < Len.
func (l *List) With(i int, v Value) *List {
	items := slices.Clone(l.items)
	items[i] = v
	return NewList(items)
}

// Inserted returns the list with v before item i, 0 <= i <= Len.
func (l *List) Inserted(i int, v Value) *List {
	return NewList(slices.Insert(slices.Clip(l.items), i, v))
}

// Removed returns the list without item i, 0 <= i < Len.
func (l *List) Removed(i int) *List {
	items := make([]Value, 0, len(l.items)-1)
	return NewList(append(append(items, l.items[:i]...), l.items[i+1:]...))
}

// Len returns how many members there are.
func (o *Object) Len() int { return len(o.members) }

// Member returns member i in the order of names, 0 <= i < Len.
func (o *Object) Member(i int) Member { return o.members[i] }

func (o *Object) find(name string) (int, bool) {
	return slices.BinarySearchFunc(o.members, name, func(m Member, name string) int { return CompareNames(m.Name, name) })
}

// Get returns the value of a name and whether there is one.
func (o *Object) Get(name string) (Value, bool) {
	if o == nil {
		return nil, false
	}
	i, ok := o.find(name)
	if !ok {
		return nil, false
	}
	return o.members[i].Value, true
}

// With returns the object with a name set to v.
func (o *Object) With(name string, v Value) *Object {
	i, ok := o.find(name)
	if ok {
		members := slices.Clone(o.members)
		members[i].Value = v
		return object(members)
	}
	return object(slices.Insert(slices.Clip(o.members), i, Member{name, v}))
}

// Without returns the object without a name; itself when it has none of that name.
func (o *Object) Without(name string) *Object {
	i, ok := o.find(name)
	if !ok {
		return o
	}
	members := make([]Member, 0, len(o.members)-1)
	return object(append(append(members, o.members[:i]...), o.members[i+1:]...))
}

// CompareNames orders names by their UTF-16 code units, as JavaScript's sort does.
func CompareNames(a, b string) int {
	for a != "" && b != "" {
		r, n := utf8.DecodeRuneInString(a)
		s, m := utf8.DecodeRuneInString(b)
		if r != s {
			return unitOrder(r) - unitOrder(s)
		}
		a, b = a[n:], b[m:]
	}
	return len(a) - len(b)
}

// unitOrder puts what UTF-16 writes with surrogates (D800 to DFFF) before E000.
func unitOrder(r rune) int {
	switch {
	case r >= 0x10000:
		return int(r)
	case r >= 0xE000:
		return int(r) + 0x110000
	}
	return int(r)
}

// Equal reports whether two values are the same.
func Equal(a, b Value) bool {
	switch a := a.(type) {
	case *List:
		b, ok := b.(*List)
		return ok && (a == b || a.size == b.size && slices.EqualFunc(a.items, b.items, Equal))
	case *Object:
		b, ok := b.(*Object)
		return ok && (a == b || a.size == b.size && slices.EqualFunc(a.members, b.members, func(m, n Member) bool { return m.Name == n.Name && Equal(m.Value, n.Value) }))
	}
	return a == b
}

// Size returns the length in bytes of the written form. It takes O(1) for lists and
// objects.
func Size(v Value) int {
	switch v := v.(type) {
	case string:
		return stringSize(v)
	case *List:
		return 2 + v.size + max(0, len(v.items)-1)
	case *Object:
		return 2 + v.size + max(0, len(v.members)-1)
	}
	var room [32]byte
	return len(Append(room[:0], v))
}

func stringSize(s string) int {
	n := 2
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t':
			n += 2
		case c < ' ':
			n += 6
		default:
			n++
		}
	}
	return n
}

// Depth returns how many lists and objects lie within one another at most; 0 for
// a value that is neither.
func Depth(v Value) int {
	switch v := v.(type) {
	case *List:
		return v.depth
	case *Object:
		return v.depth
	}
	return 0
}

// Append appends the written form of v.
func Append(dst []byte, v Value) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case float64:
		return appendNumber(dst, v)
	case string:
		return jsonscan.AppendString(dst, v)
	case *List:
		dst = append(dst, '[')
		for i, item := range v.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = Append(dst, item)
		}
		return append(dst, ']')
	case *Object:
		dst = append(dst, '{')
		for i := range v.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(jsonscan.AppendString(dst, v.members[i].Name), ':')
			dst = Append(dst, v.members[i].Value)
		}
		return append(dst, '}')
	}
	panic(fmt.Sprintf("jsonvalue: %T is no Value", v))
}

// appendNumber writes a number as ECMAScript's Number::toString does.
func appendNumber(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	if abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
		if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' { // e-09 is written e-9
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
		return dst
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// Parse reads one value. It fails with ot.ErrSyntax, or with ot.ErrLimit when lists
// and objects lie more than maxDepth deep (0 means DefaultDepth). A number of any
// spelling becomes the nearest double; one past the largest double is ErrLimit. A
// name "__proto__" is ErrSyntax: too many programs that JSON passes through trip over
// it.
func Parse(data []byte, maxDepth int) (Value, error) {
	in := jsonscan.New(data)
	v, err := Read(&in, maxDepth)
	if err == nil {
		err = in.End()
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// DefaultDepth is how deep lists and objects may lie within one another unless a
// caller says otherwise.
const DefaultDepth = 128

// Read is Parse of the next value of a longer text.
func Read(in *jsonscan.Scanner, maxDepth int) (Value, error) {
	if maxDepth <= 0 {
		maxDepth = DefaultDepth
	}
	return read(in, maxDepth)
}

func read(in *jsonscan.Scanner, depth int) (Value, error) {
	switch c := in.Peek(); {
	case c == '"':
		s, err := in.String()
		if err != nil {
			return nil, err
		}
		return s, nil
	case (c == '[' || c == '{') && depth == 0:
		return nil, fmt.Errorf("%w: JSON is nested too deep", ot.ErrLimit)
	case c == '[':
		return readList(in, depth-1)
	case c == '{':
		return readObject(in, depth-1)
	case c == '-' || c-'0' <= 9:
		f, err := in.Number()
		if err != nil {
			return nil, err
		}
		return f, nil
	case in.Word("null"):
		return nil, nil
	case in.Word("true"):
		return true, nil
	case in.Word("false"):
		return false, nil
	}
	return nil, in.Fail("value expected")
}

func readList(in *jsonscan.Scanner, depth int) (Value, error) {
	var items []Value
	err := in.Array(func() error {
		v, err := read(in, depth)
		items = append(items, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return NewList(items), nil
}

func readObject(in *jsonscan.Scanner, depth int) (Value, error) {
	var members []Member
	err := in.Object(func(name string) error {
		if name == "__proto__" {
			return in.Fail(`the name "__proto__"`)
		}
		v, err := read(in, depth)
		members = append(members, Member{name, v})
		return err
	})
	if err != nil {
		return nil, err
	}
	return NewObject(members), nil
}
