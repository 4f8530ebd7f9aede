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
	places []place // by token; empty between uses
	left   *budget
	todo   []edit // a stack of stretches to compare, the first on top
	out    []edit
}

// A place is where a token is in a stretch of each sequence, counted from 1, or -1 when
// there are several.
type place struct{ a, b int32 }

// match returns the edits that lead from a to b, in order. While no more than exact
// tokens were changed, and the budget lasts, there are no smaller ones.
func match(a, b []rune, unique bool, left *budget) []edit {
	m := matcher{a: a, b: b, unique: unique, left: left}
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

// search compares one stretch. When the library gives up, the stretch is divided at tokens that
// are once in each sequence, or else the largest part of what was found is compared again.
func (m *matcher) search(e edit) {
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
	if m.left.spend(exact*exact) && m.unique && m.left.spend(4*size(&e)) {
		if parts := m.divide(e); len(parts) > 1 {
			slices.Reverse(parts)
			m.todo = append(m.todo, parts...)
			return
		}
	}
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
// same order in both; as many of them as there can be.
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
	var anchors []place
	for i := e.Start; i < e.End; i++ {
		if p := m.places[m.a[i]]; p.a > 0 && p.b > 0 {
			anchors = append(anchors, p)
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

// rising returns the longest part of places, which are in the order of a, in which
// b rises too.
func rising(places []place) []place {
	var ends []int // ends[n] is the place with the least b that n places can come before
	before := make([]int, len(places))
	for i, p := range places {
		n, _ := slices.BinarySearchFunc(ends, p.b, func(end int, b int32) int { return int(places[end].b - b) })
		before[i] = -1
		if n > 0 {
			before[i] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, i)
		} else {
			ends[n] = i
		}
	}
	out := make([]place, len(ends))
	if len(ends) > 0 {
		for n, i := len(ends)-1, ends[len(ends)-1]; n >= 0; n, i = n-1, before[i] {
			out[n] = places[i]
		}
	}
	return out
}
