package ottest

import (
	"bytes"
	"fmt"
	"strings"

	"quire/ot"
	"quire/ot/diff"
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
		for i, op := range c.chain(d, c.r.IntN(8)) {
			copied := trace.Clone()
			before := fmt.Sprint(trace.Spans())
			must(c, 0, trace.Apply(op, ot.Origin(2+i*i)))
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
	filled := r.Doc()
	after := make([]ot.Op, len(ops))
	for i, op := range ops {
		var changed bool
		after[i], changed = r.Op(op)
		if changed != (c.form(op) != c.form(after[i])) {
			c.fail("%s becomes %s, changed %t", c.form(op), c.form(after[i]), changed)
		}
		c.canonical(after[i])
	}
	return filled, after
}
