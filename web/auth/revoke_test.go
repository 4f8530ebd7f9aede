package auth_test

import (
	"testing"
	"time"

	"quire/session"
	"quire/storage/mem"
	"quire/web/auth"
)

// TestRevocationsOfATenant checks that people of one name in several namespaces are several people: who
// administers a namespace ends and sees what is given there and nothing else, an operator one of them or all, and
// no tenant takes the places of all revocations.
func TestRevocationsOfATenant(t *testing.T) {
	k := hs256(t)
	opt := auth.Options{Keys: []auth.Key{k}, Store: mem.New(), MaxRevoked: 30}
	a := newAuthority(t, opt)
	token := func(author, namespace string, grant auth.Grant) auth.Credentials {
		c := claims(author, time.Hour, grant)
		c.Namespace, c.ID = namespace, "token of "+author
		return auth.Credentials{Token: sign(t, k, c)}
	}
	boss, part := auth.Grant{Docs: "acme/*", Role: auth.Admin}, auth.Grant{Docs: "acme/a*", Role: auth.Admin}
	op, acme := admit(t, a, token("op", "", admin)), admit(t, a, token("boss", "acme", boss))
	adas := map[string]auth.Credentials{"": token("ada", "", write), "acme": token("ada", "acme", write), "beta": token("ada", "beta", write)}
	passes := map[string]*auth.Pass{}
	for ns, c := range adas {
		passes[ns] = admit(t, a, c)
	}
	acmes, beta, none := "acme", "beta", ""
	for name, refused := range map[string]struct {
		by *auth.Pass
		r  auth.Revocation
	}{
		"of another":            {acme, auth.Revocation{Author: "ada", Namespace: &beta}},
		"of none":               {acme, auth.Revocation{Author: "ada", Namespace: &none}},
		"by one of a part":      {admit(t, a, token("sam", "acme", part)), auth.Revocation{Author: "ada"}},
		"by one who is not in":  {admit(t, a, token("sue", "", boss)), auth.Revocation{Author: "ada", Namespace: &acmes}},
		"by a writer in acme":   {passes["acme"], auth.Revocation{Author: "ada"}},
		"by one elsewhere":      {passes["beta"], auth.Revocation{Author: "ada", Namespace: &acmes}},
		"by an admin elsewhere": {admit(t, a, token("ben", "beta", boss)), auth.Revocation{Author: "ada", Namespace: &acmes}},
	} {
		if _, refusal := a.Revoke(ctx, refused.by, refused.r); refusal == nil || refusal.Code != session.CodeForbidden {
			t.Errorf("%s: %v", name, refusal)
		}
	}
	gone := func(what string, by *auth.Pass, r auth.Revocation, want ...string) {
		t.Helper()
		if _, refusal := a.Revoke(ctx, by, r); refusal != nil {
			t.Fatal(refusal)
		}
		ended := map[string]bool{}
		for _, ns := range want {
			ended[ns] = true
		}
		for ns, p := range passes {
			if (p.Ended() != nil) != ended[ns] {
				t.Errorf("%s: the one in %q: %v", what, ns, p.Ended())
			}
			if _, refusal := a.Admit(ctx, adas[ns]); (refusal != nil) != ended[ns] {
				t.Errorf("%s: the one in %q is admitted: %v", what, ns, refusal)
			}
		}
	}
	gone("a tenant's", acme, auth.Revocation{Author: "ada"}, "acme")
	gone("of none", op, auth.Revocation{JTI: "token of ada", Namespace: &none}, "acme", "")
	if all, own := a.Revocations(op), a.Revocations(acme); len(all) != 2 || len(own) != 1 || own[0].By != "boss" || len(a.Revocations(passes["beta"])) > 0 {
		t.Errorf("an operator sees %+v, a tenant %+v", all, own)
	}
	a.Close()
	a = newAuthority(t, opt)
	op, acme = admit(t, a, token("op", "", admin)), admit(t, a, token("boss", "acme", boss))
	gone("everybody", op, auth.Revocation{Author: "somebody"}, "acme", "") // as before the restart
	for _, author := range []string{"ada", "b", "c"} {                     // the first again
		if _, refusal := a.Revoke(ctx, acme, auth.Revocation{Author: author}); refusal != nil {
			t.Fatal(refusal)
		}
	}
	if _, refusal := a.Revoke(ctx, acme, auth.Revocation{Author: "d"}); refusal == nil || refusal.Code != session.CodeTooMany {
		t.Errorf("a tenant takes all places: %v", refusal)
	}
	passes["beta"] = admit(t, a, adas["beta"])
	gone("all of a name", op, auth.Revocation{Author: "ada"}, "acme", "", "beta")
}

// TestUsersAreOfTheirNamespace tells people of one name apart where their rates are counted.
func TestUsersAreOfTheirNamespace(t *testing.T) {
	got := auth.NewPass(auth.Identity{Author: "ada", Namespace: "acme", Kind: auth.Token}).User(session.User{Namespace: "beta", Author: "bob"})
	if got != (session.User{Author: "ada", Namespace: "acme", Name: "ada"}) {
		t.Errorf("%+v", got)
	}
	if got := auth.Anybody().User(session.User{Name: "bob"}); got != (session.User{Name: "bob"}) {
		t.Errorf("where nobody is asked: %+v", got)
	}
}
