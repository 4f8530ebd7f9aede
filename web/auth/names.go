package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"quire/session"
	"quire/storage"
)

const (
	// nameEvery is the time between two writings of names, however fast they change.
	nameEvery = 10 * time.Second
	// nameFresh is for how long it is not written again that a name is in use.
	nameFresh = 30 * 24 * time.Hour
)

// nameEnd bounds writing the last names at the end: what is of more worth is to be saved in that time.
const nameEnd = time.Second

// names remembers under which name each author was seen last in a namespace, by those with the right to
// write in it. It is a convenience: what is lost, or was never written, is learnt again when the author comes
// back. Safe for concurrent use.
type names struct {
	store Store
	log   *slog.Logger
	most  int
	now   func() time.Time
	after func(time.Duration, func()) (stop func() bool)

	writing chan struct{} // has a place for one flush

	mu sync.RWMutex
	// Guarded by mu.
	known   map[nameKey]called
	due     map[nameKey]struct{} // what is to be written, or to be removed when it is not known
	stop    func() bool          // of the next flush; nil: none is due
	failing bool                 // the last flush failed
	closed  bool
}

// nameKey is whom a name is of: an author, in the documents of a namespace.
type nameKey struct{ namespace, author string }

func (k nameKey) note() string { return nameNotes + k.namespace + "/" + k.author }

// called is a name as it is kept.
type called struct {
	Name string `json:"name"`
	// Seen is about when it was used last; see nameFresh.
	Seen time.Time `json:"seen"`
}

func newNames(o Options) *names {
	return &names{
		writing: make(chan struct{}, 1), store: o.Store, log: o.Logger, most: o.MaxNames, now: o.Now, after: o.After,
		known: map[nameKey]called{}, due: map[nameKey]struct{}{},
	}
}

// load reads what was kept. A name that cannot be read is missing, and no more.
func (n *names) load(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return eachNote(ctx, n.store, nameNotes, func(rest string, value []byte) error {
		ns, author, _ := strings.Cut(rest, "/")
		var c called
		if err := json.Unmarshal(value, &c); err != nil || c.Name == "" || author == "" {
			n.log.Warn("the name of an author cannot be read; it is learnt again when they write", "namespace", ns, "err", err)
			return nil
		}
		n.known[nameKey{ns, author}] = c
		return nil
	})
}

// saw takes in that somebody who may write a document is called as their identity says.
func (n *names) saw(doc string, id *Identity) {
	k := nameKey{session.NamespaceOf(doc), id.Author}
	name := id.Name
	if strings.TrimSpace(name) == "" {
		name = id.Author
	}
	if name == unnamed(id.Author) { // as of a guest: the author says it
		name = ""
	}
	n.mu.RLock()
	same := n.fresh(k, name)
	n.mu.RUnlock()
	if same {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fresh(k, name) || n.closed {
		return
	}
	_, known := n.known[k]
	_, due := n.due[k]
	switch full := n.most + n.most/10; { // a tenth more between two flushes
	case !known && len(n.known) >= full, !due && len(n.due) >= full:
		return // another time
	case name == "":
		delete(n.known, k)
	default:
		k.namespace = strings.Clone(k.namespace) // not all of the id
		n.known[k] = called{Name: name, Seen: n.now().UTC().Truncate(time.Second)}
	}
	n.due[k] = struct{}{}
	n.schedule(nameEvery)
}

// fresh reports whether there is nothing new in a name, "" for one that need not be kept; mu is held.
func (n *names) fresh(k nameKey, name string) bool {
	c := n.known[k]
	return c.Name == name && (name == "" || n.now().Sub(c.Seen) < nameFresh)
}

// schedule has what is due written, unless that is to happen already; mu is held.
func (n *names) schedule(wait time.Duration) {
	if n.stop == nil && len(n.due) > 0 && !n.closed {
		n.stop = n.after(wait, func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			n.flush(ctx)
		})
	}
}

// turn waits until nobody else writes names.
func (n *names) turn(ctx context.Context) (done func(), err error) {
	select {
	case n.writing <- struct{}{}:
		return func() { <-n.writing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// flush writes what is due when it begins.
func (n *names) flush(ctx context.Context) {
	done, err := n.turn(ctx)
	if err != nil {
		return
	}
	defer done()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.thin()
	for left := len(n.due); left > 0 && err == nil && !n.closed; left -= notesAtOnce {
		notes, keys := n.take()
		n.mu.Unlock()
		err = n.store.SetNotes(ctx, "", 0, notes)
		n.mu.Lock()
		if err != nil {
			for _, k := range keys {
				n.due[k] = struct{}{}
			}
		}
	}
	n.stop = nil
	wait := nameEvery
	if err != nil {
		wait = payEvery
		if !n.failing {
			n.log.Warn("the names of authors cannot be written; it is tried again", "err", err, "every", payEvery)
		}
	}
	n.failing = err != nil
	n.schedule(wait)
}

// take returns the notes that are to be written next, notesAtOnce at most, and whose they are; mu is held.
func (n *names) take() (notes []storage.Note, keys []nameKey) {
	for k := range n.due {
		if len(notes) == notesAtOnce {
			break
		}
		delete(n.due, k)
		keys = append(keys, k)
		if c, ok := n.known[k]; ok {
			notes = append(notes, note(k.note(), c))
		} else {
			notes = append(notes, storage.Note{Key: k.note()})
		}
	}
	return notes, keys
}

// thin forgets a tenth of the names when there are too many: first those of authors who have names in
// the most namespaces, and of these the ones not seen for longest; mu is held.
func (n *names) thin() {
	if len(n.known) <= n.most {
		return
	}
	type place struct {
		nameKey
		seen time.Time
		rank int // how many names of the author were seen later
	}
	places := make([]place, 0, len(n.known))
	for k, c := range n.known {
		places = append(places, place{nameKey: k, seen: c.Seen})
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(strings.Compare(a.author, b.author), b.seen.Compare(a.seen))
	})
	for i := 1; i < len(places); i++ {
		if places[i].author == places[i-1].author {
			places[i].rank = places[i-1].rank + 1
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(b.rank, a.rank), a.seen.Compare(b.seen)) })
	for _, p := range places[:len(places)-n.most*9/10] {
		delete(n.known, p.nameKey)
		n.due[p.nameKey] = struct{}{}
	}
}

// close writes what is due, and nothing after it.
func (n *names) close() {
	n.mu.Lock()
	if n.stop != nil {
		n.stop()
	}
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), nameEnd)
	defer cancel()
	n.flush(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	if n.stop != nil {
		n.stop()
	}
}

// forget removes a name, durably when there is no error.
func (n *names) forget(ctx context.Context, k nameKey) error {
	done, err := n.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	n.mu.Lock()
	delete(n.known, k)
	n.mu.Unlock()
	if err = n.store.SetNotes(ctx, "", 0, []storage.Note{{Key: k.note()}}); err == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.due[k] = struct{}{}
	n.schedule(payEvery)
	return err
}

// of returns what an author is called in the documents of a namespace.
func (n *names) of(k nameKey) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if c, ok := n.known[k]; ok {
		return c.Name
	}
	return unnamed(k.author)
}

// guestDigits is how many hexadecimal digits tell guests of one name apart, after a tilde.
const guestDigits = 8

// unnamed returns what an author is called of whom nothing is kept: a guest by the name that they gave,
// anybody else by what is recorded.
func unnamed(author string) string {
	at := len(author) - guestDigits - 1
	if at < 1 || author[at] != '~' || strings.Trim(author[at+1:], "0123456789abcdef") != "" || checkGuest(author[:at]) != nil {
		return author
	}
	return author[:at]
}

// NamesOf returns what the authors of a document are called, of those whose author is not their name: as
// they were called when they last could write in the document's namespace. nil when there are none, and on a
// server that asks nobody, where an author is a name. Whoever may read the document may have it; the caller gives
// no authors but those of the document. Names are as people or applications chose them: they need not be unique, and can hold
// what is not to be seen.
func (a *Authority) NamesOf(doc string, authors iter.Seq[string]) map[string]string {
	if a.names == nil {
		return nil
	}
	var out map[string]string
	ns := session.NamespaceOf(doc)
	for author := range authors {
		if _, done := out[author]; done {
			continue
		}
		if name := a.names.of(nameKey{ns, author}); name != author {
			if out == nil {
				out = map[string]string{}
			}
			out[author] = name
		}
	}
	return out
}

// ForgetName forgets what an author is called in the namespace of a document, until they can write there again. by
// has to be admin of all its documents; else nothing is done. Code: unavailable, when it is forgotten, but
// could not be saved.
func (a *Authority) ForgetName(ctx context.Context, by *Pass, doc, author string) *session.Error {
	ns := session.NamespaceOf(doc)
	all := Pattern("*")
	if ns != "" {
		all = Pattern(ns + "/*")
	}
	if a.names == nil || by.Over(all) < Admin {
		return nil
	}
	if err := a.names.forget(ctx, nameKey{ns, author}); err != nil {
		a.opt.Logger.Error("that the name of an author is forgotten cannot be written; it is tried again", "err", err, "every", payEvery)
		return session.Errorf(session.CodeUnavailable, "this cannot be saved now; the log says why")
	}
	return nil
}
