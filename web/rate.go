package web

import (
	"net/netip"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"quire/web/api"
)

// rates bounds how many requests one address may make. Each has a bucket of tokens that
// fills at the rate and holds two seconds' worth.
type rates struct {
	perSecond float64 // 0: no bound
	now       func() time.Time

	mu      sync.Mutex
	buckets map[netip.Addr]bucket // guarded by mu
}

// bucket has so many tokens at a time.
type bucket struct {
	tokens float64
	at     time.Time
}

// maxAddresses is how many buckets are kept; then those that are full again go, and where
// none is, all of them: whoever commands so many addresses is not to be held up this way.
const maxAddresses = 1 << 16

func newRates(perSecond int) *rates {
	return &rates{perSecond: float64(perSecond), now: time.Now, buckets: map[netip.Addr]bucket{}}
}

// take reports whether an address may make a request now.
func (r *rates) take(addr netip.Addr) bool {
	if r.perSecond == 0 {
		return true
	}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	b, known := r.buckets[addr]
	if !known && len(r.buckets) >= maxAddresses {
		r.forget(now)
	}
	b = r.filled(b, now)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	r.buckets[addr] = b
	return true
}

// filled returns a bucket as it is now; one that is new is full.
func (r *rates) filled(b bucket, now time.Time) bucket {
	most := 2 * r.perSecond
	if b.at.IsZero() {
		return bucket{most, now}
	}
	return bucket{min(most, b.tokens+now.Sub(b.at).Seconds()*r.perSecond), now}
}

func (r *rates) forget(now time.Time) {
	for addr, b := range r.buckets {
		if r.filled(b, now).tokens >= 2*r.perSecond {
			delete(r.buckets, addr)
		}
	}
	if len(r.buckets) >= maxAddresses {
		clear(r.buckets)
	}
}

// allow answers a request that comes too soon with 429, and reports whether it may go on.
func (r *rates) allow(ctx *fasthttp.RequestCtx, addr netip.Addr) bool {
	if r.take(addr) {
		return true
	}
	e := api.Errorf(fasthttp.StatusTooManyRequests, "rate", "This address makes more than %d requests a second, the limit max-rate.", int(r.perSecond))
	limit := int64(r.perSecond)
	e.Limit = &limit
	api.Refuse(ctx, e)
	return false
}
