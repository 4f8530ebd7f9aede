package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage/storagetest"
)

// letter is one character of the oracle, which knows every character there ever was, in
// the order of the document. No two are alike.
type letter struct {
	r               rune
	made, gone      session.Revision // visible at revisions [made, gone)
	madeBy, takenBy string
}

const still = session.Head // still there

// oracle is a document as it would be if nothing was ever taken out of it.
type oracle []letter

// follow takes in a committed operation, which led to rev.
func (o *oracle) follow(op text.Op, rev session.Revision, by string) {
	at := 0
	visible := func() {
		for at < len(*o) && (*o)[at].gone != still {
			at++
		}
	}
	for _, c := range op {
		if c.Kind == text.Insert {
			var put []letter
			for _, r := range c.S {
				put = append(put, letter{r: r, made: rev, gone: still, madeBy: by})
			}
			*o = slices.Insert(*o, at, put...)
			at += len(put)
			continue
		}
		for range c.N {
			if visible(); c.Kind == text.Delete {
				(*o)[at].gone, (*o)[at].takenBy = rev, by
			}
			at++
		}
	}
}

// check says what is wrong with a document from which was taken back what author did in
// revisions (from, to].
func (o oracle) check(got string, author string, from, to session.Revision) string {
	in := func(rev session.Revision) bool { return from < rev && rev <= to }
	place := map[rune]int{}
	for i, r := range []rune(got) {
		if _, twice := place[r]; twice {
			return fmt.Sprintf("%q is there twice", r)
		}
		place[r] = i
	}
	var there []letter
	for _, l := range o {
		want := l.gone == still || l.takenBy == author && in(l.gone)
		if l.madeBy == author && in(l.made) {
			want = false
		}
		if _, is := place[l.r]; is != want {
			return fmt.Sprintf("%q, made by %s at %d, taken by %q at %d, is there: %t", l.r, l.madeBy, l.made, l.takenBy, l.gone, is)
		}
		if want {
			there = append(there, l)
		}
	}
	if len(there) != len(place) {
		return "there are characters that nobody made"
	}
	for i, a := range there {
		for _, b := range there[i+1:] {
			if max(a.made, b.made) < min(a.gone, b.gone) && place[a.r] > place[b.r] {
				return fmt.Sprintf("%q was before %q", a.r, b.r)
			}
		}
	}
	return ""
}

// TestRevertAgainstTheOracle lets three people edit one text at random and takes back what
// one of them did.
func TestRevertAgainstTheOracle(t *testing.T) {
	for seed := range uint64(200) {
		bubble(fmt.Sprint("seed=", seed), t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 4))
			w := newWorld(t, session.Options{SnapshotOps: 7, SnapshotEvery: time.Nanosecond}, nil)
			defer w.stop()
			ctx := context.Background()
			next := rune(0x4E00)
			fresh := func(n int) string {
				var b strings.Builder
				for range n {
					b.WriteRune(next)
					next++
				}
				return b.String()
			}
			first := fresh(8)
			w.made("text", fmt.Sprintf("%q", first))
			var o oracle
			start, _ := text.Decode(fmt.Appendf(nil, "[%q]", first), ot.Limits{})
			o.follow(start, 0, "maker")
			people := []string{"ann", "bob", "cyd", "maker"}
			head := session.Revision(0)
			for range 40 {
				who := people[rng.IntN(3)]
				for range 1 + rng.IntN(3) {
					base := max(0, head-session.Revision(rng.IntN(4)))
					op := randomEdit(rng, w, base, fresh)
					e, err := w.Edit(ctx, "doc", base, ops(op), by(who))
					if err != nil {
						t.Fatalf("%s on %d: %v", op, base, err)
					}
					head = max(head, e.Rev)
				}
			}
			for _, e := range past(t, w, 0) {
				o.follow(e.Op.(text.Op), e.Rev, e.Author)
			}
			who := people[rng.IntN(len(people))]
			from := session.Revision(rng.IntN(int(head)+1)) - 1
			to := from + session.Revision(rng.IntN(int(head-from)+1))
			if rng.IntN(2) == 0 {
				to = head
			}
			e, err := w.Revert(ctx, "doc", who, from, to, by("dan"))
			if err != nil {
				t.Fatal(err)
			}
			v, err := w.View(ctx, "doc", session.Head)
			if err != nil {
				t.Fatal(err)
			}
			if wrong := o.check(v.Doc.(*text.Doc).String(), who, from, to); wrong != "" {
				t.Errorf("taking back what %s did in (%d, %d] of %d: %s\n%s", who, from, to, head, wrong, e.Type.AppendOp(nil, e.Op))
			}
			w.verified()
		})
	}
}

// randomEdit returns an operation on a revision that puts in what is new or takes something out.
func randomEdit(rng *rand.Rand, w *world, base session.Revision, fresh func(n int) string) string {
	v, err := w.View(context.Background(), "doc", base)
	if err != nil {
		w.t.Fatal(err)
	}
	n := len([]rune(v.Doc.(*text.Doc).String()))
	at := rng.IntN(n + 1)
	var parts []string
	if at > 0 {
		parts = append(parts, fmt.Sprint(at))
	}
	insert := fmt.Sprintf("%q", fresh(1+rng.IntN(3)))
	if at == n || rng.IntN(3) > 0 {
		parts = append(parts, insert)
	}
	if at < n && (len(parts) == 0 || parts[len(parts)-1] != insert || rng.IntN(3) == 0) {
		parts = append(parts, fmt.Sprint(-1-rng.IntN(min(4, n-at))))
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// past returns the steps after a revision.
func past(t *testing.T, w *world, from session.Revision) (all []session.Entry) {
	t.Helper()
	for {
		entries, err := w.Entries(context.Background(), "doc", from, session.Head, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return all
		}
		all = append(all, entries...)
		from = entries[len(entries)-1].Rev
	}
}

func TestRevert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{Limits: session.Limits{Work: 125, Document: 200}}, nil)
		defer w.stop()
		ctx := context.Background()
		revert := func(who string, from, to session.Revision, by session.Writer) string {
			return told(w.Revert(ctx, "doc", who, from, to, by))
		}
		is(t, "of no document", revert("ann", 0, session.Head, by("cyd")), "not_found")
		w.made("text", `"one two three"`)
		w.edit(0, `[4,-4]`, by("ann"))     // one three
		w.edit(1, `[3," and"]`, by("bob")) // one and three
		w.edit(2, `["Ann: "]`, by("ann"))  // Ann: one and three
		w.edit(3, `[3,"ie"]`, by("bob"))   // Annie: one and three
		is(t, "the future", revert("ann", 0, 5, by("cyd")), "future")
		is(t, "from the future", revert("ann", 5, session.Head, by("cyd")), "future")
		is(t, "nobody", revert("zoe", 0, session.Head, by("cyd")), "4 []")
		is(t, "nothing", revert("ann", 4, session.Head, by("cyd")), "4 []")
		is(t, "an empty range", revert("ann", 3, 1, by("cyd")), "4 []")
		is(t, "only the first", revert("ann", 0, 2, keyed("revert", "1")), `5 [15,"two "]`)
		is(t, "again", revert("ann", 0, 2, keyed("revert", "1")), `5 [15,"two "] again`)
		is(t, "the second", revert("ann", 2, session.Head, by("cyd")), `6 [-3,2,-2]`)
		w.head(`text "ieone and two three"`)
		is(t, "who made it", revert("maker", session.Unborn, session.Head, by("cyd")), `7 [2,-3,4,-1,4,-5]`)
		w.head(`text "ie andtwo "`)

		for i := range 20 {
			w.edit(session.Head, `["`+strings.Repeat("x", 40)+`"]`, by("bob"))
			w.edit(session.Head, `[-40]`, by(fmt.Sprint("other-", i)))
		}
		is(t, "much text", revert("bob", 7, session.Head, by("cyd")), "47 []")
		for range 20 {
			w.edit(session.Head, `["`+strings.Repeat("x", 40)+`"]`, by("bob"))
			w.edit(session.Head, `[-40]`, by("ann"))
		}
		is(t, "too much text", revert("ann", 47, session.Head, by("cyd")), "too_large")
		for i := range 40 { // bob's lie scattered in ann's
			w.edit(session.Head, fmt.Sprintf(`[%d,"b"]`, 2*i), by("bob"))
			w.edit(session.Head, fmt.Sprintf(`[%d,"a"]`, 2*i+1), by("ann"))
		}
		is(t, "too much work", revert("bob", 87, session.Head, by("cyd")), "stale")
		w.verified()
	})
}

// What was before a document was created again is not taken back.
func TestRevertInALaterLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		m := w.from("author-1", session.Head)
		m.change(session.Head, 1, created(text.Type{}, `"one"`)) // 0
		m.take()
		w.edit(0, `["x"]`, by("ann")) // 1
		m.take()
		m.change(1, 2, session.Deletion{}) // 2
		m.take()
		is(t, "of a deleted document", told(w.Revert(ctx, "doc", "ann", 0, session.Head, by("cyd"))), "not_found")
		is(t, "created again", told(w.Restore(ctx, "doc", 1, by("ann"))), `3 created text "xone"`)
		w.edit(3, `[4,"!"]`, by("bob")) // 4
		is(t, "an earlier life", told(w.Revert(ctx, "doc", "ann", 0, 2, by("cyd"))), "deleted")
		is(t, "all lives", told(w.Revert(ctx, "doc", "ann", session.Unborn, session.Head, by("cyd"))), `5 [-4]`)
		w.head(`text "!"`)
		w.verified()
	})
}

func TestRevertOfEveryType(t *testing.T) {
	for _, c := range []struct {
		typ, content string
		ann, bob     string // bob's after ann's
		want         string
	}{
		{"text", `"one two"`, `[4,-3,"2"]`, `[1,"X",4,"!"]`, `"oXne two!"`},
		{"text-unicode", `"😀 two"`, `[2,{"d":3},"2"]`, `[1,"X",2,"!"]`, `"😀X two!"`},
		{"text0", `"one two"`, `[{"p":4,"d":"two"},{"p":4,"i":"2"}]`, `[{"p":1,"i":"X"}]`, `"oXne two"`},
		{"delta", `[{"insert":"one two\n"}]`, `[{"retain":3,"attributes":{"bold":true,"italic":true}},{"insert":"!"}]`, `[{"retain":2,"attributes":{"bold":null}},{"insert":"X"}]`, `[{"insert":"onXe two\n"}]`},
		{"json0", `{"a":[1,2],"n":1,"t":"x"}`, `[{"p":["a",0],"ld":1},{"p":["n"],"na":5},{"p":["t"],"od":"x","oi":"y"},{"p":["m"],"oi":1}]`, `[{"p":["a",1],"li":3},{"p":["n"],"na":1},{"p":["t"],"od":"y","oi":"z"}]`, `{"a":[1,2,3],"n":2,"t":"z"}`},
	} {
		bubble(c.typ, t, func(t *testing.T) {
			w := newWorld(t, session.Options{}, nil)
			defer w.stop()
			ctx := context.Background()
			w.made(c.typ, c.content)
			for _, e := range []struct{ op, who string }{{c.ann, "ann"}, {c.bob, "bob"}} {
				if _, err := w.Edit(ctx, "doc", session.Head, ops(e.op), by(e.who)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Revert(ctx, "doc", "ann", 0, session.Head, by("cyd")); err != nil {
				t.Fatal(err)
			}
			w.head(c.typ + " " + c.want)
			w.verified()
		})
	}
}

// A document that cannot be read is not reverted.
func TestRevertOnAnUnreadableStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		w.made("text", `"."`)
		w.edit(0, `["x"]`, by("ann"))
		w.store.Fail(storagetest.Read, 100, nil)
		is(t, "a revert", told(w.Revert(context.Background(), "doc", "ann", 0, session.Head, by("cyd"))), "unavailable")
		w.store.Heal()
		is(t, "then", told(w.Revert(context.Background(), "doc", "ann", 0, session.Head, by("cyd"))), "2 [-1]")
	})
}
