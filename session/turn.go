package session

import (
	"context"
	"slices"
	"sync"
	"time"

	"quire/session/limits"
)

// Documents that are to be read come into memory in the order in which they were asked for: who finds too little
// room waits, and whoever comes later waits behind, else a large document would never find the room that
// smaller ones take again and again. Nobody waits longer than turnWithin, so that one who waits in vain
// keeps those behind for no longer than that; everybody has tried, as the first, before it is refused.

// turnWithin is how long one waits for room in memory at most.
const turnWithin = 2 * time.Second

// turn is the place of one who comes for a document that is not in memory among all who do.
type turn struct {
	m     *Manager
	until time.Time
	// first is closed when nobody waits who came before; it may be that somebody does again, who waits a second time.
	first  chan struct{}
	number uint64
}

// line is who waits for a turn, by number.
type line struct {
	mu      sync.Mutex
	next    uint64
	waiting []*turn
}

func (m *Manager) newTurn() *turn {
	l := m.memory.line
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	return &turn{m: m, until: m.opt.Now().Add(turnWithin), number: l.next}
}

// take waits until there is room for n bytes in memory, and counts them. CodeBusy when there is none in time,
// or never is.
func (t *turn) take(ctx context.Context, n int) *Error {
	m, y := t.m, &t.m.memory
	if y.budget == 0 {
		y.held.Add(int64(n))
		return nil
	}
	if int64(n) > y.budget {
		return m.noRoom("so large a document")
	}
	t.enter()
	defer t.leave()
	last := false
	var late, again <-chan struct{}
	first := t.first
	for {
		if (t.isFirst() || last) && m.claim(n) {
			return nil
		}
		if last {
			return m.noRoom("another document")
		}
		if late == nil {
			late = m.after(t.until.Sub(m.opt.Now()))
		}
		select {
		case <-first:
			first = nil
		default:
		}
		if first == nil { // and there was no room
			again = m.after(fullFor)
		}
		select {
		case <-first:
			first = nil
		case <-again:
		case <-late:
			last = true
		case <-ctx.Done():
			last = true
		}
	}
}

// enter makes a turn one of those that wait.
func (t *turn) enter() {
	l := t.m.memory.line
	l.mu.Lock()
	defer l.mu.Unlock()
	t.first = make(chan struct{})
	i, _ := slices.BinarySearchFunc(l.waiting, t.number, func(o *turn, n uint64) int { return int(o.number) - int(n) })
	l.waiting = slices.Insert(l.waiting, i, t)
	if i == 0 {
		close(t.first)
	}
}

// leave ends its waiting, and tells who is the first then.
func (t *turn) leave() {
	l := t.m.memory.line
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, t)
	l.waiting = slices.Delete(l.waiting, i, i+1)
	if i > 0 || len(l.waiting) == 0 {
		return
	}
	select {
	case <-l.waiting[0].first:
	default:
		close(l.waiting[0].first)
	}
}

// isFirst reports whether nobody waits who came before.
func (t *turn) isFirst() bool {
	l := t.m.memory.line
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting[0] == t
}

// claim counts n bytes, if there is room for them when those leave who are not needed.
func (m *Manager) claim(n int) bool {
	y := &m.memory
	y.mu.Lock()
	defer y.mu.Unlock()
	y.held.Add(int64(n))
	if m.makesRoom() {
		return true
	}
	y.held.Add(int64(-n))
	return false
}

// noRoom is the refusal for want of memory; what is what there is no room for.
func (m *Manager) noRoom(what string) *Error {
	return m.Exceeds(limits.Memory, int(m.memory.budget), CodeBusy, "there is no room in memory for %s now", what)
}

// after returns a channel that is closed after a time.
func (m *Manager) after(d time.Duration) <-chan struct{} {
	ch := make(chan struct{})
	if d <= 0 {
		close(ch)
	} else {
		m.opt.After(d, func() { close(ch) })
	}
	return ch
}
