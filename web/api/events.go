package api

import (
	"fmt"
	"time"

	"quire/session"
	"quire/web/auth"
	"quire/web/stream"
)

// events serves GET /api/docs/{id}/events: the committed steps after a revision, as
// Server-Sent Events, until the document goes or the server stops.
func (a *API) events(r *request) error {
	from, err := a.eventsFrom(r)
	if err != nil {
		return err
	}
	info, err := a.opt.Manager.Stat(r.c, r.id)
	switch {
	case err != nil:
		return err
	case from == session.Head:
	case from > info.Head:
		return a.numbered(r, session.Errorf(session.CodeFuture, "revision %d, head %d", from, info.Head))
	case info.Oldest > session.Unborn && from < info.Oldest:
		return a.numbered(r, session.Errorf(session.CodeGone, "the steps after revision %d are not kept any more, the oldest revision is %d", from, info.Oldest))
	}
	h := &r.ctx.Response.Header
	h.SetContentType(mediaEvents)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy has to pass events on as they come
	if r.ctx.IsHead() {
		return nil
	}
	wake := make(chan struct{}, 1)
	req := session.OpenRequest{Doc: r.id, Convention: session.Versioned, Resume: from != session.Head, Rev: from, Notify: func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}}
	sub, opened, err := a.opt.Manager.Open(r.c, req)
	if err != nil {
		return err
	}
	if from != session.Head && opened.Rev != from { // it went and came meanwhile
		sub.Close()
		return a.numbered(r, session.Errorf(session.CodeFuture, "revision %d, head %d", from, opened.Head))
	}
	f := &follower{a: a, sub: sub, wake: wake, doc: r.id, pass: r.pass}
	f.unwatch = r.pass.Watch(req.Notify)
	return a.stream(r, f.run, f.close)
}

// eventsFrom returns the revision that the caller has: what it saw last, or asks for.
func (a *API) eventsFrom(r *request) (session.Revision, error) {
	if last := r.ctx.Request.Header.Peek("Last-Event-ID"); len(last) > 0 {
		return revision("Last-Event-ID", string(last))
	}
	if s, _ := r.param("from"); s == "-1" { // all there is, the creation too
		return session.Unborn, nil
	}
	return r.revisionParam("from", session.Head)
}

// follower sends one reader the steps of a document. What it holds is its position.
type follower struct {
	a       *API
	sub     *session.Subscription
	wake    chan struct{}
	doc     string
	pass    *auth.Pass // of the reader
	unwatch func()
}

func (f *follower) close() {
	f.unwatch()
	f.sub.Close()
}

// run implements the body of an answer.
func (f *follower) run(w *stream.Writer) error {
	beat := time.NewTicker(f.a.opt.Heartbeat)
	defer beat.Stop()
	fmt.Fprint(w, "retry: 3000\n\n")
	for {
		done, err := f.take(w)
		if err == nil {
			err = w.Flush()
		}
		if done || err != nil {
			return err
		}
		select {
		case <-f.wake:
		case <-beat.C:
			fmt.Fprint(w, ": still here\n\n")
		case <-w.Context().Done():
			end(w, session.CodeBusy, "the server is stopping: come back")
			return nil
		}
	}
}

// take writes what is new; done says that nothing will come any more.
func (f *follower) take(w *stream.Writer) (done bool, err error) {
	for {
		if why := f.refusal(f.doc); why != nil {
			end(w, why.Code, why.Message)
			return true, nil
		}
		d, err := f.sub.Take(w.Context())
		if err != nil {
			f.a.opt.Logger.Error("cannot read a document for a stream of events", "doc", f.doc, "err", err)
			end(w, session.CodeUnavailable, "the document cannot be read now")
			return true, nil
		}
		for _, b := range d.Batches {
			if _, err := w.Write(f.eventsOf(b)); err != nil {
				return true, err
			}
		}
		if why := d.Closed; why != nil {
			if why.Code == session.CodeMoved && f.refusal(why.Message) != nil {
				why = session.Errorf(session.CodeNotFound, "no such document") // nor is it told where it went
			}
			end(w, why.Code, why.Message)
			return true, nil
		}
		if !d.More {
			return false, nil
		}
	}
}

// refusal returns why the reader may not follow a document any more, or nil.
func (f *follower) refusal(doc string) *session.Error {
	why := f.pass.Check(doc, auth.Read)
	if why != nil && why.Code == session.CodeNotFound {
		return session.Errorf(session.CodeForbidden, "you may not read this document any more")
	}
	return why
}

// end tells the reader why nothing follows.
func end(w *stream.Writer, code session.Code, detail string) {
	fmt.Fprintf(w, "event: end\ndata: %s\n", marshal(map[string]string{"code": string(code), "detail": detail}))
}

// eventKey is under which a batch keeps its events, made once for all readers.
type eventKey struct{}

// eventsOf returns the events of a batch.
func (f *follower) eventsOf(b *session.Batch) []byte {
	return b.Shared(eventKey{}, func() any {
		var out []byte
		rev := b.From
		for _, it := range b.Items {
			rev += session.Revision(it.N)
			out = f.a.appendEvent(out, f.doc, b, it, rev)
		}
		return out
	}).([]byte)
}

func (a *API) appendEvent(dst []byte, doc string, b *session.Batch, it session.Item, rev session.Revision) []byte {
	s := step{Rev: rev, Kind: "edit", Author: it.Author, Client: it.Client, Seq: it.Seq, Time: timeOfMilli(it.Time)}
	s.Names = a.names(doc, one(it.Author))
	switch it.Op.(type) {
	case session.Creation:
		s.Kind = "create"
	case session.Deletion:
		s.Kind = "delete"
	}
	s.Type, s.Op, s.Content = wire(b.Type(), it.Op)
	return fmt.Appendf(dst, "id: %d\nevent: %s\ndata: %s\n", rev, s.Kind, marshal(s))
}
