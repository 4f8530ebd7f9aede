package soak

import (
	"errors"
	"time"
)

func networkScenarios() []*scenario {
	return []*scenario{
		{name: "network", fault: "bad network", how: "server in a network namespace behind two tunnel devices; packets are lost (5 and 30 %), late, out of order, doubled; cut off both ways and one way, for longer than clients and server wait", short: 1, long: 20, round: 5,
			prepare: func(r *rig) (err error) {
				if r.wire, err = newWire(r.Seed); err == nil {
					r.listen = r.wire.server.String() + ":0"
					r.args = append(r.args, "--insecure-open") // it does not listen on loopback
				}
				return err
			}, run: badNetwork},
	}
}

// badNetwork goes through all weathers n times.
func badNetwork(r *rig, n int) error {
	if err := r.begin(r.people(), crewPerDoc); err != nil {
		return err
	}
	for range n {
		for _, w := range []struct {
			weather
			lasts time.Duration
		}{
			{weather{loss: 0.05, delay: 5 * time.Millisecond, jitter: 30 * time.Millisecond, repeat: 0.02}, 2 * time.Second},
			{weather{loss: 0.3, delay: 2 * time.Millisecond, jitter: 10 * time.Millisecond}, 1500 * time.Millisecond},
			{weather{cut: true}, r.between(patience, patience+2*time.Second)},
			{weather{cut: true, toLeave: true}, r.between(patience/2, patience+time.Second)},
			{weather{cut: true}, r.between(0, time.Second)},
		} {
			if r.Hasty && !w.toLeave {
				w.lasts /= 3
			}
			r.wire.set(w.weather)
			r.pause(w.lasts)
			if w.cut {
				r.wire.set(weather{})
				if err := r.everybody(); err != nil {
					return err
				}
			}
		}
	}
	if r.wire.lost.Load() == 0 {
		return errors.New("no packet was lost")
	}
	r.saw.count("packets lost", int(r.wire.lost.Load()))
	r.saw.count("packets passed", int(r.wire.passed.Load()))
	return r.everybody()
}
