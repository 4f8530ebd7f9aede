package delta

import (
	"strings"

	"quire/ot"
	"quire/ot/jsonvalue"
	"quire/ot/redact"
	"quire/ot/runs"
	"quire/ot/units"
)

// Measure returns how many units op inserts and deletes; an embedded object is one.
func (Type) Measure(op ot.Op) (inserted, deleted int) {
	for c := range op.(Op).each {
		switch c.Kind {
		case Insert:
			inserted += c.N
		case Delete:
			deleted += c.N
		}
	}
	return inserted, deleted
}

// MeasureDoc returns how many units d has.
func (t Type) MeasureDoc(d ot.Doc) int {
	n, _ := t.Measure(d.(*Doc).Op())
	return n
}

// Trace begins to follow d, as ot.Tracer says. What an operation formats comes from it.
func (Type) Trace(d ot.Doc, origin ot.Origin) ot.Trace {
	var l runs.List
	_ = follow(&l, d.(*Doc).Op(), int64(origin)) // fits, as any operation does
	return runs.NewTrace(l, follow)
}

// UnmarshalTrace reads a trace in binary form. It fails with ot.ErrSyntax.
func (Type) UnmarshalTrace(data []byte) (ot.Trace, error) { return runs.UnmarshalTrace(data, follow) }

// follow makes in l the edits of op, as runs.Follower says. What op only passes over behind
// the end of the document is a gap.
func follow(l *runs.List, op ot.Op, origin int64) error {
	at := 0
	for c := range op.(Op).each {
		there := min(c.N, l.Len()-at)
		switch c.Kind {
		case Insert:
			l.Insert(at, c.N, origin)
			at += c.N
		case Delete:
			l.Delete(at, there)
		default:
			if c.Attributes != nil {
				l.Set(at, there, origin)
				l.Insert(at+there, c.N-there, origin)
			} else {
				l.Insert(at+there, c.N-there, runs.Gap)
			}
			at += c.N
		}
	}
	l.Trim(runs.Gap)
	return nil
}

// Redact begins a redaction, as the Redact of text.Type, over the document's text. In
// attributes and embedded objects filler takes the place of every occurrence within one
// string or name. What spans an embedded object, or text and an attribute, is not found.
func (Type) Redact(d ot.Doc, secret string) ot.Redaction {
	r := &redaction{
		watch: redact.Watch{Secret: redact.New(secret), Marks: &redact.Marks{}, Unit: units.UTF16, IDs: runs.Rising()},
		now:   New(nil),
	}
	r.names = redact.NewValues(r.watch.Secret)
	_ = r.See(d.(*Doc).Op()) // fits
	return r
}

// redaction is an ot.Redaction.
type redaction struct {
	watch redact.Watch
	names *redact.Values
	now   *Doc  // the newest content that was seen; nil after Seen
	next  int64 // the number of the next unit that is inserted
}

// behind is far from the numbers of what is inserted: it is that of what is passed over
// behind the end of the document.
const behind = -1 << 62

func (r *redaction) See(op ot.Op) error {
	after, err := r.now.Apply(op.(Op))
	if err != nil {
		return err
	}
	r.now = after
	at := 0
	for c := range op.(Op).each {
		r.names.See(c.Embed, c.Attributes)
		there := min(c.N, r.watch.IDs.Len()-at)
		switch c.Kind {
		case Insert:
			r.watch.IDs.Insert(at, c.N, r.next)
			r.next += int64(c.N)
			r.watch.Changed(at, c.N)
			at += c.N
		case Delete:
			r.watch.IDs.Delete(at, there)
			r.watch.Changed(at, 0)
		default:
			r.watch.IDs.Insert(at+there, c.N-there, behind)
			at += c.N
		}
	}
	if n := after.Len(); n < r.watch.IDs.Len() { // passed over, and nothing follows
		r.watch.IDs.Delete(n, r.watch.IDs.Len()-n)
	}
	r.watch.Look(r.slice)
	return nil
}

// slice returns the text of the units [from, to), with filler where there is none.
func (r *redaction) slice(from, to int) (string, error) {
	var out strings.Builder
	if !r.now.slice(from, to, func(c Component) {
		if c.S == "" {
			out.WriteString(strings.Repeat(r.watch.Filler(), c.N))
		}
		out.WriteString(c.S)
	}) {
		return "", errSplit
	}
	return out.String(), nil
}

func (r *redaction) Size() int { return Type{}.Size(r.now) }

func (r *redaction) Seen() bool {
	r.now = nil
	found := r.watch.Seen()
	return r.names.Found() || found
}

func (r *redaction) Doc(d ot.Doc) ot.Doc {
	r.next = 0
	op, changed := r.Op(d.(*Doc).Op(), nil)
	if !changed {
		return d
	}
	return New(op.(Op))
}

func (r *redaction) Op(op ot.Op, _ ot.Doc) (ot.Op, bool) {
	var out Builder
	changed := false
	object := func(o *jsonvalue.Object) *jsonvalue.Object {
		if o == nil {
			return nil
		}
		v, did := r.names.Replace(o)
		changed = changed || did
		return v.(*jsonvalue.Object)
	}
	for c := range op.(Op).each {
		now := *c
		now.Attributes, now.Embed = object(c.Attributes), object(c.Embed)
		if c.Kind == Insert {
			now.S = r.watch.Cover(c.S, units.UTF16, r.next, r.watch.Filler())
			r.next += int64(c.N)
			changed = changed || now.S != c.S
		}
		out.add(now) // joins what has become alike
	}
	if !changed {
		return op, false
	}
	after, _ := out.finish() // no longer than op was
	return after, true
}
