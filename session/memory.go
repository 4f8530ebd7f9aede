package session

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"quire/session/limits"
)

// memory is about how much the sessions take, all together. Each session keeps its own share
// up to date when it commits, so nobody waits for anybody on that path.
type memory struct {
	// Static.
	budget int64 // 0: no bound
	// places has a place for each document that is being read: what they will take is not known before.
	places chan struct{}

	held *atomic.Int64
	// line is who waits for room, to read a document.
	line *line

	mu *sync.Mutex
	// full is when nobody could be made to leave last; guarded by mu.
	full *time.Time
}

const (
	// loadsAtOnce is how many documents are read at one time.
	loadsAtOnce = 16
	// sessionCost, entryCost and opCost are what takes memory beside the document: a session, an
	// operation that it keeps, and a byte of that.
	sessionCost, entryCost, opCost = 4 << 10, 400, 2
	// fullFor is how long it is believed that nobody can be made to leave.
	fullFor = 10 * time.Millisecond
)

func newMemory(budget int) memory {
	return memory{budget: int64(budget), places: make(chan struct{}, loadsAtOnce), held: new(atomic.Int64), line: new(line), mu: new(sync.Mutex), full: new(time.Time)}
}

// used returns about how many bytes the sessions take.
func (y *memory) used() int { return int(y.held.Load()) }

// fits reports whether the sessions are within their budget.
func (y *memory) fits() bool { return y.budget == 0 || y.held.Load() <= y.budget }

// cost returns about how many bytes a session takes. Called with the lock held.
func (s *Session) cost() int {
	return sessionCost + len(s.window.entries)*entryCost + s.window.bytes*opCost + s.at.cost()
}

// weigh brings the session's share of the memory up to date. Called with the lock held.
func (s *Session) weigh() {
	if s.left {
		return
	}
	n := s.cost()
	s.m.memory.held.Add(int64(n - s.charged))
	s.charged = n
}

// remove takes a session out of the table. Called with Manager.mu and the session's lock held.
func (m *Manager) remove(s *Session) {
	delete(m.sessions, s.id)
	m.memory.held.Add(int64(-s.charged))
	s.charged, s.left = 0, true
}

// charge counts a session that was just read, which nobody else knows yet, when there is room for it in its turn.
func (m *Manager) charge(ctx context.Context, s *Session, t *turn) *Error {
	n := s.cost()
	if err := t.take(ctx, n); err != nil {
		return err
	}
	s.charged = n
	return nil
}

// makeRoom has sessions leave that nobody uses, the least recently used first, until there is some room
// again. What is not on disk stays. CodeBusy when that is not enough; what is what there is no room for then.
func (m *Manager) makeRoom(what string) *Error {
	m.memory.mu.Lock()
	defer m.memory.mu.Unlock()
	if m.makesRoom() {
		return nil
	}
	return m.noRoom(what)
}

// makesRoom is makeRoom with memory.mu held.
func (m *Manager) makesRoom() bool {
	y := &m.memory
	if y.fits() {
		return true
	}
	if now := m.opt.Now(); now.Sub(*y.full) < fullFor && !now.Before(*y.full) {
		return false
	}
	if m.evict(y.budget - y.budget/16); y.fits() {
		return true
	}
	*y.full = m.opt.Now()
	return false
}

// room is memory that work on one document takes for a while, counted beside the documents that are open.
// One goroutine at a time.
type room struct {
	m    *Manager
	what string // is done, for people
	n    int
}

func (m *Manager) newRoom(what string) *room { return &room{m: m, what: what} }

// grow makes it n bytes at least. CodeTooLarge when there never is as much, CodeBusy when there is not now.
func (r *room) grow(n int) error {
	y := &r.m.memory
	if n <= r.n || y.budget == 0 {
		return nil
	}
	if int64(n) > y.budget {
		return r.m.Exceeds(limits.Memory, int(y.budget), CodeTooLarge, "%s takes %d bytes of memory", r.what, n)
	}
	y.held.Add(int64(n - r.n))
	r.n = n
	if y.fits() {
		return nil
	}
	if err := r.m.makeRoom(r.what); err != nil {
		return err
	}
	return nil
}

// leave gives it back.
func (r *room) leave() {
	r.m.memory.held.Add(int64(-r.n))
	r.n = 0
}

// evict has idle sessions leave, the least recently used first, until the sessions take no more than so much.
func (m *Manager) evict(most int64) {
	type candidate struct {
		s     *Session
		since time.Time
	}
	var all []candidate
	for _, s := range m.all() {
		s.mu.Lock()
		if s.idle() {
			all = append(all, candidate{s, s.idleSince})
		}
		s.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b candidate) int { return a.since.Compare(b.since) })
	for _, c := range all {
		if m.memory.held.Load() <= most {
			return
		}
		m.drop(c.s) // without a last snapshot: the log has everything
	}
}

// leavesWithin is how long it is counted what leaves for a reader: one that does not take it cannot keep
// others from theirs for ever.
const leavesWithin = 10 * time.Second

// Leave waits until so many bytes may be made that are for one reader alone, and returns how to
// say that they have left, which may be called more than once.
func (m *Manager) Leave(ctx context.Context, bytes int) (done func(), err error) {
	if used := m.leaving.Used(); used > 0 && used+bytes > m.leaving.Most() {
		m.opt.Observer.Limited(limits.CatchUp) // most likely it waits
	}
	if done, err = m.leaving.Take(ctx, bytes); err != nil {
		return nil, Errorf(CodeUnavailable, "too much is on its way to others")
	}
	m.opt.After(leavesWithin, done)
	return done, nil
}

// missedCost is about how many bytes of memory an operation takes that is composed with others, and their encoding.
const missedCost = 64

// idle reports whether nobody reads and nothing is being written. Called with the lock held.
func (s *Session) idle() bool {
	return len(s.subs) == 0 && !s.busy() && !s.committer && !s.snap.busy
}
