package limits

import "net/netip"

// Network is whom limits count as one: an IPv4 address, or the 64 bits of an IPv6 address that are
// given to one customer.
func Network(a netip.Addr) netip.Addr {
	if !a.Is6() || a.Is4In6() {
		return a.Unmap()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
