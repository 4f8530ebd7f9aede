package session

import (
	"bytes"
	"context"
	"encoding/json"
	"unicode"
	"unicode/utf8"

	"quire/storage"
)

// What the session keeps in notes of a document, by key.
const (
	metaNote   = "meta"   // a Meta, as metaForm
	labelNotes = "label/" // and a label's name: a Label, as labelForm
)

// Meta is what people say of a document.
type Meta struct {
	// Title is shown instead of the id; at most 200 bytes of UTF-8 without control characters.
	Title string
	// Fields are whatever an application keeps with it: a JSON object of at most 16 KiB,
	// or nil.
	Fields []byte
}

const (
	maxTitle  = 200
	maxFields = 16 << 10
)

// metaForm is a Meta as it is kept.
type metaForm struct {
	Title  string          `json:"title,omitempty"`
	Fields json.RawMessage `json:"fields,omitempty"`
}

func (v Meta) check() *Error {
	switch {
	case len(v.Title) > maxTitle:
		return Errorf(CodeTooLarge, "a title of %d bytes, limit %d", len(v.Title), maxTitle)
	case !printable(v.Title):
		return Errorf(CodeBadMessage, "a title holds a control character or is not UTF-8")
	case len(v.Fields) > maxFields:
		return Errorf(CodeTooLarge, "fields of %d bytes, limit %d", len(v.Fields), maxFields)
	case v.Fields != nil && !(json.Valid(v.Fields) && utf8.Valid(v.Fields) && bytes.TrimLeft(v.Fields, " \t\r\n")[0] == '{'):
		return Errorf(CodeBadMessage, "the fields are not a JSON object")
	}
	return nil
}

// printable reports whether s is UTF-8 without control characters.
func printable(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// Meta returns what people say of a document. CodeNotFound when it does not exist.
func (m *Manager) Meta(ctx context.Context, doc string) (Meta, error) {
	if err := checkDocID(doc); err != nil {
		return Meta{}, err
	}
	notes, err := m.opt.Store.Notes(ctx, doc, metaNote, "", 1)
	if err == nil && len(notes) == 1 && notes[0].Key == metaNote {
		var form metaForm
		if err = json.Unmarshal(notes[0].Value, &form); err == nil {
			return Meta{form.Title, form.Fields}, nil
		}
	}
	if err != nil {
		return Meta{}, m.unreadable(ctx, doc, Head, err)
	}
	return Meta{}, nil
}

// SetMeta replaces it. Durable on return. CodeTooLarge and CodeBadMessage for what Meta
// does not allow, CodeNotFound.
func (m *Manager) SetMeta(ctx context.Context, doc string, meta Meta) error {
	info, err := m.stat(ctx, doc)
	if err != nil {
		return err
	}
	return m.setMeta(ctx, info, meta)
}

func (m *Manager) setMeta(ctx context.Context, info Info, meta Meta) error {
	if err := meta.check(); err != nil {
		return err
	}
	note := storage.Note{Key: metaNote}
	if meta.Title != "" || meta.Fields != nil {
		var err error
		if note.Value, err = json.Marshal(metaForm{meta.Title, meta.Fields}); err != nil {
			return err
		}
	}
	return m.note(ctx, info, note)
}

// note writes notes of a document, all or none.
func (m *Manager) note(ctx context.Context, info Info, notes ...storage.Note) error {
	if len(notes) == 0 {
		return nil
	}
	if err := m.opt.Store.SetNotes(ctx, info.ID, info.Incarnation, notes); err != nil {
		return m.unwritable(ctx, info.ID, err)
	}
	return nil
}
