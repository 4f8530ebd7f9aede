package storagetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	"quire/storage"
)

// population is a store's content, to compare with later.
type population struct {
	infos []storage.Info
	recs  map[string][]storage.Record // from -1 on
	snaps map[string][]storage.Snapshot
	notes map[string][]storage.Note
}

// populate fills a store with some of everything.
func (f *fixture) populate(docs int) *population {
	p := &population{recs: make(map[string][]storage.Record), snaps: make(map[string][]storage.Snapshot), notes: make(map[string][]storage.Note)}
	for i := range docs {
		first := creation("text", long(i*i*i%30_000))
		first.Client, first.Seq = "client 0", uint64(i%2)
		info := f.createAs(fmt.Sprintf("doc %03d", i), first)
		p.recs[info.ID] = []storage.Record{first}
		for k := range 4 + i%5 {
			client := fmt.Sprintf("client %d", k%3)
			recs := records(client, uint64(info.Head)+2, info.Head, 1+i*7%50)
			if i%3 == 2 {
				recs = turning(info.Head, recs)
			}
			f.append(&info, recs...)
			p.recs[info.ID] = append(p.recs[info.ID], recs...)
		}
		for k, n := range []int{10, 300, 5000}[:i%4%3+1] {
			if i == 2 && k == 2 {
				n = 150_000
			}
			rev := info.Head - storage.Revision(k)*(info.Head/3)
			then := storage.Info{Head: -1, Oldest: -1}
			for _, r := range p.recs[info.ID][:rev+1] {
				advance(&then, r)
			}
			snap := storage.Snapshot{Rev: rev, Type: then.Type}
			if snap.Type != "" {
				snap.Data = slices.Repeat([]byte{byte(i), byte(n)}, n)
			}
			if err := f.PutSnapshot(f.ctx, info.ID, info.Incarnation, snap); err != nil {
				f.t.Fatalf("put snapshot of %q at %d: %v", info.ID, rev, err)
			}
			p.snaps[info.ID] = append(p.snaps[info.ID], snap)
		}
		p.notes[info.ID] = []storage.Note{{Key: "a", Value: []byte(info.ID)}, {Key: "b", Value: make([]byte, i*i*30)}}
		f.setNotes(info, p.notes[info.ID]...)
		p.keep(f, &info, i)
		if i%5 == 4 {
			if err := f.Delete(f.ctx, info.ID); err != nil {
				f.t.Fatal(err)
			}
			continue
		}
		p.infos = append(p.infos, info)
	}
	return p
}

// keep trims, rewrites and renames some of the documents.
func (p *population) keep(f *fixture, info *storage.Info, i int) {
	id := info.ID
	if i%6 == 3 {
		begin := p.snaps[id][0]
		for _, s := range p.snaps[id] {
			if s.Rev < begin.Rev {
				begin = s
			}
		}
		f.trim(info, begin.Rev)
		f.append(info, records("one", uint64(info.Head)+2, info.Head, i*10)...)
		p.recs[id] = append(p.recs[id], records("one", uint64(info.Head)+2-uint64(i*10), info.Head-storage.Revision(i*10), i*10)...)
	}
	if i%7 == 3 || i%12 == 3 {
		if err := f.Rewrite(f.ctx, id, info.Incarnation, shoutRecord, shoutSnapshot); err != nil {
			f.t.Fatalf("rewrite %q: %v", id, err)
		}
		for k, r := range p.recs[id] {
			p.recs[id][k] = shout(r)
		}
		for k, s := range p.snaps[id] {
			p.snaps[id][k], _ = shoutSnapshot(s)
		}
	}
	if i%8 == 6 {
		info.ID += " renamed"
		if err := f.Rename(f.ctx, id, info.ID); err != nil {
			f.t.Fatalf("rename %q: %v", id, err)
		}
		p.recs[info.ID], p.snaps[info.ID], p.notes[info.ID] = p.recs[id], p.snaps[id], p.notes[id]
	}
}

// check compares a store, whose file may have been damaged, with the population. It returns the first error of
// the store; wrong content, and "not found" for what is there, is no such error but fails
// the test.
func (p *population) check(t testing.TB, s Store, damaged bool) error {
	ctx := context.Background()
	infos, err := s.List(ctx, "", "", 10_000)
	if err == nil && !slices.Equal(infos, p.infos) {
		t.Errorf("listed %+v, want %+v", infos, p.infos)
	}
	for _, info := range p.infos {
		err = first(err, func() error {
			got, err := s.Stat(ctx, info.ID)
			if err == nil && got != info {
				t.Errorf("stat: %+v, want %+v", got, info)
			}
			return err
		})
		err = first(err, func() error {
			recs, err := readAll(ctx, s, info.ID, info.Oldest, info.Head)
			if err == nil {
				checkRecords(t, recs, p.recs[info.ID][info.Oldest+1:])
			}
			return err
		})
		err = first(err, func() error {
			notes, err := s.Notes(ctx, info.ID, "", "", 10)
			same := func(a, b storage.Note) bool { return a.Key == b.Key && string(a.Value) == string(b.Value) }
			if err == nil && !slices.EqualFunc(notes, p.notes[info.ID], same) {
				t.Errorf("%d notes of %q, want %d", len(notes), info.ID, len(p.notes[info.ID]))
			}
			return err
		})
		err = first(err, func() error { return p.checkSeqs(t, s, info.ID) })
		for _, want := range p.snaps[info.ID] {
			err = first(err, func() error {
				// When damage hides a snapshot, an older one is as right: the records
				// after it lead to the same content.
				got, err := s.Snapshot(ctx, info.ID, want.Rev)
				if damaged && errors.Is(err, storage.ErrNotFound) {
					return nil
				}
				right := func(w storage.Snapshot) bool {
					return got.Rev == w.Rev && got.Type == w.Type && string(got.Data) == string(w.Data)
				}
				if err == nil && !right(want) && !(damaged && slices.ContainsFunc(p.snaps[info.ID], right)) {
					t.Errorf("%q: snapshot at %d, %d bytes, want %d, %d bytes", info.ID, got.Rev, len(got.Data), want.Rev, len(want.Data))
				}
				return err
			})
		}
	}
	if errors.Is(err, storage.ErrNotFound) {
		t.Errorf("what is damaged is said to be missing: %v", err)
	}
	return err
}

func (p *population) checkSeqs(t testing.TB, s Store, id string) error {
	last := make(map[string][2]uint64)
	for rev, r := range p.recs[id] {
		if r.Seq > 0 {
			last[r.Client] = [2]uint64{r.Seq, uint64(rev)}
		}
	}
	for client, want := range last {
		seq, rev, err := s.LastSeq(context.Background(), id, client)
		if err != nil {
			return err
		}
		if seq != want[0] || uint64(rev) != want[1] {
			t.Errorf("%q: last seq of %q is %d at %d, want %d at %d", id, client, seq, rev, want[0], want[1])
		}
	}
	return nil
}

// first runs fn all the same and returns the first of the two errors.
func first(err error, fn func() error) error {
	if later := fn(); err == nil {
		return later
	}
	return err
}

func testReopen(t *testing.T, f *fixture) {
	p := f.populate(40)
	for range 3 {
		f.reopen()
		if err := p.check(t, f.Store, false); err != nil {
			t.Fatal(err)
		}
		info := &p.infos[0]
		more := turning(info.Head, records("client 1", uint64(info.Head)+2, info.Head, 30))
		f.append(info, more...)
		p.recs[info.ID] = append(p.recs[info.ID], more...)
	}
	if err := p.check(t, f.Store, false); err != nil {
		t.Fatal(err)
	}
}

// childEnv holds the data folder in a process that is to be killed.
const childEnv = "QUIRE_STORAGETEST_CHILD"

// childDocs is how many documents that process writes to at once.
const childDocs = 16

func childDoc(i int) string { return fmt.Sprintf("doc %d", i) }

// childFirst and childRecords are what it writes: a document's record -1 and the n records
// from rev on.
func childFirst(i int) storage.Record {
	first := creation("text", long(i*1000))
	first.Client, first.Seq = "maker", uint64(i)+1
	return first
}

func childRecords(rev storage.Revision, n int) []storage.Record {
	return turning(rev, records("one", uint64(rev)+1, rev, n))
}

// runChild appends to documents until the process is killed, and prints each
// document's number and head once they are acknowledged.
func runChild(h Harness, dir string) {
	s, err := h.Open(dir)
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	ctx := context.Background()
	parallel(childDocs, func(i int) {
		info, err := s.Stat(ctx, childDoc(i))
		if errors.Is(err, storage.ErrNotFound) {
			info, err = s.Create(ctx, childDoc(i), childFirst(i))
		}
		for err == nil {
			n := 1 + int(info.Head)%3
			if err = s.Append(ctx, info.ID, info.Incarnation, info.Head, childRecords(info.Head, n)); err != nil {
				break
			}
			for _, r := range childRecords(info.Head, n) {
				advance(&info, r)
			}
			mu.Lock()
			fmt.Println("ack", i, info.Head)
			mu.Unlock()
			if info.Head%40 < 3 {
				err = childKeeps(ctx, s, i, info)
			}
		}
		fmt.Println("failed:", err)
	})
	os.Exit(1)
}

// childKeeps trims a third of the documents to their head, and rewrites another third.
func childKeeps(ctx context.Context, s Store, i int, info storage.Info) error {
	switch i % 3 {
	case 1:
		snap := storage.Snapshot{Rev: info.Head, Type: info.Type}
		if err := s.PutSnapshot(ctx, info.ID, info.Incarnation, snap); err != nil {
			return err
		}
		return s.Trim(ctx, info.ID, info.Incarnation, info.Head, nil)
	case 2:
		return s.Rewrite(ctx, info.ID, info.Incarnation, shoutRecord, shoutSnapshot)
	}
	return nil
}

// testKill kills a process in the middle of its appends, several times over the
// same data: whatever it had acknowledged is there, and nothing has a gap.
func testKill(t *testing.T, f *fixture) {
	f.close()
	acked := make([]storage.Revision, childDocs)
	rounds := 4
	if Race {
		rounds = 2
	}
	for round := range rounds {
		child := exec.Command(os.Args[0], "-test.run=^"+regexp.QuoteMeta(rootName(t.Name()))+"$", "-test.count=1")
		child.Env = append(os.Environ(), childEnv+"="+f.dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		killed := false
		for n := 0; lines.Scan(); n++ {
			var doc int
			var head storage.Revision
			if _, err := fmt.Sscanf(lines.Text(), "ack %d %d", &doc, &head); err != nil && !killed {
				t.Errorf("child says %q", lines.Text())
			} else if err == nil {
				acked[doc] = max(acked[doc], head)
			}
			if n == 700+round*500 {
				killed = true
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); !killed {
			t.Fatalf("the child ended by itself: %v", err)
		}
		if f.Check != nil {
			if n, err := f.Check(f.dir); err != nil || n > 0 {
				t.Fatalf("the check finds %d problems, %v", n, err)
			}
		}
		f.open()
		for i, acked := range acked {
			info, err := f.Stat(f.ctx, childDoc(i))
			if err != nil || info.Head < acked {
				t.Fatalf("document %d: head %d, %v; acknowledged was %d", i, info.Head, err, acked)
			}
			want := storage.Info{ID: childDoc(i), Incarnation: info.Incarnation, Created: now, Head: -1, Oldest: -1}
			if i%3 == 1 {
				want.Oldest = info.Oldest
			}
			recs := slices.Concat([]storage.Record{childFirst(i)}, childRecords(0, int(info.Head)))
			for _, r := range recs {
				advance(&want, r)
			}
			if info != want {
				t.Fatalf("document %+v, want %+v", info, want)
			}
			got := f.all(info.ID, info.Oldest, info.Head)
			for k, r := range recs { // what was rewritten is so from the first record on
				if s := shout(r); i%3 == 2 && sameRecord(got[k], s) && !sameRecord(s, r) && (k == 0 || sameRecord(got[k-1], shout(recs[k-1]))) {
					recs[k] = s
				}
			}
			checkRecords(t, got, recs[info.Oldest+1:])
			if snap, err := f.Snapshot(f.ctx, info.ID, info.Head); info.Oldest >= 0 && (err != nil || snap.Rev < info.Oldest) {
				t.Fatalf("document %d is kept from %d on; snapshot at %d, %v", i, info.Oldest, snap.Rev, err)
			}
			if seq, rev, err := f.LastSeq(f.ctx, info.ID, "maker"); err != nil || seq != uint64(i)+1 || rev != 0 {
				t.Fatalf("document %d: last seq of its maker is %d at %d, %v", i, seq, rev, err)
			}
			if seq, rev, err := f.LastSeq(f.ctx, info.ID, "one"); err != nil || seq != uint64(info.Head) || rev != info.Head {
				t.Fatalf("document %d: last seq %d at %d, %v; head is %d", i, seq, rev, err, info.Head)
			}
		}
		f.close()
	}
	f.open()
}

// rootName returns the part of a test's name before the first slash.
func rootName(name string) string {
	return regexp.MustCompile(`^[^/]*`).FindString(name)
}

// pageSize is the unit in which files are damaged.
const pageSize = 4096

// damage fills a store, closes it, and opens n copies of which each has one of the
// pages that are not empty changed by change. page is where it begins in data. Every copy must give an error or the right content. It returns how many could
// be opened, and how many of those had everything.
func damage(t *testing.T, f *fixture, n int, change func(rng *rand.Rand, data []byte, page int) []byte) (opened, whole int) {
	p := f.populate(30)
	f.reopen() // to see the data in more than one shape
	if err := p.check(t, f.Store, false); err != nil {
		t.Fatal(err)
	}
	f.close()
	data, err := os.ReadFile(filepath.Join(f.dir, f.DataFile))
	if err != nil {
		t.Fatal(err)
	}
	var pages []int
	for at := 0; at+pageSize <= len(data); at += pageSize {
		if len(bytes.Trim(data[at:at+pageSize], "\x00")) > 0 {
			pages = append(pages, at)
		}
	}
	seed := rand.Uint64()
	for i := range n {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		dir := t.TempDir()
		data := slices.Clone(data)
		data = change(rng, data, pages[rng.IntN(len(pages))])
		if err := os.WriteFile(filepath.Join(dir, f.DataFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		problems, checkErr := 0, error(nil)
		if f.Check != nil {
			problems, checkErr = f.Check(dir)
		}
		s, err := f.Open(dir)
		if err != nil {
			if errors.Is(err, storage.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("seed %d/%d: %v", seed, i, err)
			}
		} else {
			opened++
			if err = p.check(t, s, true); err == nil {
				whole++
			}
			if err := s.Close(); err != nil {
				t.Errorf("seed %d/%d: close: %v", seed, i, err)
			}
			// Nothing is held: it opens again, or fails again.
			if s, err := f.Open(dir); err == nil {
				s.Close()
			}
		}
		if f.Check != nil && err != nil && problems == 0 && checkErr == nil {
			t.Errorf("seed %d/%d: the check found nothing, but: %v", seed, i, err)
		}
		if t.Failed() {
			t.Fatalf("seed %d/%d", seed, i)
		}
		os.RemoveAll(dir)
	}
	f.open()
	return opened, whole
}

func testTruncated(t *testing.T, f *fixture) {
	n := 40
	if Race {
		n = 15
	}
	opened, _ := damage(t, f, n, func(rng *rand.Rand, data []byte, page int) []byte {
		if rng.IntN(2) == 0 {
			return data[:page]
		}
		return data[:page+rng.IntN(pageSize)]
	})
	if opened > 0 {
		t.Errorf("of %d files cut short, %d opened", n, opened)
	}
}

func testBitFlips(t *testing.T, f *fixture) {
	n := 400
	if testing.Short() || Race {
		n = 40
	}
	opened, whole := damage(t, f, n, func(rng *rand.Rand, data []byte, page int) []byte {
		bit := rng.IntN(pageSize * 8)
		if rng.IntN(3) == 0 { // where the structure is
			bit = rng.IntN(80 * 8)
		}
		data[page+bit/8] ^= 1 << (bit % 8)
		return data
	})
	t.Logf("of %d files with one bit flipped, %d opened, %d of them with everything", n, opened, whole)
}

func testZeroedPages(t *testing.T, f *fixture) {
	n := 60
	if Race {
		n = 20
	}
	opened, whole := damage(t, f, n, func(rng *rand.Rand, data []byte, page int) []byte {
		if rng.IntN(2) == 0 {
			clear(data[page : page+pageSize])
			return data
		}
		for i := page; i < page+pageSize; i += 8 {
			binary.LittleEndian.PutUint64(data[i:], rng.Uint64())
		}
		return data
	})
	t.Logf("of %d files with one page wiped, %d opened, %d of them with everything", n, opened, whole)
}
