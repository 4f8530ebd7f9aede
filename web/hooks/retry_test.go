package hooks

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/storage/mem"
	"quire/web/auth"
)

// clock is a clock that stands still, and timers that fire when it is moved.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*timer
	set    chan time.Duration // of timers that are not for saving or sweeping
}

type timer struct {
	at   time.Time
	f    func()
	done bool
}

func newClock() *clock {
	return &clock{now: time.UnixMilli(1_800_000_000_000), set: make(chan time.Duration, 1000)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := &timer{at: c.now.Add(d), f: f}
	c.timers = append(c.timers, at)
	if d != saveEvery && d > sweepRest {
		c.set <- d
	}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		was := at.done
		at.done = true
		return !was
	}
}

// advance moves the clock and fires what is due.
func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []*timer
	for _, t := range c.timers {
		if !t.done && !t.at.After(c.now) {
			t.done = true
			due = append(due, t)
		}
	}
	c.timers = slices.DeleteFunc(c.timers, func(t *timer) bool { return t.done })
	c.mu.Unlock()
	for _, t := range due {
		t.f()
	}
}

// saveEvery tells the timers of saving from others in these tests.
const saveEvery = 123 * time.Millisecond

// retryRig has a clock that stands still, and delays of 10 s and more.
func retryRig(t *testing.T) (*rig, *receiver) {
	r := &rig{t: t, store: mem.New(), clock: newClock(), opt: Options{
		SaveEvery: saveEvery, RetryMin: 20 * time.Second, RetryMax: 160 * time.Second, GiveUp: 500 * time.Second, MaxDead: 3,
	}}
	r.start()
	t.Cleanup(r.stop)
	return r, newReceiver(t)
}

// delay waits until another attempt is due, and returns in what time.
func (r *rig) delay() time.Duration {
	r.t.Helper()
	select {
	case d := <-r.clock.set:
		return d.Truncate(time.Second)
	case <-time.After(time.Minute):
		r.t.Fatal("no attempt is due")
		return 0
	}
}

// TestBackoff: attempts come twice as far apart each time, with the same content, and the
// count survives a restart.
func TestBackoff(t *testing.T) {
	r, in := retryRig(t)
	in.answers(always(500))
	k := r.register(Hook{URL: in.URL})
	r.create("doc")
	first := in.next(t)
	for i, want := range []time.Duration{10, 20, 40} {
		if d := r.delay(); d != want*time.Second {
			t.Fatalf("attempt %d: after %v, want %v", i, d, want*time.Second)
		}
		r.edit("doc") // what is tried stays what it was
		r.clock.advance(want * time.Second)
		in.none(t)
		r.clock.advance(time.Second)
		if again := in.next(t); string(again.body) != string(first.body) {
			t.Fatalf("another body: %s, was %s", again.body, first.body)
		}
	}
	if d := r.delay(); d != 80*time.Second {
		t.Errorf("after %v", d)
	}
	s, err := r.hooks.Get(k.ID)
	if err != nil || s.Behind != 1 || s.Failing != 1 || !strings.Contains(s.Error, "500") || s.ErrorTime.IsZero() || s.Secret != "" {
		t.Errorf("%+v, %v", s, err)
	}
	r.stop()
	r.start() // it is tried at once, and then waits on
	if again := in.next(t); string(again.body) != string(first.body) {
		t.Errorf("another body: %s", again.body)
	}
	if d := r.delay(); d != 80*time.Second {
		t.Errorf("after %v", d)
	}
	in.answers(always(200))
	r.clock.advance(100 * time.Second)
	events := in.events(t, 4)
	if got := kinds(events); got != "doc create 0, doc edit 1, doc edit 2, doc edit 3" {
		t.Error(got)
	}
	if s := r.settled(k.ID); s.Error != "" {
		t.Errorf("%+v", s)
	}
}

// giveUp lets attempts fail until they are given up.
func (r *rig) giveUp(in *receiver) (tries int) {
	r.t.Helper()
	for waited := time.Duration(0); ; {
		in.next(r.t)
		tries++
		if waited >= r.opt.GiveUp {
			return tries
		}
		d := r.delay() + time.Second
		waited += d
		r.clock.advance(d)
	}
}

// TestDeadLetters: what is given up is kept and shown, the document's next steps are
// delivered, and it is sent again when asked for.
func TestDeadLetters(t *testing.T) {
	r, in := retryRig(t)
	in.answers(func(req request) int {
		if req.events[0].Rev == 1 {
			return 302 // not followed
		}
		return 200
	})
	k := r.register(Hook{URL: in.URL})
	r.create("doc")
	in.next(t)
	r.settled(k.ID)
	r.edit("doc")
	tries := r.giveUp(in)
	r.edit("doc")
	if e := in.next(t).events[0]; e.Rev != 2 {
		t.Errorf("%+v", e)
	}
	if s := r.settled(k.ID); s.Dead != 1 {
		t.Errorf("%+v", s)
	}
	r.stop()
	r.start() // it is kept
	letters, next, err := r.hooks.Dead(t.Context(), k.ID, "", 10)
	if err != nil || len(letters) != 1 || next != "" {
		t.Fatalf("%+v, %q, %v", letters, next, err)
	}
	l := letters[0]
	if l.Doc != "doc" || l.From != 0 || l.To != 1 || l.Tries != tries || !strings.Contains(l.Error, "302") || l.Time.Sub(l.Since) < r.opt.GiveUp {
		t.Errorf("%+v", l)
	}
	// It fails once more, and then is taken.
	for _, left := range []int{1, 0} {
		if n, err := r.hooks.RetryDead(t.Context(), k.ID); err != nil || n != 1 {
			t.Fatalf("%d, %v", n, err)
		}
		if req := in.next(t); req.events[0].Rev != 1 || req.header.Get("Quire-Delivery") != l.Delivery {
			t.Errorf("%s", req.body)
		}
		r.hooks.runners[k.ID].work.Wait()
		letters, _, err := r.hooks.Dead(t.Context(), k.ID, "", 10)
		if s, _ := r.hooks.Get(k.ID); err != nil || len(letters) != left || s.Dead != left {
			t.Errorf("%+v, %v, %+v", letters, err, s)
		}
		if left == 1 && letters[0].Tries != tries+1 {
			t.Errorf("%+v", letters[0])
		}
		in.answers(always(200))
	}
	if n, err := r.hooks.RetryDead(t.Context(), k.ID); err != nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
	in.none(t)
}

// TestDisabled: 410, or too many dead letters, end a hook's deliveries until they are
// asked for again.
func TestDisabled(t *testing.T) {
	r, in := retryRig(t)
	in.answers(always(410))
	k := r.register(Hook{URL: in.URL})
	r.create("doc")
	in.next(t)
	if s := r.settled(k.ID); s.State != "disabled" || !strings.Contains(s.Reason, "410") {
		t.Errorf("%+v", s)
	}
	r.edit("doc")
	r.stop()
	r.start()
	r.edit("doc")
	in.none(t)
	in.answers(always(500))
	if _, err := r.hooks.RetryDead(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.giveUp(in)
		r.settled(k.ID)
		r.edit("doc")
	}
	r.giveUp(in)
	if s := r.settled(k.ID); s.Behind > 0 || s.State != "disabled" || s.Dead != 3 || !strings.Contains(s.Reason, "dead letters") {
		t.Errorf("%+v", s)
	}
	if err := r.hooks.Remove(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	notes, err := r.store.Notes(t.Context(), "", "hooks/", "", 10)
	if err != nil || len(notes) > 0 {
		t.Errorf("left: %v, %v", notes, err)
	}
}

// TestRegisterRefuses: what cannot be registered, and why.
func TestRegisterRefuses(t *testing.T) {
	r := newRig(t, Options{MaxHooks: 1})
	for _, test := range []struct {
		hook Hook
		code session.Code
	}{
		{Hook{}, session.CodeBadMessage},
		{Hook{URL: "ftp://example.org"}, session.CodeBadMessage},
		{Hook{URL: "http://"}, session.CodeBadMessage},
		{Hook{URL: "https://user:word@example.org/"}, session.CodeBadMessage},
		{Hook{URL: "https://example.org/#part"}, session.CodeBadMessage},
		{Hook{URL: "https://example.org/" + strings.Repeat("x", 2048)}, session.CodeTooLarge},
		{Hook{URL: "https://example.org/", Doc: "a", Docs: "b"}, session.CodeBadMessage},
		{Hook{URL: "https://example.org/", Doc: "a\x00"}, session.CodeBadID},
		{Hook{URL: "https://example.org/", Docs: "\xff"}, session.CodeBadID},
		{Hook{URL: "https://example.org/", Secret: "short"}, session.CodeBadMessage},
	} {
		if _, err := r.hooks.Register(t.Context(), test.hook); session.AsError(err).Code != test.code {
			t.Errorf("%+v: %v, want %s", test.hook, err, test.code)
		}
	}
	r.register(Hook{URL: "http://127.0.0.1:1/"})
	if _, err := r.hooks.Register(t.Context(), Hook{URL: "http://127.0.0.1:1/"}); session.AsError(err).Code != session.CodeTooMany {
		t.Error(err)
	}
}

// TestPrivate: without leave nothing is sent to addresses that are not public, whatever
// name leads there.
func TestPrivate(t *testing.T) {
	for addr, public := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "1.1.1.1": true,
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "0.0.0.0": false, "::": false, "10.1.2.3": false,
		"172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "fe80::1": false, "fd00::1": false,
		"::ffff:10.0.0.1": false, "::ffff:127.0.0.1": false, "100.64.0.1": false, "224.0.0.1": false, "ff02::1": false,
		"255.255.255.255": false, "64:ff9b::a00:1": false, "2002:a00:1::": false, "198.18.0.1": false, "fec0::1": false,
		"::7f00:1": false,
	} {
		if got := isPublic(netip.MustParseAddr(addr)); got != public {
			t.Errorf("%s: %v", addr, got)
		}
	}
	opt := Options{}.withDefaults()
	in := newReceiver(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(in.URL, "http://"), ":")
	client := newClient(opt)
	for _, url := range []string{in.URL, "http://localhost:" + port, "http://[::ffff:127.0.0.1]:" + port} {
		resp, err := client.Post(url, "application/json", strings.NewReader("{}"))
		var private errPrivate
		if !errors.As(err, &private) || !strings.Contains(explain(err), "--hooks-private") {
			t.Errorf("%s: %v", url, err)
		}
		if resp != nil {
			resp.Body.Close()
		}
		k := Hook{URL: url}
		if err := k.check(false); session.AsError(err).Code != session.CodeBadMessage {
			t.Errorf("%s: %v", url, err)
		}
	}
	in.none(t)
}

// TestHTTP calls every route.
func TestHTTP(t *testing.T) {
	r := newRig(t, Options{})
	call := func(method, path, body string) (int, map[string]any) {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(method)
		ctx.Request.SetRequestURI(path)
		ctx.Request.SetBodyString(body)
		ctx.Request.Header.SetContentType("application/json; charset=utf-8")
		auth.Attach(&ctx, auth.Anybody())
		r.hooks.Serve(&ctx, nil)
		var out map[string]any
		if len(ctx.Response.Body()) > 0 {
			if err := json.Unmarshal(ctx.Response.Body(), &out); err != nil {
				t.Fatalf("%s %s: %v, %s", method, path, err, ctx.Response.Body())
			}
		}
		if status := ctx.Response.StatusCode(); status >= 400 && (out["code"] == "" || string(ctx.Response.Header.ContentType()) != "application/problem+json") {
			t.Errorf("%s %s: %d %v", method, path, status, out)
		}
		return ctx.Response.StatusCode(), out
	}
	status, made := call("POST", "/api/hooks", `{"url":"http://127.0.0.1:1/x","docs":"team/"}`)
	id, _ := made["id"].(string)
	if secret, _ := made["secret"].(string); status != 201 || id == "" || len(secret) < 40 || made["docs"] != "team/" || made["state"] != "active" {
		t.Fatalf("%d %v", status, made)
	}
	status, got := call("GET", "/api/hooks/"+id, "")
	if status != 200 || got["secret"] != nil || got["url"] != "http://127.0.0.1:1/x" || got["dead"] != 0.0 || got["created"] != made["created"] {
		t.Errorf("%d %v", status, got)
	}
	status, got = call("GET", "/api/hooks", "")
	if list, _ := got["hooks"].([]any); status != 200 || len(list) != 1 || list[0].(map[string]any)["secret"] != nil {
		t.Errorf("%d %v", status, got)
	}
	status, got = call("GET", "/api/hooks/"+id+"/dead?limit=5", "")
	if list, ok := got["letters"].([]any); status != 200 || !ok || len(list) != 0 {
		t.Errorf("%d %v", status, got)
	}
	status, got = call("POST", "/api/hooks/"+id+"/dead/retry", "")
	if status != 202 || got["retrying"] != 0.0 {
		t.Errorf("%d %v", status, got)
	}
	for _, bad := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", "/api/hooks", `{"url":"x"}`, 400, "bad_message"},
		{"POST", "/api/hooks", `{"uri":"http://127.0.0.1/"}`, 400, "unknown_field"},
		{"POST", "/api/hooks", `{"url":"http://127.0.0.1/"}{}`, 400, "bad_json"},
		{"POST", "/api/hooks", ``, 400, "bad_json"},
		{"PUT", "/api/hooks", ``, 405, "method"},
		{"POST", "/api/hooks/" + id, ``, 405, "method"},
		{"DELETE", "/api/hooks/" + id + "/dead", ``, 405, "method"},
		{"GET", "/api/hooks/" + id + "/dead?limit=0", ``, 400, "bad_limit"},
		{"GET", "/api/hooks/" + id + "/other", ``, 404, "no_such_page"},
		{"GET", "/api/hooks/none", ``, 404, "not_found"},
		{"GET", "/api/hooks/none/dead", ``, 404, "not_found"},
		{"POST", "/api/hooks/none/dead/retry", ``, 404, "not_found"},
		{"DELETE", "/api/hooks/none", ``, 404, "not_found"},
	} {
		if status, got := call(bad.method, bad.path, bad.body); status != bad.status || got["code"] != bad.code {
			t.Errorf("%s %s %s: %d %v, want %d %s", bad.method, bad.path, bad.body, status, got, bad.status, bad.code)
		}
	}
	if status, _ := call("DELETE", "/api/hooks/"+id, ""); status != 204 {
		t.Error(status)
	}
	if status, _ := call("GET", "/api/hooks/"+id, ""); status != 404 {
		t.Error(status)
	}
}
