// Package wire is what all parts of the ShareDB gateway share: how collections and ids
// name documents, how refusals look, and the worker that its background steps run in.
package wire

import (
	"strings"

	"quire/storage"
)

// forbidden are the names that JavaScript's Object.prototype has. ShareDB refuses them
// wherever a name may become the key of an object.
var forbidden = map[string]bool{
	"__proto__": true, "__defineGetter__": true, "__defineSetter__": true, "__lookupGetter__": true, "__lookupSetter__": true,
	"constructor": true, "hasOwnProperty": true, "isPrototypeOf": true, "propertyIsEnumerable": true,
	"toLocaleString": true, "toString": true, "valueOf": true,
}

// Allowed reports whether a name may be a collection, a document id, a presence channel
// or a presence id: it is not one that JavaScript's Object.prototype has.
func Allowed(name string) bool { return !forbidden[name] }

var escape = strings.NewReplacer("%", "%25", "/", "%2F")

// FromCollection returns the id under which Quire keeps document d of collection c: c,
// with "%" and "/" in it written %25 and %2F, then "/" and d. In the collection "" are
// the documents whose id has no slash; their id is d. It fails with CodeBadlyFormed,
// "Invalid collection" or "Invalid id".
func FromCollection(c, d string) (string, *Error) {
	prefix, err := Prefix(c)
	switch {
	case err != nil:
		return "", err
	case d == "" || !Allowed(d), c == "" && strings.Contains(d, "/"), storage.CheckDocID(prefix+d) != nil:
		return "", Errorf(CodeBadlyFormed, "Invalid id")
	}
	return prefix + d, nil
}

// Prefix returns what the ids of a collection's documents begin with, up to and with
// the slash; "" for the collection "". It fails with CodeBadlyFormed, "Invalid
// collection".
func Prefix(c string) (string, *Error) {
	if c == "" {
		return "", nil
	}
	prefix := escape.Replace(c) + "/"
	if !Allowed(c) || storage.CheckDocID(prefix) != nil {
		return "", Errorf(CodeBadlyFormed, "Invalid collection")
	}
	return prefix, nil
}

// ToCollection returns the collection and the document id that name a document of
// Quire; FromCollection of them is id. It returns false when ShareDB clients cannot
// name it.
func ToCollection(id string) (c, d string, ok bool) {
	c, d, found := strings.Cut(id, "/")
	if !found {
		return "", id, Allowed(id) && id != ""
	}
	if strings.Contains(c, "%") {
		c = strings.ReplaceAll(strings.ReplaceAll(c, "%2F", "/"), "%25", "%")
	}
	again, err := FromCollection(c, d)
	return c, d, c != "" && err == nil && again == id
}
