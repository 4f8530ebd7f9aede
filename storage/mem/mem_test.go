package mem_test

import (
	"testing"

	"go.uber.org/goleak"

	"quire/storage/mem"
	"quire/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storagetest.Run(t, storagetest.Harness{
		Open: func(string) (storagetest.Store, error) { return mem.New(), nil },
	})
}
