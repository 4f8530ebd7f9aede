package storage_test

import (
	"errors"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"quire/storage"
)

// thinned puts snapshots at ascending revisions and thins after each, as a session does.
func thinned(step, head storage.Revision) (revs []storage.Revision) {
	for rev := step; rev <= head; rev += step {
		revs = append(revs, rev)
		drop := storage.Thin(revs, rev)
		revs = slices.DeleteFunc(revs, func(r storage.Revision) bool { return slices.Contains(drop, r) })
	}
	return revs
}

func TestThin(t *testing.T) {
	for _, step := range []storage.Revision{1, 7, 1000} {
		head := 20_000 * step
		revs := thinned(step, head)
		if n := len(revs); n > 4*bits.Len64(uint64(head/step))+int(2*head/storage.MaxGap) {
			t.Errorf("step %d: %d snapshots are left of 20,000", step, n)
		}
		newest := revs[len(revs)-1]
		if revs[len(revs)-2] != newest-step {
			t.Errorf("step %d: the newest two are %v", step, revs[len(revs)-2:])
		}
		// To any revision there is a snapshot not further below than the
		// promise says, or than snapshots were put.
		older := storage.Revision(0)
		for _, rev := range revs {
			if gap := rev - older; gap > max(step, min(storage.MaxGap, (newest-older)/2)) {
				t.Errorf("step %d: nothing from %d to %d, %d below the newest", step, older, rev, newest-rev)
			}
			older = rev
		}
	}
}

// TestSpace leaves out snapshots that have another one near enough before them.
func TestSpace(t *testing.T) {
	const gap = storage.MaxGap
	for _, test := range []struct {
		revs   []storage.Revision
		oldest storage.Revision
		want   []storage.Revision
	}{
		{nil, -1, nil},
		{[]storage.Revision{5}, -1, []storage.Revision{5}},
		{[]storage.Revision{5, 6, 7}, -1, []storage.Revision{7}},
		{[]storage.Revision{5, gap, gap + 1}, -1, []storage.Revision{gap, gap + 1}},
		{[]storage.Revision{5, gap - 1, gap}, -1, []storage.Revision{gap}},
		{[]storage.Revision{100, gap / 2, gap, gap * 3 / 2, 2 * gap, 5 * gap, 5*gap + 1}, -1, []storage.Revision{gap, 2 * gap, 5 * gap, 5*gap + 1}},
		{[]storage.Revision{3, 7, 8, gap + 2, gap + 7, gap + 9}, 7, []storage.Revision{3, 7, gap + 7, gap + 9}},
	} {
		if got := storage.Space(test.revs, test.oldest); !slices.Equal(got, test.want) {
			t.Errorf("of %v, oldest %d: %v, want %v", test.revs, test.oldest, got, test.want)
		}
	}
}

func TestThinKeeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		revs := rapid.SliceOfNDistinct(rapid.Map(rapid.Int64Range(1, 10_000), func(r int64) storage.Revision { return storage.Revision(r) }),
			1, 60, rapid.ID[storage.Revision]).Draw(t, "revs")
		slices.Sort(revs)
		put := rapid.SampledFrom(revs).Draw(t, "put")
		before := slices.Clone(revs)
		drop := storage.Thin(revs, put)
		if !slices.Equal(revs, before) {
			t.Fatal("the argument has changed")
		}
		keep := append(slices.Clone(revs[max(0, len(revs)-2):]), put)
		for _, rev := range drop {
			if slices.Contains(keep, rev) || !slices.Contains(revs, rev) {
				t.Fatalf("dropped %d of %v, put %d", rev, revs, put)
			}
		}
		left := slices.DeleteFunc(slices.Clone(revs), func(r storage.Revision) bool { return slices.Contains(drop, r) })
		if again := storage.Thin(left, put); len(again) > 0 {
			t.Fatalf("thinning again drops %v of %v", again, left)
		}
	})
}

func TestChecks(t *testing.T) {
	rec := storage.Record{Op: make([]byte, storage.MaxRecord)}
	name := strings.Repeat("n", storage.MaxName)
	tests := []struct {
		name string
		err  error
		ok   bool
	}{
		{"type", storage.CheckType("text"), true},
		{"no type", storage.CheckType(""), false},
		{"long type", storage.CheckType(strings.Repeat("t", storage.MaxType+1)), false},
		{"id", storage.CheckDocID("ä/🌍"), true},
		{"id with a null", storage.CheckDocID("a\x00"), false},
		{"append", storage.CheckAppend([]storage.Record{rec, rec, rec, {Author: name, Client: name}, rec}), true},
		{"append too large", storage.CheckAppend([]storage.Record{rec, rec, rec, rec, {Op: []byte{1}}}), false},
		{"append of nothing", storage.CheckAppend(nil), false},
		{"long author", storage.CheckAppend([]storage.Record{{Author: name + "n"}}), false},
		{"creation", storage.CheckCreate(&storage.Record{Kind: storage.Create, Type: "text", Op: rec.Op}), true},
		{"creation without a type", storage.CheckCreate(&storage.Record{Kind: storage.Create}), false},
		{"edit instead of a creation", storage.CheckCreate(&storage.Record{}), false},
		{"deletion", storage.CheckRecord(&storage.Record{Kind: storage.Delete}), true},
		{"deletion with content", storage.CheckRecord(&storage.Record{Kind: storage.Delete, Op: []byte{1}}), false},
		{"edit with a type", storage.CheckRecord(&storage.Record{Type: "text"}), false},
		{"unknown kind", storage.CheckRecord(&storage.Record{Kind: 3}), false},
		{"first record", storage.CheckRange(-1, 0, 0), true},
		{"before the first record", storage.CheckRange(-2, 0, 0), false},
		{"range", storage.CheckRange(0, 5, 5), true},
		{"empty range", storage.CheckRange(5, 5, 5), false},
		{"range past the head", storage.CheckRange(0, 6, 5), false},
		{"snapshot", storage.CheckSnapshot(storage.Snapshot{Rev: 5}, 5), true},
		{"snapshot without a type", storage.CheckSnapshot(storage.Snapshot{Rev: 5, Data: []byte{1}}, 5), false},
		{"snapshot of a long type", storage.CheckSnapshot(storage.Snapshot{Rev: 5, Type: strings.Repeat("t", storage.MaxType+1)}, 5), false},
		{"snapshot at 0", storage.CheckSnapshot(storage.Snapshot{}, 5), true},
		{"snapshot at -1", storage.CheckSnapshot(storage.Snapshot{Rev: -1}, 5), false},
		{"trim", storage.CheckTrim(2, storage.Info{Oldest: 2, Head: 5}), true},
		{"trim to what is gone", storage.CheckTrim(1, storage.Info{Oldest: 2, Head: 5}), false},
		{"trim past the head", storage.CheckTrim(6, storage.Info{Oldest: -1, Head: 5}), false},
		{"trim to nothing", storage.CheckTrim(-1, storage.Info{Oldest: -1, Head: 5}), false},
		{"snapshot past the head", storage.CheckSnapshot(storage.Snapshot{Rev: 6}, 5), false},
		{"list", storage.CheckList(1), true},
		{"list of nothing", storage.CheckList(0), false},
	}
	for _, test := range tests {
		if test.ok && test.err != nil || !test.ok && !errors.Is(test.err, storage.ErrInvalid) {
			t.Errorf("%s: %v", test.name, test.err)
		}
	}
}
