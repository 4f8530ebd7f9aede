package bolt

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"quire/storage"
)

// Every value of the file ends in a CRC-32C, little endian, over the first letter
// of its bucket's name, its key and the bytes before the checksum. Log values
// leave the key out: the committer would have to compute them one by one, and log
// keys have no gaps, which shows a damaged one as well.

const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(bucket []byte, key, body []byte) uint32 {
	sum := crc32.Update(0, castagnoli, bucket[:1])
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, body)
}

// seal appends the checksum to a value's body.
func seal(bucket []byte, key, body []byte) []byte {
	return binary.LittleEndian.AppendUint32(body, checksum(bucket, key, body))
}

// unseal returns the body of a value, or ErrCorrupt.
func unseal(bucket []byte, key, value []byte) ([]byte, error) {
	n := len(value) - sumSize
	if n < 0 || binary.LittleEndian.Uint32(value[n:]) != checksum(bucket, key, value[:n]) {
		return nil, corrupt("bucket %s, key %x: checksum does not match", bucket, key)
	}
	return value[:n:n], nil
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", storage.ErrCorrupt, fmt.Sprintf(format, args...))
}

// parser takes a body apart. The first thing that does not fit sets bad, and
// everything after it is zero.
type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) uvarint() uint64 {
	// One byte is by far the most common, and short enough to be inlined.
	if len(p.rest) == 0 || p.rest[0] >= 0x80 {
		return p.long()
	}
	v := p.rest[0]
	p.rest = p.rest[1:]
	return uint64(v)
}

func (p *parser) long() uint64 {
	v, n := binary.Uvarint(p.rest)
	if n <= 0 {
		p.bad, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *parser) varint() int64 {
	u := p.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// revision reads a revision or a count: never negative.
func (p *parser) revision() storage.Revision {
	u := p.uvarint()
	if u > 1<<62 {
		p.bad, u = true, 0
	}
	return storage.Revision(u)
}

// bytes reads a length and as many bytes, which alias the body.
func (p *parser) bytes() []byte {
	n := p.uvarint()
	if n > uint64(len(p.rest)) {
		p.bad, p.rest = true, nil
		return nil
	}
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// A run of records is coded one after another, each as:
//
//	head   uvarint: who<<2 | sameTime<<1 | nextSeq. who 0 is an author and client
//	       not yet seen in this run, and both follow as strings; who 2 is the first
//	       pair seen, who 3 the second and so on. who 1 says that the record is no
//	       edit: it has the kind in the place of the other bits, the type of a Create
//	       follows as a string, and then the head proper.
//	seq    uvarint, unless nextSeq: then it is the pair's last seq in this run plus 1
//	time   varint, milliseconds since the record before; left out when sameTime
//	op     uvarint length, then the bytes
//
// A typed character takes four bytes beside its operation.
const (
	headNextSeq  = 1
	headSameTime = 2
	headWho      = 2 // shift

	whoNew   = 0
	whoKind  = 1
	whoFirst = 2
)

// who is an author and client pair of a run and its last seq there.
type who struct {
	author, client string
	seq            uint64
}

// appendRun appends the coded form of recs.
func appendRun(dst []byte, recs []storage.Record) []byte {
	var few [8]who // most runs have one author
	seen := few[:0]
	at := -1
	last := int64(0)
	for i := range recs {
		r := &recs[i]
		if at < 0 || seen[at].client != r.Client || seen[at].author != r.Author {
			at = find(seen, r)
		}
		if r.Kind != storage.Edit {
			dst = binary.AppendUvarint(dst, whoKind<<headWho|uint64(r.Kind))
			if r.Kind == storage.Create {
				dst = appendBytes(dst, r.Type)
			}
		}
		head, isNew := uint64(whoNew<<headWho), at < 0
		if isNew {
			at = len(seen)
			seen = append(seen, who{author: r.Author, client: r.Client})
		} else {
			head = uint64(at+whoFirst) << headWho
		}
		if r.Seq == seen[at].seq+1 {
			head |= headNextSeq
		}
		if r.Time == last {
			head |= headSameTime
		}
		dst = binary.AppendUvarint(dst, head)
		if isNew {
			dst = appendBytes(dst, r.Author)
			dst = appendBytes(dst, r.Client)
		}
		if head&headNextSeq == 0 {
			dst = binary.AppendUvarint(dst, r.Seq)
		}
		if head&headSameTime == 0 {
			dst = binary.AppendVarint(dst, r.Time-last)
		}
		dst = appendBytes(dst, r.Op)
		seen[at].seq, last = r.Seq, r.Time
	}
	return dst
}

func find(seen []who, r *storage.Record) int {
	for i := range seen {
		if seen[i].client == r.Client && seen[i].author == r.Author {
			return i
		}
	}
	return -1
}

// firstTime returns the time of a run's first record.
func firstTime(run []byte) (int64, error) {
	p := parser{rest: run}
	head := p.uvarint()
	if head>>headWho == whoKind {
		if storage.Kind(head&(1<<headWho-1)) == storage.Create {
			p.bytes()
		}
		head = p.uvarint()
	}
	p.bytes() // it is by somebody new
	p.bytes()
	if head&headNextSeq == 0 {
		p.uvarint()
	}
	time := int64(0)
	if head&headSameTime == 0 {
		time = p.varint()
	}
	if p.bad || head>>headWho != whoNew {
		return 0, corrupt("the first record is malformed")
	}
	return time, nil
}

// parseRun appends n records to recs. The body is copied once, and all operations
// of the run share that copy, so nothing aliases the file.
func parseRun(recs []storage.Record, body []byte, n storage.Revision) ([]storage.Record, error) {
	if n > storage.Revision(len(body)/2) { // a record has two bytes at least
		return recs, corrupt("%d records in %d bytes", n, len(body))
	}
	var few [8]who
	seen := few[:0]
	p := parser{rest: append(make([]byte, 0, len(body)), body...)}
	last := int64(0)
	for range n {
		head := p.uvarint()
		kind, typ := storage.Edit, ""
		if head>>headWho == whoKind {
			switch kind = storage.Kind(head & (1<<headWho - 1)); kind {
			case storage.Create:
				typ = string(p.bytes())
			case storage.Delete:
			default:
				return recs, corrupt("a record is of kind %d", kind)
			}
			head = p.uvarint()
		}
		at := int(head>>headWho) - whoFirst
		switch {
		case head>>headWho == whoNew:
			at = len(seen)
			seen = append(seen, who{author: string(p.bytes()), client: string(p.bytes())})
		case at < 0 || at >= len(seen):
			return recs, corrupt("a record refers to an author that is not there")
		}
		w := &seen[at]
		if w.seq++; head&headNextSeq == 0 {
			w.seq = p.uvarint()
		}
		if head&headSameTime == 0 {
			last += p.varint()
		}
		recs = append(recs, storage.Record{Kind: kind, Type: typ, Op: p.bytes(), Author: w.author, Client: w.client, Seq: w.seq, Time: last})
	}
	if p.bad || len(p.rest) > 0 {
		return recs, corrupt("records do not fill their value")
	}
	return recs, nil
}
