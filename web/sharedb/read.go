package sharedb

import (
	"math"
	"time"

	"quire/session"
	"quire/web/sharedb/wire"
	"quire/web/ws"
)

// fetch answers with a document as it is now, or with the operations since a version.
func (c *Conn) fetch(r *request) *ws.CloseError {
	if r.rev != session.Head {
		if err := c.catchUp(r.doc, r.c, r.d, r.rev, false, answer{msg: r.done(), request: r.keep()}); err != nil {
			return c.refuseRead(r, err)
		}
		return nil
	}
	if err := c.mayRead(); err != nil {
		return c.refuseRead(r, err)
	}
	k := r.keep()
	c.tell(answer{keeps: len(k.raw), show: func() (msg []byte, large *largeAnswer, more bool) {
		v, err := c.view(k.doc, session.Head)
		if err == nil {
			msg, large, err = c.document(k.envelope(), k.doc, v.Rev, v.Type, v.Doc, alone{c})
		}
		if err != nil {
			msg = c.unread(k, err)
		}
		return msg, large, false
	}})
	return nil
}

// unread returns the answer to a request to read that failed, once it is the request's
// turn; none when the connection is closed for it.
func (c *Conn) unread(r *request, err error) []byte {
	e, end := unreadable(err)
	if end != nil {
		c.closeWith(end)
		return nil
	}
	return r.refused(e)
}

// catchUp has the operations from a revision on sent, and an answer after them. Of a document that
// may not be read there are none.
func (c *Conn) catchUp(docID, cName, dName string, rev session.Revision, subscribe bool, a answer) error {
	client := ""
	if subscribe {
		client = c.src
	}
	done := func() {}
	_, err := c.open(docID, cName, dName, client, rev, func(pl *place, _ *session.Opened) {
		if subscribe {
			done = c.subscribeTo(docID, pl)
		}
		a.place = pl
		c.push(a)
	})
	done()
	if !hidden(err) {
		return err
	}
	if subscribe {
		c.mu.Lock()
		had := c.absent[docID]
		c.mu.Unlock()
		if err := c.miss(docID, had); err != nil {
			return err
		}
	}
	c.tell(a)
	return nil
}

// subscribe answers as fetch does and sends the operations from then on.
func (c *Conn) subscribe(r *request) *ws.CloseError {
	if r.rev != session.Head {
		if err := c.catchUp(r.doc, r.c, r.d, r.rev, true, answer{msg: r.done(), request: r.keep()}); err != nil {
			return c.refuseRead(r, err)
		}
		return nil
	}
	n, err := c.subscribeNow(r.doc, r.c, r.d)
	if err != nil {
		return c.refuseRead(r, err)
	}
	k := r.keep()
	c.introduce(n, len(k.raw), func() (msg []byte, large *largeAnswer, more bool) {
		if n.large == nil {
			return k.with(c.content(&n)), nil, false
		}
		if msg, large, err = c.showLarge(&n, k.envelope(), k.doc); err != nil {
			msg = c.unread(k, err)
		}
		return msg, large, false
	})
	return nil
}

// A newcomer is a document that was subscribed to and has not been shown yet. News of the place
// are held until its answer waits. There is no place when it may not be read.
type newcomer struct {
	d     string
	place *place
	data  []byte
	large *session.Opened // in place of data
}

// notThere is what is shown of a document that is not there.
const notThere = `"v":0,"type":null`

// content returns what to show of a document that is not large: nothing when it may not be read any more.
func (c *Conn) content(n *newcomer) []byte {
	if n.place != nil && !c.MayRead(n.place.doc) {
		return []byte("{" + notThere + "}")
	}
	return n.data
}

// showLarge is content of a large document, as an answer.
func (c *Conn) showLarge(n *newcomer, e envelope, id string) ([]byte, *largeAnswer, error) {
	if !c.MayRead(id) {
		return e.notThere(), nil, nil
	}
	typ, doc := n.large.Doc()
	return c.document(e, id, n.large.Rev, typ, doc, together{c, n.large})
}

// introduce adds the answer with a newcomer.
func (c *Conn) introduce(n newcomer, keeps int, show func() ([]byte, *largeAnswer, bool)) {
	c.tell(answer{keeps: keeps + len(n.data), pins: n.large != nil, show: show})
	c.letGo(n.place)
}

// subscribeNow subscribes to a document from now on. A large document is not written, but only opened.
func (c *Conn) subscribeNow(docID, cName, dName string) (newcomer, error) {
	var o *session.Opened
	done := func() {}
	pl, err := c.open(docID, cName, dName, c.src, session.Head, func(pl *place, opened *session.Opened) {
		o = opened
		hold(pl)
		done = c.subscribeTo(docID, pl)
	})
	done()
	if hidden(err) {
		return newcomer{d: dName, data: []byte("{" + notThere + "}")}, c.miss(docID, false)
	}
	if err != nil {
		return newcomer{}, err
	}
	typ, doc := o.Doc()
	if typ != nil && o.Size() >= largeFrom && c.p.dialects.stored[typ.Name()] != nil {
		return newcomer{d: dName, place: pl, large: o}, nil
	}
	data, err := c.p.appendSnapshot([]byte{'{'}, o.Rev, typ, doc, false)
	if err != nil {
		c.mu.Lock()
		done = c.subscribeTo(docID, nil)
		c.mu.Unlock()
		done()
		return newcomer{}, err
	}
	return newcomer{d: dName, place: pl, data: append(data, '}')}, nil
}

func (c *Conn) unsubscribe(r *request) *ws.CloseError {
	c.mu.Lock()
	done := c.subscribeTo(r.doc, nil)
	c.push(answer{msg: r.done()})
	c.mu.Unlock()
	done()
	c.wake()
	return nil
}

// done returns the answer to a request that is answered with its address alone.
func (r *request) done() []byte {
	dst := appendText([]byte{'{'}, "a", r.a)
	dst = appendText(dst, "c", r.c)
	if b := r.value("b"); b != nil {
		return append(appendMember(dst, "b", b), '}')
	}
	return append(appendText(dst, "d", r.d), '}')
}

// with returns the answer to a request with data.
func (r *request) with(data []byte) []byte {
	done := r.done()
	return append(appendMember(done[:len(done)-1], "data", data), '}')
}

// refuseRead answers a request to read that failed.
func (c *Conn) refuseRead(r *request, err error) *ws.CloseError {
	e, end := unreadable(err)
	if end != nil {
		return end
	}
	return c.refuse(r, e)
}

// maxBulk is about how many bytes of documents go into one answer; clients take several.
const maxBulk = 1 << 20

// bulk handles the requests about many documents of a collection.
func (c *Conn) bulk(r *request) *ws.CloseError {
	list, versions, bad := r.bulk(c.p.opt.MaxDocs, c.tooMany)
	if bad != nil {
		return c.refuse(r, bad)
	}
	switch {
	case r.a == "bu":
		c.mu.Lock()
		var done []func()
		for _, x := range list {
			done = append(done, c.subscribeTo(x.doc, nil))
		}
		c.push(answer{msg: r.done()})
		c.mu.Unlock()
		for _, f := range done {
			f()
		}
		c.wake()
		return nil
	case versions:
		return c.bulkOps(r, list)
	}
	if r.a == "bs" {
		c.bulkSubscribe(r, list)
		return nil
	}
	for range list {
		if err := c.mayRead(); err != nil {
			return c.refuseRead(r, err)
		}
	}
	c.bulkSnapshots(r, list)
	return nil
}

// bulkSnapshots answers with documents as they are now.
func (c *Conn) bulkSnapshots(r *request, list []wanted) {
	a, cName := r.a, r.c
	keeps := 0
	for _, x := range list {
		keeps += wantedCost + len(x.d) + len(x.doc)
	}
	c.tell(answer{keeps: keeps, show: func() (msg []byte, large *largeAnswer, more bool) {
		data := []byte{'{'}
		for len(list) > 0 && len(data) < maxBulk {
			x := list[0]
			v, err := c.view(x.doc, session.Head)
			isLarge := err == nil && v.Type != nil && v.Type.Size(v.Doc) >= largeFrom
			if isLarge && len(data) > 1 {
				break // it goes alone
			}
			list = list[1:]
			if isLarge {
				if msg, large, err = c.document(bulkOf(a, cName, x.d), x.doc, v.Rev, v.Type, v.Doc, alone{c}); err == nil {
					return msg, large, len(list) > 0
				}
			}
			var value []byte
			if err == nil {
				value, err = c.p.appendSnapshot([]byte{'{'}, v.Rev, v.Type, v.Doc, false)
				value = append(value, '}')
			}
			if err != nil {
				value = c.entry(err)
			}
			data = append(appendKey(data, x.d), value...)
		}
		return appendBulk(a, cName, data), nil, len(list) > 0
	}})
}

// bulkOf returns what is around a document that goes alone in an answer about many.
func bulkOf(a, cName, d string) envelope {
	msg := appendName(appendText(appendText([]byte{'{'}, "a", a), "c", cName), "data")
	return envelope{head: append(appendKey(append(msg, '{'), d), '{'), tail: []byte("}}}")}
}

// entry returns what stands for a document that cannot be read in an answer about many.
func (c *Conn) entry(err error) []byte {
	e, end := unreadable(err)
	if end != nil {
		c.closeWith(end)
	}
	return append(e.Append([]byte(`{"error":`)), '}')
}

func appendBulk(a, c string, data []byte) []byte {
	msg := appendText(appendText([]byte{'{'}, "a", a), "c", c)
	return append(append(appendMember(msg, "data", data), '}'), '}')
}

// bulkSubscribe subscribes to documents and answers with them as they are now.
func (c *Conn) bulkSubscribe(r *request, list []wanted) {
	a, cName := r.a, r.c
	var fresh []newcomer
	bytes := 0
	flush := func() {
		list := fresh
		c.tell(answer{keeps: bytes, show: func() ([]byte, *largeAnswer, bool) {
			data := []byte{'{'}
			for i := range list {
				data = append(appendKey(data, list[i].d), c.content(&list[i])...)
			}
			return appendBulk(a, cName, data), nil, false
		}})
		for i := range list {
			c.letGo(list[i].place)
		}
		fresh, bytes = nil, 0
		c.waitForRoom()
	}
	for _, x := range list {
		n, err := c.subscribeNow(x.doc, cName, x.d)
		if err != nil {
			n = newcomer{d: x.d, data: c.entry(err)}
		}
		if n.large != nil { // it goes alone
			c.introduce(n, 0, func() ([]byte, *largeAnswer, bool) {
				msg, large, err := c.showLarge(&n, bulkOf(a, cName, n.d), x.doc)
				if err != nil {
					msg = appendBulk(a, cName, append(appendKey([]byte{'{'}, n.d), c.entry(err)...))
				}
				return msg, large, false
			})
			c.waitForRoom()
			continue
		}
		fresh = append(fresh, n)
		if bytes += len(n.d) + len(n.data); bytes > maxBulk {
			flush()
		}
	}
	if len(fresh) > 0 || len(list) == 0 {
		flush()
	}
}

// bulkOps answers with the operations of documents since versions, subscribing to them
// if that is what is asked for.
func (c *Conn) bulkOps(r *request, list []wanted) *ws.CloseError {
	good, bad := []byte{'{'}, []byte{'{'}
	var failed *wire.Error
	for _, x := range list {
		var err error
		if x.rev == session.Head {
			err = c.latest(r, &x)
		}
		if err == nil {
			err = c.catchUp(x.doc, r.c, x.d, x.rev, r.a == "bs", answer{})
		}
		if err == nil {
			good = appendVersion(good, x.d, version(x.rev))
			continue
		}
		e, end := unreadable(err)
		if end != nil {
			return end
		}
		failed = e
		bad = appendVersion(bad, x.d, version(x.rev))
	}
	msg := appendText(appendText([]byte{'{'}, "a", r.a), "c", r.c)
	if failed == nil {
		c.say(r.done())
		return nil
	}
	// One answer for those that are fine and one for the others: clients take both.
	if len(good) > 1 {
		c.say(append(append(appendMember(msg[:len(msg):len(msg)], "b", good), '}'), '}'))
	}
	msg = append(appendMember(msg[:len(msg):len(msg)], "b", bad), '}')
	c.say(append(failed.Append(appendName(msg, "error")), '}'))
	return nil
}

// latest finds the version for a document that came with null among others with theirs.
func (c *Conn) latest(r *request, x *wanted) error {
	v, err := c.view(x.doc, session.Head)
	x.rev = v.Rev
	return err
}

// past answers with a document as it was at a version or at a time.
func (c *Conn) past(r *request) *ws.CloseError {
	id := r.value("id")
	if id == nil || len(id) > 64 {
		return c.refuse(r, malformed("Missing snapshot request ID"))
	}
	if err := c.mayRead(); err != nil {
		return c.refuseRead(r, err)
	}
	k := r.keep()
	c.tell(answer{keeps: len(k.raw), show: func() (msg []byte, large *largeAnswer, more bool) {
		msg, large, err := c.showPast(k)
		if err != nil && session.AsError(err).Code == session.CodeFuture {
			msg = k.refused(wire.Errorf(wire.CodeUnknown, "Missing ops"))
		} else if err != nil {
			msg = c.unread(k, err)
		}
		return msg, large, false
	}})
	return nil
}

// showPast answers a request for the past.
func (c *Conn) showPast(r *request) ([]byte, *largeAnswer, error) {
	rev := r.rev
	if ts := r.value("ts"); r.a == "nt" && ts != nil {
		f, _ := asNumber(ts)
		f = math.Floor(min(max(f, -1), 1<<53))
		var err error
		if rev, err = c.revisionAt(r.doc, time.UnixMilli(int64(f))); err != nil {
			return nil, nil, err
		}
	} else if r.a == "nt" {
		rev = session.Head
	}
	at, err := c.view(r.doc, rev)
	if err != nil {
		return nil, nil, err
	}
	e := envelope{head: appendMember([]byte{'{'}, "id", r.value("id")), tail: append(appendText([]byte(`,"m":null`), "a", r.a), '}'), typed: true}
	return c.document(e, r.doc, at.Rev, at.Type, at.Doc, alone{c})
}
