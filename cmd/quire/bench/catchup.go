package bench

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"quire/ot/text"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

func traceFlag(fs *flag.FlagSet, o *options) {
	fs.StringVar(&o.trace, "trace", "", "`file` with a sequential recorded session to write; without it one is made up")
	fs.IntVar(&o.times, "times", 5, "how often to measure, a `number`")
}

func catchupFlags(fs *flag.FlagSet, o *options) {
	traceFlag(fs, o)
	fs.IntVar(&o.edits, "edits", 100_000, "`number` of edits that were missed")
}

// catchup has clients come back to a document after many edits of others.
func catchup(ctx context.Context, b *bench) (*report, error) {
	tr, err := b.session(b.edits + b.edits/2)
	if err != nil {
		return nil, err
	}
	before := tr.Len() - b.edits
	if before < 0 {
		return nil, UsageError(fmt.Sprintf("edits is %d; the recorded session has %d", b.edits, tr.Len()))
	}
	ops, err := wire(tr)
	if err != nil {
		return nil, err
	}
	results, err := b.each(ctx, func(t *target) (*result, error) {
		doc := newDoc()
		bar := b.progress("writing", len(ops))
		if err := fill(ctx, t, doc, true, ops[:before], bar); err != nil {
			return nil, err
		}
		away := make([]*client.Document, b.times)
		for i := range away {
			var err error
			if away[i], err = openFresh(t, doc); err != nil {
				return nil, err
			}
		}
		if err := fill(ctx, t, doc, false, ops[before:], bar); err != nil {
			return nil, err
		}
		var all []*returned
		for _, d := range away {
			r, err := comeBack(t, d, int64(len(ops)))
			if err != nil {
				return nil, err
			}
			if d.Local().(*text.Doc).String() != tr.End {
				return nil, errors.New("the document caught up with differs from the one written")
			}
			all = append(all, r)
		}
		return returnedResult(all), nil
	})
	if err != nil {
		return nil, err
	}
	source := "made-up typing"
	if b.trace != "" {
		source = "the end of " + b.trace
	}
	return &report{
		what:    fmt.Sprintf("A client comes back to a document after %d edits of others (%s), %d times; each time its text was compared.", b.edits, source, b.times),
		results: results,
	}, nil
}

// returned is how a client came back.
type returned struct {
	received time.Duration // from open sent to the last message that was missed
	decoded  time.Duration // the client's own work on the messages
	bytes    int           // on the wire, with frame headers
	changed  int           // text that was inserted and is still there
	items    int
}

// comeBack resumes d, which others have taken on to revision head meanwhile.
func comeBack(t *target, d *client.Document, head int64) (*returned, error) {
	c, err := t.dial("ws", quirev1.Subprotocol, 64<<10)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.next(); err != nil { // hello
		return nil, err
	}
	d.Disconnected()
	open := d.Open()
	request, err := json.Marshal(&open)
	if err != nil {
		return nil, err
	}
	_ = c.nc.SetDeadline(time.Now().Add(patience))
	r := &returned{}
	var messages [][]byte
	first := c.read
	start := time.Now()
	if err := c.send(opText, request); err != nil {
		return nil, err
	}
	for rev := int64(d.Rev()); rev < head; {
		data, err := c.next()
		if err != nil {
			return nil, err
		}
		s, err := scan(data, nil)
		if err != nil {
			return nil, err
		}
		switch {
		case s.kind == "ops" && s.rev == rev:
			rev = s.next
		case s.kind != "opened" && s.kind != "presence" && s.kind != "you":
			return nil, fmt.Errorf("the server said %.200s", data)
		}
		messages = append(messages, slices.Clone(data))
	}
	r.received = time.Since(start)
	r.bytes = int(c.read - first)
	start = time.Now()
	var got []*quirev1.ServerMessage
	for _, data := range messages {
		m := &quirev1.ServerMessage{}
		if err := json.Unmarshal(data, m); err != nil {
			return nil, err
		}
		if err := d.Receive(m); err != nil {
			return nil, err
		}
		got = append(got, m)
	}
	r.decoded = time.Since(start)
	for _, m := range got {
		for _, it := range m.Ops {
			op, err := text.Decode(it.Op, d.Limits)
			if err != nil {
				return nil, err
			}
			r.items++
			for _, c := range op {
				r.changed += len(c.S)
			}
		}
	}
	return r, nil
}

func returnedResult(all []*returned) *result {
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	first := all[0]
	slices.SortFunc(all, func(a, b *returned) int { return int(a.received - b.received) })
	best, middle := all[0], all[len(all)/2]
	res := &result{}
	res.add("caught_up_best", "ms", ms(best.received))
	res.add("caught_up_median", "ms", ms(middle.received))
	res.add("caught_up_first_time", "ms", ms(first.received))
	res.add("with_the_client's_decoding_median", "ms", ms(middle.received+middle.decoded))
	res.add("received", "bytes", float64(middle.bytes))
	res.add("items", "", float64(middle.items))
	res.add("changed_text", "bytes", float64(middle.changed))
	res.add("received_per_changed_text", "", float64(middle.bytes)/float64(max(1, middle.changed)))
	return res
}
