package diff

import (
	"slices"

	"github.com/aymanbagabas/go-udiff/lcs"
)

// An edit puts [ReplStart, ReplEnd) of one sequence in the place of [Start, End) of another.
type edit = lcs.Diff

// exact is how many tokens the library's search takes out and puts in before it gives up
// looking for the fewest there are, and returns what it has found at both ends.
const exact = 100

func size(e *edit) int { return e.End - e.Start + e.ReplEnd - e.ReplStart }

// twoSided reports whether e both takes out and puts in.
func twoSided(e *edit) bool { return e.Start < e.End && e.ReplStart < e.ReplEnd }

// changed returns how many tokens edits take out and put in.
func changed(edits []edit) (n int) {
	for i := range edits {
		n += size(&edits[i])
	}
	return n
}

// A budget is how many steps one comparison of documents may still take; what is not looked at
// by then is replaced whole. Counting steps, not time, keeps the result the same everywhere.
type budget int

// newBudget returns the budget of one comparison: a second or so.
func newBudget() *budget {
	b := budget(1 << 26)
	return &b
}

// spend takes steps off, and reports whether there are any left.
func (b *budget) spend(steps int) bool {
	*b -= budget(steps)
	return *b > 0
}

// A matcher compares two sequences of tokens, numbered from 0.
type matcher struct {
	a, b   []rune
	unique bool    // whether to look for tokens that are once in each: such as lines, not characters
	weight []int32 // of each token that is once in each; nil: 1
	places []place // by token; empty between uses
	left   *budget
	todo   []edit // a stack of stretches to compare, the first on top
	out    []edit
}

// A place is where a token is in a stretch of each sequence, counted from 1, or -1 when
// there are several.
type place struct{ a, b int32 }

// match returns the edits that lead from a to b, in order. With unique, tokens that are once
// in each stay, as many (or, by their weight, if not nil, as heavy) as are in the same order in both,
// and then those that are once in each between two of them ("patience diff"), however much is changed around
// them. While no more than exact tokens were changed between those, and the budget
// lasts, there are no smaller edits.
func match(a, b []rune, unique bool, weight []int32, left *budget) []edit {
	m := matcher{a: a, b: b, unique: unique, weight: weight, left: left}
	m.todo = []edit{{End: len(a), ReplEnd: len(b)}}
	for len(m.todo) > 0 {
		e := m.todo[len(m.todo)-1]
		m.todo = m.todo[:len(m.todo)-1]
		m.trim(&e)
		switch {
		case size(&e) == 0:
		case !twoSided(&e) || !left.spend(1):
			m.out = append(m.out, e)
		default:
			m.search(e)
		}
	}
	return m.out
}

// trim takes off e what both sequences have at its start and its end.
func (m *matcher) trim(e *edit) {
	for twoSided(e) && m.a[e.Start] == m.b[e.ReplStart] {
		e.Start++
		e.ReplStart++
	}
	for twoSided(e) && m.a[e.End-1] == m.b[e.ReplEnd-1] {
		e.End--
		e.ReplEnd--
	}
}

// search compares one stretch. It is divided at tokens that are once in each sequence. When
// there are none, and the library gives up, the largest part of what was found is compared again.
func (m *matcher) search(e edit) {
	if m.unique && m.left.spend(4*size(&e)) {
		if parts := m.divide(e); len(parts) > 1 {
			slices.Reverse(parts)
			m.todo = append(m.todo, parts...)
			return
		}
	}
	found := lcs.DiffRunes(m.a[e.Start:e.End:e.End], m.b[e.ReplStart:e.ReplEnd:e.ReplEnd])
	for i := range found {
		found[i].Start += e.Start
		found[i].End += e.Start
		found[i].ReplStart += e.ReplStart
		found[i].ReplEnd += e.ReplStart
	}
	if n := changed(found); n <= exact {
		m.left.spend(n*n + size(&e))
		m.out = append(m.out, found...)
		return
	}
	m.left.spend(exact * exact)
	largest := -1
	for i := range found {
		if twoSided(&found[i]) && (largest < 0 || size(&found[i]) > size(&found[largest])) {
			largest = i
		}
	}
	if largest < 0 || size(&found[largest]) == size(&e) {
		m.out = append(m.out, found...)
		return
	}
	// What is on the stack comes out in order: what follows the largest is one-sided or
	// small, and is compared again in no time.
	m.out = append(m.out, found[:largest]...)
	rest := found[largest:]
	slices.Reverse(rest)
	m.todo = append(m.todo, rest...)
}

// divide returns the parts of e between tokens that are once in each sequence and in the
// same order in both; as heavy ones as there can be.
func (m *matcher) divide(e edit) []edit {
	if m.places == nil {
		m.places = make([]place, 1+max(slices.Max(m.a), slices.Max(m.b)))
	}
	for i := e.Start; i < e.End; i++ {
		note(&m.places[m.a[i]].a, i-e.Start)
	}
	for i := e.ReplStart; i < e.ReplEnd; i++ {
		note(&m.places[m.b[i]].b, i-e.ReplStart)
	}
	var anchors []anchor
	for i := e.Start; i < e.End; i++ {
		if p := m.places[m.a[i]]; p.a > 0 && p.b > 0 {
			w := 1
			if m.weight != nil {
				w = int(m.weight[m.a[i]])
			}
			anchors = append(anchors, anchor{p, w})
		}
	}
	for i := e.Start; i < e.End; i++ {
		m.places[m.a[i]] = place{}
	}
	for i := e.ReplStart; i < e.ReplEnd; i++ {
		m.places[m.b[i]] = place{}
	}
	var parts []edit
	rest := e
	for _, p := range rising(anchors) {
		part := rest
		part.End, part.ReplEnd = e.Start+int(p.a)-1, e.ReplStart+int(p.b)-1
		parts = append(parts, part)
		rest.Start, rest.ReplStart = part.End, part.ReplEnd
	}
	return append(parts, rest)
}

// note takes down that a token is at i.
func note(at *int32, i int) {
	if *at == 0 {
		*at = int32(i + 1)
	} else {
		*at = -1
	}
}

// An anchor is where a token is that is once in each sequence.
type anchor struct {
	place
	weight int
}

// rising returns the heaviest part of anchors, which are in the order of a, in which b
// rises too. Anchors are counted from 1.
func rising(anchors []anchor) []anchor {
	ranks := make([]int32, len(anchors)) // all b, rising
	for i := range anchors {
		ranks[i] = anchors[i].b
	}
	slices.Sort(ranks)
	total := make([]int, len(anchors)+1)  // what the heaviest part weighs that ends with an anchor
	before := make([]int, len(anchors)+1) // the one before it there
	last := make([]int, len(anchors)+1)   // a Fenwick tree: by rank, the anchor that the heaviest ends with
	for i := range anchors {
		rank, _ := slices.BinarySearch(ranks, anchors[i].b)
		best := 0
		for k := rank; k > 0; k &= k - 1 {
			if total[last[k]] > total[best] {
				best = last[k]
			}
		}
		total[i+1], before[i+1] = total[best]+anchors[i].weight, best
		for k := rank + 1; k < len(last); k += k & -k {
			if total[i+1] > total[last[k]] {
				last[k] = i + 1
			}
		}
	}
	end := 0
	for i := range total {
		if total[i] > total[end] {
			end = i
		}
	}
	var out []anchor
	for ; end > 0; end = before[end] {
		out = append(out, anchors[end-1])
	}
	slices.Reverse(out)
	return out
}
