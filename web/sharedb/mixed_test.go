package sharedb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot/ottest"
	"quire/ot/ottypes"
	"quire/ot/text"
	"quire/session"
	"quire/storage/mem"
	"quire/web/auth"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
	"quire/web/sharedb"
	"quire/web/webtest"
)

// TestMixed edits one text through quire.v1, in UTF-16 units, and through ShareDB, in code
// points, with characters that are one of these and two of those, until all have the same.
func TestMixed(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) { mixed(t, seed) })
	}
}

// mixedDoc is the document's id: in the collection "" for ShareDB.
const mixedDoc = "mixed"

// end is one client's end of its connection, whichever it speaks.
type end struct {
	peer webtest.Peer
	conn webtest.Conn
	send func(p *webtest.Peer) bool
	hear func(message string) error
	edit func() error
	text func() (string, bool) // and whether everything is acknowledged
	out  []string
}

func mixed(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 11))
	m := session.New(session.Options{Store: mem.New(), Types: types()})
	if _, err := m.Create(t.Context(), mixedDoc, "text", []byte(`"Hi 🙂!"`), session.User{}); err != nil {
		t.Fatal(err)
	}
	native := quirev1.New(quirev1.Options{Manager: m})
	share := sharedb.New(sharedb.Options{Manager: m, Dialects: dialects(), NewID: letters()})
	var ends []*end
	for i := range 2 {
		ends = append(ends, nativeEnd(native, rng, fmt.Sprintf("client-%d", i)), shareEnd(share, rng))
	}
	for round := range 200 {
		e := ends[rng.IntN(len(ends))]
		if round < 120 && rng.IntN(3) == 0 {
			if err := e.edit(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if round >= 120 {
			for _, e := range ends {
				step(t, seed, e, 100)
			}
		}
		step(t, seed, e, rng.IntN(3))
	}
	v, err := m.View(t.Context(), mixedDoc, session.Head)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range ends {
		if got, settled := e.text(); !settled || got != v.Doc.(*text.Doc).String() {
			t.Errorf("seed %d: client %d has %q (all acknowledged: %v), the server %q", seed, i, got, settled, v.Doc)
		}
		e.conn.Ended()
	}
	share.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		t.Error(err)
	}
	time.Sleep(time.Hour) // of a bubble: the last timers
}

// step delivers up to n messages each way.
func step(t *testing.T, seed uint64, e *end, n int) {
	for ; n > 0 && len(e.out) > 0; n-- {
		if why := e.conn.Receive([]byte(e.out[0])); why != nil {
			t.Fatalf("seed %d: %s closes the connection: %v", seed, e.out[0], why)
		}
		e.out = e.out[1:]
	}
	synctest.Wait()
	for e.send(&e.peer) {
		synctest.Wait()
	}
	for ; n > 0 && len(e.peer.Said) > 0; n-- {
		if err := e.hear(e.peer.Said[0]); err != nil {
			t.Fatalf("seed %d: %s: %v", seed, e.peer.Said[0], err)
		}
		e.peer.Said = e.peer.Said[1:]
	}
}

func nativeEnd(p *quirev1.Protocol, rng *rand.Rand, id string) *end {
	doc := client.NewDocument(mixedDoc, id, text.Type{})
	conn := p.Connect(auth.Anybody(), func() {})
	e := &end{conn: conn, send: func(p *webtest.Peer) bool { return conn.Send(p) }}
	say := func(m *quirev1.ClientMessage) {
		if m != nil {
			data, _ := json.Marshal(m)
			e.out = append(e.out, string(data))
		}
	}
	open := doc.Open()
	say(&open)
	e.hear = func(message string) error {
		var m quirev1.ServerMessage
		if err := json.Unmarshal([]byte(message), &m); err != nil {
			return err
		}
		if err := doc.Receive(&m); err != nil {
			return err
		}
		say(doc.Next())
		return nil
	}
	gen := ottest.Text()
	e.edit = func() error {
		if doc.Local() == nil {
			return nil
		}
		err := doc.Edit(gen.Op(rng, doc.Local(), 3))
		say(doc.Next())
		return err
	}
	e.text = func() (string, bool) { return doc.Local().(*text.Doc).String(), doc.Pending() == 0 }
	return e
}

func shareEnd(p *sharedb.Protocol, rng *rand.Rand) *end {
	conn := p.Connect(auth.Anybody(), func() {})
	e := &end{conn: conn, send: func(p *webtest.Peer) bool { return conn.Send(p) }}
	c := &shareConn{dialect: ottypes.TextUnicode{}, send: func(m shareMessage) {
		data, _ := json.Marshal(m)
		e.out = append(e.out, string(data))
	}}
	doc := c.doc("", mixedDoc)
	c.opened()
	e.hear = func(message string) error { return c.receive([]byte(message)) }
	gen := ottest.TextUnicode()
	e.edit = func() error {
		if !doc.exists() {
			return nil
		}
		err := doc.submit(&shareOp{op: gen.Op(rng, doc.doc, 3)})
		doc.flush()
		return err
	}
	e.text = func() (string, bool) {
		return doc.doc.(*text.Doc).String(), doc.inflight == nil && len(doc.pending) == 0
	}
	return e
}
