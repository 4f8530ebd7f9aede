package ot_test

import (
	"testing"

	"quire/ot"
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
