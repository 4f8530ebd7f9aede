// Package jsonvalue is JSON values (RFC 8259) that are never changed: those that
// edits make share most of their memory with those they came from. Numbers are
// IEEE 754 doubles as in JavaScript. The written form is canonical, that of
// RFC 8785: names in the order of their UTF-16 code units, numbers and strings as
// JavaScript's JSON.stringify writes them.
package jsonvalue

import (
	"slices"
	"unicode/utf8"
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
		o.grow(members[i].Value, nameSize(members[i].Name))
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

// changed returns the list of items, which came of those of l by taking gone out and
// putting v in. The others are not looked at.
func (l *List) changed(items []Value, gone, v Value) *List {
	out := &List{items, l.shape}
	if out.change(gone, v) {
		for _, item := range items {
			out.depth = max(out.depth, 1+Depth(item))
		}
	}
	return out
}

// change counts that v took the place of gone; either is null when there is none. It
// reports whether gone may have been the deepest thing there was: then depth is to be
// worked out anew and is 1 for now.
func (s *shape) change(gone, v Value) bool {
	s.size += Size(v) - Size(gone)
	if depth := 1 + Depth(v); depth >= s.depth {
		s.depth = depth
	} else if 1+Depth(gone) == s.depth {
		s.depth = 1
		return true
	}
	return false
}

// With returns the list with v in place of item i, 0 <= i < Len.
func (l *List) With(i int, v Value) *List {
	items := slices.Clone(l.items)
	items[i] = v
	return l.changed(items, l.items[i], v)
}

// Inserted returns the list with v before item i, 0 <= i <= Len.
func (l *List) Inserted(i int, v Value) *List {
	out := l.changed(slices.Insert(slices.Clip(l.items), i, v), nil, v)
	out.size += Size(nil)
	return out
}

// Removed returns the list without item i, 0 <= i < Len.
func (l *List) Removed(i int) *List {
	items := make([]Value, 0, len(l.items)-1)
	out := l.changed(append(append(items, l.items[:i]...), l.items[i+1:]...), l.items[i], nil)
	out.size -= Size(nil)
	return out
}

// Moved returns the list with item from taken out and put in again as item to,
// 0 <= from, to < Len.
func (l *List) Moved(from, to int) *List {
	items := slices.Clone(l.items)
	item := items[from]
	if from < to {
		copy(items[from:to], items[from+1:])
	} else {
		copy(items[to+1:], items[to:from])
	}
	items[to] = item
	return &List{items, l.shape}
}

// Len returns how many members there are.
func (o *Object) Len() int { return len(o.members) }

// Member returns member i in the order of names, 0 <= i < Len.
func (o *Object) Member(i int) Member { return o.members[i] }

// changed is List.changed for members.
func (o *Object) changed(members []Member, gone, v Value) *Object {
	out := &Object{members, o.shape}
	if out.change(gone, v) {
		for i := range members {
			out.depth = max(out.depth, 1+Depth(members[i].Value))
		}
	}
	return out
}

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
		return o.changed(members, o.members[i].Value, v)
	}
	out := o.changed(slices.Insert(slices.Clip(o.members), i, Member{name, v}), nil, v)
	out.size += Size(nil) + nameSize(name)
	return out
}

// Without returns the object without a name; itself when it has none of that name.
func (o *Object) Without(name string) *Object {
	i, ok := o.find(name)
	if !ok {
		return o
	}
	members := make([]Member, 0, len(o.members)-1)
	out := o.changed(append(append(members, o.members[:i]...), o.members[i+1:]...), o.members[i].Value, nil)
	out.size -= Size(nil) + nameSize(name)
	return out
}

// nameSize is the length of a name's written form and the colon.
func nameSize(name string) int { return stringSize(name) + 1 }

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
