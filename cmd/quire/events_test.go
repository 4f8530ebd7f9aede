package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"quire/ot"
	"quire/ot/text"
)

// event is one Server-Sent Event.
type event struct{ id, kind, data string }

// follow reads a document's events, beginning after a revision, until stop says so or
// the stream ends.
func follow(ctx context.Context, url string, after int, stop func(e event) bool) error {
	return followOver(ctx, http.DefaultTransport, url, after, stop)
}

// followOver is follow by a way to reach the server.
func followOver(ctx context.Context, over http.RoundTripper, url string, after int, stop func(e event) bool) error {
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/events?from=-1", nil)
	if err != nil {
		return err
	}
	if after >= 0 {
		req.Header.Set("Last-Event-ID", fmt.Sprint(after))
	}
	resp, err := over.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	var e event
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			e.data = value
		case "":
			if e.kind != "" && stop(e) {
				return nil
			}
			e = event{}
		}
	}
	return lines.Err()
}

// TestEventsHaveNoGap has several readers follow a document that several scripts edit,
// come and go, and still each have every step once.
func TestEventsHaveNoGap(t *testing.T) {
	_, base, _ := start(t, "--data", t.TempDir())
	url := base + "api/docs/busy"
	must(t, "POST", base+"api/docs", jsonType, `{"id":"busy","content":"x"}`)
	const scripts, each = 3, 40
	const last = scripts * each
	var wg sync.WaitGroup
	for n := range scripts {
		wg.Go(func() {
			for i := range each {
				status, answer := send(t, "POST", url+"/operations", jsonType, fmt.Sprintf(`{"base":%d,"ops":[["%c"]]}`, i, 'a'+n))
				if status != http.StatusOK {
					t.Errorf("%d %s", status, answer)
				}
			}
		})
	}
	contents := make([]string, 4)
	for n := range contents {
		wg.Go(func() {
			var doc ot.Doc
			have := -1
			for rounds := 0; have < last; rounds++ {
				got := 0
				err := follow(t.Context(), url, have, func(e event) bool {
					got++
					var s struct {
						Rev         int
						Op, Content json.RawMessage
					}
					if err := json.Unmarshal([]byte(e.data), &s); err != nil || s.Rev != have+1 || e.id != fmt.Sprint(s.Rev) {
						t.Errorf("reader %d at %d: %v %+v", n, have, err, e)
						return true
					}
					doc = applied(t, doc, s.Op, s.Content)
					have = s.Rev
					return have == last || got > 5*n && n > 0 // all but the first come and go
				})
				if err != nil || t.Failed() {
					t.Error(err)
					return
				}
			}
			contents[n] = string(text.Type{}.AppendDoc(nil, doc))
		})
	}
	wg.Wait()
	want := must(t, "GET", url, "", "")
	for n, got := range contents {
		if !strings.Contains(want, `"content":`+got) {
			t.Errorf("reader %d has %s, the document is %s", n, got, want)
		}
	}
}

// applied returns a document after a step.
func applied(t *testing.T, doc ot.Doc, op, content json.RawMessage) ot.Doc {
	var typ text.Type
	var err error
	if content != nil {
		doc, err = typ.Create(content)
	} else {
		var o ot.Op
		if o, err = typ.DecodeOp(op, ot.Limits{}); err == nil {
			doc, err = typ.Apply(doc, o)
		}
	}
	if err != nil {
		t.Error(err)
	}
	return doc
}

// TestEventsEnd says why nothing follows: the document went, or the server stops.
func TestEventsEnd(t *testing.T) {
	m, base, done := start(t, "--data", t.TempDir())
	end(t, base, "delete", func(url string) { must(t, "DELETE", url, "", "") }, "deleted")
	end(t, base, "rename", func(url string) { must(t, "PATCH", url, jsonType, `{"id":"other"}`) }, "moved")
	end(t, base, "stop", func(string) { m.Close() }, "busy")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// end follows a document until its events end, after then was called.
func end(t *testing.T, base, what string, then func(url string), code string) {
	t.Helper()
	must(t, "POST", base+"api/docs", jsonType, fmt.Sprintf(`{"id":%q}`, what))
	url := base + "api/docs/" + what
	var last event
	err := follow(t.Context(), url, -1, func(e event) bool {
		if e.kind == "create" {
			then(url)
		}
		last = e
		return false
	})
	if err != nil || last.kind != "end" || !strings.Contains(last.data, `"code":"`+code+`"`) {
		t.Errorf("%s: %v, at last %+v", what, err, last)
	}
}
