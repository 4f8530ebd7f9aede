package web

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	now := time.Unix(1, 0)
	r := newRates(10)
	r.now = func() time.Time { return now }
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	take := func(addr netip.Addr) (n int) {
		for r.take(addr) {
			n++
		}
		return n
	}
	for _, c := range []struct {
		addr netip.Addr
		wait time.Duration
		want int
	}{
		{a, 0, 20}, {a, 0, 0}, {b, 0, 20}, // two seconds' worth at first, for each
		{a, 500 * time.Millisecond, 5}, {a, time.Hour, 20}, {b, 0, 20},
	} {
		now = now.Add(c.wait)
		if got := take(c.addr); got != c.want {
			t.Errorf("%s after %v: %d, want %d", c.addr, c.wait, got, c.want)
		}
	}
	for i := range uint32(3 * maxAddresses) {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], i)
		if !r.take(netip.AddrFrom4(ip)) {
			t.Fatalf("address %d has no request", i)
		}
	}
	if n := len(r.buckets); n > maxAddresses {
		t.Errorf("%d buckets are kept", n)
	}
	if r = newRates(0); !r.take(a) {
		t.Error("no rate is a bound")
	}
}
