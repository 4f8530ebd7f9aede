package session

import (
	"sort"

	"quire/ot"
	"quire/storage"
)

// entry is one operation in memory.
type entry struct {
	op     ot.Op
	author string
	client string
	seq    uint64
	time   int64 // in Unix milliseconds
	size   int   // bytes of the binary form
}

// entryOf is an operation as its record says it was made.
func entryOf(op ot.Op, rec *storage.Record) entry {
	return entry{op: op, author: rec.Author, client: rec.Client, seq: rec.Seq, time: rec.Time, size: len(rec.Op)}
}

// window is the newest stretch of a document's operations: [start, tip), of which
// [start, head) is durable and cut into batches. Entries and batches are
// immutable and the slices are only appended to or replaced, so that readers may
// keep sub-slices without the session's lock.
type window struct {
	start   Revision
	entries []entry
	bytes   int
	batches []*Batch // contiguous, up to the head
}

func (w *window) tip() Revision { return w.start + Revision(len(w.entries)) }

// slice returns the entries [from, to).
func (w *window) slice(from, to Revision) []entry {
	return w.entries[from-w.start : to-w.start : to-w.start]
}

func (w *window) push(e entry) {
	w.entries = append(w.entries, e)
	w.bytes += e.size
}

// truncate drops the entries at and after rev.
func (w *window) truncate(rev Revision) {
	for _, e := range w.slice(rev, w.tip()) {
		w.bytes -= e.size
	}
	w.entries = w.entries[: rev-w.start : rev-w.start]
}

// over reports whether a limit is passed by a quarter: time to trim.
func (w *window) over(maxOps, maxBytes int) bool {
	return len(w.entries) > maxOps+maxOps/4 || w.bytes > maxBytes+maxBytes/4
}

// trim drops the oldest durable entries that are past the limits.
func (w *window) trim(head Revision, maxOps, maxBytes int) {
	drop, bytes := 0, w.bytes
	for drop < int(head-w.start) && (len(w.entries)-drop > maxOps || bytes > maxBytes) {
		bytes -= w.entries[drop].size
		drop++
	}
	w.start += Revision(drop)
	w.entries = append([]entry(nil), w.entries[drop:]...)
	w.bytes = bytes
	i := sort.Search(len(w.batches), func(i int) bool { return w.batches[i].From >= w.start })
	w.batches = append([]*Batch(nil), w.batches[i:]...)
}

// turns reports whether the entry creates or deletes the content.
func (e entry) turns() bool {
	switch e.op.(type) {
	case Creation, Deletion:
		return true
	}
	return false
}

func (e entry) item() Item {
	return Item{N: 1, Author: e.author, Client: e.client, Seq: e.seq, Time: e.time, Op: e.op}
}

// cut appends batches of the entries from revision from on, an item for each. What
// creates or deletes the content is in a batch by itself, so that a batch has one type;
// typ is the content's at from.
func cut(dst []*Batch, entries []entry, doc string, typ ot.Type, from Revision) []*Batch {
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && !entries[0].turns() && !entries[n].turns() {
			n++
		}
		b := &Batch{Doc: doc, From: from, To: from + Revision(n), typ: typ, Items: make([]Item, n)}
		for i := range b.Items {
			b.Items[i] = entries[i].item()
		}
		_, typ = around(typ, entries[0].op)
		dst, entries, from = append(dst, b), entries[n:], b.To
	}
	return dst
}

// batchAt returns the index of the batch that starts at rev, or -1.
func (w *window) batchAt(rev Revision) int {
	i := sort.Search(len(w.batches), func(i int) bool { return w.batches[i].From >= rev })
	if i < len(w.batches) && w.batches[i].From == rev {
		return i
	}
	return -1
}

// singles appends batches for [from, to), one item per operation: the shared ones
// where they fit, ones made for the occasion where the ends cut through them. typ is
// the content's at from.
func (w *window) singles(dst []*Batch, doc string, typ ot.Type, from, to Revision) []*Batch {
	for from < to {
		if i := w.batchAt(from); i >= 0 && w.batches[i].To <= to {
			b := w.batches[i]
			_, typ = around(typ, b.Items[len(b.Items)-1].Op)
			dst = append(dst, b)
			from = b.To
			continue
		}
		end := to
		if i := sort.Search(len(w.batches), func(i int) bool { return w.batches[i].From > from }); i < len(w.batches) {
			end = min(end, w.batches[i].From)
		}
		dst = cut(dst, w.slice(from, end), doc, typ, from)
		_, typ = around(typ, w.entries[end-1-w.start].op)
		from = end
	}
	return dst
}

// compose makes one item of the entries, which follow one another.
func compose(typ ot.Type, entries []entry) (Item, error) {
	if len(entries) == 1 {
		return entries[0].item(), nil
	}
	ops := make([]ot.Op, len(entries))
	for i, e := range entries {
		ops[i] = e.op
	}
	op, err := typ.ComposeAll(ops)
	return Item{N: len(entries), Op: op}, err
}
