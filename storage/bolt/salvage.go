package bolt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"quire/storage"
)

// salvage finds what is whole in a data file that may be damaged anywhere. It reads with
// plain reads, never through bbolt. A value counts when its checksum is right, which
// also says what bucket it is of, so neither the pages above it nor the header of its own
// have to be whole. What a page outside of the tree holds may be out of date: it was
// deleted or replaced, and the page not used again since. So such pages are looked at
// only when the tree is damaged, and not those that are known to be free; and of two
// values of one key that of the tree counts.
type salvage struct {
	ctx  context.Context
	f    io.ReaderAt
	size int64 // of the file
	page int64 // size of a page
	last uint64
	meta *metaPage

	seen    []uint64 // pages that the tree has led to, whole
	free    []uint64 // pages in the freelist
	torn    bool     // the tree is damaged somewhere
	hasLog  bool     // logLast is known
	logLast uint64   // the sequence of the newest log entry
	behind  bool     // the newest transaction's meta page is damaged: the tree is the one before
	values  map[byte]map[string][]place
	sorted  map[byte][]string // the keys of values
	damaged []fragment
}

// place is where a value is.
type place struct {
	off  int64
	size int64
	sure bool // it is in the tree
}

// fragment is a part of the file that could not be made sense of.
type fragment struct {
	off, size int64
	bucket    string // "" when it is not known
	key       []byte // nil for a page
	why       string
}

// maxValue is the longest value there can be: a full segment, but for one large record.
const maxValue = storage.MaxRecord + 4*segmentBytes

// newSalvage reads the whole file once.
func newSalvage(ctx context.Context, f *os.File) (*salvage, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &salvage{ctx: ctx, f: f, size: info.Size(), page: int64(os.Getpagesize()), values: make(map[byte]map[string][]place)}
	for _, name := range buckets {
		s.values[name[0]] = make(map[string][]place)
	}
	newest, other, err := metaPages(f, s.size)
	if err != nil {
		return nil, err
	}
	if newest.valid {
		s.meta, s.page = newest, int64(newest.pageSize)
		s.behind = !other.valid && !other.isOlder(newest)
	}
	s.last = uint64((s.size + s.page - 1) / s.page)
	s.seen, s.free = make([]uint64, s.last/64+1), make([]uint64, s.last/64+1)
	s.torn = s.meta == nil || s.behind || s.meta.pages > s.last
	if s.meta != nil {
		s.tree(s.meta.root, 0, nil)
	}
	if s.torn {
		s.strays()
	}
	s.sort()
	return s, ctx.Err()
}

func has(set []uint64, id uint64) bool { return set[id/64]&(1<<(id%64)) != 0 }
func add(set []uint64, id uint64)      { set[id/64] |= 1 << (id % 64) }

// read returns bytes of the file; fewer where it cannot be read or ends.
func (s *salvage) read(off, n int64) []byte {
	n = min(n, s.size-off)
	if off < 0 || n <= 0 {
		return nil
	}
	buf := make([]byte, n)
	got, _ := s.f.ReadAt(buf, off)
	return buf[:got]
}

// tear notes a damaged page.
func (s *salvage) tear(id uint64, format string, args ...any) {
	s.torn = true
	if id >= 2 && id < s.last && !has(s.seen, id) {
		s.damaged = append(s.damaged, fragment{off: int64(id) * s.page, size: min(s.page, s.size-int64(id)*s.page), why: fmt.Sprintf(format, args...)})
	}
}

// tree visits a page that the tree leads to and those below it. bucket is nil for the
// pages with the buckets' names.
func (s *salvage) tree(id uint64, depth int, bucket []byte) {
	if id < 2 || id >= s.last || depth == maxDepth || has(s.seen, id) {
		s.tear(id, "page %d is not where the tree leads to", id)
		return
	}
	if s.ctx.Err() != nil {
		return
	}
	buf := s.read(int64(id)*s.page, s.page)
	if len(buf) < pageHeader || native.Uint64(buf) != id {
		s.tear(id, "page %d is damaged", id)
		return
	}
	elems, whole := s.elements(buf, int64(id)*s.page)
	kind := native.Uint16(buf[8:])
	if !whole || kind != flagLeaf && kind != flagBranch {
		s.tear(id, "page %d is damaged", id)
	} else {
		for run := uint64(native.Uint32(buf[12:])) + 1; run > 0 && id < s.last; run-- {
			add(s.seen, id)
			id++
		}
	}
	for _, e := range elems {
		switch {
		case kind == flagBranch:
			s.tree(e.child, depth+1, bucket)
		case kind == flagLeaf && bucket == nil && e.flags == 1:
			s.bucket(e, depth)
		case kind == flagLeaf && bucket != nil:
			s.value(e, bucket, whole)
			s.torn = s.torn || e.flags != 0
		default:
			s.torn = true
		}
	}
}

// bucket visits the bucket that an element describes.
func (s *salvage) bucket(e element, depth int) {
	head := s.read(e.value, min(e.size, bucketHead+s.page))
	name := slices.IndexFunc(buckets, func(b []byte) bool { return bytes.Equal(b, e.key) })
	if int64(len(head)) < bucketHead || name < 0 {
		s.torn = true
		return
	}
	if bytes.Equal(e.key, bucketLog) {
		s.hasLog, s.logLast = true, native.Uint64(head[8:])
	}
	if root := native.Uint64(head); root != 0 {
		s.tree(root, depth+1, buckets[name])
		return
	}
	elems, whole := s.elements(head[bucketHead:], e.value+bucketHead)
	s.torn = s.torn || !whole
	for _, e := range elems {
		s.value(e, buckets[name], true)
	}
}

// elements returns the elements of the page that buf begins with, at off in the file, that
// lie within it, and whether that is all of them, each where it belongs. Values may reach beyond buf.
func (s *salvage) elements(buf []byte, off int64) (elems []element, whole bool) {
	if len(buf) < pageHeader+pageElement {
		return nil, len(buf) >= pageHeader && native.Uint16(buf[10:]) == 0 && native.Uint16(buf[8:]) == flagLeaf
	}
	kind, n := native.Uint16(buf[8:]), int64(native.Uint16(buf[10:]))
	whole = true
	if kind != flagLeaf && kind != flagBranch {
		// The header is damaged. A leaf's first value says how many elements are before it.
		kind, n, whole = flagLeaf, int64(native.Uint32(buf[pageHeader+4:]))/pageElement, false
	}
	if fit := int64(len(buf)-pageHeader) / pageElement; n > fit {
		n, whole = fit, false
	}
	next := pageHeader + n*pageElement
	for i := range n {
		at := pageHeader + i*pageElement
		b := buf[at : at+pageElement]
		var e element
		var pos, keySize int64
		if kind == flagBranch {
			pos, keySize, e.child = at+int64(native.Uint32(b)), int64(native.Uint32(b[4:])), native.Uint64(b[8:])
		} else {
			e.flags = native.Uint32(b)
			pos, keySize, e.size = at+int64(native.Uint32(b[4:])), int64(native.Uint32(b[8:])), int64(native.Uint32(b[12:]))
		}
		whole = whole && pos == next
		e.value = off + pos + keySize
		next = pos + keySize + e.size
		if pos < pageHeader || keySize == 0 || keySize > maxKey || e.size > maxValue || e.value+e.size > s.size {
			whole = false
			continue
		}
		if pos+keySize <= int64(len(buf)) {
			e.key = bytes.Clone(buf[pos : pos+keySize])
		} else {
			e.key = s.read(off+pos, keySize)
		}
		elems = append(elems, e)
	}
	return elems, whole
}

// value takes in a value if it is whole. bucket is the one that the tree has it in, nil when
// the tree does not lead to it; then the checksum says.
func (s *salvage) value(e element, bucket []byte, sure bool) {
	v := s.read(e.value, e.size)
	of := bucket
	if bucket == nil || !sums(bucket, e.key, v) {
		i := slices.IndexFunc(buckets, func(b []byte) bool { return sums(b, e.key, v) })
		if i < 0 {
			if bucket != nil {
				s.damaged = append(s.damaged, fragment{off: e.value, size: e.size, bucket: string(bucket), key: e.key, why: "its checksum does not match"})
			}
			return
		}
		of, sure = buckets[i], false
	}
	found := s.values[of[0]]
	for _, p := range found[string(e.key)] {
		if p.size == e.size && p.off == e.value {
			return
		}
	}
	found[string(e.key)] = append(found[string(e.key)], place{e.value, e.size, sure && bucket != nil})
}

// sums reports whether a value is one of a bucket, whole, under a key.
func sums(bucket, key, v []byte) bool {
	if bucket[0] == bucketLog[0] {
		if len(key) != 8 {
			return false
		}
		key = nil // not in the checksum
	}
	_, err := unseal(bucket, key, v)
	return err == nil
}

// strays looks at the pages that the tree does not lead to.
func (s *salvage) strays() {
	if s.meta != nil && !s.behind {
		s.freelist()
	}
	covered := make([]uint64, len(s.seen)) // by the page before
	for id := uint64(2); id < s.last && s.ctx.Err() == nil; id++ {
		if has(s.seen, id) || has(s.free, id) || has(covered, id) {
			continue
		}
		buf := s.read(int64(id)*s.page, s.page)
		elems, whole := s.elements(buf, int64(id)*s.page)
		if whole && native.Uint64(buf) == id {
			for more := uint64(native.Uint32(buf[12:])); more > 0 && id+more < s.last; more-- {
				add(covered, id+more)
			}
		}
		if len(buf) >= pageHeader && native.Uint16(buf[8:]) == flagBranch {
			continue
		}
		for _, e := range elems {
			s.value(e, nil, false)
			if e.flags != 1 {
				continue
			}
			if head := s.read(e.value, min(e.size, bucketHead+s.page)); len(head) > bucketHead {
				inline, _ := s.elements(head[bucketHead:], e.value+bucketHead)
				for _, e := range inline {
					s.value(e, nil, false)
				}
			}
		}
	}
}

// freelist notes the pages that are known to be free; none when the freelist is damaged.
func (s *salvage) freelist() {
	id := s.meta.freelist
	head := s.read(int64(id)*s.page, pageHeader)
	if id < 2 || id >= s.last || len(head) < pageHeader || native.Uint64(head) != id || native.Uint16(head[8:]) != flagFreelist {
		return
	}
	run := int64(native.Uint32(head[12:])) + 1
	ids := s.read(int64(id)*s.page+pageHeader, run*s.page-pageHeader)
	n := uint64(native.Uint16(head[10:]))
	if n == 0xFFFF && len(ids) >= 8 {
		n, ids = native.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids)/8) {
		return
	}
	free := make([]uint64, len(s.free))
	last := uint64(1)
	for i := range n {
		page := native.Uint64(ids[i*8:])
		if page <= last || page >= s.meta.pages || page < s.last && has(s.seen, page) {
			return // ascending and in nothing else, or it is damaged
		}
		if last = page; page < s.last {
			add(free, page)
		}
	}
	s.free = free
}

// best returns the value of a key, checksum and all, and whether it is the tree's own; nil for
// none.
func (s *salvage) best(bucket, key []byte) (value []byte, sure bool) {
	places := s.values[bucket[0]][string(key)]
	if len(places) == 0 {
		return nil, false
	}
	p := places[0]
	for _, other := range places[1:] {
		if other.sure && !p.sure {
			p = other
		}
	}
	return s.read(p.off, p.size), p.sure
}

// body returns the body of the value of a key, and whether it is the tree's own.
func (s *salvage) body(bucket, key []byte) (body []byte, sure bool) {
	v, sure := s.best(bucket, key)
	if len(v) < sumSize {
		return nil, false
	}
	return v[:len(v)-sumSize], sure
}

// load returns the body of a value that was found whole.
func (s *salvage) load(p place) []byte {
	v := s.read(p.off, p.size)
	if int64(len(v)) < p.size || len(v) < sumSize {
		return nil
	}
	return v[:len(v)-sumSize]
}

// sort makes keys ready to be asked.
func (s *salvage) sort() {
	s.sorted = make(map[byte][]string)
	for bucket, found := range s.values {
		s.sorted[bucket] = slices.Sorted(maps.Keys(found))
	}
}

// keys returns the keys of a bucket that begin with prefix, ascending.
func (s *salvage) keys(bucket, prefix []byte) []string {
	all := s.sorted[bucket[0]]
	first, _ := slices.BinarySearch(all, string(prefix))
	n := first
	for n < len(all) && strings.HasPrefix(all[n], string(prefix)) {
		n++
	}
	return all[first:n]
}
