package text_test

import (
	"slices"
	"unicode/utf16"

	"quire/ot"
	"quire/ot/text"
)

// The oracle is the algebra written as simply as can be: texts are slices of
// UTF-16 units and operations slices of atoms, each of a single unit.

type atom struct {
	kind text.Kind
	unit uint16
}

func atoms(op text.Op) (a []atom) {
	for _, c := range op {
		if c.Kind == text.Insert {
			for _, u := range wide(c.S) {
				a = append(a, atom{text.Insert, u})
			}
			continue
		}
		a = append(a, slices.Repeat([]atom{{kind: c.Kind}}, c.N)...)
	}
	return a
}

func wide(s string) []uint16 { return utf16.Encode([]rune(s)) }

// pop takes the first atom, or a retain when there is none.
func pop(a *[]atom) atom {
	if len(*a) == 0 {
		return atom{kind: text.Retain}
	}
	first := (*a)[0]
	*a = (*a)[1:]
	return first
}

func inserts(a []atom) bool { return len(a) > 0 && a[0].kind == text.Insert }
func deletes(a []atom) bool { return len(a) > 0 && a[0].kind == text.Delete }

// trimmed drops the retains at the end.
func trimmed(a []atom) []atom {
	for len(a) > 0 && a[len(a)-1].kind == text.Retain {
		a = a[:len(a)-1]
	}
	return a
}

func oracleApply(doc []uint16, op []atom) (out []uint16) {
	for _, a := range op {
		switch a.kind {
		case text.Insert:
			out = append(out, a.unit)
		case text.Retain:
			out = append(out, doc[0])
			doc = doc[1:]
		case text.Delete:
			doc = doc[1:]
		}
	}
	return append(out, doc...)
}

func oracleCompose(a, b []atom) (out []atom) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case inserts(b):
			out = append(out, pop(&b))
		case deletes(a):
			out = append(out, pop(&a))
		default:
			first, then := pop(&a), pop(&b)
			if first.kind == text.Retain {
				out = append(out, then)
			} else if then.kind == text.Retain {
				out = append(out, first)
			}
		}
	}
	return trimmed(out)
}

func oracleTransform(p, x []atom, side ot.Side) (out []atom) {
	for len(p) > 0 {
		switch {
		case inserts(p) && (side == ot.Left || !inserts(x)):
			out = append(out, pop(&p))
		case inserts(x):
			pop(&x)
			out = append(out, atom{kind: text.Retain})
		default:
			own, other := pop(&p), pop(&x)
			if other.kind == text.Retain {
				out = append(out, own)
			}
		}
	}
	return trimmed(out)
}

// oracleMove is where an insert at a position ends up.
func oracleMove(at int, op []atom, side ot.Side) int {
	p := append(slices.Repeat([]atom{{kind: text.Retain}}, at), atom{text.Insert, '|'})
	return slices.Index(oracleTransform(p, op, side), atom{text.Insert, '|'})
}
