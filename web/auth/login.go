package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
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

// login is a login, as it is kept.
type login struct {
	Hash  string    `json:"hash"` // of the cookie's value
	Begun time.Time `json:"begun"`
	Key   string    `json:"key,omitempty"` // Identity.Key, as it is kept; see keptAs

	By string `json:"by,omitempty"` // the author whose invitation it was begun by

	// Guarded by Authority.mu.
	Links    []string           `json:"links,omitempty"` // ids of the invitations that a guest took up; replaced, not changed
	Identity *Identity          `json:"identity"`        // a guest's is made anew when one of Links changes
	until    time.Time          // when Identity has to be made anew, or is over
	gone     bool               // it was ended
	holds    map[*hold]struct{} // the live passes by it
}

// seat is whose login it is as logins are counted: an invitation's, or an author's.
func (l *login) seat() string {
	if l.Identity.Kind == Link {
		return "\x00" + l.Identity.ID // what no namespace begins with
	}
	return l.Identity.Namespace + "/" + l.Identity.Author
}

// party is whose login it is when there are many: a namespace's, or outside of all an inviter's; empty: nobody's who
// answers for others, too.
func (l *login) party() string {
	switch {
	case l.Identity.Namespace != "":
		return l.Identity.Namespace + "/"
	case l.By != "":
		return "\x00" + l.By
	}
	return ""
}

// share is how many of so many places one may take, so that none is kept out by another.
func share(of int) int { return max(1, of/10) }

// Crowded reports whether a party of many who have own of some places gets no more of them: when half of all are taken
// it has its share, so that all others together have the rest.
func Crowded(taken, own, of int) bool { return taken >= of/2 && own >= share(of) }

// seatIn puts a login on the table; mu is held.
func (a *Authority) seatIn(l *login) {
	a.logins[l.Hash] = l
	a.seats[l.seat()]++
	a.parties[l.party()]++
	if l.Identity.Kind == Link {
		a.named[l.Identity.Author] = true
	}
	a.identify(l)
}

// seatOut takes it off, once; mu is held.
func (a *Authority) seatOut(l *login) {
	if l.gone {
		return
	}
	l.gone = true
	delete(a.logins, l.Hash)
	delete(a.named, l.Identity.Author)
	leave(a.seats, l.seat())
	leave(a.parties, l.party())
}

// leave takes one off a count, which is forgotten when it is none.
func leave(counts map[string]int, of string) {
	if counts[of]--; counts[of] == 0 {
		delete(counts, of)
	}
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
	return a.begin(ctx, *id, nil)
}

// begin makes and writes a login, of a guest by an invitation; writing is held. more is written together with it.
func (a *Authority) begin(ctx context.Context, id Identity, by *link, more ...storage.Note) (*Login, *session.Error) {
	now := a.opt.Now().UTC()
	if end := now.Add(a.opt.SessionLife); id.Expires.IsZero() || end.Before(id.Expires) {
		id.Expires = end
	}
	cookie := newSecret()
	l := &login{Hash: hashOf(cookie), Begun: now, Key: a.keptAs(id.Key), Identity: &id, holds: map[*hold]struct{}{}}
	if by != nil {
		l.By, l.Links = by.By, []string{by.ID}
	}
	a.mu.Lock()
	n, own, all := len(a.logins), a.seats[l.seat()], a.parties[l.party()]
	a.mu.Unlock()
	switch most := share(a.opt.MaxSessions); {
	case n >= a.opt.MaxSessions:
		return nil, session.Errorf(session.CodeTooMany, "there are %d logins, which is the limit", a.opt.MaxSessions)
	case own >= most:
		return nil, session.Errorf(session.CodeTooMany, "there are %d logins of this author or by this invitation, which is the limit", most)
	case l.party() != "" && Crowded(n, all, a.opt.MaxSessions):
		return nil, session.Errorf(session.CodeTooMany, "there are %d logins of this namespace, or of guests of who made the invitation, which is the limit now", all)
	}
	if refusal := a.put(ctx, append(more, note(sessionNotes+l.Hash, l))...); refusal != nil {
		return nil, refusal
	}
	a.mu.Lock()
	a.seatIn(l)
	a.mu.Unlock()
	return &Login{Cookie: cookie, Identity: &id}, nil
}

// Logout ends the login of a cookie, and every live pass by it, and returns whose it was; nil when there is none.
// Unavailable means that it has ended, but that this is not yet saved; it may be called again. Codes: unavailable, busy.
func (a *Authority) Logout(ctx context.Context, cookie string) (who *Identity, refusal *session.Error) {
	if cookie == "" || a.Open() {
		return nil, nil
	}
	done, refusal := a.write(ctx)
	if refusal != nil {
		return nil, refusal
	}
	defer done()
	hash := hashOf(cookie)
	a.mu.Lock()
	l := a.logins[hash]
	if l != nil {
		who = l.Identity
	}
	a.mu.Unlock()
	switch {
	case l != nil:
		return who, a.settle(ctx, a.forget(l)...)
	case slices.ContainsFunc(a.owed, func(n storage.Note) bool { return n.Key == sessionNotes+hash }):
		return nil, a.settle(ctx)
	}
	return nil, nil
}

// session returns the source of the rights of a login by its cookie; nil when there is none, and when it is over
// and there is an application that may know who it is now.
// The table has hashes, so how long it is looked for tells nothing of a cookie.
func (a *Authority) session(cookie string) source {
	if cookie == "" {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.logins[hashOf(cookie)]; l != nil && (a.app == nil || a.over(l) == nil) {
		return &loginSource{a, l}
	}
	return nil
}

// identify makes the identity of a guest from the invitations that they took up; mu is held.
// When all of them are over it stays as it was.
func (a *Authority) identify(l *login) {
	l.until = l.Identity.Expires
	if len(l.Links) == 0 {
		return
	}
	id, most := *l.Identity, l.Begun.Add(a.opt.SessionLife)
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
	if len(id.Grants) > 0 {
		l.Identity = &id
	}
}

// over says why a login is over, nil when it is not; mu is held.
func (a *Authority) over(l *login) *session.Error {
	if l.gone {
		return errSessionOver
	}
	var why *session.Error
	for _, id := range l.Links {
		if why = a.linkOver(id); why == nil {
			break
		}
	}
	switch {
	case why != nil:
		return why
	case !a.opt.Now().Before(l.Identity.Expires):
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
