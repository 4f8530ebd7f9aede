package quirev1_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/json0"
	"quire/ot/ottest"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/ot/textunicode"
	"quire/session"
	"quire/web/auth"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
	"quire/web/webtest"
	"quire/web/ws"
)

var (
	simSeed = flag.Uint64("sim.seed", 0, "run the simulation with this seed only")
	simLog  = flag.Bool("sim.log", false, "print every message of the simulation")
	simRuns = flag.Int("sim.runs", 300, "how many seeds to simulate for each type; a fifth with the race detector")
)

// TestSimulation runs the whole protocol, from clients' state machines over JSON
// messages to sessions and a store, in one goroutine that a seed drives: which message
// is delivered next, who edits, whose connection drops with what in flight, when the
// server is killed and restarted, when somebody sets its clock, by days. In the end every client must hold what the store
// holds, and every acknowledged operation must be there exactly once.
func TestSimulation(t *testing.T) {
	for _, k := range []kind{
		{text.Type{}, randomText}, {gapAfter{}, randomText},
		{delta.Type{}, drawn(ottest.Delta())}, {json0.Type{}, drawn(ottest.JSON0())},
		{text0.Type{}, drawn(ottest.Text0())}, {textunicode.Type{}, drawn(ottest.TextUnicode())},
	} {
		t.Run(k.typ.Name(), func(t *testing.T) {
			t.Parallel()
			if *simSeed != 0 {
				simulate(t, k, *simSeed)
				return
			}
			runs := *simRuns
			if ottest.Race {
				runs /= 5
			}
			for seed := uint64(1); seed <= uint64(runs) && !t.Failed(); seed++ {
				simulate(t, k, seed)
			}
			if refusals.Load() == 0 {
				t.Error("nothing was refused for want of a right")
			}
		})
	}
}

// kind is a document type and a source of edits, the n-th of some client.
type kind struct {
	typ  ot.Type
	edit func(rng *rand.Rand, doc ot.Doc, n int) ot.Op
}

// drawn makes edits of up to three components.
func drawn(gen ottest.Gen) func(*rand.Rand, ot.Doc, int) ot.Op {
	return func(rng *rand.Rand, doc ot.Doc, _ int) ot.Op { return gen.Op(rng, doc, 3) }
}

func randomText(rng *rand.Rand, doc ot.Doc, n int) ot.Op { return randomEdit(rng, doc.(*text.Doc), n) }

// gapAfter is plain text whose Compose puts an insert that lands in a deleted gap
// behind the gap. It obeys every law, but Transform does not distribute over Compose,
// as for most types: clients converge only if the server transforms over exactly the
// composites that it sends.
type gapAfter struct{ text.Type }

func (gapAfter) Name() string { return "gap-after" }

func (g gapAfter) Compose(a, b ot.Op) (ot.Op, error) {
	op, err := g.Type.Compose(a, b)
	if err != nil {
		return nil, err
	}
	var out text.Builder
	comps := op.(text.Op)
	for i := 0; i < len(comps); i++ {
		c := comps[i]
		if c.Kind == text.Insert && i+1 < len(comps) && comps[i+1].Kind == text.Delete {
			out.Delete(comps[i+1].N)
			i++
		}
		switch c.Kind {
		case text.Retain:
			out.Retain(c.N)
		case text.Insert:
			out.Insert(c.S)
		case text.Delete:
			out.Delete(c.N)
		}
	}
	return out.Op()
}

func (g gapAfter) ComposeStored(stored [][]byte) (ot.Op, error) {
	return ot.ComposeStoredBalanced(g, stored)
}

func (g gapAfter) ComposeAll(ops []ot.Op) (ot.Op, error) { return ot.ComposeBalanced(g, ops) }

// sim is one simulated world.
type sim struct {
	*webtest.World
	t *testing.T
	kind
	seed    uint64
	proto   *quirev1.Protocol
	clients []*simClient
	// rights says that rights come and go; allowed are the operations, by client and seq, that
	// arrived at least once when their author could write.
	rights    bool
	steady    bool // they stay now
	allowed   map[string]map[uint64]bool
	abandoned []*simClient // instances that gave up what was refused
}

// refusals counts what was refused for want of a right, in all simulations.
var refusals atomic.Int64

// simClient is a client with its link to the server.
type simClient struct {
	s     *sim
	doc   *client.Document
	link  *link
	edits int
	acked map[uint64]session.Revision
	role  auth.Role
	shut  bool // the document is to be opened again
	lives int
}

// link is a connection: two queues of messages.
type link struct {
	conn     *quirev1.Conn
	pass     *auth.Pass
	wanted   bool
	toServer [][]byte
	toClient [][]byte
	waiting  int
	closed   bool // by the server
}

func (l *link) SendText(p []byte) {
	l.toClient = append(l.toClient, append([]byte(nil), p...))
	l.waiting += 1 << 17 // so that a few messages fill one write
}
func (l *link) SendShared(m *ws.Shared) { l.SendText(m.Text()) }
func (l *link) SendAround(head []byte, m *ws.Shared, tail []byte) {
	l.SendText(slices.Concat(head, m.Text(), tail))
}
func (l *link) Waiting() int      { return l.waiting }
func (l *link) Depart()           {}
func (l *link) Close(int, string) { l.closed = true }

func simulate(t *testing.T, k kind, seed uint64) {
	typ := k.typ
	s := &sim{World: webtest.NewWorld(seed), t: t, kind: k, seed: seed, rights: seed%2 == 0, allowed: map[string]map[uint64]bool{}}
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("seed %d (-run TestSimulation/%s -sim.seed %d): %v", seed, typ.Name(), seed, p)
			if os.Getenv("SIM_PANIC") != "" {
				panic(p)
			}
		}
	}()
	s.Step = s.step
	s.Options = session.Options{
		Types:       []ot.Type{typ},
		Limits:      session.Limits{CompositeAfter: 1 + s.Rng.IntN(12), Window: 10 + s.Rng.IntN(60)},
		SnapshotOps: 5 + s.Rng.IntN(50),
	}
	s.start()
	for i := range 2 + s.Rng.IntN(4) {
		c := &simClient{s: s, role: auth.Write}
		c.begin(fmt.Sprintf("client-%02d", i))
		s.clients = append(s.clients, c)
	}
	steps := 100 + s.Rng.IntN(900)
	for range steps {
		s.step()
	}
	s.settle()
	s.verify()
}

// begin makes an editing instance of a client's.
func (c *simClient) begin(id string) {
	c.doc, c.acked, c.edits = client.NewDocument("doc", id, c.s.typ), map[uint64]session.Revision{}, 0
	c.doc.Create = c.s.typ.Name()
	c.doc.MaxRun = 1 + c.s.Rng.IntN(4)
	acked := c.acked
	c.doc.OnAcked(func(seq uint64, rev session.Revision) {
		if acked[seq] != 0 {
			panic(fmt.Sprintf("%s: seq %d acknowledged twice", id, seq))
		}
		acked[seq] = rev
	})
}

// abandon gives up what an instance has not sent, and goes on as another.
func (c *simClient) abandon() {
	c.disconnect()
	c.s.abandoned = append(c.s.abandoned, &simClient{doc: c.doc, acked: c.acked})
	c.lives++
	c.begin(fmt.Sprintf("%.9s-%d", c.doc.Client, c.lives))
}

// identity is who a client is, whatever its instance.
func (c *simClient) identity() auth.Identity {
	return auth.Identity{Author: authorOf(c.doc.Client), Kind: auth.Token, Grants: []auth.Grant{{Docs: "doc", Role: c.role}}}
}

func authorOf(client string) string { return "author of " + client[:9] }

// turn gives or takes a right, or ends the pass.
func (c *simClient) turn() {
	if c.s.steady {
		return
	}
	c.role = []auth.Role{auth.None, auth.Read, auth.Write, auth.Write}[c.s.Rng.IntN(4)]
	if c.link == nil {
		return
	}
	if c.s.Rng.IntN(6) == 0 {
		c.link.pass.End(session.Errorf(session.CodeUnauthenticated, "over"))
		return
	}
	c.s.log("%s: %s", c.doc.Client, c.role)
	c.link.pass.Set(c.identity())
}

func (s *sim) log(format string, args ...any) {
	if *simLog {
		s.t.Logf(format, args...)
	}
}

// start begins a life of the server on what the store holds.
func (s *sim) start() {
	s.log("server starts")
	s.Start()
	s.proto = quirev1.New(quirev1.Options{Manager: s.Manager, Server: "sim", Instance: fmt.Sprint(s.Life()), MaxMessage: 1 << 20, Now: s.Now})
}

// step lets one thing happen.
func (s *sim) step() {
	c := s.clients[s.Rng.IntN(len(s.clients))]
	switch n := s.Rng.IntN(100); {
	case n < 22:
		c.edit()
	case n < 30:
		c.submit()
	case n < 45:
		s.Task()
	case n < 62:
		c.deliver()
	case n < 74:
		c.serverSends()
	case n < 92:
		c.receive()
	case n < 95:
		c.disconnect()
	case n < 97 && s.rights:
		c.turn()
	case n < 96 && s.Rng.IntN(4) == 0:
		for _, c := range s.clients {
			c.disconnect()
		}
		s.start()
	case n < 97:
		s.Jump(time.Duration(s.Rng.Int64N(int64(96*time.Hour))) - 48*time.Hour)
	default:
		s.Advance(time.Duration(s.Rng.IntN(200)) * time.Millisecond)
	}
}

func (c *simClient) connect() {
	l := &link{pass: auth.NewPass(c.identity())}
	l.conn = c.s.proto.Connect(l.pass, func() { l.wanted = true })
	l.wanted = true
	c.link, c.shut = l, false
	c.send(c.doc.Open())
}

// disconnect loses whatever is on the way, except that the server may still get the
// first of what was sent.
func (c *simClient) disconnect() {
	if c.link == nil {
		return
	}
	for len(c.link.toServer) > 0 && c.s.Rng.IntN(2) == 0 {
		c.deliver()
	}
	if c.link == nil {
		return
	}
	c.s.log("%s disconnects", c.doc.Client)
	l, id := c.link, c.doc.Client
	c.link = nil
	c.doc.Disconnected()
	if c.s.Rng.IntN(3) > 0 {
		l.conn.Ended()
	} else { // the server notices later, or never, and may read the rest when the client is back
		c.s.Later(time.Duration(c.s.Rng.IntN(1000))*time.Millisecond, func() {
			for _, data := range l.toServer {
				c.s.log("%s > %s (late)", id, data)
				c.s.arrives(l, id, data)
				l.conn.Receive(data)
			}
		})
		c.s.Later(time.Second, l.conn.Ended)
	}
}

func (c *simClient) send(m quirev1.ClientMessage) {
	data, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	c.link.toServer = append(c.link.toServer, data)
}

func (c *simClient) edit() {
	if c.doc.Local() == nil || c.edits > 200 {
		c.submit()
		return
	}
	c.edits++
	if err := c.doc.Edit(c.s.edit(c.s.Rng, c.doc.Local(), c.edits)); err != nil {
		panic(err)
	}
	if c.s.Rng.IntN(2) == 0 {
		c.submit()
	}
}

func (c *simClient) submit() {
	if c.link == nil {
		c.connect()
		return
	}
	if c.shut && c.s.Rng.IntN(4) == 0 {
		c.shut = false
		c.send(c.doc.Open())
		return
	}
	if m := c.doc.Next(); m != nil {
		if c.s.Rng.IntN(3) == 0 {
			m.Cursor = json.RawMessage(`[]`)
		}
		c.send(*m)
		if c.s.Rng.IntN(10) == 0 {
			c.send(*m) // the network repeats it
		}
	}
}

func (c *simClient) deliver() {
	l := c.link
	if l == nil || len(l.toServer) == 0 {
		return
	}
	data := l.toServer[0]
	l.toServer = l.toServer[1:]
	c.s.log("%s > %s", c.doc.Client, data)
	c.s.arrives(l, c.doc.Client, data)
	if end := l.conn.Receive(data); end != nil {
		panic(end)
	}
}

// arrives notes what may be committed of a client's message.
func (s *sim) arrives(l *link, id string, data []byte) {
	var m quirev1.ClientMessage
	if json.Unmarshal(data, &m) != nil || m.T != "submit" || l.pass.Role("doc") < auth.Write {
		return
	}
	of := s.allowed[id]
	if of == nil {
		of = map[uint64]bool{}
		s.allowed[id] = of
	}
	for i := range m.Ops {
		of[*m.Seq+uint64(i)] = true
	}
}

func (c *simClient) serverSends() {
	if l := c.link; l != nil && l.wanted {
		l.waiting = 0
		l.wanted = false
		if l.conn.Send(l) {
			l.wanted = true
		}
	}
}

func (c *simClient) receive() {
	l := c.link
	if l != nil && l.closed && len(l.toClient) == 0 {
		c.disconnect()
		return
	}
	if l == nil || len(l.toClient) == 0 {
		return
	}
	data := l.toClient[0]
	l.toClient = l.toClient[1:]
	c.s.log("%s < %s", c.doc.Client, data)
	var m quirev1.ServerMessage
	if err := json.Unmarshal(data, &m); err != nil {
		panic(fmt.Sprintf("%v in %s", err, data))
	}
	err := c.doc.Receive(&m)
	var refused *client.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Class == session.Resync:
		c.doc.Disconnected()
		c.send(c.doc.Open())
	case errors.As(err, &refused) && refused.Class == session.Retry:
		c.disconnect()
	case c.s.rights && errors.As(err, &refused) && c.denied(refused):
	case err != nil:
		panic(fmt.Sprintf("%s received %s: %v", c.doc.Client, data, err))
	}
}

// denied does what a client does about a refusal for want of a right, if it is one.
func (c *simClient) denied(e *client.RefusedError) bool {
	switch {
	case e.Code == session.CodeForbidden && e.Seq > 0:
		refusals.Add(1)
		if c.s.Rng.IntN(4) == 0 {
			c.abandon()
		}
	case e.Code == session.CodeForbidden, e.Code == session.CodeNotFound:
		c.shut = true
	case e.Code == session.CodeNotOpen: // it was closed meanwhile
	case e.Code != session.CodeUnauthenticated: // else the end of the connection follows
		return false
	}
	return true
}

// settle heals the world and lets everything run until nothing is left to do.
func (s *sim) settle() {
	s.steady = true
	for _, c := range s.clients {
		c.role = auth.Write
		if c.link != nil {
			c.link.pass.Set(c.identity())
		}
	}
	for round := 0; ; round++ {
		busy := false
		for _, c := range s.clients {
			if c.link == nil {
				c.connect()
			}
			c.submit()
			for len(c.link.toServer) > 0 {
				c.deliver()
				busy = true
			}
		}
		busy = s.Rest() || busy
		for _, c := range s.clients {
			for c.link != nil && c.link.wanted {
				c.serverSends()
			}
			for c.link != nil && len(c.link.toClient) > 0 {
				c.receive()
				busy = true
			}
			if c.link != nil && c.link.closed {
				c.receive()
			}
			busy = busy || c.link == nil || c.shut || c.doc.Pending() > 0 || !c.doc.Current()
		}
		if !busy && round > 100 {
			return
		}
		if round > 10000 {
			for _, c := range s.clients {
				s.t.Logf("%s: pending %d, rev %d, current %v", c.doc.Client, c.doc.Pending(), c.doc.Rev(), c.doc.Current())
			}
			panic("the world does not come to rest")
		}
	}
}

// verify compares every client with the store.
func (s *sim) verify() {
	ctx := context.Background()
	info, err := s.Store.Stat(ctx, "doc")
	if err != nil {
		panic(err)
	}
	doc, err := s.typ.Create(nil)
	if err != nil {
		panic(err)
	}
	at := map[string]map[uint64]session.Revision{}
	last := int64(0)
	for rev := session.Revision(0); rev < info.Head; {
		recs, err := s.Store.Read(ctx, "doc", rev, info.Head)
		if err != nil {
			panic(err)
		}
		for _, r := range recs {
			rev++
			if r.Time < last {
				panic(fmt.Sprintf("record %d is %d ms older than the one before", rev-1, last-r.Time))
			}
			last = r.Time
			op, err := s.typ.UnmarshalOp(r.Op)
			if err == nil {
				doc, err = s.typ.Apply(doc, op)
			}
			if err != nil {
				panic(fmt.Sprintf("record %d: %v", rev-1, err))
			}
			if at[r.Client] == nil {
				at[r.Client] = map[uint64]session.Revision{}
			}
			if at[r.Client][r.Seq] != 0 {
				panic(fmt.Sprintf("%s seq %d is there twice", r.Client, r.Seq))
			}
			at[r.Client][r.Seq] = rev
			if !s.allowed[r.Client][r.Seq] || r.Author != authorOf(r.Client) {
				panic(fmt.Sprintf("%s seq %d, of %q, is there, and was refused whenever it was submitted", r.Client, r.Seq, r.Author))
			}
		}
	}
	want := string(s.typ.AppendDoc(nil, doc))
	for _, c := range s.clients {
		if c.doc.Rev() != info.Head {
			panic(fmt.Sprintf("%s is at revision %d, head %d", c.doc.Client, c.doc.Rev(), info.Head))
		}
		if got := string(s.typ.AppendDoc(nil, c.doc.Local())); got != want {
			panic(fmt.Sprintf("%s holds\n%q, the store\n%q", c.doc.Client, got, want))
		}
		if len(at[c.doc.Client]) != c.edits {
			panic(fmt.Sprintf("%s made %d edits, the store has %d", c.doc.Client, c.edits, len(at[c.doc.Client])))
		}
	}
	for _, c := range append(s.clients, s.abandoned...) {
		for seq, rev := range c.acked {
			if at[c.doc.Client][seq] != rev {
				panic(fmt.Sprintf("%s: seq %d was acknowledged at %d, the store has it at %d", c.doc.Client, seq, rev, at[c.doc.Client][seq]))
			}
		}
	}
}

// randomEdit makes an edit of up to three components, often where others edit too.
func randomEdit(rng *rand.Rand, doc *text.Doc, n int) text.Op {
	var b text.Builder
	left := doc.Len()
	for range 1 + rng.IntN(2) {
		if left > 0 {
			skip := rng.IntN(min(left, 6) + 1)
			if rng.IntN(3) == 0 {
				skip = rng.IntN(left + 1)
			}
			b.Retain(skip)
			left -= skip
		}
		if left > 0 && rng.IntN(5) < 2 {
			cut := 1 + rng.IntN(min(left, 4))
			b.Delete(cut)
			left -= cut
		} else {
			b.Insert(string(rune('a'+n%26)) + string(rune('A'+rng.IntN(26))))
		}
	}
	op, err := b.Op()
	if err != nil {
		panic(err)
	}
	return op
}
