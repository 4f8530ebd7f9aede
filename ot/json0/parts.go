package json0

import (
	"fmt"
	"slices"

	"quire/ot"
	"quire/ot/jsonvalue"
	"quire/ot/runs"
	"quire/ot/text0"
	"quire/ot/units"
)

// A part is a value of a document and the numbers of what it is made of. It is closed
// until something in it is changed.
type part struct {
	// first is the number of the value: in a rising tree, of the first unit of text in it,
	// before it was edited.
	first int64
	shape jsonvalue.Value // of a closed part; in a rising tree the value, which is shared with the document
	open  *opened         // otherwise
}

// opened is what an open part is made of: text, or items, which have names in an object.
type opened struct {
	text  *runs.List
	items []part
	names []string // in the order of jsonvalue.CompareNames; nil in a list
}

// A tree is the parts of one document.
type tree struct {
	root part
	// rising says that numbers tell the units of text, as in a runs.List: those of the
	// strings in one value follow one another.
	rising bool
}

// shapeOf returns what has to be known of a value: a list or object has the shapes of
// what is in it, a string is its length, anything else null.
func shapeOf(v jsonvalue.Value) jsonvalue.Value {
	switch v := v.(type) {
	case string:
		return float64(units.Count(v)[units.UTF16])
	case *jsonvalue.List:
		items := make([]jsonvalue.Value, v.Len())
		for i := range items {
			items[i] = shapeOf(v.At(i))
		}
		return jsonvalue.NewList(items)
	case *jsonvalue.Object:
		members := make([]jsonvalue.Member, v.Len())
		for i := range members {
			m := v.Member(i)
			members[i] = jsonvalue.Member{Name: m.Name, Value: shapeOf(m.Value)}
		}
		return jsonvalue.NewObject(members)
	}
	return nil
}

// extent returns how many units of text there are in a value.
func extent(v jsonvalue.Value) (n int64) {
	switch v := v.(type) {
	case string:
		return int64(units.Count(v)[units.UTF16])
	case *jsonvalue.List:
		for i := range v.Len() {
			n += extent(v.At(i))
		}
	case *jsonvalue.Object:
		for i := range v.Len() {
			n += extent(v.Member(i).Value)
		}
	}
	return n
}

// closed returns the part that is a value, made of what has numbers from first on.
func (t *tree) closed(v jsonvalue.Value, first int64) part {
	if t.rising {
		return part{first: first, shape: v}
	}
	return part{first: first, shape: shapeOf(v)}
}

// opened returns what p is made of, nil when it has no parts.
func (t *tree) opened(p *part) *opened {
	if p.open != nil || p.shape == nil {
		return p.open
	}
	first, o := p.first, &opened{}
	set := func(i int, shape jsonvalue.Value) {
		o.items[i] = part{first: first, shape: shape}
		if t.rising {
			first += extent(shape)
		}
	}
	switch s := p.shape.(type) {
	case *jsonvalue.List:
		o.items = make([]part, s.Len())
		for i := range s.Len() {
			set(i, s.At(i))
		}
	case *jsonvalue.Object:
		o.names, o.items = make([]string, s.Len()), make([]part, s.Len())
		for i := range s.Len() {
			o.names[i] = s.Member(i).Name
			set(i, s.Member(i).Value)
		}
	default:
		if o.text = t.numbers(s, first); o.text == nil {
			return nil
		}
	}
	p.open, p.shape = o, nil
	return o
}

// numbers returns those of the text that a shape is of, from first on; nil when it is not of text.
func (t *tree) numbers(shape jsonvalue.Value, first int64) *runs.List {
	l, n := &runs.List{}, 0
	switch s := shape.(type) {
	case string:
		l, n = runs.Rising(), int(extent(s))
	case float64:
		if t.rising {
			return nil
		}
		n = int(s)
	default:
		return nil
	}
	l.Insert(0, n, first)
	return l
}

// is reports whether o, which may be nil, is a list or, if named, an object.
func (o *opened) is(named bool) bool {
	return o != nil && o.text == nil && (o.names != nil) == named
}

// find returns the index of a member and whether it is there.
func (o *opened) find(k Key) (int, bool) {
	return slices.BinarySearchFunc(o.names, k.String(), jsonvalue.CompareNames)
}

// at returns the part that a path leads to.
func (t *tree) at(path Path) (*part, error) {
	p := &t.root
	for _, k := range path {
		o := t.opened(p)
		var i int
		ok := false
		switch {
		case o.is(true):
			i, ok = o.find(k)
		case o.is(false):
			i, ok = k.number()
			ok = ok && i < len(o.items)
		}
		if !ok {
			return nil, fmt.Errorf("%w: Path invalid: there is no %q", ot.ErrMismatch, k)
		}
		p = &o.items[i]
	}
	return p, nil
}

// follow makes in t the change of c. What c puts in gets the given number.
func (t *tree) follow(c *Component, first int64) error {
	switch {
	case c.has(SI | SD):
		edit := c.asEdit()
		return t.follow(&edit, first)
	case c.has(T):
		s, err := t.text(c.Path)
		if err != nil {
			return err
		}
		return text0.Follow(s, c.Edit, first)
	case c.has(NA):
		p, err := t.at(c.Path)
		if err == nil && !t.rising {
			p.first = first
		}
		return err
	case len(c.Path) == 0:
		t.root = t.closed(c.Inserted, first)
		return nil
	}
	p, err := t.at(c.Path.parent())
	if err != nil {
		return err
	}
	o, named, in := t.opened(p), c.has(OI|OD), t.closed(c.Inserted, first)
	switch {
	case !o.is(named):
		return fmt.Errorf("%w: Referenced element not a list or object", ot.ErrMismatch)
	case named:
		o.setMember(c, in)
		return nil
	}
	return o.setItem(c, in)
}

// text returns the numbers of the string that a path leads to.
func (t *tree) text(path Path) (*runs.List, error) {
	p, err := t.at(path)
	if err != nil {
		return nil, err
	}
	if o := t.opened(p); o != nil && o.text != nil {
		return o.text, nil
	}
	return nil, fmt.Errorf("%w: Referenced element not a string", ot.ErrMismatch)
}

func (o *opened) setMember(c *Component, in part) {
	i, there := o.find(c.Path.last())
	switch {
	case c.has(OI) && there:
		o.items[i] = in
	case c.has(OI):
		o.items = slices.Insert(o.items, i, in)
		o.names = slices.Insert(o.names, i, c.Path.last().String())
	case there:
		o.items = slices.Delete(o.items, i, i+1)
		o.names = slices.Delete(o.names, i, i+1)
	}
}

func (o *opened) setItem(c *Component, in part) error {
	size := len(o.items)
	if c.Has == LI {
		size++
	}
	i, err := index(c.Path.last(), size)
	if err != nil {
		return err
	}
	switch c.Has {
	case LI:
		o.items = slices.Insert(o.items, i, in)
	case LD:
		o.items = slices.Delete(o.items, i, i+1)
	case LI | LD:
		o.items[i] = in
	default:
		to, err := index(c.To, size)
		if err != nil {
			return err
		}
		moved := o.items[i]
		o.items = slices.Insert(slices.Delete(o.items, i, i+1), to, moved)
	}
	return nil
}

// clone returns an independent copy.
func (p part) clone() part {
	if p.open == nil {
		return p
	}
	o := &opened{names: slices.Clone(p.open.names), items: slices.Clone(p.open.items)}
	for i := range o.items {
		o.items[i] = o.items[i].clone()
	}
	if p.open.text != nil {
		text := p.open.text.Clone()
		o.text = &text
	}
	p.open = o
	return p
}
