package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"quire/session"
	"quire/storage"
)

// position is how far a hook's receiver has been told of a document.
type position struct {
	// Doc is the id that the document had then.
	Doc string `json:"doc"`
	// Rev is the newest revision told of, session.Unborn when none was.
	Rev session.Revision `json:"rev"`
	// Since is when the next request failed first, in Unix milliseconds, 0 when it did not; then
	// To is where it ends and Tries how often it failed.
	To    session.Revision `json:"to,omitempty"`
	Since int64            `json:"since,omitempty"`
	Tries int              `json:"tries,omitempty"`
}

// told returns the position after everything up to a revision was taken, or given up.
func (p position) told(rev session.Revision) position { return position{Doc: p.Doc, Rev: rev} }

// runner delivers for one hook. A document with something to deliver has a queue; the queues
// take turns, one request each.
type runner struct {
	h *Hooks
	// static
	id, url, secret, docs, doc string
	created                    time.Time
	confined                   bool
	ctx                        context.Context // ends when the hook is removed, or cut off
	cancel                     context.CancelFunc
	work                       sync.WaitGroup // turns, and sending dead letters again

	saving sync.Mutex // one save at a time, of positions or reg; taken before mu

	mu      sync.Mutex
	reg     Hook                 // guarded by mu
	stopped bool                 // guarded by mu: no new turns
	queues  map[uint64]*queue    // by lineage; guarded by mu
	ready   []*queue             // guarded by mu
	active  int                  // turns; guarded by mu
	unsaved map[uint64]*position // nil: to be removed; guarded by mu
	saver   func() bool          // stops the timer of the next save; guarded by mu
	dead    int                  // letters; guarded by mu
	resend  bool                 // dead letters are being sent again; guarded by mu
	failure string               // of the last attempt; guarded by mu
	failed  time.Time            // when that was; guarded by mu
}

// queue is a document with something to deliver. Guarded by runner.mu.
type queue struct {
	lineage uint64
	doc     string      // its id
	gone    bool        // it was removed
	waits   bool        // it is in ready
	busy    bool        // it has its turn
	again   bool        // something came up meanwhile
	timer   func() bool // stops the timer of the next attempt; nil when none is due
	faults  int         // how often in a row it could not be read what to deliver; of its turn
}

func newRunner(h *Hooks, k Hook) *runner {
	r := &runner{
		h: h, id: k.ID, url: k.URL, secret: k.Secret, docs: k.Docs, doc: k.Doc, created: k.Created, confined: k.Confined, reg: k,
		queues: map[uint64]*queue{}, unsaved: map[uint64]*position{},
	}
	r.ctx, r.cancel = context.WithCancel(h.ctx)
	return r
}

// matches reports whether the hook is for a document.
func (r *runner) matches(doc string) bool {
	if r.doc != "" {
		return doc == r.doc
	}
	return strings.HasPrefix(doc, r.docs)
}

// prefix is what the ids of the hook's documents begin with.
func (r *runner) prefix() string { return r.doc + r.docs }

func (r *runner) hook() Hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reg
}

func (r *runner) status() Status {
	r.lapse()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{Hook: r.reg, Ends: r.h.ends(&r.reg), Behind: len(r.queues), Dead: r.dead, Error: r.failure, ErrorTime: r.failed}
	s.Secret = ""
	for _, q := range r.queues {
		if q.timer != nil {
			s.Failing++
		}
	}
	return s
}

// stop lets no turn begin any more.
func (r *runner) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	r.idle()
}

// idle forgets everything that waits. The caller holds mu.
func (r *runner) idle() {
	for l, q := range r.queues {
		if q.timer != nil {
			q.timer()
		}
		if !q.busy {
			delete(r.queues, l)
		}
		q.again, q.waits, q.timer = false, false, nil
	}
	r.ready = nil
}

// retire cuts off what is under way of a stopped hook, and forgets positions that are not saved.
func (r *runner) retire() {
	r.cancel()
	r.work.Wait()
	r.saving.Lock()
	defer r.saving.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.unsaved)
	if r.saver != nil {
		r.saver()
	}
}

// wake has a document looked at.
func (r *runner) wake(lineage uint64, doc string) { r.enqueue(lineage, doc, false) }

// purged has it told that a document was removed.
func (r *runner) purged(lineage uint64, doc string) { r.enqueue(lineage, doc, true) }

func (r *runner) enqueue(lineage uint64, doc string, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.reg.State != stateActive {
		return
	}
	q := r.queues[lineage]
	if q == nil {
		q = &queue{lineage: lineage}
		r.queues[lineage] = q
	}
	q.doc, q.gone = doc, gone
	switch {
	case q.busy:
		q.again = true
	case q.timer == nil && !q.waits:
		r.line(q)
	}
}

// line gives a queue a turn soon. The caller holds mu.
func (r *runner) line(q *queue) {
	q.waits = true
	r.ready = append(r.ready, q)
	r.pump()
}

// pump begins as many turns as may run at once. The caller holds mu.
func (r *runner) pump() {
	for r.active < r.h.opt.AtOnce && len(r.ready) > 0 && !r.stopped {
		q := r.ready[0]
		r.ready = r.ready[1:]
		q.waits, q.busy = false, true
		r.active++
		r.work.Add(1)
		go r.turn(q, q.doc, q.gone)
	}
}

// turn makes one request for a queue.
func (r *runner) turn(q *queue, doc string, gone bool) {
	defer r.work.Done()
	more, delay := r.serve(q, doc, gone)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active--
	q.busy = false
	switch {
	case r.stopped || r.reg.State != stateActive:
		delete(r.queues, q.lineage)
	case delay > 0:
		q.again = false
		q.timer = r.h.opt.After(delay, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if q.timer != nil {
				q.timer = nil
				r.line(q)
			}
		})
	case more || q.again:
		q.again = false
		r.line(q)
	default:
		delete(r.queues, q.lineage)
	}
	r.pump()
}

// serve delivers what is next of a document. more says that there may be more, delay, unless it is 0, that it
// is to be tried again after that.
func (r *runner) serve(q *queue, doc string, gone bool) (more bool, delay time.Duration) {
	if r.lapse() {
		return false, 0
	}
	lineage := q.lineage
	p, known, err := r.position(lineage)
	var d *delivery
	if err == nil {
		d, err = r.next(lineage, doc, gone, p, known)
	}
	if err != nil {
		if r.ctx.Err() != nil {
			return false, 0
		}
		// It is not the receiver's fault, so nothing is given up for it.
		if q.faults++; q.faults == 1 {
			r.h.opt.Logger.Error("a hook cannot read what to deliver; it is tried again", "hook", r.id, "doc", doc, "err", err)
		}
		return false, r.backoff(q.faults)
	}
	q.faults = 0
	if d == nil {
		return false, 0
	}
	if d.skip {
		r.keep(lineage, d.after)
		return d.after != nil, 0
	}
	err = r.send(d)
	if err == nil {
		r.worked()
		r.keep(lineage, d.after)
		return d.after != nil, 0
	}
	if r.ctx.Err() != nil {
		return false, 0
	}
	return r.refused(lineage, p, d, err)
}

// refused decides what becomes of a delivery that was not taken.
func (r *runner) refused(lineage uint64, p position, d *delivery, why error) (more bool, delay time.Duration) {
	r.h.opt.Observer.Failed()
	r.complain(why)
	var answer statusError
	if errors.As(why, &answer) && answer == 410 {
		r.disable("the receiver answered 410: it wants no more")
		return false, 0
	}
	now := r.h.opt.Now()
	if p.Since == 0 {
		p.Since = now.UnixMilli()
	}
	if p.Doc == "" {
		p.Doc = d.doc // it is the first
	}
	p.To = d.to
	p.Tries++
	if now.Sub(time.UnixMilli(p.Since)) < r.h.opt.GiveUp {
		r.keep(lineage, &p)
		return false, r.backoff(p.Tries)
	}
	if err := r.bury(lineage, p, d, why); err != nil {
		r.h.opt.Logger.Error("a dead letter cannot be kept; it is tried again", "hook", r.id, "doc", d.doc, "err", err)
		return false, r.backoff(p.Tries)
	}
	return d.after != nil, 0
}

// backoff returns how long to wait after so many attempts: twice as long each time, and
// anything from half of that to all.
func (r *runner) backoff(tries int) time.Duration {
	d := r.h.opt.RetryMin
	for i := 1; i < tries && d < r.h.opt.RetryMax; i++ {
		d *= 2
	}
	d = min(d, r.h.opt.RetryMax)
	return d/2 + time.Duration(r.h.opt.Rand()*float64(d/2)) + 1
}

// complain notes why an attempt failed, and logs the first of many.
func (r *runner) complain(why error) {
	r.mu.Lock()
	first := r.failure == ""
	r.failure, r.failed = explain(why), r.h.opt.Now()
	r.mu.Unlock()
	if first {
		r.h.opt.Logger.Warn("a hook's receiver fails; its deliveries are tried again", "hook", r.id, "url", plainURL(r.url), "err", explain(why))
	}
}

// worked notes that an attempt was taken.
func (r *runner) worked() {
	r.mu.Lock()
	was := r.failure
	r.failure, r.failed = "", time.Time{}
	r.mu.Unlock()
	if was != "" {
		r.h.opt.Logger.Info("a hook's receiver is back", "hook", r.id, "url", plainURL(r.url))
	}
}

// disable ends deliveries until they are asked for again; positions stay.
func (r *runner) disable(reason string) {
	r.mu.Lock()
	r.reg.State, r.reg.Reason = stateDisabled, reason
	r.idle()
	r.mu.Unlock()
	r.h.opt.Logger.Warn("a hook was disabled", "hook", r.id, "url", plainURL(r.url), "reason", reason)
	r.keepReg("that a hook is disabled")
}

// keepReg writes the registration as it is now; what says what of it is new.
func (r *runner) keepReg(what string) {
	r.saving.Lock() // so that what is written last is the newest
	defer r.saving.Unlock()
	if err := r.h.put(r.ctx, r.hook()); err != nil {
		r.h.opt.Logger.Error(what+" cannot be kept", "hook", r.id, "err", err)
	}
}

// enable takes that back.
func (r *runner) enable(ctx context.Context) error {
	r.saving.Lock()
	defer r.saving.Unlock()
	k := r.hook()
	if k.State == stateActive {
		return nil
	}
	k.State, k.Reason = stateActive, ""
	if err := r.h.put(ctx, k); err != nil {
		return err
	}
	r.mu.Lock()
	r.reg.State, r.reg.Reason = k.State, k.Reason
	r.mu.Unlock()
	r.h.sweepNow(r)
	return nil
}

// key is where a position is kept.
func (r *runner) key(lineage uint64) string {
	return fmt.Sprintf("%s%012x", positionsOf(r.id), lineage)
}

func (r *runner) note(lineage uint64, p position) storage.Note {
	value, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers
	}
	return storage.Note{Key: r.key(lineage), Value: value}
}

// position returns the position in a document, and whether there is one.
func (r *runner) position(lineage uint64) (p position, known bool, err error) {
	r.mu.Lock()
	unsaved, ok := r.unsaved[lineage]
	r.mu.Unlock()
	switch {
	case ok && unsaved == nil:
		return position{Rev: session.Unborn}, false, nil
	case ok:
		return *unsaved, true, nil
	}
	notes, err := r.h.opt.Store.Notes(r.ctx, "", r.key(lineage), "", 1)
	if err != nil || len(notes) == 0 {
		return position{Rev: session.Unborn}, false, err
	}
	p, err = readPosition(notes[0])
	return p, err == nil, err
}

func readPosition(n storage.Note) (p position, err error) {
	if err := json.Unmarshal(n.Value, &p); err != nil {
		return p, fmt.Errorf("%w: note %q is no position", storage.ErrCorrupt, n.Key)
	}
	return p, nil
}

// positions returns all positions, by lineage.
func (r *runner) positions(ctx context.Context) (map[uint64]position, error) {
	all := map[uint64]position{}
	prefix := positionsOf(r.id)
	for after := ""; ; {
		notes, err := r.h.opt.Store.Notes(ctx, "", prefix, after, pageNotes)
		if err != nil {
			return nil, err
		}
		for _, n := range notes {
			after = n.Key
			lineage, err := strconv.ParseUint(strings.TrimPrefix(n.Key, prefix), 16, 64)
			if err != nil {
				return nil, fmt.Errorf("%w: note %q is no position", storage.ErrCorrupt, n.Key)
			}
			if all[lineage], err = readPosition(n); err != nil {
				return nil, err
			}
		}
		if len(notes) < pageNotes {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for lineage, p := range r.unsaved {
		if p == nil {
			delete(all, lineage)
		} else {
			all[lineage] = *p
		}
	}
	return all, nil
}

// manyUnsaved is how many positions are saved at once without waiting longer.
const manyUnsaved = 256

// keep takes in a position, or that there is none any more; it is saved soon.
func (r *runner) keep(lineage uint64, p *position) {
	r.mu.Lock()
	r.unsaved[lineage] = p
	many := len(r.unsaved) >= manyUnsaved
	if r.saver == nil && !r.stopped {
		r.saver = r.h.opt.After(r.h.opt.SaveEvery, func() { r.saveSoon() })
	}
	r.mu.Unlock()
	if many {
		r.saveSoon()
	}
}

// saveSoon saves, and tries again later when that fails.
func (r *runner) saveSoon() {
	r.mu.Lock()
	if r.saver != nil {
		r.saver()
		r.saver = nil
	}
	if r.stopped {
		r.mu.Unlock()
		return // Close does it
	}
	r.work.Add(1)
	r.mu.Unlock()
	defer r.work.Done()
	if err := r.save(r.ctx); err != nil && r.ctx.Err() == nil {
		r.h.opt.Logger.Error("a hook's positions cannot be saved; it is tried again", "hook", r.id, "err", err)
		r.mu.Lock()
		if r.saver == nil && !r.stopped {
			r.saver = r.h.opt.After(r.backoff(1), func() { r.saveSoon() })
		}
		r.mu.Unlock()
	}
}

// save writes the positions that are not saved.
func (r *runner) save(ctx context.Context) error {
	r.saving.Lock()
	defer r.saving.Unlock()
	r.mu.Lock()
	taken := make(map[uint64]*position, len(r.unsaved))
	notes := make([]storage.Note, 0, len(r.unsaved))
	for lineage, p := range r.unsaved {
		taken[lineage] = p
		if p == nil {
			notes = append(notes, storage.Note{Key: r.key(lineage)})
		} else {
			notes = append(notes, r.note(lineage, *p))
		}
	}
	r.mu.Unlock()
	if len(notes) == 0 {
		return nil
	}
	if err := r.h.opt.Store.SetNotes(ctx, "", 0, notes); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for lineage, p := range taken {
		if now, ok := r.unsaved[lineage]; ok && now == p {
			delete(r.unsaved, lineage)
		}
	}
	return nil
}
