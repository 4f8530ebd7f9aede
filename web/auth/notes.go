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

// put writes notes; one without a value is removed. writing is held.
func (a *Authority) put(ctx context.Context, notes ...storage.Note) *session.Error {
	if err := a.opt.Store.SetNotes(ctx, "", 0, notes); err != nil {
		a.opt.Logger.Error("who may do what cannot be written", "err", err)
		return session.Errorf(session.CodeUnavailable, "this cannot be saved now; the log says why")
	}
	return nil
}

// load reads what was kept.
func (a *Authority) load(ctx context.Context) error {
	err := a.each(ctx, linkNotes, func(key string, value []byte) error {
		l := &link{}
		a.links[key] = l
		return json.Unmarshal(value, l)
	})
	if err == nil {
		err = a.each(ctx, revocationNotes, func(_ string, value []byte) error {
			var r Revocation
			err := json.Unmarshal(value, &r)
			a.revoked[r.key()] = r
			return err
		})
	}
	if err == nil {
		err = a.each(ctx, sessionNotes, func(key string, value []byte) error {
			l := &login{holds: map[*hold]struct{}{}}
			a.logins[key] = l
			return json.Unmarshal(value, l)
		})
	}
	return err
}

// each calls do with all notes of a kind, and what follows the prefix in their keys.
func (a *Authority) each(ctx context.Context, prefix string, do func(key string, value []byte) error) error {
	for after := ""; ; {
		notes, err := a.opt.Store.Notes(ctx, "", prefix, after, notesAtOnce)
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

// sweepEvery is the time between two searches for what is over.
const sweepEvery = 10 * time.Minute

// sweep forgets logins, invitations and revocations that are over.
func (a *Authority) sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done, refusal := a.write(ctx)
	if refusal == nil {
		a.tidy(ctx)
		done()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.stopSweep = a.opt.After(sweepEvery, a.sweep)
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
			delete(a.revoked, key)
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
		if a.over(l) != nil {
			over = append(over, l)
		}
	}
	a.mu.Unlock()
	notes = append(notes, a.forget(over...)...)
	for len(notes) > 0 && ctx.Err() == nil {
		n := min(len(notes), notesAtOnce)
		_ = a.put(ctx, notes[:n]...) // it is logged; load and over see the same again
		notes = notes[n:]
	}
}

// forget takes logins off the table, has their passes end, and returns what is to be
// written then.
func (a *Authority) forget(logins ...*login) (notes []storage.Note) {
	a.mu.Lock()
	for _, l := range logins {
		l.gone = true
		delete(a.logins, l.Hash)
		notes = append(notes, storage.Note{Key: sessionNotes + l.Hash})
	}
	a.mu.Unlock()
	a.lookAt(logins...)
	return notes
}
