package query

import (
	"slices"

	"quire/web/auth"
)

// live is the result of one query of one collection, for everybody who has it and may read
// the same. It belongs to the collection's worker.
type live struct {
	// Static.
	query    *Query
	key      string
	readable []auth.Pattern

	order []*Snapshot // the result
	bytes int
	subs  []*subscription
	// missed are the documents that changed while the result was being read; nil from
	// then on.
	missed map[string]bool
}

// takes reports whether a document of the collection with a prefix is in the result.
func (l *live) takes(prefix string, s *Snapshot) bool {
	return l.query.matches(s) && seen(l.readable, prefix+s.ID)
}

// find returns where a document is.
func (l *live) find(s *Snapshot) (int, bool) {
	if s == nil {
		return 0, false
	}
	return slices.BinarySearchFunc(l.order, s, l.query.compare)
}

// insert puts a document where it belongs.
func (l *live) insert(s *Snapshot) int {
	i, _ := l.find(s)
	l.order = slices.Insert(l.order, i, s)
	l.bytes += s.size()
	return i
}

func (l *live) remove(i int) {
	l.bytes -= l.order[i].size()
	l.order = slices.Delete(l.order, i, i+1)
}

// result is what a subscription begins with.
func (l *live) result(s *subscription) *Result {
	r := &Result{Snapshots: slices.Clone(l.order)}
	if s.req.Resume {
		r.Diff = between(s.req.Known, l.order)
		s.req.Known = nil // it is asked for once
	}
	return r
}

// part takes a subscription out and reports whether it was there.
func (l *live) part(s *subscription) bool {
	n := len(l.subs)
	l.subs = slices.DeleteFunc(l.subs, func(o *subscription) bool { return o == s })
	return len(l.subs) < n
}
