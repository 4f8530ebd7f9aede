package limits

import (
	"context"
	"slices"
	"sync"
)

// Budget is an amount that many share, such as bytes of memory. Who finds too little waits, in the order
// of coming. Safe for concurrent use.
type Budget struct {
	most int

	mu      sync.Mutex
	used    int       // guarded by mu
	waiting []*wanted // guarded by mu
}

type wanted struct {
	n     int
	ready chan struct{} // closed when it has its part
}

// NewBudget makes a Budget of so much, at least 1.
func NewBudget(most int) *Budget { return &Budget{most: max(most, 1)} }

// Most returns how much there is.
func (b *Budget) Most() int { return b.most }

// Used returns how much of it is taken.
func (b *Budget) Used() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Take takes a part of n, all there is when n is more, and returns how to give it back, which may be
// called more than once. It waits for it, unless ctx ends before there is as much, whose error it returns.
func (b *Budget) Take(ctx context.Context, n int) (done func(), err error) {
	w := &wanted{min(max(n, 0), b.most), make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	b.serve()
	b.mu.Unlock()
	select {
	case <-w.ready:
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		if i := slices.Index(b.waiting, w); i >= 0 {
			b.waiting = slices.Delete(b.waiting, i, i+1)
			b.serve()
			return nil, ctx.Err()
		} // else it has its part: that is not to hang on which of both is seen first
	}
	return b.back(w.n), nil
}

// Add takes a part of n at once, though there may not be as much, and returns how to give it back, which may be called
// more than once.
func (b *Budget) Add(n int) (done func()) {
	b.mu.Lock()
	b.used += n
	b.mu.Unlock()
	return b.back(n)
}

// back returns how to give a part back.
func (b *Budget) back(n int) func() {
	return sync.OnceFunc(func() {
		b.mu.Lock()
		b.used -= n
		b.serve()
		b.mu.Unlock()
	})
}

// serve gives those who wait their parts, as far as there is enough. Called with the lock held.
func (b *Budget) serve() {
	for len(b.waiting) > 0 && b.used+b.waiting[0].n <= b.most {
		b.used += b.waiting[0].n
		close(b.waiting[0].ready)
		b.waiting = b.waiting[1:]
	}
}

// Shares is a Budget of which each of many has at most a part. Who finds too little waits for others of its
// own first, so that it takes nothing from the rest. Safe for concurrent use.
type Shares[K comparable] struct {
	all  *Budget
	each int

	mu   sync.Mutex
	used map[K]*share // guarded by mu; those somebody has or waits for
}

// share is what one has, and how many have or want some of it.
type share struct {
	*Budget
	refs int
}

// NewShares makes Shares of so much, of which each key may have a part, at least 1.
func NewShares[K comparable](most, each int) *Shares[K] {
	return &Shares[K]{all: NewBudget(most), each: max(each, 1), used: map[K]*share{}}
}

// Most returns how much there is for all.
func (s *Shares[K]) Most() int { return s.all.Most() }

// Take takes n for a key, all it may have when n is more; it is Budget.Take otherwise.
func (s *Shares[K]) Take(ctx context.Context, key K, n int) (done func(), err error) {
	n = min(n, s.each)
	mine := s.enter(key)
	own, err := mine.Take(ctx, n)
	if err != nil {
		s.leave(key)
		return nil, err
	}
	whole, err := s.all.Take(ctx, n)
	if err != nil {
		own()
		s.leave(key)
		return nil, err
	}
	return sync.OnceFunc(func() {
		whole()
		own()
		s.leave(key)
	}), nil
}

func (s *Shares[K]) enter(key K) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.used[key]
	if mine == nil {
		mine = &share{Budget: NewBudget(s.each)}
		s.used[key] = mine
	}
	mine.refs++
	return mine
}

func (s *Shares[K]) leave(key K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if mine := s.used[key]; mine.refs > 1 {
		mine.refs--
	} else {
		delete(s.used, key)
	}
}
