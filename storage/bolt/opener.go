package bolt

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"

	"quire/storage"
)

// segment is a segment as it is stored, ordinary or sealed; parseSegment tells. It
// aliases the file.
type segment struct {
	key    []byte
	body   []byte // of a sealed one everything, else the run of its records
	sum    uint32 // the value's checksum
	sealed bool
}

// parseSegment returns how many records a segment has, and the segment.
func parseSegment(key, value []byte) (n storage.Revision, seg segment, err error) {
	body, err := unseal(bucketSegments, key, value)
	if err != nil {
		return 0, seg, err
	}
	seg = segment{key: key, sum: binary.LittleEndian.Uint32(value[len(body):])}
	p := parser{rest: body}
	if n, seg.body = p.revision(), p.rest; n == 0 && !p.bad {
		seg.sealed, seg.body = true, body
		n = storage.Revision(p.count(2 * sealRecords))
	}
	if p.bad || n == 0 {
		return 0, seg, corrupt("bucket segments, key %x: malformed", key)
	}
	return n, seg, nil
}

// cacheBytes is how much of sealed segments, as columns, a store keeps in memory.
const cacheBytes = 32 << 20

// opener reads segments of either kind. Its zero value has no packers and keeps nothing; safe
// for concurrent use.
type opener struct {
	packers packers
	keep    int // bytes of columns

	mu   sync.Mutex
	kept []keptSegment // guarded by mu; the last used is last
	used int           // guarded by mu: bytes
}

// keptSegment is a sealed segment that was taken apart.
type keptSegment struct {
	key []byte
	sum uint32
	*sealed
}

// records appends all n records of a segment to recs.
func (o *opener) records(recs []storage.Record, seg segment, n storage.Revision) ([]storage.Record, error) {
	return o.part(recs, seg, n, 0, int(n))
}

// part appends records [from, to) of the n of a segment, counted from its first.
func (o *opener) part(recs []storage.Record, seg segment, n storage.Revision, from, to int) ([]storage.Record, error) {
	if seg.sealed {
		s, err := o.open(seg)
		if err != nil {
			return recs, err
		}
		return s.records(recs, from, to)
	}
	start := len(recs)
	all, err := parseRun(recs, seg.body, n)
	if err != nil {
		return recs, err
	}
	all = all[:start+to]
	return slices.Delete(all, start, start+from), nil
}

// until returns how many of the first records of the n of a segment are not younger than a
// time.
func (o *opener) until(seg segment, n storage.Revision, time int64) (int, error) {
	if !seg.sealed {
		recs, err := parseRun(nil, seg.body, n)
		return until(recs, time), err
	}
	s, err := o.open(seg)
	if err != nil {
		return 0, err
	}
	at, ok := s.until(time)
	if !ok {
		err = corrupt("a column of a sealed segment is cut short or too long")
	}
	return at, err
}

// firstTime returns the time of a segment's first record.
func (o *opener) firstTime(seg segment) (int64, error) {
	if !seg.sealed {
		return firstTime(seg.body)
	}
	recs, err := o.part(nil, seg, 1, 0, 1)
	if err != nil {
		return 0, err
	}
	return recs[0].Time, nil
}

// open takes a sealed segment apart, unless that was done lately.
func (o *opener) open(seg segment) (*sealed, error) {
	if s := o.find(seg); s != nil {
		return s, nil
	}
	s, err := o.packers.open(seg.body)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, keptSegment{bytes.Clone(seg.key), seg.sum, s})
	o.used += s.size
	for o.used > o.keep {
		o.used -= o.kept[0].size
		o.kept = slices.Delete(o.kept, 0, 1)
	}
	return s, nil
}

// find returns a sealed segment that was taken apart lately.
func (o *opener) find(seg segment) *sealed {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.kept, func(k keptSegment) bool { return k.sum == seg.sum && bytes.Equal(k.key, seg.key) })
	if i < 0 {
		return nil
	}
	found := o.kept[i]
	o.kept = append(slices.Delete(o.kept, i, i+1), found)
	return found.sealed
}
