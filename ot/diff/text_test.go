package diff_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/rivo/uniseg"

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
		{"The quick brown fox", "The quick red fox jumps", `[10,"red",-5,4," jumps"]`},
		{"hello world\n", "hello brave world\nmore\n", `[6,"brave ",5,"\nmore"]`},
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

// TestFewest compares texts of one line with an oracle that tries everything: no operation
// changes fewer characters, but where telling edits apart costs more than it saves.
func TestFewest(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		from := letters(r, r.IntN(60))
		var to strings.Builder
		for _, c := range from {
			switch r.IntN(20) {
			case 0:
			case 1:
				to.WriteString(letters(r, 1+r.IntN(3)))
				fallthrough
			default:
				to.WriteRune(c)
			}
		}
		op := ok(diff.Between(types["text"], doc(from), doc(to.String()))).(text.Op)
		changed := 0
		for _, c := range op {
			if c.Kind != text.Retain {
				changed += c.N
			}
		}
		least := len(from) + to.Len() - 2*common(from, to.String())
		// What is left out between two edits is up to eight characters, and no longer than each of them.
		if changed < least || changed > 3*least {
			t.Fatalf("from %q to %q: %s changes %d characters, %d would do", from, to.String(), types["text"].AppendOp(nil, op), changed, least)
		}
	}
}

// TestCharacters holds that no character as people see it is divided, in either text.
func TestCharacters(t *testing.T) {
	parts := []string{"a", "e\u0301", "\u0301", "👍", "🏽", "👩", "\u200d", "🚀", "🇩", "🇪", "🇫", "\r", "\n", "\u1100", "\u1161", "\u11a8", "각", "นี่", "\u0600", " ", "क्षि", "❤️", "👨‍👩‍👧"}
	r := rand.New(rand.NewPCG(9, 9))
	write := func(n int) (s string) {
		for range n {
			s += parts[r.IntN(len(parts))]
		}
		return s
	}
	for i := range 2000 {
		before, after := write(r.IntN(12)), write(r.IntN(12))
		if i%50 == 0 { // long lines
			before = strings.Repeat(write(5), 200)
		}
		from, to := before+write(r.IntN(6))+after, before+write(r.IntN(6))+after
		form(t, from, to)
		whole, at := ends(from), 0
		made, done := ends(to), 0
		for _, c := range ok(diff.Between(types["text"], doc(from), doc(to))).(text.Op) {
			switch c.Kind {
			case text.Insert:
				done += c.N
			case text.Delete:
				at += c.N
			default:
				at, done = at+c.N, done+c.N
			}
			if c.Kind != text.Insert && !whole[at] || c.Kind != text.Delete && !made[done] {
				t.Fatalf("from %+q to %+q: %s divides a character", from, to, form(t, from, to))
			}
		}
	}
}

// ends returns where characters begin and end, in UTF-16 units.
func ends(s string) map[int]bool {
	out, at := map[int]bool{0: true}, 0
	for g := uniseg.NewGraphemes(s); g.Next(); {
		at += len(utf16.Encode(g.Runes()))
		out[at] = true
	}
	return out
}

func letters(r *rand.Rand, n int) string {
	var s strings.Builder
	for range n {
		s.WriteByte("abcdefgh "[r.IntN(9)])
	}
	return s.String()
}

// common returns the length of the longest common subsequence.
func common(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range a {
		diagonal := 0
		for j := range b {
			up := row[j+1]
			if row[j+1] = max(up, row[j]); a[i] == b[j] {
				row[j+1] = diagonal + 1
			}
			diagonal = up
		}
	}
	return row[len(b)]
}

// TestMatch holds the search itself to the oracle.
func TestMatch(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for i := range 400 {
		a, b := letters(r, r.IntN(50)), letters(r, r.IntN(50))
		least := len(a) + len(b) - 2*common(a, b)
		edits := diff.Match([]rune(a), []rune(b), false)
		if n := diff.Changed(edits); n != least || diff.Edited(a, b, edits) != b {
			t.Fatalf("case %d: %q to %q by %v changes %d, %d would do", i, a, b, edits, n, least)
		}
		for _, c := range [][2]string{{a, b}, {order(r), order(r)}} {
			a, b := c[0], c[1]
			edits := diff.Match([]rune(a), []rune(b), true)
			most := common(once(a, a, b), once(b, a, b))
			left, at := "", 0
			for _, e := range edits {
				left, at = left+a[at:e.Start], e.End
			}
			if n := len(once(left+a[at:], a, b)); n != most || diff.Edited(a, b, edits) != b {
				t.Fatalf("case %d: %q to %q by %v leaves %d that are there once, %d could stay", i, a, b, edits, n, most)
			}
		}
		// Past what is exact, it still is right, and not much worse.
		a, b = strings.Repeat(a, 20), letters(r, 700)
		edits = diff.Match([]rune(a), []rune(b), i%2 == 0)
		if diff.Edited(a, b, edits) != b {
			t.Fatalf("case %d: %q to %q by %v", i, a, b, edits)
		}
	}
}

// order returns a hundred different letters and some that come again and again, in any order.
func order(r *rand.Rand) string {
	out := make([]byte, 127)
	for i := range out {
		out[i] = byte(i)
	}
	r.Shuffle(100, func(i, j int) { out[i], out[j] = out[j], out[i] })
	for range r.IntN(100) {
		out[r.IntN(len(out))] = "xyz"[r.IntN(3)]
	}
	return string(out)
}

// once returns the letters of s that are once in a and once in b.
func once(s, a, b string) string {
	return strings.Map(func(c rune) rune {
		if strings.Count(a, string(c)) == 1 && strings.Count(b, string(c)) == 1 {
			return c
		}
		return -1
	}, s)
}

func FuzzText(f *testing.F) {
	f.Add("The cat", "The cart")
	f.Add("a\r\nb\u0301", "a\nb")
	f.Add("🇩🇪🇫🇷", "🇪🇫👩\u200d🚀")
	f.Fuzz(func(t *testing.T, from, to string) {
		from, to = strings.ToValidUTF8(from, ""), strings.ToValidUTF8(to, "")
		if first := form(t, from, to); first != form(t, from, to) {
			t.Fatal("another result the second time")
		}
		for _, name := range []string{"text-unicode", "text0"} {
			op := ok(diff.Between(types[name], doc(from), doc(to)))
			if got := ok(types[name].Apply(doc(from), op)).(*text.Doc).String(); got != to {
				t.Fatalf("%s: %s gives %q", name, types[name].AppendOp(nil, op), got)
			}
		}
	})
}

// reversed returns s with its lines in the opposite order.
func reversed(s string) string {
	lines := strings.SplitAfter(s, "\n")
	slices.Reverse(lines)
	return strings.Join(lines, "")
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
	// nested has in each part one line that is there once, next to what is left of the part.
	nested := func(differs string) string {
		var s strings.Builder
		for i := range 200_000 {
			fmt.Fprintf(&s, "%s\nline %d\n%s\nline %d\n", differs, i+1, differs, i)
		}
		return s.String()
	}
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
		{"nested", nested("a"), nested("b")},
		{"crossed", text, reversed(text)},
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
