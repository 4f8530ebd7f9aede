package ws

import (
	"net/netip"
	"sync"

	"quire/session/limits"
)

// sending counts the large writes under way, and what Hold adds, in bytes: in all, and those to one address.
type sending struct {
	most int

	mu   sync.Mutex
	all  int                // guarded by mu
	each map[netip.Addr]int // guarded by mu; none is 0
}

// enter counts a write, and reports whether there is room for it: in all, and in the quarter of its address.
func (s *sending) enter(to netip.Addr, n int) (room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all += n
	s.each[to] += n
	return s.all <= s.most && (s.each[to] <= s.most/4 || s.each[to] == n)
}

func (s *sending) leave(to netip.Addr, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all -= n
	if s.each[to] -= n; s.each[to] == 0 {
		delete(s.each, to)
	}
}

// Hold counts so many bytes more that the handler keeps for the peer, other than what it has sent, with what
// Options.MaxSending bounds; they are given back with a negative number, all of them before or in Ended. It reports
// whether there is room: where there is none the peer has to take each write at once, or is cut off. It may be called
// from any goroutine.
func (c *Conn) Hold(n int) (room bool) {
	s := &c.s.sending
	if n <= 0 {
		s.leave(c.from, -n)
		return true
	}
	if room = s.enter(c.from, n); !room && !c.nc.wire.hurried() {
		c.nc.wire.hurry(c.s.opt.HurryTime)
	}
	return room
}

// flush sends what was gathered and reports whether the connection still works. A peer that takes little
// at a time holds a large write in memory for as long as it likes while there is room; else it has to
// take it at once.
func (c *Conn) flush() bool {
	wire, hurry := &c.nc.wire, c.nc.wire.hurried()
	if n := c.nc.waiting(); n > maxPooled {
		hurry = !c.s.sending.enter(c.from, n) || hurry
		defer c.s.sending.leave(c.from, n)
	}
	if hurry {
		wire.hurry(c.s.opt.HurryTime)
	}
	n, err := c.nc.flush()
	if n > 0 {
		c.sent.Add(int64(n))
		c.s.opt.Sent(n)
	}
	if wire.hurried() {
		wire.hurry(0)
	}
	if wire.tooSlow() {
		c.s.opt.Limited(limits.Sending)
	}
	return err == nil
}
