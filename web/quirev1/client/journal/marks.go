package journal

import (
	"bytes"

	"quire/session"
)

// marks are the edits that are told by what they write, by their marks. Whoever sends
// them knows neither what the server numbers them, nor, after a connection was cut,
// whether one arrived: it sends it again.
type marks map[string]*marked

// marked is what is known of an edit.
type marked struct {
	client   string
	answered session.Revision // 0: it was not
}

// markBegin begins every mark, markEnd ends it, and neither is in between.
const markBegin, markEnd = '<', '>'

func (m marks) sent(client, mark string) {
	if m[mark] == nil {
		m[mark] = &marked{client: client}
	}
}

// answered takes an acknowledgement in. One that is repeated has to say the same.
func (r *reader) answered(e *Event) {
	m := r.marks[e.Text]
	switch {
	case m == nil || m.client != r.client:
		r.broken(Acknowledged, r.client, "the edit %s was acknowledged and never sent", e.Text)
		return
	case m.answered != 0 && m.answered != e.Rev:
		r.broken(Acknowledged, r.client, "the edit %s was acknowledged at %d and at %d", e.Text, m.answered, e.Rev)
	case m.answered == 0:
		r.Acknowledgements++
		r.acks = append(r.acks, stamp{e.At, e.Rev})
	}
	m.answered = e.Rev
}

// marked compares the marks in the history with those sent and answered.
func (c *check) marked() {
	found := map[string]session.Revision{}
	for _, s := range c.h.Steps {
		known := false
		for mark := range marksIn(s.Op) {
			m := c.marks[mark]
			if m == nil {
				continue
			}
			known = true
			if rev := found[mark]; rev != 0 {
				c.broken(Once, m.client, "the edit %s is in the history at %d and at %d", mark, rev, s.Rev)
				continue
			}
			found[mark] = s.Rev
		}
		if _, numbered := c.submitted[s.Client]; c.h.Closed && !known && (s.Client == "" || !numbered) {
			c.broken(Once, s.Client, "what leads to revision %d is in the history, and nobody sent it", s.Rev)
		}
	}
	for mark, m := range c.marks {
		switch rev := found[mark]; {
		case m.answered == 0:
		case rev == 0:
			c.broken(Acknowledged, m.client, "the edit %s was acknowledged at %d and is not in the history", mark, m.answered)
		case rev != m.answered:
			c.broken(Acknowledged, m.client, "the edit %s was acknowledged at %d, the history has it at %d", mark, m.answered, rev)
		}
	}
}

// marksIn yields what looks like a mark in an operation.
func marksIn(op []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for {
			i := bytes.IndexByte(op, markBegin)
			if i < 0 {
				return
			}
			op = op[i:]
			n := bytes.IndexByte(op, markEnd)
			if n < 0 || !yield(string(op[:n+1])) {
				return
			}
			op = op[n+1:]
		}
	}
}
