package bolt

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"quire/storage"
)

// anyRecord draws records as they occur and as they should not.
var anyRecord = rapid.Custom(func(t *rapid.T) storage.Record {
	name := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "b", "c"}), rapid.StringN(0, 5, storage.MaxName))
	r := storage.Record{
		Kind:   rapid.SampledFrom([]storage.Kind{storage.Edit, storage.Edit, storage.Edit, storage.Create, storage.Delete}).Draw(t, "kind"),
		Op:     rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "op"),
		Author: name.Draw(t, "author"),
		Client: name.Draw(t, "client"),
		Seq:    rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Uint64()).Draw(t, "seq"),
		Time:   rapid.OneOf(rapid.Int64Range(1_700_000_000_000, 1_700_000_001_000), rapid.Int64()).Draw(t, "time"),
	}
	if r.Kind == storage.Create {
		r.Type = name.Draw(t, "type")
	}
	return r
})

func sameRecord(a, b storage.Record) bool {
	return a.Kind == b.Kind && a.Type == b.Type && bytes.Equal(a.Op, b.Op) && a.Author == b.Author && a.Client == b.Client && a.Seq == b.Seq && a.Time == b.Time
}

func TestRunRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(anyRecord, 1, 40).Draw(t, "records")
		base := rapid.SampledFrom([]storage.Revision{-1, 0, 12, 1<<62 - 1}).Draw(t, "base")
		value := appendLog(nil, logValue{num: 7, base: base, n: storage.Revision(len(want))}, want)
		head, run, err := parseLog(value)
		if err != nil || head != (logValue{7, base, storage.Revision(len(want))}) {
			t.Fatalf("head %+v, %v", head, err)
		}
		got, err := parseRun(nil, run, head.n)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d records, %v, want %d", len(got), err, len(want))
		}
		for i, g := range got {
			if !sameRecord(g, want[i]) {
				t.Fatalf("record %d is %+v, want %+v", i, g, want[i])
			}
		}
		for _, n := range []storage.Revision{head.n - 1, head.n + 1, math.MaxInt64} {
			if _, err := parseRun(nil, run, n); !errors.Is(err, storage.ErrCorrupt) {
				t.Fatalf("%d records read as %d: %v", head.n, n, err)
			}
		}
		value[rapid.IntRange(0, len(value)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, _, err := parseLog(value); !errors.Is(err, storage.ErrCorrupt) {
			t.Fatalf("a flipped bit: %v", err)
		}
	})
}

// TestRunIsCompact holds the coding to the size that its comment promises.
func TestRunIsCompact(t *testing.T) {
	recs := typed("a client with a long name", 0, 1000)
	ops := 0
	for _, r := range recs {
		ops += len(r.Op)
	}
	if got := len(appendRun(nil, recs)); got > ops+4*len(recs)+100 {
		t.Errorf("1,000 typed records take %d bytes beside their operations", got-ops)
	}
}

func TestDocValueRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := docValue{
			num: rapid.Uint64().Draw(t, "num"), incarnation: rapid.Uint64().Draw(t, "inc"),
			created: rapid.Int64().Draw(t, "created"), modified: rapid.Int64().Draw(t, "modified"),
			folded: storage.Revision(rapid.Int64Range(-1, 1<<62-1).Draw(t, "folded")), typ: rapid.String().Draw(t, "type"),
			born: storage.Revision(rapid.Int64Range(0, 1<<62).Draw(t, "born")), oldest: -1,
		}
		if want.segs = want.num; rapid.Bool().Draw(t, "kept") {
			want.segs, want.trimmed = rapid.Uint64().Draw(t, "segs"), rapid.Int64().Draw(t, "trimmed")
			want.oldest = storage.Revision(rapid.Int64Range(0, 1<<62-1).Draw(t, "oldest"))
		}
		if got, err := parseDoc(want.append(nil)); err != nil || got != want {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

// TestSnapHeadRoundTrip stores where a snapshot is, and of what type.
func TestSnapHeadRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := snapHead{
			blob: rapid.Uint64().Draw(t, "blob"), size: rapid.Uint64Range(0, storage.MaxSnapshot).Draw(t, "size"),
			sum: rapid.Uint32().Draw(t, "sum"), typ: rapid.String().Draw(t, "type"), pinned: rapid.Bool().Draw(t, "pinned"),
		}
		if got, err := parseSnapHead([]byte("key"), seal(bucketSnapshots, []byte("key"), want.append(nil))); err != nil || got != want {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

// TestRunRefuses gives runs that no coding of records makes: a kind that is none, a
// record of two kinds, a pair that was not seen.
func TestRunRefuses(t *testing.T) {
	for name, body := range map[string][]byte{
		"edit as a kind": {whoKind << headWho, headNextSeq | headSameTime, 0, 0, 0},
		"unknown kind":   {whoKind<<headWho | 3, headNextSeq | headSameTime, 0, 0, 0},
		"two kinds":      {whoKind<<headWho | byte(storage.Delete), whoKind<<headWho | byte(storage.Delete), 0, 0, 0},
		"kind at end":    {whoKind<<headWho | byte(storage.Delete), whoKind << headWho},
		"type too long":  {whoKind<<headWho | byte(storage.Create), 5, 'a', 0, 0},
		"nobody":         {whoFirst<<headWho | headNextSeq | headSameTime, 0},
	} {
		if recs, err := parseRun(nil, body, 1); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: %+v, %v", name, recs, err)
		}
	}
}

// FuzzParse gives arbitrary bytes to everything that takes values apart. None
// may panic, or allocate more than in proportion to its input.
func FuzzParse(f *testing.F) {
	f.Add(appendRun(nil, typed("client", 0, 3)))
	f.Add(appendRun(nil, lives()))
	f.Add(docValue{num: 1, typ: "text"}.append(nil))
	f.Add(snapHead{blob: 3, size: 5, typ: "text"}.append(nil))
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, n := range []storage.Revision{1, 3, storage.Revision(len(body) / 2), math.MaxInt64} {
			recs, err := parseRun(nil, body, n)
			if err == nil && storage.Revision(len(recs)) != n {
				t.Errorf("%d records instead of %d", len(recs), n)
			}
			if err == nil {
				again, err := parseRun(nil, appendRun(nil, recs), n)
				if err != nil || !slices.EqualFunc(again, recs, sameRecord) {
					t.Errorf("%+v became %+v, %v", recs, again, err)
				}
			}
		}
		_, _ = parseDoc(body)
		_, _ = parseLastSeq(body)
		for _, bucket := range buckets {
			value := seal(bucket, []byte("key"), bytes.Clone(body))
			if got, err := unseal(bucket, []byte("key"), value); err != nil || !bytes.Equal(got, body) {
				t.Errorf("unseal: %v", err)
			}
			_, _ = parseSnapHead([]byte("key"), value)
			_, _, _ = parseSegment([]byte("key"), value)
			_, _ = parseTrash([]byte("d12345678"), value)
		}
		_, _, _ = parseLog(seal(bucketLog, nil, bytes.Clone(body)))
	})
}
