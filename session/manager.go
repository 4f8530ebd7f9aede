// Package session keeps one actor per open document. A session orders what its
// clients submit, removes duplicates, transforms, appends to the store, and only
// when that is durable acknowledges and publishes. It knows no protocol and no
// driver.
package session

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"quire/ot"
	"quire/session/limits"
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
	// looks has a place for each who looks at the past of a document for long, edits one for
	// each edit that takes long to work out.
	looks, edits chan struct{}
	// keeping has a place for who drops or rewrites the past of a document.
	keeping chan struct{}
	// contents are those that were looked at lately, reads those that somebody has.
	contents *recent[content]
	reads    reading
	// blames are those that were asked for lately.
	blames *recent[keptBlame]
	// authors have their rates, clientRate and documentRate are each client's and document's.
	authors                  *limits.Table[authorKey]
	clientRate, documentRate limits.Rate
	// namespaces has the store's documents counted; nil without Limits.Namespace.
	namespaces *housed
	memory     memory
	// leaving is what is on its way to readers that is theirs alone.
	leaving *limits.Budget

	mu sync.Mutex
	// Guarded by mu.
	sessions map[string]*loading
	progress chan struct{} // closed and replaced whenever something was saved

	closing atomic.Bool

	// labelling is held while labels are set, and while what they are to keep is squashed.
	labelling sync.Mutex

	watchMu  sync.Mutex
	watchers []*func(doc string) // copied when changed; guarded by watchMu
}

// loading is a session that is there or being read.
type loading struct {
	done chan struct{} // closed when s or err is set
	s    *Session
	err  error
}

// New makes a Manager. Close it before the store.
func New(opt Options) *Manager {
	m := &Manager{
		opt: opt.withDefaults(), types: map[string]ot.Type{}, sessions: map[string]*loading{}, progress: make(chan struct{}),
		catchUps: make(chan struct{}, 2), looks: make(chan struct{}, 2), edits: make(chan struct{}, 2), keeping: make(chan struct{}, 1),
		blames: newRecent[keptBlame](blameBytes, blameCount),
	}
	for _, t := range opt.Types {
		m.types[t.Name()] = t
	}
	lim := &m.opt.Limits
	m.reads, m.contents = newReading(lim.Memory), newRecent[content](cmp.Or(lim.Memory, readBytes*readPart)/recentPart, recentCount)
	m.memory, m.leaving = newMemory(lim.Memory), limits.NewBudget(lim.CatchUp)
	client, author, document := lim.rates()
	m.authors, m.clientRate, m.documentRate = limits.NewTable[authorKey](author), client, document
	if lim.Namespace > 0 {
		m.namespaces = &housed{Store: opt.Store, m: m, most: lim.Namespace, spaces: map[string]*namespace{}}
		m.opt.Store = m.namespaces
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.opt.After(m.opt.IdleAfter/2, m.sweep)
	if !m.opt.Keep.All() {
		m.opt.After(squashPause, func() { m.retain("") })
	}
	return m
}

// Watch has fn called with a document's id whenever operations of it became durable, or
// it was removed, until stop is called. fn runs on the path of every commit: it must be
// quick and must not call back.
func (m *Manager) Watch(fn func(doc string)) (stop func()) {
	w := &fn
	m.watchMu.Lock()
	m.watchers = append(m.watchers[:len(m.watchers):len(m.watchers)], w)
	m.watchMu.Unlock()
	return func() {
		m.watchMu.Lock()
		m.watchers = slices.DeleteFunc(slices.Clone(m.watchers), func(o *func(string)) bool { return o == w })
		m.watchMu.Unlock()
	}
}

// changed tells watchers of a document.
func (m *Manager) changed(doc string) {
	m.watchMu.Lock()
	watchers := m.watchers
	m.watchMu.Unlock()
	for _, fn := range watchers {
		(*fn)(doc)
	}
}

// Limits returns the limits in force.
func (m *Manager) Limits() Limits { return m.opt.Limits }

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
	m.opt.Observer.Opened(req.Resume)
	return r, o, nil
}

func (m *Manager) open(ctx context.Context, req OpenRequest) (*Subscription, *Opened, error) {
	if err := checkDocID(req.Doc); err != nil {
		return nil, nil, err
	}
	if err := req.User.check(m.opt.Limits); err != nil {
		return nil, nil, err
	}
	if strings.HasPrefix(req.Client, keyPrefix) {
		return nil, nil, Errorf(CodeBadID, "a client id does not begin with %q", keyPrefix)
	}
	if req.Create != "" && m.types[req.Create] == nil {
		return nil, nil, Errorf(CodeBadType, "no such document type")
	}
	for {
		s, err := m.session(ctx, req.Doc)
		if err != nil {
			return nil, nil, err
		}
		r, o, err := s.subscribe(ctx, req)
		if err == nil {
			return r, o, nil
		}
		if req.Create != "" && AsError(err).Code == CodeNotFound {
			// Somebody else may create it first, which is as good.
			if err = s.create(ctx, m.types[req.Create], nil, req.User); err == nil || AsError(err).Code == CodeExists {
				m.unref(s)
				continue
			}
		}
		m.unref(s)
		return nil, nil, err
	}
}

// subscribe adds a reader.
func (s *Session) subscribe(ctx context.Context, req OpenRequest) (*Subscription, *Opened, error) {
	var before ot.Type
	if req.Convention == Versioned && req.Resume {
		var err error
		if before, err = s.typeBefore(ctx, req.Rev); err != nil {
			return nil, nil, s.m.unreadable(ctx, s.id, req.Rev, err)
		}
	}
	c, err := s.know(ctx, req.Client, req.User.Author != "")
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	r, o, refusal := s.admit(req, c, before)
	if refusal != nil {
		s.release(req.Client, c)
		s.mu.Unlock()
		return nil, nil, refusal
	}
	r.ctx = ctx
	subs := s.subs
	s.mu.Unlock()
	wake(subs)
	return r, o, nil
}

// know returns the state of a client with one more reference to it. Its sequence number
// comes from the session when that knows the client, else from the store, read without the
// lock; holding the client's state meanwhile keeps commits from being missed. So does the
// author of the client's last operation, when it is asked for and still kept.
func (s *Session) know(ctx context.Context, client string, whose bool) (*clientState, error) {
	s.mu.Lock()
	c := s.acquire(client)
	kept := s.inc != 0
	s.mu.Unlock()
	var last uint64
	var rev Revision
	var err error
	author := ""
	if client != "" && kept {
		last, rev, err = s.m.opt.Store.LastSeq(ctx, s.id, client)
		if err == nil && last > 0 && whose {
			author, err = s.authorBefore(ctx, rev)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.release(client, c)
		if !errors.Is(err, storage.ErrNotFound) { // it is not renamed or deleted just now
			s.log().Error("cannot read what a client needs to go on", "client", client, "err", err)
		}
		return nil, Errorf(CodeUnavailable, "the document cannot be read now")
	}
	if last > c.last {
		c.last, c.rev, c.author = last, rev, author
	}
	if c.last > c.tipSeq {
		c.tipSeq, c.tipRev = c.last, c.rev
	}
	return c, nil
}

// authorBefore returns who made the operation that led to a revision; nobody when it is not
// kept any more.
func (s *Session) authorBefore(ctx context.Context, rev Revision) (string, error) {
	recs, err := s.m.opt.Store.Read(ctx, s.id, rev-1, rev)
	if errors.Is(err, storage.ErrTrimmed) || err == nil && len(recs) == 0 {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return recs[0].Author, nil
}

// anothers reports whether a client is somebody else's: of whom it has operations, or who has
// the document open by it. Nobody can take part, or another's place, in another's name.
// Called with the lock held.
func (s *Session) anothers(req OpenRequest, c *clientState) bool {
	who := req.User.Author
	if req.Client == "" || who == "" {
		return false
	}
	if c.author != "" {
		return c.author != who
	}
	for _, o := range s.subs {
		if o.client == req.Client && o.closed == nil && o.user.Author != who {
			return true
		}
	}
	return false
}

// typeBefore returns the type of the content at a revision below the head.
func (s *Session) typeBefore(ctx context.Context, rev Revision) (ot.Type, error) {
	s.mu.Lock()
	at, born := max(rev, s.window.start), s.at.born
	var typ ot.Type
	if at <= s.head {
		typ = s.typeAt(at)
	}
	s.mu.Unlock()
	// What has content at the start of the window, and was created last before rev, had
	// it all the while.
	if at == rev || rev < 0 || typ != nil && rev >= born {
		return typ, nil
	}
	r, err := s.m.replay(ctx, s.id, rev)
	return r.typ, err
}

// admit checks an open against the document as it is and adds the reader. before is the
// type of the content at the revision asked for, in case that is not in memory now. Called
// with the lock held.
func (s *Session) admit(req OpenRequest, c *clientState, before ot.Type) (*Subscription, *Opened, *Error) {
	if s.dead != nil {
		return nil, nil, s.dead
	}
	if s.anothers(req, c) {
		return nil, nil, Errorf(CodeBadID, "this client id is another's")
	}
	inc := s.inc + uint64(s.at.born)
	o := &Opened{Incarnation: inc, Rev: s.head, Head: s.head, Seq: c.last, typ: s.at.typ}
	if o.typ != nil {
		o.Type = o.typ.Name()
	}
	typ := o.typ
	switch {
	case req.Convention == Versioned:
		if req.Resume && req.Rev < s.head {
			if err := s.gone(req.Rev); err != nil {
				return nil, nil, err
			}
			o.Rev = max(req.Rev, Unborn)
			if typ = before; o.Rev >= s.window.start {
				typ = s.typeAt(o.Rev)
			}
		} else {
			o.doc, o.copy = s.at.doc, s.copyOf()
		}
	case s.at.typ == nil:
		return nil, nil, Errorf(CodeNotFound, "no such document")
	case req.Resume:
		switch {
		case req.Incarnation != inc || 0 <= req.Rev && req.Rev < s.at.born:
			return nil, nil, Errorf(CodeIncarnation, "the document was deleted and created again")
		case req.Rev > s.head || req.Rev < 0:
			return nil, nil, Errorf(CodeFuture, "revision %d, head %d", req.Rev, s.head)
		case s.gone(req.Rev) != nil:
			return nil, nil, s.gone(req.Rev)
		case req.Seq > c.last || req.Seq < c.last && c.rev <= req.Rev:
			return nil, nil, Errorf(CodeMismatch, "seq %d at revision %d, the document holds %d", req.Seq, req.Rev, c.last)
		}
		o.Rev = req.Rev
	default:
		if c.tipSeq > c.last || c.rev > s.head {
			// What it submitted is on its way to the disk: it could not go on from Seq.
			return nil, nil, Errorf(CodeBusy, "this client's last operations are being written")
		}
		o.doc, o.copy = s.at.doc, s.copyOf()
	}
	if req.Client != "" && req.Convention == Sequenced {
		for _, old := range s.subs {
			if old.order > req.Order && old.client == req.Client && old.convention == Sequenced && old.closed == nil {
				return nil, nil, Errorf(CodeReplaced, "this client has opened the document on a later connection")
			}
		}
		for _, old := range s.subs {
			if old.client == req.Client && old.convention == Sequenced && old.closed == nil {
				old.closed = Errorf(CodeReplaced, "this client opened the document again")
			}
		}
	}
	r := &Subscription{s: s, client: req.Client, order: req.Order, convention: req.Convention, state: c, notify: req.Notify, user: req.User, author: s.m.author(req.User), typ: typ, pos: o.Rev, single: c.tipRev, saved: true}
	if c.pace == nil && req.Client != "" {
		c.pace = limits.NewPace(&s.m.clientRate)
	}
	if req.Convention == Versioned {
		r.single = Head
	}
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

// gone returns a refusal to go on from a revision when not everything after it is kept.
// Called with the lock held.
func (s *Session) gone(rev Revision) *Error {
	if rev = max(rev, Unborn); rev < s.oldest && rev < s.window.start {
		return gone(rev, s.oldest)
	}
	return nil
}

// Create makes a document, empty (content nil) or with content in its type's JSON wire
// form. Durable on return. CodeExists when it is there; one that was deleted counts its
// revisions on.
func (m *Manager) Create(ctx context.Context, doc, typ string, content []byte, user User) (Info, error) {
	if m.types[typ] == nil {
		return Info{}, Errorf(CodeBadType, "no such document type")
	}
	if err := checkDocID(doc); err != nil {
		return Info{}, err
	}
	s, err := m.session(ctx, doc)
	if err != nil {
		return Info{}, err
	}
	defer m.unref(s)
	if err := s.create(ctx, m.types[typ], content, user); err != nil {
		return Info{}, err
	}
	info, err := m.opt.Store.Stat(ctx, doc)
	if err != nil {
		m.opt.Logger.ErrorContext(ctx, "cannot read a document that was just created", "doc", doc, "err", err)
		return info, Errorf(CodeUnavailable, "the document cannot be read now")
	}
	return info, nil
}

// create gives the document content and waits until that is durable; when another
// creation is under way it waits for that and returns CodeExists.
func (s *Session) create(ctx context.Context, typ ot.Type, content []byte, user User) error {
	doc, err := typ.Create(content)
	if err != nil {
		return Errorf(CodeBadOp, "the content: %v", err)
	}
	if err := user.check(s.m.opt.Limits); err != nil {
		return err
	}
	if err := s.paceOnce(user); err != nil {
		return err
	}
	done := make(chan *Error, 1)
	exists, mine, refusal := s.beginCreation(ctx, typ, doc, user, done)
	if refusal != nil {
		return refusal
	}
	if mine {
		s.commit()
	}
	select {
	case err := <-done:
		if err == nil && exists {
			err = Errorf(CodeExists, "a document of that name exists")
		}
		if err != nil {
			return err
		}
		return nil
	case <-ctx.Done():
		return Errorf(CodeUnavailable, "creating the document took too long; it may be there later")
	case <-s.background().Done():
		return Errorf(CodeUnavailable, "the server is stopping; the document may be there later")
	}
}

// beginCreation stages a creation, unless one is under way already, of which done is told
// when it has ended. mine says that the commit step is the caller's to take.
func (s *Session) beginCreation(ctx context.Context, typ ot.Type, doc ot.Doc, user User, done chan *Error) (exists, mine bool, refusal *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.dead != nil:
		return false, false, s.dead
	case s.m.stopping():
		return false, false, Errorf(CodeBusy, "the server is stopping")
	case s.at.typ != nil && s.tip.typ != nil:
		return true, false, Errorf(CodeExists, "a document of that name exists")
	}
	if exists = s.tip.typ != nil; !exists {
		r := &Subscription{s: s, state: s.acquire(""), notify: func() {}, ctx: ctx, user: user, convention: Versioned}
		u := &submission{sub: r, client: r.state, received: s.m.opt.Now(), base: Head, typ: typ, ops: []ot.Op{Creation{typ, doc}}}
		if err := s.stage(u); err != nil {
			s.release("", r.state)
			return false, false, err
		}
	}
	s.creating = append(s.creating, done)
	if s.held == nil {
		mine, s.committer = !s.committer, true
	}
	return exists, mine, nil
}

// List returns documents in byte order of their ids, those that begin with prefix
// and come after the id after, at most limit; not those that were deleted but can be
// created again.
func (m *Manager) List(ctx context.Context, prefix, after string, limit int) ([]Info, error) {
	var out []Info
	for len(out) < limit {
		want := limit - len(out)
		infos, err := m.opt.Store.List(ctx, prefix, after, want)
		if err != nil {
			m.opt.Logger.ErrorContext(ctx, "cannot list documents", "err", err)
			return nil, Errorf(CodeUnavailable, "the documents cannot be listed now")
		}
		for _, info := range infos {
			if after = info.ID; info.Type != "" && !strings.HasPrefix(after, importPrefix) {
				out = append(out, info)
			}
		}
		if len(infos) < want {
			break
		}
	}
	return out, nil
}

// Delete removes a document for good, with its past; its readers are told.
func (m *Manager) Delete(ctx context.Context, doc string) error {
	if err := checkDocID(doc); err != nil {
		return err
	}
	before := m.loadingOf(doc)
	if err := m.opt.Store.Delete(ctx, doc); err != nil {
		if !errors.Is(err, storage.ErrNotFound) {
			m.opt.Logger.ErrorContext(ctx, "cannot delete a document", "doc", doc, "err", err)
			return Errorf(CodeUnavailable, "the document cannot be deleted now")
		}
		return AsError(err)
	}
	removed := Errorf(CodeDeleted, "the document was deleted")
	m.purge(before, removed, func(*Session) bool { return true })
	if after := m.loadingOf(doc); after != before {
		// It was read meanwhile, before the document went or after a new one came.
		info, err := m.opt.Store.Stat(ctx, doc)
		gone := errors.Is(err, storage.ErrNotFound)
		m.purge(after, removed, func(s *Session) bool { return s.inc != 0 && (gone || err == nil && info.Incarnation != s.inc) })
	}
	m.changed(doc)
	return nil
}

func (m *Manager) loadingOf(doc string) *loading {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions[doc]
}

// purge ends a session, if there is one and ends says so, which is called with the
// session's lock held.
func (m *Manager) purge(l *loading, why *Error, ends func(*Session) bool) {
	if l == nil {
		return
	}
	if <-l.done; l.s == nil {
		return
	}
	var subs []*Subscription
	l.s.mu.Lock()
	over := ends(l.s)
	if over {
		subs = l.s.end(why)
	}
	l.s.mu.Unlock()
	if over {
		m.forget(l.s)
		wake(subs)
		m.progressed()
	}
}
