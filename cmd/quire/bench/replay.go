package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"time"

	"quire/cmd/quire/bench/trace"
	"quire/ot/text"
)

func replayFlags(fs *flag.FlagSet, o *options) {
	fs.IntVar(&o.inFlight, "in-flight", 100, "most operations in one run, a `number`")
}

// replay types a recorded session, keystroke by keystroke.
func replay(ctx context.Context, b *bench) (*report, error) {
	tr, err := trace.ReadFile(b.trace)
	if err != nil {
		return nil, err
	}
	if tr.Agents > 1 { // the broadcaster cannot hold anybody to what they had seen
		b.targets = b.targets[:1]
	}
	results, err := b.each(ctx, func(t *target) (*result, error) {
		if t.raw {
			return replayRaw(ctx, t, tr, b.inFlight)
		}
		return b.replayQuire(ctx, t, tr)
	})
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%s: %d edits typed one by one by one client, up to %d in flight; then a fresh client compared the text with the recording's.", filepath.Base(b.trace), tr.Len(), b.inFlight)
	if tr.Agents > 1 {
		what = fmt.Sprintf("%s: %d edits by %d clients, each of which had seen before each edit what its author had; then a fresh client compared the text with the recording's.", filepath.Base(b.trace), tr.Len(), tr.Agents)
	}
	return &report{what: what, ratio: "seconds", results: results}, nil
}

// replayQuire has each agent of the trace type through a client of its own.
func (b *bench) replayQuire(ctx context.Context, t *target, tr *trace.Trace) (*result, error) {
	doc := newDoc()
	if err := fill(ctx, t, doc, true, startOf(tr), nil); err != nil {
		return nil, err
	}
	p, err := newPlay(ctx, t, tr, doc, b.inFlight)
	if err != nil {
		return nil, err
	}
	defer p.close()
	p.bar = b.progress("replaying", tr.Len())
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := p.run(); err != nil {
		return nil, err
	}
	took := time.Since(start)
	after, err := t.usage()
	if err != nil {
		return nil, err
	}
	fresh, err := openFresh(t, doc)
	if err != nil {
		return nil, err
	}
	if got := fresh.Local().(*text.Doc).String(); got != tr.End {
		return nil, errors.New("the document differs from the recording's end")
	}
	res := replayed(tr.Len(), took, &p.latency, before, after)
	res.add("runs", "", float64(p.runs))
	if b.data != "" {
		t.stop() // when it was started here: so that everything is written
		size, err := diskSize(b.data)
		if err != nil {
			return nil, err
		}
		res.add("data_on_disk", "KiB", float64(size)/1024)
	}
	return res, nil
}

func replayed(n int, took time.Duration, latency *histogram, before, after usage) *result {
	res := &result{}
	res.add("seconds", "s", took.Seconds())
	res.add("operations_per_second", "", float64(n)/took.Seconds())
	res.latency("acknowledged", latency)
	res.add("server_cpu_per_operation", "µs", (after.cpu-before.cpu).Seconds()*1e6/float64(n))
	res.add("server_cpu", "%", 100*(after.cpu-before.cpu).Seconds()/took.Seconds())
	res.add("server_memory", "MiB", float64(after.rss)/(1<<20))
	return res
}

// startOf returns the operation that makes what a trace starts with.
func startOf(tr *trace.Trace) [][]byte {
	if tr.Start == "" {
		return nil
	}
	var b text.Builder
	b.Insert(tr.Start)
	op, err := b.Op()
	if err != nil {
		panic(err) // a string decoded from JSON
	}
	return [][]byte{op.AppendJSON(nil)}
}

// replayRaw sends a trace's operations as frames and waits for them to come back.
func replayRaw(ctx context.Context, t *target, tr *trace.Trace, inFlight int) (*result, error) {
	ops, err := wire(tr)
	if err != nil {
		return nil, err
	}
	m, err := joinRaw(t, newDoc(), 64<<10)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	defer context.AfterFunc(ctx, func() { m.Close() })()
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	var latency histogram
	sent := make([]time.Time, len(ops))
	start := time.Now()
	for next, back := 0, 0; back < len(ops); {
		if n := min(inFlight-m.flight, len(ops)-next); n > 0 && m.flight <= inFlight/2 {
			now := time.Now()
			for i := range n {
				sent[next+i] = now
			}
			if err := m.submitOps(n, func(dst []byte, i int) []byte { return append(dst, ops[next+i]...) }); err != nil {
				return nil, err
			}
			next += n
		}
		news, err := m.receive()
		if err != nil {
			return nil, err
		}
		for range news.acked {
			latency.record(time.Since(sent[back]))
			back++
		}
	}
	took := time.Since(start)
	after, err := t.usage()
	if err != nil {
		return nil, err
	}
	return replayed(len(ops), took, &latency, before, after), nil
}
