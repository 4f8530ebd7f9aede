// Package query answers ShareDB's queries: once, and live.
//
// A live query's result is kept once for all connections that ask the same of the same
// collection. It is kept up to date by the one worker of its collection, which reads
// each document that has changed, once, and works out what that means for each live
// query. Commits wait for none of it.
package query

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"quire/session"
	"quire/web/auth"
	"quire/web/sharedb/wire"
)

// Limits bounds what queries may cost. A zero field means its default.
type Limits struct {
	// Results is how many documents a result may have. A live query that grows past it
	// ends with an error. Default 10000.
	Results int
	// Bytes is about how many bytes of documents a result may hold. Default 16 MiB.
	Bytes int
	// Scan is how many documents of a collection a query may look at. Default 100000.
	Scan int
	// Live is how many live queries a connection may have. Default 64.
	Live int
	// Backlog is how many updates may wait for a connection. Default 4096.
	Backlog int
}

func (l Limits) withDefaults() Limits {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.Results, 10000)
	def(&l.Bytes, 16<<20)
	def(&l.Scan, 100000)
	def(&l.Live, 64)
	def(&l.Backlog, 4096)
	return l
}

// Options configures an Engine. The zero value of each field but Sessions and Codec is
// usable.
type Options struct {
	// Sessions has the documents. Required.
	Sessions *session.Manager
	// Codec shows documents as ShareDB does. Required.
	Codec Codec
	// Limits bounds what queries may cost.
	Limits Limits
	// Logger receives failures, once each. Default slog.Default().
	Logger *slog.Logger
	// Readings is how many queries may read their collection at the same time. Default 2.
	Readings int
	// Timeout bounds reading a collection for a live query. Default 1 min.
	Timeout time.Duration
	// RetryAfter is how long to wait before a document that could not be read is tried
	// again. Default 1 s.
	RetryAfter time.Duration
	// IdleAfter is how long a document of a live result that nobody edits keeps its place
	// in memory. Default 1 min.
	IdleAfter time.Duration

	// After is the scheduler: time.AfterFunc unless a test sets it.
	After func(time.Duration, func())
}

// Engine answers queries. It is safe for concurrent use.
//
// Locks are taken in this order: Conn.mu, Engine.mu, collection.mu.
type Engine struct {
	// Static after construction.
	opt      Options
	ctx      context.Context // ends when the Engine is closed
	cancel   context.CancelFunc
	unwatch  func()
	readings chan struct{}
	group    sync.WaitGroup // collections' workers and readings

	live atomic.Bool // whether there are collections

	mu sync.RWMutex
	// Guarded by mu.
	closed      bool
	collections map[string]*collection
}

// New makes an Engine. Close it before the session.Manager.
func New(opt Options) *Engine {
	opt.Limits = opt.Limits.withDefaults()
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.Readings <= 0 {
		opt.Readings = 2
	}
	def := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&opt.Timeout, time.Minute)
	def(&opt.RetryAfter, time.Second)
	def(&opt.IdleAfter, time.Minute)
	if opt.After == nil {
		opt.After = func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	}
	e := &Engine{opt: opt, readings: make(chan struct{}, opt.Readings), collections: map[string]*collection{}}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.unwatch = opt.Sessions.Watch(e.changed)
	return e
}

// Close ends all live queries, without a word to their connections, and waits until
// nothing of the Engine runs any more.
func (e *Engine) Close() {
	e.unwatch()
	e.mu.Lock()
	e.closed = true
	for _, c := range e.collections {
		c.post(c.end)
	}
	e.mu.Unlock()
	e.cancel()
	e.group.Wait()
}

// changed is told of every document that changed.
func (e *Engine) changed(doc string) {
	if !e.live.Load() {
		return
	}
	name, id, ok := wire.ToCollection(doc)
	if !ok {
		return
	}
	e.mu.RLock()
	c := e.collections[name]
	e.mu.RUnlock()
	if c != nil {
		c.touch(id)
	}
}

// enter returns the collection of that name with one more live query in it.
func (e *Engine) enter(name string) (*collection, *wire.Error) {
	prefix, refusal := wire.Prefix(name)
	if refusal != nil {
		return nil, refusal
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, failed()
	}
	c := e.collections[name]
	if c == nil {
		c = newCollection(e, name, prefix)
		e.collections[name] = c
		e.live.Store(true)
	}
	c.users++
	return c, nil
}

// leave gives back what enter returned.
func (e *Engine) leave(c *collection) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.users--; c.users == 0 {
		delete(e.collections, c.name)
		e.live.Store(len(e.collections) > 0)
		c.post(c.end)
	}
}

// Stats counts what is in memory.
type Stats struct {
	// Collections are those with live queries.
	Collections int
}

// Stats returns counts as of now.
func (e *Engine) Stats() Stats {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return Stats{Collections: len(e.collections)}
}

// Fetch answers "qf": the documents that may be read and are in the result now, in order. It
// reads the collection anew. Errors are *wire.Error: CodeUnsupported from Parse, CodeBadlyFormed
// for a collection's name, CodeLimit, CodeUnknown when the documents cannot be read.
func (e *Engine) Fetch(ctx context.Context, collection string, q *Query, readable Readable) ([]*Snapshot, error) {
	prefix, refusal := wire.Prefix(collection)
	if refusal != nil {
		return nil, refusal
	}
	result, refusal := e.read(ctx, q, readable.of(prefix))
	if refusal != nil {
		return nil, refusal
	}
	return result, nil
}

func failed() *wire.Error {
	return wire.Errorf(wire.CodeUnknown, "The documents cannot be read now")
}

// page is how many documents are listed at a time.
const page = 512

// reading is a query that reads its collection.
type reading struct {
	*Engine
	query       *Query
	result      []*Snapshot
	seen, bytes int
}

// read reads for a query what may be read of its collection. Of what may not, it does not
// even look at the names: how much there is shows neither in a limit nor in the time.
func (e *Engine) read(ctx context.Context, q *Query, readable []auth.Pattern) ([]*Snapshot, *wire.Error) {
	select {
	case e.readings <- struct{}{}:
		defer func() { <-e.readings }()
	case <-ctx.Done():
		return nil, failed()
	}
	r := &reading{Engine: e, query: q}
	for _, p := range readable {
		if refusal := r.pattern(ctx, p); refusal != nil {
			return nil, refusal
		}
	}
	slices.SortFunc(r.result, q.compare)
	return r.result, nil
}

// pattern reads the documents of one pattern. One without a slash is of the collection "".
func (r *reading) pattern(ctx context.Context, p auth.Pattern) *wire.Error {
	prefix, many := strings.CutSuffix(string(p), "*")
	size := page
	if !many {
		size = 1
	}
	flat := !strings.Contains(prefix, "/")
	for after := ""; ; {
		infos, err := r.opt.Sessions.List(ctx, prefix, after, size)
		if err != nil {
			return failed()
		}
		for _, info := range infos {
			if info.ID <= after || !p.Matches(info.ID) {
				continue // of a collection that was stepped over, or not the one meant
			}
			after = info.ID
			if slash := strings.IndexByte(info.ID, '/'); slash >= 0 && flat {
				// It is of another collection, all of which is stepped over.
				after = info.ID[:slash+1] + "\xff"
				continue
			}
			if refusal := r.add(ctx, info); refusal != nil {
				return refusal
			}
		}
		if len(infos) < size || !many {
			return nil
		}
	}
}

// add looks at one document.
func (r *reading) add(ctx context.Context, info session.Info) *wire.Error {
	_, id, ok := wire.ToCollection(info.ID)
	if !ok {
		return nil
	}
	if r.seen++; r.seen > r.opt.Limits.Scan {
		return wire.Errorf(wire.CodeLimit, "The query looks at more than %d documents, the limit", r.opt.Limits.Scan)
	}
	v, err := r.opt.Sessions.View(ctx, info.ID, session.Head)
	if err != nil {
		return failed()
	}
	s := snapshot(r.opt.Codec, id, v)
	if s == nil || !r.query.matches(s) {
		return nil
	}
	s.life, s.born = info.Incarnation, info.Born
	r.bytes += s.size()
	if refusal := r.exceeds(len(r.result)+1, r.bytes); refusal != nil {
		return refusal
	}
	r.result = append(r.result, s)
	return nil
}

// exceeds refuses a result that is too large.
func (e *Engine) exceeds(results, bytes int) *wire.Error {
	switch lim := &e.opt.Limits; {
	case results > lim.Results:
		return wire.Errorf(wire.CodeLimit, "The query has more than %d results, the limit", lim.Results)
	case bytes > lim.Bytes:
		return wire.Errorf(wire.CodeLimit, "The results of the query have more than %d bytes, the limit", lim.Bytes)
	}
	return nil
}
