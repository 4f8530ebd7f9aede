package hooks

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/storage"
	"quire/storage/mem"
	"quire/storage/storagetest"
	"quire/web/auth"
)

func holder(author, namespace string, grants ...auth.Grant) *auth.Pass {
	return auth.NewPass(auth.Identity{Author: author, Namespace: namespace, Kind: auth.Token, ID: author + "'s token", Grants: grants})
}

// ask sends a request as the holder of a pass; nil: as nobody.
func (r *rig) ask(pass *auth.Pass, method, path, body string) (int, string) {
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(path)
	ctx.Request.SetBodyString(body)
	ctx.Request.Header.SetContentType("application/json")
	if pass != nil {
		auth.Attach(&ctx, pass)
	}
	r.hooks.Serve(&ctx, nil)
	return ctx.Response.StatusCode(), string(ctx.Response.Body())
}

// TestRights lets whoever administers what a hook is about do everything with it, and nobody else learn of it.
func TestRights(t *testing.T) {
	r := newRig(t, Options{})
	operator := holder("op", "", auth.Grant{Docs: "*", Role: auth.Admin})
	tenant := holder("tina", "acme", auth.Grant{Docs: "*", Role: auth.Admin})
	plans := holder("paul", "acme", auth.Grant{Docs: "acme/plans/*", Role: auth.Admin}, auth.Grant{Docs: "*", Role: auth.Write})
	other := holder("otto", "other", auth.Grant{Docs: "*", Role: auth.Admin})
	writer := holder("will", "", auth.Grant{Docs: "*", Role: auth.Write})
	const url = `{"url":"http://127.0.0.1:1/x"`
	made := map[string]string{}
	for _, c := range []struct {
		name   string
		pass   *auth.Pass
		body   string
		status int
	}{
		{"all", operator, url + `}`, 201},
		{"acme", tenant, url + `,"docs":"acme/"}`, 201},
		{"plans", plans, url + `,"docs":"acme/plans/m"}`, 201},
		{"one", plans, url + `,"doc":"acme/plans/may"}`, 201},
		{"", plans, url + `,"docs":"acme/plans"}`, 403}, // acme/plansB is not theirs
		{"", plans, url + `,"doc":"acme/other"}`, 403},
		{"", tenant, url + `}`, 403},
		{"", tenant, url + `,"docs":"acme"}`, 403},
		{"", tenant, url + `,"docs":"other/"}`, 403},
		{"", writer, "nonsense", 403},
		{"", nil, "nonsense", 401},
	} {
		status, body := r.ask(c.pass, "POST", Prefix, c.body)
		if status != c.status {
			t.Fatalf("%s: %d %s, want %d", c.body, status, body, c.status)
		}
		if c.name != "" {
			_, id, _ := strings.Cut(body, `"id":"`)
			made[c.name], _, _ = strings.Cut(id, `"`)
		}
		if strings.Contains(body, "'s token") {
			t.Errorf("a token's id is shown: %s", body)
		}
	}
	sees := map[*auth.Pass][]string{operator: {"all", "acme", "plans", "one"}, tenant: {"acme", "plans", "one"}, plans: {"plans", "one"}, other: nil, writer: nil}
	for pass, names := range sees {
		who := pass.Identity().Author
		_, list := r.ask(pass, "GET", Prefix, "")
		if n := strings.Count(list, `"id":`); n != len(names) {
			t.Errorf("%s: %d hooks are listed: %s", who, n, list)
		}
		for name, id := range made {
			want := 404
			for _, n := range names {
				if n == name {
					want = 200
				}
			}
			for _, path := range []string{"GET " + Prefix + "/" + id, "GET " + Prefix + "/" + id + "/dead", "POST " + Prefix + "/" + id + "/dead/retry"} {
				method, path, _ := strings.Cut(path, " ")
				status, body := r.ask(pass, method, path, "")
				if got := status/100*100 == 200; got != (want == 200) || want == 404 && (status != 404 || !strings.Contains(body, "no such hook")) {
					t.Errorf("%s: %s %s of %s: %d %s", who, method, path, name, status, body)
				}
			}
			if want == 404 {
				if status, _ := r.ask(pass, "DELETE", Prefix+"/"+id, ""); status != 404 {
					t.Errorf("%s: removes %s: %d", who, name, status)
				}
			}
		}
	}
	if status, _ := r.ask(nil, "GET", Prefix, ""); status != 401 {
		t.Errorf("nobody: %d", status)
	}
	tenant.End(session.Errorf(session.CodeUnauthenticated, "over"))
	if status, _ := r.ask(tenant, "DELETE", Prefix+"/"+made["acme"], ""); status != 401 {
		t.Errorf("a pass that ended: %d", status)
	}
	for i := range maxOwned {
		if status, body := r.ask(plans, "POST", Prefix, url+`,"doc":"acme/plans/may"}`); (status == 201) != (i < maxOwned-2) {
			t.Fatalf("hook %d: %d %s", i+2, status, body)
		}
	}
}

// TestConfinedHook tells a hook of who is no operator that a document is gone when it gets an id outside what the
// hook is about, and nothing of where; and ends with what its owner was given.
func TestConfinedHook(t *testing.T) {
	r, in := newRig(t, Options{}), newReceiver(t)
	tenant := holder("tina", "acme", auth.Grant{Docs: "*", Role: auth.Admin})
	status, body := r.ask(tenant, "POST", Prefix, fmt.Sprintf(`{"url":%q,"docs":"acme/"}`, in.URL))
	if status != 201 {
		t.Fatal(status, body)
	}
	_, id, _ := strings.Cut(body, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	r.create("acme/a")
	in.events(t, 1)
	r.settled(id)
	if err := r.manager.Rename(t.Context(), "acme/a", "acme/b"); err != nil {
		t.Fatal(err)
	}
	if got := kinds(in.events(t, 1)); got != "acme/b rename 0" {
		t.Errorf("within: %s", got)
	}
	r.settled(id)
	if err := r.manager.Rename(t.Context(), "acme/b", "hidden/b"); err != nil {
		t.Fatal(err)
	}
	away := in.next(t)
	if got := kinds(away.events); got != "acme/b purge 0" || strings.Contains(string(away.body), "hidden") {
		t.Errorf("away: %s", away.body)
	}
	r.settled(id)
	beta := "beta"
	r.hooks.Disown(auth.Revocation{})
	r.hooks.Disown(auth.Revocation{Author: "otto"})
	r.hooks.Disown(auth.Revocation{JTI: "otto's token"})
	r.hooks.Disown(auth.Revocation{Author: "tina", Namespace: &beta})
	if s, err := r.hooks.Get(id); err != nil || s.State != stateActive {
		t.Errorf("another's rights: %+v, %v", s, err)
	}
	acme := "acme"
	r.hooks.Disown(auth.Revocation{JTI: "tina's token", Namespace: &acme})
	if s, err := r.hooks.Get(id); err != nil || s.State != stateDisabled || s.Reason == "" {
		t.Errorf("its owner's token: %+v, %v", s, err)
	}
	r.create("acme/c")
	info, err := r.store.Stat(t.Context(), "acme/c")
	if err != nil {
		t.Fatal(err)
	}
	lineage := storage.Lineage(info.Incarnation)
	r.hooks.runners[id].serve(&queue{lineage: lineage}, "acme/c", false) // a turn that was to begin before
	r.stop()
	in.none(t)
	r.start()
	if s, err := r.hooks.Get(id); err != nil || s.State != stateDisabled || !s.Confined || s.Owner != "tina" {
		t.Errorf("after a restart: %+v, %v", s, err)
	}
}

// TestDisownedThoughNotWritten starts again after hooks were disabled that could not be written, with what was revoked:
// who was revoked does not go on, nor those whose hooks are of a later time end.
func TestDisownedThoughNotWritten(t *testing.T) {
	under := mem.New()
	store := storagetest.NewFaulty(under)
	r := &rig{t: t, store: under, clock: newClock(), opt: Options{Store: store}}
	r.start()
	t.Cleanup(func() { r.stop() })
	register := func(author string) (id string) {
		t.Helper()
		by := holder(author, "acme", auth.Grant{Docs: "*", Role: auth.Admin})
		status, body := r.ask(by, "POST", Prefix, `{"url":"http://127.0.0.1:1","docs":"acme/"}`)
		if status != 201 {
			t.Fatal(status, body)
		}
		_, id, _ = strings.Cut(body, `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		return id
	}
	tina, paul := register("tina"), register("paul")
	rev := auth.Revocation{Author: "tina", At: r.clock.Now().UTC().Truncate(time.Second)}
	store.Fail(storagetest.SetNotes, 100, nil)
	r.hooks.Disown(rev)
	store.Heal()
	r.clock.advance(time.Hour)
	again := register("tina") // who was given rights anew
	r.opt.Revoked = []auth.Revocation{rev}
	for range 2 {
		r.stop()
		r.start()
		for id, want := range map[string]string{tina: stateDisabled, paul: stateActive, again: stateActive} {
			if s, err := r.hooks.Get(id); err != nil || s.State != want {
				t.Errorf("%+v, %v; want it %s", s, err, want)
			}
		}
		r.opt.Revoked = nil // it was kept now
	}
}

// TestTenantsLeaveHooks has many admins of one namespace register what they can: others still can.
func TestTenantsLeaveHooks(t *testing.T) {
	r := newRig(t, Options{MaxHooks: 20})
	register := func(author, namespace string) bool {
		by := holder(author, namespace, auth.Grant{Docs: "*", Role: auth.Admin})
		status, _ := r.ask(by, "POST", Prefix, `{"url":"http://127.0.0.1:1","docs":"`+namespace+`/"}`)
		return status == 201
	}
	n := 0
	for i := range 20 {
		if register(fmt.Sprint("boss", i), "acme") {
			n++
		}
	}
	if n != 10 || !register("tina", "beta") || !register("op", "") {
		t.Errorf("a namespace has %d of 20 hooks", n)
	}
}

// listing counts what of a store is looked at.
type listing struct {
	Store
	listed atomic.Int64
}

func (l *listing) List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error) {
	infos, err := l.Store.List(ctx, prefix, after, limit)
	l.listed.Add(int64(len(infos)))
	return infos, err
}

// TestRegisteringLooksAtItsOwn registers a hook among many documents that are none of its own.
func TestRegisteringLooksAtItsOwn(t *testing.T) {
	r, in := newRig(t, Options{}), newReceiver(t)
	r.stop()
	store := &listing{Store: r.store}
	r.opt.Store = store
	r.start()
	for i := range 200 {
		r.create(fmt.Sprintf("other/%d", i))
	}
	r.create("acme/a")
	r.register(Hook{URL: in.URL, Docs: "acme/"})
	r.create("acme/b")
	in.events(t, 1)
	if n := store.listed.Load(); n > 10 {
		t.Errorf("%d documents were looked at", n)
	}
}
