package session

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"

	"quire/ot"
	"quire/storage"
)

// authorshipNotes begins the keys of the notes that say who made the content at the
// revision that a squashed past begins with: the revision in 16 hexadecimal digits, "/", the number of the piece in 4.
const authorshipNotes = "authorship/"

func authorshipKey(rev Revision) string { return fmt.Sprintf("%s%016x/", authorshipNotes, rev) }

// maxAuthorship bounds an authorship in bytes, as it is before it is compressed.
const maxAuthorship = 1 << 30

// byline is who made a part of a document, and when in Unix milliseconds.
type byline struct {
	author string
	time   int64
}

// authorship is who made the content of a document at a revision. It is followed from one
// revision to the next, and not safe for concurrent use.
type authorship struct {
	rev   Revision
	typ   ot.Type  // of the content; nil when there is none
	trace ot.Trace // nil also when the type is not an ot.Tracer; origins are revisions
	by    map[ot.Origin]byline
	most  int // of by, before those are forgotten that are not there any more
}

// follow takes in the record that leads to the next revision, with what it decodes to.
func (a *authorship) follow(rec *storage.Record, op ot.Op) error {
	a.rev++
	origin := ot.Origin(a.rev)
	switch op := op.(type) {
	case Creation:
		a.typ, a.trace, a.by = op.Type, nil, map[ot.Origin]byline{}
		if t, ok := a.typ.(ot.Tracer); ok {
			a.trace = t.Trace(op.Doc, origin)
		}
	case Deletion:
		a.typ, a.trace, a.by = nil, nil, nil
	default:
		if a.trace != nil {
			if err := a.trace.Apply(op, origin); err != nil {
				return &ReplayError{Rev: a.rev - 1, Err: err}
			}
		}
	}
	if a.trace != nil {
		a.by[origin] = byline{rec.Author, rec.Time}
		if len(a.by) > max(a.most, 1<<16) {
			a.prune()
			a.most = 2 * len(a.by)
		}
	}
	return nil
}

// prune forgets who made what is not there any more.
func (a *authorship) prune() {
	live := make(map[ot.Origin]byline)
	for _, span := range a.trace.Spans() {
		live[span.Origin] = a.by[span.Origin]
	}
	a.by = live
}

// authorshipAt returns who made a document's content at a revision in [oldest, head], from what
// was kept when its past was squashed and the records since.
func (m *Manager) authorshipAt(ctx context.Context, info Info, rev Revision) (*authorship, error) {
	a, err := m.oldestAuthorship(ctx, info)
	if err != nil {
		return nil, err
	}
	for a.rev < rev {
		recs, err := m.opt.Store.Read(ctx, info.ID, a.rev, rev)
		if err != nil {
			return nil, err
		}
		for i := range recs {
			op, err := m.decode(a.typ, &recs[i])
			if err != nil {
				return nil, &ReplayError{Rev: a.rev, Err: err}
			}
			if err := a.follow(&recs[i], op); err != nil {
				return nil, err
			}
		}
	}
	return a, nil
}

// oldestAuthorship returns who made the content that a document's past begins with.
func (m *Manager) oldestAuthorship(ctx context.Context, info Info) (*authorship, error) {
	if info.Oldest < 0 {
		return &authorship{rev: Unborn}, nil
	}
	a, err := m.readAuthorship(ctx, info, info.Oldest)
	if a != nil || err != nil {
		return a, err
	}
	// Not squashed but imported like that: all of it is as old as the revision.
	r, err := m.replay(ctx, info.ID, info.Oldest)
	if err != nil {
		return nil, err
	}
	a = &authorship{rev: info.Oldest, typ: r.typ}
	if t, ok := r.typ.(ot.Tracer); ok {
		a.trace = t.Trace(r.doc, ot.Origin(a.rev))
		a.by = map[ot.Origin]byline{ot.Origin(a.rev): {"", info.Created}}
	}
	return a, nil
}

// readAuthorship reads what is kept for a revision; nil when that is nothing.
func (m *Manager) readAuthorship(ctx context.Context, info Info, rev Revision) (*authorship, error) {
	prefix := authorshipKey(rev)
	var packed []byte
	for after := ""; ; {
		notes, err := m.opt.Store.Notes(ctx, info.ID, prefix, after, 1)
		if err != nil {
			return nil, err
		}
		if len(notes) == 0 {
			break
		}
		packed, after = append(packed, notes[0].Value...), notes[0].Key
	}
	if packed == nil {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxAuthorship+1))
	if err == nil {
		var a *authorship
		if a, err = m.unmarshalAuthorship(rev, data); err == nil {
			return a, nil
		}
	}
	return nil, fmt.Errorf("%w: the authorship at revision %d: %v", storage.ErrCorrupt, rev, err)
}

// notes returns the notes that keep an authorship.
func (a *authorship) notes() ([]storage.Note, error) {
	data := a.marshal()
	if len(data) > maxAuthorship {
		return nil, fmt.Errorf("an authorship of %d bytes, at most %d are kept", len(data), maxAuthorship)
	}
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	var notes []storage.Note
	for piece := range slices.Chunk(packed.Bytes(), storage.MaxNote) {
		notes = append(notes, storage.Note{Key: fmt.Sprintf("%s%04x", authorshipKey(a.rev), len(notes)), Value: piece})
	}
	return notes, nil
}

// marshal is the type's name, how many authors there are and their names, how many origins
// there are and of each how far it and its time are from the one before and its author's number, and the trace.
func (a *authorship) marshal() []byte {
	if a.trace == nil {
		return appendString(nil, "")
	}
	a.prune()
	numbers := map[string]uint64{}
	var names []string
	for _, o := range slices.Sorted(maps.Keys(a.by)) {
		if _, ok := numbers[a.by[o].author]; !ok {
			numbers[a.by[o].author] = uint64(len(names))
			names = append(names, a.by[o].author)
		}
	}
	dst := appendString(nil, a.typ.Name())
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = appendString(dst, name)
	}
	dst = binary.AppendUvarint(dst, uint64(len(a.by)))
	var last ot.Origin
	var time int64
	for _, o := range slices.Sorted(maps.Keys(a.by)) {
		dst = binary.AppendVarint(dst, int64(o-last))
		dst = binary.AppendVarint(dst, a.by[o].time-time)
		dst = binary.AppendUvarint(dst, numbers[a.by[o].author])
		last, time = o, a.by[o].time
	}
	return a.trace.Marshal(dst)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// unmarshalAuthorship reads what marshal wrote.
func (m *Manager) unmarshalAuthorship(rev Revision, data []byte) (*authorship, error) {
	r := bytes.NewReader(data)
	var err error
	uvarint := func(most int) uint64 {
		v, e := binary.ReadUvarint(r)
		if err == nil && e == nil && v > uint64(most) {
			e = fmt.Errorf("%d is above %d", v, most)
		}
		if err == nil {
			err = e
		}
		if err != nil {
			return 0
		}
		return v
	}
	varint := func() int64 {
		v, e := binary.ReadVarint(r)
		if err == nil {
			err = e
		}
		return v
	}
	str := func() string {
		b := make([]byte, uvarint(r.Len()))
		if _, e := io.ReadFull(r, b); err == nil {
			err = e
		}
		return string(b)
	}
	name := str()
	if err != nil || name == "" {
		return &authorship{rev: rev}, err
	}
	names := make([]string, uvarint(r.Len()))
	for i := range names {
		names[i] = str()
	}
	a := &authorship{rev: rev, typ: m.types[name], by: map[ot.Origin]byline{}}
	var o ot.Origin
	var time int64
	for range uvarint(r.Len()) {
		o, time = o+ot.Origin(varint()), time+varint()
		if at := uvarint(len(names) - 1); err == nil {
			a.by[o] = byline{names[at], time}
		}
	}
	t, ok := a.typ.(ot.Tracer)
	if err == nil && !ok {
		err = fmt.Errorf("documents of type %q are not traced", name)
	}
	if err != nil {
		return nil, err
	}
	a.trace, err = t.UnmarshalTrace(data[len(data)-r.Len():])
	return a, err
}

// dropAuthorship removes what is kept for revisions below rev.
func (m *Manager) dropAuthorship(ctx context.Context, info Info, rev Revision) error {
	var old []storage.Note
	for after := ""; ; {
		notes, err := m.opt.Store.Notes(ctx, info.ID, authorshipNotes, after, 1)
		if err != nil {
			return err
		}
		if len(notes) == 0 {
			break
		}
		if after = notes[0].Key; after >= authorshipKey(rev) {
			break
		}
		old = append(old, storage.Note{Key: after})
	}
	if old == nil {
		return nil
	}
	return m.opt.Store.SetNotes(ctx, info.ID, info.Incarnation, old)
}
