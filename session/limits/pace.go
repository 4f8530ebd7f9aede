package limits

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how often something may happen. The zero value is as often as one likes.
type Rate struct {
	// Name is the limit's.
	Name Name
	// PerSecond is how often in the long run; 0 for no bound.
	PerSecond int
	// Burst is how often at once, after a pause. Default: twice PerSecond.
	Burst int
}

// MaxWait is how long somebody is held up who comes too soon. Who would have to wait longer is
// refused.
const MaxWait = 500 * time.Millisecond

// Pace lets something happen at a Rate. Nil is a Pace without a bound. Safe for concurrent use.
type Pace struct {
	rate *Rate
	lim  atomic.Pointer[rate.Limiter] // nil until something happened: most never need it
}

// NewPace makes a Pace, full at first, of a Rate, which it keeps and which is not to be changed; nil for
// one without a bound.
func NewPace(r *Rate) *Pace {
	if r.PerSecond <= 0 {
		return nil
	}
	return &Pace{rate: r}
}

// burst returns how often it may happen at once.
func (r *Rate) burst() int {
	if r.Burst <= 0 {
		return 2 * r.PerSecond
	}
	return r.Burst
}

// limiter returns what keeps count, made at the first call.
func (p *Pace) limiter() *rate.Limiter {
	if lim := p.lim.Load(); lim != nil {
		return lim
	}
	p.lim.CompareAndSwap(nil, rate.NewLimiter(rate.Limit(p.rate.PerSecond), p.rate.burst()))
	return p.lim.Load()
}

// Rate returns what it was made with.
func (p *Pace) Rate() Rate {
	if p == nil {
		return Rate{}
	}
	return *p.rate
}

// Allow takes one at a time if it can be had at once.
func (p *Pace) Allow(now time.Time) bool { return p == nil || p.limiter().AllowN(now, 1) }

// full reports whether nothing is known of it that a new one would not have.
func (p *Pace) full(now time.Time) bool {
	lim := p.lim.Load()
	return lim == nil || lim.TokensAt(now) >= float64(lim.Burst())
}

// Take takes n from each of several at a time, and returns how long to wait until they may be used.
// When that is more than MaxWait it takes nothing of the Pace that is the reason, which it returns, and
// what it took of those before it is spent.
func Take(now time.Time, n int, paces ...*Pace) (wait time.Duration, over *Pace) {
	for _, p := range paces {
		if p == nil || p.limiter().AllowN(now, n) {
			continue
		}
		r := p.limiter().ReserveN(now, n)
		d := r.DelayFrom(now)
		if d > MaxWait { // also when n is more than the burst
			r.CancelAt(now)
			return 0, p
		}
		wait = max(wait, d)
	}
	return wait, nil
}

// Wait waits, unless a or b ends before.
func Wait(d time.Duration, a, b context.Context) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-a.Done():
	case <-b.Done():
	}
}
