package soak

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"quire/storage/bolt"
)

func diskScenarios() []*scenario {
	return []*scenario{
		{name: "full", fault: "disk full", how: "a tmpfs filled by another file, emptied again; each other time killed meanwhile", short: 2, long: 60, round: 20, mixed: true,
			prepare: func(r *rig) error { return r.smallDisk(24 << 20) }, run: fullDisk},
		{name: "read-only", fault: "disk read-only", how: "writes fail with EROFS at the system call for a while; then the file system is mounted read-only while the server starts", short: 1, long: 30, round: 10,
			prepare: func(r *rig) error { r.gated = true; return r.smallDisk(64 << 20) }, run: readOnly},
		{name: "slow", fault: "slow disk", how: "every fdatasync takes 2 s, for four of them", short: 1, long: 20, round: 10, prepare: behind, run: slowDisk},
		{name: "sync-error", fault: "syncs fail", how: "fdatasync fails with EIO: for 0.3 s, and each other time the one that makes a commit count", short: 2, long: 60, round: 20, mixed: true, prepare: behind, run: syncErrors},
	}
}

func behind(r *rig) error { r.gated = true; return nil }

// unsavedShown waits until a client was told that its edits are not saved.
func (r *rig) unsavedShown(before int64) error {
	return r.until("a client is told that its edits are not saved", func() bool { return r.saw.unsaved.Load() > before })
}

// fullDisk fills the disk, waits until that is noticed, and makes room again.
func fullDisk(r *rig, n int) error {
	if err := r.begin(r.people(), crewPerDoc); err != nil {
		return err
	}
	filler := filepath.Join(r.data, "filler")
	for i := range n {
		before := r.saw.unsaved.Load()
		if err := fill(filler); err != nil {
			return err
		}
		if err := r.unsavedShown(before); err != nil {
			return err
		}
		if err := r.says(http.StatusServiceUnavailable, "the disk is full"); err != nil {
			return err
		}
		if i%2 == 1 {
			r.srv.kill()
			if err := r.startFull(filler); err != nil {
				return err
			}
		}
		if err := os.Remove(filler); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := r.everybody(); err != nil {
			return err
		}
		if err := r.says(http.StatusOK, "ready"); err != nil {
			return err
		}
	}
	return nil
}

// startFull starts the server on a full disk. It may refuse with a reason, and then starts when there is
// room.
func (r *rig) startFull(filler string) error {
	err := r.start()
	var no *notStarted
	if errors.As(err, &no) {
		if !strings.Contains(no.log, "no space left") {
			return err
		}
		r.notice("a start on the full disk was refused: “%s”", lastLine(no.log))
		if err := os.Remove(filler); err != nil {
			return err
		}
		return r.start()
	}
	return err
}

// fill writes a file until the disk is full.
func fill(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 64 << 10; size >= 1; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 16
		} else if err != nil {
			return err
		}
	}
	return nil
}

// readOnly makes the disk one that takes no writes.
func readOnly(r *rig, n int) error {
	if err := r.begin(r.people(), crewPerDoc); err != nil {
		return err
	}
	for range n {
		before := r.saw.unsaved.Load()
		r.srv.gate.decide(func(c call) verdict {
			if c.sync || filepath.Base(c.file) != bolt.FileName {
				return verdict{}
			}
			return verdict{err: syscall.EROFS}
		})
		if err := r.unsavedShown(before); err != nil {
			return err
		}
		if err := r.says(http.StatusServiceUnavailable, "the disk is read-only"); err != nil {
			return err
		}
		r.srv.gate.decide(nil)
		if err := r.everybody(); err != nil {
			return err
		}
		if err := r.says(http.StatusOK, "ready"); err != nil {
			return err
		}
		if err := r.startReadOnly(); err != nil {
			return err
		}
		if err := r.everybody(); err != nil {
			return err
		}
	}
	return nil
}

// startReadOnly kills the server, has it refuse to start on a read-only disk, and starts it on one
// that is not.
func (r *rig) startReadOnly() error {
	r.srv.kill()
	if err := unix.Mount("", r.data, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("the disk cannot be made read-only: %w", err)
	}
	s, err := r.launch(false)
	if err == nil {
		s.kill()
		return errors.New("the server started on a read-only disk")
	}
	var no *notStarted
	if !errors.As(err, &no) || !strings.Contains(no.log, "read-only") {
		return fmt.Errorf("on a read-only disk: %w", err)
	}
	r.notice("a start on a read-only disk was refused: “%s”", lastLine(no.log))
	if err := unix.Mount("", r.data, "", unix.MS_REMOUNT, ""); err != nil {
		return err
	}
	return r.start()
}

// slowDisk has each sync take two seconds, for a few of them.
func slowDisk(r *rig, n int) error {
	if err := r.begin(r.people(), crewPerDoc); err != nil {
		return err
	}
	syncs := 4
	if r.Hasty {
		syncs = 1
	}
	for range n {
		goal := r.srv.gate.struck() + syncs
		r.srv.gate.decide(func(c call) verdict {
			if !c.sync {
				return verdict{}
			}
			return verdict{delay: 2 * time.Second}
		})
		if err := r.says(http.StatusServiceUnavailable, "the disk is slow"); err != nil {
			return err
		}
		if status, _, err := r.srv.get("healthz"); err != nil || status != http.StatusOK {
			return fmt.Errorf("on a slow disk /healthz is %d, %v", status, err)
		}
		if err := r.until("syncs were slow", func() bool { return r.srv.gate.struck() >= goal }); err != nil {
			return err
		}
		r.srv.gate.decide(nil)
		if err := r.everybody(); err != nil {
			return err
		}
		if err := r.says(http.StatusOK, "ready"); err != nil {
			return err
		}
	}
	return nil
}

// syncErrors has syncs fail: those of the data, so that commits are rolled back and tried again, and
// those of the page that makes a commit count, after which only a new start can tell what
// the file holds: the server ends.
func syncErrors(r *rig, n int) error {
	r.args = append(r.args, "--stop-within", "10m") // it ends for what it cannot save, not when its time is over
	if err := r.begin(r.people(), crewPerDoc); err != nil {
		return err
	}
	for i := range n {
		before := r.saw.unsaved.Load()
		late := i%2 == 1
		r.srv.gate.decide(failSyncs(late))
		if !late {
			if err := r.unsavedShown(before); err != nil {
				return err
			}
			if err := r.says(http.StatusServiceUnavailable, "the disk reports errors"); err != nil {
				return err
			}
			r.pause(300 * time.Millisecond)
			r.srv.gate.decide(nil)
		} else {
			if err := r.endsByItself("the disk failed"); err != nil {
				return err
			}
			if err := r.start(); err != nil {
				return err
			}
		}
		if err := r.everybody(); err != nil {
			return err
		}
		if err := r.says(http.StatusOK, "ready"); err != nil {
			return err
		}
	}
	return nil
}

// failSyncs fails the syncs that follow the write of a page that names a commit, which are the first
// two of the file, or all others.
func failSyncs(late bool) func(call) verdict {
	named := int64(2 * os.Getpagesize())
	return func(c call) verdict {
		if c.sync && filepath.Base(c.file) == bolt.FileName && late == (c.offset < named) {
			return verdict{err: syscall.EIO}
		}
		return verdict{}
	}
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
