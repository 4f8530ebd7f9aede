package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"quire/cmd/quire/bench/trace"
	"quire/ot/text"
)

// session returns the patches to write: the sequential trace that --trace names, or
// n made up.
func (o *options) session(n int) (*trace.Trace, error) {
	if o.trace == "" {
		return trace.Synthetic(n, 1), nil
	}
	t, err := trace.ReadFile(o.trace)
	if err == nil && (t.Agents > 1 || t.Start != "") {
		err = errors.New("this benchmark needs a sequential trace that starts with the empty document")
	}
	return t, err
}

// wire returns the patches of a sequential trace as operations in JSON.
func wire(tr *trace.Trace) ([][]byte, error) {
	d, err := text.FromString(tr.Start)
	if err != nil {
		return nil, err
	}
	patches := tr.Sequence()
	out := make([][]byte, len(patches))
	for i := range patches {
		op, err := patches[i].Op(d)
		if err != nil {
			return nil, fmt.Errorf("patch %d of the trace: %w", i, err)
		}
		if d, err = d.Apply(op); err != nil {
			return nil, err
		}
		out[i] = op.AppendJSON(nil)
	}
	return out, nil
}

// Bounds of a run that fills a document.
const (
	fillRun   = 512
	fillBytes = 256 << 10
)

// fill makes a document, if create is set, or goes on with one, by operations that
// follow one another.
func fill(ctx context.Context, t *target, doc string, create bool, ops [][]byte, bar *progress) error {
	name := ""
	if create {
		name = text.Type{}.Name()
	}
	m, err := joinQuire(t, doc, name, 64<<10)
	if err != nil {
		return err
	}
	defer m.Close()
	for len(ops) > 0 {
		n, size := 0, 0
		for n < min(len(ops), fillRun) && (n == 0 || size+len(ops[n]) < fillBytes) {
			size += len(ops[n])
			n++
		}
		if err := m.submitOps(n, func(dst []byte, i int) []byte { return append(dst, ops[i]...) }); err != nil {
			return err
		}
		_ = m.nc.SetReadDeadline(time.Now().Add(patience))
		for m.flight > 0 {
			news, err := m.receive()
			if err != nil {
				return err
			}
			if news.refused {
				return errors.New("the server refused a run of the only writer")
			}
		}
		ops = ops[n:]
		bar.add(n)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// progress shows on a terminal how far something is. A nil progress shows nothing.
// Safe for concurrent use.
type progress struct {
	out  io.Writer
	what string
	all  int

	mu          sync.Mutex
	done, shown int // guarded by mu
}

// progress begins a bar of so many steps; nil when nobody would see it.
func (b *bench) progress(what string, all int) *progress {
	f, ok := b.err.(*os.File)
	if !ok || all == 0 {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return &progress{out: f, what: what, all: all, shown: -1}
}

func (p *progress) add(n int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if percent := 100 * p.done / p.all; percent != p.shown {
		p.shown = percent
		fmt.Fprintf(p.out, "\r%s [%-50s] %3d%%", p.what, strings.Repeat("#", percent/2), percent)
		if p.done >= p.all {
			fmt.Fprint(p.out, "\r\x1b[K")
		}
	}
}
