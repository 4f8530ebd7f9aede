package metrics

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"quire/session"
	"quire/session/limits"
)

// whole makes all metrics there are, and has each one counted that has labels.
func whole(t *testing.T) map[string][]string {
	t.Helper()
	m := New(func() session.Stats { return session.Stats{} }, func() int { return 0 }, func() int { return 0 })
	ready := errors.New("not yet")
	m.Ask(Sources{Version: "1", Ready: func() error { return ready }, Disk: func() (int64, int64, int64, error) { return 1, 2, 3, nil }, AuditFailures: func() uint64 { return 4 }})
	o := m.Observer()
	o.Refused(session.CodeBusy)
	o.Opened(true)
	m.Request("/api/docs", 200, time.Second)
	m.AuthRefused("forbidden")
	m.Closed(1006)
	m.BackedUp("ok")
	m.Limited(limits.Connections)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for _, f := range families {
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		names[f.GetName()] = labels
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", f.GetName())
		}
	}
	return names
}

// TestNamespacesStayApart allows no label that could tell of somebody's documents.
func TestNamespacesStayApart(t *testing.T) {
	allowed := []string{"code", "route", "status", "limit", "resumed", "outcome", "version", "goversion"}
	for name, labels := range whole(t) {
		for _, l := range labels {
			if strings.HasPrefix(name, "quire_") && !slices.Contains(allowed, l) {
				t.Errorf("%s has the label %s", name, l)
			}
		}
	}
}

// words are those of a PromQL expression that might be metrics: not its strings, functions, labels and ranges.
func metricsIn(expr string) []string {
	expr = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring)\s*\([^)]*\)`).ReplaceAllString(expr, " ")
	return regexp.MustCompile(`\b(?:quire|go|process)_[a-z0-9_]+\b`).FindAllString(expr, -1)
}

// known checks that each metric of an expression is one of the program's.
func known(t *testing.T, names map[string][]string, where, expr string) {
	t.Helper()
	found := metricsIn(expr)
	if len(found) == 0 {
		t.Errorf("%s: no metric in %s", where, expr)
	}
	for _, name := range found {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if b, ok := strings.CutSuffix(name, suffix); ok && names[name] == nil {
				base = b
			}
		}
		if _, ok := names[base]; !ok {
			t.Errorf("%s: there is no metric %s", where, name)
		}
	}
}

// TestDashboard reads the dashboard and looks up every metric in it.
func TestDashboard(t *testing.T) {
	names := whole(t)
	data, err := os.ReadFile("../../docs/operations/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Annotations struct{ List []struct{ Expr string } }
		Panels      []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 20 {
		t.Errorf("only %d panels", len(d.Panels))
	}
	for _, a := range d.Annotations.List {
		// The collector of the process takes its start from /proc/stat, which a service does not see.
		if known(t, names, "annotations", a.Expr); strings.Contains(a.Expr, "process_start_time_seconds") {
			t.Errorf("%s is not there under systemd", a.Expr)
		}
	}
	used := map[string]bool{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			known(t, names, p.Title, target.Expr)
			for _, name := range metricsIn(target.Expr) {
				used[name] = true
			}
		}
	}
	if len(used) < 30 {
		t.Errorf("only %d metrics are shown", len(used))
	}
}

// TestAlerts reads the alert rules and looks up every metric in them.
func TestAlerts(t *testing.T) {
	names := whole(t)
	data, err := os.ReadFile("../../docs/operations/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Groups) != 1 || len(file.Groups[0].Rules) < 10 {
		t.Fatalf("%+v", file)
	}
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range file.Groups[0].Rules {
		known(t, names, r.Alert, r.Expr)
		if s := r.Labels["severity"]; s != "page" && s != "ticket" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s: %+v", r.Alert, r)
		}
		if !strings.Contains(string(page), r.Alert) {
			t.Errorf("docs/operations.md does not say what to do about %s", r.Alert)
		}
	}
}

// TestLatency asks how long something took: of the last minute, or since the last look before it.
func TestLatency(t *testing.T) {
	m := New(func() session.Stats { return session.Stats{} }, func() int { return 0 }, func() int { return 0 })
	start := m.started
	for range 99 {
		m.ack.Observe(0.001)
	}
	m.ack.Observe(1)
	l := m.acks.latency(m.ack, start, start.Add(time.Second))
	if l.Count != 100 || *l.P50 > 2 || *l.P99 > 1000 || *l.P99 < *l.P50 || l.Over != 1 {
		t.Errorf("%+v", l)
	}
	if l := m.acks.latency(m.ack, start, start.Add(30*time.Second)); l.Count != 100 || l.Over != 30 {
		t.Errorf("looked at again within a minute: %+v", l)
	}
	for range 100 {
		m.ack.Observe(0.5)
	}
	if l := m.acks.latency(m.ack, start, start.Add(2*time.Minute)); l.Count != 100 || *l.P50 < 250 || l.Over > 91 {
		t.Errorf("two minutes later: %+v", l)
	}
	if l := m.acks.latency(m.ack, start, start.Add(4*time.Minute)); l.Count != 0 || l.P50 != nil || l.Over != 120 {
		t.Errorf("when nothing happened: %+v", l)
	}
}
