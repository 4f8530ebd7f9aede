package auth

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestWith compares, for random grants, which documents the patterns name with what Role says of
// each id there can be, and Over with what it says of all of them.
func TestWith(t *testing.T) {
	var ids []string
	letters := []string{"", "a", "b", "/", "\x01"}
	for _, x := range letters {
		for _, y := range letters {
			for _, z := range letters {
				if id := x + y + z; id != "" && !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
	}
	slices.Sort(ids)
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		pick := func() string { return ids[rng.IntN(len(ids))] }
		i := Identity{Namespace: []string{"", "a", "b"}[rng.IntN(3)]}
		for range rng.IntN(6) {
			p := Pattern([]string{pick(), pick() + "*", "*"}[rng.IntN(3)])
			i.Grants = append(i.Grants, Grant{p, Role(rng.IntN(4))})
		}
		prefix := []string{"", "a", "a/", "b"}[rng.IntN(4)]
		least := Role(1 + rng.IntN(3))
		var want, got []string
		for _, id := range ids {
			if i.Role(id) >= least && len(id) >= len(prefix) && id[:len(prefix)] == prefix {
				want = append(want, id)
			}
		}
		for _, p := range i.With(least, prefix) {
			for _, id := range ids {
				if p.Matches(id) {
					got = append(got, id)
				}
			}
			if i.Over(p) < least {
				t.Fatalf("seed %d: %+v: over %s %s", seed, i, p, i.Over(p))
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %+v prefix %q least %s:\n%q\nwant\n%q", seed, i, prefix, least, got, want)
		}
		over := Pattern(pick() + "*")
		for _, id := range ids {
			if over.Matches(id) && i.Role(id) < i.Over(over) {
				t.Fatalf("seed %d: %+v: over %s %s, of %s %s", seed, i, over, i.Over(over), id, i.Role(id))
			}
		}
	}
}

func ExampleIdentity_With() {
	i := Identity{Namespace: "acme", Grants: []Grant{{"*", Read}, {"acme/plans/*", Write}, {"acme/plans/may", Admin}, {"other/*", Admin}}}
	fmt.Println(i.With(Read, ""), i.With(Write, "acme/plans/m"), i.With(Admin, ""))
	// Output: [acme/*] [acme/plans/m*] [acme/plans/may]
}
