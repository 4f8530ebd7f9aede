package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"quire/storage"
)

// Repaired is what Repair has done.
type Repaired struct {
	// Healthy: nothing is wrong with the file, and nothing was done.
	Healthy bool
	// Problems is how many Check reported.
	Problems int
	// Damaged is where the file is now as it was.
	Damaged string
	// Aside is the file with what was set aside, JSON lines; "" when nothing was.
	Aside string
	// Documents, Records, Snapshots and Notes are how many the new file has.
	Documents, Records, Snapshots, Notes int
	// Cut are the documents that are not whole in the new file, or not in it.
	Cut []Cut
	// Lost is how many more documents there should be, of which nothing was found.
	Lost int
	// LostAppends is how many of the newest appends were not found; whose is not known.
	LostAppends int
	// AsideRecords, AsideSnapshots and AsideOther are how many were set aside.
	AsideRecords, AsideSnapshots, AsideOther int
	// Doubt: it cannot be told whether the newest appends are all there.
	Doubt bool
}

// Cut is a document that Repair could not bring back whole.
type Cut struct {
	// Doc is its id, or the one that it was given when its own was lost.
	Doc string
	// Oldest and Head are the first and last revision that it has now; Head is -1 when it
	// is not in the new file.
	Oldest, Head storage.Revision
	// Why says what is missing.
	Why string
}

// Repair (of opts, Path and Packers count) makes an openable data file of a damaged one that no server has open
// (ErrLocked otherwise): of what it finds whole, wherever in the file, it makes a new file,
// verifies it and puts it in the place of the old one, which is kept beside it under
// the name in Repaired.Damaged. A document that misses records is kept from its oldest snapshot
// after the gap on, or, when there is none, up to the gap. What is
// not in the new file is written to the file Repaired.Aside, except what is beyond recognition in
// pages that hold nothing else. A document that lost anything, or may have, gets another
// incarnation of its lineage, see storage.Renew. A file that Check finds nothing wrong with is not touched.
//
// When a page that says which pages are unused is damaged too, what was replaced or
// deleted not long ago may come back, where nothing newer is found.
func Repair(ctx context.Context, opts Options) (Repaired, error) {
	r, err := repair(ctx, opts)
	if err != nil {
		return Repaired{}, fmt.Errorf("bolt: repair %s: %w", opts.Path, err)
	}
	return r, nil
}

func repair(ctx context.Context, opts Options) (r Repaired, err error) {
	path := opts.Path
	sum, err := Check(ctx, opts, func(Problem) {})
	switch {
	case errors.Is(err, ErrLocked), errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission), errors.Is(err, ErrVersion), ctx.Err() != nil:
		return r, err
	case err == nil && sum.Problems == 0:
		return Repaired{Healthy: true}, nil
	}
	r.Problems = sum.Problems
	f, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer f.Close()
	if err := lockFile(f, true, time.Second); err != nil {
		return r, err
	}
	defer releaseFile(f)
	dir, name := filepath.Dir(path), filepath.Base(path)
	info, err := f.Stat()
	if err != nil {
		return r, err
	}
	if err := hasRoom(dir, info.Size()); err != nil {
		return r, err
	}
	removeLeft(path, opts.withDefaults().Logger)
	work, err := os.MkdirTemp(dir, name+repairing)
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(work)
	side := &sideFile{path: filepath.Join(work, "aside.jsonl")}
	fresh := filepath.Join(work, "new.db")
	if err := rebuild(ctx, f, Options{Path: fresh, Packers: opts.Packers}, side, &r); err != nil {
		side.abandon()
		return r, err
	}
	if err := ownAs(fresh, path); err != nil {
		return r, err
	}
	aside, damaged := repairNames(path)
	if side.file != nil {
		if err := ownAs(side.path, path); err != nil {
			return r, err
		}
		if err := os.Rename(side.path, aside); err != nil {
			return r, err
		}
		r.Aside = aside
	}
	if err := exchange(path, fresh, damaged); err != nil {
		if side.file != nil {
			_ = os.Remove(aside)
		}
		return r, err
	}
	r.Damaged = damaged
	return r, nil
}

// repairNames returns what to call what is set aside, and the damaged file: by the time, and a
// number where there is something by that name.
func repairNames(path string) (aside, damaged string) {
	stamp := time.Now().UTC().Format("20060102-150405")
	for n := 2; ; n++ {
		aside, damaged = path+".aside-"+stamp+".jsonl", path+".damaged-"+stamp
		_, err := os.Lstat(aside)
		if _, also := os.Lstat(damaged); err != nil && also != nil {
			return aside, damaged
		}
		stamp = fmt.Sprintf("%.15s-%d", stamp, n)
	}
}

// exchange puts fresh in the place of path, which is kept as old.
func exchange(path, fresh, old string) error {
	if err := os.Link(path, old); err != nil {
		if errors.Is(err, os.ErrExist) {
			return err
		}
		if err := os.Rename(path, old); err != nil { // a file system without links
			return err
		}
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// rebuild writes what is whole in f to a new file, and verifies that.
func rebuild(ctx context.Context, f *os.File, to Options, side *sideFile, r *Repaired) error {
	s, err := newSalvage(ctx, f)
	if err != nil {
		return err
	}
	if !s.ours() {
		return fmt.Errorf("%w, or nothing of it is left", ErrForeign)
	}
	b, err := newBuilder(to.Path)
	if err != nil {
		return err
	}
	p := &repairer{ctx: ctx, open: &opener{packers: to.Packers}, s: s, b: b, side: side, r: r, nums: make(map[uint64]bool), dead: make(map[uint64]bool), log: make(map[uint64][]piece)}
	if err := p.run(); err != nil {
		return errors.Join(err, b.abandon())
	}
	if err := errors.Join(b.close(), side.close()); err != nil {
		return err
	}
	sum, err := whole(ctx, to)
	r.Documents, r.Records, r.Snapshots = sum.Documents, sum.Records, sum.Snapshots
	return err
}

// ours reports whether something of a store was found.
func (s *salvage) ours() bool {
	format, _ := s.body(bucketQuire, keyFormat)
	if format != nil || len(s.values[bucketDocs[0]]) > 0 || len(s.values[bucketSegments[0]]) > 0 {
		return true
	}
	for _, places := range s.values[bucketLog[0]] {
		for _, at := range places {
			if _, _, err := parseLog(s.read(at.off, at.size)); err == nil {
				return true
			}
		}
	}
	return false
}

// repairer is one run of Repair.
type repairer struct {
	ctx  context.Context
	open *opener
	s    *salvage
	b    *builder
	side *sideFile
	r    *Repaired

	failed   error // why going on would set aside what is whole
	state    state
	hasState bool
	nums     map[uint64]bool    // of documents and their segments: what is of others belongs to nothing
	dead     map[uint64]bool    // of deleted documents
	log      map[uint64][]piece // entries by document number
}

func (p *repairer) run() error {
	if body, _ := p.s.body(bucketQuire, keyState); body != nil {
		q := parser{rest: body}
		p.state = state{docs: q.uvarint(), nextNum: q.uvarint(), logFirst: q.uvarint()}
		p.hasState = !q.bad
	}
	for _, k := range p.s.keys(bucketTrash, nil) {
		if len(k) != 9 || k[0] == trashBlob {
			continue
		}
		num := binary.BigEndian.Uint64([]byte(k[1:]))
		p.nums[num], p.dead[num] = true, p.dead[num] || k[0] == trashDoc
	}
	p.readLog()
	docs := p.documents()
	for _, d := range docs {
		if err := errors.Join(p.ctx.Err(), p.document(d), p.side.err, p.failed); err != nil {
			return err
		}
	}
	if p.hasState && int(p.state.docs) > len(docs) {
		p.r.Lost = int(p.state.docs) - len(docs)
	}
	if err := p.notes("", storeNum, storeNum); err != nil {
		return err
	}
	for _, f := range p.s.damaged {
		p.r.AsideOther++
		p.side.fragment(p.s, f)
	}
	return p.orphans()
}

// readLog sorts the log's entries by document and notes whether some are missing.
func (p *repairer) readLog() {
	keys := p.s.keys(bucketLog, nil)
	next := p.state.logFirst
	for _, k := range keys {
		seq := binary.BigEndian.Uint64([]byte(k))
		if p.hasState && seq < p.state.logFirst {
			continue // folded, and removed
		}
		for _, at := range p.s.values[bucketLog[0]][k] {
			v, _, err := parseLog(p.s.read(at.off, at.size))
			if err == nil {
				p.log[v.num] = append(p.log[v.num], piece{first: v.base, n: v.n, place: at})
			}
		}
		if p.hasState && seq > next {
			p.r.LostAppends += int(seq - next)
		}
		next = seq + 1
	}
	if p.s.logLast >= next {
		p.r.LostAppends += int(p.s.logLast + 1 - next)
	}
	p.r.Doubt = p.s.meta == nil || p.s.behind || !p.hasState || !p.s.hasLog || p.r.LostAppends > 0
}

// found is a document as the damaged file has it.
type found struct {
	id  string
	val docValue
	// named: its own value is there; else only records, under a number, and id is made up.
	named bool
	sure  bool // the value is in the tree
}

// documents returns those to bring back.
func (p *repairer) documents() []found {
	var docs []found
	byNum := make(map[uint64]int)
	sure := 0
	for _, id := range p.s.keys(bucketDocs, nil) {
		d, ok := p.value(id)
		if !ok || !d.sure && p.dead[d.val.num] {
			continue
		}
		if other, twice := byNum[d.val.num]; twice {
			// It had another id once; the one in the tree is that it has.
			if was := docs[other]; d.sure && !was.sure || d.sure == was.sure && d.val.folded > was.val.folded {
				docs[other] = d
			}
			continue
		}
		byNum[d.val.num] = len(docs)
		docs = append(docs, d)
	}
	for _, d := range docs {
		p.nums[d.val.num], p.nums[d.val.segs] = true, true
		if d.sure {
			sure++
		}
	}
	if p.hasState && int(p.state.docs) <= sure {
		return docs // no name is missing
	}
	return append(docs, p.nameless(docs)...)
}

// value returns the best value of an id.
func (p *repairer) value(id string) (d found, ok bool) {
	for _, at := range p.s.values[bucketDocs[0]][id] {
		val, err := parseDoc(p.s.load(at))
		if err == nil && (!ok || at.sure && !d.sure || at.sure == d.sure && val.folded > d.val.folded) {
			d, ok = found{id: id, val: val, named: true, sure: at.sure}, true
		}
	}
	return d, ok && storage.CheckDocID(id) == nil
}

// nameless returns documents whose value is lost, as far as records are there.
func (p *repairer) nameless(docs []found) (more []found) {
	taken := make(map[string]bool)
	for _, d := range docs {
		taken[d.id] = true
	}
	nums := make(map[uint64]bool)
	for _, k := range p.s.keys(bucketSegments, nil) {
		if len(k) == 16 {
			nums[binary.BigEndian.Uint64([]byte(k[:8]))] = true
		}
	}
	for num := range p.log {
		nums[num] = true
	}
	for _, num := range sorted(nums) {
		if p.nums[num] {
			continue
		}
		id := fmt.Sprintf("recovered-%d", num)
		for taken[id] {
			id += "-again"
		}
		p.nums[num] = true
		more = append(more, found{id: id, val: docValue{num: num, segs: num, incarnation: newIncarnation(), folded: -1, oldest: -1}})
	}
	return more
}

// notes copies the notes of a document or of the store.
func (p *repairer) notes(doc string, num, to uint64) error {
	for _, k := range p.s.keys(bucketNotes, key1(num)) {
		body, _ := p.s.body(bucketNotes, []byte(k))
		if to == storeNum && num != storeNum {
			p.r.AsideOther++
			p.side.put(aside{What: "note", Why: "its document could not be brought back", Doc: doc, Number: num, Key: fmt.Sprintf("%x", k[8:]), Data: body})
			continue
		}
		p.r.Notes++
		if err := p.b.note(to, storage.Note{Key: k[8:], Value: body}); err != nil {
			return err
		}
	}
	return nil
}

// orphans sets aside what belongs to no document that was found.
func (p *repairer) orphans() error {
	p.nums[storeNum] = true
	for _, bucket := range [][]byte{bucketSegments, bucketSnapshots, bucketNotes} {
		for _, k := range p.s.keys(bucket, nil) {
			if len(k) >= 8 && p.nums[binary.BigEndian.Uint64([]byte(k[:8]))] {
				continue
			}
			for _, at := range p.s.values[bucket[0]][k] {
				if at.sure {
					p.r.AsideOther++
					p.side.fragment(p.s, fragment{off: at.off, size: at.size, bucket: string(bucket), key: []byte(k), why: "it belongs to no document"})
				}
			}
		}
	}
	return p.side.err
}
