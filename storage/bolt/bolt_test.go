package bolt_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quire/storage/bolt"
	"quire/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quietLog keeps what is expected to be logged out of the tests' output.
var quietLog = slog.New(slog.NewTextHandler(io.Discard, nil))

func harness(opts bolt.Options) storagetest.Harness {
	opts.TimeStep = time.Millisecond // the suite compares times
	return storagetest.Harness{
		Open: func(dir string) (storagetest.Store, error) {
			opts := opts // tests run beside each other
			opts.Path = filepath.Join(dir, "quire.db")
			opts.Logger = quietLog
			s, err := bolt.Open(opts)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Durable:  true,
		DataFile: "quire.db",
		Check: func(dir string) (problems int, err error) {
			sum, err := bolt.Check(context.Background(), bolt.Options{Path: filepath.Join(dir, "quire.db")}, func(bolt.Problem) { problems++ })
			if sum.Problems != problems {
				return 0, fmt.Errorf("%d problems reported, %d counted", problems, sum.Problems)
			}
			return problems, err
		},
	}
}

func TestStore(t *testing.T) { storagetest.Run(t, harness(bolt.Options{})) }

// TestStoreFolding folds after every few appends, also under load, and has to map
// the file again and again as it grows.
func TestStoreFolding(t *testing.T) {
	storagetest.Run(t, harness(bolt.Options{FoldAfter: 3, FoldAlways: 6, MapSize: 1}))
}

// TestStoreSealing seals records as soon as there are a few, so that nearly everything that
// is read was sealed.
func TestStoreSealing(t *testing.T) {
	storagetest.Run(t, harness(bolt.Options{FoldAfter: 1, FoldAlways: 6, SealAfter: 8}))
}
