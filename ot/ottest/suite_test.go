package ottest

import (
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/text"
)

// The types below are plain text with one method broken each.
type (
	sides       struct{ text.Type }
	halves      struct{ text.Type }
	loose       struct{ text.Type }
	shortAll    struct{ text.Type }
	noInverse   struct{ text.Type }
	oneByte     struct{ text.Type }
	everything  struct{ text.Type }
	sizes       struct{ text.Type }
	sums        struct{ text.Type }
	stuck       struct{ text.Type }
	tolerant    struct{ text.Type }
	panics      struct{ text.Type }
	free        struct{ text.Type }
	overwriting struct{ text.Type }
)

func (t sides) Transform(op, over ot.Op, _ ot.Side) (ot.Op, error) {
	return t.Type.Transform(op, over, ot.Left)
}

func (t halves) Compose(a, _ ot.Op) (ot.Op, error) { return a, nil }

// Transform gives an operation that ends in a retain.
func (t loose) Transform(op, over ot.Op, side ot.Side) (ot.Op, error) {
	out, err := t.Type.Transform(op, over, side)
	if typed := out.(text.Op); len(typed) > 0 {
		return append(typed[:len(typed):len(typed)], text.Component{Kind: text.Retain, N: 1}), err
	}
	return out, err
}

func (t shortAll) ComposeAll(ops []ot.Op) (ot.Op, error) {
	return t.Type.ComposeAll(ops[:len(ops)-len(ops)/9])
}

func (t noInverse) Invert(_ ot.Doc, op ot.Op) (ot.Op, error) { return op, nil }

func (t oneByte) MarshalDoc(dst []byte, d ot.Doc) []byte {
	dst = t.Type.MarshalDoc(dst, d)
	return dst[:max(len(dst)-1, 0)]
}

func (t everything) IsIdentity(ot.Op) bool { return true }

func (t sizes) Size(d ot.Doc) int { return d.(*text.Doc).Len() }

func (t sums) Checksum(d ot.Doc) uint32 { return uint32(len(d.(*text.Doc).String()) / 2) }

func (t stuck) TransformCursor(c ot.Cursor, _ ot.Op, _ ot.Side) ot.Cursor { return c }

func (t tolerant) Apply(d ot.Doc, op ot.Op) (ot.Doc, error) {
	if after, err := t.Type.Apply(d, op); err == nil {
		return after, nil
	}
	return d, nil
}

func (t panics) Compose(a, b ot.Op) (ot.Op, error) {
	if len(a.(text.Op)) > 5 {
		panic("six components")
	}
	return t.Type.Compose(a, b)
}

func (t free) Cost(ot.Op) int { return 0 }

// Compose changes its argument.
func (t overwriting) Compose(a, b ot.Op) (ot.Op, error) {
	out, err := t.Type.Compose(a, b)
	if typed := a.(text.Op); len(typed) > 0 && typed[0].Kind == text.Retain {
		typed[0].N++
	}
	return out, err
}

// TestFinds shows that every law can fail: each broken type breaks the law named.
func TestFinds(t *testing.T) {
	for name, c := range map[string]struct {
		law string
		typ ot.Type
	}{
		"sides ignored":            {"TP1", sides{}},
		"second part dropped":      {"Compose", halves{}},
		"second part dropped, id":  {"Identity", halves{}},
		"second part dropped, all": {"ComposeAll", halves{}},
		"retain at the end":        {"TP1", loose{}},
		"all but the last":         {"ComposeAll", shortAll{}},
		"inverse":                  {"Invert", noInverse{}},
		"binary form":              {"RoundTrip", oneByte{}},
		"binary form in history":   {"History", oneByte{}},
		"identity":                 {"Identity", everything{}},
		"size in another unit":     {"RoundTrip", sizes{}},
		"checksum":                 {"Checksum", sums{}},
		"cursor":                   {"Cursor", stuck{}},
		"misfit accepted":          {"Mismatch", tolerant{}},
		"panic":                    {"Associate", panics{}},
		"cost":                     {"Cost", free{}},
		"argument changed":         {"Compose", overwriting{}},
	} {
		found := false
		for _, l := range laws {
			if l.name != c.law {
				continue
			}
			err := search(c.typ, Text(), l, 1)
			if found = err != nil; found && !strings.Contains(err.Error(), "QUIRE_SEED=1, case ") {
				t.Errorf("%s: no seed in the report: %v", name, err)
			}
			if found && testing.Verbose() {
				t.Logf("%s: %v", name, err)
			}
		}
		if !found {
			t.Errorf("%s: law %s holds", name, c.law)
		}
	}
}

// TestShrinks: the case reported for a broken type is among the smallest.
func TestShrinks(t *testing.T) {
	for _, l := range laws {
		if l.name == "TP1" {
			if err := search(sides{}, Text(), l, 1); err == nil || !strings.Contains(err.Error(), " of size 2:") && !strings.Contains(err.Error(), " of size 1:") {
				t.Errorf("%v", err)
			}
		}
	}
}
