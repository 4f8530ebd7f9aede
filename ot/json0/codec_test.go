package json0_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/json0"
	"quire/ot/jsonvalue"
)

var typ json0.Type

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		`[]`: `[]`,
		" [ { \"na\" : 1.50 ,\n\"p\" : [ \"a\" , 0 ] } ] ":                 `[{"p":["a",0],"na":1.5}]`,
		`[{"oi":null,"od":{"b":1,"a":-0},"p":[]}]`:                         `[{"p":[],"od":{"a":0,"b":1},"oi":null}]`,
		`[{"li":false,"p":[2147483647],"ld":[]}]`:                          `[{"p":[2147483647],"ld":[],"li":false}]`,
		`[{"o":[{"i":"\u00e9","p":1}],"t":"text0","p":["s"]}]`:             `[{"p":["s"],"t":"text0","o":[{"p":1,"i":"é"}]}]`,
		`[{"p":["0","title"],"oi":1},{"p":["1"],"lm":"0"}]`:                `[{"p":["0","title"],"oi":1},{"p":["1"],"lm":"0"}]`,
		`[{"p":[3],"si":""},{"p":[3],"sd":"\ud83c\udf0d"}]`:                `[{"p":[3],"si":""},{"p":[3],"sd":"🌍"}]`,
		`[{"p":["a"],"na":1},{"p":["a"],"na":2}]`:                          `[{"p":["a"],"na":1},{"p":["a"],"na":2}]`,
		`[{"p":["prototype","hasownproperty","__proto"],"od":"toString"}]`: `[{"p":["prototype","hasownproperty","__proto"],"od":"toString"}]`,
	} {
		for name, read := range map[string]func([]byte, ot.Limits) (json0.Op, error){"Decode": json0.Decode, "Parse": json0.Parse} {
			if got, err := read([]byte(in), ot.Limits{}); err != nil || str(got) != want {
				t.Errorf("%s(%s) = %s, error %v; want %s", name, in, str(got), err, want)
			}
		}
	}
	const unknown = `[{"p":["a"],"na":1,"x":{"y":[]},"v":3},{"p":[],"t":"text0","o":[{"p":0,"i":"a","z":null}]}]`
	if got, err := json0.Parse([]byte(unknown), ot.Limits{}); err != nil || str(got) != `[{"p":["a"],"na":1},{"p":[],"t":"text0","o":[{"p":0,"i":"a"}]}]` {
		t.Errorf("Parse with unknown members: %s, error %v", str(got), err)
	}
	if got, err := json0.Decode([]byte(unknown), ot.Limits{}); !errors.Is(err, ot.ErrSyntax) {
		t.Errorf("Decode with unknown members: %s, error %v", str(got), err)
	}
}

// nested returns n lists within one another.
func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestLimits(t *testing.T) {
	keys := func(n int) string { return `[` + strings.Repeat(`0,`, n-1) + `0]` }
	for _, c := range []struct {
		in   string
		lim  ot.Limits
		want error
	}{
		{`[{"p":[10],"li":0}]`, ot.Limits{MaxLength: 10}, nil},
		{`[{"p":[11],"li":0}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"p":[0],"lm":11}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"p":[0],"lm":"11"}]`, ot.Limits{MaxLength: 10}, ot.ErrSyntax},
		{`[{"p":[0],"si":"0123456789"}]`, ot.Limits{MaxLength: 10}, nil},
		{`[{"p":[0],"sd":"🌍🌍🌍🌍🌍!"}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"p":[],"t":"text0","o":[{"p":11,"i":""}]}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"p":[],"t":"text0","o":[{"p":0,"d":"123456"},{"p":0,"d":"123456"}]}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"p":[],"na":1},{"p":[],"na":1}]`, ot.Limits{MaxComponents: 2}, nil},
		{`[{"p":[],"na":1},{"p":[],"na":1},{"p":[],"na":1}]`, ot.Limits{MaxComponents: 2}, ot.ErrLimit},
		{`[{"p":[],"na":1},{"p":[],"t":"text0","o":[{"p":0,"i":"a"},{"p":0,"i":"a"}]}]`, ot.Limits{MaxComponents: 2}, ot.ErrLimit},
		{`[{"p":` + keys(129) + `,"si":"x"}]`, ot.Limits{}, nil},
		{`[{"p":` + keys(130) + `,"si":"x"}]`, ot.Limits{}, ot.ErrLimit},
		{`[{"p":[],"oi":` + nested(128) + `}]`, ot.Limits{}, nil},
		{`[{"p":[],"oi":` + nested(129) + `}]`, ot.Limits{}, ot.ErrLimit},
		{`[{"p":[],"oi":` + strings.Repeat("[", 1<<20), ot.Limits{}, ot.ErrLimit},
	} {
		if _, err := json0.Decode([]byte(c.in), c.lim); !errors.Is(err, c.want) {
			t.Errorf("%.60s within %+v: error %v, want %v", c.in, c.lim, err, c.want)
		}
	}
	if cost := typ.Cost(op(t, `[{"p":[],"na":1},{"p":[],"t":"text0","o":[]},{"p":[],"t":"text0","o":[{"p":0,"i":"a"},{"p":0,"i":"a"}]}]`)); cost != 4 {
		t.Errorf("cost %d", cost)
	}
}

func TestCursor(t *testing.T) {
	for in, want := range map[string]string{`null`: `[]`, `[]`: `[]`, ` [ [ ] , ["a",0] ] `: `[[],["a",0]]`} {
		if got, err := json0.DecodeCursor([]byte(in), ot.Limits{}); err != nil || string(got.AppendJSON(nil)) != want {
			t.Errorf("%s: %s, error %v", in, got.AppendJSON(nil), err)
		}
	}
	for _, in := range []string{``, `0`, `{}`, `[0]`, `["a"]`, `[[null]]`, `[[-1]]`, `[[1.0]]`, `[["__proto__"]]`, `[[2147483648]]`, `[[]]]`, `[[],]`, `null null`, `[` + strings.Repeat(`[],`, 128) + `[]]`} {
		if got, err := json0.DecodeCursor([]byte(in), ot.Limits{}); !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) {
			t.Errorf("%.40s: %s, error %v", in, got.AppendJSON(nil), err)
		}
	}
	d := parsed(t, `{"a":[1,{"b":null}],"0":"s"}`)
	for in, want := range map[string]error{
		`null`: nil, `[[],["a"],["a",1,"b"],["0"]]`: nil,
		`[["b"]]`: ot.ErrMismatch, `[["a"],["a",2]]`: ot.ErrMismatch, `[["a","0"]]`: ot.ErrMismatch, `[[0]]`: ot.ErrMismatch, `[["0",0]]`: ot.ErrMismatch, `[["a",1,"b","c"]]`: ot.ErrMismatch,
	} {
		c, err := json0.DecodeCursor([]byte(in), ot.Limits{})
		if err != nil || !errors.Is(c.Check(d), want) {
			t.Errorf("%s: error %v, check %v", in, err, c.Check(d))
		}
	}
	if typ.CheckCursor(d, nil) != nil || string(typ.AppendCursor(nil, nil)) != "[]" {
		t.Error("a nil cursor is not an empty one")
	}
}

// FuzzDecode: what the strict decoder accepts, the lenient one reads as the same; it
// comes back from both forms; and encoding/json finds the same in it.
func FuzzDecode(f *testing.F) {
	for _, s := range reject {
		f.Add([]byte(s))
	}
	for _, in := range slices.Concat(applyInputs, composeInputs, transformInputs) {
		f.Add([]byte(in[1]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		strict, err := json0.Decode(data, ot.Limits{})
		lenient, errParse := json0.Parse(data, ot.Limits{})
		for _, err := range []error{err, errParse} {
			if err != nil && !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) {
				t.Fatalf("%q: error %v", data, err)
			}
		}
		if errParse == nil {
			roundTrip(t, lenient)
		}
		if err != nil {
			return
		}
		if errParse != nil || str(lenient) != str(strict) {
			t.Fatalf("%q is %s, Parse has %s, error %v", data, str(strict), str(lenient), errParse)
		}
		roundTrip(t, strict)
		var wide, narrow []map[string]any
		if !utf8.Valid(data) || json.Unmarshal(data, &wide) != nil || json.Unmarshal([]byte(str(strict)), &narrow) != nil || len(wide) != len(narrow) {
			t.Fatalf("%q is not what %s is", data, str(strict))
		}
		for i := range wide {
			if !reflect.DeepEqual(unsigned(wide[i]), unsigned(narrow[i])) {
				t.Fatalf("%q is not what %s is", data, str(strict))
			}
		}
	})
}

// unsigned returns v with minus zero replaced by zero everywhere.
func unsigned(v any) any {
	switch v := v.(type) {
	case float64:
		return v + 0
	case []any:
		for i := range v {
			v[i] = unsigned(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = unsigned(v[name])
		}
	}
	return v
}

// roundTrip checks that an operation survives both encodings.
func roundTrip(t *testing.T, o json0.Op) {
	t.Helper()
	again, err := json0.Decode([]byte(str(o)), ot.Limits{})
	if err != nil || str(again) != str(o) {
		t.Fatalf("%s decodes to %s, error %v", str(o), str(again), err)
	}
	stored, err := typ.UnmarshalOp(typ.MarshalOp(nil, o))
	if err != nil || str(stored.(json0.Op)) != str(o) {
		t.Fatalf("%s unmarshals to %v, error %v", str(o), stored, err)
	}
}

// FuzzUnmarshalOp: damaged data gives an error or an operation that comes back.
func FuzzUnmarshalOp(f *testing.F) {
	for _, in := range transformInputs {
		f.Add([]byte(in[0]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := typ.UnmarshalOp(data); err == nil {
			roundTrip(t, got.(json0.Op))
		}
	})
}

// FuzzDoc: both forms of a document are refused or come back the same.
func FuzzDoc(f *testing.F) {
	for _, s := range append([]string{"", "nul", `[1e400]`, `{"a":1,"a":2}`, `{"__proto__":1}`, `"\ud800"`, nested(129)}, sumInputs...) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		loaded, err := typ.UnmarshalDoc(data)
		created, errCreate := typ.Create(append([]byte{}, data...))
		if (err == nil) != (errCreate == nil) {
			t.Fatalf("%q: UnmarshalDoc says %v, Create %v", data, err, errCreate)
		}
		if err != nil {
			if !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) || loaded != nil || created != nil {
				t.Fatalf("%q: error %v", data, err)
			}
			return
		}
		form := typ.MarshalDoc(nil, loaded)
		again, err := typ.Create(form)
		if err != nil || string(typ.AppendDoc(nil, again)) != string(form) || typ.Size(again) != len(form) || typ.Checksum(again) != typ.Checksum(created) {
			t.Fatalf("%q comes back as %s, error %v", form, typ.AppendDoc(nil, again), err)
		}
	})
}

// FuzzDecodeCursor: what the decoder accepts comes back.
func FuzzDecodeCursor(f *testing.F) {
	for _, in := range cursorInputs {
		f.Add([]byte(in[0]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := json0.DecodeCursor(data, ot.Limits{})
		if err != nil {
			return
		}
		form := got.AppendJSON(nil)
		again, err := json0.DecodeCursor(form, ot.Limits{})
		if err != nil || string(again.AppendJSON(nil)) != string(form) {
			t.Fatalf("%s comes back as %s, error %v", form, again.AppendJSON(nil), err)
		}
	})
}

// FuzzAlgebra does everything with operations and a document that need not fit one
// another: what comes out is canonical, errors are those that are promised, and Apply,
// Compose and Invert agree.
func FuzzAlgebra(f *testing.F) {
	for i, in := range transformInputs {
		f.Add([]byte(applyInputs[i%len(applyInputs)][0]), []byte(in[0]), []byte(in[1]))
	}
	for _, in := range applyInputs {
		f.Add([]byte(in[0]), []byte(in[1]), []byte(in[1]))
	}
	f.Fuzz(func(t *testing.T, content, opA, opB []byte) {
		d, err := doc(content)
		a, errA := json0.Parse(opA, ot.Limits{})
		b, errB := json0.Parse(opB, ot.Limits{})
		if err != nil || errA != nil || errB != nil {
			return
		}
		checked := func(o json0.Op, err error) bool {
			if err == nil {
				roundTrip(t, o)
			} else if !errors.Is(err, ot.ErrMismatch) && !errors.Is(err, ot.ErrLimit) {
				t.Fatalf("error %v", err)
			}
			return err == nil
		}
		for _, side := range []ot.Side{ot.Left, ot.Right} {
			checked(json0.Transform(a, b, side))
			checked(json0.Transform(b, a, side))
		}
		checked(json0.Normalize(a))
		checked(json0.Compose(a, b))
		typ.TransformCursor(json0.Cursor{{}, {json0.Name("k"), json0.Index(0)}}, a, ot.Left)
		after, err := d.Apply(a)
		inverse, errInvert := json0.Invert(d, a)
		if checked(nil, err) != checked(inverse, errInvert) {
			t.Fatalf("Apply says %v, Invert says %v", err, errInvert)
		}
		if err == nil {
			back, err := after.Apply(inverse)
			if err != nil || !jsonvalue.Equal(back.Value(), d.Value()) {
				t.Fatalf("%s does not take back %s, error %v", str(inverse), str(a), err)
			}
		}
	})
}
