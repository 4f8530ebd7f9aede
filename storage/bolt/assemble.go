package bolt

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"quire/storage"
)

// piece is a value with records of a document, a segment or a log entry.
type piece struct {
	place
	first, n storage.Revision
	key      string // of a segment
}

func (p piece) end() storage.Revision { return p.first + p.n }

func sorted(nums map[uint64]bool) []uint64 {
	out := make([]uint64, 0, len(nums))
	for n := range nums {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// newIncarnation draws one.
func newIncarnation() uint64 {
	for {
		if inc := rand.Uint64(); inc != 0 {
			return inc
		}
	}
}

// assembly puts one document together.
type assembly struct {
	*repairer
	doc    found
	pieces []piece // by first
	low    int     // those below end at a revision that was passed
	out    *docBuilder
	turns  []turn
	why    string // what is missing; "" for nothing
}

// document brings back one document, as far as it is there: from where on its records lead
// furthest, which is its beginning when none is missing, and else a snapshot after the gap.
func (p *repairer) document(d found) error {
	a := &assembly{repairer: p, doc: d, pieces: p.pieces(d.val)}
	snaps := a.snapshots()
	start, typ, reach := storage.Revision(-2), "", storage.Revision(-2)
	if d.val.oldest < 0 && a.covers(-1) {
		start, reach = -1, a.reach(-1)
	}
	for _, s := range snaps {
		if to := a.reach(s.rev); to > reach && s.rev >= d.val.oldest {
			start, typ, reach = s.rev, s.head.typ, to
		}
	}
	if start != d.val.oldest {
		a.why = fmt.Sprintf("its beginning, or records before revision %d, are lost", max(start, 0)+1)
	}
	if start < -1 {
		return a.giveUp()
	}
	if err := a.build(start, typ); err != nil {
		return err
	}
	if after := a.asideRecords(); after || a.out.head() < d.val.folded {
		a.why = fmt.Sprintf("the record that leads to revision %d is lost", a.out.head()+1)
	}
	return a.finish(snaps)
}

// reach returns the revision that records lead to from another one, without a gap.
func (a *assembly) reach(from storage.Revision) storage.Revision {
	for _, p := range a.pieces {
		if p.first > from {
			break
		}
		from = max(from, p.end())
	}
	return from
}

// pieces returns where records of a document are, by their first one.
func (p *repairer) pieces(val docValue) []piece {
	pieces := slices.Clone(p.log[val.num])
	for _, k := range p.s.keys(bucketSegments, key1(val.segs)) {
		first, ok := firstOf([]byte(k), val.segs)
		if !ok {
			continue
		}
		for _, at := range p.s.values[bucketSegments[0]][k] {
			n, _, err := parseSegment([]byte(k), p.s.read(at.off, at.size))
			if err == nil {
				pieces = append(pieces, piece{first: first, n: n, place: at, key: k})
			}
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(a.first, b.first) })
	return pieces
}

// records returns the records of a piece; nil when they make no sense.
func (a *assembly) records(p piece) []storage.Record {
	recs, err := a.decode(p)
	if err != nil && !errors.Is(err, storage.ErrCorrupt) && a.failed == nil {
		a.failed = err // a packer is missing, which is not the file's fault
	}
	for i := range recs {
		if err != nil {
			break
		}
		err = storage.CheckRecord(&recs[i])
		if p.first+storage.Revision(i) == -1 {
			err = storage.CheckCreate(&recs[i])
		}
	}
	if err != nil {
		return nil
	}
	return recs
}

func (a *assembly) decode(p piece) ([]storage.Record, error) {
	v := a.s.read(p.off, p.size)
	if p.key == "" {
		_, run, err := parseLog(v)
		if err != nil {
			return nil, err
		}
		return parseRun(nil, run, p.n)
	}
	n, seg, err := parseSegment([]byte(p.key), v)
	if err != nil {
		return nil, err
	}
	return a.open.records(nil, seg, n)
}

// covers reports whether a record is there.
func (a *assembly) covers(rev storage.Revision) bool {
	p, _ := a.next(rev)
	return p >= 0
}

// next returns the best piece with a record, and its records from that on: one in the tree, and then the
// longest. It is asked for higher and higher ones.
func (a *assembly) next(rev storage.Revision) (best int, recs []storage.Record) {
	for a.low < len(a.pieces) && a.pieces[a.low].end() <= rev {
		a.low++
	}
	var fit []int
	for i := a.low; i < len(a.pieces) && a.pieces[i].first <= rev; i++ {
		if a.pieces[i].end() > rev {
			fit = append(fit, i)
		}
	}
	slices.SortStableFunc(fit, func(i, j int) int {
		x, y := a.pieces[i], a.pieces[j]
		if x.sure != y.sure {
			if x.sure {
				return -1
			}
			return 1
		}
		return cmp.Compare(y.end(), x.end())
	})
	for _, i := range fit {
		if recs := a.records(a.pieces[i]); recs != nil {
			return i, recs[rev-a.pieces[i].first:]
		}
	}
	return -1, nil
}

// build writes records from start on, for as long as there is no gap.
func (a *assembly) build(start storage.Revision, typ string) error {
	val := a.doc.val
	if val.oldest != start {
		val.oldest, val.trimmed = start, val.created
	}
	if start < 0 {
		val.born, val.typ, val.modified = 0, "", val.created
	} else {
		if val.typ, val.modified = typ, val.trimmed; val.born > start {
			val.born = 0
		}
		a.turns = append(a.turns, turn{start, typ})
	}
	a.out = a.b.document(a.doc.id, val)
	for a.low = 0; ; {
		at := a.out.head()
		i, recs := a.next(at)
		if i < 0 {
			return a.ctx.Err()
		}
		if at == -1 && !a.doc.named {
			a.out.val.created, a.out.val.modified = recs[0].Time, recs[0].Time
		}
		for i := range recs {
			if recs[i].Kind != storage.Edit {
				a.turns = append(a.turns, turn{at + storage.Revision(i) + 1, recs[i].Type})
			}
		}
		if err := a.out.add(recs); err != nil {
			return err
		}
	}
}

// asideRecords sets aside the records that are not in the document, and reports whether any follow
// those that are.
func (a *assembly) asideRecords() (after bool) {
	from, head := storage.Revision(-1), storage.Revision(-1)
	if a.out != nil {
		from, head = a.out.val.oldest, a.out.head()
	}
	done := storage.Revision(-1)
	for _, p := range a.pieces {
		if p.end() <= done || p.first >= from && p.end() <= head || a.doc.val.oldest >= 0 && p.end() <= a.doc.val.oldest {
			continue
		}
		recs := a.records(p)
		for i := range recs {
			rev := p.first + storage.Revision(i)
			if rev < done || rev >= from && rev < head {
				continue
			}
			after = after || rev >= head
			a.r.AsideRecords++
			a.side.put(aside{Why: "records between it and those that were kept are lost", Doc: a.doc.id, Number: a.doc.val.num}.record(rev+1, &recs[i]))
		}
		done = max(done, p.end())
	}
	return after
}

// snapAt is a snapshot that is whole.
type snapAt struct {
	rev  storage.Revision
	head snapHead
}

// snapshots returns those that are whole, ascending. The others are set aside.
func (a *assembly) snapshots() (snaps []snapAt) {
	for _, k := range a.s.keys(bucketSnapshots, key1(a.doc.val.num)) {
		rev, ok := revisionOf([]byte(k), a.doc.val.num)
		v, sure := a.s.best(bucketSnapshots, []byte(k))
		if !ok || v == nil {
			continue
		}
		h, err := parseSnapHead([]byte(k), v)
		if err != nil {
			continue
		}
		if _, whole := a.blob(h); whole && rev > 0 {
			snaps = append(snaps, snapAt{rev, h})
		} else if sure {
			a.asideSnapshot(snapAt{rev, h}, "pieces of it are lost")
		}
	}
	return snaps
}

func (a *assembly) asideSnapshot(s snapAt, why string) {
	a.r.AsideSnapshots++
	data, _ := a.blob(s.head)
	a.side.put(aside{What: "snapshot", Why: why, Doc: a.doc.id, Number: a.doc.val.num, Rev: &s.rev, Type: s.head.typ, Data: data})
}

// blob returns a snapshot's content, what is there of it, and whether that is all.
func (a *assembly) blob(h snapHead) (data []byte, whole bool) {
	for i := range h.pieces() {
		body, _ := a.s.body(bucketBlobs, key2(h.blob, i))
		data = append(data, body...)
	}
	if uint64(len(data)) == h.kept {
		if content, err := (&blobReader{head: h, data: data}).content(); err == nil {
			return content, true
		}
	}
	return data, false
}

// finish writes what belongs to the document beside its records.
func (a *assembly) finish(snaps []snapAt) error {
	d := a.out
	for _, s := range snaps {
		typ := ""
		for _, t := range a.turns {
			if t.rev <= s.rev {
				typ = t.typ
			}
		}
		why := ""
		switch {
		case s.rev > d.head():
			why = "it is newer than the records that are left"
		case s.rev >= d.val.oldest && s.head.typ != typ:
			why = "it is of another type than the document then"
		}
		if why != "" {
			a.asideSnapshot(s, why)
			continue
		}
		data, _ := a.blob(s.head)
		if err := d.snapshot(storage.Snapshot{Rev: s.rev, Type: s.head.typ, Data: data, Pinned: s.head.pinned}); err != nil {
			return err
		}
	}
	for _, k := range a.s.keys(bucketLastSeq, key1(a.doc.val.num)) {
		body, _ := a.s.body(bucketLastSeq, []byte(k))
		if l, err := parseLastSeq(body); err == nil && l.rev <= d.val.oldest {
			d.noteSeq(k[8:], l)
		}
	}
	if err := a.notes(a.doc.id, a.doc.val.num, d.val.num); err != nil {
		return err
	}
	if a.why != "" || a.r.Doubt || !a.doc.sure {
		d.val.incarnation = storage.Renew(d.val.incarnation)
	}
	if !a.doc.named {
		a.why = "its id is lost; " + cmp.Or(a.why, "its records are there")
	}
	if a.why != "" {
		a.r.Cut = append(a.r.Cut, Cut{Doc: a.doc.id, Oldest: d.val.oldest, Head: d.head(), Why: a.why})
	}
	return d.finish()
}

// giveUp sets aside everything of a document that cannot be made to open.
func (a *assembly) giveUp() error {
	a.asideRecords()
	a.r.Cut = append(a.r.Cut, Cut{Doc: a.doc.id, Oldest: -1, Head: -1, Why: a.why})
	return a.notes(a.doc.id, a.doc.val.num, storeNum)
}
