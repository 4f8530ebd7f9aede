package textunicode_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text"
	"quire/ot/textunicode"
)

// A referenceCase is one line of web/reference/textunicode.mjs, which says what the
// members are.
type referenceCase struct {
	Doc, After                     string
	Selection, Moved               [2]int
	Loose, Normal                  json.RawMessage
	Accepted                       bool
	A, B, P                        json.RawMessage
	Composed, Left, Right, Inverse json.RawMessage
}

// TestReference compares the algebra with ot-text-unicode, byte for byte, and the
// algebra of package text through the conversions.
func TestReference(t *testing.T) {
	strict, loose := 0, 0
	ottest.Reference(t, "textunicode", cases(100_000), func(line []byte) error {
		var c referenceCase
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		if _, err := textunicode.Decode(c.Loose, ot.Limits{}); err == nil {
			strict++
			if !c.Accepted {
				return fmt.Errorf("Decode takes what checkOp refuses: %s", c.Loose)
			}
		} else if c.Accepted {
			loose++
		}
		if normal, err := textunicode.Parse(c.Loose, ot.Limits{}); err != nil || str(normal) != string(c.Normal) {
			return fmt.Errorf("Parse gives %s, error %v", str(normal), err)
		}
		return c.check()
	})
	if strict == 0 || loose == 0 {
		t.Errorf("%d loose operations are canonical, %d others pass checkOp; both should occur", strict, loose)
	}
}

// check compares everything but loose operations. It panics on what must not fail.
func (c *referenceCase) check() error {
	d, err := text.FromString(c.Doc)
	if err != nil {
		return err
	}
	a, b, p := decoded(c.A), decoded(c.B), decoded(c.P)
	mid := ok(typ.Apply(d, a)).(*text.Doc)
	wide := [3]text.Op{ok(textunicode.ToText(d, a)), ok(textunicode.ToText(mid, b)), ok(textunicode.ToText(d, p))}
	selection := textunicode.Cursor{c.Selection}
	moved := typ.TransformCursor(selection, a, ot.Left).(textunicode.Cursor)
	wideSelection := ok(textunicode.ToTextCursor(d, selection)).Transform(wide[0], ot.Left)
	for _, result := range []struct{ name, got, want string }{
		{"Apply", mid.String(), c.After},
		{"Compose", form(typ.Compose(a, b)), string(c.Composed)},
		{"Transform left", form(typ.Transform(p, a, ot.Left)), string(c.Left)},
		{"Transform right", form(typ.Transform(p, a, ot.Right)), string(c.Right)},
		{"Invert", form(typ.Invert(d, a)), string(c.Inverse)},
		{"TransformCursor", fmt.Sprint(moved[0]), fmt.Sprint(c.Moved)},
		{"Apply in UTF-16", ok(d.Apply(wide[0])).String(), c.After},
		{"Compose in UTF-16", str(ok(textunicode.FromText(d, ok(text.Compose(wide[0], wide[1]))))), string(c.Composed)},
		{"Transform left in UTF-16", str(ok(textunicode.FromText(mid, ok(text.Transform(wide[2], wide[0], ot.Left))))), string(c.Left)},
		{"Transform right in UTF-16", str(ok(textunicode.FromText(mid, ok(text.Transform(wide[2], wide[0], ot.Right))))), string(c.Right)},
		{"Invert in UTF-16", str(ok(textunicode.FromText(mid, ok(text.Invert(d, wide[0]))))), string(c.Inverse)},
		{"Cursor.Transform in UTF-16", fmt.Sprint(ok(textunicode.FromTextCursor(mid, wideSelection))[0]), fmt.Sprint(c.Moved)},
	} {
		if result.got != result.want {
			return fmt.Errorf("%s: %s, the reference has %s", result.name, result.got, result.want)
		}
	}
	return nil
}
