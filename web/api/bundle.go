package api

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"quire/ot"
	"quire/session"
	"quire/session/limits"
	"quire/storage"
	"quire/web/auth"
	"quire/web/stream"
)

// A bundle is a document with its whole history: lines of JSON, of which the first is a
// bundleHead, the last a bundleEnd, and each between them a step.

// bundleVersion is the version of this form.
const bundleVersion = 1

type bundleHead struct {
	Quire   string           `json:"quire"` // "bundle"
	Version int              `json:"version"`
	ID      string           `json:"id"`
	Type    string           `json:"type"`
	Title   string           `json:"title"`
	Meta    json.RawMessage  `json:"meta,omitempty"`
	Created string           `json:"created"`
	Oldest  int64            `json:"oldest"`
	Head    session.Revision `json:"head"`
	Labels  []label          `json:"labels"`
}

type bundleEnd struct {
	End   bool  `json:"end"`
	Steps int64 `json:"steps"`
	// Checksum is the content's, as the type counts it; "" when there is none.
	Checksum string `json:"checksum"`
	// SHA256 is of every byte before this line.
	SHA256 string `json:"sha256"`
}

// exportPage is how many steps are read at once.
const exportPage = 1000

// export answers with a document and its history as a bundle.
func (a *API) export(r *request, info session.Info) error {
	m, err := a.opt.Manager.Meta(r.c, r.id)
	if err != nil {
		return err
	}
	labels, err := a.opt.Manager.Labels(r.c, r.id)
	if err != nil {
		return err
	}
	kept := labels[:0]
	for _, l := range labels {
		if info.Oldest <= l.Rev && l.Rev <= info.Head {
			kept = append(kept, l)
		}
	}
	x := &exporter{a: a, doc: info.ID, pass: r.pass, sum: sha256.New(), head: bundleHead{
		"bundle", bundleVersion, info.ID, info.Type, m.Title, m.Fields, timeOfMilli(info.Created), oldest(info), info.Head, labelsOf(kept),
	}}
	// The past may change at a revision, by redaction: whoever asks again gets all of it again.
	setTag(r.ctx, tagOf(info, info.Head).of(x.head))
	h := &r.ctx.Response.Header
	h.SetContentType(mediaBundle)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(info.ID)+".quire")
	zipped := acceptsGzip(string(r.ctx.Request.Header.Peek("Accept-Encoding")))
	if zipped {
		h.Set("Content-Encoding", "gzip")
	}
	if r.ctx.IsHead() {
		return nil
	}
	return a.stream(r, func(w *stream.Writer) error {
		if !zipped {
			return x.run(w.Context(), w)
		}
		z := gzip.NewWriter(w)
		if err := x.run(w.Context(), z); err != nil {
			return err
		}
		return z.Close()
	}, func() {})
}

// stream answers with a body that run writes; ended is called once, when it is over or an error is returned.
func (a *API) stream(r *request, run func(w *stream.Writer) error, ended func()) error {
	release := auth.Retain(r.ctx)
	over := func() {
		ended()
		release()
	}
	if a.opt.Streams.Start(r.ctx, run, over) {
		return nil
	}
	over()
	limit := int64(a.opt.Streams.Max())
	e := Errorf(fasthttp.StatusServiceUnavailable, string(session.CodeBusy), "There are %d streams, the limit %s, or the server is stopping.", limit, limits.Streams)
	e.Limit = &limit
	if a.opt.Streams.Context().Err() == nil {
		e.Name = limits.Streams
	}
	return e
}

// exporter writes one bundle.
type exporter struct {
	a     *API
	doc   string
	pass  *auth.Pass // of whom it is for
	head  bundleHead
	sum   hash.Hash
	steps int64
}

// run writes the bundle. What fails is logged: the answer has begun.
func (x *exporter) run(c context.Context, to io.Writer) error {
	w := io.MultiWriter(to, x.sum)
	if err := line(w, x.head); err != nil {
		return err
	}
	err := x.body(c, w)
	if err != nil {
		if c.Err() == nil {
			x.a.opt.Logger.Error("cannot finish a bundle", "doc", x.doc, "err", err)
		}
		return err
	}
	c, done := x.a.opt.Manager.Reading(c)
	defer done()
	v, err := x.a.opt.Manager.View(c, x.doc, x.head.Head)
	if err != nil {
		return err
	}
	end := bundleEnd{End: true, Steps: x.steps, SHA256: hex.EncodeToString(x.sum.Sum(nil))}
	if v.Type != nil {
		end.Checksum = checksum(v.Type, v.Doc)
	}
	return line(to, end)
}

func (x *exporter) body(c context.Context, w io.Writer) error {
	at := session.Unborn
	if x.head.Oldest > 0 {
		at = session.Revision(x.head.Oldest)
		if err := x.beginning(c, w, at); err != nil {
			return err
		}
	}
	for at < x.head.Head {
		if err := x.pass.Check(x.doc, auth.Read); err != nil {
			return err
		}
		lines, err := x.page(c, at)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			return errors.New("the document went away")
		}
		for i := range lines {
			if _, err := w.Write(lines[i]); err != nil {
				return err
			}
			lines[i] = nil
			at++
			x.steps++
		}
	}
	return nil
}

// page returns the lines of the next steps after a revision: who is slow to take them has nothing else in hand.
func (x *exporter) page(c context.Context, at session.Revision) (lines [][]byte, err error) {
	c, done := x.a.opt.Manager.Reading(c)
	defer done()
	steps, err := x.a.opt.Manager.Entries(c, x.doc, at, x.head.Head, exportPage)
	for _, e := range steps {
		if at++; e.Rev != at {
			return nil, fmt.Errorf("revision %d follows %d", e.Rev, at-1)
		}
		lines = append(lines, marshal(stepOf(e)))
	}
	return lines, err
}

// beginning writes the content that the past of a document begins with when what was
// before is not kept any more.
func (x *exporter) beginning(c context.Context, w io.Writer, at session.Revision) error {
	c, done := x.a.opt.Manager.Reading(c)
	v, err := x.a.opt.Manager.View(c, x.doc, at)
	s := step{Rev: at, Kind: kinds[storage.Delete], Time: x.head.Created}
	if v.Type != nil {
		s.Kind, s.Type, s.Content = kinds[storage.Create], v.Type.Name(), v.Type.AppendDoc(nil, v.Doc)
	}
	done() // before who takes it may be slow
	if err != nil {
		return err
	}
	x.steps++
	return line(w, s)
}

func line(w io.Writer, v any) error {
	_, err := w.Write(marshal(v))
	return err
}

func checksum(t ot.Type, d ot.Doc) string { return fmt.Sprintf("%08x", t.Checksum(d)) }

// maxLine returns the longest line of a bundle: a document in JSON may take six bytes for
// one, and what came in a body may have become twice as long.
func (a *API) maxLine() int {
	return max(6*a.opt.Manager.Limits().Document, 2*a.opt.MaxBody) + longLine
}

// importBundle creates a document from a bundle, with revisions, authors and times as
// they were; ?id= and ?title= are in the place of the bundle's.
func (a *API) importBundle(r *request) error {
	body := io.Reader(bytes.NewReader(r.ctx.Request.Body()))
	if s := r.ctx.RequestBodyStream(); s != nil {
		body = s
	}
	if _, given := r.param("type"); given {
		return bad("unknown_parameter", "A bundle says what type it is of: leave out type.")
	}
	if string(r.ctx.Request.Header.Peek("Content-Encoding")) == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return bad("bad_bundle", "The body is not gzip: %v.", err)
		}
		body = z
	}
	in := &importer{a: a, limit: a.opt.MaxImport, most: a.maxLine(), sum: sha256.New()}
	defer in.release()
	in.lines = bufio.NewReaderSize(&bounded{body, a.opt.MaxImport}, 64<<10)
	if err := in.header(); err != nil {
		return err
	}
	id, meta := in.head.ID, session.Meta{Title: in.head.Title, Fields: in.head.Meta}
	if v, ok := r.param("id"); ok {
		id = v
	}
	if v, ok := r.param("title"); ok {
		meta.Title = v
	}
	in.may = func() error { return r.may(id, auth.Admin) } // it says who did what
	if err := in.may(); err != nil {
		return err
	}
	if err := checkMeta(meta); err != nil {
		return err
	}
	labels, err := in.labels()
	if err != nil {
		return err
	}
	if in.head.Oldest > longBase {
		if err := in.hold(); err != nil {
			return err
		}
	}
	// It takes as long as the body does, which has to come at a pace.
	info, err := a.opt.Manager.Import(a.opt.Streams.Context(), id, meta, labels, in.next)
	if in.err != nil { // what the session made of it says less
		return in.err
	}
	if err != nil {
		return err
	}
	a.created(r, info, meta)
	return nil
}

// bounded reads up to left bytes, and fails where there are more.
type bounded struct {
	r    io.Reader
	left int
}

var errBounded = errors.New("api: the body is past its limit")

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p[:min(len(p), b.left+1)])
	if b.left -= n; b.left < 0 {
		return 0, errBounded
	}
	return n, err
}

// importer reads one bundle.
type importer struct {
	a     *API
	limit int          // of the bundle
	most  int          // of a line; 0: any
	may   func() error // why the sender may not, or nil
	lines *bufio.Reader
	sum   hash.Hash
	head  bundleHead

	n     int64 // lines read
	steps int64
	at    session.Revision
	typ   ot.Type // of the content now; nil when there is none
	doc   ot.Doc
	err   error // what was refused
	place bool  // it holds one of API.longLines
}

func (in *importer) fail(format string, args ...any) error {
	return bad("bad_bundle", "Line %d of the bundle: %s. Nothing was imported.", in.n, strings.TrimSuffix(fmt.Sprintf(format, args...), "."))
}

// Lines longer than longLine are held by a few imports at once: each may take hundreds of
// megabytes, and next to nothing on its way here.
const (
	longLine  = 1 << 20
	longLines = 2
	// longBase is how many revisions that are not kept any more count as a long line for as long
	// as the import takes: they have to be counted up in the store.
	longBase = 1 << 16
)

// hold waits for a place for a long line, until the next line is read.
func (in *importer) hold() error {
	if in.place {
		return nil
	}
	select {
	case in.a.longLines <- struct{}{}:
		in.place = true
		return nil
	default:
	}
	c, cancel := context.WithTimeout(in.a.opt.Streams.Context(), in.a.opt.Timeout)
	defer cancel()
	select {
	case in.a.longLines <- struct{}{}:
		in.place = true
		return nil
	case <-c.Done():
		return session.Errorf(session.CodeBusy, "too many bundles with long lines are imported now")
	}
}

// release gives the place back.
func (in *importer) release() {
	if in.place {
		in.place = false
		<-in.a.longLines
	}
}

// line returns the next line, without its end. io.ErrUnexpectedEOF when there is none.
func (in *importer) line() ([]byte, error) {
	in.n++
	if in.head.Oldest <= longBase {
		in.release()
	}
	var out []byte
	for {
		part, err := in.lines.ReadSlice('\n')
		if in.most > 0 && len(out)+len(part) > in.most {
			return nil, in.fail("it has more than %d bytes", in.most)
		}
		if err == nil && out == nil {
			return part, nil // valid until the next read
		}
		if len(out)+len(part) > longLine {
			if err := in.hold(); err != nil {
				return nil, err
			}
		}
		if len(out)+len(part) > cap(out) {
			out = slices.Grow(out, max(len(out), len(part)))
		}
		out = append(out, part...)
		switch {
		case err == nil:
			return out, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, errBounded):
			return nil, BodyTooLarge(in.limit, "max-import")
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil, in.fail("the bundle is cut off here")
		default:
			return nil, in.fail("it cannot be read: %v", err)
		}
	}
}

// header reads the first line.
func (in *importer) header() error {
	data, err := in.line()
	if err != nil {
		return err
	}
	in.sum.Write(data)
	h := &in.head
	into := map[string]any{"quire": &h.Quire, "version": &h.Version, "id": &h.ID, "type": &h.Type, "title": &h.Title, "meta": &h.Meta,
		"created": &h.Created, "oldest": &h.Oldest, "head": &h.Head, "labels": &h.Labels}
	if err := decodeObject(data, into); err != nil {
		return in.fail("%s", asError(err).Detail)
	}
	switch {
	case h.Quire != "bundle":
		return in.fail(`it is not the beginning of a bundle, which says "quire":"bundle"`)
	case h.Version != bundleVersion:
		return in.fail("version %d; this server reads version %d", h.Version, bundleVersion)
	case h.Oldest < 0 || h.Head < 0 || h.Head > maxRevision || session.Revision(h.Oldest) > h.Head:
		return in.fail("revisions %d to %d", h.Oldest, h.Head)
	}
	if h.Meta != nil {
		if h.Meta, err = fields(h.Meta); err != nil {
			return in.fail("%s", asError(err).Detail)
		}
	}
	in.at = session.Unborn
	if h.Oldest > 0 {
		in.at = session.Revision(h.Oldest) - 1
	}
	return nil
}

func (in *importer) labels() ([]session.Label, error) {
	out := make([]session.Label, len(in.head.Labels))
	for i, l := range in.head.Labels {
		t, err := parseTime("time", l.Time)
		if err != nil {
			return nil, in.fail("label %s: %s", quote(l.Name), asError(err).Detail)
		}
		if l.Rev < session.Revision(in.head.Oldest) || l.Rev > in.head.Head {
			return nil, in.fail("label %s is of revision %d; there are %d to %d", quote(l.Name), l.Rev, in.head.Oldest, in.head.Head)
		}
		out[i] = session.Label{Name: l.Name, Rev: l.Rev, Author: l.Author, Time: t}
	}
	return out, nil
}

// next returns the next step, io.EOF after the last if all of the bundle is as it was
// written.
func (in *importer) next() (session.Entry, error) {
	e, err := in.read()
	if err == nil || err == io.EOF {
		if refusal := in.may(); refusal != nil { // the right may go while the body comes
			err = refusal
		}
	}
	if err != nil && err != io.EOF {
		in.err = err
	}
	return e, err
}

func (in *importer) read() (session.Entry, error) {
	data, err := in.line()
	if err != nil {
		return session.Entry{}, err
	}
	if bytes.HasPrefix(data, []byte(`{"end"`)) {
		return session.Entry{}, in.end(data)
	}
	in.sum.Write(data)
	var s step
	into := map[string]any{"rev": &s.Rev, "kind": &s.Kind, "type": &s.Type, "author": &s.Author, "client": &s.Client, "seq": &s.Seq,
		"time": &s.Time, "op": &s.Op, "content": &s.Content}
	if err := decodeObject(data, into); err != nil {
		return session.Entry{}, in.fail("%s", asError(err).Detail)
	}
	if s.Rev != in.at+1 || s.Rev > in.head.Head {
		return session.Entry{}, in.fail("revision %d follows %d, of %d", s.Rev, in.at, in.head.Head)
	}
	if s.Seq > maxRevision {
		return session.Entry{}, in.fail("sequence number %d, limit %d", s.Seq, int64(maxRevision))
	}
	t, err := parseTime("time", s.Time)
	if err != nil {
		return session.Entry{}, in.fail("%s", asError(err).Detail)
	}
	e := session.Entry{Rev: s.Rev, Author: s.Author, Client: s.Client, Seq: s.Seq, Time: t, Type: in.typ}
	if err := in.apply(&e, s); err != nil {
		return e, in.fail("%v", err)
	}
	in.at = s.Rev
	in.steps++
	return e, nil
}

// apply reads what a step does and takes the content on.
func (in *importer) apply(e *session.Entry, s step) (err error) {
	switch {
	case s.Kind == "create" && s.Content != nil && s.Op == nil:
		t := in.a.opt.Manager.Type(s.Type)
		if t == nil {
			return fmt.Errorf("unknown document type %s", quote(s.Type))
		}
		if in.doc, err = t.Create(s.Content); err != nil {
			return err
		}
		in.typ, e.Type = t, t
		e.Kind, e.Op = storage.Create, session.Creation{Type: t, Doc: in.doc}
	case s.Kind == "delete" && s.Content == nil && s.Op == nil:
		e.Kind, e.Op = storage.Delete, session.Deletion{}
		in.typ, in.doc = nil, nil
	case s.Kind == "edit" && s.Content == nil && s.Op != nil && in.typ != nil:
		if e.Op, err = in.typ.DecodeOp(s.Op, in.a.opt.Manager.Limits().Op); err != nil {
			return err
		}
		if in.doc, err = in.typ.Apply(in.doc, e.Op); err != nil {
			return err
		}
		if size, limit := in.typ.Size(in.doc), in.a.opt.Manager.Limits().Document; size > limit {
			return fmt.Errorf("the document has %d bytes there, limit max-document %d", size, limit)
		}
	default:
		return errors.New("a step that is neither create, edit nor delete, or has not what it should")
	}
	return nil
}

// end checks the last line, and that it is the last.
func (in *importer) end(data []byte) error {
	var e bundleEnd
	if err := decodeObject(data, map[string]any{"end": &e.End, "steps": &e.Steps, "checksum": &e.Checksum, "sha256": &e.SHA256}); err != nil {
		return in.fail("%s", asError(err).Detail)
	}
	want := ""
	if in.typ != nil {
		want = checksum(in.typ, in.doc)
	}
	switch {
	case e.Steps != in.steps || in.at != in.head.Head:
		return in.fail("the bundle ends at revision %d after %d steps, not at %d after %d", in.at, in.steps, in.head.Head, e.Steps)
	case e.Checksum != want || e.SHA256 != hex.EncodeToString(in.sum.Sum(nil)):
		return in.fail("the checksums differ: the bundle was altered")
	}
	if _, err := in.lines.ReadByte(); err != io.EOF {
		return in.fail("something follows the end")
	}
	return io.EOF
}
