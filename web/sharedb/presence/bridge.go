package presence

import (
	"slices"
	"strings"
	"sync"

	"quire/ot"
	"quire/session"
	"quire/web/sharedb/wire"
)

// richText is the name of the ot.Type of rich text.
const richText = "delta"

// docName names a document.
type docName struct{ collection, id string }

func (d *Doc) name() docName { return docName{d.Collection, d.ID} }

// channel returns the name of a document's channel.
func (d docName) channel() string { return d.collection + "." + d.id }

// documentOf returns the document that a channel is most likely of: a subscription names
// the channel only, and either name may have a dot in it. What is published in a document
// names it, and then that counts.
func documentOf(channel string) (docName, bool) {
	c, d, ok := strings.Cut(channel, ".")
	return docName{c, d}, ok
}

// bridge reads a document's session for a channel. It publishes on the channel the
// cursors of those who edit the document through other protocols, and it knows the
// version that a removal has to be told on.
//
// A person is shown as a presence whose id and source are their client's id, with the
// value {"index","length","name","color"}, as quill-cursors' users write it.
type bridge struct {
	// Static after construction.
	hub     *Hub
	channel string
	doc     docName
	docID   string
	worker  *wire.Worker

	mu sync.Mutex
	// Guarded by mu.
	stopped bool
	askers  []asker
	leaving []departed

	// Owned by step.
	sub    *session.Subscription
	rev    session.Revision // where the guests' cursors are
	typ    ot.Type          // of the content there
	guests []*guest
}

// asker is a connection to be told everything.
type asker struct {
	c *Conn
	// entry is the channel's count of entries when it became a subscriber: it got what was published
	// since. 0: whatever it got, it is to be told again.
	entry uint64
	again bool // removals as well
}

// guest is a person of another protocol who has a cursor.
type guest struct {
	client string
	user   session.User
	cursor ot.Cursor
	pv     uint64
	told   uint64 // the channel's count of entries when it was published last
}

// bridge gives a channel the bridge to a document. Called with the lock held.
func (h *Hub) bridge(ch *channel, doc docName) {
	id, err := wire.FromCollection(doc.collection, doc.id)
	if h.opt.Sessions == nil || h.closed || err != nil {
		return
	}
	if ch.bridge != nil {
		ch.bridge.stop()
	}
	b := &bridge{hub: h, channel: ch.name, doc: doc, docID: id, rev: session.Unborn}
	b.worker = wire.NewWorker(&h.group, h.opt.Logger, b.step)
	ch.bridge = b
	b.worker.Wake()
}

// tell has everything told to one connection.
func (b *bridge) tell(a asker) {
	b.mu.Lock()
	b.askers = append(b.askers, a)
	b.mu.Unlock()
	b.worker.Wake()
}

// depart has a presence removed whose connection has ended.
func (b *bridge) depart(d departed) {
	b.mu.Lock()
	b.leaving = append(b.leaving, d)
	b.mu.Unlock()
	b.worker.Wake()
}

// stop ends the bridge.
func (b *bridge) stop() {
	b.mu.Lock()
	b.stopped = true
	b.mu.Unlock()
	b.worker.Wake()
}

// step takes what is new in the session and then does what was asked for, on the version
// reached.
func (b *bridge) step() {
	b.mu.Lock()
	askers, leaving := b.askers, b.leaving
	b.askers, b.leaving = nil, nil
	stopped := b.stopped
	b.mu.Unlock()
	if stopped {
		b.worker.Stop()
		if b.sub != nil {
			b.sub.Close()
		}
		askers = nil
	} else {
		b.read()
	}
	for _, d := range leaving {
		d.Doc = b.at(d.Doc)
		send(b.hub.others(b.channel), d.src, d.message(), d.audience())
	}
	for _, a := range askers {
		for _, g := range b.guests {
			if 0 < a.entry && a.entry <= g.told || !a.c.member.MayRead(b.docID) {
				continue
			}
			p := b.publication(g)
			a.c.member.Send(message(g.client, &p))
		}
		if a.again {
			for _, d := range b.hub.departed(b.channel) {
				d.Doc = b.at(d.Doc)
				a.c.hear(&d)
			}
		}
	}
}

// departed returns the presences that were removed from a channel.
func (h *Hub) departed(name string) []departed {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ch := h.channels[name]; ch != nil {
		return slices.Clone(ch.departed)
	}
	return nil
}

// at returns a place in the document as of the version reached, if that is newer.
func (b *bridge) at(d *Doc) *Doc {
	if d.name() != b.doc || d.Version > int64(b.rev)+1 {
		return d
	}
	return &Doc{d.Collection, d.ID, int64(b.rev) + 1, d.Type}
}

// read takes everything that is new in the session, opening it when it is not open.
func (b *bridge) read() {
	if b.sub == nil {
		sub, opened, err := b.hub.opt.Sessions.Open(b.hub.ctx, session.OpenRequest{Convention: session.Versioned, Doc: b.docID, Notify: b.worker.Wake})
		if err != nil {
			b.later()
			return
		}
		b.sub, b.rev = sub, opened.Rev
		b.typ, _ = opened.Doc()
	}
	for more := true; more; {
		d, err := b.sub.Take(b.hub.ctx)
		if err == nil {
			for _, batch := range d.Batches {
				b.advance(batch)
			}
			if d.Presence != nil {
				b.people(d.Presence)
			}
		}
		if err != nil || d.Closed != nil {
			b.sub.Close()
			b.sub = nil
			b.dismiss(func(*guest) bool { return true })
			b.later()
			return
		}
		more = d.More
	}
}

// later tries again after a while.
func (b *bridge) later() { b.hub.opt.After(b.hub.opt.RetryAfter, b.worker.Wake) }

// advance moves the cursors over a batch. ShareDB's clients move those that they know
// themselves, the same way.
func (b *bridge) advance(batch *session.Batch) {
	for _, item := range batch.Items {
		b.rev += session.Revision(item.N)
		switch op := item.Op.(type) {
		case session.Creation:
			b.typ = op.Type
		case session.Deletion:
			b.typ = nil
			b.dismiss(func(*guest) bool { return true })
		default:
			for _, g := range b.guests {
				side := ot.Left
				if item.Client == g.client {
					side = ot.Right
				}
				g.cursor = batch.Type().TransformCursor(g.cursor, op, side)
			}
		}
	}
}

// people takes in news of who is here.
func (b *bridge) people(p *session.Presence) {
	for i := range p.Set {
		b.person(&p.Set[i])
	}
	b.dismiss(func(g *guest) bool {
		if p.Full {
			return !slices.ContainsFunc(p.Set, func(e session.PresenceEntry) bool { return e.Client == g.client })
		}
		return slices.Contains(p.Gone, g.client)
	})
}

// person shows one entry, unless it is a ShareDB client's: those publish for themselves.
func (b *bridge) person(e *session.PresenceEntry) {
	var c ot.Cursor
	shown := b.typ != nil && b.typ.Name() == richText && !b.hub.has(e.Client) && appendValue(nil, e.Cursor, e.User) != nil
	if shown {
		var err error
		if c, err = b.typ.DecodeCursor(e.Cursor, ot.Limits{}); err != nil {
			b.hub.opt.Logger.Error("cannot read a cursor", "doc", b.docID, "client", e.Client, "err", err)
			shown = false
		}
	}
	if !shown {
		b.dismiss(func(g *guest) bool { return g.client == e.Client })
		return
	}
	i := slices.IndexFunc(b.guests, func(g *guest) bool { return g.client == e.Client })
	if i < 0 {
		// A client may know this person from before, by a number that grew from an
		// earlier time on.
		i = len(b.guests)
		b.guests = append(b.guests, &guest{client: e.Client, pv: uint64(b.hub.opt.Now().UnixMilli())})
	}
	g := b.guests[i]
	g.user, g.cursor = e.User, c
	g.pv++
	b.publish(g)
}

// dismiss removes the guests that are gone.
func (b *bridge) dismiss(gone func(*guest) bool) {
	b.guests = slices.DeleteFunc(b.guests, func(g *guest) bool {
		if !gone(g) {
			return false
		}
		g.cursor = nil
		g.pv++
		b.publish(g)
		return true
	})
}

func (b *bridge) publish(g *guest) {
	p := b.publication(g)
	subs, entries := b.hub.noted(&p, g.client, "")
	g.told = entries
	send(subs, g.client, message(g.client, &p), audience{doc: b.docID})
}

func (b *bridge) publication(g *guest) Publication {
	p := Publication{Channel: b.channel, ID: g.client, Version: g.pv, Doc: &Doc{b.doc.collection, b.doc.id, int64(b.rev) + 1, RichText}}
	if g.cursor != nil {
		p.Value = appendValue(nil, b.typ.AppendCursor(nil, g.cursor), g.user)
	}
	return p
}

// has reports whether a source is a connection's.
func (h *Hub) has(src string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sources[src] > 0
}
