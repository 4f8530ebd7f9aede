package units_test

import (
	"fmt"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"quire/ot/units"
)

// check compares Count and Seek with the standard library on every position of s.
func check(t *testing.T, s string) {
	t.Helper()
	ends := []units.Measure{{}} // between the characters of s
	for _, r := range s {
		end := ends[len(ends)-1]
		end.Add(&units.Measure{units.UTF16: utf16.RuneLen(r), units.Runes: 1, units.Bytes: utf8.RuneLen(r)})
		ends = append(ends, end)
	}
	size := ends[len(ends)-1]
	if got := units.Count(s); got != size {
		t.Fatalf("Count(%q) = %v, want %v", s, got, size)
	}
	for _, unit := range []units.Unit{units.UTF16, units.Runes, units.Bytes} {
		next := 0
		for at := -1; at <= size[unit]+1; at++ {
			got, ok := units.Seek(s, unit, at)
			want := next < len(ends) && ends[next][unit] == at
			if ok != want || ok && got != ends[next] {
				t.Fatalf("Seek(%q, %s, %d) = %v, %t", s, unit, at, got, ok)
			}
			if want {
				next++
			}
		}
	}
}

var samples = []string{"", "a", "é", "中", "🌍", "12345678", "1234567é", "é1234567", "中文🌍🌍中文", "a\u0301🌍12345678🌍", "1234567812345678é12345678", "\x00\x7f\u0080\u07ff\u0800\uffff\U00010000\U0010ffff"}

func TestMeasure(t *testing.T) {
	for _, s := range samples {
		check(t, s)
	}
}

func FuzzMeasure(f *testing.F) {
	for _, s := range samples {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if utf8.ValidString(s) {
			check(t, s)
		}
	})
}

func ExampleSeek() {
	m, ok := units.Seek("a🌍b", units.UTF16, 3)
	fmt.Println(m[units.Bytes], m[units.Runes], ok)
	_, ok = units.Seek("a🌍b", units.UTF16, 2)
	fmt.Println(ok)
	// Output:
	// 5 2 true
	// false
}
