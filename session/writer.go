package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"quire/ot"
)

// Writer is who edits a document without having it open.
type Writer struct {
	// User is recorded as the author.
	User User
	// Key makes a request that is repeated with the same Key and Sum take effect once,
	// for as long as the document exists; 1 to 200 bytes, or empty for none. The same
	// Key with another Sum is CodeReused. A request that had nothing to do is not
	// remembered.
	Key string
	// Sum is a digest of the request, for telling a repetition from another request.
	Sum []byte
}

// maxKey is the longest Writer.Key in bytes.
const maxKey = 200

// keyPrefix is what the client of a record begins with that was written under a key.
const keyPrefix = "key."

func (w *Writer) check(lim Limits) *Error {
	if len(w.Key) > maxKey {
		return Errorf(CodeTooLarge, "an idempotency key of %d bytes, limit %d", len(w.Key), maxKey)
	}
	return w.User.check(lim)
}

// identity returns the client and the sequence number that a Writer's operation is
// recorded under: a key is a client that submits once, and the request's digest is the
// number. Without a key they are empty and 0.
func (w *Writer) identity() (client string, seq uint64) {
	if w.Key == "" {
		return "", 0
	}
	key, sum := sha256.Sum256([]byte(w.Key)), sha256.Sum256(w.Sum)
	const most = 1<<53 - 2
	return keyPrefix + base64.RawURLEncoding.EncodeToString(key[:16]), binary.BigEndian.Uint64(sum[:])%most + 1
}

// Edited is what became of an edit.
type Edited struct {
	// Rev is the revision that the operation led to; when it did nothing, and nothing
	// was committed, the head.
	Rev Revision
	// Type and Op are the operation as it was applied, which is a Creation when a deleted
	// document was restored. Op is the identity when there was nothing to do.
	Type ot.Type
	Op   ot.Op
	// Repeated: the edit had been committed before, under the same Writer.Key.
	Repeated bool
}

// waiting is where a Writer learns what became of its submission.
type waiting struct {
	done    chan struct{} // closed when it has ended
	ended   bool          // guarded by Session.mu
	refusal *Error        // set before done is closed
}

// end tells whoever waits; nobody when w is nil. Called with the session's lock held.
func (w *waiting) end(refusal *Error) {
	if w != nil && !w.ended {
		w.ended, w.refusal = true, refusal
		close(w.done)
	}
}

// plan is what a Writer wants: op, an operation of typ or a Creation, made on revision base.
type plan struct {
	base Revision
	typ  ot.Type
	op   ot.Op
}

// write commits what propose plans, once, and waits until it is durable. propose runs without
// locks, and not at all when the writer's key was used before.
func (m *Manager) write(ctx context.Context, doc string, w Writer, propose func(s *Session) (plan, error)) (Edited, error) {
	e, err := m.tryWrite(ctx, doc, w, propose)
	if err != nil {
		refusal := m.unreadable(ctx, doc, Head, err)
		m.opt.Observer.Refused(refusal.Code)
		return Edited{}, refusal
	}
	return e, nil
}

func (m *Manager) tryWrite(ctx context.Context, doc string, w Writer, propose func(s *Session) (plan, error)) (Edited, error) {
	if err := checkDocID(doc); err != nil {
		return Edited{}, err
	}
	if err := w.check(m.opt.Limits); err != nil {
		return Edited{}, err
	}
	s, err := m.session(ctx, doc)
	if err != nil {
		return Edited{}, err
	}
	defer m.unref(s)
	client, seq := w.identity()
	c, err := s.know(ctx, client, false)
	if err != nil {
		return Edited{}, err
	}
	defer func() {
		s.mu.Lock()
		s.release(client, c)
		s.mu.Unlock()
	}()
	r := &Subscription{s: s, client: client, state: c, notify: func() {}, ctx: ctx, user: w.User, convention: Versioned}
	u := &submission{sub: r, client: c, seq: seq, side: ot.Right, waiting: &waiting{done: make(chan struct{})}}
	before, err := u.before()
	if err != nil {
		return Edited{}, err
	}
	if before != nil {
		return s.repeated(ctx, before, u)
	}
	p, err := propose(s)
	if err != nil {
		return Edited{}, err
	}
	if _, creates := p.op.(Creation); !creates && p.typ.IsIdentity(p.op) {
		return s.nothing(p.typ)
	}
	if err := s.paceOnce(w.User); err != nil {
		return Edited{}, err
	}
	u.received, u.base, u.typ, u.ops = m.opt.Now(), p.base, p.typ, []ot.Op{p.op}
	before, err = s.submit(ctx, u)
	if err != nil {
		return Edited{}, err
	}
	if before != nil {
		return s.repeated(ctx, before, u)
	}
	return s.written(ctx, u)
}

// nothing is what became of an edit that had nothing to do.
func (s *Session) nothing(typ ot.Type) (Edited, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Edited{Rev: s.head, Type: typ, Op: typ.Identity()}, nil
}

// reused refuses a Writer's submission whose key was used for another request. Called
// with the lock held.
func (u *submission) reused() *Error {
	if u.waiting != nil && u.seq > 0 && u.client.tipSeq != 0 && u.client.tipSeq != u.seq {
		return Errorf(CodeReused, "the idempotency key was used for another request")
	}
	return nil
}

// before returns what the submission's key was used for before: a submission that is on its way to the disk,
// or one without operations for what is committed; nil when the key is new.
func (u *submission) before() (*submission, error) {
	s := u.sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.earlier(u)
}

// earlier is before, with the lock held.
func (s *Session) earlier(u *submission) (*submission, error) {
	if refusal := u.reused(); refusal != nil {
		return nil, refusal
	}
	if u.seq == 0 || u.client.tipSeq != u.seq {
		return nil, nil
	}
	for _, row := range [][]*submission{s.appending, s.staged} {
		for _, x := range row {
			if x.client == u.client && x.seq == u.seq && x.waiting != nil {
				return x, nil
			}
		}
	}
	done := &waiting{done: make(chan struct{})}
	done.end(nil)
	return &submission{sub: u.sub, client: u.client, seq: u.seq, waiting: done}, nil
}

// submit gives a Writer's submission its place, unless its key was used meanwhile: then
// it returns what for.
func (s *Session) submit(ctx context.Context, u *submission) (before *submission, err error) {
	work := 0
	for {
		before, start, again, err := s.enter(u)
		if !again || err != nil {
			return before, err
		}
		if refusal := s.bringForward(ctx, u, start, &work); refusal != nil {
			return nil, refusal
		}
	}
}

// enter stages a Writer's submission. It asks to be called again when the base is no longer in
// memory, which begins at start.
func (s *Session) enter(u *submission) (before *submission, start Revision, again bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead != nil && s.dead.Code.Class() == Resync {
		return nil, 0, false, Errorf(CodeUnavailable, "the document has to be opened again; send it again")
	} else if s.dead != nil {
		return nil, 0, false, s.dead
	}
	if before, err = s.earlier(u); before != nil || err != nil {
		return before, 0, false, err
	}
	switch start = s.window.start; {
	case s.m.stopping():
		return nil, 0, false, Errorf(CodeBusy, "the server is stopping")
	case s.unsaved > 4*s.m.opt.Limits.WindowBytes:
		return nil, 0, false, Errorf(CodeBusy, "too many edits wait for the disk")
	case u.base < Unborn:
		return nil, 0, false, Errorf(CodeFuture, "revision %d", u.base)
	case u.base < start:
		return nil, start, true, nil
	}
	if refusal := s.stage(u); refusal != nil {
		return nil, 0, false, refusal
	}
	u.client.refs++
	s.kick()
	return nil, 0, false, nil
}

// written waits until a submission is durable and returns what became of it.
func (s *Session) written(ctx context.Context, u *submission) (Edited, error) {
	select {
	case <-u.waiting.done:
	case <-ctx.Done():
		return Edited{}, Errorf(CodeUnavailable, "writing took too long; it may take effect later: ask again with the same idempotency key")
	case <-s.background().Done():
		return Edited{}, Errorf(CodeUnavailable, "the server is stopping; it may have taken effect: ask again with the same idempotency key")
	}
	if u.waiting.refusal != nil {
		return Edited{}, u.waiting.refusal
	}
	if len(u.out) > 0 {
		return Edited{Rev: u.first + 1, Type: u.typ, Op: u.out[0]}, nil
	}
	return s.readBack(ctx, u)
}

// repeated returns what became of a submission that came with the key before u did.
func (s *Session) repeated(ctx context.Context, before, u *submission) (Edited, error) {
	e, err := s.written(ctx, before)
	e.Repeated = err == nil
	return e, err
}

// readBack returns the operation that was committed under a submission's key.
func (s *Session) readBack(ctx context.Context, u *submission) (Edited, error) {
	s.mu.Lock()
	rev := u.client.rev
	s.mu.Unlock()
	typ, err := s.typeBefore(ctx, rev-1)
	if err != nil {
		return Edited{}, err
	}
	entries, err := s.readEntries(ctx, typ, rev-1, rev)
	if err != nil {
		return Edited{}, s.m.unreadable(ctx, s.id, rev-1, err)
	}
	if _, after := around(typ, entries[0].op); after != nil {
		typ = after
	}
	return Edited{Rev: rev, Type: typ, Op: entries[0].op}, nil
}
