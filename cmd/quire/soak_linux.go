package main

import (
	"context"
	"errors"
	"io"
	"os"

	"quire/cmd/quire/soak"
)

// runSoak runs "quire soak".
func runSoak(ctx context.Context, args []string, out, errOut io.Writer) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	err = soak.Run(ctx, args, soak.Options{Exe: exe, Self: []string{"soak"}, Kinds: soak.Kinds()}, out, errOut)
	var usage soak.UsageError
	if errors.As(err, &usage) {
		return usageError(usage)
	}
	return err
}
