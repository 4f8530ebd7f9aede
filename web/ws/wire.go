package ws

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// wire is the bare connection. Its writes become patient when it carries a WebSocket: they go
// on for as long as it takes, until finish. That has to be here, below TLS: one of its
// records that was sent in part cannot be taken up again above.
type wire struct {
	net.Conn

	mu sync.Mutex
	// Guarded by mu.
	patient  bool
	look     time.Duration // how long one write waits before another look at what it took
	progress func()        // called when a write that had to wait for room was taken, or a part of it
	until    time.Time     // when writes end; zero: never
	soon     time.Time     // when the write under way ends, at the latest; zero: no matter
	slow     bool          // it did not end by then
	armed    time.Time     // the write deadline that is set
}

// waited is from when on a write that was taken had to wait for the peer to make room. One that does
// not have to says nothing of the peer: it goes into a buffer of this machine.
const waited = time.Millisecond

func (w *wire) bePatient(look time.Duration, progress func()) {
	w.mu.Lock()
	w.patient, w.look, w.progress = true, look, progress
	w.mu.Unlock()
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	sent := 0
	for {
		patient, err := w.arm()
		if err != nil {
			return sent, err
		}
		begun := time.Now()
		n, err := w.Conn.Write(p[sent:])
		sent += n
		if patient && n > 0 && time.Since(begun) >= waited {
			w.progress() // there was no room before, so the peer has taken some
		}
		if !patient || !errors.Is(err, os.ErrDeadlineExceeded) || sent == len(p) {
			return sent, err
		}
	}
}

// arm sets the deadline of the next patient write, and fails when finish's is over.
func (w *wire) arm() (patient bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.patient {
		return false, nil
	}
	now := time.Now()
	next := now.Add(w.look)
	if end := w.end(); !end.IsZero() {
		if now.After(end) {
			w.slow = end.Equal(w.soon)
			return true, os.ErrDeadlineExceeded
		}
		next = end
	} else if w.armed.Sub(now) > w.look/2 {
		return true, nil // it is far enough away; setting it takes longer than asking
	}
	w.armed = next
	return true, w.Conn.SetWriteDeadline(next)
}

// finish lets patient writes, also one under way, go on for so long and no longer.
func (w *wire) finish(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Now().Add(d)
	_ = w.Conn.SetWriteDeadline(w.end())
}

// end returns when writes end, zero for never. Called with the lock held.
func (w *wire) end() time.Time {
	if w.until.IsZero() || !w.soon.IsZero() && w.soon.Before(w.until) {
		return w.soon
	}
	return w.until
}

// hurry has the patient write under way, or the next one, end within d; 0 takes that back.
func (w *wire) hurry(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed, w.soon = time.Time{}, time.Time{}
	if d > 0 {
		w.soon = time.Now().Add(d)
		w.interrupt()
	}
}

// interrupt has a patient write under way look at when it ends. Called with the lock held.
func (w *wire) interrupt() {
	if w.patient {
		_ = w.Conn.SetWriteDeadline(w.end())
	}
}

// hurried reports whether hurry was called and not taken back.
func (w *wire) hurried() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.soon.IsZero()
}

// tooSlow reports whether a write did not end as soon as hurry wanted, once.
func (w *wire) tooSlow() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	slow := w.slow
	w.slow = false
	return slow
}

// SetWriteDeadline has no effect on patient writes, which set their own.
func (w *wire) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.patient {
		return nil
	}
	return w.Conn.SetWriteDeadline(t)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (w *wire) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}

// CloseWrite ends the stream to the peer.
func (w *wire) CloseWrite() error {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
