package hooks

import (
	"context"
	"errors"
	"testing"

	"quire/session"
	"quire/storage"
	"quire/storage/mem"
)

// full is a store that takes so many more batches of notes, and then refuses one.
type full struct {
	*mem.Store
	left int
}

func (s *full) SetNotes(ctx context.Context, id string, incarnation uint64, notes []storage.Note) error {
	if s.left--; s.left == -1 {
		return errors.New("no room")
	}
	return s.Store.SetNotes(ctx, id, incarnation, notes)
}

// Of a hook that cannot be registered nothing is left.
func TestRegistrationThatFails(t *testing.T) {
	for n := range 3 { // of the hook, its positions and the hook once more
		store := &full{Store: mem.New()}
		r := newRig(t, Options{Store: store})
		r.store = store.Store
		r.stop()
		r.start()
		r.create("doc")
		store.left = n
		_, err := r.hooks.Register(t.Context(), Hook{URL: "http://127.0.0.1:1/"})
		if err == nil || session.AsError(err).Code != session.CodeUnavailable {
			t.Errorf("%d: %v", n, err)
		}
		notes, err := store.Notes(t.Context(), "", "hooks/", "", 10)
		if err != nil || len(notes) > 0 {
			t.Errorf("%d: %d notes are left, %v", n, len(notes), err)
		}
		if hooks := r.hooks.List(); len(hooks) > 0 {
			t.Errorf("%d: %d hooks", n, len(hooks))
		}
		r.stop()
	}
}
