package sharedb

import (
	"fmt"
	"math"
	"slices"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/ot/jsonvalue"
	"quire/session"
	"quire/web/sharedb/query"
	"quire/web/sharedb/wire"
	"quire/web/ws"
)

// An ObjectDialect is a Dialect of documents that may be JSON objects, which queries can
// look into.
type ObjectDialect interface {
	Dialect
	// Object returns a document's content when it is an object; else nil.
	Object(d ot.Doc) *jsonvalue.Object
}

// codec is a Protocol as its queries see it.
type codec struct{ p *Protocol }

// URI implements query.Codec.
func (c codec) URI(typ ot.Type) (string, bool) {
	d, err := c.p.dialects.of(typ)
	switch {
	case err != nil:
		return "", false
	case d.URI() == DefaultType:
		return "", true
	}
	return d.URI(), true
}

// AppendData implements query.Codec.
func (c codec) AppendData(dst []byte, typ ot.Type, doc ot.Doc) []byte {
	d, err := c.p.dialects.of(typ)
	if err != nil {
		return append(dst, "null"...) // not shown: see URI
	}
	return d.AppendDoc(dst, doc)
}

// Object implements query.Codec.
func (c codec) Object(typ ot.Type, doc ot.Doc) *jsonvalue.Object {
	if d, _ := c.p.dialects.of(typ); d != nil {
		if d, ok := d.(ObjectDialect); ok {
			return d.Object(doc)
		}
	}
	return nil
}

// live is a query subscription as its request came.
type live struct {
	req     *request // on bytes of its own
	resumes bool     // it says what the client has
	// Owned by Send.
	known    []wanted // that; nil once it was answered
	answered bool
}

// queryRequest handles qf, qs and qu.
func (c *Conn) queryRequest(r *request) *wire.Error {
	id, ok := queryID(r)
	if !ok {
		return malformed("Missing query ID")
	}
	if r.a == "qu" {
		c.queries.Unsubscribe(id)
		c.resume(id, nil)
		c.say(append(appendMember([]byte(`{"a":"qu"`), "id", []byte(id)), '}'))
		return nil
	}
	if r.value("c") == nil {
		return malformed("Invalid collection")
	}
	known, bad := r.results()
	if bad != nil {
		return bad
	}
	q, bad := query.Parse(r.value("q"))
	if bad != nil {
		return bad
	}
	if r.a == "qf" {
		return c.queryFetch(r, id, q)
	}
	// What the message is made of is gone when the result comes.
	c.resume(id, known)
	l := &live{req: r.keep(), resumes: r.value("r") != nil, known: known}
	ids := make([]string, len(known))
	for i, x := range known {
		ids[i] = x.d
	}
	bad = c.queries.Subscribe(query.Request{ID: id, Collection: r.c, Query: q, Resume: l.resumes, Known: ids, Tag: l})
	if bad != nil {
		c.resume(id, nil)
	}
	return bad
}

// resume counts what a query that waits for its result says that its client has, nil when it waits
// no more.
func (c *Conn) resume(id string, known []wanted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.over {
		return
	}
	bytes := 0
	for _, x := range known {
		bytes += wantedCost + len(x.d) + len(x.doc)
	}
	if before := c.resumed[id]; bytes != before {
		if c.resumed == nil {
			c.resumed = map[string]int{}
		}
		c.held.Add(bytes - before)
		c.resumed[id] = bytes
	}
	if bytes == 0 {
		delete(c.resumed, id)
		c.room.Broadcast()
	}
}

// queryID returns a query's id, a number, as it is written.
func queryID(r *request) (string, bool) {
	id := r.value("id")
	f, ok := asNumber(id)
	return string(id), ok && !math.IsInf(f, 0) && len(id) <= 64
}

func (c *Conn) queryFetch(r *request, id string, q *query.Query) *wire.Error {
	result, err := c.p.queries.Fetch(c.ctx, r.c, q, c.readable)
	if err != nil {
		if e, ok := err.(*wire.Error); ok {
			return e
		}
		e, _ := told(err)
		return e
	}
	err = c.tellLarge(query.Size(result), func() []byte {
		for _, s := range result {
			s.JSON() // it takes a while, as reading them did: those that may not be read any more are not in it
		}
		result = slices.DeleteFunc(result, func(s *query.Snapshot) bool { return !c.mayReadAll(r.c, []*query.Snapshot{s}) })
		return queryAnswer("qf", id, query.Append(appendName([]byte{'{'}, "data"), result))
	})
	if err != nil {
		e, _ := told(err)
		return e
	}
	return nil
}

// mayReadAll reports whether every one of these documents of a collection may be read now.
func (c *Conn) mayReadAll(collection string, list []*query.Snapshot) bool {
	prefix, _ := wire.Prefix(collection)
	return !slices.ContainsFunc(list, func(s *query.Snapshot) bool { return !c.MayRead(prefix + s.ID) })
}

// mayReadDiff is mayReadAll of what comes into a result.
func (c *Conn) mayReadDiff(collection string, diff query.Diff) bool {
	return !slices.ContainsFunc(diff, func(step query.Step) bool { return !c.mayReadAll(collection, step.Values) })
}

// outdated ends the connection instead of news of a query with what may not be read any more: those after it are of who
// had them.
func (c *Conn) outdated() []byte {
	c.closeWith(&ws.CloseError{Code: ws.CloseTryAgain, Reason: "a document may not be read any more"})
	return nil
}

// queryAnswer ends an answer to a query request.
func queryAnswer(a, id string, dst []byte) []byte {
	return append(appendMember(appendText(dst, "a", a), "id", []byte(id)), '}')
}

// results reads the documents that a client has already, each once, from the member r.
func (r *request) results() ([]wanted, *wire.Error) {
	v := r.value("r")
	if v == nil {
		return nil, nil
	}
	invalid := malformed("Invalid query results")
	var list []wanted
	var bad *wire.Error
	seen := map[string]bool{}
	in := jsonscan.New(v)
	err := in.Array(func() error {
		var pair [2][]byte
		n := 0
		err := in.Array(func() error {
			raw, err := in.Raw()
			if n < 2 {
				pair[n] = raw
			}
			n++
			return err
		})
		d, okD := asString(pair[0])
		doc, badID := wire.FromCollection(r.c, d)
		rev, okV := revision(pair[1])
		switch {
		case bad != nil:
		case !okD || badID != nil:
			bad = malformed("Invalid id")
		case !okV:
			bad = malformed("Invalid version")
		}
		if !seen[d] {
			seen[d] = true
			list = append(list, wanted{d, doc, rev})
		}
		return err
	})
	if err != nil || in.End() != nil {
		return nil, invalid
	}
	return list, bad
}

// takeNews turns news of queries into answers.
func (c *Conn) takeNews() {
	c.mu.Lock()
	asked := c.asked && len(c.out) == 0
	if asked {
		c.asked = false
	}
	c.mu.Unlock()
	if !asked {
		return
	}
	news, err := c.queries.Take()
	if err != nil {
		c.closeWith(&ws.CloseError{Code: ws.CloseTryAgain, Reason: "too many updates wait"})
		return
	}
	for i := range news {
		c.queryNews(&news[i])
	}
}

// queryNews answers with one piece of news of a live query.
func (c *Conn) queryNews(n *query.News) {
	l := n.Tag.(*live)
	switch {
	case n.Err != nil && !l.answered:
		c.say(l.req.refused(n.Err))
	case n.Err != nil:
		c.say(append(n.Err.Append(appendName([]byte(fmt.Sprintf(`{"a":"q","id":%s`, n.ID)), "error")), '}'))
	case n.Result != nil && l.resumes:
		if err := c.catchUpQuery(n, l); err != nil {
			e, _ := unreadable(err)
			c.queries.Unsubscribe(n.ID)
			c.say(l.req.refused(e))
		}
	case n.Result != nil:
		err := c.tellLarge(query.Size(n.Result.Snapshots), func() []byte {
			if !c.mayReadAll(l.req.c, n.Result.Snapshots) {
				return c.outdated()
			}
			return queryAnswer("qs", n.ID, query.Append(appendName([]byte{'{'}, "data"), n.Result.Snapshots))
		})
		if err != nil {
			e, _ := told(err)
			c.queries.Unsubscribe(n.ID)
			c.say(l.req.refused(e))
		}
	case n.Update != nil:
		c.queryUpdate(n.ID, l.req.c, n.Update)
	}
	if !l.answered {
		l.answered, l.known = true, nil
		c.resume(n.ID, nil)
	}
}

// maxResume is how many bytes of documents a client may ask for that it names itself.
const maxResume = 64 << 20

// catchUpQuery answers a client that has had results before: with what it missed of these
// documents, how the result is another now, and the answer.
func (c *Conn) catchUpQuery(n *query.News, l *live) error {
	var views []session.View
	var asked []wanted
	size := 0
	for _, x := range l.known {
		if x.rev != session.Head {
			if err := c.catchUp(x.doc, l.req.c, x.d, x.rev, false, answer{}); err != nil {
				return err
			}
			continue
		}
		v, err := c.view(x.doc, session.Head)
		if err != nil {
			return err
		}
		views, asked = append(views, v), append(asked, x)
		if v.Type != nil {
			if _, err := c.p.dialects.of(v.Type); err != nil {
				return err
			}
			size += v.Type.Size(v.Doc)
		}
		if size > maxResume {
			return wire.Errorf(wire.CodeLimit, "The documents asked for have more than %d bytes, the limit", maxResume)
		}
	}
	for _, step := range n.Result.Diff {
		size += query.Size(step.Values)
	}
	return c.tellLarge(size, func() []byte {
		if !c.mayReadDiff(l.req.c, n.Result.Diff) {
			return c.outdated()
		}
		if len(n.Result.Diff) > 0 {
			c.say(queryDiff(n.ID, n.Result.Diff.Append(nil)))
		}
		data := []byte{'{'}
		for i, v := range views {
			if !c.MayRead(asked[i].doc) { // not after the wait
				v = session.View{Rev: session.Unborn}
			}
			data, _ = c.p.appendSnapshot(append(appendKey(data, asked[i].d), '{'), v.Rev, v.Type, v.Doc, false) // its type is known
			data = append(data, '}')
		}
		answer := []byte{'{'}
		if len(data) > 1 {
			answer = appendMember(answer, "data", append(data, '}'))
		}
		return queryAnswer("qs", n.ID, answer)
	})
}

func queryDiff(id string, diff []byte) []byte {
	return append(appendMember([]byte(fmt.Sprintf(`{"a":"q","id":%s`, id)), "diff", diff), '}')
}

// queryUpdate sends how a result changed, and the operations that changed it, but for the
// client's own: these are acknowledged.
func (c *Conn) queryUpdate(id, collection string, u *query.Update) {
	if diff := u.JSON(); diff != nil {
		err := c.tellLarge(len(diff), func() []byte {
			if !c.mayReadDiff(collection, u.Diff) {
				return c.outdated()
			}
			return queryDiff(id, diff)
		})
		if err != nil {
			c.closeWith(&ws.CloseError{Code: ws.CloseTryAgain, Reason: unreadableNow})
			return
		}
	}
	for _, b := range u.Ops {
		m, err := c.messages(b)
		if err != nil {
			if c.ctx.Err() == nil {
				c.p.opt.Logger.Error("cannot send a document's operations", "doc", b.Doc, "err", err)
			}
			c.closeWith(&ws.CloseError{Code: ws.CloseTryAgain, Reason: unreadableNow})
			return
		}
		for i := range b.Items {
			if it := &b.Items[i]; it.Client == "" || it.Client != c.src {
				c.tell(answer{shared: m.list[i]})
			}
		}
	}
}

// messages returns the messages of a batch that is not read in turn.
func (c *Conn) messages(b *session.Batch) (*messages, error) {
	var before ot.Doc
	if typ := b.Type(); typ != nil {
		d, err := c.p.dialects.of(typ)
		if err != nil {
			return nil, err
		}
		if _, deletes := b.Items[0].Op.(session.Deletion); d.NeedsDoc() && !deletes {
			v, err := c.p.opt.Manager.View(c.ctx, b.Doc, b.From)
			if err != nil {
				return nil, err
			}
			before = v.Doc
		}
	}
	m := b.Shared(c.p.key, func() any { return c.p.encode(b, before) }).(*messages)
	return m, m.err
}
