package session

import (
	"slices"
	"time"
	"unicode"

	"quire/ot"
	"quire/session/limits"
)

// people is who is here: one entry for each client that gave a name or a cursor.
// Guarded by Session.mu.
//
// Changes are counted; a reader remembers up to which count it was told, and gets
// the latest state of whatever changed since. Rounds are spread over time, so that a
// burst of cursor moves costs one message per reader.
type people struct {
	entries []*person // in the order of their last change
	gone    []departure
	// forgotten is the newest change of a departure that is no longer in gone.
	forgotten uint64
	version   uint64 // changes so far
	public    uint64 // changes that readers may be told of
	pending   bool   // a round is scheduled
	lastRound time.Time
	cache     []presenceKey
	cached    []*Presence
}

// person is one presence entry. Its cursor is kept at the revision where it was
// last looked at, and moved over what came since when it is needed.
type person struct {
	client  string
	user    User
	cursor  ot.Cursor
	rev     Revision
	changed uint64
}

type departure struct {
	client  string
	changed uint64
}

type presenceKey struct {
	since uint64
	rev   Revision
	full  bool
}

const maxDepartures = 128

// touch returns a client's entry, newly made if need be, marked as changed.
func (p *people) touch(s *Session, client string) *person {
	i := slices.IndexFunc(p.entries, func(e *person) bool { return e.client == client })
	var e *person
	if i < 0 {
		e = &person{client: client}
	} else {
		e = p.entries[i]
		p.entries = slices.Delete(p.entries, i, i+1)
	}
	p.version++
	e.changed = p.version
	p.entries = append(p.entries, e)
	p.changed(s)
	return e
}

// remove takes a client's entry away.
func (p *people) remove(s *Session, client string) {
	i := slices.IndexFunc(p.entries, func(e *person) bool { return e.client == client })
	if i < 0 {
		return
	}
	p.entries = slices.Delete(p.entries, i, i+1)
	p.version++
	if len(p.gone) == maxDepartures {
		p.forgotten = p.gone[0].changed
		p.gone = slices.Delete(p.gone, 0, 1)
	}
	p.gone = append(p.gone, departure{client, p.version})
	p.changed(s)
}

// changed schedules a round: at once when the last one is long enough ago.
func (p *people) changed(s *Session) {
	p.cache, p.cached = p.cache[:0], p.cached[:0]
	if p.pending {
		return
	}
	p.pending = true
	s.m.opt.After(max(0, s.m.opt.PresenceEvery-s.m.opt.Now().Sub(p.lastRound)), s.presenceRound)
}

// presenceRound lets readers be told of every change so far.
func (s *Session) presenceRound() {
	s.mu.Lock()
	s.people.pending = false
	s.people.public = s.people.version
	s.people.lastRound = s.m.opt.Now()
	subs := s.subs
	s.mu.Unlock()
	wake(subs)
}

// settle moves every cursor to the head. It has to be called before operations
// leave the window.
func (p *people) settle(s *Session) {
	for _, e := range p.entries {
		if e.cursor != nil {
			for _, o := range s.window.slice(e.rev, s.head) {
				side := ot.Left
				if o.client == e.client {
					side = ot.Right
				}
				e.cursor = s.at.typ.TransformCursor(e.cursor, o.op, side)
			}
		}
		e.rev = s.head
	}
}

// forgetCursors takes all cursors away: what they were in is deleted.
func (p *people) forgetCursors(s *Session) {
	for _, e := range slices.Clone(p.entries) {
		if e.cursor != nil {
			p.touch(s, e.client).cursor = nil
		}
	}
}

// moved takes over the cursor that came with a submission that was committed.
func (p *people) moved(s *Session, u *submission) {
	if u.moved == nil || u.sub.closed != nil {
		return
	}
	e := p.touch(s, u.sub.client)
	e.user, e.cursor, e.rev = u.sub.user, u.moved, u.first+Revision(len(u.out))
}

// news returns what changed since the reader was last told, as of the head, which
// it has just reached; nil when nothing may be told. Readers that are equally far
// share one value.
func (p *people) news(s *Session, r *Subscription) *Presence {
	since := r.presence
	if since != 0 && since >= p.public {
		return nil
	}
	full := since == 0 || since < p.forgotten
	r.presence = max(p.version, 1)
	key := presenceKey{since, s.head, full}
	if full {
		key.since = 0
	}
	if i := slices.Index(p.cache, key); i >= 0 {
		return p.cached[i]
	}
	p.settle(s)
	n := &Presence{Doc: s.id, Rev: s.head, Full: full}
	for _, e := range p.entries {
		if full || e.changed > since {
			n.Set = append(n.Set, e.entry(s.at.typ))
		}
	}
	for _, g := range p.gone {
		if !full && g.changed > since && !slices.ContainsFunc(n.Set, func(e PresenceEntry) bool { return e.Client == g.client }) {
			n.Gone = append(n.Gone, g.client)
		}
	}
	if len(s.subs) < 2 {
		return n
	}
	if len(p.cache) == 8 {
		p.cache, p.cached = p.cache[:0], p.cached[:0]
	}
	p.cache, p.cached = append(p.cache, key), append(p.cached, n)
	return n
}

func (e *person) entry(typ ot.Type) PresenceEntry {
	out := PresenceEntry{Client: e.client, User: e.user}
	if e.cursor != nil {
		out.Cursor = typ.AppendCursor(nil, e.cursor)
	}
	return out
}

// SetPresence says where the person's selections are on revision base (nil for no
// news of them) and who they are (nil when unchanged). The reader must have
// nothing pending, or send the cursor with its submission instead. Slices are not
// kept.
func (r *Subscription) SetPresence(base Revision, cursor []byte, user *User) error {
	if err := r.setPresence(base, cursor, user); err != nil {
		r.s.m.opt.Observer.Refused(err.Code)
		return err
	}
	return nil
}

func (r *Subscription) setPresence(base Revision, cursor []byte, user *User) *Error {
	s := r.s
	var c ot.Cursor
	var typ ot.Type
	if cursor != nil {
		var err *Error
		if c, typ, err = r.decodeCursor(cursor); err != nil {
			return err
		}
	}
	if user != nil {
		if err := user.check(s.m.opt.Limits); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.closed != nil:
		return r.closed
	case r.client == "":
		return Errorf(CodeBadID, "a reader without a client id has no presence")
	case base > r.pos:
		return Errorf(CodeFuture, "base %d, sent so far %d", base, r.pos)
	case c != nil && s.at.typ != typ:
		return Errorf(CodeDeleted, "the document was deleted")
	case c != nil && base < max(s.window.start, s.at.born):
		return Errorf(CodeStale, "base %d is too old, the oldest served is %d", base, max(s.window.start, s.at.born))
	}
	if c != nil {
		for _, o := range s.window.slice(base, s.head) {
			c = typ.TransformCursor(c, o.op, ot.Left)
		}
		if err := typ.CheckCursor(s.at.doc, c); err != nil {
			return Errorf(CodeBadCursor, "%v", err)
		}
	}
	if user != nil {
		r.user = *user
	}
	e := s.people.touch(s, r.client)
	e.user = r.user
	if c != nil {
		e.cursor, e.rev = c, s.head
	} else if e.rev == 0 {
		e.rev = s.head
	}
	return nil
}

// decodeCursor reads a cursor of the content at the reader's position, whose type it also
// returns.
func (r *Subscription) decodeCursor(data []byte) (ot.Cursor, ot.Type, *Error) {
	s := r.s
	s.mu.Lock()
	typ := r.typ
	s.mu.Unlock()
	if most := s.m.opt.Limits.Presence; len(data) > most {
		return nil, nil, s.m.Exceeds(limits.Presence, most, CodeTooLarge, "a cursor of %d bytes", len(data))
	}
	if typ == nil {
		return nil, nil, Errorf(CodeNotFound, "no such document")
	}
	c, err := typ.DecodeCursor(data, s.m.opt.Limits.Op)
	if err != nil {
		return nil, nil, Errorf(CodeBadCursor, "%v", err)
	}
	return c, typ, nil
}

// CheckUser returns why a person cannot be in any document as they are, nil when they can:
// what Open says of them before it looks at the document.
func (m *Manager) CheckUser(u User) *Error { return u.check(m.opt.Limits) }

func (u *User) check(lim Limits) *Error {
	for _, name := range []string{u.Name, u.Author} {
		if len(name) > lim.UserName {
			return Errorf(CodeTooLarge, "a name of %d bytes, limit %d", len(name), lim.UserName)
		}
		for _, r := range name {
			if unicode.IsControl(r) || r == 0xFFFD {
				return Errorf(CodeBadMessage, "a name holds a control character or is not UTF-8")
			}
		}
	}
	if u.Color == "" {
		return nil
	}
	ok := len(u.Color) == 7 && u.Color[0] == '#'
	for i := 1; ok && i < 7; i++ {
		c := u.Color[i]
		ok = '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
	}
	if !ok {
		return Errorf(CodeBadMessage, "a color is written #rrggbb")
	}
	return nil
}
