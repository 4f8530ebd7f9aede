package json0_test

import (
	"errors"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/json0"
	"quire/ot/ottest"
)

// TestBudget transforms the deletion of a long list over many edits inside, each of
// which changes what the deletion says was there.
func TestBudget(t *testing.T) {
	ottest.Plain(t)
	typ := json0.Type{}
	del := op(t, `[{"p":[0],"ld":[`+strings.Repeat("0,", 400_000)+`0]}]`)
	edits := op(t, `[`+strings.Repeat(`{"p":[0,0],"na":1},`, 1200)+`{"p":[0,0],"na":1}]`)
	if cost := ot.TransformCost(typ, []ot.Op{del}, []ot.Op{edits}); cost < 10_000_000 {
		t.Errorf("cost %d: as cheap as others", cost)
	}
	if _, err := typ.Transform(del, edits, ot.Left); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("error %v", err)
	}
	if _, err := typ.Transform(del, edits[:10], ot.Left); err != nil {
		t.Error(err)
	}
	// Operations inside components share the budget.
	apart := op(t, `[`+strings.Repeat(`{"p":["a"],"t":"text0","o":[{"p":0,"d":"`+strings.Repeat("x", 602)+`"}]},`, 60)+`{"p":["b"],"na":1}]`)
	inserts := op(t, `[`+strings.Repeat(`{"p":["a"],"t":"text0","o":[`+strings.TrimSuffix(strings.Repeat(`{"p":300,"i":"y"},{"p":1,"i":"z"},`, 300), ",")+`]},`, 60)+`{"p":["b"],"na":1}]`)
	if _, err := typ.Transform(apart, inserts, ot.Left); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("error %v", err)
	}
}

// TestManyPaths moves a cursor of many paths over an operation of many components.
func TestManyPaths(t *testing.T) {
	c, err := json0.DecodeCursor([]byte(`[`+strings.TrimSuffix(strings.Repeat(`["a",9],`, 128), ",")+`]`), ot.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]int{1000: 128, 200_000: 1} {
		edits := op(t, `[`+strings.TrimSuffix(strings.Repeat(`{"p":["a",0],"na":1},`, n), ",")+`]`)
		if got := len(c.Transform(edits)); got != want {
			t.Errorf("%d of the paths go over %d components, want %d", got, n, want)
		}
	}
}
