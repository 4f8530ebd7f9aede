package bench

import (
	"bytes"
	"fmt"
)

// message is what a reader needs to know of a server's message without decoding it.
type message struct {
	kind string // t; one of kinds, or ""
	rev  int64  // where an ops message starts; where opened is
	next int64  // the revision that an ops message leads to
	// singles and composites count the items of an ops message.
	singles, composites int
	// own counts the items with the reader's own client id, ownSeq is the seq of the
	// last one.
	own    int
	ownSeq int64
}

// kinds are the messages of a server; the names are constants so that scanning
// allocates nothing.
var kinds = []string{"ops", "presence", "opened", "error", "ack", "hello", "status", "check", "closed", "pong", "bye", "you"}

var (
	markOp        = []byte(`op":`)
	markOps       = []byte(`"ops":[`)
	markComposite = []byte(`n":`)
)

// scan reads a message of the server as it writes them: t first, then doc, then
// the numbers, without spaces. own is `…","s":`, where … is the reader's client id, or
// empty. A quotation mark inside a string is escaped, so none of the marks occurs in one,
// and each begins with a letter because quotation marks are everywhere.
func scan(data, own []byte) (m message, err error) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"t":"`))
	if !ok {
		return m, fmt.Errorf("not a message of quire.v1: %.60q", data)
	}
	for _, k := range kinds {
		if len(rest) > len(k) && rest[len(k)] == '"' && string(rest[:len(k)]) == k {
			m.kind = k
			break
		}
	}
	if m.kind != "ops" {
		return m, nil
	}
	if m.rev, ok = number(rest, `"rev":`); !ok {
		return m, fmt.Errorf("ops without rev: %.60q", data)
	}
	at := bytes.Index(rest, markOps)
	if at < 0 {
		return m, fmt.Errorf("ops without ops: %.60q", data)
	}
	rest = rest[at+len(markOps):]
	m.singles = bytes.Count(rest, markOp)
	m.next = m.rev + int64(m.singles)
	for r := rest; ; {
		at := bytes.Index(r, markComposite)
		if at < 0 {
			break
		}
		r = r[at+len(markComposite):]
		n := digits(r)
		m.next += n - 1
		m.singles--
		m.composites++
	}
	for r := rest; len(own) > 0; {
		at := bytes.Index(r, own)
		if at < 0 {
			break
		}
		r = r[at+len(own):]
		m.own++
		m.ownSeq = digits(r)
	}
	return m, nil
}

// number returns the number after the first occurrence of a name.
func number(data []byte, name string) (int64, bool) {
	at := bytes.Index(data, []byte(name))
	if at < 0 {
		return 0, false
	}
	return digits(data[at+len(name):]), true
}

// digits returns the number that data begins with.
func digits(data []byte) (n int64) {
	for _, b := range data {
		if b < '0' || b > '9' {
			break
		}
		n = n*10 + int64(b-'0')
	}
	return n
}
