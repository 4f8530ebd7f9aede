package bench

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"strconv"
	"time"

	"quire/web/quirev1"
)

// seedLength is how long a document is before writers insert into it, at places
// below that.
const seedLength = 10_000

// news is what one message brought.
type news struct {
	singles    int // operations that came one by one
	composed   int // operations that came inside composites
	composites int
	acked      int  // own operations that came back
	refused    bool // the run in flight was refused, none of it was applied, and there is none now
}

// member is somebody in a document, or in a room of the broadcaster.
type member interface {
	// submit sends a run of n insertions of one character. One run is in flight at a
	// time.
	submit(n int) error
	// receive waits for a message and takes it in.
	receive() (news, error)
	// rev is how many operations of the document the member has received.
	rev() int64
	// Close cuts the connection; it may be called from any goroutine.
	Close() error
}

// join makes a member of the document named doc on a target, which has to exist.
func join(t *target, doc string, buffer int) (member, error) {
	if t.raw {
		return joinRaw(t, doc, buffer)
	}
	return joinQuire(t, doc, "", buffer)
}

// writer is what both kinds of member have.
type writer struct {
	*conn
	doc    string
	client string
	own    []byte // what tells an own item
	rnd    *mrand.Rand
	seq    int64 // acknowledged
	flight int   // operations in flight
	got    int64 // revision
	msg    []byte
}

func newWriter(t *target, path, subprotocol, doc string, buffer int) (writer, error) {
	c, err := t.dial(path, subprotocol, buffer)
	if err != nil {
		return writer{}, fmt.Errorf("%s: %w", t.name, err)
	}
	w := writer{conn: c, doc: doc, client: rand.Text()[:8], rnd: mrand.New(mrand.NewPCG(mrand.Uint64(), mrand.Uint64()))}
	w.own = []byte(w.client + `","s":`)
	return w, nil
}

func (w *writer) rev() int64 { return w.got }

// appendInsert appends an operation that inserts a letter somewhere.
func (w *writer) appendInsert(dst []byte) []byte {
	dst = append(dst, '[')
	dst = strconv.AppendInt(dst, 1+w.rnd.Int64N(seedLength-1), 10)
	return append(dst, `,"`+"abcdefghijklmnopqrstuvwxyz"[w.rnd.IntN(26):][:1]+`"]`...)
}

// quireMember speaks quire.v1 without keeping the document: it inserts, at places
// that are there whatever happened since.
type quireMember struct {
	writer
	opened bool
}

// joinQuire opens a document, creating it when create names a type.
func joinQuire(t *target, doc, create string, buffer int) (*quireMember, error) {
	w, err := newWriter(t, "ws", quirev1.Subprotocol, doc, buffer)
	if err != nil {
		return nil, err
	}
	m := &quireMember{writer: w}
	err = m.open(create)
	_ = m.nc.SetReadDeadline(time.Now().Add(dialTimeout))
	for err == nil && !m.opened {
		_, err = m.receive()
	}
	if err == nil {
		return m, m.nc.SetReadDeadline(time.Time{})
	}
	m.Close()
	return nil, fmt.Errorf("%s: opening a document: %w", t.name, err)
}

func (m *quireMember) open(create string) error {
	data, err := json.Marshal(quirev1.ClientMessage{T: "open", Doc: &m.doc, Client: m.client, Create: create})
	if err != nil {
		return err
	}
	m.opened = false
	return m.send(opText, data)
}

func (m *quireMember) submit(n int) error {
	return m.submitOps(n, func(dst []byte, _ int) []byte { return m.appendInsert(dst) })
}

// submitOps sends a run of n operations, each written by op.
func (m *quireMember) submitOps(n int, op func(dst []byte, i int) []byte) error {
	b := append(m.msg[:0], `{"t":"submit","doc":"`...)
	b = append(b, m.doc...) // the benchmark's ids need no escapes
	b = append(b, `","base":`...)
	b = strconv.AppendInt(b, m.got, 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendInt(b, m.seq+1, 10)
	b = append(b, `,"ops":[`...)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = op(b, i)
	}
	m.msg = append(b, `]}`...)
	m.flight = n
	return m.send(opText, m.msg)
}

func (m *quireMember) receive() (news, error) {
	data, err := m.next()
	if err != nil {
		return news{}, err
	}
	s, err := scan(data, m.own)
	if err != nil {
		return news{}, err
	}
	switch s.kind {
	case "ops":
		return m.ops(&s)
	case "opened":
		return news{}, m.welcome(data)
	case "error":
		return m.refusal(data)
	case "hello", "you", "presence", "pong", "check":
		return news{}, nil
	}
	return news{}, fmt.Errorf("the server said %.200s", data)
}

func (m *quireMember) ops(s *message) (news, error) {
	if !m.opened {
		return news{}, nil // of the opening before
	}
	if s.rev != m.got {
		return news{}, fmt.Errorf("operations from revision %d, expected %d", s.rev, m.got)
	}
	n := news{singles: s.singles, composites: s.composites, acked: s.own}
	n.composed = int(s.next-s.rev) - s.singles
	m.got = s.next
	if s.own > 0 {
		m.seq += int64(s.own)
		m.flight -= s.own
		if s.ownSeq != m.seq || m.flight < 0 {
			return n, fmt.Errorf("seq %d was acknowledged, expected %d with %d in flight", s.ownSeq, m.seq, m.flight+s.own)
		}
	}
	return n, nil
}

func (m *quireMember) welcome(data []byte) error {
	rev, ok1 := number(data, `"rev":`)
	seq, ok2 := number(data, `"seq":`)
	if !ok1 || !ok2 {
		return fmt.Errorf("opened without rev or seq: %.200q", data)
	}
	m.got, m.seq, m.opened = rev, seq, true
	return nil
}

// refusal does what the class of an error asks for. The run that it hands back is
// given up: nothing of it was applied, and the next one is as good.
func (m *quireMember) refusal(data []byte) (news, error) {
	var e quirev1.ServerMessage
	if err := json.Unmarshal(data, &e); err != nil {
		return news{}, err
	}
	refused := e.Seq > 0 && m.flight > 0 && int64(e.Seq) == m.seq+1
	switch {
	case e.Class == "retry" && refused:
		time.Sleep(10 * time.Millisecond)
		return news{}, m.send(opText, m.msg)
	case e.Class == "resync" && refused:
		m.flight = 0
		err := m.open("")
		for err == nil && !m.opened {
			_, err = m.receive()
		}
		return news{refused: true}, err
	}
	return news{}, fmt.Errorf("the server refused: %s", data)
}

// rawMember is in a room of the broadcaster. Its frames look like the items of an
// ops message.
type rawMember struct{ writer }

var rawHead = []byte(`{"c":"`)

func joinRaw(t *target, doc string, buffer int) (*rawMember, error) {
	w, err := newWriter(t, "room/"+doc, "", doc, buffer)
	if err != nil {
		return nil, err
	}
	m := &rawMember{writer: w}
	// Its own greeting coming back tells that it is in the room.
	greeting := `{"hello":"` + m.client + `"}`
	err = m.send(opText, []byte(greeting))
	for err == nil {
		var data []byte
		if data, err = m.next(); err == nil && string(data) == greeting {
			return m, nil
		}
	}
	m.Close()
	return nil, err
}

func (m *rawMember) submit(n int) error {
	return m.submitOps(n, func(dst []byte, _ int) []byte { return m.appendInsert(dst) })
}

// submitOps sends a frame for each of n operations, in one write; op writes them.
func (m *rawMember) submitOps(n int, op func(dst []byte, i int) []byte) error {
	for i := range n {
		m.seq++
		b := append(m.msg[:0], rawHead...)
		b = append(b, m.own...)
		b = strconv.AppendInt(b, m.seq, 10)
		b = append(b, `,"op":`...)
		b = op(b, i)
		m.msg = append(b, '}')
		m.queue(m.msg)
	}
	m.flight += n
	return m.flush()
}

func (m *rawMember) receive() (news, error) {
	data, err := m.next()
	if err != nil {
		return news{}, err
	}
	if !bytes.HasPrefix(data, rawHead) {
		return news{}, nil // a greeting
	}
	n := news{singles: 1}
	m.got++
	if own := data[len(rawHead):]; bytes.HasPrefix(own, m.own) {
		n.acked = 1
		if m.flight--; m.flight < 0 {
			return n, errors.New("the broadcaster sent a frame twice")
		}
	}
	return n, nil
}
