package auth

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"quire/session"
	"quire/storage"
)

// Store keeps notes; its contract is storagetest.Store's. The Authority uses those of the
// store as a whole whose keys begin with "auth/".
type Store interface {
	Notes(ctx context.Context, id, prefix, after string, limit int) ([]storage.Note, error)
	SetNotes(ctx context.Context, id string, incarnation uint64, notes []storage.Note) error
}

// Options configures an Authority. The zero value asks nobody: everybody may do everything.
// With one of Keys, JWKS, Callback and Links, people are asked who they are.
type Options struct {
	// Keys verify tokens, until SetKeys replaces them.
	Keys []Key
	// Rounds is how often secrets among them are hashed before what comes of it is kept. Default 600,000.
	Rounds int
	// JWKS is the address of a JSON Web Key Set (RFC 7517) with further public keys, fetched
	// when they are needed. Empty: none.
	JWKS string
	// KeysFor is how long fetched keys are used before they are fetched again, KeysStale for
	// how long when that fails, and KeysPause the shortest time between two attempts.
	// Defaults 10 min, 24 h and 10 s.
	KeysFor, KeysStale, KeysPause time.Duration
	// Issuer and Audience are what tokens have to have as iss and among aud. Empty: any
	// issuer, and no token that says for whom it is.
	Issuer, Audience string
	// Leeway is by how much clocks may differ. 0: not at all; at most 5 min.
	Leeway time.Duration
	// MaxLife is the longest that a token may be good from now; revocations are kept that
	// long. Default 400 days.
	MaxLife time.Duration
	// Endless takes tokens without exp; revocations are kept for ever then.
	Endless bool

	// Callback is the application's address that is asked who sends a request. Empty: none.
	Callback string
	// CallbackTimeout is how long it has to answer, CallbackGrace how long live connections go
	// on without an answer. Defaults 3 s and 5 min.
	CallbackTimeout, CallbackGrace time.Duration
	// CallbackAtOnce is the most requests to it at once, CallbackCache the most answers that
	// are kept. Defaults 64 and 10,000.
	CallbackAtOnce, CallbackCache int

	// Links lets admins invite people by links.
	Links bool
	// SessionLife is how long a login of somebody who was invited lasts, and the longest for
	// those with tokens. Default 30 days.
	SessionLife time.Duration
	// MaxSessions is the most logins at once, MaxLinks the most invitations and MaxRevoked the
	// most revocations. Defaults 100,000, 10,000 and 100,000.
	MaxSessions, MaxLinks, MaxRevoked int
	// MaxNames is the most names of authors that are remembered, for each namespace in which an author may
	// write one; see NamesOf. Default 100,000.
	MaxNames int

	// Store keeps logins, invitations, revocations and names. Required unless nobody is asked; then
	// it is used for the names that were kept when people were asked.
	Store Store
	// Client does the requests to JWKS and Callback, which it must not redirect. Default: one
	// without proxy.
	Client *http.Client
	// Logger receives failures. Default slog.Default().
	Logger *slog.Logger

	// Now and After are the clock and the scheduler: time.Now and time.AfterFunc unless a
	// test sets them.
	Now   func() time.Time
	After func(time.Duration, func()) (stop func() bool)
}

func (o Options) withDefaults() Options {
	num := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	dur := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	dur(&o.KeysFor, 10*time.Minute)
	dur(&o.KeysStale, 24*time.Hour)
	dur(&o.KeysPause, 10*time.Second)
	dur(&o.MaxLife, 400*24*time.Hour)
	dur(&o.CallbackTimeout, 3*time.Second)
	dur(&o.CallbackGrace, 5*time.Minute)
	dur(&o.SessionLife, 30*24*time.Hour)
	num(&o.Rounds, 600_000)
	num(&o.CallbackAtOnce, 64)
	num(&o.CallbackCache, 10_000)
	num(&o.MaxSessions, 100_000)
	num(&o.MaxLinks, 10_000)
	num(&o.MaxRevoked, 100_000)
	num(&o.MaxNames, 100_000)
	o.Leeway = min(max(o.Leeway, 0), maxLeeway)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Client == nil {
		o.Client = newClient(o.CallbackAtOnce)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	}
	return o
}

// maxLeeway is the most that clocks may differ.
const maxLeeway = 5 * time.Minute

// Authority gives passes. Safe for concurrent use.
type Authority struct {
	opt    Options
	remote *keySet      // nil: no JWKS
	app    *application // nil: no Callback
	names  *names       // nil: nobody is asked, and nothing was kept

	// writing is held while the store is changed, so that changes reach it in the order in
	// which they are made.
	writing chan struct{}
	// Guarded by writing.
	owed    []storage.Note    // that took effect and could not be written
	kept    map[string]string // how logins keep secrets that sign tokens, by Key.print; see keptAs
	leaving map[string]*link  // invitations that were withdrawn, by id, until that is written

	mu sync.Mutex
	// Guarded by mu.
	keys      []Key // replaced, not changed
	holds     map[*hold]struct{}
	logins    map[string]*login     // by the hash of the cookie
	seats     map[string]int        // how many of the logins are of one; see login.seat
	parties   map[string]int        // see login.party
	named     map[string]bool       // guests who are logged in, by author
	links     map[string]*link      // by id
	revoked   map[string]Revocation // by key
	revokedIn map[string]int        // how many of them are about a namespace alone
	stopSweep func() bool
	closed    bool
}

// New makes an Authority and reads what it had kept. Close it.
func New(opt Options) (*Authority, error) {
	a := &Authority{
		opt:     opt.withDefaults(),
		keys:    opt.Keys,
		writing: make(chan struct{}, 1),
		holds:   map[*hold]struct{}{},
		logins:  map[string]*login{},
		seats:   map[string]int{}, parties: map[string]int{}, named: map[string]bool{},
		links: map[string]*link{}, leaving: map[string]*link{}, kept: map[string]string{},
		revoked: map[string]Revocation{}, revokedIn: map[string]int{},
	}
	if a.opt.Store != nil {
		a.names = newNames(a.opt)
		if err := a.names.load(context.Background()); err != nil {
			return nil, err
		}
	}
	if a.Open() {
		return a, nil
	}
	if a.opt.JWKS != "" {
		a.remote = newKeySet(a.opt, a.endWithdrawn)
	}
	if a.opt.Callback != "" {
		a.app = newApplication(a.opt)
	}
	if err := a.load(context.Background()); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopSweep = a.opt.After(sweepEvery, a.sweep)
	return a, nil
}

// Close stops what the Authority does by itself, and writes the names that are not written yet. Passes do not change
// any more. It may be called again.
func (a *Authority) Close() {
	a.mu.Lock()
	a.closed = true
	if a.stopSweep != nil {
		a.stopSweep()
	}
	holds := a.holds
	a.holds = map[*hold]struct{}{}
	a.mu.Unlock()
	for h := range holds {
		h.release()
	}
	if a.names != nil {
		a.names.close()
	}
	a.opt.Client.CloseIdleConnections()
}

// Open reports whether nobody is asked who they are.
func (a *Authority) Open() bool {
	o := &a.opt
	return len(o.Keys) == 0 && o.JWKS == "" && o.Callback == "" && !o.Links
}

// Invites reports whether admins can invite people by links.
func (a *Authority) Invites() bool { return a.opt.Links }

// Admit gives a pass for what a request brought. Refusals have code unauthenticated, or
// unavailable when it cannot be told now. Release the pass when the request or connection
// ends.
func (a *Authority) Admit(ctx context.Context, c Credentials) (*Pass, *session.Error) {
	if a.Open() {
		return Anybody(), nil
	}
	src, refusal := a.source(ctx, c)
	if refusal != nil {
		return nil, refusal
	}
	h := &hold{authority: a, pass: NewPass(Identity{}), host: c.Host, remote: c.Remote, src: src}
	h.pass.hold = h
	a.keep(h)
	h.look(ctx) // after it is kept, so that no withdrawal falls between
	if ended := h.pass.Ended(); ended != nil {
		a.Release(h.pass)
		return nil, ended
	}
	return h.pass, nil
}

// source finds out where the rights of a request come from.
func (a *Authority) source(ctx context.Context, c Credentials) (source, *session.Error) {
	if c.Token != "" {
		return a.tokenSource(ctx, c)
	}
	if s := a.session(c.Session); s != nil {
		return s, nil
	}
	switch {
	case a.app != nil:
		return a.app.source(a, c), nil
	case c.Session != "":
		return nil, errSessionOver
	}
	return nil, session.Errorf(session.CodeUnauthenticated, "say who you are: this server asks for a token or a login")
}

// tokenSource is source for a request with a token.
func (a *Authority) tokenSource(ctx context.Context, c Credentials) (source, *session.Error) {
	id, ours, refusal := a.verify(ctx, c.Token)
	switch {
	case refusal == nil:
		return &held{a, id}, nil
	case ours || a.app == nil:
		return nil, refusal
	}
	return a.app.source(a, c), nil // not of our keys: the application may know it
}

// Renew replaces the credential of a live pass by a token. It has to be of the same author
// and namespace; a refusal leaves the pass as it was.
func (a *Authority) Renew(ctx context.Context, p *Pass, token string) *session.Error {
	if a.Open() {
		return session.Errorf(session.CodeUnauthenticated, "this server asks for no tokens")
	}
	if p.hold == nil {
		return errReleased
	}
	if ended := p.Ended(); ended != nil {
		return ended
	}
	src, refusal := a.tokenSource(ctx, Credentials{Token: token, Host: p.hold.host, Remote: p.hold.remote})
	if refusal != nil {
		return refusal
	}
	return p.hold.renew(ctx, src)
}

// Release takes a pass back: it does not change any more. It may be called again.
func (a *Authority) Release(p *Pass) {
	if p.hold == nil {
		return
	}
	p.hold.release()
	a.drop(p.hold)
}
