package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var built struct {
	sync.Once
	folder, exe string
	err         error
}

// program builds the real command and returns its path.
func program(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT RUN with -short: it builds and runs the real program")
	}
	built.Do(func() {
		if built.folder, built.err = os.MkdirTemp("", "quire-bench-test-"); built.err != nil {
			return
		}
		built.exe = filepath.Join(built.folder, "quire")
		if runtime.GOOS == "windows" {
			built.exe += ".exe"
		}
		var out []byte
		if out, built.err = exec.Command("go", "build", "-o", built.exe, "quire/cmd/quire").CombinedOutput(); built.err != nil {
			built.err = fmt.Errorf("%w: %s", built.err, out)
		}
	})
	must(t, built.err)
	return built.exe
}

// clean checks that a run left no files and no processes behind.
func clean(t *testing.T, exe, root string) {
	t.Helper()
	left, err := os.ReadDir(root)
	if err != nil || len(left) > 0 {
		t.Errorf("%v were left behind, error %v", left, err)
	}
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == exe {
			t.Errorf("process %s still runs", l)
		}
	}
}

// line is what --json writes for a target.
type jsonLine struct {
	Kind, What, Machine, Target string
	Figures                     map[string]float64
}

// measure runs the real program and returns what it measured, by target.
func measure(t *testing.T, args ...string) map[string]map[string]float64 {
	t.Helper()
	exe, root := program(t), t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, append(append([]string{"bench"}, args...), "--json", "--data-root", root)...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, errOut.String())
	}
	clean(t, exe, root)
	got := map[string]map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var l jsonLine
		must(t, json.Unmarshal(lines.Bytes(), &l))
		if l.Kind != args[0] || l.What == "" || !strings.Contains(l.Machine, runtime.Version()) {
			t.Errorf("%s", lines.Bytes())
		}
		got[l.Target] = l.Figures
	}
	return got
}

// all are the targets of a run that compares.
var all = []string{"quire", "raw, per frame", "raw, per wakeup"}

// above checks that figures of each target are more than 0.
func above(t *testing.T, got map[string]map[string]float64, targets []string, keys ...string) {
	t.Helper()
	if len(got) != len(targets) {
		t.Errorf("%d targets, want %v", len(got), targets)
	}
	for _, name := range targets {
		for _, k := range keys {
			if got[name][k] <= 0 {
				t.Errorf("%s: %s is %v", name, k, got[name][k])
			}
		}
	}
}

// counted is measure for what is counted in a fraction of a second. When the machine did something else meanwhile there
// is too little to see: then again, for a minute.
func counted(t *testing.T, enough func(name string, f map[string]float64) bool, args ...string) (got map[string]map[string]float64) {
	t.Helper()
	args = append(args, "--warm-up", "50ms", "--duration", "300ms")
	for end := time.Now().Add(time.Minute); ; {
		got = measure(t, args...)
		little := ""
		for name, f := range got {
			if f["operations_per_second"] <= 0 || f["deliveries_per_second"] <= 0 || !enough(name, f) {
				little = name
			}
		}
		if little == "" || time.Now().After(end) {
			return got
		}
		t.Logf("again: %s: %v", little, got[little])
	}
}

func TestProgramHot(t *testing.T) {
	delivered := func(_ string, f map[string]float64) bool {
		return f["deliveries_per_second"] >= f["operations_per_second"]
	}
	got := counted(t, delivered, "hot", "--writers", "3", "--run", "2")
	above(t, got, all, "operations_per_second", "acknowledged_p50", "acknowledged_p99", "server_memory")
	for name, f := range got {
		if f["connections"] != 3 || !delivered(name, f) {
			t.Errorf("%s: %v", name, f)
		}
	}
}

func TestProgramFanout(t *testing.T) {
	delivered := func(name string, f map[string]float64) bool { // those of the end are still on their way
		return name != "quire" || f["deliveries_per_second"] >= 3*f["operations_per_second"]
	}
	got := counted(t, delivered, "fanout", "--readers", "5", "--run", "8", "--window", "2")
	above(t, got, all, "operations_per_second", "deliveries_per_second")
	if q := got["quire"]; !delivered("quire", q) {
		t.Errorf("%v", q)
	}
}

func TestProgramMany(t *testing.T) {
	some := func(string, map[string]float64) bool { return true }
	above(t, counted(t, some, "many", "--docs", "4"), all, "operations_per_second", "deliveries_per_second")
}

func TestProgramIdle(t *testing.T) {
	above(t, measure(t, "idle", "--connections", "20", "--settle", "400ms"), all, "server_memory", "connections")
}

func TestProgramCatchup(t *testing.T) {
	got := measure(t, "catchup", "--edits", "30000", "--times", "2")
	above(t, got, all[:1], "caught_up_best", "received", "changed_text")
}

func TestProgramOpen(t *testing.T) {
	got := measure(t, "open", "--revisions", "3000", "--times", "1")
	above(t, got, all[:1], "opened_from_cold_best", "opened_from_cold_and_from_disk_best", "opened_from_memory_best")
}

func TestProgramHistory(t *testing.T) {
	got := measure(t, "history", "--revisions", "5000", "--times", "2", "--reads", "20")
	above(t, got, all[:1], "data_file_compacted", "of_it_sealed_history", "old_revision_read_cold_p50", "old_revision_read_warm_p99", "revision_found_by_time_p99")
}

// write makes a trace's file.
func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "trace.json")
	must(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func TestProgramReplaySequential(t *testing.T) {
	name := write(t, `{"startContent":"🌍b","endContent":"🌍🎉cB","txns":[{"patches":[[1,0,"🎉"],[2,1,"c"]]},{"patches":[[3,0,"B"]]}]}`)
	got := measure(t, "replay", name, "--in-flight", "2")
	above(t, got, all, "seconds", "operations_per_second")
	above(t, map[string]map[string]float64{"quire": got["quire"]}, all[:1], "data_on_disk", "runs")
}

func TestProgramReplayConcurrent(t *testing.T) {
	// Both type at once, at two places; then one goes on behind the other's text.
	name := write(t, `{"kind":"concurrent","startContent":"","endContent":"1a2b3!","numAgents":2,"txns":[
		{"parents":[],"agent":0,"patches":[[0,0,"a"],[1,0,"b"]]},
		{"parents":[0],"agent":0,"patches":[[0,0,"1"]]},
		{"parents":[0],"agent":1,"patches":[[1,0,"2"]]},
		{"parents":[2],"agent":1,"patches":[[3,0,"3"]]},
		{"parents":[1,3],"agent":0,"patches":[[5,0,"!"]]}]}`)
	above(t, measure(t, "replay", name), all[:1], "seconds", "runs")
	wrong := write(t, `{"endContent":"b","txns":[{"patches":[[0,0,"a"]]}]}`)
	out, err := exec.Command(program(t), "bench", "replay", wrong, "--data-root", t.TempDir()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "differs") {
		t.Errorf("a replay that ends otherwise: %v, %s", err, out)
	}
}

// TestProgramReplayRecorded replays two people who typed at once.
func TestProgramReplayRecorded(t *testing.T) {
	folder := os.Getenv("QUIRE_TRACES")
	if folder == "" {
		t.Skip("NOT RUN: set QUIRE_TRACES to the folder of friendsforever.concurrent.json.gz (josephg/editing-traces)")
	}
	above(t, measure(t, "replay", filepath.Join(folder, "friendsforever.concurrent.json.gz")), all[:1], "seconds", "runs")
}

// TestProgramInterrupted interrupts a measurement, and expects it to clean up.
func TestProgramInterrupted(t *testing.T) {
	exe, root := program(t), t.TempDir()
	cmd := exec.Command(exe, "bench", "hot", "--writers", "2", "--duration", "10m", "--data-root", root)
	pipe, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	said := bufio.NewReader(pipe)
	line, err := said.ReadString('\n') // it measures now
	if err != nil || !strings.HasPrefix(line, "measuring quire at http://") {
		t.Errorf("it said %q, error %v", line, err)
	}
	must(t, cmd.Process.Signal(os.Interrupt))
	rest := new(bytes.Buffer)
	_, _ = rest.ReadFrom(said)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(rest.String(), "interrupted") {
		t.Errorf("it ended with %v and said %q", err, rest)
	}
	clean(t, exe, root)
}

// nobody are the credentials of an environment without any.
var nobody = Credentials{Token: func(string) (string, error) { return "", nil }}

func TestUsage(t *testing.T) {
	for _, args := range []string{"", "tepid", "hot --writers 0", "hot --writers many", "hot --duration -1s", "hot more", "raw --per minute", "replay", "replay --raw=false", "hot --token-file x", "idle --settle 0s"} {
		var out bytes.Buffer
		var usage UsageError
		if err := Run(t.Context(), strings.Fields(args), nobody, &out, &out); !errors.As(err, &usage) {
			t.Errorf("%q: %v", args, err)
		}
	}
	var out bytes.Buffer
	if err := Run(t.Context(), []string{"help"}, nobody, &out, &out); err != nil {
		t.Error(err)
	}
	for _, k := range kindsOf() {
		if !strings.Contains(out.String(), k.name) {
			t.Errorf("help does not tell of %s", k.name)
		}
	}
}
