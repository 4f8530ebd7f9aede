package auth_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
	"quire/storage/mem"
	"quire/web/auth"
)

// team is a server of people who invite each other.
type team struct {
	*testing.T
	*auth.Authority
	key   auth.Key
	store *mem.Store
	boss  *auth.Pass
}

func newTeam(t *testing.T) *team {
	m := &team{T: t, key: hs256(t), store: mem.New()}
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
