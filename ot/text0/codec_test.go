package text0_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/text"
	"quire/ot/text0"
)

var typ text0.Type

var reject = []string{
	``, `null`, `{}`, `"a"`, `{"p":0,"i":"a"}`, `[{}]`, `[null]`, `[1]`, `["a"]`, `[{"p":0}]`, `[{"i":"a"}]`, `[{"p":0,"i":"a","d":"b"}]`, `[{"p":0,"i":"a","i":"a"}]`, `[{"p":0,"p":0,"i":"a"}]`,
	`[{"p":-1,"i":"a"}]`, `[{"p":1.5,"i":"a"}]`, `[{"p":1.0,"i":"a"}]`, `[{"p":1e3,"i":"a"}]`, `[{"p":"1","i":"a"}]`, `[{"p":null,"i":"a"}]`, `[{"p":2147483648,"i":"a"}]`, `[{"p":9007199254740993,"i":"a"}]`,
	`[{"p":0,"i":null}]`, `[{"p":0,"d":1}]`, `[{"p":0,"i":"\ud800"}]`, `[{"p":0,"i":"a"},]`, `[{"p":0,"i":"a",}]`, `[{"p":0,"i":"a"}]x`, `[{"p":0,"i":"a"`,
}

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		`[]`: `[]`, " [ { \"i\" : \"a\" ,\n\"p\" : 1 } ] ": `[{"p":1,"i":"a"}]`, `[{"d":"","p":2147483647}]`: `[{"p":2147483647,"d":""}]`,
		`[{"p":0,"i":"\ud83c\udf0d"},{"p":0,"i":"\u00e9\""}]`: `[{"p":0,"i":"🌍"},{"p":0,"i":"é\""}]`,
	} {
		if got, err := text0.Decode([]byte(in), ot.Limits{}); err != nil || str(got) != want {
			t.Errorf("%s: %s, error %v", in, str(got), err)
		}
		if got, err := text0.Parse([]byte(strings.ReplaceAll(in, `"p"`, `"v":[{}],"p"`)), ot.Limits{}); err != nil || str(got) != want {
			t.Errorf("%s with unknown members: %s, error %v", in, str(got), err)
		}
	}
	for _, in := range append(reject, `[{"p":0,"i":"a","v":1}]`) {
		if got, err := text0.Decode([]byte(in), ot.Limits{}); got != nil || !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) {
			t.Errorf("Decode(%s) = %s, error %v", in, str(got), err)
		}
	}
	for _, in := range reject {
		if got, err := text0.Parse([]byte(in), ot.Limits{}); got != nil || !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) {
			t.Errorf("Parse(%s) = %s, error %v", in, str(got), err)
		}
	}
	for _, c := range []struct {
		in   string
		lim  ot.Limits
		want error
	}{
		{`[{"p":10,"i":"0123456789"}]`, ot.Limits{MaxLength: 10}, nil},
		{`[{"p":11,"i":"a"}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"p":0,"i":"🌍🌍🌍🌍🌍!"}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"p":0,"i":"123456"},{"p":0,"i":"123456"}]`, ot.Limits{MaxLength: 10}, nil},
		{`[{"p":0,"d":"123456"},{"p":0,"d":"123456"}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"p":0,"i":"a"},{"p":0,"i":"a"}]`, ot.Limits{MaxComponents: 2}, nil},
		{`[{"p":0,"i":"a"},{"p":0,"i":"a"},{"p":0,"i":"a"}]`, ot.Limits{MaxComponents: 2}, ot.ErrLimit},
	} {
		if _, err := text0.Decode([]byte(c.in), c.lim); !errors.Is(err, c.want) {
			t.Errorf("%s within %+v: error %v, want %v", c.in, c.lim, err, c.want)
		}
	}
}

// TestMisfits: what does not fit is refused in both forms of a text, which stays as it is.
func TestMisfits(t *testing.T) {
	for _, c := range [][3]string{
		{"abc", `[{"p":4,"i":"x"}]`, "position 4"}, {"", `[{"p":1,"i":""}]`, "position 1"}, {"🌍", `[{"p":1,"i":"x"}]`, "position 1"},
		{"abc", `[{"p":1,"d":"c"}]`, "Delete component does not match deleted text"}, {"abc", `[{"p":2,"d":"cd"}]`, "does not match"}, {"a🌍", `[{"p":0,"d":"ab"}]`, "does not match"}, {"abc", `[{"p":2147483647,"d":"a"}]`, "position"},
		{"abc", `[{"p":0,"i":"x"},{"p":0,"d":"a"}]`, "does not match"},
	} {
		d, err := text.FromString(c[0])
		if err != nil {
			t.Fatal(err)
		}
		o, err := text0.Decode([]byte(c[1]), ot.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		_, errTree := text0.Apply(d, o)
		_, errString := text0.ApplyString(c[0], o)
		_, errInvert := typ.Invert(d, o)
		for _, err := range []error{errTree, errString, errInvert} {
			if !errors.Is(err, ot.ErrMismatch) || !strings.Contains(err.Error(), c[2]) {
				t.Errorf("%s on %q: error %v", c[1], c[0], err)
			}
		}
		if d.String() != c[0] {
			t.Errorf("%s changed %q to %q", c[1], c[0], d)
		}
	}
}

// TestBounds: what would pass a bound of the type is an error.
func TestBounds(t *testing.T) {
	insert := func(pos int, s string) text0.Op { return text0.Op{text0.Insert(pos, s)} }
	remove := func(pos int, s string) text0.Op { return text0.Op{text0.Delete(pos, s)} }
	for _, c := range []struct {
		op, over text0.Op
		want     error
	}{
		{insert(1<<31-1, "a"), insert(0, "b"), ot.ErrLimit},
		{remove(1<<31-1, "a"), insert(0, "b"), ot.ErrLimit},
		{remove(0, "abc"), remove(1, "x"), ot.ErrMismatch},
		{remove(0, "🌍"), insert(1, "x"), ot.ErrMismatch},
		{remove(0, "🌍"), remove(1, "x"), ot.ErrMismatch},
	} {
		if got, err := text0.Transform(c.op, c.over, ot.Right); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s over %s: %s, error %v", str(c.op), str(c.over), str(got), err)
		}
	}
	many := make(text0.Op, 2049)
	for i := range many {
		many[i] = text0.Insert(0, "a")
	}
	if got, err := text0.Transform(many, many, ot.Left); !errors.Is(err, ot.ErrLimit) || got != nil {
		t.Errorf("2049 components over as many: error %v", err)
	}
	if got, err := text0.Transform(many, many[:3], ot.Left); err != nil || len(got) != 1 {
		t.Errorf("2049 components over 3: %d components, error %v", len(got), err)
	}
	if got, err := text0.Compose(insert(0, "🌍"), insert(1, "x")); !errors.Is(err, ot.ErrMismatch) || got != nil {
		t.Errorf("a pair is split: %s, error %v", str(got), err)
	}
	if at := text0.TransformCursor(1<<31-1, insert(0, "abc"), ot.Left); at != 1<<31-1 {
		t.Errorf("the cursor is at %d", at)
	}
}

// roundTrip checks that an operation survives its encoding.
func roundTrip(t *testing.T, o text0.Op) {
	t.Helper()
	again, err := text0.Decode([]byte(str(o)), ot.Limits{})
	if err != nil || str(again) != str(o) {
		t.Fatalf("%s decodes to %s, error %v", str(o), str(again), err)
	}
	stored, err := typ.UnmarshalOp(typ.MarshalOp(nil, o))
	if err != nil || str(stored.(text0.Op)) != str(o) {
		t.Fatalf("%s unmarshals to %v, error %v", str(o), stored, err)
	}
}

// FuzzDecode: what the strict decoder accepts, the lenient one reads as the same, and
// encoding/json finds the same in it.
func FuzzDecode(f *testing.F) {
	for _, s := range append(reject, `[{"p":3,"i":"abc"},{"p":1,"d":"\ud83c\udf0d"}]`, `[{"d":"","p":0}]`) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		strict, err := text0.Decode(data, ot.Limits{})
		lenient, errParse := text0.Parse(data, ot.Limits{})
		if errParse == nil {
			roundTrip(t, lenient)
		}
		if err != nil {
			if !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) || strict != nil {
				t.Fatalf("%s, error %v", str(strict), err)
			}
			return
		}
		if errParse != nil || str(lenient) != str(strict) {
			t.Fatalf("%q is %s, Parse has %s, error %v", data, str(strict), str(lenient), errParse)
		}
		roundTrip(t, strict)
		var want []struct {
			P    int
			I, D *string
		}
		if !utf8.Valid(data) || json.Unmarshal(data, &want) != nil || len(want) != len(strict) {
			t.Fatalf("%q is no list of %d", data, len(strict))
		}
		for i, c := range strict {
			if w := want[i]; w.P != c.Pos || (w.D != nil) != c.Delete || w.D != nil && *w.D != c.Text || w.I != nil && *w.I != c.Text {
				t.Fatalf("component %d of %q", i, data)
			}
		}
	})
}

// FuzzUnmarshalOp: damaged data gives an error or an operation that comes back.
func FuzzUnmarshalOp(f *testing.F) {
	f.Add([]byte(`[{"p":3,"i":"abc"},{"p":1,"d":"🌍"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := typ.UnmarshalOp(data); err == nil {
			roundTrip(t, got.(text0.Op))
		}
	})
}

// FuzzAlgebra does everything with operations and a text that need not fit one another:
// the two forms of Apply agree, and an operation that fits can be taken back.
func FuzzAlgebra(f *testing.F) {
	f.Add("abc", []byte(`[{"p":1,"d":"bc"},{"p":0,"i":"x"}]`), []byte(`[{"p":2,"i":"é"}]`))
	f.Add("a🌍b", []byte(`[{"p":1,"d":"🌍"}]`), []byte(`[{"p":0,"d":"a🌍"},{"p":0,"i":"🌍"}]`))
	f.Fuzz(func(t *testing.T, s string, opA, opB []byte) {
		d, err := text.FromString(s)
		a, errA := text0.Parse(opA, ot.Limits{})
		b, errB := text0.Parse(opB, ot.Limits{})
		if err != nil || errA != nil || errB != nil {
			return
		}
		checked := func(o text0.Op, err error) {
			if err == nil {
				roundTrip(t, o)
			} else if !errors.Is(err, ot.ErrMismatch) && !errors.Is(err, ot.ErrLimit) {
				t.Fatalf("error %v", err)
			}
		}
		for _, side := range []ot.Side{ot.Left, ot.Right} {
			checked(text0.Transform(a, b, side))
			checked(text0.Transform(b, a, side))
		}
		checked(text0.Normalize(a))
		checked(text0.Compose(a, b))
		after, err := text0.Apply(d, a)
		plain, errString := text0.ApplyString(s, a)
		if (err == nil) != (errString == nil) || err == nil && after.String() != plain {
			t.Fatalf("Apply says %v, ApplyString %v", err, errString)
		}
		if err != nil {
			checked(nil, err)
			return
		}
		if back, err := text0.Apply(after, text0.Invert(a)); err != nil || back.String() != s {
			t.Fatalf("%s taken back: %q, error %v", str(a), back, err)
		}
	})
}

func BenchmarkComposeAll(b *testing.B) {
	ops := make([]ot.Op, 10_000)
	for i := range ops {
		ops[i] = text0.Op{text0.Insert(i, "x")}
	}
	for b.Loop() {
		if _, err := typ.ComposeAll(ops); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ops)), "ns/part")
}

func BenchmarkTransform(b *testing.B) {
	var one, other text0.Op
	for i := range 1_000 {
		one, other = append(one, text0.Insert(2*i, "x")), append(other, text0.Insert(3*i, "y"))
	}
	for b.Loop() {
		if _, err := text0.Transform(one, other, ot.Left); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(one)*len(other)), "ns/pair")
}
