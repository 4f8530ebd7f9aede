package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage"
	"quire/storage/mem"
	"quire/storage/storagetest/overdue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a store with a manager, hooks and a receiver.
type rig struct {
	t       *testing.T
	store   *mem.Store
	opt     Options
	manager *session.Manager
	hooks   *Hooks
	clock   *clock
}

func newRig(t *testing.T, opt Options) *rig {
	t.Helper()
	r := &rig{t: t, store: mem.New(), opt: opt}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// start begins a life of the server.
func (r *rig) start() {
	r.t.Helper()
	r.manager = session.New(session.Options{Store: r.store, Types: []ot.Type{text.Type{}}, Logger: slog.New(slog.DiscardHandler)})
	opt := r.opt
	opt.Manager, opt.Private, opt.Logger = r.manager, true, slog.New(slog.DiscardHandler)
	if opt.Store == nil {
		opt.Store = r.store
	}
	if r.clock != nil {
		opt.Now, opt.After, opt.Rand = r.clock.Now, r.clock.After, func() float64 { return 0 }
	}
	var err error
	if r.hooks, err = New(opt); err != nil {
		r.t.Fatal(err)
	}
}

// stop ends it; it may be called twice.
func (r *rig) stop() {
	if r.hooks == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := errors.Join(r.hooks.Close(ctx), r.manager.Close(ctx)); err != nil {
		r.t.Error(err)
	}
	r.hooks = nil
}

// kill ends it as if the process were killed: nothing more is saved.
func (r *rig) kill() {
	for _, run := range r.hooks.runners {
		run.stop()
		run.retire()
	}
	r.stop()
}

func (r *rig) create(doc string) {
	r.t.Helper()
	if _, err := r.manager.Create(r.t.Context(), doc, "text", []byte(`"hello"`), session.User{Name: "Ada"}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) edit(doc string) session.Revision {
	r.t.Helper()
	e, err := r.manager.Edit(r.t.Context(), doc, session.Head, [][]byte{[]byte(`["x"]`)}, session.Writer{User: session.User{Name: "Ben"}})
	if err != nil {
		r.t.Fatal(err)
	}
	return e.Rev
}

func (r *rig) register(k Hook) Hook {
	r.t.Helper()
	k, err := r.hooks.Register(r.t.Context(), k)
	if err != nil {
		r.t.Fatal(err)
	}
	return k
}

// request is one that a receiver got.
type request struct {
	header http.Header
	body   []byte
	events []got
}

// got is an event, and the whole body of a request with one.
type got struct {
	Hook, Delivery  string
	Doc, Kind, Type string
	Rev             session.Revision
	Author, Client  string
	Time, Was       string
	Op, Content     json.RawMessage
	Omitted         int
	Events          []got
}

// receiver collects what it is sent.
type receiver struct {
	*httptest.Server
	requests chan request

	mu     sync.Mutex
	answer func(request) int
}

func newReceiver(t *testing.T) *receiver {
	overdue.Watch(t)
	r := &receiver{requests: make(chan request, 10_000), answer: func(request) int { return 204 }}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var g got
		if err == nil {
			err = json.Unmarshal(body, &g)
		}
		if err != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" || g.Delivery != req.Header.Get("Quire-Delivery") {
			t.Errorf("%s %v: %v, %s", req.Method, req.Header, err, body)
		}
		in := request{req.Header, body, g.Events}
		if g.Events == nil {
			in.events = []got{g}
		}
		r.mu.Lock()
		answer := r.answer
		r.mu.Unlock()
		status := answer(in)
		r.requests <- in // before the answer: the next one comes after that
		if status == 302 {
			w.Header().Set("Location", r.URL+"/elsewhere")
		}
		w.WriteHeader(status)
		if status != 204 {
			_, _ = w.Write(make([]byte, 1<<20)) // more than is read
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(f func(request) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func always(status int) func(request) int { return func(request) int { return status } }

// next waits for a request.
func (r *receiver) next(t *testing.T) request {
	t.Helper()
	select {
	case in := <-r.requests:
		return in
	case <-time.After(time.Minute):
		t.Fatal("no request came")
		return request{}
	}
}

// events waits until so many events were sent, and returns them.
func (r *receiver) events(t *testing.T, n int) (out []got) {
	t.Helper()
	for len(out) < n {
		out = append(out, r.next(t).events...)
	}
	return out
}

func (r *receiver) none(t *testing.T) {
	t.Helper()
	select {
	case in := <-r.requests:
		t.Errorf("unwanted: %s", in.body)
	default:
	}
}

// settled waits until a hook has nothing to do.
func (r *rig) settled(id string) Status {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		s, err := r.hooks.Get(id)
		if err != nil {
			r.t.Fatal(err)
		}
		if s.Behind == 0 || time.Now().After(deadline) {
			return s
		}
		time.Sleep(time.Millisecond)
	}
}

func kinds(events []got) string {
	var out []string
	for _, e := range events {
		out = append(out, fmt.Sprintf("%s %s %d", e.Doc, e.Kind, e.Rev))
	}
	return strings.Join(out, ", ")
}

// TestEvents: what a receiver is told of a document's life, signed.
func TestEvents(t *testing.T) {
	r := newRig(t, Options{})
	in := newReceiver(t)
	r.create("before")
	k := r.register(Hook{URL: in.URL, Secret: "0123456789abcdef"})
	all := r.register(Hook{URL: in.URL + "/prefix", Docs: "no/"})
	if all.Secret == "" || all.Secret == k.Secret {
		t.Errorf("a secret of its own: %q", all.Secret)
	}
	r.create("doc")
	first := in.next(t)
	e := first.events[0]
	if e.Doc != "doc" || e.Rev != 0 || e.Kind != "create" || e.Type != "text" || string(e.Content) != `"hello"` || e.Author != "Ada" || e.Hook != k.ID || e.Op != nil {
		t.Errorf("%s", first.body)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", e.Time); err != nil {
		t.Error(err)
	}
	stamp := first.header.Get("Quire-Timestamp")
	if want := "v1=" + sign("0123456789abcdef", stamp, first.body); first.header.Get("Quire-Signature") != want {
		t.Errorf("signature %s, want %s", first.header.Get("Quire-Signature"), want)
	}
	r.edit("doc")
	if e := in.next(t).events[0]; e.Rev != 1 || e.Kind != "edit" || string(e.Op) != `["x"]` || e.Author != "Ben" {
		t.Errorf("%+v", e)
	}
	r.edit("before") // only what came after the hook did
	if e := in.next(t).events[0]; e.Doc != "before" || e.Rev != 1 {
		t.Errorf("%+v", e)
	}
	if err := r.manager.Delete(t.Context(), "doc"); err != nil {
		t.Fatal(err)
	}
	if e := in.next(t).events[0]; e.Doc != "doc" || e.Kind != "purge" || e.Rev != 1 {
		t.Errorf("%+v", e)
	}
	r.create("doc")
	if e := in.next(t).events[0]; e.Doc != "doc" || e.Kind != "create" || e.Rev != 0 {
		t.Errorf("%+v", e)
	}
	r.settled(k.ID)
	in.none(t)
}

// TestOrder sends many steps of many documents to receivers that fail at random. Each is told of
// all, in order.
func TestOrder(t *testing.T) {
	r := newRig(t, Options{RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond, MaxEvents: 7})
	in := newReceiver(t)
	const docs, edits = 20, 50
	var mu sync.Mutex
	told := map[string]session.Revision{}
	for i := range docs {
		told[fmt.Sprint("doc", i)] = session.Unborn
	}
	n, left := 0, docs*(edits+1)
	done := make(chan struct{})
	in.answers(func(req request) int {
		mu.Lock()
		defer mu.Unlock()
		n++
		if n%3 == 0 {
			return 500
		}
		for _, e := range req.events {
			switch {
			case e.Rev <= told[e.Doc]: // once more
			case e.Rev == told[e.Doc]+1:
				told[e.Doc]++
				if left--; left == 0 {
					close(done)
				}
			default:
				t.Errorf("%s: revision %d after %d", e.Doc, e.Rev, told[e.Doc])
			}
		}
		if len(req.events) > 7 {
			t.Errorf("%d events at once", len(req.events))
		}
		return 200
	})
	r.register(Hook{URL: in.URL})
	var wg sync.WaitGroup
	for i := range docs {
		wg.Go(func() {
			doc := fmt.Sprint("doc", i)
			r.create(doc)
			for range edits {
				r.edit(doc)
			}
		})
	}
	wg.Wait()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%d events are missing", left)
	}
}

// TestBatch: a receiver that is behind gets several steps in one request, bounded.
func TestBatch(t *testing.T) {
	r := newRig(t, Options{MaxEvents: 10, MaxBytes: 2000})
	in := newReceiver(t)
	held, release := make(chan struct{}), make(chan struct{})
	in.answers(func(req request) int {
		if req.events[0].Kind == "create" {
			close(held)
			<-release
		}
		return 200
	})
	k := r.register(Hook{URL: in.URL})
	r.create("doc")
	<-held
	for range 25 {
		r.edit("doc")
	}
	large, _ := json.Marshal([]string{strings.Repeat("y", 3000)})
	if _, err := r.manager.Edit(t.Context(), "doc", session.Head, [][]byte{large}, session.Writer{}); err != nil {
		t.Fatal(err)
	}
	close(release)
	in.next(t)
	ids := map[string]bool{}
	var events []got
	for len(events) < 26 {
		req := in.next(t)
		if len(req.events) > 10 || len(req.body) > 2300 || ids[req.header.Get("Quire-Delivery")] {
			t.Errorf("%d events in %d bytes", len(req.events), len(req.body))
		}
		ids[req.header.Get("Quire-Delivery")] = true
		events = append(events, req.events...)
	}
	for i, e := range events {
		if e.Rev != session.Revision(i+1) || (e.Omitted > 0) != (i == 25) || (e.Op == nil) != (i == 25) {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	if len(ids) > 8 {
		t.Errorf("%d requests", len(ids))
	}
	r.settled(k.ID)
}

// TestRestart: positions last, what happened while the server was down is delivered, and
// what was not saved before a kill is delivered again.
func TestRestart(t *testing.T) {
	r := newRig(t, Options{SaveEvery: time.Hour})
	in := newReceiver(t)
	k := r.register(Hook{URL: in.URL})
	for _, doc := range []string{"edited", "renamed", "removed", "again", "quiet"} {
		r.create(doc)
	}
	in.events(t, 5)
	r.settled(k.ID)
	r.kill()
	r.start()
	once := in.events(t, 5) // no position was saved
	r.settled(k.ID)
	r.stop() // these are
	if got := kinds(once); strings.Count(got, "create 0") != 5 {
		t.Errorf("after a kill: %s", got)
	}
	// A life without hooks.
	r.manager = session.New(session.Options{Store: r.store, Types: []ot.Type{text.Type{}}})
	r.edit("edited")
	r.create("new")
	for _, doc := range []string{"removed", "again"} {
		if err := r.manager.Delete(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	r.create("again")
	if err := errors.Join(r.manager.Close(t.Context()), r.store.Rename(t.Context(), "renamed", "other")); err != nil {
		t.Fatal(err)
	}
	in.none(t)
	r.start()
	events := in.events(t, 6)
	r.settled(k.ID)
	in.none(t)
	var lines []string
	for _, e := range events {
		lines = append(lines, kinds([]got{e}))
		if e.Kind == "rename" && e.Was != "renamed" {
			t.Errorf("%+v", e)
		}
	}
	slices.Sort(lines)
	want := "again create 0, again purge 0, edited edit 1, new create 0, other rename 0, removed purge 0"
	if got := strings.Join(lines, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r.edit("other")
	if e := in.next(t).events[0]; e.Doc != "other" || e.Rev != 1 {
		t.Errorf("%+v", e)
	}
	r.stop()
	r.start()
	r.settled(k.ID)
	in.none(t)
}

// faultyStore cannot read documents while it is told so.
type faultyStore struct {
	*mem.Store
	broken atomic.Bool
	asked  chan struct{} // has room for many
}

func (f *faultyStore) Notes(ctx context.Context, id, prefix, after string, limit int) ([]storage.Note, error) {
	if f.broken.Load() && strings.HasPrefix(prefix, allPositions) && limit == 1 {
		f.asked <- struct{}{}
		return nil, errors.New("the disk is away")
	}
	return f.Store.Notes(ctx, id, prefix, after, limit)
}

// TestUnreadable: what cannot be read is not the receiver's fault: it is tried until it can
// be, and nothing is given up.
func TestUnreadable(t *testing.T) {
	store := mem.New()
	f := &faultyStore{Store: store, asked: make(chan struct{}, 1000)}
	r := &rig{t: t, store: store, opt: Options{Store: f, RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond, GiveUp: time.Nanosecond}}
	r.start()
	t.Cleanup(r.stop)
	in := newReceiver(t)
	k := r.register(Hook{URL: in.URL})
	f.broken.Store(true)
	r.create("doc")
	for range 5 {
		<-f.asked
	}
	in.none(t)
	f.broken.Store(false)
	in.next(t)
	if s := r.settled(k.ID); s.Dead != 0 || s.Error != "" {
		t.Errorf("%+v", s)
	}
}

// TestTrimmed: what retention dropped before it could be delivered is not passed over in
// silence.
func TestTrimmed(t *testing.T) {
	r := newRig(t, Options{})
	in := newReceiver(t)
	k := r.register(Hook{URL: in.URL})
	r.create("doc")
	in.next(t)
	r.settled(k.ID)
	r.stop()
	r.manager = session.New(session.Options{Store: r.store, Types: []ot.Type{text.Type{}}})
	for range 5 {
		r.edit("doc")
	}
	if _, err := r.manager.Squash(t.Context(), "doc", session.Keep{Count: 2}); err != nil {
		t.Fatal(err)
	}
	info, err := r.store.Stat(t.Context(), "doc")
	if err := errors.Join(err, r.manager.Close(t.Context())); err != nil || info.Oldest < 1 {
		t.Fatalf("%+v, %v", info, err)
	}
	r.start()
	events := in.events(t, 1+int(info.Head-info.Oldest))
	if e := events[0]; e.Kind != "gone" || e.Rev != info.Oldest {
		t.Errorf("%+v", e)
	}
	for i, e := range events[1:] {
		if e.Kind != "edit" || e.Rev != info.Oldest+session.Revision(i+1) {
			t.Errorf("%+v", e)
		}
	}
	r.settled(k.ID)
	in.none(t)
}

// TestSlowReceiver: a receiver that does not answer holds up neither other hooks nor, on
// the same one, other documents.
func TestSlowReceiver(t *testing.T) {
	r := newRig(t, Options{AtOnce: 2})
	slow, quick := newReceiver(t), newReceiver(t)
	release := make(chan struct{})
	slow.answers(func(req request) int {
		if req.events[0].Doc == "stuck" {
			<-release
		}
		return 200
	})
	r.register(Hook{URL: slow.URL})
	r.register(Hook{URL: quick.URL, Docs: "st"})
	r.create("stuck")
	quick.next(t)
	for i := range 10 {
		r.create(fmt.Sprint("other", i))
	}
	slow.events(t, 10)
	r.edit("stuck")
	quick.next(t)
	close(release)
	if got := kinds(slow.events(t, 2)); got != "stuck create 0, stuck edit 1" {
		t.Error(got)
	}
	quick.none(t)
}

// counted counts what a store is asked.
type counted struct {
	*mem.Store
	mu                       sync.Mutex
	stats, lists, reads, set int
}

func (c *counted) Stat(ctx context.Context, id string) (storage.Info, error) {
	c.add(&c.stats)
	return c.Store.Stat(ctx, id)
}

func (c *counted) List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error) {
	c.add(&c.lists)
	return c.Store.List(ctx, prefix, after, limit)
}

func (c *counted) Notes(ctx context.Context, id, prefix, after string, limit int) ([]storage.Note, error) {
	c.add(&c.reads)
	return c.Store.Notes(ctx, id, prefix, after, limit)
}

func (c *counted) SetNotes(ctx context.Context, id string, incarnation uint64, notes []storage.Note) error {
	c.add(&c.set)
	return c.Store.SetNotes(ctx, id, incarnation, notes)
}

func (c *counted) add(n *int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
}

func (c *counted) take() (stats, lists, reads, set int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats, lists, reads, set = c.stats, c.lists, c.reads, c.set
	c.stats, c.lists, c.reads, c.set = 0, 0, 0, 0
	return
}

// TestManyDocuments: with ten thousand documents a hook is registered, and the server
// started, by a few dozen calls; and only what changed is looked at.
func TestManyDocuments(t *testing.T) {
	store := mem.New()
	c := &counted{Store: store}
	for i := range 10_000 {
		if _, err := store.Create(t.Context(), fmt.Sprintf("doc%05d", i), storage.Record{Kind: storage.Create, Type: "text", Op: text.Type{}.MarshalDoc(nil, mustDoc(t))}); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{t: t, store: store, opt: Options{Store: c}}
	r.start()
	t.Cleanup(r.stop)
	in := newReceiver(t)
	k := r.register(Hook{URL: in.URL})
	if stats, lists, _, set := c.take(); stats > 0 || lists > 22 || set > 12 {
		t.Errorf("registering: %d stats, %d lists, %d writes", stats, lists, set)
	}
	r.edit("doc05000")
	in.next(t)
	r.settled(k.ID)
	r.stop()
	c.take()
	r.start()
	r.edit("doc07000")
	if e := in.next(t).events[0]; e.Doc != "doc07000" {
		t.Errorf("%+v", e)
	}
	r.settled(k.ID)
	if stats, lists, reads, _ := c.take(); stats > 4 || lists > 11 || reads > 20 {
		t.Errorf("starting: %d stats, %d lists, %d reads", stats, lists, reads)
	}
	in.none(t)
}

func mustDoc(t *testing.T) ot.Doc {
	doc, err := text.Type{}.Create(nil)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
