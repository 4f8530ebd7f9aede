package textunicode_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text"
	"quire/ot/textunicode"
)

func TestLaws(t *testing.T) { ottest.Run(t, typ, ottest.TextUnicode()) }

// emoji returns a document of n characters, most of them outside the basic plane.
func emoji(r *rand.Rand, n int) *text.Doc {
	var s strings.Builder
	for range n {
		s.WriteString([]string{"🌍", "👩\u200d🚀", "🇪🇺", "𐍈", "e\u0301", "中", "a"}[r.IntN(7)])
	}
	return doc(s.String())
}

// spliced is Apply on a plain slice of code points.
func spliced(s string, op textunicode.Op) string {
	in, out := []rune(s), []rune(nil)
	for _, c := range op {
		switch c.Kind {
		case text.Insert:
			out = append(out, []rune(c.S)...)
			continue
		case text.Retain:
			out = append(out, in[:c.N]...)
		}
		in = in[c.N:]
	}
	return string(append(out, in...))
}

// TestConverts holds the laws of the conversions, and Apply to its oracle, on documents
// of many leaves.
func TestConverts(t *testing.T) {
	gen := ottest.TextUnicode()
	for i := range cases(20_000) {
		r := rand.New(rand.NewPCG(3, uint64(i)))
		size := 1 + i%12
		if i%20 == 0 {
			size = 150
		}
		d := emoji(r, r.IntN(8*size))
		a, b := gen.Op(r, d, size).(textunicode.Op), gen.Op(r, d, size).(textunicode.Op)
		mid := ok(typ.Apply(d, a)).(*text.Doc)
		then := gen.Op(r, mid, size).(textunicode.Op)
		equal := func(law, got, want string) {
			if got != want {
				t.Fatalf("%s, case %d: doc %q, a %s, b %s, then %s:\n%s\n%s", law, i, d, str(a), str(b), str(then), got, want)
			}
		}
		from := func(d *text.Doc) func(text.Op, error) string {
			return func(op text.Op, err error) string { return str(ok(textunicode.FromText(d, ok(op, err)))) }
		}
		wideA, wideB, wideThen := ok(textunicode.ToText(d, a)), ok(textunicode.ToText(d, b)), ok(textunicode.ToText(mid, then))
		equal("round trip", from(d)(wideA, nil), str(a))
		equal("Apply", mid.String(), spliced(d.String(), a))
		equal("Apply in UTF-16", ok(d.Apply(wideA)).String(), mid.String())
		equal("Compose", from(d)(text.Compose(wideA, wideThen)), form(typ.Compose(a, then)))
		equal("Invert", from(mid)(text.Invert(d, wideA)), form(typ.Invert(d, a)))
		for _, side := range []ot.Side{ot.Left, ot.Right} {
			equal("Transform", from(mid)(text.Transform(wideB, wideA, side)), form(typ.Transform(b, a, side)))
			c := gen.Cursor(r, d, 4).(textunicode.Cursor)
			wide := ok(textunicode.ToTextCursor(d, c))
			equal("Cursor", fmt.Sprint(ok(textunicode.FromTextCursor(d, wide))), fmt.Sprint(c))
			equal("TransformCursor", fmt.Sprint(ok(textunicode.FromTextCursor(mid, wide.Transform(wideA, side)))), fmt.Sprint(typ.TransformCursor(c, a, side)))
		}
	}
}

// TestComposeAll composes sessions long enough that the composer's chunks divide.
func TestComposeAll(t *testing.T) {
	gen := ottest.TextUnicode()
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 8))
		start := emoji(r, 2000)
		d := start
		var ops []ot.Op
		for range 600 {
			size := 3
			if r.IntN(20) == 0 {
				size = 80
			}
			paste := "🌍!"
			if r.IntN(20) == 0 {
				paste = strings.Repeat(paste, r.IntN(1500))
			}
			far := op(fmt.Sprintf(`[%d,"a%s"]`, 1+r.IntN(d.Runes()), paste))
			for _, op := range []ot.Op{far, gen.Op(r, ok(typ.Apply(d, far)), size)} {
				d = ok(typ.Apply(d, op)).(*text.Doc)
				ops = append(ops, op)
			}
		}
		all := ok(typ.ComposeAll(ops))
		if form(all, nil) != form(ot.ComposeBalanced(typ, ops)) {
			t.Fatalf("seed %d: the composer and pairwise composition differ", seed)
		}
		if after := ok(typ.Apply(start, all)).(*text.Doc); after.String() != d.String() || after.Checksum() != d.Checksum() {
			t.Fatalf("seed %d: the composite leads to another text", seed)
		}
	}
}

func TestMisfits(t *testing.T) {
	for _, c := range []struct{ doc, op string }{
		{"", `[{"d":1}]`}, {"", `[1,"x"]`}, {"abc", `[{"d":4}]`}, {"abc", `[2,{"d":2}]`}, {"🌍", `[2,"x"]`}, {"🌍🌍", `[1,{"d":2}]`}, {"abc", `[2147483646,"x"]`},
	} {
		if _, err := typ.Apply(doc(c.doc), op(c.op)); !errors.Is(err, ot.ErrMismatch) {
			t.Errorf("Apply %s to %q: %v", c.op, c.doc, err)
		}
		if _, err := typ.Invert(doc(c.doc), op(c.op)); !errors.Is(err, ot.ErrMismatch) {
			t.Errorf("Invert %s on %q: %v", c.op, c.doc, err)
		}
		if out, err := textunicode.ToText(doc(c.doc), op(c.op)); !errors.Is(err, ot.ErrMismatch) || out != nil {
			t.Errorf("ToText %s on %q: %v", c.op, c.doc, err)
		}
	}
	for _, half := range []string{`[1,"x"]`, `[-1]`, `[1,-1]`, `[3,"x"]`} {
		wide := ok(text.Decode([]byte(half), ot.Limits{}))
		if out, err := textunicode.FromText(doc("🌍"), wide); !errors.Is(err, ot.ErrMismatch) || out != nil {
			t.Errorf("FromText %s: %v", half, err)
		}
	}
	for _, c := range []textunicode.Cursor{{{0, 2}}, {{0, 0}, {-1, 0}}} {
		if err := typ.CheckCursor(doc("🌍"), c); !errors.Is(err, ot.ErrMismatch) {
			t.Errorf("CheckCursor %v: %v", c, err)
		}
		if _, err := textunicode.ToTextCursor(doc("🌍"), c); !errors.Is(err, ot.ErrMismatch) {
			t.Errorf("ToTextCursor %v: %v", c, err)
		}
	}
	if _, err := textunicode.FromTextCursor(doc("🌍"), text.Cursor{{0, 1}}); !errors.Is(err, ot.ErrMismatch) {
		t.Errorf("FromTextCursor into a pair: %v", err)
	}
	if _, err := typ.Transform(op(`[2147483647,"x"]`), op(`["🌍"]`), ot.Right); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("Transform past the largest position: %v", err)
	}
}
