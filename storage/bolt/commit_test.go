package bolt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// gate stops commits until it is opened.
type gate struct{ arrived, opened chan struct{} }

// blockCommits makes the committer stop before its next transaction. Nothing may
// have been waiting for it.
func blockCommits(s *Store) gate {
	g := gate{make(chan struct{}, 1024), make(chan struct{})}
	setUpdate(s, func(fn func(*bbolt.Tx) error) error {
		g.arrived <- struct{}{}
		<-g.opened
		return s.db.Update(fn)
	})
	return g
}

// setUpdate replaces what the committer uses to write, in the committer itself.
func setUpdate(s *Store, update func(func(*bbolt.Tx) error) error) {
	_ = s.submit(context.Background(), callChange(func() { s.updateDB = update }))
}

// callChange calls a function in the committer, and is then refused, so that it
// needs no transaction.
type callChange func()

func (c callChange) admit(*Store) error   { c(); return storage.ErrInvalid }
func (c callChange) write(*batchTx) error { return nil }
func (c callChange) applied(*Store)       {}
func (c callChange) undo(*Store)          {}
func (c callChange) size() int            { return 0 }

// waiting returns once n changes wait for the committer.
func waiting(s *Store, n int) {
	for {
		s.queue.mu.Lock()
		got := len(s.queue.waiting)
		s.queue.mu.Unlock()
		if got == n {
			return
		}
	}
}

// TestBatch has appends wait while a commit is under way: they go into one
// transaction, those to one document as well when each follows the one before.
func TestBatch(t *testing.T) {
	var mu sync.Mutex
	var commits []CommitStats
	s := testStore(t, Options{OnCommit: func(c CommitStats) {
		mu.Lock()
		defer mu.Unlock()
		commits = append(commits, c)
	}})
	a, b := addDoc(t, s, "a", 0), addDoc(t, s, "b", 0)
	gate := blockCommits(s)
	var wg sync.WaitGroup
	errs := make([]error, 7)
	n := 0
	add := func(i int, info storage.Info, base, n int) {
		wg.Go(func() {
			errs[i] = s.Append(t.Context(), info.ID, info.Incarnation, storage.Revision(base), typed("client", base, n))
		})
	}
	add(0, a, 0, 1)
	<-gate.arrived
	for _, args := range []struct{ doc, base, n int }{{0, 1, 3}, {0, 4, 1}, {1, 0, 10}, {0, 4, 1}, {0, 5, 2}, {0, 9, 1}} {
		n++
		add(n, []storage.Info{a, b}[args.doc], args.base, args.n)
		waiting(s, n) // for the order
	}
	mu.Lock()
	commits = nil
	mu.Unlock()
	close(gate.opened)
	wg.Wait()
	for i, err := range errs {
		var conflict *storage.ConflictError
		switch {
		case i == 4 || i == 6:
			if !errors.As(err, &conflict) || conflict.Head != 5 && conflict.Head != 7 {
				t.Errorf("append %d: %v", i, err)
			}
		case err != nil:
			t.Errorf("append %d: %v", i, err)
		}
	}
	checkDoc(t, s, "a", 7)
	checkDoc(t, s, "b", 10)
	setUpdate(s, s.db.Update) // when the committer is there it has told of what was before
	mu.Lock()
	defer mu.Unlock()
	if len(commits) != 2 || commits[0].Appends != 1 || commits[1].Appends != 4 || commits[1].Records != 16 || commits[1].Bytes == 0 || commits[1].Duration < commits[1].Sync {
		t.Errorf("commits: %+v", commits)
	}
}

// TestWithdraw ends the context of an append that waits for its turn.
func TestWithdraw(t *testing.T) {
	s := testStore(t, Options{})
	info := addDoc(t, s, "doc", 0)
	gate := blockCommits(s)
	first := make(chan error, 1)
	go func() { first <- s.Append(t.Context(), "doc", info.Incarnation, 0, typed("client", 0, 5)) }()
	<-gate.arrived
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { second <- s.Append(ctx, "doc", info.Incarnation, 5, typed("client", 5, 5)) }()
	waiting(s, 1)
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("append whose context ended: %v", err)
	}
	close(gate.opened)
	if err := <-first; err != nil {
		t.Errorf("append: %v", err)
	}
	checkDoc(t, s, "doc", 5)
}

// TestCloseCommits closes a store while appends wait: they are committed.
func TestCloseCommits(t *testing.T) {
	s := testStore(t, Options{})
	info := addDoc(t, s, "doc", 0)
	gate := blockCommits(s)
	results := make(chan error, 3)
	go func() { results <- s.Append(t.Context(), "doc", info.Incarnation, 0, typed("client", 0, 5)) }()
	<-gate.arrived
	go func() { results <- s.Append(t.Context(), "doc", info.Incarnation, 5, typed("client", 5, 5)) }()
	waiting(s, 1)
	go func() { results <- s.Close() }()
	for !s.queue.isClosed() {
	}
	close(gate.opened)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	checkDoc(t, testStore(t, s.opts), "doc", 10)
}

// TestFailedCommit makes transactions fail before and while they write. Nothing of
// them may show, and later appends succeed.
func TestFailedCommit(t *testing.T) {
	broken := errors.New("broken")
	faults := map[string]func(s *Store, fn func(*bbolt.Tx) error) error{
		"before": func(*Store, func(*bbolt.Tx) error) error { return broken },
		"after": func(s *Store, fn func(*bbolt.Tx) error) error {
			return s.db.Update(func(tx *bbolt.Tx) error { return errors.Join(fn(tx), broken) })
		},
		"panic": func(s *Store, fn func(*bbolt.Tx) error) error {
			return s.db.Update(func(tx *bbolt.Tx) error { _ = fn(tx); panic(broken) })
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			s := testStore(t, Options{FoldAfter: 1 << 20})
			var docs [20]storage.Info
			for i := range docs {
				docs[i] = addDoc(t, s, fmt.Sprint("doc ", i), 10)
			}
			for range 5 {
				setUpdate(s, func(fn func(*bbolt.Tx) error) error { return fault(s, fn) })
				var wg sync.WaitGroup
				for i, info := range docs {
					wg.Go(func() {
						if err := s.Append(t.Context(), info.ID, info.Incarnation, info.Head, typed("client", int(info.Head), 3)); err == nil {
							t.Error("an append succeeded")
						}
						if _, err := s.Create(t.Context(), fmt.Sprint("new ", i), newText); err == nil {
							t.Error("a create succeeded")
						}
						if err := s.Delete(t.Context(), info.ID); err == nil {
							t.Error("a delete succeeded")
						}
						if err := s.PutSnapshot(t.Context(), info.ID, info.Incarnation, storage.Snapshot{Rev: 5}); err == nil {
							t.Error("a snapshot succeeded")
						}
					})
				}
				wg.Wait()
				setUpdate(s, s.db.Update)
				for i := range docs {
					checkDoc(t, s, docs[i].ID, int(docs[i].Head))
					if err := s.Append(t.Context(), docs[i].ID, docs[i].Incarnation, docs[i].Head, typed("client", int(docs[i].Head), 3)); err != nil {
						t.Fatal(err)
					}
					docs[i].Head += 3
				}
			}
			if infos, err := s.List(t.Context(), "", "", 100); err != nil || len(infos) != len(docs) {
				t.Errorf("%d documents, %v", len(infos), err)
			}
			s.Close()
			if sum, err := Check(t.Context(), Options{Path: s.opts.Path}, func(p Problem) { t.Error(p) }); err != nil || sum.Snapshots != 0 {
				t.Errorf("check: %+v, %v", sum, err)
			}
			s = testStore(t, s.opts)
			for i := range docs {
				checkDoc(t, s, docs[i].ID, int(docs[i].Head))
			}
		})
	}
}

// TestUnknownCommit makes the last sync of a commit fail, when bbolt already shows
// the transaction. The caller is told that the outcome is unknown, and
// nothing is built on it.
func TestUnknownCommit(t *testing.T) {
	s := testStore(t, Options{})
	info := addDoc(t, s, "doc", 10)
	setUpdate(s, func(fn func(*bbolt.Tx) error) error {
		return errors.Join(s.db.Update(fn), errors.New("fdatasync failed"))
	})
	err := s.Append(t.Context(), "doc", info.Incarnation, 10, typed("client", 10, 5))
	if !errors.Is(err, storage.ErrUnknown) || !errors.Is(err, ErrFailed) {
		t.Errorf("append: %v", err)
	}
	for range 3 {
		err = s.Append(t.Context(), "doc", info.Incarnation, 10, typed("client", 10, 5))
		if !errors.Is(err, ErrFailed) || errors.Is(err, storage.ErrUnknown) {
			t.Errorf("append to a failed store: %v", err)
		}
	}
	if s.Stats().Failed == nil {
		t.Error("Stats does not say that the store failed")
	}
	checkDoc(t, s, "doc", 10)
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	checkDoc(t, testStore(t, s.opts), "doc", 15)
}

// TestMaxSize fills a store to its quota. Then appends fail; what is there can
// be read and deleted, and that makes room again.
func TestMaxSize(t *testing.T) {
	purged := make(chan struct{}, 1)
	var s *Store
	s = testStore(t, Options{MaxSize: 4 << 20, OnCommit: func(c CommitStats) {
		if s != nil && c.Err == nil && s.Stats().Trash == 0 {
			select {
			case purged <- struct{}{}:
			default:
			}
		}
	}})
	addDoc(t, s, "kept", 500)
	info := addDoc(t, s, "large", 0)
	large := func() error {
		rec := storage.Record{Op: make([]byte, 50<<10)}
		err := s.Append(t.Context(), "large", info.Incarnation, info.Head, []storage.Record{rec})
		if err == nil {
			info.Head++
		}
		return err
	}
	for large() == nil {
		if info.Head > 200 {
			t.Fatal("the quota does not hold")
		}
	}
	if err := large(); err == nil || errors.Is(err, storage.ErrUnknown) {
		t.Errorf("append past the quota: %v", err)
	}
	checkDoc(t, s, "kept", 500)
	if err := s.Delete(t.Context(), "large"); err != nil {
		t.Fatalf("delete: %v", err)
	}
	info = addDoc(t, s, "large", 0)
	for s.Stats().Trash > 0 {
		<-purged
	}
	for range 10 {
		if err := large(); err != nil {
			t.Fatalf("append after a delete: %v", err)
		}
	}
}

// TestFailedCommitIsTold fails the store while another append waits: neither is told
// of as a commit that went well.
func TestFailedCommitIsTold(t *testing.T) {
	told := make(chan CommitStats, 10)
	s := testStore(t, Options{OnCommit: func(c CommitStats) { told <- c }})
	info := addDoc(t, s, "doc", 0)
	arrived, opened := make(chan struct{}), make(chan struct{})
	setUpdate(s, func(fn func(*bbolt.Tx) error) error {
		arrived <- struct{}{}
		<-opened
		if err := s.db.Update(fn); err != nil {
			return err
		}
		return errors.New("the sync failed")
	})
	results := make(chan error, 2)
	go func() { results <- s.Append(t.Context(), "doc", info.Incarnation, 0, typed("client", 0, 1)) }()
	<-arrived
	go func() { results <- s.Append(t.Context(), "doc", info.Incarnation, 0, typed("other", 0, 1)) }()
	waiting(s, 1)
	close(opened)
	for range 2 {
		if err := <-results; !errors.Is(err, ErrFailed) {
			t.Errorf("append: %v", err)
		}
	}
	c := <-told
	for c.Appends == 0 && c.Err == nil { // the creation, which is told of once addDoc knows
		c = <-told
	}
	if !errors.Is(c.Err, ErrFailed) || c.Appends != 1 {
		t.Errorf("told %+v", c)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for len(told) > 0 {
		if c := <-told; c.Err == nil {
			t.Errorf("told %+v of an append that failed", c)
		}
	}
}
