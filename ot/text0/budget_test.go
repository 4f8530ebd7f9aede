package text0_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text0"
)

// many returns an operation of n components, numbered by multiples of step.
func many(t *testing.T, n, step int, component string) ot.Op {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ","+component, i*step)
	}
	op, err := text0.Decode([]byte("["+b.String()[1:]+"]"), ot.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// TestBudget transforms operations of which very many components come on the way, or
// whose components are merged into one long text: the product of their lengths is small.
func TestBudget(t *testing.T) {
	ottest.Plain(t)
	const n = 8000
	for name, ops := range map[string][2]ot.Op{
		"a delete falls apart":   {many(t, 1, 0, `{"p":%d,"d":"`+strings.Repeat("x", 2*n+2)+`"}`), many(t, n, 3, `{"p":%d,"i":"y"}`)},
		"inserts become one":     {many(t, n, 100, `{"p":%d,"i":"`+strings.Repeat("x", 100)+`"}`), many(t, 1, 0, `{"p":%d,"i":"y"}`)},
		"a place below the rest": {many(t, n, 0, `{"p":%d,"i":"`+strings.Repeat("é", 100)+`"}`), many(t, 1, 0, `{"p":%d,"i":"y"}`)},
	} {
		for _, side := range []ot.Side{ot.Left, ot.Right} {
			if op, err := (text0.Type{}).Transform(ops[0], ops[1], side); !errors.Is(err, ot.ErrLimit) || op != nil {
				t.Errorf("%s, %s: error %v", name, side, err)
			}
		}
	}
	a, b := many(t, 1024, 2, `{"p":%d,"i":"x"}`), many(t, 1024, 2, `{"p":%d,"i":"y"}`)
	if _, err := (text0.Type{}).Transform(a, b, ot.Left); err != nil {
		t.Error(err)
	}
}
