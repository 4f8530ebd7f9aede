package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"quire/session"
	"quire/storage"
)

// Revocation withdraws credentials: the token with an ID, or everything of an author that
// was issued until then. One of JTI and Author is set.
type Revocation struct {
	// Namespace is whose credentials alone it withdraws; "": of those in no namespace, nil: of all.
	Namespace *string `json:"namespace,omitempty"`
	// JTI is the token's jti, at most 255 bytes.
	JTI string `json:"jti,omitempty"`
	// Author is whose tokens and logins are withdrawn; at most 255 bytes.
	Author string `json:"author,omitempty"`
	// At is when it was made, By who made it, Until when it is forgotten, since what it
	// withdrew would have run out by then; zero: never.
	At    time.Time `json:"at"`
	By    string    `json:"by,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

// key is the key of the revocation's note.
func (r Revocation) key() string {
	if r.JTI != "" {
		return keyOf(r.Namespace, "jti/"+r.JTI)
	}
	return keyOf(r.Namespace, "author/"+r.Author)
}

func keyOf(namespace *string, what string) string {
	if namespace == nil {
		return revocationNotes + what
	}
	return revocationNotes + "in/" + *namespace + "/" + what // a namespace has no slash
}

// Concerns reports whether it is about what an author in a namespace was given, or a token of theirs, by its jti.
func (r Revocation) Concerns(namespace, author, jti string) bool {
	return (r.Namespace == nil || *r.Namespace == namespace) && (r.Author != "" && r.Author == author || r.JTI != "" && r.JTI == jti)
}

// Revoker reports whether somebody may withdraw what others were given: operators everywhere, and who
// administers a whole namespace there.
func (p *Pass) Revoker() bool {
	ns := p.Identity().Namespace
	return p.Operator() || ns != "" && p.Over(Pattern(ns+"/*")) == Admin
}

// SetKeys replaces Options.Keys: connections and logins by tokens of keys that are not among them end, at
// once. It keeps keys. That there are none left makes nobody welcome who was not.
func (a *Authority) SetKeys(keys []Key) {
	a.mu.Lock()
	a.keys = keys
	a.mu.Unlock()
	a.endWithdrawn() // the next sweep forgets the logins
}

// fetchedKey begins Identity.Key where the key is from Options.JWKS.
const fetchedKey = "jwks:"

// knows reports whether a key by which a token was signed is in use; mu is held.
func (a *Authority) knows(print string) bool {
	print, fetched := strings.CutPrefix(print, fetchedKey)
	return slices.ContainsFunc(a.keys, func(k Key) bool { return k.print == print }) || fetched && a.remote != nil && a.remote.knows(print)
}

// refetch has the keys at Options.JWKS fetched again if tokens that are in use were signed by some, so that they end
// with them.
func (a *Authority) refetch(ctx context.Context) {
	if a.remote == nil {
		return
	}
	used := func(id *Identity) bool { return strings.HasPrefix(id.Key, fetchedKey) }
	any := false
	a.mu.Lock()
	for _, l := range a.logins {
		any = any || used(l.Identity)
	}
	holds := slices.Collect(maps.Keys(a.holds))
	a.mu.Unlock()
	if any || slices.ContainsFunc(holds, func(h *hold) bool { return h.pass.Ended() == nil && used(h.pass.Identity()) }) {
		a.remote.again(ctx)
	}
}

// withdrawn returns why an identity is not good any more, nil when it is; mu is held.
func (a *Authority) withdrawn(id *Identity) *session.Error {
	if id.Key != "" && !a.knows(id.Key) {
		return session.Errorf(session.CodeUnauthenticated, "the key that signed the token is not in use any more")
	}
	if len(a.revoked) == 0 {
		return nil
	}
	for _, namespace := range []*string{nil, &id.Namespace} {
		if id.ID != "" && id.Kind == Token {
			if _, there := a.revoked[keyOf(namespace, "jti/"+id.ID)]; there {
				return session.Errorf(session.CodeUnauthenticated, "this token was withdrawn")
			}
		}
		// Tokens say in whole seconds when they were made, and At is in these, too.
		if r, there := a.revoked[keyOf(namespace, "author/"+id.Author)]; there && !id.Issued.Truncate(time.Second).After(r.At) {
			return session.Errorf(session.CodeUnauthenticated, "what %q was given until %s was withdrawn", id.Author, r.At.Format(time.RFC3339))
		}
	}
	return nil
}

// Revoke withdraws credentials: only Namespace, JTI and Author of r are looked at. In a namespace it
// is that one. Logins and live passes by them end, at once; the revocation is durable when there is no error.
// Codes: forbidden unless by is a revoker's, bad_message, too_many, and unavailable: it is so, but not yet saved.
func (a *Authority) Revoke(ctx context.Context, by *Pass, r Revocation) (Revocation, *session.Error) {
	id := by.Identity()
	if r.Namespace == nil && id.Namespace != "" {
		r.Namespace = &id.Namespace
	}
	switch {
	case a.Open():
		return r, session.Errorf(session.CodeForbidden, "this server asks nobody who they are")
	case !by.Revoker() || id.Namespace != "" && *r.Namespace != id.Namespace:
		return r, session.Errorf(session.CodeForbidden, "only operators may do this, and admins of a whole namespace in it")
	case (r.JTI == "") == (r.Author == ""):
		return r, session.Errorf(session.CodeBadMessage, "one of jti and author says what is withdrawn")
	case len(r.JTI) > maxJTI || len(r.Author) > storage.MaxName || r.Namespace != nil && len(*r.Namespace) > storage.MaxName:
		return r, session.Errorf(session.CodeTooLarge, "a jti, author or namespace longer than %d bytes", maxJTI)
	case r.Namespace != nil && strings.Contains(*r.Namespace, "/"):
		return r, session.Errorf(session.CodeBadMessage, "a namespace has no slash")
	}
	release, refusal := a.write(ctx)
	if refusal != nil {
		return r, refusal
	}
	defer release()
	r.At, r.By = a.opt.Now().UTC().Truncate(time.Second), id.Author
	r.Until = time.Time{}
	if !a.opt.Endless {
		r.Until = r.At.Add(a.opt.MaxLife + 2*a.opt.Leeway)
	}
	a.mu.Lock()
	if refusal := a.revokes(r, id.Namespace); refusal != nil {
		a.mu.Unlock()
		return r, refusal
	}
	a.takeIn(r)
	var ended []*login
	for _, l := range a.logins {
		if a.withdrawn(l.Identity) != nil {
			ended = append(ended, l)
		}
	}
	a.mu.Unlock()
	a.endWithdrawn()
	return r, a.settle(ctx, append([]storage.Note{note(r.key(), r)}, a.forget(ended...)...)...)
}

// takeIn puts a revocation on the table, or one in its place, and takeOff takes it off; mu is held.
func (a *Authority) takeIn(r Revocation) {
	a.takeOff(r.key())
	a.revoked[r.key()] = r
	if r.Namespace != nil {
		a.revokedIn[*r.Namespace]++
	}
}

func (a *Authority) takeOff(key string) {
	r := a.revoked[key]
	delete(a.revoked, key)
	if r.Namespace == nil {
		return
	}
	leave(a.revokedIn, *r.Namespace)
}

// revokes refuses a revocation for which there is no room, by somebody in a namespace; mu is held.
func (a *Authority) revokes(r Revocation, by string) *session.Error {
	most := share(a.opt.MaxRevoked)
	switch _, there := a.revoked[r.key()]; {
	case there:
	case by != "" && len(a.revoked) >= max(1, a.opt.MaxRevoked/2): // the rest is for operators
		return session.Errorf(session.CodeTooMany, "there are %d revocations, which is the limit for others than operators", max(1, a.opt.MaxRevoked/2))
	case len(a.revoked) >= a.opt.MaxRevoked:
		return session.Errorf(session.CodeTooMany, "there are %d revocations, which is the limit", a.opt.MaxRevoked)
	case by != "" && a.revokedIn[by] >= most:
		return session.Errorf(session.CodeTooMany, "there are %d revocations in the namespace %q, which is the limit", most, by)
	}
	return nil
}

// Revocations returns the revocations in force that by may see, the newest first: operators all, others
// those of their namespace.
func (a *Authority) Revocations(by *Pass) []Revocation {
	namespace := by.Identity().Namespace
	all := []Revocation{}
	if !by.Revoker() {
		return all
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.revoked {
		if namespace == "" || r.Namespace != nil && *r.Namespace == namespace {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(x, y Revocation) int {
		if c := y.At.Compare(x.At); c != 0 {
			return c
		}
		return strings.Compare(x.key(), y.key())
	})
	return all
}

// hashOf is how secrets are kept.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
