package hooks

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"quire/session"
	"quire/storage"
)

// What hooks keep in notes of the store, by key; id is a hook's.
const (
	registrations = "hooks/registered/" // and id: a Hook with its secret
	allPositions  = "hooks/at/"         // and id, "/" and a lineage: a position
	allDead       = "hooks/dead/"       // and id, "/" and the delivery's place: a Letter
	pageNotes     = 1000                // read or written at once
)

func positionsOf(id string) string { return allPositions + id + "/" }
func deadOf(id string) string      { return allDead + id + "/" }

// The states of a hook.
const (
	statePreparing = "preparing" // it was never answered for
	stateActive    = "active"
	stateDisabled  = "disabled"
	stateRemoving  = "removing"
)

// Hook is a registration.
type Hook struct {
	// ID names it.
	ID string `json:"id"`
	// URL is where its receiver is.
	URL string `json:"url"`
	// Docs is what the ids of its documents begin with, Doc the id of its only one; both empty for all.
	Docs string `json:"docs,omitempty"`
	Doc  string `json:"doc,omitempty"`
	// Secret signs its requests. It is shown once, by Register.
	Secret string `json:"secret,omitempty"`
	// Created is when it was registered.
	Created time.Time `json:"created"`
	// State is "active" or "disabled", and Reason why it is disabled.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Owner is who registered it, and Token the jti that they did it with, where it is known. It is Confined when they
	// were no operator: it is not told of documents that are not its own.
	Owner    string `json:"owner,omitempty"`
	Token    string `json:"token,omitempty"`
	Confined bool   `json:"confined,omitempty"`
	// Namespace is the one that Owner is confined to; empty: none.
	Namespace string `json:"namespace,omitempty"`
	// Seen is when there was a sign of Owner, who could have registered it then, to within a hundredth of
	// Options.OwnerWithin.
	Seen time.Time `json:"seen,omitzero"`
}

// Limits of registrations.
const (
	maxURL    = 2048
	minSecret = 16
	maxSecret = 256
)

// check returns why a hook cannot be registered, or nil.
func (k *Hook) check(private bool) error {
	u, err := url.Parse(k.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return session.Errorf(session.CodeBadMessage, "url is an address such as https://example.org/quire")
	case len(k.URL) > maxURL:
		return session.Errorf(session.CodeTooLarge, "a url of %d bytes, limit %d", len(k.URL), maxURL)
	case u.User != nil || u.Fragment != "":
		return session.Errorf(session.CodeBadMessage, "url has no user name, password or fragment")
	case k.Doc != "" && k.Docs != "":
		return session.Errorf(session.CodeBadMessage, "doc names one document and docs the beginning of ids: not both")
	case k.Doc != "" && storage.CheckDocID(k.Doc) != nil, len(k.Docs) > storage.MaxDocID || !validUTF8(k.Docs):
		return session.Errorf(session.CodeBadID, "a document id is 1 to %d bytes of UTF-8 without control characters", storage.MaxDocID)
	case k.Secret != "" && (len(k.Secret) < minSecret || len(k.Secret) > maxSecret):
		return session.Errorf(session.CodeBadMessage, "a secret of %d bytes; it has to be %d to %d", len(k.Secret), minSecret, maxSecret)
	}
	if private {
		return nil
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && !isPublic(addr) || strings.EqualFold(u.Hostname(), "localhost") {
		return session.Errorf(session.CodeBadMessage, "url: %v", errPrivate{u.Hostname()})
	}
	return nil
}

func validUTF8(s string) bool { return strings.ToValidUTF8(s, "") == s }

func (k Hook) note() (storage.Note, error) {
	value, err := json.Marshal(k)
	return storage.Note{Key: registrations + k.ID, Value: value}, err
}

func readHook(n storage.Note) (k Hook, err error) {
	if err := json.Unmarshal(n.Value, &k); err != nil || k.ID != strings.TrimPrefix(n.Key, registrations) {
		return k, fmt.Errorf("%w: note %q is no hook", storage.ErrCorrupt, n.Key)
	}
	if k.Seen.IsZero() {
		k.Seen = k.Created
	}
	return k, nil
}

// Register adds a hook with the URL, the documents, the owner and the secret of k, which gets a secret when it has
// none, and returns it. Its receiver is told of every step that is committed from
// then on. Errors are *session.Error: CodeBadMessage, CodeBadID, CodeTooLarge, CodeTooMany, CodeUnavailable.
func (h *Hooks) Register(ctx context.Context, k Hook) (Hook, error) {
	if err := k.check(h.opt.Private); err != nil {
		return Hook{}, err
	}
	h.registering.Lock()
	defer h.registering.Unlock()
	h.mu.Lock()
	n, closing := len(h.runners), h.closing
	h.mu.Unlock()
	switch {
	case closing:
		return Hook{}, session.Errorf(session.CodeBusy, "the server is stopping")
	case n >= h.opt.MaxHooks:
		return Hook{}, session.Errorf(session.CodeTooMany, "there are %d hooks, which is the limit", n)
	}
	if refusal := h.room(&k); refusal != nil {
		return Hook{}, refusal
	}
	if k.Secret == "" {
		k.Secret = rand.Text() + rand.Text()
	}
	k.ID, k.Created, k.State, k.Reason = newID(), h.opt.Now().UTC().Truncate(time.Millisecond), stateActive, ""
	k.Seen = k.Created
	r := newRunner(h, k)
	if err := h.establish(ctx, r, k); err != nil {
		h.opt.Logger.Error("a hook cannot be registered", "err", err)
		r.cancel()
		if err := h.erase(k.ID); err != nil {
			h.opt.Logger.Error("what is left of a hook is removed at the next start", "hook", k.ID, "err", err)
		}
		return Hook{}, session.Errorf(session.CodeUnavailable, "the hook cannot be kept now")
	}
	h.mu.Lock()
	h.runners[k.ID] = r
	h.index()
	h.mu.Unlock()
	h.sweepNow(r) // what was committed meanwhile
	return k, nil
}

// establish makes a hook durable that begins where its documents are now.
func (h *Hooks) establish(ctx context.Context, r *runner, k Hook) error {
	preparing := k
	preparing.State = statePreparing
	if err := h.put(ctx, preparing); err != nil {
		return err
	}
	var batch []storage.Note
	var failed error
	write := func(least int) {
		if failed == nil && len(batch) >= least && len(batch) > 0 {
			failed = h.opt.Store.SetNotes(ctx, "", 0, batch)
			batch = batch[:0]
		}
	}
	err := h.each(r.prefix(), func(info storage.Info) {
		if r.matches(info.ID) {
			batch = append(batch, r.note(storage.Lineage(info.Incarnation), position{Doc: info.ID, Rev: info.Head}))
			write(pageNotes)
		}
	})
	if write(1); err == nil {
		err = failed
	}
	if err == nil {
		err = h.put(ctx, k)
	}
	return err
}

func (h *Hooks) put(ctx context.Context, k Hook) error {
	note, err := k.note()
	if err != nil {
		return err
	}
	return h.opt.Store.SetNotes(ctx, "", 0, []storage.Note{note})
}

// Remove ends a hook and forgets what is known of it. CodeNotFound.
func (h *Hooks) Remove(ctx context.Context, id string) error {
	r, err := h.find(id)
	if err != nil {
		return err
	}
	k := r.hook()
	k.State = stateRemoving
	if err := h.put(ctx, k); err != nil {
		h.opt.Logger.Error("a hook cannot be removed", "hook", id, "err", err)
		return session.Errorf(session.CodeUnavailable, "the hook cannot be removed now")
	}
	h.mu.Lock()
	delete(h.runners, id)
	h.index()
	h.mu.Unlock()
	r.stop()
	r.retire()
	if err := h.erase(id); err != nil {
		h.opt.Logger.Error("what is left of a hook is removed at the next start", "hook", id, "err", err)
	}
	return nil
}

// find returns a hook, or CodeNotFound.
func (h *Hooks) find(id string) (*runner, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.runners[id]; r != nil {
		return r, nil
	}
	return nil, noHook()
}

// erase removes everything that is kept of a hook, its registration last.
func (h *Hooks) erase(id string) error {
	for _, prefix := range []string{positionsOf(id), deadOf(id), registrations + id} {
		for {
			notes, err := h.opt.Store.Notes(h.ctx, "", prefix, "", pageNotes)
			if err != nil {
				return err
			}
			if len(notes) == 0 {
				break
			}
			for i := range notes {
				notes[i].Value = nil
			}
			if err := h.opt.Store.SetNotes(h.ctx, "", 0, notes); err != nil {
				return err
			}
		}
	}
	return nil
}

// count returns how many notes of the store begin with a prefix.
func (h *Hooks) count(prefix string) (n int, err error) {
	for after := ""; ; {
		notes, err := h.opt.Store.Notes(h.ctx, "", prefix, after, pageNotes)
		if err != nil {
			return n, err
		}
		n += len(notes)
		if len(notes) < pageNotes {
			return n, nil
		}
		after = notes[len(notes)-1].Key
	}
}

// Status is a hook with how it fares.
type Status struct {
	Hook
	// Behind is how many documents have something to deliver, and Failing how many of
	// these wait for another attempt.
	Behind, Failing int
	// Dead is how many dead letters there are.
	Dead int
	// Ends is when it is disabled unless there is a sign of its owner; zero: never.
	Ends time.Time
	// Error is why the last attempt failed, and ErrorTime when; empty when the last one
	// was taken.
	Error     string
	ErrorTime time.Time
}

// List returns the hooks, oldest first, without their secrets.
func (h *Hooks) List() []Status {
	h.mu.Lock()
	runners := h.all()
	h.mu.Unlock()
	out := make([]Status, len(runners))
	for i, r := range runners {
		out[i] = r.status()
	}
	return out
}

// Get returns a hook without its secret. CodeNotFound.
func (h *Hooks) Get(id string) (Status, error) {
	r, err := h.find(id)
	if err != nil {
		return Status{}, err
	}
	return r.status(), nil
}
