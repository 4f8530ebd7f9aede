package text_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/text"
)

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		`[]`:                           `[]`,
		" [ 5 ,\t\"a\" ,\r\n-3 ] ":     `[5,"a",-3]`,
		`["\ud83c\udf0d"]`:             `["🌍"]`,
		`["\uD83C\uDF0D\u00e9\u0041"]`: `["🌍éA"]`,
		`["\b\f\n\r\t\"\\\/\u0000"]`:   `["\b\f\n\r\t\"\\/\u0000"]`,
		`["\u2028\u2029"]`:             "[\"\u2028\u2029\"]",
		`["\ufffd\uffff"]`:             "[\"\ufffd\uffff\"]",
		`[2147483646,-1]`:              `[2147483646,-1]`,
		`[-2147483647]`:                `[-2147483647]`,
		`["a",-1,"b"]`:                 `["a",-1,"b"]`,
	} {
		if got, err := text.Decode([]byte(in), ot.Limits{}); err != nil || str(got) != want {
			t.Errorf("%s: %s, error %v; want %s", in, str(got), err, want)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		in   string
		lim  ot.Limits
		want error
	}{
		{`[10,"a"]`, ot.Limits{MaxLength: 10}, nil},
		{`[11,"a"]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[-11]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[5,-5]`, ot.Limits{MaxLength: 10}, nil},
		{`[5,-6]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`["0123456789"]`, ot.Limits{MaxLength: 10}, nil},
		{`["🌍🌍🌍🌍🌍!"]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[1,"a",-1]`, ot.Limits{MaxComponents: 3}, nil},
		{`[1,"a",-1,"b"]`, ot.Limits{MaxComponents: 3}, ot.ErrLimit},
		{`[` + strings.Repeat(`1,-1,`, 1<<19) + `1,-1]`, ot.Limits{}, ot.ErrLimit},
		{`[` + strings.Repeat(`1,-1,`, 1<<19-1) + `1,-1]`, ot.Limits{}, nil},
		{`[` + strings.Repeat(`9`, 1<<20) + `,"a"]`, ot.Limits{}, ot.ErrLimit},
	} {
		if _, err := text.Decode([]byte(c.in), c.lim); !errors.Is(err, c.want) {
			t.Errorf("%.40s within %+v: error %v, want %v", c.in, c.lim, err, c.want)
		}
	}
	for _, c := range []struct {
		in   string
		lim  ot.Limits
		want error
	}{
		{`[[1,1],[2,2]]`, ot.Limits{MaxRanges: 2}, nil},
		{`[[1,1],[2,2],[3,3]]`, ot.Limits{MaxRanges: 2}, ot.ErrLimit},
		{`[[1,11]]`, ot.Limits{MaxLength: 10}, ot.ErrLimit},
		{`[` + strings.Repeat(`[0,0],`, 127) + `[0,0]]`, ot.Limits{}, nil},
		{`[` + strings.Repeat(`[0,0],`, 128) + `[0,0]]`, ot.Limits{}, ot.ErrLimit},
	} {
		if _, err := text.DecodeCursor([]byte(c.in), c.lim); !errors.Is(err, c.want) {
			t.Errorf("cursor %.40s within %+v: error %v, want %v", c.in, c.lim, err, c.want)
		}
	}
}

// TestDecodeAllocates holds the decoder to memory in proportion to its input,
// whatever numbers that names.
func TestDecodeAllocates(t *testing.T) {
	for _, in := range []string{`[2147483646,-1]`, `[12345,-1]`, `["a"]`, `[99999999999999]`} {
		if n := testing.AllocsPerRun(100, func() { text.Decode([]byte(in), ot.Limits{}) }); n > 8 {
			t.Errorf("%s: %v allocations", in, n)
		}
	}
}

func TestUnmarshal(t *testing.T) {
	for _, in := range []string{`[]`, `[5,"abc",-3]`, `["🌍"]`, `[2147483646,-1]`, `["` + strings.Repeat("x", 300) + `"]`} {
		data := op(t, in).AppendBinary(nil)
		got, err := text.Unmarshal(data)
		if err != nil || str(got) != in {
			t.Errorf("%.40s: %.40s, error %v", in, str(got), err)
		}
		for n := range data[:min(len(data), 20)] {
			if cut, err := text.Unmarshal(data[:n]); err == nil && len(cut) >= len(got) {
				t.Errorf("%.40s cut to %d bytes gives the whole operation", in, n)
			}
		}
	}
	component := func(kind text.Kind, n uint64, s string) []byte {
		return append(binary.AppendUvarint(nil, n<<2|uint64(kind)), s...)
	}
	retain, insert, del := component(text.Retain, 3, ""), component(text.Insert, 1, "a"), component(text.Delete, 3, "")
	for name, data := range map[string][]byte{
		"unknown kind":       component(3, 1, ""),
		"zero retain":        slices.Concat(component(text.Retain, 0, ""), insert),
		"zero delete":        component(text.Delete, 0, ""),
		"empty insert":       component(text.Insert, 0, ""),
		"retain at the end":  slices.Concat(insert, retain),
		"only a retain":      retain,
		"neighbour retains":  slices.Concat(retain, retain, insert),
		"neighbour inserts":  slices.Concat(insert, insert),
		"neighbour deletes":  slices.Concat(del, del),
		"insert cut short":   component(text.Insert, 5, "abc"),
		"huge insert":        component(text.Insert, 1<<60, "abc"),
		"huge delete":        component(text.Delete, 1<<31, ""),
		"huge sum":           slices.Concat(component(text.Retain, 1<<31-1, ""), component(text.Delete, 1, "")),
		"invalid UTF-8":      component(text.Insert, 2, "a\xff"),
		"surrogate":          component(text.Insert, 3, "\xed\xa0\x80"),
		"long form varint":   {0x82, 0x80, 0x00},
		"varint cut short":   {0x82},
		"varint too long":    {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"split at character": slices.Concat(component(text.Insert, 1, "\xc3"), del),
	} {
		if got, err := text.Unmarshal(data); !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) {
			t.Errorf("%s: %s, error %v", name, str(got), err)
		}
	}
}

func TestDecodeCursor(t *testing.T) {
	for in, want := range map[string]string{
		`null`: `[]`, ` null `: `[]`, `[]`: `[]`, ` [ ] `: `[]`, `[[0,0]]`: `[[0,0]]`, " [ [ 3 , 8 ] ,\n[12,12] ] ": `[[3,8],[12,12]]`, `[[2147483647,0]]`: `[[2147483647,0]]`,
	} {
		if got, err := text.DecodeCursor([]byte(in), ot.Limits{}); err != nil || string(got.AppendJSON(nil)) != want {
			t.Errorf("%s: %s, error %v", in, got.AppendJSON(nil), err)
		}
	}
	for _, in := range []string{
		``, `nul`, `nullx`, `null null`, `0`, `"a"`, `{}`, `[`, `[[`, `[]]`, `[0,0]`, `[[0]]`, `[[0,0]`, `[[0,0,0]]`, `[[0,0],]`, `[,[0,0]]`, `[[0 0]]`, `[[0,0][1,1]]`, `[[-1,0]]`, `[[0,-1]]`,
		`[[-0,0]]`, `[[0.0,0]]`, `[[0,1e2]]`, `[[00,0]]`, `[["0",0]]`, `[[null,0]]`, `[[0,0]]x`, `[[2147483648,0]]`, `[[0,99999999999999999999]]`, `[[[0,0]]]`, `[null]`,
	} {
		if got, err := text.DecodeCursor([]byte(in), ot.Limits{}); !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) {
			t.Errorf("%s: %s, error %v", in, got.AppendJSON(nil), err)
		}
	}
	for _, c := range []struct {
		cursor text.Cursor
		want   error
	}{{nil, nil}, {text.Cursor{{0, 4}, {1, 3}}, nil}, {text.Cursor{{0, 5}}, ot.ErrMismatch}, {text.Cursor{{0, 0}, {2, 0}}, ot.ErrMismatch}, {text.Cursor{{-1, 0}}, ot.ErrMismatch}} {
		if err := c.cursor.Check(doc(t, "a🌍b")); !errors.Is(err, c.want) {
			t.Errorf("%v: error %v, want %v", c.cursor, err, c.want)
		}
	}
	if (text.Type{}).CheckCursor(doc(t, ""), nil) != nil || string((text.Type{}).AppendCursor(nil, nil)) != "[]" {
		t.Error("a nil cursor is not an empty one")
	}
}

// FuzzDecode: what the decoder accepts is canonical, and is what encoding/json
// reads in it.
func FuzzDecode(f *testing.F) {
	for _, s := range slices.Concat(reject, rejectScan, []string{`[5,"abc",-3]`, `["\ud83c\udf0d"]`, ` [ 1 , "é" ] `}) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := text.Decode(data, ot.Limits{})
		if err != nil {
			if !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) || got != nil {
				t.Fatalf("%s, error %v", str(got), err)
			}
			return
		}
		var list []any
		if !utf8.Valid(data) || json.Unmarshal(data, &list) != nil || len(list) != len(got) {
			t.Fatalf("%q is no array of %d", data, len(got))
		}
		for i, c := range got {
			switch v := list[i].(type) {
			case string:
				if c.Kind != text.Insert || c.S != v || c.N != len(wide(v)) {
					t.Fatalf("component %d of %q", i, data)
				}
			case float64:
				if n := int(v); float64(n) != v || (c.Kind != text.Retain || c.N != n) && (c.Kind != text.Delete || c.N != -n) {
					t.Fatalf("component %d of %q", i, data)
				}
			default:
				t.Fatalf("component %d of %q is a %T", i, data, v)
			}
		}
		roundTrip(t, got)
	})
}

// roundTrip checks that an operation is canonical and survives both encodings.
func roundTrip(t *testing.T, o text.Op) {
	t.Helper()
	again, err := text.Decode([]byte(str(o)), ot.Limits{})
	if err != nil || !slices.Equal(again, o) {
		t.Fatalf("%s decodes to %s, error %v", str(o), str(again), err)
	}
	again, err = text.Unmarshal(o.AppendBinary(nil))
	if err != nil || !slices.Equal(again, o) {
		t.Fatalf("%s unmarshals to %s, error %v", str(o), str(again), err)
	}
}

// FuzzUnmarshal: damaged data gives an error or a canonical operation, and only
// one form gives each.
func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{`[5,"abc",-3]`, `["🌍",-1]`, `[300,-300]`} {
		f.Add(op(f, s).AppendBinary(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := text.Unmarshal(data)
		if err != nil {
			return
		}
		if again := got.AppendBinary(nil); string(again) != string(data) {
			t.Fatalf("%x and %x are one operation", data, again)
		}
		roundTrip(t, got)
	})
}

// FuzzDecodeCursor: what the decoder accepts is what encoding/json reads in it.
func FuzzDecodeCursor(f *testing.F) {
	for _, s := range []string{`null`, `[]`, `[[3,8],[12,12]]`, `[[-1,0]]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := text.DecodeCursor(data, ot.Limits{})
		if err != nil {
			return
		}
		var want [][]int
		if err := json.Unmarshal(data, &want); err != nil || len(want) != len(got) {
			t.Fatalf("%q gives %v, error %v", data, got, err)
		}
		for i := range got {
			if !slices.Equal(got[i][:], want[i]) {
				t.Fatalf("%q gives %v", data, got)
			}
		}
		again, err := text.DecodeCursor(got.AppendJSON(nil), ot.Limits{})
		if err != nil || !slices.Equal(again, got) {
			t.Fatalf("%v comes back as %v, error %v", got, again, err)
		}
	})
}

// FuzzDoc: both forms of a document are refused or come back the same.
func FuzzDoc(f *testing.F) {
	for _, s := range []string{"", "a", "naïve 🌍\n\"", "\xed\xa0\x80", `"\ud83c\udf0d"`, `"\ud83c"`} {
		f.Add([]byte(s))
	}
	typ := text.Type{}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := typ.UnmarshalDoc(data)
		if (err == nil) != utf8.Valid(data) {
			t.Fatalf("%q: error %v", data, err)
		}
		if err == nil {
			same(t, d.(*text.Doc), string(data))
			again, err := typ.Create(typ.AppendDoc(nil, d))
			must(t, err)
			same(t, again.(*text.Doc), string(data))
		}
		if created, err := typ.Create(data); err == nil && data != nil {
			var want string
			if err := json.Unmarshal(data, &want); err != nil || created.(*text.Doc).String() != want {
				t.Fatalf("%q gives %q, error %v", data, created, err)
			}
		}
	})
}

// A script is a source of random numbers that plays back what a fuzzer wrote,
// and goes on by itself after that: rand would wait for ever for a source that
// repeats itself.
type script struct {
	written []byte
	rest    *rand.PCG
}

func (s *script) Uint64() uint64 {
	if len(s.written) < 8 {
		return s.rest.Uint64()
	}
	n := binary.BigEndian.Uint64(s.written)
	s.written = s.written[8:]
	return n
}

// FuzzAlgebra compares the algebra with the oracle on the cases the data spells.
func FuzzAlgebra(f *testing.F) {
	for i := range uint64(4) {
		r, seed := rand.New(rand.NewPCG(i, 0)), []byte(nil)
		for range 100 {
			seed = binary.BigEndian.AppendUint64(seed, r.Uint64())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		against(t, rand.New(&script{data, rand.NewPCG(1, 1)}), 8)
	})
}
