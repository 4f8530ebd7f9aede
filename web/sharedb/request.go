package sharedb

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"

	"quire/ot/jsonscan"
	"quire/session"
	"quire/web/sharedb/wire"
)

// request is one message of a client.
type request struct {
	// raw is the message; the members' values are parts of it.
	raw     []byte
	members []field

	// Set by check.
	a    string
	c, d string // names of a collection and a document; empty when there are none
	doc  string // id of the document, of requests about one
	// rev is the revision that v speaks of; session.Head when v is null.
	rev session.Revision
}

// field is a member of the message.
type field struct {
	name  string
	value []byte
}

// parse takes a message apart; it reports whether it is a JSON object, as far as that
// can be told without reading the values.
func parse(data []byte) (*request, bool) {
	r := &request{raw: data, members: make([]field, 0, 10)}
	in := jsonscan.New(data)
	err := in.Object(func(name string) error {
		value, err := in.Raw()
		r.members = append(r.members, field{name, value})
		return err
	})
	return r, err == nil && in.End() == nil
}

// keep returns the request on bytes of its own, to be used later: of a large one what refused
// sends back.
func (r *request) keep() *request {
	raw := append([]byte(nil), r.raw...)
	if len(raw) > maxEcho {
		raw = append(r.address(), '}')
	}
	k, _ := parse(raw)
	k.a, k.c, k.d, k.doc, k.rev = r.a, r.c, r.d, r.doc, r.rev
	return k
}

// get returns a member's value, the last of that name as in JavaScript, and whether there
// is one.
func (r *request) get(name string) ([]byte, bool) {
	for i := len(r.members) - 1; i >= 0; i-- {
		if r.members[i].name == name {
			return r.members[i].value, true
		}
	}
	return nil, false
}

// value returns a member's value; nil when it is absent or null.
func (r *request) value(name string) []byte {
	if v, _ := r.get(name); string(v) != "null" {
		return v
	}
	return nil
}

// text returns a member that is a string; ok is false when it is something else but
// absent or null.
func (r *request) text(name string) (s string, ok bool) {
	v := r.value(name)
	if v == nil {
		return "", true
	}
	return asString(v)
}

func asString(v []byte) (string, bool) {
	in := jsonscan.New(v)
	s, err := in.String()
	return s, err == nil && in.End() == nil
}

// asNumber reads a number; one past the largest double is infinite, as in JavaScript.
func asNumber(v []byte) (float64, bool) {
	in := jsonscan.New(v)
	f, err := in.Number()
	if err != nil {
		err = json.Unmarshal(v, new(json.Number)) // it is a number, and too large
		return math.Inf(1), err == nil && len(v) > 0 && v[0] != '"' && v[0] != '-'
	}
	return f, in.End() == nil
}

// truthy is JavaScript's idea of a value that counts as true.
func truthy(v []byte) bool {
	switch string(v) {
	case "", "null", "false", `""`:
		return false
	}
	f, number := asNumber(v)
	return !number || f != 0
}

// revision returns the revision that a version speaks of: version v is what revision v-1
// holds. Absent and null are session.Head.
func revision(v []byte) (session.Revision, bool) {
	if v == nil || string(v) == "null" {
		return session.Head, true
	}
	f, ok := asNumber(v)
	if !ok || f < 0 || f != math.Floor(f) {
		return 0, false
	}
	return session.Revision(min(f, 1<<53)) - 1, true
}

// version is the number that ShareDB gives a revision.
func version(rev session.Revision) int64 { return int64(rev) + 1 }

// aboutDoc are the requests that are about one document.
const aboutDoc = " f s u op nf nt "

func (r *request) is(actions string) bool {
	return strings.Contains(actions, " "+r.a+" ")
}

// check reads what requests have in common and returns what is wrong with it, looking in
// the order in which ShareDB's server does.
func (r *request) check() *wire.Error {
	var ok bool
	if r.a, ok = r.text("a"); !ok || r.a == "" || strings.Contains(r.a, " ") {
		return malformed("Invalid or unknown message")
	}
	d, okD := r.text("d")
	if r.d = d; !okD || !wire.Allowed(d) {
		return malformed("Invalid id")
	}
	v, _ := r.get("v")
	if r.rev, ok = revision(v); !ok {
		return malformed("Invalid version")
	}
	if ts := r.value("ts"); ts != nil {
		if _, ok := asNumber(ts); !ok {
			return malformed("Invalid timestamp")
		}
	}
	if r.a == "hs" && !(protocolNumber(r.value("protocol")) && protocolNumber(r.value("protocolMinor"))) {
		return malformed("Invalid protocol")
	}
	if r.c, ok = r.text("c"); !ok {
		return malformed("Invalid collection")
	}
	if _, err := wire.Prefix(r.c); err != nil {
		return err
	}
	if ch, ok := r.text("ch"); !ok || !wire.Allowed(ch) {
		return malformed("Invalid presence channel")
	}
	if seq := r.value("seq"); seq != nil {
		if _, ok := asNumber(seq); !ok {
			return malformed("Invalid seq")
		}
	}
	return r.checkNames()
}

// checkNames finds the document of requests that are about one.
func (r *request) checkNames() *wire.Error {
	single, bulk := r.is(aboutDoc), r.is(" bf bs bu ")
	if (single || bulk) && r.value("c") == nil {
		return malformed("Invalid collection")
	}
	if !single {
		return nil
	}
	var err *wire.Error
	r.doc, err = wire.FromCollection(r.c, r.d)
	return err
}

func protocolNumber(v []byte) bool {
	if v == nil || v[0] == '"' {
		return true
	}
	_, ok := asNumber(v)
	return ok
}

// wanted is one document of a bulk request.
type wanted struct {
	d, doc string
	rev    session.Revision // Head for a document without a version
}

// wantedCost is about how many bytes a wanted takes beside its names.
const wantedCost = 48

// bulk reads the documents of a bulk request, each once, and whether they come with
// versions.
func (r *request) bulk(most int, tooMany func() *wire.Error) (list []wanted, versions bool, bad *wire.Error) {
	b := r.value("b")
	in := jsonscan.New(b)
	seen := map[string]bool{}
	add := func(d string, v []byte) {
		doc, badID := wire.FromCollection(r.c, d)
		rev, okV := revision(v)
		switch {
		case bad != nil || seen[d]:
			return
		case badID != nil:
			bad = badID
		case !okV:
			bad = malformed("Invalid version")
		case len(list) == most:
			bad = tooMany()
		}
		seen[d] = true
		list = append(list, wanted{d, doc, rev})
	}
	var err error
	switch in.Peek() {
	case '[':
		err = in.Array(func() error {
			v, err := in.Raw()
			if err != nil {
				return err
			}
			d, ok := asString(v)
			if !ok && bad == nil {
				bad = malformed("Invalid id")
			}
			add(d, nil)
			return nil
		})
	case '{':
		versions = true
		err = in.Object(func(d string) error {
			v, err := in.Raw()
			add(d, v)
			return err
		})
	default:
		return nil, false, malformed("Invalid bulk subscribe data")
	}
	if err != nil || in.End() != nil {
		return nil, false, malformed("Invalid bulk subscribe data")
	}
	return list, versions, bad
}

// maxEcho is the largest request that is sent back whole with an error.
const maxEcho = 16 << 10

// refused returns the answer to a request that failed: the request itself and the error.
// Of a large one only what its sender finds the addressee by is sent back.
func (r *request) refused(e *wire.Error) []byte {
	var dst []byte
	if len(r.raw) <= maxEcho && json.Valid(r.raw) {
		open, _ := bytes.CutSuffix(bytes.TrimSpace(r.raw), []byte("}"))
		dst = append(dst, bytes.TrimSpace(open)...)
	} else {
		dst = r.address()
	}
	return append(e.Append(appendName(dst, "error")), '}')
}

// address begins an answer with what the sender of a large request finds the addressee by.
func (r *request) address() []byte {
	dst := []byte{'{'}
	for _, m := range r.members {
		switch m.name {
		case "a", "c", "d", "id", "ch", "pv", "seq", "src", "v", "b":
			if len(m.value) <= maxEcho && json.Valid(m.value) {
				dst = appendMember(dst, m.name, m.value)
			}
		}
	}
	return dst
}

// whole reports whether the request is JSON throughout. What is nested too deep for
// encoding/json is given the benefit of the doubt.
func (r *request) whole() bool {
	if json.Valid(r.raw) {
		return true
	}
	err := json.Unmarshal(r.raw, new(json.RawMessage))
	return err != nil && strings.Contains(err.Error(), "exceeded max depth")
}
