package webtest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"quire/session"
	"quire/storage"
	"quire/storage/mem"
)

// World is a server's process on its disk, simulated in one goroutine that a seed drives:
// what is scheduled runs when Task says so, while an append is being synced other things
// happen, and it may fail, or the server may be killed before its answer.
type World struct {
	// Rng decides everything. It starts from the seed.
	Rng *rand.Rand
	// Options are those of each life's session.Manager; Start fills in the rest.
	Options session.Options
	// Step lets one thing happen. Required.
	Step func()
	// Births says that a document's creation is a write like any other. Where whoever
	// creates waits for it, in the world's one goroutine, it must not be.
	Births bool
	// Store is the disk.
	Store session.Store
	// Manager is the present life's.
	Manager *session.Manager

	now   time.Time     // as timers count it
	skew  time.Duration // by how much the clock on the wall is wrong
	tasks []func()
	later []timer
	life  int // counts starts; tasks of an earlier life are dropped
	calm  bool
}

type timer struct {
	at time.Time
	f  func()
}

// NewWorld makes a World without a server.
func NewWorld(seed uint64) *World {
	return &World{Rng: rand.New(rand.NewPCG(seed, 7)), Store: mem.New(), now: time.UnixMilli(1_700_000_000_000)}
}

// Start begins a life of the server on what the disk holds; an earlier one is over, as if
// it had been killed.
func (w *World) Start() {
	w.life++
	life := w.life
	alive := func(f func()) func() {
		return func() {
			if w.life == life {
				f()
			}
		}
	}
	w.tasks, w.later = nil, nil
	opt := w.Options
	opt.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	opt.Now = w.Now
	opt.Rand = w.Rng.Float64
	opt.Store = &disk{w.Store, w, life}
	opt.Go = func(f func()) { w.tasks = append(w.tasks, alive(f)) }
	opt.After = func(d time.Duration, f func()) {
		if d <= 0 {
			opt.Go(f)
			return
		}
		w.Later(d, alive(f))
	}
	w.Manager = session.New(opt)
}

// Life counts the starts.
func (w *World) Life() int { return w.life }

// Now is the clock.
func (w *World) Now() time.Time { return w.now.Add(w.skew) }

// Jump sets the clock forward, or back. Timers go on as if nothing had been.
func (w *World) Jump(d time.Duration) { w.skew += d }

// Advance lets time pass.
func (w *World) Advance(d time.Duration) { w.now = w.now.Add(d) }

// Later schedules something, unless the server is started again before.
func (w *World) Later(d time.Duration, f func()) { w.later = append(w.later, timer{w.now.Add(d), f}) }

// Calm makes the disk work without a failure from here on.
func (w *World) Calm() { w.calm = true }

// Task runs one thing that was scheduled, if there is one whose time has come.
func (w *World) Task() {
	for i, tm := range w.later {
		if !tm.at.After(w.now) {
			w.later = append(w.later[:i:i], w.later[i+1:]...)
			run(tm.f)
			return
		}
	}
	if len(w.tasks) > 0 {
		i := w.Rng.IntN(len(w.tasks))
		f := w.tasks[i]
		w.tasks = append(w.tasks[:i:i], w.tasks[i+1:]...)
		run(f)
	}
}

// Rest runs all that is scheduled and lets a little time pass; it reports whether there
// was anything.
func (w *World) Rest() (busy bool) {
	for len(w.tasks) > 0 {
		w.Task()
		busy = true
	}
	w.Advance(100 * time.Millisecond)
	for i := 0; i < len(w.later); i++ {
		w.Task()
	}
	return busy
}

func run(f func()) {
	defer func() {
		if p := recover(); p != nil && p != (killed{}) {
			panic(p)
		}
	}()
	f()
}

// killed unwinds the goroutine of a server that is no more.
type killed struct{}

// disk is the store as one life sees it.
type disk struct {
	session.Store
	w    *World
	life int
}

// Append appends, or fails, or both.
func (d *disk) Append(ctx context.Context, id string, inc uint64, base storage.Revision, recs []storage.Record) error {
	return d.write(func() error { return d.Store.Append(ctx, id, inc, base, recs) })
}

// Create creates, or fails, or both.
func (d *disk) Create(ctx context.Context, id string, first storage.Record) (info storage.Info, err error) {
	if !d.w.Births {
		return d.Store.Create(ctx, id, first)
	}
	err = d.write(func() (err error) {
		info, err = d.Store.Create(ctx, id, first)
		return err
	})
	return info, err
}

func (d *disk) write(write func() error) error {
	w := d.w
	for range w.Rng.IntN(3) {
		w.Step()
	}
	if d.life != w.life {
		panic(killed{})
	}
	fate := w.Rng.IntN(40)
	if w.calm {
		fate = 40
	}
	if fate == 0 {
		return fmt.Errorf("the disk is full")
	}
	if fate == 1 {
		return storage.ErrUnknown // and nothing was written
	}
	err := write()
	if fate == 2 && err == nil {
		return storage.ErrUnknown // although it was written
	}
	for range w.Rng.IntN(2) {
		w.Step()
	}
	if d.life != w.life {
		panic(killed{})
	}
	return err
}
