package text0_test

import (
	"testing"

	"quire/ot/ottest"
	"quire/ot/text0"
)

func TestLaws(t *testing.T) { ottest.Run(t, text0.Type{}, ottest.Text0()) }
