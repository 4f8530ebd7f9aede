package soak

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/fasthttp/websocket"
)

// member is what all who edit have, whatever they speak.
type member struct {
	rig    *rig
	kind   Kind
	doc    string
	client string
	file   *os.File // its journal
	rng    *rand.Rand
	edits  int
	waits  time.Duration // how long it waits for an answer at present
	next   time.Time     // when it makes its next edit at the soonest
	since  time.Time     // the last acknowledgement

	acks    atomic.Int64
	pending atomic.Int64 // and 1 when it is not current, or may edit
	rev     atomic.Int64
	failed  atomic.Pointer[error]
	done    chan struct{} // closed when live has returned
}

// member makes one who edits a document, and who is to live.
func (r *rig) member(kind Kind, doc, id string) (*member, error) {
	f, err := os.Create(filepath.Join(r.journals, id+".journal"))
	if err != nil {
		return nil, err
	}
	m := &member{rig: r, kind: kind, doc: doc, client: id, file: f, waits: patience, since: time.Now(),
		rng: rand.New(rand.NewPCG(r.Seed, uint64(len(r.crew)))), done: make(chan struct{})}
	m.pending.Store(1)
	if r.pace > 0 {
		m.next = time.Now().Add(time.Duration(m.rng.Int64N(int64(r.pace))))
	}
	r.crew = append(r.crew, m)
	return m, nil
}

// live has a member try again and again, until it has everything. once is a connection, or a request;
// it says whether that is so, or that the member cannot go on.
func (m *member) live(once func() (over bool, err error)) {
	defer close(m.done)
	defer m.file.Close()
	for !m.rig.over() {
		over, err := once()
		if err != nil {
			m.failed.Store(&err)
		}
		if over || err != nil {
			return
		}
		m.rig.pause(time.Duration(5+m.rng.IntN(20)) * time.Millisecond) // before trying again
	}
}

// acked counts an acknowledgement.
func (m *member) acked() {
	m.acks.Add(1)
	m.waits = patience
	m.rig.acked.Add(1)
	m.rig.saw.waited(time.Since(m.since))
	m.since = time.Now()
}

// note tells the rig how far it is. It is not ready as long as it might edit.
func (m *member) note(rev int64, pending int, current bool) {
	n := int64(pending)
	if !current || m.rig.editing.Load() {
		n++
	}
	m.rev.Store(rev)
	m.pending.Store(n)
}

// tired makes a member wait longer the next time when something took too long.
func (m *member) tired(err error) {
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		m.waits = min(2*m.waits, mostPatience)
	}
}

// due reports whether it is time for an edit, and then counts it.
func (m *member) due() bool {
	if !m.rig.editing.Load() || time.Now().Before(m.next) {
		return false
	}
	m.next = time.Now().Add(m.rig.pace)
	m.edits++
	return true
}

// final reports whether all edits are made and rev has them.
func (m *member) final(rev int64) bool {
	final := m.rig.finals.Load()
	return final != nil && rev >= (*final)[m.doc]
}

// tongue is a protocol as a member speaks it on one connection.
type tongue interface {
	// hear takes a message in. again says to connect again; an error that the member cannot go on.
	hear(data []byte) (again bool, err error)
	// look makes an edit, if it is time for one. leave says to end this connection; an error that the member
	// cannot go on.
	look() (leave bool, err error)
	// say returns what there is to send now.
	say() [][]byte
	// ping returns a message that is answered.
	ping() []byte
	// over reports whether the member has everything there will be.
	over() bool
}

// talk is the time of one connection. over says that the member has everything.
func (m *member) talk(ws *websocket.Conn, t tongue) (over bool, err error) {
	msgs, stop := listen(ws)
	defer close(stop)
	look := time.NewTicker(m.rig.thinking/2 + time.Duration(m.rng.Int64N(int64(m.rig.thinking/2))))
	defer look.Stop()
	heard, asked := time.Now(), time.Time{}
	looked := heard
	for {
		for _, data := range t.say() {
			if m.send(ws, data) != nil {
				return false, nil
			}
		}
		select {
		case data := <-msgs:
			if data == nil {
				return false, nil
			}
			heard = time.Now()
			again, err := t.hear(data)
			if again || err != nil || t.over() {
				return err == nil && t.over(), err
			}
		case <-look.C:
			now := time.Now()
			if now.Sub(looked) > patience/4 { // it was itself that did nothing: the answer may be there
				heard = heard.Add(now.Sub(looked))
			}
			looked = now
			if now.Sub(heard) > m.waits || m.rig.over() {
				m.waits = min(2*m.waits, mostPatience)
				return false, nil
			}
			if now.Sub(heard) > patience/4 && now.Sub(asked) > patience/4 {
				asked = now
				if m.send(ws, t.ping()) != nil {
					return false, nil
				}
			}
			if leave, err := t.look(); leave || err != nil {
				return false, err
			}
		}
	}
}

// send sends a message, or gives up when the other side takes nothing.
func (m *member) send(ws *websocket.Conn, data []byte) error {
	_ = ws.SetWriteDeadline(time.Now().Add(m.waits))
	err := ws.WriteMessage(websocket.TextMessage, data)
	m.tired(err)
	return err
}

// listen receives from a connection until stop is closed; nil comes when it has ended.
func listen(ws *websocket.Conn) (<-chan []byte, chan<- struct{}) {
	msgs, stop := make(chan []byte), make(chan struct{})
	go func() {
		for {
			_, data, err := ws.ReadMessage()
			if err != nil {
				data = nil
			}
			select {
			case msgs <- data:
			case <-stop:
				return
			}
			if data == nil {
				return
			}
		}
	}()
	return msgs, stop
}
