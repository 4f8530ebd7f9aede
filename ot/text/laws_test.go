package text_test

import (
	"fmt"
	"testing"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text"
)

func TestLaws(t *testing.T) { ottest.Run(t, text.Type{}, ottest.Text()) }

// TestDistributes holds the promise of docs/protocol.md, section 9: on the right,
// transforming over a composite is transforming over its parts.
func TestDistributes(t *testing.T) {
	cases := 60_000
	if ottest.Race {
		cases = 10_000
	}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			report, err := ottest.Divergence(text.Type{}, ottest.Text(), ot.Right, cases, seed)
			must(t, err)
			if report.Ops != 0 {
				t.Fatalf("%d of %d cases differ, the first:\n%s", report.Ops, report.Cases, report.Example)
			}
		})
	}
}

// TestDivergenceFinds shows that the helper sees a difference where there is one:
// on the left the law does not hold.
func TestDivergenceFinds(t *testing.T) {
	report, err := ottest.Divergence(text.Type{}, ottest.Text(), ot.Left, 5_000, 1)
	must(t, err)
	if report.Ops == 0 || report.Docs == 0 || report.Docs > report.Ops || report.Example == "" {
		t.Fatalf("%+v", report)
	}
	t.Logf("left: %d of %d differ, %d in their text; the first:\n%s", report.Ops, report.Cases, report.Docs, report.Example)
}
