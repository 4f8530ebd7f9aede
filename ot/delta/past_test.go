package delta_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/delta"
)

func TestTrace(t *testing.T) {
	typ := delta.Type{}
	trace := typ.Trace(doc(t, `[{"insert":"The cat"},{"insert":{"image":"x"}},{"retain":1,"attributes":{"header":1}}]`), 0)
	for i, c := range []struct{ op, spans string }{
		{`[{"retain":4},{"retain":3,"attributes":{"bold":true}}]`, "[{[] 0 4 0} {[] 4 3 1} {[] 7 2 0}]"},
		{`[{"insert":"🌍"},{"delete":3}]`, "[{[] 0 2 2} {[] 2 1 0} {[] 3 3 1} {[] 6 2 0}]"},
		// Behind the end: what is passed over is nothing, and what vanishes there leaves nothing.
		{`[{"retain":10},{"insert":"x"}]`, "[{[] 0 2 2} {[] 2 1 0} {[] 3 3 1} {[] 6 2 0} {[] 10 1 3}]"},
		{`[{"retain":10},{"delete":1}]`, "[{[] 0 2 2} {[] 2 1 0} {[] 3 3 1} {[] 6 2 0}]"},
		{`[{"retain":8},{"retain":1},{"retain":1,"attributes":{"header":1}}]`, ""},
		{`[{"retain":9,"attributes":{"b":1}},{"delete":5}]`, "[{[] 0 9 6}]"},
	} {
		o, err := delta.Parse([]byte(c.op), ot.Limits{})
		must(t, err)
		must(t, trace.Apply(o, ot.Origin(i+1)))
		if got := fmt.Sprint(trace.Spans()); c.spans != "" && got != c.spans {
			t.Errorf("after %s: %s, want %s", c.op, got, c.spans)
		}
	}
	if _, err := typ.UnmarshalTrace([]byte{0}); !errors.Is(err, ot.ErrSyntax) {
		t.Errorf("damaged trace: %v", err)
	}
}

// TestRedact takes a name out of text, links, names of attributes and embedded objects.
func TestRedact(t *testing.T) {
	typ := delta.Type{}
	d := ot.Doc(doc(t, `[{"insert":"By B"},{"insert":"o","attributes":{"bold":true}},{"insert":"b","attributes":{"link":"http://Bob/"}},{"insert":"c","attributes":{"link":"http://███/"}},{"insert":{"image":{"of":["Bob"]}}}]`))
	r := typ.Redact(d, "Bob")
	ops := []string{`[{"insert":"Bo"},{"insert":"x","attributes":{"by Bob":1}},{"delete":1}]`, `[{"retain":2},{"delete":1},{"insert":"b"}]`, `[{"retain":9,"attributes":{"link":"to Bob"}}]`, `[{"retain":2,"attributes":{"Bob":null}}]`}
	for _, o := range ops {
		parsed, err := delta.Parse([]byte(o), ot.Limits{})
		must(t, err)
		must(t, r.See(parsed))
	}
	r.Seen()
	d = r.Doc(d)
	const first = `[{"insert":"By █"},{"insert":"█","attributes":{"bold":true}},{"insert":"█c","attributes":{"link":"http://███/"}},{"insert":{"image":{"of":["███"]}}}]`
	if got := string(typ.AppendDoc(nil, d)); got != first {
		t.Errorf("the document becomes %s, want %s", got, first)
	}
	for i, want := range []string{`[{"insert":"██"},{"insert":"x","attributes":{"by ███":1}},{"delete":1}]`, `[{"retain":2},{"insert":"█"},{"delete":1}]`, `[{"retain":9,"attributes":{"link":"to ███"}}]`, `[{"retain":2,"attributes":{"███":null}}]`} {
		parsed, err := delta.Parse([]byte(ops[i]), ot.Limits{})
		must(t, err)
		got, changed := r.Op(parsed, d)
		if form := string(typ.AppendOp(nil, got)); form != want || !changed {
			t.Errorf("%s becomes %s (changed: %t), want %s", ops[i], form, changed, want)
		}
		d, err = typ.Apply(d, got)
		must(t, err)
	}
	if got := string(typ.AppendDoc(nil, d)); strings.Contains(got, "Bob") {
		t.Error(got)
	}
}
