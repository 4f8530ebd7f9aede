package diff

import (
	"crypto/sha256"
	"slices"

	"quire/ot/json0"
	"quire/ot/jsonvalue"
)

// Bounds on what the components of an operation copy when it is applied, in items and
// members of the lists and objects on their paths: of one list, and in all. Beyond, the list or
// the document is replaced. Apply allows more.
const (
	maxListWork = 1 << 23
	maxWork     = 1 << 25
)

// A comparison makes the operation between two JSON documents.
type comparison struct {
	op    json0.Op
	left  int // of maxWork
	steps *budget
	keys  map[jsonvalue.Value]string
}

// jsonOp returns the operation between two JSON documents.
func jsonOp(from, to *json0.Doc) json0.Op {
	a, b := from.Value(), to.Value()
	c := comparison{left: maxWork, steps: newBudget(), keys: map[jsonvalue.Value]string{}}
	if c.inside(json0.Path{}, 0, a, b) && c.left >= 0 {
		if after, err := from.Apply(c.op); err == nil && jsonvalue.Equal(after.Value(), b) {
			return c.op
		}
	}
	return json0.Op{{Path: json0.Path{}, Has: json0.OD | json0.OI, Deleted: a, Inserted: b}}
}

// add adds a component at path, a copy of it, where above items and members are copied.
func (c *comparison) add(path json0.Path, above int, what json0.Component) {
	what.Path = append(json0.Path{}, path...)
	c.op = append(c.op, what)
	c.left -= above
}

// inside adds what makes b of a, which lies at path, without replacing it. It reports false, and
// has added nothing, when a is to be replaced. above is how many items and members the
// lists and objects have that a lies in.
func (c *comparison) inside(path json0.Path, above int, a, b jsonvalue.Value) bool {
	if c.left < 0 || jsonvalue.Equal(a, b) {
		return true
	}
	before := len(c.op)
	done := false
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			done = c.text(path, above, a, b)
		}
	case *jsonvalue.Object:
		if b, ok := b.(*jsonvalue.Object); ok {
			done = c.object(path, above+max(a.Len(), b.Len()), a, b)
		}
	case *jsonvalue.List:
		if b, ok := b.(*jsonvalue.List); ok {
			done = c.list(path, above+max(a.Len(), b.Len()), a, b)
		}
	}
	if !done {
		c.op = c.op[:before]
	}
	return done
}

// text edits a string, unless less than half of it stays.
func (c *comparison) text(path json0.Path, above int, a, b string) bool {
	edits := text0Op(a, b, c.steps)
	changed := 0
	for i := range edits {
		changed += len(edits[i].Text)
	}
	if 2*changed > len(a)+len(b) {
		return false
	}
	for _, e := range edits {
		what := json0.Component{Has: json0.SI, Text: e.Text}
		if e.Delete {
			what.Has = json0.SD
		}
		c.add(append(path, json0.Index(e.Pos)), above+len(a)/4, what)
	}
	return true
}

// object edits the members of an object, those of a first.
func (c *comparison) object(path json0.Path, above int, a, b *jsonvalue.Object) bool {
	for _, o := range [][2]*jsonvalue.Object{{a, b}, {b, a}} {
		for m := range members(o[0]) {
			if other, ok := o[1].Get(m.Name); json0.Reserved(m.Name) && !(ok && jsonvalue.Equal(m.Value, other)) {
				return false
			}
		}
	}
	for m := range members(a) {
		at := append(path, json0.Name(m.Name))
		next, ok := b.Get(m.Name)
		switch {
		case !ok:
			c.add(at, above, json0.Component{Has: json0.OD, Deleted: m.Value})
		case !c.inside(at, above, m.Value, next):
			c.add(at, above, json0.Component{Has: json0.OD | json0.OI, Deleted: m.Value, Inserted: next})
		}
	}
	for m := range members(b) {
		if _, ok := a.Get(m.Name); !ok {
			c.add(append(path, json0.Name(m.Name)), above, json0.Component{Has: json0.OI, Inserted: m.Value})
		}
	}
	return true
}

// list edits the items of a list: those that are in one list only are taken out and put in,
// those that are elsewhere are moved, those that are much alike are edited inside.
func (c *comparison) list(path json0.Path, above int, a, b *jsonvalue.List) bool {
	p := c.pair(a, b)
	steps := p.steps()
	if steps > 0 && above > maxListWork/steps {
		return false
	}
	for i := a.Len() - 1; i >= 0; i-- {
		if p.to[i] < 0 {
			c.add(append(path, json0.Index(i)), above, json0.Component{Has: json0.LD, Deleted: a.At(i)})
		}
	}
	for _, m := range p.moves() {
		c.add(append(path, json0.Index(m[0])), above, json0.Component{Has: json0.LM, To: json0.Index(m[1])})
	}
	for i := range b.Len() {
		if p.from[i] < 0 {
			c.add(append(path, json0.Index(i)), above, json0.Component{Has: json0.LI, Inserted: b.At(i)})
		}
	}
	for i := range b.Len() {
		if p.from[i] < 0 || !p.edited[i] {
			continue
		}
		old, next, at := a.At(p.from[i]), b.At(i), append(path, json0.Index(i))
		if !c.inside(at, above, old, next) {
			c.add(at, above, json0.Component{Has: json0.LD | json0.LI, Deleted: old, Inserted: next})
		}
	}
	return true
}

// pairs says which items of two lists belong together.
type pairs struct {
	to, from []int  // for each item of the one list the index in the other, or -1
	edited   []bool // for each item of the second, whether it is only alike
	moved    []int  // indexes in the second of items that are in another order in the first, rising
}

// steps returns how many components it takes at least.
func (p *pairs) steps() (n int) {
	n = len(p.moved)
	for _, i := range p.to {
		if i < 0 {
			n++
		}
	}
	for i, k := range p.from {
		if k < 0 || p.edited[i] {
			n++
		}
	}
	return n
}

// pair finds what belongs together: what stays, then what is equal elsewhere, then what is
// alike.
func (c *comparison) pair(a, b *jsonvalue.List) *pairs {
	p := &pairs{to: slices.Repeat([]int{-1}, a.Len()), from: slices.Repeat([]int{-1}, b.Len()), edited: make([]bool, b.Len())}
	numbers := map[string]rune{}
	x, y := c.number(numbers, a), c.number(numbers, b)
	edits := match(x, y, true, nil, c.steps)
	i, j := 0, 0
	for _, e := range append(edits, edit{Start: len(x), ReplStart: len(y)}) {
		for ; i < e.Start; i, j = i+1, j+1 {
			p.to[i], p.from[j] = j, i
		}
		i, j = e.End, e.ReplEnd
	}
	gone := map[rune][]int{} // items of a that are in no pair, by their number
	for _, e := range edits {
		for i := e.Start; i < e.End; i++ {
			gone[x[i]] = append(gone[x[i]], i)
		}
	}
	for _, e := range edits {
		for j := e.ReplStart; j < e.ReplEnd; j++ {
			if was := gone[y[j]]; len(was) > 0 {
				p.from[j], p.to[was[0]], gone[y[j]] = was[0], j, was[1:]
				p.moved = append(p.moved, j)
			}
		}
	}
	for _, e := range edits {
		p.alike(a, b, e)
	}
	return p
}

// alike pairs items within an edit that are much alike, in order; all of them when there are
// as many on both sides.
func (p *pairs) alike(a, b *jsonvalue.List, e edit) {
	const near = 8
	var x, y []int // those that are in no pair
	for i := e.Start; i < e.End; i++ {
		if p.to[i] < 0 {
			x = append(x, i)
		}
	}
	for j := e.ReplStart; j < e.ReplEnd; j++ {
		if p.from[j] < 0 {
			y = append(y, j)
		}
	}
	even := len(x) == len(y)
	for _, i := range x {
		for n, j := range y[:min(near, len(y))] {
			if even || similar(a.At(i), b.At(j)) {
				p.to[i], p.from[j], p.edited[j] = j, i, true
				y = y[n+1:]
				break
			}
		}
	}
}

// similar reports whether a and b are of one kind and at least half the same: objects with
// one "id" are, those with two are not.
func similar(a, b jsonvalue.Value) bool {
	same, most := 0, 1
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		e := edit{End: len(a), ReplEnd: len(b)}
		shrink(a, b, &e)
		return ok && 2*size(&e) <= len(a)+len(b)
	case *jsonvalue.List:
		b, ok := b.(*jsonvalue.List)
		if !ok {
			return false
		}
		most = max(a.Len(), b.Len())
		for i := range min(a.Len(), b.Len()) {
			if jsonvalue.Equal(a.At(i), b.At(i)) {
				same++
			}
		}
	case *jsonvalue.Object:
		b, ok := b.(*jsonvalue.Object)
		if !ok {
			return false
		}
		x, ok1 := a.Get("id")
		y, ok2 := b.Get("id")
		if ok1 && ok2 {
			return jsonvalue.Equal(x, y)
		}
		most = max(a.Len(), b.Len())
		for m := range members(a) {
			if other, ok := b.Get(m.Name); ok && jsonvalue.Equal(m.Value, other) {
				same++
			}
		}
	}
	return same > 0 && 2*same >= most
}

// moves returns the moves, from one index to another, that bring what is left of the first
// list into the order of the second.
func (p *pairs) moves() [][2]int {
	if len(p.moved) == 0 {
		return nil
	}
	var now, want []int // items of the second list, in the order of the first and of the second
	for _, j := range p.to {
		if j >= 0 {
			now = append(now, j)
		}
	}
	place := map[int]int{} // in want
	for j, i := range p.from {
		if i >= 0 {
			place[j] = len(want)
			want = append(want, j)
		}
	}
	var out [][2]int
	for _, j := range p.moved {
		from, to := slices.Index(now, j), 0
		if k := place[j]; k > 0 {
			if to = slices.Index(now, want[k-1]) + 1; from < to {
				to--
			}
		}
		if from == to {
			continue
		}
		out = append(out, [2]int{from, to})
		now = slices.Insert(slices.Delete(now, from, from+1), to, j)
	}
	return out
}

// number returns the items of a list as tokens.
func (c *comparison) number(numbers map[string]rune, l *jsonvalue.List) []rune {
	out := make([]rune, l.Len())
	for i := range out {
		key := c.key(l.At(i))
		n, ok := numbers[key]
		if !ok {
			n = rune(len(numbers))
			numbers[key] = n
		}
		out[i] = n
	}
	return out
}

// key returns what only equal values have: what a small one is written as, otherwise a
// digest.
func (c *comparison) key(v jsonvalue.Value) string {
	const small = 64 // bytes
	if jsonvalue.Size(v) <= small {
		return string(jsonvalue.Append(nil, v))
	}
	if s, ok := v.(string); ok {
		sum := sha256.Sum256([]byte(s))
		return "s" + string(sum[:])
	}
	if key, ok := c.keys[v]; ok {
		return key
	}
	h := sha256.New()
	put := func(s string) {
		h.Write([]byte(s))
		h.Write([]byte{0xFF}) // in no text; digests are of one length
	}
	key := "o"
	switch v := v.(type) {
	case *jsonvalue.List:
		key = "l"
		for i := range v.Len() {
			put(c.key(v.At(i)))
		}
	case *jsonvalue.Object:
		for m := range members(v) {
			put(m.Name)
			put(c.key(m.Value))
		}
	}
	key += string(h.Sum(nil))
	c.keys[v] = key
	return key
}
