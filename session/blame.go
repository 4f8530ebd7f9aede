package session

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"quire/ot"
	"quire/storage"
)

// Part is a part of a document with who made it.
type Part struct {
	// Span is where it is. Its Origin is the revision that it came with, or the newest of
	// several: what a client of the document typed in one go, each step next to the one
	// before and at most 10 seconds after it, is one part.
	ot.Span
	// First is the oldest of the revisions; Origin when there is one.
	First  Revision
	Author string
	// Time is that of Origin; zero, like Author, when it is not known who made the part.
	Time time.Time
}

// Blame returns who made each part of a document at a revision (Head: the newest), in
// the document's order, and that revision and type. Parts that came with revision since or before
// are left out; Unborn leaves out none. What retention has squashed keeps its authors.
// CodeNotFound when there is no content at the revision, CodeBadType of a type that does not
// trace, CodeGone, CodeFuture.
func (m *Manager) Blame(ctx context.Context, doc string, rev, since Revision) ([]Part, Revision, ot.Type, error) {
	info, err := m.stat(ctx, doc)
	if err != nil {
		return nil, 0, nil, err
	}
	switch {
	case rev == Head:
		rev = info.Head
	case rev > info.Head:
		return nil, 0, nil, Errorf(CodeFuture, "revision %d, head %d", rev, info.Head)
	case rev < 0:
		return nil, 0, nil, Errorf(CodeNotFound, "revision %d is before the document's creation", rev)
	case rev < info.Oldest:
		return nil, 0, nil, m.unreadable(ctx, doc, rev, storage.ErrTrimmed)
	}
	b, err := m.blame(ctx, info, rev)
	if err != nil {
		return nil, 0, nil, m.unreadable(ctx, doc, rev, err)
	}
	return b.parts(since), rev, b.typ, nil
}

const (
	blameBytes = 64 << 20 // of blames that were asked for lately
	blameCount = 512
	// blameEvery is at what multiples one is kept on the way, for asking for others nearby.
	blameEvery = 32768
)

// keptBlame is a blame that was asked for lately, or came on the way.
type keptBlame struct {
	data []byte // its binary form
	done *blame // with spans and without a trace; nil of one that came on the way
}

// blame returns where the parts of a document come from at a revision in [oldest, head].
func (m *Manager) blame(ctx context.Context, info Info, rev Revision) (*blame, error) {
	done, err := m.look(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	at, kept, ok, epoch := m.blames.floor(info.Incarnation, rev)
	if ok && at == rev && kept.done != nil {
		return kept.done, nil
	}
	b, err := m.blameFrom(ctx, info, rev, at, kept.data, ok)
	if err != nil {
		return nil, err
	}
	for b.rev < rev {
		if err := ctx.Err(); err != nil {
			return nil, Errorf(CodeUnavailable, "finding out who made what took too long")
		}
		if err := m.follow(ctx, info, b, min(rev, (b.rev/blameEvery+1)*blameEvery)); err != nil {
			return nil, err
		}
		if b.rev < rev {
			b.prune()
			data := b.marshal(nil)
			m.blames.put(info.Incarnation, b.rev, keptBlame{data: data}, len(data), epoch)
		}
	}
	if b.trace == nil {
		return nil, Errorf(CodeNotFound, "the document has no content at revision %d", rev)
	}
	b.prune()
	data := b.marshal(nil)
	b.trace = nil
	m.blames.put(info.Incarnation, rev, keptBlame{data, b}, len(data)+len(b.spans)*96+len(b.made)*24, epoch)
	return b, nil
}

// blameFrom returns the newest blame up to revision rev that there is: one that was kept, at
// revision at, or the document's creation, or what was kept of what was squashed.
func (m *Manager) blameFrom(ctx context.Context, info Info, rev, at Revision, data []byte, ok bool) (*blame, error) {
	start := info.Oldest
	if rev >= info.Born {
		start = max(start, info.Born-1)
	}
	if ok && at > start {
		return m.unmarshalBlame(data)
	}
	if start >= 0 && start == info.Oldest {
		return m.squashed(ctx, info)
	}
	return &blame{rev: start}, nil
}

// squashed returns where the parts of a document come from at the oldest revision that is
// kept: what a note says, or else from that revision, by nobody known.
func (m *Manager) squashed(ctx context.Context, info Info) (*blame, error) {
	key := (&blame{rev: info.Oldest}).noteKey()
	notes, err := m.opt.Store.Notes(ctx, info.ID, key, "", 1)
	if err != nil {
		return nil, err
	}
	if len(notes) == 1 && notes[0].Key == key {
		return m.unmarshalBlame(notes[0].Value)
	}
	c, err := m.contentAt(ctx, info, info.Oldest)
	if err != nil || c.typ == nil {
		return &blame{rev: info.Oldest}, err
	}
	b := &blame{rev: info.Oldest}
	return b, b.begin(c.typ, c.doc)
}

// follow goes on to revision to.
func (m *Manager) follow(ctx context.Context, info Info, b *blame, to Revision) error {
	for b.rev < to {
		recs, err := m.opt.Store.Read(ctx, info.ID, b.rev, to)
		if err != nil {
			return err
		}
		for i := range recs {
			if err := m.followOne(b, &recs[i]); err != nil {
				return &ReplayError{Rev: b.rev, Err: err}
			}
		}
	}
	return nil
}

func (m *Manager) followOne(b *blame, rec *storage.Record) error {
	op, err := m.decode(b.typ, rec)
	if err != nil {
		return err
	}
	b.rev++
	switch op := op.(type) {
	case Creation:
		err = b.begin(op.Type, op.Doc)
	case Deletion:
		*b = blame{rev: b.rev}
	default:
		err = b.trace.Apply(op, ot.Origin(b.rev))
	}
	b.made = append(b.made, maker{b.rev, rec.Time, b.number(rec.Author, rec.Client)})
	return err
}

// blame is where the parts of a document come from at a revision.
type blame struct {
	rev   Revision
	typ   ot.Type   // nil when there is no content
	trace ot.Trace  // its origins are revisions
	spans []ot.Span // of trace, set by prune
	// made says of each revision that something comes from, ascending, who made it. It may
	// say so of others.
	made   []maker
	people []hand
	index  map[hand]int // of people; made when it is needed
}

type maker struct {
	rev  Revision
	time int64
	who  int // in people
}

// hand is who made something, and through which client.
type hand struct{ author, client string }

// begin has all content come from the blame's revision.
func (b *blame) begin(typ ot.Type, doc ot.Doc) error {
	tracer, ok := typ.(ot.Tracer)
	if !ok {
		return Errorf(CodeBadType, "a document of type %s does not say where its parts come from", typ.Name())
	}
	b.typ, b.trace, b.made = typ, tracer.Trace(doc, ot.Origin(b.rev)), nil
	return nil
}

// number returns the number of somebody, who gets one when they have none.
func (b *blame) number(author, client string) int {
	if b.index == nil {
		b.index = map[hand]int{}
		for i, p := range b.people {
			b.index[p] = i
		}
	}
	p := hand{author, client}
	i, ok := b.index[p]
	if !ok {
		i = len(b.people)
		b.index[p] = i
		b.people = append(b.people, p)
	}
	return i
}

// prune sets the spans and drops the makers of which nothing is left. What is gone from a
// document never comes back from where it came from.
func (b *blame) prune() {
	if b.trace == nil {
		b.made = nil
		return
	}
	b.spans = b.trace.Spans()
	left := make([]bool, len(b.made))
	for _, s := range b.spans {
		if i, ok := b.maker(Revision(s.Origin)); ok {
			left[i] = true
		}
	}
	made, people := b.made, b.people
	b.made, b.people, b.index = nil, nil, nil
	for i, k := range made {
		if left[i] {
			k.who = b.number(people[k.who].author, people[k.who].client)
			b.made = append(b.made, k)
		}
	}
}

// maker returns the index in made of a revision.
func (b *blame) maker(rev Revision) (int, bool) {
	return slices.BinarySearchFunc(b.made, rev, func(k maker, rev Revision) int { return cmp.Compare(k.rev, rev) })
}

// inOneGo is how long after the step before somebody still types in one go.
const inOneGo = 10 * time.Second

// parts returns what came after revision since.
func (b *blame) parts(since Revision) []Part {
	parts := []Part{}
	var last maker
	for _, s := range b.spans {
		rev := Revision(s.Origin)
		if rev <= since {
			last = maker{who: -1}
			continue
		}
		p := Part{Span: s, First: rev}
		i, ok := b.maker(rev)
		if !ok {
			last = maker{who: -1}
			parts = append(parts, p)
			continue
		}
		k := b.made[i]
		p.Author, p.Time = b.people[k.who].author, time.UnixMilli(k.time).UTC()
		if n := len(parts) - 1; n >= 0 && b.goesOn(last, k) && parts[n].Start+parts[n].Length == s.Start && bytes.Equal(parts[n].Path, s.Path) {
			p.Start, p.Length, p.First = parts[n].Start, parts[n].Length+s.Length, parts[n].First
			parts[n] = p
		} else {
			parts = append(parts, p)
		}
		last = k
	}
	return parts
}

// goesOn reports whether one step is of the same client as another, and soon after it.
func (b *blame) goesOn(first, then maker) bool {
	return first.who == then.who && b.people[then.who].client != "" && first.rev < then.rev && pause(trace{time: first.time}, trace{time: then.time}) <= inOneGo
}

// rename gives the parts of one author to another, and reports whether there are any.
func (b *blame) rename(author, as string) (renamed bool) {
	for i := range b.people {
		if b.people[i].author == author {
			b.people[i].author, renamed = as, true
		}
	}
	return renamed
}

var errBlame = errors.New("session: damaged account of who made what")

// noteKey is the key of the note that keeps the blame when what was before is squashed.
func (b *blame) noteKey() string { return blameNotes + strconv.FormatInt(int64(b.rev), 10) }

// note is that note.
func (b *blame) note() storage.Note { return storage.Note{Key: b.noteKey(), Value: b.marshal(nil)} }

// marshal appends the binary form: what format it is, the revision, the type's name, the
// people, the makers, the trace.
func (b *blame) marshal(dst []byte) []byte {
	w := appender{append(dst, blameFormat)}
	w.number(uint64(b.rev))
	if b.typ == nil {
		w.text("")
		return w.data
	}
	w.text(b.typ.Name())
	w.number(uint64(len(b.people)))
	for _, p := range b.people {
		w.text(p.author)
		w.text(p.client)
	}
	w.number(uint64(len(b.made)))
	var last maker
	for _, k := range b.made {
		w.number(uint64(k.rev - last.rev))
		w.number(uint64(k.time - last.time))
		w.number(uint64(k.who))
		last = k
	}
	return b.trace.Marshal(w.data)
}

const blameFormat = 1

// unmarshalBlame reads what marshal wrote.
func (m *Manager) unmarshalBlame(data []byte) (*blame, error) {
	if len(data) == 0 || data[0] != blameFormat {
		return nil, fmt.Errorf("%w: unknown format", errBlame)
	}
	r := taker{data: data[1:]}
	b := &blame{rev: Revision(r.number())}
	name := r.text()
	if name == "" && !r.bad {
		return b, nil
	}
	tracer, ok := m.types[name].(ot.Tracer)
	if !ok {
		return nil, fmt.Errorf("%w: type %q", errBlame, name)
	}
	b.people = make([]hand, r.count())
	for i := range b.people {
		b.people[i] = hand{r.text(), r.text()}
	}
	b.made = make([]maker, r.count())
	var last maker
	for i := range b.made {
		last.rev += Revision(r.number())
		last.time += int64(r.number())
		if last.who = int(r.number()); last.who < 0 || last.who >= len(b.people) {
			return nil, fmt.Errorf("%w: person %d of %d", errBlame, last.who, len(b.people))
		}
		b.made[i] = last
	}
	if r.bad {
		return nil, fmt.Errorf("%w: it ends early", errBlame)
	}
	b.typ = tracer
	var err error
	b.trace, err = tracer.UnmarshalTrace(r.data)
	return b, err
}
