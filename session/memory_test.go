package session_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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

// TestRoomInTurn: a large document comes into memory though smaller ones come and go, in which each alone would find
// room before it.
func TestRoomInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		w := newWorld(t, session.Options{Limits: session.Limits{Memory: 100_000}}, nil)
		defer w.stop()
		doc := func(name string, size int) {
			content := []byte(`"` + strings.Repeat("x", size) + `"`)
			if _, err := w.Create(ctx, name, "text", content, session.User{}); err != nil {
				t.Fatal(name, err)
			}
		}
		const visitors = 12
		for i := range visitors {
			doc(fmt.Sprint("small-", i), 10_000) // there is room for seven
		}
		doc("large", 60_000)
		var opened, refused atomic.Int64
		over := make(chan struct{})
		var wg sync.WaitGroup
		for i := range visitors {
			wg.Go(func() {
				for {
					r, _, err := w.Open(ctx, session.OpenRequest{Doc: fmt.Sprint("small-", i), Client: fmt.Sprintf("client-%03d", i), Notify: func() {}})
					if err != nil {
						refused.Add(1)
					} else {
						opened.Add(1)
						time.Sleep(time.Duration(40+i) * time.Millisecond)
						r.Close()
					}
					select {
					case <-over:
						return
					case <-time.After(time.Duration(20+i) * time.Millisecond):
					}
				}
			})
		}
		time.Sleep(10 * time.Second)
		for i := range 10 {
			r, o, err := w.Open(ctx, session.OpenRequest{Doc: "large", Client: "client-large", Notify: func() {}})
			if err != nil {
				t.Errorf("the large one, time %d: %v", i, err)
				break
			}
			if o.Size() < 60_000 {
				t.Errorf("%d bytes", o.Size())
			}
			time.Sleep(50 * time.Millisecond)
			r.Close()
			time.Sleep(time.Second)
		}
		close(over)
		wg.Wait()
		if opened.Load() < 1000 || refused.Load() > 0 {
			t.Errorf("small ones were opened %d times, refused %d times", opened.Load(), refused.Load())
		}
	})
}

// TestRoomInVain: who waits for room that does not come is refused, and keeps those behind no longer than that.
func TestRoomInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		w := newWorld(t, session.Options{Limits: session.Limits{Memory: 100_000}, LoadTimeout: time.Hour}, nil)
		defer w.stop()
		const others = 20
		create := func(name string, size int) {
			if _, err := w.Create(ctx, name, "text", []byte(`"`+strings.Repeat("x", size)+`"`), session.User{}); err != nil {
				t.Fatal(name, err)
			}
		}
		create("kept", 50_000) // first: as long as it is in memory since it was made it takes three times as much
		create("small", 5_000)
		create("giant", 200_000)
		for i := range others {
			create(fmt.Sprint("large-", i), 60_000)
		}
		open := func(name string) (*session.Subscription, error) {
			r, _, err := w.Open(ctx, session.OpenRequest{Doc: name, Notify: func() {}})
			return r, err
		}
		kept, err := open("kept")
		if err != nil {
			t.Fatal(err)
		}
		defer kept.Close()
		if _, err := open("giant"); code(err) != session.CodeBusy {
			t.Errorf("what never fits: %v", err)
		}
		told := make(chan error, others)
		for i := range others {
			go func() {
				_, err := open(fmt.Sprint("large-", i))
				told <- err
			}()
		}
		synctest.Wait()
		r, err := open("small")
		if err != nil {
			t.Fatalf("a small one behind %d that wait: %v", others, err)
		}
		r.Close()
		for range others {
			if err := <-told; code(err) != session.CodeBusy {
				t.Errorf("%v, want %s", err, session.CodeBusy)
			}
		}
	})
}
