package ottypes

import (
	"errors"
	"fmt"
	"strings"

	"quire/ot"
	"quire/ot/jsonscan"
)

// diagnosed returns the error for a json0 operation that could not be read, in the words
// of ShareDB's server (checkSubmittedJson0Op in its lib/ot.js) where it looks for the same.
func diagnosed(data []byte, err error) error {
	const path = "Invalid path segment"
	in := jsonscan.New(data)
	if in.Peek() != '[' {
		return fmt.Errorf("%w: json0 op must be an array", ot.ErrSyntax)
	}
	found := in.Array(func() error {
		component, err := in.Raw()
		if err != nil {
			return err
		}
		return checkComponent(component)
	})
	switch {
	case errors.Is(found, errNoPath):
		return fmt.Errorf("%w: Missing path", ot.ErrSyntax)
	case errors.Is(found, errBadPath) || strings.Contains(err.Error(), path):
		return fmt.Errorf("%w: "+path, ot.ErrMismatch)
	}
	return err
}

var (
	errNoPath  = errors.New("no path")
	errBadPath = errors.New("a path with something else than names and indexes")
)

// checkComponent looks at the path of one component.
func checkComponent(component []byte) error {
	var path []byte
	in := jsonscan.New(component)
	err := in.Object(func(name string) error {
		value, err := in.Raw()
		if name == "p" {
			path = value
		}
		return err
	})
	in = jsonscan.New(path)
	if err != nil || in.Peek() != '[' {
		return errNoPath
	}
	return in.Array(func() error {
		key, err := in.Raw()
		if err != nil {
			return err
		}
		if c := key[0]; c != '"' && c != '-' && (c < '0' || c > '9') {
			return errBadPath
		}
		return nil
	})
}
