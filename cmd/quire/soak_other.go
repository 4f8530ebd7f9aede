//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

// runSoak says that faults are made by means of Linux.
func runSoak(context.Context, []string, io.Writer, io.Writer) error {
	return errors.New("quire soak makes faults by means of Linux, and does not run on other systems")
}
