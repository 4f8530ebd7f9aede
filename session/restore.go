package session

import "context"

// Restore makes the document what it was at revision to, by an operation forward from
// the head; what is committed while that is made stays. A document that was deleted is
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
		return m.between(ctx, head, then.Doc, nil)
	})
}
