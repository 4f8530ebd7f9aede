package bolt

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"quire/storage"
)

// dice packs operations of one kind only, ones that begin with "op", into their rest.
type dice struct{}

func (dice) Pack(ops [][]byte) [][]byte {
	var rest []byte
	for _, op := range ops {
		if len(op) != 8 || string(op[:2]) != "op" {
			return nil
		}
		rest = append(rest, op[2:]...)
	}
	return [][]byte{rest}
}

func (dice) Unpack(columns [][]byte, n, from, to int) ([][]byte, error) {
	if len(columns) != 1 || len(columns[0]) != 6*n {
		return nil, errors.New("malformed")
	}
	var ops [][]byte
	for i := from; i < to; i++ {
		ops = append(ops, append([]byte("op"), columns[0][6*i:6*i+6]...))
	}
	return ops, nil
}

// liar unpacks something else.
type liar struct{ dice }

func (l liar) Unpack(columns [][]byte, n, from, to int) ([][]byte, error) {
	ops, err := l.dice.Unpack(columns, n, from, to)
	if len(ops) > 0 {
		ops[0] = []byte("something else")
	}
	return ops, err
}

// faulty cannot unpack.
type faulty struct{ dice }

func (faulty) Unpack([][]byte, int, int, int) ([][]byte, error) { return nil, errors.New("no") }

func TestSealRoundTrip(t *testing.T) {
	p := packers{"dice": dice{}, "liar": liar{}, "faulty": faulty{}}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(anyRecord, 1, 60).Draw(t, "records")
		if rapid.Bool().Draw(t, "typed") {
			want = append(want, typed("client", 0, rapid.IntRange(1, 40).Draw(t, "more"))...)
		}
		step := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second}).Draw(t, "step")
		for i := range want {
			if step > time.Millisecond {
				want[i].Time = max(want[i].Time, math.MinInt64+1000) // there is nothing to round down to
			}
			if want[i].Kind == storage.Delete {
				want[i].Op = nil
			}
		}
		body := p.seal(want, rapid.SampledFrom([]string{"", "dice", "liar", "faulty", "unknown"}).Draw(t, "type"), step)
		if body == nil {
			t.Fatal("it cannot be sealed")
		}
		n, seg, err := parseSegment([]byte("key"), seal(bucketSegments, []byte("key"), body))
		if err != nil || !seg.sealed || n != storage.Revision(len(want)) {
			t.Fatalf("%d records, %+v, %v, want %d", n, seg, err, len(want))
		}
		for i := range want {
			want[i].Time = floorTo(want[i].Time, step.Milliseconds())
		}
		from := rapid.IntRange(0, len(want)-1).Draw(t, "from")
		to := rapid.IntRange(from+1, len(want)).Draw(t, "to")
		o := opener{packers: p, keep: 1 << 20}
		for range 2 { // from the value, and from memory
			got, err := o.part(nil, seg, n, from, to)
			if err != nil || !slices.EqualFunc(got, want[from:to], sameRecord) {
				t.Fatalf("[%d, %d): %+v, %v, want %+v", from, to, got, err, want[from:to])
			}
		}
		if first, err := o.firstTime(seg); err != nil || first != want[0].Time {
			t.Fatalf("first at %d, %v, want %d", first, err, want[0].Time)
		}
	})
}

// TestSealUsesThePacker holds a packer to be used where it can, and packed records to be
// an error for a program without it.
func TestSealUsesThePacker(t *testing.T) {
	recs := typed("client", 0, 1000)
	with, without := packers{"dice": dice{}}.seal(recs, "dice", time.Second), packers{}.seal(recs, "dice", time.Second)
	if !bytes.Contains(with, []byte("dice")) || bytes.Contains(without, []byte("dice")) {
		t.Errorf("a packer: %x; none: %x", with, without)
	}
	if _, err := (packers{}).open(with); err == nil || !strings.Contains(err.Error(), `"dice"`) || errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("without the packer: %v", err)
	}
	for name, p := range map[string]Packer{"liar": liar{}, "faulty": faulty{}} {
		if body := (packers{name: p}).seal(recs, name, time.Second); len(body) != len(without) {
			t.Errorf("%s: %d bytes, want the %d of rows", name, len(body), len(without))
		}
	}
}

// TestSealedTimes looks for times in a sealed segment and compares with looking at each record.
func TestSealedTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		recs := typed("client", 0, rapid.IntRange(1, 100).Draw(t, "n"))
		now := int64(0)
		for i := range recs {
			now += rapid.SampledFrom([]int64{0, 0, 0, 3, 999, 1000, 1e6}).Draw(t, "pause")
			recs[i].Time = now
		}
		body := packers{}.seal(recs, "", time.Second)
		s, err := packers{}.open(body)
		if err != nil {
			t.Fatal(err)
		}
		at := rapid.Int64Range(-1, now+2000).Draw(t, "at")
		want := 0
		for i := range recs {
			if recs[i].Time/1000*1000 <= at {
				want = i + 1
			}
		}
		if got, ok := s.until(at); !ok || got != want {
			t.Fatalf("%d records up to %d, %v, want %d", got, at, ok, want)
		}
	})
}

// TestCacheIsBounded reads more sealed segments than are kept in memory.
func TestCacheIsBounded(t *testing.T) {
	o := opener{keep: 50_000}
	for i := range 40 {
		key := keySegment(1, storage.Revision(i*1000))
		n, seg, err := parseSegment(key, seal(bucketSegments, key, packers{}.seal(typed("client", i*1000, 1000), "", time.Second)))
		if err != nil {
			t.Fatal(err)
		}
		if recs, err := o.part(nil, seg, n, 7, 8); err != nil || len(recs) != 1 || recs[0].Seq != uint64(i*1000+8) {
			t.Fatalf("%+v, %v", recs, err)
		}
		if o.used > o.keep || len(o.kept) == 0 || o.find(seg) == nil {
			t.Fatalf("%d segments of %d bytes are kept, limit %d", len(o.kept), o.used, o.keep)
		}
	}
	if len(o.kept) == 40 {
		t.Error("all of them are kept")
	}
}

// TestUnsealRefuses names sizes that are not there.
func TestUnsealRefuses(t *testing.T) {
	body := packers{}.seal(typed("client", 0, 100), "", time.Second)
	huge := []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}
	for name, body := range map[string][]byte{
		"cut short":    body[:len(body)/2],
		"more":         append(bytes.Clone(body), 0),
		"no records":   {0, 0, 1, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"many records": append([]byte{0}, huge...),
		"another form": {0, 1, 2, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"many columns": append([]byte{0, 1, 1, 1, 0}, huge...),
		"few columns":  {0, 1, 1, 1, 0, 1, 0, 0},
		"long column":  slices.Concat([]byte{0, 1, 1, 1, 0, 6}, huge, huge, make([]byte, 10)),
		"a bomb":       slices.Concat([]byte{0, 1, 1, 1, 0, 6, 0x80, 0x80, 0x80, 0x20, 5}, make([]byte, 10), []byte("bombs")),
		"empty":        {0},
	} {
		if _, err := (packers{}).open(body); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzUnseal(f *testing.F) {
	p := packers{"dice": dice{}}
	f.Add(p.seal(append(lives(), typed("client", 5, 40)...), "", time.Second))
	f.Add(p.seal(typed("client", 5, 40), "dice", time.Millisecond))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := p.open(body)
		if err != nil {
			return
		}
		all, err := s.records(nil, 0, s.n)
		if err != nil {
			return
		}
		if body := p.seal(all, "dice", time.Millisecond); body != nil && !p.makes(body, all) {
			t.Error("sealed again it is something else")
		}
		_, _ = s.until(all[0].Time)
		if part, err := s.records(nil, s.n/2, s.n/2+1); err != nil || !sameRecord(part[0], all[s.n/2]) {
			t.Errorf("record %d is %+v, %v, want %+v", s.n/2, part, err, all[s.n/2])
		}
	})
}

// sealedOf returns the keys of the sealed and of the ordinary segments under a number.
func sealedOf(t testing.TB, s *Store, num uint64) (sealed, ordinary [][]byte) {
	t.Helper()
	err := s.read(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketSegments).Cursor()
		for k, v := c.Seek(key1(num)); bytes.HasPrefix(k, key1(num)); k, v = c.Next() {
			_, seg, err := parseSegment(k, v)
			if err != nil {
				return err
			}
			if seg.sealed {
				sealed = append(sealed, bytes.Clone(k))
			} else {
				ordinary = append(ordinary, bytes.Clone(k))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sealed, ordinary
}

// TestSealing writes until records are sealed in the background, and goes on.
func TestSealing(t *testing.T) {
	s, until := settled(t, Options{FoldAfter: 1, SealAfter: 2000, TimeStep: time.Millisecond, Packers: packers{"text": dice{}}})
	info := addDoc(t, s, "doc", 6000)
	until(func(Stats) bool {
		sealed, ordinary := sealedOf(t, s, 1)
		return len(sealed) > 0 && len(ordinary) < 5
	})
	checkDoc(t, s, "doc", 6000)
	for range 30 {
		if err := s.Append(t.Context(), "doc", info.Incarnation, info.Head, typed("client", int(info.Head), 100)); err != nil {
			t.Fatal(err)
		}
		info.Head += 100
	}
	until(func(st Stats) bool {
		sealed, _ := sealedOf(t, s, 1)
		return len(sealed) > 1 && st.TailEntries == 0
	})
	checkDoc(t, s, "doc", 9000)
	for _, i := range []int{0, 1, 511, 512, 3000, 8999} {
		now := typed("client", i, 1)[0].Time
		if at, err := s.At(t.Context(), "doc", now); err != nil || at != storage.Revision(i+1) {
			t.Errorf("at the time of revision %d: %d, %v", i+1, at, err)
		}
	}
	s.Close()
	if sum, err := Check(t.Context(), Options{Path: s.opts.Path, Packers: s.opts.Packers}, func(p Problem) { t.Error(p) }); err != nil || sum.Records != 9001 {
		t.Errorf("check: %+v, %v", sum, err)
	}
	checkDoc(t, testStore(t, s.opts), "doc", 9000)
}

// slow is a packer that waits in Pack for as long as it is told.
type slow struct {
	dice
	arrived, opened chan struct{}
	once            *sync.Once
}

func (p slow) Pack(ops [][]byte) [][]byte {
	p.once.Do(func() {
		close(p.arrived)
		<-p.opened
	})
	return p.dice.Pack(ops)
}

// TestSealingHoldsNothingUp appends, trims and rewrites while a segment is being prepared. Where
// that has changed what it was made of, it is of no use any more.
func TestSealingHoldsNothingUp(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, s *Store, info storage.Info) (from int){
		"append": func(t *testing.T, s *Store, info storage.Info) int { return 0 },
		"trim": func(t *testing.T, s *Store, info storage.Info) int {
			if err := s.PutSnapshot(t.Context(), "doc", info.Incarnation, storage.Snapshot{Rev: 1500, Type: "text", Data: []byte("x")}); err != nil {
				t.Fatal(err)
			}
			if err := s.Trim(t.Context(), "doc", info.Incarnation, 1500, nil); err != nil {
				t.Fatal(err)
			}
			return 1500
		},
		"rewrite": func(t *testing.T, s *Store, info storage.Info) int {
			err := s.Rewrite(t.Context(), "doc", info.Incarnation,
				func(_ storage.Revision, r storage.Record) (storage.Record, error) { return r, nil },
				func(snap storage.Snapshot) (storage.Snapshot, error) { return snap, nil })
			if err != nil {
				t.Fatal(err)
			}
			return 0
		},
		"delete": func(t *testing.T, s *Store, info storage.Info) int {
			if err := s.Delete(t.Context(), "doc"); err != nil {
				t.Fatal(err)
			}
			addDoc(t, s, "doc", 3100)
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := slow{arrived: make(chan struct{}), opened: make(chan struct{}), once: new(sync.Once)}
			// The first look may come while there is too little yet; what comes after it is enough for another.
			s, until := settled(t, Options{FoldAfter: 1, SealAfter: 1000, TimeStep: time.Millisecond, Packers: packers{"text": p}})
			info := addDoc(t, s, "doc", 3000)
			until(noTail)
			<-p.arrived
			if err := s.Append(t.Context(), "doc", info.Incarnation, info.Head, typed("client", 3000, 100)); err != nil {
				t.Fatal(err)
			}
			info.Head = 3100
			from := meanwhile(t, s, info)
			close(p.opened)
			s.sealing.wg.Wait()
			until(func(st Stats) bool { return st.Trash == 0 && st.TailEntries == 0 })
			recs, err := s.Read(t.Context(), "doc", storage.Revision(from), 3100)
			want := typed("client", from, 3100-from)
			if err != nil || !slices.EqualFunc(recs, want, sameRecord) {
				t.Fatalf("%d records, %v, want %d", len(recs), err, len(want))
			}
			s.Close()
			if _, err := Check(t.Context(), Options{Path: s.opts.Path, Packers: s.opts.Packers}, func(p Problem) { t.Error(p) }); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTrimSealed trims in the middle of a sealed segment.
func TestTrimSealed(t *testing.T) {
	s, until := settled(t, Options{FoldAfter: 1, SealAfter: 2000, TimeStep: time.Millisecond})
	info := addDoc(t, s, "doc", 4000)
	until(func(Stats) bool { sealed, _ := sealedOf(t, s, 1); return len(sealed) > 0 })
	s.sealing.wg.Wait()
	if err := s.PutSnapshot(t.Context(), "doc", info.Incarnation, storage.Snapshot{Rev: 1234, Type: "text", Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Trim(t.Context(), "doc", info.Incarnation, 1234, nil); err != nil {
		t.Fatal(err)
	}
	until(noTrash)
	recs, err := s.Read(t.Context(), "doc", 1234, 4000)
	if want := typed("client", 1234, 4000-1234); err != nil || !slices.EqualFunc(recs, want, sameRecord) {
		t.Fatalf("%d records, %v, want %d", len(recs), err, len(want))
	}
	if sealed, _ := sealedOf(t, s, 1); len(sealed) == 0 || !bytes.Equal(sealed[0], keySegment(1, 1234)) {
		t.Errorf("sealed segments at %x", sealed)
	}
	if _, err := s.Read(t.Context(), "doc", 1233, 1300); !errors.Is(err, storage.ErrTrimmed) {
		t.Errorf("what was trimmed: %v", err)
	}
}

// TestSealedDamage flips bits of a sealed segment: that is found, by Check and by reading, and
// nothing else is wrong.
func TestSealedDamage(t *testing.T) {
	s, until := settled(t, Options{FoldAfter: 1, SealAfter: 2000})
	addDoc(t, s, "doc", 4000)
	until(func(Stats) bool { sealed, _ := sealedOf(t, s, 1); return len(sealed) > 0 })
	sealed, _ := sealedOf(t, s, 1)
	s.Close()
	size := 0
	for at := 0; at == 0 || at < size; at += 1 + size/20 {
		path := fileCopy(t, s.opts.Path)
		editFile(t, path, func(tx *bbolt.Tx) error {
			v := bytes.Clone(tx.Bucket(bucketSegments).Get(sealed[0]))
			size = len(v)
			v[at] ^= 1 << (at % 8)
			return tx.Bucket(bucketSegments).Put(sealed[0], v)
		})
		if _, problems := checkAll(t, path); len(problems) == 0 || problems[0].Doc != "doc" || !strings.Contains(problems[0].What, "checksum") {
			t.Errorf("byte %d: %v", at, problems)
		}
		damaged := testStore(t, Options{Path: path})
		if _, err := damaged.Read(t.Context(), "doc", 100, 101); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("byte %d: read: %v", at, err)
		}
	}
}
