package auth

import (
	"context"
	"encoding/json"
	"errors"
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
		l := &link{guests: map[*login]struct{}{}}
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
			if err := json.Unmarshal(value, l); err != nil {
				return err
			}
			if l.Hash != key || l.Identity == nil {
				return errors.New("it is no login")
			}
			a.add(l)
			return nil
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
const sweepEvery = time.Minute

// sweep forgets logins, invitations and revocations that are over, and saves what could not
// be saved before.
func (a *Authority) sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a.tidy()
	_ = a.save(ctx) // it is logged, and tried again the next time
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.stopSweep = a.opt.After(sweepEvery, a.sweep)
	}
}

// tidy takes what is over off the tables.
func (a *Authority) tidy() {
	now := a.opt.Now()
	var over []*login
	a.mu.Lock()
	for key, r := range a.revoked {
		if !r.Until.IsZero() && now.After(r.Until) {
			delete(a.revoked, key)
			a.unsaved[key] = nil
		}
	}
	for id, l := range a.links {
		if !l.Expires.IsZero() && now.After(l.Expires.Add(linkMemory)) {
			delete(a.links, id)
			a.unsaved[linkNotes+id] = nil
		}
	}
	for _, l := range a.logins {
		if a.over(l) != nil {
			over = append(over, l)
		}
	}
	a.mu.Unlock()
	a.forget(over...)
}

// forget takes logins off the table and has their passes end. Their notes are removed by save.
func (a *Authority) forget(logins ...*login) {
	a.mu.Lock()
	for _, l := range logins {
		a.remove(l)
		a.unsaved[sessionNotes+l.Hash] = nil
	}
	a.mu.Unlock()
	a.lookAt(logins...)
}

// save makes durable what was withdrawn. What cannot be written is kept in mind and tried
// again: by the next save, at the latest by sweep.
func (a *Authority) save(ctx context.Context) *session.Error {
	done, refusal := a.write(ctx)
	if refusal != nil {
		return refusal
	}
	defer done()
	return a.saveNow(ctx)
}

// saveNow is save while writing is held.
func (a *Authority) saveNow(ctx context.Context) *session.Error {
	for {
		var notes []storage.Note
		a.mu.Lock()
		for key, l := range a.unsaved {
			n := storage.Note{Key: key}
			if l != nil {
				n = note(key, l)
			}
			if notes = append(notes, n); len(notes) == notesAtOnce {
				break
			}
		}
		for _, n := range notes {
			delete(a.unsaved, n.Key)
		}
		a.mu.Unlock()
		if len(notes) == 0 {
			return nil
		}
		if refusal := a.put(ctx, notes...); refusal != nil {
			a.mu.Lock()
			for _, n := range notes {
				if _, newer := a.unsaved[n.Key]; !newer {
					a.unsaved[n.Key] = a.links[strings.TrimPrefix(n.Key, linkNotes)]
				}
			}
			a.mu.Unlock()
			return refusal
		}
	}
}
