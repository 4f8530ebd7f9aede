package delta_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/ottest"
)

// A referenceCase is a line of web/reference/delta.mjs, which says what its members are.
type referenceCase struct {
	D, A, P, B        json.RawMessage
	DA, AB, DAB       json.RawMessage
	L, R, Inv         json.RawMessage
	At                [][3]int
	Raw, Parsed, Draw json.RawMessage
}

// TestReference compares the type with quill-delta and rich-text.
func TestReference(t *testing.T) {
	cases := 15_000 // lines, of about ten answers each
	if ottest.Race {
		cases = 2_000
	}
	seen := map[string]int{}
	ottest.Reference(t, "delta", cases, func(line []byte) error {
		var c referenceCase
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		return c.check(seen)
	})
	t.Logf("compared: %v", seen)
	for _, what := range []string{"apply", "compose", "transform", "invert", "position", "parse", "apply refused", "compose refused"} {
		if seen[what] < cases/500 {
			t.Errorf("%s was compared only %d times", what, seen[what])
		}
	}
}

func (c *referenceCase) check(seen map[string]int) (err error) {
	decode := func(data []byte) (op delta.Op) {
		if err == nil {
			op, err = delta.Decode(data, ot.Limits{})
		}
		return op
	}
	a, p, b := decode(c.A), decode(c.P), decode(c.B)
	if err != nil {
		return err
	}
	created, err := delta.Type{}.Create(c.D)
	if err != nil {
		return err
	}
	d := created.(*delta.Doc)
	// same compares a result with the reference's; that is null where a character
	// would have been split.
	same := func(what string, got []byte, err error, want json.RawMessage) error {
		if string(want) == "null" {
			seen[what+" refused"]++
			if !errors.Is(err, ot.ErrMismatch) {
				return fmt.Errorf("%s splits a character: error %v", what, err)
			}
			return nil
		}
		seen[what]++
		if err != nil || string(got) != string(want) {
			return fmt.Errorf("%s:\n got %s, error %v\nwant %s", what, got, err, want)
		}
		return nil
	}
	apply := func(d *delta.Doc, op delta.Op, want json.RawMessage) (*delta.Doc, error) {
		after, err := d.Apply(op)
		if err != nil {
			return nil, same("apply", nil, err, want)
		}
		if err := after.Check(); err != nil {
			return nil, err
		}
		return after, same("apply", after.AppendJSON(nil), nil, want)
	}
	after, err := apply(d, a, c.DA)
	if err != nil {
		return err
	}
	if after != nil {
		if _, err = apply(after, b, c.DAB); err != nil {
			return err
		}
	}
	ab, err := delta.Compose(a, b)
	if err = same("compose", ab.AppendJSON(nil), err, c.AB); err != nil {
		return err
	}
	for side, want := range map[ot.Side]json.RawMessage{ot.Left: c.L, ot.Right: c.R} {
		out, err := delta.Transform(p, a, side)
		if err = same("transform", out.AppendJSON(nil), err, want); err != nil {
			return fmt.Errorf("%s: %w", side, err)
		}
	}
	if c.Inv != nil {
		out, err := delta.Invert(d, a)
		if err = same("invert", out.AppendJSON(nil), err, c.Inv); err != nil {
			return err
		}
	}
	for _, at := range c.At {
		seen["position"]++
		left, right := delta.TransformPosition(a, at[0], ot.Left), delta.TransformPosition(a, at[0], ot.Right)
		if left != at[1] || right != at[2] {
			return fmt.Errorf("position %d goes to %d and %d, want %d and %d", at[0], left, right, at[1], at[2])
		}
	}
	parsed, err := delta.Parse(c.Raw, ot.Limits{})
	if err = same("parse", parsed.AppendJSON(nil), err, c.Parsed); err != nil {
		return err
	}
	_, err = apply(d, parsed, c.Draw)
	return err
}
