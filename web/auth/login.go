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

// maxAuthorLogins is the most logins by tokens of one author at once; another ends the oldest.
const maxAuthorLogins = 100

// login is a login, as it is kept.
type login struct {
	Hash  string    `json:"hash"` // of the cookie's value
	Begun time.Time `json:"begun"`
	// Links are the ids of the invitations that a guest took up; empty for a login by a token.
	// Their grants and what they are good for is looked up.
	Links []string `json:"links,omitempty"`

	// Guarded by Authority.mu.
	Identity *Identity          `json:"identity"` // replaced, not changed
	until    time.Time          // when Identity has to be made anew
	gone     bool               // it was ended
	holds    map[*hold]struct{} // the live passes by it
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
// browser. It is durable when there is no error. A guest who is logged in (c.Session) and takes
// another invitation up under the same name stays who they are, and has both. Codes: unauthenticated, bad_message,
// too_many, too_large, unavailable, busy.
func (a *Authority) Login(ctx context.Context, c Credentials, r LoginRequest) (*Login, *session.Error) {
	switch {
	case a.Open():
		return nil, session.Errorf(session.CodeUnauthenticated, "this server asks nobody who they are")
	case (r.Token == "") == (r.Link == ""):
		return nil, session.Errorf(session.CodeBadMessage, "give one of token and link")
	case r.Link != "":
		return a.join(ctx, r.Link, r.Name, c.Session)
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
	return a.begin(ctx, &login{Identity: id})
}

// begin makes a login durable, with what is written together with it; writing is held. An
// author who has many loses the oldest.
func (a *Authority) begin(ctx context.Context, l *login, more ...storage.Note) (*Login, *session.Error) {
	cookie := newSecret()
	l.Hash, l.Begun, l.holds = hashOf(cookie), a.opt.Now().UTC(), map[*hold]struct{}{}
	id := *l.Identity
	if end := l.Begun.Add(a.opt.SessionLife); id.Expires.IsZero() || end.Before(id.Expires) {
		id.Expires = end
	}
	l.Identity = &id
	a.mu.Lock()
	oldest := a.oldest(l)
	n := len(a.logins) - len(oldest)
	a.mu.Unlock()
	if n >= a.opt.MaxSessions {
		return nil, session.Errorf(session.CodeTooMany, "there are %d logins, which is the limit", n)
	}
	if refusal := a.put(ctx, append(more, note(sessionNotes+l.Hash, l))...); refusal != nil {
		return nil, refusal
	}
	a.mu.Lock()
	a.add(l)
	made := &Login{Cookie: cookie, Identity: l.Identity}
	a.mu.Unlock()
	if len(oldest) > 0 {
		a.forget(oldest...)
		_ = a.saveNow(ctx) // it is logged, and tried again; the login is good
	}
	return made, nil
}

// oldest returns the login that has to end for another, if there is one; mu is held.
func (a *Authority) oldest(l *login) (out []*login) {
	same := a.people[l.person()]
	if len(l.Links) > 0 || len(same) < maxAuthorLogins {
		return nil
	}
	for o := range same {
		if len(out) == 0 {
			out = []*login{o}
		} else if o.Begun.Before(out[0].Begun) {
			out[0] = o
		}
	}
	return out
}

func (l *login) person() person { return person{l.Identity.Namespace, l.Identity.Author} }

// add has a login found; mu is held.
func (a *Authority) add(l *login) {
	a.logins[l.Hash] = l
	if len(l.Links) == 0 {
		who := l.person()
		if a.people[who] == nil {
			a.people[who] = map[*login]struct{}{}
		}
		a.people[who][l] = struct{}{}
	}
	for _, id := range l.Links {
		if k := a.links[id]; k != nil {
			k.guests[l] = struct{}{}
		}
	}
	a.identify(l)
}

// remove undoes add; mu is held.
func (a *Authority) remove(l *login) {
	l.gone = true
	delete(a.logins, l.Hash)
	who := l.person()
	if delete(a.people[who], l); len(a.people[who]) == 0 {
		delete(a.people, who)
	}
	for _, id := range l.Links {
		if k := a.links[id]; k != nil {
			delete(k.guests, l)
		}
	}
}

// identify looks up what a guest's invitations give now; mu is held.
func (a *Authority) identify(l *login) {
	l.until = l.Identity.Expires
	if len(l.Links) == 0 {
		return
	}
	id := *l.Identity
	most := l.Begun.Add(a.opt.SessionLife)
	id.Grants, id.Expires, l.until = nil, time.Time{}, most
	for _, name := range l.Links {
		if a.linkOver(name) != nil {
			continue
		}
		k, end := a.links[name], most
		if !k.Expires.IsZero() && k.Expires.Before(most) {
			end = k.Expires
		}
		id.Grants = append(id.Grants, Grant{k.Docs, k.Role})
		if end.After(id.Expires) {
			id.Expires = end
		}
		if end.Before(l.until) {
			l.until = end
		}
	}
	if len(id.Grants) > 0 { // else it is over, and stays as it was
		l.Identity = &id
	}
}

// Logout ends the login that a pass was given by, and every live pass by it, at once. It does
// nothing to others. With an error, unavailable or busy, the login may be there again after a
// restart; it is tried on until then.
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
	a.forget(s.login)
	return a.save(ctx)
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
	if l.gone {
		return errSessionOver
	}
	if len(l.Links) > 0 {
		var why *session.Error
		for _, id := range l.Links {
			if why = a.linkOver(id); why == nil {
				break
			}
		}
		if why != nil {
			return why
		}
	}
	if !a.opt.Now().Before(l.Identity.Expires) {
		return errSessionOver
	}
	return a.withdrawn(l.Identity)
}

// loginSource is a login as a source of rights.
type loginSource struct {
	authority *Authority
	login     *login
}

func (s *loginSource) rights(context.Context) (*Identity, time.Time, *session.Error) {
	a, l := s.authority, s.login
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.opt.Now().Before(l.until) {
		a.identify(l)
	}
	return l.Identity, l.until, a.over(l)
}
