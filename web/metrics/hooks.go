package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// hooks is what is counted of webhooks.
type hooks struct {
	events, failures, dead prometheus.Counter
	took                   prometheus.Histogram
}

func newHooks(registry *prometheus.Registry) hooks {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "quire", Subsystem: "hooks", Name: name, Help: help})
		registry.MustRegister(c)
		return c
	}
	h := hooks{
		events:   counter("events_total", "Events that receivers of webhooks took."),
		failures: counter("failures_total", "Requests to receivers of webhooks that were refused or not answered."),
		dead:     counter("dead_letters_total", "Deliveries to receivers of webhooks that were given up."),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "quire", Subsystem: "hooks", Name: "request_seconds",
			Help: "Time that receivers of webhooks needed to take a request.", Buckets: prometheus.ExponentialBuckets(1e-3, 2, 14)}),
	}
	registry.MustRegister(h.took)
	return h
}

// HookDelivered counts events that a receiver took in one request.
func (m *Metrics) HookDelivered(events int, took time.Duration) {
	m.hooks.events.Add(float64(events))
	m.hooks.took.Observe(took.Seconds())
}

// HookFailed counts a request that will be repeated.
func (m *Metrics) HookFailed() { m.hooks.failures.Inc() }

// HookDead counts a delivery that was given up.
func (m *Metrics) HookDead() { m.hooks.dead.Inc() }
