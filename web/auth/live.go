package auth

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"quire/session"
)

// source is what the rights of a pass come from.
type source interface {
	// rights says what the credential allows now, and when that has to be asked again; zero:
	// when something is withdrawn. The same pointer means that nothing changed.
	rights(ctx context.Context) (id *Identity, again time.Time, refusal *session.Error)
}

// lookEvery is the longest time after which a live pass is looked at again, in case the
// clock was set.
const lookEvery = time.Minute

// hold is a pass that somebody has.
type hold struct {
	authority *Authority
	pass      *Pass
	host      string     // of the request
	remote    netip.Addr // of the request

	mu sync.Mutex
	// Guarded by mu.
	src   source
	begun uint64 // looks
	taken uint64 // the newest look whose outcome the pass has
	stop  func() bool
	over  bool
}

// look brings the pass up to date, and has that done again when it is due.
func (h *hold) look(ctx context.Context) {
	h.mu.Lock()
	h.begun++
	n, src := h.begun, h.src
	h.mu.Unlock()
	id, again, refusal := src.rights(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if n > h.taken {
		h.take(n, id, again, refusal)
	}
}

// take gives the pass the outcome of a look; mu is held.
func (h *hold) take(n uint64, id *Identity, again time.Time, refusal *session.Error) {
	if h.over {
		return
	}
	if refusal == nil { // it may have been withdrawn since the look began
		refusal = h.authority.good(id)
	}
	h.taken = n
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
	if refusal != nil {
		h.over = true
		h.pass.End(refusal)
		return
	}
	if h.pass.Identity() != id {
		h.pass.change(id, nil)
	}
	if !again.IsZero() {
		wait := min(max(again.Sub(h.authority.opt.Now()), time.Millisecond), lookEvery)
		h.stop = h.authority.opt.After(wait, func() { h.look(context.Background()) })
	}
}

// renew takes the rights of the pass from another source.
func (h *hold) renew(ctx context.Context, src source) *session.Error {
	id, again, refusal := src.rights(ctx)
	if refusal != nil {
		return refusal
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.pass.Identity()
	switch {
	case h.over:
		return errReleased
	case id.Author != was.Author || id.Namespace != was.Namespace:
		return session.Errorf(session.CodeUnauthenticated, "this is another author's token; connect anew to become another")
	}
	h.authority.move(h, h.src, src)
	h.src = src
	h.begun++
	h.take(h.begun, id, again, nil)
	return h.pass.Ended()
}

// release ends what is done for the pass, which stays as it is.
func (h *hold) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// keep adds a hold, drop removes it, and move has it found by another source.
func (a *Authority) keep(h *hold) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.holds[h] = struct{}{}
	}
	if s, ok := h.src.(*loginSource); ok {
		s.login.holds[h] = struct{}{}
	}
}

func (a *Authority) drop(h *hold) {
	h.mu.Lock()
	src := h.src
	h.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.holds, h)
	if s, ok := src.(*loginSource); ok {
		delete(s.login.holds, h)
	}
}

func (a *Authority) move(h *hold, from, to source) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := from.(*loginSource); ok {
		delete(s.login.holds, h)
	}
	if s, ok := to.(*loginSource); ok {
		s.login.holds[h] = struct{}{}
	}
}

// Live returns how many passes connections and requests have now; 0 when nobody is asked.
func (a *Authority) Live() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.holds)
}

// endWithdrawn ends the live passes by what was withdrawn, and asks nobody about them. A pass that is
// about to get what was withdrawn finds that out itself; see take.
func (a *Authority) endWithdrawn() {
	a.mu.Lock()
	holds := slices.Collect(maps.Keys(a.holds))
	a.mu.Unlock()
	for _, h := range holds {
		h.mu.Lock()
		if refusal := a.good(h.pass.Identity()); refusal != nil {
			h.begun++
			h.take(h.begun, nil, time.Time{}, refusal)
		}
		h.mu.Unlock()
	}
}

// lookAt looks at the live passes of logins.
func (a *Authority) lookAt(logins ...*login) {
	var holds []*hold
	a.mu.Lock()
	for _, l := range logins {
		for h := range l.holds {
			holds = append(holds, h)
		}
	}
	a.mu.Unlock()
	for _, h := range holds {
		h.look(context.Background())
	}
}

// held is a token: what it allows stays as it is until it runs out or is withdrawn.
type held struct {
	authority *Authority
	id        *Identity
}

func (t *held) rights(context.Context) (*Identity, time.Time, *session.Error) {
	a := t.authority
	if !t.id.Expires.IsZero() {
		until := t.id.Expires.Add(a.opt.Leeway)
		if !a.opt.Now().Before(until) {
			return nil, until, session.Errorf(session.CodeUnauthenticated, "the token ran out at %s", t.id.Expires.UTC().Format(time.RFC3339))
		}
		return t.id, until, a.good(t.id)
	}
	return t.id, time.Time{}, a.good(t.id)
}

// good says why an identity was withdrawn, nil when it was not.
func (a *Authority) good(id *Identity) *session.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.withdrawn(id)
}

// The refusals that say no more.
var (
	errReleased    = session.Errorf(session.CodeUnauthenticated, "this connection is ending")
	errSessionOver = session.Errorf(session.CodeUnauthenticated, "the login is over; log in again")
)
