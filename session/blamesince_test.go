package session

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/diff"
	"quire/ot/json0"
	"quire/ot/ottest"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/ot/textunicode"
	"quire/storage"
	"quire/storage/mem"
)

// TestBlameSince compares what came after a revision, which is followed from there, with what is
// said of it when the document is followed from its beginning: for every type, in random pasts
// with several lives, before and after old revisions went.
func TestBlameSince(t *testing.T) {
	gens := map[string]ottest.Gen{"text": ottest.Text(), "text-unicode": ottest.TextUnicode(), "text0": ottest.Text0(), "delta": ottest.Delta(), "json0": ottest.JSON0()}
	types := []ot.Type{text.Type{}, textunicode.Type{}, text0.Type{}, delta.Type{}, json0.Type{}}
	for _, typ := range types {
		t.Run(typ.Name(), func(t *testing.T) {
			spans := 0
			for seed := range uint64(20) {
				rng := rand.New(rand.NewPCG(seed, 6))
				m := New(Options{Store: mem.New(), Types: types, Diff: diff.Between, Logger: slog.New(slog.DiscardHandler)})
				n, entries := 0, randomPast(rng, typ, gens[typ.Name()])
				_, err := m.Import(t.Context(), "doc", Meta{}, nil, func() (Entry, error) {
					if n++; n > len(entries) {
						return Entry{}, io.EOF
					}
					return entries[n-1], nil
				})
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				for _, keep := range []int{len(entries), len(entries) / 2} {
					if _, err := m.Squash(t.Context(), "doc", Keep{Count: keep}); err != nil {
						t.Fatal(err)
					}
					info, err := m.stat(t.Context(), "doc")
					if err != nil {
						t.Fatal(err)
					}
					for range 40 {
						rev := max(info.Oldest, 0) + Revision(rng.IntN(int(info.Head-max(info.Oldest, 0))+1))
						since := Revision(rng.IntN(int(info.Head)+3)) - 1
						want, wrong := m.authorshipAt(t.Context(), info, rev)
						got, _, _, err := m.Blame(t.Context(), "doc", rev, since)
						switch {
						case wrong != nil:
							t.Fatal(wrong)
						case want.typ == nil:
							if AsError(err).Code != CodeNotFound {
								t.Fatalf("seed %d: at %d, without content: %v", seed, rev, err)
							}
						case err != nil || !reflect.DeepEqual(got, want.parts(since)):
							t.Fatalf("seed %d: at %d since %d\n%+v, %v, want\n%+v", seed, rev, since, got, err, want.parts(since))
						}
						spans += len(got)
					}
				}
				if err := m.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if spans < 1000 {
				t.Errorf("only %d parts were compared", spans)
			}
		})
	}
}

// randomPast makes up the steps of a document of several lives.
func randomPast(rng *rand.Rand, typ ot.Type, gen ottest.Gen) []Entry {
	var out []Entry
	var doc ot.Doc
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	add := func(kind storage.Kind, op ot.Op) {
		who := rng.IntN(3)
		e := Entry{Rev: Revision(len(out)), Kind: kind, Type: typ, Op: op, Author: fmt.Sprint("author ", who), Time: at}
		if who > 0 {
			e.Client, e.Seq = fmt.Sprint("client-", who), uint64(len(out)+1)
		}
		at = at.Add(time.Duration(rng.IntN(12)) * time.Second)
		out = append(out, e)
	}
	for len(out) < 80 {
		switch {
		case doc == nil:
			doc = gen.Doc(rng, 12)
			add(storage.Create, Creation{typ, doc})
		case rng.IntN(40) == 0:
			doc = nil
			add(storage.Delete, Deletion{})
		default:
			on := doc
			if gen.Open && rng.IntN(4) == 0 {
				on = gen.Doc(rng, 12)
			}
			op := gen.Op(rng, on, 8)
			if after, err := typ.Apply(doc, op); err == nil {
				doc = after
				add(storage.Edit, op)
			}
		}
	}
	return out
}
