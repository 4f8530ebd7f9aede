package query

import (
	"errors"
	"slices"
	"sync"

	"quire/session"
	"quire/web/sharedb/wire"
)

// Conn is the live queries of one connection. Its methods are safe for concurrent use,
// except that one goroutine at a time may call Take.
type Conn struct {
	engine   *Engine
	notify   func()
	readable Readable

	mu sync.Mutex
	// Guarded by mu.
	closed bool
	behind bool
	subs   map[string]*subscription // by the query's id
	news   []News
}

// subscription is one live query of a connection.
type subscription struct {
	conn       *Conn
	req        Request
	query      *Query
	collection *collection
	key        string // of the live result that it is to have; guarded by Conn.mu

	// Owned by the collection's worker.
	live *live
	// moved: told is a part of another live result that it had before, and all its client has;
	// one without a version is of a document that the client does not have all of.
	moved bool
	told  []*Snapshot
}

// Request is a "qs" message.
type Request struct {
	// ID is the query's id, the number as it is written; it names the query on this
	// connection.
	ID string
	// Collection is c, Query is q.
	Collection string
	Query      *Query
	// Resume is set when the message has "r"; Known are the ids in it, in their order.
	Resume bool
	Known  []string
	// Tag comes back in the News.
	Tag any
}

// News is what a live query has to tell. The first of a query has a Result or is its end;
// those after it have an Update, or are its end.
type News struct {
	// ID and Tag are the Request's.
	ID  string
	Tag any
	// Result answers the Request.
	Result *Result
	// Update is a change of the result.
	Update *Update
	// Err is why the query has ended, or could not begin; nil while it lives.
	Err *wire.Error
}

// Result answers a "qs" message.
//
// Without "r" the reply has the Snapshots as "data". With it, whoever answers first sends
// the operations that the client has missed of the documents in "r" (read after this
// Result was taken), or their snapshots where the version is null, then the Diff as a
// "q" message unless it is empty, then the reply.
type Result struct {
	// Snapshots is the whole result, in order.
	Snapshots []*Snapshot
	// Diff leads from Request.Known to it; nil without Request.Resume.
	Diff Diff
}

// Update is one document's change, as one live query sees it. It is immutable and shared
// by all connections that have the query.
type Update struct {
	// ID is the document's id in the collection.
	ID string
	// Diff is how the result changed; empty when it is the same documents in the same
	// order.
	Diff Diff
	// Ops are the operations of the document since the last Update, when it was in the
	// result before. They are to be sent after the diff, but for those of the connection's
	// own source. A document that is new in the result comes with its snapshot instead.
	// Versions go on from those of the snapshots that were told before, without a gap;
	// some may have been in a snapshot already.
	Ops []*session.Batch

	once sync.Once
	json []byte
}

// JSON returns the diff as the "diff" of a "q" message; nil when it is empty. It is made
// once, and must not be changed.
func (u *Update) JSON() []byte {
	u.once.Do(func() {
		if len(u.Diff) > 0 {
			u.json = u.Diff.Append(nil)
		}
	})
	return u.json
}

// ErrBehind is what Take returns when a connection took its news too slowly. It is to be
// closed: its client will come back and say what it has.
var ErrBehind = errors.New("query: too many updates wait for the connection")

// Connect adds a connection that may read what readable says; call Review when that changes. notify is called, from any goroutine and perhaps with locks
// held, whenever there may be something to Take; it must not block or call back.
func (e *Engine) Connect(notify func(), readable Readable) *Conn {
	return &Conn{engine: e, notify: notify, readable: readable, subs: map[string]*subscription{}}
}

// Subscribe answers "qs": it begins a live query. It does not wait: the result comes by
// Take, and everything after it in order. A query of the same id ends.
//
// CodeBadlyFormed for a collection's name that is not allowed; CodeLimit past
// Limits.Live, or when more than Limits.Results documents are known.
func (c *Conn) Subscribe(req Request) *wire.Error {
	lim := &c.engine.opt.Limits
	if len(req.Known) > lim.Results {
		return wire.Errorf(wire.CodeLimit, "%d known results, limit %d", len(req.Known), lim.Results)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	if c.subs[req.ID] == nil && len(c.subs) >= lim.Live {
		return wire.Errorf(wire.CodeLimit, "%d live queries on one connection, the limit", len(c.subs))
	}
	col, err := c.engine.enter(req.Collection)
	if err != nil {
		return err
	}
	c.remove(req.ID)
	readable := c.readable.of(col.prefix)
	key := key(req.Query, readable)
	s := &subscription{conn: c, req: req, query: req.Query, collection: col, key: key}
	c.subs[req.ID] = s
	col.post(func() { col.enlist(s, key, readable) })
	return nil
}

// Unsubscribe answers "qu": nothing is told of the query any more. It may be of no query.
func (c *Conn) Unsubscribe(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(id)
}

// remove ends a query. Called with the lock held.
func (c *Conn) remove(id string) {
	s := c.subs[id]
	if s == nil {
		return
	}
	delete(c.subs, id)
	c.news = slices.DeleteFunc(c.news, func(n News) bool { return n.ID == id })
	s.collection.post(func() { s.collection.part(s) })
}

// Close ends all queries. Closing twice is not an error.
func (c *Conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for id := range c.subs {
		c.remove(id)
	}
	c.news = nil
}

// maxTake is about how many bytes of documents Take hands out at a time.
const maxTake = 1 << 20

// Take returns what the connection was not told yet, in order, without waiting; nil when
// there is nothing. Of much it returns the first part, about a megabyte unless one result
// is larger, and notifies once more. ErrBehind when too much had gathered.
func (c *Conn) Take() ([]News, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.behind {
		return nil, ErrBehind
	}
	n := 0
	for bytes := 0; n < len(c.news) && bytes < maxTake; n++ {
		bytes += c.news[n].size()
	}
	news := c.news[:n:n]
	if c.news = c.news[n:]; len(c.news) == 0 {
		c.news = nil
	} else {
		c.notify()
	}
	return news, nil
}

// size is about how many bytes of documents are in the news.
func (n *News) size() int {
	var snapshots []*Snapshot
	switch {
	case n.Result != nil:
		snapshots = n.Result.Snapshots
	case n.Update != nil:
		for _, step := range n.Update.Diff {
			snapshots = append(snapshots, step.Values...)
		}
	}
	return Size(snapshots)
}

// tell hands news to a subscription's connection, unless it has ended the query.
func (s *subscription) tell(n News) {
	c := s.conn
	n.ID, n.Tag = s.req.ID, s.req.Tag
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subs[n.ID] != s || c.behind {
		return
	}
	if n.Err != nil {
		c.remove(n.ID)
	}
	if len(c.news) >= c.engine.opt.Limits.Backlog {
		c.behind, c.news = true, nil
		for id := range c.subs {
			c.remove(id)
		}
	} else {
		c.news = append(c.news, n)
	}
	c.notify()
}
