// Package client is the client's side of quire.v1 in Go: for tools, bots and tests.
// Document is the state machine without I/O; Conn speaks to a server with it.
package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"quire/ot"
	"quire/session"
	"quire/web/quirev1"
)

// Document is one editing instance's copy of a document: what the server has told,
// what was submitted and not acknowledged (in flight), and what waits for that. It
// does no I/O: its methods return the messages to send. Not safe for concurrent use.
type Document struct {
	// ID is the document's id, Client this instance's.
	ID, Client string
	// Create names the type to create it with when it is not there.
	Create string
	// User is sent with open.
	User *quirev1.User
	// MaxRun is the most operations in one submission. Default 512.
	MaxRun int
	// Limits are passed to the type's decoders.
	Limits ot.Limits

	types     map[string]ot.Type
	typ       ot.Type
	inc       string
	rev, head session.Revision
	seq       uint64 // acknowledged
	open      bool
	known     bool   // there is a copy to resume with
	committed ot.Doc // at rev
	local     ot.Doc // with inFlight and waiting
	inFlight  []ot.Op
	waiting   []ot.Op
	resend    bool // inFlight has to be sent again
	role      string
	acked     func(seq uint64, rev session.Revision)
	remote    func(op ot.Op)
}

// NewDocument makes the copy of a document that was not opened yet.
func NewDocument(id, client string, types ...ot.Type) *Document {
	d := &Document{ID: id, Client: client, MaxRun: 512, types: map[string]ot.Type{}}
	for _, t := range types {
		d.types[t.Name()] = t
	}
	return d
}

// OnAcked sets a function that is told of each own operation when it is durable,
// with the revision after it.
func (d *Document) OnAcked(f func(seq uint64, rev session.Revision)) { d.acked = f }

// OnRemote sets a function that is given each operation of others as it applies to
// the local copy.
func (d *Document) OnRemote(f func(op ot.Op)) { d.remote = f }

// Rev returns the revision received, Seq the highest acknowledged sequence number.
func (d *Document) Rev() session.Revision { return d.rev }

// Seq returns the highest acknowledged sequence number.
func (d *Document) Seq() uint64 { return d.seq }

// Type returns the document's type; nil before it was opened.
func (d *Document) Type() ot.Type { return d.typ }

// Local returns the document as the person sees it, Committed as the server has it at
// Rev. Both are nil before the document was opened.
func (d *Document) Local() ot.Doc { return d.local }

// Committed returns the document at Rev.
func (d *Document) Committed() ot.Doc { return d.committed }

// Role returns what the server lets this client do with the document: "read", "write" or
// "admin", empty when it asks nobody.
func (d *Document) Role() string { return d.role }

// Pending returns how many own operations are not acknowledged.
func (d *Document) Pending() int { return len(d.inFlight) + len(d.waiting) }

// Current reports whether the document is open and has caught up with the head it
// was told of.
func (d *Document) Current() bool { return d.open && d.rev >= d.head }

// Open returns the message that opens the document, or resumes it when there is a
// copy already.
func (d *Document) Open() quirev1.ClientMessage {
	m := quirev1.ClientMessage{T: "open", Doc: &d.ID, Client: d.Client, User: d.User}
	if d.known {
		rev, seq := d.rev, d.seq
		m.Inc, m.Rev, m.Seq = d.inc, &rev, &seq
	} else {
		m.Create = d.Create
	}
	return m
}

// Disconnected notes that the connection ended: what is in flight has to be sent
// again after the next Open was answered.
func (d *Document) Disconnected() { d.open, d.resend = false, len(d.inFlight) > 0 }

// Edit applies an operation to the local copy; Next will submit it.
func (d *Document) Edit(op ot.Op) error {
	if !d.known {
		return errors.New("client: the document is not open")
	}
	local, err := d.typ.Apply(d.local, op)
	if err != nil {
		return err
	}
	d.local = local
	d.waiting = append(d.waiting, op)
	return nil
}

// Next returns the submission to send now, or nil: one is in flight at a time, and
// none before the missed operations have arrived, or while the document may only be read.
func (d *Document) Next() *quirev1.ClientMessage {
	if d.role == "read" || !d.Current() || len(d.inFlight) > 0 && !d.resend || d.Pending() == 0 {
		return nil
	}
	if len(d.inFlight) == 0 {
		n := min(len(d.waiting), d.MaxRun)
		d.inFlight, d.waiting = d.waiting[:n:n], d.waiting[n:]
	}
	d.resend = false
	base, seq := d.rev, d.seq+1
	m := &quirev1.ClientMessage{T: "submit", Doc: &d.ID, Base: &base, Seq: &seq, Ops: make([]json.RawMessage, len(d.inFlight))}
	for i, op := range d.inFlight {
		m.Ops[i] = d.typ.AppendOp(nil, op)
	}
	return m
}

// RefusedError is an error message of the server about a document.
type RefusedError struct{ quirev1.ServerMessage }

// Error returns the code and the message.
func (e *RefusedError) Error() string { return string(e.Code) + ": " + e.Message }

// Receive takes in a message of the server about this document; those that are of no
// concern to it change nothing. It returns a *RefusedError for an error message, whose
// Class says what to do: on session.Resync call Disconnected and send Open again. What is
// refused with session.CodeForbidden stays pending: Next returns it again when there is the
// right, and after one without a Seq the document has to be opened again. Any other error
// means that this copy cannot go on.
func (d *Document) Receive(m *quirev1.ServerMessage) error {
	switch m.T {
	case "opened":
		return d.opened(m)
	case "ops":
		return d.ops(m)
	case "error":
		if m.Seq > 0 && !d.open {
			return nil // of a submission before the document was opened again
		}
		if m.Code == session.CodeForbidden && m.Seq > 0 {
			d.resend = len(d.inFlight) > 0
		} else if m.Code == session.CodeForbidden {
			d.Disconnected()
		}
		return &RefusedError{*m}
	case "rights":
		d.role = m.Role
	case "ack":
		if m.Seq > d.seq {
			return fmt.Errorf("client: seq %d was committed at revision %d, unseen at %d", m.Seq, m.Rev, d.rev)
		}
	}
	return nil
}

func (d *Document) opened(m *quirev1.ServerMessage) error {
	d.open = true
	d.head, d.role = m.Head, m.Role
	if m.Resumed {
		if m.Rev != d.rev || m.Inc != d.inc {
			return fmt.Errorf("client: resumed at %d of %s, asked for %d of %s", m.Rev, m.Inc, d.rev, d.inc)
		}
		return nil
	}
	typ := d.types[m.Type]
	if typ == nil {
		return fmt.Errorf("client: unknown type %q", m.Type)
	}
	doc, err := typ.Create(m.Content)
	if err != nil {
		return err
	}
	if sum := sumOf(typ, doc); sum != m.Sum {
		return fmt.Errorf("client: checksum %s, told %s", sum, m.Sum)
	}
	d.typ, d.inc, d.rev, d.seq, d.known = typ, m.Inc, m.Rev, m.Seq, true
	d.committed, d.local = doc, doc
	d.inFlight, d.waiting, d.resend = nil, nil, false
	return nil
}

// ops takes in operations; those that were under way when the document was opened
// again are not for this opening.
func (d *Document) ops(m *quirev1.ServerMessage) error {
	if !d.open {
		return nil
	}
	if m.Rev != d.rev {
		return fmt.Errorf("client: operations from revision %d, expected %d", m.Rev, d.rev)
	}
	for i := range m.Ops {
		if err := d.item(&m.Ops[i]); err != nil {
			return fmt.Errorf("client: revision %d: %w", d.rev, err)
		}
	}
	return nil
}

func (d *Document) item(it *quirev1.Item) error {
	x, err := d.typ.DecodeOp(it.Op, d.Limits)
	if err != nil {
		return err
	}
	if d.committed, err = d.typ.Apply(d.committed, x); err != nil {
		return err
	}
	d.rev += session.Revision(max(it.N, 1))
	if it.C == d.Client && it.C != "" {
		return d.own(it.S, x)
	}
	for _, pending := range [][]ot.Op{d.inFlight, d.waiting} {
		for i, p := range pending {
			if pending[i], err = d.typ.Transform(p, x, ot.Right); err != nil {
				return err
			}
			if x, err = d.typ.Transform(x, p, ot.Left); err != nil {
				return err
			}
		}
	}
	if d.local, err = d.typ.Apply(d.local, x); err != nil {
		return err
	}
	if d.remote != nil {
		d.remote(x)
	}
	return nil
}

// own takes in the acknowledgement of the first pending operation. The server has
// transformed it over the same items, so that its form has to be ours.
func (d *Document) own(seq uint64, op ot.Op) error {
	if seq != d.seq+1 || len(d.inFlight) == 0 {
		return fmt.Errorf("seq %d acknowledged, expected %d of %d in flight", seq, d.seq+1, len(d.inFlight))
	}
	theirs, ours := d.typ.AppendOp(nil, op), d.typ.AppendOp(nil, d.inFlight[0])
	if string(theirs) != string(ours) {
		return fmt.Errorf("the copies differ: seq %d was committed as another operation", seq)
	}
	d.seq = seq
	d.inFlight = d.inFlight[1:]
	if d.acked != nil {
		d.acked(seq, d.rev)
	}
	return nil
}

// Sum returns the checksum of the committed document, as the server writes it.
func (d *Document) Sum() string { return sumOf(d.typ, d.committed) }

func sumOf(t ot.Type, doc ot.Doc) string {
	s := strconv.FormatUint(uint64(t.Checksum(doc)), 16)
	for len(s) < 8 {
		s = "0" + s
	}
	return s
}
