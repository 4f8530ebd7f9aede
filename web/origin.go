package web

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"quire/web/api"
	"quire/web/auth"
)

// Loopback is an entry of Options.Hosts: every name and address of the machine itself.
const Loopback = "localhost"

// hostAllowed refuses a request for a host that this server is not: a page whose name was made to lead
// here would otherwise be of the same origin.
func (s *Server) hostAllowed(ctx *fasthttp.RequestCtx) bool {
	asked := string(ctx.Request.Header.Host())
	if in := string(ctx.Host()); !strings.EqualFold(in, asked) {
		api.Problem(ctx, fasthttp.StatusBadRequest, "bad_request", "The address and the header Host name different hosts.")
		return false
	}
	hosts := s.opt.Hosts
	if isSide(ctx) && onLoopback(ctx) {
		hosts = []string{Loopback}
	}
	if hosts == nil {
		return true
	}
	host := hostname(asked)
	if addr, err := netip.ParseAddr(host); err == nil && addr.Unmap() == local(ctx) {
		return true // no name leads anywhere else
	}
	for _, h := range hosts {
		if strings.EqualFold(h, host) || h == Loopback && isLoopback(host) {
			return true
		}
	}
	api.Problem(ctx, fasthttp.StatusMisdirectedRequest, "host", "This server is not known by that host. Whoever runs it names its hosts with --hosts.")
	return false
}

// local returns the address at which a request came in.
func local(ctx *fasthttp.RequestCtx) netip.Addr {
	addr, _ := netip.AddrFromSlice(ctx.LocalIP())
	return addr.Unmap()
}

// hostname returns a host without its port and brackets.
func hostname(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	return strings.TrimSuffix(host, ".")
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	host = strings.ToLower(host)
	return err == nil && addr.Unmap().IsLoopback() || host == Loopback || strings.HasSuffix(host, "."+Loopback)
}

// originAllowed decides whether a browser's page may open a WebSocket or change things. Programs send
// no Origin and are not concerned.
func (s *Server) originAllowed(ctx *fasthttp.RequestCtx) bool {
	origin := string(ctx.Request.Header.Peek("Origin"))
	if origin == "" {
		return string(ctx.Request.Header.Peek("Sec-Fetch-Site")) == "same-origin" || !s.byCookie(ctx)
	}
	for _, o := range s.opt.Origins {
		if strings.EqualFold(o, origin) || o == "*" && !s.byCookie(ctx) {
			return true
		}
	}
	u, err := url.Parse(origin)
	if err != nil || !strings.EqualFold(u.Host, string(ctx.Host())) {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && !s.https(ctx)
}

// byCookie reports whether a request is one that a browser vouches for by itself, whatever page asks
// for it: then the page has to be ours, or one that is named.
func (s *Server) byCookie(ctx *fasthttp.RequestCtx) bool {
	c := auth.FromRequest(ctx, netip.Addr{})
	return !s.opt.Auth.Open() && c.Token == "" && c.Cookie != ""
}

// safe refuses what a page of another origin may not do.
func (s *Server) safe(ctx *fasthttp.RequestCtx) bool {
	// A page may ask for what it may not read; a backup is too dear for that. For some of what it
	// asks, such as images, browsers send no Origin.
	backup := string(ctx.Path()) == "/api/backup"
	unsafe := !ctx.IsGet() && !ctx.IsHead()
	if unsafe && !s.originAllowed(ctx) || backup && (s.fromElsewhere(ctx) || len(ctx.Request.Header.Peek("Origin")) > 0 && !s.originAllowed(ctx)) {
		refuseOrigin(ctx)
		return false
	}
	return true
}

// refuseOrigin tells a page of another origin, or a browser that does not say which, that it may not do something.
func refuseOrigin(ctx *fasthttp.RequestCtx) {
	detail := "Pages of this origin may not do this here."
	if len(ctx.Request.Header.Peek("Origin")) == 0 {
		detail = "Who is logged in by a cookie has to send the header Origin with what changes something."
	}
	api.Problem(ctx, fasthttp.StatusForbidden, "origin", detail)
}

// fromElsewhere reports whether a browser says that a page of another origin asks, without
// saying which (https://www.w3.org/TR/fetch-metadata/).
func (s *Server) fromElsewhere(ctx *fasthttp.RequestCtx) bool {
	site := string(ctx.Request.Header.Peek("Sec-Fetch-Site"))
	return site != "" && site != "same-origin" && site != "none" && len(ctx.Request.Header.Peek("Origin")) == 0
}

// policy is what pages of this server may load, and who may show them.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: http: https:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// secure sets the headers that keep pages from being framed, sniffed, made to run foreign scripts, or
// kept where others find them.
func (s *Server) secure(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	set := func(name, value string) {
		if len(h.Peek(name)) == 0 {
			h.Set(name, value)
		}
	}
	set("Content-Security-Policy", policy)
	set("X-Content-Type-Options", "nosniff")
	set("Referrer-Policy", "no-referrer")
	set("X-Frame-Options", "DENY")
	set("Cross-Origin-Opener-Policy", "same-origin")
	set("Cross-Origin-Resource-Policy", "same-origin")
	set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if s.https(ctx) {
		set("Strict-Transport-Security", "max-age=31536000")
	}
}

// private has an answer kept nowhere that says nothing else.
func private(ctx *fasthttp.RequestCtx) {
	if h := &ctx.Response.Header; len(h.Peek("Cache-Control")) == 0 {
		h.Set("Cache-Control", "no-store")
	}
}
