package bolt

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"quire/storage"
)

// benchStore opens a store in a temporary folder.
func benchStore(b *testing.B, opts Options) *Store {
	b.Helper()
	if opts.Path == "" {
		opts.Path = filepath.Join(b.TempDir(), "bench.db")
	}
	s, err := Open(opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// typed makes n records as one person types them.
func typed(client string, from, n int) []storage.Record {
	recs := make([]storage.Record, n)
	for i := range recs {
		recs[i] = storage.Record{
			Op: fmt.Appendf(nil, "op%06d", from+i), Author: "Ada", Client: client,
			Seq: uint64(from + i + 1), Time: 1_700_000_000_000 + int64(from+i)*130,
		}
	}
	return recs
}

// fill creates n documents with each records, and returns their Info.
func fill(b testing.TB, s *Store, n, each int) []storage.Info {
	b.Helper()
	ctx := context.Background()
	infos := make([]storage.Info, n)
	var wg sync.WaitGroup
	for w := range 100 {
		wg.Go(func() {
			for i := w; i < n; i += 100 {
				info, err := s.Create(ctx, fmt.Sprintf("doc-%06d", i), newText)
				if err != nil {
					b.Error(err)
					return
				}
				for at := 0; at < each; at += 100 {
					recs := typed("client-1", at, min(100, each-at))
					if err := s.Append(ctx, info.ID, info.Incarnation, storage.Revision(at), recs); err != nil {
						b.Error(err)
						return
					}
				}
				info.Head = storage.Revision(each)
				infos[i] = info
			}
		})
	}
	wg.Wait()
	return infos
}

// BenchmarkAppend measures appends of one 60-byte operation, each waiting for its
// own before the next, with the folding that they cause.
func BenchmarkAppend(b *testing.B) {
	for _, bc := range []struct{ writers, docs, stored int }{
		{1, 1, 0}, {2, 2, 0}, {100, 100, 0}, {1000, 1000, 0}, {1000, 500, 0}, {100, 1, 0}, {100, 10_000, 100},
	} {
		b.Run(fmt.Sprintf("writers=%d/docs=%d/stored=%d", bc.writers, bc.docs, bc.docs*bc.stored), func(b *testing.B) {
			s := benchStore(b, Options{})
			docs := fill(b, s, bc.docs, bc.stored)
			heads := make([]atomic.Int64, len(docs))
			turn := make([]sync.Mutex, len(docs)) // as a session is the only writer of its document
			for i := range docs {
				heads[i].Store(int64(docs[i].Head))
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for w := range bc.writers {
				wg.Go(func() {
					op := make([]byte, 60)
					client := fmt.Sprintf("client-%d", w)
					for i := w; left.Add(-1) >= 0; i += bc.writers {
						d := i % len(docs)
						turn[d].Lock()
						rev := heads[d].Add(1)
						err := s.Append(context.Background(), docs[d].ID, docs[d].Incarnation, storage.Revision(rev-1),
							[]storage.Record{{Op: op, Author: "Ada", Client: client, Seq: uint64(rev), Time: 1_700_000_000_000 + rev}})
						turn[d].Unlock()
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}

// history returns a path with one document of n records, folded or not.
func history(b *testing.B, n int, folded bool) (path string) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "history.db")
	opts := Options{Path: path, FoldAfter: 1 << 30}
	done := make(chan struct{}, 1)
	if folded {
		opts.FoldAfter = 1
		opts.OnCommit = func(c CommitStats) {
			select {
			case done <- struct{}{}:
			default:
			}
		}
	}
	s, err := Open(opts)
	if err != nil {
		b.Fatal(err)
	}
	fill(b, s, 1, n)
	for folded && s.Stats().TailEntries > 0 {
		<-done
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkRead reads a document of 100,000 typed records from end to end.
func BenchmarkRead(b *testing.B) {
	const n = 100_000
	for _, folded := range []bool{true, false} {
		b.Run(fmt.Sprintf("folded=%v", folded), func(b *testing.B) {
			s := benchStore(b, Options{Path: history(b, n, folded), FoldAfter: 1 << 30})
			b.ReportAllocs()
			for b.Loop() {
				for at := storage.Revision(0); at < n; {
					recs, err := s.Read(context.Background(), "doc-000000", at, n)
					if err != nil {
						b.Fatal(err)
					}
					at += storage.Revision(len(recs))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
		})
	}
}

// BenchmarkOpen opens a store with a history of 260,000 revisions, and one with
// 10,000 documents.
func BenchmarkOpen(b *testing.B) {
	open := func(path string) func(*testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				s, err := Open(Options{Path: path})
				if err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
		}
	}
	b.Run("revisions=260000", open(history(b, 260_000, true)))
	b.Run("log-entries=2600", open(history(b, 260_000, false)))
	many := filepath.Join(b.TempDir(), "many.db")
	s := benchStore(b, Options{Path: many})
	fill(b, s, 10_000, 100)
	s.Close()
	b.Run("docs=10000/records=1000000", open(many))
}
