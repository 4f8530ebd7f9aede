package metrics

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are what the metrics of the server as a whole are asked from at each scrape.
type Sources struct {
	// Version is the program's version.
	Version string
	// Ready says why the server cannot do its work; nil when it can.
	Ready func() error
	// Disk returns the bytes of the data file, and those that its file system has free and in
	// all.
	Disk func() (file, free, total int64, err error)
	// AuditFailures returns how many events the audit log could not take.
	AuditFailures func() uint64
}

// server is what is counted of the server as a whole.
type server struct {
	authRefusals, closes, opens *prometheus.CounterVec
	backups                     *prometheus.CounterVec
	lastBackup                  prometheus.Gauge
}

func newServer(registry *prometheus.Registry) server {
	vec := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "quire", Name: name, Help: help}, []string{label})
		registry.MustRegister(c)
		return c
	}
	s := server{
		authRefusals: vec("auth_refusals_total", "What was refused for want of a credential or a right, by error code.", "code"),
		closes:       vec("connection_closes_total", "WebSocket connections that ended, by close code; 1006 is one without.", "code"),
		opens:        vec("opens_total", "Documents opened on connections, by whether the client came back to where it was.", "resumed"),
		backups:      vec("backups_total", "Copies of all data that were asked for, by outcome: ok or an error code.", "outcome"),
		lastBackup:   prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "quire", Name: "last_backup_timestamp_seconds", Help: "When this process made a copy of all data last; 0 when it has made none."}),
	}
	registry.MustRegister(s.lastBackup)
	for _, code := range []string{"unauthenticated", "forbidden", "not_found"} {
		s.authRefusals.WithLabelValues(code)
	}
	return s
}

// Ask has the metrics of the server as a whole asked from its parts. Call it once.
func (m *Metrics) Ask(from Sources) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "quire", Name: name, Help: help}, value))
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "quire", Name: "build_info", Help: "Always 1; the labels say what runs."}, []string{"version", "goversion"})
	info.WithLabelValues(from.Version, runtime.Version()).Set(1)
	m.registry.MustRegister(info)
	gauge("ready", "1 when the server can do its work, as /readyz says, else 0.", func() float64 {
		if from.Ready() != nil {
			return 0
		}
		return 1
	})
	disk := func(pick func(file, free, total int64) int64) func() float64 {
		return func() float64 {
			file, free, total, err := from.Disk()
			if err != nil {
				return -1
			}
			return float64(pick(file, free, total))
		}
	}
	gauge("data_file_bytes", "Size of the data file; -1 when it cannot be told.", disk(func(file, _, _ int64) int64 { return file }))
	gauge("disk_free_bytes", "Bytes that the file system of the data has left for the server; -1 when it cannot be told.", disk(func(_, free, _ int64) int64 { return free }))
	gauge("disk_total_bytes", "Size of the file system of the data; -1 when it cannot be told.", disk(func(_, _, total int64) int64 { return total }))
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "quire", Name: "audit_failures_total", Help: "Events that could not be written to the audit log."},
		func() float64 { return float64(from.AuditFailures()) }))
}

// AuthRefused counts what was refused for want of a credential or a right, by the error's code.
func (m *Metrics) AuthRefused(code string) { m.server.authRefusals.WithLabelValues(code).Inc() }

// Closed counts a WebSocket connection that ended with a close code.
func (m *Metrics) Closed(code int) {
	label := "other" // peers may say what they like
	if 1000 <= code && code <= 1015 || 4400 <= code && code <= 4499 && code%100 < 30 {
		label = strconv.Itoa(code)
	}
	m.server.closes.WithLabelValues(label).Inc()
}

// BackedUp counts a copy of all data, by its outcome: ok or an error's code.
func (m *Metrics) BackedUp(outcome string) {
	m.server.backups.WithLabelValues(outcome).Inc()
	if outcome == "ok" {
		m.server.lastBackup.Set(float64(time.Now().Unix()))
	}
}

// opened counts a document that was opened on a connection.
func (m *Metrics) opened(resumed bool) {
	m.server.opens.WithLabelValues(strconv.FormatBool(resumed)).Inc()
}
