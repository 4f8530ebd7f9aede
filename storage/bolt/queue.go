package bolt

import (
	"context"
	"sync"
	"sync/atomic"

	"quire/storage"
)

// change is one thing that a caller wants written. run calls its methods, in this
// order: admit; then write in a transaction, unless admit refused; and then either
// applied, when it was committed, or undo. Every change but the first in a batch
// is admitted on the assumption that the ones before it succeed.
type change interface {
	// admit checks the change against memory, and books it there as tentative.
	admit(s *Store) error
	// write puts it into the transaction.
	write(t *batchTx) error
	// applied makes memory agree with the file. The caller holds index.mu.
	applied(s *Store)
	// undo takes back what admit booked.
	undo(s *Store)
	// size is how many bytes of values it writes.
	size() int
}

// loner is a change that is the only one of its batch, so that it need not know what
// else the batch does to a document.
type loner interface {
	change
	alone()
}

// request is a change that waits for the committer.
type request struct {
	change change
	taken  atomic.Int32 // 0 waits, or one of the below
	err    error        // refused by admit
	done   chan error   // has room for one
}

const (
	byRun    = 1 // the committer has it
	byCaller = 2 // the caller took it back
)

// queue is what waits for the committer.
type queue struct {
	mu      sync.Mutex
	waiting []*request // guarded by mu
	closed  bool       // guarded by mu
	failed  error      // guarded by mu: why nothing is written any more
	hangs   bool       // guarded by mu: bbolt's write lock is lost
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func (q *queue) fail(err error, hangs bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failed == nil {
		q.failed = err
	}
	q.hangs = q.hangs || hangs
}

func (q *queue) failure() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failed
}

func (q *queue) stuck() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.hangs
}

func (q *queue) add(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return storage.ErrClosed
	case q.failed != nil:
		return q.failed
	}
	q.waiting = append(q.waiting, r)
	return nil
}

// isEmpty reports whether nothing waits.
func (q *queue) isEmpty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) == 0
}

// take moves what waits to batch, up to about maxBatch bytes, and reports whether
// the queue is closed.
func (q *queue) take(batch []*request) (_ []*request, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.waiting) && (n == 0 || size < maxBatch) {
		r := q.waiting[n]
		_, alone := r.change.(loner)
		if alone && len(batch) > 0 {
			break
		}
		n++
		if r.taken.CompareAndSwap(0, byRun) {
			batch = append(batch, r)
			size += r.change.size()
			if alone {
				break
			}
		}
	}
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	return batch, q.closed
}

// submit hands a change to the committer and waits for its outcome.
func (s *Store) submit(ctx context.Context, c change) error {
	r := &request{change: c, done: make(chan error, 1)}
	if err := s.queue.add(r); err != nil {
		return err
	}
	s.kick()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if r.taken.CompareAndSwap(0, byCaller) {
			return ctx.Err()
		}
		return <-r.done
	}
}

// kick wakes the committer.
func (s *Store) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
