package wire

import (
	"log/slog"
	"runtime/debug"
	"sync"
)

// Worker runs a step whenever it was woken: one at a time, in a goroutine that exists
// only while there is something to do. Safe for concurrent use.
type Worker struct {
	step  func()
	group *sync.WaitGroup
	log   *slog.Logger

	mu                      sync.Mutex
	running, again, stopped bool // guarded by mu
}

// NewWorker returns a Worker at rest. Each goroutine is counted in group, so that whoever
// stopped all workers of a group can wait for them. A panic in a step is logged.
func NewWorker(group *sync.WaitGroup, log *slog.Logger, step func()) *Worker {
	return &Worker{step: step, group: group, log: log}
}

// Safely runs f. A panic in it goes to the log, and is reported by false.
func Safely(log *slog.Logger, f func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic behind a ShareDB connection", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f()
	return true
}

// Wake has the step run once more, from its start, after this call. It does not wait.
func (w *Worker) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.stopped:
	case w.running:
		w.again = true
	default:
		w.running = true
		w.group.Add(1)
		go w.run()
	}
}

func (w *Worker) run() {
	defer w.group.Done()
	for more := true; more; {
		Safely(w.log, w.step)
		w.mu.Lock()
		more = w.again && !w.stopped
		w.running, w.again = more, false
		w.mu.Unlock()
	}
}

// Stop keeps the step from starting again. One that runs goes on to its end, which Stop
// does not wait for.
func (w *Worker) Stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
}
