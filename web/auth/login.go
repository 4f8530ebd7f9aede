package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"quire/session"
	"quire/storage"
)

// LoginRequest is what a login is made from: a token, or the secret of an invitation and
// the name of whom it was given to.
type LoginRequest struct {
	Token string `json:"token,omitempty"`
	Link  string `json:"link,omitempty"`
	Name  string `json:"name,omitempty"`
}

// Login is a login that was made.
type Login struct {
	// Cookie is the value of the cookie named CookieName. Nothing else has it.
	Cookie string
	// Identity is who it is. Its Expires is when the login ends, and never zero.
	Identity *Identity
	// Docs is what an invitation is for; empty for a token.
	Docs Pattern
}

// login is a login, as it is kept. Nothing of it but gone and holds changes.
type login struct {
	Hash     string    `json:"hash"` // of the cookie's value
	Identity *Identity `json:"identity"`
	// Created is when it was made; zero of those that are older than this field.
	Created time.Time `json:"created,omitzero"`

	// Guarded by Authority.mu.
	gone  bool
	holds map[*hold]struct{} // the live passes by it
}

// secretBytes is how long cookies and the secrets of invitations are.
const secretBytes = 32

// newSecret makes a secret of 43 characters that addresses and cookies can have.
func newSecret() string {
	var b [secretBytes]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Login makes a login from a token or an invitation, for later requests of the same
// browser. It is durable when there is no error. Codes: unauthenticated, bad_message,
// too_many, too_large, unavailable, busy.
func (a *Authority) Login(ctx context.Context, c Credentials, r LoginRequest) (*Login, *session.Error) {
	switch {
	case a.Open():
		return nil, session.Errorf(session.CodeUnauthenticated, "this server asks nobody who they are")
	case (r.Token == "") == (r.Link == ""):
		return nil, session.Errorf(session.CodeBadMessage, "give one of token and link")
	case r.Link != "":
		return a.join(ctx, r.Link, r.Name)
	}
	c.Token = r.Token
	src, refusal := a.tokenSource(ctx, c)
	if refusal != nil {
		return nil, refusal
	}
	id, _, refusal := src.rights(ctx)
	if refusal != nil {
		return nil, refusal
	}
	if id.Kind != Token {
		return nil, session.Errorf(session.CodeUnauthenticated, "only tokens that this server can verify itself are exchanged")
	}
	done, refusal := a.write(ctx)
	if refusal != nil {
		return nil, refusal
	}
	defer done()
	return a.begin(ctx, *id)
}

// begin makes and writes a login; writing is held. more is written together with it.
func (a *Authority) begin(ctx context.Context, id Identity, more ...storage.Note) (*Login, *session.Error) {
	now := a.opt.Now()
	if end := now.Add(a.opt.SessionLife); id.Expires.IsZero() || end.Before(id.Expires) {
		id.Expires = end
	}
	cookie := newSecret()
	l := &login{Hash: hashOf(cookie), Identity: &id, Created: now.UTC(), holds: map[*hold]struct{}{}}
	instead, refusal := a.place(l)
	if refusal != nil {
		return nil, refusal
	}
	notes := append(more, note(sessionNotes+l.Hash, l))
	if instead != nil {
		notes = append(notes, storage.Note{Key: sessionNotes + instead.Hash})
	}
	if refusal := a.put(ctx, notes...); refusal != nil {
		return nil, refusal
	}
	if instead != nil {
		a.forget(instead)
	}
	a.mu.Lock()
	a.logins[l.Hash] = l
	a.mu.Unlock()
	return &Login{Cookie: cookie, Identity: &id}, nil
}

// loginsEach is how many logins one person has at most by tokens; the oldest ends for another. All guests of
// an invitation together have at most one in guestsPart of all logins.
const (
	loginsEach = 100
	guestsPart = 10
)

// place finds room for a login, so that nobody takes that of all others: it returns the login that is to end
// for it, nil when none is. writing is held.
func (a *Authority) place(l *login) (instead *login, refusal *session.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	same := 0
	for _, other := range a.logins {
		if !other.Identity.shares(l.Identity) {
			continue
		}
		if same++; instead == nil || other.Created.Before(instead.Created) {
			instead = other
		}
	}
	switch n := len(a.logins); {
	case l.Identity.Kind == Link && same >= max(a.opt.MaxSessions/guestsPart, 1):
		return nil, session.Errorf(session.CodeTooMany, "there are %d guests by this invitation, which is the limit", same)
	case l.Identity.Kind != Link && same >= loginsEach:
		return instead, nil
	case n >= a.opt.MaxSessions:
		return nil, session.Errorf(session.CodeTooMany, "there are %d logins, which is the limit", n)
	}
	return nil, nil
}

// shares reports whether logins of two identities are counted together.
func (i *Identity) shares(with *Identity) bool {
	if i.Kind != with.Kind {
		return false
	}
	if i.Kind == Link {
		return i.ID == with.ID
	}
	return i.Author == with.Author && i.Namespace == with.Namespace
}

// Logout ends the login that a pass was given by, and every live pass by it. It does
// nothing to others.
func (a *Authority) Logout(ctx context.Context, p *Pass) *session.Error {
	if p.hold == nil {
		return nil
	}
	p.hold.mu.Lock()
	s, ok := p.hold.src.(*loginSource)
	p.hold.mu.Unlock()
	if !ok {
		return nil
	}
	done, refusal := a.write(ctx)
	if refusal != nil {
		return refusal
	}
	defer done()
	return a.put(ctx, a.forget(s.login)...)
}

// session returns the source of the rights of a login by its cookie; nil when there is none.
// The table has hashes, so how long it is looked for tells nothing of a cookie.
func (a *Authority) session(cookie string) source {
	if cookie == "" {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.logins[hashOf(cookie)]; l != nil {
		return &loginSource{a, l}
	}
	return nil
}

// over says why a login is over, nil when it is not; mu is held.
func (a *Authority) over(l *login) *session.Error {
	switch {
	case l.gone, !a.opt.Now().Before(l.Identity.Expires):
		return errSessionOver
	case l.Identity.Kind == Link:
		if refusal := a.linkOver(l.Identity.ID); refusal != nil {
			return refusal
		}
	}
	return a.withdrawn(l.Identity)
}

// loginSource is a login as a source of rights.
type loginSource struct {
	authority *Authority
	login     *login
}

func (s *loginSource) rights(context.Context) (*Identity, time.Time, *session.Error) {
	a := s.authority
	a.mu.Lock()
	defer a.mu.Unlock()
	until := s.login.Identity.Expires
	if l := a.links[s.login.Identity.ID]; s.login.Identity.Kind == Link && l != nil && !l.Expires.IsZero() && l.Expires.Before(until) {
		until = l.Expires
	}
	return s.login.Identity, until, a.over(s.login)
}
