package jsonscan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/jsonscan"
)

func TestInt(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int
		err  error
	}{
		{"0", 0, nil}, {"7", 7, nil}, {"-7", -7, nil}, {" \t\r\n42 ", 42, nil}, {"1000", 1000, nil}, {"-1000", -1000, nil},
		{"1001", 0, ot.ErrLimit}, {"-1001", 0, ot.ErrLimit}, {"99999999999999999999", 0, ot.ErrLimit},
		{"", 0, ot.ErrSyntax}, {"-", 0, ot.ErrSyntax}, {"-0", 0, ot.ErrSyntax}, {"00", 0, ot.ErrSyntax}, {"07", 0, ot.ErrSyntax}, {"-07", 0, ot.ErrSyntax}, {"+7", 0, ot.ErrSyntax},
		{"7.0", 0, ot.ErrSyntax}, {"7e1", 0, ot.ErrSyntax}, {"7E1", 0, ot.ErrSyntax}, {".5", 0, ot.ErrSyntax}, {"x", 0, ot.ErrSyntax}, {`"7"`, 0, ot.ErrSyntax}, {"- 7", 0, ot.ErrSyntax},
	} {
		in := jsonscan.New([]byte(c.in))
		if got, err := in.Int(1000); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: %d, error %v; want %d, %v", c.in, got, err, c.want, c.err)
		} else if err == nil && in.End() != nil {
			t.Errorf("%q: %v", c.in, in.End())
		}
	}
}

func TestTokens(t *testing.T) {
	in := jsonscan.New([]byte(" [ null , \"a\" ,1] "))
	if in.Take('{') || !in.Take('[') || in.Take(']') || in.Peek() != 'n' || !in.Null() || in.Null() || !in.Take(',') {
		t.Fatal("start of the array")
	}
	if s, err := in.String(); s != "a" || err != nil {
		t.Fatalf("string %q, error %v", s, err)
	}
	if _, err := in.String(); !errors.Is(err, ot.ErrSyntax) {
		t.Fatalf("a comma as string: %v", err)
	}
	if !in.Take(',') || !errors.Is(in.End(), ot.ErrSyntax) {
		t.Fatal("comma")
	}
	if n, err := in.Int(5); n != 1 || err != nil || !in.Take(']') || in.End() != nil || in.Take(']') || in.Peek() != 0 {
		t.Fatalf("end of the array: %d, error %v", n, err)
	}
	for _, s := range []string{"nul", "nule", "Null", "", "\x00"} {
		if in := jsonscan.New([]byte(s)); in.Null() || in.Take(0) && s == "" {
			t.Errorf("%q taken", s)
		}
	}
}

// check compares String on one text with encoding/json.
func check(t *testing.T, data []byte) {
	t.Helper()
	in := jsonscan.New(data)
	got, err := in.String()
	if err == nil {
		err = in.End()
	}
	if err != nil && !errors.Is(err, ot.ErrSyntax) {
		t.Fatalf("%q: %v", data, err)
	}
	var want string
	valid := utf8.Valid(data) && json.Unmarshal(data, &want) == nil && strings.HasPrefix(strings.TrimLeft(string(data), " \t\r\n"), `"`)
	switch {
	case err == nil && (!valid || got != want):
		t.Fatalf("%q gives %q, encoding/json %q", data, got, want)
	case err != nil && valid && !strings.Contains(want, "\ufffd"): // its mark of an unpaired surrogate
		t.Fatalf("%q: %v, encoding/json %q", data, err, want)
	}
	if err == nil {
		again := jsonscan.New(jsonscan.AppendString(nil, got))
		if s, err := again.String(); s != got || err != nil {
			t.Fatalf("%q comes back as %q, error %v", got, s, err)
		}
	}
}

var samples = []string{
	`""`, `"a"`, ` "a" `, `"naïve 🌍"`, `"\"\\\/\b\f\n\r\t"`, `"\u0041\u00e9\u4e2d\ud83c\udf0d"`, `"\uD83C\uDF0D"`, `"\ufffd"`, "\"\ufffd\"", `"\u0000"`, "\"\x7f\"",
	``, `"`, `"a`, `"\`, `"\"`, `"\u`, `"\u12`, `"\u123"`, `"\u123g"`, `"\x"`, `a`, `null`, `"a"b`, `"a""b"`, "\"\n\"", "\"\x00\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", "\"\xf5\x80\x80\x80\"",
	`"\ud83c"`, `"\udf0d"`, `"\udf0d\ud83c"`, `"\ud83cx"`, `"\ud83c\n"`, `"\ud83c\u0041"`, `"\ud83c\ud83c\udf0d"`, `"\ud83c\u`, `"\ud83c\udf0"`,
}

func TestString(t *testing.T) {
	for _, s := range samples {
		check(t, []byte(s))
	}
	for _, s := range samples[len(samples)-9:] {
		in := jsonscan.New([]byte(s))
		if got, err := in.String(); !errors.Is(err, ot.ErrSyntax) {
			t.Errorf("%s, an unpaired surrogate, gives %q, error %v", s, got, err)
		}
	}
}

func FuzzString(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s))
	}
	f.Fuzz(check)
}

func ExampleAppendString() {
	fmt.Println(string(jsonscan.AppendString(nil, "naïve \"🌍\"\n\x01")))
	// Output: "naïve \"🌍\"\n\u0001"
}
