package main

import (
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"quire/cmd/quire/bench/trace"
	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage"
	"quire/storage/bolt"
)

// paper is a recorded session as records, one person's, an edit every 100 to 400 ms.
func paper(t *testing.T) (recs []storage.Record, end string) {
	t.Helper()
	folder := os.Getenv("QUIRE_TRACES")
	if folder == "" {
		t.Skip("NOT RUN: set QUIRE_TRACES to the folder of automerge-paper.json.gz (josephg/editing-traces)")
	}
	tr, err := trace.ReadFile(filepath.Join(folder, "automerge-paper.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := text.FromString("")
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	now := int64(1_700_000_000_000)
	for _, p := range tr.Sequence() {
		op, err := p.Op(d)
		if err == nil {
			d, err = d.Apply(op)
		}
		if err != nil {
			t.Fatal(err)
		}
		now += 100 + random.Int64N(301)
		recs = append(recs, storage.Record{Op: op.AppendBinary(nil), Author: "martin", Client: "0123456789ab", Seq: uint64(len(recs) + 1), Time: now})
	}
	return recs, tr.End
}

// paperStore writes the session as the server does, snapshots included.
func paperStore(t *testing.T, opts bolt.Options) (recs []storage.Record, end string) {
	t.Helper()
	recs, end = paper(t)
	s, err := bolt.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := s.Create(t.Context(), "paper", storage.Record{Kind: storage.Create, Type: "text", Author: "martin", Time: 1_700_000_000_000})
	if err != nil {
		t.Fatal(err)
	}
	var d ot.Doc = &text.Doc{}
	const every = 2048
	for at := 0; at < len(recs); at += every {
		part := recs[at:min(len(recs), at+every)]
		head := storage.Revision(at + len(part))
		for _, r := range part {
			op, err := text.Unmarshal(r.Op)
			if err == nil {
				d, err = (text.Type{}).Apply(d, op)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Append(t.Context(), "paper", info.Incarnation, storage.Revision(at), part); err != nil {
			t.Fatal(err)
		}
		if err := s.PutSnapshot(t.Context(), "paper", info.Incarnation, storage.Snapshot{Rev: head, Type: "text", Data: (text.Type{}).MarshalDoc(nil, d)}); err != nil {
			t.Fatal(err)
		}
	}
	return recs, end
}

// TestPaper writes a recorded session as the server does, compacts the data file, and holds it
// to its size: the whole history, every keystroke with its author and second, in less than the text
// takes. Revisions from all over the document's life have to be what they were.
func TestPaper(t *testing.T) {
	opts := bolt.Options{Path: filepath.Join(t.TempDir(), dataFile), Packers: packers(), Logger: slog.New(slog.DiscardHandler)}
	recs, end := paperStore(t, opts)
	done, all := int64(0), int64(0)
	sum, err := bolt.Compact(t.Context(), opts, func(d, a int64) { done, all = d, a })
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes became %d, of which %d are sealed", sum.Before, sum.After, sum.Sealed)
	if sum.Sealed >= 80_000 || sum.After > 200_000 {
		t.Errorf("the history takes %d bytes, the whole file %d", sum.Sealed, sum.After)
	}
	if done != all || done != 2*int64(len(recs)+1) || sum.Summary.Records != len(recs)+1 {
		t.Errorf("progress %d of %d; %+v", done, all, sum.Summary)
	}
	s, err := bolt.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m := session.New(session.Options{Store: s, Types: types()})
	defer m.Close(t.Context())
	var d ot.Doc = &text.Doc{}
	for i, r := range recs {
		op, err := text.Unmarshal(r.Op)
		if err == nil {
			d, err = (text.Type{}).Apply(d, op)
		}
		if err != nil {
			t.Fatal(err)
		}
		if rev := session.Revision(i + 1); i%9973 == 0 || i == len(recs)-1 {
			v, err := m.View(t.Context(), "paper", rev)
			if err != nil || v.Rev != rev || (text.Type{}).Checksum(v.Doc) != (text.Type{}).Checksum(d) {
				t.Fatalf("revision %d: %+v, %v", rev, v, err)
			}
			now, err := s.Read(t.Context(), "paper", rev-1, rev)
			if err != nil || len(now) != 1 || now[0].Author != r.Author || now[0].Client != r.Client || now[0].Seq != r.Seq || now[0].Time != r.Time/1000*1000 {
				t.Fatalf("record %d: %+v, %v", i, now, err)
			}
			at, err := s.At(t.Context(), "paper", r.Time)
			if err != nil || at < rev || at > rev+10 {
				t.Fatalf("at the time of revision %d: %d, %v", rev, at, err)
			}
		}
	}
	if d.(*text.Doc).String() != end {
		t.Error("the replay ends in another text than the recording")
	}
}
