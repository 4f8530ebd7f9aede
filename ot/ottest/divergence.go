package ottest

import (
	"fmt"

	"quire/ot"
)

// Report is what Divergence found.
type Report struct {
	// Cases is how many cases were tried.
	Cases int
	// Ops counts those where the two operations differ, Docs those where even
	// the documents they lead to differ.
	Ops, Docs int
	// Example describes a smallest case that differs; empty when there is none.
	Example string
}

// Divergence measures how often Transform does not distribute over Compose:
// for random operations a and b that follow one another and p on the document of
// a, it compares
//
//	Transform(p, Compose(a, b), side) with Transform(Transform(p, a, side), b, side)
//
// over the given number of cases of growing size. It fails only when a method
// fails that must not.
func Divergence(typ ot.Type, gen Gen, side ot.Side, cases int, seed uint64) (Report, error) {
	report := Report{Cases: cases}
	l := law{"Divergence", func(c *sample) {
		d := c.doc()
		a, p := c.op("a", d), c.op("p", d)
		mid := c.apply(d, a)
		b := c.op("b", mid)
		parts := c.transform(c.transform(p, a, side), b, side)
		whole := c.transform(p, c.compose(a, b), side)
		if c.form(parts) == c.form(whole) {
			return
		}
		report.Ops++
		if end := c.apply(mid, b); c.text(c.apply(end, parts)) != c.text(c.apply(end, whole)) {
			report.Docs++
		}
		if report.Example == "" {
			report.Example = fmt.Sprintf("%s  over the parts: %s\n  over the composite: %s", c, c.form(parts), c.form(whole))
		}
	}}
	for i := range cases {
		if err := try(typ, gen, l, seed, i, 1+i*maxSize/2/cases); err != nil {
			return report, err
		}
	}
	return report, nil
}
