// Package journal writes down what a client of a document did and saw, and decides from
// the journals of all clients, and from the history that the server has in the end, whether the
// server kept its promises. It is for tools and tests that disturb a server: what a
// client was told is written down before anything can go wrong with the client itself.
package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"quire/ot"
	"quire/session"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

// Kind says what an Event is about.
type Kind string

// The kinds of events, with the members that count.
const (
	// Asked: the document was asked for. Resumed, and then Rev.
	Asked Kind = "asked"
	// Opened: it was answered. Resumed, Rev, Head, Seq; Sum when it is not resumed. Head is -1 when it was not told.
	Opened Kind = "opened"
	// Submitted: a run was sent, perhaps again. Rev is its base, Seq its first, N how many.
	Submitted Kind = "submitted"
	// Read: an item took the document from Rev on by N revisions. Op; Client and Seq unless it is a composite.
	Read Kind = "read"
	// Acked: the operation Seq was acknowledged at Rev.
	Acked Kind = "acked"
	// Held: the client had the content with the checksum Sum at Rev.
	Held Kind = "held"
	// Told: the server said that the content at Rev has the checksum Sum.
	Told Kind = "told"
	// Refused: the server answered with an error. Text.
	Refused Kind = "refused"
	// Lost: the connection ended.
	Lost Kind = "lost"
	// Broken: the client cannot go on with what it was sent. Text says why.
	Broken Kind = "broken"
	// Done: the client has ended in order, with the checksum Sum at Rev and N operations pending.
	Done Kind = "done"
	// Sent: an edit was sent by a client that numbers none, perhaps again. Text is a mark that it writes into the document
	// and no other edit has; Rev is its base.
	Sent Kind = "sent"
	// Answered: the edit with the mark Text was acknowledged at Rev.
	Answered Kind = "answered"
	// Left: the client has gone and does not care what comes.
	Left Kind = "left"
)

// Event is one line of a journal.
type Event struct {
	Kind Kind `json:"k"`
	// At is when, in nanoseconds of a clock that is the same for all journals of a run.
	At      int64            `json:"t"`
	Rev     session.Revision `json:"rev"`
	Head    session.Revision `json:"head,omitempty"`
	N       int              `json:"n,omitempty"`
	Client  string           `json:"c,omitempty"`
	Seq     uint64           `json:"s,omitempty"`
	Op      json.RawMessage  `json:"op,omitempty"`
	Sum     string           `json:"sum,omitempty"`
	Resumed bool             `json:"resumed,omitempty"`
	Text    string           `json:"text,omitempty"`
}

// sumEvery is how many operations lie between two checksums that a client notes.
const sumEvery = 64

// Recorder is a client.Document that keeps a journal. What it is told is in the journal when a
// method returns. Not safe for concurrent use.
type Recorder struct {
	*client.Document
	j     *Writer
	since int // operations since the last checksum
	acked func(seq uint64, rev session.Revision)
}

// NewRecorder makes a document that writes its journal to w. began is the beginning of the
// run, the same for all journals that are compared. It sets OnAcked of doc; use
// Recorder.OnAcked.
func NewRecorder(w io.Writer, doc *client.Document, began time.Time) *Recorder {
	r := &Recorder{Document: doc, j: NewWriter(w, began)}
	doc.OnAcked(func(seq uint64, rev session.Revision) {
		r.j.Note(Event{Kind: Acked, Seq: seq, Rev: rev})
		if r.acked != nil {
			r.acked(seq, rev)
		}
	})
	return r
}

// OnAcked is client.Document.OnAcked.
func (r *Recorder) OnAcked(f func(seq uint64, rev session.Revision)) { r.acked = f }

// Err returns why the journal could not be written, or nil.
func (r *Recorder) Err() error { return r.j.Err() }

// Open is client.Document.Open.
func (r *Recorder) Open() quirev1.ClientMessage {
	m := r.Document.Open()
	e := Event{Kind: Asked, Resumed: m.Rev != nil}
	if m.Rev != nil {
		e.Rev = *m.Rev
	}
	r.j.Note(e)
	r.j.Flush()
	return m
}

// Next is client.Document.Next.
func (r *Recorder) Next() *quirev1.ClientMessage {
	m := r.Document.Next()
	if m != nil {
		r.j.Note(Event{Kind: Submitted, Rev: *m.Base, Seq: *m.Seq, N: len(m.Ops)})
		r.j.Flush()
	}
	return m
}

// Receive is client.Document.Receive.
func (r *Recorder) Receive(m *quirev1.ServerMessage) error {
	defer r.j.Flush()
	before := r.Rev()
	err := r.Document.Receive(m)
	var refused *client.RefusedError
	switch {
	case errors.As(err, &refused):
		r.j.Note(Event{Kind: Refused, Seq: refused.Seq, Text: refused.Error()})
	case err != nil:
		r.j.Note(Event{Kind: Broken, Rev: r.Rev(), Text: err.Error()})
	case m.T == "opened":
		r.j.Note(Event{Kind: Opened, Rev: m.Rev, Head: m.Head, Seq: m.Seq, Sum: m.Sum, Resumed: m.Resumed})
	case m.T == "check":
		r.j.Note(Event{Kind: Told, Rev: m.Rev, Sum: m.Sum})
	case m.T == "ops" && r.Rev() > before:
		r.items(m)
	}
	return err
}

// items notes what was read, and now and then what it made.
func (r *Recorder) items(m *quirev1.ServerMessage) {
	rev, composed := m.Rev, false
	for i := range m.Ops {
		it := &m.Ops[i]
		n := max(it.N, 1)
		composed = composed || n > 1
		r.j.Note(Event{Kind: Read, Rev: rev, N: n, Client: it.C, Seq: it.S, Op: it.Op})
		rev += session.Revision(n)
		r.since++
	}
	if composed || r.since >= sumEvery {
		r.since = 0
		r.j.Note(Event{Kind: Held, Rev: r.Rev(), Sum: r.Sum()})
	}
}

// Disconnected is client.Document.Disconnected.
func (r *Recorder) Disconnected() {
	if r.Local() != nil {
		r.j.Note(Event{Kind: Held, Rev: r.Rev(), Sum: r.Sum()})
	}
	r.j.Note(Event{Kind: Lost})
	r.Document.Disconnected()
	r.j.Flush()
}

// Done ends the journal: the client ought to have everything.
func (r *Recorder) Done() error {
	e := Event{Kind: Done, Rev: r.Rev(), N: r.Pending()}
	if r.Local() != nil {
		e.Sum = sumOf(r.Type(), r.Local())
	}
	r.j.Note(e)
	r.j.Flush()
	return r.j.Err()
}

// Leave ends the journal of a client that does not wait for everything.
func (r *Recorder) Leave() error {
	r.j.Note(Event{Kind: Left})
	r.j.Flush()
	return r.j.Err()
}

// Sum returns the checksum of a document as journals have it.
func Sum(t ot.Type, doc ot.Doc) string { return sumOf(t, doc) }

func sumOf(t ot.Type, doc ot.Doc) string { return fmt.Sprintf("%08x", t.Checksum(doc)) }

// Events reads a journal. What cannot be read ends it with an error.
func Events(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		dec := json.NewDecoder(bufio.NewReaderSize(r, 64<<10))
		for {
			var e Event
			err := dec.Decode(&e)
			if err == io.EOF || !yield(e, err) || err != nil {
				return
			}
		}
	}
}
