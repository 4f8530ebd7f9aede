//go:build !unix

package main

import (
	"errors"
	"os"
	"syscall"
)

// file is not offered on this system: sockets cannot be passed on.
func (s *socket) file() (*os.File, error) { return nil, errors.ErrUnsupported }

func closeOnExec(*os.File) {}

// handoverSignal is one that does not come.
const handoverSignal = syscall.Signal(0)

func hasReader(*os.File) bool { return true }
