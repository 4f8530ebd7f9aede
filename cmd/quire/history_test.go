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

func TestPaper(t *testing.T) {
	opts := bolt.Options{Path: filepath.Join(t.TempDir(), dataFile), Packers: packers(), Logger: slog.New(slog.DiscardHandler)}
	paperStore(t, opts)
}
