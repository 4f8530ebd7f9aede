package delta

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"quire/ot/units"
)

// Bounds of the tree. A leaf or inner node below its lower bound is joined with
// a neighbour whenever the node above is rebuilt. A leaf weighs the bytes of its text
// and pieceWeight for each of its pieces.
const (
	maxLeaf     = 1024
	minLeaf     = maxLeaf / 4
	pieceWeight = 32
	minPiece    = 64 // bytes: nothing shorter is cut off a text to fill a leaf
	maxKids     = 16
	minKids     = maxKids / 4
)

// A node is a leaf with pieces or an inner node with kids, all of one height. The
// pieces are inserts, or parts of them: of one insert, the parts may lie in several
// leaves. A node is immutable but for the checksum, which is filled in when first
// asked for.
type node struct {
	units  int           // UTF-16
	bytes  int           // of the binary form
	sum    atomic.Uint64 // a checksum.Sum of the JSON form without its ends, or 0 while not known
	weight int           // of a leaf
	pieces []Component
	kids   []*node

	first, last *Component // the outermost pieces
}

func weight(c *Component) int { return len(c.S) + pieceWeight }

// newLeaf returns the leaf of pieces, which it keeps; there is at least one.
func newLeaf(pieces []Component) *node {
	n := &node{pieces: pieces, first: &pieces[0], last: &pieces[len(pieces)-1]}
	for i := range pieces {
		c := &pieces[i]
		n.units += c.N
		n.weight += weight(c)
		n.bytes += bodySize(c)
		if i == 0 || !pieces[i-1].joins(c) {
			n.bytes += frameSize(c)
		}
	}
	return n
}

func newInner(kids []*node) *node {
	n := &node{kids: kids, first: kids[0].first, last: kids[len(kids)-1].last}
	for i, kid := range kids {
		n.units += kid.units
		n.bytes += kid.bytes
		if i > 0 && kids[i-1].last.joins(kid.first) {
			n.bytes -= frameSize(kid.first)
		}
	}
	return n
}

func (n *node) small() bool {
	if n.kids == nil {
		return n.weight < minLeaf
	}
	return len(n.kids) < minKids
}

// walk yields the pieces in order and reports whether to go on.
func (n *node) walk(yield func(*Component) bool) bool {
	for i := range n.pieces {
		if !yield(&n.pieces[i]) {
			return false
		}
	}
	for _, kid := range n.kids {
		if !kid.walk(yield) {
			return false
		}
	}
	return true
}

// slice yields what n has in [from, to). It reports false when from or to is inside
// a surrogate pair.
func (n *node) slice(from, to int, yield func(Component)) bool {
	if n.kids == nil {
		return slice(n.pieces, from, to, yield)
	}
	for _, kid := range n.kids {
		if from < kid.units && to > 0 && !kid.slice(from, to, yield) {
			return false
		}
		from -= kid.units
		to -= kid.units
	}
	return true
}

// slice yields what pieces put out in [from, to), as node.slice does.
func slice(pieces []Component, from, to int, yield func(Component)) bool {
	it := iterate(pieces)
	for at := 0; at < to && !it.done; {
		if it.Kind == Delete {
			it.advance()
			continue
		}
		n := min(it.N, to-at)
		if at < from {
			n = min(n, from-at)
		}
		c, ok := it.take(n)
		if !ok {
			return false
		}
		if at >= from {
			yield(c)
		}
		at += n
	}
	return true
}

// appendLeaves appends leaves of about equal weight that hold pieces, a slice that
// is changed on the way and not kept. A text that is divided is copied, so that none
// keeps more in memory than it shows.
func appendLeaves(dst []*node, pieces []Component) []*node {
	total := 0
	for i := range pieces {
		total += weight(&pieces[i])
	}
	divided := false // the first of pieces is what is left of a text
	for len(pieces) > 0 {
		room := total
		if total > maxLeaf {
			const goal = maxLeaf - 2*pieceWeight // as cutting makes pieces
			room /= (total + goal - 1) / goal
		}
		n := 0
		for ; n < len(pieces) && weight(&pieces[n]) <= room; n++ {
			room -= weight(&pieces[n])
			total -= weight(&pieces[n])
		}
		leaf := make([]Component, n, n+1)
		copy(leaf, pieces)
		if divided && n > 0 {
			leaf[0].S = strings.Clone(leaf[0].S)
			divided = false
		}
		if at := room - pieceWeight; n < len(pieces) && at >= minPiece {
			head, rest := pieces[n], &pieces[n]
			for !utf8.RuneStart(rest.S[at]) {
				at--
			}
			head.S, rest.S = strings.Clone(rest.S[:at]), rest.S[at:]
			head.N = units.Count(head.S)[units.UTF16]
			rest.N -= head.N
			leaf = append(leaf, head)
			total -= at
			divided = true
		}
		dst = append(dst, newLeaf(leaf))
		pieces = pieces[n:]
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
		both := sized(len(a.pieces) + len(b.pieces))
		for _, n := range []*node{a, b} {
			for i := range n.pieces {
				both.add(n.pieces[i])
			}
		}
		both.join()
		return appendLeaves(dst, both.ops)
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
// and the operation at once, keeps what is retained whole and as it is, leaves out
// what is deleted whole, and rebuilds the rest.
type editor struct {
	iterator
	out   []*node // a stack: results that the levels above have not grouped yet
	build Builder // scratch: the new pieces of one leaf
	err   error
}

var editors = sync.Pool{New: func() any { return new(editor) }}

// release hands e back for reuse, without what it refers to and without memory
// that only an unusually large edit needs.
func (e *editor) release() {
	if cap(e.out) > 1024 || cap(e.build.ops) > 1024 || cap(e.build.text) > 64<<10 {
		return
	}
	clear(e.out[:cap(e.out)])
	clear(e.build.ops[:cap(e.build.ops)])
	*e = editor{out: e.out[:0], build: Builder{ops: e.build.ops[:0], text: e.build.text[:0]}}
	editors.Put(e)
}

// edit takes n's length off the operation and pushes what becomes of n: nodes
// of its height. Inserts at n's end are put in as well.
func (e *editor) edit(n *node) {
	if e.Kind != Insert && e.Attributes == nil && e.N >= n.units && (e.N > n.units || len(e.next) == 0 || e.next[0].Kind != Insert) {
		if e.Kind == Retain {
			e.out = append(e.out, n)
		}
		e.skip(n.units)
		return
	}
	if n.kids == nil {
		e.leaf(n.pieces)
		return
	}
	base := len(e.out)
	for i, kid := range n.kids {
		if e.done {
			e.out = append(e.out, n.kids[i:]...)
			break
		}
		if e.edit(kid); e.err != nil {
			return
		}
	}
	kids := slices.Clone(balance(e.out[base:]))
	e.out = group(e.out[:base], kids)
}

// leaf does the work of edit for a leaf of the given pieces.
func (e *editor) leaf(pieces []Component) {
	e.build.ops = e.build.ops[:0]
	p := iterate(pieces)
	for !p.done || e.Kind == Insert {
		if e.err = e.build.compose(&p, &e.iterator); e.err != nil {
			return
		}
	}
	e.build.join()
	e.out = appendLeaves(e.out, e.build.ops)
}
