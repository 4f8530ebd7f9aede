package redact

import (
	"strings"

	"quire/ot/jsonvalue"
)

// Values puts filler into the strings and names within JSON values, each by itself: an
// occurrence lies within one string or one name. Names that differ stay different.
type Values struct {
	*Secret
	names map[rune]bool // characters in names that could be taken for filler
	mark  rune          // the filler of names, once it is chosen
	found bool          // the secret is in a string or a name
}

// NewValues returns a Values that has seen nothing.
func NewValues(s *Secret) *Values { return &Values{Secret: s, names: map[rune]bool{}} }

// Found reports whether there is anything to replace in what was seen.
func (v *Values) Found() bool { return v.found }

// See takes in objects, which may be nil.
func (v *Values) See(objects ...*jsonvalue.Object) {
	for _, o := range objects {
		if o != nil {
			v.SeeValue(o)
		}
	}
}

// SeeValue takes in the strings and names within a value.
func (v *Values) SeeValue(x jsonvalue.Value) {
	switch x := x.(type) {
	case string:
		v.found = v.found || strings.Contains(x, v.text)
	case *jsonvalue.List:
		for i := range x.Len() {
			v.SeeValue(x.At(i))
		}
	case *jsonvalue.Object:
		for i := range x.Len() {
			m := x.Member(i)
			v.SeeName(m.Name)
			v.SeeValue(m.Value)
		}
	}
}

// Strings calls f with every string within a value, in order.
func Strings(x jsonvalue.Value, f func(string)) {
	switch x := x.(type) {
	case string:
		f(x)
	case *jsonvalue.List:
		for i := range x.Len() {
			Strings(x.At(i), f)
		}
	case *jsonvalue.Object:
		for i := range x.Len() {
			Strings(x.Member(i).Value, f)
		}
	}
}

// SeeName takes in a name.
func (v *Values) SeeName(name string) {
	v.found = v.found || strings.Contains(name, v.text)
	for _, r := range name {
		if r >= Filler {
			v.names[r] = true
		}
	}
}

// Name returns a name with filler in it. Every name must have been seen before the first call.
func (v *Values) Name(name string) string {
	if v.mark == 0 {
		v.mark = Absent(func(r rune) bool { return v.names[r] || strings.ContainsRune(v.text, r) })
	}
	return v.Secret.Replace(name, v.mark)
}

// Text returns a string with filler in it.
func (v *Values) Text(s string) string { return v.Secret.Replace(s, v.filler) }

// Replace returns a value with filler in its strings and names, and whether it is another
// than it was.
func (v *Values) Replace(x jsonvalue.Value) (jsonvalue.Value, bool) { return v.Map(x, v.Text) }

// Map returns a value with filler in its names and every string replaced by what text returns
// for it, in order, and whether it is another than it was; itself when it is not.
func (v *Values) Map(x jsonvalue.Value, text func(string) string) (jsonvalue.Value, bool) {
	switch x := x.(type) {
	case string:
		s := text(x)
		return s, s != x
	case *jsonvalue.List:
		var items []jsonvalue.Value // once one is another
		for i := range x.Len() {
			value, did := v.Map(x.At(i), text)
			if did && items == nil {
				items = make([]jsonvalue.Value, x.Len())
				for k := range i {
					items[k] = x.At(k)
				}
			}
			if items != nil {
				items[i] = value
			}
		}
		if items != nil {
			return jsonvalue.NewList(items), true
		}
	case *jsonvalue.Object:
		var members []jsonvalue.Member // once one is another
		for i := range x.Len() {
			m := x.Member(i)
			name, was := v.Name(m.Name), m
			value, did := v.Map(m.Value, text)
			if m = (jsonvalue.Member{Name: name, Value: value}); (did || m.Name != was.Name) && members == nil {
				members = make([]jsonvalue.Member, x.Len())
				for k := range i {
					members[k] = x.Member(k)
				}
			}
			if members != nil {
				members[i] = m
			}
		}
		if members != nil {
			return jsonvalue.NewObject(members), true
		}
	}
	return x, false
}
