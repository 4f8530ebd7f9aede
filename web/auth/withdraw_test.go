package auth_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
	"quire/storage"
	"quire/storage/mem"
	"quire/web/auth"
)

// flaky is a store that cannot write while it is broken.
type flaky struct {
	auth.Store
	broken atomic.Bool
}

// SetNotes implements auth.Store.
func (f *flaky) SetNotes(ctx context.Context, id string, incarnation uint64, notes []storage.Note) error {
	if f.broken.Load() {
		return errors.New("the disk is full")
	}
	return f.Store.SetNotes(ctx, id, incarnation, notes)
}

// team is a server of people who invite each other.
type team struct {
	*testing.T
	*auth.Authority
	key   auth.Key
	store *flaky
	boss  *auth.Pass
}

func newTeam(t *testing.T) *team {
	m := &team{T: t, key: hs256(t), store: &flaky{Store: mem.New()}}
	m.restart()
	return m
}

func (m *team) restart() {
	m.Helper()
	if m.Authority != nil {
		m.Close()
	}
	m.Authority = newAuthority(m.T, auth.Options{Keys: []auth.Key{m.key}, Store: m.store, Links: true})
	m.boss = admit(m.T, m.Authority, auth.Credentials{Token: sign(m.T, m.key, claims("boss", 300*24*time.Hour, admin))})
}

func (m *team) link(r auth.LinkRequest) (id, secret string) {
	m.Helper()
	info, secret, refusal := m.CreateLink(ctx, m.boss, r)
	if refusal != nil {
		m.Fatal(refusal)
	}
	return info.ID, secret
}

func (m *team) join(secret, name, cookie string) *auth.Login {
	m.Helper()
	l, refusal := m.Login(ctx, auth.Credentials{Session: cookie}, auth.LoginRequest{Link: secret, Name: name})
	if refusal != nil {
		m.Fatal(refusal)
	}
	return l
}

func (m *team) pass(cookie string) *auth.Pass {
	m.Helper()
	return admit(m.T, m.Authority, auth.Credentials{Session: cookie})
}

func (m *team) gone(cookie string) {
	m.Helper()
	if _, refusal := m.Admit(ctx, auth.Credentials{Session: cookie}); refusal == nil || refusal.Code != session.CodeUnauthenticated {
		m.Fatalf("the login is still good: %v", refusal)
	}
}

// What is withdrawn while the disk takes nothing is withdrawn at once, and stays so: asking
// again, or time, saves it.
func TestWithdrawalThatCannotBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTeam(t)
		id, secret := m.link(auth.LinkRequest{Docs: "a", Role: auth.Write})
		_, other := m.link(auth.LinkRequest{Docs: "b", Role: auth.Write})
		ada, bob := m.join(secret, "Ada", ""), m.join(other, "Bob", "")
		p, q := m.pass(ada.Cookie), m.pass(bob.Cookie)
		m.store.broken.Store(true)
		if refusal := m.WithdrawLink(ctx, m.boss, "a", id); refusal == nil || refusal.Code != session.CodeUnavailable {
			t.Fatalf("withdrawn on a broken disk: %v", refusal)
		}
		if refusal := m.Logout(ctx, q); refusal == nil || refusal.Code != session.CodeUnavailable {
			t.Fatalf("logged out on a broken disk: %v", refusal)
		}
		if p.Ended() == nil || q.Ended() == nil {
			t.Fatal("the guests are still there")
		}
		if refusal := m.WithdrawLink(ctx, m.boss, "a", id); refusal == nil || refusal.Code != session.CodeUnavailable {
			t.Fatalf("again: %v", refusal)
		}
		m.store.broken.Store(false)
		if refusal := m.WithdrawLink(ctx, m.boss, "a", id); refusal != nil {
			t.Fatalf("once the disk is well: %v", refusal)
		}
		if refusal := m.WithdrawLink(ctx, m.boss, "a", id); refusal == nil || refusal.Code != session.CodeNotFound {
			t.Fatalf("once more: %v", refusal)
		}
		m.restart()
		m.gone(ada.Cookie)
		m.gone(bob.Cookie)

		cy := m.join(other, "Cy", "")
		m.store.broken.Store(true)
		m.Logout(ctx, m.pass(cy.Cookie))
		time.Sleep(90 * time.Second)
		m.store.broken.Store(false)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		m.restart()
		m.gone(cy.Cookie)
	})
}

func TestGuestOfSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTeam(t)
		idA, a := m.link(auth.LinkRequest{Docs: "a", Role: auth.Read, Uses: 1})
		_, b := m.link(auth.LinkRequest{Docs: "b", Role: auth.Write, Expires: time.Now().Add(time.Hour)})
		_, c := m.link(auth.LinkRequest{Docs: "c", Role: auth.Write})
		ada := m.join(a, "Ada", "")
		p := m.pass(ada.Cookie)
		roles := func(want ...auth.Role) {
			t.Helper()
			for i, doc := range []string{"a", "b", "c"} {
				if got := p.Role(doc); got != want[i] {
					t.Fatalf("%v in %s, want %v", got, doc, want[i])
				}
			}
		}
		roles(auth.Read, auth.None, auth.None)
		for _, secret := range []string{b, c, a} { // the last one again, which counts no more
			if l := m.join(secret, "Ada", ada.Cookie); l.Identity.Author != ada.Identity.Author || l.Cookie != ada.Cookie {
				t.Fatalf("%q after %q", l.Identity.Author, ada.Identity.Author)
			}
		}
		roles(auth.Read, auth.Write, auth.Write)
		if l := m.join(c, "Bob", ada.Cookie); l.Identity.Author == ada.Identity.Author {
			t.Fatal("another name is the same guest")
		}
		m.restart()
		p = m.pass(ada.Cookie)
		roles(auth.Read, auth.Write, auth.Write)
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		roles(auth.Read, auth.None, auth.Write)
		if refusal := m.WithdrawLink(ctx, m.boss, "a", idA); refusal != nil || p.Ended() != nil {
			t.Fatal(refusal, p.Ended())
		}
		roles(auth.None, auth.None, auth.Write)
	})
}

// An invitation goes with its document, and does not stay for another that gets its id.
func TestInvitationsOfMovedDocuments(t *testing.T) {
	m := newTeam(t)
	id, secret := m.link(auth.LinkRequest{Docs: "a", Role: auth.Write})
	_, wide := m.link(auth.LinkRequest{Docs: "a*", Role: auth.Read})
	ada, bob := m.join(secret, "Ada", ""), m.join(wide, "Bob", "")
	p, q := m.pass(ada.Cookie), m.pass(bob.Cookie)
	m.Moved(ctx, "a", "b")
	for range 2 {
		if p.Role("a") != auth.None || p.Role("b") != auth.Write || q.Role("a") != auth.Read {
			t.Fatalf("roles %v %v %v", p.Role("a"), p.Role("b"), q.Role("a"))
		}
		m.restart()
		p, q = m.pass(ada.Cookie), m.pass(bob.Cookie)
	}
	if links, _ := m.Links(m.boss, "b"); len(links) != 1 || links[0].ID != id || links[0].Used != 1 {
		t.Fatalf("links %+v", links)
	}
	m.Moved(ctx, "b", "")
	if p.Ended() == nil || q.Ended() != nil {
		t.Fatalf("after the end of the document: %v %v", p.Ended(), q.Ended())
	}
	m.restart()
	m.gone(ada.Cookie)
	if _, refusal := m.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Ada"}); refusal == nil {
		t.Fatal("the invitation outlives its document")
	}
}

func TestUsesAreCountedOnce(t *testing.T) {
	m := newTeam(t)
	_, secret := m.link(auth.LinkRequest{Docs: "a", Role: auth.Write, Uses: 5})
	var joined atomic.Int32
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if _, refusal := m.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: fmt.Sprint("Guest ", i)}); refusal == nil {
				joined.Add(1)
			}
		})
	}
	all.Wait()
	if links, _ := m.Links(m.boss, "a"); joined.Load() != 5 || links[0].Used != 5 {
		t.Fatalf("%d joined, %d counted", joined.Load(), links[0].Used)
	}
}

// Nobody takes all the places for logins and invitations.
func TestOneOfMany(t *testing.T) {
	m := newTeam(t)
	token := auth.LoginRequest{Token: sign(t, m.key, claims("ada", time.Hour, write))}
	var first *auth.Pass
	for i := range 101 {
		l, refusal := m.Login(ctx, auth.Credentials{}, token)
		if refusal != nil {
			t.Fatal(refusal)
		}
		if i == 0 {
			first = m.pass(l.Cookie)
		} else if i == 99 && first.Ended() != nil {
			t.Fatalf("ended after %d logins: %v", i+1, first.Ended())
		}
	}
	if first.Ended() == nil {
		t.Fatal("101 logins of one author")
	}
	_, secret := m.link(auth.LinkRequest{Docs: "a", Role: auth.Write})
	for range 1000 {
		m.join(secret, "Guest", "")
	}
	if _, refusal := m.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Guest"}); refusal == nil || refusal.Code != session.CodeTooMany {
		t.Fatalf("guest 1,001: %v", refusal)
	}
	for range 999 {
		m.link(auth.LinkRequest{Docs: "a", Role: auth.Write})
	}
	if _, _, refusal := m.CreateLink(ctx, m.boss, auth.LinkRequest{Docs: "a", Role: auth.Write}); refusal == nil || refusal.Code != session.CodeTooMany {
		t.Fatalf("invitation 1,001: %v", refusal)
	}
}
