package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"quire/session"
	"quire/storage"
)

// Revocation withdraws credentials: the token with an ID, or everything of an author that
// was issued until then. One of JTI and Author is set.
type Revocation struct {
	// JTI is the token's jti, at most 255 bytes.
	JTI string `json:"jti,omitempty"`
	// Author is whose tokens and logins are withdrawn, in every namespace; at most 255 bytes.
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
		return keyOfJTI(r.JTI)
	}
	return keyOfAuthor(r.Author)
}

func keyOfJTI(jti string) string       { return revocationNotes + "jti/" + jti }
func keyOfAuthor(author string) string { return revocationNotes + "author/" + author }

// SetKeys replaces Options.Keys: connections and logins by tokens of keys that are not among them end, at
// once. It keeps keys. That there are none left makes nobody welcome who was not.
func (a *Authority) SetKeys(keys []Key) {
	a.mu.Lock()
	a.keys = keys
	a.mu.Unlock()
	a.endWithdrawn() // the next sweep forgets the logins
}

// knows reports whether a key is among the Authority's own; mu is held.
func (a *Authority) knows(print string) bool {
	return slices.ContainsFunc(a.keys, func(k Key) bool { return k.print == print })
}

// withdrawn returns why an identity is not good any more, nil when it is; mu is held.
func (a *Authority) withdrawn(id *Identity) *session.Error {
	if id.Key != "" && !a.knows(id.Key) {
		return session.Errorf(session.CodeUnauthenticated, "the key that signed the token is not in use any more")
	}
	if id.ID != "" && id.Kind == Token {
		if _, there := a.revoked[keyOfJTI(id.ID)]; there {
			return session.Errorf(session.CodeUnauthenticated, "this token was withdrawn")
		}
	}
	// Tokens say in whole seconds when they were made, and At is in these, too.
	if r, there := a.revoked[keyOfAuthor(id.Author)]; there && !id.Issued.Truncate(time.Second).After(r.At) {
		return session.Errorf(session.CodeUnauthenticated, "what %q was given until %s was withdrawn", id.Author, r.At.Format(time.RFC3339))
	}
	return nil
}

// Revoke withdraws credentials: only JTI and Author of r are looked at. Logins and live
// passes by them end, at once; the revocation is durable when there is no error. Codes:
// forbidden unless by is an operator's, bad_message, too_many, and unavailable: it is so, but not yet saved.
func (a *Authority) Revoke(ctx context.Context, by *Pass, r Revocation) (Revocation, *session.Error) {
	switch {
	case a.Open():
		return r, session.Errorf(session.CodeForbidden, "this server asks nobody who they are")
	case !by.Operator():
		return r, session.Errorf(session.CodeForbidden, "only operators may do this")
	case (r.JTI == "") == (r.Author == ""):
		return r, session.Errorf(session.CodeBadMessage, "one of jti and author says what is withdrawn")
	case len(r.JTI) > maxJTI || len(r.Author) > storage.MaxName:
		return r, session.Errorf(session.CodeTooLarge, "a jti or author longer than %d bytes", maxJTI)
	}
	release, refusal := a.write(ctx)
	if refusal != nil {
		return r, refusal
	}
	defer release()
	r.At, r.By = a.opt.Now().UTC().Truncate(time.Second), by.Identity().Author
	r.Until = time.Time{}
	if !a.opt.Endless {
		r.Until = r.At.Add(a.opt.MaxLife + 2*a.opt.Leeway)
	}
	a.mu.Lock()
	if _, there := a.revoked[r.key()]; !there && len(a.revoked) >= a.opt.MaxRevoked {
		a.mu.Unlock()
		return r, session.Errorf(session.CodeTooMany, "there are %d revocations, which is the limit", a.opt.MaxRevoked)
	}
	a.revoked[r.key()] = r
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

// Revocations returns the revocations in force, the newest first.
func (a *Authority) Revocations() []Revocation {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]Revocation, 0, len(a.revoked))
	for _, r := range a.revoked {
		all = append(all, r)
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
