package web

import (
	"net"
	"net/netip"
	"testing"

	"quire/session"
	"quire/web/metrics"
)

func TestConnectionsOfAnAddress(t *testing.T) {
	s := &Server{}
	s.opt.MaxAddressHTTP = 2
	s.opt.Proxies.Trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	s.opt.Metrics = metrics.New(func() session.Stats { return session.Stats{} }, func() int { return 0 }, func() int { return 0 })
	a := newAddresses(s)
	at := func(addr string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)) }
	var leave []func()
	for i, c := range []struct {
		from     string
		over, ok bool
	}{
		{"192.0.2.1:1", false, true}, {"192.0.2.1:2", false, true}, {"192.0.2.1:3", true, true}, {"192.0.2.2:1", false, true},
		{"[2001:db8::1]:1", false, true}, {"[2001:db8::2]:1", false, true}, {"[2001:db8::3]:1", true, true}, {"[2001:db8:0:1::1]:1", false, true},
		{"10.1.2.3:1", false, true}, {"10.1.2.3:2", false, true}, {"10.1.2.3:3", false, true},
	} {
		done, over, ok := a.admit(at(c.from))
		if over != c.over || ok != c.ok {
			t.Errorf("%d: %s: over %v, taken %v; want %v, %v", i, c.from, over, ok, c.over, c.ok)
		}
		leave = append(leave, done)
	}
	taken := 0
	for range 100 {
		done, over, ok := a.admit(at("192.0.2.1:9"))
		if ok {
			taken++
			leave = append(leave, done)
		}
		if !over {
			t.Error("one too many is not told so")
		}
	}
	if taken != overTold-1 {
		t.Errorf("%d more were taken to be told so, want %d", taken, overTold-1)
	}
	for _, done := range leave {
		done()
	}
	if _, over, ok := a.admit(at("192.0.2.1:1")); over || !ok {
		t.Error("those that left are counted")
	}
	if _, over, ok := a.admit(&net.UnixAddr{}); over || !ok {
		t.Error("a connection without an address is refused")
	}
}
