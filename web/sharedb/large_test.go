package sharedb_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"quire/session"
)

// TestLargeDocuments: a large document is shown as a small one is, to who subscribes and to who fetches, and news follow.
func TestLargeDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.settle()
		text := strings.Repeat("é ab", 40_000)
		if _, err := w.manager.Create(t.Context(), "c/d", "text", []byte(`"`+text+`"`), session.User{}); err != nil {
			t.Fatal(err)
		}
		for _, a := range []string{"s", "f"} {
			said := w.say(`{"a":"` + a + `","c":"c","d":"d"}`)
			if len(said) != 1 {
				t.Fatalf("%s: %d messages", a, len(said))
			}
			const before, after = `"data":"`, `"}}`
			head, rest, _ := strings.Cut(said[0], before)
			if rest != text+after || !strings.HasPrefix(head, `{"a":"`+a+`","c":"c","d":"d","data":{"v":1,`) {
				t.Errorf("%s: %.200s … %d bytes", a, said[0], len(said[0]))
			}
		}
		w.peer.Said = nil
		if _, err := w.manager.Edit(t.Context(), "c/d", session.Head, [][]byte{[]byte(`["x"]`)}, session.Writer{}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if len(w.peer.Said) != 1 || !strings.Contains(w.peer.Said[0], `"v":1`) {
			t.Errorf("after an edit: %.300q", w.peer.Said)
		}
	})
}
