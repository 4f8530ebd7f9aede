package text_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text"
)

// TestNotation spells out what the protocol page says, a line per case.
func TestNotation(t *testing.T) {
	for _, c := range []struct{ doc, op, out string }{
		{"Hello you", `[5,"abc",-3]`, "Helloabcu"},
		{"abc", `[]`, "abc"},
		{"", `["x"]`, "x"},
		{"abc", `[3,"d"]`, "abcd"},
		{"abc", `["x",-1]`, "xbc"},
		{"abc", `[-1,"x"]`, "xbc"},
		{"abc", `[-3]`, ""},
		{"a🌍b", `[3,"c"]`, "a🌍cb"},
		{"a🌍b", `[1,-2]`, "ab"},
	} {
		after, err := doc(t, c.doc).Apply(op(t, c.op))
		if err != nil || after.String() != c.out {
			t.Errorf("%s on %q: %q, error %v; want %q", c.op, c.doc, after, err, c.out)
		}
	}
	for _, c := range []struct{ a, b, out string }{
		{`[5,"a"]`, `[6,"b"]`, `[5,"ab"]`},   // typing on
		{`["ab"]`, `[1,"x"]`, `["axb"]`},     // inside the other's insert
		{`["abc"]`, `[1,-1]`, `["ac"]`},      // an insert deleted in part
		{`["a"]`, `[-1]`, `[]`},              // an insert deleted
		{`["a"]`, `[-2]`, `[-1]`},            // and what follows it
		{`[-1]`, `["x"]`, `["x",-1]`},        // in the gap: the insert first
		{`[-1]`, `[-1]`, `[-2]`},             //
		{`[-1,"x"]`, `[1,"y"]`, `[-1,"xy"]`}, // behind an insert in the gap
		{`["x",-1]`, `[-1,"y"]`, `["y",-1]`}, //
		{`[-1,"x"]`, `[-1,"y"]`, `[-1,"y"]`}, //
		{`[1,-1]`, `[1,"x"]`, `[1,"x",-1]`},  //
		{`[-2,1,-2]`, `["x",1,"y"]`, `["x",-2,1,"y",-2]`},
		{`["🌍"]`, `[2,"!"]`, `["🌍!"]`},
	} {
		if out, err := text.Compose(op(t, c.a), op(t, c.b)); err != nil || str(out) != c.out {
			t.Errorf("%s · %s = %s, error %v; want %s", c.a, c.b, str(out), err, c.out)
		}
	}
	for _, c := range []struct{ op, over, left, right string }{
		{`["a"]`, `["b"]`, `["a"]`, `[1,"a"]`},         // a tie
		{`[2,"a"]`, `["b"]`, `[3,"a"]`, `[3,"a"]`},     // behind it
		{`["a"]`, `[2,"b"]`, `["a"]`, `["a"]`},         // before it
		{`[2,"a"]`, `[-3]`, `["a"]`, `["a"]`},          // inside a delete
		{`[-3]`, `[1,"a"]`, `[-1,1,-2]`, `[-1,1,-2]`},  // around an insert
		{`[-2]`, `[1,-2]`, `[-1]`, `[-1]`},             // deletes that overlap
		{`[-1]`, `[-1]`, `[]`, `[]`},                   // the same delete
		{`["x",-1]`, `["y",-1]`, `["x"]`, `[1,"x"]`},   // the same replacement
		{`["x",-1]`, `[-1,"y"]`, `["x"]`, `["x"]`},     // before and behind
		{`[-1,"x"]`, `["y",-1]`, `[1,"x"]`, `[1,"x"]`}, //
		{`[-1,"x"]`, `[-1,"y"]`, `["x"]`, `[1,"x"]`},   //
		{`[]`, `["x"]`, `[]`, `[]`},                    //
		{`[1,"a"]`, `["🌍"]`, `[3,"a"]`, `[3,"a"]`},     //
		{`[1,"a",2,-2]`, `[3,"b",-1]`, `[1,"a",3,-1]`, `[1,"a",3,-1]`},
	} {
		for side, want := range map[ot.Side]string{ot.Left: c.left, ot.Right: c.right} {
			if out, err := text.Transform(op(t, c.op), op(t, c.over), side); err != nil || str(out) != want {
				t.Errorf("%s over %s, %s: %s, error %v; want %s", c.op, c.over, side, str(out), err, want)
			}
		}
	}
	for _, c := range []struct{ doc, op, out string }{
		{"abc", `[1,-1]`, `[1,"b"]`},
		{"abc", `["xy"]`, `[-2]`},
		{"abc", `["x",-1]`, `[-1,"a"]`},
		{"a🌍b", `[1,-2,"👩👩"]`, `[1,"🌍",-4]`},
	} {
		if out, err := text.Invert(doc(t, c.doc), op(t, c.op)); err != nil || str(out) != c.out {
			t.Errorf("%s on %q taken back by %s, error %v; want %s", c.op, c.doc, str(out), err, c.out)
		}
	}
	for _, c := range []struct{ cursor, op, left, right string }{
		{`[[1,1]]`, `[1,"x"]`, `[[1,1]]`, `[[2,2]]`},
		{`[[0,3]]`, `["xy"]`, `[[0,5]]`, `[[2,5]]`},
		{`[[3,1]]`, `[1,-1]`, `[[2,1]]`, `[[2,1]]`},
		{`[[2,2]]`, `[1,-3]`, `[[1,1]]`, `[[1,1]]`},
		{`[[1,1]]`, `[-1,"x"]`, `[[0,0]]`, `[[1,1]]`},
		{`[[1,1]]`, `["x",-1]`, `[[1,1]]`, `[[1,1]]`},
		{`[[3,8],[12,12]]`, `[4,-2,"abc"]`, `[[3,9],[13,13]]`, `[[3,9],[13,13]]`},
	} {
		for side, want := range map[ot.Side]string{ot.Left: c.left, ot.Right: c.right} {
			before, err := text.DecodeCursor([]byte(c.cursor), ot.Limits{})
			must(t, err)
			if got := string(before.Transform(op(t, c.op), side).AppendJSON(nil)); got != want {
				t.Errorf("cursor %s over %s, %s: %s, want %s", c.cursor, c.op, side, got, want)
			}
		}
	}
}

// against compares every function of the algebra with the oracle on one case.
func against(t *testing.T, r *rand.Rand, size int) {
	gen := ottest.Text()
	d := gen.Doc(r, size).(*text.Doc)
	a, p := gen.Op(r, d, size).(text.Op), gen.Op(r, d, size).(text.Op)
	mid, err := d.Apply(a)
	must(t, err)
	b := gen.Op(r, mid, size).(text.Op)
	fail := func(what string) {
		t.Fatalf("%s: doc %q, a %s, b %s, p %s", what, d, str(a), str(b), str(p))
	}
	if !slices.Equal(wide(mid.String()), oracleApply(wide(d.String()), atoms(a))) {
		fail("Apply")
	}
	ab, err := text.Compose(a, b)
	if err != nil || !slices.Equal(atoms(ab), oracleCompose(atoms(a), atoms(b))) {
		fail("Compose")
	}
	for _, side := range []ot.Side{ot.Left, ot.Right} {
		pa, err := text.Transform(p, a, side)
		if err != nil || !slices.Equal(atoms(pa), oracleTransform(atoms(p), atoms(a), side)) {
			fail("Transform " + side.String())
		}
		whole, err1 := text.Transform(p, ab, side)
		parts, err2 := text.Transform(pa, b, side)
		if err1 != nil || err2 != nil || side == ot.Right && str(whole) != str(parts) {
			fail("Transform over the composite and its parts")
		}
		for i, selection := range gen.Cursor(r, d, size).(text.Cursor) {
			moved := text.Cursor{selection}.Transform(a, side)
			for j := range moved[0] {
				if moved[0][j] != oracleMove(selection[j], atoms(a), side) {
					fail("Cursor " + side.String() + string(rune('0'+i)))
				}
			}
		}
	}
	inverse, err := text.Invert(d, a)
	if err != nil || !slices.Equal(oracleApply(wide(mid.String()), atoms(inverse)), wide(d.String())) {
		fail("Invert")
	}
}

func TestAgainstOracle(t *testing.T) {
	for i := range 30_000 {
		against(t, rand.New(rand.NewPCG(7, uint64(i))), 1+i/2000)
	}
}

func TestRefused(t *testing.T) {
	if _, err := text.Compose(op(t, `["🌍"]`), op(t, `[1,"x"]`)); !errors.Is(err, ot.ErrMismatch) {
		t.Errorf("compose into a surrogate pair: %v", err)
	}
	if _, err := text.ComposeAll([]text.Op{op(t, `["a"]`), op(t, `["🌍"]`), op(t, `[1,"x"]`)}); !errors.Is(err, ot.ErrMismatch) {
		t.Errorf("compose all into a surrogate pair: %v", err)
	}
	if _, err := text.ComposeAll([]text.Op{op(t, `["a"]`), op(t, `["🌍"]`), op(t, `[-1]`)}); !errors.Is(err, ot.ErrMismatch) {
		t.Errorf("compose all deleting half a surrogate pair: %v", err)
	}
	far := op(t, `[2147483647,"x"]`)
	if _, err := text.Transform(far, op(t, `["x"]`), ot.Left); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("transform past the largest position: %v", err)
	}
	if _, err := text.Compose(op(t, `[-2147483647]`), op(t, `[-1]`)); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("compose past the largest length: %v", err)
	}
	for _, c := range misfitInputs {
		if _, err := text.Invert(doc(t, c[0]), op(t, c[1])); !errors.Is(err, ot.ErrMismatch) {
			t.Errorf("invert %s on %q: %v", c[1], c[0], err)
		}
	}
}

func TestBuilder(t *testing.T) {
	var b text.Builder
	b.Retain(2)
	b.Retain(0)
	b.Retain(3)
	b.Insert("ab")
	b.Insert("")
	b.Insert("🌍")
	b.Delete(1)
	b.Delete(1)
	b.Retain(9)
	if got, err := b.Op(); err != nil || str(got) != `[5,"ab🌍",-2]` || got[1].N != 4 {
		t.Errorf("%s, error %v", str(got), err)
	}
	if got, err := b.Op(); err != nil || len(got) != 0 {
		t.Errorf("an emptied builder gives %s, error %v", str(got), err)
	}
	for name, c := range map[string]struct {
		build func()
		want  error
	}{
		"negative":      {func() { b.Retain(-1) }, ot.ErrSyntax},
		"too long":      {func() { b.Delete(1 << 31) }, ot.ErrLimit},
		"too long both": {func() { b.Delete(1<<31 - 1); b.Retain(1); b.Insert("x") }, ot.ErrLimit},
		"invalid":       {func() { b.Insert("\xed\xa0\x80") }, ot.ErrSyntax},
	} {
		c.build()
		if _, err := b.Op(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := b.Op(); err != nil || len(got) != 0 {
			t.Errorf("%s: the error stays", name)
		}
	}
}

// TestManyParts makes operations of many components and inserts of many parts.
func TestManyParts(t *testing.T) {
	var b text.Builder
	want := []atom(nil)
	for i := range 100 {
		b.Retain(1)
		want = append(want, atom{kind: text.Retain})
		for range i {
			b.Insert("a🌍")
			want = append(want, atoms(text.Op{{Kind: text.Insert, N: 3, S: "a🌍"}})...)
		}
		b.Delete(1)
		want = append(want, atom{kind: text.Delete})
	}
	got, err := b.Op()
	if err != nil || !slices.Equal(atoms(got), want) || len(got) != 299 {
		t.Fatalf("%d components, error %v", len(got), err)
	}
}
