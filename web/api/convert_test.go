package api

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"quire/session"
)

// slowFormats takes until opened to write a document as HTML.
type slowFormats struct {
	noFormats
	begun  chan struct{}
	opened chan struct{}
}

func (f slowFormats) Render(string, string, []byte) ([]byte, string, error) {
	select {
	case f.begun <- struct{}{}:
		<-f.opened
	case <-f.opened: // nobody asks any more whether it has begun
	}
	return []byte("<p>x</p>"), "text/html", nil
}

// Turning documents into other forms takes much memory: who comes while others do it waits, and
// is told when that takes too long. Everything else goes on.
func TestFewConvertAtOnce(t *testing.T) {
	f := slowFormats{begun: make(chan struct{}, fewAtOnce), opened: make(chan struct{})}
	m, url := serve(t, Options{Formats: f, Timeout: 100 * time.Millisecond})
	if _, err := m.Create(context.Background(), "doc", "text", nil, session.User{}); err != nil {
		t.Fatal(err)
	}
	// What is to be answered is asked for again when the machine was too slow for it.
	get := func(query string, status int) {
		for deadline := time.Now().Add(time.Minute); ; {
			resp, err := http.Get(url + "/api/docs/doc" + query)
			if err != nil {
				t.Error(err)
				return
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == status {
				return
			}
			if status != 200 || resp.StatusCode != 503 || time.Now().After(deadline) {
				t.Errorf("%s: %d %s, want %d", query, resp.StatusCode, body, status)
				return
			}
		}
	}
	var slow sync.WaitGroup
	for range fewAtOnce {
		slow.Go(func() { get("?format=html", 200) })
		<-f.begun
	}
	get("?format=html", 503)
	get("", 200)
	get("?format=text", 200)
	close(f.opened)
	slow.Wait()
	get("?format=html", 200)
}
