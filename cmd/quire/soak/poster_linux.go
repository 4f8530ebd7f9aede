package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"quire/session"
	"quire/web/quirev1/client/journal"
)

// poster edits over HTTP: it reads a document and posts an operation with an idempotency key, again and
// again until there is an answer, since it does not know whether the one before arrived; and
// sometimes once more.
type poster struct {
	*member
	j    *journal.Writer
	http *http.Client
	mark string // of the edit that is on its way, which is its key as well
	body []byte // nil: there is none
	told bool   // it was acknowledged, and is sent once more
}

// post makes somebody who writes a document over HTTP.
func (r *rig) post(kind Kind, doc, id string) error {
	m, err := r.member(kind, doc, id)
	if err != nil {
		return err
	}
	p := &poster{member: m, j: journal.NewWriter(m.file, r.began), http: &http.Client{Transport: &http.Transport{}}}
	go func() {
		defer p.http.CloseIdleConnections()
		p.live(p.once)
	}()
	return nil
}

// once reads and posts once.
func (p *poster) once() (over bool, err error) {
	at := p.rig.url.Load()
	if at == nil {
		return false, nil
	}
	address := *at + "api/docs/" + url.PathEscape(p.doc)
	if p.body == nil {
		if over, err = p.prepare(address); over || err != nil {
			return over, err
		}
	}
	if p.body != nil {
		err = p.submit(address + "/operations")
	}
	if err == nil {
		err = p.j.Err()
	}
	return false, err
}

// prepare reads the document and makes an edit of it, if it is time for one.
func (p *poster) prepare(address string) (over bool, err error) {
	p.j.Note(journal.Event{Kind: journal.Asked})
	defer p.j.Flush()
	var read struct {
		Rev     session.Revision `json:"rev"`
		Content json.RawMessage  `json:"content"`
	}
	status, err := p.do(http.MethodGet, address, nil, &read)
	if status != http.StatusOK || err != nil {
		return false, err
	}
	doc, err := p.kind.Type.Create(read.Content)
	if err != nil {
		return false, fmt.Errorf("%s cannot read %s: %w", p.client, p.doc, err)
	}
	sum := journal.Sum(p.kind.Type, doc)
	p.j.Note(journal.Event{Kind: journal.Opened, Rev: read.Rev, Head: read.Rev, Sum: sum})
	p.note(int64(read.Rev), 0, true)
	if p.final(int64(read.Rev)) {
		p.j.Note(journal.Event{Kind: journal.Done, Rev: read.Rev, Sum: sum})
		return true, nil
	}
	if !p.due() {
		return false, nil
	}
	p.mark = fmt.Sprintf("<%s:%d>", p.client, p.edits)
	op, err := p.kind.Edit(p.rng, doc, p.mark)
	if err != nil {
		return false, fmt.Errorf("%s of %s cannot edit: %w", p.client, p.doc, err)
	}
	p.body = fmt.Appendf(nil, `{"base":%d,"ops":[%s]}`, read.Rev, p.kind.Type.AppendOp(nil, op))
	p.note(int64(read.Rev), 1, true)
	return false, nil
}

// submit posts the edit, perhaps again.
func (p *poster) submit(address string) error {
	p.j.Note(journal.Event{Kind: journal.Sent, Text: p.mark})
	p.j.Flush()
	var edited struct {
		Rev      session.Revision `json:"rev"`
		Repeated bool             `json:"repeated"`
	}
	status, err := p.do(http.MethodPost, address, p.body, &edited)
	if status != http.StatusOK || err != nil {
		return err
	}
	p.j.Note(journal.Event{Kind: journal.Answered, Rev: edited.Rev, Text: p.mark})
	p.j.Flush()
	if !p.told {
		p.acked()
		if edited.Repeated {
			p.rig.saw.count("posts whose first answer was lost", 1)
		}
		if p.rng.IntN(4) == 0 {
			p.told = true
			return nil
		}
	}
	p.body, p.told = nil, false
	p.note(int64(edited.Rev), 0, true)
	return nil
}

// do makes a request. Without an answer, and when the server cannot answer now, the status is not 200;
// an error is what should not be.
func (p *poster) do(method, address string, body []byte, out any) (status int, err error) {
	p.http.Timeout = p.waits
	req, err := http.NewRequestWithContext(p.rig.ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", p.mark)
	}
	resp, err := p.http.Do(req)
	var data []byte
	if err == nil {
		data, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err != nil {
		p.tired(err)
		p.rig.saw.cuts.Add(1)
		return 0, nil
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		if err := json.Unmarshal(data, out); err != nil {
			return 0, fmt.Errorf("%s was answered %q: %w", p.client, data, err)
		}
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusNotFound && p.acks.Load() == 0:
		p.rig.saw.refused(fmt.Sprintf("status %d", resp.StatusCode))
	default:
		return 0, fmt.Errorf("%s was refused with %d: %s", p.client, resp.StatusCode, data)
	}
	return resp.StatusCode, nil
}
