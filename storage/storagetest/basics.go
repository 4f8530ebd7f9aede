package storagetest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"quire/storage"
)

// oddIDs are ids that are allowed and likely to be mistreated.
var oddIDs = []string{" ", "/", "a/b", "a/b/../c", "ä", "日本語", "🌍", "a.b", "%00", "'\"", "C:\\x", long(storage.MaxDocID), "a", "aa", "a "}

func testCreate(t *testing.T, f *fixture) {
	for _, id := range oddIDs {
		info := f.create(id)
		if info.ID != id || info.Type != "text" || info.Incarnation == 0 || info.Created != now || info.Modified != now || info.Head != 0 {
			t.Errorf("created %+v", info)
		}
		got, err := f.Stat(f.ctx, id)
		if err != nil || got != info {
			t.Errorf("stat: %+v, %v, want %+v", got, err, info)
		}
		_, err = f.Create(f.ctx, id, creation("other", ""))
		checkError(t, "create again", err, storage.ErrExists)
	}
	_, err := f.Stat(f.ctx, "missing")
	checkError(t, "stat", err, storage.ErrNotFound)

	var created atomic.Int32
	parallel(8, func(int) {
		switch _, err := f.Create(f.ctx, "race", creation("text", "")); {
		case err == nil:
			created.Add(1)
		case !errors.Is(err, storage.ErrExists):
			t.Errorf("create: %v", err)
		}
	})
	if n := created.Load(); n != 1 {
		t.Errorf("%d calls created the same document", n)
	}
}

func testAppendRead(t *testing.T, f *fixture) {
	info := f.create("doc")
	var want []storage.Record
	add := func(recs ...storage.Record) {
		f.append(&info, recs...)
		want = append(want, recs...)
	}
	add(records("one", 1, 0, 1)...)
	add(records("one", 2, 1, 20)...)
	add(record("two", 1, 21), record("one", 22, 22), record("two", 2, 23))
	add(storage.Record{}) // all that may be empty
	add(storage.Record{Op: []byte{0}, Author: long(storage.MaxName), Client: "\xff\x00", Seq: math.MaxUint64, Time: math.MaxInt64})
	add(storage.Record{Op: []byte("back in time"), Client: "odd", Seq: 7, Time: math.MinInt64})
	add(storage.Record{Op: bytes.Repeat([]byte("large"), 100_000), Client: "odd", Seq: 900, Time: now})
	for i := range 40 {
		add(record("client "+long(i), 1, info.Head))
	}

	if got, err := f.Stat(f.ctx, "doc"); err != nil || got != info {
		t.Errorf("stat: %+v, %v, want %+v", got, err, info)
	}
	checkRecords(t, f.all("doc", 0, info.Head), want)
	for from := range info.Head {
		for _, to := range []storage.Revision{from + 1, min(from+5, info.Head), info.Head} {
			checkRecords(t, f.all("doc", from, to), want[from:to])
		}
	}
	for _, r := range [][2]storage.Revision{{-2, 1}, {-2, -1}, {-1, -1}, {0, 0}, {3, 2}, {0, info.Head + 1}, {info.Head, info.Head + 1}, {0, math.MaxInt64}} {
		_, err := f.Read(f.ctx, "doc", r[0], r[1])
		checkError(t, "read outside", err, storage.ErrInvalid)
	}
	_, err := f.Read(f.ctx, "missing", 0, 1)
	checkError(t, "read", err, storage.ErrNotFound)
	err = f.Append(f.ctx, "missing", 1, 0, want[:1])
	checkError(t, "append", err, storage.ErrNotFound)
}

func testReadInPieces(t *testing.T, f *fixture) {
	info := f.create("doc")
	var want []storage.Record
	for i := range 12 {
		recs := records("one", uint64(i*3+1), info.Head, 3)
		for k := range recs {
			recs[k].Op = bytes.Repeat([]byte{byte(i), byte(k)}, 400_000)
		}
		f.append(&info, recs...)
		want = append(want, recs...)
	}
	some, err := f.Read(f.ctx, "doc", 1, info.Head)
	if err != nil || len(some) == 0 || len(some) > len(want)/2 {
		t.Errorf("%d of %d large records in one piece, %v", len(some), len(want)-1, err)
	}
	checkRecords(t, some, want[1:1+len(some)])
	checkRecords(t, f.all("doc", 0, info.Head), want)
}

func testCompareAndSwap(t *testing.T, f *fixture) {
	info := f.create("doc")
	recs := records("one", 1, 0, 3)
	for _, base := range []storage.Revision{-1, 1, math.MaxInt64} {
		checkConflict(t, f.Append(f.ctx, "doc", info.Incarnation, base, recs), base, 0)
	}
	f.append(&info, recs...)
	for _, base := range []storage.Revision{0, 2, 4} {
		checkConflict(t, f.Append(f.ctx, "doc", info.Incarnation, base, recs), base, 3)
	}
	checkError(t, "another incarnation", f.Append(f.ctx, "doc", info.Incarnation+1, 3, recs), storage.ErrNotFound)

	const rounds, rivals = 50, 8
	for range rounds {
		var won atomic.Int32
		parallel(rivals, func(i int) {
			err := f.Append(f.ctx, "doc", info.Incarnation, info.Head, []storage.Record{record("rival", uint64(i)+1, info.Head)})
			if err == nil {
				won.Add(1)
				return
			}
			checkConflict(t, err, info.Head, info.Head+1)
		})
		if n := won.Load(); n != 1 {
			t.Fatalf("%d of %d appends at one revision won", n, rivals)
		}
		info.Head++
	}
	if got, err := f.Stat(f.ctx, "doc"); err != nil || got.Head != info.Head {
		t.Errorf("head %d, %v, want %d", got.Head, err, info.Head)
	}
	f.all("doc", 0, info.Head)
}

func testManyDocuments(t *testing.T, f *fixture) {
	const docs, appends = 60, 30
	parallel(docs, func(i int) {
		info := f.create("doc " + long(i+1))
		for range appends {
			f.append(&info, records("one", uint64(info.Head)+1, info.Head, 1+i%3)...)
		}
		checkRecords(t, f.all(info.ID, 0, info.Head), records("one", 1, 0, int(info.Head)))
	})
	for i := range docs {
		n := appends * (1 + i%3)
		id := "doc " + long(i+1)
		checkRecords(t, f.all(id, 0, storage.Revision(n)), records("one", 1, 0, n))
		if seq, rev, err := f.LastSeq(f.ctx, id, "one"); err != nil || seq != uint64(n) || rev != storage.Revision(n) {
			t.Errorf("%s: last seq %d at %d, %v", id, seq, rev, err)
		}
	}
}

func testLastSeq(t *testing.T, f *fixture) {
	info := f.create("doc")
	check := func(client string, seq uint64, rev storage.Revision) {
		t.Helper()
		if s, r, err := f.LastSeq(f.ctx, "doc", client); err != nil || s != seq || r != rev {
			t.Errorf("client %.20q: seq %d at %d, %v; want %d at %d", client, s, r, err, seq, rev)
		}
	}
	check("one", 0, 0)
	f.append(&info, record("one", 1, 0))
	check("one", 1, 1)
	f.append(&info, record("one", 2, 1), record("two", 7, 2), record("", 3, 3), record("one", 0, 4))
	check("one", 2, 2)
	check("two", 7, 3)
	check("", 3, 4)
	check("on", 0, 0)
	f.append(&info, record("two", math.MaxUint64, 5), record(long(storage.MaxName), 1, 6), record("a\x00b", 5, 7))
	for range 3 {
		check("two", math.MaxUint64, 6)
		check(long(storage.MaxName), 1, 7)
		check("a\x00b", 5, 8)
		check("a", 0, 0)
		f.append(&info, records("three", uint64(info.Head)+1, info.Head, 400)...)
		check("three", uint64(info.Head), info.Head)
	}
	_, _, err := f.LastSeq(f.ctx, "missing", "one")
	checkError(t, "last seq", err, storage.ErrNotFound)
}

func testList(t *testing.T, f *fixture) {
	for _, id := range oddIDs {
		f.create(id)
	}
	b := f.create("b")
	f.append(&b, records("one", 1, 0, 2)...)
	list := func(prefix, after string, limit int) string {
		t.Helper()
		infos, err := f.List(f.ctx, prefix, after, limit)
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		ids := make([]string, len(infos))
		for i, info := range infos {
			ids[i] = info.ID
			if got, err := f.Stat(f.ctx, info.ID); err != nil || got != info {
				t.Errorf("listed %+v, stat says %+v, %v", info, got, err)
			}
		}
		return strings.Join(ids, "|")
	}
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("list: got %q, want %q", got, want)
		}
	}
	everything := " |%00|'\"|/|C:\\x|a|a |a.b|a/b|a/b/../c|aa|b|" + long(storage.MaxDocID) + "|ä|日本語|🌍"
	want(list("", "", 100), everything)
	want(list("a", "", 100), "a|a |a.b|a/b|a/b/../c|aa")
	want(list("a", "", 2), "a|a ")
	want(list("a", "a ", 2), "a.b|a/b")
	want(list("a", "aa", 2), "")
	want(list("a", "b", 2), "")
	want(list("b", "a", 2), "b")
	want(list("", "b", 1), long(storage.MaxDocID))
	want(list("\xe6", "", 5), "日本語")
	want(list("nothing", "", 5), "")
	want(list("", "🌍", 5), "")
	var paged []string
	for after := ""; ; after = paged[len(paged)-1] {
		page := list("", after, 3)
		if page == "" {
			break
		}
		ids := strings.Split(page, "|")
		paged = append(paged, ids...)
	}
	want(strings.Join(paged, "|"), everything)
	for _, limit := range []int{0, -1} {
		_, err := f.List(f.ctx, "", "", limit)
		checkError(t, "list", err, storage.ErrInvalid)
	}
}

func testLimits(t *testing.T, f *fixture) {
	for _, id := range []string{"", long(storage.MaxDocID + 1), "a\x00", "a\n", "\x7f", "\xff", "a\xc3"} {
		_, err := f.Create(f.ctx, id, creation("text", ""))
		checkError(t, "create", err, storage.ErrInvalid)
		_, err = f.Stat(f.ctx, id)
		checkError(t, "stat", err, storage.ErrInvalid)
		_, err = f.Read(f.ctx, id, 0, 1)
		checkError(t, "read", err, storage.ErrInvalid)
		_, err = f.Snapshot(f.ctx, id, 1)
		checkError(t, "snapshot", err, storage.ErrInvalid)
		_, err = f.Snapshots(f.ctx, id)
		checkError(t, "snapshots", err, storage.ErrInvalid)
		_, _, err = f.LastSeq(f.ctx, id, "one")
		checkError(t, "last seq", err, storage.ErrInvalid)
		checkError(t, "delete", f.Delete(f.ctx, id), storage.ErrInvalid)
	}
	for _, typ := range []string{"", long(storage.MaxType + 1)} {
		_, err := f.Create(f.ctx, "doc", creation(typ, ""))
		checkError(t, "create", err, storage.ErrInvalid)
	}
	for name, first := range map[string]storage.Record{
		"edit":     record("one", 1, 0),
		"deletion": deletion("one", 1),
		"nothing":  {},
		"author":   {Kind: storage.Create, Type: "text", Author: long(storage.MaxName + 1)},
		"client":   {Kind: storage.Create, Type: "text", Client: long(storage.MaxName + 1)},
	} {
		_, err := f.Create(f.ctx, "doc", first)
		checkError(t, name, err, storage.ErrInvalid)
	}
	first := creation(long(storage.MaxType), "")
	first.Time = math.MinInt64
	info, err := f.Create(f.ctx, "doc", first)
	if err != nil || info.Created != math.MinInt64 {
		t.Fatalf("create: %+v, %v", info, err)
	}
	huge := make([]byte, storage.MaxRecord+1)
	for name, recs := range map[string][]storage.Record{
		"no records": {},
		"author":     {record("one", 1, 0), {Author: long(storage.MaxName + 1)}},
		"client":     {{Client: long(storage.MaxName + 1)}},
		"operation":  {{Op: huge}},
		"together":   {{Op: huge[1:]}, {Op: huge[1:]}, {Op: huge[1:]}, {Op: huge[1:]}, {Op: huge[:1]}},
		"kind":       {{Kind: storage.Delete + 1}},
		"edit":       {record("one", 1, 0), {Type: "text"}},
		"no type":    {{Kind: storage.Create}},
		"long type":  {creation(long(storage.MaxType+1), "")},
		"content":    {{Kind: storage.Create, Type: "text", Op: huge}},
		"deletion":   {{Kind: storage.Delete, Op: huge[:1]}},
		"its type":   {{Kind: storage.Delete, Type: "text"}},
	} {
		checkError(t, name, f.Append(f.ctx, "doc", info.Incarnation, 0, recs), storage.ErrInvalid)
	}
	if got, err := f.Stat(f.ctx, "doc"); err != nil || got != info {
		t.Errorf("after refused appends: %+v, %v, want %+v", got, err, info)
	}
}

func testContexts(t *testing.T, f *fixture) {
	info := f.create("doc")
	f.append(&info, record("one", 1, 0))
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	calls := map[string]func() error{
		"create":       func() error { _, err := f.Create(ctx, "new", creation("text", "")); return err },
		"stat":         func() error { _, err := f.Stat(ctx, "doc"); return err },
		"append":       func() error { return f.Append(ctx, "doc", info.Incarnation, 1, records("one", 2, 1, 1)) },
		"read":         func() error { _, err := f.Read(ctx, "doc", 0, 1); return err },
		"snapshot":     func() error { _, err := f.Snapshot(ctx, "doc", 1); return err },
		"snapshots":    func() error { _, err := f.Snapshots(ctx, "doc"); return err },
		"put snapshot": func() error { return f.PutSnapshot(ctx, "doc", info.Incarnation, storage.Snapshot{Rev: 1}) },
		"last seq":     func() error { _, _, err := f.LastSeq(ctx, "doc", "one"); return err },
		"list":         func() error { _, err := f.List(ctx, "", "", 1); return err },
		"delete":       func() error { return f.Delete(ctx, "doc") },
	}
	for name, call := range calls {
		checkError(t, name, call(), context.Canceled)
	}
	if got, err := f.List(f.ctx, "", "", 10); err != nil || len(got) != 1 || got[0] != info {
		t.Errorf("after calls whose context had ended: %+v, %v", got, err)
	}

	// A context that ends at some moment of an append leaves it done or not done.
	for range 200 {
		ctx, cancel := context.WithCancel(f.ctx)
		go cancel()
		err := f.Append(ctx, "doc", info.Incarnation, info.Head, []storage.Record{record("one", 0, info.Head)})
		switch {
		case err == nil:
			info.Head++
		case !errors.Is(err, context.Canceled):
			t.Fatalf("append: %v", err)
		}
		if got, err := f.Stat(f.ctx, "doc"); err != nil || got.Head != info.Head {
			t.Fatalf("head %d, %v, want %d", got.Head, err, info.Head)
		}
	}
}

func testOwnership(t *testing.T, f *fixture) {
	info := f.create("doc")
	first := creation("text", "content")
	f.createAs("created", first)
	first.Op[0] = '!'
	for range 2 {
		got := f.all("created", -1, 0)
		checkRecords(t, got, []storage.Record{creation("text", "content")})
		clear(got[0].Op)
	}
	recs := records("one", 1, 0, 3)
	f.append(&info, recs...)
	snap := storage.Snapshot{Rev: 3, Type: "text", Data: []byte("content")}
	if err := f.PutSnapshot(f.ctx, "doc", info.Incarnation, snap); err != nil {
		t.Fatal(err)
	}
	recs[0].Op[0], snap.Data[0] = '!', '!'
	for range 2 {
		got := f.all("doc", 0, 3)
		checkRecords(t, got, records("one", 1, 0, 3))
		s, err := f.Snapshot(f.ctx, "doc", 3)
		if err != nil || string(s.Data) != "content" {
			t.Fatalf("snapshot %q, %v", s.Data, err)
		}
		// What was handed out is the caller's: growing or changing one slice must
		// not show in another.
		for i := range got {
			got[i].Op = append(got[i].Op, "???"...)
		}
		for i := range got {
			if want := append(records("one", 1, 0, 3)[i].Op, "???"...); !bytes.Equal(got[i].Op, want) {
				t.Errorf("operation %d became %q", i, got[i].Op)
			}
		}
		clear(got[1].Op)
		clear(s.Data)
	}
}
