package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/storage"
)

// Redaction says what Redact takes out: Text, or Author, or both.
type Redaction struct {
	Text       string // 1 to 10,000 bytes of UTF-8
	Author, As string // a name and what to put in its place
	By         User   // the author of the operation that takes Text out of the newest revision
}

const (
	// maxSecret is the longest Redaction.Text in bytes.
	maxSecret = 10_000
	// redactTries is how often a redaction begins anew, because what it would change
	// is in the newest revision.
	redactTries = 5
)

// check refuses what is no redaction.
func (r *Redaction) check(lim Limits) *Error {
	switch {
	case r.Text == "" && r.Author == "":
		return Errorf(CodeBadMessage, "neither a text nor an author to redact")
	case len(r.Text) > maxSecret:
		return Errorf(CodeTooLarge, "a text of %d bytes, limit %d", len(r.Text), maxSecret)
	case !utf8.ValidString(r.Text):
		return Errorf(CodeBadMessage, "the text is not UTF-8")
	case len(r.Author) > storage.MaxName:
		return Errorf(CodeTooLarge, "an author of %d bytes, limit %d", len(r.Author), storage.MaxName)
	case !printable(r.As):
		return Errorf(CodeBadMessage, "an author holds a control character or is not UTF-8")
	}
	as := User{Name: r.As}
	if err := as.check(lim); err != nil {
		return err
	}
	return r.By.check(lim)
}

// Redact replaces every occurrence of text by filler, or where author is given that author's name by another ("" is
// anonymous), in all of a document's past, in place; revisions and lengths stay. Text that is in
// the newest revision is taken out first, by an ordinary operation that deletes it; only the names of members in
// JSON keep filler. Sessions of the document
// begin anew: their readers resume, and what they have pending stays. It returns how many revisions were changed.
// When it fails it may have been done in part, and may be done again. CodeBadType where the text cannot be looked
// for in a type of the document, CodeBusy when the document is edited too quickly, CodeNotFound. Titles, fields and
// names of labels are not looked at. The old bytes leave the data file when it is
// compacted next.
func (m *Manager) Redact(ctx context.Context, doc string, r Redaction) (int, error) {
	if refusal := r.check(m.opt.Limits); refusal != nil {
		return 0, refusal
	}
	info, err := m.stat(ctx, doc)
	if err != nil {
		return 0, err
	}
	done, err := m.keep(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	n, err := m.redact(ctx, info, r)
	if err != nil {
		return 0, m.unreadable(ctx, doc, Head, err)
	}
	m.opt.Logger.InfoContext(ctx, "a document's past was redacted", "doc", doc, "revisions", n)
	return n, nil
}

// keep waits until nobody else drops or rewrites the past of documents, and returns how to
// let others.
func (m *Manager) keep(ctx context.Context) (done func(), err error) {
	select {
	case m.keeping <- struct{}{}:
		return func() { <-m.keeping }, nil
	case <-ctx.Done():
		return nil, Errorf(CodeUnavailable, "the past of another document is being rewritten")
	}
}

func (m *Manager) redact(ctx context.Context, info Info, r Redaction) (n int, err error) {
	room := m.newRoom("redacting the document")
	defer room.leave()
	if r.Text != "" {
		v, err := m.view(ctx, info.ID, Head)
		if err != nil {
			return 0, err
		}
		if v.Type != nil {
			t, err := redactor(v.Type)
			if err != nil {
				return 0, err
			}
			if err := m.strikeAll(ctx, info.ID, v, t, r, room); err != nil {
				return 0, err
			}
		}
	}
	for range redactTries {
		n, err = m.redactPast(ctx, info.ID, r, room)
		var lives *headError
		var conflict *storage.ConflictError
		switch {
		case errors.As(err, &lives):
			if err := m.strike(ctx, info.ID, lives.was, lives.now, r.By); err != nil {
				return 0, err
			}
		case !errors.As(err, &conflict):
			return n, err
		}
	}
	return 0, Errorf(CodeBusy, "the document is edited too quickly; nothing was redacted")
}

func redactor(typ ot.Type) (ot.Redactor, error) {
	if t, ok := typ.(ot.Redactor); ok {
		return t, nil
	}
	return nil, Errorf(CodeBadType, "text cannot be redacted from documents of type %s", typ.Name())
}

// redactCost returns about how many bytes of memory redacting takes of content of so many bytes.
func redactCost(t ot.Type, size int) int { return size * (16 + 4*ot.Weight(t)) }

// strikeAll takes a text out of the newest revision.
func (m *Manager) strikeAll(ctx context.Context, doc string, v View, t ot.Redactor, r Redaction, room *room) error {
	if err := room.grow(redactCost(t, t.Size(v.Doc))); err != nil {
		return err
	}
	seen := t.Redact(v.Doc, r.Text)
	if !seen.Seen() {
		return nil
	}
	return m.strike(ctx, doc, v, seen.Doc(v.Doc), r.By)
}

// headError says that the redaction of the past would change the newest revision.
type headError struct {
	was View
	now ot.Doc
}

// Error says so.
func (e *headError) Error() string {
	return fmt.Sprintf("redacting would change revision %d", e.was.Rev)
}

// strike makes the newest revision, if it is still what was seen, what it is when it is redacted:
// an ordinary operation.
func (m *Manager) strike(ctx context.Context, doc string, was View, redacted ot.Doc, by User) error {
	if sameDoc(was.Type, was.Doc, redacted) {
		return nil
	}
	_, err := m.write(ctx, doc, Writer{User: by}, func(*Session) (plan, error) {
		return m.between(ctx, was, without(was.Type, was.Doc, redacted), nil)
	})
	return err
}

func sameDoc(t ot.Type, a, b ot.Doc) bool {
	return bytes.Equal(t.MarshalDoc(nil, a), t.MarshalDoc(nil, b))
}

// without returns a document in whose strings there is nothing where redacted has filler; redacted
// itself when they are not alike in all else, as when names in a JSON object changed places.
func without(t ot.Type, was, redacted ot.Doc) ot.Doc {
	left, ok := rest(t.AppendDoc(nil, was), t.AppendDoc(nil, redacted))
	if !ok {
		return redacted
	}
	doc, err := t.Create(left)
	var runs []json.RawMessage
	if err != nil && json.Unmarshal(left, &runs) == nil { // rich text has no empty insert
		left, _ = json.Marshal(slices.DeleteFunc(runs, func(run json.RawMessage) bool {
			var x struct{ Insert any }
			return json.Unmarshal(run, &x) == nil && x.Insert == ""
		}))
		doc, err = t.Create(left)
	}
	if err != nil {
		return redacted
	}
	return doc
}

// rest returns a redacted JSON text with nothing where filler is in its strings, but for the names of
// members. It reports whether it is what was there in all else.
func rest(was, redacted []byte) (left []byte, ok bool) {
	left = make([]byte, 0, len(redacted))
	for len(redacted) > 0 {
		a, b := token(was), token(redacted)
		was, redacted = was[len(a):], redacted[len(b):]
		isName := len(redacted) > 0 && redacted[0] == ':'
		switch {
		case bytes.Equal(a, b), isName && len(a) > 1:
			left = append(left, b...)
		case len(a) > 1 && len(b) > 1:
			var x, y string
			if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
				return nil, false
			}
			left = jsonscan.AppendString(left, restOf(x, y))
		default:
			return nil, false
		}
	}
	return left, len(was) == 0
}

// token returns the string that a JSON text begins with, or one byte of what else it is.
func token(text []byte) []byte {
	if len(text) == 0 || text[0] != '"' {
		return text[:min(1, len(text))]
	}
	end := 1
	for end < len(text) && text[end] != '"' {
		if text[end] == '\\' {
			end++
		}
		end++
	}
	return text[:min(end+1, len(text))]
}

// restOf returns what of a string is not filler, which is one unit for each of what it was: of UTF-16, or
// a code point.
func restOf(was, redacted string) string {
	for _, width := range []func(rune) int{utf16.RuneLen, func(rune) int { return 1 }} {
		if left, ok := unfilled(was, redacted, width); ok {
			return left
		}
	}
	return redacted
}

// unfilled returns the characters that are the same in both, when for each other one there is as much filler as
// width says.
func unfilled(was, redacted string, width func(rune) int) (left string, ok bool) {
	var out strings.Builder
	out.Grow(len(was))
	for _, r := range was {
		q, n := utf8.DecodeRuneInString(redacted)
		if q == r {
			out.WriteRune(r)
			redacted = redacted[n:]
			continue
		}
		for range width(r) {
			if redacted == "" {
				return "", false
			}
			_, n := utf8.DecodeRuneInString(redacted)
			redacted = redacted[n:]
		}
	}
	return out.String(), redacted == ""
}
