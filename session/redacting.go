package session

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"quire/ot"
	"quire/storage"
)

// redactPast redacts what is in the past only. Edits go on while it looks at what there is; then the document's
// session is held, so that what was committed meanwhile is little.
func (m *Manager) redactPast(ctx context.Context, doc string, r Redaction, room *room) (n int, err error) {
	p := &redacting{m: m, Redaction: r, room: room}
	if p.info, err = m.opt.Store.Stat(ctx, doc); err != nil {
		return 0, err
	}
	if err = p.look(ctx); err != nil {
		return 0, err
	}
	s, err := m.hold(ctx, doc)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil || !p.wrote {
			m.let(s, nil, nil)
			return
		}
		m.let(s, Errorf(CodeInternal, "the document's past was rewritten; open it again"), Errorf(CodeUnavailable, "the document's past was just rewritten; nothing was written, send it again"))
	}()
	m.labelling.Lock()
	defer m.labelling.Unlock()
	was := p.info
	if p.info, err = m.opt.Store.Stat(ctx, doc); err != nil {
		return 0, err
	}
	if p.info.Incarnation != was.Incarnation || p.info.Oldest != was.Oldest {
		return 0, &storage.ConflictError{Base: was.Head, Head: p.info.Head}
	}
	s.mu.Lock()
	p.head = s.at
	s.mu.Unlock()
	if err = p.look(ctx); err != nil {
		return 0, err
	}
	p.endLife()
	return p.changed, p.write(ctx)
}

// redacting goes through a document's past twice: look, then record for every record, and what leads
// to them for the snapshots.
type redacting struct {
	m *Manager
	Redaction
	info Info
	room *room
	head content // of the newest revision

	// The first time.
	begun     bool
	looked    Revision       // up to where
	typ       ot.Type        // of the content there
	seeing    ot.Redaction   // of the content there; nil when there is none
	unweighed int            // bytes of operations since it was weighed last
	lives     []ot.Redaction // of what was created, in order; nil where there is nothing to redact
	first     content        // that the past begins with, as it was
	authored  int            // records by Author

	// The second time.
	records, snapshots *walk
	changed            int  // records
	wrote              bool // the past was written anew
}

// walk is a way through the past as it is redacted.
type walk struct {
	at   Revision
	life int     // the next of redacting.lives
	now  content // redacted; none where there is nothing to redact
}

// look shows the redactions every operation up to info.Head that they have not seen.
func (p *redacting) look(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	for p.looked < p.info.Head {
		recs, err := p.m.opt.Store.Read(ctx, p.info.ID, p.looked, p.info.Head)
		if err != nil {
			return err
		}
		for i := range recs {
			if p.Author != "" && recs[i].Author == p.Author && p.As != p.Author {
				p.authored++
			}
			if err := p.see(&recs[i]); err != nil {
				return &ReplayError{Rev: p.looked, Err: err}
			}
			p.looked++
		}
	}
	return nil
}

// begin reads the content that the past begins with; none when that is a creation.
func (p *redacting) begin(ctx context.Context) error {
	if p.begun {
		return nil
	}
	p.begun, p.looked = true, p.info.Oldest
	if p.info.Oldest < 0 {
		return nil
	}
	r, err := p.m.replay(ctx, p.info.ID, p.info.Oldest)
	if err != nil {
		return err
	}
	if p.first, p.typ = r.content, r.typ; p.typ != nil {
		return p.newLife(p.typ, p.first.doc)
	}
	return nil
}

// newLife begins to look at content that was created.
func (p *redacting) newLife(typ ot.Type, doc ot.Doc) error {
	p.endLife()
	if p.Text == "" {
		return nil
	}
	t, err := redactor(typ)
	if err != nil {
		return err
	}
	if err := p.room.grow(redactCost(typ, typ.Size(doc))); err != nil {
		return err
	}
	p.seeing = t.Redact(doc, p.Text)
	return nil
}

// endLife ends the looking at content that was deleted, or that nothing more is known of.
func (p *redacting) endLife() {
	switch seen := p.seeing; {
	case seen == nil:
	case seen.Seen():
		p.lives = append(p.lives, seen)
	default:
		p.lives = append(p.lives, nil)
	}
	p.seeing = nil
}

// weighEvery is after how many bytes of operations the content is weighed anew.
const weighEvery = 64 << 10

// see shows the redaction one record.
func (p *redacting) see(rec *storage.Record) error {
	if p.Text == "" {
		return nil
	}
	op, err := p.m.decode(p.typ, rec)
	if err != nil {
		return err
	}
	switch op := op.(type) {
	case Creation:
		err = p.newLife(op.Type, op.Doc)
	case Deletion:
	default:
		if err = p.seeing.See(op); err != nil {
			return err
		}
		if p.unweighed += len(rec.Op); p.unweighed >= weighEvery {
			p.unweighed = 0
			if refusal := p.room.grow(redactCost(p.typ, p.seeing.Size())); refusal != nil {
				return refusal
			}
		}
	}
	_, p.typ = around(p.typ, op)
	return err
}

// write writes the past anew where there is something to redact, then what is beside it.
func (p *redacting) write(ctx context.Context) error {
	if needed, err := p.needed(ctx); err != nil {
		return err
	} else if needed {
		p.records = p.walk()
		if err := p.check(p.records); err != nil {
			return err
		}
		if err := p.m.opt.Store.Rewrite(ctx, p.info.ID, p.info.Incarnation, p.record, func(s storage.Snapshot) (storage.Snapshot, error) {
			return p.snapshot(ctx, s)
		}); err != nil {
			return err
		}
		p.wrote = true
		p.m.contents.forget(p.info.Incarnation)
	}
	err := p.notes(ctx)
	p.m.blames.forget(p.info.Incarnation)
	return err
}

// found reports whether there is anything to redact in what led from the oldest revision on.
func (p *redacting) found() bool {
	return slices.ContainsFunc(p.lives, func(life ot.Redaction) bool { return life != nil })
}

// needed reports whether there is anything to redact in the records and snapshots.
func (p *redacting) needed(ctx context.Context) (bool, error) {
	if p.authored > 0 || p.found() {
		return true, nil
	}
	revs, err := p.m.opt.Store.Snapshots(ctx, p.info.ID)
	if err != nil {
		return false, err
	}
	for _, rev := range revs { // what led to those below the oldest is not there
		if p.Text == "" || rev >= p.info.Oldest {
			break
		}
		was, err := p.m.opt.Store.Snapshot(ctx, p.info.ID, rev)
		if err != nil {
			return false, err
		}
		now, err := p.snapshot(ctx, was)
		if err != nil || !bytes.Equal(was.Data, now.Data) {
			return err == nil, err
		}
	}
	return false, nil
}

// walk begins a way through the past. It ends any other.
func (p *redacting) walk() *walk {
	w := &walk{at: p.info.Oldest}
	if p.Text != "" && p.first.typ != nil {
		w.create(p, Creation{p.first.typ, p.first.doc})
	}
	return w
}

// create goes on with content that was created, and returns it with filler in it.
func (w *walk) create(p *redacting, c Creation) Creation {
	life := p.lives[w.life]
	w.life++
	w.now = content{}
	if life != nil {
		c.Doc = life.Doc(c.Doc)
		w.now = content{typ: c.Type, doc: c.Doc}
	}
	return c
}

// pass goes past a record in which there is nothing to redact, if it is one, and reports whether it was.
func (w *walk) pass(p *redacting, rec *storage.Record) bool {
	switch {
	case p.Text == "":
		return true
	case rec.Kind != storage.Create:
		return w.now.typ == nil
	case p.lives[w.life] != nil:
		return false
	}
	w.life++
	w.now = content{}
	return true
}

// step goes past a record, puts filler into it, and reports whether that changed it.
func (w *walk) step(p *redacting, rec *storage.Record) (changed bool, err error) {
	w.at++
	if w.pass(p, rec) {
		return false, nil
	}
	op, err := p.m.decode(w.now.typ, rec)
	if err != nil {
		return false, err
	}
	then := op
	switch op := op.(type) {
	case Creation:
		c := w.create(p, op)
		then, changed = c, c.Doc != op.Doc
	case Deletion:
	default:
		then, changed = p.lives[w.life-1].Op(op, w.now.doc)
	}
	if changed {
		rec.Op = encode(w.now.typ, then).Op
	}
	w.now, err = w.now.apply(then, w.at)
	return changed, err
}

// check fails with a headError where w has come to the newest revision, and that would be another.
func (p *redacting) check(w *walk) error {
	if w.at == p.info.Head && w.now.typ != nil && !sameDoc(w.now.typ, w.now.doc, p.head.doc) {
		return &headError{View{w.at, p.head.typ, p.head.doc}, w.now.doc}
	}
	return nil
}

// record returns what is kept instead of a record.
func (p *redacting) record(rev storage.Revision, rec storage.Record) (storage.Record, error) {
	changed, err := p.records.step(p, &rec)
	if err != nil {
		return rec, &ReplayError{Rev: rev, Err: err}
	}
	if p.Author != "" && rec.Author == p.Author && p.As != p.Author {
		rec.Author, changed = p.As, true
	}
	if changed {
		p.changed++
	}
	return rec, p.check(p.records)
}

// snapshot returns what is kept instead of a snapshot. They are asked for when all records were, and what leads to them
// is read once more, rather than that all of them are in memory.
func (p *redacting) snapshot(ctx context.Context, snap storage.Snapshot) (storage.Snapshot, error) {
	if p.Text == "" || snap.Type == "" {
		return snap, nil
	}
	if snap.Rev < p.info.Oldest {
		return p.labelled(snap)
	}
	if !p.found() {
		return snap, nil
	}
	w := p.records // which came to the head
	if snap.Rev != w.at {
		if p.snapshots == nil || p.snapshots.at > snap.Rev {
			p.snapshots = p.walk()
		}
		w = p.snapshots
	}
	for w.at < snap.Rev {
		recs, err := p.m.opt.Store.Read(ctx, p.info.ID, w.at, snap.Rev)
		if err != nil {
			return snap, err
		}
		for i := range recs {
			if _, err := w.step(p, &recs[i]); err != nil {
				return snap, &ReplayError{Rev: w.at - 1, Err: err}
			}
		}
	}
	switch at := w.now; {
	case at.typ == nil:
	case at.typ.Name() != snap.Type:
		return snap, fmt.Errorf("the snapshot at revision %d is of another type than the records make", snap.Rev)
	default:
		snap.Data = at.typ.MarshalDoc(nil, at.doc)
	}
	return snap, nil
}

// labelled returns what is kept instead of a snapshot that is kept for a label; what led to it and on from it is not.
func (p *redacting) labelled(snap storage.Snapshot) (storage.Snapshot, error) {
	typ := p.m.types[snap.Type]
	if typ == nil {
		return snap, fmt.Errorf("unknown document type %q", snap.Type)
	}
	t, err := redactor(typ)
	if err != nil {
		return snap, err
	}
	if err := p.room.grow(redactCost(typ, len(snap.Data))); err != nil {
		return snap, err
	}
	doc, err := typ.UnmarshalDoc(snap.Data)
	if err != nil {
		return snap, err
	}
	if seen := t.Redact(doc, p.Text); seen.Seen() {
		snap.Data = typ.MarshalDoc(nil, seen.Doc(doc))
	}
	return snap, nil
}

// notes redacts what is kept beside the records: who set labels, and who made the content that
// the past begins with.
func (p *redacting) notes(ctx context.Context) error {
	var set []storage.Note
	labels, err := p.m.labels(ctx, p.info.ID)
	if err != nil {
		return err
	}
	for _, l := range labels {
		if p.Author == "" || l.Author != p.Author {
			continue
		}
		l.Author = p.As
		note, err := l.note()
		if err != nil {
			return err
		}
		set = append(set, note)
	}
	authorship, err := p.authorship(ctx)
	if err != nil {
		return err
	}
	if set = append(set, authorship...); len(set) == 0 {
		return nil
	}
	return p.m.opt.Store.SetNotes(ctx, p.info.ID, p.info.Incarnation, set)
}

// authorship returns the notes of the redacted authorship; none when there is none.
func (p *redacting) authorship(ctx context.Context) ([]storage.Note, error) {
	if p.info.Oldest < 0 {
		return nil, nil
	}
	a, err := p.m.readAuthorship(ctx, p.info, p.info.Oldest)
	if a == nil || a.trace == nil || err != nil {
		return nil, err
	}
	if p.Author != "" {
		a.rename(p.Author, p.As)
	}
	if err := p.retrace(a); err != nil {
		return nil, err
	}
	return a.notes()
}

// retrace has the trace of a document whose parts have paths follow the change of names in
// them. Parts of other documents stay where they are.
func (p *redacting) retrace(a *authorship) error {
	paths := slices.ContainsFunc(a.trace.Spans(), func(s ot.Span) bool { return s.Path != nil })
	start := p.walk().now
	if !paths || start.typ == nil || start.doc == p.first.doc {
		return nil
	}
	op, err := p.m.diff(a.typ, p.first.doc, start.doc)
	if err != nil {
		return err
	}
	if _, ok := a.maker(a.rev); !ok {
		a.sign("", "", p.info.Modified)
	}
	return a.trace.Apply(op, ot.Origin(a.rev))
}
