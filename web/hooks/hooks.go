// Package hooks tells other programs of what is committed, by signed HTTP requests: each
// step at least once, and those of one document in order. docs/webhooks.md describes it
// for receivers.
//
// A hook holds a position in each document, not a queue: what is to be delivered is read
// from the document's past when its turn has come. Positions are kept as notes of the
// store, written in batches, so after a restart a few steps are delivered again. They
// are kept by the document's lineage, which stays when it is renamed.
package hooks

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"quire/session"
	"quire/storage"
	"quire/web/auth"
)

// Store says what documents there are and keeps notes; its contract is storagetest.Store's.
type Store interface {
	Stat(ctx context.Context, id string) (storage.Info, error)
	List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error)
	Notes(ctx context.Context, id, prefix, after string, limit int) ([]storage.Note, error)
	SetNotes(ctx context.Context, id string, incarnation uint64, notes []storage.Note) error
}

// Options configures Hooks. The zero value of each field but Manager and Store is usable.
type Options struct {
	// Manager has the documents. Required.
	Manager *session.Manager
	// Store is the one that Manager has. Required.
	Store Store
	// Private allows receivers at loopback, private and link-local addresses. Without it
	// whoever may register a hook cannot reach what only this machine can.
	Private bool
	// Name is the program's name and version, sent as User-Agent. Default "quire".
	Name string
	// Timeout is how long a receiver has to answer. Default 10 s.
	Timeout time.Duration
	// RetryMin and RetryMax bound the time between two attempts, which doubles. Defaults
	// 1 s and 10 min.
	RetryMin, RetryMax time.Duration
	// GiveUp is how long a delivery is tried before it becomes a dead letter. Default 24 h.
	GiveUp time.Duration
	// OwnerWithin is how long a hook of who is no operator goes on without a sign of its owner. Default 90 days.
	OwnerWithin time.Duration
	// Revoked is what is revoked at the start, for hooks of which that could not be kept when it was. May be nil.
	Revoked []auth.Revocation
	// SaveEvery is how long a position may stay unsaved. Default 500 ms.
	SaveEvery time.Duration
	// MaxHooks is the most hooks. Default 100.
	MaxHooks int
	// MaxDead is the most dead letters of a hook; with one more it is disabled. Default 1,000.
	MaxDead int
	// AtOnce is the most requests to one hook's receiver at once. Default 4.
	AtOnce int
	// MaxEvents and MaxBytes bound what one request has. A step that is larger by itself is
	// told of without its operation. Defaults 100 and 256 KiB.
	MaxEvents, MaxBytes int
	// Names returns what authors of a document are called, where that is not the author itself. May be nil.
	Names func(doc string, authors iter.Seq[string]) map[string]string
	// Observer is told what happens, for metrics. Its functions may be nil.
	Observer Observer
	// Logger receives failures. Default slog.Default().
	Logger *slog.Logger

	// Now, After and Rand are the clock, the scheduler and a float in [0, 1) for jitter:
	// time.Now, time.AfterFunc and math/rand/v2 unless a test sets them.
	Now   func() time.Time
	After func(time.Duration, func()) (stop func() bool)
	Rand  func() float64
}

// Observer is told what happens. The functions must be quick.
type Observer struct {
	// Delivered: a receiver took so many events, in a request that took so long.
	Delivered func(events int, took time.Duration)
	// Failed: a request was refused or not answered, and will be tried again.
	Failed func()
	// Dead: a delivery was given up.
	Dead func()
}

func (o Options) withDefaults() Options {
	num := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	dur := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	dur(&o.Timeout, 10*time.Second)
	dur(&o.RetryMin, time.Second)
	dur(&o.RetryMax, 10*time.Minute)
	dur(&o.GiveUp, 24*time.Hour)
	dur(&o.OwnerWithin, 90*24*time.Hour)
	dur(&o.SaveEvery, 500*time.Millisecond)
	num(&o.MaxHooks, 100)
	num(&o.MaxDead, 1000)
	num(&o.AtOnce, 4)
	num(&o.MaxEvents, 100)
	num(&o.MaxBytes, 256<<10)
	if o.Name == "" {
		o.Name = "quire"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	}
	if o.Rand == nil {
		o.Rand = mathrand.Float64
	}
	if o.Observer.Delivered == nil {
		o.Observer.Delivered = func(int, time.Duration) {}
	}
	if o.Observer.Failed == nil {
		o.Observer.Failed = func() {}
	}
	if o.Observer.Dead == nil {
		o.Observer.Dead = func() {}
	}
	return o
}

// Hooks is all hooks of a server. Safe for concurrent use. Close it before the manager.
type Hooks struct {
	// static
	opt     Options
	client  *http.Client
	ctx     context.Context // ends when requests under way are cut off
	cancel  context.CancelFunc
	unwatch func()
	wake    chan struct{} // has room for one
	done    chan struct{} // closed when dispatch has returned

	registering sync.Mutex // one at a time, so that MaxHooks holds

	mu       sync.Mutex
	closing  bool                // guarded by mu
	runners  map[string]*runner  // by id; guarded by mu
	owners   map[owner][]*runner // guarded by mu; see index
	woken    map[string]struct{} // documents to look at; guarded by mu
	unswept  map[*runner]bool    // whose positions are to be compared with all documents; guarded by mu
	resweep  func() bool         // stops the timer of the next sweep; guarded by mu
	restless time.Time           // no sweep before; guarded by mu
}

// New reads the hooks that are registered and begins to deliver.
func New(opt Options) (*Hooks, error) {
	opt = opt.withDefaults()
	h := &Hooks{
		opt: opt, client: newClient(opt), wake: make(chan struct{}, 1), done: make(chan struct{}),
		runners: map[string]*runner{}, woken: map[string]struct{}{}, unswept: map[*runner]bool{},
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	if err := h.load(); err != nil {
		h.cancel()
		return nil, err
	}
	h.unwatch = opt.Manager.Watch(h.changed)
	go h.dispatch()
	return h, nil
}

// load reads the registrations and finishes removing those that are not to be.
func (h *Hooks) load() error {
	for after := ""; ; {
		notes, err := h.opt.Store.Notes(h.ctx, "", registrations, after, pageNotes)
		if err != nil {
			return err
		}
		for _, n := range notes {
			after = n.Key
			hook, err := readHook(n)
			if err != nil {
				return err
			}
			switch hook.State {
			case stateActive, stateDisabled:
				r := newRunner(h, hook)
				if slices.ContainsFunc(h.opt.Revoked, hook.withdrawn) {
					r.disable(ownerRevoked)
				}
				if r.dead, err = h.count(deadOf(hook.ID)); err != nil {
					return err
				}
				h.runners[hook.ID], h.unswept[r] = r, true
			default: // it was never answered for, or is being removed
				if err := h.erase(hook.ID); err != nil {
					return err
				}
			}
		}
		if len(notes) < pageNotes {
			h.index()
			return nil
		}
	}
}

// Close stops delivering: requests under way have until ctx ends, then they are cut off and
// will be repeated. Positions are saved.
func (h *Hooks) Close(ctx context.Context) error {
	h.mu.Lock()
	if h.closing {
		h.mu.Unlock()
		return nil
	}
	h.closing = true
	if h.resweep != nil {
		h.resweep()
	}
	runners := h.all()
	h.mu.Unlock()
	h.unwatch()
	h.kick()
	<-h.done
	for _, r := range runners {
		r.stop()
	}
	idle := make(chan struct{})
	go func() {
		for _, r := range runners {
			r.work.Wait()
		}
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	h.cancel()
	<-idle
	h.client.CloseIdleConnections()
	var errs []error
	for _, r := range runners {
		errs = append(errs, r.save(context.WithoutCancel(ctx)))
	}
	return errors.Join(errs...)
}

// all returns the hooks in the order of their creation. The caller holds mu.
func (h *Hooks) all() []*runner {
	out := make([]*runner, 0, len(h.runners))
	for _, r := range h.runners {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *runner) int {
		if c := a.created.Compare(b.created); c != 0 {
			return c
		}
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return out
}

func (h *Hooks) kick() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// changed is told by the manager of each commit: it notes the document, and no more.
func (h *Hooks) changed(doc string) {
	h.mu.Lock()
	wanted := false
	for _, r := range h.runners {
		wanted = wanted || r.matches(doc)
	}
	if wanted {
		h.woken[doc] = struct{}{}
	}
	h.mu.Unlock()
	if wanted {
		h.kick()
	}
}

// dispatch tells the hooks of documents with something to deliver, until Close.
func (h *Hooks) dispatch() {
	defer close(h.done)
	for {
		h.mu.Lock()
		closing, woken, sweep := h.closing, h.woken, h.takeSweep()
		h.woken = map[string]struct{}{}
		runners := h.all()
		h.mu.Unlock()
		if closing {
			return
		}
		if len(sweep) > 0 {
			h.sweep(sweep)
		}
		for doc := range woken {
			h.look(doc, runners)
		}
		if len(woken) == 0 && len(sweep) == 0 {
			<-h.wake
		}
	}
}

// look hands a document that has changed to the hooks that want it.
func (h *Hooks) look(doc string, runners []*runner) {
	info, err := h.opt.Store.Stat(h.ctx, doc)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		// It was removed or has another name now; which, the positions say.
		h.requestSweep(runners...)
	case err != nil:
		h.opt.Logger.Error("a document's hooks cannot be served now", "doc", doc, "err", err)
		h.requestSweep(runners...)
	default:
		for _, r := range runners {
			if r.matches(doc) {
				r.wake(storage.Lineage(info.Incarnation), doc)
			}
		}
	}
}

// A sweep looks at every document, so it is not repeated at once: there may be many reasons.
const sweepRest = time.Second

// requestSweep has the positions of hooks compared with all documents soon.
func (h *Hooks) requestSweep(runners ...*runner) {
	h.mu.Lock()
	for _, r := range runners {
		h.unswept[r] = true
	}
	h.mu.Unlock()
	h.kick()
}

// sweepNow does so without a rest: somebody has asked for it.
func (h *Hooks) sweepNow(r *runner) {
	h.mu.Lock()
	h.restless = time.Time{}
	if h.resweep != nil {
		h.resweep()
		h.resweep = nil
	}
	h.mu.Unlock()
	h.requestSweep(r)
}

// takeSweep returns the hooks to sweep now; when it is too early, it sets a timer. The caller
// holds mu.
func (h *Hooks) takeSweep() []*runner {
	if len(h.unswept) == 0 || h.resweep != nil {
		return nil
	}
	if rest := h.restless.Sub(h.opt.Now()); rest > 0 {
		h.resweep = h.opt.After(rest, func() {
			h.mu.Lock()
			h.resweep, h.restless = nil, time.Time{}
			h.mu.Unlock()
			h.kick()
		})
		return nil
	}
	var out []*runner
	for r := range h.unswept {
		if h.runners[r.id] == r {
			out = append(out, r)
		}
	}
	clear(h.unswept)
	return out
}

// sweep compares hooks' positions with the heads of all documents.
func (h *Hooks) sweep(runners []*runner) {
	began := h.opt.Now()
	err := h.compare(runners)
	h.mu.Lock()
	now := h.opt.Now()
	h.restless = now.Add(max(sweepRest, 10*now.Sub(began)))
	h.mu.Unlock()
	if err != nil && h.ctx.Err() == nil {
		h.opt.Logger.Error("hooks cannot be compared with the documents; it is tried again", "err", err)
		h.requestSweep(runners...)
	}
}

// compare looks at all documents, or, for one hook whose documents are where they were, at these.
func (h *Hooks) compare(runners []*runner) error {
	if len(runners) == 1 && runners[0].prefix() != "" {
		left, err := h.compareWith(runners, runners[0].prefix())
		if err != nil || len(left[0]) == 0 {
			return err
		}
	}
	left, err := h.compareWith(runners, "")
	if err != nil {
		return err
	}
	for i, r := range runners {
		for lineage, p := range left[i] {
			r.purged(lineage, p.Doc)
		}
	}
	return nil
}

// compareWith compares hooks' positions with the documents whose ids begin with prefix, and returns those that
// are of none of them.
func (h *Hooks) compareWith(runners []*runner, prefix string) (left []map[uint64]position, err error) {
	left = make([]map[uint64]position, len(runners))
	for i, r := range runners {
		if left[i], err = r.positions(h.ctx); err != nil {
			return nil, err
		}
	}
	return left, h.each(prefix, func(info storage.Info) {
		lineage := storage.Lineage(info.Incarnation)
		for i, r := range runners {
			p, ok := left[i][lineage]
			delete(left[i], lineage)
			if ok && (p.Rev != info.Head || p.Doc != info.ID) || !ok && r.matches(info.ID) {
				r.wake(lineage, info.ID)
			}
		}
	})
}

// each calls fn for every document there is whose id begins with prefix.
func (h *Hooks) each(prefix string, fn func(storage.Info)) error {
	const page = 1000
	for after := ""; ; {
		infos, err := h.opt.Store.List(h.ctx, prefix, after, page)
		if err != nil {
			return err
		}
		for _, info := range infos {
			fn(info)
			after = info.ID
		}
		if len(infos) < page {
			return h.ctx.Err()
		}
	}
}

// newID draws the id of a hook.
func newID() string { return rand.Text()[:16] }
