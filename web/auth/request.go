package auth

import (
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"

	"quire/session"
)

// TokenProtocol begins the entry of Sec-WebSocket-Protocol with a token, for browsers, which
// cannot set other headers of a WebSocket. The server never chooses it as the subprotocol.
const TokenProtocol = "quire.token."

// CookieName is the cookie of a login by HTTP.
const CookieName = "quire_session"

// Credentials are what a request brought to show who sends it.
type Credentials struct {
	// Token is a bearer token, from Authorization or the list of subprotocols.
	Token string
	// Session is the cookie's value.
	Session string
	// Cookie is the whole Cookie header, Host the Host header: for the application.
	Cookie, Host string
	// Remote is where the request comes from.
	Remote netip.Addr
}

// FromRequest returns the credentials of a request. They are copies.
func FromRequest(ctx *fasthttp.RequestCtx, remote netip.Addr) Credentials {
	h := &ctx.Request.Header
	c := Credentials{Session: string(h.Cookie(CookieName)), Cookie: string(h.Peek("Cookie")), Host: string(h.Host()), Remote: remote}
	if kind, token, ok := strings.Cut(string(h.Peek("Authorization")), " "); ok && strings.EqualFold(kind, "bearer") {
		c.Token = strings.TrimSpace(token)
	}
	if c.Token == "" {
		for f := range strings.SplitSeq(string(h.Peek("Sec-WebSocket-Protocol")), ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(f), TokenProtocol); ok {
				c.Token = token
				break
			}
		}
	}
	return c
}

// passKey is where a request keeps its pass.
const passKey = "quire.pass"

// Attach keeps a pass with a request.
func Attach(ctx *fasthttp.RequestCtx, p *Pass) { ctx.SetUserValue(passKey, p) }

// Of returns the pass of a request, which Attach gave it; one that allows nothing when
// there is none.
func Of(ctx *fasthttp.RequestCtx) *Pass {
	if p, ok := ctx.UserValue(passKey).(*Pass); ok {
		return p
	}
	p := NewPass(Identity{})
	p.End(session.Errorf(session.CodeUnauthenticated, "say who you are"))
	return p
}
