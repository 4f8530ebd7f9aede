package text

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/units"
)

// ComposeAll composes ops in order, the same as folding Compose over them. It
// takes time in proportion to their total size and to how far they jump about,
// counted in chunks of the result. No ops compose to the identity.
func ComposeAll(ops []Op) (Op, error) { return composeAll(units.UTF16, ops) }

// composeAll is ComposeAll of operations in unit.
func composeAll(unit units.Unit, ops []Op) (Op, error) {
	switch len(ops) {
	case 0:
		return nil, nil
	case 1:
		return ops[0], nil
	case 2:
		return compose(unit, ops[0], ops[1])
	}
	c := composer{unit: unit, chunks: make([]chunk, 1)}
	for _, op := range ops {
		if !c.apply(op) {
			return nil, fmt.Errorf("%w: compose would split a surrogate pair", ot.ErrMismatch)
		}
	}
	return c.finish()
}

// ComposeStored composes operations in binary form, in order: ComposeAll of what
// Unmarshal makes of them, without keeping any of them.
func ComposeStored(ops [][]byte) (Op, error) { return composeStored(units.UTF16, ops) }

// composeStored is ComposeStored of operations in unit.
func composeStored(unit units.Unit, ops [][]byte) (Op, error) {
	c := composer{unit: unit, chunks: make([]chunk, 1)}
	for _, data := range ops {
		b := Builder{Unit: unit}
		if err := b.unmarshal(data); err != nil {
			return nil, err
		}
		op := Op(b.components())
		if len(op) > 0 && op[len(op)-1].Kind == Retain {
			return nil, fmt.Errorf("%w: retain at the end", ot.ErrSyntax)
		}
		if !c.apply(op) {
			return nil, fmt.Errorf("%w: compose would split a surrogate pair", ot.ErrMismatch)
		}
	}
	return c.finish()
}

// A composer holds the composite of the operations it was given and applies the
// next one to it in place: every component is worked in where it takes effect.
// That is found by its position in the composite's output (what it retains and
// inserts), going from where the last edit was.
type composer struct {
	unit   units.Unit
	chunks []chunk
	text   strings.Builder // all that was ever inserted

	// Where the composer stands: before piece i of a chunk, or at units into it.
	chunk  int // index of the chunk
	before int // output of the chunks before it
	i, at  int
	start  int // output before piece i
}

// A chunk is a run of pieces.
type chunk struct {
	output int // sum of what its pieces put out
	pieces []piece
}

// A piece is a Component, or part of one, with its text held elsewhere, so that
// pieces can be moved about cheaply.
type piece struct {
	kind     Kind
	n        int
	from, to int // of an Insert: where its text is
}

// Bounds on a chunk in pieces and on a piece in bytes of text.
const (
	maxPieces = 128
	maxText   = 1024
)

func (p *piece) output() int {
	if p.kind == Delete {
		return 0
	}
	return p.n
}

// apply composes op onto the composite. It reports false when that would split
// a surrogate pair.
func (c *composer) apply(op Op) bool {
	position := 0
	if len(op) > 0 && op[0].Kind != Retain {
		c.seek(0)
	}
	for i := range op {
		switch n := op[i].N; op[i].Kind {
		case Retain:
			position += n
			c.seek(position)
		case Insert:
			if c.at > 0 && !c.split() {
				return false
			}
			c.insert(op[i].S, n)
			position += n
		case Delete:
			if c.at > 0 && !c.split() || !c.delete(n) {
				return false
			}
		}
	}
	return true
}

// seek goes to where the composite has put out position units: right behind the
// piece that puts out the last of them, before any deletes that follow it.
func (c *composer) seek(position int) {
	for c.chunk > 0 && c.before >= position {
		c.chunk--
		c.before -= c.chunks[c.chunk].output
		c.i, c.start = 0, c.before
	}
	for c.chunk+1 < len(c.chunks) && c.before+c.chunks[c.chunk].output < position {
		c.forward()
	}
	pieces := c.chunks[c.chunk].pieces
	for c.i > 0 && c.start >= position {
		c.i--
		c.start -= pieces[c.i].output()
	}
	for c.i < len(pieces) && c.start+pieces[c.i].output() < position {
		c.start += pieces[c.i].output()
		c.i++
	}
	c.at = position - c.start
	switch {
	case c.at > 0 && c.i == len(pieces): // the retain behind all components
		c.put(piece{kind: Retain, n: c.at})
		fallthrough
	case c.at > 0 && c.at == pieces[c.i].n:
		c.i++
		c.start, c.at = position, 0
	}
}

// forward goes to the start of the next chunk.
func (c *composer) forward() {
	c.before += c.chunks[c.chunk].output
	c.chunk++
	c.i, c.at, c.start = 0, 0, c.before
}

// split divides the piece that the composer stands in the middle of.
func (c *composer) split() bool {
	here := &c.chunks[c.chunk]
	p := &here.pieces[c.i]
	rest := piece{p.kind, p.n - c.at, p.from, p.to}
	if p.kind == Insert {
		cut, ok := c.cut(p, c.at)
		if !ok {
			return false
		}
		p.to, rest.from = cut, cut
	}
	p.n = c.at
	here.output -= rest.output()
	c.start += p.output()
	c.i++
	c.at = 0
	c.put(rest)
	return true
}

// cut returns where the text of p is n units on.
func (c *composer) cut(p *piece, n int) (int, bool) {
	if p.to-p.from == p.n {
		return p.from + n, true
	}
	m, ok := units.Seek(c.text.String()[p.from:p.to], c.unit, n)
	return p.from + m[units.Bytes], ok
}

// put adds p before piece i. A full chunk is divided first.
func (c *composer) put(p piece) {
	here := &c.chunks[c.chunk]
	if len(here.pieces) == maxPieces {
		const half = maxPieces / 2
		second := chunk{pieces: append(make([]piece, 0, maxPieces), here.pieces[half:]...)}
		for i := range second.pieces {
			second.output += second.pieces[i].output()
		}
		here.pieces = here.pieces[:half]
		here.output -= second.output
		c.chunks = slices.Insert(c.chunks, c.chunk+1, second)
		if i, start := c.i, c.start; i > half {
			c.forward()
			c.i, c.start = i-half, start
		}
		here = &c.chunks[c.chunk]
	}
	here.pieces = slices.Insert(here.pieces, c.i, p)
	here.output += p.output()
}

// insert puts in n units of text.
func (c *composer) insert(s string, n int) {
	for len(s) > 0 {
		part, k := s, n
		if len(s) > maxText {
			cut := maxText
			for !utf8.RuneStart(s[cut]) {
				cut--
			}
			part = s[:cut]
			k = units.Count(part)[c.unit]
		}
		from := c.text.Len()
		c.text.WriteString(part)
		to := c.text.Len()
		here := &c.chunks[c.chunk]
		if c.i > 0 && here.pieces[c.i-1].kind == Insert && here.pieces[c.i-1].to == from && to-here.pieces[c.i-1].from <= maxText {
			here.pieces[c.i-1].to = to
			here.pieces[c.i-1].n += k
			here.output += k
		} else {
			c.put(piece{Insert, k, from, to})
			c.i++
		}
		c.start += k
		s, n = s[len(part):], n-k
	}
}

// delete takes out the next n units. It reports false when that would split a
// surrogate pair.
func (c *composer) delete(n int) bool {
	for n > 0 {
		here := &c.chunks[c.chunk]
		if c.i == len(here.pieces) {
			if c.chunk+1 < len(c.chunks) {
				c.forward()
				continue
			}
			c.put(piece{kind: Retain, n: n})
			here = &c.chunks[c.chunk]
		}
		p := &here.pieces[c.i]
		k := p.n
		if p.kind != Delete {
			k = min(k, n)
			n -= k
			here.output -= k
		}
		if p.kind == Insert {
			cut, ok := c.cut(p, k)
			if !ok {
				return false
			}
			p.from = cut
		}
		// k units of p go; but for those of an Insert they go into a Delete.
		p.n -= k
		switch {
		case p.kind != Insert && c.i > 0 && here.pieces[c.i-1].kind == Delete:
			here.pieces[c.i-1].n += k
		case p.kind != Insert && p.n == 0:
			p.kind, p.n = Delete, k
			c.i++
			continue
		case p.kind != Insert:
			c.put(piece{kind: Delete, n: k})
			c.i++
			continue
		}
		if p.n == 0 {
			here.pieces = slices.Delete(here.pieces, c.i, c.i+1)
		}
	}
	return true
}

// finish returns the composite.
func (c *composer) finish() (Op, error) {
	var out Builder
	for _, here := range c.chunks {
		for _, p := range here.pieces {
			out.add(p.kind, p.n, strings.Clone(c.text.String()[p.from:p.to]))
		}
	}
	return out.finish()
}
