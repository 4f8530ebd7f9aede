package session

import (
	"context"
	"errors"

	"quire/ot"
	"quire/storage"
)

// Difference is what happened between two revisions.
type Difference struct {
	From, To Revision
	// Type is the type of the content at both.
	Type ot.Type
	// Before and After are the content at From and To.
	Before, After ot.Doc
	// Op leads from Before to After: what was done composed, when From is below To and
	// there are not too many steps between them, else as small as Options.Diff makes it.
	Op ot.Op
}

// maxComposed is how many steps between two revisions Difference composes.
const maxComposed = 4096

// Difference returns what leads from one revision to another, which may be older. Either
// may be Head. CodeBadType when the content is of another type there, or was deleted,
// CodeGone, CodeFuture.
func (m *Manager) Difference(ctx context.Context, doc string, from, to Revision) (Difference, error) {
	d, err := m.difference(ctx, doc, from, to)
	if err != nil {
		refusal := m.unreadable(ctx, doc, min(from, to), err)
		m.opt.Observer.Refused(refusal.Code)
		return Difference{}, refusal
	}
	return d, nil
}

func (m *Manager) difference(ctx context.Context, doc string, from, to Revision) (Difference, error) {
	info, err := m.stat(ctx, doc)
	if err != nil {
		return Difference{}, err
	}
	for _, rev := range []*Revision{&from, &to} {
		switch {
		case *rev == Head:
			*rev = info.Head
		case *rev > info.Head:
			return Difference{}, Errorf(CodeFuture, "revision %d, head %d", *rev, info.Head)
		case *rev < 0:
			return Difference{}, Errorf(CodeNotFound, "revision %d is before the document's creation", *rev)
		}
	}
	done, err := m.look(ctx)
	if err != nil {
		return Difference{}, err
	}
	defer done()
	before, err := m.contentAt(ctx, info, from)
	if err != nil {
		return Difference{}, err
	}
	after, err := m.contentAt(ctx, info, to)
	if err != nil {
		return Difference{}, err
	}
	switch {
	case before.typ == nil || after.typ == nil:
		return Difference{}, Errorf(CodeBadType, "the document has no content at one of revisions %d and %d", from, to)
	case before.typ != after.typ:
		return Difference{}, Errorf(CodeBadType, "the document is of type %s at revision %d and of type %s at revision %d", before.typ.Name(), from, after.typ.Name(), to)
	}
	d := Difference{From: from, To: to, Type: before.typ, Before: before.doc, After: after.doc}
	if from <= to && to-from <= maxComposed {
		if d.Op, err = m.composed(ctx, info.ID, d.Type, from, to); err == nil {
			return d, nil
		}
		if !errors.Is(err, errTurned) && !errors.Is(err, errMany) {
			m.opt.Logger.Info("steps of a document cannot be composed; they are compared", "doc", doc, "rev", from, "to", to, "err", err)
		}
	}
	d.Op, err = m.diff(d.Type, d.Before, d.After)
	return d, err
}

var (
	// errTurned: the document was deleted or created in between.
	errTurned = errors.New("session: not all steps are edits")
	// errMany: composing them takes too much memory.
	errMany = errors.New("session: the steps are too large to be composed")
)

// composed makes one operation of the edits that led to revisions (from, to], as long as they take no more than a
// quarter of the memory for what is read.
func (m *Manager) composed(ctx context.Context, doc string, typ ot.Type, from, to Revision) (ot.Op, error) {
	var parts []ot.Op
	room := m.reads.budget.Most() / 4 / ot.Weight(typ)
	for from < to {
		recs, err := m.opt.Store.Read(ctx, doc, from, to)
		if err != nil {
			return nil, err
		}
		ops := make([][]byte, len(recs))
		for i := range recs {
			if recs[i].Kind != storage.Edit {
				return nil, errTurned
			}
			ops[i] = recs[i].Op
			room -= len(recs[i].Op)
		}
		if room < 0 {
			return nil, errMany
		}
		op, err := typ.ComposeStored(ops)
		if err != nil {
			return nil, err
		}
		parts = append(parts, op)
		from += Revision(len(recs))
	}
	return typ.ComposeAll(parts)
}

const (
	recentCount = 512 // of contents that were looked at lately
	// nearby is how many steps are rather replayed on what was looked at lately than on a
	// snapshot, which has to be read.
	nearby = 4096
)

// contentAt returns a document's content at a revision in [0, head]. Who looks at many revisions
// in a row finds what is near in memory.
func (m *Manager) contentAt(ctx context.Context, info Info, rev Revision) (content, error) {
	return m.contentOf(ctx, nil, info, rev)
}

// contentOf is contentAt, with what is read counted for r.
func (m *Manager) contentOf(ctx context.Context, r *reader, info Info, rev Revision) (content, error) {
	at, c, ok, epoch := m.contents.floor(info.Incarnation, rev)
	if ok && at == rev {
		return c, nil
	}
	ok = ok && at >= info.Oldest // from a labelled revision below, nothing leads on
	keep := func(rev Revision, c content) {
		m.contents.put(info.Incarnation, rev, c, c.cost()+1<<10, epoch)
	}
	found := replayed{content: c, snap: at}
	near := ok && at >= info.Oldest // there are steps to replay
	if !near || rev-at > nearby {
		snap, err := m.snapshotAt(ctx, r, info.ID, rev)
		if err != nil {
			return content{}, err
		}
		if !near || snap.snap > at {
			found = snap
		}
	}
	if found.snap == rev {
		keep(rev, found.content)
	}
	before := found.cost()
	err := m.replayOn(ctx, info.ID, found.snap, rev, &found, keep)
	if grown := found.cost() - before; err == nil && grown > 0 {
		err = r.count(ctx, grown)
	}
	return found.content, err
}
