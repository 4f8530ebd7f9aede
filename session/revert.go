package session

import (
	"context"
	"errors"

	"quire/ot"
	"quire/storage"
)

// Revert takes back what one author did in revisions (from, to], and keeps everybody
// else's work: the inverses of the author's operations, transformed to the head. to may
// be Head. Of a document that was deleted and created again, what was before does not count
// (CodeDeleted when that is all of it); the content that the author created it with does.
// CodeStale when that would take more than eight times Limits.Work, which holds nobody up,
// CodeTooLarge when what comes back is more than twice Limits.Document. Otherwise as Edit.
//
// In JSON, taking back that somebody put a list or an object in takes along what others put
// into it.
func (m *Manager) Revert(ctx context.Context, doc, author string, from, to Revision, w Writer) (Edited, error) {
	return m.write(ctx, doc, w, func(*Session) (plan, error) {
		info, err := m.stat(ctx, doc)
		if err != nil {
			return plan{}, err
		}
		if to == Head {
			to = info.Head
		}
		switch {
		case from > info.Head || to > info.Head:
			return plan{}, Errorf(CodeFuture, "revision %d, head %d", max(from, to), info.Head)
		case info.Type == "":
			return plan{}, Errorf(CodeNotFound, "no such document")
		case to < info.Born:
			return plan{}, Errorf(CodeDeleted, "the document was deleted and created again since revision %d", to)
		}
		done, err := m.place(ctx, m.edits)
		if err != nil {
			return plan{}, err
		}
		defer done()
		r := reversal{m: m, info: info, author: author, typ: m.types[info.Type], from: max(from, info.Born-1), to: to}
		undo, err := r.run(ctx)
		if err != nil {
			return plan{}, m.unreadable(ctx, doc, r.from, err)
		}
		return plan{info.Head, r.typ, undo}, nil
	})
}

// reversal goes once over a document's past from revision from on, with an operation, undo,
// that takes back what the author did up to where it is.
type reversal struct {
	m        *Manager
	info     Info
	author   string
	typ      ot.Type
	from, to Revision

	doc  ot.Doc // where it is
	undo ot.Op  // on doc
	work int
	// bytes is at least how large undo is.
	bytes int

	// Neighbouring operations, all of the author's or all of others', that are composed
	// before anything is made of them.
	own bool
	ops [][]byte
	end Revision // that they lead to
	sum int      // bytes of ops
}

// revertWork is how many times Limits.Work a reversal may take.
const revertWork = 8

// Operations are composed until they are so many, or so many bytes.
const (
	neighbours      = 1024
	neighboursBytes = 256 << 10
)

// run returns what takes back the author's operations in (from, to], on the head.
func (r *reversal) run(ctx context.Context) (ot.Op, error) {
	r.undo = r.typ.Identity()
	if r.from >= r.to {
		return r.undo, nil
	}
	if r.from >= r.info.Born {
		c, err := r.m.contentAt(ctx, r.info, r.from)
		if err != nil {
			return nil, err
		}
		r.doc = c.doc
	}
	for rev := r.from; rev < r.info.Head; {
		if err := ctx.Err(); err != nil {
			return nil, Errorf(CodeUnavailable, "taking back what was done took too long")
		}
		recs, err := r.m.opt.Store.Read(ctx, r.info.ID, rev, r.info.Head)
		if err != nil {
			return nil, err
		}
		for i := range recs {
			if err := r.take(&recs[i], rev); err != nil {
				return nil, err
			}
			rev++
		}
	}
	return r.undo, r.flush()
}

// take goes on over record rev.
func (r *reversal) take(rec *storage.Record, rev Revision) error {
	own := rec.Author == r.author && rev < r.to
	if rec.Kind == storage.Create {
		return r.created(rec, own)
	}
	if own != r.own || rev == r.to || len(r.ops) >= neighbours || r.sum >= neighboursBytes {
		if err := r.flush(); err != nil {
			return err
		}
	}
	r.own, r.end = own, rev+1
	r.ops, r.sum = append(r.ops, rec.Op), r.sum+len(rec.Op)
	return nil
}

// created goes on over the document's creation: what an author creates a document with is
// put into an empty one.
func (r *reversal) created(rec *storage.Record, own bool) (err error) {
	if r.doc, err = r.typ.UnmarshalDoc(rec.Op); err != nil || !own {
		return err
	}
	then := r.doc
	if r.doc, err = r.typ.Create(nil); err != nil {
		return err
	}
	op, err := r.m.diff(r.typ, r.doc, then)
	if err != nil {
		return err
	}
	return r.mine(op)
}

// flush goes on over the operations that have gathered.
func (r *reversal) flush() error {
	ops := r.ops
	r.ops, r.sum = r.ops[:0], 0
	if len(ops) == 0 {
		return nil
	}
	if op, err := r.typ.ComposeStored(ops); err == nil {
		return r.step(op)
	}
	for _, data := range ops { // not all operations compose
		op, err := r.typ.UnmarshalOp(data)
		if err == nil {
			err = r.step(op)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reversal) step(op ot.Op) error {
	if r.own {
		return r.mine(op)
	}
	return r.others(op)
}

// mine goes on over an operation of the author's, which is taken back before what it was
// done after.
func (r *reversal) mine(op ot.Op) error {
	inverse, err := r.typ.Invert(r.doc, op)
	if err != nil {
		return err
	}
	if r.doc, err = r.typ.Apply(r.doc, op); err != nil {
		return err
	}
	if err := r.spend(r.typ.Cost(inverse) + r.typ.Cost(r.undo)); err != nil {
		return err
	}
	if r.undo, err = r.typ.Compose(inverse, r.undo); err != nil {
		return tooMuch(err)
	}
	limit := 2 * r.m.opt.Limits.Document
	if r.bytes += len(r.typ.MarshalOp(nil, inverse)); r.bytes > limit {
		if r.bytes = len(r.typ.MarshalOp(nil, r.undo)); r.bytes > limit {
			return Errorf(CodeTooLarge, "what comes back is %d bytes, limit %d", r.bytes, limit)
		}
	}
	return nil
}

// others goes on over an operation of somebody else's, which stays: what is taken back
// goes after it where both insert, and yields to it where both set the same.
func (r *reversal) others(op ot.Op) (err error) {
	if r.end <= r.to { // the author may go on from there
		if r.doc, err = r.typ.Apply(r.doc, op); err != nil {
			return err
		}
	}
	if r.typ.IsIdentity(r.undo) {
		return r.spend(r.typ.Cost(op))
	}
	if err := r.spend(ot.TransformCost(r.typ, []ot.Op{r.undo}, []ot.Op{op})); err != nil {
		return err
	}
	if r.undo, err = r.typ.Transform(r.undo, op, ot.Right); err != nil {
		return tooMuch(err)
	}
	return nil
}

// spend counts components walked.
func (r *reversal) spend(work int) error {
	limit := revertWork * r.m.opt.Limits.Work
	if r.work += work; r.work < 0 || r.work > limit {
		return Errorf(CodeStale, "taking back what was done would take more than %d steps", limit)
	}
	return nil
}

// tooMuch refuses what would pass the bounds of a type.
func tooMuch(err error) error {
	if errors.Is(err, ot.ErrLimit) {
		return Errorf(CodeStale, "it cannot be taken back: %v", err)
	}
	return err
}
