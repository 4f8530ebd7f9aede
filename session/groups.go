package session

import (
	"context"
	"slices"
	"time"

	"quire/ot"
	"quire/storage"
)

// Group is a stretch of revisions (From, To] that reads as one edit: by the same people,
// without a long pause.
type Group struct {
	From, To Revision
	// Start and End are the times of its first and last step.
	Start, End time.Time
	// Authors are who took part, in the order of their first step.
	Authors []string
	// Operations is how many steps it has.
	Operations int
	// Inserted and Deleted is how much they put in and took out; see ot.Measured. A creation
	// puts in the content. 0 of a type that does not measure.
	Inserted, Deleted int
	// Kind is Edit, or what its only step is.
	Kind storage.Kind
}

// Grouping says how steps are grouped. A zero field means its default.
type Grouping struct {
	// Pause is the pause that ends a group. Default 2 minutes.
	Pause time.Duration
	// Span is how long a group may be in all. Default 15 minutes.
	Span time.Duration
	// Most is how many steps it may have. Default 2,000, at most 20,000.
	Most int
}

func (g Grouping) withDefaults() Grouping {
	if g.Pause <= 0 {
		g.Pause = 2 * time.Minute
	}
	if g.Span <= 0 {
		g.Span = 15 * time.Minute
	}
	if g.Most <= 0 {
		g.Most = 2000
	}
	g.Most = min(g.Most, 20_000)
	return g
}

const (
	maxGroups  = 1000
	maxGrouped = 100_000 // steps that Groups looks at
	// alternating is how many steps of others may lie between two of a group's authors, who
	// are then taken to have worked together.
	alternating = 256
)

// Groups returns up to limit groups (1 to 1,000), newest first, of the steps that led to revisions
// up to before (Head: the newest), and the revision to ask on with, or Unborn when that
// was all that is kept. It looks at 100,000 steps at most, so fewer may come. The boundaries of groups do not
// depend on where one begins to ask, as long as it is at one of them.
//
// A group goes back from its newest step while there is no longer pause than Grouping allows, and
// until somebody wrote who did not take turns with those who wrote later.
func (m *Manager) Groups(ctx context.Context, doc string, before Revision, limit int, g Grouping) ([]Group, Revision, error) {
	info, err := m.stat(ctx, doc)
	if err != nil {
		return nil, 0, err
	}
	if before == Head {
		before = info.Head
	}
	if before > info.Head {
		return nil, 0, Errorf(CodeFuture, "revision %d, head %d", before, info.Head)
	}
	if before < 0 {
		return nil, Unborn, nil
	}
	if before <= info.Oldest {
		return nil, 0, m.unreadable(ctx, doc, before, storage.ErrTrimmed)
	}
	done, err := m.look(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	row := traces{m: m, info: info, end: before}
	groups, next, err := row.groups(ctx, min(max(limit, 1), maxGroups), g.withDefaults())
	if err != nil {
		return nil, 0, m.unreadable(ctx, doc, before, err)
	}
	return groups, next, nil
}

// trace is what a step leaves in a Group.
type trace struct {
	author            string
	time              int64
	kind              storage.Kind
	inserted, deleted int
}

// traces is a document's past as it is gone through backwards: back[i] is the step that
// led to revision end-i.
type traces struct {
	m    *Manager
	info Info
	end  Revision
	back []trace
}

// has reads until there are more than i steps, and reports whether there are.
func (t *traces) has(ctx context.Context, i int) (bool, error) {
	const piece = 2048
	for len(t.back) <= i {
		to := t.end - Revision(len(t.back))
		from := max(to-piece, t.info.Oldest, Unborn)
		if from >= to || len(t.back) >= maxGrouped {
			return false, nil
		}
		var piece []trace
		for from < to {
			steps, err := t.m.steps(ctx, t.info, from, to)
			if err != nil {
				return false, err
			}
			for i := range steps {
				tr, err := steps[i].trace()
				if err != nil {
					return false, &ReplayError{Rev: steps[i].rev - 1, Err: err}
				}
				piece = append(piece, tr)
			}
			from += Revision(len(steps))
		}
		slices.Reverse(piece)
		t.back = append(t.back, piece...)
	}
	return true, nil
}

func (s *step) trace() (trace, error) {
	tr := trace{author: s.Author, time: s.Time, kind: s.Kind}
	op, err := s.op()
	if err != nil {
		return tr, err
	}
	switch op := op.(type) {
	case Deletion:
	case Creation:
		if t, ok := op.Type.(ot.Measured); ok {
			tr.inserted = t.MeasureDoc(op.Doc)
		}
	default:
		if t, ok := s.typ.(ot.Measured); ok {
			tr.inserted, tr.deleted = t.Measure(op)
		}
	}
	return tr, nil
}

func (t *traces) groups(ctx context.Context, limit int, g Grouping) (out []Group, next Revision, err error) {
	at := 0
	for len(out) < limit {
		n, complete, err := t.group(ctx, at, g)
		if err != nil {
			return nil, 0, err
		}
		if !complete && len(t.back) >= maxGrouped && len(out) > 0 {
			break // where it begins has not been looked at
		}
		if n == 0 {
			return out, Unborn, nil
		}
		out = append(out, t.sum(at, n))
		at += n
	}
	if next = t.end - Revision(at); next <= t.info.Oldest {
		next = Unborn
	}
	return out, next, nil
}

// group returns how many steps the group has whose newest is at, and whether it is known
// where it begins; 0 past the oldest.
func (t *traces) group(ctx context.Context, at int, g Grouping) (n int, complete bool, err error) {
	if there, err := t.has(ctx, at); !there {
		return 0, false, err
	}
	newest := t.back[at]
	if newest.kind != storage.Edit {
		return 1, true, nil
	}
	authors := map[string]bool{newest.author: true}
	n = 1
	for i := at + 1; i-at < g.Most && i-at-n < alternating; i++ {
		there, err := t.has(ctx, i)
		if err != nil || !there {
			return n, false, err
		}
		tr, later := t.back[i], t.back[i-1]
		if tr.kind != storage.Edit || pause(tr, later) > g.Pause || pause(tr, newest) > g.Span || pause(tr, t.back[at+n-1]) > g.Pause {
			return n, true, nil
		}
		if authors[tr.author] {
			for ; at+n <= i; n++ { // who wrote in between took turns with them
				authors[t.back[at+n].author] = true
			}
		}
	}
	return n, true, nil
}

func pause(earlier, later trace) time.Duration {
	return time.Duration(later.time-earlier.time) * time.Millisecond
}

// sum makes a group of n steps of which the newest is at.
func (t *traces) sum(at, n int) Group {
	to := t.end - Revision(at)
	newest, oldest := t.back[at], t.back[at+n-1]
	g := Group{
		From: to - Revision(n), To: to, Operations: n, Kind: newest.kind,
		Start: time.UnixMilli(oldest.time).UTC(), End: time.UnixMilli(newest.time).UTC(),
	}
	seen := map[string]bool{}
	for _, tr := range slices.Backward(t.back[at : at+n]) {
		g.Inserted += tr.inserted
		g.Deleted += tr.deleted
		if !seen[tr.author] {
			seen[tr.author] = true
			g.Authors = append(g.Authors, tr.author)
		}
	}
	return g
}
