package ws

import (
	"net/netip"
	"sync"

	"quire/session/limits"
)

// sending counts the large writes under way, and what Hold adds, in bytes: in all, and those to one address. What is
// lent to several of them counts once, and once for each address.
type sending struct {
	most int

	mu   sync.Mutex
	all  int                // guarded by mu
	each map[netip.Addr]int // guarded by mu; none is 0
	lent map[borrowed]int   // guarded by mu: how many writes have it; none is 0
}

// borrowed is what is lent to an address, or, with the zero Addr, to any.
type borrowed struct {
	of *Shared
	to netip.Addr
}

// enter counts a write of what is its own and what is lent to it, and reports whether there is room for it: in all, and
// in the quarter of its address, or in that without any other.
func (s *sending) enter(to netip.Addr, own int, parts []part) (room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := own
	for _, p := range parts {
		if p.of == nil {
			continue
		}
		mine += len(p.of.text)
		for _, b := range []borrowed{{p.of, netip.Addr{}}, {p.of, to}} {
			if s.lent[b]++; s.lent[b] == 1 {
				s.add(b.to, len(p.of.text))
			}
		}
	}
	s.all += own
	s.add(to, own)
	return s.all <= s.most && (s.each[to] <= s.most/4 || s.each[to] <= mine)
}

// add counts bytes for an address, or, with the zero one, in all. Called with the lock held.
func (s *sending) add(to netip.Addr, n int) {
	if !to.IsValid() {
		s.all += n
	} else if s.each[to] += n; s.each[to] == 0 {
		delete(s.each, to)
	}
}

func (s *sending) leave(to netip.Addr, own int, parts []part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all -= own
	s.add(to, -own)
	for _, p := range parts {
		if p.of == nil {
			continue
		}
		for _, b := range []borrowed{{p.of, netip.Addr{}}, {p.of, to}} {
			if s.lent[b]--; s.lent[b] == 0 {
				delete(s.lent, b)
				s.add(b.to, -len(p.of.text))
			}
		}
	}
}

// Hold counts so many bytes more that the handler keeps for the peer, other than what it has sent, with what
// Options.MaxSending bounds; they are given back with a negative number, all of them before or in Ended. It reports
// whether there is room: where there is none the peer has to take each write at once, or is cut off. It may be called
// from any goroutine.
func (c *Conn) Hold(n int) (room bool) {
	s := &c.s.sending
	if n <= 0 {
		s.leave(c.from, -n, nil)
		return true
	}
	if room = s.enter(c.from, n, nil); !room && !c.nc.wire.hurried() {
		c.nc.wire.hurry(c.s.opt.HurryTime)
	}
	return room
}

// flush sends what was gathered and reports whether the connection still works. A peer that takes little
// at a time holds a large write in memory for as long as it likes while there is room; else it has to
// take it at once.
func (c *Conn) flush() bool {
	parts, size, err := c.nc.take()
	if err != nil || len(parts) == 0 {
		return err == nil
	}
	wire, hurry := &c.nc.wire, c.nc.wire.hurried()
	if size > maxPooled || len(parts) > 1 { // something lent is large, whatever of it is sent
		own := size
		for _, p := range parts {
			own -= len(p.data)
		}
		hurry = !c.s.sending.enter(c.from, own, parts) || hurry
		defer c.s.sending.leave(c.from, own, parts)
	}
	if hurry {
		wire.hurry(c.s.opt.HurryTime)
	}
	n, err := c.nc.flush(parts)
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
