package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"quire/session/limits"
	"quire/storage"
)

// NamespaceOf returns the namespace of a document: its id's first segment, "" when the id
// has no slash.
func NamespaceOf(doc string) string {
	ns, _, there := strings.Cut(doc, "/")
	if !there {
		return ""
	}
	return ns
}

// housed is a Store with at most so many documents in a namespace. Every document comes into being, goes
// and is renamed through it. What counts is what the store has: also a document that was deleted and can be
// created again, since it keeps its past; not an import that has no name yet.
//
// A namespace is counted when the first document is made in it, and the count is kept right from then on. While
// it is counted nothing comes or goes in it.
type housed struct {
	Store
	m    *Manager
	most int

	mu     sync.Mutex
	spaces map[string]*namespace // guarded by mu
}

// namespace is how many documents a namespace has.
type namespace struct {
	name  string
	users int // guarded by housed.mu

	// steps is read-held by whatever changes how many there are, and held while they are counted.
	// Those of several namespaces are taken in the order of their names.
	steps sync.RWMutex

	mu sync.Mutex
	// Guarded by mu.
	counted bool
	n       int
}

const (
	// maxSpaces is how many namespaces are remembered that nothing happens in, besides those that take
	// long to count,
	maxSpaces = 10_000
	// which are those with so many documents.
	largeSpace = 1000
)

// use returns a namespace, to be given back with done.
func (h *housed) use(name string) *namespace {
	h.mu.Lock()
	defer h.mu.Unlock()
	ns := h.spaces[name]
	if ns == nil {
		ns = &namespace{name: name}
		h.spaces[name] = ns
	}
	ns.users++
	return ns
}

func (h *housed) done(ns *namespace) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.users--; ns.users == 0 && len(h.spaces) > maxSpaces && ns.n < largeSpace {
		delete(h.spaces, ns.name)
	}
}

// change runs a step by which a document comes into being, or goes, or both by a rename; the other id is
// empty. CodeTooMany, and no step, when the namespace has no room for the one that comes.
func (h *housed) change(ctx context.Context, comes, goes string, step func() error) error {
	var to, from *namespace
	var both []*namespace
	add := func(id string) (ns *namespace) {
		if id != "" && !strings.HasPrefix(id, importPrefix) {
			ns = h.use(NamespaceOf(id))
			both = append(both, ns)
		}
		return ns
	}
	to, from = add(comes), add(goes)
	defer func() {
		for _, ns := range both {
			h.done(ns)
		}
	}()
	held := slices.SortedFunc(slices.Values(both), func(a, b *namespace) int { return strings.Compare(a.name, b.name) })
	if to == from {
		held, to, from = slices.Compact(held), nil, nil // as many as before, but not to be counted meanwhile
	}
	for {
		for _, ns := range held {
			ns.steps.RLock()
		}
		counted, err := h.enter(ctx, comes, to)
		if counted && err == nil {
			err = step()
			to.settle(1, err)
			from.settle(-1, err)
		}
		for _, ns := range held {
			ns.steps.RUnlock()
		}
		if counted || err != nil {
			return err
		}
		if err := h.count(ctx, to); err != nil {
			return err
		}
	}
}

// enter counts a document that comes, before it is there, or refuses; it reports false when the
// namespace has to be counted first.
func (h *housed) enter(ctx context.Context, id string, ns *namespace) (counted bool, err error) {
	if ns == nil {
		return true, nil
	}
	ns.mu.Lock()
	counted = ns.counted
	room := ns.n < h.most
	if counted && room {
		ns.n++
	}
	ns.mu.Unlock()
	if !counted || room {
		return counted, nil
	}
	if _, err := h.Stat(ctx, id); err == nil {
		return true, storage.ErrExists // not another one
	} else if !errors.Is(err, storage.ErrNotFound) {
		return true, err
	}
	return true, h.m.Exceeds(limits.Namespace, h.most, CodeTooMany, "the namespace %q has no room for another document", ns.name)
}

// settle notes what became of a step that changes the count by n; a document that comes was counted
// before. What is not known has everything counted again.
func (ns *namespace) settle(n int, err error) {
	if ns == nil {
		return
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	switch {
	case errors.Is(err, storage.ErrUnknown):
		ns.counted = false
	case (err == nil) != (n > 0):
		ns.n--
	}
}

// count counts the documents of a namespace.
func (h *housed) count(ctx context.Context, ns *namespace) error {
	ns.steps.Lock()
	defer ns.steps.Unlock()
	ns.mu.Lock()
	counted := ns.counted
	ns.mu.Unlock()
	if counted { // by somebody else meanwhile
		return nil
	}
	prefix, n := "", 0
	if ns.name != "" {
		prefix = ns.name + "/"
	}
	const page = 1000
	for after, more := "", true; more; {
		infos, err := h.List(ctx, prefix, after, page)
		if err != nil {
			return err
		}
		for _, info := range infos {
			after = info.ID
			if of := NamespaceOf(after); of != ns.name {
				after = of + "/\xff" // behind all of that namespace
			} else if !strings.HasPrefix(after, importPrefix) {
				n++
			}
		}
		more = len(infos) == page
	}
	ns.mu.Lock()
	ns.counted, ns.n = true, n
	ns.mu.Unlock()
	return nil
}

// Create implements Store. CodeTooMany when the namespace is full.
func (h *housed) Create(ctx context.Context, id string, first storage.Record) (info storage.Info, err error) {
	err = h.change(ctx, id, "", func() error {
		info, err = h.Store.Create(ctx, id, first)
		return err
	})
	return info, err
}

// Delete implements Store.
func (h *housed) Delete(ctx context.Context, id string) error {
	return h.change(ctx, "", id, func() error { return h.Store.Delete(ctx, id) })
}

// Rename implements Store. CodeTooMany when the namespace of the new id is full.
func (h *housed) Rename(ctx context.Context, from, to string) error {
	return h.change(ctx, to, from, func() error { return h.Store.Rename(ctx, from, to) })
}

// errOnlyLooking ends a step that does nothing.
var errOnlyLooking = errors.New("session: only looking")

// room refuses a document for which its namespace has no room, before anything is done for it.
func (h *housed) room(ctx context.Context, id string) error {
	err := h.change(ctx, id, "", func() error { return errOnlyLooking })
	if errors.Is(err, errOnlyLooking) {
		return nil
	}
	return err
}
