package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"quire/cmd/quire/bench/trace"
	"quire/ot/text"
	"quire/session"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

// play is a recorded session on the stage: each agent is a client that types its
// transactions in order and, before each, has taken in of the others' operations what
// their author had seen, and nothing after that.
//
// Of those who can type the one of the lowest number does, and the next one's turn comes
// when that is committed. The order matters where concurrent inserts meet at one place:
// in the public collection nobody typed where another did at that time, but a character
// that stood between two places and was deleted lets them meet. In friendsforever that
// happens once, and the recorded end has the text of agent 0 first. Not safe for
// concurrent use.
type play struct {
	made     []int // patches of each agent that were typed
	back     []int // and that came back to it
	turn     int   // the agent that typed last
	typing   bool  // it may have typed what was not offered to send yet
	actors   []*actor
	byClient map[string]int
	arrivals chan arrival
	cancel   context.CancelFunc
	ctx      context.Context

	runs    int
	latency histogram
	bar     *progress
}

// actor is one agent.
type actor struct {
	agent    int
	conn     *client.Conn
	doc      *client.Document
	txns     []*trace.Txn            // its own that are left
	had      []int                   // patches of each agent that it has
	queue    []quirev1.ServerMessage // received, not taken in; each of one item
	underWay int                     // operations sent that have not come back
	sent     time.Time               // when they were
}

// arrival is what an actor's connection received.
type arrival struct {
	agent int
	m     *quirev1.ServerMessage
	err   error
}

// newPlay opens a document for every agent.
func newPlay(ctx context.Context, t *target, tr *trace.Trace, doc string, inFlight int) (*play, error) {
	p := &play{made: make([]int, tr.Agents), back: make([]int, tr.Agents), byClient: map[string]int{}, arrivals: make(chan arrival, 16)}
	p.ctx, p.cancel = context.WithCancel(ctx)
	for i := range tr.Agents {
		d := client.NewDocument(doc, rand.Text()[:12], text.Type{})
		d.MaxRun = inFlight
		conn, err := openOn(t, d)
		if err != nil {
			p.close()
			return nil, err
		}
		p.actors = append(p.actors, &actor{agent: i, conn: conn, doc: d, had: make([]int, tr.Agents)})
		p.byClient[d.Client] = i
	}
	for i := range tr.Txns {
		a := p.actors[tr.Txns[i].Agent]
		a.txns = append(a.txns, &tr.Txns[i])
	}
	for _, a := range p.actors {
		go a.listen(p.ctx, p.arrivals)
	}
	return p, nil
}

// close ends the actors' connections.
func (p *play) close() {
	p.cancel()
	for _, a := range p.actors {
		a.conn.Close()
	}
}

// listen passes on what a connection receives, until it or the play ends.
func (a *actor) listen(ctx context.Context, to chan<- arrival) {
	for {
		m, err := a.conn.Receive()
		select {
		case to <- arrival{a.agent, m, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// run plays everything until every actor has all of it.
func (p *play) run() error {
	for {
		for _, a := range p.actors {
			if err := p.takeIn(a); err != nil {
				return err
			}
		}
		// What an agent typed in its last turn goes out before another's turn.
		if err := p.send(); err != nil {
			return err
		}
		typed, err := p.typeNext()
		if err != nil {
			return err
		}
		if err := p.send(); err != nil {
			return err
		}
		if typed {
			continue
		}
		if p.over() {
			return nil
		}
		select {
		case got := <-p.arrivals:
			if got.err != nil {
				return got.err
			}
			if err := p.receive(p.actors[got.agent], got.m); err != nil {
				return err
			}
		case <-p.ctx.Done():
			return p.ctx.Err()
		case <-time.After(patience):
			return errors.New("nothing arrived for " + patience.String() + ", and nobody can type on")
		}
	}
}

// over reports whether everything was typed, committed and taken in by everybody.
func (p *play) over() bool {
	for _, a := range p.actors {
		if len(a.txns) > 0 || a.doc.Pending() > 0 || !covers(a.had, p.made) {
			return false
		}
	}
	return true
}

// typeNext types the next transactions of one actor's turn and reports whether there
// were any.
func (p *play) typeNext() (typed bool, err error) {
	for a := p.next(); a != nil; a = p.next() {
		x := a.txns[0]
		for i := range x.Patches {
			op, err := x.Patches[i].Op(a.doc.Local().(*text.Doc))
			if err == nil {
				err = a.doc.Edit(op)
			}
			if err != nil {
				return false, fmt.Errorf("agent %d, patch %d: %w", a.agent, a.had[a.agent]+i, err)
			}
		}
		a.had[a.agent] += len(x.Patches)
		p.made[a.agent] += len(x.Patches)
		a.txns = a.txns[1:]
		p.turn, p.typing, typed = a.agent, true, true
	}
	return typed, nil
}

// next returns who types now; nil when something has to arrive first. One who is alone
// types no more than two runs ahead.
func (p *play) next() *actor {
	if len(p.actors) == 1 && p.actors[0].doc.Pending() >= 2*p.actors[0].doc.MaxRun {
		return nil
	}
	for _, a := range p.actors {
		if len(a.txns) == 0 || !covers(p.made, a.txns[0].Seen) {
			continue
		}
		quiet := a.agent == p.turn || !p.underWay()
		switch {
		case quiet && covers(a.had, a.txns[0].Seen):
			return a
		case p.underWay() || covers(p.back, a.txns[0].Seen):
			return nil // it will arrive
		}
		// What it needs was typed, but its author cannot send it: what that one has in
		// flight came back behind something it may not take in before it types more.
	}
	return nil
}

// covers reports whether each number of a is at least that of b.
func covers(a, b []int) bool {
	for i := range a {
		if a[i] < b[i] {
			return false
		}
	}
	return true
}

// underWay reports whether something that was typed is to be sent or has not come back.
func (p *play) underWay() bool {
	if p.typing {
		return true
	}
	for _, a := range p.actors {
		if a.underWay > 0 {
			return true
		}
	}
	return false
}

// send submits what the actors have typed, as far as the protocol lets them.
func (p *play) send() error {
	p.typing = false
	for _, a := range p.actors {
		if m := a.doc.Next(); m != nil {
			a.sent = time.Now()
			a.underWay = len(m.Ops)
			p.runs++
			if err := a.conn.Send(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// allowed reports whether an actor may take in a message before its next transaction.
func (p *play) allowed(a *actor, m *quirev1.ServerMessage) bool {
	from, ok := p.byClient[m.Ops[0].C]
	return !ok || from == a.agent || len(a.txns) == 0 || a.had[from] < a.txns[0].Seen[from]
}

// takeIn takes in what is allowed of what was received.
func (p *play) takeIn(a *actor) error {
	n := 0
	for ; n < len(a.queue) && p.allowed(a, &a.queue[n]); n++ {
		if err := a.doc.Receive(&a.queue[n]); err != nil {
			return fmt.Errorf("agent %d: %w", a.agent, err)
		}
		if from, ok := p.byClient[a.queue[n].Ops[0].C]; ok && from != a.agent {
			a.had[from]++
		}
	}
	a.queue = append(a.queue[:0], a.queue[n:]...)
	return nil
}

// receive queues a message's items one by one.
func (p *play) receive(a *actor, m *quirev1.ServerMessage) error {
	if m.Doc != a.doc.ID {
		return nil
	}
	if m.T != "ops" {
		return a.doc.Receive(m) // an error is the end: nobody else writes here
	}
	rev := m.Rev
	for _, it := range m.Ops {
		if it.N > 1 {
			return errors.New("the server composed operations for an actor who has to take them in one by one")
		}
		if it.C == a.doc.Client {
			a.underWay--
			p.back[a.agent]++
			p.latency.record(time.Since(a.sent))
			p.bar.add(1)
		}
		a.queue = append(a.queue, quirev1.ServerMessage{T: "ops", Doc: m.Doc, Rev: rev, Ops: []quirev1.Item{it}})
		rev += session.Revision(1)
	}
	return nil
}
