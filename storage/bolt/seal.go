package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"quire/storage"
)

// A sealed segment holds many records, column by column, so that they compress well.
// It has a key like any segment; its body is
//
//	0        where an ordinary segment has how many records it has
//	n        how many records it has
//	form     1
//	step     milliseconds; times are multiples of it
//	packer   the name of what packed the operations, as a string; empty for rows
//	columns  how many; then of each its length and how much it takes in the value,
//	         less when it is compressed by zstd; then the columns one after another
//
// in uvarints. The columns are those below, and then those of the operations of edits as the
// packer makes them.
const (
	// colWho is runs of records by one author and client: which pair, 1 or more in the order
	// of their first record, or 0 and two strings for one not yet seen; how many records.
	colWho = iota
	// colKinds is the records that are no edits: how many edits before it since the last
	// one, its kind, the type of a Create as a string, the length of its content.
	colKinds
	// colContents is the contents of these, one after another.
	colContents
	// colSeqs is runs of records by how far, as a varint, each seq is above the last of
	// its author and client: that, and how many records.
	colSeqs
	// colTimes is runs of records of one time: a varint of steps since the run before, and,
	// when its four bits in colCounts are 15, how many records less 16.
	colTimes
	// colCounts is how many records less 1 each of these runs has, at most 15, two to a
	// byte, the first in the upper half.
	colCounts
	sealColumns
)

const (
	sealedForm = 1
	// sealRecords and sealBytes are how many records, and bytes of them as they are in
	// ordinary segments, go into a sealed one at most: what has to be held in memory to
	// read one of them.
	sealRecords = 1 << 18
	sealBytes   = 8 << 20
	// maxSealed bounds what a sealed segment's columns have together, in bytes: an
	// ordinary segment, which goes into a sealed one as a whole, may have one large record.
	maxSealed = sealBytes + 2*storage.MaxRecord
)

// Packer rearranges operations so that they take little space when compressed; see
// ot.Packer. It must be safe for concurrent use.
type Packer interface {
	// Pack rearranges operations into columns; nil when it cannot.
	Pack(ops [][]byte) (columns [][]byte)
	// Unpack returns operations [from, to) of the n that Pack was given, in memory of
	// their own.
	Unpack(columns [][]byte, n, from, to int) (ops [][]byte, err error)
}

// rows packs operations by keeping their lengths apart: for types that have no packer.
type rows struct{}

func (rows) Pack(ops [][]byte) [][]byte {
	columns := make([][]byte, 2)
	for _, op := range ops {
		columns[0] = binary.AppendUvarint(columns[0], uint64(len(op)))
		columns[1] = append(columns[1], op...)
	}
	return columns
}

func (rows) Unpack(columns [][]byte, _, from, to int) ([][]byte, error) {
	if len(columns) != 2 {
		return nil, corrupt("%d columns of operations", len(columns))
	}
	lengths := parser{rest: columns[0]}
	rest := columns[1]
	ops := make([][]byte, 0, to-from)
	for i := range to {
		n := lengths.uvarint()
		if lengths.bad || n > uint64(len(rest)) {
			return nil, corrupt("operation %d is cut short", i)
		}
		if i >= from {
			ops = append(ops, bytes.Clone(rest[:n]))
		}
		rest = rest[n:]
	}
	return ops, nil
}

// packers knows how to take sealed segments apart.
type packers map[string]Packer

func (p packers) find(name string) (Packer, error) {
	if name == "" {
		return rows{}, nil
	}
	if found := p[name]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("bolt: operations of type %q are packed, and this program has no packer for it", name)
}

// seal returns the body of a sealed segment with the records, of which edits are of type
// typ, or nil when they do not come out as they are but for their times.
func (p packers) seal(recs []storage.Record, typ string, step time.Duration) []byte {
	if p[typ] == nil {
		typ = ""
	}
	for {
		body := p.appendSealed(recs, typ, max(1, step.Milliseconds()))
		if body != nil && p.makes(body, recs) {
			return body
		}
		if typ == "" {
			return nil
		}
		typ = ""
	}
}

// makes reports whether a sealed body holds the records.
func (p packers) makes(body []byte, recs []storage.Record) bool {
	s, err := p.open(body)
	if err != nil || s.n != len(recs) {
		return false
	}
	got, err := s.records(nil, 0, s.n)
	return err == nil && slices.EqualFunc(got, recs, func(a, b storage.Record) bool {
		return a.Kind == b.Kind && a.Type == b.Type && bytes.Equal(a.Op, b.Op) && a.Author == b.Author && a.Client == b.Client &&
			a.Seq == b.Seq && a.Time == floorTo(b.Time, s.step)
	})
}

// floorTo rounds a time down to a multiple of step.
func floorTo(t, step int64) int64 { return floorDiv(t, step) * step }

func floorDiv(t, step int64) int64 {
	q := t / step
	if t%step < 0 {
		q--
	}
	return q
}

func (p packers) appendSealed(recs []storage.Record, typ string, step int64) []byte {
	packer, err := p.find(typ)
	if err != nil {
		return nil
	}
	e := sealer{columns: make([][]byte, sealColumns)}
	e.who(recs)
	e.seqs(recs)
	e.times(recs, step)
	ops := packer.Pack(e.kinds(recs))
	if ops == nil {
		return nil
	}
	body := binary.AppendUvarint([]byte{0}, uint64(len(recs)))
	body = binary.AppendUvarint(body, sealedForm)
	body = binary.AppendUvarint(body, uint64(step))
	body = appendBytes(body, typ)
	columns := append(e.columns, ops...)
	body = binary.AppendUvarint(body, uint64(len(columns)))
	var packed []byte
	for _, column := range columns {
		small := compress(column, hardest...)
		body = binary.AppendUvarint(body, uint64(len(column)))
		body = binary.AppendUvarint(body, uint64(len(small)))
		packed = append(packed, small...)
	}
	return append(body, packed...)
}

// sealer makes the columns of a sealed segment.
type sealer struct{ columns [][]byte }

func (e *sealer) uvarint(column int, v uint64) {
	e.columns[column] = binary.AppendUvarint(e.columns[column], v)
}

func (e *sealer) varint(column int, v int64) {
	e.columns[column] = binary.AppendVarint(e.columns[column], v)
}

// runs calls write for each run of records that are alike, with its first and length.
func runs(n int, alike func(i, j int) bool, write func(first, n int)) {
	for first := 0; first < n; {
		end := first + 1
		for end < n && alike(first, end) {
			end++
		}
		write(first, end-first)
		first = end
	}
}

func (e *sealer) who(recs []storage.Record) {
	seen := make(map[[2]string]uint64)
	pair := func(i int) [2]string { return [2]string{recs[i].Author, recs[i].Client} }
	runs(len(recs), func(i, j int) bool { return pair(i) == pair(j) }, func(first, n int) {
		at := seen[pair(first)]
		e.uvarint(colWho, at)
		if at == 0 {
			seen[pair(first)] = uint64(len(seen) + 1)
			e.columns[colWho] = appendBytes(e.columns[colWho], recs[first].Author)
			e.columns[colWho] = appendBytes(e.columns[colWho], recs[first].Client)
		}
		e.uvarint(colWho, uint64(n))
	})
}

func (e *sealer) seqs(recs []storage.Record) {
	last := make(map[[2]string]uint64)
	steps := make([]int64, len(recs))
	for i := range recs {
		pair := [2]string{recs[i].Author, recs[i].Client}
		steps[i] = int64(recs[i].Seq - last[pair])
		last[pair] = recs[i].Seq
	}
	runs(len(recs), func(i, j int) bool { return steps[i] == steps[j] }, func(first, n int) {
		e.varint(colSeqs, steps[first])
		e.uvarint(colSeqs, uint64(n))
	})
}

func (e *sealer) times(recs []storage.Record, step int64) {
	last, odd := int64(0), false
	at := func(i int) int64 { return floorDiv(recs[i].Time, step) }
	runs(len(recs), func(i, j int) bool { return at(i) == at(j) }, func(first, n int) {
		e.varint(colTimes, at(first)-last)
		last = at(first)
		if n > 15 {
			e.uvarint(colTimes, uint64(n-16))
		}
		four := byte(min(n-1, 15))
		if odd {
			e.columns[colCounts][len(e.columns[colCounts])-1] |= four
		} else {
			e.columns[colCounts] = append(e.columns[colCounts], four<<4)
		}
		odd = !odd
	})
}

// kinds writes the records that are no edits and returns the operations of those that are.
func (e *sealer) kinds(recs []storage.Record) [][]byte {
	ops := make([][]byte, 0, len(recs))
	since := 0
	for i := range recs {
		r := &recs[i]
		if r.Kind == storage.Edit {
			ops = append(ops, r.Op)
			since++
			continue
		}
		e.uvarint(colKinds, uint64(since))
		e.uvarint(colKinds, uint64(r.Kind))
		if r.Kind == storage.Create {
			e.columns[colKinds] = appendBytes(e.columns[colKinds], r.Type)
		}
		e.uvarint(colKinds, uint64(len(r.Op)))
		e.columns[colContents] = append(e.columns[colContents], r.Op...)
		since = 0
	}
	return ops
}
