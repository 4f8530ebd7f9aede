package auth_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
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

// TestPublishedKeyLeaves takes a key out of a published set: what it signed ends soon, although nobody new comes, and
// what others signed goes on, also after a restart during which the set cannot be had.
func TestPublishedKeyLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		public, private, _ := ed25519.GenerateKey(nil)
		stays, err := auth.NewKey("stays", private)
		if err != nil {
			t.Fatal(err)
		}
		leaves, h := es256(t), &host{}
		other := `{"kty":"OKP","crv":"Ed25519","kid":"stays","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}`
		h.says(200, `{"keys":[`+es256Public+`,`+other+`]}`)
		opt := auth.Options{JWKS: "http://app/keys", Client: &http.Client{Transport: h}, Store: mem.New()}
		a := newAuthority(t, opt)
		var passes [2][]*auth.Pass
		var cookies [2]auth.Credentials
		for i, k := range []auth.Key{leaves, stays} {
			c := auth.Credentials{Token: sign(t, k, claims("ada", 20*time.Hour, write))}
			l, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Token: c.Token})
			if refusal != nil {
				t.Fatal(refusal)
			}
			cookies[i] = auth.Credentials{Session: l.Cookie}
			passes[i] = []*auth.Pass{admit(t, a, c), admit(t, a, cookies[i])}
		}
		asked := h.questions()
		h.says(500, "")
		time.Sleep(time.Hour)
		for i, p := range append(passes[0], passes[1]...) {
			if p.Ended() != nil {
				t.Errorf("pass %d while the set cannot be had: %v", i, p.Ended())
			}
		}
		a.Close()
		a = newAuthority(t, opt)
		passes[0] = []*auth.Pass{admit(t, a, cookies[0])}
		passes[1] = []*auth.Pass{admit(t, a, cookies[1])}
		h.says(200, `{"keys":[`+other+`]}`)
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		if p := passes[0][0]; p.Ended() == nil {
			t.Error("a connection by a key that left the set goes on")
		}
		if p := passes[1][0]; p.Ended() != nil {
			t.Errorf("a connection by another key: %v", p.Ended())
		}
		if _, refusal := a.Admit(ctx, cookies[0]); refusal == nil {
			t.Error("a login by a key that left the set is good")
		}
		a.Release(passes[1][0])
		if _, refusal := a.Logout(ctx, cookies[1].Session); refusal != nil {
			t.Fatal(refusal)
		}
		if n := h.questions() - asked; n > 8 { // one in ten minutes
			t.Errorf("the set was asked for %d times", n)
		}
		asked = h.questions()
		time.Sleep(time.Hour)
		if n := h.questions() - asked; n > 0 {
			t.Errorf("the set was asked for %d times while nobody came by it", n)
		}
	})
}

// TestSecretsAreNotKept checks that what is kept of a login by a secret says little of the secret, and that the login
// ends with it all the same.
func TestSecretsAreNotKept(t *testing.T) {
	store, k := mem.New(), hs256(t)
	opt := auth.Options{Keys: []auth.Key{k}, Store: store}
	a := newAuthority(t, opt)
	login := func() auth.Credentials {
		l, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Token: sign(t, k, claims("ada", time.Hour, write))})
		if refusal != nil {
			t.Fatal(refusal)
		}
		return auth.Credentials{Session: l.Cookie}
	}
	ada := login()
	for range 2 {
		a.Close()
		a = newAuthority(t, opt)
		admit(t, a, ada)
		login()
	}
	notes, err := store.Notes(ctx, "", "auth/session/", "", 10)
	if err != nil || len(notes) != 3 {
		t.Fatal(len(notes), err)
	}
	sum := sha256.Sum256(secret)
	kept := map[string]bool{}
	for _, n := range notes {
		for _, said := range []string{string(secret), base64.RawURLEncoding.EncodeToString(sum[:]), hex.EncodeToString(sum[:])} {
			if strings.Contains(string(n.Value), said) {
				t.Errorf("a login keeps %s", n.Value)
			}
		}
		var l struct{ Key string }
		if err := json.Unmarshal(n.Value, &l); err != nil || !strings.HasPrefix(l.Key, "pbkdf2:") {
			t.Errorf("a login keeps %s", n.Value)
		}
		kept[l.Key] = true
	}
	if len(kept) != 1 {
		t.Errorf("one secret is kept in %d ways, each of which takes time at the start", len(kept))
	}
	other, err := auth.NewKey("k1", []byte(strings.Repeat("o", 32)))
	if err != nil {
		t.Fatal(err)
	}
	opt.Keys = []auth.Key{other}
	a.Close()
	a = newAuthority(t, opt)
	if _, refusal := a.Admit(ctx, ada); refusal == nil {
		t.Error("a login is good after its key was replaced")
	}
}
