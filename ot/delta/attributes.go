package delta

import (
	"quire/ot"
	"quire/ot/jsonvalue"
)

// Attributes are objects in which null means that an attribute is to go. None are
// nil; attributes and the functions below never return an empty object.

// attributes returns the attributes with the given members.
func attributes(members []jsonvalue.Member) *jsonvalue.Object {
	if len(members) == 0 {
		return nil
	}
	return jsonvalue.NewObject(members)
}

func count(a *jsonvalue.Object) int {
	if a == nil {
		return 0
	}
	return a.Len()
}

func sameAttributes(a, b *jsonvalue.Object) bool {
	return a == b || a != nil && b != nil && jsonvalue.Equal(a, b)
}

func hasNull(a *jsonvalue.Object) bool {
	for i := range count(a) {
		if a.Member(i).Value == nil {
			return true
		}
	}
	return false
}

// composeAttributes returns what attributes a become when b are set. Nulls of b are
// kept where they are still to take effect: in a retain, but not in an insert.
func composeAttributes(a, b *jsonvalue.Object, keepNull bool) *jsonvalue.Object {
	switch {
	case b == nil:
		return a
	case a == nil && (keepNull || !hasNull(b)):
		return b
	}
	members := make([]jsonvalue.Member, 0, count(a)+count(b))
	for i := range count(b) {
		if m := b.Member(i); keepNull || m.Value != nil {
			members = append(members, m)
		}
	}
	return attributes(appendMissing(members, a, b))
}

// transformAttributes returns what an operation sets, which stands on the given side
// of another: on the Right it yields where the other sets the same attribute.
func transformAttributes(set, other *jsonvalue.Object, side ot.Side) *jsonvalue.Object {
	if side == ot.Left || set == nil || other == nil {
		return set
	}
	return attributes(appendMissing(nil, set, other))
}

// appendMissing appends the members of a whose names b does not have.
func appendMissing(members []jsonvalue.Member, a, b *jsonvalue.Object) []jsonvalue.Member {
	for i := range count(a) {
		if m := a.Member(i); !has(b, m.Name) {
			members = append(members, m)
		}
	}
	return members
}

func has(a *jsonvalue.Object, name string) bool {
	_, ok := a.Get(name)
	return ok
}

// invertAttributes returns the attributes that take set back where base were before.
func invertAttributes(set, base *jsonvalue.Object) *jsonvalue.Object {
	var members []jsonvalue.Member
	for i := range count(set) {
		m := set.Member(i)
		before, ok := base.Get(m.Name)
		if !ok || !identical(before, m.Value) {
			members = append(members, jsonvalue.Member{Name: m.Name, Value: before})
		}
	}
	return attributes(members)
}

// identical is JavaScript's === of values from different places, by which
// quill-delta leaves out what needs no taking back: no two objects are identical.
func identical(a, b jsonvalue.Value) bool {
	switch a.(type) {
	case *jsonvalue.List, *jsonvalue.Object:
		return false
	}
	return a == b
}
