package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt maps its file and trusts what it finds there: a page that makes no sense
// is a panic or a wild pointer, a page count that is too small is data that is
// gone without a word, and its own check runs in a goroutine whose faults end the
// process. So the pages are verified here, with plain reads, before bbolt sees
// them. Pages have no checksums; but bbolt writes the parts of a page one after
// another without gaps, names every page in one place and repeats the first
// key of a page above it, which leaves no bit outside of keys and values that could
// change unnoticed; those have our own checksums.
//
// The layout is bbolt's file format version 2, in the machine's byte order:
//
//	page     id u64, flags u16, count u16, overflow u32 (pages that follow it), elements
//	meta     magic, version, page size, flags u32; root bucket; freelist, page
//	         count, transaction u64; FNV-1a u64 of the bytes before
//	bucket   root page u64 (0: a page without id follows here), sequence u64
//	leaf     per element flags, position, key size, value size u32; keys and values
//	branch   per element position, key size u32, page u64; keys
//	freelist count in the header, or 0xFFFF and as the first u64; page ids u64
const (
	pageHeader  = 16
	pageElement = 16
	bucketHead  = 16
	metaSize    = 64

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10

	boltMagic   = 0xED0CDAED
	boltVersion = 2

	maxDepth = 32
	maxKey   = 32 << 10
)

var native = binary.NativeEndian

// pageProblem is one thing wrong with the structure of the file.
type pageProblem struct {
	page uint64
	what string
}

func (p pageProblem) Error() string { return fmt.Sprintf("page %d: %s", p.page, p.what) }

// verifyFile returns ErrCorrupt with the first thing wrong in the file's structure,
// ErrForeign when it is no bbolt file at all, or an error of reading it.
func verifyFile(f *os.File, allowRollback bool) error {
	return verifyPages(f, allowRollback, func(p pageProblem) error { return corrupt("%v", p) })
}

// verifyPages reports every problem until report returns an error, which it then
// returns. It ends early when there is no sense in going on.
func verifyPages(f *os.File, allowRollback bool, report func(pageProblem) error) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	m, err := findMeta(f, info.Size(), allowRollback, report)
	if err != nil || m == nil {
		return err
	}
	w := &pageWalk{r: f, size: int64(m.pageSize), pages: m.pages, used: make([]uint64, m.pages/64+1), report: report}
	w.claim(0, 2)
	w.freelist(m.freelist)
	w.page(m.root, 0, true, nil, nil)
	for id := uint64(0); id < m.pages && w.err == nil; id++ {
		if w.used[id/64]&(1<<(id%64)) == 0 {
			w.problem(id, "neither used nor free")
		}
	}
	return w.err
}

// metaPage is what one of the two meta pages says.
type metaPage struct {
	pageSize                    uint32
	root, freelist, pages, txid uint64
	valid                       bool
	raw                         [metaSize]byte
}

func readMeta(r io.ReaderAt, off int64) (m metaPage, err error) {
	if _, err := r.ReadAt(m.raw[:], off+pageHeader); err != nil && err != io.EOF {
		return m, err
	}
	b := m.raw[:]
	m.pageSize = native.Uint32(b[8:])
	m.root, m.freelist, m.pages, m.txid = native.Uint64(b[16:]), native.Uint64(b[32:]), native.Uint64(b[40:]), native.Uint64(b[48:])
	size := m.pageSize
	m.valid = native.Uint32(b) == boltMagic && native.Uint32(b[4:]) == boltVersion && m.sums(m.txid) &&
		size >= 1<<10 && size <= 1<<24 && size&(size-1) == 0
	return m, nil
}

// sums reports whether the checksum is right when the transaction is txid.
func (m *metaPage) sums(txid uint64) bool {
	b := m.raw
	native.PutUint64(b[48:], txid)
	h := fnv.New64a()
	h.Write(b[:metaSize-8])
	return h.Sum64() == native.Uint64(b[metaSize-8:])
}

// metaPages reads both meta pages, of which newest is that of the newest transaction that
// is whole; it is not valid when none is.
func metaPages(r io.ReaderAt, size int64) (newest, other *metaPage, err error) {
	first, err := readMeta(r, 0)
	if err != nil {
		return nil, nil, err
	}
	off := int64(first.pageSize)
	if !first.valid {
		for off = 1 << 10; off < size; off *= 2 {
			if m, err := readMeta(r, off); err != nil {
				return nil, nil, err
			} else if m.valid && int64(m.pageSize) == off {
				break
			}
		}
	}
	second, err := readMeta(r, off)
	if err != nil {
		return nil, nil, err
	}
	if !first.valid || second.valid && second.txid > first.txid {
		return &second, &first, nil
	}
	return &first, &second, nil
}

// isOlder reports whether m, which is damaged, is plainly the older one of two meta pages:
// the next commit writes it again.
func (m *metaPage) isOlder(newest *metaPage) bool {
	return m.txid+1 == newest.txid && !m.sums(newest.txid+1)
}

// findMeta returns the meta page of the newest transaction; nil when there is none
// to go on with. A transaction counts when its meta page is whole, so damage
// there would silently take back the last commit: unless the damaged page is
// plainly the older one, it is a problem.
func findMeta(r io.ReaderAt, size int64, allowRollback bool, report func(pageProblem) error) (*metaPage, error) {
	newest, other, err := metaPages(r, size)
	if err != nil {
		return nil, err
	}
	switch {
	case !newest.valid && native.Uint32(newest.raw[:]) != boltMagic && native.Uint32(other.raw[:]) != boltMagic:
		return nil, fmt.Errorf("%w: it is not a bbolt file", ErrForeign)
	case !newest.valid:
		return nil, report(pageProblem{0, "both meta pages are damaged"})
	case newest.pages > uint64(size)/uint64(newest.pageSize):
		return nil, report(pageProblem{0, fmt.Sprintf("the file is cut short: %d bytes are left of %d pages of %d", size, newest.pages, newest.pageSize)})
	case other.valid || allowRollback || other.isOlder(newest):
		return newest, nil
	}
	return newest, report(pageProblem{(newest.txid + 1) % 2, "the meta page of the last transaction is damaged; " +
		"the one before can be returned to, with AllowRollback, at the loss of what the last one acknowledged"})
}

// pageWalk visits every page in use once.
type pageWalk struct {
	r      io.ReaderAt
	size   int64  // of a page
	pages  uint64 // in the file
	used   []uint64
	bufs   [maxDepth][]byte
	report func(pageProblem) error
	err    error // of report or reading: the walk is over
}

func (w *pageWalk) problem(page uint64, format string, args ...any) {
	if w.err == nil {
		w.err = w.report(pageProblem{page, fmt.Sprintf(format, args...)})
	}
}

// claim marks n pages as used, and reports whether they were there and unused.
func (w *pageWalk) claim(id, n uint64) bool {
	if id >= w.pages || n > w.pages-id {
		w.problem(id, "reaches past the last page, %d", w.pages-1)
		return false
	}
	for ; n > 0; id, n = id+1, n-1 {
		if w.used[id/64]&(1<<(id%64)) != 0 {
			w.problem(id, "used twice")
			return false
		}
		w.used[id/64] |= 1 << (id % 64)
	}
	return true
}

// load reads n bytes of the run of pages that begins at id, or returns nil.
func (w *pageWalk) load(buf []byte, id uint64, off, n int64) []byte {
	if int64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := w.r.ReadAt(buf, int64(id)*w.size+off); err != nil && w.err == nil {
		w.err = fmt.Errorf("page %d: %w", id, err)
	}
	if w.err != nil {
		return nil
	}
	return buf
}

// freelist claims the pages of the freelist, and those in it.
func (w *pageWalk) freelist(id uint64) {
	if id < 2 || id >= w.pages {
		w.problem(0, "the freelist is said to be on page %d", id)
		return
	}
	head := w.load(nil, id, 0, pageHeader)
	if head == nil {
		return
	}
	if native.Uint64(head) != id || native.Uint16(head[8:]) != flagFreelist {
		w.problem(id, "not a freelist")
		return
	}
	run := uint64(native.Uint32(head[12:])) + 1
	if !w.claim(id, run) {
		return
	}
	ids := w.load(nil, id, pageHeader, int64(run)*w.size-pageHeader)
	if ids == nil {
		return
	}
	n := uint64(native.Uint16(head[10:]))
	if n == 0xFFFF {
		n, ids = native.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids)/8) {
		w.problem(id, "the freelist has %d entries, more than fit", n)
		return
	}
	for i := uint64(0); i < n && w.err == nil; i++ {
		w.claim(native.Uint64(ids[i*8:]), 1)
	}
}

// element is one element of a branch or leaf page.
type element struct {
	key   []byte
	value int64  // offset in the page
	size  int64  // of the value
	flags uint32 // of a leaf
	child uint64 // of a branch
}

// page visits a page and those below it. top is for the pages of the buckets'
// names. Keys are ascending, the first one is first and all are less than limit,
// each unless nil.
func (w *pageWalk) page(id uint64, depth int, top bool, first, limit []byte) {
	if depth == maxDepth {
		w.problem(id, "the tree is too deep")
		return
	}
	if id < 2 || id >= w.pages {
		w.problem(id, "not a data page")
		return
	}
	buf := w.load(w.bufs[depth], id, 0, w.size)
	if buf == nil {
		return
	}
	w.bufs[depth] = buf
	run := uint64(native.Uint32(buf[12:])) + 1
	if native.Uint64(buf) != id {
		w.problem(id, "says it is page %d", native.Uint64(buf))
		return
	}
	if !w.claim(id, run) {
		return
	}
	elems := w.elements(id, buf, int64(run)*w.size, false)
	if w.err != nil {
		return
	}
	w.order(id, elems, first, limit)
	if len(elems) == 0 && (first != nil || native.Uint16(buf[8:]) == flagBranch) {
		w.problem(id, "empty")
	}
	for i, e := range elems {
		switch {
		case native.Uint16(buf[8:]) == flagBranch:
			below := limit
			if i+1 < len(elems) {
				below = elems[i+1].key
			}
			w.page(e.child, depth+1, top, e.key, below)
		case top && e.flags == 1:
			w.bucket(id, depth, e)
		case top || e.flags != 0:
			w.problem(id, "element %d has flags %x", i, e.flags)
		}
	}
}

// bucket visits the pages of the bucket that an element of page id describes.
func (w *pageWalk) bucket(id uint64, depth int, e element) {
	if e.size < bucketHead || e.size > bucketHead+w.size {
		w.problem(id, "bucket %q has a head of %d bytes", e.key, e.size)
		return
	}
	v := w.load(nil, id, e.value, e.size)
	if v == nil {
		return
	}
	if root := native.Uint64(v); root != 0 {
		w.page(root, depth+1, false, nil, nil)
		return
	}
	if v = v[bucketHead:]; len(v) < pageHeader || native.Uint16(v[8:]) != flagLeaf || native.Uint32(v[12:]) != 0 {
		w.problem(id, "bucket %q has a malformed page", e.key)
		return
	}
	elems := w.elements(id, v, int64(len(v)), true)
	w.order(id, elems, nil, nil)
	for i, e := range elems {
		if e.flags != 0 {
			w.problem(id, "element %d has flags %x", i, e.flags)
		}
	}
}

// elements takes apart the page that buf begins with; it has total bytes, which
// an inline page fills. Keys alias buf where they are in it.
func (w *pageWalk) elements(id uint64, buf []byte, total int64, inline bool) []element {
	kind, n := native.Uint16(buf[8:]), int64(native.Uint16(buf[10:]))
	if kind != flagLeaf && kind != flagBranch {
		w.problem(id, "flags are %x", kind)
		return nil
	}
	next := pageHeader + n*pageElement
	if next > int64(len(buf)) {
		w.problem(id, "%d elements do not fit", n)
		return nil
	}
	elems := make([]element, n)
	for i := range elems {
		at := pageHeader + int64(i)*pageElement
		b := buf[at : at+pageElement]
		e := &elems[i]
		var pos, keySize int64
		if kind == flagBranch {
			pos, keySize, e.child = at+int64(native.Uint32(b)), int64(native.Uint32(b[4:])), native.Uint64(b[8:])
		} else {
			e.flags = native.Uint32(b)
			pos, keySize, e.size = at+int64(native.Uint32(b[4:])), int64(native.Uint32(b[8:])), int64(native.Uint32(b[12:]))
		}
		e.value = pos + keySize
		if pos != next || keySize == 0 || keySize > maxKey || e.value+e.size > total {
			w.problem(id, "element %d is not where it belongs", i)
			return nil
		}
		next = e.value + e.size
		if e.value <= int64(len(buf)) {
			e.key = buf[pos:e.value]
		} else if e.key = w.load(nil, id, pos, keySize); e.key == nil {
			return nil
		}
	}
	if inline && next != total || n == 0 && len(bytes.Trim(buf[next:], "\x00")) > 0 {
		w.problem(id, "%d elements do not fill it", n)
	}
	return elems
}

// order verifies the keys of a page.
func (w *pageWalk) order(id uint64, elems []element, first, limit []byte) {
	if len(elems) > 0 && first != nil && !bytes.Equal(elems[0].key, first) {
		w.problem(id, "its first key is not the one above it")
	}
	for i := range elems {
		if i > 0 && bytes.Compare(elems[i-1].key, elems[i].key) >= 0 {
			w.problem(id, "key %d is not above the one before", i)
		}
		if limit != nil && bytes.Compare(elems[i].key, limit) >= 0 {
			w.problem(id, "key %d belongs into a later page", i)
		}
	}
}
