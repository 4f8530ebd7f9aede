package session

import (
	"context"
	"errors"
	"fmt"

	"quire/ot"
	"quire/session/limits"
)

// Edit applies operations, in JSON wire form and one after another, that were made on
// revision base (Head: whatever is newest), as one operation with one revision:
// transformed over what was committed since, on the Right. It is durable on return.
// The document is opened if need be and live readers see the operation like any other.
// Errors are *Error: those of Subscription.Change, CodeGone when base is older than
// what is kept, CodeReused.
func (m *Manager) Edit(ctx context.Context, doc string, base Revision, ops [][]byte, w Writer) (Edited, error) {
	return m.write(ctx, doc, w, func(s *Session) (plan, error) {
		typ, err := s.typeOn(ctx, base)
		if err != nil {
			return plan{}, err
		}
		op, refusal := m.decodeRun(typ, ops)
		if refusal != nil {
			return plan{}, refusal
		}
		return plan{base, typ, op}, nil
	})
}

// typeOn returns the type that operations made on a revision are of.
func (s *Session) typeOn(ctx context.Context, base Revision) (ot.Type, error) {
	s.mu.Lock()
	head, typ := s.head, s.tip.typ
	s.mu.Unlock()
	if base != Head {
		if base > head || base < Unborn {
			return nil, Errorf(CodeFuture, "revision %d, head %d", base, head)
		}
		var err error
		if typ, err = s.typeBefore(ctx, base); err != nil {
			return nil, s.m.unreadable(ctx, s.id, base, err)
		}
	}
	switch {
	case typ != nil:
		return typ, nil
	case head == Unborn || base == Head:
		return nil, Errorf(CodeNotFound, "no such document")
	}
	return nil, Errorf(CodeNotFound, "the document has no content at revision %d", base)
}

// decodeRun makes one operation of several, in JSON wire form, that follow one another.
func (m *Manager) decodeRun(typ ot.Type, ops [][]byte) (ot.Op, *Error) {
	lim := &m.opt.Limits
	switch {
	case len(ops) == 0:
		return nil, Errorf(CodeBadMessage, "an edit has at least one operation")
	case len(ops) > lim.Run:
		return nil, m.Exceeds(limits.Run, lim.Run, CodeTooLarge, "an edit of %d operations", len(ops))
	}
	run := make([]ot.Op, len(ops))
	for i, data := range ops {
		var err *Error
		if run[i], err = m.decodeOp(typ, data); err != nil {
			err.Message = fmt.Sprintf("operation %d of the edit: %s", i+1, err.Message)
			return nil, err
		}
	}
	op, err := typ.ComposeAll(run)
	if err != nil {
		return nil, Errorf(CodeBadOp, "the operations do not follow one another: %v", err)
	}
	if n := typ.Cost(op); n > lim.Op.MaxComponents {
		return nil, m.Exceeds(limits.Components, lim.Op.MaxComponents, CodeTooLarge, "the operations make one of %d components", n)
	}
	return op, nil
}

// decodeOp reads an operation in JSON wire form.
func (m *Manager) decodeOp(typ ot.Type, data []byte) (ot.Op, *Error) {
	if err := m.CheckOp(data); err != nil {
		return nil, err
	}
	op, err := typ.DecodeOp(data, m.opt.Limits.Op)
	if err != nil {
		return nil, m.BadOp(err)
	}
	return op, nil
}

// CheckOp refuses an operation, in JSON, that is larger than Limits.Operation.
func (m *Manager) CheckOp(data []byte) *Error {
	if n, most := len(data), m.opt.Limits.Operation; n > most {
		return m.Exceeds(limits.Operation, most, CodeTooLarge, "an operation of %d bytes", n)
	}
	return nil
}

// BadOp returns the refusal of an operation that its type could not read.
func (m *Manager) BadOp(err error) *Error {
	if errors.Is(err, ot.ErrComponents) {
		return m.Exceeds(limits.Components, m.opt.Limits.Op.MaxComponents, CodeTooLarge, "an operation of too many components")
	}
	return Errorf(CodeBadOp, "%v", err)
}

// Seen returns what of content is there for someone who reads it in a form that does not say
// everything, such as rich text as Markdown. Both are in their type's JSON wire form.
type Seen func(content []byte) ([]byte, error)

// Merge brings in content, in its type's JSON wire form, that was made from what was seen
// of revision base: what changed between them, as small as Options.Diff makes it, merged
// with what was committed since. What was not seen stays; seen is nil when everything was. Otherwise as
// Edit. An *Error of seen is returned as it is.
func (m *Manager) Merge(ctx context.Context, doc string, base Revision, content []byte, seen Seen, w Writer) (Edited, error) {
	return m.write(ctx, doc, w, func(s *Session) (plan, error) {
		typ, err := s.typeOn(ctx, base)
		if err != nil {
			return plan{}, err
		}
		if content == nil {
			content = []byte{} // not "empty"
		}
		to, err := typ.Create(content)
		if err != nil {
			return plan{}, Errorf(CodeBadOp, "the content: %v", err)
		}
		from, err := m.view(ctx, doc, base)
		if err != nil {
			return plan{}, err
		}
		if from.Type != typ {
			return plan{}, Errorf(CodeDeleted, "the document was deleted meanwhile")
		}
		return m.between(ctx, from, to, seen)
	})
}

// quickDiff is how many bytes two contents have together that are compared in less than a
// tenth of a second.
const quickDiff = 64 << 10

// between plans the operation that makes what was seen of a view into the document to.
func (m *Manager) between(ctx context.Context, from View, to ot.Doc, seen Seen) (plan, error) {
	if size, limit := from.Type.Size(to), m.opt.Limits.Document; size > limit && size > from.Type.Size(from.Doc) {
		return plan{}, m.Exceeds(limits.Document, limit, CodeTooLarge, "the document would be %d bytes", size)
	}
	if seen != nil || from.Type.Size(from.Doc)+from.Type.Size(to) > quickDiff {
		done, err := m.place(ctx, m.edits)
		if err != nil {
			return plan{}, err
		}
		defer done()
	}
	if seen == nil {
		op, err := m.diff(from.Type, from.Doc, to)
		return plan{from.Rev, from.Type, op}, err
	}
	op, err := m.betweenSeen(from, to, seen)
	return plan{from.Rev, from.Type, op}, err
}

// betweenSeen returns the operation on a view that does what leads from what was seen of it
// to the document to.
func (m *Manager) betweenSeen(from View, to ot.Doc, seen Seen) (ot.Op, error) {
	typ := from.Type
	content, err := seen(typ.AppendDoc(nil, from.Doc))
	if err != nil {
		return nil, err
	}
	shown, err := typ.Create(content)
	if err != nil {
		m.opt.Logger.Error("what was seen of a document is no content", "type", typ.Name(), "err", err)
		return nil, Errorf(CodeInternal, "the contents cannot be compared")
	}
	op, err := m.diff(typ, shown, to)
	if err != nil || typ.IsIdentity(op) {
		return op, err
	}
	unseen, err := m.diff(typ, shown, from.Doc)
	if err != nil {
		return nil, err
	}
	if op, err = typ.Transform(op, unseen, ot.Left); err != nil { // what the writer says goes first
		return nil, Errorf(CodeTooLarge, "what changed cannot be brought in: %v", err)
	}
	return op, nil
}

// diff is Options.Diff with a refusal for its error.
func (m *Manager) diff(typ ot.Type, from, to ot.Doc) (ot.Op, error) {
	op, err := m.opt.Diff(typ, from, to)
	if err != nil {
		m.opt.Logger.Error("cannot compare two contents", "type", typ.Name(), "err", err)
		return nil, Errorf(CodeInternal, "the contents cannot be compared")
	}
	return op, nil
}

// look waits for a place among the few that may look at the past for long at a time, and
// returns how to give it back.
func (m *Manager) look(ctx context.Context) (done func(), err error) { return m.place(ctx, m.looks) }

// place waits for one of places, which many readers cannot keep from those who edit.
func (m *Manager) place(ctx context.Context, places chan struct{}) (done func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, Errorf(CodeUnavailable, "too much that takes long is asked for now")
	}
}
