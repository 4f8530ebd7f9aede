package soak

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fasthttp/websocket"

	"quire/ot"
	"quire/ot/ottypes"
	"quire/session"
	"quire/web/quirev1/client/journal"
)

// sharer edits by ShareDB's protocol: one operation at a time, which it sends again over the next connection
// when it was not acknowledged, before it subscribes to what it missed, as ShareDB's client does.
type sharer struct {
	*member
	j       *journal.Writer
	dialect ottypes.Type

	doc     ot.Doc // at version; nil before it was subscribed to
	version int64
	flight  ot.Op // made on doc; nil: there is none
	seq     uint64
	queue   [][]byte // to be sent
	asked   bool     // the subscription was asked for on this connection, and nothing has come of it yet
	current bool     // it has what it missed
	ended   bool
}

// dialectOf returns a type as ShareDB's clients write it; nil when they do not, or not without knowing more of
// the document.
func dialectOf(t ot.Type) ottypes.Type {
	for _, d := range ottypes.All() {
		if d.Type().Name() == t.Name() && !d.NeedsDoc() {
			return d
		}
	}
	return nil
}

// share makes a client of ShareDB.
func (r *rig) share(kind Kind, d ottypes.Type, doc, id string) error {
	m, err := r.member(kind, doc, id)
	if err != nil {
		return err
	}
	s := &sharer{member: m, j: journal.NewWriter(m.file, r.began), dialect: d}
	go s.live(s.connection)
	return nil
}

// shared is a message of ShareDB's, as far as this client reads them.
type shared struct {
	A     string          `json:"a"`
	V     int64           `json:"v"`
	Src   string          `json:"src"`
	Seq   uint64          `json:"seq"`
	Op    json.RawMessage `json:"op"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Data *struct {
		V    int64           `json:"v"`
		Type *string         `json:"type"`
		Data json.RawMessage `json:"data"`
	} `json:"data"`
}

// connection is the time of one connection.
func (s *sharer) connection() (over bool, err error) {
	url := s.rig.url.Load()
	if url == nil {
		return false, nil
	}
	d := websocket.Dialer{HandshakeTimeout: s.waits}
	ws, _, err := d.Dial(strings.Replace(*url, "http", "ws", 1)+"sharedb", nil)
	if err != nil {
		s.tired(err)
		return false, nil
	}
	defer ws.Close()
	s.current, s.queue = false, nil
	s.put(`{"a":"hs","id":%q,"protocol":1,"protocolMinor":2}`, s.client)
	if s.doc == nil {
		s.put(`{"a":"s","c":"","d":%q,"v":null}`, s.member.doc)
	} else {
		s.submit()
		s.put(`{"a":"s","c":"","d":%q,"v":%d}`, s.member.doc, s.version)
	}
	s.asked = true
	s.j.Note(journal.Event{Kind: journal.Asked, Rev: s.rev(), Resumed: s.doc != nil})
	if over, err = s.talk(ws, s); !over {
		s.rig.saw.cuts.Add(1)
		s.j.Note(journal.Event{Kind: journal.Lost})
		s.current = false
		s.tell()
	}
	s.j.Flush()
	return over, err
}

// rev is the revision that it has.
func (s *sharer) rev() session.Revision { return session.Revision(s.version - 1) }

func (s *sharer) put(format string, args ...any) {
	s.queue = append(s.queue, fmt.Appendf(nil, format, args...))
}

// submit sends the operation in flight, perhaps again.
func (s *sharer) submit() {
	if s.flight == nil {
		return
	}
	op, err := s.dialect.AppendOp(nil, s.doc, s.flight)
	if err != nil {
		panic(err) // it was made of the document
	}
	s.j.Note(journal.Event{Kind: journal.Submitted, Rev: s.rev(), Seq: s.seq, N: 1})
	s.j.Flush()
	s.put(`{"a":"op","c":"","d":%q,"v":%d,"src":%q,"seq":%d,"x":{},"op":%s}`, s.member.doc, s.version, s.client, s.seq, op)
}

func (s *sharer) tell() {
	pending := 0
	if s.flight != nil {
		pending = 1
	}
	s.note(int64(s.rev()), pending, s.current)
}

func (s *sharer) say() [][]byte {
	out := s.queue
	s.queue = nil
	s.tell()
	if s.current && s.flight == nil && s.final(int64(s.rev())) {
		s.current = false
		s.ended = true
		s.j.Note(journal.Event{Kind: journal.Done, Rev: s.rev(), Sum: journal.Sum(s.kind.Type, s.doc)})
		out = append(out, s.ping())
	}
	return out
}

func (s *sharer) ping() []byte { return []byte(`{"a":"pp"}`) }

func (s *sharer) over() bool { return s.ended }

func (s *sharer) look() (leave bool, err error) {
	if !s.current || s.flight != nil || !s.due() {
		return false, nil
	}
	op, err := s.kind.Edit(s.rng, s.doc, fmt.Sprintf("<%s:%d>", s.client, s.edits))
	if err != nil {
		return false, fmt.Errorf("%s of %s cannot edit: %w", s.client, s.member.doc, err)
	}
	s.seq++
	s.flight = op
	s.submit()
	return false, nil
}

func (s *sharer) hear(data []byte) (again bool, err error) {
	var m shared
	if err := json.Unmarshal(data, &m); err != nil {
		return false, fmt.Errorf("%s of %s: %w", s.client, s.member.doc, err)
	}
	defer s.j.Flush()
	if m.Error != nil {
		s.rig.saw.refused(m.Error.Code)
		s.j.Note(journal.Event{Kind: journal.Refused, Seq: m.Seq, Text: m.Error.Code + ": " + m.Error.Message})
		return true, nil
	}
	if m.A != "op" && m.A != "s" {
		return false, nil
	}
	if s.asked && s.doc != nil { // what it missed comes before the answer
		s.asked = false
		s.j.Note(journal.Event{Kind: journal.Opened, Rev: s.rev(), Head: -1, Resumed: true})
	}
	if m.A == "op" {
		err = s.operation(&m)
	} else {
		again, err = s.subscribed(&m)
	}
	if err != nil {
		s.j.Note(journal.Event{Kind: journal.Broken, Rev: s.rev(), Text: err.Error()})
		return false, fmt.Errorf("%s of %s at version %d: %w", s.client, s.member.doc, s.version, err)
	}
	return again, s.j.Err()
}

// subscribed takes the answer to the subscription in. Before somebody has made the document it is asked for again.
func (s *sharer) subscribed(m *shared) (again bool, err error) {
	if s.doc == nil {
		if m.Data == nil || m.Data.V == 0 {
			return true, nil
		}
		if s.doc, err = s.dialect.Create(m.Data.Data); err != nil {
			return false, err
		}
		s.asked, s.version = false, m.Data.V
		s.j.Note(journal.Event{Kind: journal.Opened, Rev: s.rev(), Head: s.rev(), Sum: journal.Sum(s.kind.Type, s.doc)})
	}
	s.current = true
	return false, nil
}

// operation takes an operation in, or the acknowledgement of the one in flight. What it has already, and what
// comes too early because the subscription is still to bring what is before it, it passes over.
func (s *sharer) operation(m *shared) (err error) {
	if s.doc == nil || m.V != s.version {
		return nil
	}
	own := s.flight != nil && m.Src == s.client && m.Seq == s.seq
	op := s.flight
	if !own {
		if op, err = s.dialect.DecodeOp(s.doc, m.Op, ot.Limits{}); err != nil {
			return err
		}
	}
	s.j.Note(journal.Event{Kind: journal.Read, Rev: s.rev(), N: 1, Client: m.Src, Seq: m.Seq, Op: s.kind.Type.AppendOp(nil, op)})
	if own {
		s.j.Note(journal.Event{Kind: journal.Acked, Rev: s.rev() + 1, Seq: m.Seq})
		s.flight = nil
		s.acked()
	} else if s.flight != nil {
		if s.flight, err = s.kind.Type.Transform(s.flight, op, s.dialect.Side()); err != nil {
			return err
		}
	}
	if s.doc, err = s.kind.Type.Apply(s.doc, op); err != nil {
		return err
	}
	if s.version++; s.version%64 == 0 {
		s.j.Note(journal.Event{Kind: journal.Held, Rev: s.rev(), Sum: journal.Sum(s.kind.Type, s.doc)})
	}
	return nil
}
