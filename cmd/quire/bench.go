package main

import (
	"context"
	"errors"

	quirebench "quire/cmd/quire/bench"
	"quire/cmd/quire/commands"
)

// bench runs "quire bench".
func bench(ctx context.Context, args []string, p *commands.Program) error {
	err := quirebench.Run(ctx, args, quirebench.Credentials{Token: p.Token, Usage: commands.TokenFileUsage}, p.Out, p.Err)
	var usage quirebench.UsageError
	if errors.As(err, &usage) {
		return usageError(usage)
	}
	return err
}
