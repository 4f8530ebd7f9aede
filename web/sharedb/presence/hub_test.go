package presence_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"quire/web/sharedb/presence"
	"quire/web/sharedb/wire"
	"quire/web/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// member is a connection that keeps what it was sent.
type member struct {
	*presence.Conn
	t    *testing.T
	mu   sync.Mutex
	got  []*ws.Shared
	seen int

	may   func(doc string) bool // nil: everything
	scope string
}

func (m *member) Send(s *ws.Shared) {
	m.mu.Lock()
	m.got = append(m.got, s)
	m.mu.Unlock()
}

func (m *member) MayRead(doc string) bool { return m.may == nil || m.may(doc) }
func (m *member) Scope() string           { return m.scope }

func join(t *testing.T, h *presence.Hub, id string) *member {
	m := &member{t: t}
	m.Conn = h.Connect(m, id)
	return m
}

// news returns what came since it was called last.
func (m *member) news() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []string{}
	for ; m.seen < len(m.got); m.seen++ {
		out = append(out, string(m.got[m.seen].Text()))
	}
	return out
}

// gets checks what came since it was looked at last.
func (m *member) gets(want ...string) {
	m.t.Helper()
	if got := m.news(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		m.t.Errorf("%s got\n\t%s\nwant\n\t%s", m.Source(), strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (m *member) ok(err *wire.Error) {
	m.t.Helper()
	if err != nil {
		m.t.Errorf("%s: %v", m.Source(), err)
	}
}

func (m *member) refused(err *wire.Error, code wire.Code, part string) {
	m.t.Helper()
	if err == nil || err.Code != code || !strings.Contains(err.Message, part) {
		m.t.Errorf("%s: %v, want %s with %q", m.Source(), err, code, part)
	}
	m.gets()
}

func value(ch, id, p string, pv uint64) presence.Publication {
	return presence.Publication{Channel: ch, ID: id, Value: []byte(p), Version: pv}
}

// in puts a value into document p1 of notes.
func in(p presence.Publication, v int64) presence.Publication {
	p.Doc = &presence.Doc{Collection: "notes", ID: "p1", Version: v, Type: presence.RichText}
	return p
}

func TestProtocol(t *testing.T) {
	h := presence.New(presence.Options{})
	defer h.Close()
	a, b := join(t, h, "A"), join(t, h, "B")
	a.ok(a.Subscribe("notes.p1", 1))
	a.gets(`{"ch":"notes.p1","seq":1,"a":"ps"}`)
	b.ok(b.Subscribe("notes.p1", 1))
	a.gets(`{"a":"pr","ch":"notes.p1"}`)
	b.gets(`{"ch":"notes.p1","seq":1,"a":"ps"}`)

	a.ok(a.Publish(in(value("notes.p1", "cur-a", `{"index":6,"length":5}`, 0), 1)))
	said := `{"a":"p","ch":"notes.p1","src":"A","id":"cur-a","p":{"index":6,"length":5},"pv":0,"c":"notes","d":"p1","v":1,"t":"http://sharejs.org/types/rich-text/v1"}`
	b.gets(said)
	a.gets(said)
	if a.got[len(a.got)-1] != b.got[len(b.got)-1] {
		t.Error("the message was made twice")
	}

	// Nobody is asked by, or told of, what is on another channel; a sender need not be subscribed.
	c := join(t, h, "C")
	c.ok(c.Publish(value("room", "m1", `{"x":1}`, 0)))
	c.gets(`{"a":"p","ch":"room","src":"C","id":"m1","p":{"x":1},"pv":0}`)
	a.ok(a.Subscribe("room", 2))
	a.gets(`{"ch":"room","seq":2,"a":"ps"}`)
	c.ok(c.Publish(value("room", "m1", "", 1)))
	a.gets(`{"a":"p","ch":"room","src":"C","id":"m1","p":null,"pv":1}`)
	c.gets(`{"a":"p","ch":"room","src":"C","id":"m1","p":null,"pv":1}`)

	a.ok(a.Unsubscribe("room", 3))
	a.gets(`{"ch":"room","seq":3,"a":"pu"}`)
	c.ok(c.Publish(value("room", "m1", "7", 2)))
	c.news()
	a.gets()

	// Asking by hand.
	b.ok(b.Request("notes.p1"))
	a.gets(`{"a":"pr","ch":"notes.p1"}`)
	b.gets(`{"a":"pr"}`)

	// The end of a connection removes what it had out, with the last version.
	a.ok(a.Publish(in(value("notes.p1", "cur-a", `{"index":7,"length":0}`, 4), 2)))
	a.ok(a.Publish(value("notes.p1", "gone", "1", 8)))
	a.ok(a.Publish(value("notes.p1", "gone", "null", 9)))
	b.news()
	a.Close()
	a.Close()
	b.gets(`{"a":"p","ch":"notes.p1","src":"A","id":"cur-a","p":null,"pv":4,"c":"notes","d":"p1","v":2,"t":"http://sharejs.org/types/rich-text/v1"}`)
	a.news()
	a.ok(a.Publish(value("notes.p1", "late", "1", 1)))
	a.ok(a.Subscribe("notes.p1", 5))
	a.gets()
	b.gets()

	// Who comes later and asks is told of the removal again.
	b.ok(b.Request("notes.p1"))
	b.gets(`{"a":"p","ch":"notes.p1","src":"A","id":"cur-a","p":null,"pv":4,"c":"notes","d":"p1","v":2,"t":"http://sharejs.org/types/rich-text/v1"}`, `{"a":"pr"}`)

	b.Close()
	c.Close()
	if st := h.Stats(); st != (presence.Stats{}) {
		t.Errorf("%+v is left", st)
	}
}

// TestReconnected: a client that comes back with its old source is asked for its own
// presences, too, and its old connection's end takes nothing away from the new one.
func TestReconnected(t *testing.T) {
	h := presence.New(presence.Options{})
	defer h.Close()
	old, b := join(t, h, "A"), join(t, h, "B")
	b.ok(b.Subscribe("room", 1))
	old.ok(old.Subscribe("room", 1))
	old.ok(old.Publish(value("room", "x", "1", 3)))
	b.news()

	a := join(t, h, "random")
	a.Rename("A")
	a.Rename("A")
	a.ok(a.Subscribe("room", 2))
	a.gets(`{"a":"pr","ch":"room"}`, `{"ch":"room","seq":2,"a":"ps"}`)
	b.gets(`{"a":"pr","ch":"room"}`)
	old.gets(`{"ch":"room","seq":1,"a":"ps"}`, `{"a":"p","ch":"room","src":"A","id":"x","p":1,"pv":3}`, `{"a":"pr","ch":"room"}`)
	a.ok(a.Publish(value("room", "x", "1", 4)))
	b.gets(`{"a":"p","ch":"room","src":"A","id":"x","p":1,"pv":4}`)
	old.gets() // of its own source
	old.Close()
	b.gets(`{"a":"p","ch":"room","src":"A","id":"x","p":null,"pv":3}`) // too old for B to heed
	a.Close()
	b.gets(`{"a":"p","ch":"room","src":"A","id":"x","p":null,"pv":4}`)
	b.Close()
	if st := h.Stats(); st != (presence.Stats{}) {
		t.Errorf("%+v is left", st)
	}
}

func TestSequenceNumbers(t *testing.T) {
	h := presence.New(presence.Options{Limits: presence.Limits{Channels: 2}})
	defer h.Close()
	a, b := join(t, h, "A"), join(t, h, "B")
	defer a.Close()
	defer b.Close()
	heard := func(want bool) {
		t.Helper()
		b.ok(b.Publish(value("room", "x", "1", 1)))
		b.news()
		if got := a.news(); (len(got) == 1) != want {
			t.Errorf("heard %v, want %v", got, want)
		}
	}
	a.ok(a.Unsubscribe("room", 2))
	a.ok(a.Subscribe("room", 1)) // overtaken
	a.gets(`{"ch":"room","seq":2,"a":"pu"}`, `{"ch":"room","seq":1,"a":"ps"}`)
	heard(false)
	a.ok(a.Subscribe("room", 3))
	a.ok(a.Subscribe("room", 5)) // twice is once
	a.gets(`{"ch":"room","seq":3,"a":"ps"}`, `{"ch":"room","seq":5,"a":"ps"}`)
	heard(true)
	a.ok(a.Unsubscribe("room", 4)) // overtaken
	a.news()
	heard(true)
	a.ok(a.Unsubscribe("room", 6))
	a.news()
	heard(false)
	a.ok(a.Subscribe("room", -1))
	a.gets(`{"ch":"room","a":"ps"}`)
	heard(true)
	a.ok(a.Unsubscribe("room", -1))
	a.gets(`{"ch":"room","a":"pu"}`)
	heard(false)

	a.ok(a.Subscribe("one", 7))
	a.ok(a.Subscribe("two", 8))
	a.news()
	a.refused(a.Subscribe("three", 9), wire.CodeLimit, "2")
	for i := range 100 { // old unsubscriptions are forgotten
		a.ok(a.Unsubscribe(fmt.Sprint("none", i), int64(10+i)))
	}
}

func TestLowerVersionsAreDropped(t *testing.T) {
	h := presence.New(presence.Options{})
	defer h.Close()
	a, b := join(t, h, "A"), join(t, h, "B")
	defer a.Close()
	defer b.Close()
	b.ok(b.Subscribe("room", 1))
	b.news()
	for _, x := range []struct {
		p  string
		pv uint64
		on bool
	}{{"1", 5, true}, {"2", 4, false}, {"3", 5, true}, {"null", 3, false}, {"null", 6, true}, {"4", 0, true}} {
		a.ok(a.Publish(value("room", "x", x.p, x.pv)))
		said := fmt.Sprintf(`{"a":"p","ch":"room","src":"A","id":"x","p":%s,"pv":%d}`, x.p, x.pv)
		a.gets(said)
		if x.on {
			b.gets(said)
		} else {
			b.gets()
		}
	}
}

func TestRefusals(t *testing.T) {
	h := presence.New(presence.Options{Limits: presence.Limits{Value: 10, Name: 20, Presences: 2}})
	defer h.Close()
	a := join(t, h, "A")
	defer a.Close()
	for _, ch := range []string{"", "__proto__", "hasOwnProperty", strings.Repeat("x", 21)} {
		a.refused(a.Subscribe(ch, 1), wire.CodeBadlyFormed, "Invalid presence channel")
		a.refused(a.Unsubscribe(ch, 1), wire.CodeBadlyFormed, "Invalid presence channel")
		a.refused(a.Request(ch), wire.CodeBadlyFormed, "Invalid presence channel")
		a.refused(a.Publish(value(ch, "x", "1", 1)), wire.CodeBadlyFormed, "Invalid presence channel")
		a.refused(a.Publish(value("room", ch, "1", 1)), wire.CodeBadlyFormed, "Invalid presence ID")
	}
	doc := func(c, d string, v int64, typ string) presence.Publication {
		p := value("room", "x", "1", 1)
		p.Doc = &presence.Doc{Collection: c, ID: d, Version: v, Type: typ}
		return p
	}
	a.refused(a.Publish(doc("__proto__", "d", 1, "t")), wire.CodeBadlyFormed, "Invalid collection")
	a.refused(a.Publish(doc("c", "valueOf", 1, "t")), wire.CodeBadlyFormed, "Invalid id")
	a.refused(a.Publish(doc("c", "d", -1, "t")), wire.CodeBadlyFormed, "Invalid version")
	a.refused(a.Publish(doc("c", "d", 1, strings.Repeat("t", 21))), wire.CodeLimit, "limit 20")
	a.refused(a.Publish(value("room", "x", "12345678901", 1)), wire.CodeLimit, "limit 10")
	a.refused(a.Publish(value("room", "x", "1", 1<<53)), wire.CodeBadlyFormed, "Invalid presence version")
	a.ok(a.Publish(value("room", "x", "1", 1)))
	a.ok(a.Publish(value("room", "y", "1", 1)))
	a.news()
	a.refused(a.Publish(value("room", "z", "1", 1)), wire.CodeLimit, "2")
	a.ok(a.Publish(value("room", "z", "null", 1)))
	a.ok(a.Publish(value("room", "x", "2", 2)))
	a.ok(a.Publish(value("room", "x", "null", 3)))
	a.ok(a.Publish(value("room", "z", "1", 2)))
}

// peer is a member and what a client makes of its messages.
type peer struct {
	*member
	src       string
	has       map[string]map[string]string // by channel and presence, what it knows of others
	own       map[string]map[string]string // what it has out
	pv        map[string]uint64
	known     map[string]uint64
	asked     []string
	subscribe map[string]bool
}

// receive does what ShareDB's client does.
func (p *peer) receive() {
	p.asked = p.asked[:0]
	for _, text := range p.news() {
		var m struct {
			A, Ch, Src, ID string
			P              json.RawMessage
			PV             uint64
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			p.t.Fatal(text, err)
		}
		switch {
		case m.A == "pr" && m.Ch != "":
			p.asked = append(p.asked, m.Ch)
		case m.A == "p" && m.Src != p.src:
			k := m.Ch + " " + m.ID
			if m.PV < p.known[k] {
				continue
			}
			if p.known[k] = m.PV; string(m.P) == "null" {
				delete(p.has[m.Ch], m.ID)
				delete(p.known, k)
			} else {
				p.has[m.Ch][m.ID] = string(m.P)
			}
		}
	}
}

// TestSimulation: clients come, go, lose their connections, subscribe and publish. In
// the end all who are subscribed know exactly what the others have out.
func TestSimulation(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		h := presence.New(presence.Options{})
		rooms := []string{"one", "two", "notes.p1"}
		var peers []*peer
		fresh := func(src string) *peer {
			p := &peer{member: join(t, h, src), src: src, has: map[string]map[string]string{}, own: map[string]map[string]string{}, pv: map[string]uint64{}, known: map[string]uint64{}, subscribe: map[string]bool{}}
			for _, room := range rooms {
				p.has[room], p.own[room] = map[string]string{}, map[string]string{}
			}
			return p
		}
		publish := func(p *peer, room, id, v string) {
			p.pv[id]++
			pub := value(room, id, v, p.pv[id])
			if room == "notes.p1" {
				pub = in(pub, 3)
			}
			p.ok(p.Publish(pub))
		}
		answer := func() {
			for busy := true; busy; {
				busy = false
				for _, p := range peers {
					p.receive()
					for _, room := range p.asked {
						for _, id := range slices.Sorted(maps.Keys(p.own[room])) {
							publish(p, room, id, p.own[room][id])
							busy = true
						}
					}
				}
			}
		}
		seq := int64(0)
		for step := range 200 {
			if len(peers) == 0 || len(peers) < 6 && r.IntN(12) == 0 {
				peers = append(peers, fresh(fmt.Sprintf("p%d", step)))
			}
			i := r.IntN(len(peers))
			p, room := peers[i], rooms[r.IntN(len(rooms))]
			seq++
			switch r.IntN(10) {
			case 0:
				p.Close()
				peers = slices.Delete(peers, i, i+1)
			case 1: // loses its connection and comes back; the server may be late to see it
				old := p.member
				if r.IntN(2) == 0 {
					old.Close()
				}
				p.member = join(t, h, fmt.Sprintf("random%d", step))
				p.Rename(p.src)
				for _, room := range rooms {
					// What others removed meanwhile is told again of documents only.
					if p.subscribe[room] {
						if room != "notes.p1" {
							clear(p.has[room])
						}
						p.ok(p.Subscribe(room, seq))
					}
				}
				for _, room := range rooms {
					if !p.subscribe[room] { // nobody asks for these
						clear(p.own[room])
					}
				}
				answer()
				old.Close()
			case 2:
				p.subscribe[room] = true
				p.ok(p.Subscribe(room, seq))
			case 3:
				p.subscribe[room] = false
				p.ok(p.Unsubscribe(room, seq))
			default:
				id := fmt.Sprintf("%s-%s-%d", p.src, room, r.IntN(2))
				if r.IntN(4) == 0 {
					delete(p.own[room], id)
					publish(p, room, id, "null")
				} else {
					p.own[room][id] = fmt.Sprint(step)
					publish(p, room, id, p.own[room][id])
				}
			}
			if r.IntN(3) == 0 {
				answer()
			}
		}
		for _, p := range peers { // whoever was not subscribed for a while starts anew
			for _, room := range rooms {
				if !p.subscribe[room] {
					clear(p.has[room])
					p.subscribe[room] = true
					seq++
					p.ok(p.Subscribe(room, seq))
				}
			}
		}
		for _, p := range peers { // those asked above who were subscribed later do not know
			p.ok(p.Request(rooms[0]))
			p.ok(p.Request(rooms[1]))
			p.ok(p.Request(rooms[2]))
		}
		answer()
		for _, p := range peers {
			for _, room := range rooms {
				want := map[string]string{}
				for _, o := range peers {
					if o != p {
						maps.Copy(want, o.own[room])
					}
				}
				if !maps.Equal(p.has[room], want) {
					t.Fatalf("seed %d: %s has %v in %s, want %v", seed, p.src, p.has[room], room, want)
				}
			}
			if p.t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		for _, p := range peers {
			p.Close()
		}
		if st := h.Stats(); st != (presence.Stats{}) {
			t.Fatalf("seed %d: %+v is left", seed, st)
		}
		h.Close()
	}
}

// TestConcurrent: everything at once leaves nothing behind.
func TestConcurrent(t *testing.T) {
	h := presence.New(presence.Options{})
	defer h.Close()
	var group sync.WaitGroup
	for i := range uint64(8) {
		group.Go(func() {
			r := rand.New(rand.NewPCG(i, 5))
			for life := range 20 {
				m := join(t, h, fmt.Sprintf("c%d.%d", i, life))
				var inner sync.WaitGroup
				for range 2 { // two goroutines of one connection
					r := rand.New(rand.NewPCG(r.Uint64(), 5))
					inner.Go(func() {
						for n := range int64(50) {
							room := fmt.Sprintf("room%d", r.IntN(3))
							switch r.IntN(6) {
							case 0:
								m.ok(m.Unsubscribe(room, n))
							case 1:
								m.ok(m.Request(room))
							case 2:
								m.Rename("c" + room)
							case 3:
								m.ok(m.Subscribe(room, n))
							default:
								m.ok(m.Publish(in(value(room, "x", fmt.Sprint(n), uint64(n)), 1)))
							}
						}
					})
				}
				if life%2 == 0 {
					inner.Wait()
				}
				m.Close()
				inner.Wait()
			}
		})
	}
	group.Wait()
	if st := h.Stats(); st != (presence.Stats{}) {
		t.Errorf("%+v is left", st)
	}
}

// TestAudience passes on what is said on channels of documents, by their names or by what is
// said, and on those of other names.
func TestAudience(t *testing.T) {
	h := presence.New(presence.Options{})
	defer h.Close()
	enter := func(id, scope string, docs ...string) *member {
		m := &member{t: t, scope: scope, may: func(doc string) bool { return slices.Contains(docs, doc) }}
		m.Conn = h.Connect(m, id)
		for i, ch := range []string{"acme.plan", "acme.pay", "room"} {
			m.ok(m.Subscribe(ch, int64(i)))
		}
		return m
	}
	ada, bob, eve := enter("ada", "acme", "acme/plan", "acme/pay"), enter("bob", "acme", "acme/plan"), enter("eve", "evil", "evil/x")
	operator := enter("op", "", "acme/plan", "acme/pay", "evil/x")
	everybody := []*member{ada, bob, eve, operator}
	for _, m := range everybody {
		m.news()
	}
	at := func(c, d string, p presence.Publication) presence.Publication {
		p.Doc = &presence.Doc{Collection: c, ID: d, Version: 1, Type: "t"}
		return p
	}
	for i, test := range []struct {
		from  *member
		p     presence.Publication
		heard []*member
	}{
		{ada, at("acme", "plan", value("acme.plan", "1", "1", 1)), []*member{bob, operator}},
		{ada, at("acme", "pay", value("acme.pay", "1", "1", 1)), []*member{operator}},
		{ada, at("acme", "pay", value("acme.plan", "2", "1", 1)), []*member{operator}}, // what it says counts, not the channel
		{ada, value("acme.pay", "2", "1", 1), []*member{operator}},
		{ada, value("room", "1", "1", 1), []*member{bob}},
		{operator, value("room", "1", "1", 1), nil},
		{bob, at("acme", "pay", value("acme.pay", "1", "1", 1)), nil},
		{bob, value("acme.pay", "2", "1", 1), nil},
		{eve, at("acme", "plan", value("acme.plan", "1", "1", 1)), nil},
		{eve, at("evil", "x", value("acme.plan", "2", "1", 1)), []*member{operator}},
		{eve, at("acme", "plan", value("room", "2", "1", 1)), nil},
		{eve, value("room", "1", "1", 1), nil},
	} {
		test.from.ok(test.from.Publish(test.p))
		if n := len(test.from.news()); n != 1 {
			t.Errorf("%d: %d answers", i, n)
		}
		for _, m := range everybody {
			if got := len(m.news()); m != test.from && (got > 0) != slices.Contains(test.heard, m) {
				t.Errorf("%d: %s hears %d messages", i, m.Source(), got)
			}
		}
	}
	eve.ok(eve.Request("acme.plan"))
	eve.Close() // nobody but the operator has heard anything of hers
	for _, m := range []*member{ada, bob} {
		m.gets()
	}
	if got := operator.news(); len(got) != 1 || !strings.Contains(got[0], `"id":"2","p":null`) {
		t.Errorf("the operator hears %q", got)
	}
	ada.Withdraw("acme/plan")
	if got := bob.news(); len(got) != 1 || !strings.Contains(got[0], `"ch":"acme.plan","src":"ada","id":"1","p":null`) {
		t.Errorf("bob hears %q", got)
	}
}
