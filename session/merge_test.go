package session_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"quire/ot"
	"quire/ot/diff"
	"quire/session"
)

// What a form of a document does not say stays as it is when content comes back in that form.
func TestMergeOfWhatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, session.Options{}, nil)
		defer w.stop()
		ctx := context.Background()
		const old = `[{"insert":"Some "},{"insert":"underlned","attributes":{"color":"red","underline":true}},{"insert":" words"},{"insert":"\n","attributes":{"align":"right"}},{"insert":"\nend\n"}]`
		const seen = `[{"insert":"Some underlned words\nend\n"}]`
		shown := func(content []byte) ([]byte, error) {
			is(t, "what is shown", string(content), old)
			return []byte(seen), nil
		}
		w.made("delta", old)
		is(t, "nothing new", told(w.Merge(ctx, "doc", 0, []byte(seen), shown, by("ann"))), `0 []`)
		w.edit(0, `[{"insert":"> "}]`, by("bob"))
		is(t, "a typo", told(w.Merge(ctx, "doc", 0, []byte(`[{"insert":"Some underlined words\nthe end\n"}]`), shown, by("ann"))),
			`2 [{"retain":13},{"insert":"i"},{"retain":10},{"insert":"the "}]`)
		failing := func([]byte) ([]byte, error) { return nil, session.Errorf(session.CodeTooLarge, "too much to show") }
		is(t, "what cannot be shown", told(w.Merge(ctx, "doc", 0, []byte(seen), failing, by("ann"))), "too_large")
		broken := func([]byte) ([]byte, error) { return []byte("nonsense"), nil }
		is(t, "what is shown is nothing", told(w.Merge(ctx, "doc", 0, []byte(seen), broken, by("ann"))), "internal")
		w.verified()
	})
}

// Who looks at the past for long keeps nobody from editing, however large the document is.
func TestEditsWhileManyLookAtThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, comparing := make(chan struct{}), atomic.Int32{}
		w := newWorld(t, session.Options{Diff: func(typ ot.Type, from, to ot.Doc) (ot.Op, error) {
			if comparing.Add(1) <= 2 {
				<-open
			}
			return diff.Between(typ, from, to)
		}}, nil)
		defer w.stop()
		ctx := context.Background()
		large := strings.Repeat("large ", 20_000)
		w.made("text", `"`+large+`"`)
		w.edit(0, `["x"]`, by("ann"))
		var looking sync.WaitGroup
		for range 10 {
			looking.Go(func() {
				if _, err := w.Difference(ctx, "doc", 1, 0); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n := comparing.Load(); n != 2 {
			t.Errorf("%d at once look at the past", n)
		}
		is(t, "a text", told(w.Merge(ctx, "doc", 0, []byte(`"`+large+`!"`), nil, by("ann"))), `2 [120001,"!"]`)
		is(t, "a restore", told(w.Restore(ctx, "doc", 1, by("ann"))), `3 [120001,-1]`)
		if _, err := w.Revert(ctx, "doc", "ann", 0, 1, by("bob")); err != nil {
			t.Error(err)
		}
		close(open)
		looking.Wait()
	})
}
