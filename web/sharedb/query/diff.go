package query

import (
	"slices"
	"strconv"
)

// Diff is how a result changed: removes, moves and inserts, each of which counts
// positions in what the ones before it left. Its wire form is what arraydiff writes and
// ShareDB's clients apply.
type Diff []Step

// Kind is what a Step does.
type Kind uint8

// The kinds of steps.
const (
	Remove Kind = iota // take out Count documents from Index on
	Move               // take out Count documents from Index on and put them in at To
	Insert             // put in Values at Index
)

// Step is one part of a Diff.
type Step struct {
	Kind   Kind
	Index  int
	To     int         // of a Move, in the list without what moves
	Count  int         // of a Remove or a Move
	Values []*Snapshot // of an Insert
}

// Append appends the diff as JSON.
func (d Diff) Append(dst []byte) []byte {
	dst = append(dst, '[')
	for i := range d {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = d[i].append(dst)
	}
	return append(dst, ']')
}

func (s *Step) append(dst []byte) []byte {
	field := func(name string, n int) {
		dst = strconv.AppendInt(append(dst, name...), int64(n), 10)
	}
	switch s.Kind {
	case Remove:
		field(`{"type":"remove","index":`, s.Index)
		field(`,"howMany":`, s.Count)
	case Move:
		field(`{"type":"move","from":`, s.Index)
		field(`,"to":`, s.To)
		field(`,"howMany":`, s.Count)
	case Insert:
		field(`{"type":"insert","index":`, s.Index)
		dst = Append(append(dst, `,"values":`...), s.Values)
	}
	return append(dst, '}')
}

// between returns the diff that leads from a list of ids to a result. An id that is in
// the list more than once is removed but for the first.
func between(before []string, after []*Snapshot) Diff {
	var d Diff
	place := make(map[string]int, len(after))
	for i, s := range after {
		place[s.ID] = i
	}
	now := make([]int, 0, len(before)) // what is there, as places in after
	for _, id := range before {
		i, stays := place[id]
		if stays {
			delete(place, id)
			now = append(now, i)
			continue
		}
		if n := len(d); n > 0 && d[n-1].Index == len(now) {
			d[n-1].Count++
		} else {
			d = append(d, Step{Kind: Remove, Index: len(now), Count: 1})
		}
	}
	d = append(d, moves(now)...)
	for i, s := range after {
		if _, missing := place[s.ID]; !missing {
			continue
		}
		if n := len(d); n > 0 && d[n-1].Kind == Insert && d[n-1].Index+len(d[n-1].Values) == i {
			d[n-1].Values = append(d[n-1].Values, s)
		} else {
			d = append(d, Step{Kind: Insert, Index: i, Values: []*Snapshot{s}})
		}
	}
	return d
}

// moves sorts a list of different numbers by moving as few of them as can be, and
// returns how.
func moves(list []int) Diff {
	stays := rising(list)
	var d Diff
	settled := make([]int, 0, len(list)) // those that stay, and those moved, in order
	var others []int
	for i, v := range list {
		if stays[i] {
			settled = append(settled, v)
		} else {
			others = append(others, v)
		}
	}
	for _, v := range others {
		from := slices.Index(list, v)
		list = slices.Delete(list, from, from+1)
		// It goes behind the last settled one below it.
		i, _ := slices.BinarySearch(settled, v)
		to := 0
		if i > 0 {
			to = slices.Index(list, settled[i-1]) + 1
		}
		settled = slices.Insert(settled, i, v)
		list = slices.Insert(list, to, v)
		d = append(d, Step{Kind: Move, Index: from, To: to, Count: 1})
	}
	return d
}

// rising marks the items of a longest rising subsequence.
func rising(list []int) []bool {
	var ends []int // ends[n] is the index of the lowest end of a rising run of n+1 items
	before := make([]int, len(list))
	for i, v := range list {
		n, _ := slices.BinarySearchFunc(ends, v, func(j, v int) int { return list[j] - v })
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
	marked := make([]bool, len(list))
	if len(ends) > 0 {
		for i := ends[len(ends)-1]; i >= 0; i = before[i] {
			marked[i] = true
		}
	}
	return marked
}
