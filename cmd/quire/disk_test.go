package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"quire/session"
	"quire/storage/bolt"
)

// TestReady has the disk misbehave in every way: what is wrong is named as long as it is, and no
// longer, without what the system says of files.
func TestReady(t *testing.T) {
	sys := func(errno syscall.Errno) error {
		return fmt.Errorf("bolt: commit: %w", fmt.Errorf("write /data/secret.db: %w", errno))
	}
	failing := session.Stats{Failing: 3}
	for _, c := range []struct {
		name   string
		commit *bolt.CommitStats
		docs   session.Stats
		store  bolt.Stats
		after  time.Duration
		want   string // "": ready
	}{
		{name: "fresh"},
		{name: "quick", commit: &bolt.CommitStats{Duration: time.Millisecond}},
		{name: "full", commit: &bolt.CommitStats{Err: sys(syscall.ENOSPC)}, docs: failing, want: "the disk is full; edits of 3 documents are kept in memory and tried again"},
		{name: "full, for long", commit: &bolt.CommitStats{Err: sys(syscall.ENOSPC)}, docs: failing, after: time.Hour, want: "the disk is full; edits of 3"},
		{name: "full, work in the background", commit: &bolt.CommitStats{Err: sys(syscall.ENOSPC)}, want: "the disk is full"},
		{name: "was full, and nobody edits", commit: &bolt.CommitStats{Err: sys(syscall.ENOSPC)}, after: remembered + time.Second},
		{name: "quota", commit: &bolt.CommitStats{Err: sys(syscall.EDQUOT)}, docs: failing, want: "the disk quota is used up"},
		{name: "read-only", commit: &bolt.CommitStats{Err: sys(syscall.EROFS)}, docs: failing, want: "the disk is read-only"},
		{name: "errors", commit: &bolt.CommitStats{Err: sys(syscall.EIO)}, docs: failing, want: "the disk reports errors"},
		{name: "something else", commit: &bolt.CommitStats{Err: sys(syscall.EPERM)}, docs: failing, want: "edits cannot be written; the log says why"},
		{name: "one document only", commit: &bolt.CommitStats{}, docs: session.Stats{Failing: 1}, want: "edits cannot be written; edits of 1 document are kept"},
		{name: "slow", commit: &bolt.CommitStats{Duration: 2 * time.Second}, want: "the disk is slow: the last commit took 2s"},
		{name: "was slow, and nobody edits", commit: &bolt.CommitStats{Duration: 2 * time.Second}, after: remembered + time.Second},
		{name: "hangs", commit: &bolt.CommitStats{}, store: bolt.Stats{Busy: 90 * time.Second}, after: time.Hour, want: "the disk is slow: a commit has been under way for 1m30s"},
		{name: "failed", commit: &bolt.CommitStats{Err: bolt.ErrFailed}, store: bolt.Stats{Failed: bolt.ErrFailed}, docs: failing, want: "the disk failed in the middle of a commit"},
	} {
		h := newDiskState()
		if c.commit != nil {
			h.commit(*c.commit)
		}
		got := ""
		if err := h.ready(c.docs, c.store, time.Now().Add(c.after)); err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || (c.want == "") != (got == "") || strings.Contains(got, "secret") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		select {
		case <-h.failed:
			if c.name != "failed" {
				t.Errorf("%s: the program would end", c.name)
			}
		default:
			if c.name == "failed" {
				t.Errorf("%s: the program would go on", c.name)
			}
		}
	}
}
