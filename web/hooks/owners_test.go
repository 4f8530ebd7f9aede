package hooks

import (
	"strings"
	"testing"
	"time"

	"quire/storage/mem"
	"quire/web/auth"
)

// TestOwnersComeBy ends a hook of who is no operator when its owner was not seen for too long with the right to it,
// and tells nothing any more then; whoever may have it can take it up, and owns it. An operator's goes on.
func TestOwnersComeBy(t *testing.T) {
	const within = 100 * time.Hour
	r := &rig{t: t, store: mem.New(), clock: newClock(), opt: Options{OwnerWithin: within}}
	r.start()
	t.Cleanup(func() { r.stop() })
	in, all := newReceiver(t), newReceiver(t)
	pass := func(author, namespace string, role auth.Role) *auth.Pass {
		return holder(author, namespace, auth.Grant{Docs: "*", Role: role})
	}
	tina, paul, op := pass("tina", "acme", auth.Admin), pass("paul", "acme", auth.Admin), pass("op", "", auth.Admin)
	register := func(by *auth.Pass, url, more string) (id string) {
		t.Helper()
		status, body := r.ask(by, "POST", Prefix, `{"url":"`+url+`"`+more+`}`)
		if status != 201 || strings.Contains(body, "seen") || strings.Contains(body, `"ends"`) != (more != "") {
			t.Fatal(status, body)
		}
		_, id, _ = strings.Cut(body, `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		return id
	}
	id := register(tina, in.URL, `,"docs":"acme/"`)
	register(op, all.URL, "")
	told := func(doc string, want bool) {
		t.Helper()
		r.create(doc)
		all.events(t, 1)
		if want {
			in.events(t, 1)
		} else {
			r.settled(id)
			in.none(t)
		}
	}
	told("acme/a", true)
	r.clock.advance(within - time.Hour)
	r.hooks.Saw(tina)
	r.stop() // it is kept
	r.start()
	r.clock.advance(within - time.Hour)
	told("acme/b", true)
	for _, none := range []*auth.Pass{pass("tina", "acme", auth.Write), pass("tina", "beta", auth.Admin), pass("tina", "", auth.Admin), paul, op} {
		r.hooks.Saw(none)
	}
	r.clock.advance(time.Hour)
	told("acme/c", false)
	if s, err := r.hooks.Get(id); err != nil || s.State != stateDisabled || !strings.Contains(s.Reason, "owner") || !s.Ends.IsZero() {
		t.Fatalf("%+v, %v", s, err)
	}
	r.hooks.Saw(tina) // too late by itself
	told("acme/d", false)
	if status, body := r.ask(pass("will", "acme", auth.Write), "POST", Prefix+"/"+id+"/dead/retry", ""); status != 404 {
		t.Fatal(status, body)
	}
	if status, body := r.ask(paul, "POST", Prefix+"/"+id+"/dead/retry", ""); status != 202 {
		t.Fatal(status, body)
	}
	in.events(t, 2)
	r.clock.advance(within - time.Hour)
	r.hooks.Saw(paul)
	r.clock.advance(within - time.Hour)
	told("acme/e", true)
	r.stop()
	r.start()
	if s, err := r.hooks.Get(id); err != nil || s.State != stateActive || s.Owner != "paul" || s.Namespace != "acme" || !s.Confined || s.Ends.IsZero() {
		t.Errorf("after a restart: %+v, %v", s, err)
	}
}
