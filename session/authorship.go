package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"quire/ot"
	"quire/storage"
)

// authorship is where the parts of a document's content come from at a revision, and who made
// them. It is followed from one revision to the next, and not safe for concurrent use.
type authorship struct {
	rev   Revision
	typ   ot.Type   // of the content; nil when there is none
	trace ot.Trace  // nil also when the type is not an ot.Tracer; origins are revisions
	spans []ot.Span // of trace, as of the last prune
	// made says of each revision that something comes from, ascending, who made it. It may
	// say so of others.
	made  []maker
	hands []hand
	index map[hand]int // of hands; made when it is needed
}

// maker says who made a revision, and when.
type maker struct {
	rev  Revision
	time int64 // Unix milliseconds
	who  int   // in hands
}

// hand is who makes something, and the client through which.
type hand struct{ author, client string }

// begin has all content come from the revision.
func (a *authorship) begin(typ ot.Type, doc ot.Doc) {
	*a = authorship{rev: a.rev, typ: typ}
	if t, ok := typ.(ot.Tracer); ok {
		a.trace = t.Trace(doc, ot.Origin(a.rev))
	}
}

// follow takes in the record that leads to the next revision, with what it decodes to.
func (a *authorship) follow(rec *storage.Record, op ot.Op) error {
	a.rev++
	switch op := op.(type) {
	case Creation:
		a.begin(op.Type, op.Doc)
	case Deletion:
		*a = authorship{rev: a.rev}
	default:
		if a.trace == nil {
			break
		}
		if err := a.trace.Apply(op, ot.Origin(a.rev)); err != nil {
			return &ReplayError{Rev: a.rev - 1, Err: err}
		}
	}
	if a.trace != nil {
		a.sign(rec.Author, rec.Client, rec.Time)
	}
	return nil
}

// sign says who made the revision; not twice.
func (a *authorship) sign(author, client string, time int64) {
	a.made = append(a.made, maker{a.rev, time, a.number(author, client)})
}

// number returns the number of a hand, which gets one when it has none.
func (a *authorship) number(author, client string) int {
	if a.index == nil {
		a.index = map[hand]int{}
		for i, h := range a.hands {
			a.index[h] = i
		}
	}
	h := hand{author, client}
	i, ok := a.index[h]
	if !ok {
		i = len(a.hands)
		a.index[h] = i
		a.hands = append(a.hands, h)
	}
	return i
}

// maker returns the index in made of a revision.
func (a *authorship) maker(rev Revision) (int, bool) {
	return slices.BinarySearchFunc(a.made, rev, func(k maker, rev Revision) int { return cmp.Compare(k.rev, rev) })
}

// prune sets the spans and forgets who made what is not there any more. What is gone from a
// document never comes back from where it came from.
func (a *authorship) prune() {
	if a.trace == nil {
		return
	}
	a.spans = a.trace.Spans()
	left := make([]bool, len(a.made))
	for _, s := range a.spans {
		if i, ok := a.maker(Revision(s.Origin)); ok {
			left[i] = true
		}
	}
	made, hands := a.made, a.hands
	a.made, a.hands, a.index = nil, nil, nil
	for i, k := range made {
		if left[i] {
			k.who = a.number(hands[k.who].author, hands[k.who].client)
			a.made = append(a.made, k)
		}
	}
}

// rename gives what one author made to another.
func (a *authorship) rename(author, as string) {
	for i := range a.hands {
		if a.hands[i].author == author {
			a.hands[i].author = as
		}
	}
}

// authorshipEvery is at what multiples an authorship is kept in memory on the way, for asking
// for others nearby.
const authorshipEvery = 32768

// authorshipAt returns who made a document's content at a revision in [oldest, head], pruned, from what
// was kept in memory or when its past was squashed and the records since.
func (m *Manager) authorshipAt(ctx context.Context, info Info, rev Revision) (*authorship, error) {
	a, epoch, err := m.nearestAuthorship(ctx, info, rev)
	if err != nil {
		return nil, err
	}
	for {
		a.prune()
		if a.rev == rev {
			return a, nil
		}
		if a.rev > 0 && a.rev%authorshipEvery == 0 {
			data := a.marshal()
			m.blames.put(info.Incarnation, a.rev, keptBlame{data: data}, len(data), epoch)
		}
		if ctx.Err() != nil {
			return nil, Errorf(CodeUnavailable, "finding out who made what took too long")
		}
		if err := m.follow(ctx, info, a, min(rev, (max(a.rev, 0)/authorshipEvery+1)*authorshipEvery)); err != nil {
			return nil, err
		}
	}
}

// authorshipSince returns who made a document's content at revision to, pruned; what is as old as
// revision from, in [oldest, to], comes from there, by nobody known. It takes time in
// proportion to the steps between and the content.
func (m *Manager) authorshipSince(ctx context.Context, info Info, from, to Revision) (*authorship, error) {
	c, err := m.contentAt(ctx, info, from)
	if err != nil {
		return nil, err
	}
	a := &authorship{rev: from}
	if c.typ != nil {
		a.begin(c.typ, c.doc)
	}
	if err := m.follow(ctx, info, a, to); err != nil {
		return nil, err
	}
	a.prune()
	return a, nil
}

// follow takes an authorship on to revision to.
func (m *Manager) follow(ctx context.Context, info Info, a *authorship, to Revision) error {
	for a.rev < to {
		recs, err := m.opt.Store.Read(ctx, info.ID, a.rev, to)
		if err != nil {
			return err
		}
		for i := range recs {
			op, err := m.decode(a.typ, &recs[i])
			if err != nil {
				return &ReplayError{Rev: a.rev, Err: err}
			}
			if err := a.follow(&recs[i], op); err != nil {
				return err
			}
		}
	}
	return nil
}

// nearestAuthorship returns the newest authorship up to revision rev that there is: one that is in
// memory, or of the document's creation, or what was kept of what was squashed.
func (m *Manager) nearestAuthorship(ctx context.Context, info Info, rev Revision) (a *authorship, epoch uint64, err error) {
	start := info.Oldest
	if rev >= info.Born {
		start = max(start, info.Born-1)
	}
	at, kept, ok, epoch := m.blames.floor(info.Incarnation, rev)
	switch {
	case ok && at > start:
		a, err = m.unmarshalAuthorship(kept.data)
	case start >= 0 && start == info.Oldest:
		a, err = m.oldestAuthorship(ctx, info)
	default:
		a = &authorship{rev: start}
	}
	return a, epoch, err
}

// oldestAuthorship returns who made the content that a squashed past begins with: what is kept, or
// that revision, by nobody known.
func (m *Manager) oldestAuthorship(ctx context.Context, info Info) (*authorship, error) {
	a, err := m.readAuthorship(ctx, info, info.Oldest)
	if err != nil || a != nil && a.trace != nil {
		return a, err
	}
	return m.authorshipSince(ctx, info, info.Oldest, info.Oldest)
}

// marshal returns the binary form: what format it is, the revision, the type's name (alone when
// nothing is traced), the hands, the makers, the trace.
func (a *authorship) marshal() []byte {
	w := appender{[]byte{authorshipFormat}}
	w.number(uint64(a.rev))
	if a.trace == nil {
		w.text("")
		return w.data
	}
	w.text(a.typ.Name())
	w.number(uint64(len(a.hands)))
	for _, h := range a.hands {
		w.text(h.author)
		w.text(h.client)
	}
	w.number(uint64(len(a.made)))
	var last maker
	for _, k := range a.made {
		w.number(uint64(k.rev - last.rev))
		w.number(uint64(k.time - last.time))
		w.number(uint64(k.who))
		last = k
	}
	return a.trace.Marshal(w.data)
}

const authorshipFormat = 1

var errAuthorship = errors.New("damaged authorship")

// unmarshalAuthorship reads what marshal returned.
func (m *Manager) unmarshalAuthorship(data []byte) (*authorship, error) {
	if len(data) == 0 || data[0] != authorshipFormat {
		return nil, fmt.Errorf("%w: unknown format", errAuthorship)
	}
	r := taker{data: data[1:]}
	a := &authorship{rev: Revision(r.number())}
	name := r.text()
	if name == "" && !r.bad {
		return a, nil
	}
	tracer, ok := m.types[name].(ot.Tracer)
	if !ok {
		return nil, fmt.Errorf("%w: type %q", errAuthorship, name)
	}
	a.hands = make([]hand, r.count())
	for i := range a.hands {
		a.hands[i] = hand{r.text(), r.text()}
	}
	a.made = make([]maker, r.count())
	var last maker
	for i := range a.made {
		last.rev += Revision(r.number())
		last.time += int64(r.number())
		if last.who = int(r.number()); last.who < 0 || last.who >= len(a.hands) {
			return nil, fmt.Errorf("%w: hand %d of %d", errAuthorship, last.who, len(a.hands))
		}
		a.made[i] = last
	}
	if r.bad {
		return nil, fmt.Errorf("%w: it ends early", errAuthorship)
	}
	a.typ = tracer
	var err error
	a.trace, err = tracer.UnmarshalTrace(r.data)
	return a, err
}
