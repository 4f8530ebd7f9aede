package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"time"
)

// figure is one thing that was measured.
type figure struct {
	key   string // words joined by underscores
	unit  string // as people write it; may be empty
	value float64
}

// result is what was measured of one target.
type result struct {
	target  string
	figures []figure
}

func (r *result) add(key, unit string, value float64) {
	r.figures = append(r.figures, figure{key, unit, value})
}

// latency adds the quantiles of a histogram in milliseconds.
func (r *result) latency(of string, h *histogram) {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	r.add(of+"_p50", "ms", ms(h.quantile(0.5)))
	r.add(of+"_p99", "ms", ms(h.quantile(0.99)))
	r.add(of+"_max", "ms", ms(h.max))
}

// value returns a figure by its key.
func (r *result) value(key string) (float64, bool) {
	for _, f := range r.figures {
		if f.key == key {
			return f.value, true
		}
	}
	return 0, false
}

// report is what a run of a benchmark says.
type report struct {
	kind    string
	what    string // a sentence: what was done
	machine string
	ratio   string // the figure whose ratios to the broadcaster count; may be empty
	results []*result
}

// text writes a table: a line per figure, a column per target.
func (r *report) text(out io.Writer) {
	fmt.Fprintf(out, "%s\n%s\n\n", r.what, r.machine)
	var keys []figure
	for _, res := range r.results {
		for _, f := range res.figures {
			known := false
			for _, k := range keys {
				known = known || k.key == f.key
			}
			if !known {
				keys = append(keys, f)
			}
		}
	}
	fmt.Fprintf(out, "%-42s", "")
	for _, res := range r.results {
		fmt.Fprintf(out, " %18s", res.target)
	}
	fmt.Fprintln(out)
	for _, k := range keys {
		name := strings.ReplaceAll(k.key, "_", " ")
		if k.unit != "" {
			name += " (" + k.unit + ")"
		}
		fmt.Fprintf(out, "%-42s", name)
		for _, res := range r.results {
			cell := "-"
			if v, ok := res.value(k.key); ok {
				cell = show(v)
			}
			fmt.Fprintf(out, " %18s", cell)
		}
		fmt.Fprintln(out)
	}
	first, ok := r.results[0].value(r.ratio)
	for _, res := range r.results[1:] {
		if v, there := res.value(r.ratio); ok && there && v > 0 {
			fmt.Fprintf(out, "%s, %s to %s: %.2f\n", strings.ReplaceAll(r.ratio, "_", " "), r.results[0].target, res.target, first/v)
		}
	}
}

// show writes a number with four significant digits, and groups of thousands.
func show(v float64) string {
	if math.Abs(v) < 1000 {
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.*f", max(0, 3-int(math.Floor(math.Log10(max(math.Abs(v), 0.001))))), v), "0"), ".")
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// lines writes each result as a JSON object on a line.
func (r *report) lines(out io.Writer) error {
	enc := json.NewEncoder(out)
	for _, res := range r.results {
		figures := map[string]float64{}
		for _, f := range res.figures {
			figures[f.key] = f.value
		}
		err := enc.Encode(struct {
			Kind    string             `json:"kind"`
			What    string             `json:"what"`
			Machine string             `json:"machine"`
			Target  string             `json:"target"`
			Figures map[string]float64 `json:"figures"`
		}{r.kind, r.what, r.machine, res.target, figures})
		if err != nil {
			return err
		}
	}
	return nil
}

// machine describes what the benchmark runs on.
func machine() string {
	model := runtime.GOARCH
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	n := len(cpus())
	if n == 0 {
		n = runtime.NumCPU()
	}
	return fmt.Sprintf("%s, %d CPUs, %s, %s", model, n, runtime.GOOS, runtime.Version())
}
