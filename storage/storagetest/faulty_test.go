package storagetest_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"go.uber.org/goleak"

	"quire/storage"
	"quire/storage/mem"
	"quire/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFaultyPassesThrough runs the suite on a wrapper without faults.
func TestFaultyPassesThrough(t *testing.T) {
	storagetest.Run(t, storagetest.Harness{
		Open: func(string) (storagetest.Store, error) { return storagetest.NewFaulty(mem.New()), nil },
	})
}

var first = storage.Record{Kind: storage.Create, Type: "text", Time: 1}

// faultyDoc returns a store with one document and a function that appends to it
// at its head.
func faultyDoc(t *testing.T) (*storagetest.Faulty, storage.Info, func(context.Context) error) {
	t.Helper()
	f := storagetest.NewFaulty(mem.New())
	info, err := f.Create(t.Context(), "doc", first)
	if err != nil {
		t.Fatal(err)
	}
	return f, info, func(ctx context.Context) error {
		now, err := f.Store.Stat(ctx, "doc")
		if err != nil {
			return err
		}
		return f.Append(ctx, "doc", info.Incarnation, now.Head, []storage.Record{{Op: []byte("x")}})
	}
}

func head(t *testing.T, f *storagetest.Faulty) storage.Revision {
	t.Helper()
	info, err := f.Store.Stat(t.Context(), "doc")
	if err != nil {
		t.Fatal(err)
	}
	return info.Head
}

func TestFaultyAppends(t *testing.T) {
	f, info, add := faultyDoc(t)
	broken := errors.New("broken")
	f.Fail(storagetest.Append, 2, nil)
	f.LoseAppends(1, true)
	f.LoseAppends(1, false)
	f.Fail(storagetest.Append, 1, broken)
	for i, want := range []struct {
		err  error
		head storage.Revision
	}{{storagetest.ErrInjected, 0}, {storagetest.ErrInjected, 0}, {storage.ErrUnknown, 1}, {storage.ErrUnknown, 1}, {broken, 1}, {nil, 2}, {nil, 3}} {
		if err := add(t.Context()); !errors.Is(err, want.err) || head(t, f) != want.head {
			t.Errorf("append %d: %v, head %d, want %v, head %d", i, err, head(t, f), want.err, want.head)
		}
	}
	if n := f.Calls(storagetest.Append); n != 7 {
		t.Errorf("%d appends were counted", n)
	}
	f.Fail(storagetest.Append, 5, nil)
	f.Heal()
	if err := add(t.Context()); err != nil {
		t.Errorf("healed: %v", err)
	}
	f.LoseAppends(1, true)
	if err := f.Append(t.Context(), "doc", info.Incarnation, head(t, f), []storage.Record{{Kind: storage.Delete}}); !errors.Is(err, storage.ErrUnknown) {
		t.Errorf("an append that is lost: %v", err)
	}
	if got, err := f.Store.Stat(t.Context(), "doc"); err != nil || got.Type != "" {
		t.Errorf("it took no effect: %+v, %v", got, err)
	}
	f.LoseAppends(1, true)
	err := f.Append(t.Context(), "doc", 1, math.MaxInt64, []storage.Record{{}})
	if errors.Is(err, storage.ErrUnknown) {
		t.Errorf("an append that was refused: %v", err)
	}
}

func TestFaultyCalls(t *testing.T) {
	f, info, _ := faultyDoc(t)
	ctx := t.Context()
	calls := []struct {
		call storagetest.Call
		do   func() error
	}{
		{storagetest.Create, func() error { _, err := f.Create(ctx, "new", first); return err }},
		{storagetest.PutSnapshot, func() error { return f.PutSnapshot(ctx, "doc", info.Incarnation, storage.Snapshot{Rev: 1}) }},
		{storagetest.Read, func() error { _, err := f.Stat(ctx, "doc"); return err }},
		{storagetest.Read, func() error { _, err := f.Read(ctx, "doc", 0, 1); return err }},
		{storagetest.Read, func() error { _, err := f.Snapshot(ctx, "doc", 1); return err }},
		{storagetest.Read, func() error { _, err := f.Snapshots(ctx, "doc"); return err }},
		{storagetest.Read, func() error { _, _, err := f.LastSeq(ctx, "doc", "c"); return err }},
		{storagetest.Read, func() error { _, err := f.List(ctx, "", "", 1); return err }},
		{storagetest.Delete, func() error { return f.Delete(ctx, "doc") }},
	}
	for i, c := range calls {
		f.Fail(c.call, 1, nil)
		if err := c.do(); !errors.Is(err, storagetest.ErrInjected) {
			t.Errorf("call %d: %v", i, err)
		}
		if err := c.do(); errors.Is(err, storagetest.ErrInjected) {
			t.Errorf("call %d failed twice", i)
		}
	}
}

func TestFaultyBlock(t *testing.T) {
	f, _, add := faultyDoc(t)
	gate := f.Block(storagetest.Append)
	results := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { results <- add(ctx) }()
	<-gate.Arrived()
	cancel()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("append whose context ended: %v", err)
	}
	go func() { results <- add(t.Context()) }()
	<-gate.Arrived()
	if h := head(t, f); h != 0 {
		t.Errorf("a blocked append took effect: head %d", h)
	}
	gate.Open()
	gate.Open()
	if err := <-results; err != nil || head(t, f) != 1 {
		t.Errorf("append: %v, head %d", err, head(t, f))
	}
	if err := add(t.Context()); err != nil {
		t.Errorf("append through the open gate: %v", err)
	}
}
