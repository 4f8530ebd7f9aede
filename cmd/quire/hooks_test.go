package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// told is what a receiver of webhooks was told of each document.
type told struct {
	mu   sync.Mutex
	revs map[string]int // the newest revision of each document
	more chan struct{}  // has room for one
	came int            // deliveries
	errs []string
}

// ServeHTTP takes a delivery; every fifth is refused.
func (r *told) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	type event struct {
		Doc  string
		Rev  int
		Kind string
	}
	var in struct {
		event
		Events []event
	}
	err := json.NewDecoder(req.Body).Decode(&in)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.errs = append(r.errs, err.Error())
	}
	if in.Events == nil {
		in.Events = []event{in.event}
	}
	if r.came++; r.came%5 == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	for _, e := range in.Events {
		newest, known := r.revs[e.Doc]
		if !known {
			newest = -1
		}
		if e.Rev > newest+1 {
			r.errs = append(r.errs, fmt.Sprintf("%s: revision %d after %d", e.Doc, e.Rev, newest))
		}
		r.revs[e.Doc] = max(newest, e.Rev)
	}
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// TestHooksSurviveKills kills the server again and again while documents are edited. The
// receiver of a webhook is told of every step in the end, in order.
func TestHooksSurviveKills(t *testing.T) {
	in := &told{revs: map[string]int{}, more: make(chan struct{}, 1)}
	receiver := httptest.NewServer(in)
	defer receiver.Close()
	data := t.TempDir()
	send := func(url, path, body string) int {
		resp, err := http.Post(url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if answer, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
			t.Errorf("POST %s: %s %s", path, resp.Status, answer)
		}
		return resp.StatusCode
	}
	heads := map[string]int{}
	const lives = 5
	for life := range lives {
		p := launch(t, "--listen", "127.0.0.1:0", "--data", data, "--hooks-private")
		if life == 0 {
			send(p.url, "api/hooks", `{"url":"`+receiver.URL+`"}`)
		}
		for i := range 60 {
			doc := fmt.Sprint("doc", i%7)
			if _, there := heads[doc]; !there {
				send(p.url, "api/docs", `{"id":"`+doc+`"}`)
				heads[doc] = 0
				continue
			}
			send(p.url, "api/docs/"+doc+"/operations", `{"base":0,"ops":[["x"]]}`)
			heads[doc]++
		}
		if life < lives-1 {
			p.kill()
			continue
		}
		defer p.kill()
	}
	late := time.After(2 * time.Minute)
	for {
		in.mu.Lock()
		missing := ""
		for doc, head := range heads {
			if in.revs[doc] != head {
				missing = fmt.Sprintf("%s: told of revision %d, the head is %d", doc, in.revs[doc], head)
			}
		}
		errs := in.errs
		in.mu.Unlock()
		for _, e := range errs {
			t.Fatal(e)
		}
		if missing == "" {
			return
		}
		select {
		case <-in.more:
		case <-late:
			t.Fatal(missing)
		}
	}
}

// TestHooksAreRefusedPrivateAddresses: without the setting nothing is sent to this machine,
// and registering says so.
func TestHooksAreRefusedPrivateAddresses(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	resp, err := http.Post(url+"api/hooks", "application/json", strings.NewReader(`{"url":"http://127.0.0.1:9/"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 400 || !strings.Contains(string(body), "--hooks-private") {
		t.Errorf("%s %s", resp.Status, body)
	}
	metrics, err := http.Get(url + "metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer metrics.Body.Close()
	if body, _ := io.ReadAll(metrics.Body); !strings.Contains(string(body), "quire_hooks_dead_letters_total 0") {
		t.Error("no metrics of webhooks")
	}
}
