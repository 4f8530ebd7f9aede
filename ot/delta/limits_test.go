package delta_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/ottest"
)

// members returns n attributes of different names, each with the given value.
func members(n int, value string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"a%d":%s`, i, value)
	}
	return b.String()[1:]
}

// repeated returns an operation of n components, numbered from 0.
func repeated(t *testing.T, n int, component string) ot.Op {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ","+component, i)
	}
	op, err := delta.Parse([]byte("["+b.String()[1:]+"]"), ot.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// TestManyAttributes sets many attributes on many pieces that differ: small operations
// whose result would fill the memory.
func TestManyAttributes(t *testing.T) {
	ottest.Plain(t)
	const pieces = 3000
	typ := delta.Type{}
	insert := repeated(t, pieces, `{"insert":"x","attributes":{"k":%d}}`)
	format := repeated(t, pieces, `{"retain":1,"attributes":{"k":%d}}`)
	divide := repeated(t, pieces, `{"retain":1},{"insert":"%d"}`)
	set := repeated(t, 1, fmt.Sprintf(`{"retain":%d,"attributes":{"k":1%%d,%s}}`, pieces, members(6000, "1")))
	clear := repeated(t, 1, fmt.Sprintf(`{"retain":%d,"attributes":{"k":1%%d,%s}}`, pieces, members(6000, "null")))
	for name, run := range map[string]func() (any, error){
		"apply":                 func() (any, error) { return typ.Apply(delta.New(insert.(delta.Op)), set) },
		"apply behind the end":  func() (any, error) { d, _ := typ.Apply(delta.New(nil), format); return typ.Apply(d, set) },
		"invert":                func() (any, error) { return typ.Invert(delta.New(insert.(delta.Op)), set) },
		"invert, clearing":      func() (any, error) { return typ.Invert(delta.New(insert.(delta.Op)), clear) },
		"invert behind the end": func() (any, error) { d, _ := typ.Apply(delta.New(nil), format); return typ.Invert(d, set) },
		"compose":               func() (any, error) { return typ.Compose(format, set) },
		"transform, attributes": func() (any, error) { return typ.Transform(set, format, ot.Right) },
		"transform, pieces":     func() (any, error) { return typ.Transform(clear, divide, ot.Left) },
	} {
		if result, err := run(); !errors.Is(err, ot.ErrLimit) || result != nil {
			t.Errorf("%s: error %v", name, err)
		}
	}
	// What is as large already can still be edited.
	d := delta.New(insert.(delta.Op))
	bold := repeated(t, 1, fmt.Sprintf(`{"retain":%d,"attributes":{"b":%%d}}`, pieces))
	if _, err := typ.Apply(d, bold); err != nil {
		t.Error(err)
	}
}
