package mirror

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"quire/cmd/quire/remote"
)

// Once makes the file and the document the same, and returns.
func (m *Mirror) Once(ctx context.Context) error {
	for {
		wait, err := m.step(ctx)
		switch {
		case err != nil:
			return err
		case m.missing:
			return &Stop{NotFound, fmt.Sprintf("%s is not there, and the document %s is not emptied for it; to have the file made again, remove %s", m.shown, m.state.Doc, statePath(m.shown))}
		case m.refused != "":
			return &Stop{Refused, m.shown + " was not sent"}
		case wait <= 0:
			return nil
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// news is what is heard of the document.
type news struct {
	rev       int64  // it has this revision, or
	connected bool   // events are heard from now on, or
	err       error  // they are not, or
	moved     string // it has another id now, or
	ended     string // it is no more, for this reason
}

// Run keeps the file and the document the same until ctx ends, which is no error, or
// something stops it. A server that is away is waited for.
func (m *Mirror) Run(ctx context.Context) error {
	var following sync.WaitGroup
	defer following.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer watcher.Close()
	if err := watcher.Add(filepath.Dir(m.opt.File)); err != nil {
		return fmt.Errorf("the folder of %s cannot be watched: %w", m.shown, err)
	}
	r := &runner{Mirror: m, news: make(chan news), retry: m.opt.Retry, group: &following}
	r.wake = time.NewTimer(0)
	defer r.wake.Stop()
	poll := time.NewTicker(m.opt.Poll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			r.farewell()
			return nil
		case e, ok := <-watcher.Events:
			if ok && filepath.Base(e.Name) == filepath.Base(m.opt.File) && e.Op != fsnotify.Chmod {
				m.touched()
				r.in(m.opt.Settle)
			}
		case <-watcher.Errors: // some were not told: look
			m.touched()
			r.in(m.opt.Settle)
		case <-poll.C:
			r.in(0)
		case n := <-r.news:
			err = r.heard(n)
		case <-r.wake.C:
			r.at = time.Time{}
			err = r.work(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// runner is a Mirror that runs.
type runner struct {
	*Mirror
	news      chan news
	wake      *time.Timer
	at        time.Time     // when wake fires; zero: it does not
	off       bool          // the server is away
	until     time.Time     // when it is tried again
	retry     time.Duration // how long to wait after the next failure
	following bool
	group     *sync.WaitGroup
}

// in wakes the runner after d, unless it wakes earlier anyway.
func (r *runner) in(d time.Duration) {
	now := time.Now()
	at := now.Add(d)
	if r.off && at.Before(r.until) {
		at = r.until
	}
	if r.at.IsZero() || at.Before(r.at) {
		r.at = at
		r.wake.Reset(at.Sub(now))
	}
}

// work does a step.
func (r *runner) work(ctx context.Context) error {
	wait, err := r.step(ctx)
	var off *remote.Unreachable
	switch {
	case errors.As(err, &off):
		r.away(off)
		return nil
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	case wait > 0:
		r.in(wait)
	}
	if r.off && r.checked { // the server was talked to
		r.off, r.retry = false, r.opt.Retry
		r.opt.Note(Note{Event: "back", Rev: r.state.Base, Text: "The server is back."})
	}
	if r.state.begun() && !r.following {
		r.following = true
		doc := r.state.Doc
		r.group.Go(func() { r.follow(ctx, doc) })
	}
	return nil
}

// away notes that the server does not answer.
func (r *runner) away(err error) {
	if !r.off {
		r.opt.Note(Note{Event: "away", Text: fmt.Sprintf("The server is away: %v. Changes of %s are kept, and sent when it is back.", err, r.shown)})
	}
	r.off, r.checked = true, false
	r.until = time.Now().Add(r.retry)
	r.retry = min(2*r.retry, r.opt.RetryMost)
	r.at = time.Time{}
	r.in(0)
}

// heard deals with what is heard of the document.
func (r *runner) heard(n news) error {
	switch {
	case n.err != nil:
		if !r.off {
			r.away(n.err)
		}
	case n.ended != "":
		return &Stop{NotFound, fmt.Sprintf("the document %s is not there any more: %s. %s stays as it is.", r.state.Doc, strings.TrimSuffix(n.ended, "."), r.shown)}
	case n.moved != "":
		r.opt.Note(Note{Event: "moved", Text: fmt.Sprintf("The document %s is called %s now.", r.state.Doc, n.moved)})
		r.state.Doc = n.moved
		return r.state.save(r.path)
	case n.connected:
		r.until = time.Time{} // try at once
		r.checked, r.fetched = false, false
		r.in(0)
	case n.rev > r.state.Base:
		r.fetched = false
		r.in(r.opt.Gather)
	}
	return nil
}

// farewell says what is left undone.
func (r *runner) farewell() {
	if r.state.Sending != nil {
		r.opt.Note(Note{Event: "kept", Text: fmt.Sprintf("Changes of %s are not sent yet; the next quire sync sends them.", r.shown)})
	}
}

// follow tells what happens to the document, until ctx ends.
func (r *runner) follow(ctx context.Context, doc string) {
	tell := func(n news) bool {
		select {
		case r.news <- n:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for retry := r.opt.Retry; ctx.Err() == nil; retry = min(2*retry, r.opt.RetryMost) {
		events, err := r.opt.Client.Events(ctx, doc)
		if err == nil {
			retry = r.opt.Retry
			if tell(news{connected: true}) {
				doc, err = listen(events, doc, tell)
			}
			events.Close()
		}
		if err == nil { // it goes on under another id
			continue
		}
		var p *remote.Problem
		if errors.As(err, &p) && p.Status == 404 {
			tell(news{ended: p.Detail})
			return
		}
		if !tell(news{err: err}) || pause(ctx, retry) != nil {
			return
		}
	}
}

// listen passes events on until they end. It returns the id to go on with when the document
// has another one now.
func listen(events *remote.Events, doc string, tell func(news) bool) (string, error) {
	for {
		e, err := events.Next()
		switch {
		case err != nil:
			return doc, err
		case e.Name == "end" && e.Code == "moved" && e.Detail != "":
			if !tell(news{moved: e.Detail}) {
				return doc, context.Canceled
			}
			return e.Detail, nil
		case e.Name == "end" && (e.Code == "deleted" || e.Code == "not_found"):
			tell(news{ended: e.Detail})
			return doc, context.Canceled
		case e.Name == "end":
			return doc, errors.New(e.Detail)
		case !tell(news{rev: e.Rev}):
			return doc, context.Canceled
		}
	}
}
