package web

import (
	"net/netip"

	"github.com/valyala/fasthttp"
)

// remote returns the address that a request comes from.
func (s *Server) remote(ctx *fasthttp.RequestCtx) netip.Addr {
	addr, _ := netip.AddrFromSlice(ctx.RemoteIP())
	return addr.Unmap()
}
