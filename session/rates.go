package session

import (
	"context"
	"fmt"
	"time"

	"quire/session/limits"
)

// Exceeds refuses what would pass a limit, and counts that. The message names the limit after what
// the format says.
func (m *Manager) Exceeds(name limits.Name, most int, code Code, format string, args ...any) *Error {
	m.opt.Observer.Limited(name)
	return Errorf(code, "%s, the limit %s is %d", fmt.Sprintf(format, args...), name, most)
}

// rates returns how often operations may come.
func (l *Limits) rates() (client, author, document limits.Rate) {
	of := func(name limits.Name, perSecond int) limits.Rate {
		// A run that is allowed has to pass at some time.
		return limits.Rate{Name: name, PerSecond: perSecond, Burst: max(2*perSecond, l.Run)}
	}
	return of(limits.ClientRate, l.ClientRate), of(limits.AuthorRate, l.AuthorRate), of(limits.DocumentRate, l.DocumentRate)
}

// Pace holds a connection up that does something too fast, or refuses it with CodeRate; what says what
// there is too much of. It waits no longer than the context lasts.
func (m *Manager) Pace(ctx context.Context, p *limits.Pace, what string) *Error {
	wait, over := limits.Take(m.opt.Now(), 1, p)
	if over != nil {
		return m.Exceeds(p.Rate().Name, p.Rate().PerSecond, CodeRate, "too many %s in a second", what)
	}
	m.holdUp(ctx, wait)
	return nil
}

func (m *Manager) holdUp(ctx context.Context, wait time.Duration) {
	if wait > 0 {
		m.opt.Observer.Slowed(wait)
		limits.Wait(wait, ctx, m.ctx)
	}
}

// authorPace is the rate of whoever is recorded with operations; nobody's is without a bound.
type authorPace struct {
	*limits.Pace
	key authorKey
}

// authorKey is an author among those of all namespaces.
type authorKey struct{ namespace, name string }

// author returns the rate of a user, to be given back with leave.
func (m *Manager) author(u User) authorPace {
	key := authorKey{u.Namespace, u.author()}
	if key.name == "" {
		return authorPace{}
	}
	return authorPace{m.authors.Get(key), key}
}

func (m *Manager) leave(a authorPace) {
	if a.Pace != nil {
		m.authors.Put(a.key, m.opt.Now())
	}
}

// pace holds somebody up who submits n operations too soon, for a moment, or refuses them. It is called
// before anything is done for them, without locks. Who is held up keeps their place: what comes after on the
// connection waits behind it.
func (s *Session) pace(n int, client *limits.Pace, author authorPace) *Error {
	wait, over := limits.Take(s.m.opt.Now(), n, client, author.Pace, s.rate)
	if over != nil {
		r := over.Rate()
		return s.m.Exceeds(r.Name, r.PerSecond, CodeRate, "%s in a second", map[limits.Name]string{
			limits.ClientRate:   "too many operations of this client",
			limits.AuthorRate:   "too many operations of this author",
			limits.DocumentRate: "too many operations in this document",
		}[r.Name])
	}
	s.m.holdUp(s.m.ctx, wait)
	return nil
}

// paceOnce is pace for one operation of somebody who does not have the document open.
func (s *Session) paceOnce(u User) *Error {
	author := s.m.author(u)
	defer s.m.leave(author)
	return s.pace(1, nil, author)
}
