package delta_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/jsonvalue"
)

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		`[]`: `[]`,
		" [ { \"retain\" : 5 } ,\t{\"insert\":\"a\"} ,\r\n{\"delete\":3} ] ":                 `[{"retain":5},{"insert":"a"},{"delete":3}]`,
		`[{"attributes":{"b":true,"a":null},"insert":"x"}]`:                                  `[{"insert":"x","attributes":{"a":null,"b":true}}]`,
		`[{"insert":"\ud83c\udf0d"}]`:                                                        `[{"insert":"🌍"}]`,
		`[{"insert":{"b":1.0,"a":[{}]}}]`:                                                    `[{"insert":{"a":[{}],"b":1}}]`,
		`[{"insert":{}}]`:                                                                    `[{"insert":{}}]`,
		`[{"insert":"a"},{"insert":{"i":1}},{"insert":{"i":1}},{"insert":"b"},{"delete":1}]`: `[{"insert":"a"},{"insert":{"i":1}},{"insert":{"i":1}},{"insert":"b"},{"delete":1}]`,
		`[{"retain":2147483646},{"delete":1}]`:                                               `[{"retain":2147483646},{"delete":1}]`,
		`[{"insert":"a","attributes":{"ops":1,"insert":2}}]`:                                 `[{"insert":"a","attributes":{"insert":2,"ops":1}}]`,
	} {
		if got, err := delta.Decode([]byte(in), ot.Limits{}); err != nil || str(got) != want {
			t.Errorf("%s: %s, error %v; want %s", in, str(got), err, want)
		}
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		`[]`: `[]`, `{"ops":[]}`: `[]`, ` { "ops" : [ ] , "x" : [1,{"y":null}] } `: `[]`,
		`{"ops":[{"insert":"a"},{"insert":"b"},{"retain":3}]}`:                                      `[{"insert":"ab"}]`,
		`[{"delete":1},{"insert":"a"},{"delete":1},{"insert":{"i":1}}]`:                             `[{"insert":"a"},{"insert":{"i":1}},{"delete":2}]`,
		`[{"insert":"a","attributes":null},{"insert":"b","attributes":{}},{"insert":""}]`:           `[{"insert":"ab"}]`,
		`[{"retain":1},{"retain":0},{"retain":2.0},{"delete":0},{"delete":1e0}]`:                    `[{"retain":3},{"delete":1}]`,
		`[{"retain":1,"attributes":{"b":1}},{"retain":0},{"retain":1,"attributes":{"b":1.0}}]`:      `[{"retain":2,"attributes":{"b":1}}]`,
		`[{"delete":1,"attributes":{"b":1}}]`:                                                       `[{"delete":1}]`,
		`[{"insert":"a","id":7,"attributes":{"b":null}}]`:                                           `[{"insert":"a","attributes":{"b":null}}]`,
		`[{"retain":1,"attributes":{"b":1}},{"retain":1}]`:                                          `[{"retain":1,"attributes":{"b":1}}]`,
		`[{"insert":"a"},{"delete":0},{"insert":"","attributes":{"b":1}},{"insert":"b"}]`:           `[{"insert":"ab"}]`,
		`[{"insert":"` + strings.Repeat("a", 80) + `"},{"insert":"🌍"},{"delete":2},{"insert":"c"}]`: `[{"insert":"` + strings.Repeat("a", 80) + `🌍c"},{"delete":2}]`,
	} {
		got, err := delta.Parse([]byte(in), ot.Limits{})
		if err != nil || str(got) != want {
			t.Errorf("%s: %s, error %v; want %s", in, str(got), err, want)
			continue
		}
		roundTrip(t, got)
	}
	for _, in := range []string{
		``, `null`, `5`, `"a"`, `{}`, `{"ops":null}`, `{"ops":{}}`, `{"ops":[],"ops":[]}`, `{"ops":[]}x`, `[[]]`, `{"ops":[{}]}`, `[{"attributes":{"b":1}}]`, `[{"x":1}]`,
		`[{"retain":-1}]`, `[{"delete":-1}]`, `[{"retain":1.5}]`, `[{"retain":"1"}]`, `[{"retain":null}]`, `[{"retain":{"image":1}}]`, `[{"delete":1e300}]`, `[{"delete":2147483648}]`,
		`[{"retain":2147483647},{"retain":1}]`, `[{"insert":null}]`, `[{"insert":1}]`, `[{"insert":[]}]`, `[{"insert":"a","delete":1}]`, `[{"insert":"a","insert":"a"}]`,
		`[{"insert":"a","attributes":[]}]`, `[{"insert":"a","attributes":"b"}]`, `[{"insert":"a","attributes":{"b":1},"attributes":{"b":1}}]`, `[{"insert":"\ud800"}]`,
		`[{"insert":"a","x":{"__proto__":1}}]`, `[{"insert":"a","attributes":{"__proto__":1}}]`, `{"ops":[],"x":}`,
	} {
		if got, err := delta.Parse([]byte(in), ot.Limits{}); !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) {
			t.Errorf("%s: %s, error %v", in, str(got), err)
		}
	}
}

func TestLimits(t *testing.T) {
	deep := strings.Repeat("[", 127) + strings.Repeat("]", 127)
	for _, c := range []struct {
		in   string
		lim  ot.Limits
		want error
	}{
		{`[{"retain":10},{"insert":"a"}]`, ot.Limits{MaxLength: 10}, nil},
		{`[{"retain":11},{"insert":"a"}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"delete":11}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"retain":5},{"delete":5}]`, ot.Limits{MaxLength: 10}, nil},
		{`[{"retain":5},{"delete":6}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"insert":"🌍🌍🌍🌍🌍"}]`, ot.Limits{MaxLength: 10}, nil},
		{`[{"insert":"🌍🌍🌍🌍🌍!"}]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[{"retain":1},{"insert":"a"},{"delete":1}]`, ot.Limits{MaxComponents: 3}, nil},
		{`[{"retain":1},{"insert":"a"},{"delete":1}]`, ot.Limits{MaxComponents: 2}, ot.ErrLimit},
		{`[{"insert":{"x":` + deep + `}}]`, ot.Limits{}, nil},
		{`[{"insert":{"x":[` + deep + `]}}]`, ot.Limits{}, ot.ErrLimit},
		{`[{"insert":"a","attributes":{"x":[` + deep + `]}}]`, ot.Limits{}, ot.ErrLimit},
		{`[{"delete":` + strings.Repeat(`9`, 1<<20) + `}]`, ot.Limits{}, ot.ErrLimit},
	} {
		for name, read := range map[string]func([]byte, ot.Limits) (delta.Op, error){"Decode": delta.Decode, "Parse": delta.Parse} {
			if _, err := read([]byte(c.in), c.lim); !errors.Is(err, c.want) {
				t.Errorf("%s of %.60s within %+v: error %v, want %v", name, c.in, c.lim, err, c.want)
			}
		}
	}
	many := `[` + strings.Repeat(`{"insert":"a"},{"insert":{}},`, 1<<19) + `{"insert":"a"}]`
	if _, err := delta.Decode([]byte(many), ot.Limits{}); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("too many components: error %v", err)
	}
	if _, err := (delta.Type{}).Create([]byte(many)); err != nil {
		t.Errorf("a document of as many: %v", err)
	}
}

func TestBuilder(t *testing.T) {
	var b delta.Builder
	bold, none := attribute("b", true), jsonvalue.NewObject(nil)
	b.Retain(2, none)
	b.Retain(3, nil)
	b.Delete(1)
	b.Insert("a", bold)
	b.Insert("", nil)
	b.Delete(2)
	b.Insert("🌍", attribute("b", true))
	b.Embed(none, nil)
	b.Retain(0, bold)
	b.Retain(1, bold)
	b.Retain(9, nil)
	want := `[{"retain":5},{"insert":"a🌍","attributes":{"b":true}},{"insert":{}},{"delete":3},{"retain":1,"attributes":{"b":true}}]`
	if got, err := b.Op(); err != nil || str(got) != want || got[1].N != 3 {
		t.Errorf("%s, error %v", str(got), err)
	}
	if got, err := b.Op(); err != nil || len(got) != 0 {
		t.Errorf("an emptied builder gives %s, error %v", str(got), err)
	}
	for name, c := range map[string]struct {
		build func()
		want  error
	}{
		"negative":      {func() { b.Retain(-1, nil) }, ot.ErrSyntax},
		"too long":      {func() { b.Delete(1 << 31) }, ot.ErrLimit},
		"too long both": {func() { b.Delete(1<<31 - 1); b.Retain(1, nil); b.Insert("x", nil) }, ot.ErrLimit},
		"invalid":       {func() { b.Insert("\xed\xa0\x80", nil) }, ot.ErrSyntax},
		"no object":     {func() { b.Embed(nil, nil) }, ot.ErrSyntax},
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

func TestUnmarshal(t *testing.T) {
	for _, in := range []string{
		``, `5 'abc'{"b":true} -3`, `'🌍' * *{"x":{"y":[]}}`, `2147483646 -1`, `1{"b":null} 300{"c":1}`, `'` + strings.Repeat("x", 300) + `'`,
	} {
		o := op(t, brief(in))
		roundTrip(t, o)
		data := o.AppendBinary(nil)
		for n := range data[:min(len(data), 40)] {
			if cut, err := delta.Unmarshal(data[:n]); err == nil && len(cut) >= len(o) {
				t.Errorf("%.40s cut to %d bytes gives the whole operation", in, n)
			}
		}
	}
	const insert, del, embed, formatted = 1, 2, 3, 4
	x := "x\xff"
	for name, data := range map[string]string{
		"zero retain":            "\x00\x01" + x,
		"zero delete":            string(rune(del)),
		"empty insert":           "\x01\xff",
		"insert with a length":   string(rune(insert|1<<3)) + x,
		"embed with a length":    string(rune(embed|1<<3)) + "{}\xff",
		"retain at the end":      "\x01" + x + "\x08",
		"neighbour inserts":      "\x01" + x + "\x01" + x,
		"neighbour retains":      "\x08\x08\x01" + x,
		"neighbour deletes":      "\x0a\x0a",
		"insert behind a delete": "\x0a\x01" + x,
		"delete with attributes": string(rune(del|formatted|1<<3)) + "{\"b\":1}\xff",
		"empty attributes":       string(rune(insert|formatted)) + "{}\xff" + x,
		"attributes no object":   string(rune(insert|formatted)) + "[1]\xff" + x,
		"attributes no JSON":     string(rune(insert|formatted)) + "{\xff" + x,
		"attributes cut short":   string(rune(insert|formatted)) + "{\"b\":1}",
		"embed no object":        string(rune(embed)) + "\"a\"\xff",
		"embed cut short":        string(rune(embed)) + "{}",
		"insert cut short":       "\x01abc",
		"invalid UTF-8":          "\x01a\xc3\xff",
		"surrogate":              "\x01\xed\xa0\x80\xff",
		"huge delete":            "\x82\x80\x80\x80\x40",
		"huge sum":               "\xf8\xff\xff\xff\x3f\x0a",
		"long form varint":       "\x8a\x00",
		"varint cut short":       "\x8a",
		"varint too long":        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	} {
		if got, err := delta.Unmarshal([]byte(data)); !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) {
			t.Errorf("%s: %s, error %v", name, str(got), err)
		}
		if d, err := (delta.Type{}).UnmarshalDoc([]byte(data)); d != nil || err == nil {
			t.Errorf("document, %s: error %v", name, err)
		}
	}
}

// roundTrip checks that an operation is canonical and survives both encodings.
func roundTrip(t *testing.T, o delta.Op) {
	t.Helper()
	for name, read := range map[string]func() (delta.Op, error){
		"Decode": func() (delta.Op, error) { return delta.Decode([]byte(str(o)), ot.Limits{MaxComponents: len(o) + 1}) },
		"Parse": func() (delta.Op, error) {
			return delta.Parse([]byte(`{"ops":`+str(o)+`}`), ot.Limits{MaxComponents: len(o) + 1})
		},
		"Unmarshal": func() (delta.Op, error) { return delta.Unmarshal(o.AppendBinary(nil)) },
	} {
		again, err := read()
		if err != nil || str(again) != str(o) || !slices.EqualFunc(o, again, func(a, b delta.Component) bool { return a.N == b.N && a.Kind == b.Kind }) {
			t.Fatalf("%s comes back from %s as %s, error %v", str(o), name, str(again), err)
		}
	}
	d := delta.New(o)
	same(t, d, o)
}

// accepted reports whether a decoder took its input; if not, it must have returned no
// result and an error that decoders may return.
func accepted(t *testing.T, none bool, err error) bool {
	t.Helper()
	if err != nil && (!none || !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit)) {
		t.Fatalf("result %t, error %v", !none, err)
	}
	return err == nil
}

func seeds(f *testing.F) {
	for _, s := range slices.Concat(reject, rejectScan) {
		f.Add([]byte(s))
	}
	for _, c := range slices.Concat(applyInputs, composeInputs) {
		f.Add([]byte(brief(c[0])))
		f.Add([]byte(brief(c[1])))
	}
	f.Add([]byte(`{"ops":[{"insert":"a","attributes":{}},{"retain":0},{"delete":1,"attributes":null},{"insert":{"x":1}}]}`))
}

// FuzzDecode: what the decoders accept is what encoding/json reads in it, Decode accepts
// nothing that Parse does not, and what both accept is the same.
func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		strict, err := delta.Decode(data, ot.Limits{})
		decoded := accepted(t, strict == nil, err)
		loose, err := delta.Parse(data, ot.Limits{})
		if !accepted(t, loose == nil, err) {
			if decoded {
				t.Fatalf("%q is refused by Parse only: %v", data, err)
			}
			return
		}
		roundTrip(t, loose)
		var plain any
		if !utf8.Valid(data) || json.Unmarshal(data, &plain) != nil {
			t.Fatalf("%q is no JSON", data)
		}
		if !decoded {
			return
		}
		var again any
		must(t, json.Unmarshal([]byte(str(strict)), &again))
		if !reflect.DeepEqual(plain, again) {
			t.Fatalf("%q decodes to %s", data, str(strict))
		}
		if str(strict) != str(loose) {
			t.Fatalf("%q is %s to Decode and %s to Parse", data, str(strict), str(loose))
		}
		d, err := delta.Type{}.Create(data)
		must(t, err)
		same(t, d.(*delta.Doc), strict)
	})
}

// FuzzUnmarshal: damaged data gives an error or a canonical operation or document.
func FuzzUnmarshal(f *testing.F) {
	for _, c := range slices.Concat(applyInputs, composeInputs) {
		f.Add(op(f, brief(c[0])).AppendBinary(nil))
		f.Add(op(f, brief(c[1])).AppendBinary(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := delta.Unmarshal(data)
		d, errDoc := delta.Type{}.UnmarshalDoc(data)
		if accepted(t, got == nil, err) != accepted(t, d == nil, errDoc) {
			t.Fatalf("%x: as an operation %v, as a document %v", data, err, errDoc)
		}
		if err == nil {
			roundTrip(t, got)
			same(t, d.(*delta.Doc), got)
		}
	})
}

// FuzzApply: whatever two operations do one after the other, a document takes them as
// Compose does.
func FuzzApply(f *testing.F) {
	for _, c := range slices.Concat(applyInputs, composeInputs, transformInputs) {
		f.Add([]byte(brief(c[0])), []byte(brief(c[1])))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		a, errA := delta.Parse(first, ot.Limits{MaxLength: 1 << 20})
		b, errB := delta.Parse(second, ot.Limits{MaxLength: 1 << 20})
		if errA != nil || errB != nil {
			return
		}
		want, err := delta.Compose(a, b)
		d, errApply := delta.New(a).Apply(b)
		inverse, errInvert := delta.Invert(delta.New(a), b)
		if (err == nil) != (errApply == nil) || (err == nil) != (errInvert == nil) {
			t.Fatalf("Compose says %v, Apply %v, Invert %v", err, errApply, errInvert)
		}
		if err == nil {
			same(t, d, want)
			roundTrip(t, inverse)
		}
		ab, err := delta.Transform(a, b, ot.Left)
		must(t, err)
		ba, err := delta.Transform(b, a, ot.Right)
		must(t, err)
		one, err1 := delta.Compose(a, ba)
		two, err2 := delta.Compose(b, ab)
		if err1 == nil && err2 == nil && str(one) != str(two) {
			t.Fatalf("the two ways: %s and %s", str(one), str(two))
		}
	})
}
