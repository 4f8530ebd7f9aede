package sharedb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
	"quire/storage/mem"
	"quire/web/auth"
	"quire/web/sharedb"
	"quire/web/webtest"
	"quire/web/ws"
)

// world is a server with one connection, in a bubble.
type world struct {
	t        testing.TB
	store    session.Store
	dialects []sharedb.Dialect
	manager  *session.Manager
	proto    *sharedb.Protocol
	conn     *sharedb.Conn
	peer     webtest.Peer
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, store: mem.New(), dialects: dialects()}
	w.start()
	return w
}

func (w *world) start() {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	w.manager = session.New(session.Options{Store: w.store, Types: types(), Logger: quiet})
	w.proto = sharedb.New(sharedb.Options{Manager: w.manager, Dialects: w.dialects, NewID: letters(), Logger: quiet})
	w.conn = w.proto.Connect(auth.Anybody(), func() {})
}

// restart has another server on what the first one stored.
func (w *world) restart() {
	w.stop()
	w.start()
}

// as has somebody else connected in the place of who was before.
func (w *world) as(pass *auth.Pass) {
	w.conn.Ended()
	w.conn, w.peer = w.proto.Connect(pass, func() {}), webtest.Peer{}
	w.settle()
	w.peer.Said = nil
}

// say sends messages and returns what the server answers to the last of them.
func (w *world) say(messages ...string) []string {
	w.t.Helper()
	for _, m := range messages {
		w.peer.Said = nil
		if end := w.conn.Receive([]byte(m)); end != nil {
			w.t.Errorf("%.200s: the connection is closed: %v", m, end)
		}
		w.settle()
	}
	return w.peer.Said
}

func (w *world) settle() {
	for range 2 {
		synctest.Wait()
		for w.conn.Send(&w.peer) {
			synctest.Wait()
		}
	}
}

func (w *world) stop() {
	w.conn.Ended()
	w.proto.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.manager.Close(ctx); err != nil {
		w.t.Error(err)
	}
	time.Sleep(time.Hour) // of a bubble: the last timers
}

// answer is what all answers about documents have.
type answer struct {
	A, C, D string
	Seq     uint64
	Error   *shareError
}

// only returns the one message there is, decoded.
func (w *world) only(said []string) (m answer) {
	w.t.Helper()
	if len(said) != 1 {
		w.t.Fatalf("the server said %q", said)
	}
	if err := json.Unmarshal([]byte(said[0]), &m); err != nil {
		w.t.Fatalf("%v in %s", err, said[0])
	}
	return m
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// TestHostile sends operations that are refused: with the right code, storing nothing, and
// the connection is of use afterwards.
func TestHostile(t *testing.T) {
	create := func(typ, data string) string {
		return fmt.Sprintf(`"v":null,"create":{"type":%q,"data":%s}`, typ, data)
	}
	const made = `{"a":"op","c":"c","d":"%s","v":null,"seq":1,"create":{"type":%q,"data":%s}}`
	for _, test := range []struct{ name, typ, data, op, code string }{
		{"an unknown type", "", "", create("json9", "1"), "ERR_DOC_TYPE_NOT_RECOGNIZED"},
		{"a type that every object has", "", "", create("__proto__", "1"), "ERR_DOC_TYPE_NOT_RECOGNIZED"},
		{"a creation over another", "json0", "{}", create("text-unicode", `"x"`), "ERR_DOC_ALREADY_CREATED"},
		{"deep content", "", "", create("json0", nested(200)), "ERR_OT_OP_BADLY_FORMED"},
		{"content deeper than any parser goes", "", "", create("json0", nested(100_000)), "ERR_OT_OP_BADLY_FORMED"},
		{"a dangerous name in content", "", "", create("json0", `{"a":[{"__proto__":{}}]}`), "ERR_OT_OP_BADLY_FORMED"},
		{"content of another type", "", "", create("rich-text", `{"ops":[{"retain":5,"delete":1}]}`), "ERR_OT_OP_BADLY_FORMED"},
		{"half a character", "", "", create("text0", `"\ud83d"`), "ERR_OT_OP_BADLY_FORMED"},
		{"a huge number", "", "", create("json0", `1e999`), "ERR_OT_OP_BADLY_FORMED"},
		{"an edit of nothing", "", "", `"v":0,"op":[]`, "ERR_DOC_DOES_NOT_EXIST"},
		{"an edit of nothing, on the newest", "", "", `"v":null,"op":{}`, "ERR_DOC_DOES_NOT_EXIST"},
		{"a version past the newest", "json0", "{}", `"v":2,"op":[]`, "ERR_OP_VERSION_NEWER_THAN_CURRENT_SNAPSHOT"},
		{"a version past 2^53", "json0", "{}", `"v":18014398509481985,"op":[]`, "ERR_OP_VERSION_NEWER_THAN_CURRENT_SNAPSHOT"},
		{"a version past every number", "json0", "{}", `"v":1e999,"op":[]`, "ERR_OP_VERSION_NEWER_THAN_CURRENT_SNAPSHOT"},
		{"a negative version", "json0", "{}", `"v":-1,"op":[]`, "ERR_MESSAGE_BADLY_FORMED"},
		{"half a version", "json0", "{}", `"v":0.5,"op":[]`, "ERR_MESSAGE_BADLY_FORMED"},
		{"deep in an edit", "json0", "{}", `"v":1,"op":[{"p":["a"],"oi":` + nested(200) + `}]`, "ERR_OT_OP_BADLY_FORMED"},
		{"very deep in an edit", "json0", "{}", `"v":1,"op":[{"p":["a"],"oi":` + nested(100_000) + `}]`, "ERR_OT_OP_BADLY_FORMED"},
		{"a dangerous path", "json0", `{"a":{}}`, `"v":1,"op":[{"p":["a","__proto__"],"oi":1}]`, "ERR_OT_OP_NOT_APPLIED"},
		{"a dangerous name in an edit", "json0", "{}", `"v":1,"op":[{"p":["a"],"oi":{"__proto__":1}}]`, "ERR_OT_OP_BADLY_FORMED"},
		{"a list that is none", "json0", `{"a":1}`, `"v":1,"op":[{"p":["a",0],"li":1}]`, "ERR_OT_OP_NOT_APPLIED"},
		{"past the end", "text-unicode", `"abc"`, `"v":1,"op":[4,"x"]`, "ERR_OT_OP_NOT_APPLIED"},
		{"far past the end", "text-unicode", `"abc"`, `"v":1,"op":[2147483647,"x"]`, "ERR_OT_OP_NOT_APPLIED"},
		{"further than can be", "text-unicode", `"abc"`, `"v":1,"op":[9007199254740993,"x"]`, "ERR_OT_OP_BADLY_FORMED"},
		{"backwards", "text-unicode", `"abc"`, `"v":1,"op":[-1,"x"]`, "ERR_OT_OP_BADLY_FORMED"},
		{"an edit of another type", "text-unicode", `"abc"`, `"v":1,"op":[{"p":0,"i":"x"}]`, "ERR_OT_OP_BADLY_FORMED"},
		{"another text than is deleted", "text0", `"abc"`, `"v":1,"op":[{"p":0,"d":"x"}]`, "ERR_OT_OP_NOT_APPLIED"},
		{"an embed that is retained", "rich-text", `[{"insert":{"a":1}}]`, `"v":1,"op":[{"retain":{"a":1}}]`, "ERR_OT_OP_BADLY_FORMED"},
		{"a creation that is none", "", "", `"v":null,"create":true`, "ERR_OT_OP_BADLY_FORMED"},
		{"a deletion that is none", "json0", "1", `"v":1,"del":1`, "ERR_OT_OP_BADLY_FORMED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.stop()
				w.settle()
				if test.typ != "" {
					if m := w.only(w.say(fmt.Sprintf(made, "x", test.typ, test.data))); m.Error != nil {
						t.Fatal(m.Error)
					}
				}
				before := w.say(`{"a":"f","c":"c","d":"x","v":null}`)
				said := w.say(`{"a":"op","c":"c","d":"x","seq":2,` + test.op + `}`)
				m := w.only(said)
				if m.Error == nil || m.Error.Code != test.code || m.A != "op" || m.C != "c" || m.D != "x" || m.Seq != 2 {
					t.Errorf("answered %.300s, want the error %s", said[0], test.code)
				}
				if after := w.say(`{"a":"f","c":"c","d":"x","v":null}`); after[0] != before[0] {
					t.Errorf("the document was %s and is %s", before[0], after[0])
				}
				if m := w.only(w.say(fmt.Sprintf(made, "y", "json0", "1"))); m.Error != nil {
					t.Errorf("nothing works afterwards: %v", m.Error)
				}
			})
		})
	}
}

// TestLargeRequestsAreNotEchoed: of a request that is refused comes back what its sender
// finds the addressee by.
func TestLargeRequestsAreNotEchoed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.settle()
		said := w.say(`{"a":"op","c":"c","d":"x","v":0,"seq":7,"src":"me","op":"` + strings.Repeat("x", 100_000) + `"}`)
		if want := `{"a":"op","c":"c","d":"x","v":0,"seq":7,"src":"me","error":{`; len(said[0]) > 1000 || !strings.HasPrefix(said[0], want) {
			t.Errorf("answered %.500s", said[0])
		}
	})
}

// TestAnswersAreBounded lets a peer ask without reading the answers.
func TestAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		asked := 0
		var over atomic.Bool
		defer over.Store(true) // before the world stops, and lets it go on
		go func() {
			for !over.Load() && asked < 100_000 {
				if asked++; w.conn.Receive([]byte(`{"a":"xx","pad":"`+strings.Repeat("x", 8000)+`"}`)) != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if asked < 100 || asked > 10_000 {
			t.Errorf("%d messages were taken", asked)
		}
	})
}

// TestWhatRequestsKeepIsBounded lets a peer that reads no answers ask for what is small with requests that are
// large. They do not stay, or are counted.
func TestWhatRequestsKeepIsBounded(t *testing.T) {
	pad, ids := strings.Repeat("x", 1<<17), make([]string, 1500)
	for i := range ids {
		ids[i] = fmt.Sprintf("%q", fmt.Sprint("document-", i, strings.Repeat("x", 80)))
	}
	for _, m := range []string{
		`{"a":"f","c":"c","d":"d","pad":"` + pad + `"}`, `{"a":"s","c":"c","d":"d","v":0,"b":"` + pad + `"}`, `{"a":"bf","c":"c","b":[` + strings.Join(ids, ",") + `]}`,
		`{"a":"qs","id":%d,"c":"c","q":{},"pad":"` + pad + `"}`, `{"a":"qs","id":%d,"c":"c","q":{},"r":[[` + strings.Join(ids, ",null],[") + `,null]]}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.stop()
			before := heap()
			asked := 0
			var over atomic.Bool
			defer over.Store(true)
			go func() {
				for !over.Load() && asked < 64 {
					if w.conn.Receive([]byte(strings.Replace(m, "%d", fmt.Sprint(asked), 1))) != nil && !over.Load() {
						t.Error("it is closed")
					}
					asked++
				}
			}()
			synctest.Wait()
			if kept := int64(heap()) - int64(before); asked == 0 || kept > 6<<20 {
				t.Errorf("%.60s: %d requests, and %d bytes are kept", m, asked, kept)
			}
		})
	}
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestHeldIsCounted has a peer ask and read nothing: what waits for it is told in steps, where there is no room
// for it the peer has to wait sooner, and all is given back in the end.
func TestHeldIsCounted(t *testing.T) {
	for _, room := range []int{64 << 20, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.stop()
			held := 0
			conn := w.proto.ConnectIn(context.Background(), auth.Anybody(), func() {}, func(n int) bool { held += n; return held <= room })
			asked := 0
			var over atomic.Bool
			go func() {
				for !over.Load() && asked < 10_000 {
					conn.Receive([]byte(`{"a":"xx","pad":"` + strings.Repeat("x", 8000) + `"}`))
					asked++
				}
			}()
			synctest.Wait()
			if most := min(room, 4<<20) + 64<<10; held < most/2 || held > most || asked == 10_000 {
				t.Errorf("room for %d: %d bytes are held of %d answers", room, held, asked)
			}
			waiting := asked
			one := &small{}
			conn.Send(one)
			synctest.Wait()
			if went := one.waiting / 9000; room < 4<<20 && asked > waiting+1 || room > 4<<20 && asked < waiting+went/2 {
				t.Errorf("room for %d: after %d bytes went, %d answers more", room, one.waiting, asked-waiting)
			}
			over.Store(true)
			conn.Ended()
			if synctest.Wait(); held != 0 {
				t.Errorf("%d bytes are held when it has ended", held)
			}
		})
	}
}

// small is a peer's end that takes some bytes and no more.
type small struct{ waiting int }

func (s *small) SendText(p []byte)       { s.waiting += len(p) }
func (s *small) SendShared(m *ws.Shared) { s.waiting += len(m.Text()) }
func (s *small) SendAround(head []byte, m *ws.Shared, tail []byte) {
	s.SendText(slices.Concat(head, m.Text(), tail))
}
func (s *small) Waiting() int      { return s.waiting }
func (s *small) Close(int, string) {}

// FuzzReceive feeds a connection with anything, a line a message. Whatever comes, an
// answer is JSON, and a sound request after it is answered.
func FuzzReceive(f *testing.F) {
	for _, seed := range []string{
		`{"a":"hs","id":null,"protocol":1,"protocolMinor":2}`,
		`{"a":"op","c":"c","d":"x","v":null,"seq":1,"create":{"type":"json0","data":{"a":[1]}}}` + "\n" + `{"a":"op","c":"c","d":"x","v":1,"seq":2,"op":[{"p":["a",0],"ld":1}]}`,
		`{"a":"op","c":"c","d":"x","v":0,"seq":1,"create":{"type":"text-unicode","data":"ab"}}` + "\n" + `{"a":"op","c":"c","d":"x","v":1,"seq":2,"op":[1,"🙂",{"d":1}]}` + "\n" + `{"a":"f","c":"c","d":"x","v":0}`,
		`{"a":"op","c":"c","d":"x","v":0,"seq":1,"create":{"type":"rich-text","data":{"ops":[{"insert":"a"}]}}}` + "\n" + `{"a":"p","ch":"c.x","id":"i","p":{"index":0,"length":1},"pv":1,"c":"c","d":"x","v":1,"t":"http://sharejs.org/types/rich-text/v1"}`,
		`{"a":"bs","c":"c","b":["x","y"]}` + "\n" + `{"a":"bf","c":"c","b":{"x":0,"y":null}}` + "\n" + `{"a":"bu","c":"c","b":["x"]}`,
		`{"a":"nf","id":1,"c":"c","d":"x","v":0}` + "\n" + `{"a":"nt","id":2,"c":"c","d":"x","ts":1e9}`,
		`{"a":"qs","id":1,"c":"c","q":{},"r":[["x",1],["y",null]]}` + "\n" + `{"a":"qu","id":1}`,
		`{"a":"ps","ch":"c.x","seq":1}` + "\n" + `{"a":"pr","ch":"c.x"}` + "\n" + `{"a":"pu","ch":"c.x","seq":2}`,
		`{"a":"s","c":"c","d":"x","v":1}` + "\n" + `{"a":"op","c":"c","d":"x","v":1,"src":"o","seq":1,"del":true}` + "\n" + `{"a":"u","c":"c","d":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.stop()
			w.settle()
			for line := range strings.Lines(string(data)) {
				if end := w.conn.Receive([]byte(line)); end != nil {
					if end.Code != 1003 {
						t.Fatalf("%q closes the connection: %v", line, end)
					}
					return
				}
				w.settle()
			}
			for _, said := range w.peer.Said {
				if !json.Valid([]byte(said)) {
					t.Errorf("the server says %q", said)
				}
			}
			if said := w.say(`{"a":"pp"}`); len(said) != 1 || said[0] != `{"a":"pp"}` {
				t.Errorf("a ping is answered %q", said)
			}
		})
	})
}

// TestKnownTwice: a client that says ten thousand times that it wants a document is given
// it once.
func TestKnownTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.say(`{"a":"op","c":"cats","d":"tom","v":0,"seq":1,"create":{"type":"json0","data":"miaow"}}`)
		said := w.say(`{"a":"qs","id":1,"c":"cats","q":{},"r":[` + strings.Repeat(`["tom",null],`, 9999) + `["tom",null]]}`)
		if n := strings.Count(strings.Join(said, " "), "miaow"); n != 1 {
			t.Errorf("it is told %d times", n)
		}
	})
}
