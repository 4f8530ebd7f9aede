package delta_test

import (
	"testing"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/ottest"
)

func TestLaws(t *testing.T) { ottest.Run(t, delta.Type{}, ottest.Delta()) }

// TestDivergence shows that transforming over a composite is not transforming over its
// parts, on either side: whoever shows readers composites has to know.
func TestDivergence(t *testing.T) {
	for _, side := range []ot.Side{ot.Left, ot.Right} {
		report, err := ottest.Divergence(delta.Type{}, ottest.Delta(), side, 5_000, 1)
		must(t, err)
		if report.Ops == 0 || report.Docs == 0 {
			t.Errorf("%s: %+v", side, report)
		}
		t.Logf("%s: %d of %d differ, %d in their document; the first:\n%s", side, report.Ops, report.Cases, report.Docs, report.Example)
	}
}
