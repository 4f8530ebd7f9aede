// Package metrics collects what the server does, for Prometheus.
package metrics

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"quire/session"
)

// Metrics is the set of a server's metrics. Safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	count    atomic.Uint64 // messages, as the counter of that name, to be read

	operations, submissions               prometheus.Counter
	refusals                              *prometheus.CounterVec
	writeFailures, composed               prometheus.Counter
	sent, received, messages              prometheus.Counter
	requests                              *prometheus.CounterVec
	requestSeconds                        *prometheus.HistogramVec
	batch, sync, ack, deliver, load       prometheus.Histogram
	commitAppends, commitRecords, commits prometheus.Histogram
	hooks                                 hooks
	server                                server
	acks, delivers, appends               recent
	started                               time.Time
	limited                               limited
}

// New makes the metrics. stats, conns and streams are asked at each scrape.
func New(stats func() session.Stats, conns, streams func() int) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), started: time.Now()}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "quire", Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "quire", Name: name, Help: help, Buckets: buckets})
		m.registry.MustRegister(h)
		return h
	}
	gauge := func(name, help string, value func(session.Stats) int) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "quire", Name: name, Help: help},
			func() float64 { return float64(value(stats())) }))
	}
	seconds := prometheus.ExponentialBuckets(50e-6, 2, 18) // 50 µs to 6.5 s
	counts := prometheus.ExponentialBuckets(1, 2, 14)      // 1 to 8192

	gauge("sessions", "Documents in memory.", func(s session.Stats) int { return s.Sessions })
	gauge("subscriptions", "Documents open on connections.", func(s session.Stats) int { return s.Subscriptions })
	gauge("unsaved_documents", "Documents with edits that are not on disk yet.", func(s session.Stats) int { return s.Unsaved })
	gauge("session_memory_bytes", "Memory of open documents, as estimated.", func(s session.Stats) int { return s.Memory })
	gauge("failing_documents", "Documents whose edits the store refuses at the moment.", func(s session.Stats) int { return s.Failing })
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "quire", Name: "connections", Help: "Open WebSocket connections."},
			func() float64 { return float64(conns()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "quire", Name: "http_streams", Help: "HTTP answers without a fixed length under way."},
			func() float64 { return float64(streams()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "quire", Name: "start_time_seconds", Help: "When this process opened the data, in seconds since 1970."},
			func() float64 { return float64(m.started.UnixMilli()) / 1000 }),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "quire", Name: "refusals_total", Help: "Requests refused, by error code."}, []string{"code"})
	m.registry.MustRegister(m.refusals)
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "quire", Name: "http_requests_total", Help: "HTTP requests answered, by route and class of status."}, []string{"route", "status"})
	m.requestSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "quire", Name: "http_request_seconds", Help: "Time from having an HTTP request until its answer, or the beginning of a stream, was made, by route.", Buckets: prometheus.ExponentialBuckets(100e-6, 4, 10)}, []string{"route"})
	m.registry.MustRegister(m.requests, m.requestSeconds)
	m.operations = counter("operations_total", "Operations committed.")
	m.submissions = counter("submissions_total", "Submissions committed.")
	m.writeFailures = counter("write_failures_total", "Appends and snapshots that failed and were tried again.")
	m.composed = counter("composed_operations_total", "Operations that readers received inside composed ones.")
	m.sent = counter("sent_bytes_total", "Bytes written to WebSocket connections.")
	m.received = counter("received_bytes_total", "Bytes of messages received, after decompression.")
	m.messages = counter("received_messages_total", "Messages received.")
	m.batch = histogram("document_batch_operations", "Operations committed together in one document.", counts)
	m.sync = histogram("append_seconds", "Time from handing a batch to the store until it was durable.", seconds)
	m.ack = histogram("edit_to_acknowledge_seconds", "Time from receiving a submission until it was durable and published.", seconds)
	m.deliver = histogram("edit_to_deliver_seconds", "Time from receiving a submission until it was handed to a reader's connection.", seconds)
	m.load = histogram("load_seconds", "Time to read a document into memory.", seconds)
	m.commits = histogram("commit_seconds", "Time that one commit of the store spent writing and syncing.", seconds)
	m.commitAppends = histogram("commit_appends", "Appends in one commit of the store.", counts)
	m.commitRecords = histogram("commit_records", "Operations in one commit of the store.", counts)
	m.hooks = newHooks(m.registry)
	m.server = newServer(m.registry)
	m.limited = newLimited(m.registry)
	return m
}

// Observer returns what a session.Manager reports to.
func (m *Metrics) Observer() session.Observer {
	return session.Observer{
		Committed: func(submissions, operations int, took time.Duration) {
			m.submissions.Add(float64(submissions))
			m.operations.Add(float64(operations))
			m.batch.Observe(float64(operations))
			m.sync.Observe(took.Seconds())
		},
		Acknowledged: func(d time.Duration) { m.ack.Observe(d.Seconds()) },
		Refused:      func(code session.Code) { m.refusals.WithLabelValues(string(code)).Inc() },
		WriteFailed:  m.writeFailures.Inc,
		Composed:     func(n int) { m.composed.Add(float64(n)) },
		Loaded:       func(d time.Duration) { m.load.Observe(d.Seconds()) },
		Opened:       m.opened,
		Limited:      m.Limited,
		Slowed:       m.Slowed,
	}
}

// Request records an HTTP request: its route, one of a fixed set, and its status.
func (m *Metrics) Request(route string, status int, took time.Duration) {
	if route == "" {
		route = "other"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status/100)+"xx").Inc()
	m.requestSeconds.WithLabelValues(route).Observe(took.Seconds())
}

// Commit records one commit of the store.
func (m *Metrics) Commit(appends, records int, took time.Duration) {
	m.commits.Observe(took.Seconds())
	m.commitAppends.Observe(float64(appends))
	m.commitRecords.Observe(float64(records))
}

// Delivered records how long an edit took until it was handed to a reader's connection.
func (m *Metrics) Delivered(d time.Duration) { m.deliver.Observe(d.Seconds()) }

// Sent counts bytes written.
func (m *Metrics) Sent(n int) { m.sent.Add(float64(n)) }

// Received counts a message and its bytes.
func (m *Metrics) Received(n int) {
	m.received.Add(float64(n))
	m.messages.Inc()
	m.count.Add(1)
}

// Messages returns how many messages were received.
func (m *Metrics) Messages() uint64 { return m.count.Load() }

// Handler serves the metrics in the formats Prometheus asks for.
func (m *Metrics) Handler() fasthttp.RequestHandler {
	return fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry}))
}
