package bolt

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
	"quire/storage/storagetest"
)

// repairStore is checkedStore with notes of a document and of the store.
func repairStore(t *testing.T) (path string, whole []byte) {
	t.Helper()
	path = checkedStore(t)
	s := testStore(t, Options{Path: path})
	info, err := s.Stat(t.Context(), "doc")
	if err != nil {
		t.Fatal(err)
	}
	note := []storage.Note{{Key: "key", Value: []byte("value")}}
	if err := errors.Join(s.SetNotes(t.Context(), "doc", info.Incarnation, note), s.SetNotes(t.Context(), "", 0, note)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	whole, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, whole
}

// place of a record.
type recordAt struct {
	doc string
	rev storage.Revision // that it led to
}

// recordsOf returns every record of a closed store.
func recordsOf(t *testing.T, path string) map[recordAt]storage.Record {
	t.Helper()
	s := testStore(t, Options{Path: path})
	defer s.Close()
	all := make(map[recordAt]storage.Record)
	infos, err := s.List(t.Context(), "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		for at := info.Oldest; at < info.Head; {
			recs, err := s.Read(t.Context(), info.ID, at, info.Head)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range recs {
				at++
				all[recordAt{info.ID, at}] = r
			}
		}
	}
	return all
}

// asides reads a side file.
func asides(t *testing.T, path string) (lines []aside) {
	t.Helper()
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 8<<20)
	for sc.Scan() {
		var a aside
		if err := json.Unmarshal(sc.Bytes(), &a); err != nil || a.What == "" || a.Why == "" {
			t.Fatalf("a line of the side file: %v, %s", err, sc.Text())
		}
		lines = append(lines, a)
	}
	return lines
}

// readable are the records whose values, and what says where they are, do not overlap damage.
func readable(t *testing.T, whole []byte, damage [][2]int64) map[recordAt]bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "whole.db")
	writeFile(t, path, whole)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := newSalvage(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	hit := func(lo, hi int64) bool {
		return slices.ContainsFunc(damage, func(d [2]int64) bool { return lo < d[1] && d[0] < hi })
	}
	// Values whose page begins with damage cannot be found.
	lost := make(map[int64]bool)
	for id := uint64(2); id < s.last; id++ {
		if !has(s.seen, id) {
			continue
		}
		buf := s.read(int64(id)*s.page, s.page)
		if native.Uint64(buf) != id {
			continue // it follows another
		}
		elems, _ := s.elements(buf, int64(id)*s.page)
		for i, e := range elems {
			at := int64(id) * s.page
			if hit(at, at+pageHeader+int64(i+1)*pageElement) || hit(e.value-int64(len(e.key)), e.value+e.size) {
				lost[e.value] = true
			}
		}
	}
	names := map[uint64]string{1: "doc", 2: "other", 3: "lives"}
	out := make(map[recordAt]bool)
	p := &repairer{ctx: t.Context(), s: s, r: &Repaired{}, log: make(map[uint64][]piece)}
	p.readLog()
	for num, name := range names {
		for _, piece := range p.pieces(docValue{num: num, segs: num}) {
			if !lost[piece.off] && !hit(piece.off, piece.off+piece.size) {
				for rev := piece.first; rev < piece.end(); rev++ {
					out[recordAt{name, rev + 1}] = true
				}
			}
		}
	}
	return out
}

// TestRepair damages a file in many ways and expects everything that was not hit to be in
// the new file or, when it cannot be there, in the side file.
func TestRepair(t *testing.T) {
	path, whole := repairStore(t)
	zero := func(lo, hi int64) [2]int64 { return [2]int64{lo, hi} }
	var tests []damage
	size := int64(len(whole))
	step := int64(4096)
	if storagetest.Race {
		step *= 3
	}
	for at := int64(0); at < size && at < 60*4096; at += step {
		tests = append(tests, damage{name: fmt.Sprintf("page %d", at/4096), zeroed: [][2]int64{zero(at, at+4096)}})
		switch at / 4096 % 4 {
		case 1:
			tests = append(tests, damage{name: fmt.Sprintf("page %d's header", at/4096), zeroed: [][2]int64{zero(at, at+16)}})
		case 3:
			tests = append(tests, damage{name: fmt.Sprintf("page %d's middle", at/4096), zeroed: [][2]int64{zero(at+2000, at+2100)}})
		}
	}
	tests = append(tests, damage{name: "both meta pages", zeroed: [][2]int64{zero(0, 8192)}})
	for at := int64(4096); at < size; at = max(at+step, at+at/4096/4*4096) {
		tests = append(tests, damage{name: fmt.Sprintf("%d pages of %d", at/4096, size/4096), cut: at})
	}
	repairEach(t, path, whole, tests)
}

// damage is what is done to a file.
type damage struct {
	name   string
	zeroed [][2]int64
	cut    int64 // the file's length
}

// repairEach repairs a file after each damage.
func repairEach(t *testing.T, path string, whole []byte, tests []damage) {
	t.Helper()
	want, size, dir := recordsOf(t, path), int64(len(whole)), t.TempDir()
	for i, test := range tests {
		data := bytes.Clone(whole)
		gone := slices.Clone(test.zeroed)
		for _, z := range test.zeroed {
			clear(data[z[0]:min(z[1], size)])
		}
		if test.cut > 0 {
			data = data[:test.cut]
			gone = append(gone, [2]int64{test.cut, size})
		}
		path := filepath.Join(dir, fmt.Sprint(i), "quire.db")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, data)
		intact := readable(t, whole, gone)
		r, err := Repair(t.Context(), Options{Path: path})
		if err != nil {
			if after, readErr := os.ReadFile(path); !errors.Is(err, ErrForeign) || len(intact) > 0 || readErr != nil || !bytes.Equal(after, data) {
				t.Errorf("%s: %v, %v; %d records were intact", test.name, err, readErr, len(intact))
			}
			continue
		}
		checkRepaired(t, test.name, path, data, r, want, intact)
	}
}

func checkRepaired(t *testing.T, name, path string, damaged []byte, r Repaired, want map[recordAt]storage.Record, intact map[recordAt]bool) {
	t.Helper()
	if r.Healthy {
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, damaged) || r.Damaged != "" || r.Aside != "" {
			t.Errorf("%s: a healthy file was touched: %+v, %v", name, r, err)
		}
		return
	}
	if old, err := os.ReadFile(r.Damaged); err != nil || !bytes.Equal(old, damaged) {
		t.Errorf("%s: the damaged file was not kept: %v", name, err)
	}
	if _, problems := checkAll(t, path); len(problems) > 0 {
		t.Fatalf("%s: %v", name, problems)
	}
	if left, _ := filepath.Glob(path + ".repair-*"); len(left) > 0 {
		t.Errorf("%s: left behind: %v", name, left)
	}
	got := recordsOf(t, path)
	named := make(map[string]string) // made-up ids
	for i := 1; i <= 3; i++ {
		named[fmt.Sprintf("recovered-%d", i)] = []string{"", "doc", "other", "lives"}[i]
	}
	found := make(map[recordAt]bool)
	for at, rec := range got {
		if real, ok := named[at.doc]; ok {
			at.doc = real
		}
		found[at] = true
		if w, ok := want[at]; !ok || !sameRecord(w, rec) {
			t.Errorf("%s: %+v is %+v, was %+v", name, at, rec, w)
		}
	}
	lines := asides(t, r.Aside)
	records, snapshots := 0, 0
	for _, a := range lines {
		switch a.What {
		case "record":
			records++
			at := recordAt{a.Doc, *a.Rev}
			if real, ok := named[at.doc]; ok {
				at.doc = real
			}
			if found[at] {
				t.Errorf("%s: %+v was set aside, but is there", name, at)
			}
			found[at] = true
			if w := want[at]; !bytes.Equal(w.Op, a.Data) || w.Author != a.Author || w.Seq != a.Seq || w.Time != a.Time {
				t.Errorf("%s: %+v was set aside as %+v, was %+v", name, at, a, w)
			}
		case "snapshot":
			snapshots++
		}
	}
	if records != r.AsideRecords || snapshots != r.AsideSnapshots || len(lines)-records-snapshots != r.AsideOther || r.Records != len(got) {
		t.Errorf("%s: %+v says other than is there: %d records, %d snapshots of %d lines", name, r, records, snapshots, len(lines))
	}
	missing := 0
	for at := range intact {
		if !found[at] {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%s: of %d records that were intact %d are neither there nor set aside; %+v", name, len(intact), missing, r)
	}
	if len(got) < len(want) && len(r.Cut) == 0 && r.Lost == 0 && r.LostAppends == 0 && !r.Doubt {
		t.Errorf("%s: %d of %d records, and nothing is reported: %+v", name, len(got), len(want), r)
	}
}

// TestRepairOnePage leaves one page after the other of a file, most of whose records are in the log yet.
func TestRepairOnePage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quire.db")
	s := testStore(t, Options{Path: path, FoldAfter: 1 << 20})
	addDoc(t, s, "doc", 200)
	addDoc(t, s, "other", 100)
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var tests []damage
	size := int64(len(whole))
	for at := int64(8192); at < size; at += 4096 {
		tests = append(tests, damage{name: fmt.Sprintf("page %d alone", at/4096), zeroed: [][2]int64{{0, at}, {at + 4096, size}}})
	}
	repairEach(t, path, whole, tests)
}

// TestRepairValues damages single values, so that it is known what has to be left.
func TestRepairValues(t *testing.T) {
	_, whole := repairStore(t)
	flip := func(bucket, key []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			v := bytes.Clone(tx.Bucket(bucket).Get(key))
			v[len(v)/2] ^= 4
			return tx.Bucket(bucket).Put(key, v)
		}
	}
	del := func(bucket, key []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Delete(key) }
	}
	for _, test := range []struct {
		name    string
		edit    func(*bbolt.Tx) error
		cut     string // a document
		oldest  storage.Revision
		head    storage.Revision
		records int // set aside
		renewed bool
	}{
		{name: "a segment flipped", edit: flip(bucketSegments, keySegment(1, 511)), cut: "doc", oldest: 1500, head: 2030, records: 1500 - 512 + 1, renewed: true},
		{name: "the first segment gone", edit: del(bucketSegments, keySegment(1, -1)), cut: "doc", oldest: 1000, head: 2030, records: 1000 - 511, renewed: true},
		{name: "a sequence number flipped", edit: flip(bucketLastSeq, keyClient(1, "client"))},
		{name: "a snapshot's piece flipped", edit: flip(bucketBlobs, key2[uint64](2, 1))},
		{name: "a document's value flipped", edit: flip(bucketDocs, []byte("doc")), cut: "recovered-1", oldest: -1, head: 2030, renewed: true},
		{name: "a note flipped", edit: flip(bucketNotes, keyNote(1, "key"))},
		{name: "the state gone", edit: del(bucketQuire, keyState), renewed: true},
		{name: "the marker gone", edit: del(bucketQuire, keyFormat)},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "quire.db")
			writeFile(t, path, whole)
			editFile(t, path, test.edit)
			damaged, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Repair(t.Context(), Options{Path: path})
			if err != nil || r.Healthy {
				t.Fatalf("%+v, %v", r, err)
			}
			checkRepaired(t, test.name, path, damaged, r, recordsOf(t, fileOf(t, whole)), nil)
			switch {
			case test.cut == "" && len(r.Cut) > 0:
				t.Errorf("cut: %+v", r.Cut)
			case test.cut != "" && (len(r.Cut) != 1 || r.Cut[0].Doc != test.cut || r.Cut[0].Head != test.head || r.Cut[0].Oldest != test.oldest || r.AsideRecords != test.records):
				t.Errorf("%+v", r)
			}
			s := testStore(t, Options{Path: path})
			was := testStore(t, Options{Path: fileOf(t, whole)})
			id := "doc"
			if strings.HasPrefix(test.cut, "recovered") {
				id = test.cut
			}
			info, err := s.Stat(t.Context(), id)
			old, _ := was.Stat(t.Context(), "doc")
			if err != nil || (info.Incarnation != old.Incarnation) != test.renewed {
				t.Errorf("%+v, %v; was %+v", info, err, old)
			}
			if id == "doc" && storage.Lineage(info.Incarnation) != storage.Lineage(old.Incarnation) {
				t.Errorf("another lineage: %x, was %x", info.Incarnation, old.Incarnation)
			}
		})
	}
}

// fileOf writes data to a file of its own.
func fileOf(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "quire.db")
	writeFile(t, path, data)
	return path
}

// TestRepairAfterKill repairs beside what repairs left that were killed, and those of the same second.
func TestRepairAfterKill(t *testing.T) {
	_, whole := repairStore(t)
	path := filepath.Join(t.TempDir(), "quire.db")
	writeFile(t, path, whole)
	editFile(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(bucketSegments).Delete(keySegment(1, -1)) })
	if err := os.Mkdir(path+".repair-1", 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		stamp := time.Now().Add(time.Duration(i) * time.Second).UTC().Format("20060102-150405")
		for _, taken := range []string{".aside-" + stamp + ".jsonl", ".damaged-" + stamp} {
			if err := os.WriteFile(path+taken, []byte("kept"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := Repair(t.Context(), Options{Path: path})
	if err != nil || !strings.HasSuffix(r.Damaged, "-2") || r.Aside != "" && !strings.HasSuffix(r.Aside, "-2.jsonl") {
		t.Fatalf("%+v, %v", r, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, e := range entries {
		if data, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name())); err != nil {
			t.Error(err)
		} else if string(data) == "kept" {
			kept++
		}
	}
	if kept != 120 {
		t.Errorf("%d of 120 files are as they were", kept)
	}
}

// TestRepairRefuses: what is no data file, in use or has nothing left is not touched.
func TestRepairRefuses(t *testing.T) {
	for name, data := range map[string][]byte{"empty": nil, "text": []byte("hello"), "zeros": make([]byte, 1<<20)} {
		path := fileOf(t, data)
		if r, err := Repair(t.Context(), Options{Path: path}); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		entries, _ := os.ReadDir(filepath.Dir(path))
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) || len(entries) != 1 {
			t.Errorf("%s: changed: %v", name, entries)
		}
	}
	if _, err := Repair(t.Context(), Options{Path: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	s := testStore(t, Options{})
	if _, err := Repair(t.Context(), Options{Path: s.opts.Path}); !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, whole := repairStore(t)
	if _, err := Repair(ctx, Options{Path: fileOf(t, whole[:len(whole)/2])}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
