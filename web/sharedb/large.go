package sharedb

import (
	"slices"

	"quire/ot"
	"quire/session"
	"quire/web/ws"
)

// largeFrom is from how many bytes on documents in answers are counted, and made once for those who subscribe at one revision.
const largeFrom = 64 << 10

// largeAnswer is an answer with a large document, which is counted until left is called.
type largeAnswer struct {
	head []byte
	body *ws.Shared
	tail []byte
	left func()
}

// copies is whose copies of a document are.
type copies interface {
	// hold waits until one of so many bytes may be made, and returns how to say that it has left.
	hold(bytes int) (left func(), err error)
	// share returns what build returns, or did for somebody else.
	share(build func() any) any
}

// alone is a connection that has a document for itself.
type alone struct{ c *Conn }

func (a alone) hold(bytes int) (func(), error) { return a.c.p.opt.Manager.Leave(a.c.ctx, bytes) }
func (a alone) share(build func() any) any     { return build() }

// together is one of those that opened a document.
type together struct {
	c *Conn
	o *session.Opened
}

func (t together) hold(bytes int) (func(), error) {
	return t.o.Hold(t.c.ctx, t.c.p.opt.Manager, bytes)
}
func (t together) share(build func() any) any { return t.o.Shared(contentKey{}, build) }

// contentKey is under what an opened document keeps its content for this protocol.
type contentKey struct{}

// envelope is what stands in an answer before the members of a document and after them.
type envelope struct {
	head, tail []byte
	typed      bool // the type is always said
}

// envelope returns that of an answer to a request with one document as its data.
func (r *request) envelope() envelope {
	done := r.done()
	return envelope{head: append(appendName(done[:len(done)-1], "data"), '{'), tail: []byte("}}")}
}

// notThere returns the answer of a document that is not there.
func (e envelope) notThere() []byte { return slices.Concat(e.head, []byte(notThere), e.tail) }

// document returns an answer with a document as it is at a revision.
func (c *Conn) document(e envelope, id string, rev session.Revision, typ ot.Type, doc ot.Doc, x copies) ([]byte, *largeAnswer, error) {
	if typ == nil || typ.Size(doc) < largeFrom {
		data, err := c.p.appendSnapshot(e.head, rev, typ, doc, e.typed)
		return append(data, e.tail...), nil, err
	}
	size := typ.Size(doc)
	head, dialect, err := c.p.appendBefore(slices.Clip(e.head), rev, typ, e.typed)
	if err != nil {
		return nil, nil, err
	}
	left, err := x.hold(2 * size)
	if err != nil {
		return nil, nil, err
	}
	if !c.MayRead(id) { // not after the wait
		left()
		return e.notThere(), nil, nil
	}
	body := x.share(func() any { return ws.NewShared(dialect.AppendDoc(make([]byte, 0, size+size/16), doc)) }).(*ws.Shared)
	return nil, &largeAnswer{appendName(head, "data"), body, e.tail, left}, nil
}

// tellLarge is tell of an answer that is made of so many bytes of documents, when there is room for it: of none when
// build returns nil.
func (c *Conn) tellLarge(size int, build func() []byte) error {
	if size < largeFrom {
		if msg := build(); msg != nil {
			c.say(msg)
		}
		return nil
	}
	left, err := alone{c}.hold(2 * size)
	if err != nil {
		return err
	}
	if msg := build(); msg != nil {
		c.tell(answer{large: &largeAnswer{body: ws.NewShared(msg), left: left}})
	} else {
		left()
	}
	return nil
}

// haveLeft says that what was sent has left.
func (c *Conn) haveLeft() {
	for _, done := range c.left {
		done()
	}
	c.left = c.left[:0]
}
