package text

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"quire/ot/units"
)

// Bounds of the tree. A leaf or inner node below its lower bound is joined with
// a neighbour whenever the node above is rebuilt.
const (
	maxLeaf = 512 // bytes
	minLeaf = maxLeaf / 4
	maxKids = 16
	minKids = maxKids / 4
)

// A node is a leaf with a text or an inner node with kids, all of one height.
// It is immutable but for the checksum, which is filled in when first asked for.
type node struct {
	size units.Measure
	sum  atomic.Uint64 // a checksum.Sum, or 0 while not known
	text string
	kids []*node
}

func newLeaf(s string) *node { return &node{size: units.Count(s), text: s} }

func newInner(kids []*node) *node {
	n := &node{kids: kids}
	for _, kid := range kids {
		n.size.Add(&kid.size)
	}
	return n
}

func (n *node) small() bool {
	if n.kids == nil {
		return len(n.text) < minLeaf
	}
	return len(n.kids) < minKids
}

// leaves yields the texts in order and reports whether to go on.
func (n *node) leaves(yield func(string) bool) bool {
	if n.kids == nil {
		return yield(n.text)
	}
	for _, kid := range n.kids {
		if !kid.leaves(yield) {
			return false
		}
	}
	return true
}

// slice writes the bytes [from, to) of n, clipped to what n has.
func (n *node) slice(out *strings.Builder, from, to int) {
	if n.kids == nil {
		out.WriteString(n.text[max(from, 0):min(to, len(n.text))])
		return
	}
	for _, kid := range n.kids {
		if to <= 0 {
			return
		}
		if from < kid.size[units.Bytes] {
			kid.slice(out, from, to)
		}
		from -= kid.size[units.Bytes]
		to -= kid.size[units.Bytes]
	}
}

// seek returns the position at the given offset in one unit, 0 <= at < size. It
// reports false when that is inside a code point.
func (n *node) seek(unit units.Unit, at int) (units.Measure, bool) {
	var before units.Measure
	for n.kids != nil {
		for _, kid := range n.kids {
			if at < kid.size[unit] {
				n = kid
				break
			}
			at -= kid.size[unit]
			before.Add(&kid.size)
		}
	}
	m := units.Measure{at, at, at}
	ok := true
	if n.size[units.Bytes] != n.size[units.UTF16] {
		m, ok = units.Seek(n.text, unit, at)
	}
	m.Add(&before)
	return m, ok
}

// appendLeaves appends leaves of about equal size that hold text. Each has a
// string of its own, so that none keeps more in memory than it shows.
func appendLeaves(dst []*node, text []byte) []*node {
	for len(text) > 0 {
		n := len(text)
		if n > maxLeaf {
			n /= (n + maxLeaf - 1) / maxLeaf
			for !utf8.RuneStart(text[n]) {
				n--
			}
		}
		dst = append(dst, newLeaf(string(text[:n])))
		text = text[n:]
	}
	return dst
}

// group puts nodes of one height into as few inner nodes as can hold them, of
// about equal size, and appends these to dst. The slice nodes is theirs then.
func group(dst, nodes []*node) []*node {
	for len(nodes) > 0 {
		n := len(nodes) / ((len(nodes) + maxKids - 1) / maxKids)
		dst = append(dst, newInner(nodes[:n:n]))
		nodes = nodes[n:]
	}
	return dst
}

// join makes one or two nodes of two neighbours of which one is small, and
// appends them to dst.
func join(dst []*node, a, b *node) []*node {
	if a.kids == nil {
		var room [maxLeaf + minLeaf]byte
		return appendLeaves(dst, append(append(room[:0], a.text...), b.text...))
	}
	return group(dst, balance(slices.Concat(a.kids, b.kids)))
}

// balance joins the small ones among neighbouring nodes of one height, in place.
func balance(nodes []*node) []*node {
	out := nodes[:0]
	for _, n := range nodes {
		last := len(out) - 1
		if last >= 0 && (n.small() || out[last].small()) {
			out = join(out[:last], out[last], n)
		} else {
			out = append(out, n)
		}
	}
	return out
}

// grow returns the root of a tree over nodes of one height, nil when there are
// none.
func grow(nodes []*node) *node {
	for len(nodes) > 1 {
		nodes = group(nil, slices.Clone(balance(nodes)))
	}
	if len(nodes) == 0 {
		return nil
	}
	root := nodes[0]
	for len(root.kids) == 1 {
		root = root.kids[0]
	}
	return root
}

// An editor builds the tree of the edited document: it walks over the old tree
// and the operation at once, keeps what is retained whole, leaves out what is
// deleted whole, and rebuilds the rest.
type editor struct {
	iterator
	unit  units.Unit // that of the operation
	out   []*node    // a stack: results that the levels above have not grouped yet
	text  []byte     // scratch: the new text of one leaf
	split bool       // the operation would split a surrogate pair
}

var editors = sync.Pool{New: func() any { return new(editor) }}

// release hands e back for reuse, without what it refers to and without memory
// that only an unusually large edit needs.
func (e *editor) release() {
	if cap(e.out) > 1024 || cap(e.text) > 64<<10 {
		return
	}
	clear(e.out[:cap(e.out)])
	*e = editor{out: e.out[:0], text: e.text[:0]}
	editors.Put(e)
}

// edit takes n's length off the operation and pushes what becomes of n: nodes
// of its height. Inserts at n's end are put in as well.
func (e *editor) edit(n *node) {
	length := n.size[e.unit]
	if e.Kind != Insert && e.N >= length && (e.N > length || len(e.next) == 0 || e.next[0].Kind != Insert) {
		if e.Kind == Retain {
			e.out = append(e.out, n)
		}
		e.skip(length)
		return
	}
	if n.kids == nil {
		e.leaf(n)
		return
	}
	base := len(e.out)
	for i, kid := range n.kids {
		if e.done {
			e.out = append(e.out, n.kids[i:]...)
			break
		}
		if e.edit(kid); e.split {
			return
		}
	}
	kids := slices.Clone(balance(e.out[base:]))
	e.out = group(e.out[:base], kids)
}

// leaf does the work of edit for a leaf.
func (e *editor) leaf(n *node) {
	text, rest := n.text, n.size[e.unit]
	e.text = e.text[:0]
	for {
		if e.Kind == Insert {
			e.text = append(e.text, e.S...)
			e.advance()
			continue
		}
		k := min(rest, e.N)
		if k == 0 {
			break
		}
		cut := k
		if len(text) != rest {
			at, ok := units.Seek(text, e.unit, k)
			if !ok {
				e.split = true
				return
			}
			cut = at[units.Bytes]
		}
		if e.Kind == Retain {
			e.text = append(e.text, text[:cut]...)
		}
		text = text[cut:]
		rest -= k
		e.skip(k)
	}
	e.out = appendLeaves(e.out, e.text)
}
