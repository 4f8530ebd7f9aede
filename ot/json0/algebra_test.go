package json0_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/json0"
	"quire/ot/jsonvalue"
)

// TestDiverges holds the package comment to its word: these are the cases in which the
// reference, and so this package, does not converge, with what comes of each way.
func TestDiverges(t *testing.T) {
	for name, c := range map[string]struct{ doc, a, b, viaA, viaB string }{
		"si beside text0":        {`{"s":"ab"}`, `[{"p":["s",0],"si":"x"}]`, `[{"p":["s"],"t":"text0","o":[{"p":1,"i":"y"}]}]`, `{"s":"xyab"}`, `{"s":"xayb"}`},
		"oi without od":          {`{"k":1}`, `[{"p":["k"],"od":1}]`, `[{"p":["k"],"oi":2}]`, `{"k":2}`, `{}`},
		"string index, replaced": {`[1,2]`, `[{"p":[0],"ld":1,"li":"a"}]`, `[{"p":["0"],"ld":1,"li":"b"}]`, `["b",2]`, `["a",2]`},
		"rounding":               {`0.3`, `[{"p":[],"na":0.1}]`, `[{"p":[],"na":0.2}]`, `0.6000000000000001`, `0.6`},
	} {
		d, a, b := parsed(t, c.doc), op(t, c.a), op(t, c.b)
		viaA := content(ok(ok(d.Apply(a)).Apply(ok(json0.Transform(b, a, ot.Right)))))
		viaB := content(ok(ok(d.Apply(b)).Apply(ok(json0.Transform(a, b, ot.Left)))))
		if viaA != c.viaA || viaB != c.viaB {
			t.Errorf("%s: %s and %s, want %s and %s", name, viaA, viaB, c.viaA, c.viaB)
		}
	}
}

// TestRegroups shows why ottest.JSON0 says so: the merged forms differ, what they do not.
func TestRegroups(t *testing.T) {
	a, b, c := op(t, `[{"p":[5],"sd":"a"}]`), op(t, `[{"p":[7],"sd":"b"}]`), op(t, `[{"p":[4],"sd":"wxyz"}]`)
	left := ok(json0.Compose(ok(json0.Compose(a, b)), c))
	right := ok(json0.Compose(a, ok(json0.Compose(b, c))))
	if str(left) == str(right) {
		t.Errorf("both are %s", str(left))
	}
	d := parsed(t, `"0123waxybz."`)
	for _, o := range []json0.Op{left, right} {
		if after := ok(d.Apply(o)); content(after) != `"0123."` {
			t.Errorf("%s gives %s", str(o), content(after))
		}
	}
}

func TestDepth(t *testing.T) {
	d := parsed(t, nested(128))
	bottom := `[` + strings.Repeat(`0,`, 127) + `0]`
	for in, want := range map[string]error{
		`[{"p":` + bottom + `,"li":1}]`:                                 nil,
		`[{"p":` + bottom + `,"li":{}}]`:                                ot.ErrLimit,
		`[{"p":` + bottom + `,"li":[]},{"p":[0],"ld":null}]`:            nil,
		`[{"p":[],"oi":[1]},{"p":[0],"ld":1,"li":` + nested(127) + `}]`: nil,
		`[{"p":[],"oi":[1]},{"p":[0],"ld":1,"li":` + nested(128) + `}]`: ot.ErrLimit,
	} {
		o := op(t, in)
		_, err := d.Apply(o)
		_, errInvert := json0.Invert(d, o)
		if !errors.Is(err, want) || !errors.Is(errInvert, want) {
			t.Errorf("%.40s: Apply says %v, Invert %v, want %v", in, err, errInvert, want)
		}
	}
	if d, err := json0.NewDoc(jsonvalue.NewList([]jsonvalue.Value{d.Value()})); !errors.Is(err, ot.ErrLimit) || d != nil {
		t.Errorf("a document 129 deep: error %v", err)
	}
}

// TestWork: an operation whose copies would come to too much is refused.
func TestWork(t *testing.T) {
	defer json0.SetMaxWork(100)()
	d := parsed(t, `{"list":[1,2,3,4,5,6,7,8,9],"text":"`+strings.Repeat("x", 40)+`"}`)
	for in, want := range map[string]error{
		`[` + strings.Repeat(`{"p":["list",0],"lm":1},`, 8) + `{"p":["list",0],"lm":1}]`:                nil, // 2 members and 9 items each
		`[` + strings.Repeat(`{"p":["list",0],"lm":1},`, 9) + `{"p":["list",0],"lm":1}]`:                ot.ErrLimit,
		`[` + strings.Repeat(`{"p":["text",0],"si":""},`, 7) + `{"p":["text",0],"si":""}]`:              nil, // 10 quarters
		`[` + strings.Repeat(`{"p":["text",0],"si":""},`, 8) + `{"p":["text",0],"si":""}]`:              ot.ErrLimit,
		`[{"p":["text"],"t":"text0","o":[` + strings.Repeat(`{"p":0,"i":""},`, 9) + `{"p":0,"i":""}]}]`: ot.ErrLimit,
	} {
		_, err := d.Apply(op(t, in))
		_, errInvert := json0.Invert(d, op(t, in))
		if !errors.Is(err, want) || !errors.Is(errInvert, want) {
			t.Errorf("%.60s: Apply says %v, Invert %v, want %v", in, err, errInvert, want)
		}
	}
}

// TestDangerous: a name that no decoder lets in does not get into a document either.
func TestDangerous(t *testing.T) {
	o := json0.Op{{Path: json0.Path{json0.Name("__proto__")}, Has: json0.OI, Inserted: 1.0}}
	if after, err := parsed(t, `{}`).Apply(o); !errors.Is(err, ot.ErrMismatch) || !strings.Contains(err.Error(), "Invalid path segment") || after != nil {
		t.Errorf("error %v", err)
	}
}

// TestShares: Apply copies the lists and objects on the path and leaves the others.
func TestShares(t *testing.T) {
	d := parsed(t, `{"a":{"x":[1]},"b":[[],{}]}`)
	after := ok(d.Apply(op(t, `[{"p":["b",0,0],"li":1}]`)))
	if content(d) != `{"a":{"x":[1]},"b":[[],{}]}` || content(after) != `{"a":{"x":[1]},"b":[[1],{}]}` {
		t.Fatalf("%s became %s", content(d), content(after))
	}
	for _, path := range [][]string{{"a"}, {"b", "1"}} {
		before, now := d.Value(), after.Value()
		for _, name := range path {
			before, now = child(before, name), child(now, name)
		}
		if before != now {
			t.Errorf("%v was copied", path)
		}
	}
	if same := ok(d.Apply(nil)); same != d {
		t.Error("the identity copies the document")
	}
}

func child(v jsonvalue.Value, name string) jsonvalue.Value {
	if o, ok := v.(*jsonvalue.Object); ok {
		v, _ = o.Get(name)
		return v
	}
	return v.(*jsonvalue.List).At(int(name[0] - '0'))
}

// TestBounds: what would pass a bound of the type is an error, not a wrong index.
func TestBounds(t *testing.T) {
	last := `[{"p":[2147483647],"ld":0}]`
	if _, err := json0.Transform(op(t, last), op(t, `[{"p":[0],"li":0}]`), ot.Left); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("index past the last: error %v", err)
	}
	if _, err := json0.Transform(op(t, `[{"p":[2147483647],"si":"x"}]`), op(t, `[{"p":[0],"si":"y"}]`), ot.Left); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("offset past the last: error %v", err)
	}
	for _, c := range [][2]string{
		{`[{"p":["k",0],"sd":"abc"}]`, `[{"p":["k",1],"sd":"x"}]`}, // both cannot be true
		{`[{"p":["k"],"od":1}]`, `[{"p":["k","x"],"oi":1}]`},       // the number has no members
		{`[{"p":["k"],"od":1e308}]`, `[{"p":["k"],"na":1e308}]`},   // nor would it be finite
		{`[{"p":["k",1],"si":"x"}]`, `[{"p":["k",1],"lm":"3"}]`},   // a list is no string
		{`[{"p":["x"],"oi":1}]`, `[{"p":["a"],"ld":1}]`},           // an index "a"
	} {
		got, err := json0.Transform(op(t, c[0]), op(t, c[1]), ot.Left)
		if !errors.Is(err, ot.ErrMismatch) || got != nil {
			t.Errorf("%s over %s: %s, error %v", c[0], c[1], str(got), err)
		}
	}
	if got, err := json0.Compose(op(t, `[{"p":[],"na":1e308}]`), op(t, `[{"p":[],"na":1e308}]`)); !errors.Is(err, ot.ErrMismatch) {
		t.Errorf("a sum that is not finite: %s, error %v", str(got), err)
	}
	if got, err := json0.Compose(op(t, `[{"p":[0],"si":"🌍"}]`), op(t, `[{"p":[1],"si":"x"}]`)); !errors.Is(err, ot.ErrMismatch) {
		t.Errorf("a pair is split: %s, error %v", str(got), err)
	}
}

// TestInvertsSums: a sum that is rounded cannot be subtracted again; the old number is
// put back.
func TestInvertsSums(t *testing.T) {
	for in, edit := range map[string]string{`0.1`: `[{"p":[],"na":0.7}]`, `[1e-7]`: `[{"p":[0],"na":3}]`, `{"a":1e21}`: `[{"p":["a"],"na":1}]`, `1`: `[{"p":[],"na":0}]`} {
		d := parsed(t, in)
		back := ok(ok(d.Apply(op(t, edit))).Apply(ok(json0.Invert(d, op(t, edit)))))
		if !jsonvalue.Equal(back.Value(), d.Value()) {
			t.Errorf("%s over %s taken back: %s", edit, in, content(back))
		}
	}
}

func BenchmarkApply(b *testing.B) {
	row := `{"id":12345,"title":"A title of some length","done":false,"tags":["a","b"]}`
	d := ok(doc([]byte(`{"rows":[` + strings.Repeat(row+`,`, 9_999) + row + `]}`)))
	o := ok(json0.Decode([]byte(`[{"p":["rows",5000,"title",2],"si":"x"}]`), ot.Limits{}))
	b.ReportAllocs()
	for b.Loop() {
		ok(d.Apply(o))
	}
}

// typed returns n operations that type one character each into one string.
func typed(n int) []ot.Op {
	ops := make([]ot.Op, n)
	for i := range ops {
		ops[i] = ok(json0.Decode(fmt.Appendf(nil, `[{"p":["text",%d],"si":"x"}]`, i), ot.Limits{}))
	}
	return ops
}

func BenchmarkComposeAll(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		ops := typed(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				ok(typ.ComposeAll(ops))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/part")
		})
	}
}

func BenchmarkTransform(b *testing.B) {
	for _, n := range []int{1, 30, 1_000} {
		var one, other json0.Op
		for i := range n {
			one = append(one, op(b, fmt.Sprintf(`[{"p":["a",%d],"li":%d}]`, i, i))...)
			other = append(other, op(b, fmt.Sprintf(`[{"p":["a",0,"b"],"oi":%d}]`, i))...)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				ok(json0.Transform(one, other, ot.Left))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*n), "ns/pair")
		})
	}
}
