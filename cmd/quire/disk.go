package main

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"quire/session"
	"quire/storage/bolt"
)

const (
	// slowSync is from when on a commit to disk is called slow.
	slowSync = time.Second
	// remembered is how long a slow or failed commit is told of when no other came after it.
	remembered = 15 * time.Second
)

// errDiskFailed ends the program: what the data file holds can only be told by opening it again.
var errDiskFailed = errors.New("the disk failed in the middle of a commit, so that only a new start can tell what the data file holds; what was acknowledged is there, and clients keep the rest")

// diskState is what the last commits say of the disk. Safe for concurrent use.
type diskState struct {
	failed chan struct{} // closed when the store can take no more writes
	once   sync.Once

	mu   sync.Mutex
	last bolt.CommitStats
	at   time.Time // of last
}

func newDiskState() *diskState { return &diskState{failed: make(chan struct{})} }

// commit takes in how a commit went.
func (h *diskState) commit(s bolt.CommitStats) {
	if errors.Is(s.Err, bolt.ErrFailed) {
		h.once.Do(func() { close(h.failed) })
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last, h.at = s, time.Now()
}

// ready says, in terms for whoever runs the server, why it cannot do its work at the
// moment; nil when it can. It tells nothing of documents.
func (h *diskState) ready(docs session.Stats, store bolt.Stats, now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := now.Sub(h.at) > remembered
	kept := ""
	if docs.Failing > 0 {
		kept = fmt.Sprintf("; edits of %s are kept in memory and tried again", count(docs.Failing, "document"))
	}
	switch {
	case store.Failed != nil:
		return errDiskFailed
	case h.last.Err != nil && (docs.Failing > 0 || !old):
		return errors.New(diskTrouble(h.last.Err) + kept)
	case docs.Failing > 0:
		return errors.New("edits cannot be written" + kept)
	case store.Busy >= slowSync:
		return fmt.Errorf("the disk is slow: a commit has been under way for %v", store.Busy.Round(100*time.Millisecond))
	case h.last.Err == nil && h.last.Duration >= slowSync && !old:
		return fmt.Errorf("the disk is slow: the last commit took %v", h.last.Duration.Round(100*time.Millisecond))
	}
	return nil
}

// diskTrouble says what an error of the disk means.
func diskTrouble(err error) string {
	for _, c := range []struct {
		err  error
		text string
	}{
		{syscall.ENOSPC, "the disk is full"},
		{syscall.EDQUOT, "the disk quota is used up"},
		{syscall.EROFS, "the disk is read-only"},
		{syscall.EIO, "the disk reports errors"},
	} {
		if errors.Is(err, c.err) {
			return c.text
		}
	}
	return "edits cannot be written; the log says why"
}
