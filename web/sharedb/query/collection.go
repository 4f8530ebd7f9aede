package query

import (
	"context"
	"maps"
	"slices"
	"sync"

	"quire/session"
	"quire/web/auth"
	"quire/web/sharedb/wire"
)

// collection keeps the live queries of one collection up to date. Everything but the
// queue belongs to its worker, which does one task after the other: so what a connection
// is told is in order, and a query that begins after a change sees it.
type collection struct {
	// Static after construction.
	engine *Engine
	name   string
	prefix string // of the documents' ids
	worker *wire.Worker

	users int // live queries of connections; guarded by Engine.mu

	mu sync.Mutex
	// Guarded by mu.
	queue  []task
	queued map[string]bool // documents in queue

	// Owned by the worker.
	lives    map[string]*live // by the query and who may read what; see key
	docs     map[string]*document
	sweeping bool // rest is going to be called
	ended    bool
}

// task is a document to look at, or something to do.
type task struct {
	id string
	do func()
}

// document is what is known of a document that is in a live result.
type document struct {
	snap *Snapshot
	in   int // how many live results it is in
	// ops reads its operations; nil until it changes. rev is up to where they were told.
	ops  *session.Subscription
	rev  session.Revision
	idle bool // nothing changed since the last sweep
	// life and born tell the document from another of its name that came after it was
	// removed for good; as in Snapshot.
	life uint64
	born session.Revision
}

func newCollection(e *Engine, name, prefix string) *collection {
	c := &collection{engine: e, name: name, prefix: prefix, queued: map[string]bool{}, lives: map[string]*live{}, docs: map[string]*document{}}
	c.worker = wire.NewWorker(&e.group, e.opt.Logger, c.step)
	return c
}

// touch has the worker look at a document.
func (c *collection) touch(id string) {
	c.mu.Lock()
	queued := c.queued[id]
	if !queued {
		c.queued[id] = true
		c.queue = append(c.queue, task{id: id})
	}
	c.mu.Unlock()
	if !queued {
		c.worker.Wake()
	}
}

// post has the worker do something after everything that is queued now.
func (c *collection) post(do func()) {
	c.mu.Lock()
	c.queue = append(c.queue, task{do: do})
	c.mu.Unlock()
	c.worker.Wake()
}

// step empties the queue.
func (c *collection) step() {
	for {
		c.mu.Lock()
		queue := c.queue
		c.queue = nil
		c.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, t := range queue {
			if c.ended {
				return
			}
			if t.do != nil {
				t.do()
				continue
			}
			c.mu.Lock()
			delete(c.queued, t.id) // before it is read: a change from here on is another task
			c.mu.Unlock()
			c.look(t.id)
		}
	}
}

// enlist adds a subscription to the live result that it asks for, which is read when it is
// the first.
func (c *collection) enlist(s *subscription, key string, readable []auth.Pattern) {
	l := c.lives[key]
	if l == nil {
		l = &live{query: s.query, key: key, readable: readable, missed: map[string]bool{}}
		c.lives[key] = l
		c.engine.group.Add(1)
		go func() {
			defer c.engine.group.Done()
			ctx, cancel := context.WithTimeout(c.engine.ctx, c.engine.opt.Timeout)
			defer cancel()
			var result []*Snapshot
			err := wire.Errorf(wire.CodeUnknown, "The server failed; its log says why")
			wire.Safely(c.engine.opt.Logger, func() { result, err = c.engine.read(ctx, l.query, l.readable) })
			c.post(func() { c.install(l, result, err) })
		}()
	}
	l.subs = append(l.subs, s)
	s.live = l
	if l.missed == nil {
		l.begin(s)
	}
}

// install takes in what was read for a live query. What has changed meanwhile is looked at
// again.
func (c *collection) install(l *live, result []*Snapshot, err *wire.Error) {
	if c.lives[l.key] != l {
		return
	}
	if err != nil {
		c.fail(l, err)
		return
	}
	missed := l.missed
	l.missed = nil
	for _, s := range result {
		// A document that another result has is taken as it is there: its operations are
		// told from there on.
		if d := c.docs[s.ID]; d != nil {
			s = d.snap
		}
		if l.takes(c.prefix, s) {
			c.insert(l, s)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(missed)) {
		c.touch(id)
	}
	for _, s := range l.subs {
		l.begin(s)
	}
}

// insert puts a document into a live result and returns where.
func (c *collection) insert(l *live, s *Snapshot) int {
	d := c.docs[s.ID]
	if d == nil {
		d = &document{snap: s, rev: session.Revision(s.Version) - 1, life: s.life, born: s.born}
		c.docs[s.ID] = d
	}
	d.in++
	return l.insert(s)
}

// drop notes that a document is in one live result less.
func (c *collection) drop(id string) {
	d := c.docs[id]
	if d.in--; d.in == 0 {
		d.mute()
		delete(c.docs, id)
	}
}

// part ends a subscription.
func (c *collection) part(s *subscription) {
	defer c.engine.leave(c)
	c.withdraw(s)
}

// withdraw takes a subscription out of its live result; one that nobody has goes.
func (c *collection) withdraw(s *subscription) {
	l := s.live
	s.live = nil
	if l != nil && c.lives[l.key] == l && l.part(s) && len(l.subs) == 0 {
		c.remove(l)
	}
}

// remove takes a live query out.
func (c *collection) remove(l *live) {
	delete(c.lives, l.key)
	for _, s := range l.order {
		c.drop(s.ID)
	}
	l.order = nil
}

// fail ends a live query with an error.
func (c *collection) fail(l *live, err *wire.Error) {
	c.remove(l)
	for _, s := range l.subs {
		s.tell(News{Err: err})
	}
}

// end stops the collection for good.
func (c *collection) end() {
	c.ended = true
	c.worker.Stop()
	for _, l := range c.lives {
		c.remove(l)
	}
}

// look takes in what has changed in a document.
func (c *collection) look(id string) {
	told := false // whether there is somebody to tell
	for _, l := range c.lives {
		if l.missed != nil {
			l.missed[id] = true
		} else {
			told = true
		}
	}
	if !told {
		return
	}
	d := c.docs[id]
	var ops []*session.Batch
	again := false // it is another document than before, of the same name
	if d != nil {
		var err error
		if ops, again, err = c.take(d); err != nil {
			c.later(id)
			return
		}
	}
	c.show(id, d, ops, again)
}

// show reads a document, which may go on meanwhile, and tells everybody what became of it by operations
// that were taken before.
func (c *collection) show(id string, d *document, ops []*session.Batch, again bool) {
	s, rev, err := c.view(id, d, again)
	if err != nil {
		if d != nil { // the operations are read again then
			d.mute()
		}
		c.later(id)
		return
	}
	var before *Snapshot
	if d != nil {
		before = d.snap
		if again {
			ops, d.rev, d.life, d.born = nil, rev, 0, 0
			if s != nil {
				d.life, d.born = s.life, s.born
			}
		}
		d.told(ops)
		d.snap = s
		d.in++ // while it moves from one result to the next
	}
	for _, l := range c.lives {
		if l.missed == nil {
			c.change(l, id, before, s, again, ops)
		}
	}
	if d != nil {
		c.drop(id)
	}
}

// view reads a document. The snapshot is nil when there is nothing to show.
func (c *collection) view(id string, d *document, again bool) (*Snapshot, session.Revision, error) {
	ctx, sessions := c.engine.ctx, c.engine.opt.Sessions
	v, err := sessions.View(ctx, c.prefix+id, session.Head)
	if err != nil {
		return nil, 0, err
	}
	s := snapshot(c.engine.opt.Codec, id, v)
	if d != nil && !again || s == nil || !c.wanted(s) {
		return s, v.Rev, nil
	}
	// It is new in a result. What tells it from another of its name is read first, so
	// that in doubt it is taken for another.
	infos, err := sessions.List(ctx, c.prefix+id, "", 1)
	if err != nil {
		return nil, 0, err
	}
	if v, err = sessions.View(ctx, c.prefix+id, session.Head); err != nil {
		return nil, 0, err
	}
	if s = snapshot(c.engine.opt.Codec, id, v); s != nil && len(infos) == 1 && infos[0].ID == c.prefix+id {
		s.life, s.born = infos[0].Incarnation, infos[0].Born
	}
	return s, v.Rev, nil
}

// wanted reports whether a document is in any live result.
func (c *collection) wanted(s *Snapshot) bool {
	for _, l := range c.lives {
		if l.missed == nil && l.takes(c.prefix, s) {
			return true
		}
	}
	return false
}

// told notes that operations are told.
func (d *document) told(ops []*session.Batch) {
	for _, b := range ops {
		d.rev = b.To
		if _, creates := b.Items[0].Op.(session.Creation); creates {
			d.born = b.To
		}
	}
}

// mute stops reading the operations for now.
func (d *document) mute() {
	if d.ops != nil {
		d.ops.Close()
		d.ops = nil
	}
}

// change works out what a change of a document means for a live query.
func (c *collection) change(l *live, id string, before, after *Snapshot, again bool, ops []*session.Batch) {
	from, was := l.find(before)
	is := after != nil && l.takes(c.prefix, after)
	u := &Update{ID: id}
	if was {
		u.Ops = ops
		l.remove(from)
		if is && !again {
			to := l.insert(after)
			if from != to {
				u.Diff = Diff{{Kind: Move, Index: from, To: to, Count: 1}}
			}
		} else {
			u.Diff = Diff{{Kind: Remove, Index: from, Count: 1}}
			c.drop(id)
		}
	}
	if is && (!was || again) {
		u.Diff = append(u.Diff, Step{Kind: Insert, Index: c.insert(l, after), Values: []*Snapshot{after}})
	}
	if err := c.engine.exceeds(len(l.order), l.bytes); err != nil {
		c.fail(l, err)
		return
	}
	if len(u.Diff) == 0 && len(u.Ops) == 0 {
		return
	}
	for _, s := range l.subs {
		s.tell(News{Update: u})
	}
}

// take returns the operations of a document that were not told yet; again means that they
// do not go on: it was removed for good, and may be there again.
func (c *collection) take(d *document) (ops []*session.Batch, again bool, err error) {
	d.idle = false
	if d.ops == nil {
		var opened *session.Opened
		req := session.OpenRequest{Convention: session.Versioned, Doc: c.prefix + d.snap.ID, Resume: true, Rev: d.rev, Notify: func() {}}
		if d.ops, opened, err = c.engine.opt.Sessions.Open(c.engine.ctx, req); err != nil {
			return nil, false, err
		}
		c.sweep()
		again = opened.Rev != d.rev || opened.Incarnation != d.life+uint64(d.born)
	}
	for more := true; more; {
		var news session.Delivery
		if news, err = d.ops.Take(c.engine.ctx); err != nil || news.Closed != nil {
			d.mute()
			return nil, err == nil, err
		}
		ops = append(ops, news.Batches...)
		more = news.More
	}
	return ops, again, nil
}

// later looks at a document again after a while: it cannot be read now.
func (c *collection) later(id string) {
	c.engine.opt.After(c.engine.opt.RetryAfter, func() { c.touch(id) })
}

// sweep has documents that nobody edits let go of after a while.
func (c *collection) sweep() {
	if !c.sweeping {
		c.sweeping = true
		c.engine.opt.After(c.engine.opt.IdleAfter, func() { c.post(c.rest) })
	}
}

// rest lets go of the documents that nobody edits.
func (c *collection) rest() {
	c.sweeping = false
	for _, d := range c.docs {
		if d.ops == nil {
			continue
		}
		if d.idle {
			d.mute()
		} else {
			d.idle = true
			c.sweep()
		}
	}
}
