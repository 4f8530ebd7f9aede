package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// Problem is one thing wrong with a data file.
type Problem struct {
	// Where is the place in the file: a page, or a bucket and key.
	Where string
	// Doc is the document it belongs to; "" when to none or unknown.
	Doc string
	// Rev is the first revision it concerns; -1 when to none or unknown.
	Rev storage.Revision
	// What is wrong, in words.
	What string
}

// String puts it in one line.
func (p Problem) String() string {
	s := p.Where + ": " + p.What
	if p.Rev >= 0 {
		s = fmt.Sprintf("revision %d: %s", p.Rev, s)
	}
	if p.Doc != "" {
		s = fmt.Sprintf("document %q: %s", p.Doc, s)
	}
	return s
}

// Summary is what Check has seen.
type Summary struct {
	// Documents, Records and Snapshots are how many were read. Each document has one
	// record more than revisions: the one that creates it.
	Documents, Records, Snapshots int
	// LogEntries is how many appends are not folded yet.
	LogEntries int
	// Bytes is the size of the file.
	Bytes int64
	// Problems is how many were reported.
	Problems int
}

// Check verifies a data file that no server has open (ErrLocked otherwise), without
// changing it (of opts, Path, Packers and LockTimeout count), and calls report for everything that is wrong: pages that make no
// sense; checksums; revisions with gaps; records that no caller could have written;
// heads, types, counters and clients' last sequence numbers that differ from the
// records; snapshots past the head, of another type or with pieces missing; data
// that belongs to nothing. When pages are damaged, the rest is not looked at. An
// error means that the file could not be checked.
//
// Whether the records make the snapshots is for those to verify who know
// what is in them; see Store.Snapshots.
func Check(ctx context.Context, opts Options, report func(Problem)) (Summary, error) {
	c := &checker{ctx: ctx, open: opener{packers: opts.Packers}, report: report, nums: make(map[uint64]bool), segs: make(map[uint64]bool), drops: make(map[uint64]uint64), blobs: make(map[uint64]bool), tails: make(map[uint64][]entry)}
	opts = Options{Path: opts.Path, LockTimeout: opts.LockTimeout, Logger: slog.New(slog.DiscardHandler)}.withDefaults()
	if err := c.pages(opts); err != nil {
		return c.sum, fmt.Errorf("bolt: check %s: %w", opts.Path, err)
	}
	if c.sum.Problems > 0 {
		return c.sum, nil
	}
	db, _, err := openDB(opts, true)
	if errors.Is(err, storage.ErrCorrupt) {
		c.problem("bucket quire", "%v", err)
		return c.sum, nil
	} else if err != nil {
		return c.sum, err
	}
	defer db.Close()
	err = view(opts.Logger, db, c.content)
	if errors.Is(err, storage.ErrCorrupt) { // a panic
		c.problem("file", "%v", err)
		err = nil
	}
	return c.sum, err
}

// checker is one run of Check.
type checker struct {
	ctx    context.Context
	report func(Problem)
	sum    Summary
	tx     *bbolt.Tx
	open   opener
	state  state
	docs   []*document
	nums   map[uint64]bool    // of documents, deleted ones included
	segs   map[uint64]bool    // of segments, those that are trash included
	drops  map[uint64]uint64  // of segments that are trash: the keys below
	blobs  map[uint64]bool    // that belong to a snapshot or are trash
	marks  map[uint64]uint64  // of deleted documents
	tails  map[uint64][]entry // log entries by document number

	// of the document that is being verified
	seqs  map[string]lastSeq // of the clients in segments
	turns []turn
	whole bool // all records so far could be read
}

// turn is a revision from which on a document has another type, or none.
type turn struct {
	rev storage.Revision
	typ string
}

func (c *checker) found(p Problem) {
	p.What = strings.ReplaceAll(p.What, storage.ErrCorrupt.Error()+": ", "") // goes without saying
	c.sum.Problems++
	c.report(p)
}

func (c *checker) problem(where, format string, args ...any) {
	c.found(Problem{Where: where, Rev: -1, What: fmt.Sprintf(format, args...)})
}

// of reports a problem of a document; rev is -1 when it concerns none.
func (c *checker) of(d *document, rev storage.Revision, where, format string, args ...any) {
	c.found(Problem{Where: where, Doc: d.id, Rev: rev, What: fmt.Sprintf(format, args...)})
}

func (c *checker) pages(opts Options) error {
	f, err := os.Open(opts.Path)
	if err != nil {
		return err
	}
	if err := lockFile(f, false, opts.LockTimeout); err != nil {
		f.Close()
		return err
	}
	defer releaseFile(f)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a regular file", ErrForeign)
	}
	if c.sum.Bytes = info.Size(); info.Size() == 0 {
		c.problem("file", "it is empty")
		return nil
	}
	return verifyPages(f, false, func(p pageProblem) error {
		c.problem(fmt.Sprintf("page %d", p.page), "%s", p.what)
		return c.ctx.Err()
	})
}

// content verifies everything that is in the buckets.
func (c *checker) content(tx *bbolt.Tx) (err error) {
	c.tx = tx
	if c.state, err = getState(tx); err != nil {
		c.problem("bucket quire", "%v", err)
		return nil // nothing to compare with
	}
	c.trash()
	c.documents()
	c.log()
	for _, d := range c.docs {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		c.document(d)
	}
	c.each(bucketNotes, nil, func(where string, k, v []byte) {
		if _, err := unseal(bucketNotes, k, v); err != nil {
			c.problem(where, "%v", err)
		}
	})
	c.orphans(bucketSegments, c.segs)
	c.orphans(bucketLastSeq, c.nums)
	c.orphans(bucketSnapshots, c.nums)
	c.nums[storeNum] = true
	c.orphans(bucketNotes, c.nums)
	c.orphans(bucketBlobs, c.blobs)
	return nil
}

// each calls fn for the keys of a bucket that begin with prefix.
func (c *checker) each(bucket, prefix []byte, fn func(where string, k, v []byte)) {
	b := c.tx.Bucket(bucket)
	if b == nil {
		return // of an older format
	}
	cur := b.Cursor()
	for k, v := cur.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = cur.Next() {
		fn(fmt.Sprintf("bucket %s, key %x", bucket, k), k, v)
	}
}

func (c *checker) trash() {
	c.marks = make(map[uint64]uint64)
	c.each(bucketTrash, nil, func(where string, k, v []byte) {
		switch t, err := parseTrash(k, v); {
		case err != nil:
			c.problem(where, "%v", err)
		case t.kind == trashDoc:
			c.nums[t.num], c.segs[t.num], c.marks[t.num] = true, true, t.mark
		case t.kind == trashSegs:
			c.segs[t.num], c.drops[t.num] = true, t.mark
		default:
			c.blobs[t.num] = true
		}
	})
}

func (c *checker) documents() {
	n, owned := uint64(0), make(map[uint64]bool) // by its segments' number
	c.each(bucketDocs, nil, func(where string, k, v []byte) {
		n++
		d, err := loadDoc(k, v)
		if err != nil {
			c.found(Problem{Where: where, Doc: string(k), Rev: -1, What: err.Error()})
			return
		}
		if max(d.num, d.segs) >= c.state.nextNum || min(d.num, d.segs) == 0 || c.nums[d.num] || owned[d.segs] || c.drops[d.segs] == math.MaxUint64 {
			c.of(d, -1, where, "number %d is out of range or used twice", d.num)
		}
		c.nums[d.num], c.segs[d.segs], owned[d.segs] = true, true, true
		c.docs = append(c.docs, d)
	})
	c.sum.Documents = len(c.docs)
	if n != c.state.docs {
		c.problem("bucket docs", "%d documents, there should be %d", n, c.state.docs)
	}
}

// log verifies the entries of the log and sorts them by document.
func (c *checker) log() {
	next := c.state.logFirst
	c.each(bucketLog, nil, func(where string, k, v []byte) {
		if len(k) != 8 || binary.BigEndian.Uint64(k) != next {
			c.problem(where, "expected %x", key1(next))
		}
		if len(k) != 8 {
			return
		}
		seq := binary.BigEndian.Uint64(k)
		next = seq + 1
		val, _, err := parseLog(v)
		switch {
		case err != nil:
			c.problem(where, "%v", err)
		case seq < c.marks[val.num]: // of a deleted document
		case !c.nums[val.num]:
			c.problem(where, "there is no document number %d", val.num)
		default:
			e := entry{seq: seq, base: val.base, n: uint32(val.n), size: uint32(len(v))}
			c.tails[val.num] = append(c.tails[val.num], e)
		}
	})
	if last := c.tx.Bucket(bucketLog).Sequence(); last != next-1 {
		c.problem("bucket log", "it ends at %d, should end at %d", next-1, last)
	}
}

// document verifies everything of one document.
func (c *checker) document(d *document) {
	c.seqs, c.turns, c.whole = make(map[string]lastSeq), nil, true
	c.beginning(d)
	at := c.segments(d)
	if at != d.folded {
		c.whole = false
		c.of(d, max(at, 0), "bucket segments", "they end at revision %d, should end at %d", at, d.folded)
	}
	c.lastSeqs(d)
	c.life(d)
	d.head = d.folded
	for _, e := range c.tails[d.num] {
		where := fmt.Sprintf("bucket log, key %x", key1(e.seq))
		if e.end() <= d.folded && d.head == d.folded {
			continue // folded, and not yet removed
		}
		c.sum.LogEntries++
		if e.base != d.head {
			c.whole = false
			c.of(d, max(d.head, 0), where, "the entry begins at revision %d", e.base)
		}
		d.head = e.end()
		recs, err := readEntry(c.tx.Bucket(bucketLog), d.num, e, nil)
		if err != nil {
			c.whole = false
			c.of(d, max(e.base, 0), where, "%v", err)
		}
		c.records(d, where, e.base, recs)
	}
	if d.head < 0 {
		c.of(d, 0, "bucket log", "the record that creates it is missing")
	}
	c.snapshots(d)
}

// records verifies records, of which the first is record base, and notes what later
// ones, the document and its snapshots are compared with.
func (c *checker) records(d *document, where string, base storage.Revision, recs []storage.Record) {
	for i := range recs {
		r, rev := &recs[i], base+storage.Revision(i)+1
		err := storage.CheckRecord(r)
		if rev == 0 {
			err = storage.CheckCreate(r)
		}
		if err != nil {
			c.of(d, rev, where, "the record that leads to it: %v", err)
		}
		if r.Seq > c.seqs[r.Client].seq {
			c.seqs[r.Client] = lastSeq{r.Seq, rev}
		}
		if r.Kind != storage.Edit {
			c.turns = append(c.turns, turn{rev, r.Type})
		}
	}
	c.sum.Records += len(recs)
}

// life compares what is stored of a document's type with what the segments say.
func (c *checker) life(d *document) {
	if !c.whole {
		return
	}
	typ, born := "", storage.Revision(0)
	for _, t := range c.turns {
		if typ = t.typ; typ != "" {
			born = t.rev
		}
	}
	if d.oldest >= 0 && born <= d.oldest {
		born = min(d.born, d.oldest) // when it was created is not kept
	}
	if typ != d.typ.Value() || born != d.born {
		c.of(d, born, fmt.Sprintf("bucket %s, key %x", bucketDocs, d.id), "it is said to be of type %q since revision %d, it is %q since %d", d.typ.Value(), d.born, typ, born)
	}
}

// segments reads a document's segments and returns where they end.
func (c *checker) segments(d *document) (at storage.Revision) {
	at = d.oldest
	var recs []storage.Record
	c.each(bucketSegments, key1(d.segs), func(where string, k, v []byte) {
		first, ok := firstOf(k, d.segs)
		switch {
		case !ok:
			c.of(d, -1, where, "malformed key")
			return
		case first < d.oldest && uint64(first+1) < c.drops[d.segs]:
			return // dropped, and not yet removed
		}
		if first != at {
			c.whole = false
			c.of(d, max(at, 0), where, "expected a segment from revision %d", at)
		}
		n, seg, err := parseSegment(k, v)
		if err == nil {
			recs, err = c.open.records(recs[:0], seg, n)
		}
		if err != nil {
			c.whole = false
			c.of(d, max(first, 0), where, "%v", err)
			recs = recs[:0]
		}
		c.records(d, where, first, recs)
		at = first + n
	})
	return at
}

// lastSeqs compares what is stored of the clients with what the segments say.
func (c *checker) lastSeqs(d *document) {
	want := c.seqs // what is added from the log is compared with nothing
	c.each(bucketLastSeq, key1(d.num), func(where string, k, v []byte) {
		client := string(k[8:])
		var got lastSeq
		body, err := unseal(bucketLastSeq, k, v)
		if err == nil {
			got, err = parseLastSeq(body)
		}
		if err != nil {
			c.of(d, -1, where, "%v", err)
		} else if w, ok := want[client]; !ok && got.rev <= d.oldest {
			return // its records were dropped
		} else if got != w {
			c.of(d, w.rev, where, "a client's last sequence number is said to be %d at revision %d, it is %d at %d", got.seq, got.rev, w.seq, w.rev)
		}
		delete(want, client)
	})
	for client, w := range want {
		c.of(d, w.rev, fmt.Sprintf("bucket %s, key %x", bucketLastSeq, keyClient(d.num, client)), "a client's last sequence number is missing")
	}
}

// beginning looks for the snapshot that a trimmed document begins with, and notes its type.
func (c *checker) beginning(d *document) {
	if d.oldest < 0 {
		return
	}
	key := key2(d.num, d.oldest)
	where := fmt.Sprintf("bucket %s, key %x", bucketSnapshots, key)
	v := c.tx.Bucket(bucketSnapshots).Get(key)
	if v == nil {
		c.whole = false
		c.of(d, d.oldest, where, "the snapshot that its past begins with is missing")
		return
	}
	h, err := parseSnapHead(key, v)
	if err != nil {
		c.whole = false // reported with the others
	}
	c.turns = append(c.turns, turn{d.oldest, h.typ})
}

// snapshots reads a document's snapshots.
func (c *checker) snapshots(d *document) {
	c.each(bucketSnapshots, key1(d.num), func(where string, k, v []byte) {
		c.sum.Snapshots++
		rev, ok := revisionOf(k, d.num)
		if !ok || rev > d.head {
			c.of(d, rev, where, "a snapshot past the head, %d", d.head)
		}
		h, err := parseSnapHead(k, v)
		if err == nil {
			if typ := c.typeAt(rev); c.whole && rev >= d.oldest && h.typ != typ {
				c.of(d, rev, where, "a snapshot of type %q, the document is of type %q", h.typ, typ)
			}
			if c.blobs[h.blob] {
				c.of(d, rev, where, "its content is trash, or another snapshot's as well")
			}
			c.blobs[h.blob] = h.blob > 0
			err = c.blob(h)
		}
		if err != nil {
			c.of(d, rev, where, "%v", err)
		}
	})
}

// typeAt returns the type that a document had at a revision.
func (c *checker) typeAt(rev storage.Revision) (typ string) {
	for _, t := range c.turns {
		if t.rev <= rev {
			typ = t.typ
		}
	}
	return typ
}

// blob verifies the pieces of a snapshot's content, and that there are no more.
func (c *checker) blob(h snapHead) error {
	r := blobReader{head: h}
	if err := r.read(c.tx, h.pieces()); err != nil {
		return err
	}
	if k, _ := c.tx.Bucket(bucketBlobs).Cursor().Seek(key2(h.blob, h.pieces())); len(k) >= 8 && binary.BigEndian.Uint64(k) == h.blob {
		return corrupt("bucket blobs: %d has more pieces than the content", h.blob)
	}
	_, err := r.content()
	return err
}

// orphans reports keys whose first number is not known.
func (c *checker) orphans(bucket []byte, known map[uint64]bool) {
	last := uint64(0)
	c.each(bucket, nil, func(where string, k, v []byte) {
		if len(k) < 8 {
			c.problem(where, "malformed key")
			return
		}
		if num := binary.BigEndian.Uint64(k); !known[num] && num != last {
			last = num
			c.problem(where, "number %d belongs to nothing", num)
		}
	})
}
