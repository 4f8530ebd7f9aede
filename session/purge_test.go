package session_test

import (
	"context"
	"testing"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage/mem"
)

// gated is a store that removes a document when it is told to.
type gated struct {
	session.Store
	asked, proceed chan struct{}
}

func (g gated) Delete(ctx context.Context, id string) error {
	close(g.asked)
	<-g.proceed
	return g.Store.Delete(ctx, id)
}

// TestPurgeWhileOpening opens a document while the store is removing it: the reader is
// told, and nobody is shown what was removed.
func TestPurgeWhileOpening(t *testing.T) {
	ctx := context.Background()
	g := gated{mem.New(), make(chan struct{}), make(chan struct{})}
	types := []ot.Type{text.Type{}}
	first := session.New(session.Options{Store: g.Store, Types: types})
	defer first.Close(ctx)
	if _, err := first.Create(ctx, "d", "text", []byte(`"abc"`), session.User{}); err != nil {
		t.Fatal(err)
	}
	m := session.New(session.Options{Store: g, Types: types})
	defer m.Close(ctx)
	removed := make(chan error)
	go func() { removed <- m.Delete(ctx, "d") }()
	<-g.asked
	sub, _, err := m.Open(ctx, session.OpenRequest{Doc: "d", Client: "client-1", Notify: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	close(g.proceed)
	if err := <-removed; err != nil {
		t.Fatal(err)
	}
	if d, err := sub.Take(ctx); err != nil || d.Closed == nil || d.Closed.Code != session.CodeDeleted {
		t.Errorf("the reader is told %v, error %v", d.Closed, err)
	}
	if v, err := m.View(ctx, "d", session.Head); err != nil || v.Rev != session.Unborn || v.Type != nil {
		t.Errorf("%+v, error %v", v, err)
	}
}
