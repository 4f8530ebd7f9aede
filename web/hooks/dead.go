package hooks

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"quire/session"
	"quire/storage"
)

// Letter is a delivery that was given up.
type Letter struct {
	// Delivery is its id, and Doc the document's.
	Delivery string `json:"delivery"`
	Doc      string `json:"doc"`
	// From and To are the revisions it is about: the steps that led to (From, To].
	From session.Revision `json:"from"`
	To   session.Revision `json:"to"`
	// Kind is "" for steps, else what it tells of the document; Was is the id before a
	// rename.
	Kind string `json:"kind,omitempty"`
	Was  string `json:"was,omitempty"`
	// Tries is how often it was tried, Since and Time the first and the last time, and Error why
	// it was not taken then.
	Tries int       `json:"tries"`
	Since time.Time `json:"since"`
	Time  time.Time `json:"time"`
	Error string    `json:"error"`

	// Lineage is the document's.
	Lineage uint64 `json:"lineage"`

	key string
}

func (l Letter) note() (storage.Note, error) {
	value, err := json.Marshal(l)
	return storage.Note{Key: l.key, Value: value}, err
}

func readLetter(n storage.Note) (l Letter, err error) {
	if err := json.Unmarshal(n.Value, &l); err != nil {
		return l, fmt.Errorf("%w: note %q is no dead letter", storage.ErrCorrupt, n.Key)
	}
	l.key = n.Key
	return l, nil
}

// bury makes a delivery a dead letter, and goes on after it: both or none. With too many of
// them the hook is disabled instead, and its positions stay.
func (r *runner) bury(lineage uint64, p position, d *delivery, why error) error {
	r.mu.Lock()
	n := r.dead
	r.mu.Unlock()
	if n >= r.h.opt.MaxDead {
		r.disable(fmt.Sprintf("it has %d dead letters", n))
		return nil
	}
	now := r.h.opt.Now().UTC().Truncate(time.Millisecond)
	l := Letter{
		Delivery: d.id, Doc: d.doc, From: d.from, To: d.to, Kind: d.kind, Was: d.was, Tries: p.Tries,
		Since: time.UnixMilli(p.Since).UTC(), Time: now, Error: explain(why), Lineage: lineage,
		key: fmt.Sprintf("%s%013d-%012x-%d", deadOf(r.id), now.UnixMilli(), lineage, d.from+1),
	}
	letter, err := l.note()
	if err != nil {
		return err
	}
	position := storage.Note{Key: r.key(lineage)}
	if d.after != nil {
		position = r.note(lineage, *d.after)
	}
	ctx, cancel := r.within()
	defer cancel()
	r.saving.Lock() // an older position must not be saved after this one
	defer r.saving.Unlock()
	if err := r.h.opt.Store.SetNotes(ctx, "", 0, []storage.Note{letter, position}); err != nil {
		return err
	}
	r.mu.Lock()
	delete(r.unsaved, lineage)
	r.dead++
	r.mu.Unlock()
	r.h.opt.Observer.Dead()
	r.h.opt.Logger.Warn("a delivery was given up", "hook", r.id, "doc", d.doc, "delivery", d.id, "tries", p.Tries, "err", l.Error)
	return nil
}

// Dead returns up to limit (1 or more) dead letters of a hook, oldest first, after one of
// an earlier answer, "" for the first; next is what to ask on with, "" at the end. CodeNotFound.
func (h *Hooks) Dead(ctx context.Context, id, after string, limit int) (letters []Letter, next string, err error) {
	r, err := h.find(id)
	if err != nil {
		return nil, "", err
	}
	prefix := deadOf(r.id)
	if after != "" {
		after = prefix + after
	}
	notes, err := h.opt.Store.Notes(ctx, "", prefix, after, limit)
	if err != nil {
		h.opt.Logger.Error("dead letters cannot be read", "hook", id, "err", err)
		return nil, "", session.Errorf(session.CodeUnavailable, "the dead letters cannot be read now")
	}
	for _, n := range notes {
		l, err := readLetter(n)
		if err != nil {
			h.opt.Logger.Error("a dead letter cannot be read", "hook", id, "err", err)
			return nil, "", session.Errorf(session.CodeUnavailable, "the dead letters cannot be read now")
		}
		letters = append(letters, l)
	}
	if len(notes) == limit {
		next = strings.TrimPrefix(notes[limit-1].Key, prefix)
	}
	return letters, next, nil
}

// RetryDead sends a hook's dead letters once more, oldest first, after the answer; those that are
// taken are removed. A disabled hook goes on with its other deliveries, too. It returns how many
// there are. CodeNotFound, CodeBusy while they are being sent.
func (h *Hooks) RetryDead(ctx context.Context, id string) (int, error) {
	r, err := h.find(id)
	if err != nil {
		return 0, err
	}
	if err := r.enable(ctx); err != nil {
		h.opt.Logger.Error("a hook cannot be enabled", "hook", id, "err", err)
		return 0, session.Errorf(session.CodeUnavailable, "the hook cannot be changed now")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stopped:
		return 0, session.Errorf(session.CodeBusy, "the server is stopping")
	case r.resend:
		return 0, session.Errorf(session.CodeBusy, "the dead letters are being sent")
	case r.dead == 0:
		return 0, nil
	}
	r.resend = true
	r.work.Add(1)
	go r.exhume()
	return r.dead, nil
}

// exhume sends dead letters again.
func (r *runner) exhume() {
	defer r.work.Done()
	defer func() {
		r.mu.Lock()
		r.resend = false
		r.mu.Unlock()
	}()
	for after := ""; r.ctx.Err() == nil; {
		letters, next, err := r.h.Dead(r.ctx, r.id, after, 100)
		if err != nil {
			return
		}
		for _, l := range letters {
			if r.again(l) != nil {
				return
			}
		}
		if after = next; next == "" {
			return
		}
	}
}

// again sends one dead letter. An error means that there is no sense in sending the next.
func (r *runner) again(l Letter) error {
	d := &delivery{doc: l.Doc, lineage: l.Lineage, from: l.From, to: l.To, kind: l.Kind, was: l.Was}
	err := r.reread(d)
	if err == nil {
		err = r.send(d)
	}
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	note := storage.Note{Key: l.key}
	if err != nil {
		r.h.opt.Observer.Failed()
		r.complain(err)
		l.Tries, l.Error, l.Time = l.Tries+1, explain(err), r.h.opt.Now().UTC().Truncate(time.Millisecond)
		var encodeErr error
		if note, encodeErr = l.note(); encodeErr != nil {
			return encodeErr
		}
	} else {
		r.worked()
	}
	ctx, cancel := r.within()
	defer cancel()
	if err := r.h.opt.Store.SetNotes(ctx, "", 0, []storage.Note{note}); err != nil {
		r.h.opt.Logger.Error("a dead letter cannot be changed", "hook", r.id, "err", err)
		return err
	}
	if err == nil {
		r.mu.Lock()
		r.dead--
		r.mu.Unlock()
	}
	return nil
}

// reread makes the body of a delivery as it was.
func (r *runner) reread(d *delivery) error {
	if d.kind != "" {
		return r.special(d)
	}
	info, err := r.h.opt.Store.Stat(r.ctx, d.doc)
	if err != nil {
		return session.AsError(err)
	}
	if storage.Lineage(info.Incarnation) != d.lineage {
		return session.Errorf(session.CodeNotFound, "the document was removed; another one has its name")
	}
	to := d.to
	if err := r.collect(d, to); err != nil {
		return err
	}
	if d.to != to {
		return session.Errorf(session.CodeTooLarge, "the steps do not fit one request any more")
	}
	return nil
}
