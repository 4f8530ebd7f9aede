package session_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
)

// TestReadIsNotInVain: what was just read stays until who asked for it has it, whoever wants room
// in between. Else two who ask again and again could make each other's document leave for ever.
func TestReadIsNotInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		var w *world
		reads := 0
		var between error
		w = newWorld(t, session.Options{Limits: session.Limits{Memory: 50_000}, Observer: session.Observer{
			Loading: func(_ context.Context, doc string) func(error) {
				return func(error) {
					if doc != "a" {
						return
					}
					if reads++; reads < 10 {
						var r *session.Subscription
						if r, _, between = w.Open(ctx, session.OpenRequest{Doc: "b", Client: "client-b", Notify: func() {}}); between == nil {
							r.Close()
						}
					}
				}
			},
		}}, nil)
		defer w.stop()
		content := []byte(`"` + strings.Repeat("x", 30_000) + `"`) // there is room for one
		for _, doc := range []string{"a", "b"} {
			if _, err := w.Manager.Create(ctx, doc, "text", content, session.User{}); err != nil {
				t.Fatal(doc, err)
			}
		}
		reads = 0
		if _, err := w.Edit(ctx, "a", 0, [][]byte{[]byte(`["y"]`)}, session.Writer{}); err != nil || reads != 1 {
			t.Errorf("read %d times, %v", reads, err)
		}
		if code(between) != session.CodeBusy {
			t.Errorf("another document, meanwhile: %v, want %s", between, session.CodeBusy)
		}
		time.Sleep(time.Second) // for which it is believed that nobody can leave
		if _, err := w.Edit(ctx, "b", 0, [][]byte{[]byte(`["y"]`)}, session.Writer{}); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// TestGrownDocumentsMakeRoom: documents that outgrow the memory there is leave it when nobody has them open,
// also when nobody opens another.
func TestGrownDocumentsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		w := newWorld(t, session.Options{Limits: session.Limits{Memory: 50_000}, IdleAfter: time.Hour}, nil)
		defer w.stop()
		for _, doc := range []string{"a", "b"} {
			if _, err := w.Manager.Create(ctx, doc, "text", []byte(`"x"`), session.User{}); err != nil {
				t.Fatal(doc, err)
			}
		}
		for _, doc := range []string{"a", "b"} {
			if _, err := w.Edit(ctx, doc, 0, [][]byte{[]byte(`["` + strings.Repeat("x", 15_000) + `"]`)}, session.Writer{}); err != nil {
				t.Fatal(doc, err)
			}
			time.Sleep(time.Second)
		}
		if st := w.Stats(); st.Sessions != 2 || st.Memory <= 50_000 {
			t.Fatalf("%+v: they fit", st)
		}
		time.Sleep(40 * time.Minute)
		if st := w.Stats(); st.Sessions != 1 || st.Memory > 50_000 {
			t.Errorf("%+v", st)
		}
		if v, err := w.View(ctx, "a", session.Head); err != nil || v.Rev != 1 {
			t.Errorf("what left: %+v, %v", v, err)
		}
	})
}
