package soak

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"quire/session"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
	"quire/web/quirev1/client/journal"
)

const (
	// thinking is the most time between two looks of a client at whether to edit.
	thinking = 8 * time.Millisecond
	// patience is how long a client waits for an answer to its ping before it connects again.
	patience = 2500 * time.Millisecond
	// mostPatience is how long it waits at most after it has waited in vain again and again: where everybody
	// is slow, the machine is, and to begin again ever sooner would only make it slower.
	mostPatience = 16 * patience
	// ahead is the most edits a client makes before the first is acknowledged.
	ahead = 4
)

// person is a client that edits, comes back whenever it is cut off, and keeps a journal.
type person struct {
	rig   *rig
	kind  Kind
	rec   *journal.Recorder
	file  *os.File
	rng   *rand.Rand
	edits int
	size  int           // bytes of each mark; 0: as they come
	waits time.Duration // how long it waits for an answer at present
	next  time.Time     // when it makes its next edit at the soonest

	acks    atomic.Int64
	pending atomic.Int64 // and 1 when it is not current, or may edit
	rev     atomic.Int64
	failed  atomic.Pointer[error]
	done    chan struct{} // closed when live has returned
}

// join makes a client of a document; it lives until the crew is settled.
func (r *rig) join(kind Kind, doc, id string, size int) error {
	f, err := os.Create(filepath.Join(r.journals, id+".journal"))
	if err != nil {
		return err
	}
	d := client.NewDocument(doc, id, kind.Type)
	d.Create = kind.Type.Name()
	p := &person{rig: r, kind: kind, file: f, rec: journal.NewRecorder(f, d, r.began), size: size, waits: patience,
		rng: rand.New(rand.NewPCG(r.Seed, uint64(len(r.crew)))), done: make(chan struct{})}
	p.pending.Store(1)
	if r.pace > 0 {
		p.next = time.Now().Add(time.Duration(p.rng.Int64N(int64(r.pace))))
	}
	last := time.Now()
	p.rec.OnAcked(func(uint64, session.Revision) {
		p.acks.Add(1)
		p.waits = patience
		r.acked.Add(1)
		r.saw.waited(time.Since(last))
		last = time.Now()
	})
	r.crew = append(r.crew, p)
	go p.live()
	return nil
}

// live is the life of a client.
func (p *person) live() {
	defer close(p.done)
	defer p.file.Close()
	for p.failed.Load() == nil && !p.rig.over() {
		over, err := p.connection()
		if err != nil {
			p.failed.Store(&err)
			return
		}
		if over {
			if err := p.rec.Done(); err != nil {
				p.failed.Store(&err)
			}
			return
		}
		p.note()
		p.rig.pause(time.Duration(5+p.rng.IntN(20)) * time.Millisecond) // before trying again
	}
}

// note tells the rig how far it is. It is not ready as long as it might edit.
func (p *person) note() {
	n := int64(p.rec.Pending())
	if !p.rec.Current() || p.rig.editing.Load() {
		n++
	}
	p.rev.Store(int64(p.rec.Rev()))
	p.pending.Store(n)
}

// connection is the time of one connection. over says that the client has everything; an
// error that it cannot go on.
func (p *person) connection() (over bool, err error) {
	url := p.rig.url.Load()
	if url == nil {
		return false, nil
	}
	conn, _, err := client.Dial(*url, client.Options{Timeout: p.waits})
	if err != nil {
		p.tired(err)
		return false, nil // the server is down, or slow
	}
	defer conn.Close()
	defer func() {
		if !over {
			p.rig.saw.cuts.Add(1)
			p.rec.Disconnected()
		}
	}()
	msgs, stop := listen(conn)
	defer close(stop)
	open := p.rec.Open()
	if p.send(conn, &open) != nil {
		return false, nil
	}
	look := time.NewTicker(p.rig.thinking/2 + time.Duration(p.rng.Int64N(int64(p.rig.thinking/2))))
	defer look.Stop()
	heard, asked := time.Now(), time.Time{}
	looked, checked := heard, false
	for {
		select {
		case m := <-msgs:
			if m == nil {
				return false, nil
			}
			heard = time.Now()
			again, err := p.receive(m)
			if again || err != nil {
				return false, err
			}
			if checked && m.T == "check" {
				return true, nil
			}
		case <-look.C:
			now := time.Now()
			if now.Sub(looked) > patience/4 { // it was itself that did nothing: the answer may be there
				heard = heard.Add(now.Sub(looked))
			}
			looked = now
			if now.Sub(heard) > p.waits || p.rig.over() {
				p.waits = min(2*p.waits, mostPatience)
				return false, nil
			}
			if now.Sub(heard) > patience/4 && now.Sub(asked) > patience/4 {
				asked = now
				if p.send(conn, &quirev1.ClientMessage{T: "ping"}) != nil {
					return false, nil
				}
			}
			if err := p.edit(); err != nil {
				return false, err
			}
		}
		if next := p.rec.Next(); next != nil && p.send(conn, next) != nil {
			return false, nil
		}
		p.note()
		if !checked && p.finished() {
			checked = true
			if p.send(conn, &quirev1.ClientMessage{T: "check", Doc: &p.rec.ID}) != nil {
				return false, nil
			}
		}
	}
}

// tired makes the client wait longer the next time when something took too long.
func (p *person) tired(err error) {
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		p.waits = min(2*p.waits, mostPatience)
	}
}

// send sends a message, or gives up when the other side takes nothing.
func (p *person) send(conn *client.Conn, m *quirev1.ClientMessage) error {
	err := send(conn, m, p.waits)
	p.tired(err)
	return err
}

// listen receives from a connection until stop is closed; nil comes when it has ended.
func listen(conn *client.Conn) (<-chan *quirev1.ServerMessage, chan<- struct{}) {
	msgs, stop := make(chan *quirev1.ServerMessage), make(chan struct{})
	go func() {
		for {
			m, err := conn.Receive()
			if err != nil {
				m = nil
			}
			select {
			case msgs <- m:
			case <-stop:
				return
			}
			if m == nil {
				return
			}
		}
	}()
	return msgs, stop
}

func send(conn *client.Conn, m *quirev1.ClientMessage, within time.Duration) error {
	_ = conn.WebSocket().SetWriteDeadline(time.Now().Add(within))
	return conn.Send(m)
}

// receive takes a message in. again says to connect again.
func (p *person) receive(m *quirev1.ServerMessage) (again bool, err error) {
	if m.T == "status" && m.Doc == p.rec.ID {
		p.rig.saw.status(m.Saved)
	}
	err = p.rec.Receive(m)
	var refused *client.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Class != session.Fatal:
		p.rig.saw.refused(string(refused.Code))
		return true, nil
	case err != nil:
		return false, fmt.Errorf("%s of %s: %w", p.rec.Client, p.rec.ID, err)
	}
	return false, p.rec.Err()
}

// edit makes an edit, if it is time for one.
func (p *person) edit() error {
	if !p.rig.editing.Load() || !p.rec.Current() || p.rec.Pending() >= ahead || time.Now().Before(p.next) {
		return nil
	}
	p.next = time.Now().Add(p.rig.pace)
	p.edits++
	mark := fmt.Sprintf("<%s:%d>", p.rec.Client, p.edits)
	for len(mark) < p.size {
		mark += mark
	}
	op, err := p.kind.Edit(p.rng, p.rec.Local(), mark)
	if err == nil {
		err = p.rec.Edit(op)
	}
	if err != nil {
		return fmt.Errorf("%s of %s cannot edit: %w", p.rec.Client, p.rec.ID, err)
	}
	return nil
}

// finished reports whether the client has everything there will be.
func (p *person) finished() bool {
	final := p.rig.finals.Load()
	return final != nil && p.rec.Current() && p.rec.Pending() == 0 && int64(p.rec.Rev()) >= (*final)[p.rec.ID]
}
