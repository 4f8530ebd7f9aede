package web

import (
	"net"
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session/limits"
	"quire/web/api"
	"quire/web/ws"
)

// addresses bounds what comes from one address.
type addresses struct {
	server *Server
	rate   limits.Rate
	rates  *limits.Table[netip.Addr]
	// open counts connections that are not WebSockets.
	open *limits.Counts[netip.Addr]
}

func newAddresses(s *Server) *addresses {
	rate := limits.Rate{Name: limits.RequestRate, PerSecond: s.opt.MaxRate}
	return &addresses{s, rate, limits.NewTable[netip.Addr](rate), limits.NewCounts[netip.Addr](s.opt.MaxAddressHTTP)}
}

// overTold is how many connections past the limit an address may have in order to be told.
const overTold = 16

// admit counts a connection. One past the limit is answered with a refusal; one far past it is closed.
func (a *addresses) admit(from net.Addr) (leave func(), over, ok bool) {
	tcp, isTCP := from.(*net.TCPAddr)
	if !isTCP {
		return func() {}, false, true
	}
	addr := tcp.AddrPort().Addr().Unmap()
	if a.server.opt.Proxies.trusts(addr) {
		return func() {}, false, true
	}
	addr = limits.Network(addr)
	n, ok := a.open.Enter(addr, overTold)
	if !ok {
		a.server.opt.Metrics.Limited(limits.AddressHTTP)
		return nil, true, false
	}
	return func() { a.open.Leave(addr) }, a.open.Most() > 0 && n > a.open.Most(), true
}

// crowded answers a request on a connection that is one too many, and reports whether it is.
func (a *addresses) crowded(ctx *fasthttp.RequestCtx) bool {
	if !ws.Over(ctx.Conn()) {
		return false
	}
	a.server.opt.Metrics.Limited(limits.AddressHTTP)
	ctx.SetConnectionClose()
	most := int64(a.open.Most())
	e := api.Errorf(fasthttp.StatusTooManyRequests, "too_many", "This address has more than %d connections, the limit %s.", most, limits.AddressHTTP)
	e.Limit = &most
	api.Refuse(ctx, e)
	return true
}

// allow answers a request that comes too soon with 429, and reports whether it may go on.
func (a *addresses) allow(ctx *fasthttp.RequestCtx, from netip.Addr) bool {
	if a.rates.Allow(limits.Network(from), time.Now()) {
		return true
	}
	most := int64(a.rate.PerSecond)
	e := api.Errorf(fasthttp.StatusTooManyRequests, "rate", "This address makes more than %d requests a second, the limit %s.", most, limits.RequestRate)
	e.Name, e.Limit = limits.RequestRate, &most
	api.Refuse(ctx, e)
	return false
}
