package bench

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"testing"

	"quire/ot/text"
	"quire/session"
	"quire/web/quirev1"
)

// nasty are texts that look like marks.
var nasty = []string{"a", `"op":`, `{"n":7,`, `"ops":[`, `"rev":9`, `"c":"ownown12","s":4`, `\`, `\"`, "naïve 🌍\n", "}]}"}

// randomOps makes an ops message that is as a server would send it.
func randomOps(r *rand.Rand) *quirev1.ServerMessage {
	m := &quirev1.ServerMessage{T: "ops", Doc: nasty[r.IntN(len(nasty))], Rev: session.Revision(1 + r.Int64N(1<<40))}
	for range 1 + r.IntN(20) {
		var b text.Builder
		b.Retain(r.IntN(9))
		b.Insert(nasty[r.IntN(len(nasty))])
		op, err := b.Op()
		if err != nil {
			panic(err)
		}
		it := quirev1.Item{Op: op.AppendJSON(nil)}
		switch r.IntN(4) {
		case 0:
			it.N = 2 + r.IntN(1000)
		case 1:
			it.C, it.S = "ownown12", 1+r.Uint64N(1<<50)
		case 2:
			it.C, it.S = "another1", 1+r.Uint64N(1<<50)
		}
		m.Ops = append(m.Ops, it)
	}
	return m
}

// against compares scanning with decoding.
func against(t *testing.T, m *quirev1.ServerMessage) {
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	want := message{kind: "ops", rev: int64(m.Rev), next: int64(m.Rev)}
	for _, it := range m.Ops {
		want.next += int64(max(it.N, 1))
		if it.N > 1 {
			want.composites++
		} else {
			want.singles++
		}
		if it.C == "ownown12" {
			want.own++
			want.ownSeq = int64(it.S)
		}
	}
	got, err := scan(data, []byte(`ownown12","s":`))
	if err != nil || got != want {
		t.Fatalf("%s: %+v, error %v; want %+v", data, got, err, want)
	}
}

func TestScanAgainstDecoding(t *testing.T) {
	for seed := range uint64(5000) {
		against(t, randomOps(rand.New(rand.NewPCG(seed, 2))))
	}
}

func TestScanKinds(t *testing.T) {
	for data, want := range map[string]string{
		`{"t":"hello","v":1}`:                           "hello",
		`{"t":"opened","doc":"a","rev":3}`:              "opened",
		`{"t":"presence","doc":"ops"}`:                  "presence",
		`{"t":"error","code":"stale","class":"resync"}`: "error",
		`{"t":"bye","in":5}`:                            "bye",
		`{"t":"opsx"}`:                                  "",
		`{"t":"`:                                        "",
	} {
		if m, err := scan([]byte(data), nil); err != nil || m.kind != want {
			t.Errorf("%s is %q, error %v; want %q", data, m.kind, err, want)
		}
	}
	for _, data := range []string{"", `{"doc":"a","t":"ops"}`, `{"t":"ops","doc":"a","ops":[]}`, `{"t":"ops","doc":"a","rev":4}`} {
		if m, err := scan([]byte(data), nil); err == nil {
			t.Errorf("%s was read as %+v", data, m)
		}
	}
}

func TestScanAllocates(t *testing.T) {
	data, err := json.Marshal(randomOps(rand.New(rand.NewPCG(1, 1))))
	if err != nil {
		t.Fatal(err)
	}
	own := []byte(`ownown12","s":`)
	if n := testing.AllocsPerRun(100, func() { _, _ = scan(data, own) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzScan holds scanning to decoding on messages that the fuzzer builds.
func FuzzScan(f *testing.F) {
	f.Add("notes", int64(12), "k7Qd0aZx", uint64(3), 5, "text")
	f.Add(`"rev":9`, int64(1), `"op":`, uint64(1), 2, `{"n":2,"op":`)
	f.Fuzz(func(t *testing.T, doc string, rev int64, client string, seq uint64, n int, inserted string) {
		op, err := json.Marshal([]any{inserted})
		if err != nil || rev < 1 || rev > 1<<53 || seq < 1 || seq > 1<<53 || n < 2 || n > 1<<40 {
			return
		}
		against(t, &quirev1.ServerMessage{T: "ops", Doc: doc, Rev: session.Revision(rev), Ops: []quirev1.Item{
			{C: client, S: seq, Op: op}, {N: n, Op: op}, {C: "ownown12", S: seq, Op: op}, {Op: op}}})
	})
}

func BenchmarkScan(b *testing.B) {
	m := &quirev1.ServerMessage{T: "ops", Doc: "bench-ABCDEFGHIJ", Rev: 123456}
	for i := range 50 {
		m.Ops = append(m.Ops, quirev1.Item{C: "CLIENT" + strconv.Itoa(10+i), S: 1234, Op: json.RawMessage(`[1234,"a"]`)})
	}
	data, err := json.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	own := []byte(`CLIENT35","s":`)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := scan(data, own); err != nil {
			b.Fatal(err)
		}
	}
}
