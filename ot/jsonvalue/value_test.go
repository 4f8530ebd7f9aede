package jsonvalue_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/jsonvalue"
)

func form(v jsonvalue.Value) string { return string(jsonvalue.Append(nil, v)) }

// check compares what is kept about v with what its written form and a walk over it say.
func check(t testing.TB, v jsonvalue.Value) {
	t.Helper()
	if size := jsonvalue.Size(v); size != len(form(v)) {
		t.Fatalf("Size(%s) = %d, its form has %d bytes", form(v), size, len(form(v)))
	}
	if depth := jsonvalue.Depth(v); depth != depthOf(v) {
		t.Fatalf("Depth(%s) = %d, not %d", form(v), depth, depthOf(v))
	}
}

func depthOf(v jsonvalue.Value) (depth int) {
	switch v := v.(type) {
	case *jsonvalue.List:
		for i := range v.Len() {
			depth = max(depth, depthOf(v.At(i)))
		}
	case *jsonvalue.Object:
		for i := range v.Len() {
			depth = max(depth, depthOf(v.Member(i).Value))
		}
	default:
		return 0
	}
	return depth + 1
}

func parse(t testing.TB, s string) jsonvalue.Value {
	t.Helper()
	v, err := jsonvalue.Parse([]byte(s), 0)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

// TestForms holds the written form to RFC 8785, among it the numbers of its appendix B.
func TestForms(t *testing.T) {
	for in, want := range map[string]string{
		`null`: `null`, ` true `: `true`, `false`: `false`, `""`: `""`, `[]`: `[]`, `{ }`: `{}`,
		`[ 1 , "a" ,[ ]]`: `[1,"a",[]]`, `{"b":1,"a":{"d":[],"c":null}}`: `{"a":{"c":null,"d":[]},"b":1}`,
		`{"a":1,"b":2,"a":3}`: `{"a":3,"b":2}`,
		`{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`: "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\ufb33\":3}",
		`{"10":1,"9":2,"":3}`:                                                                `{"":3,"10":1,"9":2}`,
		`"\u0000\b\t\n\f\r\u001f\"\\\/\u007f\u2028"`:                                         "\"\\u0000\\b\\t\\n\\f\\r\\u001f\\\"\\\\/\u007f\u2028\"",
		`[0,-0,-0.0,0e5,1.0,10e-1,100,1E2,-5,0.1,123.456]`:                                   `[0,0,0,0,1,1,100,100,-5,0.1,123.456]`,
		`[1e20,1e21,1e22,123456789012345680000,1e-6,1e-7,-1.5e-9,1.5e300]`:                   `[100000000000000000000,1e+21,1e+22,123456789012345680000,0.000001,1e-7,-1.5e-9,1.5e+300]`,
		`[9007199254740993,333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001]`: `[9007199254740992,333333333.3333333,1e+30,4.5,0.002,1e-27]`,
		`1e-400`: `0`, `5e-324`: `5e-324`, `1.7976931348623157e308`: `1.7976931348623157e+308`,
	} {
		v := parse(t, in)
		if form(v) != want {
			t.Errorf("%s is written %s, want %s", in, form(v), want)
		}
		check(t, v)
	}
	for bits, want := range map[uint64]string{ // RFC 8785, appendix B
		0x0000000000000001: `5e-324`, 0x8000000000000001: `-5e-324`, 0x7fefffffffffffff: `1.7976931348623157e+308`, 0x4340000000000000: `9007199254740992`, 0xc340000000000000: `-9007199254740992`,
		0x4430000000000000: `295147905179352830000`, 0x44b52d02c7e14af5: `9.999999999999997e+22`, 0x44b52d02c7e14af6: `1e+23`, 0x44b52d02c7e14af7: `1.0000000000000001e+23`, 0x444b1ae4d6e2ef4e: `999999999999999700000`,
		0x444b1ae4d6e2ef4f: `999999999999999900000`, 0x444b1ae4d6e2ef50: `1e+21`, 0x3eb0c6f7a0b5ed8c: `9.999999999999997e-7`, 0x3eb0c6f7a0b5ed8d: `0.000001`, 0x41b3de4355555553: `333333333.3333332`, 0xbecbf647612f3696: `-0.0000033333333333333333`,
	} {
		if got := form(math.Float64frombits(bits)); got != want {
			t.Errorf("%x is written %s, want %s", bits, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	for in, want := range map[string]error{
		``: ot.ErrSyntax, `nul`: ot.ErrSyntax, `nulls`: ot.ErrSyntax, `True`: ot.ErrSyntax, `1 2`: ot.ErrSyntax, `[1,]`: ot.ErrSyntax, `[,1]`: ot.ErrSyntax, `[1`: ot.ErrSyntax, `{"a"}`: ot.ErrSyntax, `{"a":}`: ot.ErrSyntax, `{"a":1,}`: ot.ErrSyntax, `{a:1}`: ot.ErrSyntax, `{1:1}`: ot.ErrSyntax, `{"a":1`: ot.ErrSyntax,
		`01`: ot.ErrSyntax, `+1`: ot.ErrSyntax, `.5`: ot.ErrSyntax, `1.`: ot.ErrSyntax, `1e`: ot.ErrSyntax, `-`: ot.ErrSyntax, `0x1`: ot.ErrSyntax, `NaN`: ot.ErrSyntax, `-Infinity`: ot.ErrSyntax, `1_0`: ot.ErrSyntax,
		`"\ud800"`: ot.ErrSyntax, `"\x41"`: ot.ErrSyntax, "\"\xff\"": ot.ErrSyntax, "\"\n\"": ot.ErrSyntax, `'a'`: ot.ErrSyntax, "\ufeff1": ot.ErrSyntax,
		`{"__proto__":1}`: ot.ErrSyntax, `[{"a":{"\u005f_proto__":{}}}]`: ot.ErrSyntax,
		`1e309`: ot.ErrLimit, `-1e309`: ot.ErrLimit, nested(129): ot.ErrLimit, strings.Repeat(`{"a":`, 1<<16): ot.ErrLimit, strings.Repeat(`[`, 1<<20): ot.ErrLimit,
		nested(128): nil, `{"proto":1,"constructor":2}`: nil,
	} {
		if v, err := jsonvalue.Parse([]byte(in), 0); !errors.Is(err, want) || err != nil && v != nil {
			t.Errorf("%.40q: %v, error %v, want %v", in, v, err, want)
		}
	}
	for depth, in := range map[int]string{1: `[1,{}]`, 2: `[[[]]]`, 3: `{"a":[{"b":[]}]}`} {
		if _, err := jsonvalue.Parse([]byte(in), depth); !errors.Is(err, ot.ErrLimit) {
			t.Errorf("%s within %d: error %v", in, depth, err)
		}
		if _, err := jsonvalue.Parse([]byte(in), depth+1); err != nil {
			t.Errorf("%s within %d: error %v", in, depth+1, err)
		}
	}
}

// TestNames compares the order of names with that of their UTF-16 code units.
func TestNames(t *testing.T) {
	names := []string{"", "a", "aa", "b", "\x00", "é", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "a\uffff", "a\U00010000", "\U00010000a", "🌍", "🌎"}
	for _, a := range names {
		for _, b := range names {
			want := slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
			if got := jsonvalue.CompareNames(a, b); (got < 0) != (want < 0) || (got > 0) != (want > 0) {
				t.Errorf("CompareNames(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

// thing returns a random value.
func thing(r *rand.Rand, depth int) jsonvalue.Value {
	n := r.IntN(3 + depth)
	switch {
	case n == 0:
		return nil
	case n == 1:
		return float64(r.IntN(1000)) / 8
	case n == 2:
		return strings.Repeat("é\"\n🌍"[:1+r.IntN(2)*3], r.IntN(3))
	case n%2 == 1:
		items := make([]jsonvalue.Value, r.IntN(4))
		for i := range items {
			items[i] = thing(r, depth-1)
		}
		return jsonvalue.NewList(items)
	}
	members := make([]jsonvalue.Member, r.IntN(4))
	for i := range members {
		members[i] = jsonvalue.Member{Name: name(r), Value: thing(r, depth-1)}
	}
	return jsonvalue.NewObject(members)
}

func name(r *rand.Rand) string {
	return []string{"", "a", "b", "10", "9", "\uffff", "🌍", "\t"}[r.IntN(8)]
}

// TestChanges compares lists and objects that are changed again and again with slices and
// maps, and sees that none changes when another is made of it.
func TestChanges(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		list, items := jsonvalue.NewList(nil), []jsonvalue.Value{}
		object, members := jsonvalue.NewObject(nil), map[string]jsonvalue.Value{}
		for range 40 {
			before, beforeList, beforeObject := [2]string{form(list), form(object)}, list, object
			v, n := thing(r, 4), len(items)
			switch what := r.IntN(4); {
			case what == 0 || n == 0:
				i := r.IntN(n + 1)
				list, items = list.Inserted(i, v), slices.Insert(items, i, v)
			case what == 1:
				i := r.IntN(n)
				list, items = list.Removed(i), slices.Delete(items, i, i+1)
			case what == 2:
				i := r.IntN(n)
				list = list.With(i, v)
				items[i] = v
			default:
				from, to := r.IntN(n), r.IntN(n)
				item := items[from]
				list, items = list.Moved(from, to), slices.Insert(slices.Delete(items, from, from+1), to, item)
			}
			if key := name(r); r.IntN(3) > 0 {
				object, members[key] = object.With(key, v), v
			} else {
				object = object.Without(key)
				delete(members, key)
			}
			if now := [2]string{form(beforeList), form(beforeObject)}; now != before {
				t.Fatalf("seed %d: %s was changed to %s", seed, before, now)
			}
			check(t, list)
			check(t, object)
			same(t, list, object, items, members)
		}
	}
}

func same(t *testing.T, list *jsonvalue.List, object *jsonvalue.Object, items []jsonvalue.Value, members map[string]jsonvalue.Value) {
	t.Helper()
	if !jsonvalue.Equal(list, jsonvalue.NewList(slices.Clone(items))) || list.Len() != len(items) {
		t.Fatalf("%s is not the list %v", form(list), items)
	}
	var all []jsonvalue.Member
	for name, v := range members {
		all = append(all, jsonvalue.Member{Name: name, Value: v})
		if got, ok := object.Get(name); !ok || !jsonvalue.Equal(got, v) {
			t.Fatalf("%q of %s is %v", name, form(object), got)
		}
	}
	if !jsonvalue.Equal(object, jsonvalue.NewObject(all)) || object.Len() != len(members) {
		t.Fatalf("%s is not the object %v", form(object), members)
	}
	if got, ok := object.Get("nothing"); ok || got != nil {
		t.Fatalf("%s has %v", form(object), got)
	}
}

func TestEqual(t *testing.T) {
	forms := []string{`null`, `true`, `false`, `0`, `1`, `""`, `"a"`, `"0"`, `[]`, `[null]`, `[1,2]`, `[2,1]`, `[[]]`, `{}`, `{"a":1}`, `{"a":2}`, `{"b":1}`, `{"a":1,"b":1}`, `[{"a":[1]}]`, `[{"a":[2]}]`}
	for _, a := range forms {
		for _, b := range forms {
			if got := jsonvalue.Equal(parse(t, a), parse(t, b)); got != (a == b) {
				t.Errorf("Equal(%s, %s) = %t", a, b, got)
			}
		}
	}
	var none *jsonvalue.Object
	if v, ok := none.Get("a"); ok || v != nil {
		t.Error("a nil object has members")
	}
}

// FuzzParse: what is accepted, encoding/json accepts as well and reads as the same; what
// is refused it refuses too, but for what JSON leaves open.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`null`, `[1,-0.5e3,"a"]`, `{"b":[true,false],"a":{"":null}}`, `"\ud83c\udf0d\u00e9"`, `1e309`, `{"__proto__":1}`, `"\ud800"`, `{"a":1,"a":2}`, `[9007199254740993]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := jsonvalue.Parse(data, 0)
		var want any
		errStd := json.Unmarshal(data, &want)
		if err != nil {
			if !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) || v != nil {
				t.Fatalf("%q: %v, error %v", data, v, err)
			}
			lax := !utf8.Valid(data) || bytes.Contains(data, []byte("__proto__")) || bytes.Contains(data, []byte(`\u`)) || errors.Is(err, ot.ErrLimit)
			if errStd == nil && !lax {
				t.Fatalf("%q is refused: %v", data, err)
			}
			return
		}
		if errStd != nil {
			t.Fatalf("%q is accepted, but %v", data, errStd)
		}
		check(t, v)
		compare(t, v, want)
		if again := parse(t, form(v)); !jsonvalue.Equal(again, v) || form(again) != form(v) {
			t.Fatalf("%s comes back as %s", form(v), form(again))
		}
	})
}

// compare fails unless v is what encoding/json made of the same text.
func compare(t *testing.T, v jsonvalue.Value, want any) {
	t.Helper()
	ok := false
	switch want := want.(type) {
	case []any:
		var list *jsonvalue.List
		if list, ok = v.(*jsonvalue.List); ok && list.Len() == len(want) {
			for i := range want {
				compare(t, list.At(i), want[i])
			}
			return
		}
	case map[string]any:
		var object *jsonvalue.Object
		if object, ok = v.(*jsonvalue.Object); ok && object.Len() == len(want) {
			for i := range object.Len() {
				m := object.Member(i)
				compare(t, m.Value, want[m.Name])
			}
			return
		}
	case float64:
		ok = v == want+0
	default:
		ok = v == want
	}
	if !ok {
		t.Fatalf("%s is not %v", form(v), want)
	}
}

func ExampleList() {
	list := jsonvalue.NewList([]jsonvalue.Value{"a", 1.5, nil})
	fmt.Println(string(jsonvalue.Append(nil, list.Moved(0, 2))), jsonvalue.Size(list))
	// Output: [1.5,null,"a"] 14
}
