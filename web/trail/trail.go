// Package trail keeps what is known of an HTTP request, or of the WebSocket that it
// became, before anything is done for it: the id by which logs and answers name it, and
// the address it comes from.
package trail

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"

	"github.com/valyala/fasthttp"
)

// Header carries a request's id, from trusted proxies and in every answer.
const Header = "X-Request-Id"

// maxID is the longest id that is taken from a proxy, in bytes.
const maxID = 64

// Info is what is known of a request.
type Info struct {
	// ID names the request: 1 to 64 letters, digits and "._-".
	ID string
	// Remote is the address it comes from; behind trusted proxies the client's.
	Remote netip.Addr
}

// facts is what is learned of a request on its way.
type facts struct {
	info Info
	doc  string
	code string
}

// factsKey is where a request keeps its facts.
const factsKey = "quire.request"

func of(ctx *fasthttp.RequestCtx) *facts {
	if f, ok := ctx.UserValue(factsKey).(*facts); ok {
		return f
	}
	f := &facts{}
	ctx.SetUserValue(factsKey, f)
	return f
}

// Attach gives a request its id, keeps what is known with it, and puts the id into the
// answer's header. The id is the one that the request brings if trusted says that who
// sent it may choose it and it is well formed; else a new one.
func Attach(ctx *fasthttp.RequestCtx, remote netip.Addr, trusted bool) Info {
	info := Info{Remote: remote}
	if given := ctx.Request.Header.Peek(Header); trusted && wellFormed(given) {
		info.ID = string(given)
	} else {
		info.ID = NewID()
	}
	of(ctx).info = info
	ctx.Response.Header.Set(Header, info.ID)
	return info
}

// Of returns what Attach kept; nothing when it was not called.
func Of(ctx *fasthttp.RequestCtx) Info { return of(ctx).info }

// SetDoc keeps which document a request is about, SetCode with what code it was refused.
func SetDoc(ctx *fasthttp.RequestCtx, doc string) { of(ctx).doc = doc }

// SetCode keeps the code of the refusal of a request.
func SetCode(ctx *fasthttp.RequestCtx, code string) { of(ctx).code = code }

// Doc returns which document a request is about, as far as is known; Code with what code
// it was refused, "" when it was not.
func Doc(ctx *fasthttp.RequestCtx) string { return of(ctx).doc }

// Code returns what SetCode kept.
func Code(ctx *fasthttp.RequestCtx) string { return of(ctx).code }

// NewID returns an id that no other request has: 16 hexadecimal digits, random.
func NewID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func wellFormed(id []byte) bool {
	if len(id) == 0 || len(id) > maxID {
		return false
	}
	for _, c := range id {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
