package bolt

import (
	"bytes"
	"math"

	"quire/storage"
)

// sealed is a sealed segment that was taken apart as far as its columns. It is never
// changed, so it may be shared.
type sealed struct {
	n       int // records
	step    int64
	packer  Packer
	columns [][]byte
	others  []other // the records that are no edits, ascending
	size    int     // bytes in memory, about
}

// other is a record that is no edit.
type other struct {
	at   int // among all records
	kind storage.Kind
	typ  string
	op   []byte
}

// open takes the body of a sealed segment apart. Nothing aliases it afterwards.
func (p packers) open(body []byte) (*sealed, error) {
	head := parser{rest: bytes.Clone(body)}
	head.uvarint()
	s := &sealed{n: int(head.count(2 * sealRecords))}
	if form := head.uvarint(); form != sealedForm {
		return nil, corrupt("a sealed segment of form %d", form)
	}
	s.step = int64(head.count(math.MaxInt64))
	name := string(head.bytes())
	sizes := make([][2]int, head.count(64))
	total := 0
	for i := range sizes {
		sizes[i] = [2]int{int(head.count(maxSealed)), int(head.count(maxSealed))}
		total += sizes[i][0]
	}
	if head.bad || s.n == 0 || s.step == 0 || len(sizes) < sealColumns || total > maxSealed {
		return nil, corrupt("the head of a sealed segment is malformed")
	}
	var err error
	if s.packer, err = p.find(name); err != nil {
		return nil, err
	}
	for i, size := range sizes {
		if size[1] > len(head.rest) {
			return nil, corrupt("column %d of a sealed segment is cut short", i)
		}
		column, err := expand(head.rest[:size[1]:size[1]], size[0])
		if err != nil {
			return nil, err
		}
		s.columns = append(s.columns, column)
		head.rest = head.rest[size[1]:]
	}
	if len(head.rest) > 0 {
		return nil, corrupt("a sealed segment goes on behind its columns")
	}
	s.size = len(body) + total
	return s, s.readOthers()
}

// count reads a number of at most most.
func (p *parser) count(most uint64) uint64 {
	v := p.uvarint()
	if v > most {
		p.bad, v = true, 0
	}
	return v
}

func (s *sealed) readOthers() error {
	p := parser{rest: s.columns[colKinds]}
	contents := s.columns[colContents]
	at := 0
	for len(p.rest) > 0 {
		o := other{at: at + int(p.count(uint64(s.n))), kind: storage.Kind(p.count(uint64(storage.Delete)))}
		if o.kind == storage.Create {
			o.typ = string(p.bytes())
		}
		n := int(p.count(maxSealed))
		if p.bad || o.kind == storage.Edit || o.at >= s.n || n > len(contents) {
			return corrupt("a record of a sealed segment that is no edit is malformed")
		}
		o.op, contents = contents[:n:n], contents[n:]
		s.others = append(s.others, o)
		s.size += len(o.typ) + 64
		at = o.at + 1
	}
	return nil
}

// records appends records [from, to) to recs; nothing of them aliases the segment but
// their strings.
func (s *sealed) records(recs []storage.Record, from, to int) ([]storage.Record, error) {
	start := len(recs)
	recs = append(recs, make([]storage.Record, to-from)...)
	out := recs[start:]
	if err := s.ops(out, from, to); err != nil {
		return recs[:start], err
	}
	if !s.people(out, from, to) || !s.times(out, from, to) {
		return recs[:start], corrupt("a column of a sealed segment is cut short or too long")
	}
	return recs, nil
}

// ops fills in what the records do.
func (s *sealed) ops(out []storage.Record, from, to int) error {
	edits, first, last := s.n-len(s.others), from, to // first and last count edits
	for _, o := range s.others {
		if o.at < from {
			first--
		}
		if o.at < to {
			last--
		}
	}
	ops, err := s.packer.Unpack(s.columns[sealColumns:], edits, first, last)
	if err != nil || len(ops) != last-first {
		return corrupt("operations of a sealed segment: %v", err)
	}
	for _, o := range s.others {
		if o.at >= from && o.at < to {
			r := &out[o.at-from]
			r.Kind, r.Type, r.Op = o.kind, o.typ, bytes.Clone(o.op)
		}
	}
	for i := range out {
		if out[i].Kind == storage.Edit {
			out[i].Op, ops = ops[0], ops[1:]
		}
	}
	return nil
}

// people fills in who made the records. It reports whether the columns were right as far as
// they were read.
func (s *sealed) people(out []storage.Record, from, to int) bool {
	names, seqs := parser{rest: s.columns[colWho]}, parser{rest: s.columns[colSeqs]}
	var seen []who
	var w *who
	var step uint64
	sameWho, sameStep := 0, 0
	for at := 0; at < to; {
		if sameWho == 0 {
			i := int(names.count(uint64(len(seen))))
			if i == 0 {
				seen = append(seen, who{author: string(names.bytes()), client: string(names.bytes())})
				i = len(seen)
			}
			w, sameWho = &seen[i-1], int(names.count(uint64(s.n)))
		}
		if sameStep == 0 {
			step, sameStep = uint64(seqs.varint()), int(seqs.count(uint64(s.n)))
		}
		n := min(sameWho, sameStep, to-at)
		if names.bad || seqs.bad || n == 0 {
			return false
		}
		skip := min(n, max(0, from-at))
		w.seq += uint64(skip) * step
		for i := skip; i < n; i++ {
			w.seq += step
			r := &out[at+i-from]
			r.Author, r.Client, r.Seq = w.author, w.client, w.seq
		}
		at, sameWho, sameStep = at+n, sameWho-n, sameStep-n
	}
	return to < s.n || sameWho == 0 && sameStep == 0 && len(names.rest) == 0 && len(seqs.rest) == 0
}

// times fills in when the records were made, and reports like people.
func (s *sealed) times(out []storage.Record, from, to int) bool {
	return s.eachTime(func(first, n int, time int64) bool {
		for at := max(first, from); at < min(first+n, to); at++ {
			out[at-from].Time = time
		}
		return first+n < to || to == s.n
	})
}

// until returns how many of the first records are not younger than a time.
func (s *sealed) until(time int64) (n int, ok bool) {
	ok = s.eachTime(func(first, count int, at int64) bool {
		if at <= time {
			n = first + count
		}
		return at <= time
	})
	return n, ok
}

// eachTime calls fn for each run of records of one time, in order, until it returns false. It
// reports whether the columns were right as far as they were read.
func (s *sealed) eachTime(fn func(first, n int, time int64) bool) bool {
	times, counts := parser{rest: s.columns[colTimes]}, s.columns[colCounts]
	steps := int64(0)
	for i, first := 0, 0; ; i++ {
		if first == s.n {
			return len(times.rest) == 0 && len(counts) == (i+1)/2
		}
		if i/2 >= len(counts) {
			return false
		}
		n := int(counts[i/2]>>(4*(1-i%2))&15) + 1
		steps += times.varint()
		if n == 16 {
			n += int(times.count(uint64(s.n)))
		}
		if times.bad || n > s.n-first {
			return false
		}
		if !fn(first, n, steps*s.step) {
			return true
		}
		first += n
	}
}
