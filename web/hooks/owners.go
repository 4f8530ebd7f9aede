package hooks

import (
	"time"

	"quire/web/auth"
)

// A hook of who is no operator is not told for ever what its owner perhaps may not know any more: that a token runs
// out withdraws nothing, and nobody says when somebody is given no other. So it ends unless its owner comes by now
// and then with the rights that it took to register it. Who may have it can take it up again, and owns it then.

// owner is who registered a hook, or took it up.
type owner struct{ namespace, author string }

func ownerOf(i *auth.Identity) owner { return owner{i.Namespace, i.Author} }

// index notes whose hooks need a sign of their owners. The caller holds mu.
func (h *Hooks) index() {
	h.owners = map[owner][]*runner{}
	for _, r := range h.runners {
		if k := r.hook(); k.Confined {
			o := owner{k.Namespace, k.Owner}
			h.owners[o] = append(h.owners[o], r)
		}
	}
}

// Saw takes in that somebody was admitted, by a request or a connection: hooks of theirs that they may still have go
// on. It is quick.
func (h *Hooks) Saw(pass *auth.Pass) {
	h.mu.Lock()
	mine := h.owners[ownerOf(pass.Identity())]
	h.mu.Unlock()
	for _, r := range mine {
		r.saw(pass)
	}
}

// saw is Saw for one of them. It is noted, and kept, now and then only.
func (r *runner) saw(pass *auth.Pass) {
	k, now := r.hook(), r.h.opt.Now().UTC().Truncate(time.Millisecond)
	if now.Sub(k.Seen) < r.h.opt.OwnerWithin/100 || !may(pass, &k) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	r.reg.Seen = now
	r.work.Add(1)
	go func() {
		defer r.work.Done()
		r.keepReg("a sign of a hook's owner")
	}()
}

// ends returns when a hook ends unless its owner comes by; zero: never.
func (h *Hooks) ends(k *Hook) time.Time {
	if !k.Confined || k.State != stateActive {
		return time.Time{}
	}
	return k.Seen.Add(h.opt.OwnerWithin)
}

// lapse disables the hook when its owner has not come by for too long, and reports whether it is disabled, for that or
// whatever else: also a turn that was to begin before tells nothing any more.
func (r *runner) lapse() bool {
	k := r.hook()
	if k.State != stateActive {
		return true
	}
	end := r.h.ends(&k)
	if end.IsZero() || r.h.opt.Now().Before(end) {
		return false
	}
	r.disable("its owner was not seen with the right to it since " + k.Seen.Format(time.RFC3339))
	return true
}

// adopt makes somebody the owner of a hook that is disabled, which they are about to enable.
func (h *Hooks) adopt(pass *auth.Pass, id string) error {
	r, err := h.find(id)
	if err != nil {
		return err
	}
	i := pass.Identity()
	h.mu.Lock()
	defer h.mu.Unlock()
	r.mu.Lock()
	if k := &r.reg; k.State != stateActive {
		k.Owner, k.Namespace, k.Token = i.Author, i.Namespace, i.ID
		k.Seen = h.opt.Now().UTC().Truncate(time.Millisecond)
	}
	r.mu.Unlock()
	h.index()
	return nil
}
