package ot_test

import (
	"math"
	"testing"

	"quire/ot"
	"quire/ot/text"
	"quire/ot/text0"
)

func TestSide(t *testing.T) {
	if ot.Left.Other() != ot.Right || ot.Right.Other() != ot.Left {
		t.Error("Other does not swap the sides")
	}
	if ot.Left.String() != "left" || ot.Right.String() != "right" {
		t.Errorf("%s, %s", ot.Left, ot.Right)
	}
}

func TestLimits(t *testing.T) {
	const most = 1<<31 - 1
	for _, c := range []struct{ in, want ot.Limits }{
		{ot.Limits{}, ot.Limits{MaxLength: most, MaxComponents: 1 << 20, MaxRanges: 128}},
		{ot.Limits{MaxLength: -1, MaxComponents: -1, MaxRanges: -1}, ot.Limits{MaxLength: most, MaxComponents: 1 << 20, MaxRanges: 128}},
		{ot.Limits{MaxLength: most + 1}, ot.Limits{MaxLength: most, MaxComponents: 1 << 20, MaxRanges: 128}},
		{ot.Limits{MaxLength: 1, MaxComponents: 2, MaxRanges: 3}, ot.Limits{MaxLength: 1, MaxComponents: 2, MaxRanges: 3}},
	} {
		if got := c.in.WithDefaults(); got != c.want {
			t.Errorf("%+v becomes %+v, want %+v", c.in, got, c.want)
		}
	}
}

func TestTransformCost(t *testing.T) {
	var b text.Builder
	b.Insert("a")
	b.Delete(1)
	two, err := b.Op()
	if err != nil {
		t.Fatal(err)
	}
	if cost := ot.TransformCost(text.Type{}, []ot.Op{two, two}, []ot.Op{two, two, two}); cost != 24 {
		t.Errorf("text: 2 operations over 3, of 2 components each, cost %d", cost)
	}
	three := text0.Op{text0.Insert(0, "a"), text0.Insert(5, "b"), text0.Insert(9, "c")}
	if cost := ot.TransformCost(text0.Type{}, []ot.Op{three, three}, []ot.Op{three}); cost != 18 {
		t.Errorf("text0: 2 operations over 1, of 3 components each, cost %d", cost)
	}
	many := make([]ot.Op, 1<<16)
	long := make(text0.Op, 1<<16)
	for i := range many {
		many[i] = long
	}
	if cost := ot.TransformCost(text0.Type{}, many, many); cost != math.MaxInt {
		t.Errorf("what cannot be counted costs %d", cost)
	}
}
