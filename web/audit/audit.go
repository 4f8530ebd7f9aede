// Package audit writes down who did what from where, one JSON object a line, for whoever
// has to answer for a server later. It has what somebody did to accounts, rights and whole
// documents; what they typed is in the documents' own past.
package audit

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"

	"quire/web/trail"
)

// What names a kind of event.
type What string

// The events.
const (
	Login         What = "login"          // a credential was exchanged for a session
	Logout        What = "logout"         // a session ended at its owner's wish
	Refused       What = "refused"        // a credential, or what a right would be needed for
	LinkMade      What = "link_made"      // an invitation; detail link, role
	LinkWithdrawn What = "link_withdrawn" // detail link
	LinkJoined    What = "link_joined"    // somebody came by an invitation, which is who.credential
	Revoked       What = "revoked"        // credentials, by an operator; detail jti or author
	Ended         What = "ended"          // a connection, because its credential ran out or was revoked
	Create        What = "create"         // a document by HTTP, imports included
	Delete        What = "delete"
	Rename        What = "rename" // detail to
	Redact        What = "redact"
	Restore       What = "restore"
	Squash        What = "squash"
	HookMade      What = "hook_made"
	HookRemoved   What = "hook_removed"
	Backup        What = "backup"
	Disconnect    What = "disconnect" // an operator closed a connection; detail connection
	Release       What = "release"    // an operator closed a document's session
	Start         What = "start"
	Stop          What = "stop"
)

// OK is the outcome of what was done; that of what was refused is the error's code.
const OK = "ok"

// Who is somebody. The zero value is nobody known.
type Who struct {
	// Author is who they are as documents record it, Namespace what they are confined to.
	Author    string `json:"author,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// Kind is how they showed it: open, token, callback or link. Credential is the token's
	// jti or the invitation's id, never the credential itself.
	Kind       string `json:"kind,omitempty"`
	Credential string `json:"credential,omitempty"`
}

// Event is one line of the log.
type Event struct {
	// Time is when; Write sets it when it is zero.
	Time time.Time `json:"time"`
	What What      `json:"what"`
	Who  Who       `json:"who"`
	// From is the address they came from; not valid: from the machine itself.
	From netip.Addr `json:"from,omitzero"`
	// Doc is the document it was about.
	Doc string `json:"doc,omitempty"`
	// Req is the id of the request or connection.
	Req string `json:"req,omitempty"`
	// Outcome is OK or an error's code. Write takes "" for OK.
	Outcome string `json:"outcome"`
	// Detail has what else is to be known, by name; no secrets, no text of documents.
	Detail map[string]string `json:"detail,omitempty"`
	// Suppressed is how many refusals before this one were not written for being too many.
	Suppressed uint64 `json:"suppressed,omitempty"`
}

// Log is an audit log in a file. A nil *Log writes nothing. Safe for concurrent use.
type Log struct {
	path string
	log  *slog.Logger
	now  func() time.Time

	mu sync.Mutex
	// Guarded by mu.
	file       *os.File
	refusals   map[netip.Addr]*rate.Limiter
	suppressed uint64
	failures   uint64
	failing    bool
}

// Refusals cost whoever provokes them little, so only so many are written.
const (
	refusalsEach  = 1  // a second from one address, in the long run
	refusalsBurst = 20 // at once
	maxAddresses  = 1 << 14
)

// Open appends to the file at path, making it for its owner alone when it is not there.
// log is told when the file cannot be written. Close it.
func Open(path string, log *slog.Logger) (*Log, error) {
	l := &Log{path: path, log: log, now: time.Now, refusals: map[netip.Addr]*rate.Limiter{}}
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	l.file = file
	return l, nil
}

func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

// Reopen opens the file anew, after another program has renamed it. On an error the
// old one is written on.
func (l *Log) Reopen() error {
	if l == nil {
		return nil
	}
	file, err := open(l.path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil { // closed meanwhile
		return file.Close()
	}
	old := l.file
	l.file = file
	return old.Close()
}

// Close closes the file; what is written later is lost.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// Failures returns how many events could not be written.
func (l *Log) Failures() uint64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures
}

// timeForm is how times are written: as everywhere in answers, to the millisecond.
const timeForm = "2006-01-02T15:04:05.000Z"

// Write appends an event. Refusals that one address provokes too many of are counted
// only. A failure is logged, not returned: what happened has happened.
func (l *Log) Write(e Event) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Time.IsZero() {
		e.Time = l.now()
	}
	e.Time, e.Doc = e.Time.UTC(), clip(e.Doc)
	if e.Outcome == "" {
		e.Outcome = OK
	}
	if l.file == nil {
		return
	}
	if e.Outcome != OK {
		if !l.limiter(e.From).AllowN(e.Time, 1) {
			l.suppressed++
			return
		}
		e.Suppressed, l.suppressed = l.suppressed, 0
	}
	line, err := json.Marshal(struct {
		Time string `json:"time"` // in the place of the event's
		Event
	}{e.Time.Format(timeForm), e})
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	l.wrote(err)
}

// limiter returns what bounds the refusals of an address. Called with mu held.
func (l *Log) limiter(from netip.Addr) *rate.Limiter {
	if from.Is6() { // one customer has a whole network of them
		from = netip.PrefixFrom(from, 64).Masked().Addr()
	}
	lim := l.refusals[from]
	if lim == nil {
		if len(l.refusals) >= maxAddresses {
			clear(l.refusals)
		}
		lim = rate.NewLimiter(refusalsEach, refusalsBurst)
		l.refusals[from] = lim
	}
	return lim
}

// wrote logs the first of failures in a row. Called with mu held.
func (l *Log) wrote(err error) {
	if err != nil {
		l.failures++
		if !l.failing {
			l.log.Error("the audit log cannot be written; what happens now is missing in it", "file", l.path, "err", err)
		}
	}
	l.failing = err != nil
}

// detailKey is where a request keeps what Note was told.
const detailKey = "quire.audit"

// maxValue is how much of a document's id or a detail is written, in bytes: they may be whatever
// somebody sent.
const maxValue = 1024

func clip(s string) string {
	if len(s) <= maxValue {
		return s
	}
	return strings.ToValidUTF8(s[:maxValue], "") + "…"
}

// Note has a detail written with the event of a request, when it is one that has an
// event. No secrets, no text of documents.
func Note(ctx *fasthttp.RequestCtx, name, value string) {
	m := Noted(ctx)
	if m == nil {
		m = map[string]string{}
		ctx.SetUserValue(detailKey, m)
	}
	m[name] = clip(value)
}

// whoKey is where a request keeps what SetWho was told.
const whoKey = "quire.audit.who"

// SetWho says who a request is of, when that is only known once it was served: of a login.
func SetWho(ctx *fasthttp.RequestCtx, who Who) { ctx.SetUserValue(whoKey, who) }

// Noted returns what Note was told of a request.
func Noted(ctx *fasthttp.RequestCtx) map[string]string {
	m, _ := ctx.UserValue(detailKey).(map[string]string)
	return m
}

// Request begins the event of a request, with what Note and SetWho were told of it. Outcome is
// left to set.
func Request(ctx *fasthttp.RequestCtx, what What, doc string) Event {
	info := trail.Of(ctx)
	who, _ := ctx.UserValue(whoKey).(Who)
	return Event{What: what, Who: who, From: info.Remote, Doc: doc, Req: info.ID, Detail: Noted(ctx)}
}
