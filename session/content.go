package session

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"quire/ot"
	"quire/storage"
)

// Creation is what the Op of an Item or a Change is when it gives a document its
// content: its first, or a new one after it was deleted.
type Creation struct {
	Type ot.Type
	Doc  ot.Doc
}

// Deletion is what the Op of an Item or a Change is when it takes a document's
// content away. The document's revisions count on, and its past stays readable.
type Deletion struct {
	was ot.Type // of the content; set when it is placed
}

// content is what a document holds at some revision.
type content struct {
	typ  ot.Type // nil before the document is created and after it was deleted
	doc  ot.Doc
	born Revision // the revision that the newest creation led to
}

// Unborn is the revision of a document that is not created yet.
const Unborn Revision = -1

// Head, as a revision to ask for, is the newest one.
const Head Revision = math.MaxInt64

// apply returns the content after op, which is an operation of its type, a Creation
// or a Deletion, and which leads to revision rev.
func (c content) apply(op ot.Op, rev Revision) (content, error) {
	switch op := op.(type) {
	case Creation:
		return content{op.Type, op.Doc, rev}, nil
	case Deletion:
		return content{born: c.born}, nil
	}
	if c.typ == nil {
		return c, errors.New("an operation on a document without content")
	}
	doc, err := c.typ.Apply(c.doc, op)
	return content{c.typ, doc, c.born}, err
}

// size returns the content's size in bytes.
func (c content) size() int {
	if c.typ == nil {
		return 0
	}
	return c.typ.Size(c.doc)
}

// cost returns about how many bytes of memory the content takes.
func (c content) cost() int {
	if c.typ == nil {
		return 0
	}
	return c.size() * ot.Weight(c.typ)
}

// decode reads the operation of a record on a document of type typ.
func (m *Manager) decode(typ ot.Type, rec *storage.Record) (ot.Op, error) {
	switch rec.Kind {
	case storage.Create:
		t := m.types[rec.Type]
		if t == nil {
			return nil, fmt.Errorf("unknown document type %q", rec.Type)
		}
		doc, err := t.UnmarshalDoc(rec.Op)
		return Creation{t, doc}, err
	case storage.Delete:
		return Deletion{typ}, nil
	}
	if typ == nil {
		return nil, errors.New("an operation on a document without content")
	}
	return typ.UnmarshalOp(rec.Op)
}

// encode is the record of an operation, without its author.
func encode(typ ot.Type, op ot.Op) storage.Record {
	switch op := op.(type) {
	case Creation:
		return storage.Record{Kind: storage.Create, Type: op.Type.Name(), Op: op.Type.MarshalDoc(nil, op.Doc)}
	case Deletion:
		return storage.Record{Kind: storage.Delete}
	}
	return storage.Record{Op: typ.MarshalOp(nil, op)}
}

// around returns the type of the content before and after op, which is of type typ if
// it is an operation on the content.
func around(typ ot.Type, op ot.Op) (before, after ot.Type) {
	switch op := op.(type) {
	case Creation:
		return nil, op.Type
	case Deletion:
		return op.was, nil
	}
	return typ, typ
}

// replayed is what replay found.
type replayed struct {
	content
	snap  Revision // of the snapshot it started from
	bytes int      // of the records after it
	time  int64    // of the last record, or 0
}

// replay reads a document as it was at revision at, 0 or more: the newest snapshot
// below it and the records after that.
func (m *Manager) replay(ctx context.Context, id string, at Revision) (replayed, error) {
	r, err := m.snapshotAt(ctx, nil, id, at)
	if err == nil {
		err = m.replayOn(ctx, id, r.snap, at, &r, nil)
	}
	return r, err
}

// snapshotAt reads a document as it was at its newest snapshot up to revision at, or Unborn, counted
// for reads.
func (m *Manager) snapshotAt(ctx context.Context, reads *reader, id string, at Revision) (replayed, error) {
	r := replayed{snap: Unborn}
	snap, err := m.opt.Store.Snapshot(ctx, id, at)
	if errors.Is(err, storage.ErrNotFound) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if r.snap = snap.Rev; snap.Type == "" {
		return r, nil
	}
	if r.typ = m.types[snap.Type]; r.typ == nil {
		return r, fmt.Errorf("unknown document type %q", snap.Type)
	}
	if err := reads.count(ctx, len(snap.Data)*ot.Weight(r.typ)); err != nil {
		return r, err
	}
	r.doc, err = r.typ.UnmarshalDoc(snap.Data)
	return r, err
}

// replaySteps is how many operations are composed before they are applied.
const replaySteps = 8192

// replayOn takes a document that was read as it was at revision from on to revision at. passed,
// unless it is nil, is called with some of the revisions on the way.
func (m *Manager) replayOn(ctx context.Context, id string, from, at Revision, r *replayed, passed func(rev Revision, c content)) error {
	for rev := from; rev < at; {
		recs, err := m.opt.Store.Read(ctx, id, rev, at)
		if err != nil {
			return err
		}
		for len(recs) > 0 {
			n := min(len(recs), replaySteps)
			if r.content, err = m.advance(r.content, recs[:n], rev); err != nil {
				return err
			}
			for i := range recs[:n] {
				r.bytes += len(recs[i].Op)
			}
			r.time = recs[n-1].Time
			recs, rev = recs[n:], rev+Revision(n)
			if passed != nil {
				passed(rev, r.content)
			}
		}
	}
	return nil
}

// advance returns the content at revision rev after records that follow one another. Edits
// are composed and applied at once, which is quicker than one by one.
func (m *Manager) advance(c content, recs []storage.Record, rev Revision) (content, error) {
	if c.typ != nil && len(recs) > 1 && !slices.ContainsFunc(recs, func(r storage.Record) bool { return r.Kind != storage.Edit }) {
		ops := make([][]byte, len(recs))
		for i := range recs {
			ops[i] = recs[i].Op
		}
		if op, err := c.typ.ComposeStored(ops); err == nil {
			if then, err := c.apply(op, rev+Revision(len(recs))); err == nil {
				return then, nil
			}
		}
	}
	for i := range recs { // those that do not compose; and to say which one does not fit
		op, err := m.decode(c.typ, &recs[i])
		if err == nil {
			c, err = c.apply(op, rev+Revision(i)+1)
		}
		if err != nil {
			return c, &ReplayError{Rev: rev + Revision(i), Err: err}
		}
	}
	return c, nil
}

// View is a document as it was at a revision.
type View struct {
	// Rev is the revision, Unborn when the document was not created yet.
	Rev Revision
	// Type and Doc are the content; Type is nil when there was none.
	Type ot.Type
	Doc  ot.Doc
}

// View returns a document at a revision (Head: the newest), durable as it is. A
// document that does not exist is one that is Unborn. Errors are *Error:
// CodeFuture past the head, CodeUnavailable when the document cannot be read.
func (m *Manager) View(ctx context.Context, id string, rev Revision) (View, error) {
	v, err := m.view(ctx, id, rev)
	if err == nil {
		return v, nil
	}
	e := m.unreadable(ctx, id, rev, err)
	m.opt.Observer.Refused(e.Code)
	return View{}, e
}

// unreadable says why a document's past, from revision rev on, could not be read.
func (m *Manager) unreadable(ctx context.Context, id string, rev Revision, err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, storage.ErrTrimmed):
		if info, err := m.opt.Store.Stat(ctx, id); err == nil {
			return gone(rev, info.Oldest)
		}
	case errors.Is(err, storage.ErrNotFound):
		return Errorf(CodeNotFound, "no such document")
	case ctx.Err() != nil: // nothing failed: it took too long, or nobody waits for it
		return Errorf(CodeUnavailable, "reading the document took too long")
	}
	m.opt.Logger.ErrorContext(ctx, "cannot read a document", "doc", id, "rev", rev, "err", err)
	return Errorf(CodeUnavailable, "the document cannot be read now")
}

// gone refuses what is older than what is kept.
func gone(rev, oldest Revision) *Error {
	if rev == Head {
		return Errorf(CodeGone, "that is older than what is kept of the document, from revision %d on", oldest)
	}
	return Errorf(CodeGone, "revision %d is older than what is kept, the oldest is %d", rev, oldest)
}

func (m *Manager) view(ctx context.Context, id string, rev Revision) (View, error) {
	if err := checkDocID(id); err != nil {
		return View{}, err
	}
	if s := m.loaded(id); s != nil {
		s.mu.Lock()
		v, dead := View{s.head, s.at.typ, s.at.doc}, s.dead != nil
		s.mu.Unlock()
		if !dead && (rev == Head || rev == v.Rev) {
			return v, nil
		}
	}
	info, err := m.opt.Store.Stat(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		info.Head = Unborn
	} else if err != nil {
		return View{}, err
	}
	if rev == Head {
		rev = info.Head
	}
	if rev > info.Head {
		return View{}, Errorf(CodeFuture, "revision %d, head %d", rev, info.Head)
	}
	if rev < 0 {
		return View{Rev: Unborn}, nil
	}
	c, err := m.readContent(ctx, info, rev)
	return View{rev, c.typ, c.doc}, err
}

// RevisionAt returns the newest revision that was committed at or before a time; Unborn
// before the first, and of a document that does not exist. Times of records never go back.
// CodeGone when it would be older than what is kept.
func (m *Manager) RevisionAt(ctx context.Context, id string, at time.Time) (Revision, error) {
	rev, err := m.opt.Store.At(ctx, id, at.UnixMilli())
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return Unborn, nil
	case errors.Is(err, storage.ErrTrimmed):
		info, err := m.stat(ctx, id)
		if err != nil {
			return 0, err
		}
		return 0, Errorf(CodeGone, "%s is before what is kept of the document, the oldest revision is %d", at.UTC().Format(time.RFC3339Nano), info.Oldest)
	case err != nil:
		return 0, m.unreadable(ctx, id, Head, err)
	}
	return rev, nil
}

// unwritable says why something beside a document's log could not be written.
func (m *Manager) unwritable(ctx context.Context, id string, err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrExists):
		return AsError(err)
	}
	m.opt.Logger.ErrorContext(ctx, "cannot write what is kept beside a document", "doc", id, "err", err)
	return Errorf(CodeUnavailable, "it cannot be written now")
}

// loaded returns the session of a document when it is in memory.
func (m *Manager) loaded(id string) *Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.sessions[id]; l != nil {
		select {
		case <-l.done:
			return l.s
		default:
		}
	}
	return nil
}

func checkDocID(id string) error {
	if storage.CheckDocID(id) != nil {
		return Errorf(CodeBadID, "a document id is 1 to %d bytes of UTF-8 without control characters", storage.MaxDocID)
	}
	if strings.HasPrefix(id, importPrefix) {
		return Errorf(CodeBadID, "a document id does not begin with %q", importPrefix)
	}
	return nil
}
