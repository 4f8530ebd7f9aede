package session

import (
	"bytes"
	"context"

	"quire/ot"
)

// Restore makes the document what it was at revision to, by an operation forward from
// the head; what is committed while that is made stays. The operation takes back what was
// done since, where that is on record and not too much, so that nothing written since is
// taken for what is restored because it reads the same; else it is as small as Options.Diff makes it. A document that was deleted is
// created again with what it was. One that was deleted at revision to, or is of another
// type now, is CodeBadType. Otherwise as Edit.
func (m *Manager) Restore(ctx context.Context, doc string, to Revision, w Writer) (Edited, error) {
	return m.write(ctx, doc, w, func(s *Session) (plan, error) {
		head, err := m.view(ctx, doc, Head)
		switch {
		case err != nil:
			return plan{}, err
		case head.Rev == Unborn:
			return plan{}, Errorf(CodeNotFound, "no such document")
		case to < 0:
			return plan{}, Errorf(CodeNotFound, "revision %d is before the document's creation", to)
		}
		then, err := m.view(ctx, doc, to)
		switch {
		case err != nil:
			return plan{}, err
		case then.Type == nil:
			return plan{}, Errorf(CodeBadType, "the document has no content at revision %d", then.Rev)
		case head.Type == nil:
			return plan{head.Rev, then.Type, Creation{then.Type, then.Doc}}, nil
		case head.Type != then.Type:
			return plan{}, Errorf(CodeBadType, "the document was of type %s at revision %d, it is of type %s now", then.Type.Name(), then.Rev, head.Type.Name())
		}
		if op := m.backTo(ctx, doc, then, head); op != nil {
			return plan{head.Rev, head.Type, op}, nil
		}
		return m.between(ctx, head, then.Doc, nil)
	})
}

// backTo returns the operation on head that takes back all that was done since then; nil when
// that cannot be told, did not change anything in the end, or would be larger than both contents.
func (m *Manager) backTo(ctx context.Context, doc string, then, head View) ot.Op {
	if head.Rev-then.Rev > maxComposed || head.Type.Size(then.Doc) > m.opt.Limits.Document {
		return nil
	}
	done, err := m.place(ctx, m.edits)
	if err != nil {
		return nil
	}
	defer done()
	since, err := m.composed(ctx, doc, head.Type, then.Rev, head.Rev)
	if err != nil {
		return nil
	}
	op, err := head.Type.Invert(then.Doc, since)
	if err != nil {
		return nil
	}
	now, past := head.Type.AppendDoc(nil, head.Doc), head.Type.AppendDoc(nil, then.Doc)
	if bytes.Equal(now, past) || len(head.Type.MarshalOp(nil, op)) > len(now)+len(past)+64 {
		return nil
	}
	if made, err := head.Type.Apply(head.Doc, op); err != nil || !bytes.Equal(head.Type.AppendDoc(nil, made), past) {
		return nil
	}
	return op
}
