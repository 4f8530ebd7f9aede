package query

import (
	"bytes"
	"slices"
	"strings"

	"quire/session"
	"quire/web/auth"
)

// Readable returns which of the documents whose ids begin with prefix a connection may read
// now, as auth.Identity.With does. It is called with locks held and must be quick.
type Readable func(prefix string) []auth.Pattern

// All lets everything be read.
func All(prefix string) []auth.Pattern { return []auth.Pattern{auth.Pattern(prefix + "*")} }

// of returns what can be read of the collection with a prefix.
func (r Readable) of(prefix string) []auth.Pattern {
	patterns := r(prefix)
	if prefix != "" {
		return patterns
	}
	return slices.DeleteFunc(slices.Clone(patterns), func(p auth.Pattern) bool { return strings.Contains(string(p), "/") })
}

// key is what live results have in common that everybody can share: who has the same
// rights asks the same. Ids have no line breaks.
func key(q *Query, readable []auth.Pattern) string {
	var b strings.Builder
	for _, p := range readable {
		b.WriteString(string(p))
		b.WriteByte('\n')
	}
	b.WriteString(q.String())
	return b.String()
}

func seen(readable []auth.Pattern, doc string) bool {
	return slices.ContainsFunc(readable, func(p auth.Pattern) bool { return p.Matches(doc) })
}

// Review looks again at what the connection may read. A live query of which that is something
// else goes on with what is left of its result at once, and then, when that has been read,
// with the result of what may be read now.
func (c *Conn) Review() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subs {
		readable := c.readable.of(s.collection.prefix)
		if key := key(s.query, readable); key != s.key {
			s.key = key
			s.collection.post(func() { s.collection.move(s, key, readable) })
		}
	}
}

// move takes a subscription from one live result to another.
func (c *collection) move(s *subscription, key string, readable []auth.Pattern) {
	l := s.live
	if l == nil {
		return // it has ended
	}
	if l.missed == nil && !s.moved {
		s.moved, s.told = true, c.told(l)
	}
	c.withdraw(s)
	left := slices.DeleteFunc(slices.Clone(s.told), func(o *Snapshot) bool { return !seen(readable, c.prefix+o.ID) })
	if len(left) < len(s.told) {
		s.tell(News{Update: &Update{Diff: between(ids(s.told), left)}})
		s.told = left
	}
	c.enlist(s, key, readable)
}

// told returns what those who have a live result have been told of it. Where operations that a
// document has already were not told yet, that is only its name.
func (c *collection) told(l *live) []*Snapshot {
	told := slices.Clone(l.order)
	for i, o := range told {
		if c.docs[o.ID].rev < session.Revision(o.Version)-1 {
			told[i] = &Snapshot{ID: o.ID}
		}
	}
	return told
}

// begin tells a subscription what its live result is, now that it has been read.
func (l *live) begin(s *subscription) {
	if !s.moved {
		s.tell(News{Result: l.result(s)})
		return
	}
	// Operations that came meanwhile were not told: what has changed goes and comes again.
	now := make(map[string]*Snapshot, len(l.order))
	for _, o := range l.order {
		now[o.ID] = o
	}
	told := ids(s.told)
	for i, o := range s.told {
		if n := now[o.ID]; n != nil && n != o && (n.Version != o.Version || !bytes.Equal(n.JSON(), o.JSON())) {
			told[i] += "\n" // no document's
		}
	}
	if d := between(told, l.order); len(d) > 0 {
		s.tell(News{Update: &Update{Diff: d}})
	}
	s.moved, s.told = false, nil
}

func ids(list []*Snapshot) []string {
	out := make([]string, len(list))
	for i, o := range list {
		out[i] = o.ID
	}
	return out
}
