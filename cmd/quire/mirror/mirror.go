// Package mirror keeps a local file and a document the same while both are edited. A change of
// the file goes to the server as the content made from the revision that the file had, so that it is
// merged there; what others do is written into the file. What is known of the two is
// remembered beside the file, so that nothing is lost or done twice whenever this or the
// server stops.
package mirror

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"quire/cmd/quire/form"
	"quire/cmd/quire/remote"
)

// Options says what to keep the same. Client, File and Doc are required.
type Options struct {
	Client *remote.Client
	// File is the file's path, Doc the document's id.
	File, Doc string
	// Type is the type of a document that is made of the file; "" for that which suits the file's name.
	Type string
	// Prefer says what to take when both are there at first and differ: FromFile or
	// FromDocument. Otherwise that is a Stop.
	Prefer Prefer
	// Note is told what happens. May be nil.
	Note func(Note)
	// Settle is how long a file has to have been left alone before it is read. Default 100 ms.
	Settle time.Duration
	// Empty is how long a file has to have been empty to be taken for one that somebody
	// emptied: many editors do so before they write. Default 2 s.
	Empty time.Duration
	// Gather is how long remote edits are gathered before the file is written. Default 50 ms.
	Gather time.Duration
	// Poll is how often the file is looked at when nothing is heard of it. Default 2 s.
	Poll time.Duration
	// Retry is how long to wait at first before the server is tried again, and RetryMost
	// at most. Default 250 ms and 15 s.
	Retry, RetryMost time.Duration
}

// Prefer says which of two contents to take.
type Prefer string

// What Prefer may be.
const (
	FromFile     Prefer = "file"
	FromDocument Prefer = "document"
)

// Note is something that happened.
type Note struct {
	// Event is same (the file has revision Rev), sent (Rev has a change of the file), received (Rev was
	// written into the file), merged (both had changed), away, back, missing, refused, kept or moved.
	Event string `json:"event"`
	Rev   int64  `json:"rev,omitempty"`
	// Text says it in a sentence; empty when there is nothing to say to a person.
	Text string `json:"text,omitempty"`
}

// Stop is why a file and a document cannot be kept the same until somebody does something.
type Stop struct {
	Reason Reason
	Text   string
}

// Error is the sentence.
func (s *Stop) Error() string { return s.Text }

// Reason tells Stops apart.
type Reason int

// The reasons of Stops.
const (
	Refused  Reason = iota // the file's content is not taken
	NotFound               // the document or the file is not there
	Changed                // they are not what they were, or differ from the beginning
	Gone                   // the revision that the file has is no longer kept
)

// Mirror keeps one file and one document the same. Not safe for concurrent use.
type Mirror struct {
	opt   Options
	shown string // the file's path as it was given
	path  string // of the state
	let   func() // lets go of the lock
	state state

	checked bool   // the server has at Base what the file had
	fetched bool   // nothing newer than Base is known of on the server
	rest    rest   // of the file
	refused string // sum of the content that was refused
	missing bool   // it was said that the file is not there

	between func() // is called between the steps of writing the file; nil but in tests
}

var errLocked = errors.New("locked")

// Open prepares to keep a file and a document the same. Another one of the same file is refused
// as long as this is not closed.
func Open(opt Options) (*Mirror, error) {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&opt.Settle, 100 * time.Millisecond}, {&opt.Empty, 2 * time.Second}, {&opt.Gather, 50 * time.Millisecond}, {&opt.Poll, 2 * time.Second},
		{&opt.Retry, 250 * time.Millisecond}, {&opt.RetryMost, 15 * time.Second}} {
		if *d.v <= 0 {
			*d.v = d.d
		}
	}
	if opt.Note == nil {
		opt.Note = func(Note) {}
	}
	var err error
	shown := opt.File
	if opt.File, err = resolve(opt.File); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(shown); err == nil && info.Mode()&os.ModeSymlink != 0 {
		shown = opt.File // all is where the link leads
	}
	m := &Mirror{opt: opt, shown: shown, path: statePath(opt.File)}
	m.let, err = lock(m.path + "-lock")
	if errors.Is(err, errLocked) {
		return nil, &Stop{Changed, "another quire sync has " + m.shown}
	} else if err != nil {
		return nil, err
	}
	if err = m.state.load(m.path); err == nil && m.state.begun() && m.state.Doc != opt.Doc {
		err = &Stop{Changed, fmt.Sprintf("%s is kept the same as the document %s; to begin anew with %s, remove %s", m.shown, m.state.Doc, opt.Doc, statePath(m.shown))}
	}
	if err == nil {
		err = m.leftover()
	}
	if err != nil {
		m.let()
		return nil, err
	}
	return m, nil
}

// Close lets another process keep the file.
func (m *Mirror) Close() {
	_ = os.Remove(m.path + "-lock") // while it is held
	m.let()
}

// resolve returns the file that a path leads to, through links: they are to stay.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", &Stop{NotFound, fmt.Sprintf("there is no folder %s", filepath.Dir(path))}
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// keptPath is a name beside the file for content that is to be kept.
func keptPath(file string) string {
	for { // it has another one in the next millisecond
		path := fmt.Sprintf("%s.kept-%s", file, time.Now().Format("20060102-150405.000"))
		if _, err := os.Lstat(path); err != nil {
			return path
		}
	}
}

// leftover deals with what a crash left beside the file when nothing says that it was being written.
func (m *Mirror) leftover() error {
	if m.state.Writing != nil {
		return nil
	}
	if m.state.begun() {
		return discardParts(m.opt.File)
	}
	// What is beside it may be what the file had before it was made the same as the document, or what
	// was being written when somebody removed the state.
	paths, err := parts(m.opt.File)
	if err != nil {
		return err
	}
	f, fileErr := read(m.opt.File)
	for _, part := range paths {
		l, err := read(part)
		if part == partPath(m.opt.File, 0) || err == nil && fileErr == nil && f.there && l.content == f.content {
			err = discard(part)
		} else {
			err = m.keep(part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keep puts a file that nothing is known of where people see it.
func (m *Mirror) keep(path string) error {
	kept := keptPath(m.opt.File)
	if err := os.Rename(path, kept); err != nil {
		return err
	}
	m.opt.Note(Note{Event: "kept", Text: fmt.Sprintf("%s was saved in the moment in which it was written here; what was saved is in %s.", m.shown, kept)})
	return nil
}

// step does what is to be done now, and returns after how long to look again; 0: when
// something happens. Errors are *Stop, *remote.Unreachable, the file system's, or ctx's.
func (m *Mirror) step(ctx context.Context) (time.Duration, error) {
	f, err := read(m.opt.File)
	if err != nil {
		return 0, err
	}
	if wait := m.settling(f); wait > 0 {
		return wait, nil
	}
	if !m.state.begun() {
		return m.begin(ctx, f)
	}
	if !f.there {
		if !m.missing {
			m.missing = true
			m.opt.Note(Note{Event: "missing", Text: fmt.Sprintf("%s is gone. The document %s stays as it is; waiting for the file to come back.", m.shown, m.state.Doc)})
		}
		return 0, nil
	}
	m.missing = false
	if err := m.recover(ctx, f); later(err) && m.refused == sum(f.content) {
		return 0, nil
	} else if later(err) {
		return m.opt.Settle, nil
	} else if err != nil {
		return 0, err
	}
	if !m.checked {
		if err := m.check(ctx, f); err != nil {
			return 0, err
		}
	}
	switch {
	case m.refused != "" && sum(f.content) == m.refused:
		return 0, nil
	case m.state.Sending != nil:
		return m.send(ctx)
	case m.state.sumOf(f.content) != m.state.Sum:
		return m.local(ctx, f)
	case m.fetched:
		return 0, nil
	}
	return m.take(ctx, f.content)
}

// settling returns how long to leave the file alone: somebody may be about to write it.
func (m *Mirror) settling(f look) time.Duration {
	quiet := m.opt.Settle
	if f.there && f.content == "" && m.state.begun() && m.state.Sum != m.state.sumOf("") {
		quiet = max(quiet, m.opt.Empty)
	}
	return m.rest.left(f.mark, quiet)
}

// touched says that something happened to the file.
func (m *Mirror) touched() { m.rest = rest{} }

// rest is since when a file has been left alone.
type rest struct {
	seen  mark // the file when it was looked at last
	since time.Time
}

// left returns how long a file, as it is found now, has to be left alone yet to have been so for quiet.
func (r *rest) left(now mark, quiet time.Duration) time.Duration {
	if now != r.seen || r.since.IsZero() {
		*r = rest{now, time.Now()}
		return quiet
	}
	return quiet - time.Since(r.since)
}

// local sends a change of the file.
func (m *Mirror) local(ctx context.Context, f look) (time.Duration, error) {
	if err := m.unfit(f.content); err != nil {
		m.refuse(f.content, err)
		return 0, nil
	}
	m.state.Sending = &sending{Key: rand.Text(), Author: m.opt.Client.Author, Content: f.content}
	if err := m.state.save(m.path); err != nil {
		return 0, err
	}
	return m.send(ctx)
}

// unfit says why the document cannot have a content, nil when it can.
func (m *Mirror) unfit(content string) error {
	if _, _, err := m.state.Form.Wire([]byte(content)); err != nil {
		return err
	}
	_, err := document(algebra(m.state.Form), content)
	return err
}

// refuse says that the file's content is not taken; what others do is not written over it.
func (m *Mirror) refuse(content string, err error) {
	m.refused = sum(content)
	m.opt.Note(Note{Event: "refused", Text: fmt.Sprintf("%s is not sent: %s. It stays as it is, and nothing is written over it; change it to go on.", m.shown, strings.TrimSuffix(err.Error(), "."))})
}

// send brings what is in state.Sending to the server, and the outcome into the file.
func (m *Mirror) send(ctx context.Context) (time.Duration, error) {
	s := m.state.Sending
	body, contentType, err := m.state.Form.Wire([]byte(s.Content))
	if err != nil {
		return 0, err // it was in order before
	}
	client := *m.opt.Client
	client.Author = s.Author // else the server would take it for another request
	e, err := client.Put(ctx, m.state.Doc, m.state.Base, contentType, body, s.Key)
	if err != nil {
		return 0, m.putFailed(ctx, err)
	}
	m.opt.Note(Note{Event: "sent", Rev: e.Rev})
	return m.take(ctx, s.Content)
}

// putFailed sorts out why the server did not take a change.
func (m *Mirror) putFailed(ctx context.Context, err error) error {
	var p *remote.Problem
	if !errors.As(err, &p) || p.Status == 429 || p.Status >= 500 {
		return away(m.opt.Client, err)
	}
	switch p.Status {
	case 404, 410, 409, 412:
		return m.lost(err)
	}
	if p.Code == "future" || p.Code == "stale" {
		return m.lost(err)
	}
	content := m.state.Sending.Content
	m.state.Sending = nil
	m.refuse(content, err)
	return m.state.save(m.path)
}

// away makes a server that has trouble one that cannot be reached now.
func away(c *remote.Client, err error) error {
	var p *remote.Problem
	if errors.As(err, &p) && (p.Status == 429 || p.Status >= 500) {
		return &remote.Unreachable{URL: c.URL, Err: p}
	}
	return err
}

// lost makes of a refusal that nothing here can help a Stop.
func (m *Mirror) lost(err error) error {
	var p *remote.Problem
	if !errors.As(err, &p) {
		return err
	}
	detail := strings.TrimSuffix(p.Detail, ".")
	again := fmt.Sprintf("%s stays as it is. To begin anew, move it away, remove %s and start again; then bring your changes in.", m.shown, statePath(m.shown))
	switch {
	case p.Status == 404 && p.Code != "future":
		return &Stop{NotFound, fmt.Sprintf("the document %s is not there any more. %s stays as it is.", m.state.Doc, m.shown)}
	case p.Status == 410 || p.Code == "stale":
		return &Stop{Gone, fmt.Sprintf("%s was changed since revision %d of %s, from which the server can no longer merge: %s. %s", m.shown, m.state.Base, m.state.Doc, detail, again)}
	case p.Status >= 500 || p.Status == 429:
		return away(m.opt.Client, err)
	}
	return &Stop{Changed, fmt.Sprintf("%s cannot be brought together with %s: %s. %s", m.shown, m.state.Doc, detail, again)}
}

// fetch reads the document at a revision, -1 for the head, in the file's form.
func (m *Mirror) fetch(ctx context.Context, rev int64) (content string, at int64, err error) {
	var point remote.Point
	if rev >= 0 {
		point = remote.AtRev(rev)
	}
	if m.state.Form == form.Markdown {
		return m.rendered(ctx, point)
	}
	d, err := m.opt.Client.Get(ctx, m.state.Doc, point)
	switch {
	case err != nil:
		return "", 0, err
	case d.Type == "":
		return "", 0, &Stop{NotFound, fmt.Sprintf("the document %s was deleted. %s stays as it is.", m.state.Doc, m.shown)}
	case d.Type != m.state.Type:
		return "", 0, &Stop{Changed, fmt.Sprintf("the document %s is of the type %s now, it was %s. %s stays as it is; remove %s to begin anew.", m.state.Doc, d.Type, m.state.Type, m.shown, statePath(m.shown))}
	}
	content, err = m.state.Form.Show(d.Content)
	return content, d.Rev, err
}

// rendered reads a document that the server writes in the file's form.
func (m *Mirror) rendered(ctx context.Context, point remote.Point) (string, int64, error) {
	body, rev, err := m.opt.Client.Raw(ctx, m.state.Doc, point, string(m.state.Form))
	if err != nil {
		return "", 0, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxFile+1))
	switch {
	case err != nil:
		return "", 0, err
	case len(data) > maxFile:
		return "", 0, &Stop{Refused, fmt.Sprintf("the document %s is larger than the %d bytes that a file may have", m.state.Doc, maxFile)}
	case !utf8.Valid(data) || rev < 0:
		return "", 0, &Stop{Refused, fmt.Sprintf("the server does not offer the document %s as %s", m.state.Doc, m.state.Form)}
	}
	return string(data), rev, nil
}
