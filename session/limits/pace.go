package limits

import (
	"context"
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
	rate Rate
	lim  *rate.Limiter
}

// NewPace makes a Pace, full at first; nil for a Rate without a bound.
func NewPace(r Rate) *Pace {
	if r.PerSecond <= 0 {
		return nil
	}
	if r.Burst <= 0 {
		r.Burst = 2 * r.PerSecond
	}
	return &Pace{r, rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)}
}

// Rate returns what it was made with, the burst as it is.
func (p *Pace) Rate() Rate {
	if p == nil {
		return Rate{}
	}
	return p.rate
}

// Allow takes one at a time if it can be had at once.
func (p *Pace) Allow(now time.Time) bool { return p == nil || p.lim.AllowN(now, 1) }

// full reports whether nothing is known of it that a new one would not have.
func (p *Pace) full(now time.Time) bool { return p.lim.TokensAt(now) >= float64(p.rate.Burst) }

// Take takes n from each of several at a time, and returns how long to wait until they may be used.
// When that is more than MaxWait it takes nothing of the Pace that is the reason, which it returns, and
// what it took of those before it is spent.
func Take(now time.Time, n int, paces ...*Pace) (wait time.Duration, over *Pace) {
	for _, p := range paces {
		if p == nil || p.lim.AllowN(now, n) {
			continue
		}
		r := p.lim.ReserveN(now, n)
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
