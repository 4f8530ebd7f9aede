package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot/text"
	"quire/session"
	"quire/storage"
)

// groups writes groups down: "(from, to] authors +inserted -deleted".
func groups(gs []session.Group) string {
	var out []string
	for _, g := range gs {
		out = append(out, fmt.Sprintf("(%d,%d] %s %d", g.From, g.To, strings.Join(g.Authors, "+"), g.Kind))
	}
	return strings.Join(out, "; ")
}

func TestGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		if _, _, err := w.Groups(ctx, "doc", session.Head, 10, session.Grouping{}); code(err) != session.CodeNotFound {
			t.Errorf("of no document: %v", err)
		}
		m := w.from("author-1", session.Head)
		m.change(session.Head, 1, created(text.Type{}, `"."`)) // 0
		m.take()
		type steps struct {
			who   string
			every time.Duration
			n     int
		}
		for _, s := range []steps{
			{"ann", time.Second, 5},                                  // 1 to 5
			{"bob", time.Second, 5},                                  // 6 to 10
			{"ann,bob", time.Second, 6},                              // 11 to 16: in turns, and so with what both did before
			{"cyd", 3 * time.Minute, 2},                              // 17, 18: each by itself
			{"ann", time.Minute, 20},                                 // 19 to 38: more than a quarter of an hour
			{"x1,x2,x3,x4,x5,x6,x7,x1,x2,x3,x4,x5", time.Second, 12}, // 39 to 50: in turns
		} {
			for i := range s.n {
				who := strings.Split(s.who, ",")
				w.edit(session.Head, `["x"]`, by(who[i%len(who)]))
				time.Sleep(s.every)
			}
			time.Sleep(time.Millisecond)
		}
		m.change(50, 2, session.Deletion{}) // 51
		m.take()
		m.change(51, 3, created(text.Type{}, `"anew"`)) // 52
		m.take()
		want := "(51,52]  1; (50,51]  2; (38,50] x1+x2+x3+x4+x5+x6+x7 0; (22,38] ann 0; (18,22] ann 0; " +
			"(17,18] cyd 0; (16,17] cyd 0; (0,16] ann+bob 0; (-1,0]  1"
		gs, next, err := w.Groups(ctx, "doc", session.Head, 1000, session.Grouping{})
		if err != nil || next != session.Unborn {
			t.Fatal(next, err)
		}
		is(t, "groups", groups(gs), want)

		// The same however one asks.
		for _, limit := range []int{1, 2, 3} {
			var paged []session.Group
			for before := session.Head; before != session.Unborn; {
				gs, next, err := w.Groups(ctx, "doc", before, limit, session.Grouping{})
				if err != nil || len(gs) != limit && next != session.Unborn {
					t.Fatal(len(gs), next, err)
				}
				paged, before = append(paged, gs...), next
			}
			is(t, fmt.Sprint("by ", limit), groups(paged), groups(gs))
		}
		to := gs[0].To
		for _, g := range gs { // all of it, without a gap
			if g.To != to || g.From >= g.To || g.Operations != int(g.To-g.From) || g.End.Before(g.Start) {
				t.Errorf("%+v after a group from %d", g, to)
			}
			to = g.From
		}
		if to != session.Unborn {
			t.Errorf("the first group is from %d", to)
		}
		if g := gs[len(gs)-1]; g.Kind != storage.Create || g.Inserted != 1 || g.Deleted != 0 {
			t.Errorf("the first group is %+v", g)
		}
		if g := gs[0]; g.Inserted != 4 {
			t.Errorf("the second creation is %+v", g)
		}
		few, _, err := w.Groups(ctx, "doc", 10, 10, session.Grouping{Most: 3, Pause: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		is(t, "of three at most", groups(few), "(7,10] bob 0; (5,7] bob 0; (2,5] ann 0; (0,2] ann 0; (-1,0]  1")
		if _, _, err := w.Groups(ctx, "doc", 53, 10, session.Grouping{}); code(err) != session.CodeFuture {
			t.Errorf("of the future: %v", err)
		}
		if gs, next, err := w.Groups(ctx, "doc", session.Unborn, 10, session.Grouping{}); err != nil || len(gs) > 0 || next != session.Unborn {
			t.Errorf("before the creation: %v, %d, %v", gs, next, err)
		}
	})
}
