package text_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"quire/ot/ottest"
	"quire/ot/text"
)

// A trace is a recorded editing session as operations that follow one another.
type trace struct {
	ops []text.Op
	end string
}

var traces = struct {
	sync.Mutex
	read map[string]trace
}{read: map[string]trace{}}

// readTrace reads a sequential trace from the folder QUIRE_TRACES names, and
// skips the test when there is none.
func readTrace(t testing.TB, name string) trace {
	t.Helper()
	folder := os.Getenv("QUIRE_TRACES")
	if folder == "" {
		t.Skipf("NOT RUN: set QUIRE_TRACES to the folder of %s.json.gz (josephg/editing-traces)", name)
	}
	traces.Lock()
	defer traces.Unlock()
	if tr, ok := traces.read[name]; ok {
		return tr
	}
	file, err := os.Open(filepath.Join(folder, name+".json.gz"))
	must(t, err)
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	must(t, err)
	var recorded struct {
		StartContent, EndContent string
		Txns                     []struct{ Patches [][3]json.RawMessage }
	}
	must(t, json.NewDecoder(unzipped).Decode(&recorded))
	if recorded.StartContent != "" {
		t.Fatalf("%s does not start from the empty document", name)
	}
	tr := trace{end: recorded.EndContent}
	d := doc(t, "")
	for _, txn := range recorded.Txns {
		for _, p := range txn.Patches {
			var at, deleted int
			var inserted string
			must(t, json.Unmarshal(p[0], &at))
			must(t, json.Unmarshal(p[1], &deleted))
			must(t, json.Unmarshal(p[2], &inserted))
			op := patch(t, d, at, deleted, inserted)
			tr.ops = append(tr.ops, op)
			d, err = d.Apply(op)
			must(t, err)
		}
	}
	traces.read[name] = tr
	return tr
}

// patch returns the operation that replaces the code points [at, at+deleted).
func patch(t testing.TB, d *text.Doc, at, deleted int, inserted string) text.Op {
	t.Helper()
	from, err := d.FromRunesToUnits(at)
	must(t, err)
	to, err := d.FromRunesToUnits(at + deleted)
	must(t, err)
	var b text.Builder
	b.Retain(from)
	b.Delete(to - from)
	b.Insert(inserted)
	op, err := b.Op()
	must(t, err)
	return op
}

// TestTraces replays real editing sessions and composes each into one operation.
func TestTraces(t *testing.T) {
	for _, name := range longTraces() {
		t.Run(name, func(t *testing.T) {
			tr := readTrace(t, name)
			d := doc(t, "")
			var err error
			for i, op := range tr.ops {
				if d, err = d.Apply(op); err != nil {
					t.Fatalf("operation %d: %v", i, err)
				}
			}
			if d.String() != tr.end {
				t.Fatal("the replay ends in another text than the recording")
			}
			if fresh := doc(t, tr.end); fresh.Checksum() != d.Checksum() || fresh.Len() != d.Len() {
				t.Fatal("the replayed document differs from a fresh one with the same text")
			}
			all, err := text.ComposeAll(tr.ops)
			must(t, err)
			if composed, err := doc(t, "").Apply(all); err != nil || composed.String() != tr.end {
				t.Fatalf("the composed session ends in another text (error %v)", err)
			}
			t.Logf("%d operations, %d units", len(tr.ops), d.Len())
		})
	}
}

// longTraces are the recorded sessions of one writer; with the race detector only the
// shorter, which has everything but length.
func longTraces() []string {
	if ottest.Race {
		return []string{"rustcode"}
	}
	return []string{"automerge-paper", "rustcode"}
}
