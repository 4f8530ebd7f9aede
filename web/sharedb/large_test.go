package sharedb_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
	"quire/web/auth"
	"quire/web/sharedb"
	"quire/web/webtest"
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

// everything is more bytes than there is room for: it takes all there is.
const everything = 1 << 40

// asks is every request that is answered with a large document, c/d.
var asks = []string{
	`{"a":"f","c":"c","d":"d"}`, `{"a":"s","c":"c","d":"d"}`, `{"a":"bf","c":"c","b":["d","e"]}`, `{"a":"bs","c":"c","b":["e","d"]}`,
	`{"a":"nf","c":"c","d":"d","id":1,"v":null}`, `{"a":"nf","c":"c","d":"d","id":1,"v":1}`, `{"a":"nt","c":"c","d":"d","id":1,"ts":null}`,
	`{"a":"qf","id":1,"c":"c","q":{}}`, `{"a":"qs","id":1,"c":"c","q":{}}`, `{"a":"qs","id":1,"c":"c","q":{},"r":[["d",null]]}`,
}

// secret makes a large document c/d and a small one c/e, with the word secret in them.
func secret(w *world) {
	w.t.Helper()
	for id, n := range map[string]int{"c/d": 20_000, "c/e": 1} {
		if _, err := w.manager.Create(context.Background(), id, "text", []byte(`"`+strings.Repeat("secret ", n)+`"`), session.User{}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// free reports whether all the room for what is on its way is there.
func free(m *session.Manager) bool {
	there := make(chan func(), 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		if done, err := m.Leave(ctx, everything); err == nil {
			there <- done
		}
	}()
	synctest.Wait()
	cancel()
	select {
	case done := <-there:
		done()
		return true
	default:
		return false
	}
}

// TestLargeAnswersWait: every answer with a large document waits until there is room for it, is whole then, and empty for
// who has lost the right to read the document meanwhile.
func TestLargeAnswersWait(t *testing.T) {
	for _, ask := range asks {
		for _, loses := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.stop()
				secret(w)
				reader := auth.Identity{Author: "rita", Kind: auth.Token, Grants: []auth.Grant{{Docs: "c/*", Role: auth.Read}}}
				pass := auth.NewPass(reader)
				w.as(pass)
				others, err := w.manager.Leave(t.Context(), everything)
				if err != nil {
					t.Fatal(err)
				}
				go w.conn.Receive([]byte(ask))
				synctest.Wait()
				go func() {
					for w.conn.Send(&w.peer) {
					}
				}()
				synctest.Wait()
				if said := strings.Join(w.peer.Said, "\n"); len(said) > 1000 {
					t.Errorf("%s: it did not wait: %.300s", ask, said)
				}
				w.peer.Said = nil
				if loses {
					pass.Set(auth.Identity{Author: "rita", Kind: auth.Token})
				}
				others()
				synctest.Wait()
				w.settle()
				if said := strings.Join(w.peer.Said, "\n"); strings.Contains(said, "secret") == loses || said == "" {
					t.Errorf("%s: loses the right %t, and is told %.300s, %d bytes", ask, loses, said, len(said))
				}
				if !free(w.manager) {
					t.Errorf("%s: something is counted that has left", ask)
				}
			})
		}
	}
}

// TestNothingStaysCounted has connections ask for large documents, be edited under, take answers or not, lose rights, wait
// for others and end, at random moments: nothing is counted in the end.
func TestNothingStaysCounted(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t)
			defer w.stop()
			secret(w)
			var mu sync.Mutex
			held := 0
			type someone struct {
				*sharedb.Conn
				pass         *auth.Pass
				sender, busy chan struct{} // have a place for who sends, and who receives
				over         bool
			}
			reader := auth.Identity{Author: "rita", Kind: auth.Token, Grants: []auth.Grant{{Docs: "c/*", Role: auth.Read}}}
			var all []*someone
			for range 4 {
				p := &someone{pass: auth.NewPass(reader), sender: make(chan struct{}, 1), busy: make(chan struct{}, 1)}
				p.Conn = w.proto.ConnectIn(context.Background(), p.pass, func() {}, func(n int) bool {
					mu.Lock()
					defer mu.Unlock()
					held += n
					return held < 1<<20
				})
				all = append(all, p)
			}
			end := func(p *someone) {
				p.over = true
				go func() {
					p.sender <- struct{}{}
					p.Ended()
				}()
			}
			others := func() {}
			for range 40 {
				p := all[rng.IntN(len(all))]
				switch act := rng.IntN(20); {
				case p.over:
				case act < 8:
					select {
					case p.busy <- struct{}{}:
						ask := asks[rng.IntN(len(asks))]
						go func() {
							p.Receive([]byte(ask))
							<-p.busy
						}()
					default: // it waits
					}
				case act < 14:
					select {
					case p.sender <- struct{}{}:
						go func() {
							p.Send(&webtest.Peer{})
							<-p.sender
						}()
					default: // it sends
					}
				case act == 14:
					p.pass.Set(auth.Identity{Author: "rita", Kind: auth.Token})
				case act == 15:
					p.pass.Set(reader)
				case act == 16:
					others()
					ctx, cancel := context.WithCancel(context.Background())
					cancel()
					if done, err := w.manager.Leave(ctx, everything); err == nil {
						others = done
					}
				case act == 17:
					_, _ = w.manager.Edit(context.Background(), "c/d", session.Head, [][]byte{[]byte(`["x"]`)}, session.Writer{})
				case act == 18:
					end(p)
				case act == 19:
					p.pass.End(session.Errorf(session.CodeUnauthenticated, "over"))
				}
				if rng.IntN(3) == 0 {
					synctest.Wait()
				}
			}
			others()
			for _, p := range all {
				if !p.over {
					end(p)
				}
			}
			synctest.Wait()
			if !free(w.manager) || held != 0 {
				t.Errorf("seed %d: %d bytes are held in the end, or something is on its way", seed, held)
			}
			time.Sleep(time.Minute)
		})
	}
}
