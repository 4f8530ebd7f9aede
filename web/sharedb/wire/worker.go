package wire

import "sync"

// Worker runs a step whenever it was woken: one at a time, in a goroutine that exists
// only while there is something to do. Safe for concurrent use.
type Worker struct {
	step  func()
	group *sync.WaitGroup

	mu                      sync.Mutex
	running, again, stopped bool // guarded by mu
}

// NewWorker returns a Worker at rest. Each goroutine is counted in group, so that whoever
// stopped all workers of a group can wait for them.
func NewWorker(group *sync.WaitGroup, step func()) *Worker {
	return &Worker{step: step, group: group}
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
		w.step()
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
