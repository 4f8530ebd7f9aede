package auth_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quire/session"
	"quire/storage"
	"quire/storage/mem"
	"quire/storage/storagetest"
	"quire/web/auth"
)

// counting is a store that counts writings of notes.
type counting struct {
	auth.Store
	writes, notes atomic.Int64
}

func (c *counting) SetNotes(ctx context.Context, id string, incarnation uint64, notes []storage.Note) error {
	c.writes.Add(1)
	c.notes.Add(int64(len(notes)))
	return c.Store.SetNotes(ctx, id, incarnation, notes)
}

// person admits somebody with a display name, who has a role in documents.
func person(t *testing.T, a *auth.Authority, k auth.Key, ns, author, name string, grant auth.Grant) *auth.Pass {
	t.Helper()
	c := claims(author, 9*time.Hour, grant)
	c.Name, c.Namespace = name, ns
	return admit(t, a, auth.Credentials{Token: sign(t, k, c)})
}

// wantNames checks what authors are called in a document.
func wantNames(t *testing.T, a *auth.Authority, doc string, want map[string]string, authors ...string) {
	t.Helper()
	if got := a.NamesOf(doc, slices.Values(authors)); !maps.Equal(got, want) {
		t.Errorf("in %s: %v, want %v", doc, got, want)
	}
}

var everything = auth.Grant{Docs: "*", Role: auth.Write}

// TestNames checks who is remembered by which name, and where that is known.
func TestNames(t *testing.T) {
	k, store := hs256(t), mem.New()
	opt := auth.Options{Keys: []auth.Key{k}, Links: true, Store: store}
	a := newAuthority(t, opt)
	const id = "auth0|5f7c"
	wantNames(t, a, "acme/plan", nil, id)

	ada := person(t, a, k, "acme", id, "Ada", everything)
	wantNames(t, a, "acme/plan", nil, id) // who does nothing is not remembered
	if ada.Check("acme/plan", auth.Read) != nil || ada.Check("acme/plan", auth.Admin) == nil || ada.Check("other/plan", auth.Write) == nil {
		t.Fatal("the rights are not those of the token")
	}
	wantNames(t, a, "acme/plan", nil, id) // nor one who only reads, or is refused
	wantNames(t, a, "other/plan", nil, id)
	if refusal := ada.Check("acme/plan", auth.Write); refusal != nil {
		t.Fatal(refusal)
	}
	wantNames(t, a, "acme/plan", map[string]string{id: "Ada"}, id, "nobody", "", id)
	wantNames(t, a, "acme/else", map[string]string{id: "Ada"}, id)
	wantNames(t, a, "acme", nil, id)       // a document without a namespace
	wantNames(t, a, "other/plan", nil, id) // somebody else's namespace, where the same id may be another's

	_ = person(t, a, k, "other", id, "Eve", everything).Check("other/plan", auth.Write)
	_ = person(t, a, k, "", "bob", "bob", everything).Check("plan", auth.Write) // as recorded
	_ = person(t, a, k, "", "cy", "", everything).Check("plan", auth.Write)     // no name
	_ = person(t, a, k, "", "blank", " ", everything).Check("plan", auth.Write)
	_ = person(t, a, k, "", "a/b~", "A/B", everything).Check("plan", auth.Write) // any characters
	_ = person(t, a, k, "", "x~00aaff11", "", everything).Check("p", auth.Write) // looks like a guest
	_ = person(t, a, k, "", "Ada~00aaff11", "Ada", everything).Check("p", auth.Write)
	wantNames(t, a, "acme/plan", map[string]string{id: "Ada"}, id)
	wantNames(t, a, "other/plan", map[string]string{id: "Eve"}, id)
	plan := map[string]string{"a/b~": "A/B", "Ada~00aaff11": "Ada", "Guest One~123abcde": "Guest One"}
	authors := []string{"bob", "blank", "cy", "a/b~", "x~00aaff11", "Ada~00aaff11", "Guest One~123abcde", "~123abcde", "x~123ABCDE", "x~1234567", "x\u200b~123abcde", id}
	wantNames(t, a, "plan", plan, authors...)

	a.Close()
	a = newAuthority(t, opt)
	wantNames(t, a, "acme/plan", map[string]string{id: "Ada"}, id)
	wantNames(t, a, "other/plan", map[string]string{id: "Eve"}, id)
	wantNames(t, a, "plan", plan, authors...)
	_ = person(t, a, k, "acme", id, "Ada Lovelace", everything).Check("acme/new", auth.Write)
	wantNames(t, a, "acme/plan", map[string]string{id: "Ada Lovelace"}, id)
	_ = person(t, a, k, "other", id, "", everything).Check("other/new", auth.Write)
	wantNames(t, a, "other/plan", nil, id)
	a.Close()
	a.Close()

	open, err := auth.New(auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantNames(t, open, "acme/plan", nil, id, "Guest One~123abcde")
	open = newAuthority(t, auth.Options{Store: store}) // of a command on the data
	wantNames(t, open, "acme/plan", map[string]string{id: "Ada Lovelace"}, id)
	wantNames(t, open, "other/plan", nil, id)
}

// TestForgottenName checks that who may administer a namespace, and nobody else, has a name in it forgotten, for
// good once it is said to be, and that it is learnt again when the author comes back.
func TestForgottenName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := hs256(t), storagetest.NewFaulty(mem.New())
		opt := auth.Options{Keys: []auth.Key{k}, Store: store}
		a := newAuthority(t, opt)
		ada := person(t, a, k, "acme", "1", "Ada", everything)
		bob := person(t, a, k, "", "2", "Bob", everything)
		for _, refusal := range []error{ada.Check("acme/a", auth.Write), bob.Check("acme/a", auth.Write), bob.Check("a", auth.Write)} {
			if refusal != (*session.Error)(nil) {
				t.Fatal(refusal)
			}
		}
		time.Sleep(time.Minute)
		both := map[string]string{"1": "Ada", "2": "Bob"}
		some := person(t, a, k, "acme", "x", "", auth.Grant{Docs: "acme/a", Role: auth.Admin})
		boss := person(t, a, k, "acme", "boss", "", admin)
		if a.ForgetName(ctx, some, "acme/a", "1") != nil || a.ForgetName(ctx, bob, "acme/a", "1") != nil {
			t.Error("it is an error to be admin of one document")
		}
		wantNames(t, a, "acme/a", both, "1", "2")
		store.Fail(storagetest.SetNotes, 1, nil)
		if refusal := a.ForgetName(ctx, boss, "acme/a", "1"); refusal == nil || refusal.Code != session.CodeUnavailable {
			t.Errorf("what could not be saved: %v", refusal)
		}
		if refusal := a.ForgetName(ctx, boss, "acme/a", "2"); refusal != nil {
			t.Error(refusal)
		}
		wantNames(t, a, "acme/a", nil, "1", "2")
		wantNames(t, newAuthority(t, opt), "acme/a", map[string]string{"1": "Ada"}, "1", "2")
		time.Sleep(time.Minute) // it was tried again
		again := newAuthority(t, opt)
		wantNames(t, again, "acme/a", nil, "1", "2")
		wantNames(t, again, "a", map[string]string{"2": "Bob"}, "1", "2")
		_ = ada.Check("acme/a", auth.Write)
		wantNames(t, a, "acme/a", map[string]string{"1": "Ada"}, "1", "2")
	})
}

// TestNameOfAGuest checks that a guest is called as they said, and that nothing is written for it.
func TestNameOfAGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := hs256(t), &counting{Store: mem.New()}
		a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Links: true, Store: store})
		op := admit(t, a, auth.Credentials{Token: sign(t, k, claims("op", time.Hour, admin))})
		_, secret, refusal := a.CreateLink(ctx, op, auth.LinkRequest{Docs: "plans/a", Role: auth.Write})
		if refusal != nil {
			t.Fatal(refusal)
		}
		l, refusal := a.Login(ctx, auth.Credentials{}, auth.LoginRequest{Link: secret, Name: "Élan Vital"})
		if refusal != nil {
			t.Fatal(refusal)
		}
		writes := store.writes.Load()
		guest := admit(t, a, auth.Credentials{Session: l.Cookie})
		if refusal := guest.Check("plans/a", auth.Write); refusal != nil {
			t.Fatal(refusal)
		}
		time.Sleep(time.Minute)
		wantNames(t, a, "plans/a", map[string]string{l.Identity.Author: "Élan Vital"}, l.Identity.Author)
		synctest.Wait()
		if n := store.writes.Load(); n != writes {
			t.Errorf("%d writings for a guest", n-writes)
		}
	})
}

// TestNamesAreWrittenSeldom checks that a name is not written with each request, nor as often as it changes.
func TestNamesAreWrittenSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := hs256(t), &counting{Store: mem.New()}
		a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Store: store})
		one, two := person(t, a, k, "", "1", "One", everything), person(t, a, k, "", "1", "Two", everything)
		for range 1000 {
			_, _ = one.Check("plan", auth.Write), two.Check("plan", auth.Write)
			time.Sleep(60 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		before := store.writes.Load()
		if names := store.notes.Load(); before < 5 || before > 7 || names != before {
			t.Errorf("in a minute, %d writings of %d names", before, names)
		}
		for range 100 {
			_ = two.Check("plan", auth.Write)
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if n := store.writes.Load(); n != before {
			t.Errorf("a name that does not change is written %d times", n-before)
		}
		wantNames(t, a, "plan", map[string]string{"1": "Two"}, "1")
	})
}

// TestManyComeAtOnce checks that names are written in the time in which they are to be, also those of a great many, and at
// the end.
func TestManyComeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := hs256(t), mem.New()
		opt := auth.Options{Keys: []auth.Key{k}, Store: store}
		const many = 3500
		for round, wait := range []time.Duration{11 * time.Second, 0} {
			a := newAuthority(t, opt)
			for i := range many {
				_ = person(t, a, k, "", fmt.Sprint(round, "-", i), "Name", everything).Check("plan", auth.Write)
			}
			if time.Sleep(wait); wait == 0 {
				a.Close()
			}
			again := newAuthority(t, opt)
			for i := range many {
				wantNames(t, again, "plan", map[string]string{fmt.Sprint(round, "-", i): "Name"}, fmt.Sprint(round, "-", i))
			}
		}
	})
}

// TestNamesThoughNotWritten checks that while the store fails names are known, and that they are written when it
// works again.
func TestNamesThoughNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := hs256(t), storagetest.NewFaulty(mem.New())
		opt := auth.Options{Keys: []auth.Key{k}, Store: store}
		a := newAuthority(t, opt)
		store.Fail(storagetest.SetNotes, 100, nil)
		if refusal := person(t, a, k, "", "1", "Ada", everything).Check("plan", auth.Write); refusal != nil {
			t.Fatal(refusal)
		}
		time.Sleep(time.Minute)
		wantNames(t, a, "plan", map[string]string{"1": "Ada"}, "1")
		wantNames(t, newAuthority(t, opt), "plan", nil, "1")
		store.Heal()
		time.Sleep(time.Minute)
		wantNames(t, newAuthority(t, opt), "plan", map[string]string{"1": "Ada"}, "1")
	})
}

// TestManyNames checks that there are so many names and no more, in memory and in the store, and that one
// author who writes everywhere takes no other's place.
func TestManyNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := hs256(t), mem.New()
		const most = 50
		a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Store: store, MaxNames: most})
		var others []string
		for i := range most / 2 {
			author := fmt.Sprint("u", i)
			others = append(others, author)
			_ = person(t, a, k, "", author, "Name", everything).Check("plan", auth.Write)
		}
		time.Sleep(time.Minute)
		eve := person(t, a, k, "", "eve", "Eve", everything)
		known := func() (n int) {
			for i := range 40 * most {
				n += len(a.NamesOf(fmt.Sprintf("n%d/plan", i), slices.Values([]string{"eve"})))
			}
			return n
		}
		for i := range 40 * most {
			_ = eve.Check(fmt.Sprintf("n%d/plan", i), auth.Write)
		}
		if n := known(); n == 0 || n+len(others) > most*11/10 {
			t.Errorf("%d names are known of eve before any was written", n)
		}
		for i := range 40 * most {
			_ = eve.Check(fmt.Sprintf("n%d/plan", i), auth.Write)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		for _, author := range others {
			wantNames(t, a, "plan", map[string]string{author: "Name"}, author)
		}
		notes, err := store.Notes(ctx, "", "auth/name/", "", 10*most)
		if err != nil || len(notes) > most || len(notes) < most/2 {
			t.Errorf("%d notes, %v; there are to be %d at most", len(notes), err, most)
		}
		if n := known(); n == 0 || n+len(others) != len(notes) {
			t.Errorf("%d names of eve are known beside %d; there are %d notes", n, len(others), len(notes))
		}
	})
}

// TestDamagedName checks that a name that cannot be read is missing, and keeps nobody out.
func TestDamagedName(t *testing.T) {
	k, store := hs256(t), mem.New()
	err := store.SetNotes(ctx, "", 0, []storage.Note{
		{Key: "auth/name//1", Value: []byte("{")}, {Key: "auth/name/x", Value: []byte(`{"name":"X"}`)}, {Key: "auth/name//2", Value: []byte(`{"name":"Two"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthority(t, auth.Options{Keys: []auth.Key{k}, Store: store})
	wantNames(t, a, "plan", map[string]string{"2": "Two"}, "1", "2")
	_ = person(t, a, k, "", "1", "One", everything).Check("plan", auth.Write)
	wantNames(t, a, "plan", map[string]string{"1": "One", "2": "Two"}, "1", "2")
}
