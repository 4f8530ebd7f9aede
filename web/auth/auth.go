// Package auth decides who somebody is and what they may do with which documents. Who
// they are is said by the host application, in a signed token or when it is asked, or by an
// invitation; docs/auth.md describes it for operators and applications.
//
// A connection or a request has a Pass, which says what may be done now: it changes while
// the connection lives, when a credential runs out, is renewed or is withdrawn.
package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json" // refuses members that come twice
)

// Role is what somebody may do with a document; each includes those before it.
type Role uint8

// The roles.
const (
	// None: not even learn that the document exists.
	None Role = iota
	// Read: see it, its past and who is there, and show a cursor.
	Read
	// Write: edit it, create it, and set its title, fields and labels.
	Write
	// Admin: delete, rename, redact and squash it, register webhooks, invite others.
	Admin
)

var roleNames = [...]string{"none", "read", "write", "admin"}

// String returns the role's name as tokens have it.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("Role(%d)", uint8(r))
}

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	for i, name := range roleNames {
		if s == name {
			return Role(i), nil
		}
	}
	return None, fmt.Errorf("there is no role %.40q; there are none, read, write and admin", s)
}

// MarshalText implements encoding.TextMarshaler.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Role) UnmarshalText(text []byte) error {
	role, err := ParseRole(string(text))
	*r = role
	return err
}

// Pattern names documents: an id, or the beginning of ids with "*" after it. "*" is every
// document. An asterisk elsewhere is one of the id's characters.
type Pattern string

// Matches reports whether a document's id is one of those meant.
func (p Pattern) Matches(doc string) bool {
	if prefix, ok := strings.CutSuffix(string(p), "*"); ok {
		return strings.HasPrefix(doc, prefix)
	}
	return string(p) == doc
}

// Grant gives a role in the documents of a pattern.
type Grant struct {
	Docs Pattern `json:"docs"`
	Role Role    `json:"role"`
}

// UnmarshalJSON implements json.Unmarshaler. A member that is not known is refused: it could be
// meant to narrow what is granted.
func (g *Grant) UnmarshalJSON(data []byte) error {
	var members map[string]string
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	role, err := ParseRole(members["role"])
	if _, docs := members["docs"]; err != nil || !docs || len(members) != 2 {
		return errors.Join(errors.New("a grant has docs and role, and nothing else"), err)
	}
	*g = Grant{Pattern(members["docs"]), role}
	return nil
}

// Kind is how somebody showed who they are.
type Kind uint8

// The kinds.
const (
	// Open: not at all; the server asks nobody.
	Open Kind = iota
	// Token: by a signed token.
	Token
	// Callback: the application was asked.
	Callback
	// Link: by an invitation.
	Link
)

// Identity is who somebody is and what they may do, as one credential says. It is not
// changed once made.
type Identity struct {
	// Author is recorded with their operations: stable, unique, chosen by the application.
	// Empty for Open alone.
	Author string
	// Name is how they are shown to others; Author when empty.
	Name string
	// Namespace confines them to documents whose ids begin with it and a slash, whatever
	// Grants say. Empty: not confined.
	Namespace string
	// Grants are what they may do; the highest role counts.
	Grants []Grant
	// Issued is when the credential was made, Expires when it runs out; zero: not known, never.
	Issued, Expires time.Time
	// Kind is how they showed it, ID the token's jti or the invitation's id; empty: none.
	Kind Kind
	ID   string
	// Key tells by which key of the Authority's a token was signed; empty: there was none.
	Key string `json:"-"`
}

// Role returns what they may do with a document by its id, whether or not there is such a
// document. It does not look at Expires.
func (i *Identity) Role(doc string) Role {
	if i.Namespace != "" && !strings.HasPrefix(doc, i.Namespace+"/") {
		return None
	}
	most := None
	for _, g := range i.Grants {
		if g.Role > most && g.Docs.Matches(doc) {
			most = g.Role
		}
	}
	return most
}

// Operator reports whether they run the server: Admin of every document of every
// namespace. Only operators see what is about the server as a whole: its metrics, a
// backup, other people's connections.
func (i *Identity) Operator() bool {
	if i.Namespace != "" {
		return false
	}
	for _, g := range i.Grants {
		if g.Docs == "*" && g.Role == Admin {
			return true
		}
	}
	return false
}
