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
	n, own := len(a.links), 0
	for _, o := range a.links {
		if o.By == l.By && o.Namespace == l.Namespace {
			own++
		}
	}
	_, taken := a.links[l.ID]
	a.mu.Unlock()
	switch most := share(a.opt.MaxLinks); {
	case n >= a.opt.MaxLinks:
		return info, "", session.Errorf(session.CodeTooMany, "there are %d invitations, which is the limit", a.opt.MaxLinks)
	case own >= most && !by.Operator():
		return info, "", session.Errorf(session.CodeTooMany, "there are %d invitations of yours, which is the limit; withdraw some", most)
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
// of its documents. Unavailable means that it is withdrawn, but not yet saved. Codes: not_found, unavailable, busy.
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
	l := a.links[id]
	if l == nil || !l.Docs.Matches(doc) || by.Over(l.Docs) < Admin {
		a.mu.Unlock()
		return session.Errorf(session.CodeNotFound, "there is no such invitation")
	}
	delete(a.links, id)
	var guests []*login
	for _, g := range a.logins {
		if g.Identity.Kind == Link && g.Identity.ID == id {
			guests = append(guests, g)
		}
	}
	a.mu.Unlock()
	return a.settle(ctx, append([]storage.Note{{Key: linkNotes + id}}, a.forget(guests...)...)...)
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

// join takes up an invitation.
func (a *Authority) join(ctx context.Context, secret, name string) (*Login, *session.Error) {
	if refusal := checkGuest(name); refusal != nil {
		return nil, refusal
	}
	done, refusal := a.write(ctx)
	if refusal != nil {
		return nil, refusal
	}
	defer done()
	a.mu.Lock()
	var l *link
	if len(secret) > idBytes {
		l = a.links[secret[:idBytes]]
	}
	if l == nil || subtle.ConstantTimeCompare([]byte(l.Hash), []byte(hashOf(secret))) != 1 {
		a.mu.Unlock()
		return nil, session.Errorf(session.CodeUnauthenticated, "there is no such invitation, or it was withdrawn")
	}
	refusal = a.linkOver(l.ID)
	if refusal == nil && l.Uses > 0 && l.Used >= l.Uses {
		refusal = session.Errorf(session.CodeUnauthenticated, "the invitation was used up")
	}
	then := *l
	then.Used++
	a.mu.Unlock()
	if refusal != nil {
		return nil, refusal
	}
	id := Identity{
		Author: name + "~" + hashOf(newSecret())[:6], Name: name, Namespace: l.Namespace,
		Grants: []Grant{{l.Docs, l.Role}}, Issued: a.opt.Now().UTC(), Kind: Link, ID: l.ID,
	}
	id.Expires = l.Expires
	made, refusal := a.begin(ctx, id, note(linkNotes+l.ID, &then))
	if refusal != nil {
		return nil, refusal
	}
	a.mu.Lock()
	a.links[l.ID] = &then
	a.mu.Unlock()
	made.Docs = l.Docs
	return made, nil
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
