package textunicode_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text"
	"quire/ot/textunicode"
)

// An editor is a client of a mixed document: of quire.v1, in UTF-16 units and on the
// right of what is committed, or of ShareDB, in code points and on the left of it.
type editor struct {
	ot.Type
	gen  ottest.Gen
	side ot.Side

	doc     ot.Doc
	rev     int
	pending []ot.Op // the first is in flight if sent is not nil
	sent    ot.Op   // as it was sent
	base    int     // the revision it was sent on
}

// edit makes a random edit.
func (e *editor) edit(r *rand.Rand) {
	op := e.gen.Op(r, e.doc, 4)
	e.doc = ok(e.Apply(e.doc, op))
	if last := len(e.pending) - 1; last > 0 || last == 0 && e.sent == nil {
		e.pending[last] = ok(e.Compose(e.pending[last], op))
	} else {
		e.pending = append(e.pending, op)
	}
}

// send submits what is pending, unless a submission is in flight.
func (e *editor) send() {
	if e.sent == nil && len(e.pending) > 0 {
		e.sent, e.base = e.pending[0], e.rev
	}
}

// receive takes in what was committed next.
func (e *editor) receive(c commit) {
	e.rev++
	if c.author == e {
		e.pending, e.sent = e.pending[1:], nil
		return
	}
	op := ot.Op(c.op)
	if e.side == ot.Left {
		op = ok(textunicode.FromText(c.before, c.op))
	}
	for i, own := range e.pending {
		e.pending[i] = ok(e.Transform(own, op, e.side))
		op = ok(e.Transform(op, own, e.side.Other()))
	}
	e.doc = ok(e.Apply(e.doc, op))
}

// A commit leads from one revision of the server's document to the next.
type commit struct {
	before *text.Doc
	op     text.Op
	author *editor
}

// A server holds a mixed document as text and converts what comes.
type server struct {
	log  []commit
	head *text.Doc
}

// take commits the submission of e.
func (s *server) take(e *editor) {
	op, isText := e.sent.(text.Op)
	if !isText {
		before := s.head
		if e.base < len(s.log) {
			before = s.log[e.base].before
		}
		op = ok(textunicode.ToText(before, e.sent.(textunicode.Op)))
	}
	for _, c := range s.log[e.base:] {
		op = ok(text.Transform(op, c.op, e.side))
	}
	s.log = append(s.log, commit{s.head, op, e})
	s.head = ok(s.head.Apply(op))
}

// waiting reports whether the submission of e has not arrived.
func (s *server) waiting(e *editor) bool {
	for _, c := range s.log[min(e.rev, len(s.log)):] {
		if c.author == e {
			return false
		}
	}
	return e.sent != nil
}

// TestMixed edits one document in both units at once: all end with the same text.
func TestMixed(t *testing.T) {
	for seed := range uint64(cases(2000)) {
		r := rand.New(rand.NewPCG(seed, 4))
		s := server{head: emoji(r, r.IntN(30))}
		editors := make([]*editor, 2+r.IntN(5))
		for i := range editors {
			editors[i] = &editor{Type: text.Type{}, gen: ottest.Text(), side: ot.Right, doc: s.head}
			if i%2 == 1 {
				editors[i] = &editor{Type: typ, gen: ottest.TextUnicode(), side: ot.Left, doc: s.head}
			}
		}
		step := func(e *editor, what int) {
			switch {
			case what == 0:
				e.edit(r)
			case what == 1:
				e.send()
			case what == 2 && s.waiting(e):
				s.take(e)
			case e.rev < len(s.log):
				e.receive(s.log[e.rev])
			}
		}
		for range 300 {
			step(editors[r.IntN(len(editors))], r.IntN(5))
		}
		behind := func(e *editor) bool { return e.rev < len(s.log) || len(e.pending) > 0 }
		for slices.ContainsFunc(editors, behind) {
			for _, e := range editors {
				for what := 1; what < 4; what++ {
					step(e, what)
				}
			}
		}
		for i, e := range editors {
			if got := e.doc.(*text.Doc).String(); got != s.head.String() {
				t.Fatalf("seed %d: after %d commits editor %d of %d has %q, the server %q", seed, len(s.log), i, len(editors), got, s.head)
			}
		}
	}
}
