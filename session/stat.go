package session

import (
	"context"

	"quire/ot"
)

// Stat returns what is known of a document without its content. Errors are *Error:
// CodeNotFound, and CodeUnavailable when it cannot be read. A document that was deleted,
// and can be created again, is there and has no Type.
func (m *Manager) Stat(ctx context.Context, doc string) (Info, error) {
	if err := checkDocID(doc); err != nil {
		return Info{}, err
	}
	info, err := m.opt.Store.Stat(ctx, doc)
	if err == nil {
		return info, nil
	}
	e := AsError(err)
	if e.Code != CodeNotFound {
		m.opt.Logger.ErrorContext(ctx, "cannot read a document", "doc", doc, "err", err)
		e = Errorf(CodeUnavailable, "the document cannot be read now")
	}
	return Info{}, e
}

// Type returns the document type of that name, or nil.
func (m *Manager) Type(name string) ot.Type { return m.types[name] }
