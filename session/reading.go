package session

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"quire/session/limits"
)

// reading bounds what is read of documents' contents beside their sessions: of the past, and of documents that nobody has
// open. Of many who ask for the same at one time one reads it for all.
type reading struct {
	// Static.
	budget *limits.Budget // bytes of memory of what somebody has in hand
	// places has a place for each content that is being read: what it will take is not known before.
	places chan struct{}

	mu sync.Mutex
	at map[readKey]*inHand // guarded by mu
}

const (
	// readsAtOnce is how many contents are read at one time.
	readsAtOnce = 4
	// readPart is what part of the memory for sessions there is beside it for what is read, and recentPart for what was
	// looked at lately.
	readPart, recentPart = 4, 16
	// readBytes is what there is without a bound for sessions.
	readBytes = 512 << 20
)

func newReading(memory int) reading {
	return reading{budget: limits.NewBudget(cmp.Or(memory/readPart, readBytes)), places: make(chan struct{}, readsAtOnce), at: map[readKey]*inHand{}}
}

// readKey names content as long as the past is not rewritten.
type readKey struct {
	pastKey
	epoch uint64
}

// inHand is content that is being read or that somebody has.
type inHand struct {
	key  readKey
	done chan struct{} // closed when content and err are set
	content
	err     error
	counted reader
	refs    int // guarded by reading.mu
}

// join returns the content of a key with one more who has it, and whether it is the caller's to read.
func (y *reading) join(m *Manager, key readKey) (h *inHand, mine bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if h = y.at[key]; h == nil {
		h, mine = &inHand{key: key, done: make(chan struct{}), counted: reader{m: m}}, true
		y.at[key] = h
	}
	h.refs++
	return h, mine
}

// drop is the opposite of join; failed has nobody else join.
func (y *reading) drop(h *inHand, failed bool) {
	y.mu.Lock()
	h.refs--
	last := h.refs == 0
	if (last || failed) && y.at[h.key] == h {
		delete(y.at, h.key)
	}
	y.mu.Unlock()
	if last {
		h.counted.leave()
	}
}

// reader is who has contents in hand, and gives them back all at once. One goroutine at a time.
type reader struct {
	m    *Manager
	left []func()
	has  bool // something for which others may wait, so it does not wait itself
}

// readerKey is under what a context has its reader.
type readerKey struct{}

// Reading returns a context whose holder has what View and Entries read with it until done is called. The first waits until
// there is room in memory beside what others have; what follows does not wait, so it should be no more than another or two.
// Without it, what they return is counted only until they do. Contents of open documents are their sessions'.
func (m *Manager) Reading(ctx context.Context) (c context.Context, done func()) {
	r := &reader{m: m}
	return context.WithValue(ctx, readerKey{}, r), r.leave
}

// reader returns the reader of a context, one that has what it reads until done is called if there is none.
func (m *Manager) reader(ctx context.Context) (r *reader, done func()) {
	if r, ok := ctx.Value(readerKey{}).(*reader); ok && r.m == m {
		return r, func() {}
	}
	r = &reader{m: m}
	return r, r.leave
}

// leave gives back what the reader has.
func (r *reader) leave() {
	for _, done := range r.left {
		done()
	}
	r.left, r.has = nil, false
}

var errReading = Errorf(CodeBusy, "too much is read of the past, or of documents that nobody has open, now")

// place waits for a place among those who read, unless something is counted already, and returns how to give it back.
func (r *reader) place(ctx context.Context) (leave func(), err error) {
	if r.has {
		return func() {}, nil
	}
	if leave, err = r.m.place(ctx, r.m.reads.places); err != nil {
		return nil, errReading
	}
	return leave, nil
}

// count counts so many bytes of memory, and waits for room unless something is counted already.
// Nobody counts for a nil reader.
func (r *reader) count(ctx context.Context, bytes int) error {
	if r == nil || bytes == 0 {
		return nil
	}
	if r.has {
		r.left = append(r.left, r.m.reads.budget.Add(bytes))
		return nil
	}
	done, err := r.m.reads.budget.Take(ctx, bytes)
	if err != nil {
		return errReading
	}
	r.left, r.has = append(r.left, done), true
	return nil
}

// readContent is contentAt for a reader that holds no place for which others wait.
func (m *Manager) readContent(ctx context.Context, info Info, rev Revision) (content, error) {
	r, done := m.reader(ctx)
	defer done()
	for {
		at, c, ok, epoch := m.contents.floor(info.Incarnation, rev)
		if ok && at == rev {
			return c, nil
		}
		h, mine := m.reads.join(m, readKey{pastKey{info.Incarnation, rev}, epoch})
		if mine {
			h.counted.has = r.has
			m.readFor(ctx, h, info)
		}
		select {
		case <-h.done:
		case <-ctx.Done():
			m.reads.drop(h, false)
			return content{}, errReading
		}
		if h.err == nil {
			r.left, r.has = append(r.left, func() { m.reads.drop(h, false) }), true
			return h.content, nil
		}
		m.reads.drop(h, true)
		if mine || ctx.Err() != nil {
			return content{}, h.err
		}
	}
}

// readFor reads content for all who joined.
func (m *Manager) readFor(ctx context.Context, h *inHand, info Info) {
	h.err = errors.New("reading the document panicked")
	defer close(h.done)
	leave, err := h.counted.place(ctx)
	if err != nil {
		h.err = err
		return
	}
	defer leave()
	if h.content, h.err = m.contentOf(ctx, &h.counted, info, h.key.rev); h.err != nil && ctx.Err() != nil {
		h.err = errReading
	}
}
