package text0_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text"
	"quire/ot/text0"
)

// A referenceCase is a line of web/reference/text0.mjs, which says what is in it.
type referenceCase struct {
	Fits                                          bool
	D, DA                                         string
	A, B, N, Compose, Normal, Invert, Left, Right json.RawMessage
	Cursor                                        [3]int
}

// TestReference compares every function with ot-json0's lib/text0.js, byte for byte.
// Where that throws, ours fails with ot.ErrMismatch.
func TestReference(t *testing.T) {
	cases, threw := 50_000, 0
	if ottest.Race {
		cases /= 10
	}
	ottest.Reference(t, "text0", cases, func(line []byte) error {
		var c referenceCase
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		if string(c.Left) == "null" {
			threw++
		}
		return c.check()
	})
	if threw == 0 {
		t.Error("the reference never threw: what then happens was not compared")
	}
	t.Logf("the reference threw in %d of %d cases", threw, cases)
}

func (c *referenceCase) check() error {
	var ops [3]text0.Op
	for i, data := range [][]byte{c.A, c.B, c.N} {
		strict, err := text0.Decode(data, ot.Limits{})
		if err != nil {
			return err
		}
		if ops[i], err = text0.Parse(data, ot.Limits{}); err != nil || str(ops[i]) != str(strict) || str(strict) != string(data) {
			return fmt.Errorf("%s is read as %s and %s, error %v", data, str(strict), str(ops[i]), err)
		}
	}
	a, b, n := ops[0], ops[1], ops[2]
	d, err := text.FromString(c.D)
	if err != nil {
		return err
	}
	after, err := text0.Apply(d, a)
	if err != nil || after.String() != c.DA {
		return fmt.Errorf("Apply: %q, error %v", after, err)
	}
	if plain, err := text0.ApplyString(c.D, a); err != nil || plain != c.DA {
		return fmt.Errorf("ApplyString: %q, error %v", plain, err)
	}
	for _, answer := range []struct {
		name string
		get  func() (text0.Op, error)
		want json.RawMessage
	}{
		{"Compose", func() (text0.Op, error) { return text0.Compose(a, n) }, c.Compose},
		{"Normalize", func() (text0.Op, error) { return text0.Normalize(a) }, c.Normal},
		{"Invert", func() (text0.Op, error) { return text0.Invert(a), nil }, c.Invert},
		{"Transform left", func() (text0.Op, error) { return text0.Transform(a, b, ot.Left) }, c.Left},
		{"Transform right", func() (text0.Op, error) { return text0.Transform(a, b, ot.Right) }, c.Right},
	} {
		got, err := answer.get()
		if string(answer.want) == "null" && !c.Fits && errors.Is(err, ot.ErrMismatch) {
			continue
		}
		if err != nil || str(got) != string(answer.want) {
			return fmt.Errorf("%s: %s, error %v; the reference has %s", answer.name, str(got), err, answer.want)
		}
	}
	for i, side := range []ot.Side{ot.Left, ot.Right} {
		if got := text0.TransformCursor(c.Cursor[0], a, side); got != c.Cursor[1+i] {
			return fmt.Errorf("TransformCursor %s: %d, the reference has %d", side, got, c.Cursor[1+i])
		}
	}
	return nil
}

func str(op text0.Op) string { return string(op.AppendJSON(nil)) }
