// Package runs keeps a number for every unit of a text while the text is edited: where it
// comes from. Neighbours are held together in runs, so it takes little memory, and time in
// proportion to the edits.
package runs

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"

	"quire/ot"
)

// A List is the numbers of the units of one text. The zero value is that of the empty text,
// with equal numbers in each run. Not safe for concurrent use.
type List struct {
	step   int64   // by how much the numbers in a run rise
	n      int     // units in all
	chunks []chunk // none is empty
	at     int     // the chunk that was used last, or 0
	before int     // units before it
}

// A chunk is a part of the list, so that an edit moves few runs and passes over many at once.
type chunk struct {
	n    int // units
	runs []Run
}

// Run is N units that lie together, the first of which has the number First.
type Run struct {
	N     int
	First int64
}

// maxRuns is how many runs a chunk has at most.
const maxRuns = 512

// Rising returns an empty List in whose runs each number is one more than that before it: so
// that numbers tell the units of what was inserted.
func Rising() *List { return &List{step: 1} }

// Len returns how many units there are.
func (l *List) Len() int { return l.n }

func (l *List) joins(r, next Run) bool { return r.First+l.step*int64(r.N) == next.First }

// Check fails with ot.ErrMismatch when [at, at+n) is not within the text.
func (l *List) Check(at, n int) error {
	if at < 0 || n < 0 || at > l.n || n > l.n-at {
		return fmt.Errorf("%w: it reaches %d, the document has %d", ot.ErrMismatch, at+n, l.n)
	}
	return nil
}

// Insert puts n units in before unit at, 0 <= at <= Len; the first has the given number.
func (l *List) Insert(at, n int, first int64) {
	if n == 0 {
		return
	}
	if len(l.chunks) == 0 {
		l.chunks = []chunk{{}}
	}
	i := l.cut(at)
	c := &l.chunks[l.at]
	c.n += n
	l.n += n
	r := Run{n, first}
	if i < len(c.runs) && l.joins(r, c.runs[i]) {
		r.N += c.runs[i].N
		c.runs = slices.Delete(c.runs, i, i+1)
	}
	if i > 0 && l.joins(c.runs[i-1], r) {
		c.runs[i-1].N += r.N
		return
	}
	c.runs = slices.Insert(c.runs, i, r)
	l.divide()
}

// Delete takes the units [at, at+n) out, which must be there.
func (l *List) Delete(at, n int) {
	if n == 0 {
		return
	}
	i := l.cut(at)
	first := l.at
	l.n -= n
	for n > 0 {
		c := &l.chunks[l.at]
		j := i
		for ; j < len(c.runs) && c.runs[j].N <= n; j++ {
			n -= c.runs[j].N
			c.n -= c.runs[j].N
		}
		c.runs = slices.Delete(c.runs, i, j)
		switch {
		case i < len(c.runs):
			r := &c.runs[i]
			r.N -= n
			r.First += l.step * int64(n)
			c.n -= n
			n = 0
		case n > 0: // go on in the next chunk
			l.before += c.n
			l.at++
			i = 0
		}
	}
	if first < l.at || l.chunks[first].n == 0 {
		l.chunks = slices.DeleteFunc(l.chunks, func(c chunk) bool { return c.n == 0 })
		l.at, l.before = 0, 0
	}
}

// Set gives the units [at, at+n), which must be there, a number: all the same one, unless
// the List is Rising.
func (l *List) Set(at, n int, first int64) {
	l.Delete(at, n)
	l.Insert(at, n, first)
}

// seek makes the chunk current that unit at-1 is in, or the first.
func (l *List) seek(at int) {
	for l.at > 0 && l.before >= at {
		l.at--
		l.before -= l.chunks[l.at].n
	}
	for l.before+l.chunks[l.at].n < at {
		l.before += l.chunks[l.at].n
		l.at++
	}
}

// cut divides the run that reaches across at, if one does, and returns the index in the
// current chunk of the run that begins at at, which may be past the last.
func (l *List) cut(at int) int {
	l.seek(at)
	c := &l.chunks[l.at]
	rest := at - l.before
	for i := range c.runs {
		r := &c.runs[i]
		if rest == 0 {
			return i
		}
		if rest < r.N {
			after := Run{r.N - rest, r.First + l.step*int64(rest)}
			r.N = rest
			c.runs = slices.Insert(c.runs, i+1, after)
			return i + 1
		}
		rest -= r.N
	}
	return len(c.runs)
}

// divide makes two of the current chunk when it is full.
func (l *List) divide() {
	c := &l.chunks[l.at]
	if len(c.runs) < maxRuns {
		return
	}
	const half = maxRuns / 2
	second := chunk{runs: append(make([]Run, 0, maxRuns), c.runs[half:]...)}
	for _, r := range second.runs {
		second.n += r.N
	}
	c.runs = c.runs[:half]
	c.n -= second.n
	l.chunks = slices.Insert(l.chunks, l.at+1, second)
}

// Same returns the number of the units when all have the same one.
func (l *List) Same() (first int64, ok bool) {
	n := 0
	for r := range l.Range(0, l.n) {
		if first = r.First; n > 0 {
			return 0, false
		}
		n++
	}
	return first, n == 1
}

// Trim takes units of the given number off the end.
func (l *List) Trim(first int64) {
	for len(l.chunks) > 0 {
		c := l.chunks[len(l.chunks)-1]
		r := c.runs[len(c.runs)-1]
		if r.First != first {
			return
		}
		l.Delete(l.n-r.N, r.N)
	}
}

// Range yields the runs of the units [from, to), as far as there are any, neighbours joined.
func (l *List) Range(from, to int) iter.Seq[Run] {
	return func(yield func(Run) bool) {
		if len(l.chunks) == 0 || from >= to {
			return
		}
		l.seek(from)
		var last Run
		at := l.before
		for i := l.at; i < len(l.chunks) && at < to; i++ {
			for _, r := range l.chunks[i].runs {
				skip, end := max(0, from-at), min(r.N, to-at)
				at += r.N
				part := Run{end - skip, r.First + l.step*int64(skip)}
				switch {
				case part.N <= 0:
				case last.N > 0 && l.joins(last, part):
					last.N += part.N
				default:
					if last.N > 0 && !yield(last) {
						return
					}
					last = part
				}
			}
		}
		if last.N > 0 {
			yield(last)
		}
	}
}

// Clone returns an independent copy.
func (l *List) Clone() List {
	out := *l
	out.chunks = slices.Clone(l.chunks)
	for i := range out.chunks {
		out.chunks[i].runs = slices.Clone(out.chunks[i].runs)
	}
	return out
}

// The binary form is a row of runs, each a varint of its length with a bit below it that says
// that its number is one more than that of the run before; otherwise a varint of how much
// more it is follows.

// Marshal appends the binary form.
func (l *List) Marshal(dst []byte) []byte {
	last := int64(0)
	for r := range l.Range(0, l.n) {
		if more := r.First - last; more == 1 {
			dst = binary.AppendUvarint(dst, uint64(r.N)<<1|1)
		} else {
			dst = binary.AppendVarint(binary.AppendUvarint(dst, uint64(r.N)<<1), more)
		}
		last = r.First
	}
	return dst
}

// Unmarshal reads the binary form of a List with equal numbers in each run. Damaged data
// fails with ot.ErrSyntax or gives some List.
func Unmarshal(data []byte) (List, error) {
	var l List
	last := int64(0)
	for len(data) > 0 {
		head, k := binary.Uvarint(data)
		more := int64(1)
		if k > 0 && head&1 == 0 {
			var m int
			if more, m = binary.Varint(data[k:]); m <= 0 {
				k = m
			} else {
				k += m
			}
		}
		n := head >> 1
		if k <= 0 || n == 0 || n > math.MaxInt32-uint64(l.n) {
			return List{}, fmt.Errorf("%w: bad run", ot.ErrSyntax)
		}
		last += more
		l.Insert(l.n, int(n), last)
		data = data[k:]
	}
	return l, nil
}
