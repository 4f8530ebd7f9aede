package ottest

import (
	"math/rand/v2"
	"strconv"

	"quire/ot"
	"quire/ot/json0"
	"quire/ot/jsonvalue"
	"quire/ot/text"
	"quire/ot/text0"
)

// JSON0 generates values for the type json0: documents of up to size lists and objects
// or so, operations of up to a quarter of size components, cursors of up to four paths.
//
// Operations tell the truth about what they delete, give the indexes of lists as
// numbers, and add whole numbers, all of which the reference needs to converge. Strings
// below a name that begins with "t" are edited with text0, all others with si and sd: one
// string edited in both ways at once does not converge in the reference. Operations are
// merged as far as they can be, because composing with the identity merges.
func JSON0() Gen {
	return Gen{
		Regroups: true,
		Doc: func(r *rand.Rand, size int) ot.Doc {
			depth := 1 + size/6
			v := thing(r, depth)
			for range 3 { // most are a list or an object, and not empty
				if jsonvalue.Size(v) < 8 {
					v = thing(r, depth)
				}
			}
			return jsonDoc(v)
		},
		Op: func(r *rand.Rand, d ot.Doc, size int) ot.Op {
			var op json0.Op
			for range r.IntN(2 + size/4) {
				c := jsonComponent(r, d.(*json0.Doc).Value())
				after, err := d.(*json0.Doc).Apply(json0.Op{c})
				if err != nil {
					panic(err)
				}
				op, d = append(op, c), after
			}
			return merged(op, json0.Normalize, json0.Op.AppendJSON)
		},
		Texts: func(d ot.Doc) []string { return appendTexts(nil, d.(*json0.Doc).Value()) },
		Cursor: func(r *rand.Rand, d ot.Doc, size int) ot.Cursor {
			c := make(json0.Cursor, r.IntN(min(size, 4)+1))
			for i := range c {
				c[i] = place(r, d.(*json0.Doc).Value()).path
			}
			return c
		},
	}
}

// appendTexts appends the strings and names within v.
func appendTexts(dst []string, v jsonvalue.Value) []string {
	switch v := v.(type) {
	case string:
		return append(dst, v)
	case *jsonvalue.List:
		for i := range v.Len() {
			dst = appendTexts(dst, v.At(i))
		}
	case *jsonvalue.Object:
		for i := range v.Len() {
			m := v.Member(i)
			dst = appendTexts(append(dst, m.Name), m.Value)
		}
	}
	return dst
}

func jsonDoc(v jsonvalue.Value) *json0.Doc {
	d, err := json0.NewDoc(v)
	if err != nil {
		panic(err)
	}
	return d
}

// names are those of members: also some that look like indexes and that UTF-16 orders in
// another way than UTF-8.
var names = []string{"a", "b", "t", "title", "10", "9", "", "🌍", "\uffff", `"`}

// thing returns a random value of at most the given depth.
func thing(r *rand.Rand, depth int) jsonvalue.Value {
	switch n := r.IntN(9); {
	case n == 0:
		return nil
	case n == 1:
		return r.IntN(2) == 0
	case n == 2:
		return float64(r.IntN(50) - 20)
	case n <= 4 || depth == 0:
		return words(r, r.IntN(5))
	case n <= 6:
		items := make([]jsonvalue.Value, r.IntN(6))
		for i := range items {
			items[i] = thing(r, depth-1)
		}
		return jsonvalue.NewList(items)
	}
	members := make([]jsonvalue.Member, r.IntN(5))
	for i := range members {
		members[i] = jsonvalue.Member{Name: names[r.IntN(len(names))], Value: thing(r, depth-1)}
	}
	return jsonvalue.NewObject(members)
}

// spot is a place in a document.
type spot struct {
	path   json0.Path
	value  jsonvalue.Value
	parent jsonvalue.Value // the list or object it is in; null for the root
	name   string          // the last name in the path
}

// place returns a random place in v.
func place(r *rand.Rand, v jsonvalue.Value) spot {
	at := spot{path: json0.Path{}, value: v}
	for r.IntN(4) > 0 {
		next, ok := at.below(r)
		if !ok {
			break
		}
		at = next
	}
	return at
}

// below returns one of the places right below a list or object that is not empty.
func (at spot) below(r *rand.Rand) (spot, bool) {
	switch v := at.value.(type) {
	case *jsonvalue.List:
		if v.Len() > 0 {
			i := r.IntN(v.Len())
			return at.step(json0.Index(i), v.At(i)), true
		}
	case *jsonvalue.Object:
		if v.Len() > 0 {
			m := v.Member(r.IntN(v.Len()))
			below := at.step(json0.Name(m.Name), m.Value)
			below.name = m.Name
			return below, true
		}
	}
	return spot{}, false
}

// step returns the place one key further, with value there.
func (at spot) step(k json0.Key, value jsonvalue.Value) spot {
	path := append(append(make(json0.Path, 0, len(at.path)+1), at.path...), k)
	return spot{path, value, at.value, at.name}
}

// jsonComponent returns a component that fits v.
func jsonComponent(r *rand.Rand, v jsonvalue.Value) json0.Component {
	at := place(r, v)
	c := json0.Component{Path: at.path}
	list, inList := at.parent.(*jsonvalue.List)
	if inList && r.IntN(5) < 2 {
		c.Has, c.To = json0.LM, json0.Index(r.IntN(list.Len()))
		return c
	}
	_, isBool := at.value.(bool)
	if at.value == nil || isBool || r.IntN(10) < 3 {
		c.Has, c.Deleted, c.Inserted = json0.OD|json0.OI, at.value, thing(r, 2)
		if inList {
			c.Has = json0.LD | json0.LI
		}
		return c
	}
	switch v := at.value.(type) {
	case string:
		return at.editString(r, v)
	case float64:
		c.Has, c.Add = json0.NA, float64(r.IntN(10)-3)
		return c
	case *jsonvalue.List:
		if gone, ok := at.below(r); ok && r.IntN(2) == 0 {
			return json0.Component{Path: gone.path, Has: json0.LD, Deleted: gone.value}
		}
		put := at.step(json0.Index(r.IntN(v.Len()+1)), thing(r, 2))
		return json0.Component{Path: put.path, Has: json0.LI, Inserted: put.value}
	}
	if gone, ok := at.below(r); ok && r.IntN(2) == 0 {
		return json0.Component{Path: gone.path, Has: json0.OD, Deleted: gone.value}
	}
	object := at.value.(*jsonvalue.Object)
	name := names[r.IntN(len(names))]
	for n := 0; ; n++ { // to a name that is not there
		if _, there := object.Get(name); !there {
			break
		}
		name += strconv.Itoa(n)
	}
	put := at.step(json0.Name(name), thing(r, 2))
	return json0.Component{Path: put.path, Has: json0.OI, Inserted: put.value}
}

// editString returns a component that changes the string s at the place.
func (at spot) editString(r *rand.Rand, s string) json0.Component {
	d, err := text.FromString(s)
	if err != nil {
		panic(err)
	}
	edit := text0Component(r, d)
	if at.name != "" && at.name[0] == 't' {
		return json0.Component{Path: at.path, Has: json0.T, Edit: text0.Op{edit}}
	}
	c := json0.Component{Path: at.step(json0.Index(edit.Pos), nil).path, Has: json0.SI, Text: edit.Text}
	if edit.Delete {
		c.Has = json0.SD
	}
	return c
}
