package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// rig is one server, its clients, and what is between them, in a folder of its own.
type rig struct {
	*Options
	ctx      context.Context
	folder   string
	data     string // the server's data folder
	journals string
	began    time.Time
	rng      *rand.Rand
	args     []string // settings of the server besides listen and data
	environ  []string
	gated    bool  // the server is put behind a gate
	wire     *wire // between server and clients; nil: loopback
	listen   string
	peers    int           // connections besides those of the crew
	thinking time.Duration // the most time between two looks of a client at whether to edit
	pace     time.Duration // the least time between two edits of a client
	visits   bool          // clients close a document when their edit is acknowledged, and come back
	mixed    bool          // documents are edited by other protocols, too
	unmount  func()        // may be nil

	srv  *server
	crew []*member
	log  []string // what was noticed, for the table
	saw  sight

	url     atomic.Pointer[string]
	editing atomic.Bool
	acked   atomic.Int64
	finals  atomic.Pointer[map[string]int64] // the head of each document, once all edits are made
	stopped atomic.Bool
}

// newRig makes a rig without a server and clients. Close it.
func newRig(ctx context.Context, o *Options) (*rig, error) {
	folder, err := os.MkdirTemp(o.Folder, "quire-soak-")
	if err != nil {
		return nil, err
	}
	r := &rig{Options: o, ctx: ctx, folder: folder, data: filepath.Join(folder, "data"), journals: filepath.Join(folder, "journals"),
		began: time.Now(), rng: rand.New(rand.NewPCG(o.Seed, uint64(time.Now().UnixNano()))), listen: "127.0.0.1:0", thinking: thinking,
		args: []string{"--idle-after", "100ms", "--ping-every", "2s", "--log-level", "warn"}}
	r.editing.Store(true)
	return r, errors.Join(os.Mkdir(r.data, 0o700), os.Mkdir(r.journals, 0o700))
}

// close ends everything and removes the folder, unless something was wrong in it.
func (r *rig) close(failed bool) {
	r.stopped.Store(true)
	for _, p := range r.crew {
		<-p.done
	}
	if r.srv != nil {
		r.srv.kill()
	}
	if r.wire != nil {
		r.wire.close()
	}
	if r.unmount != nil {
		r.unmount()
	}
	if !failed || !r.Keep {
		_ = os.RemoveAll(r.folder)
	}
}

// over reports whether clients should stop.
func (r *rig) over() bool { return r.stopped.Load() || r.ctx.Err() != nil }

// pause waits, unless everything is to end.
func (r *rig) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.ctx.Done():
	}
}

// between draws a time.
func (r *rig) between(least, most time.Duration) time.Duration {
	return least + time.Duration(r.rng.Int64N(int64(most-least)+1))
}

// start starts the server, again where it was.
func (r *rig) start() error {
	s, err := r.launch(true)
	if err != nil {
		return err
	}
	r.srv, r.listen = s, s.addr
	r.url.Store(&s.url)
	return nil
}

// hire makes n clients, and of the kinds in turn, with a document for each few.
func (r *rig) hire(n, perDoc int) error {
	for i := range n {
		k := r.Kinds[i/perDoc%len(r.Kinds)]
		if err := r.join(k, fmt.Sprintf("%s-%d", k.Type.Name(), i/perDoc), fmt.Sprintf("client-%04d", i), 0); err != nil {
			return err
		}
	}
	if r.mixed {
		return r.hireOthers((n + perDoc - 1) / perDoc)
	}
	return nil
}

// hireOthers makes, for each of so many documents, somebody who writes by HTTP, and a client of ShareDB
// where it knows the type.
func (r *rig) hireOthers(docs int) error {
	for i := range docs {
		k := r.Kinds[i%len(r.Kinds)]
		doc := fmt.Sprintf("%s-%d", k.Type.Name(), i)
		if k.Marked {
			if err := r.post(k, doc, fmt.Sprintf("http-%04d", i)); err != nil {
				return err
			}
		}
		if d := dialectOf(k.Type); d != nil {
			if err := r.share(k, d, doc, fmt.Sprintf("share-%04d", i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin starts a server with clients and waits until each has had an acknowledgement.
func (r *rig) begin(n, perDoc int) error {
	if err := r.start(); err != nil {
		return err
	}
	if err := r.hire(n, perDoc); err != nil {
		return err
	}
	return r.everybody()
}

// everybody waits until every client has had another acknowledgement.
func (r *rig) everybody() error {
	before := make([]int64, len(r.crew))
	for i, p := range r.crew {
		before[i] = p.acks.Load()
	}
	i := 0
	return r.until("every client is acknowledged an edit", func() bool {
		for ; i < len(r.crew) && r.crew[i].acks.Load() > before[i]; i++ {
		}
		return i == len(r.crew)
	})
}

// progress waits until somebody has had so many more acknowledgements.
func (r *rig) progress(n int64) error {
	goal := r.acked.Load() + n
	return r.until("edits are acknowledged", func() bool { return r.acked.Load() >= goal })
}

// until waits for something that has to come. It fails after two minutes, when a client cannot go
// on, and when the server has ended by itself.
func (r *rig) until(what string, ok func() bool) error {
	deadline := time.Now().Add(2 * time.Minute)
	for !ok() {
		if err := r.trouble(); err != nil {
			return fmt.Errorf("while waiting until %s: %w", what, err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("in two minutes it did not come about that %s; %s%s", what, r.state(), r.said())
		}
		r.pause(2 * time.Millisecond)
	}
	return nil
}

// state says how far clients are, for messages.
func (r *rig) state() string {
	pending, behind := int64(0), 0
	for _, p := range r.crew {
		if n := p.pending.Load(); n > 0 {
			pending, behind = pending+n, behind+1
		}
	}
	return fmt.Sprintf("%d acknowledged, %d of %d clients wait for %d", r.acked.Load(), behind, len(r.crew), pending)
}

func (r *rig) said() string {
	if r.srv == nil {
		return ""
	}
	return "; the server said:\n" + r.srv.log.String()
}

// trouble returns what makes it useless to go on.
func (r *rig) trouble() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	for _, p := range r.crew {
		if err := p.failed.Load(); err != nil {
			return fmt.Errorf("%w%s", *err, r.said())
		}
	}
	if r.srv != nil {
		select {
		case <-r.srv.exited:
			return fmt.Errorf("the server ended by itself (%v)%s", r.srv.err, r.said())
		default:
		}
		return r.srv.log.crashed()
	}
	return nil
}

// settle has everybody finish: no more edits, until all are acknowledged and everybody has
// everything.
func (r *rig) settle() error {
	r.editing.Store(false)
	err := r.until("everything is acknowledged", func() bool {
		for _, p := range r.crew {
			if p.pending.Load() > 0 {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	finals := map[string]int64{}
	for _, p := range r.crew {
		finals[p.doc] = max(finals[p.doc], p.rev.Load())
	}
	r.finals.Store(&finals)
	return r.until("everybody has everything", func() bool {
		for _, p := range r.crew {
			select {
			case <-p.done:
			default:
				return false
			}
		}
		return true
	})
}

// notice adds a remark to the table, once.
func (r *rig) notice(format string, args ...any) {
	s := strings.ReplaceAll(fmt.Sprintf(format, args...), r.folder+"/", "")
	for _, l := range r.log {
		if l == s {
			return
		}
	}
	r.log = append(r.log, s)
}
