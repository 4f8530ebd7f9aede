package main

import (
	"context"
	"errors"
	"io"

	quirebench "quire/cmd/quire/bench"
)

// bench runs "quire bench".
func bench(ctx context.Context, args []string, out, errOut io.Writer) error {
	err := quirebench.Run(ctx, args, out, errOut)
	var usage quirebench.UsageError
	if errors.As(err, &usage) {
		return usageError(usage)
	}
	return err
}
