package text

import (
	"quire/ot"
	"quire/ot/redact"
	"quire/ot/runs"
	"quire/ot/units"
)

var (
	_ ot.Measured = Type{}
	_ ot.Tracer   = Type{}
	_ ot.Redactor = Type{}
)

// Measure returns how many units op inserts and deletes.
func (Common[O, C]) Measure(op ot.Op) (inserted, deleted int) {
	for _, c := range op.(O) {
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
func (Common[O, C]) MeasureDoc(d ot.Doc) int {
	var o O
	return d.(*Doc).size()[o.Unit()]
}

// Trace begins to follow d, as ot.Tracer says.
func (Common[O, C]) Trace(d ot.Doc, origin ot.Origin) ot.Trace {
	var o O
	return newTrace(d.(*Doc).size()[o.Unit()], origin, follow[O])
}

// UnmarshalTrace reads a trace in binary form. It fails with ot.ErrSyntax.
func (Common[O, C]) UnmarshalTrace(data []byte) (ot.Trace, error) {
	return runs.UnmarshalTrace(data, follow[O])
}

func newTrace(n int, origin ot.Origin, f runs.Follower) ot.Trace {
	var l runs.List
	l.Insert(0, n, int64(origin))
	return runs.NewTrace(l, f)
}

// follow makes in l the edits of op, as runs.Follower says.
func follow[O Operation](l *runs.List, op ot.Op, origin int64) error {
	o := Op(op.(O))
	span, _ := o.lengths()
	if err := l.Check(0, span); err != nil {
		return err
	}
	at := 0
	for _, c := range o {
		switch c.Kind {
		case Insert:
			l.Insert(at, c.N, origin)
			at += c.N
		case Delete:
			l.Delete(at, c.N)
		default:
			at += c.N
		}
	}
	return nil
}

// Redact begins a redaction, as ot.Redactor says: filler takes the place of every unit of an
// occurrence. It finds the secret wherever it is read in the text of a revision, whoever typed
// its parts.
func (Common[O, C]) Redact(d ot.Doc, secret string) ot.Redaction {
	var o O
	r := &redaction[O]{watch: NewWatch(o.Unit(), secret), now: &Doc{}}
	_ = r.See(O(whole(o.Unit(), d.(*Doc)))) // fits
	return r
}

// whole returns the operation that makes the empty text d.
func whole(unit units.Unit, d *Doc) Op {
	if d.root == nil {
		return nil
	}
	return Op{{Kind: Insert, N: d.size()[unit], S: d.String()}}
}

// NewWatch returns a watch on an empty text.
func NewWatch(unit units.Unit, secret string) Watch {
	return Watch{Watch: redact.Watch{Secret: redact.New(secret), Marks: &redact.Marks{}, Unit: unit, IDs: runs.Rising()}}
}

// A Watch looks for a secret in a Doc that is edited.
type Watch struct {
	redact.Watch
	next int64 // the number of the next unit that is inserted
}

// See takes in an operation in the watch's unit, which made after of the text before.
func (w *Watch) See(op Op, after *Doc) {
	at := 0
	for _, c := range op {
		switch c.Kind {
		case Insert:
			w.IDs.Insert(at, c.N, w.next)
			w.next += int64(c.N)
			w.Changed(at, c.N)
			at += c.N
		case Delete:
			w.IDs.Delete(at, c.N)
			w.Changed(at, 0)
		default:
			at += c.N
		}
	}
	w.Look(func(from, to int) (string, error) { return after.slice(w.Unit, from, to) })
}

// Cover returns an operation of which all are taken in, the next one in their order since Rewind,
// with filler in it, and whether it is another than it was.
func (w *Watch) Cover(op Op) (Op, bool) {
	changed := false
	out := append(Op(nil), op...)
	for i := range out {
		if c := &out[i]; c.Kind == Insert {
			was := c.S
			c.S = w.Marks.Cover(was, w.Unit, w.next, w.Filler())
			w.next += int64(c.N)
			changed = changed || c.S != was
		}
	}
	return out, changed
}

// Rewind makes the next operation for Cover the first.
func (w *Watch) Rewind() { w.next = 0 }

// redaction is the ot.Redaction of a text edited by operations O.
type redaction[O Operation] struct {
	watch Watch
	now   *Doc // the newest content that was seen; nil after Seen
}

func (r *redaction[O]) See(op ot.Op) error {
	o := Op(op.(O))
	after, err := r.now.apply(r.watch.Unit, o)
	if err != nil {
		return err
	}
	r.now = after
	r.watch.See(o, after)
	return nil
}

func (r *redaction[O]) Size() int { return r.now.size()[units.Bytes] }

func (r *redaction[O]) Seen() bool {
	r.now = nil
	return r.watch.Seen()
}

func (r *redaction[O]) Doc(d ot.Doc) ot.Doc {
	r.watch.Rewind()
	op, changed := r.watch.Cover(whole(r.watch.Unit, d.(*Doc)))
	if !changed {
		return d
	}
	now, _ := (&Doc{}).apply(r.watch.Unit, op) // what is in a document fits
	return now
}

func (r *redaction[O]) Op(op ot.Op, _ ot.Doc) (ot.Op, bool) {
	out, changed := r.watch.Cover(Op(op.(O)))
	return O(out), changed
}
