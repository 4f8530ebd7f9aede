package web

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

// Proxies are the reverse proxies that may say where a request really comes from. Nobody else
// is believed: without any, a request comes from whoever sent it.
//
// Each proxy on the way appends whom it has the request from, so the header is read from its
// end: as long as an entry is one of the proxies, the one before it was written by that proxy; the first that
// is none is the client. What stands before that anybody may have written.
type Proxies struct {
	// Trusted are the proxies' addresses.
	Trusted []netip.Prefix
	// Forwarded has the header Forwarded (RFC 7239) believed, in place of X-Forwarded-For and
	// X-Forwarded-Proto. Only one of them: a proxy replaces the one that it knows, and passes the
	// other on as a client wrote it.
	Forwarded bool
}

// ParseProxies reads addresses and networks, such as 10.0.0.0/8 and ::1, separated by commas.
func ParseProxies(s string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for f := range strings.SplitSeq(s, ",") {
		if f = strings.TrimSpace(f); f == "" {
			continue
		}
		p, err := netip.ParsePrefix(f)
		if err != nil {
			a, aerr := netip.ParseAddr(f)
			if aerr != nil || a.Zone() != "" {
				return nil, fmt.Errorf("%.60q is neither an address nor a network such as 10.0.0.0/8", f)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Addr().Is4In6() {
			return nil, fmt.Errorf("%.60q: write the IPv4 address by itself", f)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func (p *Proxies) trusts(a netip.Addr) bool {
	for _, net := range p.Trusted {
		if net.Contains(a) {
			return true
		}
	}
	return false
}

// hop is what a proxy says of whom it has a request from.
type hop struct {
	addr  netip.Addr // not valid when it does not say
	https bool
}

// source returns where a request comes from, and whether it was sent by https.
func (p *Proxies) source(peer netip.Addr, tls bool, h *fasthttp.RequestHeader) (from netip.Addr, https bool) {
	if !p.trusts(peer) {
		return peer, tls
	}
	hops := p.hops(h, tls)
	from, https = peer, tls
	for i := len(hops) - 1; i >= 0; i-- {
		https = hops[i].https
		if !hops[i].addr.IsValid() {
			break // somebody behind the last proxy that said who: that is all there is to know
		}
		if from = hops[i].addr; !p.trusts(from) {
			break
		}
	}
	return from, https
}

// maxHops is how many entries of a header are looked at: more proxies than anybody has in a row.
const maxHops = 32

// hops returns the last entries of the header that is believed. What does not say how a request was sent
// was sent as the proxy sends it.
func (p *Proxies) hops(h *fasthttp.RequestHeader, tls bool) []hop {
	var out []hop
	if p.Forwarded {
		for _, f := range lastEntries(h, "Forwarded") {
			out = append(out, forwarded(f, tls))
		}
		return out
	}
	// The scheme is the last one: that of the connection to the proxy that is nearest, or what
	// that proxy believes of the one before it.
	https := tls
	if protos := lastEntries(h, "X-Forwarded-Proto"); len(protos) > 0 {
		https = strings.EqualFold(protos[len(protos)-1], "https")
	}
	for _, f := range lastEntries(h, "X-Forwarded-For") {
		out = append(out, hop{hostAddr(f), https})
	}
	if len(out) == 0 {
		out = append(out, hop{https: https})
	}
	return out
}

// lastEntries returns the last entries of a header that is a list, however many lines it has.
func lastEntries(h *fasthttp.RequestHeader, name string) []string {
	var out []string
	lines := h.PeekAll(name)
	for i := len(lines) - 1; i >= 0 && len(out) < maxHops; i-- {
		rest, more := string(lines[i]), true
		for more && len(out) < maxHops {
			var entry string
			if at := lastComma(rest); at >= 0 {
				rest, entry = rest[:at], rest[at+1:]
			} else {
				entry, more = rest, false
			}
			out = append(out, strings.TrimSpace(entry))
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// lastComma returns where the last comma is that is not between quotation marks, or -1. A quoted
// string that somebody left open before cannot reach over what a proxy appended: it is looked for from
// the end.
func lastComma(s string) int {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return i
		}
	}
	return -1
}

// forwarded reads an entry of Forwarded, such as for="[2001:db8::1]:4711";proto=https.
func forwarded(entry string, tls bool) (out hop) {
	out.https = tls
	for f := range strings.SplitSeq(entry, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(f), "=")
		value = strings.Trim(value, `"`)
		switch {
		case strings.EqualFold(name, "for"):
			out.addr = hostAddr(value)
		case strings.EqualFold(name, "proto"):
			out.https = strings.EqualFold(value, "https")
		}
	}
	return out
}

// hostAddr reads an address as proxies write it: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] or
// [2001:db8::1]:80. It is not valid for anything else, such as "unknown" or a name.
func hostAddr(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	} else if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.WithZone("").Unmap()
}

// remote returns the address that a request comes from.
func (s *Server) remote(ctx *fasthttp.RequestCtx) netip.Addr {
	from, _ := s.opt.Proxies.source(peer(ctx), ctx.IsTLS(), &ctx.Request.Header)
	return from
}

// https reports whether a request was sent by https, to us or to a proxy that is trusted.
func (s *Server) https(ctx *fasthttp.RequestCtx) bool {
	_, https := s.opt.Proxies.source(peer(ctx), ctx.IsTLS(), &ctx.Request.Header)
	return https
}

// peer returns the address of whoever the connection is with.
func peer(ctx *fasthttp.RequestCtx) netip.Addr {
	addr, _ := netip.AddrFromSlice(ctx.RemoteIP())
	return addr.Unmap()
}
