package soak

import (
	"encoding/json"
	"errors"
	"fmt"
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

// person is a client of quire.v1 that edits, comes back whenever it is cut off, and keeps a journal.
type person struct {
	*member
	rec     *journal.Recorder
	size    int   // bytes of each mark; 0: as they come
	opening bool  // open has to be said
	checked bool  // the checksum was asked for at the end
	ended   bool  // and was told
	came    int64 // how many acknowledgements it had when it connected
}

// join makes a client of a document; it lives until the crew is settled.
func (r *rig) join(kind Kind, doc, id string, size int) error {
	m, err := r.member(kind, doc, id)
	if err != nil {
		return err
	}
	d := client.NewDocument(doc, id, kind.Type)
	d.Create = kind.Type.Name()
	p := &person{member: m, rec: journal.NewRecorder(m.file, d, r.began), size: size}
	p.rec.OnAcked(func(uint64, session.Revision) { p.acked() })
	go p.live(p.connection)
	return nil
}

// connection is the time of one connection.
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
	p.opening, p.checked, p.came = true, false, p.acks.Load()
	if over, err = p.talk(conn.WebSocket(), p); over {
		return true, p.rec.Done()
	}
	p.rig.saw.cuts.Add(1)
	p.rec.Disconnected()
	p.tell()
	return false, err
}

// tell tells the rig how far it is.
func (p *person) tell() {
	p.note(int64(p.rec.Rev()), p.rec.Pending(), p.rec.Current() || p.rig.visits && p.rec.Local() != nil)
}

// leaves reports whether a visitor has done what it came for: it makes room for others.
func (p *person) leaves() bool {
	return p.rig.visits && p.rig.finals.Load() == nil && p.rec.Current() && p.rec.Pending() == 0 && (p.acks.Load() > p.came || !p.rig.editing.Load())
}

func (p *person) say() (out [][]byte) {
	if p.opening {
		p.opening = false
		open := p.rec.Open()
		out = append(out, message(&open))
	}
	if next := p.rec.Next(); next != nil {
		out = append(out, message(next))
	}
	p.tell()
	if !p.checked && p.rec.Current() && p.rec.Pending() == 0 && p.final(int64(p.rec.Rev())) {
		p.checked = true
		out = append(out, message(&quirev1.ClientMessage{T: "check", Doc: &p.doc}))
	}
	return out
}

func (p *person) ping() []byte { return message(&quirev1.ClientMessage{T: "ping"}) }

func (p *person) over() bool { return p.ended }

func (p *person) hear(data []byte) (again bool, err error) {
	var m quirev1.ServerMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return false, fmt.Errorf("%s of %s: %w", p.client, p.doc, err)
	}
	if m.T == "status" && m.Doc == p.doc {
		p.rig.saw.status(m.Saved)
	}
	err = p.rec.Receive(&m)
	var refused *client.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Class != session.Fatal:
		p.rig.saw.refused(string(refused.Code))
		return true, nil
	case err != nil:
		return false, fmt.Errorf("%s of %s: %w", p.client, p.doc, err)
	}
	p.ended = p.checked && m.T == "check"
	return false, p.rec.Err()
}

func (p *person) look() (leave bool, err error) {
	if p.leaves() {
		return true, nil
	}
	if !p.rec.Current() || p.rec.Pending() >= ahead || p.rig.visits && p.rec.Pending() > 0 || !p.due() {
		return false, nil
	}
	mark := fmt.Sprintf("<%s:%d>", p.client, p.edits)
	for len(mark) < p.size {
		mark += mark
	}
	op, err := p.kind.Edit(p.rng, p.rec.Local(), mark)
	if err == nil {
		err = p.rec.Edit(op)
	}
	if err != nil {
		return false, fmt.Errorf("%s of %s cannot edit: %w", p.client, p.doc, err)
	}
	return false, nil
}

// message returns a message of quire.v1 as it is sent.
func message(m *quirev1.ClientMessage) []byte {
	data, err := json.Marshal(m)
	if err != nil {
		panic(err) // it is made of what can be written
	}
	return data
}
