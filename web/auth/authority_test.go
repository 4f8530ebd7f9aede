package auth_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"quire/session"
	"quire/storage/mem"
	"quire/web/auth"
)

// secret is a key for HS256.
var secret = []byte(strings.Repeat("s", 32))

func hs256(t *testing.T) auth.Key {
	t.Helper()
	k, err := auth.NewKey("k1", secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newAuthority(t *testing.T, opt auth.Options) *auth.Authority {
	t.Helper()
	if opt.Store == nil {
		opt.Store = mem.New()
	}
	opt.Rounds = 10
	a, err := auth.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func claims(author string, life time.Duration, grants ...auth.Grant) auth.Claims {
	now := time.Now()
	c := auth.Claims{Name: strings.ToUpper(author), Grants: grants}
	c.Subject, c.IssuedAt, c.ExpiresAt = author, jwt.NewNumericDate(now), jwt.NewNumericDate(now.Add(life))
	return c
}

func sign(t *testing.T, k auth.Key, c auth.Claims) string {
	t.Helper()
	token, err := auth.Sign(k, c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

var (
	ctx   = context.Background()
	admin = auth.Grant{Docs: "*", Role: auth.Admin}
	write = auth.Grant{Docs: "plans/*", Role: auth.Write}
)

func admit(t *testing.T, a *auth.Authority, c auth.Credentials) *auth.Pass {
	t.Helper()
	p, refusal := a.Admit(ctx, c)
	if refusal != nil {
		t.Fatal(refusal)
	}
	t.Cleanup(func() { a.Release(p) })
	return p
}

// part returns one part of a token in JSON as base64.
func part(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestTokensThatAreRefused(t *testing.T) {
	k := hs256(t)
	public, private, _ := ed25519.GenerateKey(nil)
	ed, err := auth.NewKey("k2", public)
	if err != nil {
		t.Fatal(err)
	}
	edPrivate, _ := auth.NewKey("k2", private)
	a := newAuthority(t, auth.Options{Keys: []auth.Key{k, ed}, Issuer: "app", Audience: "quire", Leeway: time.Minute})
	good := func(change func(*auth.Claims)) auth.Claims {
		c := claims("ada", time.Hour, write)
		c.Issuer, c.Audience = "app", jwt.ClaimStrings{"quire"}
		if change != nil {
			change(&c)
		}
		return c
	}
	signed := func(change func(*auth.Claims)) string { return sign(t, k, good(change)) }
	raw := func(method jwt.SigningMethod, header map[string]any, key any, payload string) string {
		tok := jwt.New(method)
		for name, v := range header {
			tok.Header[name] = v
		}
		head, _ := tok.SigningString()
		in := head[:strings.IndexByte(head, '.')] + "." + part(payload)
		sig, err := method.Sign(in, key)
		if err != nil {
			t.Fatal(err)
		}
		return in + "." + base64.RawURLEncoding.EncodeToString(sig)
	}
	whole := `{"sub":"ada","iss":"app","aud":"quire","exp":99999999999,"grants":[]}`
	soon := func(more string) string {
		return fmt.Sprintf(`{"sub":"ada","iss":"app","aud":"quire","exp":%d,%s}`, time.Now().Add(time.Hour).Unix(), more)
	}
	later := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(time.Now().Add(d)) }
	for _, c := range []struct{ name, token, why string }{
		{"good", signed(nil), ""},
		{"another key's", sign(t, edPrivate, good(nil)), ""},
		{"in the leeway", signed(func(c *auth.Claims) { c.ExpiresAt = later(-30 * time.Second) }), ""},
		{"expired", signed(func(c *auth.Claims) { c.ExpiresAt = later(-2 * time.Minute) }), "ran out"},
		{"endless", signed(func(c *auth.Claims) { c.ExpiresAt = nil }), "lacks exp"},
		{"for ever", signed(func(c *auth.Claims) { c.ExpiresAt = later(5000 * 24 * time.Hour) }), "400 days"},
		{"not yet", signed(func(c *auth.Claims) { c.NotBefore = later(2 * time.Minute) }), "not good yet"},
		{"of the future", signed(func(c *auth.Claims) { c.IssuedAt = later(time.Hour) }), "made in the future"},
		{"another's audience", signed(func(c *auth.Claims) { c.Audience = jwt.ClaimStrings{"other"} }), "aud"},
		{"no audience", signed(func(c *auth.Claims) { c.Audience = nil }), "lacks"},
		{"another issuer", signed(func(c *auth.Claims) { c.Issuer = "evil" }), "iss"},
		{"changed", strings.Replace(signed(nil), ".", ".e", 1), "not"},
		{"no signature", signed(nil)[:strings.LastIndexByte(signed(nil), '.')+1], "signature"},
		{"none", part(`{"alg":"none"}`) + "." + part(whole) + ".", "signature"},
		{"None", part(`{"alg":"None"}`) + "." + part(whole) + ".", "fits"},
		{"the public key as a secret", raw(jwt.SigningMethodHS256, map[string]any{"kid": "k2"}, []byte(public), whole), "fits"},
		{"the public key as a secret, no kid", raw(jwt.SigningMethodHS256, nil, []byte(public), whole), "signature"},
		{"unknown kid", raw(jwt.SigningMethodHS256, map[string]any{"kid": "../../k1"}, secret, whole), "fits"},
		{"another algorithm", raw(jwt.SigningMethodHS512, nil, secret, whole), "signature"},
		{"critical", raw(jwt.SigningMethodHS256, map[string]any{"crit": []string{"b64"}, "b64": false}, secret, whole), "fits"},
		{"own key in the header", raw(jwt.SigningMethodHS256, map[string]any{"jwk": map[string]any{"kty": "oct", "k": "AAAA"}}, make([]byte, 32), whole), "signature"},
		{"twice", raw(jwt.SigningMethodHS256, nil, secret, `{"sub":"ada","iss":"app","aud":"quire","exp":99999,"exp":99999999999}`), "not a token"},
		{"twice in a grant", raw(jwt.SigningMethodHS256, nil, secret, soon(`"grants":[{"docs":"a","docs":"*","role":"read"}]`)), "not a token"},
		{"in another case", raw(jwt.SigningMethodHS256, nil, secret, strings.Replace(soon(`"grants":[]`), `"sub"`, `"Sub"`, 1)), "sub is missing"},
		{"with a long s", raw(jwt.SigningMethodHS256, nil, secret, strings.Replace(soon(`"grants":[]`), `"sub"`, `"\u017fub"`, 1)), "sub is missing"},
		{"a narrower grant", raw(jwt.SigningMethodHS256, nil, secret, soon(`"grants":[{"docs":"*","role":"write","until":5}]`)), "not a token"},
		{"half a grant", raw(jwt.SigningMethodHS256, nil, secret, soon(`"grants":[{"docs":"*"}]`)), "not a token"},
		{"no role", raw(jwt.SigningMethodHS256, nil, secret, soon(`"grants":[{"docs":"*","role":"none"}]`)), "gives no role"},
		{"two values", raw(jwt.SigningMethodHS256, nil, secret, soon(`"grants":[]`)+"{}"), "not a token"},
		{"encrypted", part(`{"alg":"RSA-OAEP","enc":"A256GCM"}`) + ".a.b.c.d", "not a token"},
		{"five parts", "a.b.c.d.e", "not a token"},
		{"empty parts", "..", "not a token"},
		{"huge", signed(nil) + strings.Repeat("A", 8<<10), "8192 bytes"},
		{"trailing", signed(nil) + "=", "not"},
		{"nobody's", signed2(t, k, good(func(c *auth.Claims) { c.Subject = "" })), "sub is missing"},
		{"long author", signed2(t, k, good(func(c *auth.Claims) { c.Subject = strings.Repeat("x", 65) })), "sub has more"},
		{"control", signed2(t, k, good(func(c *auth.Claims) { c.Name = "a\x00b" })), "name has"},
		{"namespace with a slash", signed2(t, k, good(func(c *auth.Claims) { c.Namespace = "a/b" })), "slash"},
		{"no pattern", signed2(t, k, good(func(c *auth.Claims) { c.Grants = []auth.Grant{{}} })), "names no documents"},
		{"unknown role", raw(jwt.SigningMethodHS256, nil, secret, `{"sub":"ada","iss":"app","aud":"quire","exp":4000000000,"grants":[{"docs":"*","role":"root"}]}`), "not a token"},
	} {
		p, refusal := a.Admit(ctx, auth.Credentials{Token: c.token})
		switch {
		case c.why == "" && refusal != nil:
			t.Errorf("%s: %v", c.name, refusal)
		case c.why == "":
			a.Release(p)
		case refusal == nil || refusal.Code != session.CodeUnauthenticated || !strings.Contains(refusal.Message, c.why):
			t.Errorf("%s: %v, want %q", c.name, refusal, c.why)
		case strings.Contains(refusal.Message, c.token):
			t.Errorf("%s: the refusal has the token", c.name)
		}
	}
	if n := a.Live(); n != 0 {
		t.Errorf("%d passes are live", n)
	}
}

// signed2 signs claims that Sign would refuse.
func signed2(t *testing.T, k auth.Key, c auth.Claims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestPassesEndWithTheirTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := hs256(t)
		a := newAuthority(t, auth.Options{Keys: []auth.Key{k}})
		p := admit(t, a, auth.Credentials{Token: sign(t, k, claims("ada", time.Hour, write))})
		var told atomic.Int32
		defer p.Watch(func() { told.Add(1) })()
		if p.Role("plans/a") != auth.Write || p.Role("other") != auth.None {
			t.Fatalf("roles %v %v", p.Role("plans/a"), p.Role("other"))
		}
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if p.Ended() != nil {
			t.Fatal(p.Ended())
		}
		other := sign(t, k, claims("bob", time.Hour, write))
		if refusal := a.Renew(ctx, p, other); refusal == nil || p.Identity().Author != "ada" {
			t.Fatal("another author's token was taken")
		}
		if refusal := a.Renew(ctx, p, sign(t, k, claims("ada", time.Hour, auth.Grant{Docs: "plans/*", Role: auth.Read}))); refusal != nil {
			t.Fatal(refusal)
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if p.Role("plans/a") != auth.Read || told.Load() != 1 {
			t.Fatalf("renewed: %v, told %d times", p.Role("plans/a"), told.Load())
		}
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		if e := p.Ended(); e == nil || e.Code != session.CodeUnauthenticated || p.Role("plans/a") != auth.None || told.Load() != 2 {
			t.Fatalf("after its time: %v, told %d times", e, told.Load())
		}
	})
}

func TestRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := hs256(t), mem.New()
		a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Store: store})
		op := admit(t, a, auth.Credentials{Token: sign(t, k, claims("op", time.Hour, admin))})
		c := claims("ada", 2*time.Hour, write)
		c.ID = "one"
		one := sign(t, k, c)
		two := sign(t, k, claims("ada", 2*time.Hour, write))
		p1, p2 := admit(t, a, auth.Credentials{Token: one}), admit(t, a, auth.Credentials{Token: two})
		login, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Token: two})
		if refusal != nil {
			t.Fatal(refusal)
		}
		p3 := admit(t, a, auth.Credentials{Session: login.Cookie})
		if _, refusal := a.Revoke(ctx, p1, auth.Revocation{Author: "op"}); refusal == nil || refusal.Code != session.CodeForbidden {
			t.Fatalf("by one who is no operator: %v", refusal)
		}
		if _, refusal := a.Revoke(ctx, op, auth.Revocation{JTI: "one"}); refusal != nil {
			t.Fatal(refusal)
		}
		if p1.Ended() == nil || p2.Ended() != nil || p3.Ended() != nil {
			t.Fatalf("after one: %v %v %v", p1.Ended(), p2.Ended(), p3.Ended())
		}
		if _, refusal := a.Revoke(ctx, op, auth.Revocation{Author: "ada"}); refusal != nil {
			t.Fatal(refusal)
		}
		if p2.Ended() == nil || p3.Ended() == nil || op.Ended() != nil {
			t.Fatalf("after all: %v %v %v", p2.Ended(), p3.Ended(), op.Ended())
		}
		a.Close()
		again := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Store: store})
		for _, c := range []auth.Credentials{{Token: one}, {Token: two}, {Session: login.Cookie}} {
			if _, refusal := again.Admit(ctx, c); refusal == nil {
				t.Error("a revoked credential is good after a restart")
			}
		}
		time.Sleep(2 * time.Second)
		admit(t, again, auth.Credentials{Token: sign(t, k, claims("ada", time.Hour, write))}) // made after
	})
}

func TestInvitations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := hs256(t), mem.New()
		a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Store: store, Links: true})
		boss := admit(t, a, auth.Credentials{Token: sign(t, k, claims("boss", 9*time.Hour, auth.Grant{Docs: "plans/*", Role: auth.Admin}))})
		reader := admit(t, a, auth.Credentials{Token: sign(t, k, claims("reader", 9*time.Hour, write))})
		make1 := func(r auth.LinkRequest) (auth.LinkInfo, string) {
			t.Helper()
			info, secret, refusal := a.CreateLink(ctx, boss, r)
			if refusal != nil {
				t.Fatal(refusal)
			}
			return info, secret
		}
		if _, _, refusal := a.CreateLink(ctx, reader, auth.LinkRequest{Docs: "plans/a", Role: auth.Read}); refusal == nil {
			t.Fatal("one who is no admin invites")
		}
		for _, r := range []auth.LinkRequest{{Docs: "*", Role: auth.Read}, {Docs: "plan*", Role: auth.Read}, {Docs: "plans/a", Role: auth.Admin}, {Docs: "plans/a", Role: auth.Read, Expires: time.Now()}} {
			if _, _, refusal := a.CreateLink(ctx, boss, r); refusal == nil {
				t.Errorf("%+v is taken", r)
			}
		}
		info, secret := make1(auth.LinkRequest{Docs: "plans/a", Role: auth.Write, Uses: 2})
		join := func(secret, name string) (*auth.Login, *session.Error) {
			return a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: name})
		}
		for _, name := range []string{"", " Ada", "boss~123456", "a\u202eb", "a\u200bb", strings.Repeat("x", 49)} {
			if _, refusal := join(secret, name); refusal == nil {
				t.Errorf("the name %q is taken", name)
			}
		}
		if _, refusal := join(secret[:len(secret)-1]+"x", "Ada"); refusal == nil {
			t.Fatal("a wrong secret is taken")
		}
		l1, refusal := join(secret, "Ada")
		if refusal != nil {
			t.Fatal(refusal)
		}
		l2, _ := join(secret, "Ada")
		if l1.Identity.Author == l2.Identity.Author || !strings.HasPrefix(l1.Identity.Author, "Ada~") {
			t.Fatalf("authors %q %q", l1.Identity.Author, l2.Identity.Author)
		}
		if _, refusal := join(secret, "Bob"); refusal == nil || !strings.Contains(refusal.Message, "used up") {
			t.Fatalf("third use: %v", refusal)
		}
		a.Close()
		a = newAuthority(t, auth.Options{Keys: []auth.Key{k}, Store: store, Links: true})
		p := admit(t, a, auth.Credentials{Session: l1.Cookie})
		if p.Role("plans/a") != auth.Write || p.Role("plans/b") != auth.None {
			t.Fatalf("roles %v %v", p.Role("plans/a"), p.Role("plans/b"))
		}
		links, _ := a.Links(boss, "plans/a")
		if len(links) != 1 || links[0].Used != 2 {
			t.Fatalf("links %+v", links)
		}
		if refusal := a.WithdrawLink(ctx, boss, "plans/b", info.ID); refusal == nil || refusal.Code != session.CodeNotFound {
			t.Fatalf("withdrawn by another document: %v", refusal)
		}
		if refusal := a.WithdrawLink(ctx, boss, "plans/a", info.ID); refusal != nil {
			t.Fatal(refusal)
		}
		if p.Ended() == nil {
			t.Fatal("the guest is still there")
		}
		if _, refusal := a.Admit(ctx, auth.Credentials{Session: l2.Cookie}); refusal == nil {
			t.Fatal("the other guest comes back")
		}
		if _, refusal := join(secret, "Ada"); refusal == nil {
			t.Fatal("a withdrawn invitation is taken up")
		}
		_, short := make1(auth.LinkRequest{Docs: "plans/*", Role: auth.Read, Expires: time.Now().Add(time.Hour)})
		l3, refusal := join(short, "Cy")
		if refusal != nil {
			t.Fatal(refusal)
		}
		p = admit(t, a, auth.Credentials{Session: l3.Cookie})
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		if p.Ended() == nil {
			t.Fatal("the guest stays longer than the invitation")
		}
	})
}

// TestLongName lets somebody in whose name has more bytes than others are shown.
func TestLongName(t *testing.T) {
	k := hs256(t)
	a := newAuthority(t, auth.Options{Keys: []auth.Key{k}})
	for name, want := range map[string]string{
		strings.Repeat("n", 64):         strings.Repeat("n", 64),
		strings.Repeat("n", 65):         strings.Repeat("n", 61) + "…",
		"a" + strings.Repeat("é", 100):  "a" + strings.Repeat("é", 30) + "…",
		"ab" + strings.Repeat("é", 100): "ab" + strings.Repeat("é", 29) + "…",
		"Константин Константинович Константинопольский": "Константин Константинович Конст…",
	} {
		c := claims("kk", time.Hour, write)
		c.Name = name
		if got := admit(t, a, auth.Credentials{Token: sign(t, k, c)}).Identity().Name; got != want || len(got) > 64 {
			t.Errorf("%s is called %q (%d bytes), want %q", name, got, len(got), want)
		}
	}
}

func TestLogout(t *testing.T) {
	k := hs256(t)
	a := newAuthority(t, auth.Options{Keys: []auth.Key{k}})
	l, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Token: sign(t, k, claims("ada", time.Hour, write))})
	if refusal != nil {
		t.Fatal(refusal)
	}
	p, q := admit(t, a, auth.Credentials{Session: l.Cookie}), admit(t, a, auth.Credentials{Session: l.Cookie})
	for i := range 2 {
		if who, refusal := a.Logout(ctx, l.Cookie); refusal != nil || (who != nil) != (i == 0) {
			t.Fatalf("logout %d: %v, %v", i+1, who, refusal)
		}
	}
	if p.Ended() == nil || q.Ended() == nil {
		t.Fatal("live passes go on after the logout")
	}
	if _, refusal := a.Admit(ctx, auth.Credentials{Session: l.Cookie}); refusal == nil {
		t.Fatal("the cookie is still good")
	}
}
