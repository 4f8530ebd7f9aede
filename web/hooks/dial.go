package hooks

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// errPrivate is why a receiver is not spoken to.
type errPrivate struct{ host string }

// Error names the setting.
func (e errPrivate) Error() string {
	return fmt.Sprintf("%s is a loopback, private or reserved address; the server sends nothing there unless it runs with --hooks-private", e.host)
}

// reserved are the addresses, beside those that netip has names for, that are not on the public Internet,
// or lead to some that are not.
var reserved = prefixes("::/96", "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10")

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// isPublic reports whether an address is one of the public Internet.
func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// newClient makes the client that speaks to receivers. It follows no redirects, uses no
// proxy, and looks at each address after the name was resolved, so that a name cannot
// lead elsewhere than it did when it was checked.
func newClient(opt Options) *http.Client {
	dialer := &net.Dialer{Timeout: opt.Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !opt.Private && !isPublic(at.Addr()) {
			return errPrivate{"its address"}
		}
		return nil
	}}
	return &http.Client{
		Timeout:       opt.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    opt.AtOnce,
			MaxConnsPerHost:        4 * opt.AtOnce,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    opt.Timeout,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}
