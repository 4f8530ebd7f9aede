package sharedb_test

import (
	"encoding/json"
	"errors"
	"fmt"

	"quire/ot"
	"quire/web/sharedb"
)

// What follows does what npm's sharedb does in client/doc.js and client/connection.js, as
// far as documents go.

// shareOp is an operation on its way to the server, or from it: an edit, a creation, a
// deletion, or none of these.
type shareOp struct {
	op     ot.Op
	create ot.Doc
	del    bool

	src  string // "" until it was sent
	seq  uint64
	sent bool
}

func (o *shareOp) noop() bool { return o.op == nil && o.create == nil && !o.del }

// shareMessage is any message, either way.
type shareMessage struct {
	A        string          `json:"a"`
	ID       *string         `json:"id,omitempty"`
	C        string          `json:"c"`
	D        string          `json:"d,omitempty"`
	V        *int64          `json:"v,omitempty"`
	Src      string          `json:"src,omitempty"`
	Seq      uint64          `json:"seq,omitempty"`
	Op       json.RawMessage `json:"op,omitempty"`
	Create   *shareCreate    `json:"create,omitempty"`
	Del      bool            `json:"del,omitempty"`
	Data     *shareSnapshot  `json:"data,omitempty"`
	Error    *shareError     `json:"error,omitempty"`
	Protocol int             `json:"protocol,omitempty"`
}

type shareCreate struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

type shareSnapshot struct {
	V    int64           `json:"v"`
	Type *string         `json:"type"`
	Data json.RawMessage `json:"data"`
}

type shareError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// shareConn is a client's connection object, which outlives its sockets.
type shareConn struct {
	dialect sharedb.Dialect // what the client's type is; it needs no documents
	legacy  bool            // it knows no handshake
	id      string
	seq     uint64
	ready   bool
	docs    []*shareDoc
	send    func(m shareMessage)
}

// shareDoc is a client's document.
type shareDoc struct {
	conn    *shareConn
	c, d    string
	version int64 // -1 for none
	doc     ot.Doc

	inflight   *shareOp
	pending    []*shareOp
	fetching   int // fetches under way
	wantsFetch bool
	// rolling: everything was dropped and the server's document has not come yet. doc.js
	// takes no edits then. It would take a creation; but the server may still have an
	// error to say about what was dropped, which doc.js would take for one of the
	// creation.
	rolling bool

	acked func(o *shareOp, v int64)
	// dropped is told of each operation that is given up; sure is false when the server
	// was speaking of another one, which doc.js does not tell apart.
	dropped func(o *shareOp, err error, sure bool)
}

func (c *shareConn) doc(collection, id string) *shareDoc {
	d := &shareDoc{conn: c, c: collection, d: id, version: -1, acked: func(*shareOp, int64) {}, dropped: func(*shareOp, error, bool) {}}
	c.docs = append(c.docs, d)
	return d
}

// opened is called when there is a new socket.
func (c *shareConn) opened() {
	if !c.legacy {
		c.handshake()
	}
}

func (c *shareConn) handshake() {
	m := shareMessage{A: "hs", Protocol: 1}
	if c.id != "" {
		m.ID = &c.id
	}
	c.send(m)
}

func (c *shareConn) lost() {
	c.ready = false
	for _, d := range c.docs {
		if d.inflight != nil {
			d.pending = append([]*shareOp{d.inflight}, d.pending...)
			d.inflight = nil
		}
		d.fetching = 0
	}
}

func (c *shareConn) receive(data []byte) error {
	var m shareMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	switch m.A {
	case "init":
		if !c.legacy {
			c.handshake()
			return nil
		}
		c.connected(*m.ID)
		return nil
	case "hs":
		if m.Error != nil {
			return errors.New(m.Error.Message)
		}
		if !c.ready {
			c.connected(*m.ID)
		}
		return nil
	}
	for _, d := range c.docs {
		if d.c == m.C && d.d == m.D {
			return d.receive(&m)
		}
	}
	return fmt.Errorf("for nobody: %s", data)
}

// connected flushes every document and subscribes to it: operations first.
func (c *shareConn) connected(id string) {
	c.id, c.ready = id, true
	for _, d := range c.docs {
		d.flush()
	}
	for _, d := range c.docs {
		d.ask("s")
	}
}

// ask sends a request with the document's version.
func (d *shareDoc) ask(action string) {
	m := shareMessage{A: action, C: d.c, D: d.d}
	if d.version >= 0 {
		m.V = &d.version
	}
	d.conn.send(m)
}

func (d *shareDoc) fetch() {
	if d.conn.ready && d.fetching == 0 {
		d.fetching++
		d.ask("f")
		return
	}
	d.wantsFetch = true
}

// exists reports whether the document has content, as the client sees it.
func (d *shareDoc) exists() bool { return d.doc != nil }

func (d *shareDoc) flush() {
	if !d.conn.ready || d.inflight != nil || len(d.pending) == 0 {
		return
	}
	o := d.pending[0]
	d.pending = d.pending[1:]
	d.inflight = o
	if o.seq == 0 {
		d.conn.seq++
		o.seq = d.conn.seq
	}
	m := shareMessage{A: "op", C: d.c, D: d.d, Src: o.src, Seq: o.seq, Del: o.del}
	if d.version >= 0 {
		m.V = &d.version
	}
	x := d.conn.dialect
	if o.op != nil {
		m.Op, _ = x.AppendOp(nil, nil, o.op)
	}
	if o.create != nil {
		m.Create = &shareCreate{x.URI(), x.AppendDoc(nil, o.create)}
	}
	d.conn.send(m)
	o.sent = true
	if o.src == "" {
		o.src = d.conn.id
	}
}

// submit applies an operation of the application's and queues it, as part of the last one
// if that has not been sent yet.
func (d *shareDoc) submit(o *shareOp) error {
	typ := d.conn.dialect.Type()
	last := (*shareOp)(nil)
	if n := len(d.pending); n > 0 && !d.pending[n-1].sent {
		last = d.pending[n-1]
	}
	var err error
	switch {
	case last != nil && o.op != nil && last.create != nil:
		last.create, err = typ.Apply(last.create, o.op)
	case last != nil && o.op != nil && last.op != nil:
		last.op, err = typ.Compose(last.op, o.op)
	default:
		d.pending = append(d.pending, o)
	}
	if err != nil {
		return err
	}
	return d.apply(o)
}

func (d *shareDoc) apply(o *shareOp) (err error) {
	switch {
	case o.create != nil:
		d.doc = o.create
	case o.del:
		d.doc = nil
	case o.op != nil:
		if d.doc == nil {
			return errors.New("an operation without a document")
		}
		d.doc, err = d.conn.dialect.Type().Apply(d.doc, o.op)
	}
	return err
}

func (d *shareDoc) receive(m *shareMessage) error {
	switch m.A {
	case "f":
		d.fetching = max(0, d.fetching-1)
		d.rolling = d.rolling && d.fetching > 0
		if m.Error != nil && m.Error.Code == "forbidden" {
			return nil // doc.js emits it, and that is all
		}
		if m.Error != nil {
			return errors.New(m.Error.Message)
		}
		return d.ingest(m.Data)
	case "s":
		if m.Error != nil {
			return errors.New(m.Error.Message)
		}
		d.wantsFetch = false
		d.rolling = d.rolling && d.fetching > 0
		return d.ingest(m.Data)
	case "op":
		if m.Error != nil {
			// Without an operation in flight doc.js emits an event: it has found out by
			// itself, from the operations of others that came first.
			if d.inflight != nil {
				d.rollback(errors.New(m.Error.Code), m.Seq == d.inflight.seq)
			}
			return nil
		}
		return d.operation(m)
	}
	return fmt.Errorf("unexpected %s", m.A)
}

func (d *shareDoc) ingest(s *shareSnapshot) error {
	if d.wantsFetch {
		d.wantsFetch = false
		defer d.fetch()
	}
	if s == nil {
		return nil
	}
	if d.exists() || d.inflight != nil || len(d.pending) > 0 {
		if d.version >= 0 && s.V > d.version {
			d.fetch()
		}
		return nil
	}
	if d.version > s.V {
		return nil
	}
	d.version, d.doc = s.V, nil
	x := d.conn.dialect
	uri := sharedb.DefaultType
	if s.Type != nil {
		uri = *s.Type
	} else if s.Data == nil {
		return nil // "type":null
	}
	if uri != x.URI() {
		return fmt.Errorf("a document of type %s", uri)
	}
	var err error
	d.doc, err = x.Create(s.Data)
	return err
}

// operation takes in an operation or an acknowledgement.
func (d *shareDoc) operation(m *shareMessage) error {
	v := *m.V
	if o := d.inflight; o != nil && m.Src == o.src && m.Seq == o.seq {
		if o.create != nil {
			d.version = v
		} else if v != d.version {
			d.fetch()
			return nil
		}
		d.version++
		d.inflight = nil
		d.acked(o, v)
		d.flush()
		return nil
	}
	if d.version < 0 || v > d.version {
		d.fetch()
		return nil
	}
	if v < d.version {
		return nil
	}
	o, err := d.read(m)
	if err != nil {
		return err
	}
	for _, mine := range append([]*shareOp{d.inflight}, d.pending...) {
		if mine == nil {
			continue
		}
		conflict, err := d.cross(mine, o)
		if err != nil {
			return err
		}
		if conflict != nil {
			d.rollback(conflict, true)
			return nil
		}
	}
	d.version++
	return d.apply(o)
}

func (d *shareDoc) read(m *shareMessage) (o *shareOp, err error) {
	x := d.conn.dialect
	o = &shareOp{del: m.Del}
	if m.Op != nil {
		o.op, err = x.DecodeOp(nil, m.Op, ot.Limits{})
	}
	if m.Create != nil && err == nil {
		o.create, err = x.Create(m.Create.Data)
	}
	return o, err
}

// cross transforms an own operation and one of the server's over each other.
func (d *shareDoc) cross(mine, theirs *shareOp) (conflict, err error) {
	switch {
	case mine.del:
		*theirs = shareOp{}
	case theirs.del:
		return errors.New("ERR_DOC_WAS_DELETED"), nil
	case theirs.create != nil:
		return errors.New("ERR_DOC_ALREADY_CREATED"), nil
	case theirs.noop():
	case mine.create != nil:
		return errors.New("ERR_DOC_ALREADY_CREATED"), nil
	default:
		x := d.conn.dialect
		a, b := mine.op, theirs.op
		if mine.op, err = x.Type().Transform(a, b, x.Side()); err != nil {
			return nil, err
		}
		theirs.op, err = x.Type().Transform(b, a, x.Side().Other())
	}
	return nil, err
}

// rollback drops everything that is not acknowledged and starts from the server's document.
func (d *shareDoc) rollback(err error, sure bool) {
	dropped := d.pending
	if d.inflight != nil {
		dropped = append([]*shareOp{d.inflight}, dropped...)
	}
	d.doc, d.version, d.inflight, d.pending, d.rolling = nil, -1, nil, nil, true
	if d.conn.ready {
		d.fetching++
		d.ask("f")
	} else {
		d.wantsFetch = true
	}
	for _, o := range dropped {
		d.dropped(o, err, sure)
	}
}
