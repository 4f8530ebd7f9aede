package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"quire/session"
)

// maxKeySet is the largest JSON Web Key Set in bytes.
const maxKeySet = 1 << 20

// fetchTime bounds one request for keys.
const fetchTime = 5 * time.Second

// newClient makes a client for requests to the application: no proxy, no redirects, which
// could lead elsewhere what was meant for it.
func newClient(atOnce int) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = atOnce, atOnce
	t.MaxResponseHeaderBytes = 64 << 10
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// keySet is the keys at an address.
type keySet struct {
	opt     Options
	fetched func() // called after each time

	fetching chan struct{} // held by who fetches

	mu sync.Mutex
	// Guarded by mu.
	keys  []Key
	good  time.Time // when they were fetched
	tried time.Time // when fetching was begun last
}

func newKeySet(opt Options, fetched func()) *keySet {
	return &keySet{opt: opt, fetched: fetched, fetching: make(chan struct{}, 1)}
}

// knows reports whether a key is in the set, as far as that is known.
func (s *keySet) knows(print string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.good.IsZero() || slices.ContainsFunc(s.keys, func(k Key) bool { return k.print == print })
}

// again fetches the keys unless that was done a short while ago.
func (s *keySet) again(ctx context.Context) {
	s.mu.Lock()
	age := s.opt.Now().Sub(s.good)
	s.mu.Unlock()
	if age > s.opt.KeysFor/2 {
		_ = s.refresh(ctx, false) // it is logged
	}
}

// fitting returns the keys that may verify a token with such a header. They are fetched
// when they are old, or none fits. The refusal says that there may be some that cannot be had now.
func (s *keySet) fitting(ctx context.Context, alg, kid string) ([]Key, *session.Error) {
	keys, fresh := s.have(alg, kid)
	if len(keys) > 0 && fresh {
		return keys, nil
	}
	failed := s.refresh(ctx, len(keys) == 0)
	keys, _ = s.have(alg, kid)
	if len(keys) == 0 && failed != nil {
		return nil, session.Errorf(session.CodeUnavailable, "the keys of tokens cannot be had now")
	}
	return keys, nil
}

// have returns the known keys that fit, and whether the set is not too old.
func (s *keySet) have(alg, kid string) (keys []Key, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := s.opt.Now().Sub(s.good)
	if s.good.IsZero() || age > s.opt.KeysStale {
		return nil, false
	}
	for _, k := range s.keys {
		if k.fits(alg, kid) {
			keys = append(keys, k)
		}
	}
	return keys, age < s.opt.KeysFor
}

var errPause = errors.New("they were asked for a moment ago")

// refresh fetches the keys, one at a time and not too often. Unless wait is set it does not wait for
// somebody else who does.
func (s *keySet) refresh(ctx context.Context, wait bool) error {
	begun := s.opt.Now()
	select {
	case s.fetching <- struct{}{}:
		defer func() { <-s.fetching }()
	default:
		if !wait {
			return errPause
		}
		select {
		case s.fetching <- struct{}{}:
			defer func() { <-s.fetching }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	good, tried := s.good, s.tried
	now := s.opt.Now()
	if good.After(begun) { // somebody else just did
		s.mu.Unlock()
		return nil
	}
	if !tried.IsZero() && now.Sub(tried) < s.opt.KeysPause {
		s.mu.Unlock()
		if tried.Equal(good) {
			return nil // what was fetched then is what there is
		}
		return errPause
	}
	s.tried = now
	s.mu.Unlock()
	keys, err := s.fetch(ctx)
	if err != nil {
		s.opt.Logger.Warn("the keys of tokens cannot be fetched; the last ones are used meanwhile", "err", err, "for", s.opt.KeysStale)
		return err
	}
	s.mu.Lock()
	s.keys, s.good = keys, now
	s.mu.Unlock()
	s.fetched()
	return nil
}

// fetch asks for the keys. Secrets are not taken from there.
func (s *keySet) fetch(ctx context.Context) ([]Key, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.opt.JWKS, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.opt.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the answer is %s", resp.Status)
	case len(body) > maxKeySet:
		return nil, fmt.Errorf("the answer has more than %d bytes", maxKeySet)
	}
	keys, err := parseJWKs(body)
	if err != nil {
		return nil, err
	}
	kept := keys[:0]
	for _, k := range keys {
		if k.Alg != HS256 {
			kept = append(kept, k)
		}
	}
	return kept, nil
}
