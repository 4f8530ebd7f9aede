// Package session keeps one actor per open document. A session orders what its
// clients submit, removes duplicates, transforms, appends to the store, and only
// when that is durable acknowledges and publishes. It knows no protocol and no
// driver.
package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"quire/ot"
	"quire/storage"
)

// Manager holds the sessions of all open documents. It is safe for concurrent use.
//
// Locks are taken in this order: Manager.mu, Session.mu.
type Manager struct {
	// Static after construction.
	opt    Options
	types  map[string]ot.Type
	ctx    context.Context // ends when the manager is closed
	cancel context.CancelFunc
	// catchUps has a place for each reader that is caught up from the store.
	catchUps chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	sessions map[string]*loading
	progress chan struct{} // closed and replaced whenever something was saved

	closing atomic.Bool
}

// loading is a session that is there or being read.
type loading struct {
	done chan struct{} // closed when s or err is set
	s    *Session
	err  error
}

// New makes a Manager. Close it before the store.
func New(opt Options) *Manager {
	m := &Manager{opt: opt.withDefaults(), types: map[string]ot.Type{}, sessions: map[string]*loading{}, progress: make(chan struct{}), catchUps: make(chan struct{}, 2)}
	for _, t := range opt.Types {
		m.types[t.Name()] = t
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.opt.After(m.opt.IdleAfter/2, m.sweep)
	return m
}

// Limits returns the limits in force.
func (m *Manager) Limits() Limits { return m.opt.Limits }

// OpenRequest asks for a place in a document.
type OpenRequest struct {
	// Doc is the document's id.
	Doc string
	// Client is the editing instance; empty for one that only reads.
	Client string
	// Create names the type to create the document with when it is not there;
	// empty to open existing documents only.
	Create string
	// User is how the person is shown, and recorded as the author.
	User User
	// Resume continues at revision Rev of incarnation Incarnation, with Seq the
	// highest own sequence number known to be committed.
	Resume      bool
	Incarnation uint64
	Rev         Revision
	Seq         uint64
	// Notify is called, from any goroutine and perhaps with locks held, whenever
	// there may be something to Take. It must not block or call back. Required.
	Notify func()
}

// Opened is the state a reader starts from.
type Opened struct {
	Type        string
	Incarnation uint64
	// Rev is where the reader's deliveries start; Head is the newest revision now.
	Rev, Head Revision
	// Seq is the client's highest committed sequence number.
	Seq uint64

	typ ot.Type
	doc ot.Doc
}

// AppendContent appends the document at Rev in JSON wire form. It is not there when
// the reader resumed.
func (o *Opened) AppendContent(dst []byte) []byte { return o.typ.AppendDoc(dst, o.doc) }

// Size returns the document's size in bytes, 0 when the reader resumed.
func (o *Opened) Size() int {
	if o.doc == nil {
		return 0
	}
	return o.typ.Size(o.doc)
}

// Checksum returns the checksum of the document at Rev.
func (o *Opened) Checksum() uint32 { return o.typ.Checksum(o.doc) }

// Open gives a client its place in a document, reading the document when it is not
// in memory. Errors are *Error; a document that could not be read is
// CodeUnavailable, never an empty one.
func (m *Manager) Open(ctx context.Context, req OpenRequest) (*Subscription, *Opened, error) {
	r, o, err := m.open(ctx, req)
	if err != nil {
		e := AsError(err)
		m.opt.Observer.Refused(e.Code)
		return nil, nil, e
	}
	return r, o, nil
}

func (m *Manager) open(ctx context.Context, req OpenRequest) (*Subscription, *Opened, error) {
	if err := storage.CheckDocID(req.Doc); err != nil {
		return nil, nil, Errorf(CodeBadID, "a document id is 1 to %d bytes of UTF-8 without control characters", storage.MaxDocID)
	}
	if err := req.User.check(m.opt.Limits); err != nil {
		return nil, nil, err
	}
	if req.Create != "" && m.types[req.Create] == nil {
		return nil, nil, Errorf(CodeBadType, "no such document type")
	}
	s, err := m.session(ctx, req.Doc)
	// A load that was under way before the document was created may still say that it
	// is not there; one that starts after it does not.
	for range 3 {
		if req.Create == "" || err == nil || AsError(err).Code != CodeNotFound {
			break
		}
		if _, err = m.Create(ctx, req.Doc, req.Create); err == nil || AsError(err).Code == CodeExists {
			s, err = m.session(ctx, req.Doc)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	r, o, err := s.subscribe(ctx, req)
	if err != nil {
		m.unref(s)
	}
	return r, o, err
}

// subscribe adds a reader. The client's sequence number comes from the session when
// it knows the client, else from the store, read without the lock; holding the
// client's state meanwhile keeps commits from being missed.
func (s *Session) subscribe(ctx context.Context, req OpenRequest) (*Subscription, *Opened, error) {
	s.mu.Lock()
	c := s.acquire(req.Client)
	s.mu.Unlock()

	var last uint64
	var rev Revision
	var err error
	if req.Client != "" {
		last, rev, err = s.m.opt.Store.LastSeq(ctx, s.id, req.Client)
	}
	s.mu.Lock()
	if err != nil {
		s.release(req.Client, c)
		s.mu.Unlock()
		s.log().Error("cannot read a client's sequence number", "client", req.Client, "err", err)
		return nil, nil, Errorf(CodeUnavailable, "the document cannot be read now")
	}
	if last > c.last {
		c.last, c.rev = last, rev
	}
	if c.last > c.tipSeq {
		c.tipSeq, c.tipRev = c.last, c.rev
	}
	r, o, refusal := s.admit(req, c)
	if refusal != nil {
		s.release(req.Client, c)
		s.mu.Unlock()
		return nil, nil, refusal
	}
	subs := s.subs
	s.mu.Unlock()
	wake(subs)
	return r, o, nil
}

// admit checks an open against the document as it is and adds the reader. Called
// with the lock held.
func (s *Session) admit(req OpenRequest, c *clientState) (*Subscription, *Opened, *Error) {
	if s.dead != nil {
		return nil, nil, s.dead
	}
	o := &Opened{Type: s.typ.Name(), Incarnation: s.inc, Rev: s.head, Head: s.head, Seq: c.last, typ: s.typ}
	if req.Resume {
		switch {
		case req.Incarnation != s.inc:
			return nil, nil, Errorf(CodeIncarnation, "the document was deleted and created again")
		case req.Rev > s.head || req.Rev < 0:
			return nil, nil, Errorf(CodeFuture, "revision %d, head %d", req.Rev, s.head)
		case req.Seq > c.last || req.Seq < c.last && c.rev <= req.Rev:
			return nil, nil, Errorf(CodeMismatch, "seq %d at revision %d, the document holds %d", req.Seq, req.Rev, c.last)
		}
		o.Rev = req.Rev
	} else {
		if c.tipSeq > c.last || c.rev > s.head {
			// What it submitted is on its way to the disk: it could not go on from Seq.
			return nil, nil, Errorf(CodeBusy, "this client's last operations are being written")
		}
		o.doc = s.doc
	}
	if req.Client != "" {
		for _, old := range s.subs {
			if old.client == req.Client && old.closed == nil {
				old.closed = Errorf(CodeReplaced, "this client opened the document again")
			}
		}
	}
	r := &Subscription{s: s, client: req.Client, state: c, notify: req.Notify, user: req.User, pos: o.Rev, single: c.tipRev, saved: true}
	s.subs = append(s.subs[:len(s.subs):len(s.subs)], r)
	if req.Client != "" && req.User.Name != "" {
		e := s.people.touch(s, req.Client)
		e.user = req.User
		if e.rev == 0 {
			e.rev = s.head
		}
	}
	return r, o, nil
}

// Create makes an empty document. Durable on return. CodeExists when it is there.
func (m *Manager) Create(ctx context.Context, doc, typ string) (Info, error) {
	if m.types[typ] == nil {
		return Info{}, Errorf(CodeBadType, "no such document type")
	}
	if storage.CheckDocID(doc) != nil {
		return Info{}, Errorf(CodeBadID, "a document id is 1 to %d bytes of UTF-8 without control characters", storage.MaxDocID)
	}
	if m.stopping() {
		return Info{}, Errorf(CodeBusy, "the server is stopping")
	}
	info, err := m.opt.Store.Create(ctx, doc, typ, m.opt.Now().UnixMilli())
	if err != nil && !errors.Is(err, storage.ErrExists) {
		m.opt.Logger.Error("cannot create a document", "doc", doc, "err", err)
		return info, Errorf(CodeUnavailable, "the document cannot be created now")
	}
	return info, err
}

// List returns documents in byte order of their ids, those that begin with prefix
// and come after the id after, at most limit.
func (m *Manager) List(ctx context.Context, prefix, after string, limit int) ([]Info, error) {
	infos, err := m.opt.Store.List(ctx, prefix, after, limit)
	if err != nil {
		m.opt.Logger.Error("cannot list documents", "err", err)
		return nil, Errorf(CodeUnavailable, "the documents cannot be listed now")
	}
	return infos, nil
}

// Delete removes a document for good; its readers are told.
func (m *Manager) Delete(ctx context.Context, doc string) error {
	m.mu.Lock()
	l := m.sessions[doc] // before: a session that is there afterwards may be of a new document
	m.mu.Unlock()
	if err := m.opt.Store.Delete(ctx, doc); err != nil {
		if !errors.Is(err, storage.ErrNotFound) {
			m.opt.Logger.Error("cannot delete a document", "doc", doc, "err", err)
			return Errorf(CodeUnavailable, "the document cannot be deleted now")
		}
		return AsError(err)
	}
	if l == nil {
		return nil
	}
	<-l.done
	if l.s != nil {
		l.s.mu.Lock()
		subs := l.s.end(Errorf(CodeDeleted, "the document was deleted"))
		l.s.mu.Unlock()
		m.forget(l.s)
		wake(subs)
		m.progressed()
	}
	return nil
}
