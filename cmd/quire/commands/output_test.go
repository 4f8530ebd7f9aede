package commands

import "testing"

// TestPlain checks that what others wrote moves no cursor, begins no line and turns no text around.
func TestPlain(t *testing.T) {
	for _, r := range "\x00\a\b\t\n\r\x1b\x7f\u0085\u009b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069" {
		if got := Plain("a" + string(r) + "b"); got != "a\ufffdb" {
			t.Errorf("%U: %q", r, got)
		}
	}
	const fine = "Ada Lovelace, Élan 山田 👩\u200d🚀"
	if got := Plain(fine); got != fine {
		t.Errorf("%q", got)
	}
}
