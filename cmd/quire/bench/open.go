package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"quire/web/quirev1"
)

func openFlags(fs *flag.FlagSet, o *options) {
	traceFlag(fs, o)
	fs.IntVar(&o.revisions, "revisions", 260_000, "`number` of revisions the document has when no trace is given")
}

// open opens a document with a long history.
func open(ctx context.Context, b *bench) (*report, error) {
	tr, err := b.session(b.revisions)
	if err != nil {
		return nil, err
	}
	ops, err := wire(tr)
	if err != nil {
		return nil, err
	}
	restarts := "The server was running and was not restarted."
	results, err := b.each(ctx, func(t *target) (*result, error) {
		doc := newDoc()
		if err := fill(ctx, t, doc, true, ops, b.progress("writing", len(ops))); err != nil {
			return nil, err
		}
		res := &result{}
		measure := func(key string, again func() error) error {
			var took []time.Duration
			for range b.times {
				if err := again(); err != nil {
					return err
				}
				d, err := timeOpen(t, doc, tr.End)
				if err != nil {
					return err
				}
				took = append(took, d)
			}
			slices.Sort(took)
			res.add(key+"_best", "ms", took[0].Seconds()*1000)
			res.add(key+"_median", "ms", took[len(took)/2].Seconds()*1000)
			return nil
		}
		restart := func() error {
			t.stop()
			return t.start(ctx)
		}
		if t.args != nil {
			restarts = "The server was restarted before each."
			if err := measure("opened_from_cold", restart); err != nil {
				return nil, err
			}
			again := func() error {
				t.stop()
				return errors.Join(forget(b.folder), t.start(ctx))
			}
			if err := measure("opened_from_cold_and_from_disk", again); err != nil {
				return nil, err
			}
		}
		if err := measure("opened_from_memory", func() error { return nil }); err != nil {
			return nil, err
		}
		res.add("revisions", "", float64(len(ops)))
		res.add("document", "bytes", float64(len(tr.End)))
		return res, nil
	})
	if err != nil {
		return nil, err
	}
	source := "made-up typing"
	if b.trace != "" {
		source = filepath.Base(b.trace)
	}
	return &report{
		what:    fmt.Sprintf("A document of %d revisions (%s) is opened %d times each way, from open sent to the whole of opened received; its text was compared. %s", len(ops), source, b.times, restarts),
		results: results,
	}, nil
}

// timeOpen opens a document and returns how long that took.
func timeOpen(t *target, doc, want string) (time.Duration, error) {
	c, err := t.dial("ws", quirev1.Subprotocol, 1<<20)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if _, err := c.next(); err != nil { // hello
		return 0, err
	}
	request, err := json.Marshal(quirev1.ClientMessage{T: "open", Doc: &doc, Client: rand.Text()[:12]})
	if err != nil {
		return 0, err
	}
	_ = c.nc.SetDeadline(time.Now().Add(patience))
	start := time.Now()
	if err := c.send(opText, request); err != nil {
		return 0, err
	}
	var data []byte
	var took time.Duration
	var m quirev1.ServerMessage
	for m.T == "" || m.T == "you" {
		data, err = c.next()
		took = time.Since(start)
		if err == nil {
			err = json.Unmarshal(data, &m)
		}
		if err != nil {
			return 0, err
		}
	}
	var content string
	if m.T != "opened" {
		return 0, fmt.Errorf("the server said %.200s", data)
	}
	if err := json.Unmarshal(m.Content, &content); err != nil {
		return 0, err
	}
	if content != want {
		return 0, errors.New("the document opened differs from the one written")
	}
	return took, nil
}
