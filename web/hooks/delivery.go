package hooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"quire/session"
	"quire/storage"
)

// Kinds of events beside those of steps.
const (
	kindPurge  = "purge"  // the document was removed for good, with its past
	kindRename = "rename" // the document has another id
	kindGone   = "gone"   // steps were dropped before they could be delivered
)

// steps are the kinds of steps as events name them.
var steps = [...]string{storage.Edit: "edit", storage.Create: "create", storage.Delete: "delete"}

// event is one step as receivers are told of it.
type event struct {
	Doc    string           `json:"doc"`
	Rev    session.Revision `json:"rev"`
	Kind   string           `json:"kind"`
	Type   string           `json:"type,omitempty"`
	Author string           `json:"author,omitempty"`
	// Names has what Author is called, when that is something else.
	Names   map[string]string `json:"names,omitempty"`
	Client  string            `json:"client,omitempty"`
	Time    string            `json:"time,omitempty"`
	Op      json.RawMessage   `json:"op,omitempty"`
	Content json.RawMessage   `json:"content,omitempty"`
	// Omitted is how many bytes Op or Content would have, when that is too much.
	Omitted int `json:"omitted,omitempty"`
	// Was is the id before a rename.
	Was string `json:"was,omitempty"`
}

// single and several are the bodies of requests.
type single struct {
	Hook     string `json:"hook"`
	Delivery string `json:"delivery"`
	event
}

type several struct {
	Hook     string            `json:"hook"`
	Delivery string            `json:"delivery"`
	Doc      string            `json:"doc"`
	Events   []json.RawMessage `json:"events"`
}

// delivery is one request: the steps of a document that led to revisions (from, to], or, when
// kind is set, something else about it.
type delivery struct {
	id       string
	doc      string
	lineage  uint64
	from, to session.Revision
	kind     string
	was      string // of a rename
	body     []byte
	events   int
	after    *position // once it is taken; nil: the document is of no concern any more
	skip     bool      // there is nothing to send
}

// next returns what is to be delivered of a document now; nil for nothing.
func (r *runner) next(lineage uint64, doc string, gone bool, p position, known bool) (*delivery, error) {
	info, err := r.h.opt.Store.Stat(r.ctx, doc)
	here := err == nil && storage.Lineage(info.Incarnation) == lineage
	switch {
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return nil, err
	case !here && gone && known:
		d := &delivery{doc: p.Doc, lineage: lineage, from: p.Rev, to: p.Rev, kind: kindPurge}
		return d, r.special(d)
	case !here && gone:
		return nil, nil
	case !here:
		r.h.requestSweep(r)
		return nil, nil
	case known && p.Doc != doc && r.confined && !r.matches(doc):
		d := &delivery{doc: p.Doc, lineage: lineage, from: p.Rev, to: p.Rev, kind: kindPurge}
		return d, r.special(d)
	case known && p.Doc != doc:
		d := &delivery{doc: doc, lineage: lineage, from: p.Rev, to: p.Rev, kind: kindRename, was: p.Doc}
		if r.matches(doc) {
			d.after = &position{Doc: doc, Rev: p.Rev}
		}
		return d, r.special(d)
	case p.Rev > info.Head:
		r.h.opt.Logger.Warn("a document is older than a hook was told of; it goes on from there", "hook", r.id, "doc", doc, "rev", p.Rev, "head", info.Head)
		return &delivery{skip: true, after: &position{Doc: doc, Rev: info.Head}}, nil
	case p.Rev == info.Head:
		return nil, nil
	case p.Rev < info.Oldest:
		d := &delivery{doc: doc, lineage: lineage, from: p.Rev, to: info.Oldest, kind: kindGone, after: &position{Doc: doc, Rev: info.Oldest}}
		return d, r.special(d)
	}
	p.Doc = doc
	to := info.Head
	if p.Since != 0 {
		to = min(to, p.To) // as it was tried before
	}
	d := &delivery{doc: doc, lineage: lineage, from: p.Rev}
	if err := r.collect(d, to); err != nil {
		return nil, err
	}
	after := p.told(d.to)
	d.after = &after
	return d, nil
}

// special makes the body of a delivery that is about no step.
func (r *runner) special(d *delivery) error {
	d.id = fmt.Sprintf("%s-%012x-%d-%s", r.id, d.lineage, d.to, d.kind)
	if d.kind == kindRename {
		sum := sha256.Sum256([]byte(d.was + "\n" + d.doc)) // it may happen twice at one revision
		d.id += "-" + hex.EncodeToString(sum[:8])
	}
	d.events = 1
	var err error
	d.body, err = json.Marshal(single{r.id, d.id, event{Doc: d.doc, Rev: d.to, Kind: d.kind, Was: d.was}})
	return err
}

// collect reads steps from d.from on, up to a revision or as many as fit one request, and
// makes the body.
func (r *runner) collect(d *delivery, to session.Revision) error {
	var events []json.RawMessage
	size := 0
	d.to = d.from
	for full := false; !full && d.to < to && len(events) < r.h.opt.MaxEvents; {
		entries, err := r.h.opt.Manager.Entries(r.ctx, d.doc, d.to, to, r.h.opt.MaxEvents-len(events))
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			data, err := json.Marshal(r.event(d.doc, e))
			if err != nil {
				return err
			}
			if full = len(events) > 0 && size+len(data) > r.h.opt.MaxBytes; full {
				break
			}
			size += len(data) + 1
			events = append(events, data)
			d.to = e.Rev
		}
	}
	if len(events) == 0 {
		return session.Errorf(session.CodeUnavailable, "there are no steps after revision %d", d.from)
	}
	d.events = len(events)
	d.id = fmt.Sprintf("%s-%012x-%d", r.id, d.lineage, d.to)
	var err error
	if len(events) > 1 {
		d.id = fmt.Sprintf("%s-%012x-%d-%d", r.id, d.lineage, d.from+1, d.to)
		d.body, err = json.Marshal(several{r.id, d.id, d.doc, events})
		return err
	}
	head, err := json.Marshal(struct {
		Hook     string `json:"hook"`
		Delivery string `json:"delivery"`
	}{r.id, d.id})
	d.body = append(append(head[:len(head)-1], ','), events[0][1:]...)
	return err
}

// event is a step as it is told.
func (r *runner) event(doc string, e session.Entry) event {
	out := event{
		Doc: doc, Rev: e.Rev, Kind: steps[e.Kind], Author: e.Author, Client: e.Client,
		Time: e.Time.UTC().Format("2006-01-02T15:04:05.000Z"),
	}
	if e.Type != nil {
		out.Type = e.Type.Name()
	}
	if r.h.opt.Names != nil {
		out.Names = r.h.opt.Names(doc, slices.Values([]string{e.Author}))
	}
	switch op := e.Op.(type) {
	case session.Deletion:
	case session.Creation:
		out.Content = op.Type.AppendDoc(nil, op.Doc)
	default:
		out.Op = e.Type.AppendOp(nil, e.Op)
	}
	if n := len(out.Op) + len(out.Content); n > r.h.opt.MaxBytes {
		out.Op, out.Content, out.Omitted = nil, nil, n
	}
	return out
}

// statusError is an answer that does not take a delivery.
type statusError int

// Error says which.
func (e statusError) Error() string {
	return fmt.Sprintf("the receiver answered %d %s", int(e), http.StatusText(int(e)))
}

// maxAnswer is how much of an answer is read, so that its connection can be used again.
const maxAnswer = 64 << 10

// send makes one request; nil means that it was taken.
func (r *runner) send(d *delivery) error {
	began := time.Now()
	req, err := http.NewRequestWithContext(r.ctx, http.MethodPost, r.url, bytes.NewReader(d.body))
	if err != nil {
		return err
	}
	stamp := strconv.FormatInt(r.h.opt.Now().Unix(), 10)
	req.Header = http.Header{
		"Content-Type":    {"application/json"},
		"User-Agent":      {r.h.opt.Name},
		"Quire-Delivery":  {d.id},
		"Quire-Timestamp": {stamp},
		"Quire-Signature": {"v1=" + sign(r.secret, stamp, d.body)},
	}
	resp, err := r.h.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return statusError(resp.StatusCode)
	}
	r.h.opt.Observer.Delivered(d.events, time.Since(began))
	return nil
}

// sign returns the signature of a body sent at a time, in hexadecimal.
func sign(secret, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// explain puts why a request failed in a short line.
func explain(err error) string {
	var wrapped *url.Error
	var private errPrivate
	switch {
	case errors.As(err, &private):
		return private.Error()
	case errors.As(err, &wrapped) && wrapped.Timeout():
		return "the receiver did not answer in time"
	case errors.As(err, &wrapped):
		err = wrapped.Err
	}
	const most = 300
	s := strings.ToValidUTF8(err.Error(), "")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// plainURL returns of an address what may be logged: without its query, in which there may
// be a secret.
func plainURL(address string) string {
	u, err := url.Parse(address)
	if err != nil { // it was checked when it was registered
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// within bounds a piece of work that nobody waits for.
func (r *runner) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.ctx, time.Minute)
}
