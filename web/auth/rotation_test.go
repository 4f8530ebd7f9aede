package auth_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
	"quire/storage/mem"
	"quire/web/auth"
)

// TestKeysAreReplaced checks that a key can be added and taken away while people are connected: what it
// signed ends with it, logins included, also after a restart, and nobody else notices.
func TestKeysAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := func(id string, secret any) auth.Key {
			k, err := auth.NewKey(id, secret)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		_, one, _ := ed25519.GenerateKey(nil)
		_, two, _ := ed25519.GenerateKey(nil)
		old, next, secret := key("", one), key("", two), key("", bytes.Repeat([]byte("h"), 32))
		store, opt := mem.New(), auth.Options{Links: true}
		opt.Keys, opt.Store = []auth.Key{old, secret}, store
		a := newAuthority(t, opt)
		token := func(k auth.Key, author string) auth.Credentials {
			return auth.Credentials{Token: sign(t, k, claims(author, 900*time.Hour, admin))}
		}
		login := func(c auth.Credentials) auth.Credentials {
			l, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Token: c.Token})
			if refusal != nil {
				t.Fatal(refusal)
			}
			return auth.Credentials{Session: l.Cookie}
		}
		stolen, ada := token(old, "ada"), token(secret, "ada")
		if _, refusal := a.Admit(ctx, token(next, "eve")); refusal == nil {
			t.Fatal("a key that is not there yet is good")
		}
		boss := admit(t, a, stolen)
		_, invitation, refusal := a.CreateLink(ctx, boss, auth.LinkRequest{Docs: "a", Role: auth.Read})
		if refusal != nil {
			t.Fatal(refusal)
		}
		guest, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: invitation, Name: "Guest"})
		if refusal != nil {
			t.Fatal(refusal)
		}
		bad := []auth.Credentials{stolen, login(stolen)}
		good := []auth.Credentials{ada, login(ada), {Session: guest.Cookie}}
		var ends, stays []*auth.Pass
		for _, c := range bad {
			ends = append(ends, admit(t, a, c))
		}
		for _, c := range good {
			stays = append(stays, admit(t, a, c))
		}
		changes := 0
		for _, p := range stays {
			p.Watch(func() { changes++ })
		}

		a.SetKeys([]auth.Key{next, old, secret})
		if boss.Ended() != nil {
			t.Fatal("a key more ends what another signed")
		}
		stays = append(stays, admit(t, a, token(next, "bob")))
		renewed := admit(t, a, stolen) // by a token of the new key
		if refusal := a.Renew(ctx, renewed, token(next, "ada").Token); refusal != nil {
			t.Fatal(refusal)
		}
		stays = append(stays, renewed)
		a.SetKeys([]auth.Key{key("named now", []byte(strings.Repeat("h", 32))), next})
		for i, p := range ends {
			if why := p.Ended(); why == nil || why.Code != session.CodeUnauthenticated || !strings.Contains(why.Message, "key") {
				t.Errorf("pass %d by the key that is gone: %v", i, why)
			}
		}
		for i, p := range stays {
			if p.Ended() != nil {
				t.Errorf("pass %d of another key: %v", i, p.Ended())
			}
		}
		if changes > 0 {
			t.Errorf("people whom it does not concern were told of %d changes", changes)
		}
		opt.Keys = []auth.Key{next, secret}
		for range 2 {
			for i, c := range bad {
				if _, refusal := a.Admit(ctx, c); refusal == nil || refusal.Code != session.CodeUnauthenticated {
					t.Errorf("credential %d of the key that is gone: %v", i, refusal)
				}
			}
			for _, c := range good {
				admit(t, a, c)
			}
			a.Close()
			a = newAuthority(t, opt)
		}
		a.SetKeys(nil)
		if _, refusal := a.Admit(ctx, auth.Credentials{}); a.Open() || refusal == nil {
			t.Error("without keys everybody is let in")
		}
	})
}
