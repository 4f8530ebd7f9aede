// Package quirev1 is the protocol quire.v1, which docs/protocol.md describes: JSON
// text messages over one WebSocket, many documents on a connection.
//
//	client                              server
//	                                <-  hello
//	open doc (fresh or resume)       ->
//	                                <-  opened, ops (missed), presence
//	submit base, seq, run            ->
//	                                <-  ops (to everybody; the author's acknowledgement)
//	presence, check, ping, close     ->
//	                                <-  presence, check, pong, closed, status, error, bye
//	auth token                       ->
//	                                <-  you, rights
//
// This file has the messages; server and client import it.
package quirev1

import (
	"encoding/json"
	"strconv"

	"quire/ot/jsonscan"
	"quire/session"
)

// Subprotocol is the WebSocket subprotocol to offer.
const Subprotocol = "quire.v1"

// Version is the protocol's version in hello.
const Version = 1

// User is how a person is shown.
type User struct {
	Name  string `json:"name,omitempty"`
	Color string `json:"color,omitempty"`
}

// ClientMessage is any message of a client; T tells which, and which members count.
type ClientMessage struct {
	T      string            `json:"t"`
	Doc    *string           `json:"doc,omitempty"`
	Client string            `json:"client,omitempty"`
	Create string            `json:"create,omitempty"`
	User   *User             `json:"user,omitempty"`
	Inc    string            `json:"inc,omitempty"`
	Rev    *session.Revision `json:"rev,omitempty"`
	Base   *session.Revision `json:"base,omitempty"`
	Seq    *uint64           `json:"seq,omitempty"`
	Ops    []json.RawMessage `json:"ops,omitempty"`
	Cursor json.RawMessage   `json:"cursor,omitempty"`
	Token  string            `json:"token,omitempty"`
}

// Limits are told in hello.
type Limits struct {
	Message  int `json:"message"`
	Document int `json:"document"`
	Run      int `json:"run"`
	Docs     int `json:"docs"`
	Ranges   int `json:"ranges"`
	Presence int `json:"presence"`
}

// ServerMessage is any message of the server, for clients to decode into.
type ServerMessage struct {
	T string `json:"t"`
	// hello
	V        int     `json:"v,omitempty"`
	Server   string  `json:"server,omitempty"`
	Instance string  `json:"instance,omitempty"`
	Ping     int     `json:"ping,omitempty"`
	Limits   *Limits `json:"limits,omitempty"`
	// opened, ops, presence, check, closed, status, error, ack
	Doc     string           `json:"doc,omitempty"`
	Client  string           `json:"client,omitempty"`
	Type    string           `json:"type,omitempty"`
	Inc     string           `json:"inc,omitempty"`
	Rev     session.Revision `json:"rev,omitempty"`
	Head    session.Revision `json:"head,omitempty"`
	Seq     uint64           `json:"seq,omitempty"`
	Resumed bool             `json:"resumed,omitempty"`
	Content json.RawMessage  `json:"content,omitempty"`
	Sum     string           `json:"sum,omitempty"`
	Ops     []Item           `json:"ops,omitempty"`
	Full    bool             `json:"full,omitempty"`
	Set     []Entry          `json:"set,omitempty"`
	Gone    []string         `json:"gone,omitempty"`
	Saved   bool             `json:"saved,omitempty"`
	Code    session.Code     `json:"code,omitempty"`
	Class   session.Class    `json:"class,omitempty"`
	Message string           `json:"message,omitempty"`
	// opened, rights: what may be done with the document; empty where nobody is asked
	Role string `json:"role,omitempty"`
	// you: who this is, and for how many milliseconds; 0 for ever
	Author  string `json:"author,omitempty"`
	Name    string `json:"name,omitempty"`
	Expires int64  `json:"expires,omitempty"`
	// bye
	In     int    `json:"in,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Item is one step of an ops message. N is 1 when absent.
type Item struct {
	C  string          `json:"c,omitempty"`
	S  uint64          `json:"s,omitempty"`
	N  int             `json:"n,omitempty"`
	Op json.RawMessage `json:"op"`
}

// Entry is one client's presence.
type Entry struct {
	C      string          `json:"c"`
	User   User            `json:"user"`
	Cursor json.RawMessage `json:"cursor,omitempty"`
}

// head begins a message of a kind about a document.
func head(dst []byte, kind, doc string) []byte {
	dst = append(dst, `{"t":"`...)
	dst = append(dst, kind...)
	dst = append(dst, `","doc":`...)
	return jsonscan.AppendString(dst, doc)
}

func str(dst []byte, name, v string) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return jsonscan.AppendString(dst, v)
}

func num(dst []byte, name string, v int64) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return strconv.AppendInt(dst, v, 10)
}

func hex(v uint64, digits int) string {
	s := strconv.FormatUint(v, 16)
	for len(s) < digits {
		s = "0" + s
	}
	return s
}

func appendHello(dst []byte, server, instance string, ping int, lim Limits) []byte {
	b, err := json.Marshal(ServerMessage{T: "hello", V: Version, Server: server, Instance: instance, Ping: ping, Limits: &lim})
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	return append(dst, b...)
}

func appendOpening(dst []byte, doc, client, role string, o *session.Opened, resumed bool) []byte {
	dst = head(dst, "opened", doc)
	if client != "" {
		dst = str(dst, "client", client)
	}
	if role != "" {
		dst = str(dst, "role", role)
	}
	dst = str(dst, "type", o.Type)
	dst = str(dst, "inc", hex(o.Incarnation, 16))
	dst = num(dst, "rev", int64(o.Rev))
	dst = num(dst, "head", int64(o.Head))
	dst = num(dst, "seq", int64(o.Seq))
	if resumed {
		return append(dst, `,"resumed":true}`...)
	}
	return append(dst, `,"content":`...)
}

// appendSum appends what follows the content in an opened message.
func appendSum(dst []byte, o *session.Opened) []byte {
	return append(str(dst, "sum", hex(uint64(o.Checksum()), 8)), '}')
}

func appendOps(dst []byte, b *session.Batch) []byte {
	dst = head(dst, "ops", b.Doc)
	dst = num(dst, "rev", int64(b.From))
	dst = append(dst, `,"ops":[`...)
	for i := range b.Items {
		it := &b.Items[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		switch {
		case it.N != 1:
			dst = append(dst, `"n":`...)
			dst = strconv.AppendInt(dst, int64(it.N), 10)
			dst = append(dst, ',')
		case it.Client != "":
			dst = append(dst, `"c":`...)
			dst = jsonscan.AppendString(dst, it.Client)
			dst = num(dst, "s", int64(it.Seq))
			dst = append(dst, ',')
		}
		dst = append(dst, `"op":`...)
		dst = b.AppendOp(dst, i)
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}

func appendPresence(dst []byte, p *session.Presence) []byte {
	dst = head(dst, "presence", p.Doc)
	dst = num(dst, "rev", int64(p.Rev))
	if p.Full {
		dst = append(dst, `,"full":true`...)
	}
	if p.Full || len(p.Set) > 0 {
		dst = append(dst, `,"set":[`...)
		for i := range p.Set {
			e := &p.Set[i]
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"c":`...)
			dst = jsonscan.AppendString(dst, e.Client)
			dst = append(dst, `,"user":{"name":`...)
			dst = jsonscan.AppendString(dst, e.User.Name)
			if e.User.Color != "" {
				dst = str(dst, "color", e.User.Color)
			}
			if e.User.Author != "" {
				dst = str(dst, "author", e.User.Author)
			}
			dst = append(dst, '}')
			if e.Cursor != nil {
				dst = append(dst, `,"cursor":`...)
				dst = append(dst, e.Cursor...)
			}
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	for i, c := range p.Gone {
		if i == 0 {
			dst = append(dst, `,"gone":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = jsonscan.AppendString(dst, c)
		if i == len(p.Gone)-1 {
			dst = append(dst, ']')
		}
	}
	return append(dst, '}')
}

func appendCheck(dst []byte, doc string, c *session.Check) []byte {
	dst = num(head(dst, "check", doc), "rev", int64(c.Rev))
	return append(str(dst, "sum", hex(uint64(c.Sum), 8)), '}')
}

func appendAck(dst []byte, doc string, a session.Ack) []byte {
	dst = num(head(dst, "ack", doc), "seq", int64(a.Seq))
	return append(num(dst, "rev", int64(a.Rev)), '}')
}

func appendStatus(dst []byte, doc string, saved bool) []byte {
	dst = append(head(dst, "status", doc), `,"saved":`...)
	return append(strconv.AppendBool(dst, saved), '}')
}

func appendRights(dst []byte, doc, role string) []byte {
	return append(str(head(dst, "rights", doc), "role", role), '}')
}

// appendYou says who somebody is; ms is for how long, 0 for ever.
func appendYou(dst []byte, author, name string, ms int64) []byte {
	dst = str(str(append(dst, `{"t":"you"`...), "author", author), "name", name)
	if ms > 0 {
		dst = num(dst, "expires", ms)
	}
	return append(dst, '}')
}

// appendError writes an error; doc may be nil, seq 0 when no submission is meant.
func appendError(dst []byte, doc *string, seq uint64, e *session.Error) []byte {
	if doc != nil {
		dst = head(dst, "error", *doc)
	} else {
		dst = append(dst, `{"t":"error"`...)
	}
	dst = str(dst, "code", string(e.Code))
	dst = str(dst, "class", string(e.Code.Class()))
	if seq > 0 {
		dst = strconv.AppendUint(append(dst, `,"seq":`...), seq, 10)
	}
	return append(str(dst, "message", e.Message), '}')
}

func appendBye(dst []byte, ms int64) []byte {
	return append(num(append(dst, `{"t":"bye"`...), "in", ms), `,"reason":"restarting"}`...)
}
