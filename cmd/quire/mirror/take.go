package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"quire/cmd/quire/form"
	"quire/cmd/quire/remote"
)

// take fetches the newest content, in which from has its effect, and brings it into the file, along
// with what was done to the file after it was from.
func (m *Mirror) take(ctx context.Context, from string) (time.Duration, error) {
	content, rev, err := m.fetch(ctx, -1)
	if err != nil {
		return 0, m.lost(err)
	}
	f, err := read(m.opt.File)
	if err != nil {
		return 0, err
	}
	if !f.there || f.content != from && m.settling(f) > 0 {
		m.touched() // later: what is on its way to the server is asked about again
		return m.opt.Settle, nil
	}
	if err := m.unfit(f.content); err != nil {
		m.refuse(f.content, err)
		return 0, nil
	}
	target, err := merge(m.state.Form, from, f.content, content)
	if err != nil {
		return 0, err
	}
	if f.content == from && m.state.Form.Same(from, content) {
		target = from
	}
	written, err := m.write(ctx, f.content, target, writing{Rev: rev, Sum: m.state.sumOf(content)})
	if later(err) {
		return m.opt.Settle, nil
	} else if err != nil {
		return 0, err
	}
	news := rev != m.state.Base && m.state.Sending == nil
	m.state.Base, m.state.Sum = rev, m.state.sumOf(content)
	m.state.Sending, m.state.Writing = nil, nil
	m.checked, m.fetched, m.refused = true, true, ""
	if err := m.state.save(m.path); err != nil {
		return 0, err
	}
	switch dirty := m.state.sumOf(written) != m.state.Sum; {
	case dirty:
		m.opt.Note(Note{Event: "merged", Rev: rev})
		return m.opt.Settle, nil
	case news:
		m.opt.Note(Note{Event: "received", Rev: rev})
	}
	m.opt.Note(Note{Event: "same", Rev: rev})
	return 0, nil
}

// write puts target into the file, which had content was when it was read. Whatever
// somebody saved meanwhile is merged in. It returns what the file has now. Until state.Writing is
// taken back, a crash at any moment, and every error, is recovered from.
func (m *Mirror) write(ctx context.Context, was, target string, w writing) (string, error) {
	file := m.opt.File
	for target != was {
		last := w
		w.Turn, w.Was, w.Target = w.Turn+1, was, sum(target)
		if err := prepare(file, target, w.Turn); later(err) || err != nil && last.Turn == 0 {
			return "", err
		} else if err != nil { // the disk is full, say: nobody's save is to be hidden until it is not
			return "", m.giveBack(last, err)
		}
		m.moment()
		turn := w
		m.state.Writing = &turn
		if err := m.state.save(m.path); err != nil {
			return "", err
		}
		m.moment()
		if err := swap(file, was, w.Turn); err != nil {
			return "", err
		}
		m.moment()
		if err := errors.Join(syncFolder(file), discard(partPath(file, w.Turn-1))); err != nil {
			return "", err
		}
		found, err := m.found(ctx, w)
		if err != nil {
			return "", err
		}
		if found == was {
			break
		}
		merged, err := merge(m.state.Form, was, found, target)
		if err != nil {
			return "", err
		}
		was, target = target, merged
	}
	m.moment()
	return target, discard(partPath(file, w.Turn))
}

// found returns what was in the file when it was written in a turn, w.Was when there is nothing to merge. What no document can
// have, and what is not left alone, has its place again: see giveBack.
func (m *Mirror) found(ctx context.Context, w writing) (string, error) {
	l, err := m.rested(ctx, w)
	switch {
	case err != nil && ctx.Err() == nil && !errors.Is(err, errBusy):
		err = errors.Join(errUnfit, err) // it is no file, or too large
	case err == nil && !l.there, err == nil && l.content == w.Was: // where names cannot be exchanged, nothing is there
		return w.Was, nil
	case err == nil && m.unfit(l.content) != nil:
		err = errUnfit
	}
	if err != nil {
		return w.Was, m.giveBack(w, err)
	}
	return l.content, nil
}

// rested looks at what was in the file when it was written, once it has been left alone: whoever had it open may be writing
// into it still.
func (m *Mirror) rested(ctx context.Context, w writing) (look, error) {
	var r rest
	for begun := time.Now(); ; {
		m.moment()
		l, err := read(partPath(m.opt.File, w.Turn))
		if err != nil || !l.there || l.content == w.Was && time.Since(l.mark.mtime) >= m.opt.Settle {
			return l, err
		}
		quiet := m.opt.Settle
		if l.content == "" && w.Was != "" {
			quiet = max(quiet, m.opt.Empty)
		}
		changed := !r.since.IsZero() && l.mark != r.seen
		wait := r.left(l.mark, quiet)
		switch {
		case wait <= 0:
			return l, nil
		case changed && time.Since(begun) > 2*max(m.opt.Settle, m.opt.Empty):
			return l, errBusy
		}
		if err := pause(ctx, min(wait, m.opt.Settle)); err != nil {
			return l, err
		}
	}
}

// giveBack puts what was in the file when it was written into its place again, since it cannot be merged for a
// reason, which it returns: it is for whoever wrote it to say what is meant. When somebody has saved the file
// meanwhile, it is kept aside, which is no error; when the reason is the end of ctx, it waits to be recovered.
func (m *Mirror) giveBack(w writing, why error) error {
	part := partPath(m.opt.File, w.Turn)
	f, err := read(m.opt.File)
	if err == nil && f.there && sum(f.content) == w.Target && exchange(part, m.opt.File) == nil {
		return why
	}
	if later(why) {
		return m.keep(part)
	}
	return why
}

// moment lies between two steps of writing the file.
func (m *Mirror) moment() {
	if m.between != nil {
		m.between()
	}
}

// later reports whether an error of write is of a file that was changed or removed just now: it is
// looked at again.
func later(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errUnfit) || errors.Is(err, errChanged) || errors.Is(err, errBusy)
}

// recover finishes a write that was cut off, by a crash or an error. What is prepared for a turn is whole before
// state.Writing says so; when it still is there, the turn was not taken. Else what was in the file
// then is in its place, until that is merged in or was what had been expected.
func (m *Mirror) recover(ctx context.Context, f look) error {
	w := m.state.Writing
	if w == nil {
		return nil
	}
	l, err := read(partPath(m.opt.File, w.Turn))
	taken := err != nil || !l.there || sum(l.content) != w.Target || sum(f.content) == w.Target
	missed := "" // what has to be in the file and was made of Was
	switch {
	case taken:
		if missed, err = m.found(ctx, *w); err != nil {
			return err
		}
	case w.Turn > 1:
		missed = l.content
	default:
		missed = w.Was
	}
	if missed != w.Was && !(taken && sum(missed) == w.Target) {
		if err := m.rejoin(ctx, f, missed, *w); err != nil {
			return err
		}
	}
	if taken || w.Turn > 1 {
		m.state.Base, m.state.Sum, m.state.Sending = w.Rev, w.Sum, nil
	}
	m.state.Writing = nil
	if err := m.state.save(m.path); err != nil {
		return err
	}
	return discardParts(m.opt.File)
}

// rejoin brings into the file what was made of w.Was and is not in it. Until that is done, a crash is recovered from in the same way.
func (m *Mirror) rejoin(ctx context.Context, f look, missed string, w writing) error {
	if err := m.unfit(f.content); err != nil {
		if m.refused != sum(f.content) {
			m.refuse(f.content, err)
		}
		return errUnfit
	}
	merged, err := merge(m.state.Form, w.Was, missed, f.content)
	if err != nil {
		return err
	}
	_, err = m.write(ctx, f.content, merged, w)
	return err
}

// check makes sure that the server has, at the revision that the file had, what the file had
// then: it may have been restored from a backup, its past may be gone, or the document may
// be another of the same name.
func (m *Mirror) check(ctx context.Context, f look) error {
	content, _, err := m.fetch(ctx, m.state.Base)
	known := err == nil && m.state.sumOf(content) == m.state.Sum
	var p *remote.Problem
	if err != nil && !errors.As(err, &p) {
		return err
	}
	if p != nil && (p.Status == 429 || p.Status >= 500 || p.Status == 404 && p.Code != "future") {
		return m.lost(err)
	}
	m.checked, m.fetched = known, false
	clean := m.state.sumOf(f.content) == m.state.Sum && m.state.Sending == nil
	switch {
	case known || clean: // the file has nothing of its own: what the document has now will be taken
		return nil
	case p != nil && p.Status == 410:
		return m.lost(err)
	}
	return &Stop{Changed, fmt.Sprintf("the document %s is not the one that %s was the same as at revision %d, and the file was changed since. It stays as it is. To begin anew, move it away, remove %s and start again; then bring your changes in.",
		m.state.Doc, m.shown, m.state.Base, statePath(m.shown))}
}

// begin brings a file and a document together for the first time.
func (m *Mirror) begin(ctx context.Context, f look) (time.Duration, error) {
	d, err := m.opt.Client.Stat(ctx, m.opt.Doc)
	if remote.IsCode(err, "not_found") {
		if !f.there {
			return 0, &Stop{NotFound, fmt.Sprintf("there is neither a file %s nor a document %s", m.shown, m.opt.Doc)}
		}
		return m.make(ctx, f)
	}
	if err != nil {
		return 0, away(m.opt.Client, err)
	}
	if err := m.fits(d.Type); err != nil {
		return 0, err
	}
	kind, ok := form.Of(d.Type)
	if !ok {
		return 0, &Stop{NotFound, fmt.Sprintf("the document %s was deleted", m.opt.Doc)}
	}
	m.state = state{Doc: d.ID, Type: d.Type, Form: kind}
	content, rev, err := m.fetch(ctx, -1)
	if err != nil {
		var p *remote.Problem
		if kind == form.Markdown && errors.As(err, &p) && p.Status < 500 {
			return 0, &Stop{Refused, fmt.Sprintf("the document %s is rich text, which this server does not offer as Markdown: %s", m.opt.Doc, p.Detail)}
		}
		return 0, away(m.opt.Client, err)
	}
	begun := state{Version: 1, Doc: d.ID, Type: d.Type, Form: kind, Base: rev, Sum: m.state.sumOf(content)}
	same := f.there && kind.Same(f.content, content)
	switch {
	case !f.there:
		err = create(m.opt.File, content)
	case same:
	case m.opt.Prefer == FromDocument:
		err = m.replace(ctx, f.content, content)
	case m.opt.Prefer != FromFile:
		m.state = state{}
		return 0, &Stop{Changed, fmt.Sprintf("%s and the document %s are both there and differ: say --prefer file or --prefer document, or move the file away", m.shown, m.opt.Doc)}
	}
	if err != nil {
		m.state = state{}
		if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errChanged) { // it was made, or removed, just now
			return m.opt.Settle, nil
		}
		return 0, err
	}
	m.state, m.checked, m.fetched = begun, true, true
	if err := m.state.save(m.path); err != nil {
		return 0, err
	}
	if !same && f.there && m.opt.Prefer == FromFile {
		return m.opt.Settle, nil
	}
	m.opt.Note(Note{Event: "same", Rev: rev, Text: fmt.Sprintf("%s has revision %d of %s.", m.shown, rev, d.ID)})
	return 0, nil
}

// replace puts other content into the file, and keeps what somebody saved in that very moment.
func (m *Mirror) replace(ctx context.Context, was, content string) error {
	err := prepare(m.opt.File, content, 1)
	if err == nil {
		err = swap(m.opt.File, was, 1)
	}
	if err != nil {
		return errors.Join(err, discard(partPath(m.opt.File, 1)))
	}
	l, err := m.rested(ctx, writing{Turn: 1, Was: was})
	if err != nil || l.there && l.content != was {
		return m.keep(partPath(m.opt.File, 1))
	}
	return errors.Join(syncFolder(m.opt.File), discard(partPath(m.opt.File, 1)))
}

// make makes the document of the file. What the server reads in the file may be written otherwise
// there (Markdown knows several ways): that is then taken like an edit of somebody else.
func (m *Mirror) make(ctx context.Context, f look) (time.Duration, error) {
	named, err := form.Named("", m.opt.File)
	if err != nil {
		return 0, err
	}
	n := remote.New{ID: m.opt.Doc, Type: m.opt.Type}
	if n.Type == "" {
		n.Type = "text"
		if named == form.JSON {
			n.Type = named.Type()
		}
	}
	if err := m.fits(n.Type); err != nil {
		return 0, err
	}
	kind, _ := form.Of(n.Type)
	body, contentType, err := kind.Wire([]byte(f.content))
	if err != nil {
		return 0, &Stop{Refused, fmt.Sprintf("no document can be made of %s: %v", m.shown, err)}
	}
	var d remote.Doc
	if content, ok := kind.Content(body); ok {
		n.Content = content
		d, err = m.opt.Client.Create(ctx, n)
	} else {
		d, err = m.opt.Client.Import(ctx, n, contentType, "", bytes.NewReader(body))
	}
	if err != nil {
		return 0, away(m.opt.Client, err)
	}
	m.state = state{Version: 1, Doc: d.ID, Type: d.Type, Form: kind, Base: d.Rev}
	m.state.Sum = m.state.sumOf(f.content)
	m.checked, m.fetched = true, false
	if err := m.state.save(m.path); err != nil {
		return 0, err
	}
	m.opt.Note(Note{Event: "same", Rev: d.Rev, Text: fmt.Sprintf("%s has revision %d of %s.", m.shown, d.Rev, d.ID)})
	return m.opt.Settle, nil
}

// fits refuses to keep rich text, which is Markdown in a file, in one whose name says that it is something else.
func (m *Mirror) fits(docType string) error {
	kind, _ := form.Of(docType)
	if named, err := form.Named("", m.opt.File); err != nil || kind != form.Markdown || named != form.HTML && named != form.Delta {
		return err
	}
	return &Stop{Refused, fmt.Sprintf("rich text is kept in a file as Markdown, and the name of %s says something else: name it .md", m.shown)}
}
