package json0_test

import (
	"testing"

	"quire/ot/json0"
	"quire/ot/ottest"
)

func TestLaws(t *testing.T) { ottest.Run(t, json0.Type{}, ottest.JSON0()) }
