package storagetest

import (
	"context"
	"errors"
	"sync"

	"quire/storage"
)

// ErrInjected is what a Faulty store fails with when it is not told otherwise.
var ErrInjected = errors.New("storagetest: injected failure")

// Faulty wraps a Store and makes it fail as told, to test what stands on it. Faults
// are armed by number: "the next n calls". Without any, calls go through. It is
// safe for concurrent use.
type Faulty struct {
	Store

	mu      sync.Mutex
	appends []fault // what becomes of the next appends
	fails   map[Call][]error
	gates   map[Call]*Gate
	calls   map[Call]int
}

// Call names a method, or a group of them, of Store.
type Call int

// The calls that can fail or be blocked.
const (
	Append      Call = iota // Append
	Create                  // Create
	Delete                  // Delete
	PutSnapshot             // PutSnapshot
	SetNotes                // SetNotes
	Rename                  // Rename
	Trim                    // Trim
	Rewrite                 // Rewrite
	Read                    // Stat, Read, At, Snapshot, Snapshots, LastSeq, Notes and List
)

// fault is what becomes of one append.
type fault struct {
	err     error
	applied bool // it takes effect, whatever the error says
}

// NewFaulty returns a store without faults around s.
func NewFaulty(s Store) *Faulty {
	return &Faulty{Store: s, fails: make(map[Call][]error), gates: make(map[Call]*Gate), calls: make(map[Call]int)}
}

// Fail makes the next n calls fail with err (ErrInjected when it is nil), without
// effect. Appends get it after the faults that were armed for them before.
func (f *Faulty) Fail(call Call, n int, err error) {
	if err == nil {
		err = ErrInjected
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		if call == Append {
			f.appends = append(f.appends, fault{err: err})
		} else {
			f.fails[call] = append(f.fails[call], err)
		}
	}
}

// LoseAppends makes the next n appends return storage.ErrUnknown. When applied,
// they take effect all the same (unless the store under it refuses them).
func (f *Faulty) LoseAppends(n int, applied bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.appends = append(f.appends, fault{err: storage.ErrUnknown, applied: applied})
	}
}

// Heal disarms all faults that have not struck yet. Gates stay.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.appends = nil
	clear(f.fails)
}

// Calls returns how many calls there have been, those that failed included.
func (f *Faulty) Calls(call Call) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

// Gate stops calls until it is opened.
type Gate struct {
	arrived chan struct{}
	opened  chan struct{}
	once    sync.Once
}

// Arrived receives one value for every call that has come to the gate. Up to
// 1,024 are remembered.
func (g *Gate) Arrived() <-chan struct{} { return g.arrived }

// Open lets all calls through, those that wait and those to come. Opening twice
// is not an error.
func (g *Gate) Open() { g.once.Do(func() { close(g.opened) }) }

// Block stops calls, before anything else becomes of them, until the gate is opened or
// their context ends. It replaces an earlier gate for them, which goes on
// holding those that came to it.
func (f *Faulty) Block(call Call) *Gate {
	g := &Gate{arrived: make(chan struct{}, 1024), opened: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gates[call] = g
	return g
}

// pass counts a call, waits at its gate, and returns the fault for it, if any.
func (f *Faulty) pass(ctx context.Context, call Call) (ft fault, err error) {
	f.mu.Lock()
	f.calls[call]++
	g := f.gates[call]
	f.mu.Unlock()
	if g != nil {
		select {
		case g.arrived <- struct{}{}:
		default:
		}
		select {
		case <-g.opened:
		case <-ctx.Done():
			return ft, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if call == Append && len(f.appends) > 0 {
		ft, f.appends = f.appends[0], f.appends[1:]
	} else if fails := f.fails[call]; len(fails) > 0 {
		ft.err, f.fails[call] = fails[0], fails[1:]
	}
	if ft.applied {
		return ft, nil
	}
	return ft, ft.err
}

// Append passes an append on, or not; see LoseAppends and Fail.
func (f *Faulty) Append(ctx context.Context, id string, incarnation uint64, base storage.Revision, recs []storage.Record) error {
	ft, err := f.pass(ctx, Append)
	if err != nil {
		return err
	}
	if err := f.Store.Append(ctx, id, incarnation, base, recs); err != nil {
		return err
	}
	return ft.err
}

// Create passes a call on, or fails.
func (f *Faulty) Create(ctx context.Context, id string, first storage.Record) (storage.Info, error) {
	if _, err := f.pass(ctx, Create); err != nil {
		return storage.Info{}, err
	}
	return f.Store.Create(ctx, id, first)
}

// Delete passes a call on, or fails.
func (f *Faulty) Delete(ctx context.Context, id string) error {
	if _, err := f.pass(ctx, Delete); err != nil {
		return err
	}
	return f.Store.Delete(ctx, id)
}

// PutSnapshot passes a call on, or fails.
func (f *Faulty) PutSnapshot(ctx context.Context, id string, incarnation uint64, s storage.Snapshot) error {
	if _, err := f.pass(ctx, PutSnapshot); err != nil {
		return err
	}
	return f.Store.PutSnapshot(ctx, id, incarnation, s)
}

// SetNotes passes a call on, or fails.
func (f *Faulty) SetNotes(ctx context.Context, id string, incarnation uint64, notes []storage.Note) error {
	if _, err := f.pass(ctx, SetNotes); err != nil {
		return err
	}
	return f.Store.SetNotes(ctx, id, incarnation, notes)
}

// Rename passes a call on, or fails.
func (f *Faulty) Rename(ctx context.Context, from, to string) error {
	if _, err := f.pass(ctx, Rename); err != nil {
		return err
	}
	return f.Store.Rename(ctx, from, to)
}

// Trim passes a call on, or fails.
func (f *Faulty) Trim(ctx context.Context, id string, incarnation uint64, oldest storage.Revision, keep []storage.Revision) error {
	if _, err := f.pass(ctx, Trim); err != nil {
		return err
	}
	return f.Store.Trim(ctx, id, incarnation, oldest, keep)
}

// Rewrite passes a call on, or fails.
func (f *Faulty) Rewrite(ctx context.Context, id string, incarnation uint64,
	record func(storage.Revision, storage.Record) (storage.Record, error),
	snapshot func(storage.Snapshot) (storage.Snapshot, error)) error {
	if _, err := f.pass(ctx, Rewrite); err != nil {
		return err
	}
	return f.Store.Rewrite(ctx, id, incarnation, record, snapshot)
}

// At passes a call on, or fails as a Read.
func (f *Faulty) At(ctx context.Context, id string, time int64) (storage.Revision, error) {
	if _, err := f.pass(ctx, Read); err != nil {
		return 0, err
	}
	return f.Store.At(ctx, id, time)
}

// Notes passes a call on, or fails as a Read.
func (f *Faulty) Notes(ctx context.Context, id, prefix, after string, limit int) ([]storage.Note, error) {
	if _, err := f.pass(ctx, Read); err != nil {
		return nil, err
	}
	return f.Store.Notes(ctx, id, prefix, after, limit)
}

// Stat passes a call on, or fails as a Read.
func (f *Faulty) Stat(ctx context.Context, id string) (storage.Info, error) {
	if _, err := f.pass(ctx, Read); err != nil {
		return storage.Info{}, err
	}
	return f.Store.Stat(ctx, id)
}

// Read passes a call on, or fails.
func (f *Faulty) Read(ctx context.Context, id string, from, to storage.Revision) ([]storage.Record, error) {
	if _, err := f.pass(ctx, Read); err != nil {
		return nil, err
	}
	return f.Store.Read(ctx, id, from, to)
}

// Snapshot passes a call on, or fails as a Read.
func (f *Faulty) Snapshot(ctx context.Context, id string, at storage.Revision) (storage.Snapshot, error) {
	if _, err := f.pass(ctx, Read); err != nil {
		return storage.Snapshot{}, err
	}
	return f.Store.Snapshot(ctx, id, at)
}

// Snapshots passes a call on, or fails as a Read.
func (f *Faulty) Snapshots(ctx context.Context, id string) ([]storage.Revision, error) {
	if _, err := f.pass(ctx, Read); err != nil {
		return nil, err
	}
	return f.Store.Snapshots(ctx, id)
}

// LastSeq passes a call on, or fails as a Read.
func (f *Faulty) LastSeq(ctx context.Context, id, client string) (uint64, storage.Revision, error) {
	if _, err := f.pass(ctx, Read); err != nil {
		return 0, 0, err
	}
	return f.Store.LastSeq(ctx, id, client)
}

// List passes a call on, or fails as a Read.
func (f *Faulty) List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error) {
	if _, err := f.pass(ctx, Read); err != nil {
		return nil, err
	}
	return f.Store.List(ctx, prefix, after, limit)
}
