package commands

import (
	"context"
	"errors"
	"fmt"

	"quire/cmd/quire/remote"
)

// Exit codes. They do not change; docs/cli.md lists them.
const (
	OK          = 0
	Failed      = 1
	Usage       = 2
	NotFound    = 3   // a document, revision, label, file or folder that is not there
	Changed     = 4   // something is there already, or has changed in the meantime
	Unreachable = 5   // the server cannot be reached or cannot answer now, or the data folder is in use
	Gone        = 6   // older than what is kept
	Damaged     = 7   // data that is not as it was written
	Denied      = 8   // the server wants to know who asks, or they may not do this
	Interrupted = 130 // stopped by a signal
)

// Error is a failure with its exit code.
type Error struct {
	Code int
	Err  error
}

// Error is the sentence for people.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns what it is about.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error.
func Errorf(code int, format string, args ...any) *Error {
	return &Error{code, fmt.Errorf(format, args...)}
}

// ExitCode returns the exit code of an error.
func ExitCode(err error) int {
	var e *Error
	var away *remote.Unreachable
	var p *remote.Problem
	switch {
	case err == nil:
		return OK
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.As(err, &away):
		return Unreachable
	case errors.As(err, &p):
		return problemCode(p)
	}
	return Failed
}

// problemCode is the exit code of a server's refusal.
func problemCode(p *remote.Problem) int {
	switch p.Status {
	case 401, 403:
		return Denied
	case 404:
		return NotFound
	case 409, 412, 428:
		return Changed
	case 410:
		return Gone
	}
	if p.Code == "future" {
		return NotFound
	}
	return Failed
}
