package auth

import (
	"slices"
	"sync"

	"quire/session"
)

// Pass is what one connection or request may do now. The Authority that made it changes it
// when its credential runs out, is renewed or withdrawn. Safe for concurrent use.
type Pass struct {
	hold *hold // of the Authority that changes it; nil: nobody does

	mu sync.Mutex
	// Guarded by mu.
	identity *Identity
	ended    *session.Error
	watchers []*watcher
	denied   func(doc string, need Role, refusal *session.Error)
}

// watcher is somebody who watches a Pass.
type watcher struct{ changed func() }

// NewPass makes a Pass that nobody changes unless they call Set or End.
func NewPass(i Identity) *Pass { return &Pass{identity: &i} }

// Anybody returns a Pass for whatever can be done, of a server that asks nobody.
func Anybody() *Pass { return &Pass{identity: anybody} }

var anybody = &Identity{Kind: Open, Grants: []Grant{{"*", Admin}}}

// Identity returns who it is; what it points to is not to be changed.
func (p *Pass) Identity() *Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.identity
}

// Ended says why it allows nothing any more, with code unauthenticated; nil while it does.
func (p *Pass) Ended() *session.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// Role returns what may be done with a document now; None when it has ended.
func (p *Pass) Role(doc string) Role {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return None
	}
	return p.identity.Role(doc)
}

// Operator reports whether this is one who runs the server; see Identity.Operator.
func (p *Pass) Operator() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended == nil && p.identity.Operator()
}

// Check returns nil when it allows what needs a role in a document; the name of one who may write is
// remembered then, see Authority.NamesOf. Otherwise the code is
// unauthenticated when it has ended, not_found when it does not let the document be read,
// as if it were not there, and else forbidden.
func (p *Pass) Check(doc string, need Role) *session.Error {
	p.mu.Lock()
	refusal, denied, identity := p.check(doc, need), p.denied, p.identity
	p.mu.Unlock()
	if refusal == nil && need >= Write && p.hold != nil {
		p.hold.authority.names.saw(doc, identity)
	}
	if refusal != nil && denied != nil {
		denied(doc, need, refusal)
	}
	return refusal
}

// OnDenied has fn called with each refusal of Check, in the goroutine that asked. Call it
// before others have the pass.
func (p *Pass) OnDenied(fn func(doc string, need Role, refusal *session.Error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.denied = fn
}

// check is Check, with the lock held.
func (p *Pass) check(doc string, need Role) *session.Error {
	if p.ended != nil {
		return p.ended
	}
	switch role := p.identity.Role(doc); {
	case role >= need:
		return nil
	case role < Read:
		return session.Errorf(session.CodeNotFound, "no such document")
	default:
		return session.Errorf(session.CodeForbidden, "this needs the right to %s; you may %s", need, role)
	}
}

// User returns how a person is recorded and shown who says that they are claimed: a
// claim to be somebody holds only where nobody is asked.
func (p *Pass) User(claimed session.User) session.User {
	i := p.Identity()
	if i.Kind == Open {
		return claimed
	}
	u := session.User{Author: i.Author, Namespace: i.Namespace, Name: i.Name, Color: claimed.Color}
	if u.Name == "" {
		u.Name = i.Author
	}
	return u
}

// Set replaces the identity and tells watchers. A pass that had ended is good again.
func (p *Pass) Set(i Identity) { p.change(&i, nil) }

// End makes it allow nothing, for a reason with code unauthenticated, and tells watchers.
func (p *Pass) End(why *session.Error) { p.change(nil, why) }

func (p *Pass) change(i *Identity, why *session.Error) {
	p.mu.Lock()
	if i != nil {
		p.identity = i
	}
	p.ended = why
	watchers := slices.Clone(p.watchers)
	p.mu.Unlock()
	for _, w := range watchers {
		w.changed()
	}
}

// Watch has fn called after every change, from any goroutine, until stop is called. fn must
// be quick; it may ask the Pass what it allows now, but not release or renew it. It may be
// called once more while stop runs.
func (p *Pass) Watch(fn func()) (stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &watcher{fn}
	p.watchers = append(p.watchers, w)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.watchers = slices.DeleteFunc(p.watchers, func(x *watcher) bool { return x == w })
	}
}
