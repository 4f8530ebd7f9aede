package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func newClient(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &Client{URL: s.URL, HTTP: s.Client()}
}

// TestNames sends ids and authors of every kind, and compares what a server reads.
func TestNames(t *testing.T) {
	var path, name string
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		path, name = r.URL.EscapedPath(), r.Header.Get("Quire-Author")
		w.WriteHeader(http.StatusNoContent)
	})
	for id, want := range map[string]string{"a": "a", "a/b": "a%2Fb", "..": "%2E%2E", "é ?#%": "%C3%A9%20%3F%23%25"} {
		c.Author = "Ada Lovelace, é%"
		if err := c.Delete(t.Context(), id); err != nil || path != "/api/docs/"+want || name != "Ada%20Lovelace,%20%C3%A9%25" {
			t.Errorf("%q went to %s by %s, %v", id, path, name, err)
		}
	}
}

func TestEvents(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "retry: 3000\n\n: quire\n\nid: 1\nevent: edit\ndata: {\"op\":\""+strings.Repeat("x", 200_000)+"\"}\n\n: still here\n\nid: 2\r\nevent: delete\r\ndata: {}\r\n\r\nevent: end\ndata: {\"code\":\"moved\",\"detail\":\"there\"}\n\n")
	})
	events, err := c.Events(t.Context(), "notes")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	for _, want := range []Event{{Name: "edit", Rev: 1}, {Name: "delete", Rev: 2}, {Name: "end", Code: "moved", Detail: "there"}} {
		if got, err := events.Next(); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	var away *Unreachable
	if _, err := events.Next(); !errors.As(err, &away) {
		t.Errorf("after the end: %v", err)
	}
}

func TestFailures(t *testing.T) {
	var away *Unreachable
	var p *Problem
	for status, kind := range map[int]any{503: &away, 502: &away, 429: &p, 404: &p, 302: &p} {
		c := newClient(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
		c.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if err := c.Delete(t.Context(), "x"); !errors.As(err, kind) || !strings.Contains(err.Error(), "not in the words of a Quire server") {
			t.Errorf("%d without problem details: %v", status, err)
		}
	}
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"status":429,"code":"rate","detail":"slow down"}`)
	})
	if err := c.Delete(t.Context(), "x"); !errors.As(err, &away) || !strings.Contains(err.Error(), "cannot answer now: slow down") {
		t.Errorf("429: %v", err)
	}
	c = newClient(t, func(w http.ResponseWriter, r *http.Request) { // as web/ws answers what is no TLS
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "This address speaks HTTPS only.\n")
	})
	if err := c.Delete(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "speaks HTTPS only: say https://") {
		t.Errorf("plain HTTP to a server with a certificate: %v", err)
	}
	// A server that says nothing.
	quiet := make(chan struct{})
	c = newClient(t, func(w http.ResponseWriter, r *http.Request) { <-quiet })
	t.Cleanup(func() { close(quiet) })
	c.Patience = 30 * time.Millisecond
	if err := c.Delete(t.Context(), "x"); !errors.As(err, &away) || !errors.Is(err, errSilent) {
		t.Errorf("silence: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Delete(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v", err)
	}
}
