package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"quire/storage"
	"quire/storage/mem"
)

// testModel does the same random calls on a store and on one in memory.
func testModel(t *testing.T, f *fixture) {
	rapid.Check(t, func(t *rapid.T) {
		f.close()
		dir := f.t.(*testing.T).TempDir()
		m := &model{fixture: fixture{Harness: f.Harness, ctx: f.ctx, t: f.t, dir: dir}, mem: mem.New(), incs: make(map[string][]incarnations)}
		m.open()
		f.Store = m.Store
		actions := map[string]func(*rapid.T){
			"":         m.compare,
			"create":   m.create,
			"append":   m.append,
			"stale":    m.stale,
			"snapshot": m.snapshot,
			"delete":   m.delete,
			"rename":   m.rename,
			"note":     m.note,
			"trim":     m.trim,
			"rewrite":  m.rewrite,
		}
		if f.Durable {
			actions["reopen"] = func(*rapid.T) { m.reopen(); f.Store = m.Store }
		}
		t.Repeat(actions)
	})
}

// model is a store and the one in memory, which must agree.
type model struct {
	fixture
	mem  *mem.Store
	incs map[string][]incarnations // of each id, newest last
	seq  uint64
}

// incarnations are one document's in the store and in memory.
type incarnations struct{ store, mem uint64 }

var modelTypes = rapid.SampledFrom([]string{"text", "json0"})

var modelIDs = rapid.SampledFrom([]string{"a", "a/1", "a/2", "b", "ä"})

// same fails the test unless both errors are of one kind.
func same(t *rapid.T, what string, got, want error) {
	kinds := []error{storage.ErrNotFound, storage.ErrExists, storage.ErrInvalid, storage.ErrTrimmed}
	var c1, c2 *storage.ConflictError
	if errors.As(got, &c1) && errors.As(want, &c2) && *c1 == *c2 || got == nil && want == nil {
		return
	}
	if !slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(got, kind) && errors.Is(want, kind) }) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func (m *model) create(t *rapid.T) {
	id := modelIDs.Draw(t, "id")
	first := creation(modelTypes.Draw(t, "type"), long(rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(0, 100_000)).Draw(t, "size")))
	if first.Client = fmt.Sprintf("client %d", rapid.IntRange(0, 4).Draw(t, "client")); rapid.Bool().Draw(t, "counted") {
		m.seq++
		first.Seq = m.seq
	}
	got, err1 := m.Create(m.ctx, id, first)
	want, err2 := m.mem.Create(m.ctx, id, first)
	same(t, "create", err1, err2)
	if err1 == nil {
		m.incs[id] = append(m.incs[id], incarnations{got.Incarnation, want.Incarnation})
	}
}

// inc draws an id and one of its incarnations, nearly always the newest.
func (m *model) inc(t *rapid.T) (string, incarnations) {
	id := modelIDs.Draw(t, "id")
	incs := m.incs[id]
	if len(incs) == 0 {
		return id, incarnations{1, 1}
	}
	if rapid.IntRange(0, 9).Draw(t, "old") == 9 {
		return id, incs[0]
	}
	return id, incs[len(incs)-1]
}

func (m *model) append(t *rapid.T) {
	id, inc := m.inc(t)
	info, _ := m.mem.Stat(m.ctx, id)
	n := rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(1, 700)).Draw(t, "n")
	client := fmt.Sprintf("client %d", rapid.IntRange(0, 4).Draw(t, "client"))
	recs := records(client, m.seq+1, info.Head, n)
	m.seq += uint64(n)
	if rapid.IntRange(0, 19).Draw(t, "large") == 19 {
		recs[0].Op = slices.Repeat([]byte("large"), rapid.IntRange(1, 50_000).Draw(t, "size"))
	}
	if rapid.IntRange(0, 3).Draw(t, "turns") == 3 {
		for range rapid.IntRange(1, 3).Draw(t, "turns") {
			switch r := &recs[rapid.IntRange(0, n-1).Draw(t, "at")]; rapid.Bool().Draw(t, "deletes") {
			case true:
				r.Kind, r.Type, r.Op = storage.Delete, "", nil
			case false:
				r.Kind, r.Type = storage.Create, modelTypes.Draw(t, "type")
			}
		}
	}
	same(t, "append",
		m.Append(m.ctx, id, inc.store, info.Head, recs),
		m.mem.Append(m.ctx, id, inc.mem, info.Head, recs))
}

func (m *model) stale(t *rapid.T) {
	id, inc := m.inc(t)
	base := storage.Revision(rapid.IntRange(0, 2000).Draw(t, "base"))
	recs := records("stale", 0, base, 1)
	same(t, "append", m.Append(m.ctx, id, inc.store, base, recs), m.mem.Append(m.ctx, id, inc.mem, base, recs))
}

func (m *model) snapshot(t *rapid.T) {
	id, inc := m.inc(t)
	info, _ := m.mem.Stat(m.ctx, id)
	s := storage.Snapshot{Rev: storage.Revision(rapid.IntRange(0, int(info.Head)+1).Draw(t, "rev"))}
	then := storage.Info{Head: info.Oldest}
	if begins, err := m.mem.Snapshot(m.ctx, id, info.Oldest); err == nil {
		then.Type = begins.Type
	}
	if info.Oldest >= 0 && s.Rev == info.Oldest {
		s.Type = then.Type
	} else if at, err := readAll(m.ctx, m.mem, id, info.Oldest, min(s.Rev, info.Head)); err == nil {
		for _, r := range at {
			advance(&then, r)
		}
		s.Type = then.Type
	}
	s.Pinned = rapid.IntRange(0, 3).Draw(t, "pinned") == 3
	if s.Type == "" {
		same(t, "put snapshot", m.PutSnapshot(m.ctx, id, inc.store, s), m.mem.PutSnapshot(m.ctx, id, inc.mem, s))
		return
	}
	s.Data = slices.Repeat([]byte(id), rapid.OneOf(rapid.IntRange(0, 10), rapid.IntRange(0, 300_000)).Draw(t, "size"))
	same(t, "put snapshot", m.PutSnapshot(m.ctx, id, inc.store, s), m.mem.PutSnapshot(m.ctx, id, inc.mem, s))
}

func (m *model) delete(t *rapid.T) {
	id := modelIDs.Draw(t, "id")
	same(t, "delete", m.Delete(m.ctx, id), m.mem.Delete(m.ctx, id))
}

func (m *model) rename(t *rapid.T) {
	from, to := modelIDs.Draw(t, "from"), modelIDs.Draw(t, "to")
	err := m.mem.Rename(m.ctx, from, to)
	same(t, "rename", m.Rename(m.ctx, from, to), err)
	if err == nil {
		m.incs[from], m.incs[to] = m.incs[to], m.incs[from]
	}
}

func (m *model) note(t *rapid.T) {
	id, inc := m.inc(t)
	notes := make([]storage.Note, rapid.IntRange(0, 3).Draw(t, "n"))
	for i := range notes {
		notes[i].Key = rapid.SampledFrom([]string{"", "a", "a/b", "b"}).Draw(t, "key")
		notes[i].Value = rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "value")
		if rapid.Bool().Draw(t, "removed") {
			notes[i].Value = nil
		}
	}
	if rapid.IntRange(0, 5).Draw(t, "whose") == 5 {
		id = ""
	}
	same(t, "set notes", m.SetNotes(m.ctx, id, inc.store, notes), m.mem.SetNotes(m.ctx, id, inc.mem, notes))
}

func (m *model) trim(t *rapid.T) {
	id, inc := m.inc(t)
	revs, _ := m.mem.Snapshots(m.ctx, id)
	oldest := storage.Revision(rapid.IntRange(-1, 50).Draw(t, "oldest"))
	if len(revs) > 0 && rapid.IntRange(0, 4).Draw(t, "at") > 0 {
		oldest = rapid.SampledFrom(revs).Draw(t, "snapshot")
	}
	var keep []storage.Revision
	for _, rev := range revs {
		if rapid.Bool().Draw(t, "keep") {
			keep = append(keep, rev)
		}
	}
	same(t, "trim", m.Trim(m.ctx, id, inc.store, oldest, keep), m.mem.Trim(m.ctx, id, inc.mem, oldest, keep))
}

func (m *model) rewrite(t *rapid.T) {
	id, inc := m.inc(t)
	n := rapid.IntRange(1, 1000).Draw(t, "n")
	record := func(rev storage.Revision, r storage.Record) (storage.Record, error) {
		if r.Author = "rewritten"; len(r.Op) > 0 {
			r.Op = slices.Repeat([]byte("r"), n*int(rev+2)%1000)
		}
		return r, nil
	}
	snapshot := func(s storage.Snapshot) (storage.Snapshot, error) {
		if n%2 == 0 && s.Type != "" {
			s.Data = append([]byte("rewritten"), s.Data[len(s.Data)/2:]...)
		}
		return s, nil
	}
	same(t, "rewrite", m.Rewrite(m.ctx, id, inc.store, record, snapshot), m.mem.Rewrite(m.ctx, id, inc.mem, record, snapshot))
}

// compareNotes reads the notes of a document, or of the store, from both.
func (m *model) compareNotes(t *rapid.T, id string) {
	got, err := m.Notes(m.ctx, id, "", "", 100)
	want, _ := m.mem.Notes(m.ctx, id, "", "", 100)
	if err != nil || !slices.EqualFunc(got, want, func(a, b storage.Note) bool { return a.Key == b.Key && string(a.Value) == string(b.Value) }) {
		t.Fatalf("notes of %q: %q, %v, want %q", id, got, err, want)
	}
}

// compare reads everything from both.
func (m *model) compare(t *rapid.T) {
	got, err1 := m.List(m.ctx, "", "", 100)
	want, err2 := m.mem.List(m.ctx, "", "", 100)
	if err1 != nil || err2 != nil || len(got) != len(want) {
		t.Fatalf("listed %+v, %v, want %+v", got, err1, want)
	}
	for i, info := range want {
		got[i].Incarnation = info.Incarnation
		if got[i] != info {
			t.Fatalf("listed %+v, want %+v", got[i], info)
		}
		m.compareDoc(t, info)
	}
	m.compareNotes(t, "")
}

func (m *model) compareDoc(t *rapid.T, info storage.Info) {
	from := storage.Revision(rapid.IntRange(int(max(info.Oldest-1, -1)), int(info.Head)).Draw(t, "from"))
	to := storage.Revision(rapid.IntRange(int(from), int(info.Head)).Draw(t, "to"))
	got, err := readAll(m.ctx, m.Store, info.ID, from, to)
	want, wanted := readAll(m.ctx, m.mem, info.ID, from, to)
	same(t, "read", err, wanted)
	checkRecords(t, got, want)
	for i := range 5 {
		client := fmt.Sprintf("client %d", i)
		seq1, rev1, err := m.LastSeq(m.ctx, info.ID, client)
		seq2, rev2, _ := m.mem.LastSeq(m.ctx, info.ID, client)
		if err != nil || seq1 != seq2 || rev1 != rev2 {
			t.Fatalf("%q: last seq %d at %d, %v, want %d at %d", client, seq1, rev1, err, seq2, rev2)
		}
	}
	m.compareNotes(t, info.ID)
	time := now + int64(rapid.IntRange(-1, 300_000).Draw(t, "time"))
	at1, err1 := m.At(m.ctx, info.ID, time)
	at2, err2 := m.mem.At(m.ctx, info.ID, time)
	if same(t, "at", err1, err2); at1 != at2 {
		t.Fatalf("at %d: revision %d, want %d", time, at1, at2)
	}
	revs1, err := m.Snapshots(m.ctx, info.ID)
	revs2, _ := m.mem.Snapshots(m.ctx, info.ID)
	if err != nil || !slices.Equal(revs1, revs2) {
		t.Fatalf("snapshots at %v, %v, want %v", revs1, err, revs2)
	}
	s1, err1 := m.Snapshot(m.ctx, info.ID, to)
	s2, err2 := m.mem.Snapshot(m.ctx, info.ID, to)
	same(t, "snapshot", err1, err2)
	if s1.Rev != s2.Rev || s1.Pinned != s2.Pinned || s1.Type != s2.Type || string(s1.Data) != string(s2.Data) {
		t.Fatalf("snapshot for %d is at %d with %d bytes, want %d, %d bytes", to, s1.Rev, len(s1.Data), s2.Rev, len(s2.Data))
	}
}
