package limits

import (
	"sync"
	"time"
)

// maxIdle is how many Paces a Table keeps that nobody uses.
const maxIdle = 1 << 16

// Table has a Pace for each key. It is bounded: besides those in use it keeps so many that are not
// full again. When there are more, all go that nobody uses: whoever commands so many keys is
// not to be held up this way. Safe for concurrent use.
type Table[K comparable] struct {
	// Static.
	rate Rate

	mu sync.Mutex
	// Guarded by mu.
	paces map[K]*used
	idle  int // of paces
}

// used is a Pace and how many use it.
type used struct {
	*Pace
	refs int
}

// NewTable makes a Table of Paces of one Rate.
func NewTable[K comparable](r Rate) *Table[K] {
	return &Table[K]{rate: r, paces: map[K]*used{}}
}

// Get returns a key's Pace for use; nil when the rate has no bound. Give it back with Put.
func (t *Table[K]) Get(key K) *Pace {
	if t.rate.PerSecond <= 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.paces[key]
	if u == nil {
		u = &used{Pace: NewPace(&t.rate)}
		t.paces[key] = u
	} else if u.refs == 0 {
		t.idle--
	}
	u.refs++
	return u.Pace
}

// Put gives back what Get returned for a key.
func (t *Table[K]) Put(key K, now time.Time) {
	if t.rate.PerSecond <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.paces[key]
	if u.refs--; u.refs > 0 {
		return
	}
	if t.idle++; t.idle <= maxIdle {
		return
	}
	t.forget(func(u *used) bool { return u.full(now) })
	if t.idle > maxIdle/2 {
		t.forget(func(*used) bool { return true })
	}
}

// forget drops those that nobody uses and which are given up.
func (t *Table[K]) forget(given func(*used) bool) {
	for key, u := range t.paces {
		if u.refs == 0 && given(u) {
			delete(t.paces, key)
			t.idle--
		}
	}
}

// Allow takes one of a key's if it can be had at once.
func (t *Table[K]) Allow(key K, now time.Time) bool {
	p := t.Get(key)
	if p == nil {
		return true
	}
	defer t.Put(key, now)
	return p.Allow(now)
}

// Len returns how many Paces are kept.
func (t *Table[K]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.paces)
}

// Counts bounds how many there are of each key at one time. Safe for concurrent use.
type Counts[K comparable] struct {
	most int // 0: no bound

	mu sync.Mutex
	n  map[K]int // guarded by mu; none is 0
}

// NewCounts makes Counts of at most so many of a key; 0 for no bound.
func NewCounts[K comparable](most int) *Counts[K] {
	return &Counts[K]{most: most, n: map[K]int{}}
}

// Enter counts one more, unless it is one too many by more than so many over. It returns
// how many there are then.
func (c *Counts[K]) Enter(key K, over int) (n int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n = c.n[key]; c.most > 0 && n >= c.most+over {
		return n, false
	}
	c.n[key] = n + 1
	return n + 1, true
}

// Leave counts one less.
func (c *Counts[K]) Leave(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[key]--; c.n[key] <= 0 {
		delete(c.n, key)
	}
}

// Most returns the bound; 0 for none.
func (c *Counts[K]) Most() int { return c.most }
