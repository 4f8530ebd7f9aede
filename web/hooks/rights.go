package hooks

import (
	"time"

	"quire/session"
	"quire/web/auth"
)

// A hook about everything is an operator's. One about a document, or about all whose ids begin alike, is also for
// whoever administers these: to register, see, retry and remove. Such a hook is confined: of a document that
// gets an id outside it learns that it is gone, not where.

// maxOwned is the most hooks that one who is no operator may have registered.
const maxOwned = 20

// pattern is which documents a hook is about.
func (k *Hook) pattern() auth.Pattern {
	if k.Doc != "" {
		return auth.Pattern(k.Doc)
	}
	return auth.Pattern(k.Docs + "*")
}

// may reports whether somebody may see and change a hook.
func may(pass *auth.Pass, k *Hook) bool {
	return pass.Operator() || k.Doc+k.Docs != "" && pass.Over(k.pattern()) >= auth.Admin
}

// about refuses what is about a hook that is not somebody's concern as if it were not there.
func (h *Hooks) about(pass *auth.Pass, id string) error {
	s, err := h.Get(id)
	if err == nil && !may(pass, &s.Hook) {
		err = noHook()
	}
	return err
}

func noHook() *session.Error { return session.Errorf(session.CodeNotFound, "no such hook") }

// registers refuses, before it is known which, hooks of who may register none.
func registers(pass *auth.Pass) *session.Error {
	if len(pass.Identity().With(auth.Admin, "")) == 0 {
		return session.Errorf(session.CodeForbidden, "this needs the right to admin what a hook is about; you have it for no document")
	}
	return nil
}

// own makes somebody the owner of a hook that they are about to register.
func own(pass *auth.Pass, k *Hook) *session.Error {
	if !may(pass, k) {
		return session.Errorf(session.CodeForbidden, "this needs the right to admin every document that the hook is about")
	}
	i := pass.Identity()
	k.Owner, k.Namespace, k.Token, k.Confined = i.Author, i.Namespace, i.ID, !pass.Operator()
	return nil
}

// room refuses a hook of who is no operator and has, or whose namespace has, enough of them.
func (h *Hooks) room(k *Hook) *session.Error {
	if !k.Confined {
		return nil
	}
	all := h.List()
	own, tenants := 0, 0
	for _, s := range all {
		if s.Confined && s.Namespace == k.Namespace {
			if tenants++; s.Owner == k.Owner {
				own++
			}
		}
	}
	switch {
	case own >= maxOwned:
		return session.Errorf(session.CodeTooMany, "you have %d hooks, which is the limit", maxOwned)
	case k.Namespace != "" && auth.Crowded(len(all), tenants, h.opt.MaxHooks):
		return session.Errorf(session.CodeTooMany, "there are %d hooks of the namespace %q, which is the limit now", tenants, k.Namespace)
	}
	return nil
}

// Disown disables the hooks that were registered by whom, or with the token that, a revocation is about: what
// allowed their receivers to be told was withdrawn.
func (h *Hooks) Disown(rev auth.Revocation) {
	h.mu.Lock()
	runners := h.all()
	h.mu.Unlock()
	for _, r := range runners {
		if k := r.hook(); rev.Concerns(k.Namespace, k.Owner, k.Token) {
			r.disable(ownerRevoked)
		}
	}
}

const ownerRevoked = "the rights of its owner were withdrawn"

// withdrawn reports whether a revocation should have disabled the hook, whose owner was not seen since.
func (k *Hook) withdrawn(rev auth.Revocation) bool {
	return k.State == stateActive && rev.Concerns(k.Namespace, k.Owner, k.Token) && !k.Seen.Truncate(time.Second).After(rev.At)
}
