package text_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/text"
)

func TestTrace(t *testing.T) {
	typ := text.Type{}
	trace := typ.Trace(doc(t, "The cat"), 0)
	for i, in := range []string{`[3," old"]`, `[4,"c",-1]`, `[3,-2]`, `["🌍"]`} {
		must(t, trace.Apply(op(t, in), ot.Origin(i+1)))
	}
	const want = "[{[] 0 2 4} {[] 2 3 0} {[] 5 2 1} {[] 7 4 0}]"
	if got := fmt.Sprint(trace.Spans()); got != want {
		t.Errorf("spans %s, want %s", got, want)
	}
	if err := trace.Apply(op(t, `[12,"x"]`), 9); !errors.Is(err, ot.ErrMismatch) {
		t.Errorf("past the end: %v", err)
	}
	if got := fmt.Sprint(trace.Spans()); got != want {
		t.Errorf("spans %s after an operation that does not fit", got)
	}
}

// TestRedact takes a name out that was typed in parts, by turns, and taken apart again.
func TestRedact(t *testing.T) {
	typ := text.Type{}
	ops := []string{`["B and "]`, `[1,"o🌍"]`, `[4,"b"]`, `[2,-2]`, `[3," saw Bo🌍b, not Bo, nor Bob"]`, `[1,"🌍"]`}
	first := doc(t, "Bo🌍b.")
	r := typ.Redact(first, "Bo🌍b")
	for _, o := range ops {
		must(t, r.See(op(t, o)))
	}
	r.Seen()
	d := r.Doc(first)
	for i, want := range []string{`["█ and "]`, `[1,"███"]`, `[4,"█"]`, `[2,-2]`, `[3," saw █████, not Bo, nor Bob"]`, `[1,"🌍"]`} {
		was := op(t, ops[i])
		got, changed := r.Op(was, d)
		if form := string(typ.AppendOp(nil, got)); form != want || changed != (form != ops[i]) {
			t.Errorf("%s becomes %s (changed: %t), want %s", ops[i], form, changed, want)
		}
		var err error
		d, err = typ.Apply(d, got)
		must(t, err)
	}
	if err := typ.Redact(doc(t, ""), "x").See(op(t, `[1,"x"]`)); !errors.Is(err, ot.ErrMismatch) {
		t.Errorf("an operation that does not fit: %v", err)
	}
}

// TestRedactFiller takes out what is made of filler.
func TestRedactFiller(t *testing.T) {
	d := doc(t, "a██b█")
	r := text.Type{}.Redact(d, "██")
	r.Seen()
	if got := r.Doc(d).(*text.Doc).String(); got != "a▉▉b█" {
		t.Errorf("%q", got)
	}
}

// TestPastOfTraces traces and redacts recorded sessions.
func TestPastOfTraces(t *testing.T) {
	typ := text.Type{}
	for _, name := range longTraces() {
		t.Run(name, func(t *testing.T) {
			tr := readTrace(t, name)
			trace, red := typ.Trace(doc(t, ""), 0), typ.Redact(doc(t, ""), " the ")
			for i, o := range tr.ops {
				must(t, trace.Apply(o, ot.Origin(i+1)))
				must(t, red.See(o))
			}
			spans := trace.Spans()
			if end := spans[len(spans)-1]; end.Start+end.Length != doc(t, tr.end).Len() {
				t.Errorf("the spans end at %d", end.Start+end.Length)
			}
			stored := trace.Marshal(nil)
			read, err := typ.UnmarshalTrace(stored)
			must(t, err)
			if len(read.Spans()) != len(spans) {
				t.Error("the stored trace has other spans")
			}
			red.Seen()
			d, found := red.Doc(doc(t, "")), 0
			for _, o := range tr.ops {
				next, changed := red.Op(o, d)
				if changed {
					found++
				}
				d, err = typ.Apply(d, next)
				must(t, err)
			}
			s := d.(*text.Doc).String()
			if strings.Contains(s, " the ") || d.(*text.Doc).Len() != doc(t, tr.end).Len() || strings.Count(s, "█████") < 10 {
				t.Error("the redacted session ends in a text that still has it, or in another one")
			}
			t.Logf("%d spans in %d bytes, %d operations redacted", len(spans), len(stored), found)
		})
	}
}

// BenchmarkTrace traces a recorded session, and a million edits at random places.
func BenchmarkTrace(b *testing.B) {
	run := func(name string, ops func() []text.Op, d *text.Doc) {
		b.Run(name, func(b *testing.B) {
			list := ops()
			b.ReportAllocs()
			for b.Loop() {
				trace := text.Type{}.Trace(d, 0)
				for i, o := range list {
					if err := trace.Apply(o, ot.Origin(i+1)); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(list)), "ns/edit")
		})
	}
	run("automerge-paper", func() []text.Op { return readTrace(b, "automerge-paper").ops }, &text.Doc{})
	run("scattered1M", func() []text.Op { return scattered(b, 1_000_000, 1_000_000) }, doc(b, strings.Repeat("a", 1_000_000)))
}

// BenchmarkRedact redacts a recorded session.
func BenchmarkRedact(b *testing.B) {
	tr := readTrace(b, "automerge-paper")
	for b.Loop() {
		r := text.Type{}.Redact(&text.Doc{}, " the ")
		for _, o := range tr.ops {
			if err := r.See(o); err != nil {
				b.Fatal(err)
			}
		}
		r.Seen()
		r.Doc(&text.Doc{})
		for _, o := range tr.ops {
			r.Op(o, nil)
		}
	}
}

// FuzzRedact redacts what fuzzing makes of a few edits.
func FuzzRedact(f *testing.F) {
	f.Add("secret", "et", uint64(1))
	f.Add("aaaaaa", "aa", uint64(2))
	f.Add("🌍🌍", "🌍", uint64(3))
	f.Fuzz(func(t *testing.T, start, secret string, seed uint64) {
		first, err := text.FromString(start)
		if err != nil || secret == "" || strings.ToValidUTF8(secret, "") != secret {
			return
		}
		r := rand.New(rand.NewPCG(seed, 1))
		var d ot.Doc = first
		var ops []ot.Op
		red := text.Type{}.Redact(d, secret)
		for range 10 {
			runes := []rune(d.(*text.Doc).String())
			at := r.IntN(len(runes) + 1)
			gone := r.IntN(min(3, len(runes)-at) + 1)
			in := []rune(secret)[:r.IntN(len([]rune(secret))+1)]
			var b text.Builder
			b.Retain(doc(t, string(runes[:at])).Len())
			b.Insert(string(in))
			b.Delete(doc(t, string(runes[at:at+gone])).Len())
			o, err := b.Op()
			must(t, err)
			must(t, red.See(o))
			d, err = text.Type{}.Apply(d, o)
			must(t, err)
			ops = append(ops, o)
		}
		red.Seen()
		d = red.Doc(first)
		for i := 0; ; i++ {
			if strings.Contains(d.(*text.Doc).String(), secret) {
				t.Fatalf("%q is left in %q", secret, d)
			}
			if i == len(ops) {
				break
			}
			o, _ := red.Op(ops[i], d)
			d, err = text.Type{}.Apply(d, o)
			must(t, err)
		}
	})
}
