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
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	strict "github.com/go-jose/go-jose/v4/json" // as for tokens

	"quire/session"
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
)

// application asks the host application who somebody is, and remembers what it said.
type application struct {
	opt    Options
	places chan struct{} // for questions under way

	mu sync.Mutex
	// Guarded by mu.
	said     map[[sha256.Size]byte]*said
	warned   time.Time // when the log was told last that it does not answer
	failures int       // since then
}

// said is what the application said of one set of credentials.
type said struct {
	key [sha256.Size]byte

	asking chan struct{} // held by who asks

	mu sync.Mutex
	// Guarded by mu.
	id      *Identity      // nil: nobody, or not known
	refusal *session.Error // why not
	holds   time.Time      // until when it does
	until   time.Time      // when it is to be asked again
}

func newApplication(opt Options) *application {
	return &application{opt: opt, places: make(chan struct{}, opt.CallbackAtOnce), said: map[[sha256.Size]byte]*said{}}
}

// appSource is what the application says as a source of rights.
type appSource struct {
	authority *Authority
	app       *application
	question  Question
	said      *said
	admitted  atomic.Bool // by an answer that held
}

// source returns the source of the rights of who brought c.
func (app *application) source(a *Authority, c Credentials) source {
	q := Question{Token: c.Token, Cookie: c.Cookie, Host: c.Host}
	whole, _ := json.Marshal(q)
	key := sha256.Sum256(whole)
	if c.Remote.IsValid() {
		q.Remote = c.Remote.String() // told, but not remembered by it
	}
	return &appSource{authority: a, app: app, question: q, said: app.entry(key)}
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

// outcome is what is known of who somebody is.
type outcome struct {
	id      *Identity // nil: refused
	until   time.Time // when it is to be asked again
	refusal *session.Error
	stale   bool // the answer holds no more, but there is no newer one
}

// rights asks the application unless what it said still holds. While it does not answer,
// what it said last holds for CallbackGrace, for those who were admitted by then.
func (s *appSource) rights(ctx context.Context) (*Identity, time.Time, *session.Error) {
	if o, known := s.known(); known {
		return s.checked(o)
	}
	select {
	case s.said.asking <- struct{}{}:
		defer func() { <-s.said.asking }()
	case <-ctx.Done():
		return nil, time.Time{}, errNoAnswer
	}
	if o, known := s.known(); known { // somebody else asked meanwhile
		return s.checked(o)
	}
	place, free := s.app.place(ctx, s.app.opt.CallbackTimeout, s.admitted.Load())
	if !free {
		return s.checked(s.learn(nil, 0, nil, errPlaces))
	}
	id, ttl, refusal, err := s.app.ask(ctx, s.question)
	place()
	return s.checked(s.learn(id, ttl, refusal, err))
}

func (s *appSource) known() (o outcome, known bool) {
	m := s.said
	m.mu.Lock()
	defer m.mu.Unlock()
	now := s.app.opt.Now()
	return outcome{m.id, m.until, m.refusal, !now.Before(m.holds)}, now.Before(m.until)
}

// learn notes an answer, or that there was none.
func (s *appSource) learn(id *Identity, ttl time.Duration, refusal *session.Error, err error) outcome {
	if err != nil {
		s.app.failed(err)
	}
	m := s.said
	m.mu.Lock()
	defer m.mu.Unlock()
	now := s.app.opt.Now()
	if err != nil {
		wait := retryAfter
		if errors.Is(err, errPlaces) {
			wait = time.Second + rand.N(time.Second) // not all at once
		}
		m.until = now.Add(wait)
		if m.id == nil || now.After(m.holds.Add(s.app.opt.CallbackGrace)) {
			m.id, m.refusal, m.holds = nil, errNoAnswer, m.until
		}
		return outcome{m.id, m.until, m.refusal, true}
	}
	if id != nil && m.id != nil {
		was := *m.id
		was.Issued = id.Issued
		if reflect.DeepEqual(was, *id) && s.authority.good(m.id) == nil {
			id = m.id // so that nobody is told of a change
		}
	}
	m.id, m.refusal, m.until, m.holds = id, refusal, now.Add(ttl), now.Add(ttl)
	return outcome{id, m.until, refusal, false}
}

// checked is what is known, unless it is not for this one or was withdrawn here.
func (s *appSource) checked(o outcome) (*Identity, time.Time, *session.Error) {
	switch {
	case o.refusal != nil:
		return nil, o.until, o.refusal
	case o.stale && !s.admitted.Load():
		return nil, o.until, errNoAnswer
	}
	if why := s.authority.good(o.id); why != nil {
		return nil, o.until, why
	}
	s.admitted.Store(true)
	return o.id, o.until, nil
}

var errNoAnswer = session.Errorf(session.CodeUnavailable, "the application does not say who you are; try again")

// errPlaces is why a question was not put.
var errPlaces = errors.New("as many questions are under way as there may be")

// place waits a while for leave to put a question, which done gives back; not at all for one
// of many that can be put later.
func (app *application) place(ctx context.Context, most time.Duration, later bool) (done func(), free bool) {
	done = func() { <-app.places }
	select {
	case app.places <- struct{}{}:
		return done, true
	default:
		if later {
			return nil, false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case app.places <- struct{}{}:
		return done, true
	case <-ctx.Done():
		return nil, false
	}
}

// warnEvery is the shortest time between two lines of the log about the application.
const warnEvery = 10 * time.Second

// failed logs that the application did not answer.
func (app *application) failed(err error) {
	app.mu.Lock()
	defer app.mu.Unlock()
	app.failures++
	if now := app.opt.Now(); app.warned.IsZero() || now.Sub(app.warned) >= warnEvery {
		app.opt.Logger.Warn("the application does not say who somebody is", "err", err, "times", app.failures)
		app.warned, app.failures = now, 0
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
