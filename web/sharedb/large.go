package sharedb

import (
	"quire/ot"
	"quire/session"
	"quire/web/ws"
)

// largeFrom is from how many bytes on documents in answers are counted, and made once for those who ask at one revision.
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

// document returns the answer to a request with a document as it is at a revision.
func (c *Conn) document(r *request, rev session.Revision, typ ot.Type, doc ot.Doc, x copies) ([]byte, *largeAnswer) {
	if typ == nil || typ.Size(doc) < largeFrom {
		data, err := c.p.appendSnapshot([]byte{'{'}, rev, typ, doc, false)
		if err != nil {
			return c.unread(r, err), nil
		}
		return r.with(append(data, '}')), nil
	}
	size := typ.Size(doc)
	data, dialect, err := c.p.appendBefore([]byte{'{'}, rev, typ, false)
	if err != nil {
		return c.unread(r, err), nil
	}
	left, err := x.hold(2 * size)
	if err != nil {
		return c.unread(r, err), nil
	}
	if !c.MayRead(r.doc) { // not after the wait
		left()
		return r.with([]byte(notThere)), nil
	}
	body := x.share(func() any { return ws.NewShared(dialect.AppendDoc(make([]byte, 0, size+size/16), doc)) }).(*ws.Shared)
	head := r.with(appendName(data, "data"))
	return nil, &largeAnswer{head[:len(head)-1], body, []byte("}}"), left}
}

// haveLeft says that what was sent has left.
func (c *Conn) haveLeft() {
	for _, done := range c.left {
		done()
	}
	c.left = c.left[:0]
}
