package text

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/units"
)

// Operations are packed as runs: what one person types, or deletes key by key, at one
// place. A run has a place in the first column, and in others what it has of:
//
//	heads   a byte each: shape<<4 | the lower of 15 and size-1
//	sizes   uvarint size-16 of runs with a size of 16 or more
//	jumps   uvarint, how far from where the run before ended, less 1, of runs that
//	        begin elsewhere
//	text    what is inserted, in UTF-8
//	others  operations as they are
//
// A shape is 3 times what the run does and where it begins: where the one before
// ended, or after or before that.
const (
	packHeads = iota
	packSizes
	packJumps
	packText
	packOthers
	packColumns
)

// action is what the operations of a run do.
type action uint8

const (
	// type1: size operations, each of which inserts one code point behind the one before.
	type1 action = iota
	// back1: size operations, each of which deletes the unit before the last one.
	back1
	// ahead1: size operations, each of which deletes a unit at one place.
	ahead1
	// paste: one operation that inserts size bytes, of two code points or more.
	paste
	// cut: one operation that deletes size units, two or more.
	cut
	// other: any operation, of size-1 bytes.
	other
)

const (
	here   = 0
	after  = 1
	before = 2
)

// Pack rearranges operations into columns; see ot.Packer. It takes any operations.
func (Common[O, C]) Pack(ops [][]byte) [][]byte {
	var o O
	p := packer{unit: o.Unit(), columns: make([][]byte, packColumns)}
	for _, op := range ops {
		p.add(op)
	}
	p.end()
	return p.columns
}

// Unpack returns operations that Pack rearranged; see ot.Packer.
func (Common[O, C]) Unpack(columns [][]byte, n, from, to int) ([][]byte, error) {
	var o O
	if len(columns) != packColumns || from < 0 || from > to || to > n {
		return nil, fmt.Errorf("%w: %d columns, operations [%d, %d) of %d", ot.ErrSyntax, len(columns), from, to, n)
	}
	u := unpacker{unit: o.Unit(), from: from, to: to, ends: make([]int, 0, to-from)}
	copy(u.columns[:], columns)
	for u.at < to {
		if err := u.run(n - u.at); err != nil {
			return nil, err
		}
	}
	return u.ops(), nil
}

// stroke is an operation that changes one place: it inserts text or deletes units there.
type stroke struct {
	at      int
	text    []byte
	deletes int
}

// parseStroke takes an operation in binary form apart, if it is a stroke.
func parseStroke(op []byte) (s stroke, ok bool) {
	var head uint64
	if head, op, ok = takeHead(op); !ok {
		return s, false
	}
	if Kind(head&3) == Retain {
		if s.at = int(head >> 2); s.at == 0 {
			return s, false
		}
		if head, op, ok = takeHead(op); !ok {
			return s, false
		}
	}
	n := int(head >> 2)
	switch {
	case n == 0:
		return s, false
	case Kind(head&3) == Delete && len(op) == 0:
		s.deletes = n
		return s, true
	case Kind(head&3) == Insert && len(op) == n && utf8.Valid(op):
		s.text = op
		return s, true
	}
	return s, false
}

// takeHead reads a component's head; ok says that it is as AppendBinary writes it.
func takeHead(op []byte) (head uint64, rest []byte, ok bool) {
	head, n := binary.Uvarint(op)
	if n <= 0 || n > 1 && op[n-1] == 0 || head>>2 > maxLength {
		return 0, nil, false
	}
	return head, op[n:], true
}

// packer packs operations one by one.
type packer struct {
	unit    units.Unit
	columns [][]byte
	ended   int // where the run before ended

	// The run that is going on, none when size is 0.
	does  action
	size  int
	begin int
	last  int // where its last operation left off
	// maybe says that it is one deletion, which more of either direction may follow.
	maybe bool
}

// add packs one operation.
func (p *packer) add(op []byte) {
	s, ok := parseStroke(op)
	switch {
	case !ok:
		p.start(other, p.last, len(op)+1)
		p.columns[packOthers] = append(p.columns[packOthers], op...)
	case s.deletes == 1:
		p.deleteOne(s.at)
	case s.deletes > 1:
		p.start(cut, s.at, s.deletes)
	default:
		r, n := utf8.DecodeRune(s.text)
		width := length(p.unit, r)
		switch {
		case n < len(s.text):
			p.start(paste, s.at, len(s.text))
			p.last += units.Count(string(s.text))[p.unit]
		case p.size > 0 && p.does == type1 && p.last == s.at:
			p.size++
			p.last += width
		default:
			p.start(type1, s.at, 1)
			p.last += width
		}
		p.columns[packText] = append(p.columns[packText], s.text...)
	}
}

// deleteOne packs the deletion of the unit at a place.
func (p *packer) deleteOne(at int) {
	ahead := p.size > 0 && p.last == at && (p.does == ahead1 || p.maybe)
	back := p.size > 0 && p.last == at+1 && (p.does == back1 || p.maybe)
	switch {
	case ahead && p.maybe:
		p.does, p.begin, p.maybe = ahead1, at, false
		p.size++
	case ahead:
		p.size++
	case back:
		p.does, p.maybe = back1, false
		p.size++
		p.last = at
	case p.last == at:
		p.start(ahead1, at, 1)
	default:
		p.start(back1, at+1, 1)
		p.last, p.maybe = at, p.begin != p.ended
	}
}

// start begins a run of an operation at a place.
func (p *packer) start(does action, at, size int) {
	p.end()
	p.does, p.size, p.begin, p.last = does, size, at, at
}

// end writes the run that is going on.
func (p *packer) end() {
	if p.size == 0 {
		return
	}
	where, jump := here, p.begin-p.ended
	if jump > 0 {
		where = after
	} else if jump < 0 {
		where, jump = before, -jump
	}
	shape := byte(p.does)*3 + byte(where)
	p.columns[packHeads] = append(p.columns[packHeads], shape<<4|byte(min(p.size-1, 15)))
	if p.size > 15 {
		p.columns[packSizes] = binary.AppendUvarint(p.columns[packSizes], uint64(p.size-16))
	}
	if where != here {
		p.columns[packJumps] = binary.AppendUvarint(p.columns[packJumps], uint64(jump-1))
	}
	p.ended, p.size, p.maybe = p.last, 0, false
}

// length returns how long a code point is in a unit.
func length(unit units.Unit, r rune) int {
	switch {
	case unit == units.Bytes:
		return utf8.RuneLen(r)
	case unit == units.UTF16 && r > 0xFFFF:
		return 2
	}
	return 1
}

// unpacker takes operations [from, to) out of columns.
type unpacker struct {
	unit     units.Unit
	from, to int
	columns  [packColumns][]byte // what is left of them
	at       int                 // operations so far
	ended    int                 // where the run before ended
	data     []byte              // the operations, one after another
	ends     []int               // where each ends there
}

func (u *unpacker) bad(what string) error {
	return fmt.Errorf("%w: packed operation %d: %s", ot.ErrSyntax, u.at, what)
}

// run takes in a run of at most most operations.
func (u *unpacker) run(most int) error {
	if len(u.columns[packHeads]) == 0 {
		return u.bad("no run")
	}
	head := u.columns[packHeads][0]
	u.columns[packHeads] = u.columns[packHeads][1:]
	does, where, size := action(head>>4/3), int(head>>4%3), int(head&15)+1
	ok := true
	if size == 16 {
		var more int
		more, ok = u.uvarint(packSizes)
		size += more
	}
	place := u.ended
	if where != here && ok {
		var jump int
		jump, ok = u.uvarint(packJumps)
		if jump++; where == before {
			jump = -jump
		}
		place += jump
	}
	count := size
	if does >= paste {
		count = 1
	}
	switch {
	case !ok || place < 0 || place > maxLength || does > other:
		return u.bad("malformed run")
	case count > most:
		return u.bad("a run of too many operations")
	}
	return u.write(does, place, size)
}

// uvarint reads a number of a column.
func (u *unpacker) uvarint(column int) (int, bool) {
	v, n := binary.Uvarint(u.columns[column])
	if n <= 0 || v > maxLength {
		return 0, false
	}
	u.columns[column] = u.columns[column][n:]
	return int(v), true
}

// take cuts n bytes off a column.
func (u *unpacker) take(column, n int) ([]byte, bool) {
	if n > len(u.columns[column]) {
		return nil, false
	}
	b := u.columns[column][:n]
	u.columns[column] = u.columns[column][n:]
	return b, true
}

// write writes the operations of a run as far as they are wanted.
func (u *unpacker) write(does action, place, size int) error {
	u.ended = place
	switch does {
	case type1:
		return u.typed(place, size)
	case back1:
		if size > place {
			return u.bad("it reaches before the start")
		}
		u.deletes(size, place-1, -1)
		u.ended = place - size
	case ahead1:
		u.deletes(size, place, 0)
	case cut:
		u.put(place, Delete, size, nil)
	case paste:
		text, ok := u.take(packText, size)
		if !ok {
			return u.bad("its text is cut short")
		}
		u.put(place, Insert, size, text)
		u.ended += units.Count(string(text))[u.unit]
	case other:
		op, ok := u.take(packOthers, size-1)
		if !ok {
			return u.bad("it is cut short")
		}
		if u.next() {
			u.data = append(u.data, op...)
			u.ends = append(u.ends, len(u.data))
		}
	}
	return nil
}

// typed writes a run of insertions.
func (u *unpacker) typed(place, size int) error {
	for ; size > 0 && u.at < u.to; size-- {
		r, n := utf8.DecodeRune(u.columns[packText])
		text, ok := u.take(packText, n)
		if !ok || n == 0 || place > maxLength {
			return u.bad("its text is cut short")
		}
		u.put(place, Insert, n, text)
		place += length(u.unit, r)
	}
	u.ended = place
	return nil
}

// deletes writes a run of deletions of one unit each, step apart.
func (u *unpacker) deletes(size, place, step int) {
	skip := min(size, max(0, u.from-u.at))
	u.at += skip
	place += skip * step
	for ; skip < size && u.at < u.to; skip++ {
		u.put(place, Delete, 1, nil)
		place += step
	}
}

// next counts an operation and reports whether it is wanted.
func (u *unpacker) next() bool {
	u.at++
	return u.at > u.from && u.at <= u.to
}

// put writes an operation of one component at a place.
func (u *unpacker) put(place int, kind Kind, n int, text []byte) {
	if !u.next() {
		return
	}
	if place > 0 {
		u.data = binary.AppendUvarint(u.data, uint64(place)<<2|uint64(Retain))
	}
	u.data = binary.AppendUvarint(u.data, uint64(n)<<2|uint64(kind))
	u.data = append(u.data, text...)
	u.ends = append(u.ends, len(u.data))
}

// ops returns what was written.
func (u *unpacker) ops() [][]byte {
	ops := make([][]byte, len(u.ends))
	start := 0
	for i, end := range u.ends {
		ops[i] = u.data[start:end:end]
		start = end
	}
	return ops
}
