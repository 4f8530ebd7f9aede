package sharedb_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"quire/ot/ottest"
	"quire/ot/ottypes"
	"quire/session"
	"quire/web/auth"
	"quire/web/sharedb"
	"quire/web/webtest"
	"quire/web/ws"
)

var (
	simSeed = flag.Uint64("sim.seed", 0, "run the simulation with this seed only")
	simLog  = flag.Bool("sim.log", false, "print every message of the simulation")
	simRuns = flag.Int("sim.runs", 150, "how many seeds to simulate for each type; a fifth with the race detector")
)

// TestSimulation runs the whole protocol, from clients that do what npm's sharedb does over
// JSON messages to sessions and a store, in one goroutine that a seed drives: which message
// is delivered next, who edits, creates or deletes, whose connection drops with what in
// flight, when the server is killed and started again, who may read and write and whose credentials
// end. In the end, when everybody may write again, every client must hold what the store holds, every acknowledged operation must be there exactly once, where it
// was acknowledged, and none that was refused.
func TestSimulation(t *testing.T) {
	for _, k := range []kind{
		{"json0", ottypes.JSON0{}, ottest.JSON0()},
		{"rich-text", ottypes.RichText{}, ottest.Delta()},
		{"text0", ottypes.Text0{}, ottest.Text0()},
		{"text-unicode", ottypes.TextUnicode{}, ottest.TextUnicode()}, // the server keeps a text
	} {
		t.Run(k.name, func(t *testing.T) {
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
		})
	}
}

// kind is a type as clients have it and a source of edits.
type kind struct {
	name    string
	dialect sharedb.Dialect
	gen     ottest.Gen
}

// sim is one simulated world.
type sim struct {
	*webtest.World
	t *testing.T
	kind
	seed    uint64
	proto   *sharedb.Protocol
	clients []*simClient
	// settling: nobody loses a right any more.
	settling bool
}

// simClient is a client with its link to the server.
type simClient struct {
	s    *sim
	name string
	conn *shareConn
	link *link
	// role is what it may do, in pass, that of its connection; auth.None is nothing at all.
	role auth.Role
	pass *auth.Pass
	// blind: it could not read at some time, and was told of what it sent again as of what never was.
	blind bool
	// What became of its operations, by document, src and seq.
	acked, refused, unsure map[opName]int64
}

type opName struct {
	doc, src string
	seq      uint64
}

// link is a socket: two queues of messages.
type link struct {
	conn     *sharedb.Conn
	wanted   bool
	closed   bool
	toServer [][]byte
	toClient [][]byte
	waiting  int
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
func (l *link) Close(int, string) { l.closed = true }

// simDocs are the documents' names in the collection.
var simDocs = []string{"one", "two"}

const simCollection = "c"

func simulate(t *testing.T, k kind, seed uint64) {
	s := &sim{World: webtest.NewWorld(seed), t: t, kind: k, seed: seed}
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("seed %d (-run TestSimulation/%s -sim.seed %d): %v", seed, k.name, seed, p)
		}
	}()
	s.Step, s.Births = s.step, true
	s.Options = session.Options{
		Types:       types(),
		Limits:      session.Limits{Window: 10 + s.Rng.IntN(60), Work: 1 << (8 + s.Rng.IntN(16))},
		SnapshotOps: 5 + s.Rng.IntN(50),
	}
	s.start()
	for i := range 2 + s.Rng.IntN(4) {
		c := &simClient{s: s, name: fmt.Sprintf("client-%d", i), role: auth.Write, acked: map[opName]int64{}, refused: map[opName]int64{}, unsure: map[opName]int64{}}
		c.conn = &shareConn{dialect: k.dialect, legacy: s.Rng.IntN(4) == 0, send: c.send}
		for _, d := range simDocs {
			c.watch(c.conn.doc(simCollection, d))
		}
		s.clients = append(s.clients, c)
	}
	for range 100 + s.Rng.IntN(900) {
		s.step()
	}
	s.settle()
	s.verify()
}

func (c *simClient) watch(d *shareDoc) {
	d.acked = func(o *shareOp, v int64) {
		name := opName{d.d, o.src, o.seq}
		if at, there := c.acked[name]; there {
			panic(fmt.Sprintf("%s: %v acknowledged at %d and %d", c.name, name, at, v))
		}
		c.acked[name] = v
	}
	d.dropped = func(o *shareOp, err error, sure bool) {
		c.s.log("%s drops seq %d of %s: %v", c.name, o.seq, o.src, err)
		switch {
		case sure && !c.blind:
			c.refused[opName{d.d, o.src, o.seq}] = 0
		default:
			c.unsure[opName{d.d, o.src, o.seq}] = 0
		}
	}
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
	life, n := s.Life(), 0
	s.proto = sharedb.New(sharedb.Options{
		Manager: s.Manager, Dialects: dialects(), Now: s.Now, After: func(d time.Duration, f func()) { s.Later(d, f) },
		NewID: func() string { n++; return fmt.Sprintf("id-%d-%d", life, n) },
	})
}

// step lets one thing happen.
func (s *sim) step() {
	c := s.clients[s.Rng.IntN(len(s.clients))]
	switch n := s.Rng.IntN(100); {
	case n < 25:
		c.edit()
	case n < 30:
		c.connect()
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
	case n < 96 && s.Rng.IntN(4) == 0:
		for _, c := range s.clients {
			c.disconnect()
		}
		s.proto.Close()
		s.start()
	case n < 97 && !s.settling:
		c.give([]auth.Role{auth.None, auth.Read, auth.Write, auth.Write}[s.Rng.IntN(4)])
		if s.Rng.IntN(8) == 0 {
			c.pass.End(session.Errorf(session.CodeUnauthenticated, "over"))
		}
	default:
		s.Advance(time.Duration(s.Rng.IntN(200)) * time.Millisecond)
	}
}

// give has a client do something else with the documents, also on the connection that it has.
func (c *simClient) give(role auth.Role) {
	c.s.log("%s may %v", c.name, role)
	c.role, c.blind = role, c.blind || role == auth.None
	if c.pass == nil {
		c.pass = auth.NewPass(auth.Identity{})
	}
	if c.pass.Ended() == nil {
		c.pass.Set(c.identity())
	}
}

func (c *simClient) identity() auth.Identity {
	i := auth.Identity{Author: c.name, Kind: auth.Token}
	if c.role > auth.None {
		i.Grants = []auth.Grant{{Docs: "*", Role: c.role}}
	}
	return i
}

func (c *simClient) connect() {
	if c.link != nil {
		return
	}
	l := &link{}
	c.pass = auth.NewPass(c.identity())
	l.conn = c.s.proto.Connect(c.pass, func() { l.wanted = true })
	l.wanted = true
	c.link = l
	c.conn.opened()
}

// disconnect loses whatever is on the way, except that the server may still get the
// first of what was sent.
func (c *simClient) disconnect() {
	for c.link != nil && len(c.link.toServer) > 0 && c.s.Rng.IntN(2) == 0 {
		c.deliver()
	}
	if c.link == nil {
		return
	}
	c.s.log("%s disconnects", c.name)
	l := c.link
	c.link = nil
	c.conn.lost()
	if c.s.Rng.IntN(3) > 0 {
		l.conn.Ended()
	} else { // the server notices later, or never
		c.s.Later(time.Second, l.conn.Ended)
	}
}

func (c *simClient) send(m shareMessage) {
	data, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	c.link.toServer = append(c.link.toServer, data)
}

// edit has the application do something with one of its documents.
func (c *simClient) edit() {
	d, s := c.conn.docs[c.s.Rng.IntN(len(simDocs))], c.s
	o := &shareOp{}
	switch {
	case d.rolling, !d.exists() && d.version < 0 && s.Rng.IntN(3) > 0:
		return // it does not know yet whether there is one
	case !d.exists():
		o.create = s.gen.Doc(s.Rng, 3)
	case s.Rng.IntN(60) == 0:
		o.del = true
	default:
		o.op = s.gen.Op(s.Rng, d.doc, 3)
	}
	if err := d.submit(o); err != nil {
		panic(fmt.Sprintf("%s edits: %v", c.name, err))
	}
	if s.Rng.IntN(2) == 0 {
		d.flush()
	}
}

func (c *simClient) deliver() {
	l := c.link
	if l == nil || len(l.toServer) == 0 {
		return
	}
	data := l.toServer[0]
	l.toServer = l.toServer[1:]
	c.s.log("%s > %s", c.name, data)
	if end := l.conn.Receive(data); end != nil {
		if end.Code != ws.CloseTryAgain && end.Code != ws.CloseUnauthenticated {
			panic(end)
		}
		l.waiting = 0
		l.conn.Send(l) // the last that the server has to say
		l.closed = true
	}
}

func (c *simClient) serverSends() {
	if l := c.link; l != nil && l.wanted && !l.closed {
		l.waiting = 0
		l.wanted = false
		if l.conn.Send(l) {
			l.wanted = true
		}
	}
}

func (c *simClient) receive() {
	l := c.link
	if l == nil {
		return
	}
	if len(l.toClient) == 0 {
		if l.closed {
			c.disconnect()
		}
		return
	}
	data := l.toClient[0]
	l.toClient = l.toClient[1:]
	c.s.log("%s < %s", c.name, data)
	if err := c.conn.receive(data); err != nil {
		panic(fmt.Sprintf("%s received %s: %v", c.name, data, err))
	}
}

func (c *simClient) idle() bool {
	for _, d := range c.conn.docs {
		if d.inflight != nil || len(d.pending) > 0 || d.fetching > 0 || d.wantsFetch {
			return false
		}
	}
	return c.link != nil && c.conn.ready
}

// settle heals the world and lets everything run until nothing is left to do.
func (s *sim) settle() {
	s.Calm()
	s.settling = true
	for _, c := range s.clients {
		c.give(auth.Write)
	}
	for round := 0; ; round++ {
		busy := false
		for _, c := range s.clients {
			c.connect()
			for _, d := range c.conn.docs {
				d.flush()
			}
			for c.link != nil && len(c.link.toServer) > 0 {
				c.deliver()
				busy = true
			}
		}
		busy = s.Rest() || busy
		for _, c := range s.clients {
			for c.link != nil && c.link.wanted && !c.link.closed {
				c.serverSends()
			}
			for c.link != nil && (len(c.link.toClient) > 0 || c.link.closed) {
				c.receive()
				busy = true
			}
			busy = busy || !c.idle()
		}
		if !busy && round > 100 {
			return
		}
		if round > 10000 {
			for _, c := range s.clients {
				for _, d := range c.conn.docs {
					s.t.Logf("%s: %s in flight %v, %d pending, version %d, fetching %d", c.name, d.d, d.inflight, len(d.pending), d.version, d.fetching)
				}
			}
			panic("the world does not come to rest")
		}
	}
}

// verify compares every client with the store.
func (s *sim) verify() {
	ctx := context.Background()
	there := map[opName]int64{}
	for i, d := range simDocs {
		id := simCollection + "/" + d
		v, err := s.Manager.View(ctx, id, session.Head)
		if err != nil {
			panic(err)
		}
		s.collect(ctx, id, d, v.Rev, there)
		want := "nothing"
		if v.Type != nil {
			want = string(s.dialect.AppendDoc(nil, v.Doc))
		}
		for _, c := range s.clients {
			doc := c.conn.docs[i]
			if doc.version != int64(v.Rev)+1 {
				panic(fmt.Sprintf("%s has %s at version %d, the store at %d", c.name, d, doc.version, v.Rev+1))
			}
			got := "nothing"
			if doc.exists() {
				got = string(s.dialect.AppendDoc(nil, doc.doc))
			}
			if got != want {
				panic(fmt.Sprintf("%s has %s as\n%s, the store\n%s", c.name, d, got, want))
			}
		}
	}
	acked := 0
	for _, c := range s.clients {
		acked += len(c.acked)
		for name, v := range c.acked {
			if at, ok := there[name]; !ok || at != v {
				panic(fmt.Sprintf("%s: %v was acknowledged at %d; in the store: %v, at %d", c.name, name, v, ok, at))
			}
		}
		for name := range c.refused {
			if _, ok := there[name]; ok {
				panic(fmt.Sprintf("%s: %v was refused and is in the store", c.name, name))
			}
		}
		for name := range c.unsure {
			delete(there, name)
		}
	}
	if acked != len(there) {
		panic(fmt.Sprintf("%d operations were acknowledged, the store has %d", acked, len(there)))
	}
}

// collect notes at which versions a document's operations are.
func (s *sim) collect(ctx context.Context, id, doc string, head session.Revision, there map[opName]int64) {
	for rev := session.Unborn; rev < head; {
		recs, err := s.Store.Read(ctx, id, rev, head)
		if err != nil {
			panic(err)
		}
		for _, r := range recs {
			name := opName{doc, r.Client, r.Seq}
			if at, twice := there[name]; twice {
				panic(fmt.Sprintf("%v is in the store at %d and %d", name, at, rev+1))
			}
			there[name] = int64(rev) + 1
			rev++
		}
	}
}
