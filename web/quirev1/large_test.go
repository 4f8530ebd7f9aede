package quirev1

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
)

// TestNothingAfterTheRight: who loses the right to read a document while it is on its way is not shown it, whether it
// waits for room or for the peer.
func TestNothingAfterTheRight(t *testing.T) {
	for name, size := range map[string]int{"small": 100, "large": sharedFrom} {
		for _, crowded := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				m, stop := manager(t)
				if _, err := m.Create(context.Background(), "a", "text", []byte(`"`+strings.Repeat("secret ", size)+`"`), session.User{}); err != nil {
					t.Fatal(err)
				}
				left := func() {}
				if crowded {
					var err error
					if left, err = m.Leave(context.Background(), 1<<40); err != nil {
						t.Fatal(err)
					}
				}
				p := enter(t, m, reader())
				p.say("")
				go p.conn.Receive([]byte(`{"t":"open","doc":"a","client":"client-1"}`))
				synctest.Wait()
				p.pass.Set(identity("rita"))
				left()
				said := strings.Join(p.say(""), "\n")
				if strings.Contains(said, "secret") || !strings.Contains(said, `"t":"error","doc":"a"`) {
					t.Errorf("%s, crowded %t: it is told %.300s", name, crowded, said)
				}
				p.pass.Set(reader())
				if said := strings.Join(p.say(`{"t":"open","doc":"a","client":"client-1"}`), "\n"); !strings.Contains(said, "secret") {
					t.Errorf("%s, crowded %t: with the right again it is told %.300s", name, crowded, said)
				}
				p.conn.Ended()
				room, err := m.Leave(context.Background(), 1<<40)
				if err != nil {
					t.Fatal(err)
				}
				room()
				stop()
				time.Sleep(time.Hour)
			})
		}
	}
}
