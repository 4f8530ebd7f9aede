package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestRestoreOverSquashedPasts restores every revision of documents of every type whose past is squashed again and
// again, some of it kept by labels: the content is what it was, and a revision that is not kept is said to be gone.
func TestRestoreOverSquashedPasts(t *testing.T) {
	for _, typ := range everyType {
		t.Run(typ.Name(), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			m := newOfType(t, typ)
			defer m.Close(context.Background())
			var was []string // by revision
			note := func() Revision {
				t.Helper()
				v, err := m.View(t.Context(), "doc", Head)
				if err != nil {
					t.Fatal(err)
				}
				for len(was) <= int(v.Rev) {
					was = append(was, string(v.Type.AppendDoc(nil, v.Doc)))
				}
				return v.Rev
			}
			note()
			restored, gone := 0, 0
			for round := range 6 {
				for range 12 {
					editSomehow(t, m, typ, rng, "ann")
					note()
				}
				label := Revision(len(was) - 1 - rng.IntN(4))
				if _, err := m.SetLabel(t.Context(), "doc", fmt.Sprint("label ", round), label, User{Name: "ann"}); err != nil {
					t.Fatal(err)
				}
				if _, err := m.Squash(t.Context(), "doc", Keep{Count: 1 + rng.IntN(15)}); err != nil {
					t.Fatal(err)
				}
				for range 12 {
					to := Revision(rng.IntN(len(was)))
					_, err := m.Restore(t.Context(), "doc", to, Writer{User: User{Name: "bob"}})
					if e := AsError(err); e != nil && e.Code == CodeGone {
						gone++
						continue
					}
					if err != nil {
						t.Fatalf("revision %d: %v", to, err)
					}
					restored++
					if head := note(); was[head] != was[to] {
						t.Fatalf("revision %d restored is %s, it was %s", to, was[head], was[to])
					}
				}
			}
			if restored == 0 || gone == 0 {
				t.Errorf("%d restored, %d gone", restored, gone)
			}
		})
	}
}
