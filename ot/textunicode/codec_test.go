package textunicode_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/text"
	"quire/ot/textunicode"
)

// refused are texts that neither decoder takes.
var refused = []string{
	``, ` `, `[`, `]`, `{}`, `null`, `5`, `"a"`, `[,]`, `[1,]`, `["a",]`, `["a"]]`, `["a"] x`, `["a" "b"]`,
	`[-1]`, `[-1,"a"]`, `["a",-1]`, `[1.5,"a"]`, `[01,"a"]`, `[+1,"a"]`, `[.5,"a"]`, `[1.,"a"]`,
	`[null]`, `[true]`, `[["a"]]`, `[[1]]`, `[{}]`, `[{"x":1}]`, `[{"d":1,"x":1}]`, `[{"x":1,"d":1}]`, `[{"d":1,"d":1}]`, `[{"d":0,"d":1}]`, `[{"D":1}]`,
	`[{"d":-1}]`, `[{"d":1.5}]`, `[{"d":null}]`, `[{"d":true}]`, `[{"d":[1]}]`, `[{"d":{"d":1}}]`, `[{"d":}]`, `[{"d":1]`, `[{"d"}]`, `[{"d" 1}]`, `[{d:1}]`,
	`["\ud800"]`, `["\udc00a"]`, `[{"d":"\ud83d"}]`, "[\"\xff\"]", "[\"a\nb\"]", "[{\"d\":\"\xed\xa0\x80\"}]", `["a]`, `[{"d":"a]`,
}

func TestRefused(t *testing.T) {
	for _, s := range refused {
		for name, read := range decoders {
			if op, err := read([]byte(s), ot.Limits{}); !errors.Is(err, ot.ErrSyntax) || op != nil {
				t.Errorf("%s(%s) = %s, error %v", name, s, str(op), err)
			}
		}
	}
}

var decoders = map[string]func([]byte, ot.Limits) (textunicode.Op, error){"Decode": textunicode.Decode, "Parse": textunicode.Parse}

// normalised are texts that Parse makes canonical and Decode refuses.
var normalised = []struct{ in, out string }{
	{`[0]`, `[]`}, {`[0,"a"]`, `["a"]`}, {`[1]`, `[]`}, {`["a",1]`, `["a"]`}, {`[""]`, `[]`}, {`[1,"",{"d":1}]`, `[1,{"d":1}]`}, {`[{"d":0}]`, `[]`}, {`[{"d":""}]`, `[]`},
	{`["a","🌍"]`, `["a🌍"]`}, {`[1,2,"a"]`, `[3,"a"]`}, {`[{"d":1},{"d":2}]`, `[{"d":3}]`}, {`["a",0,"b"]`, `["ab"]`}, {`[1,{"d":0},2,"a"]`, `[3,"a"]`},
	{`[{"d":"abc"}]`, `[{"d":3}]`}, {`[{"d":"🌍e\u0301"}]`, `[{"d":3}]`}, {`[{"d":"\ud83c\udf0d"},{"d":2}]`, `[{"d":3}]`}, {`["a",{"d":"b"},5]`, `["a",{"d":1}]`},
	{`[-0,"a"]`, `["a"]`}, {`[2.0,"a"]`, `[2,"a"]`}, {`[1e1,{"d":30e-1}]`, `[10,{"d":3}]`},
}

func TestParse(t *testing.T) {
	for _, c := range normalised {
		if got, err := textunicode.Parse([]byte(c.in), ot.Limits{}); err != nil || str(got) != c.out {
			t.Errorf("Parse(%s) = %s, error %v; want %s", c.in, str(got), err, c.out)
		}
		if got, err := textunicode.Decode([]byte(c.in), ot.Limits{}); !errors.Is(err, ot.ErrSyntax) || got != nil {
			t.Errorf("Decode(%s) = %s, error %v", c.in, str(got), err)
		}
	}
	for _, in := range []string{`[]`, `[5,"abc",{"d":3}]`, `[{"d":2147483647}]`, `["👩\u200d🚀",{"d":1}]`, " [ 1 ,\n\"a\" , { \"d\" : 2 } ] ", `["\ud83c\udf0d\u0001\""]`} {
		strict, err1 := textunicode.Decode([]byte(in), ot.Limits{})
		loose, err2 := textunicode.Parse([]byte(in), ot.Limits{})
		if err1 != nil || err2 != nil || str(strict) != str(loose) {
			t.Errorf("%s: Decode gives %s, error %v; Parse %s, error %v", in, str(strict), err1, str(loose), err2)
		}
	}
	if got := op(`[1,"👩\u200d🚀"]`); got[1].N != 3 {
		t.Errorf("an insert of three code points is %d long", got[1].N)
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		in  string
		lim ot.Limits
		ok  bool
	}{
		{`[2147483648,"a"]`, ot.Limits{}, false}, {`[{"d":2147483648}]`, ot.Limits{}, false}, {`[1073741824,{"d":1073741824}]`, ot.Limits{}, false},
		{`[99999999999999999999999999,"a"]`, ot.Limits{}, false}, {`[1e400,"a"]`, ot.Limits{}, false}, {`[2147483647,"a"]`, ot.Limits{}, true},
		{`[7,{"d":3}]`, ot.Limits{MaxLength: 10}, true}, {`[7,{"d":4}]`, ot.Limits{MaxLength: 10}, false}, {`[11,"a"]`, ot.Limits{MaxLength: 10}, false},
		{`["🌍🌍🌍"]`, ot.Limits{MaxLength: 3}, true}, {`["🌍🌍🌍🌍"]`, ot.Limits{MaxLength: 3}, false},
		{`[1,"a",{"d":1}]`, ot.Limits{MaxComponents: 3}, true}, {`[1,"a",{"d":1},1,"b"]`, ot.Limits{MaxComponents: 3}, false},
	} {
		for name, read := range decoders {
			if name == "Decode" && c.in == `[1e400,"a"]` {
				continue // an exponent is no canonical number at all
			}
			op, err := read([]byte(c.in), c.lim)
			if c.ok && err != nil || !c.ok && (!errors.Is(err, ot.ErrLimit) || op != nil) {
				t.Errorf("%s(%s, %+v) = %s, error %v", name, c.in, c.lim, str(op), err)
			}
		}
	}
	for _, c := range []struct {
		in  string
		lim ot.Limits
		ok  bool
	}{
		{`["ab","c"]`, ot.Limits{MaxLength: 3}, true}, {`["ab","cd"]`, ot.Limits{MaxLength: 3}, false},
		{`[{"d":"ab"},{"d":1}]`, ot.Limits{MaxLength: 3}, true}, {`[{"d":"ab"},{"d":"cd"}]`, ot.Limits{MaxLength: 3}, false}, {`[{"d":"abcd"}]`, ot.Limits{MaxLength: 3}, false},
		{`["a","b",0,"c"]`, ot.Limits{MaxComponents: 1}, true}, {`["a",1]`, ot.Limits{MaxComponents: 2}, true},
	} {
		op, err := textunicode.Parse([]byte(c.in), c.lim)
		if c.ok && err != nil || !c.ok && (!errors.Is(err, ot.ErrLimit) || op != nil) {
			t.Errorf("Parse(%s, %+v) = %s, error %v", c.in, c.lim, str(op), err)
		}
	}
}

func TestUnmarshal(t *testing.T) {
	stored := ok(typ.UnmarshalOp(typ.MarshalOp(nil, op(`[3,"🌍a",{"d":2}]`)))).(textunicode.Op)
	if str(stored) != `[3,"🌍a",{"d":2}]` || stored[1].N != 2 {
		t.Errorf("stored operation: %s, an insert of %d", str(stored), stored[1].N)
	}
	for _, data := range []string{"\x04", "\x00", "\x01", "\x03", "\x05\xff", "\x09a", "\x84\x00", "\x06\x06", "\xff\xff\xff\xff\xff\xff"} {
		if op, err := typ.UnmarshalOp([]byte(data)); !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) || op != nil {
			t.Errorf("%x: %v, error %v", data, op, err)
		}
	}
}

// canonical checks an operation that a decoder gave.
func canonical(t *testing.T, got textunicode.Op) {
	t.Helper()
	for i, c := range got {
		if c.N < 1 || c.Kind > text.Delete || i > 0 && got[i-1].Kind == c.Kind || (c.Kind == text.Insert) != (c.S != "") || c.S != "" && c.N != utf8.RuneCountInString(c.S) {
			t.Fatalf("component %d of %s: %+v", i, str(got), c)
		}
	}
	if n := len(got); n > 0 && got[n-1].Kind == text.Retain {
		t.Fatalf("%s ends in a retain", str(got))
	}
	again, err := textunicode.Decode([]byte(str(got)), ot.Limits{})
	if err != nil || !slices.Equal(again, got) {
		t.Fatalf("%s decodes to %s, error %v", str(got), str(again), err)
	}
	stored, err := typ.UnmarshalOp(typ.MarshalOp(nil, got))
	if err != nil || !slices.Equal(stored.(textunicode.Op), got) {
		t.Fatalf("%s is stored as %v, error %v", str(got), stored, err)
	}
}

// total returns what an operation inserts and how many code points it deletes, read by
// encoding/json.
func total(t *testing.T, data []byte) (inserted string, deleted int) {
	t.Helper()
	var list []any
	if err := json.Unmarshal(data, &list); err != nil || !utf8.Valid(data) {
		t.Fatalf("%q is no array: %v", data, err)
	}
	for _, c := range list {
		switch c := c.(type) {
		case string:
			inserted += c
		case map[string]any:
			switch d := c["d"].(type) {
			case string:
				deleted += utf8.RuneCountInString(d)
			case float64:
				deleted += int(d)
			}
		}
	}
	return inserted, deleted
}

func fuzzDecoder(f *testing.F, read func([]byte, ot.Limits) (textunicode.Op, error)) {
	for _, s := range slices.Concat(refused, []string{`[5,"abc",{"d":3}]`, `["\ud83c\udf0d",{"d":"🌍"}]`, ` [ 1 , "é" ] `}) {
		f.Add([]byte(s))
	}
	for _, c := range normalised {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := read(data, ot.Limits{})
		if err != nil {
			if !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) || got != nil {
				t.Fatalf("%s, error %v", str(got), err)
			}
			return
		}
		canonical(t, got)
		inserted, deleted := total(t, data)
		if again, n := total(t, []byte(str(got))); again != inserted || n != deleted {
			t.Fatalf("%q gives %s", data, str(got))
		}
	})
}

func FuzzDecode(f *testing.F) { fuzzDecoder(f, textunicode.Decode) }

func FuzzParse(f *testing.F) { fuzzDecoder(f, textunicode.Parse) }

// FuzzUnmarshal: damaged data gives an error or a canonical operation.
func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{`[5,"abc",{"d":3}]`, `["🌍",{"d":1}]`, `[300,{"d":300}]`} {
		f.Add(typ.MarshalOp(nil, op(s)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := typ.UnmarshalOp(data)
		if err != nil {
			return
		}
		if again := typ.MarshalOp(nil, got); string(again) != string(data) {
			t.Fatalf("%x and %x are one operation", data, again)
		}
		canonical(t, got.(textunicode.Op))
	})
}

func ExampleParse() {
	op, err := textunicode.Parse([]byte(`[1,1,"🌍",{"d":"old"},4]`), ot.Limits{})
	fmt.Println(str(op), err)
	// Output: [2,"🌍",{"d":3}] <nil>
}

func ExampleFromText() {
	d, _ := text.FromString("🌍 Hello")
	wide, _ := text.Decode([]byte(`[3,"Oh. ",-1]`), ot.Limits{})
	op, err := textunicode.FromText(d, wide)
	fmt.Println(str(op), err)
	// Output: [2,"Oh. ",{"d":1}] <nil>
}
