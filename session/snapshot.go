package session

import (
	"fmt"
	"runtime/debug"
	"time"

	"quire/storage"
)

// snapshots is when a document was last put into a snapshot. Guarded by Session.mu.
type snapshots struct {
	rev   Revision // of the newest snapshot
	bytes int      // of the operations after it
	at    time.Time
	busy  bool
}

// minTail is how many operations after the newest snapshot are worth another when a
// session leaves memory.
const minTail = 128

// snapshotIfDue starts a snapshot in the background when the tail of the log has
// grown long, so that opening stays bounded. It is never on the path of an
// acknowledgement: the document is persistent, so encoding it needs no lock.
// Called with the lock held.
func (s *Session) snapshotIfDue() {
	if s.snap.busy || s.held != nil || s.dead != nil || s.failures > 0 || s.at.typ == nil {
		return
	}
	long := int(s.head-s.snap.rev) >= s.m.opt.SnapshotOps || s.snap.bytes > 64<<10+s.at.size()
	if !long || s.m.opt.Now().Sub(s.snap.at) < s.m.opt.SnapshotEvery || s.head == s.snap.rev {
		return
	}
	s.snap.busy = true
	at, rev, bytes := s.at, s.head, s.snap.bytes
	s.m.opt.Go(func() { s.snapshot(at, rev, bytes) })
}

// snapshot writes one snapshot. A failure is logged and made good by the next one.
func (s *Session) snapshot(at content, rev Revision, bytes int) {
	snap, err := at.snapshot(rev)
	if err == nil {
		err = s.m.opt.Store.PutSnapshot(s.background(), s.id, s.inc, snap)
	}
	if err != nil {
		s.m.opt.Observer.WriteFailed()
		s.log().Warn("cannot write a snapshot; the log has everything", "rev", rev, "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snap.busy = false
	defer s.calm()
	s.snap.at = s.m.opt.Now()
	if err == nil {
		s.snap.rev = rev
		s.snap.bytes -= bytes
	}
}

// snapshot encodes the content. A panic in the type's code is an error.
func (c content) snapshot(rev Revision) (snap storage.Snapshot, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while encoding: %v\n%s", p, debug.Stack())
		}
	}()
	if c.typ == nil {
		return storage.Snapshot{Rev: rev}, nil
	}
	return storage.Snapshot{Rev: rev, Type: c.typ.Name(), Data: c.typ.MarshalDoc(make([]byte, 0, c.size()), c.doc)}, nil
}
