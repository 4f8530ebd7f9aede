package quirev1

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage/mem"
	"quire/web/auth"
	"quire/web/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ear is a Sender that notes what is sent, and may do something while it is.
type ear struct {
	said   []string
	during func()
}

func (e *ear) SendText(p []byte) {
	e.said = append(e.said, string(p))
	if f := e.during; f != nil {
		e.during = nil
		f()
	}
}
func (e *ear) SendShared(m *ws.Shared) { e.SendText(m.Text()) }
func (e *ear) SendAround(head []byte, m *ws.Shared, tail []byte) {
	e.SendText(slices.Concat(head, m.Text(), tail))
}
func (e *ear) Waiting() int { return 0 }
func (e *ear) Depart()      {}
func (e *ear) Close(code int, _ string) {
	e.said = append(e.said, fmt.Sprintf("(closes the connection: %d)", code))
}

func connect(t *testing.T) (c *Conn, end func()) {
	m := session.New(session.Options{Store: mem.New(), Types: []ot.Type{text.Type{}}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	c = New(Options{Manager: m}).Connect(auth.Anybody(), func() {})
	return c, func() {
		c.Ended()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour) // of a bubble: the last timers
	}
}

// TestOpenedComesFirst opens a document at the very moment when the sender is writing
// something else: its news must not overtake its "opened".
func TestOpenedComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := connect(t)
		defer end()
		e := &ear{during: func() {
			if why := c.Receive([]byte(`{"t":"open","doc":"b","client":"client-1","create":"text","user":{"name":"Ada"}}`)); why != nil {
				t.Error(why)
			}
		}}
		c.Receive([]byte(`{"t":"ping"}`))
		for c.Send(e) {
		}
		all := strings.Join(e.said, "\n")
		opened, presence := strings.Index(all, `"opened"`), strings.Index(all, `"presence","doc"`)
		if opened < 0 || presence < opened {
			t.Errorf("the messages came as\n%s", all)
		}
	})
}

// TestAnswersAreBounded lets a peer ask, in every way, without reading the answers.
func TestAnswersAreBounded(t *testing.T) {
	for _, msg := range []string{
		`{"t":"submit","doc":"` + strings.Repeat("d", 400) + `","base":0,"seq":1,"ops":[[1]]}`,
		`{"t":"check","doc":"` + strings.Repeat("d", 400) + `"}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			c, end := connect(t)
			defer end()
			asked := 0
			go func() {
				for range 100_000 {
					if asked++; c.Receive([]byte(msg)) != nil {
						return
					}
					c.mu.Lock()
					over := c.ended
					c.mu.Unlock()
					if over {
						return
					}
				}
			}()
			synctest.Wait()
			c.mu.Lock()
			held := c.held.Bytes()
			c.mu.Unlock()
			if asked == 100_000 || held > maxOutbox+1000 {
				t.Errorf("%d messages were taken, %d bytes of answers are held, limit %d", asked, held, maxOutbox)
			}
		})
	}
}

// TestHeldIsCounted has a peer ask and read nothing: what waits for it is told, where there is no room for it the peer
// has to wait sooner, and all is given back in the end.
func TestHeldIsCounted(t *testing.T) {
	for _, room := range []int{64 << 20, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			m, stop := manager(t)
			held := 0
			c := New(Options{Manager: m}).ConnectIn(context.Background(), auth.Anybody(), func() {}, func(n int) bool { held += n; return held <= room })
			var over atomic.Bool
			go func() {
				for !over.Load() {
					c.Receive([]byte(`{"t":"check","doc":"` + strings.Repeat("d", 400) + `"}`))
				}
			}()
			synctest.Wait()
			if most := min(room, maxOutbox) + 64<<10; held < most/2 || held > most {
				t.Errorf("room for %d: %d bytes are held", room, held)
			}
			over.Store(true)
			c.Ended()
			if synctest.Wait(); held != 0 {
				t.Errorf("%d bytes are held when it has ended", held)
			}
			stop()
			time.Sleep(time.Hour)
		})
	}
}

func TestHugeIDsAreNotEchoed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := connect(t)
		defer end()
		c.Receive([]byte(`{"t":"submit","doc":"` + strings.Repeat("d", 100_000) + `","base":0,"seq":1,"ops":[[1]]}`))
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.held.Bytes() > 1000 {
			t.Errorf("the answer has %d bytes", c.held.Bytes())
		}
	})
}

// TestRefusedResumeLeavesTheDocumentOpen tries to resume from where nothing is.
func TestRefusedResumeLeavesTheDocumentOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := connect(t)
		defer end()
		e := &ear{}
		say := func(msg string) {
			c.Receive([]byte(msg))
			synctest.Wait()
			for c.Send(e) {
			}
		}
		say(`{"t":"open","doc":"a","client":"client-1","create":"text"}`)
		c.mu.Lock()
		inc := e.said[1][strings.Index(e.said[1], `"inc":"`)+7:][:16]
		c.mu.Unlock()
		say(fmt.Sprintf(`{"t":"open","doc":"a","client":"client-1","inc":"%s","rev":9,"seq":0}`, inc))
		say(`{"t":"open","doc":"a","client":"client-1","inc":"zzz","rev":0,"seq":0}`)
		say(`{"t":"check","doc":"a"}`)
		all := strings.Join(e.said, "\n")
		for _, want := range []string{`"future"`, `"incarnation"`, `{"t":"check","doc":"a","rev":0`} {
			if !strings.Contains(all, want) {
				t.Errorf("no %s in\n%s", want, all)
			}
		}
		if strings.Contains(all, "replaced") || strings.Contains(all, "not_open") {
			t.Errorf("the document was closed:\n%s", all)
		}
	})
}
