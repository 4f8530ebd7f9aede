package storagetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"quire/storage"
)

// Harness tells the suite how to open a driver.
type Harness struct {
	// Open opens the store whose data is in a folder, which exists and is empty at
	// first. A driver that keeps nothing ignores it.
	Open func(dir string) (Store, error)
	// Durable says that what was acknowledged is there when a folder is opened
	// again, after Close as after the process was killed.
	Durable bool
	// DataFile is the name of the one file in the folder that damage is done to; ""
	// leaves out the tests of damage.
	DataFile string
	// Check, if any, verifies the data in a folder that no store has open, and returns
	// how many problems it found. It must find one wherever the store's
	// calls do.
	Check func(dir string) (problems int, err error)
}

// now is the wall time of the tests, in Unix milliseconds.
const now = 1_700_000_000_000

// Run runs the suite, its tests beside each other and beside other tests. It must be the first
// thing that a test function calls, since the test of killed processes runs that function again in
// a child process.
func Run(t *testing.T, h Harness) {
	if dir := os.Getenv(childEnv); dir != "" {
		runChild(h, dir)
	}
	if checks := flag.Lookup("rapid.checks"); Race && checks.Value.String() == checks.DefValue {
		_ = checks.Value.Set("25") // of the model
	}
	t.Parallel()
	tests := []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"Create", testCreate},
		{"CreateWithContent", testCreateWithContent},
		{"AppendRead", testAppendRead},
		{"ReadInPieces", testReadInPieces},
		{"CompareAndSwap", testCompareAndSwap},
		{"ManyDocuments", testManyDocuments},
		{"LastSeq", testLastSeq},
		{"Lives", testLives},
		{"LivesAtOnce", testLivesAtOnce},
		{"Snapshots", testSnapshots},
		{"SnapshotTypes", testSnapshotTypes},
		{"SnapshotSizes", testSnapshotSizes},
		{"Thinning", testThinning},
		{"List", testList},
		{"Delete", testDelete},
		{"DeleteWhileUsed", testDeleteWhileUsed},
		{"Notes", testNotes},
		{"Rename", testRename},
		{"At", testAt},
		{"Trim", testTrim},
		{"Rewrite", testRewrite},
		{"Limits", testLimits},
		{"Contexts", testContexts},
		{"Close", testClose},
		{"CloseWhileUsed", testCloseWhileUsed},
		{"Ownership", testOwnership},
		{"Model", testModel},
	}
	if h.Durable {
		tests = append(tests, []struct {
			name string
			run  func(*testing.T, *fixture)
		}{
			{"Reopen", testReopen},
			{"Kill", testKill},
		}...)
	}
	if h.DataFile != "" {
		tests = append(tests, []struct {
			name string
			run  func(*testing.T, *fixture)
		}{
			{"Truncated", testTruncated},
			{"BitFlips", testBitFlips},
			{"ZeroedPages", testZeroedPages},
		}...)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // much of each is waiting for the disk
			f := &fixture{Harness: h, ctx: t.Context(), t: t, dir: t.TempDir()}
			f.open()
			defer f.close()
			test.run(t, f)
		})
	}
}

// fixture is an open store and the helpers of the tests. Its methods fail the test
// when the store fails.
type fixture struct {
	Harness
	Store
	ctx context.Context
	t   testing.TB
	dir string
}

func (f *fixture) open() {
	f.t.Helper()
	s, err := f.Open(f.dir)
	if err != nil {
		f.t.Fatalf("open: %v", err)
	}
	f.Store = s
}

func (f *fixture) close() {
	f.t.Helper()
	if err := f.Close(); err != nil {
		f.t.Errorf("close: %v", err)
	}
}

func (f *fixture) reopen() {
	f.t.Helper()
	f.close()
	f.open()
}

// restart opens the store again if it lasts.
func (f *fixture) restart() {
	f.t.Helper()
	if f.Durable {
		f.reopen()
	}
}

// create makes an empty text.
func (f *fixture) create(id string) storage.Info {
	f.t.Helper()
	return f.createAs(id, creation("text", ""))
}

func (f *fixture) createAs(id string, first storage.Record) storage.Info {
	f.t.Helper()
	info, err := f.Create(f.ctx, id, first)
	if err != nil {
		f.t.Fatalf("create %q: %v", id, err)
	}
	return info
}

// append appends records at the head that info says, and makes it what it is then.
func (f *fixture) append(info *storage.Info, recs ...storage.Record) {
	f.t.Helper()
	if err := f.Append(f.ctx, info.ID, info.Incarnation, info.Head, recs); err != nil {
		f.t.Fatalf("append to %q at %d: %v", info.ID, info.Head, err)
	}
	for _, r := range recs {
		advance(info, r)
	}
}

// advance makes info what it is after one more record.
func advance(info *storage.Info, r storage.Record) {
	info.Head++
	info.Modified = r.Time
	switch r.Kind {
	case storage.Create:
		info.Type, info.Born = r.Type, info.Head
	case storage.Delete:
		info.Type = ""
	}
}

// all reads records [from, to) in as many calls as it takes.
func (f *fixture) all(id string, from, to storage.Revision) []storage.Record {
	f.t.Helper()
	recs, err := readAll(f.ctx, f.Store, id, from, to)
	if err != nil {
		f.t.Fatalf("read %q [%d, %d): %v", id, from, to, err)
	}
	return recs
}

func readAll(ctx context.Context, s Store, id string, from, to storage.Revision) (recs []storage.Record, err error) {
	for from < to {
		some, err := s.Read(ctx, id, from, to)
		if err != nil {
			return nil, err
		}
		if len(some) == 0 || storage.Revision(len(some)) > to-from {
			return nil, fmt.Errorf("%d records of [%d, %d)", len(some), from, to)
		}
		recs = append(recs, some...)
		from += storage.Revision(len(some))
	}
	return recs, nil
}

// record makes the record that leads on from a revision, so that it can be told
// from every other.
func record(client string, seq uint64, rev storage.Revision) storage.Record {
	op := fmt.Appendf(nil, "op %d", rev)
	if rev%7 == 3 {
		op = nil
	}
	return storage.Record{Op: op, Author: "by" + client[min(2, len(client)):], Client: client, Seq: seq, Time: now + int64(rev)*131}
}

// records makes n records of one client, the first of which leads on from rev with seq.
func records(client string, seq uint64, rev storage.Revision, n int) []storage.Record {
	recs := make([]storage.Record, n)
	for i := range recs {
		recs[i] = record(client, seq+uint64(i), rev+storage.Revision(i))
	}
	return recs
}

// deletion makes the record that leaves a document without content.
func deletion(client string, seq uint64) storage.Record {
	return storage.Record{Kind: storage.Delete, Author: "Bob", Client: client, Seq: seq, Time: now + 7}
}

// turning makes edits, of which the first leads on from rev, into a history in which
// the document is deleted and created again every 11 records. Which record becomes
// what depends on its revision only.
func turning(rev storage.Revision, recs []storage.Record) []storage.Record {
	for i := range recs {
		switch r := &recs[i]; (rev + storage.Revision(i)) % 11 {
		case 5:
			r.Kind, r.Op = storage.Delete, nil
		case 6:
			r.Kind, r.Type = storage.Create, fmt.Sprintf("type %d", r.Seq%3)
		}
	}
	return recs
}

// creation makes the record that gives a document a type and content.
func creation(typ, content string) storage.Record {
	return storage.Record{Kind: storage.Create, Type: typ, Op: []byte(content), Time: now}
}

func sameRecord(a, b storage.Record) bool {
	return a.Kind == b.Kind && a.Type == b.Type && string(a.Op) == string(b.Op) && a.Author == b.Author && a.Client == b.Client && a.Seq == b.Seq && a.Time == b.Time
}

// reporter is a test, of package testing or rapid.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkRecords compares what was read with what was written.
func checkRecords(t reporter, got, want []storage.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		if !sameRecord(got[i], want[i]) {
			t.Fatalf("record %d is %s, want %s", i, show(got[i]), show(want[i]))
		}
	}
}

// show prints a record shortly.
func show(r storage.Record) string {
	return fmt.Sprintf("{kind %d %.20q %.40q (%d bytes) by %.20q %.20q seq %d at %d}", r.Kind, r.Type, r.Op, len(r.Op), r.Author, r.Client, r.Seq, r.Time)
}

// checkError fails the test unless err is want.
func checkError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// checkConflict fails the test unless err is a conflict with these numbers.
func checkConflict(t testing.TB, err error, base, head storage.Revision) {
	t.Helper()
	var conflict *storage.ConflictError
	if !errors.As(err, &conflict) || conflict.Base != base || conflict.Head != head {
		t.Errorf("append at %d of %d: got %v", base, head, err)
	}
}

// parallel runs fn n times at once and waits.
func parallel(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

// long returns a string of n bytes.
func long(n int) string { return strings.Repeat("x", n) }
