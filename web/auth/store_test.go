package auth_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
	"quire/storage/mem"
	"quire/storage/storagetest"
	"quire/web/auth"
)

// TestWithdrawnThoughNotWritten checks that what was withdrawn while the store failed is withdrawn at once,
// that who did it is told that it is not saved, and that it is saved when the store works again.
func TestWithdrawnThoughNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := hs256(t), storagetest.NewFaulty(mem.New())
		opt := auth.Options{Keys: []auth.Key{k}, Store: store, Links: true}
		a := newAuthority(t, opt)
		op := admit(t, a, auth.Credentials{Token: sign(t, k, claims("op", 9*time.Hour, admin))})
		info, secret, refusal := a.CreateLink(ctx, op, auth.LinkRequest{Docs: "plans/a", Role: auth.Read})
		if refusal != nil {
			t.Fatal(refusal)
		}
		guest, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Ada"})
		if refusal != nil {
			t.Fatal(refusal)
		}
		token := sign(t, k, claims("bob", 9*time.Hour, write))
		bob, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Token: token})
		if refusal != nil {
			t.Fatal(refusal)
		}
		c := claims("cy", 9*time.Hour, write)
		c.ID = "stolen"
		cy := auth.Credentials{Token: sign(t, k, c)}
		gone := []auth.Credentials{{Session: guest.Cookie}, {Session: bob.Cookie}, cy}
		var live []*auth.Pass
		for _, c := range gone {
			live = append(live, admit(t, a, c))
		}

		store.Fail(storagetest.SetNotes, 100, nil)
		logout := func() *session.Error {
			_, refusal := a.Logout(ctx, bob.Cookie)
			return refusal
		}
		said := []*session.Error{a.WithdrawLink(ctx, op, "plans/a", info.ID), logout()}
		_, refusal = a.Revoke(ctx, op, auth.Revocation{JTI: "stolen"})
		for i, refusal := range append(said, refusal) {
			if refusal == nil || refusal.Code != session.CodeUnavailable {
				t.Errorf("withdrawal %d, which was not written: %v", i, refusal)
			}
			if live[i].Ended() == nil {
				t.Errorf("withdrawal %d: the live pass goes on", i)
			}
		}
		if _, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Token: token}); refusal == nil {
			t.Error("a login is made that cannot be kept")
		}
		if refusal := logout(); refusal == nil || refusal.Code != session.CodeUnavailable {
			t.Errorf("a second logout before the first is written: %v", refusal)
		}
		store.Heal()
		if refusal := logout(); refusal != nil {
			t.Errorf("a logout that can be written again: %v", refusal)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		a.Close()

		a = newAuthority(t, opt)
		for i, c := range gone {
			if _, refusal := a.Admit(ctx, c); refusal == nil {
				t.Errorf("withdrawal %d: good again after a restart", i)
			}
		}
		if _, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Eve"}); refusal == nil {
			t.Error("the withdrawn invitation is taken up after a restart")
		}
	})
}

// TestWithdrawnAgain checks that an invitation that is withdrawn, but not yet saved, can be withdrawn again until
// that is saved; that it is not there says only what a restart would not undo.
func TestWithdrawnAgain(t *testing.T) {
	k, store := hs256(t), storagetest.NewFaulty(mem.New())
	a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Store: store, Links: true})
	op := admit(t, a, auth.Credentials{Token: sign(t, k, claims("op", time.Hour, admin))})
	plans := admit(t, a, auth.Credentials{Token: sign(t, k, claims("paul", time.Hour, auth.Grant{Docs: "plans/*", Role: auth.Admin}))})
	info, _, refusal := a.CreateLink(ctx, op, auth.LinkRequest{Docs: "plans*", Role: auth.Read})
	if refusal != nil {
		t.Fatal(refusal)
	}
	withdraw := func(what string, by *auth.Pass, doc string, want session.Code) {
		t.Helper()
		refusal := a.WithdrawLink(ctx, by, doc, info.ID)
		if got := refusal; want == "" && got != nil || want != "" && (got == nil || got.Code != want) {
			t.Errorf("%s: %v, want %q", what, got, want)
		}
	}
	store.Fail(storagetest.SetNotes, 3, nil)
	withdraw("not saved", op, "plans/a", session.CodeUnavailable)
	withdraw("again", op, "plans/a", session.CodeUnavailable)
	withdraw("by who may not", plans, "plans/a", session.CodeNotFound)
	withdraw("at another document", op, "other", session.CodeNotFound)
	withdraw("again, and still not saved", op, "plans/b", session.CodeUnavailable)
	withdraw("saved", op, "plans/a", "")
	withdraw("after that", op, "plans/a", session.CodeNotFound)
}

// TestInvitationsOff checks that on a server that takes no invitations any more nobody joins by one, and
// nobody who had is let in.
func TestInvitationsOff(t *testing.T) {
	k, store := hs256(t), mem.New()
	a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Store: store, Links: true})
	op := admit(t, a, auth.Credentials{Token: sign(t, k, claims("op", time.Hour, admin))})
	_, secret, refusal := a.CreateLink(ctx, op, auth.LinkRequest{Docs: "plans/a", Role: auth.Read})
	if refusal != nil {
		t.Fatal(refusal)
	}
	guest, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Ada"})
	if refusal != nil {
		t.Fatal(refusal)
	}
	a.Close()
	a = newAuthority(t, auth.Options{Keys: []auth.Key{k}, Store: store})
	if _, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Eve"}); refusal == nil {
		t.Error("an invitation is taken up")
	}
	if _, refusal := a.Admit(ctx, auth.Credentials{Session: guest.Cookie}); refusal == nil {
		t.Error("a guest is let in")
	}
	a.Close()
	a = newAuthority(t, auth.Options{Keys: []auth.Key{k}, Store: store, Links: true})
	admit(t, a, auth.Credentials{Session: guest.Cookie})
}

// TestRevokedWithinTheSecond checks that a revocation reaches what was given a moment before, also when
// that is known more exactly than in seconds.
func TestRevokedWithinTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, h := hs256(t), &host{}
		a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Links: true, Callback: "http://app/who", Client: h.client()})
		op := admit(t, a, auth.Credentials{Token: sign(t, k, claims("op", time.Hour, admin))})
		_, secret, refusal := a.CreateLink(ctx, op, auth.LinkRequest{Docs: "plans/a", Role: auth.Read})
		if refusal != nil {
			t.Fatal(refusal)
		}
		time.Sleep(300 * time.Millisecond)
		guest, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Ada"})
		if refusal != nil {
			t.Fatal(refusal)
		}
		h.says(200, `{"sub":"bob","grants":[{"docs":"*","role":"write"}]}`)
		ada, bob := admit(t, a, auth.Credentials{Session: guest.Cookie}), admit(t, a, auth.Credentials{Cookie: "bob"})
		time.Sleep(300 * time.Millisecond)
		for _, p := range []*auth.Pass{ada, bob} {
			if _, refusal := a.Revoke(ctx, op, auth.Revocation{Author: p.Identity().Author}); refusal != nil {
				t.Fatal(refusal)
			}
			if p.Ended() == nil {
				t.Errorf("%s goes on", p.Identity().Author)
			}
		}
	})
}

// TestTenantsLeavePlaces has a tenant with many admins and invitations, and an admin in no namespace with many invitations,
// take what logins and invitations they can: others still get some.
func TestTenantsLeavePlaces(t *testing.T) {
	k := hs256(t)
	for _, ns := range []string{"acme", ""} {
		a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Links: true, MaxSessions: 40, MaxLinks: 40})
		boss := func(i int, ns string) *auth.Pass {
			c := claims(fmt.Sprint("boss", i), time.Hour, auth.Grant{Docs: "acme/*", Role: auth.Admin}, auth.Grant{Docs: "beta/*", Role: auth.Admin})
			c.Namespace = ns
			return admit(t, a, auth.Credentials{Token: sign(t, k, c)})
		}
		invitations, guests := 0, 0
		for i := range 40 {
			if ns == "" {
				i = 0
			}
			_, secret, refusal := a.CreateLink(ctx, boss(i, ns), auth.LinkRequest{Docs: "acme/a", Role: auth.Read})
			if refusal != nil {
				continue
			}
			invitations++
			for range 40 {
				if _, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Ada"}); refusal == nil {
					guests++
				}
			}
		}
		if want := map[string]int{"acme": 20, "": 4}[ns]; invitations != want || guests > 20 || guests < 16 {
			t.Errorf("one party in the namespace %q has %d invitations, want %d, and %d guests of 40", ns, invitations, want, guests)
		}
		_, secret, refusal := a.CreateLink(ctx, boss(99, "beta"), auth.LinkRequest{Docs: "beta/a", Role: auth.Read})
		if refusal != nil {
			t.Fatal(refusal)
		}
		for range 4 {
			if _, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Cy"}); refusal != nil {
				t.Errorf("another's guest: %v", refusal)
			}
		}
		if _, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Token: sign(t, k, claims("bob", time.Hour, write))}); refusal != nil {
			t.Errorf("somebody in no namespace: %v", refusal)
		}
	}
}

// TestOneDoesNotTakeAllPlaces checks that neither one invitation nor one author can take all logins, nor one
// admin all invitations.
func TestOneDoesNotTakeAllPlaces(t *testing.T) {
	k := hs256(t)
	a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Links: true, MaxSessions: 30, MaxLinks: 30})
	tenant := func(ns string) *auth.Pass {
		c := claims("boss", time.Hour, auth.Grant{Docs: auth.Pattern(ns + "/*"), Role: auth.Admin})
		c.Namespace = ns
		return admit(t, a, auth.Credentials{Token: sign(t, k, c)})
	}
	acme, beta := tenant("acme"), tenant("beta")
	until := func(what string, do func() *session.Error) {
		t.Helper()
		for n := range 30 {
			if refusal := do(); refusal != nil {
				if refusal.Code != session.CodeTooMany || n < 2 {
					t.Fatalf("%s: %v after %d", what, refusal, n)
				}
				return
			}
		}
		t.Fatalf("%s: takes all places", what)
	}
	_, secret, refusal := a.CreateLink(ctx, acme, auth.LinkRequest{Docs: "acme/a", Role: auth.Read})
	if refusal != nil {
		t.Fatal(refusal)
	}
	until("invitations", func() *session.Error {
		_, _, refusal := a.CreateLink(ctx, acme, auth.LinkRequest{Docs: "acme/a", Role: auth.Read})
		return refusal
	})
	until("guests", func() *session.Error {
		_, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Ada"})
		return refusal
	})
	token := sign(t, k, claims("bob", time.Hour, write))
	until("logins", func() *session.Error {
		_, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Token: token})
		return refusal
	})
	_, secret, refusal = a.CreateLink(ctx, beta, auth.LinkRequest{Docs: "beta/a", Role: auth.Read})
	if refusal != nil {
		t.Fatal(refusal)
	}
	if _, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Cy"}); refusal != nil {
		t.Fatal(refusal)
	}
}
