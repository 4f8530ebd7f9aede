package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"quire/session"
	"quire/storage"
)

// Where the notes lie.
const (
	sessionNotes    = "auth/session/" // and the hash of the cookie: a login
	linkNotes       = "auth/link/"    // and the id: a link
	revocationNotes = "auth/revoked/" // and what is withdrawn: a Revocation
	nameNotes       = "auth/name/"    // and the namespace, a slash and the author: a called
)

// notesAtOnce is how many notes are read in one go.
const notesAtOnce = 1000

// note makes a note of something that encoding/json knows.
func note(key string, v any) storage.Note {
	value, err := json.Marshal(v)
	if err != nil {
		panic(err) // structs of strings, numbers and times
	}
	return storage.Note{Key: key, Value: value}
}

// write waits until it may change what the store has; done lets the next one do so.
func (a *Authority) write(ctx context.Context) (done func(), refusal *session.Error) {
	select {
	case a.writing <- struct{}{}:
		return func() { <-a.writing }, nil
	case <-ctx.Done():
		return nil, session.Errorf(session.CodeBusy, "others are being let in or out; try again")
	}
}

// put writes notes; one without a value is removed. writing is held. Nothing takes effect before
// it is written.
func (a *Authority) put(ctx context.Context, notes ...storage.Note) *session.Error {
	err := a.pay(ctx)
	if err == nil {
		err = a.opt.Store.SetNotes(ctx, "", 0, notes)
	}
	if err != nil {
		a.opt.Logger.Error("who may do what cannot be written", "err", err)
		return session.Errorf(session.CodeUnavailable, "this cannot be saved now; the log says why")
	}
	return nil
}

// settle writes what has taken effect already: a withdrawal does not wait for the disk. What cannot be
// written is owed: it is written before anything else is, and tried again by itself. writing is held.
func (a *Authority) settle(ctx context.Context, notes ...storage.Note) *session.Error {
	a.owed = append(a.owed, notes...)
	err := a.pay(ctx)
	if err == nil {
		return nil
	}
	a.opt.Logger.Error("what was withdrawn cannot be written; it is tried again", "err", err, "every", payEvery)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed && a.stopSweep() { // else it sweeps now, and sees for itself
		a.stopSweep = a.opt.After(payEvery, a.sweep)
	}
	return session.Errorf(session.CodeUnavailable, "this is so at once, but cannot be saved now: a restart before it is would undo it; the log says why")
}

// pay writes what is owed, in order; writing is held.
func (a *Authority) pay(ctx context.Context) error {
	for len(a.owed) > 0 {
		n := min(len(a.owed), notesAtOnce)
		if err := a.opt.Store.SetNotes(ctx, "", 0, a.owed[:n]); err != nil {
			return err
		}
		a.owed = a.owed[n:]
	}
	a.owed = nil
	clear(a.leaving)
	return nil
}

// load reads what was kept.
func (a *Authority) load(ctx context.Context) error {
	err := eachNote(ctx, a.opt.Store, linkNotes, func(key string, value []byte) error {
		l := &link{}
		a.links[key] = l
		return json.Unmarshal(value, l)
	})
	if err == nil {
		err = eachNote(ctx, a.opt.Store, revocationNotes, func(_ string, value []byte) error {
			var r Revocation
			err := json.Unmarshal(value, &r)
			a.takeIn(r)
			return err
		})
	}
	recalled := map[string]string{}
	if err == nil {
		err = eachNote(ctx, a.opt.Store, sessionNotes, func(key string, value []byte) error {
			l := &login{holds: map[*hold]struct{}{}}
			err := json.Unmarshal(value, l)
			if err == nil && (l.Identity == nil || l.Hash != key) {
				err = storage.ErrCorrupt
			}
			if err == nil {
				l.Identity.Key = a.recall(l.Key, recalled)
				a.seatIn(l)
			}
			return err
		})
	}
	return err
}

// eachNote calls do with all notes of a kind, and what follows the prefix in their keys.
func eachNote(ctx context.Context, store Store, prefix string, do func(key string, value []byte) error) error {
	for after := ""; ; {
		notes, err := store.Notes(ctx, "", prefix, after, notesAtOnce)
		if err != nil {
			return err
		}
		for _, n := range notes {
			if err := do(strings.TrimPrefix(n.Key, prefix), n.Value); err != nil {
				return fmt.Errorf("the note %s cannot be read: %w", n.Key, err)
			}
			after = n.Key
		}
		if len(notes) < notesAtOnce {
			return nil
		}
	}
}

// sweepEvery is the time between two searches for what is over, payEvery between two attempts to write
// what is owed.
const (
	sweepEvery = 10 * time.Minute
	payEvery   = 15 * time.Second
)

// sweep forgets logins, invitations and revocations that are over, and looks whether keys are.
func (a *Authority) sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a.refetch(ctx)
	again := payEvery
	done, refusal := a.write(ctx)
	if refusal == nil {
		defer done()
		if a.tidy(ctx); len(a.owed) == 0 {
			again = sweepEvery
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.stopSweep = a.opt.After(again, a.sweep)
	}
}

// tidy is sweep once; writing is held.
func (a *Authority) tidy(ctx context.Context) {
	now := a.opt.Now()
	var notes []storage.Note
	var over []*login
	a.mu.Lock()
	for key, r := range a.revoked {
		if !r.Until.IsZero() && now.After(r.Until) {
			a.takeOff(key)
			notes = append(notes, storage.Note{Key: key})
		}
	}
	for id, l := range a.links {
		if !l.Expires.IsZero() && now.After(l.Expires.Add(linkMemory)) {
			delete(a.links, id)
			notes = append(notes, storage.Note{Key: linkNotes + id})
		}
	}
	for _, l := range a.logins {
		if a.over(l) != nil && (a.opt.Links || l.Identity.Kind != Link) { // invitations may be on again
			over = append(over, l)
		}
	}
	a.mu.Unlock()
	a.owed = append(a.owed, append(notes, a.forget(over...)...)...)
	if err := a.pay(ctx); err != nil {
		a.opt.Logger.Error("what is over cannot be written; it is tried again", "err", err, "every", payEvery)
	}
}

// forget takes logins off the table, has their passes end, and returns what is to be
// written then.
func (a *Authority) forget(logins ...*login) (notes []storage.Note) {
	a.mu.Lock()
	for _, l := range logins {
		a.seatOut(l)
		notes = append(notes, storage.Note{Key: sessionNotes + l.Hash})
	}
	a.mu.Unlock()
	a.lookAt(logins...)
	return notes
}
