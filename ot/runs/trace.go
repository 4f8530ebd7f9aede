package runs

import (
	"math"

	"quire/ot"
)

// Gap is the number of units in a Trace that stand for nothing, which Spans leaves out.
const Gap = math.MinInt64

// A Follower makes in a List the edits of an operation, whose inserts have the given number.
// It fails with ot.ErrMismatch when the operation does not fit.
type Follower func(l *List, op ot.Op, origin int64) error

// Trace is the ot.Trace of a document that is one row of text.
type Trace struct {
	List
	follow Follower
}

// NewTrace returns a trace of the text that l is of.
func NewTrace(l List, follow Follower) *Trace { return &Trace{l, follow} }

// UnmarshalTrace reads what Trace.Marshal wrote. It fails with ot.ErrSyntax.
func UnmarshalTrace(data []byte, follow Follower) (ot.Trace, error) {
	l, err := Unmarshal(data)
	if err != nil {
		return nil, err
	}
	return NewTrace(l, follow), nil
}

// Apply follows op, as ot.Trace says.
func (t *Trace) Apply(op ot.Op, origin ot.Origin) error { return t.follow(&t.List, op, int64(origin)) }

// Spans returns the runs.
func (t *Trace) Spans() []ot.Span { return t.AppendSpans(nil, nil) }

// Clone returns an independent copy.
func (t *Trace) Clone() ot.Trace { return NewTrace(t.List.Clone(), t.follow) }

// AppendSpans appends a span for each run but the gaps, all of the given path.
func (l *List) AppendSpans(dst []ot.Span, path []byte) []ot.Span {
	at := 0
	for r := range l.Range(0, l.n) {
		if r.First != Gap {
			dst = append(dst, ot.Span{Path: path, Start: at, Length: r.N, Origin: ot.Origin(r.First)})
		}
		at += r.N
	}
	return dst
}
