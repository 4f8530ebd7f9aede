package api

import (
	"crypto/rand"
	"strings"

	"quire/session"
	"quire/storage"
	"quire/web/auth"
)

// access is what somebody has to be allowed for a route.
type access uint8

const (
	operators access = iota // what is about the server as a whole
	public                  // nothing
	revokers                // to withdraw what others were given, somewhere
	listed                  // to see something: what comes of it depends on that
	creators                // to write: the document that is named, or some document
	readers                 // to read the route's document
	writers                 // to write it
	admins                  // to administer it
)

var roles = map[access]auth.Role{readers: auth.Read, writers: auth.Write, admins: auth.Admin}

// allow refuses what the sender may not do. It says the same of a document that they may not
// read, whether it is there or not, as of one that is not there; so it comes before all that looks at the
// rest of the request.
func (r *request) allow() error {
	if r.route.access == public {
		return nil
	}
	if why := r.pass.Ended(); why != nil {
		return why
	}
	switch need := r.route.access; need {
	case listed:
		return nil
	case operators:
		if !r.pass.Operator() {
			return session.Errorf(session.CodeForbidden, "this is for operators of the server")
		}
		return nil
	case revokers:
		if !r.pass.Revoker() {
			return session.Errorf(session.CodeForbidden, "this is for operators of the server, and for admins of a whole namespace")
		}
		return nil
	case creators:
		if id, ok := r.param("id"); ok {
			return r.may(id, auth.Write)
		}
		if len(r.pass.Identity().With(auth.Write, "")) == 0 {
			return session.Errorf(session.CodeForbidden, "this needs the right to write a document; you have none")
		}
		return nil
	default:
		return r.may(r.id, roles[need])
	}
}

// may refuses what needs a role in a document that the sender does not have.
func (r *request) may(id string, need auth.Role) error {
	if storage.CheckDocID(id) != nil {
		return badID()
	}
	if err := r.pass.Check(id, need); err != nil {
		return err
	}
	return nil
}

func badID() *Error {
	return bad(string(session.CodeBadID), "A document id is 1 to %d bytes of UTF-8 without control characters.", storage.MaxDocID)
}

// newID draws an id that the sender may create a document by.
func (r *request) newID() (string, error) {
	id := rand.Text()[:12]
	if r.pass.Role(id) >= auth.Write {
		return id, nil
	}
	for _, p := range r.pass.Identity().With(auth.Write, "") {
		if prefix, many := strings.CutSuffix(string(p), "*"); many && storage.CheckDocID(prefix+id) == nil {
			return prefix + id, nil
		}
	}
	return "", bad("missing_field", "Say by what id to create the document: you may not choose any.")
}
