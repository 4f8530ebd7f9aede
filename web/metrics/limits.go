package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"quire/session/limits"
)

// limited is what is counted of limits.
type limited struct {
	refusals map[limits.Name]prometheus.Counter // not changed any more
	slowed   prometheus.Histogram
}

func newLimited(registry *prometheus.Registry) limited {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "quire", Name: "limit_refusals_total", Help: "What was refused because of a limit, by its name."}, []string{"limit"})
	l := limited{
		refusals: map[limits.Name]prometheus.Counter{},
		slowed: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "quire", Name: "slowed_seconds",
			Help: "Time for which clients that went faster than a rate were held up instead of refused.", Buckets: prometheus.ExponentialBuckets(1e-3, 2, 10)}),
	}
	for _, name := range limits.All() {
		l.refusals[name] = vec.WithLabelValues(string(name))
	}
	registry.MustRegister(vec, l.slowed)
	return l
}

// Limited counts what was refused because of a limit.
func (m *Metrics) Limited(name limits.Name) {
	if c := m.limited.refusals[name]; c != nil {
		c.Inc()
	}
}

// Slowed records for how long a client was held up.
func (m *Metrics) Slowed(d time.Duration) { m.limited.slowed.Observe(d.Seconds()) }
