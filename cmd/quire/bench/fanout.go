package bench

import (
	"context"
	"flag"
	"fmt"
	"sync/atomic"
)

func fanoutFlags(fs *flag.FlagSet, o *options) {
	durationFlags(fs, o)
	fs.IntVar(&o.readers, "readers", 1000, "`number` of readers")
	fs.IntVar(&o.run, "run", 64, "operations in each submission, a `number`")
	fs.IntVar(&o.window, "window", 4, "most runs that the slowest reader may be behind, a `number`")
}

// pace holds a writer back to what all readers can follow.
type pace struct {
	start  int64 // revision before the first run
	run    int64 // operations in one
	tokens chan struct{}
	left   []atomic.Int32 // readers that have not had run k, at k modulo the window
	all    int32
}

func newPace(start int64, run, window, readers int) *pace {
	p := &pace{start: start, run: int64(run), tokens: make(chan struct{}, window), left: make([]atomic.Int32, window), all: int32(readers)}
	for i := range p.left {
		p.left[i].Store(p.all)
		p.tokens <- struct{}{}
	}
	return p
}

// reached notes that a reader has come to a revision; passed is how many runs it had
// before, and the result how many it has now.
func (p *pace) reached(rev, passed int64) int64 {
	for ; rev >= p.start+(passed+1)*p.run; passed++ {
		slot := &p.left[passed%int64(len(p.left))]
		if slot.Add(-1) == 0 {
			slot.Store(p.all)
			p.tokens <- struct{}{}
		}
	}
	return passed
}

// fanout has one person write and many read.
func fanout(ctx context.Context, b *bench) (*report, error) {
	results, err := b.each(ctx, func(t *target) (*result, error) {
		doc := newDoc()
		if err := seed(t, doc); err != nil {
			return nil, err
		}
		c := newCrew(t)
		defer c.close()
		if err := c.joinAll(ctx, 1+b.readers, 4<<10, func(int) string { return doc }); err != nil {
			return nil, err
		}
		var final atomic.Int64
		p := newPace(c.hands[0].rev(), b.run, b.window, b.readers)
		res, err := c.measure(ctx, &b.options, func(i int, h *hand) error {
			if i > 0 {
				var passed int64
				return h.read(&final, func() { passed = p.reached(h.rev(), passed) })
			}
			return h.write(b.run, &final, p.tokens)
		})
		if err != nil {
			return nil, err
		}
		return res, verify(t, doc, c.acked())
	})
	if err != nil {
		return nil, err
	}
	return &report{
		what: fmt.Sprintf("One document, one writer, %d readers. The writer submits runs of %d insertions, one run in flight, as fast as the slowest reader follows, who may be %d runs behind.",
			b.readers, b.run, b.window),
		ratio:   "deliveries_per_second",
		results: results,
	}, nil
}
