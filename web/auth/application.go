package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	strict "github.com/go-jose/go-jose/v4/json" // as for tokens

	"quire/session"
	"quire/session/limits"
)

// Question is what the application at Options.Callback is asked, as JSON by POST: who sends
// a request that brought this?
type Question struct {
	Token  string `json:"token,omitempty"`  // that no key of the server verifies
	Cookie string `json:"cookie,omitempty"` // the Cookie header
	Host   string `json:"host,omitempty"`   // the Host header
	Remote string `json:"remote,omitempty"` // the address
}

// Answer is what the application says, with status 200: what a token would, and for how
// many seconds it holds. With 401 or 403 nobody is let in.
type Answer struct {
	Claims
	TTL *float64 `json:"ttl,omitempty"`
}

// Bounds of answers.
const (
	maxAnswer  = 64 << 10
	defaultTTL = 60 * time.Second
	minTTL     = time.Second
	maxTTL     = time.Hour
	// retryAfter is the time between two questions while the application does not answer,
	// or says no.
	retryAfter = 5 * time.Second
	// warnEvery is the time between two lines in the log about that.
	warnEvery = 10 * time.Second
)

// application asks the host application who somebody is, and remembers what it said.
type application struct {
	opt    Options
	places chan struct{} // for questions under way
	queue  chan struct{} // held by live connections that wait for a place
	// shares are how many of them are about those who are not admitted yet, by network.
	shares *limits.Shares[netip.Addr]

	mu sync.Mutex
	// Guarded by mu.
	said   map[[sha256.Size]byte]*said
	failed int       // times without an answer that were not logged
	logged time.Time // when one was
}

// said is what the application said of one set of credentials.
type said struct {
	key [sha256.Size]byte

	asking chan struct{} // held by who asks

	mu sync.Mutex
	// Guarded by mu.
	id      *Identity      // nil: nobody, or not known
	refusal *session.Error // why not
	good    time.Time      // until when it was said to hold
	until   time.Time      // when it is to be asked again
}

func newApplication(opt Options) *application {
	most := opt.CallbackAtOnce
	return &application{
		opt:    opt,
		places: make(chan struct{}, most), queue: make(chan struct{}, most),
		shares: limits.NewShares[netip.Addr](most, most/4),
		said:   map[[sha256.Size]byte]*said{},
	}
}

// appSource is what the application says as a source of rights.
type appSource struct {
	authority *Authority
	app       *application
	question  Question
	from      netip.Addr // whom limits count as one
	said      *said
	admitted  atomic.Bool // by an answer that held
}

// source returns the source of the rights of who brought c.
func (app *application) source(a *Authority, c Credentials) source {
	q := Question{Token: c.Token, Cookie: c.Cookie, Host: c.Host}
	if c.Remote.IsValid() {
		q.Remote = c.Remote.String()
	}
	whole, _ := json.Marshal(q)
	key := sha256.Sum256(whole) // of all that the application may go by
	return &appSource{authority: a, app: app, question: q, from: limits.Network(c.Remote), said: app.entry(key)}
}

// entry returns what was said of credentials, or a place for it.
func (app *application) entry(key [sha256.Size]byte) *said {
	app.mu.Lock()
	defer app.mu.Unlock()
	if s := app.said[key]; s != nil {
		return s
	}
	if len(app.said) >= app.opt.CallbackCache {
		app.forget()
	}
	s := &said{key: key, asking: make(chan struct{}, 1)}
	app.said[key] = s
	return s
}

// forget removes what holds no more, or when all does, any tenth of it; mu is held. Live
// passes keep what was said of theirs.
func (app *application) forget() {
	now := app.opt.Now()
	for key, s := range app.said {
		s.mu.Lock()
		if !now.Before(s.until) {
			delete(app.said, key)
		}
		s.mu.Unlock()
	}
	drop := len(app.said) - app.opt.CallbackCache*9/10
	for key := range app.said {
		if drop <= 0 {
			break
		}
		delete(app.said, key)
		drop--
	}
}

// rights asks the application unless what it said still holds. While it does not answer,
// what it said last holds for CallbackGrace, for those who were admitted by then.
func (s *appSource) rights(ctx context.Context) (*Identity, time.Time, *session.Error) {
	if id, until, refusal, known := s.known(); known {
		return s.checked(id, until, refusal)
	}
	select {
	case s.said.asking <- struct{}{}:
		defer func() { <-s.said.asking }()
	case <-ctx.Done():
		return nil, time.Time{}, errNoAnswer
	}
	if id, until, refusal, known := s.known(); known { // somebody else asked meanwhile
		return s.checked(id, until, refusal)
	}
	place, free := s.app.place(ctx, s.from, s.patience())
	if !free {
		return s.checked(s.learn(nil, 0, nil, errPlaces))
	}
	id, ttl, refusal, err := s.app.ask(ctx, s.question)
	place()
	return s.checked(s.learn(id, ttl, refusal, err))
}

// patience is how long a question can wait.
type patience int

const (
	putNow   patience = iota // somebody waits for the answer
	putLater                 // what was said last holds for a good while
	putSoon                  // it does not for much longer
)

// patience returns how long the question can wait: long for who was admitted, but for those who have
// waited so for half of CallbackGrace, so that chance alone cuts nobody off.
func (s *appSource) patience() patience {
	if !s.admitted.Load() {
		return putNow
	}
	s.said.mu.Lock()
	defer s.said.mu.Unlock()
	if s.app.opt.Now().Sub(s.said.good) > s.app.opt.CallbackGrace/2 {
		return putSoon
	}
	return putLater
}

func (s *appSource) known() (id *Identity, until time.Time, refusal *session.Error, known bool) {
	s.said.mu.Lock()
	defer s.said.mu.Unlock()
	return s.said.id, s.said.until, s.said.refusal, s.app.opt.Now().Before(s.said.until)
}

// learn notes an answer, or that there was none.
func (s *appSource) learn(id *Identity, ttl time.Duration, refusal *session.Error, err error) (*Identity, time.Time, *session.Error) {
	now := s.app.opt.Now()
	id, until, refusal := s.record(now, id, ttl, refusal, err)
	if err != nil && (refusal != nil || !errors.Is(err, errPlaces)) { // else it is only put later
		s.app.warn(now, err)
	}
	return id, until, refusal
}

func (s *appSource) record(now time.Time, id *Identity, ttl time.Duration, refusal *session.Error, err error) (*Identity, time.Time, *session.Error) {
	m := s.said
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.until = now.Add(retryAfter)
		if errors.Is(err, errPlaces) {
			m.until = now.Add(time.Second + rand.N(time.Second)) // not all at once
		}
		if m.id == nil || now.Sub(m.good) > s.app.opt.CallbackGrace || !m.id.Expires.IsZero() && !now.Before(m.id.Expires) {
			m.id, m.refusal = nil, errNoAnswer
		}
		return m.id, m.until, m.refusal
	}
	if id != nil && m.id != nil {
		was := *m.id
		was.Issued = id.Issued
		if reflect.DeepEqual(was, *id) && s.authority.good(m.id) == nil {
			id = m.id // so that nobody is told of a change
		}
	}
	// The many that came at once, after a restart, are not asked about at once again: each a little
	// earlier than it has to be.
	early := ttl / 5 * time.Duration(m.key[0]) / 256
	m.id, m.refusal, m.good, m.until = id, refusal, now.Add(ttl), now.Add(ttl-early)
	return m.id, m.until, m.refusal
}

// warn logs that there is no answer, and now and then only how often there was none.
func (app *application) warn(now time.Time, err error) {
	app.mu.Lock()
	defer app.mu.Unlock()
	app.failed++
	if since := now.Sub(app.logged); since >= 0 && since < warnEvery {
		return
	}
	app.opt.Logger.Warn("the application does not say who somebody is", "err", err, "times", app.failed)
	app.failed, app.logged = 0, now
}

// checked is what the application said, unless it was withdrawn here.
func (s *appSource) checked(id *Identity, until time.Time, refusal *session.Error) (*Identity, time.Time, *session.Error) {
	if refusal == nil {
		refusal = s.authority.good(id)
	}
	if refusal != nil {
		return nil, until, refusal
	}
	if !s.admitted.Load() {
		s.said.mu.Lock()
		over := s.app.opt.Now().After(s.said.good)
		s.said.mu.Unlock()
		if over {
			return nil, until, errNoAnswer
		}
		s.admitted.Store(true)
	}
	return id, until, nil
}

var errNoAnswer = session.Errorf(session.CodeUnavailable, "the application does not say who you are; try again")

// errPlaces is why a question was not put.
var errPlaces = errors.New("as many questions are under way as there may be")

// place waits for leave to put a question, which done gives back. One that can be put later does not
// wait; of those that have to be put soon only as many wait as there are places, so that others get in.
// Those who are not admitted yet have a quarter of the places from one network, so that strangers with
// made-up cookies do not take all.
func (app *application) place(ctx context.Context, from netip.Addr, p patience) (done func(), free bool) {
	ctx, cancel := context.WithTimeout(ctx, app.opt.CallbackTimeout)
	defer cancel()
	own := func() {}
	if p == putNow {
		var err error
		if own, err = app.shares.Take(ctx, from, 1); err != nil {
			return nil, false
		}
	}
	done = func() { <-app.places; own() }
	select {
	case app.places <- struct{}{}:
		return done, true
	default:
	}
	switch p {
	case putLater:
		return nil, false
	case putSoon:
		select {
		case app.queue <- struct{}{}:
			defer func() { <-app.queue }()
		default:
			return nil, false
		}
	}
	select {
	case app.places <- struct{}{}:
		return done, true
	case <-ctx.Done():
		own()
		return nil, false
	}
}

// ask puts a question; a place is held. refusal is the application's no, err that there is no answer.
func (app *application) ask(ctx context.Context, q Question) (id *Identity, ttl time.Duration, refusal *session.Error, err error) {
	ctx, cancel := context.WithTimeout(ctx, app.opt.CallbackTimeout)
	defer cancel()
	body, err := json.Marshal(q)
	if err != nil {
		return nil, 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, app.opt.Callback, bytes.NewReader(body))
	if err != nil {
		return nil, 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := app.opt.Client.Do(req)
	if err != nil {
		return nil, 0, nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return app.read(resp.Body)
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, retryAfter, session.Errorf(session.CodeUnauthenticated, "the application does not know you; sign in there"), nil
	}
	return nil, 0, nil, fmt.Errorf("its answer is %s", resp.Status)
}

// read reads an answer.
func (app *application) read(body io.Reader) (id *Identity, ttl time.Duration, refusal *session.Error, err error) {
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return nil, 0, nil, err
	}
	if len(data) > maxAnswer {
		return nil, 0, nil, fmt.Errorf("its answer has more than %d bytes", maxAnswer)
	}
	var a Answer
	if err := strict.Unmarshal(data, &a); err != nil {
		return nil, 0, nil, fmt.Errorf("its answer cannot be read: %w", err)
	}
	if id, err = identityOf(&a.Claims); err != nil {
		return nil, 0, nil, fmt.Errorf("its answer cannot be used: %w", err)
	}
	id.Kind, id.Issued = Callback, app.opt.Now()
	ttl = defaultTTL
	if a.TTL != nil {
		ttl = time.Duration(min(max(*a.TTL, minTTL.Seconds()), maxTTL.Seconds()) * float64(time.Second))
	}
	if !id.Expires.IsZero() {
		ttl = min(ttl, max(minTTL, id.Expires.Sub(app.opt.Now())))
		if !app.opt.Now().Before(id.Expires) {
			return nil, retryAfter, session.Errorf(session.CodeUnauthenticated, "what the application gave you ran out; sign in there"), nil
		}
	}
	return id, ttl, nil, nil
}
