package ws

import (
	"net/netip"
	"sync"

	"quire/session/limits"
)

// sending counts the large writes under way, in bytes: in all, and those to one address.
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

// flush sends what was gathered and reports whether the connection still works. A peer that takes little
// at a time holds a large write in memory for as long as it likes while there is room; else it has to
// take it at once.
func (c *Conn) flush() bool {
	if n := c.nc.waiting(); n > maxPooled {
		s := c.s
		if !s.sending.enter(c.from, n) {
			c.nc.wire.hurry(s.opt.HurryTime)
			defer c.nc.wire.hurry(0)
		}
		defer s.sending.leave(c.from, n)
	}
	n, err := c.nc.flush()
	if n > 0 {
		c.sent.Add(int64(n))
		c.s.opt.Sent(n)
	}
	if c.nc.wire.tooSlow() {
		c.s.opt.Limited(limits.Sending)
	}
	return err == nil
}
