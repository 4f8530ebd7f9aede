package diff_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/diff"
	"quire/ot/json0"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/ot/textunicode"
)

var types = map[string]ot.Type{"text": text.Type{}, "text-unicode": textunicode.Type{}, "text0": text0.Type{}, "delta": delta.Type{}, "json0": json0.Type{}}

func ok[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func doc(s string) *text.Doc { return ok(text.FromString(s)) }

// form returns the operation between two texts, whose effect it checks.
func form(t testing.TB, from, to string) string {
	t.Helper()
	op := ok(diff.Between(text.Type{}, doc(from), doc(to)))
	if got := ok(text.Type{}.Apply(doc(from), op)).(*text.Doc).String(); got != to {
		t.Fatalf("from %.200q to %.200q: %.300s gives %.200q", from, to, text.Type{}.AppendOp(nil, op), got)
	}
	return string(text.Type{}.AppendOp(nil, op))
}

func TestText(t *testing.T) {
	for _, c := range []struct{ from, to, op string }{
		{"", "", `[]`},
		{"abc", "abc", `[]`},
		{"", "abc", `["abc"]`},
		{"abc", "", `[-3]`},
		{"The cat sat.", "The cart sat.", `[6,"r"]`},
		{"The cart sat.", "The cat sat.", `[6,-1]`},
		{"one two three four", "one 2 three 4", `[4,"2",-3,7,"4",-4]`},
		{"mouse", "sofas", `["sofas",-5]`},
		{"first\nsecond\nthird\n", "first\nthird\n", `[6,-7]`},
		{"a\nb\n", "a\nnew\nb\n", `[2,"new\n"]`},
		{"a\r\nb", "a\nb", `[1,"\n",-2]`},
		{"e", "e\u0301", "[\"e\u0301\",-1]"},
		{"👍", "👍🏽", `["👍🏽",-2]`},
		{"👩‍🚀 x", "👩‍🔬 x", `["👩‍🔬",-5]`},
		{"🇩🇪🇫🇷", "🇪🇫", `["🇪🇫",-8]`},
		{"x🇩🇪🇫🇷y", "x🇫🇷y", `[1,-4]`},
		{"\u1100\u1161\u11a8", "\u1100\u1161", "[\"\u1100\u1161\",-3]"},
		{"naïve 🌍!", "naïve 🌎!", `[6,"🌎",-2]`},
	} {
		if got := form(t, c.from, c.to); got != c.op {
			t.Errorf("from %q to %q: %s, want %s", c.from, c.to, got, c.op)
		}
	}
}

// BenchmarkText compares large texts that share little, or differ in very many places.
func BenchmarkText(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	lines := func(format string) string {
		var s strings.Builder
		for i := range 280_000 {
			fmt.Fprintf(&s, format, i, r.Uint64())
		}
		return s.String()
	}
	text := lines("line %d has %x in it, and some more words\n")
	line := strings.ReplaceAll(text, "\n", " ")
	scattered := []byte(text)
	for range 20_000 {
		scattered[r.IntN(len(scattered))] = 'Q'
	}
	for _, c := range []struct{ name, from, to string }{
		{"apart", text, lines("Zeile %d enthaelt %x, und einiges mehr\n")},
		{"indented", text, strings.ReplaceAll(text, "line ", "\tline ")},
		{"indented-1M", text[:1<<20], strings.ReplaceAll(text[:1<<20], "line ", "\tline ")},
		{"indented-100k", text[:100<<10], strings.ReplaceAll(text[:100<<10], "line ", "\tline ")},
		{"scattered", text, string(scattered)},
		{"one-line", line, "A " + strings.Replace(line, "1000", "XX", 5) + "B"},
		{"one-line-changed", line, strings.ReplaceAll(line, "line", "LINE")},
		{"one-letter", strings.Repeat("a", 16<<20), strings.Repeat("b", 16<<20)},
		{"empty-lines", "x" + strings.Repeat("\n", 1<<20) + "y", "y" + strings.Repeat("\n", 1<<20-500) + "z"},
		{"two-lines", strings.Repeat("a\nb\n", 1<<18), strings.Repeat("b\na\na\n", 1<<18)},
		{"flags", strings.Repeat("🇩🇪", 2<<20), "🇫" + strings.Repeat("🇩🇪", 2<<20)},
	} {
		b.Run(c.name, func(b *testing.B) {
			op := form(b, c.from, c.to)
			from, to := doc(c.from), doc(c.to)
			b.ReportAllocs()
			for b.Loop() {
				ok(diff.Between(types["text"], from, to))
			}
			b.ReportMetric(float64(len(op)), "bytes/op-result")
		})
	}
}
