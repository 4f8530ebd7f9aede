package diff_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/diff"
	"quire/ot/json0"
	"quire/ot/jsonvalue"
	"quire/ot/ottest"
	"quire/ot/text"
)

// A passage is a piece of a document, of any number of lines, and what two writers make of it, of whom
// at least one leaves it alone.
type passage struct{ base, mine, theirs string }

// passages makes up a document that two people rewrite, in words each of which is there
// once, and a few lines that come again and again. Apart, there is a line between any two passages that
// stays.
func passages(r *rand.Rand, apart bool) []passage {
	syllables := []string{"ta", "mo", "ri", "lan", "es"}
	n := 0
	lines := func(count int) string {
		var s strings.Builder
		for range count {
			if r.IntN(4) == 0 {
				s.WriteString([]string{"\n", "}\n", "a\n"}[r.IntN(3)])
				continue
			}
			for range 1 + r.IntN(6) {
				s.WriteString(syllables[r.IntN(5)] + syllables[r.IntN(5)] + fmt.Sprint(n) + " ")
				n++
			}
			s.WriteByte('\n')
		}
		return s.String()
	}
	out := make([]passage, 1+r.IntN(60))
	for i := range out {
		var base string
		switch {
		case apart && i%2 > 0:
			base = fmt.Sprintf("kept%d\n", i)
			out[i] = passage{base, base, base}
			continue
		case apart:
			base = lines(1 + r.IntN(8))
		default:
			base = lines(r.IntN(3))
		}
		out[i] = passage{base, base, base}
		switch r.IntN(3) {
		case 0:
			out[i].mine = lines(r.IntN(6))
		case 1:
			out[i].theirs = lines(r.IntN(6))
		}
	}
	return out
}

// written is what a document of passages reads like: the base, what each writer makes of it.
func written(p []passage) (base, mine, theirs string) {
	for _, x := range p {
		base, mine, theirs = base+x.base, mine+x.mine, theirs+x.theirs
	}
	return base, mine, theirs
}

// merged returns what two differences make of a document.
func merged(typ ot.Type, base, mine, theirs ot.Doc) ot.Doc {
	a, b := ok(diff.Between(typ, base, mine)), ok(diff.Between(typ, base, theirs))
	return ok(typ.Apply(ok(typ.Apply(base, b)), ok(typ.Transform(a, b, ot.Right))))
}

// content returns a document of a type that reads like s, and read what it reads like. JSON is a
// list of lines.
func content(typ ot.Type, s string) ot.Doc {
	switch typ.(type) {
	case delta.Type:
		var b delta.Builder
		for i, line := range strings.SplitAfter(s, "\n") {
			var bold *jsonvalue.Object
			if i%3 == 0 {
				bold = jsonvalue.NewObject([]jsonvalue.Member{{Name: "bold", Value: true}})
			}
			b.Insert(line, bold)
		}
		return delta.New(ok(b.Op()))
	case json0.Type:
		return ok(typ.Create(ok(json.Marshal(strings.SplitAfter(s, "\n")))))
	}
	return doc(s)
}

func read(typ ot.Type, d ot.Doc) string {
	switch d := d.(type) {
	case *text.Doc:
		return d.String()
	case *json0.Doc:
		return strings.NewReplacer(`\n`, "\n", `"`, " ").Replace(string(typ.AppendDoc(nil, d)))
	}
	return diff.Lines(typ, d)
}

// misplaced returns what is wrong with what two differences make of a document: a word that is
// there twice, or although it was taken out; and, apart, one that is not there. (Where one has
// put something in just where the other has rewritten something, a new word may be divided.)
func misplaced(typ ot.Type, p []passage, apart bool) string {
	base, mine, theirs := written(p)
	there := map[string]int{}
	for _, w := range strings.Fields(read(typ, merged(typ, content(typ, base), content(typ, mine), content(typ, theirs)))) {
		there[w]++
	}
	want := map[string]int{}
	for _, x := range p {
		after := x.mine
		if x.mine == x.base {
			after = x.theirs
		}
		for _, w := range strings.Fields(x.base + " " + after) {
			want[w] = 0
		}
		for _, w := range strings.Fields(after) {
			want[w] = 1
		}
	}
	for _, x := range p {
		for _, w := range strings.Fields(x.base + " " + x.mine + " " + x.theirs) {
			if len(w) > 1 && (there[w] > want[w] || apart && there[w] < want[w]) {
				return fmt.Sprintf("%q is there %d times, not %d", w, there[w], want[w])
			}
		}
	}
	return ""
}

// shrunk returns a small part of passages with which something is still wrong.
func shrunk(p []passage, wrong func([]passage) bool) []passage {
	for again := true; again; {
		again = false
		try := func(next []passage) {
			if wrong(next) {
				p, again = next, true
			}
		}
		for i := len(p) - 1; i >= 0; i-- {
			if i < len(p) {
				try(append(p[:i:i], p[i+1:]...))
			}
		}
		for i := range p {
			if b := p[i].base; p[i].mine != b || p[i].theirs != b {
				try(append(append(p[:i:i], passage{b, b, b}), p[i+1:]...))
			}
		}
	}
	return p
}

// TestMergedDifferences has two writers rewrite passages of one document, no passage both, and merges the
// differences: what nobody touched stays, so that nothing is there twice.
func TestMergedDifferences(t *testing.T) {
	for name, typ := range types {
		t.Run(name, func(t *testing.T) {
			seeds := uint64(200)
			if ottest.Race {
				seeds = 50
			}
			for seed := range seeds {
				apart := seed%2 > 0
				wrong := func(p []passage) bool { return misplaced(typ, p, apart) != "" }
				if p := passages(rand.New(rand.NewPCG(seed, 5)), apart); wrong(p) {
					p = shrunk(p, wrong)
					t.Fatalf("seed %d: %s in the merge of %q", seed, misplaced(typ, p, apart), p)
				}
			}
		})
	}
}

// TestMergedUnspaced has two writers put words into one long line of a script without spaces, and take others out: no
// word that is left alone, nor any new one, is there twice or missing.
func TestMergedUnspaced(t *testing.T) {
	seeds := uint64(400)
	if ottest.Race {
		seeds = 100
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 6))
		next := 0
		word := func() string {
			next += 3
			c := rune(0x4E00 + next)
			return string([]rune{c, c + 1, c + 2})
		}
		want := map[string]int{}
		var base, mine, theirs strings.Builder
		both := []*strings.Builder{&mine, &theirs}
		changes := 1 + r.IntN(6) // of ten words
		for range r.IntN(300) {
			w := word()
			base.WriteString(w)
			want[w] = 1
			taken := -1
			if r.IntN(10) < changes {
				taken = r.IntN(4)
			}
			for i, b := range both {
				if taken == i {
					want[w] = 0
				} else {
					b.WriteString(w)
				}
				if taken > 1 && r.IntN(2) == 0 {
					more := word()
					b.WriteString(more)
					want[more] = 1
				}
			}
		}
		got := read(text.Type{}, merged(text.Type{}, doc(base.String()), doc(mine.String()), doc(theirs.String())))
		for w, n := range want {
			if c := strings.Count(got, w); c != n {
				t.Fatalf("seed %d: %s is there %d times, not %d, in the merge of\n%s\n%s\n%s\nwhich is\n%s", seed, w, c, n, base.String(), mine.String(), theirs.String(), got)
			}
		}
	}
}
