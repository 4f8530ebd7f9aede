package text0

import (
	"quire/ot"
	"quire/ot/runs"
	"quire/ot/text"
	"quire/ot/units"
)

// Measure returns how many units op inserts and deletes.
func (Type) Measure(op ot.Op) (inserted, deleted int) {
	for _, c := range op.(Op) {
		if c.Delete {
			deleted += c.N
		} else {
			inserted += c.N
		}
	}
	return inserted, deleted
}

// MeasureDoc returns how many units d has.
func (Type) MeasureDoc(d ot.Doc) int { return d.(*text.Doc).Len() }

// Trace begins to follow d, as ot.Tracer says.
func (Type) Trace(d ot.Doc, origin ot.Origin) ot.Trace {
	var l runs.List
	l.Insert(0, d.(*text.Doc).Len(), int64(origin))
	return runs.NewTrace(l, follow)
}

// UnmarshalTrace reads a trace in binary form. It fails with ot.ErrSyntax.
func (Type) UnmarshalTrace(data []byte) (ot.Trace, error) { return runs.UnmarshalTrace(data, follow) }

func follow(l *runs.List, op ot.Op, origin int64) error { return Follow(l, op.(Op), origin) }

// Follow makes in l, the numbers of a text's units, the edits of op, whose inserts have the
// given number. It fails with ot.ErrMismatch when a component reaches past the end; those
// before it are made then.
func Follow(l *runs.List, op Op, origin int64) error {
	for i := range op {
		c := &op[i]
		n := 0
		if c.Delete {
			n = c.N
		}
		if err := l.Check(c.Pos, n); err != nil {
			return err
		}
		if c.Delete {
			l.Delete(c.Pos, n)
		} else {
			l.Insert(c.Pos, c.N, origin)
		}
	}
	return nil
}

// Redact begins a redaction, as the Redact of text.Type. What a delete says that it deletes
// is what is there then.
func (Type) Redact(d ot.Doc, secret string) ot.Redaction {
	r := &redaction{watch: text.NewWatch(units.UTF16, secret), now: &text.Doc{}}
	_ = r.See(whole(d)) // fits
	return r
}

// redaction is an ot.Redaction.
type redaction struct {
	watch text.Watch
	now   *text.Doc // the newest content that was seen; nil after Seen
}

// whole returns the operation that makes the empty text d.
func whole(d ot.Doc) Op {
	s := d.(*text.Doc).String()
	if s == "" {
		return nil
	}
	return Op{Insert(0, s)}
}

func (r *redaction) See(op ot.Op) error {
	for _, c := range op.(Op) {
		step, err := c.step()
		if err == nil {
			r.now, err = Apply(r.now, Op{c})
		}
		if err != nil {
			return err
		}
		r.watch.See(step, r.now)
	}
	return nil
}

func (r *redaction) Size() int { return Type{}.Size(r.now) }

func (r *redaction) Seen() bool {
	r.now = nil
	return r.watch.Seen()
}

func (r *redaction) Doc(d ot.Doc) ot.Doc {
	r.watch.Rewind()
	op, changed := r.Op(whole(d), &text.Doc{})
	if !changed {
		return d
	}
	now, _ := Apply(&text.Doc{}, op.(Op)) // fits
	return now
}

func (r *redaction) Op(op ot.Op, before ot.Doc) (ot.Op, bool) {
	out := append(Op(nil), op.(Op)...)
	now := before.(*text.Doc)
	changed := false
	for i := range out {
		c := &out[i]
		was := c.Text
		if c.Delete {
			c.Text, _ = now.Slice(c.Pos, c.end()) // as See was told
		} else if step, err := c.step(); err == nil && len(step) > 0 {
			step, _ = r.watch.Cover(step)
			c.Text = step[len(step)-1].S
		}
		changed = changed || c.Text != was
		if i+1 < len(out) {
			now, _ = Apply(now, Op{*c})
		}
	}
	return out, changed
}
