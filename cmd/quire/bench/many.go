package bench

import (
	"context"
	"flag"
	"fmt"
	"sync/atomic"
)

func manyFlags(fs *flag.FlagSet, o *options) {
	durationFlags(fs, o)
	fs.IntVar(&o.docs, "docs", 500, "`number` of documents")
}

// many has a writer and a reader in each of many documents.
func many(ctx context.Context, b *bench) (*report, error) {
	results, err := b.each(ctx, func(t *target) (*result, error) {
		docs := make([]string, b.docs)
		for i := range docs {
			docs[i] = newDoc()
		}
		if err := inParallel(ctx, len(docs), func(i int) error { return seed(t, docs[i]) }); err != nil {
			return nil, err
		}
		c := newCrew(t)
		defer c.close()
		if err := c.joinAll(ctx, 2*b.docs, 4<<10, func(i int) string { return docs[i/2] }); err != nil {
			return nil, err
		}
		finals := make([]atomic.Int64, b.docs)
		res, err := c.measure(ctx, &b.options, func(i int, h *hand) error {
			if i%2 == 0 {
				return h.read(&finals[i/2], func() {})
			}
			return h.write(1, &finals[i/2], nil)
		})
		if err != nil {
			return nil, err
		}
		return res, inParallel(ctx, len(docs), func(i int) error { return verify(t, docs[i], c.hands[2*i+1].acked) })
	})
	if err != nil {
		return nil, err
	}
	return &report{
		what:    fmt.Sprintf("%d documents of %d characters, in each a writer and a reader. Each writer submits an insertion at a random place and waits for the acknowledgement.", b.docs, seedLength),
		ratio:   "operations_per_second",
		results: results,
	}, nil
}
