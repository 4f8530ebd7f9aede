// Package redact finds a secret in what was written and puts filler in its place, for the
// types that are ot.Redactors.
package redact

import (
	"iter"
	"strings"

	"quire/ot/units"
)

// Filler takes the place of what is redacted, one for each unit: "█", or the next character
// in Unicode that the secret does not have, so that filler never is part of a secret again.
const Filler = '\u2588'

// Secret is what is to be found.
type Secret struct {
	text string
	size units.Measure
	// border is, for each length of a part that text begins with, how long the longest
	// shorter one is that the part also ends with (Knuth, Morris and Pratt).
	border []int
	filler rune
}

// New returns the Secret of a text, valid UTF-8 and not empty.
func New(text string) *Secret {
	s := &Secret{text: text, size: units.Count(text), border: make([]int, len(text)+1), filler: Absent(func(r rune) bool { return strings.ContainsRune(text, r) })}
	for i, k := 1, 0; i < len(text); i++ {
		for k > 0 && text[i] != text[k] {
			k = s.border[k]
		}
		if text[i] == text[k] {
			k++
		}
		s.border[i+1] = k
	}
	return s
}

// Absent returns the first character from Filler on, of one unit, that is not there.
func Absent(there func(rune) bool) rune {
	r := rune(Filler)
	for there(r) {
		if r++; r == 0xD800 {
			r = 0xE000
		}
	}
	return r
}

// Filler returns what takes the place of one unit.
func (s *Secret) Filler() string { return string(s.filler) }

// Len returns the length of the secret.
func (s *Secret) Len(unit units.Unit) int { return s.size[unit] }

// Find yields the bytes [from, to) of text that occurrences of the secret make up, those that
// overlap or touch joined. It takes time linear in the text.
func (s *Secret) Find(text string) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		from, to := 0, 0
		for i, k := 0, 0; i < len(text); i++ {
			for k > 0 && text[i] != s.text[k] {
				k = s.border[k]
			}
			if text[i] == s.text[k] {
				k++
			}
			if k < len(s.text) {
				continue
			}
			k = s.border[k]
			start := i + 1 - len(s.text)
			if start > to {
				if from < to && !yield(from, to) {
					return
				}
				from = start
			}
			to = i + 1
		}
		if from < to {
			yield(from, to)
		}
	}
}

// Replace returns text with one r in the place of each UTF-16 unit of every occurrence.
func (s *Secret) Replace(text string, r rune) string {
	var out strings.Builder
	at := 0
	for from, to := range s.Find(text) {
		out.WriteString(text[at:from])
		out.WriteString(strings.Repeat(string(r), units.Count(text[from:to])[units.UTF16]))
		at = to
	}
	if at == 0 {
		return text
	}
	out.WriteString(text[at:])
	return out.String()
}
