package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"quire/ot"
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
			if err := m.strike(ctx, info.ID, v, t.Redact(v.Doc, r.Text).Doc(), r.By); err != nil {
				return 0, err
			}
		}
	}
	for range redactTries {
		n, err = m.redactPast(ctx, info.ID, r)
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
			s, err := json.Marshal(restOf(x, y))
			if err != nil {
				return nil, false
			}
			left = append(left, s...)
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

// restOf returns what of a string is not filler, which is one unit for each of what it was.
func restOf(was, redacted string) string {
	if x, y := utf16.Encode([]rune(was)), utf16.Encode([]rune(redacted)); len(x) == len(y) {
		return string(utf16.Decode(equal(x, y)))
	} else if x, y := []rune(was), []rune(redacted); len(x) == len(y) {
		return string(equal(x, y))
	}
	return redacted
}

// equal returns the elements that are the same in both.
func equal[T comparable](a, b []T) []T {
	out := make([]T, 0, len(a))
	for i := range a {
		if a[i] == b[i] {
			out = append(out, a[i])
		}
	}
	return out
}

// redactPast redacts what is in the past only, with the document's session held.
func (m *Manager) redactPast(ctx context.Context, doc string, r Redaction) (n int, err error) {
	s, err := m.hold(ctx, doc)
	if err != nil {
		return 0, err
	}
	p := &redacting{m: m, Redaction: r, contents: map[Revision]content{}}
	defer func() {
		if err != nil || !p.wrote {
			m.let(s, nil, nil)
			return
		}
		m.let(s, Errorf(CodeInternal, "the document's past was rewritten; open it again"), Errorf(CodeUnavailable, "the document's past was just rewritten; nothing was written, send it again"))
	}()
	m.labelling.Lock()
	defer m.labelling.Unlock()
	if p.info, err = m.opt.Store.Stat(ctx, doc); err != nil {
		return 0, err
	}
	s.mu.Lock()
	p.head = s.at
	s.mu.Unlock()
	if err = p.look(ctx); err != nil {
		return 0, err
	}
	if needed, err := p.needed(ctx); err != nil {
		return 0, err
	} else if needed {
		if err := m.opt.Store.Rewrite(ctx, doc, p.info.Incarnation, p.record, p.snapshot); err != nil {
			return 0, err
		}
		p.wrote = true
		m.contents.forget(p.info.Incarnation)
	}
	err = p.notes(ctx)
	m.blames.forget(p.info.Incarnation)
	return p.changed, err
}

// needed reports whether there is anything to redact in the records and snapshots.
func (p *redacting) needed(ctx context.Context) (bool, error) {
	if p.authored > 0 || slices.ContainsFunc(p.lives, ot.Redaction.Found) {
		return true, nil
	}
	for rev := range p.contents { // what led to those below the oldest is not there
		if p.Text == "" || rev >= p.info.Oldest {
			continue
		}
		was, err := p.m.opt.Store.Snapshot(ctx, p.info.ID, rev)
		if err != nil {
			return false, err
		}
		now, err := p.snapshot(was)
		if err != nil || !bytes.Equal(was.Data, now.Data) {
			return err == nil, err
		}
	}
	return false, nil
}

// redacting goes through a document's past twice: look, then record for every record and
// snapshot for every snapshot.
type redacting struct {
	m *Manager
	Redaction
	info     Info
	head     content // of the newest revision
	lives    []ot.Redaction
	authored int  // records by Author
	wrote    bool // the past was written anew

	// The second time.
	life     int                  // the next of lives
	now      content              // at the revision that was reached, redacted
	first    content              // that the past begins with, as it was
	start    ot.Doc               // the same, redacted
	changed  int                  // records
	contents map[Revision]content // redacted, where there are snapshots
}

// begin returns the content that the past begins with; none when that is a creation.
func (p *redacting) begin(ctx context.Context) (content, error) {
	if p.info.Oldest < 0 {
		return content{}, nil
	}
	r, err := p.m.replay(ctx, p.info.ID, p.info.Oldest)
	return r.content, err
}

// newLife begins to look at content that was created.
func (p *redacting) newLife(typ ot.Type, doc ot.Doc) error {
	if p.Text == "" {
		return nil
	}
	t, err := redactor(typ)
	if err == nil {
		p.lives = append(p.lives, t.Redact(doc, p.Text))
	}
	return err
}

// look shows the redactions every operation.
func (p *redacting) look(ctx context.Context) error {
	at, err := p.begin(ctx)
	if err == nil && at.typ != nil {
		err = p.newLife(at.typ, at.doc)
	}
	if err != nil {
		return err
	}
	p.first = at
	typ := at.typ
	for rev := p.info.Oldest; rev < p.info.Head; {
		recs, err := p.m.opt.Store.Read(ctx, p.info.ID, rev, p.info.Head)
		if err != nil {
			return err
		}
		for i := range recs {
			if p.Author != "" && recs[i].Author == p.Author && p.As != p.Author {
				p.authored++
			}
			if err := p.see(&typ, &recs[i]); err != nil {
				return &ReplayError{Rev: rev + Revision(i), Err: err}
			}
		}
		rev += Revision(len(recs))
	}
	revs, err := p.m.opt.Store.Snapshots(ctx, p.info.ID)
	if err != nil {
		return err
	}
	for _, rev := range revs {
		p.contents[rev] = content{}
	}
	return p.beginAgain()
}

// see shows the redaction one record; typ is the type of the content before it.
func (p *redacting) see(typ *ot.Type, rec *storage.Record) error {
	if p.Text == "" {
		return nil
	}
	op, err := p.m.decode(*typ, rec)
	if err != nil {
		return err
	}
	switch op := op.(type) {
	case Creation:
		err = p.newLife(op.Type, op.Doc)
	case Deletion:
	default:
		err = p.lives[len(p.lives)-1].See(op)
	}
	_, *typ = around(*typ, op)
	return err
}

// beginAgain begins the second time.
func (p *redacting) beginAgain() error {
	if p.Text != "" && p.first.typ != nil {
		p.start, p.life = p.lives[0].Doc(), 1
		p.now = content{typ: p.first.typ, doc: p.start}
	}
	return p.reached(p.info.Oldest)
}

// reached notes the content at a revision where it is needed.
func (p *redacting) reached(rev Revision) error {
	if p.Text == "" {
		return nil
	}
	if _, ok := p.contents[rev]; ok {
		p.contents[rev] = p.now
	}
	if rev == p.info.Head && p.now.typ != nil && !sameDoc(p.now.typ, p.now.doc, p.head.doc) {
		return &headError{View{rev, p.head.typ, p.head.doc}, p.now.doc}
	}
	return nil
}

// record returns what is kept instead of a record.
func (p *redacting) record(rev storage.Revision, rec storage.Record) (storage.Record, error) {
	changed := false
	if p.Author != "" && rec.Author == p.Author {
		rec.Author, changed = p.As, p.As != p.Author
	}
	if p.Text != "" {
		op, err := p.m.decode(p.now.typ, &rec)
		if err != nil {
			return rec, &ReplayError{Rev: rev, Err: err}
		}
		var other bool
		if op, other = p.redacted(op); other {
			author, client, seq, time := rec.Author, rec.Client, rec.Seq, rec.Time
			rec = encode(p.now.typ, op)
			rec.Author, rec.Client, rec.Seq, rec.Time = author, client, seq, time
			changed = true
		}
		if p.now, err = p.now.apply(op, rev+1); err != nil {
			return rec, &ReplayError{Rev: rev, Err: err}
		}
	}
	if changed {
		p.changed++
	}
	return rec, p.reached(rev + 1)
}

// redacted returns an operation with filler in it, and whether it is another than it was.
func (p *redacting) redacted(op ot.Op) (ot.Op, bool) {
	switch op := op.(type) {
	case Creation:
		doc := p.lives[p.life].Doc()
		p.life++
		return Creation{op.Type, doc}, !sameDoc(op.Type, op.Doc, doc)
	case Deletion:
		return op, false
	}
	return p.lives[p.life-1].Op(op)
}

// snapshot returns what is kept instead of a snapshot.
func (p *redacting) snapshot(snap storage.Snapshot) (storage.Snapshot, error) {
	if p.Text == "" || snap.Type == "" {
		return snap, nil
	}
	if snap.Rev >= p.info.Oldest {
		at := p.contents[snap.Rev]
		if at.typ == nil || at.typ.Name() != snap.Type {
			return snap, fmt.Errorf("the snapshot at revision %d is of another type than the records make", snap.Rev)
		}
		snap.Data = at.typ.MarshalDoc(nil, at.doc)
		return snap, nil
	}
	// Kept for a label; what led to it and on from it is not.
	typ := p.m.types[snap.Type]
	if typ == nil {
		return snap, fmt.Errorf("unknown document type %q", snap.Type)
	}
	t, err := redactor(typ)
	if err != nil {
		return snap, err
	}
	doc, err := typ.UnmarshalDoc(snap.Data)
	if err == nil {
		snap.Data = typ.MarshalDoc(nil, t.Redact(doc, p.Text).Doc())
	}
	return snap, err
}

// notes redacts what is kept beside the records: who set labels, and who made the content that
// the past begins with.
func (p *redacting) notes(ctx context.Context) error {
	var set []storage.Note
	labels, err := p.m.labels(ctx, p.info.ID)
	if err != nil {
		return err
	}
	for _, l := range labels {
		if p.Author == "" || l.Author != p.Author {
			continue
		}
		l.Author = p.As
		note, err := l.note()
		if err != nil {
			return err
		}
		set = append(set, note)
	}
	authorship, err := p.authorship(ctx)
	if err != nil {
		return err
	}
	if set = append(set, authorship...); len(set) == 0 {
		return nil
	}
	return p.m.opt.Store.SetNotes(ctx, p.info.ID, p.info.Incarnation, set)
}

// authorship returns the notes of the redacted authorship; none when there is none.
func (p *redacting) authorship(ctx context.Context) ([]storage.Note, error) {
	if p.info.Oldest < 0 {
		return nil, nil
	}
	a, err := p.m.readAuthorship(ctx, p.info, p.info.Oldest)
	if a == nil || a.trace == nil || err != nil {
		return nil, err
	}
	if p.Author != "" {
		a.rename(p.Author, p.As)
	}
	if err := p.retrace(a); err != nil {
		return nil, err
	}
	return a.notes()
}

// retrace has the trace of a document whose parts have paths follow the change of names in
// them. Parts of other documents stay where they are.
func (p *redacting) retrace(a *authorship) error {
	paths := slices.ContainsFunc(a.trace.Spans(), func(s ot.Span) bool { return s.Path != nil })
	if p.Text == "" || !paths || sameDoc(a.typ, p.first.doc, p.start) {
		return nil
	}
	op, err := p.m.diff(a.typ, p.first.doc, p.start)
	if err != nil {
		return err
	}
	if _, ok := a.maker(a.rev); !ok {
		a.sign("", "", p.info.Modified)
	}
	return a.trace.Apply(op, ot.Origin(a.rev))
}
