package bench

import (
	"context"
	"flag"
	"fmt"
	"time"
)

func durationFlags(fs *flag.FlagSet, o *options) {
	fs.DurationVar(&o.warmUp, "warm-up", time.Second, "`time` before the measurement")
	fs.DurationVar(&o.duration, "duration", 5*time.Second, "`time` of the measurement")
}

func hotFlags(fs *flag.FlagSet, o *options) {
	durationFlags(fs, o)
	fs.IntVar(&o.writers, "writers", 50, "`number` of writers")
	fs.IntVar(&o.run, "run", 1, "operations in each submission, a `number`")
}

// hot has many people write in one document at once.
func hot(ctx context.Context, b *bench) (*report, error) {
	results, err := b.each(ctx, func(t *target) (*result, error) {
		doc := newDoc()
		if err := seed(t, doc); err != nil {
			return nil, err
		}
		c := newCrew(t)
		defer c.close()
		if err := c.joinAll(ctx, b.writers, 16<<10, func(int) string { return doc }); err != nil {
			return nil, err
		}
		res, err := c.measure(ctx, &b.options, func(_ int, h *hand) error { return h.write(b.run, nil, nil) })
		if err != nil {
			return nil, err
		}
		return res, verify(t, doc, c.acked())
	})
	if err != nil {
		return nil, err
	}
	return &report{
		what: fmt.Sprintf("One document of %d characters, %d writers who all receive everything. Each submits %d insertions at random places and waits for the acknowledgement.",
			seedLength, b.writers, b.run),
		ratio:   "operations_per_second",
		results: results,
	}, nil
}
