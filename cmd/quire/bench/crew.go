package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"quire/ot/text"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

// Phases of a measurement.
const (
	warmingUp = iota
	measuring
	stopping
)

// hand is a member at work, with what it counted while measuring.
type hand struct {
	member
	crew *crew

	operations, deliveries, composed, composites, messages int64
	latency                                                histogram
	acked, refused                                         int64 // from the start
}

// crew is everybody at work on a target.
type crew struct {
	target *target
	phase  atomic.Int32
	hands  []*hand
	quit   chan struct{} // closed by close
	once   sync.Once
}

func newCrew(t *target) *crew { return &crew{target: t, quit: make(chan struct{})} }

// joinAll adds n members to a crew, a few at a time. doc names the document of each.
func (c *crew) joinAll(ctx context.Context, n, buffer int, doc func(i int) string) error {
	c.hands = make([]*hand, n)
	return inParallel(ctx, n, func(i int) error {
		m, err := join(c.target, doc(i), buffer)
		if err == nil {
			c.hands[i] = &hand{member: m, crew: c}
		}
		return err
	})
}

// inParallel calls f for each i in [0, n), a few at a time, until one fails or ctx
// ends, and returns the first error.
func inParallel(ctx context.Context, n int, f func(i int) error) error {
	const atOnce = 16
	var at atomic.Int64
	var once sync.Once
	var first error
	fail := func(err error) {
		once.Do(func() { first = err })
		at.Store(int64(n))
	}
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for i := int(at.Add(1)) - 1; i < n; i = int(at.Add(1)) - 1 {
				err := ctx.Err()
				if err == nil {
					err = f(i)
				}
				if err != nil {
					fail(err)
				}
			}
		})
	}
	wg.Wait()
	return first
}

// close cuts all connections.
func (c *crew) close() {
	c.once.Do(func() { close(c.quit) })
	for _, h := range c.hands {
		if h != nil {
			h.Close()
		}
	}
}

// take waits for a message and counts what it brought.
func (h *hand) take() (news, error) {
	n, err := h.receive()
	if err != nil {
		return n, err
	}
	h.acked += int64(n.acked)
	if n.refused {
		h.refused++
	}
	if h.crew.phase.Load() == measuring {
		h.operations += int64(n.acked)
		h.deliveries += int64(n.singles)
		h.composed += int64(n.composed)
		h.composites += int64(n.composites)
		if n.singles+n.composites > 0 {
			h.messages++
		}
	}
	return n, nil
}

// write submits runs, one in flight, until it is time to stop; each takes a token when
// there are tokens. final, if not nil, tells readers of the same document which
// revision is the last, before the run that leads there.
func (h *hand) write(run int, final *atomic.Int64, tokens <-chan struct{}) error {
	for last := false; !last; {
		if tokens != nil {
			select {
			case <-tokens:
			case <-h.crew.quit:
				return nil
			}
		}
		if last = h.crew.phase.Load() == stopping; last {
			if final == nil {
				return nil
			}
			final.Store(h.rev() + int64(run))
		}
		for done := false; !done; {
			var err error
			if done, err = h.writeRun(run); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeRun submits a run and waits until it is answered. It reports false when the
// server handed it back.
func (h *hand) writeRun(run int) (bool, error) {
	start := time.Now()
	if err := h.submit(run); err != nil {
		return false, err
	}
	for left := run; left > 0; {
		n, err := h.take()
		if err != nil || n.refused {
			return false, err
		}
		left -= n.acked
	}
	if h.crew.phase.Load() == measuring {
		h.latency.record(time.Since(start))
	}
	return true, nil
}

// read receives until the document is at the final revision, and calls then after
// each message.
func (h *hand) read(final *atomic.Int64, then func()) error {
	for last := int64(0); last == 0 || h.rev() < last; last = final.Load() {
		if _, err := h.take(); err != nil {
			return err
		}
		then()
	}
	return nil
}

// patience is how long after the end of a measurement what is under way may take.
const patience = 30 * time.Second

// measure has every hand do its work, for the time of the warm-up and the measurement,
// and adds up. work returns when the phase is stopping.
func (c *crew) measure(ctx context.Context, o *options, work func(i int, h *hand) error) (*result, error) {
	failed := make(chan error, len(c.hands))
	var wg sync.WaitGroup
	for i, h := range c.hands {
		wg.Go(func() {
			if err := work(i, h); err != nil {
				failed <- fmt.Errorf("%s: %w", c.target.name, err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	defer func() { c.close(); <-done }()
	wait := func(d time.Duration) error {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}
	if err := wait(o.warmUp); err != nil {
		return nil, err
	}
	before, err := c.target.usage()
	if err != nil {
		return nil, err
	}
	c.phase.Store(measuring)
	start, own := time.Now(), ownCPU()
	if err := wait(o.duration); err != nil {
		return nil, err
	}
	c.phase.Store(stopping)
	took := time.Since(start)
	own = ownCPU() - own
	after, err := c.target.usage()
	if err != nil {
		return nil, err
	}
	select {
	case <-done:
	case err := <-failed:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(patience):
		return nil, errors.New(c.target.name + " did not answer for " + patience.String())
	}
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	return c.sum(took, own, before, after), nil
}

// sum adds up what the hands counted.
func (c *crew) sum(took, own time.Duration, before, after usage) *result {
	all := hand{}
	for _, h := range c.hands {
		all.operations += h.operations
		all.deliveries += h.deliveries
		all.composed += h.composed
		all.composites += h.composites
		all.messages += h.messages
		all.refused += h.refused
		all.latency.add(&h.latency)
	}
	res := &result{}
	res.add("operations_per_second", "", float64(all.operations)/took.Seconds())
	res.add("deliveries_per_second", "", float64(all.deliveries)/took.Seconds())
	res.latency("acknowledged", &all.latency)
	res.add("deliveries_per_message", "", float64(all.deliveries)/float64(max(1, all.messages)))
	res.add("received_composed", "operations", float64(all.composed))
	res.add("composites", "", float64(all.composites))
	res.add("runs_refused", "", float64(all.refused))
	res.add("server_cpu_per_operation", "µs", (after.cpu-before.cpu).Seconds()*1e6/max(1, float64(all.operations)))
	res.add("server_cpu", "%", 100*(after.cpu-before.cpu).Seconds()/took.Seconds())
	res.add("load_generator_cpu", "%", 100*own.Seconds()/took.Seconds())
	res.add("server_memory", "MiB", float64(after.rss)/(1<<20))
	res.add("connections", "", float64(len(c.hands)))
	res.add("seconds", "s", took.Seconds())
	return res
}

// acked returns how many operations of all hands came back, from the start.
func (c *crew) acked() (n int64) {
	for _, h := range c.hands {
		n += h.acked
	}
	return n
}

// newDoc names a document that is not there yet.
func newDoc() string { return "bench-" + rand.Text()[:10] }

// seed makes a document of seedLength characters on a server; a broadcaster needs none.
func seed(t *target, doc string) error {
	if t.raw {
		return nil
	}
	m, err := joinQuire(t, doc, text.Type{}.Name(), 4<<10)
	if err != nil {
		return err
	}
	defer m.Close()
	_ = m.nc.SetReadDeadline(time.Now().Add(patience))
	content := make([]byte, seedLength)
	for i := range content {
		content[i] = "the quick brown fox jumps over the lazy dog "[i%44]
	}
	err = m.submitOps(1, func(dst []byte, _ int) []byte {
		return append(append(append(dst, `["`...), content...), `"]`...)
	})
	for err == nil && m.flight > 0 {
		_, err = m.receive()
	}
	return err
}

// verify opens a document afresh, checks its checksum and that it holds every
// acknowledged insertion.
func verify(t *target, doc string, acked int64) error {
	if t.raw {
		return nil
	}
	d, err := openFresh(t, doc)
	if err != nil {
		return err
	}
	if got := int64(d.Local().(*text.Doc).Len()); got != seedLength+acked {
		return fmt.Errorf("%d operations were acknowledged, but the document grew by %d characters", acked, got-seedLength)
	}
	return nil
}

// openFresh reads a document as a new client would and checks its checksum.
func openFresh(t *target, doc string) (*client.Document, error) {
	d := client.NewDocument(doc, rand.Text()[:12], text.Type{})
	c, err := openOn(t, d)
	if err != nil {
		return nil, err
	}
	return d, c.Close()
}

// openOn opens a document on a connection of its own.
func openOn(t *target, d *client.Document) (*client.Conn, error) {
	c, _, err := client.Dial(t.url, client.Options{Token: t.token})
	if err != nil {
		return nil, err
	}
	open := d.Open()
	err = c.Send(&open)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for err == nil && !d.Current() {
		var m *quirev1.ServerMessage
		if m, err = c.Receive(); err == nil && m.Doc == d.ID {
			err = d.Receive(m)
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, c.SetReadDeadline(time.Time{})
}
