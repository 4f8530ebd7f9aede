package bolt

import (
	"fmt"
	"runtime"
	"time"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

const (
	// maxBatch is how many bytes one transaction takes in, about.
	maxBatch = 8 << 20
	// yields is how often the committer lets other goroutines run before it
	// takes what waits: callers that were just woken then make it into this batch.
	// With nobody else ready to run it costs nothing; with a hundred callers on two
	// processors, ten make twice the throughput of none.
	yields = 10
	// quiet is how long nothing must have waited before background work begins.
	// Callers that were just woken need a moment to come back.
	quiet = 10 * time.Millisecond
	// logFill is how full log pages are left: nothing is ever inserted between.
	logFill = 0.9
)

// batchTx is the transaction that a batch is written in.
type batchTx struct {
	*bbolt.Tx
	log   *bbolt.Bucket
	next  uint64 // sequence of the next log entry
	state state
}

// run is the committer: the only goroutine that writes to the file. When nothing
// has waited for a while, it works in the background, one small transaction at a
// time; when that is long overdue, between two batches.
func (s *Store) run() {
	defer close(s.done)
	defer s.fold.stop()
	var batch []*request
	idle := false
	for n := 0; ; n++ {
		if !s.queue.isEmpty() {
			for range yields {
				runtime.Gosched()
			}
		}
		var closed bool
		batch, closed = s.queue.take(batch[:0])
		switch {
		case len(batch) > 0:
			s.commit(batch)
			clear(batch)
			idle = false
			if s.isBehind() || n%64 == 0 && len(s.trash) > 0 {
				s.background()
			}
		case closed:
			return
		case idle && s.background():
		default:
			idle = s.pause()
		}
	}
}

// pause waits until something is waiting, or until nothing was for as long as
// makes it a good time for background work: then it returns true.
func (s *Store) pause() (idle bool) {
	if !s.wantsBackground() {
		<-s.wake
		return false
	}
	t := time.NewTimer(quiet)
	defer t.Stop()
	select {
	case <-s.wake:
		return false
	case <-t.C:
		return true
	}
}

// commit writes a batch in one transaction and tells every caller how it ended.
func (s *Store) commit(batch []*request) {
	stats := CommitStats{}
	admitted := 0
	for _, r := range batch {
		if r.err = r.change.admit(s); r.err != nil {
			continue
		}
		admitted++
		stats.Bytes += r.change.size()
		if a, ok := r.change.(*appendChange); ok {
			stats.Appends++
			stats.Records += len(a.recs)
		}
	}
	var err error
	if admitted > 0 {
		err = s.commitAdmitted(batch, &stats)
	}
	for _, r := range batch {
		// With the batch rolled back, a refusal may rest on what never came about.
		if err != nil {
			r.err = err
		}
		r.done <- r.err
	}
	if admitted > 0 {
		s.observe(&stats)
	}
}

func (s *Store) commitAdmitted(batch []*request, stats *CommitStats) error {
	var t batchTx
	err := s.update(stats, func(tx *bbolt.Tx) error {
		t = batchTx{Tx: tx, log: tx.Bucket(bucketLog), next: s.logNext, state: s.state}
		t.log.FillPercent = logFill
		for _, r := range batch {
			if r.err != nil {
				continue
			}
			if err := r.change.write(&t); err != nil {
				return err
			}
		}
		if t.state != s.state {
			if err := t.state.put(tx); err != nil {
				return err
			}
		}
		if t.next == s.logNext {
			return nil
		}
		return t.log.SetSequence(t.next - 1)
	})
	if err != nil {
		for _, r := range batch {
			if r.err == nil {
				r.change.undo(s)
			}
		}
		return err
	}
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	for _, r := range batch {
		if r.err == nil {
			r.change.applied(s)
		}
	}
	s.logNext, s.state = t.next, t.state
	return nil
}

// update runs fn in a write transaction. An error means that nothing was written
// and the store goes on, with one exception: when the commit failed so late that
// the file may hold it or not, the error is storage.ErrUnknown and ErrFailed, and
// so are all later writes.
func (s *Store) update(stats *CommitStats, fn func(*bbolt.Tx) error) error {
	if err := s.queue.failure(); err != nil {
		stats.Err = err
		return err
	}
	var tx *bbolt.Tx
	id := 0
	start := time.Now()
	s.writing.Store(&start)
	defer s.writing.Store(nil)
	err := guard(s.log, func() error {
		return s.updateDB(func(t *bbolt.Tx) error {
			tx, id = t, t.ID()
			return fn(t)
		})
	})
	stats.Duration = time.Since(start)
	if err != nil {
		err = fmt.Errorf("bolt: commit: %w", s.settle(err, tx, id))
	} else {
		txStats := tx.Stats()
		stats.Sync = txStats.GetWriteTime()
	}
	stats.Err = err
	return err
}

// observe tells the caller of Open about a transaction, once memory agrees with it.
func (s *Store) observe(stats *CommitStats) {
	if s.opts.OnCommit != nil {
		s.opts.OnCommit(*stats)
	}
}

// settle finds out what became of a transaction that failed.
func (s *Store) settle(err error, tx *bbolt.Tx, id int) error {
	if tx == nil {
		return err
	}
	if tx.DB() != nil {
		// Rolling back panicked, too, and left the write lock taken.
		err = fmt.Errorf("%w: %w", ErrFailed, err)
		s.queue.fail(err, true)
		s.log.Error("the store failed; it accepts no more writes", "err", err)
		return err
	}
	shown := id
	if viewErr := s.read(func(tx *bbolt.Tx) error { shown = tx.ID(); return nil }); viewErr != nil || shown >= id {
		// The page that makes the transaction the newest is written, but it
		// is not known whether it is on disk: that sync is what failed. bbolt
		// would go on from it.
		failed := fmt.Errorf("%w: %w", ErrFailed, err)
		s.queue.fail(failed, false)
		s.log.Error("the store failed; it accepts no more writes", "err", err)
		return fmt.Errorf("%w: %w", storage.ErrUnknown, failed)
	}
	return err
}
