package session

import (
	"bytes"
	"context"
	"time"

	"quire/ot"
	"quire/storage"
)

// Part is a part of a document with who made it.
type Part struct {
	// Span is where it is. Its Origin is the revision that it came with, or the newest of
	// several: what a client of the document typed in one go, each step next to the one
	// before and at most 10 seconds after it, is one part.
	ot.Span
	// First is the oldest of the revisions; Origin when there is one.
	First  Revision
	Author string
	// Time is that of Origin; zero, like Author, when it is not known who made the part.
	Time time.Time
}

// Blame returns who made each part of a document at a revision (Head: the newest), in
// the document's order, and that revision and type. Parts that came with revision since or before
// are left out; Unborn leaves out none; since one that is near, it takes time in proportion to the
// steps and the content, not to the past. What retention has squashed keeps its authors.
// CodeNotFound when there is no content at the revision, CodeBadType of a type that does not
// trace, CodeGone, CodeFuture.
func (m *Manager) Blame(ctx context.Context, doc string, rev, since Revision) ([]Part, Revision, ot.Type, error) {
	info, err := m.stat(ctx, doc)
	if err != nil {
		return nil, 0, nil, err
	}
	switch {
	case rev == Head:
		rev = info.Head
	case rev > info.Head:
		return nil, 0, nil, Errorf(CodeFuture, "revision %d, head %d", rev, info.Head)
	case rev < 0:
		return nil, 0, nil, Errorf(CodeNotFound, "revision %d is before the document's creation", rev)
	case rev < info.Oldest:
		return nil, 0, nil, m.unreadable(ctx, doc, rev, storage.ErrTrimmed)
	}
	a, err := m.blame(ctx, info, rev, since)
	if err != nil {
		return nil, 0, nil, m.unreadable(ctx, doc, rev, err)
	}
	return a.parts(since), rev, a.typ, nil
}

// nearBlame is over how many steps an authorship is followed rather than to look for what was kept
// of it: since a revision so near, what came before it need not be known.
const nearBlame = 8192

const (
	blameBytes = 64 << 20 // of blames that were asked for lately
	blameCount = 512
)

// keptBlame is an authorship that was asked for lately, or came on the way.
type keptBlame struct {
	data []byte      // its binary form
	done *authorship // with spans and without a trace; nil of one that came on the way
}

// blame returns the authorship at a revision in [oldest, head], with its spans and without a
// trace; it is not to be changed. Of what came with revision since or before, it may say
// anything that is not newer.
func (m *Manager) blame(ctx context.Context, info Info, rev, since Revision) (*authorship, error) {
	if at, kept, ok, _ := m.blames.floor(info.Incarnation, rev); ok && at == rev && kept.done != nil {
		return kept.done, nil
	}
	done, err := m.look(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	at, kept, ok, epoch := m.blames.floor(info.Incarnation, rev)
	if ok && at == rev && kept.done != nil { // somebody asked for it meanwhile
		return kept.done, nil
	}
	var a *authorship
	near := since >= max(info.Oldest, 0) && rev-since <= nearBlame
	if near {
		a, err = m.authorshipSince(ctx, info, min(since, rev), rev)
	} else {
		a, err = m.authorshipAt(ctx, info, rev)
	}
	switch {
	case err != nil:
		return nil, err
	case a.typ == nil:
		return nil, Errorf(CodeNotFound, "the document has no content at revision %d", rev)
	case a.trace == nil:
		return nil, Errorf(CodeBadType, "a document of type %s does not say where its parts come from", a.typ.Name())
	}
	if near {
		return a, nil
	}
	data := a.marshal()
	a.trace, a.index = nil, nil
	m.blames.put(info.Incarnation, rev, keptBlame{data, a}, len(data)+len(a.spans)*96+len(a.made)*24, epoch)
	return a, nil
}

// inOneGo is how long after the step before somebody still types in one go.
const inOneGo = 10 * time.Second

// parts returns what came after revision since.
func (a *authorship) parts(since Revision) []Part {
	parts := []Part{}
	var last maker
	for _, s := range a.spans {
		rev := Revision(s.Origin)
		if rev <= since {
			last = maker{who: -1}
			continue
		}
		p := Part{Span: s, First: rev}
		i, ok := a.maker(rev)
		if !ok {
			last = maker{who: -1}
			parts = append(parts, p)
			continue
		}
		k := a.made[i]
		p.Author, p.Time = a.hands[k.who].author, time.UnixMilli(k.time).UTC()
		if n := len(parts) - 1; n >= 0 && a.goesOn(last, k) && parts[n].Start+parts[n].Length == s.Start && bytes.Equal(parts[n].Path, s.Path) {
			p.Start, p.Length, p.First = parts[n].Start, parts[n].Length+s.Length, parts[n].First
			parts[n] = p
		} else {
			parts = append(parts, p)
		}
		last = k
	}
	return parts
}

// goesOn reports whether one step is of the same client as another, and soon after it.
func (a *authorship) goesOn(first, then maker) bool {
	return first.who == then.who && a.hands[then.who].client != "" && first.rev < then.rev && pause(trace{time: first.time}, trace{time: then.time}) <= inOneGo
}
