package session

import "context"

// Meta is what people say of a document.
type Meta struct {
	// Title is shown instead of the id; at most 200 bytes.
	Title string
	// Fields are whatever an application keeps with it: a JSON object of at most 16 KiB,
	// or nil.
	Fields []byte
}

// Meta returns what people say of a document.
func (m *Manager) Meta(ctx context.Context, doc string) (Meta, error) {
	return Meta{}, Errorf(CodeInternal, "not built")
}

// SetMeta replaces it. Durable on return.
func (m *Manager) SetMeta(ctx context.Context, doc string, meta Meta) error {
	return Errorf(CodeInternal, "not built")
}
