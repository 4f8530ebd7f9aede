package json0_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"quire/ot"
	"quire/ot/json0"
	"quire/ot/jsonvalue"
	"quire/ot/ottest"
)

// A referenceCase is a line of web/reference/json0.mjs, which says what is in it.
type referenceCase struct {
	Kind                                                       string
	D, A, B, N, DA, Compose, Normal, Invert, Left, Right, Both json.RawMessage
}

// stricter says for which kinds of cases Transform may fail where the reference does not
// throw: those where operations are at odds with the document, so that what they say is
// deleted may not fit what happens inside of it. The reference then goes on in the ways
// of JavaScript (indexes past the end of a list, say), which package json0 refuses.
var stricter = map[string]bool{"strings": true, "mixed": true, "untrue": true, "misfit": true}

// TestReference compares every function with ot-json0, byte for byte. Where that throws,
// ours fails with ot.ErrMismatch.
func TestReference(t *testing.T) {
	cases := 20_000
	if ottest.Race {
		cases /= 10
	}
	counts := map[string]int{}
	ottest.Reference(t, "json0", cases, func(line []byte) error {
		var c referenceCase
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		counts[c.Kind]++
		if string(c.Left) == "null" {
			counts[c.Kind+", reference threw"]++
		}
		return c.check(counts)
	})
	for kind := range stricter {
		if counts[kind] == 0 || counts[kind+", stricter"] > counts[kind]/10 {
			t.Errorf("of %d cases of kind %s, %d were refused", counts[kind], kind, counts[kind+", stricter"])
		}
	}
	t.Log(counts)
}

func (c *referenceCase) check(counts map[string]int) error {
	var ops [3]json0.Op
	for i, data := range [][]byte{c.A, c.B, c.N} {
		strict, err := json0.Decode(data, ot.Limits{})
		if err != nil {
			return err
		}
		if ops[i], err = json0.Parse(data, ot.Limits{}); err != nil || str(ops[i]) != str(strict) || str(strict) != string(data) {
			return fmt.Errorf("%s is read as %s and %s, error %v", data, str(strict), str(ops[i]), err)
		}
	}
	a, b, n := ops[0], ops[1], ops[2]
	d, err := doc(c.D)
	if err != nil {
		return err
	}
	after, err := d.Apply(a)
	if err != nil || content(after) != string(c.DA) {
		return fmt.Errorf("Apply gives error %v; the reference has %s", err, c.DA)
	}
	inverse, err := json0.Invert(d, a)
	if err != nil {
		return err
	}
	if back, err := after.Apply(inverse); err != nil || content(back) != string(c.D) {
		return fmt.Errorf("Invert: %s does not lead back, error %v", str(inverse), err)
	}
	// The reference believes what the operation says is deleted.
	if c.Kind != "untrue" && str(inverse) != string(c.Invert) {
		return fmt.Errorf("Invert: %s; the reference has %s", str(inverse), c.Invert)
	}
	for _, answer := range []struct {
		name string
		get  func() (json0.Op, error)
		want json.RawMessage
	}{
		{"Compose", func() (json0.Op, error) { return json0.Compose(a, n) }, c.Compose},
		{"Normalize", func() (json0.Op, error) { return json0.Normalize(a) }, c.Normal},
		{"Transform left", func() (json0.Op, error) { return json0.Transform(a, b, ot.Left) }, c.Left},
		{"Transform right", func() (json0.Op, error) { return json0.Transform(a, b, ot.Right) }, c.Right},
	} {
		got, err := answer.get()
		if errors.Is(err, ot.ErrMismatch) {
			if string(answer.want) == "null" {
				continue
			}
			if stricter[c.Kind] {
				counts[c.Kind+", stricter"]++
				continue
			}
		}
		if err != nil || str(got) != string(answer.want) {
			return fmt.Errorf("%s: %s, error %v; the reference has %s", answer.name, str(got), err, answer.want)
		}
	}
	if c.Kind != "plain" {
		return nil
	}
	viaA, err := json0.Transform(b, a, ot.Right)
	if err == nil {
		after, err = after.Apply(viaA)
	}
	if err != nil || content(after) != string(c.Both) {
		return fmt.Errorf("b after a gives error %v; the reference has %s", err, c.Both)
	}
	return nil
}

func str(op json0.Op) string { return string(op.AppendJSON(nil)) }

func content(d *json0.Doc) string { return string(jsonvalue.Append(nil, d.Value())) }

// doc returns the document with the given content.
func doc(data []byte) (*json0.Doc, error) {
	v, err := jsonvalue.Parse(data, 0)
	if err != nil {
		return nil, err
	}
	return json0.NewDoc(v)
}
