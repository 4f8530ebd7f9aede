package session

import (
	"container/list"
	"sync"
)

// recent keeps what was made of documents' pasts lately, within a bound of bytes. It is
// safe for concurrent use; values are immutable.
type recent[V any] struct {
	// Static after construction.
	bytes, count int // at most

	mu sync.Mutex
	// Guarded by mu.
	order list.List // of *kept[V], the least recently used first
	at    map[pastKey]*list.Element
	held  int               // bytes of all
	epoch map[uint64]uint64 // of an incarnation: how often its past was rewritten
}

// pastKey names a revision of a document whatever its id.
type pastKey struct {
	incarnation uint64
	rev         Revision
}

type kept[V any] struct {
	pastKey
	value V
	size  int
}

func newRecent[V any](bytes, count int) *recent[V] {
	return &recent[V]{bytes: bytes, count: count, at: map[pastKey]*list.Element{}, epoch: map[uint64]uint64{}}
}

// floor returns the value at the newest revision up to rev of those that are kept of a
// document, and the document's epoch, to be handed to put.
func (r *recent[V]) floor(incarnation uint64, rev Revision) (at Revision, v V, ok bool, epoch uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	epoch = r.epoch[incarnation]
	var best *list.Element
	if best = r.at[pastKey{incarnation, rev}]; best == nil {
		for e := r.order.Front(); e != nil; e = e.Next() {
			k := e.Value.(*kept[V])
			if k.incarnation == incarnation && k.rev <= rev && (best == nil || k.rev > best.Value.(*kept[V]).rev) {
				best = e
			}
		}
	}
	if best == nil {
		return 0, v, false, epoch
	}
	r.order.MoveToBack(best)
	k := best.Value.(*kept[V])
	return k.rev, k.value, true, epoch
}

// put keeps a value of so many bytes, unless the document's past was rewritten since
// epoch. What was used longest ago makes room.
func (r *recent[V]) put(incarnation uint64, rev Revision, v V, size int, epoch uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := pastKey{incarnation, rev}
	if size > r.bytes/2 || r.epoch[incarnation] != epoch {
		return
	}
	if e := r.at[key]; e != nil {
		r.drop(e)
	}
	r.at[key] = r.order.PushBack(&kept[V]{key, v, size})
	r.held += size
	for r.held > r.bytes || r.order.Len() > r.count {
		r.drop(r.order.Front())
	}
}

// forget drops what is kept of a document whose past was rewritten, and keeps nothing that was begun
// before.
func (r *recent[V]) forget(incarnation uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch[incarnation]++
	for e := r.order.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*kept[V]).incarnation == incarnation {
			r.drop(e)
		}
		e = next
	}
}

// drop forgets one value. Called with the lock held.
func (r *recent[V]) drop(e *list.Element) {
	k := e.Value.(*kept[V])
	r.order.Remove(e)
	delete(r.at, k.pastKey)
	r.held -= k.size
}
