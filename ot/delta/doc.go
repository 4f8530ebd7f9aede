package delta

import (
	"fmt"
	"iter"

	"quire/ot"
	"quire/ot/checksum"
)

// Doc is a rich text: what its operations compose to. It is persistent: Apply returns
// a new Doc that shares most of its memory with the old one, which stays as it was. It
// is safe for concurrent use. The zero value is the document without anything in it,
// not even the line end that Quill's empty document has.
//
// It is a tree with the inserts in leaves of bounded size, so an edit takes O(log n)
// and what it formats or puts in. Quill formats the line end that it shows behind a text that
// has none, so a document may end with components that are no inserts, or even follow
// them: what is behind the first of these is kept in a list, which an edit there copies.
type Doc struct {
	root *node // the inserts that it begins with, nil when there are none
	tail Op    // what follows, from the first component on that is no insert
}

// New returns the document that op makes when nothing was before.
func New(op Op) *Doc {
	n := 0
	for n < len(op) && op[n].Kind == Insert {
		n++
	}
	return &Doc{root: grow(appendLeaves(nil, append([]Component(nil), op[:n]...))), tail: op[n:]}
}

// head returns the length in units of what is in the tree.
func (d *Doc) head() int {
	if d.root == nil {
		return 0
	}
	return d.root.units
}

// Len returns the length in UTF-16 units of all that the document inserts and
// retains.
func (d *Doc) Len() int { return d.head() + d.tail.output() }

// Size returns the length in bytes of the binary form.
func (d *Doc) Size() (n int) {
	if d.root != nil {
		n = d.root.bytes
	}
	for c := range d.tail.each {
		n += frameSize(c) + bodySize(c)
	}
	return n
}

// pieces yields the components in order, long ones in several pieces.
func (d *Doc) pieces() iter.Seq[*Component] {
	return func(yield func(*Component) bool) {
		if d.root == nil || d.root.walk(yield) {
			d.tail.each(yield)
		}
	}
}

// Op returns the content as the operation that New makes the document of.
func (d *Doc) Op() Op {
	var out Builder
	for c := range d.pieces() {
		out.add(*c)
	}
	op, _ := out.finish() // a document is within the bounds of an operation
	return op
}

// AppendJSON appends the content in its JSON wire form, as Op.AppendJSON would.
func (d *Doc) AppendJSON(dst []byte) []byte { return jsonForm.append(dst, d.pieces()) }

// AppendBinary appends the binary form, which is that of Op.
func (d *Doc) AppendBinary(dst []byte) []byte { return binaryForm.append(dst, d.pieces()) }

// Checksum returns the CRC-32C of the content in JSON as AppendJSON writes it. It is
// kept in the tree: after an edit only the changed part is read.
func (d *Doc) Checksum() uint32 {
	var room [maxLeaf]byte
	part := append(room[:0], jsonForm.begin...)
	sum := checksum.Empty
	var last *Component
	if d.root != nil {
		sum = checksum.Of(jsonForm.glue(part, nil, d.root.first)).Then(d.root.checksum())
		part, last = room[:0], d.root.last
	}
	for c := range d.tail.each {
		part = jsonForm.body(jsonForm.glue(part, last, c), c)
		last = c
	}
	part = append(jsonForm.glue(part, last, nil), jsonForm.end...)
	return sum.Then(checksum.Of(part)).CRC()
}

// checksum returns the sum of what n writes in JSON between the start of its first
// piece's body and the end of its last one's, working it out where it is not known.
func (n *node) checksum() checksum.Sum {
	if known := n.sum.Load(); known != 0 {
		return checksum.Sum(known)
	}
	var room [2 * maxLeaf]byte
	part := room[:0]
	sum := checksum.Empty
	var last *Component
	for i := range n.pieces {
		c := &n.pieces[i]
		if last != nil {
			part = jsonForm.glue(part, last, c)
		}
		part = jsonForm.body(part, c)
		last = c
	}
	if len(part) > 0 {
		sum = checksum.Of(part)
	}
	for _, kid := range n.kids {
		if last != nil {
			if part = jsonForm.glue(room[:0], last, kid.first); len(part) > 0 {
				sum = sum.Then(checksum.Of(part))
			}
		}
		sum = sum.Then(kid.checksum())
		last = kid.last
	}
	n.sum.Store(uint64(sum))
	return sum
}

// slice yields what the document puts out in [from, to), as far as it reaches. It
// reports false when from or to is inside a surrogate pair.
func (d *Doc) slice(from, to int, yield func(Component)) bool {
	if d.root != nil && !d.root.slice(from, to, yield) {
		return false
	}
	return slice(d.tail, from-d.head(), to-d.head(), yield)
}

// check fails with ot.ErrMismatch when a position is outside the document or inside a
// surrogate pair.
func (d *Doc) check(at int) error {
	if at < 0 || at > d.Len() {
		return fmt.Errorf("%w: position %d in a document of %d", ot.ErrMismatch, at, d.Len())
	}
	if !d.slice(at, at, func(Component) {}) {
		return fmt.Errorf("%w: position %d is inside a character", ot.ErrMismatch, at)
	}
	return nil
}

// Apply returns the document after op, which may reach past its end: what it retains
// and deletes there stays in the document, as it does in quill-delta. It fails with
// ot.ErrMismatch when op would split a surrogate pair, and with ot.ErrLimit when the
// document would pass 1<<31 - 1 units, or have 32 MiB of attributes more than it has size.
func (d *Doc) Apply(op Op) (*Doc, error) {
	if len(op) == 0 {
		return d, nil
	}
	if _, inserted := op.lengths(); d.head()+inserted > maxLength {
		return nil, fmt.Errorf("%w: the document would pass %d units", ot.ErrLimit, maxLength)
	}
	e := editors.Get().(*editor)
	defer e.release()
	e.iterator = iterate(op)
	e.build.room = maxFormats + d.Size()
	if d.root == nil {
		e.leaf(nil)
	} else {
		e.edit(d.root)
	}
	if e.err != nil {
		return nil, e.err
	}
	after := &Doc{root: grow(e.out), tail: d.tail}
	if e.done {
		return after, nil
	}
	tail, err := Compose(d.tail, append(Op{e.Component}, e.next...))
	if err != nil {
		return nil, err
	}
	return after.with(tail)
}

// with returns the document with another tail, which may begin with inserts.
func (d *Doc) with(tail Op) (*Doc, error) {
	n := 0
	for n < len(tail) && tail[n].Kind == Insert {
		n++
	}
	if n > 0 {
		op := Op(tail[:n:n])
		if d.head() > 0 {
			op = append(Op{{Kind: Retain, N: d.head()}}, op...)
		}
		var err error
		if d, err = (&Doc{root: d.root}).Apply(op); err != nil {
			return nil, err
		}
	}
	return &Doc{root: d.root, tail: tail[n:]}, nil
}
