package session

import (
	"fmt"
	"testing"
)

func TestRecent(t *testing.T) {
	r := newRecent[string](100, 4)
	at := func(incarnation uint64, rev Revision) string {
		found, v, ok, _ := r.floor(incarnation, rev)
		if !ok {
			return "none"
		}
		return fmt.Sprintf("%s at %d", v, found)
	}
	want := func(incarnation uint64, rev Revision, want string) {
		t.Helper()
		if got := at(incarnation, rev); got != want {
			t.Errorf("up to %d of %d: %s, want %s", rev, incarnation, got, want)
		}
	}
	want(1, 9, "none")
	r.put(1, 5, "five", 20, 0)
	r.put(1, 7, "seven", 20, 0)
	r.put(2, 6, "another", 20, 0)
	want(1, 4, "none")
	want(1, 5, "five at 5")
	want(1, 6, "five at 5")
	want(1, 9, "seven at 7")
	want(3, 9, "none")
	r.put(1, 7, "seven anew", 30, 0)
	want(1, 9, "seven anew at 7")
	r.put(1, 9, "too large", 51, 0)
	want(1, 9, "seven anew at 7")

	want(1, 5, "five at 5") // and so 2's is the one that was used longest ago
	r.put(1, 8, "eight", 40, 0)
	want(2, 9, "none")
	want(1, 5, "five at 5")
	want(1, 9, "eight at 8")
	for i := range Revision(4) { // four at most
		r.put(4, i, "small", 1, 0)
	}
	want(1, 9, "none")
	want(4, 9, "small at 3")

	_, _, _, before := r.floor(4, 0)
	r.forget(4)
	want(4, 9, "none")
	r.put(4, 1, "read before it was rewritten", 1, before)
	want(4, 9, "none")
	_, _, _, after := r.floor(4, 0)
	r.put(4, 1, "read after", 1, after)
	want(4, 9, "read after at 1")
	if r.held != 1 || len(r.at) != 1 || r.order.Len() != 1 {
		t.Errorf("%d bytes in %d and %d entries", r.held, len(r.at), r.order.Len())
	}
}
