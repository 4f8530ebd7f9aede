package metrics

import (
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Latency is how long something took lately.
type Latency struct {
	// Over is the span that is looked at, in seconds.
	Over float64 `json:"over_seconds"`
	// Count is how often it happened.
	Count uint64 `json:"count"`
	// P50 and P99 are how long it took at most, in milliseconds, in so many of 100 cases,
	// estimated from a histogram; null when it did not happen.
	P50 *float64 `json:"p50_ms"`
	P99 *float64 `json:"p99_ms"`
}

// Latencies are those of edits.
type Latencies struct {
	// Acknowledge is from the receipt of an edit until its author is told that it is safe,
	// Deliver until it is handed to a reader's connection, Append the part of the disk.
	Acknowledge Latency `json:"acknowledge"`
	Deliver     Latency `json:"deliver"`
	Append      Latency `json:"append"`
}

// Latency returns how long edits took in about the last minute, or, if that is longer, since it was
// asked last before that; since the start when it was not.
func (m *Metrics) Latency() Latencies {
	now := time.Now()
	return Latencies{m.acks.latency(m.ack, m.started, now), m.delivers.latency(m.deliver, m.started, now), m.appends.latency(m.sync, m.started, now)}
}

// recent remembers what a histogram had counted at earlier moments.
type recent struct {
	mu     sync.Mutex
	points []point // guarded by mu; oldest first
}

// point is what a histogram had counted at a time.
type point struct {
	at     time.Time
	counts []uint64 // cumulative, by bucket, the last one everything
	bounds []float64
}

const (
	recentSpan = time.Minute
	// recentStep is the least time between two points that are kept.
	recentStep = time.Second
)

func (r *recent) latency(h prometheus.Histogram, started, now time.Time) Latency {
	to := read(h, now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.points) == 0 {
		r.points = []point{{at: started, counts: make([]uint64, len(to.counts))}}
	}
	for len(r.points) > 1 && now.Sub(r.points[1].at) >= recentSpan {
		r.points = r.points[1:]
	}
	from := r.points[0]
	if now.Sub(r.points[len(r.points)-1].at) >= recentStep {
		r.points = append(r.points, to)
	}
	counts := make([]uint64, len(to.counts))
	for i := range counts {
		counts[i] = to.counts[i] - from.counts[i]
	}
	l := Latency{Over: math.Round(now.Sub(from.at).Seconds()), Count: counts[len(counts)-1]}
	if l.Count > 0 {
		p50, p99 := 1000*quantile(0.5, to.bounds, counts), 1000*quantile(0.99, to.bounds, counts)
		l.P50, l.P99 = &p50, &p99
	}
	return l
}

func read(h prometheus.Histogram, now time.Time) point {
	var m dto.Metric
	_ = h.Write(&m) // fails for no histogram
	p := point{at: now}
	for _, b := range m.GetHistogram().GetBucket() {
		p.bounds = append(p.bounds, b.GetUpperBound())
		p.counts = append(p.counts, b.GetCumulativeCount())
	}
	p.counts = append(p.counts, m.GetHistogram().GetSampleCount())
	return p
}

// quantile estimates a quantile of what was counted, linearly within a bucket as
// Prometheus does; what is past the last bound counts as that bound.
func quantile(q float64, bounds []float64, counts []uint64) float64 {
	total := counts[len(counts)-1]
	rank := q * float64(total)
	below, lower := 0.0, 0.0
	for i, upper := range bounds {
		upTo := float64(counts[i])
		if upTo >= rank && upTo > below {
			v := lower + (upper-lower)*(rank-below)/(upTo-below)
			return math.Round(v*1e6) / 1e6
		}
		below, lower = upTo, upper
	}
	return lower
}
