package session_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quire/ot"
	"quire/ot/diff"
	"quire/ot/text"
	"quire/session"
	"quire/storage"
	"quire/storage/bolt"
)

// paper is a document with the past of automerge-paper: 259,778 edits by three authors, who
// take turns, in a data file that the tests share.
var paper = struct {
	sync.Mutex
	entries []session.Entry
	end     string
}{}

// readPaper reads the steps of automerge-paper, with a second between them.
func readPaper(t testing.TB) ([]session.Entry, string) {
	t.Helper()
	folder := os.Getenv("QUIRE_TRACES")
	if folder == "" {
		t.Skip("NOT RUN: set QUIRE_TRACES to the folder of automerge-paper.json.gz (josephg/editing-traces)")
	}
	paper.Lock()
	defer paper.Unlock()
	if paper.entries != nil {
		return paper.entries, paper.end
	}
	file, err := os.Open(filepath.Join(folder, "automerge-paper.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		EndContent string
		Txns       []struct{ Patches [][3]json.RawMessage }
	}
	if err := json.NewDecoder(unzipped).Decode(&recorded); err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	entries := []session.Entry{{Kind: storage.Create, Type: text.Type{}, Op: created(text.Type{}, `""`), Time: start}}
	for _, txn := range recorded.Txns {
		for _, p := range txn.Patches { // ASCII throughout, so positions are UTF-16 units
			var at, deleted int
			var inserted string
			for i, v := range []any{&at, &deleted, &inserted} {
				if err := json.Unmarshal(p[i], v); err != nil {
					t.Fatal(err)
				}
			}
			var b text.Builder
			b.Retain(at)
			b.Delete(deleted)
			b.Insert(inserted)
			op, err := b.Op()
			if err != nil {
				t.Fatal(err)
			}
			rev := len(entries)
			entries = append(entries, session.Entry{
				Rev: session.Revision(rev), Type: text.Type{}, Op: op, Author: fmt.Sprint("author ", rev/5000%3),
				Client: fmt.Sprint("client-", rev/5000), Seq: uint64(rev), Time: start.Add(time.Duration(rev) * time.Second),
			})
		}
	}
	paper.entries, paper.end = entries, recorded.EndContent
	return entries, paper.end
}

// paperManager has automerge-paper as document "paper" in a data file.
func paperManager(t testing.TB) *session.Manager {
	t.Helper()
	entries, _ := readPaper(t)
	store, err := bolt.Open(bolt.Options{Path: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	opt := session.Options{Store: store, Types: []ot.Type{text.Type{}}, Diff: diff.Between, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	m := session.New(opt)
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := m.Import(context.Background(), "paper", session.Meta{}, nil, from(entries)); err != nil {
		t.Fatal(err)
	}
	return m
}

func BenchmarkPaper(b *testing.B) {
	m := paperManager(b)
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(1, 2))
	b.Run("import", func(b *testing.B) {
		entries, _ := readPaper(b)
		for i := range b.N {
			if _, err := m.Import(ctx, fmt.Sprint("copy ", b.N, i), session.Meta{}, nil, from(entries)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("view", func(b *testing.B) {
		for range b.N {
			if _, err := m.View(ctx, "paper", session.Revision(rng.IntN(259_000))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("scrub", func(b *testing.B) {
		a := session.Revision(0)
		for range b.N {
			next := (a + 700) % 259_000
			if _, err := m.Difference(ctx, "paper", a, next); err != nil {
				b.Fatal(err)
			}
			a = next
		}
	})
	b.Run("jump", func(b *testing.B) {
		a := session.Revision(0)
		for range b.N {
			next := session.Revision(rng.IntN(259_000))
			if _, err := m.Difference(ctx, "paper", a, next); err != nil {
				b.Fatal(err)
			}
			a = next
		}
	})
	b.Run("groups", func(b *testing.B) {
		for range b.N {
			if _, _, err := m.Groups(ctx, "paper", session.Head, 50, session.Grouping{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("blame", func(b *testing.B) {
		for range b.N {
			if _, _, _, err := m.Blame(ctx, "paper", session.Head, session.Unborn); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("blame since", func(b *testing.B) {
		for range b.N {
			from := session.Revision(rng.IntN(257_000))
			if _, err := m.Difference(ctx, "paper", from, from+2000); err != nil {
				b.Fatal(err)
			}
			if _, _, _, err := m.Blame(ctx, "paper", from+2000, from); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("revert", func(b *testing.B) {
		for range b.N {
			if _, err := m.Revert(ctx, "paper", "author 1", 0, session.Head, session.Writer{}); err != nil {
				b.Fatal(err)
			}
			if _, err := m.Restore(ctx, "paper", 259_778, session.Writer{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
