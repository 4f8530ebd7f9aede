package auth

import (
	"context"
	"crypto/subtle"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"quire/session"
	"quire/storage"
)

// LinkRequest says what an invitation is for.
type LinkRequest struct {
	// Docs are the documents, Role what may be done with them: Read or Write.
	Docs Pattern
	Role Role
	// Expires is when the invitation, and what was given by it, ends; zero: never.
	Expires time.Time
	// Uses is how often it can be taken up; 0: as often as one likes.
	Uses int
	// Note is for who made it, at most 200 bytes.
	Note string
}

// LinkInfo is an invitation as it is shown to admins.
type LinkInfo struct {
	ID      string    `json:"id"`
	Docs    Pattern   `json:"docs"`
	Role    Role      `json:"role"`
	Expires time.Time `json:"expires,omitzero"`
	Uses    int       `json:"uses,omitempty"` // 0: no bound
	Used    int       `json:"used"`           // how often it was taken up
	Note    string    `json:"note,omitempty"`
	By      string    `json:"by"` // the author who made it
	Created time.Time `json:"created"`
}

// link is an invitation as it is kept.
type link struct {
	LinkInfo
	Namespace string `json:"namespace,omitempty"` // of who made it
	Hash      string `json:"hash"`                // of the secret
}

// linkMemory is how long admins see that an invitation has run out.
const linkMemory = 7 * 24 * time.Hour

// maxNote is the longest note of an invitation in bytes.
const maxNote = 200

// maxGuest is the longest name that a guest can have in bytes: with what tells guests
// apart it is an author.
const maxGuest = 48

// maxTaken is the most invitations that one guest takes up.
const maxTaken = 32

// idBytes is how many characters of a secret are its invitation's id.
const idBytes = 8

// CreateLink makes an invitation for others; by has to be admin of all its documents. secret is
// told nowhere else. Codes: forbidden, not_found, bad_message, too_large, too_many, unavailable, busy.
func (a *Authority) CreateLink(ctx context.Context, by *Pass, r LinkRequest) (info LinkInfo, secret string, refusal *session.Error) {
	switch {
	case !a.opt.Links:
		return info, "", session.Errorf(session.CodeForbidden, "this server takes no invitations; its setting auth-links is off")
	case by.Over(r.Docs) < Admin:
		return info, "", session.Errorf(session.CodeForbidden, "only an admin of all these documents may invite to them")
	case r.Role != Read && r.Role != Write:
		return info, "", session.Errorf(session.CodeBadMessage, "an invitation is to read or to write")
	case r.Uses < 0 || !r.Expires.IsZero() && !r.Expires.After(a.opt.Now()):
		return info, "", session.Errorf(session.CodeBadMessage, "an invitation is for some use in the future")
	case len(r.Note) > maxNote || !utf8.ValidString(r.Note) || len(r.Docs) > storage.MaxDocID+1:
		return info, "", session.Errorf(session.CodeTooLarge, "a note has at most %d bytes, in UTF-8", maxNote)
	}
	id := by.Identity()
	id8, rest := newSecret()[:idBytes], newSecret()
	l := &link{
		LinkInfo: LinkInfo{ID: id8, Docs: r.Docs, Role: r.Role, Expires: r.Expires.UTC(), Uses: r.Uses, Note: r.Note, By: id.Author, Created: a.opt.Now().UTC()},
		// A guest is confined as who invited them is.
		Namespace: id.Namespace,
	}
	if r.Expires.IsZero() {
		l.Expires = time.Time{}
	}
	secret = id8 + rest
	l.Hash = hashOf(secret)
	done, refusal := a.write(ctx)
	if refusal != nil {
		return info, "", refusal
	}
	defer done()
	a.mu.Lock()
	n, own, all := len(a.links), 0, 0
	for _, o := range a.links {
		if o.Namespace == l.Namespace {
			all++
			if o.By == l.By {
				own++
			}
		}
	}
	_, taken := a.links[l.ID]
	a.mu.Unlock()
	switch most := share(a.opt.MaxLinks); {
	case n >= a.opt.MaxLinks:
		return info, "", session.Errorf(session.CodeTooMany, "there are %d invitations, which is the limit", a.opt.MaxLinks)
	case own >= most && !by.Operator():
		return info, "", session.Errorf(session.CodeTooMany, "there are %d invitations of yours, which is the limit; withdraw some", most)
	case l.Namespace != "" && Crowded(n, all, a.opt.MaxLinks):
		return info, "", session.Errorf(session.CodeTooMany, "there are %d invitations of the namespace %q, which is the limit now; withdraw some", all, l.Namespace)
	case taken:
		return info, "", session.Errorf(session.CodeBusy, "try again")
	}
	if refusal := a.put(ctx, note(linkNotes+l.ID, l)); refusal != nil {
		return info, "", refusal
	}
	a.mu.Lock()
	a.links[l.ID] = l
	a.mu.Unlock()
	return l.LinkInfo, secret, nil
}

// Links returns the invitations that concern a document and that by may see, being its
// admin, the newest first.
func (a *Authority) Links(by *Pass, doc string) ([]LinkInfo, *session.Error) {
	if refusal := by.Check(doc, Admin); refusal != nil {
		return nil, refusal
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	out := []LinkInfo{}
	for _, l := range a.links {
		if l.Docs.Matches(doc) && (l.Namespace == "" || session.NamespaceOf(doc) == l.Namespace) && by.Over(l.Docs) == Admin {
			out = append(out, l.LinkInfo)
		}
	}
	slices.SortFunc(out, func(x, y LinkInfo) int {
		if c := y.Created.Compare(x.Created); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return out, nil
}

// WithdrawLink ends an invitation, and the rights of all who took it up. by has to be admin
// of its documents. Unavailable means that it is withdrawn, but not yet saved, and it may be called again. Codes: not_found, unavailable, busy.
func (a *Authority) WithdrawLink(ctx context.Context, by *Pass, doc, id string) *session.Error {
	if refusal := by.Check(doc, Admin); refusal != nil {
		return refusal
	}
	done, refusal := a.write(ctx)
	if refusal != nil {
		return refusal
	}
	defer done()
	a.mu.Lock()
	l, unsaved := a.links[id], a.leaving[id]
	if l == nil {
		l = unsaved
	}
	if l == nil || !l.Docs.Matches(doc) || by.Over(l.Docs) < Admin {
		a.mu.Unlock()
		return session.Errorf(session.CodeNotFound, "there is no such invitation")
	}
	a.mu.Unlock()
	if l == unsaved {
		return a.settle(ctx)
	}
	return a.settle(ctx, a.withdraw(l)...)
}

// withdraw takes invitations off the table, ends what was given by them, and returns what is to
// be written then; writing is held.
func (a *Authority) withdraw(gone ...*link) (notes []storage.Note) {
	var left, stay []*login
	a.mu.Lock()
	for _, l := range gone {
		delete(a.links, l.ID)
		a.leaving[l.ID] = l
		notes = append(notes, storage.Note{Key: linkNotes + l.ID})
	}
	for _, l := range gone {
		for _, g := range a.guests(l) {
			if a.identify(g); a.over(g) != nil {
				left = append(left, g)
			} else {
				stay = append(stay, g)
			}
		}
	}
	a.mu.Unlock()
	a.lookAt(append(stay, left...)...) // before they are forgotten, so that they are told why
	return append(notes, a.forget(left...)...)
}

// guests returns the logins of those who took an invitation up; mu is held.
func (a *Authority) guests(l *link) (out []*login) {
	for _, g := range a.logins {
		if slices.Contains(g.Links, l.ID) {
			out = append(out, g)
		}
	}
	return out
}

// Moved takes in that a document has another id now, or was removed, when to is "":
// invitations to it alone go with it or end, so that guests have no rights in another document
// that gets its id. When that cannot be written it holds, is logged, and is tried again.
func (a *Authority) Moved(ctx context.Context, from, to string) {
	if strings.HasSuffix(from, "*") || !a.invited(from) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	done, _ := a.write(ctx)
	defer done()
	var gone []*link
	var guests []*login
	var notes []storage.Note
	a.mu.Lock()
	for id, l := range a.links {
		switch {
		case string(l.Docs) != from:
		case to == "" || strings.HasSuffix(to, "*") || l.Namespace != "" && session.NamespaceOf(to) != l.Namespace:
			gone = append(gone, l)
		default:
			then := *l
			then.Docs = Pattern(to)
			a.links[id] = &then
			notes = append(notes, note(linkNotes+id, &then))
			for _, g := range a.guests(l) {
				a.identify(g)
				guests = append(guests, g)
			}
		}
	}
	a.mu.Unlock()
	a.lookAt(guests...)
	notes = append(notes, a.withdraw(gone...)...)
	_ = a.settle(ctx, notes...) // it is logged
}

// invited reports whether there are invitations to one document alone.
func (a *Authority) invited(doc string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.links {
		if string(l.Docs) == doc {
			return true
		}
	}
	return false
}

// linkOver says why an invitation gives nothing any more, nil when it does; mu is held.
func (a *Authority) linkOver(id string) *session.Error {
	l := a.links[id]
	switch {
	case !a.opt.Links:
		return session.Errorf(session.CodeUnauthenticated, "this server takes no invitations now")
	case l == nil:
		return session.Errorf(session.CodeUnauthenticated, "the invitation was withdrawn")
	case !l.Expires.IsZero() && !a.opt.Now().Before(l.Expires):
		return session.Errorf(session.CodeUnauthenticated, "the invitation ran out at %s", l.Expires.Format(time.RFC3339))
	}
	return nil
}

// join takes up an invitation, for the guest who has the cookie when they have the name.
func (a *Authority) join(ctx context.Context, secret, name, cookie string) (*Login, *session.Error) {
	if refusal := checkGuest(name); refusal != nil {
		return nil, refusal
	}
	a.mu.Lock()
	_, refusal := a.invitation(secret) // who guesses does not wait in the way of others
	a.mu.Unlock()
	if refusal != nil {
		return nil, refusal
	}
	done, refusal := a.write(ctx)
	if refusal != nil {
		return nil, refusal
	}
	defer done()
	a.mu.Lock()
	l, refusal := a.invitation(secret)
	if refusal != nil {
		a.mu.Unlock()
		return nil, refusal
	}
	guest := a.guest(cookie, name, l)
	if guest != nil && slices.Contains(guest.Links, l.ID) {
		defer a.mu.Unlock()
		return &Login{Cookie: cookie, Identity: guest.Identity, Docs: l.Docs}, nil
	}
	then := *l
	then.Used++
	a.mu.Unlock()
	if l.Uses > 0 && l.Used >= l.Uses {
		return nil, session.Errorf(session.CodeUnauthenticated, "the invitation was used up")
	}
	var made *Login
	if guest != nil {
		made, refusal = a.joinMore(ctx, guest, &then)
	} else {
		made, refusal = a.begin(ctx, Identity{
			Author: a.newGuest(name), Name: name, Namespace: l.Namespace,
			Grants: []Grant{{l.Docs, l.Role}}, Issued: a.opt.Now().UTC(), Expires: l.Expires, Kind: Link, ID: l.ID,
		}, l, note(linkNotes+l.ID, &then))
	}
	if refusal != nil {
		return nil, refusal
	}
	if guest != nil {
		made.Cookie = cookie
	}
	a.mu.Lock()
	a.links[l.ID] = &then
	a.mu.Unlock()
	made.Docs = l.Docs
	return made, nil
}

// newGuest returns as whom a guest is recorded: as nobody else who is logged in.
func (a *Authority) newGuest(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		if author := name + "~" + hashOf(newSecret())[:guestDigits]; !a.named[author] {
			return author
		}
	}
}

// joinMore has a guest take up another invitation, which is written as then; writing is held.
func (a *Authority) joinMore(ctx context.Context, guest *login, then *link) (*Login, *session.Error) {
	a.mu.Lock()
	more := *guest
	more.Links = nil
	for _, id := range guest.Links { // those that are over make room
		if a.linkOver(id) == nil {
			more.Links = append(more.Links, id)
		}
	}
	a.mu.Unlock()
	if len(more.Links) >= maxTaken {
		return nil, session.Errorf(session.CodeTooMany, "you took up %d invitations, which is the limit", maxTaken)
	}
	more.Links = append(more.Links, then.ID)
	if refusal := a.put(ctx, note(linkNotes+then.ID, then), note(sessionNotes+guest.Hash, &more)); refusal != nil {
		return nil, refusal
	}
	a.mu.Lock()
	guest.Links = more.Links
	a.identify(guest)
	made := &Login{Identity: guest.Identity}
	a.mu.Unlock()
	a.lookAt(guest)
	return made, nil
}

// invitation returns the one with a secret, unless it is over; mu is held.
func (a *Authority) invitation(secret string) (*link, *session.Error) {
	var l *link
	if len(secret) > idBytes {
		l = a.links[secret[:idBytes]]
	}
	if l == nil || subtle.ConstantTimeCompare([]byte(l.Hash), []byte(hashOf(secret))) != 1 {
		return nil, session.Errorf(session.CodeUnauthenticated, "there is no such invitation, or it was withdrawn")
	}
	return l, a.linkOver(l.ID)
}

// guest returns the login of a cookie when it is a guest's of a name, who can take l up as well;
// mu is held.
func (a *Authority) guest(cookie, name string, l *link) *login {
	if cookie == "" {
		return nil
	}
	g := a.logins[hashOf(cookie)]
	if g == nil || len(g.Links) == 0 || g.Identity.Name != name || g.Identity.Namespace != l.Namespace || a.over(g) != nil {
		return nil
	}
	return g
}

// checkGuest refuses names that could pass for other people's authors or that show wrongly.
func checkGuest(name string) *session.Error {
	switch {
	case strings.TrimSpace(name) == "" || name != strings.TrimSpace(name):
		return session.Errorf(session.CodeBadMessage, "say under which name you want to be seen, without space around it")
	case len(name) > maxGuest || !utf8.ValidString(name):
		return session.Errorf(session.CodeTooLarge, "a name has at most %d bytes, in UTF-8", maxGuest)
	case strings.ContainsFunc(name, func(r rune) bool { return r == '~' || !unicode.IsGraphic(r) }):
		return session.Errorf(session.CodeBadMessage, "a name has no tildes and no invisible characters")
	}
	return nil
}
