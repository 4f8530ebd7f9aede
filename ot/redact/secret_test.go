package redact_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"quire/ot/redact"
	"quire/ot/units"
)

// TestFind holds Find to looking everywhere.
func TestFind(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	write := func(n int) (s string) {
		for range n {
			s += []string{"a", "b", "é", "🌍"}[r.IntN(2+r.IntN(3))]
		}
		return s
	}
	for range 20_000 {
		text, secret := write(r.IntN(20)), write(1+r.IntN(4))
		covered := make([]bool, len(text))
		for at := range text {
			if strings.HasPrefix(text[at:], secret) {
				for i := at; i < at+len(secret); i++ {
					covered[i] = true
				}
			}
		}
		got := make([]bool, len(text))
		last := -1
		for from, to := range redact.New(secret).Find(text) {
			if from <= last {
				t.Fatalf("%q in %q: [%d, %d) after %d", secret, text, from, to, last)
			}
			last = to
			for i := from; i < to; i++ {
				got[i] = true
			}
		}
		if !slices.Equal(got, covered) {
			t.Fatalf("%q in %q: %v, want %v", secret, text, got, covered)
		}
	}
}

func TestCover(t *testing.T) {
	var m redact.Marks
	for _, first := range []int64{105, 100, 101, 108, 0, 1000} {
		m.Add(first, 2)
	}
	m.Sort()
	for _, c := range []struct {
		text  string
		unit  units.Unit
		first int64
		want  string
	}{
		{"abcdefghij", units.UTF16, 100, "...de..h.."},
		{"abcdefghij", units.UTF16, 103, "ab..e..hij"},
		{"🌍é🌍x", units.UTF16, 105, "..é..x"},
		{"", units.UTF16, 100, ""},
		{"abc", units.UTF16, 500, "abc"},
		{"🌍é🌍x", units.Runes, 105, "..🌍."},
	} {
		if got := m.Cover(c.text, c.unit, c.first, "."); got != c.want {
			t.Errorf("%q from %d: %q, want %q", c.text, c.first, got, c.want)
		}
	}
}
