package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"quire/session/limits"
	"quire/storage"
)

// importPrefix begins the ids of documents that are being imported. Nobody can open them
// and they are not listed.
const importPrefix = ".quire/import/"

const (
	importBatch   = 1024    // records that are written at a time,
	importBytes   = 1 << 20 // or bytes of operations
	importClients = 100_000 // whose sequence numbers are remembered; of more the store is asked
	// importSkew is how far in the future a step may be.
	importSkew = 24 * time.Hour
	// maxImportBase is the newest revision that a document's past may begin with.
	maxImportBase Revision = 4 << 20
)

// Import creates a document with a past: entries in order, beginning with a Creation that leads to
// revision 0 (or, of a document whose beginning was squashed, content at its oldest revision, at most
// 4,194,304), with authors, clients and times as they are. next returns io.EOF after the last; any other
// error of it ends the import and is returned as it is. Each operation is verified by applying it. Nothing
// is there when it fails: CodeExists; CodeBadOp and CodeTooLarge with the revision in the message (times go
// back or are in the future, a client's sequence numbers do not grow, a step does not fit); CodeBadMessage for a
// label that names no revision that is there. Durable on return. Memory holds one piece of the past at a time.
func (m *Manager) Import(ctx context.Context, doc string, meta Meta, labels []Label, next func() (Entry, error)) (Info, error) {
	if err := checkDocID(doc); err != nil {
		return Info{}, err
	}
	if err := meta.check(); err != nil {
		return Info{}, err
	}
	if _, err := m.opt.Store.Stat(ctx, doc); err == nil {
		return Info{}, AsError(storage.ErrExists)
	} else if !errors.Is(err, storage.ErrNotFound) {
		return Info{}, m.unreadable(ctx, doc, Head, err)
	}
	if m.namespaces != nil {
		if err := m.namespaces.room(ctx, doc); err != nil {
			return Info{}, m.unwritable(ctx, doc, err)
		}
	}
	p := &importing{m: m, id: importPrefix + strconv.FormatUint(rand.Uint64(), 36), rev: Unborn, clients: map[string]uint64{}}
	err := p.run(ctx, next)
	if err == nil {
		err = p.finish(ctx, doc, meta, labels)
	}
	if err != nil {
		p.undo(ctx)
		return Info{}, err
	}
	m.appeared(doc)
	m.changed(doc)
	return m.stat(ctx, doc)
}

// importing is an import under way.
type importing struct {
	m    *Manager
	id   string
	info Info // when the store has the document

	at      content  // at rev
	rev     Revision // of the newest step, Unborn before the first
	time    int64    // of that step
	recs    []storage.Record
	bytes   int // of recs
	clients map[string]uint64
	tail    replayed // since the newest snapshot
}

// run writes the past.
func (p *importing) run(ctx context.Context, next func() (Entry, error)) error {
	for {
		e, err := next()
		if errors.Is(err, io.EOF) && p.rev >= 0 {
			break
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = Errorf(CodeBadOp, "there is no revision")
			}
			return err
		}
		if err := p.step(ctx, e); err != nil {
			return err
		}
	}
	if err := p.flush(ctx); err != nil {
		return err
	}
	return p.snapshot(ctx)
}

// step verifies a step and puts it in the row.
func (p *importing) step(ctx context.Context, e Entry) error {
	bad := func(format string, args ...any) error {
		return Errorf(CodeBadOp, "revision %d: %s", e.Rev, fmt.Sprintf(format, args...))
	}
	first := p.rev == Unborn
	ms, latest := e.Time.UnixMilli(), p.m.opt.Now().Add(importSkew).UnixMilli()
	switch {
	case first && (e.Rev < 0 || e.Rev > maxImportBase):
		return bad("the first is of revision 0, or at most %d", maxImportBase)
	case !first && e.Rev != p.rev+1:
		return bad("comes after revision %d", p.rev)
	case ms < p.time:
		return bad("its time is before the time of the revision before")
	case ms > latest:
		return bad("its time is in the future")
	case !printable(e.Author) || !printable(e.Client):
		return bad("a name holds a control character or is not UTF-8")
	}
	then, err := p.apply(e)
	if err != nil {
		return bad("%v", err)
	}
	if size, limit := then.size(), p.m.opt.Limits.Document; size > limit {
		return p.m.Exceeds(limits.Document, limit, CodeTooLarge, "revision %d: the document would be %d bytes", e.Rev, size)
	}
	rec := encode(p.at.typ, e.Op)
	rec.Author, rec.Client, rec.Seq, rec.Time = e.Author, e.Client, e.Seq, ms
	if err := storage.CheckRecord(&rec); err != nil {
		return bad("%s", strings.TrimPrefix(err.Error(), storage.ErrInvalid.Error()+": "))
	}
	if fits, err := p.grows(ctx, e); err != nil {
		return err
	} else if !fits {
		return bad("sequence number %d of client %q is not above the one before", e.Seq, e.Client)
	}
	if first {
		if err := p.begin(ctx, e.Rev, then, rec); err != nil {
			return err
		}
	} else {
		p.recs, p.bytes = append(p.recs, rec), p.bytes+len(rec.Op)
	}
	p.at, p.rev, p.time = then, e.Rev, ms
	if len(p.recs) >= importBatch || p.bytes >= importBytes {
		return p.flush(ctx)
	}
	return nil
}

// apply returns the content after a step, which has to be one that can be there.
func (p *importing) apply(e Entry) (then content, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("it does not fit the document")
		}
	}()
	switch op := e.Op.(type) {
	case Creation:
		if p.at.typ != nil {
			return then, errors.New("a creation of what is there")
		}
		if op.Type == nil || p.m.types[op.Type.Name()] == nil {
			return then, errors.New("unknown document type")
		}
		if op.Doc == nil {
			return then, errors.New("a creation without content")
		}
	case Deletion:
		if p.at.typ == nil {
			return then, errors.New("a deletion of what is not there")
		}
	default:
		if p.at.typ != e.Type {
			return then, errors.New("an operation of another type")
		}
	}
	return p.at.apply(e.Op, e.Rev)
}

// grows reports whether a step's sequence number is above its client's last.
func (p *importing) grows(ctx context.Context, e Entry) (bool, error) {
	if e.Seq == 0 {
		return true, nil
	}
	if len(p.clients) >= importClients {
		if err := p.flush(ctx); err != nil {
			return false, err
		}
		clear(p.clients)
	}
	last, known := p.clients[e.Client]
	if !known && p.info.Incarnation != 0 {
		var err error
		if last, _, err = p.m.opt.Store.LastSeq(ctx, p.id, e.Client); err != nil {
			return false, p.m.unreadable(ctx, p.id, Head, err)
		}
	}
	p.clients[e.Client] = e.Seq
	return e.Seq > last, nil
}

// begin creates the document. One whose past begins later is given as many steps that do
// nothing, which are dropped at once.
func (p *importing) begin(ctx context.Context, rev Revision, at content, first storage.Record) (err error) {
	if p.info, err = p.m.opt.Store.Create(ctx, p.id, first); err != nil {
		return p.m.unwritable(ctx, p.id, err)
	}
	if rev == 0 {
		return nil
	}
	nothing := storage.Record{Op: at.typ.MarshalOp(nil, at.typ.Identity()), Time: first.Time}
	for p.info.Head < rev {
		p.recs = p.recs[:0]
		for range min(rev-p.info.Head, 8*importBatch) {
			p.recs = append(p.recs, nothing)
		}
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	p.at, p.rev = at, rev
	if err := p.snapshot(ctx); err != nil {
		return err
	}
	a := authorship{rev: rev}
	a.begin(at.typ, at.doc)
	a.sign(first.Author, first.Client, first.Time)
	notes, err := a.notes()
	if err != nil {
		return err
	}
	if err := p.m.note(ctx, p.info, notes...); err != nil {
		return err
	}
	if err := p.m.opt.Store.Trim(ctx, p.id, p.info.Incarnation, rev, nil); err != nil {
		return p.m.unwritable(ctx, p.id, err)
	}
	return nil
}

// flush writes what is in the row, and a snapshot when it is time for one.
func (p *importing) flush(ctx context.Context) error {
	if len(p.recs) == 0 {
		return nil
	}
	if err := p.m.opt.Store.Append(ctx, p.id, p.info.Incarnation, p.info.Head, p.recs); err != nil {
		return p.m.unwritable(ctx, p.id, err)
	}
	p.info.Head += Revision(len(p.recs))
	p.tail.bytes += p.bytes
	p.recs, p.bytes = p.recs[:0], 0
	if p.rev == p.info.Head && (int(p.rev-p.tail.snap) >= p.m.opt.SnapshotOps || p.tail.bytes > 64<<10+p.at.size()) {
		return p.snapshot(ctx)
	}
	return nil
}

// snapshot puts a snapshot at the newest step, which is written.
func (p *importing) snapshot(ctx context.Context) error {
	if p.rev < 1 || p.tail.snap == p.rev {
		return nil
	}
	snap := storage.Snapshot{Rev: p.rev}
	if p.at.typ != nil {
		var err error
		if snap, err = p.at.snapshot(p.rev); err != nil {
			return p.m.unwritable(ctx, p.id, err)
		}
	}
	if err := p.m.opt.Store.PutSnapshot(ctx, p.id, p.info.Incarnation, snap); err != nil {
		return p.m.unwritable(ctx, p.id, err)
	}
	p.tail.snap, p.tail.bytes = p.rev, 0
	return nil
}

// finish gives the document its labels, what is said of it, and its name.
func (p *importing) finish(ctx context.Context, doc string, meta Meta, labels []Label) error {
	if len(labels) > maxLabels {
		return Errorf(CodeTooLarge, "a document has at most %d labels", maxLabels)
	}
	info, err := p.m.opt.Store.Stat(ctx, p.id)
	if err != nil {
		return p.m.unreadable(ctx, p.id, Head, err)
	}
	names := map[string]bool{}
	notes := make([]storage.Note, len(labels))
	for i, l := range labels {
		if l.Rev < max(info.Oldest, 0) || l.Rev > info.Head || names[l.Name] {
			return Errorf(CodeBadMessage, "label %q, of revision %d: there is no such revision, or the name is there twice", l.Name, l.Rev)
		}
		names[l.Name] = true
		if err := (&User{Name: l.Author}).check(p.m.opt.Limits); err != nil {
			return err
		}
		if notes[i], err = l.note(); err != nil {
			return err
		}
	}
	if err := p.m.note(ctx, info, notes...); err != nil {
		return err
	}
	if err := p.m.setMeta(ctx, info, meta); err != nil {
		return err
	}
	if err := p.m.opt.Store.Rename(ctx, p.id, doc); err != nil {
		return p.m.unwritable(ctx, doc, err)
	}
	return nil
}

// undo removes what was written, also when the caller has given up.
func (p *importing) undo(ctx context.Context) {
	if p.info.Incarnation == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.m.opt.LoadTimeout)
	defer cancel()
	if err := p.m.opt.Store.Delete(ctx, p.id); err != nil && !errors.Is(err, storage.ErrNotFound) {
		p.m.opt.Logger.Error("cannot remove what was written of an import that failed; it goes at the next start", "doc", p.id, "err", err)
	}
}

// appeared ends a session that waits for a document's creation: it came in another way.
func (m *Manager) appeared(doc string) {
	m.purge(m.loadingOf(doc), Errorf(CodeUnavailable, "the document has just been imported; open it again"), func(s *Session) bool { return s.inc == 0 })
}

// CleanUp removes what was written of imports that did not end, since the server was
// stopped. Call it once, before anything else.
func (m *Manager) CleanUp(ctx context.Context) error {
	for {
		infos, err := m.opt.Store.List(ctx, importPrefix, "", 100)
		if err != nil || len(infos) == 0 {
			return err
		}
		for _, info := range infos {
			if err := m.opt.Store.Delete(ctx, info.ID); err != nil && !errors.Is(err, storage.ErrNotFound) {
				return err
			}
			m.opt.Logger.Info("removed an import that did not end", "doc", info.ID, "revisions", info.Head+1)
		}
	}
}
