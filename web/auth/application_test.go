package auth_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
	"quire/web/auth"
)

// host is an application that is asked, without a network.
type host struct {
	mu     sync.Mutex
	status int
	answer string
	asked  []auth.Question
}

// RoundTrip implements http.RoundTripper.
func (h *host) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var q auth.Question
	if r.Body != nil {
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			return nil, err
		}
	}
	h.asked = append(h.asked, q)
	w := httptest.NewRecorder()
	w.WriteHeader(h.status)
	_, _ = w.WriteString(h.answer)
	return w.Result(), nil
}

func (h *host) says(status int, answer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status, h.answer = status, answer
}

func (h *host) questions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.asked)
}

func TestApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		a := newAuthority(t, auth.Options{Callback: "http://app/who", CallbackGrace: time.Minute, Client: &http.Client{Transport: h}})
		ada := auth.Credentials{Cookie: "app=1"}
		h.says(500, "")
		if _, refusal := a.Admit(ctx, ada); refusal == nil || refusal.Code != session.CodeUnavailable {
			t.Fatalf("the application failed: %v", refusal)
		}
		time.Sleep(6 * time.Second)
		for _, bad := range []string{"", "{", `{"name":"x"}`, `{"sub":"ada","grants":[{"docs":"*","role":"king"}]}`, `{"sub":"` + strings.Repeat("x", 70<<10) + `"}`} {
			h.says(200, bad)
			if _, refusal := a.Admit(ctx, ada); refusal == nil || refusal.Code != session.CodeUnavailable {
				t.Fatalf("the answer %.40q: %v", bad, refusal)
			}
			time.Sleep(6 * time.Second)
		}
		h.says(200, `{"sub":"ada","grants":[{"docs":"*","role":"write"}],"ttl":30}`)
		before := h.questions()
		p := admit(t, a, ada)
		admit(t, a, ada)
		if n := h.questions() - before; n != 1 {
			t.Fatalf("asked %d times for two requests", n)
		}
		if p.Role("x") != auth.Write || p.Identity().Kind != auth.Callback {
			t.Fatalf("%+v", p.Identity())
		}
		h.says(200, `{"sub":"ada","grants":[{"docs":"*","role":"read"}],"ttl":30}`)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if p.Role("x") != auth.Read {
			t.Fatalf("role %v after the application said otherwise", p.Role("x"))
		}
		h.says(503, "")
		time.Sleep(50 * time.Second) // it held until 60 s; the grace goes to 120 s
		synctest.Wait()
		if p.Ended() != nil {
			t.Fatalf("ended within the grace: %v", p.Ended())
		}
		if _, refusal := a.Admit(ctx, ada); refusal == nil || refusal.Code != session.CodeUnavailable {
			t.Fatalf("somebody is let in by an answer that holds no more: %v", refusal)
		}
		time.Sleep(45 * time.Second)
		synctest.Wait()
		if p.Ended() == nil {
			t.Fatal("goes on after the grace")
		}
		h.says(401, "")
		time.Sleep(6 * time.Second)
		if _, refusal := a.Admit(ctx, ada); refusal == nil || refusal.Code != session.CodeUnauthenticated {
			t.Fatalf("the application says no: %v", refusal)
		}
	})
}

func TestKeySet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		a := newAuthority(t, auth.Options{JWKS: "http://app/keys", Client: &http.Client{Transport: h}})
		k := es256(t)
		token := func() auth.Credentials { return auth.Credentials{Token: sign(t, k, claims("ada", time.Hour, write))} }
		h.says(500, "")
		if _, refusal := a.Admit(ctx, token()); refusal == nil || refusal.Code != session.CodeUnavailable {
			t.Fatalf("no keys: %v", refusal)
		}
		time.Sleep(11 * time.Second)
		h.says(200, `{"keys":[{"kty":"unheard-of"},{"kty":"oct","kid":"`+es256ID+`","k":"`+strings.Repeat("A", 64)+`"},`+es256Public+`]}`)
		admit(t, a, token())
		n := h.questions()
		for range 10 {
			admit(t, a, token())
		}
		if h.questions() != n {
			t.Fatal("keys that are known are fetched again")
		}
		other := es256(t)
		other.ID = "other"
		for range 10 {
			if _, refusal := a.Admit(ctx, auth.Credentials{Token: sign(t, other, claims("ada", time.Hour))}); refusal == nil {
				t.Fatal("an unknown kid is taken")
			}
		}
		if n := h.questions() - n; n > 1 {
			t.Fatalf("unknown kids made %d requests", n)
		}
		h.says(500, "")
		time.Sleep(time.Hour)
		admit(t, a, token()) // the last keys are good for a day
		time.Sleep(24 * time.Hour)
		if _, refusal := a.Admit(ctx, token()); refusal == nil || refusal.Code != session.CodeUnavailable {
			t.Fatalf("keys of yesterday: %v", refusal)
		}
	})
}

// A key of P-256, from RFC 7517 appendix A.
const (
	es256ID     = "1"
	es256Public = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"sig","kid":"` + es256ID + `"}`
)

func es256(t *testing.T) auth.Key {
	t.Helper()
	keys, err := auth.ParseKeys([]byte(`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE","kid":"` + es256ID + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	return keys[0]
}

// slow is an application that takes its time, or for ever.
type slow struct {
	host
	takes atomic.Int64 // a time.Duration; 0: for ever
}

// RoundTrip implements http.RoundTripper.
func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	var done <-chan time.Time
	if d := s.takes.Load(); d > 0 {
		done = time.After(time.Duration(d))
	}
	select {
	case <-done:
		return s.host.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// lines counts the lines of a log.
type lines struct{ n atomic.Int64 }

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) { l.n.Add(1); return len(b), nil }

// Many connections whose answers end at once wait for places without being cut off; when the
// application hangs they stay for the grace, and neither the log nor a revocation suffers.
func TestBusyApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log, key := &slow{}, &lines{}, hs256(t)
		s.takes.Store(int64(100 * time.Millisecond))
		s.says(200, `{"sub":"ada","grants":[{"docs":"*","role":"write"}],"ttl":60}`)
		a := newAuthority(t, auth.Options{Keys: []auth.Key{key}, Callback: "http://app/who", CallbackAtOnce: 2, CallbackGrace: 2 * time.Minute,
			Client: &http.Client{Transport: s}, Logger: slog.New(slog.NewTextHandler(log, nil))})
		op := admit(t, a, auth.Credentials{Token: sign(t, key, claims("op", 9*time.Hour, admin))})
		var passes []*auth.Pass
		for i := range 300 { // 15 s of questions, two at a time
			passes = append(passes, admit(t, a, auth.Credentials{Cookie: fmt.Sprint("app=", i)}))
		}
		ended := func() (n int) {
			synctest.Wait()
			for _, p := range passes {
				if p.Ended() != nil {
					n++
				}
			}
			return n
		}
		time.Sleep(10 * time.Minute)
		if n := ended(); n != 0 {
			t.Fatalf("%d were cut off though the application answers", n)
		}
		s.takes.Store(0)
		before := log.n.Load()
		time.Sleep(70 * time.Second) // every answer is over by now, no grace is
		if n := ended(); n != 0 {
			t.Fatalf("%d were cut off within the grace", n)
		}
		begun := time.Now()
		if _, refusal := a.Revoke(ctx, op, auth.Revocation{Author: "ada"}); refusal != nil {
			t.Fatal(refusal)
		}
		if n := ended(); n != len(passes) || time.Since(begun) != 0 {
			t.Fatalf("%d of %d ended by the revocation, after %v", n, len(passes), time.Since(begun))
		}
		if n := log.n.Load() - before; n > 10 {
			t.Fatalf("%d lines in the log", n)
		}
		time.Sleep(10 * time.Second) // the questions under way are given up
	})
}

// The grace begins when the answer's own time is over.
func TestGraceAfterALongAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		a := newAuthority(t, auth.Options{Callback: "http://app/who", CallbackGrace: time.Minute, Client: &http.Client{Transport: h}})
		h.says(200, `{"sub":"ada","grants":[{"docs":"*","role":"write"}],"ttl":600}`)
		p := admit(t, a, auth.Credentials{Cookie: "app=1"})
		h.says(503, "")
		time.Sleep(650 * time.Second)
		synctest.Wait()
		if p.Ended() != nil {
			t.Fatal(p.Ended())
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if p.Ended() == nil {
			t.Fatal("goes on after the grace")
		}
	})
}
