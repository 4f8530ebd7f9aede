package bolt

import (
	"encoding/binary"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// The file is a bbolt database with these buckets. Numbers in keys are 8 bytes,
// big endian; values are described at their types and end in a checksum.
//
//	quire      "format" → marker, "state" → state
//	docs       document id → docValue
//	log        sequence → logValue: one append or creation, oldest first, without gaps
//	segments   document number, first revision + 1 → segment
//	clients    document number, client name → lastSeq of folded records
//	images     document number, revision → snapHead of a snapshot
//	blobs      blob number, piece → piece of a snapshot's content
//	notes      document number (0: of the store), key → note
//	trash      kind, number → what is still to be removed, see trashItem
//
// The first letters differ: they are part of the checksums.
var (
	bucketQuire     = []byte("quire")
	bucketDocs      = []byte("docs")
	bucketLog       = []byte("log")
	bucketSegments  = []byte("segments")
	bucketLastSeq   = []byte("clients")
	bucketSnapshots = []byte("images")
	bucketBlobs     = []byte("blobs")
	bucketNotes     = []byte("notes")
	bucketTrash     = []byte("trash")

	buckets = [][]byte{bucketQuire, bucketDocs, bucketLog, bucketSegments, bucketLastSeq, bucketSnapshots, bucketBlobs, bucketNotes, bucketTrash}
	// since3 are the buckets that files of format 2 do not have.
	since3 = [][]byte{bucketNotes}

	keyFormat = []byte("format")
	keyState  = []byte("state")
)

const (
	// formatMagic begins the marker: a bbolt file without it is not ours.
	formatMagic = "quire data"
	// formatVersion is the layout this package reads and writes. A file of version 2 has
	// neither notes nor documents that were trimmed or rewritten; Open makes it one of
	// version 3.
	formatVersion = 3
)

// key1 and key2 make keys of one or two numbers.
func key1(a uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), a) }

func key2[T uint64 | storage.Revision](a uint64, b T) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), a), uint64(b))
}

// keySegment makes the key of the segment whose first record is first, which may be -1.
func keySegment(num uint64, first storage.Revision) []byte { return key2(num, first+1) }

func keyClient(num uint64, client string) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(client)), num), client...)
}

// put stores a sealed value.
func put(tx *bbolt.Tx, bucket, key, body []byte) error {
	return tx.Bucket(bucket).Put(key, seal(bucket, key, body))
}

// get returns the body of a value, which aliases the file; nil when there is none.
func get(tx *bbolt.Tx, bucket, key []byte) ([]byte, error) {
	v := tx.Bucket(bucket).Get(key)
	if v == nil {
		return nil, nil
	}
	return unseal(bucket, key, v)
}

// state is what the file knows of itself. It shows lost documents and log
// entries, which no checksum of a single value could.
type state struct {
	docs     uint64 // documents there are
	nextNum  uint64 // number of the next document; numbers are never used again
	logFirst uint64 // sequence of the oldest log entry, or of the next when there is none
}

func (st state) put(tx *bbolt.Tx) error {
	b := binary.AppendUvarint(nil, st.docs)
	b = binary.AppendUvarint(b, st.nextNum)
	return put(tx, bucketQuire, keyState, binary.AppendUvarint(b, st.logFirst))
}

func getState(tx *bbolt.Tx) (st state, err error) {
	body, err := get(tx, bucketQuire, keyState)
	if err != nil {
		return st, err
	}
	p := parser{rest: body}
	st = state{docs: p.uvarint(), nextNum: p.uvarint(), logFirst: p.uvarint()}
	if p.bad || body == nil {
		return st, corrupt("the file's state is missing or malformed")
	}
	return st, nil
}

// docValue is a document as of the records that are folded into segments.
type docValue struct {
	num, incarnation  uint64
	created, modified int64
	folded            storage.Revision // records below are in segments; -1 or more
	born              storage.Revision // what the newest Create below led to
	typ               string           // after the records below; "" when deleted

	// What follows is stored only of a document that was trimmed or rewritten.
	segs    uint64           // number that its segments are kept under; num at first
	oldest  storage.Revision // the first record that is kept; -1 at first
	trimmed int64            // when the record before it was committed
}

func (d docValue) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, d.num)
	dst = binary.LittleEndian.AppendUint64(dst, d.incarnation)
	dst = binary.AppendVarint(dst, d.created)
	dst = binary.AppendVarint(dst, d.modified-d.created)
	dst = binary.AppendUvarint(dst, uint64(d.folded+1))
	dst = binary.AppendUvarint(dst, uint64(d.born))
	dst = appendBytes(dst, d.typ)
	if d.segs == d.num && d.oldest < 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, d.segs)
	dst = binary.AppendUvarint(dst, uint64(d.oldest+1))
	return binary.AppendVarint(dst, d.trimmed)
}

func parseDoc(body []byte) (d docValue, err error) {
	p := parser{rest: body}
	d.num = p.uvarint()
	if len(p.rest) < 8 {
		return d, corrupt("a document's value is malformed")
	}
	d.incarnation = binary.LittleEndian.Uint64(p.rest)
	p.rest = p.rest[8:]
	d.created = p.varint()
	d.modified = d.created + p.varint()
	d.folded = p.revision() - 1
	d.born = p.revision()
	d.typ = string(p.bytes())
	d.segs, d.oldest = d.num, -1
	if len(p.rest) > 0 {
		d.segs, d.oldest, d.trimmed = p.uvarint(), p.revision()-1, p.varint()
	}
	if p.bad || len(p.rest) > 0 {
		return d, corrupt("a document's value is malformed")
	}
	return d, nil
}

// lifeAfter returns a document's type and the revision that its newest Create led to,
// after recs, of which the first is record base, and what they were before.
func lifeAfter(typ string, born, base storage.Revision, recs []storage.Record) (string, storage.Revision) {
	for i := range recs {
		switch recs[i].Kind {
		case storage.Create:
			typ, born = recs[i].Type, base+storage.Revision(i)+1
		case storage.Delete:
			typ = ""
		}
	}
	return typ, born
}

// logValue is the head of a log entry; the records, coded as a run, follow it.
type logValue struct {
	num  uint64           // document
	base storage.Revision // -1 or more
	n    storage.Revision // records
}

// appendLog appends a whole log value.
func appendLog(dst []byte, v logValue, recs []storage.Record) []byte {
	start := len(dst)
	dst = binary.AppendUvarint(dst, v.num)
	dst = binary.AppendUvarint(dst, uint64(v.base+1))
	dst = binary.AppendUvarint(dst, uint64(v.n))
	dst = appendRun(dst, recs)
	return binary.LittleEndian.AppendUint32(dst, checksum(bucketLog, nil, dst[start:]))
}

// parseLog returns the head of a log value and the run after it.
func parseLog(value []byte) (v logValue, run []byte, err error) {
	body, err := unseal(bucketLog, nil, value)
	if err != nil {
		return v, nil, corrupt("bucket log: checksum does not match")
	}
	p := parser{rest: body}
	v = logValue{num: p.uvarint(), base: p.revision() - 1, n: p.revision()}
	if p.bad || v.n == 0 {
		return v, nil, corrupt("bucket log: a value is malformed")
	}
	return v, p.rest, nil
}

// putSegment stores the records from first on as one segment: their count, then
// the run.
func putSegment(tx *bbolt.Tx, num uint64, first storage.Revision, recs []storage.Record) error {
	return put(tx, bucketSegments, keySegment(num, first), appendRun(binary.AppendUvarint(nil, uint64(len(recs))), recs))
}

// lastSeq is the highest Seq of a client and the revision after its record.
type lastSeq struct {
	seq uint64
	rev storage.Revision
}

func (l lastSeq) append(dst []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, l.seq), uint64(l.rev))
}

// getLastSeq returns what is known of a client's folded records; zero for nothing.
func getLastSeq(tx *bbolt.Tx, num uint64, client string) (lastSeq, error) {
	body, err := get(tx, bucketLastSeq, keyClient(num, client))
	if err != nil || body == nil {
		return lastSeq{}, err
	}
	return parseLastSeq(body)
}

func parseLastSeq(body []byte) (lastSeq, error) {
	p := parser{rest: body}
	l := lastSeq{seq: p.uvarint(), rev: p.revision()}
	if p.bad || len(p.rest) > 0 {
		return l, corrupt("a client's sequence number is malformed")
	}
	return l, nil
}

// snapHead says where a snapshot's content is.
type snapHead struct {
	blob uint64 // number; 0 when there is no content
	size uint64 // bytes of the content
	sum  uint32 // CRC-32C of the content
	typ  string // of the content; "" when there is no document at that revision
	// kept is how many bytes it takes in pieces of blobPiece and what is left: less than
	// size when it is compressed by zstd.
	kept   uint64
	pinned bool // it is not thinned
}

// Flags at the end of a snapHead, left out when there are none.
const (
	snapPinned     = 1
	snapCompressed = 2 // kept follows
)

func (h snapHead) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, h.blob)
	dst = binary.AppendUvarint(dst, h.size)
	dst = binary.AppendUvarint(dst, uint64(h.sum))
	dst = appendBytes(dst, h.typ)
	flags := byte(0)
	if h.pinned {
		flags |= snapPinned
	}
	if h.kept < h.size {
		flags |= snapCompressed
	}
	if flags != 0 {
		dst = append(dst, flags)
	}
	if h.kept < h.size {
		dst = binary.AppendUvarint(dst, h.kept)
	}
	return dst
}

func parseSnapHead(key, value []byte) (h snapHead, err error) {
	body, err := unseal(bucketSnapshots, key, value)
	if err != nil {
		return h, err
	}
	p := parser{rest: body}
	h = snapHead{blob: p.uvarint(), size: p.uvarint(), sum: uint32(p.uvarint()), typ: string(p.bytes())}
	h.kept = h.size
	if len(p.rest) > 0 {
		flags := p.count(snapPinned | snapCompressed)
		if h.pinned = flags&snapPinned != 0; flags&snapCompressed != 0 {
			h.kept = p.uvarint()
		}
	}
	if p.bad || len(p.rest) > 0 || h.size > storage.MaxSnapshot || h.kept > h.size {
		return h, corrupt("bucket images, key %x: malformed", key)
	}
	return h, nil
}

// pieces returns how many pieces the content has.
func (h snapHead) pieces() uint64 { return (h.kept + blobPiece - 1) / blobPiece }
