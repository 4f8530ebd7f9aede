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
	c.tell(answer{keeps: len(k.raw), show: func() ([]byte, *largeAnswer) {
		v, err := c.view(k.doc, session.Head)
		if err != nil {
			return c.unread(k, err), nil
		}
		return c.document(k, v.Rev, v.Type, v.Doc, alone{c})
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

// snapshot returns a document as it is now.
func (c *Conn) snapshot(doc string) ([]byte, error) {
	v, err := c.view(doc, session.Head)
	if err != nil {
		return nil, err
	}
	dst, err := c.p.appendSnapshot([]byte{'{'}, v.Rev, v.Type, v.Doc, false)
	return append(dst, '}'), err
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
	n, err := c.subscribeNow(r.doc, r.c, r.d, largeFrom)
	if err != nil {
		return c.refuseRead(r, err)
	}
	k := r.keep()
	c.mu.Lock()
	if n.large == nil {
		c.push(answer{msg: r.with(n.shown())})
	} else {
		c.push(answer{keeps: len(k.raw), show: func() ([]byte, *largeAnswer) {
			typ, doc := n.large.Doc()
			return c.document(k, n.large.Rev, typ, doc, together{c, n.large})
		}})
	}
	c.mu.Unlock()
	c.letGo(n.place)
	c.wake()
	return nil
}

// A newcomer is a document that was subscribed to and has not been shown yet. News of the place
// are held until then. There is no place when it may not be read.
type newcomer struct {
	d     string
	place *place
	data  []byte
	large *session.Opened // in place of data
}

// notThere is what is shown of a document that is not there.
const notThere = `{"v":0,"type":null}`

// shown returns what to show: nothing when it has become a document that may not be read meanwhile.
// Called with the lock held.
func (n *newcomer) shown() []byte {
	if n.place != nil && n.place.gone {
		return []byte(notThere)
	}
	return n.data
}

// subscribeNow subscribes to a document from now on. A document of so many bytes or more is not written, but only opened.
func (c *Conn) subscribeNow(docID, cName, dName string, most int) (newcomer, error) {
	var o *session.Opened
	done := func() {}
	pl, err := c.open(docID, cName, dName, c.src, session.Head, func(pl *place, opened *session.Opened) {
		o = opened
		hold(pl)
		done = c.subscribeTo(docID, pl)
	})
	done()
	if hidden(err) {
		return newcomer{d: dName, data: []byte(notThere)}, c.miss(docID, false)
	}
	if err != nil {
		return newcomer{}, err
	}
	typ, doc := o.Doc()
	if typ != nil && o.Size() >= most && c.p.dialects.stored[typ.Name()] != nil {
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
	c.tell(answer{keeps: keeps, build: func() ([]byte, bool) {
		data := []byte{'{'}
		for len(list) > 0 && len(data) < maxBulk {
			value, err := c.snapshot(list[0].doc)
			if err != nil {
				value = c.entry(err)
			}
			data = append(appendKey(data, list[0].d), value...)
			list = list[1:]
		}
		return appendBulk(a, cName, data), len(list) > 0
	}})
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
	var fresh []newcomer
	bytes := 0
	flush := func() {
		data := []byte{'{'}
		c.mu.Lock()
		for i := range fresh {
			data = append(appendKey(data, fresh[i].d), fresh[i].shown()...)
		}
		c.push(answer{msg: appendBulk(r.a, r.c, data)})
		c.mu.Unlock()
		for i := range fresh {
			c.letGo(fresh[i].place)
		}
		c.wake()
		fresh, bytes = nil, 0
		c.waitForRoom()
	}
	for _, x := range list {
		n, err := c.subscribeNow(x.doc, r.c, x.d, math.MaxInt)
		if err != nil {
			n = newcomer{d: x.d, data: c.entry(err)}
		}
		fresh = append(fresh, n)
		if bytes += len(n.d) + len(n.data); bytes > maxBulk {
			flush()
		}
	}
	flush()
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
	rev, at := r.rev, session.View{}
	var err error
	if ts := r.value("ts"); r.a == "nt" && ts != nil {
		f, _ := asNumber(ts)
		f = math.Floor(min(max(f, -1), 1<<53))
		rev, err = c.revisionAt(r.doc, time.UnixMilli(int64(f)))
	} else if r.a == "nt" {
		rev = session.Head
	}
	if err == nil {
		at, err = c.view(r.doc, rev)
	}
	if err != nil && session.AsError(err).Code == session.CodeFuture {
		return c.refuse(r, wire.Errorf(wire.CodeUnknown, "Missing ops"))
	}
	dst := appendMember([]byte{'{'}, "id", id)
	if err == nil {
		dst, err = c.p.appendSnapshot(dst, at.Rev, at.Type, at.Doc, true)
	}
	if err != nil {
		return c.refuseRead(r, err)
	}
	c.say(append(appendText(append(dst, `,"m":null`...), "a", r.a), '}'))
	return nil
}
