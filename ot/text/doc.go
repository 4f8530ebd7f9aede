package text

import (
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/units"
)

// Doc is a text. It is persistent: Apply returns a new Doc that shares most of
// its memory with the old one, which stays as it was. It is safe for concurrent
// use. The zero value is the empty text.
//
// It is a tree with the text in leaves of bounded size, so edits and lookups
// take O(log n).
type Doc struct {
	root *node // nil when the text is empty
}

// FromString returns the document with the given text. It fails with
// ot.ErrSyntax when s is not valid UTF-8.
func FromString(s string) (*Doc, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("%w: text of invalid UTF-8", ot.ErrSyntax)
	}
	return fromString(s), nil
}

// fromString returns the document of a text known to be valid UTF-8.
func fromString(s string) *Doc { return &Doc{grow(appendLeaves(nil, []byte(s)))} }

func (d *Doc) size() units.Measure {
	if d.root == nil {
		return units.Measure{}
	}
	return d.root.size
}

// Len returns the length in UTF-16 units.
func (d *Doc) Len() int { return d.size()[units.UTF16] }

// Size returns the length in bytes of UTF-8.
func (d *Doc) Size() int { return d.size()[units.Bytes] }

// Runes returns the length in code points.
func (d *Doc) Runes() int { return d.size()[units.Runes] }

// Leaves yields the text in parts of bounded size, in order; none is empty and
// none splits a code point.
func (d *Doc) Leaves() iter.Seq[string] {
	return func(yield func(string) bool) {
		if d.root != nil {
			d.root.leaves(yield)
		}
	}
}

// Append appends the text in UTF-8.
func (d *Doc) Append(dst []byte) []byte {
	if need := len(dst) + d.Size(); need > cap(dst) {
		dst = append(make([]byte, 0, need), dst...)
	}
	for leaf := range d.Leaves() {
		dst = append(dst, leaf...)
	}
	return dst
}

// WriteTo writes the text in UTF-8, leaf by leaf.
func (d *Doc) WriteTo(w io.Writer) (written int64, err error) {
	for leaf := range d.Leaves() {
		n, err := io.WriteString(w, leaf)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// String returns the whole text.
func (d *Doc) String() string { return string(d.Append(nil)) }

// Slice returns the text of the units [from, to). It fails with ot.ErrMismatch
// when that is not within the document or would split a surrogate pair.
func (d *Doc) Slice(from, to int) (string, error) { return d.slice(units.UTF16, from, to) }

// slice is Slice of a range in unit.
func (d *Doc) slice(unit units.Unit, from, to int) (string, error) {
	start, err := d.seek(unit, from)
	if err != nil {
		return "", err
	}
	end, err := d.seek(unit, to)
	if err != nil {
		return "", err
	}
	if from > to {
		return "", fmt.Errorf("%w: slice from %d to %d", ot.ErrMismatch, from, to)
	}
	if from == to {
		return "", nil
	}
	var out strings.Builder
	out.Grow(end[units.Bytes] - start[units.Bytes])
	d.root.slice(&out, start[units.Bytes], end[units.Bytes])
	return out.String(), nil
}

// seek returns the position that lies at the given offset in one unit.
func (d *Doc) seek(unit units.Unit, at int) (units.Measure, error) {
	size := d.size()
	switch {
	case at == size[unit]:
		return size, nil
	case at < 0 || at > size[unit]:
		return units.Measure{}, fmt.Errorf("%w: position %d in a document of %d", ot.ErrMismatch, at, size[unit])
	}
	m, ok := d.root.seek(unit, at)
	if !ok {
		return units.Measure{}, fmt.Errorf("%w: position %d is inside a character", ot.ErrMismatch, at)
	}
	return m, nil
}

func (d *Doc) convert(from, to units.Unit, at int) (int, error) {
	m, err := d.seek(from, at)
	return m[to], err
}

// FromUnitsToBytes converts an offset in UTF-16 units to one in bytes. Like all
// conversions it takes O(log n) and fails with ot.ErrMismatch when the offset is
// outside [0, length] or inside a code point.
func (d *Doc) FromUnitsToBytes(at int) (int, error) { return d.convert(units.UTF16, units.Bytes, at) }

// FromUnitsToRunes converts an offset in UTF-16 units to one in code points.
func (d *Doc) FromUnitsToRunes(at int) (int, error) { return d.convert(units.UTF16, units.Runes, at) }

// FromBytesToUnits converts an offset in bytes to one in UTF-16 units.
func (d *Doc) FromBytesToUnits(at int) (int, error) { return d.convert(units.Bytes, units.UTF16, at) }

// FromBytesToRunes converts an offset in bytes to one in code points.
func (d *Doc) FromBytesToRunes(at int) (int, error) { return d.convert(units.Bytes, units.Runes, at) }

// FromRunesToUnits converts an offset in code points to one in UTF-16 units.
func (d *Doc) FromRunesToUnits(at int) (int, error) { return d.convert(units.Runes, units.UTF16, at) }

// FromRunesToBytes converts an offset in code points to one in bytes.
func (d *Doc) FromRunesToBytes(at int) (int, error) { return d.convert(units.Runes, units.Bytes, at) }

// Checksum returns the CRC-32C of the text in UTF-8 (docs/protocol.md, section
// 8). It is kept in the tree: after an edit only the changed part is read.
func (d *Doc) Checksum() uint32 {
	if d.root == nil {
		return 0
	}
	var room [maxLeaf]byte
	return d.root.checksum(room[:]).CRC()
}

// Apply returns the document after op. It fails with ot.ErrMismatch when op
// reaches past the end or would split a surrogate pair, and with ot.ErrLimit
// when the text would pass 1<<31 - 1 units.
func (d *Doc) Apply(op Op) (*Doc, error) { return d.apply(units.UTF16, op) }

// apply is Apply of an operation in unit.
func (d *Doc) apply(unit units.Unit, op Op) (*Doc, error) {
	if len(op) == 0 {
		return d, nil
	}
	span, inserted := op.lengths()
	switch size := d.size()[unit]; {
	case span > size:
		return nil, fmt.Errorf("%w: it spans %d %s, the document has %d", ot.ErrMismatch, span, unit, size)
	case size+inserted > maxLength:
		return nil, fmt.Errorf("%w: the document would pass %d %s", ot.ErrLimit, maxLength, unit)
	}
	e := editors.Get().(*editor)
	defer e.release()
	e.unit, e.iterator = unit, iterate(op)
	if d.root == nil {
		e.leaf(&node{})
	} else {
		e.edit(d.root)
	}
	if e.split {
		return nil, fmt.Errorf("%w: it would split a surrogate pair", ot.ErrMismatch)
	}
	return &Doc{grow(e.out)}, nil
}
