package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
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
	takes  time.Duration // for each answer
	silent bool          // never answers
	deaf   string        // cookies that begin so are not answered for either; empty: none
}

func (h *host) client() *http.Client { return &http.Client{Transport: h} }

// RoundTrip implements http.RoundTripper.
func (h *host) RoundTrip(r *http.Request) (*http.Response, error) {
	var q auth.Question
	if r.Body != nil {
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			return nil, err
		}
	}
	h.mu.Lock()
	h.asked = append(h.asked, q)
	takes, silent := h.takes, h.silent || h.deaf != "" && strings.HasPrefix(q.Cookie, h.deaf)
	h.mu.Unlock()
	if silent {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
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

// TestStrangersLeavePlaces checks that somebody who makes up cookies for which the application takes long does not
// keep people at other addresses from being asked about.
func TestStrangersLeavePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{deaf: "evil"}
		a := newAuthority(t, auth.Options{Callback: "http://app/who", CallbackAtOnce: 8, Client: h.client()})
		h.says(200, `{"sub":"ada","grants":[{"docs":"*","role":"write"}]}`)
		for i := range 20 {
			from := netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)) // one network
			go func() { _, _ = a.Admit(ctx, auth.Credentials{Cookie: fmt.Sprint("evil=", i), Remote: from}) }()
		}
		synctest.Wait()
		if n := h.questions(); n != 2 {
			t.Errorf("%d questions about one network at once", n)
		}
		began := time.Now()
		admit(t, a, auth.Credentials{Cookie: "ada", Remote: netip.MustParseAddr("192.0.2.1")})
		if waited := time.Since(began); waited > 0 {
			t.Errorf("another waits for %v", waited)
		}
		time.Sleep(time.Minute)
	})
}

// TestLoginsThatAreOver checks that a login that is over, but not forgotten yet, does not stand in the way of what
// the application says of the same browser.
func TestLoginsThatAreOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, h := hs256(t), &host{}
		a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Callback: "http://app/who", Client: h.client()})
		l, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Token: sign(t, k, claims("ada", time.Minute, write))})
		if refusal != nil {
			t.Fatal(refusal)
		}
		browser := auth.Credentials{Session: l.Cookie, Cookie: "app=1; " + auth.CookieName + "=" + l.Cookie}
		h.says(200, `{"sub":"ada of the application","grants":[{"docs":"*","role":"write"}]}`)
		if p := admit(t, a, browser); p.Identity().Author != "ada" || h.questions() > 0 {
			t.Fatalf("a login that is good: %+v, %d questions", p.Identity(), h.questions())
		}
		time.Sleep(61 * time.Second)
		if p := admit(t, a, browser); p.Identity().Author != "ada of the application" {
			t.Errorf("a login that ran out: %+v", p.Identity())
		}
		h.says(401, "")
		time.Sleep(61 * time.Second)
		if _, refusal := a.Admit(ctx, browser); refusal == nil || refusal.Code != session.CodeUnauthenticated {
			t.Errorf("whom the application does not know: %v", refusal)
		}
	})
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
		time.Sleep(50 * time.Second) // what was said holds for 30 s, and the grace goes on for 60 s
		synctest.Wait()
		if p.Ended() != nil {
			t.Fatalf("ended within the grace: %v", p.Ended())
		}
		if _, refusal := a.Admit(ctx, ada); refusal == nil || refusal.Code != session.CodeUnavailable {
			t.Fatalf("somebody is let in by an answer that holds no more: %v", refusal)
		}
		time.Sleep(60 * time.Second)
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

// TestGraceOfLongAnswers checks that the grace begins when what the application said holds no more.
func TestGraceOfLongAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		a := newAuthority(t, auth.Options{Callback: "http://app/who", CallbackGrace: time.Minute, Client: h.client()})
		h.says(200, `{"sub":"ada","grants":[{"docs":"*","role":"write"}],"ttl":3600}`)
		p := admit(t, a, auth.Credentials{Cookie: "app=1"})
		h.says(503, "")
		time.Sleep(time.Hour + 50*time.Second)
		synctest.Wait()
		if p.Ended() != nil {
			t.Fatalf("ended within the grace: %v", p.Ended())
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if p.Ended() == nil {
			t.Fatal("goes on after the grace")
		}
	})
}

// TestGraceEndsWithTheirTime checks that nobody goes on past the time until which the application let them in.
func TestGraceEndsWithTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		a := newAuthority(t, auth.Options{Callback: "http://app/who", CallbackGrace: time.Hour, Client: h.client()})
		h.says(200, fmt.Sprintf(`{"sub":"ada","grants":[{"docs":"*","role":"write"}],"exp":%d}`, time.Now().Add(time.Minute).Unix()))
		p := admit(t, a, auth.Credentials{Cookie: "app=1"})
		h.says(503, "")
		time.Sleep(time.Minute + 10*time.Second)
		synctest.Wait()
		if p.Ended() == nil {
			t.Fatal("goes on after its time")
		}
	})
}

// TestAddressesAreAskedAbout checks that what the application says of one address is not taken for another.
func TestAddressesAreAskedAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		a := newAuthority(t, auth.Options{Callback: "http://app/who", Client: h.client()})
		h.says(200, `{"sub":"office","grants":[{"docs":"*","role":"write"}]}`)
		admit(t, a, auth.Credentials{Host: "docs", Remote: netip.MustParseAddr("10.0.0.1")})
		h.says(401, "")
		if _, refusal := a.Admit(ctx, auth.Credentials{Host: "docs", Remote: netip.MustParseAddr("203.0.113.9")}); refusal == nil {
			t.Fatal("a stranger is let in as who is in the office")
		}
	})
}

// TestSlowApplication checks that nobody is cut off who has to wait for their question to be put.
func TestSlowApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{takes: 100 * time.Millisecond}
		a := newAuthority(t, auth.Options{Callback: "http://app/who", CallbackAtOnce: 1, CallbackGrace: 30 * time.Second, Client: h.client()})
		h.says(200, `{"sub":"ada","grants":[{"docs":"*","role":"write"}],"ttl":60}`)
		var passes []*auth.Pass
		for i := range 300 { // half of a minute's questions
			passes = append(passes, admit(t, a, auth.Credentials{Cookie: strconv.Itoa(i)}))
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		for i, p := range passes {
			if p.Ended() != nil {
				t.Errorf("connection %d: %v", i, p.Ended())
			}
		}
		a.Close()
		time.Sleep(time.Minute)
	})
}

// TestManyConnectionsAtTheApplication checks that thousands of connections whose answers hold no more neither
// keep others out nor fill the log, and that a withdrawal does not wait for an application that hangs.
func TestManyConnectionsAtTheApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, h := hs256(t), &host{}
		var log bytes.Buffer
		a := newAuthority(t, auth.Options{
			Keys: []auth.Key{k}, Callback: "http://app/who", Client: h.client(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		h.says(200, `{"sub":"ada","grants":[{"docs":"*","role":"write"}],"ttl":60}`)
		const many = 2000
		var passes []*auth.Pass
		for i := range many {
			passes = append(passes, admit(t, a, auth.Credentials{Cookie: strconv.Itoa(i)}))
		}
		h.mu.Lock()
		h.takes = 50 * time.Millisecond
		h.mu.Unlock()
		for i := range 60 {
			time.Sleep(time.Second)
			p, refusal := a.Admit(ctx, auth.Credentials{Cookie: "new " + strconv.Itoa(i)})
			if refusal != nil {
				t.Fatalf("somebody new after %d s: %v", i, refusal)
			}
			a.Release(p)
		}
		if log.Len() > 0 {
			t.Errorf("logged: %.500s", log.String())
		}
		h.mu.Lock()
		h.silent = true
		h.mu.Unlock()
		op := admit(t, a, auth.Credentials{Token: sign(t, k, claims("op", time.Hour, admin))})
		time.Sleep(90 * time.Second)
		begun := time.Now()
		if _, refusal := a.Revoke(ctx, op, auth.Revocation{Author: "ada"}); refusal != nil {
			t.Fatal(refusal)
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("a revocation took %v", took)
		}
		for i, p := range passes {
			if p.Ended() == nil {
				t.Fatalf("connection %d goes on", i)
			}
			a.Release(p)
		}
		if n := strings.Count(log.String(), "\n"); n > 20 {
			t.Errorf("%d lines in the log in 90 s", n)
		}
		a.Close()
		time.Sleep(time.Minute)
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
