package trace_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"quire/cmd/quire/bench/trace"
	"quire/ot/text"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// play applies the patches in order.
func play(t *testing.T, start string, patches []trace.Patch) string {
	t.Helper()
	d, err := text.FromString(start)
	must(t, err)
	for i := range patches {
		op, err := patches[i].Op(d)
		if err != nil {
			t.Fatalf("patch %d: %v", i, err)
		}
		if d, err = d.Apply(op); err != nil {
			t.Fatalf("patch %d: %v", i, err)
		}
	}
	return d.String()
}

const sequential = `{"startContent":"🌍b","endContent":"🌍🎉cB","txns":[
	{"time":"2020-01-01","patches":[[1,0,"🎉"],[2,1,"c"]]}, {"patches":[]}, {"patches":[[0,0,""],[3,0,"B"]]}]}`

func TestSequential(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := w.Write([]byte(sequential))
	must(t, err)
	must(t, w.Close())
	for _, data := range []string{sequential, zipped.String()} {
		tr, err := trace.Read(strings.NewReader(data))
		must(t, err)
		want := []trace.Patch{{At: 1, Inserted: "🎉"}, {At: 2, Deleted: 1, Inserted: "c"}, {At: 3, Inserted: "B"}}
		if got := tr.Sequence(); !reflect.DeepEqual(got, want) || tr.Len() != 3 || tr.Agents != 1 {
			t.Fatalf("%+v of %d agents", got, tr.Agents)
		}
		if end := play(t, tr.Start, tr.Sequence()); end != tr.End {
			t.Errorf("ends in %q, recorded %q", end, tr.End)
		}
		if seen := tr.Txns[1].Seen; seen[0] != 2 {
			t.Errorf("the second transaction had seen %v", seen)
		}
	}
}

func TestConcurrent(t *testing.T) {
	tr, err := trace.Read(strings.NewReader(`{"kind":"concurrent","endContent":"x","numAgents":3,"txns":[
		{"parents":[],"agent":0,"patches":[[0,0,"a"],[1,0,"b"]]},
		{"parents":[],"agent":1,"patches":[[0,0,"c"]]},
		{"parents":[1],"agent":2,"patches":[]},
		{"parents":[0],"agent":0,"patches":[[0,1,""]]},
		{"parents":[0,2],"agent":1,"patches":[[0,0,"d"]]},
		{"parents":[3,4],"agent":2,"patches":[[0,0,"e"]]}]}`))
	must(t, err)
	var got string
	for _, x := range tr.Txns {
		got += fmt.Sprintf("%d:%d%v ", x.Agent, len(x.Patches), x.Seen)
	}
	if want := "0:2[0 0 0] 1:1[0 0 0] 0:1[2 0 0] 1:1[2 1 0] 2:1[3 2 0] "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRefused(t *testing.T) {
	for name, data := range map[string]string{
		"no JSON":               `txns`,
		"empty":                 ``,
		"no transactions":       `{"txns":[]}`,
		"nothing happens":       `{"txns":[{"patches":[[0,0,""]]}]}`,
		"short patch":           `{"txns":[{"patches":[[0,0]]}]}`,
		"long patch":            `{"txns":[{"patches":[[0,0,"a",1]]}]}`,
		"negative position":     `{"txns":[{"patches":[[-1,0,"a"]]}]}`,
		"negative deletion":     `{"txns":[{"patches":[[0,-1,"a"]]}]}`,
		"wrong types":           `{"txns":[{"patches":[["a",0,0]]}]}`,
		"unknown agent":         `{"kind":"concurrent","numAgents":1,"txns":[{"agent":1,"patches":[[0,0,"a"]]}]}`,
		"no agents":             `{"kind":"concurrent","txns":[{"patches":[[0,0,"a"]]}]}`,
		"parent of itself":      `{"kind":"concurrent","numAgents":2,"txns":[{"parents":[0],"patches":[[0,0,"a"]]}]}`,
		"forgets what it typed": `{"kind":"concurrent","numAgents":2,"txns":[{"agent":1,"patches":[[0,0,"a"]]},{"agent":1,"patches":[[0,0,"a"]]}]}`,
		"zipped, cut short":     "\x1f\x8b\x08",
	} {
		if tr, err := trace.Read(strings.NewReader(data)); err == nil {
			t.Errorf("%s: %+v", name, tr)
		}
	}
	if _, err := trace.ReadFile(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestSynthetic(t *testing.T) {
	tr := trace.Synthetic(20_000, 7)
	if tr.Len() != 20_000 || play(t, "", tr.Sequence()) != tr.End {
		t.Fatal("the patches do not end in End")
	}
	if !reflect.DeepEqual(tr, trace.Synthetic(20_000, 7)) || tr.End == trace.Synthetic(20_000, 8).End {
		t.Error("a seed does not name one session")
	}
	jumps, deletions := 0, 0
	patches := tr.Sequence()
	for i := range patches[1:] {
		if d := patches[i+1].At - patches[i].At; d < -1 || d > 1 {
			jumps++
		}
		deletions += patches[i].Deleted
	}
	if jumps < 100 || deletions < 500 {
		t.Errorf("%d jumps and %d deletions are not like typing", jumps, deletions)
	}
}

// TestRecorded reads the public collection's files.
func TestRecorded(t *testing.T) {
	folder := os.Getenv("QUIRE_TRACES")
	if folder == "" {
		t.Skip("NOT RUN: set QUIRE_TRACES to the folder of automerge-paper.json.gz and others (josephg/editing-traces)")
	}
	for _, c := range []struct {
		name            string
		patches, agents int
	}{{"automerge-paper", 259_778, 1}, {"rustcode", 40_173, 1}, {"friendsforever.concurrent", 26_078, 2}} {
		tr, err := trace.ReadFile(filepath.Join(folder, c.name+".json.gz"))
		must(t, err)
		if tr.Len() != c.patches || tr.Agents != c.agents {
			t.Errorf("%s: %d patches of %d agents", c.name, tr.Len(), tr.Agents)
		}
		if tr.Agents == 1 && play(t, tr.Start, tr.Sequence()) != tr.End {
			t.Errorf("%s does not end as recorded", c.name)
		}
	}
}
