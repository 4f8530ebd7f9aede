package ottest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/diff"
	"quire/ot/units"
)

// pastLaws are those of what types offer for looking back. A type that does not offer
// something keeps its laws.
var pastLaws = []law{
	{"Measure", func(c *sample) {
		t, ok := c.Type.(ot.Measured)
		if !ok {
			return
		}
		if in, out := t.Measure(c.Identity()); in != 0 || out != 0 {
			c.fail("Measure(Identity()) = %d, %d", in, out)
		}
		d := c.doc()
		if !c.gen.Open {
			empty, err := c.Type.Create(nil)
			whole, err := diff.Between(c.Type, must(c, empty, err), d)
			if in, _ := t.Measure(must(c, whole, err)); in != t.MeasureDoc(d) || t.MeasureDoc(empty) != 0 {
				c.fail("%s has %d, the empty document %d; what makes it puts in %d", c.text(d), t.MeasureDoc(d), t.MeasureDoc(empty), in)
			}
		}
		op := c.op("op", d)
		in, out := t.Measure(op)
		inverse, err := c.Type.Invert(d, op)
		if back, gone := t.Measure(must(c, inverse, err)); in < 0 || out < 0 || back != out || gone != in {
			c.fail("%d in and %d out, taken back %d in and %d out", in, out, back, gone)
		}
	}},
	{"Between", func(c *sample) {
		from := c.doc()
		to := c.apply(from, c.chain(from, c.r.IntN(4))...)
		c.between(from, to)
		c.between(to, from)
		c.between(to, to)
		if !c.gen.Open {
			c.between(from, c.doc())
		}
	}},
	{"Trace", func(c *sample) {
		t, ok := c.Type.(ot.Tracer)
		if !ok {
			return
		}
		d := c.doc()
		trace := t.Trace(d, 1)
		if spans := trace.Spans(); len(spans) > 1 {
			c.fail("a document of one origin has spans %v", spans)
		}
		row := c.row(d)
		for i, op := range c.chain(d, c.r.IntN(8)) {
			copied := trace.Clone()
			before := fmt.Sprint(trace.Spans())
			must(c, 0, trace.Apply(op, ot.Origin(2+i*i)))
			if row != nil {
				row = c.gen.Follow(row, op, int64(2+i*i))
				c.equal("spans unit by unit", fmt.Sprint(unitByUnit(trace.Spans())), fmt.Sprint(row))
			}
			c.equal("spans of a copy that was left alone", fmt.Sprint(copied.Spans()), before)
			stored := trace.Marshal([]byte("prefix"))
			read, err := t.UnmarshalTrace(stored[len("prefix"):])
			c.equal("spans of the stored trace", fmt.Sprint(must(c, read, err).Spans()), fmt.Sprint(trace.Spans()))
			if !bytes.Equal(read.Marshal([]byte("prefix")), stored) {
				c.fail("the stored trace is stored otherwise")
			}
			if i%2 == 0 {
				trace = read
			}
		}
	}},
	{"RedactExactly", func(c *sample) {
		t, ok := c.Type.(ot.Redactor)
		if !ok || c.gen.Units == nil {
			return
		}
		d := c.doc()
		ops := c.chain(d, c.r.IntN(12))
		if c.gen.Regroups && slices.ContainsFunc(ops, func(op ot.Op) bool { return c.Cost(op) > 1 }) {
			return // there is more to find between the steps of an operation
		}
		secret := words(c.r, 1+c.r.IntN(3))
		c.keep("secret", func() string { return secret })
		filled, after := c.redact(t, d, ops, secret)
		want := c.filled(d, ops, secret)
		for i := range want {
			texts := c.gen.Texts(filled)
			c.equal(fmt.Sprint("text of revision ", i), texts[len(texts)-1], want[i])
			if i < len(ops) {
				filled = c.apply(filled, after[i])
			}
		}
	}},
	{"Redact", func(c *sample) {
		t, ok := c.Type.(ot.Redactor)
		if !ok {
			return
		}
		d := c.doc()
		ops := c.chain(d, c.r.IntN(12))
		secret := words(c.r, 1+c.r.IntN(3))
		c.keep("secret", func() string { return secret })
		filled, after := c.redact(t, d, ops, secret)
		found := false
		for i := 0; ; i++ {
			was, is := string(c.AppendDoc(nil, d)), string(c.AppendDoc(nil, filled))
			for _, s := range c.gen.Texts(filled) {
				if strings.Contains(s, secret) {
					c.fail("revision %d still is %s", i, is)
				}
			}
			found = found || was != is
			if i == len(ops) {
				break
			}
			d, filled = c.apply(d, ops[i]), c.apply(filled, after[i])
		}
		// Operations of several steps may hold the secret though no revision does.
		for i := range ops {
			if !found && !c.gen.Regroups && c.form(ops[i]) != c.form(after[i]) {
				c.fail("no revision was changed, but %s became %s", c.form(ops[i]), c.form(after[i]))
			}
		}
	}},
}

// between checks what Between gives for two documents.
func (c *sample) between(from, to ot.Doc) {
	op, err := diff.Between(c.Type, from, to)
	c.canonical(must(c, op, err))
	c.equal(fmt.Sprintf("%s, which is to lead from %s,", c.form(op), c.text(from)), c.text(c.apply(from, op)), c.text(to))
	if c.text(from) == c.text(to) && !c.IsIdentity(op) {
		c.fail("from a document to itself: %s", c.form(op))
	}
}

// redact returns a document's past with filler in it.
func (c *sample) redact(t ot.Redactor, d ot.Doc, ops []ot.Op, secret string) (ot.Doc, []ot.Op) {
	r := t.Redact(d, secret)
	for _, op := range ops {
		must(c, 0, r.See(op))
	}
	size := d
	for _, op := range ops {
		size = c.apply(size, op)
	}
	if got, want := r.Size(), c.Size(size); got != want {
		c.fail("the size of what was seen is %d, want %d", got, want)
	}
	found := r.Seen()
	some := r.Doc(d)
	for _, op := range ops[:c.r.IntN(len(ops)+1)] { // some of the way, to begin again then
		op, _ = r.Op(op, some)
		some = c.apply(some, op)
	}
	filled := r.Doc(d)
	now := filled
	other := c.text(filled) != c.text(d)
	after := make([]ot.Op, len(ops))
	for i, op := range ops {
		var changed bool
		after[i], changed = r.Op(op, now)
		now = c.apply(now, after[i])
		if changed != (c.form(op) != c.form(after[i])) {
			c.fail("%s becomes %s, changed %t", c.form(op), c.form(after[i]), changed)
		}
		c.canonical(after[i])
		other = other || changed
	}
	if other && !found {
		c.fail("%q was not found, but something was changed", secret)
	}
	return filled, after
}

// row returns where the units of a document come from when it is of one origin, nil for a
// type that is not one row of text.
func (c *sample) row(d ot.Doc) []int64 {
	if c.gen.Units == nil {
		return nil
	}
	return slices.Repeat([]int64{1}, c.gen.Units(d))
}

// unitByUnit returns the origins in spans.
func unitByUnit(spans []ot.Span) []int64 {
	row := []int64{}
	for _, s := range spans {
		row = append(row, slices.Repeat([]int64{int64(s.Origin)}, s.Length)...)
	}
	return row
}

// filled returns the text of each revision with filler in the place of every unit that is in
// an occurrence of secret in any revision. It gives each unit a number of its own.
func (c *sample) filled(d ot.Doc, ops []ot.Op, secret string) []string {
	next := int64(1)
	marked := map[int64]bool{}
	var texts []string
	var rows [][]int64
	row := slices.Repeat([]int64{0}, c.gen.Units(d))
	for i := 0; ; i++ {
		for k, n := range row {
			if n == 0 {
				row[k] = next
				next++
			}
		}
		all := c.gen.Texts(d)
		text := all[len(all)-1]
		texts, rows = append(texts, text), append(rows, slices.Clone(row))
		for from := range text {
			if strings.HasPrefix(text[from:], secret) {
				at := c.units(text[:from])
				for _, n := range row[at : at+c.units(secret)] {
					marked[n] = true
				}
			}
		}
		if i == len(ops) {
			break
		}
		row = c.gen.Follow(row, dropFormats(ops[i]), 0)
		d = c.apply(d, ops[i])
	}
	for i, text := range texts {
		var out strings.Builder
		at := 0
		for k, r := range text {
			part := text[k : k+1]
			if r != utf8.RuneError {
				part = string(r)
			}
			n := c.units(part)
			if marked[rows[i][at]] {
				part = strings.Repeat("█", n)
			}
			out.WriteString(part)
			at += n
		}
		texts[i] = out.String()
	}
	return texts
}

// units returns the length of a text in the generator's unit, a byte that is no UTF-8 as 1.
func (c *sample) units(s string) int {
	return units.Count(strings.ReplaceAll(s, "\xff", "x"))[c.gen.Unit]
}

// dropFormats returns op without the formatting that it retains with, which Follow would
// take for something new.
func dropFormats(op ot.Op) ot.Op {
	rich, ok := op.(delta.Op)
	if !ok {
		return op
	}
	out := slices.Clone(rich)
	for i := range out {
		if out[i].Kind == delta.Retain {
			out[i].Attributes = nil
		}
	}
	return out
}
