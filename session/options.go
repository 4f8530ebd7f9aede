package session

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"quire/ot"
	"quire/session/limits"
)

// Limits bounds what one document may cost. A zero field means its default.
type Limits struct {
	// Document is the largest document in bytes of its binary form (UTF-8 for
	// text). Operations that would pass it are refused; those that shrink a
	// larger document are not. Default 16 MiB.
	Document int
	// Run is the most operations in one submission. Default 512.
	Run int
	// Presence is the largest presence entry in bytes of JSON. Default 4096.
	Presence int
	// UserName is the longest display name in bytes. Default 64.
	UserName int
	// CompositeAfter is how many operations a reader may be behind before it
	// receives one composed operation instead. Default 512.
	CompositeAfter int
	// Window is how many committed operations stay in memory for transforming;
	// a submission on an older base has to resynchronize. Default 16384.
	Window int
	// WindowBytes bounds the same in bytes of operations as stored. Default 8 MiB.
	WindowBytes int
	// Work bounds one submission's transformation, in components walked, so that
	// no one can hold a document up with a huge operation on an old base.
	// Default 8 million, about a quarter of a second.
	Work int
	// Operation is the largest operation in bytes as JSON. Default 16 MiB.
	Operation int
	// Op is passed to the types' decoders.
	Op ot.Limits
	// ClientRate, AuthorRate and DocumentRate bound the operations a second of a client in a document,
	// of an author and in a document, with twice as many, and at least Run, at once after a pause. Who
	// comes a little too soon is held up for up to limits.MaxWait, then refused with CodeRate.
	// 0: no bound.
	ClientRate, AuthorRate, DocumentRate int
	// Namespace is the most documents of a namespace; see NamespaceOf. A document that would be
	// another is refused with CodeTooMany. 0: no bound.
	Namespace int
	// Memory is about how many bytes the sessions may take. Past it those leave that nobody uses, the
	// least recently used first; when none is left, documents that are not in memory are refused
	// with CodeBusy. What is in memory goes on. 0: no bound.
	Memory int
	// CatchUp is about how many bytes what readers have missed may take on its way to them, beside
	// what is in the sessions. Default 256 MiB.
	CatchUp int
}

func def(p *int, v int) {
	if *p <= 0 {
		*p = v
	}
}

func (l Limits) withDefaults() Limits {
	def(&l.Document, 16<<20)
	def(&l.Run, 512)
	def(&l.Presence, 4096)
	def(&l.UserName, 64)
	def(&l.CompositeAfter, 512)
	def(&l.Window, 16384)
	def(&l.WindowBytes, 8<<20)
	def(&l.Work, 8<<20)
	def(&l.Operation, 16<<20)
	def(&l.CatchUp, 256<<20)
	l.Op = l.Op.WithDefaults()
	return l
}

// Options configures a Manager. The zero value of each field but Store and Types
// is usable.
type Options struct {
	// Store keeps the documents. Required.
	Store Store
	// Types are the document types on offer. Required.
	Types []ot.Type
	// Diff returns a small operation that leads from one document of a type to another:
	// ot/diff.Between. Required for Manager.Merge and Manager.Restore.
	Diff func(t ot.Type, from, to ot.Doc) (ot.Op, error)
	// Limits bounds documents and submissions.
	Limits Limits
	// Logger receives failures, once each, and never document text.
	// Default slog.Default().
	Logger *slog.Logger
	// Keep is how much of every document's past is kept; see Manager.Squash. What it does not
	// keep is dropped now and then, a good part of a past at once. The zero value keeps everything.
	Keep Keep
	// IdleAfter is how long a session without readers stays in memory.
	// Default 30 s.
	IdleAfter time.Duration
	// LoadTimeout bounds reading a document from the store. Default 30 s.
	LoadTimeout time.Duration
	// SnapshotOps is how many operations after the newest snapshot cause another.
	// Default 2048.
	SnapshotOps int
	// SnapshotEvery is the shortest time between two snapshots of one document
	// while it is being edited. Default 1 s.
	SnapshotEvery time.Duration
	// PresenceEvery is the shortest time between two rounds of presence messages
	// of one document; the latest state wins. Default 40 ms.
	PresenceEvery time.Duration
	// RetryMin and RetryMax bound the backoff after a failed write.
	// Defaults 100 ms and 5 s.
	RetryMin, RetryMax time.Duration
	// Observer is told what happens, for metrics. Its functions may be nil.
	Observer Observer

	// Now, Go and After are the clock and the scheduler: time.Now, the go
	// statement and time.AfterFunc unless a test sets them.
	Now   func() time.Time
	Go    func(func())
	After func(time.Duration, func())
	// Rand gives a float in [0, 1) for jitter. Default math/rand/v2.
	Rand func() float64
}

// Observer is told what happens, for metrics. The functions are called from hot
// paths, some with a session's lock held: they must be quick and must not call
// back.
type Observer struct {
	// Committed: a document's batch became durable: its submissions, operations,
	// and the time its append took.
	Committed func(submissions, operations int, took time.Duration)
	// Acknowledged: one submission became durable so long after it was received.
	Acknowledged func(d time.Duration)
	// Refused: a submission or an open was refused with a code.
	Refused func(code Code)
	// WriteFailed: an append or a snapshot failed and will be tried again.
	WriteFailed func()
	// Composed: a reader was given one operation for so many.
	Composed func(operations int)
	// Loaded: a document was read into memory in so long.
	Loaded func(d time.Duration)
	// Opened: a document was opened, by a reader that resumed or a new one.
	Opened func(resumed bool)
	// Traced: a submission became durable and was published. When it is nil, nothing is
	// measured for it. It is called without locks.
	Traced func(t *Trace)
	// Loading: a document is about to be read into memory for somebody; done is called with
	// how that ended. It may be nil, and is called without locks.
	Loading func(ctx context.Context, doc string) (done func(err error))
	// Limited: something was refused because of a limit.
	Limited func(name limits.Name)
	// Slowed: somebody who submits too fast is held up for so long.
	Slowed func(d time.Duration)
}

func (o Options) withDefaults() Options {
	o.Limits = o.Limits.withDefaults()
	dur := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	dur(&o.IdleAfter, 30*time.Second)
	dur(&o.LoadTimeout, 30*time.Second)
	dur(&o.SnapshotEvery, time.Second)
	dur(&o.PresenceEvery, 40*time.Millisecond)
	dur(&o.RetryMin, 100*time.Millisecond)
	dur(&o.RetryMax, 5*time.Second)
	def(&o.SnapshotOps, 2048)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Diff == nil {
		o.Diff = func(ot.Type, ot.Doc, ot.Doc) (ot.Op, error) { return nil, errors.New("Options.Diff is not set") }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Go == nil {
		o.Go = func(f func()) { go f() }
	}
	if o.After == nil {
		o.After = func(d time.Duration, f func()) {
			if d <= 0 { // needs no timer
				go f()
				return
			}
			time.AfterFunc(d, f)
		}
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	ob := &o.Observer
	if ob.Committed == nil {
		ob.Committed = func(int, int, time.Duration) {}
	}
	if ob.Acknowledged == nil {
		ob.Acknowledged = func(time.Duration) {}
	}
	if ob.Refused == nil {
		ob.Refused = func(Code) {}
	}
	if ob.WriteFailed == nil {
		ob.WriteFailed = func() {}
	}
	if ob.Composed == nil {
		ob.Composed = func(int) {}
	}
	if ob.Opened == nil {
		ob.Opened = func(bool) {}
	}
	if ob.Loaded == nil {
		ob.Loaded = func(time.Duration) {}
	}
	if ob.Limited == nil {
		ob.Limited = func(limits.Name) {}
	}
	if ob.Slowed == nil {
		ob.Slowed = func(time.Duration) {}
	}
	return o
}
