package session

import (
	"context"
	"time"

	"quire/ot"
	"quire/storage"
)

// Entry is one revision of a document's past.
type Entry struct {
	// Rev is the revision that the step led to.
	Rev  Revision
	Kind storage.Kind
	// Type is the type of the content that the step is about.
	Type ot.Type
	// Op is an operation of Type, a Creation or a Deletion.
	Op     ot.Op
	Author string
	Client string
	Seq    uint64
	Time   time.Time
}

// maxEntries is the most steps that Entries returns.
const maxEntries = 10_000

// Entries returns up to limit steps (1 to 10,000) that led to revisions (from, to], in order; to may be
// Head. Fewer may come, at least one unless from is the head. CodeGone when the step after
// from is older than what is kept, with the oldest revision in the message, CodeFuture past the head.
func (m *Manager) Entries(ctx context.Context, doc string, from, to Revision, limit int) ([]Entry, error) {
	out, err := m.entries(ctx, doc, from, to, limit)
	if err != nil {
		return nil, m.unreadable(ctx, doc, from, err)
	}
	return out, nil
}

func (m *Manager) entries(ctx context.Context, doc string, from, to Revision, limit int) ([]Entry, error) {
	info, err := m.stat(ctx, doc)
	if err != nil {
		return nil, err
	}
	if to == Head {
		to = info.Head
	}
	from = max(from, Unborn)
	if from > info.Head || to > info.Head {
		return nil, Errorf(CodeFuture, "revision %d, head %d", max(from, to), info.Head)
	}
	if to = min(to, from+Revision(min(max(limit, 1), maxEntries))); from >= to {
		return nil, nil
	}
	r, done := m.reader(ctx)
	defer done()
	leave, err := r.place(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	steps, err := m.steps(ctx, info, from, to)
	if err != nil {
		return nil, err
	}
	bytes := 0
	for i := range steps {
		bytes += steps[i].cost()
	}
	if err := r.count(ctx, bytes); err != nil {
		return nil, err
	}
	out := make([]Entry, len(steps))
	for i, s := range steps {
		if out[i], err = s.entry(); err != nil {
			return nil, &ReplayError{Rev: s.rev - 1, Err: err}
		}
	}
	return out, nil
}

// stat returns what is known of a document, CodeNotFound when it is not there.
func (m *Manager) stat(ctx context.Context, doc string) (Info, error) {
	if err := checkDocID(doc); err != nil {
		return Info{}, err
	}
	info, err := m.opt.Store.Stat(ctx, doc)
	if err != nil {
		return Info{}, m.unreadable(ctx, doc, Head, err)
	}
	return info, nil
}

// step is one record with what is needed to read it.
type step struct {
	storage.Record
	m   *Manager
	typ ot.Type  // of the content before it
	rev Revision // that it led to
}

// steps reads a bounded piece of the steps that led to revisions (from, to].
func (m *Manager) steps(ctx context.Context, info Info, from, to Revision) ([]step, error) {
	typ, err := m.typeAt(ctx, info, from)
	if err != nil {
		return nil, err
	}
	recs, err := m.opt.Store.Read(ctx, info.ID, from, to)
	if err != nil {
		return nil, err
	}
	out := make([]step, len(recs))
	for i, rec := range recs {
		out[i] = step{rec, m, typ, from + Revision(i) + 1}
		switch rec.Kind {
		case storage.Create:
			typ = m.types[rec.Type]
		case storage.Delete:
			typ = nil
		}
	}
	return out, nil
}

// typeAt returns the type of a document's content at a revision; nil when it had none.
func (m *Manager) typeAt(ctx context.Context, info Info, rev Revision) (ot.Type, error) {
	switch {
	case rev < 0:
		return nil, nil
	case rev >= info.Born && info.Type != "":
		return m.types[info.Type], nil
	}
	r, err := m.replay(ctx, info.ID, rev)
	return r.typ, err
}

// cost returns about how many bytes of memory it takes when it is read.
func (s *step) cost() int {
	t := s.typ
	if s.Kind == storage.Create {
		t = s.m.types[s.Type]
	}
	return len(s.Op) * ot.Weight(t)
}

// op returns what the step did: an operation, a Creation or a Deletion.
func (s *step) op() (ot.Op, error) { return s.m.decode(s.typ, &s.Record) }

func (s *step) entry() (Entry, error) {
	op, err := s.op()
	before, after := around(s.typ, op)
	if after == nil {
		after = before
	}
	return Entry{
		Rev: s.rev, Kind: s.Kind, Type: after, Op: op, Author: s.Author, Client: s.Client, Seq: s.Seq,
		Time: time.UnixMilli(s.Time).UTC(),
	}, err
}
