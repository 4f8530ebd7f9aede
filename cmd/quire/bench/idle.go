package bench

import (
	"context"
	"flag"
	"fmt"
	"time"

	"quire/ot/text"
)

func idleFlags(fs *flag.FlagSet, o *options) {
	fs.IntVar(&o.conns, "connections", 2000, "`number` of connections")
	fs.DurationVar(&o.duration, "settle", 40*time.Second, "most `time` to wait for the server's memory to settle, before and after")
}

// idle has many people hold a document open and do nothing.
func idle(ctx context.Context, b *bench) (*report, error) {
	results, err := b.each(ctx, func(t *target) (*result, error) {
		// The first connections pay for what all share.
		for range 16 {
			m, err := joinIdle(t)
			if err != nil {
				return nil, err
			}
			m.Close()
		}
		before, err := settled(ctx, t, b.duration)
		if err != nil {
			return nil, err
		}
		members := make([]member, b.conns)
		failed := make(chan error, b.conns)
		defer func() {
			for _, m := range members {
				if m != nil {
					m.Close()
				}
			}
		}()
		start := time.Now()
		err = inParallel(ctx, b.conns, func(i int) error {
			m, err := joinIdle(t)
			if err != nil {
				return err
			}
			members[i] = m
			go func() { // answers pings
				for {
					if _, err := m.receive(); err != nil {
						failed <- err
						return
					}
				}
			}()
			return nil
		})
		took := time.Since(start)
		if err != nil {
			return nil, err
		}
		after, err := settled(ctx, t, b.duration)
		if err != nil {
			return nil, err
		}
		select {
		case err := <-failed:
			return nil, err
		default:
		}
		res := &result{}
		res.add("memory_per_connection", "KiB", float64(after.rss-before.rss)/1024/float64(b.conns))
		res.add("server_memory_before", "MiB", float64(before.rss)/(1<<20))
		res.add("server_memory", "MiB", float64(after.rss)/(1<<20))
		res.add("connections", "", float64(b.conns))
		res.add("connected_in", "s", took.Seconds())
		return res, nil
	})
	if err != nil {
		return nil, err
	}
	return &report{
		what:    fmt.Sprintf("%d connections, each with a document of its own open (in the broadcaster: in a room of its own), nobody does anything. Resident memory of the server, when it has settled, divided by the connections.", b.conns),
		ratio:   "memory_per_connection",
		results: results,
	}, nil
}

func joinIdle(t *target) (member, error) {
	if t.raw {
		return joinRaw(t, newDoc(), 512)
	}
	return joinQuire(t, newDoc(), text.Type{}.Name(), 512)
}

// settled waits until the target's memory has not fallen for a quarter of the time
// allowed, or that is over, and returns its usage then.
func settled(ctx context.Context, t *target, most time.Duration) (usage, error) {
	u, err := t.usage()
	least, since, start := u.rss, time.Now(), time.Now()
	for err == nil && time.Since(since) < most/4 && time.Since(start) < most {
		select {
		case <-ctx.Done():
			return u, ctx.Err()
		case <-time.After(most / 80):
		}
		if u, err = t.usage(); u.rss < least-least/500 {
			least, since = u.rss, time.Now()
		}
	}
	return u, err
}
