package jsonvalue

import (
	"fmt"

	"quire/ot"
	"quire/ot/jsonscan"
)

// Parse reads one value. It fails with ot.ErrSyntax, or with ot.ErrLimit when lists
// and objects lie more than maxDepth deep (0 means DefaultDepth). A number of any
// spelling becomes the nearest double; one past the largest double is ErrLimit. A
// name "__proto__" is ErrSyntax: too many programs that JSON passes through trip over
// it.
func Parse(data []byte, maxDepth int) (Value, error) {
	in := jsonscan.New(data)
	v, err := Read(&in, maxDepth)
	if err == nil {
		err = in.End()
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// DefaultDepth is how deep lists and objects may lie within one another unless a
// caller says otherwise.
const DefaultDepth = 128

// Read is Parse of the next value of a longer text.
func Read(in *jsonscan.Scanner, maxDepth int) (Value, error) {
	if maxDepth <= 0 {
		maxDepth = DefaultDepth
	}
	return read(in, maxDepth)
}

func read(in *jsonscan.Scanner, depth int) (Value, error) {
	switch c := in.Peek(); {
	case c == '"':
		s, err := in.String()
		if err != nil {
			return nil, err
		}
		return s, nil
	case (c == '[' || c == '{') && depth == 0:
		return nil, fmt.Errorf("%w: JSON is nested too deep", ot.ErrLimit)
	case c == '[':
		return readList(in, depth-1)
	case c == '{':
		return readObject(in, depth-1)
	case c == '-' || c-'0' <= 9:
		f, err := in.Number()
		if err != nil {
			return nil, err
		}
		return f, nil
	case in.Word("null"):
		return nil, nil
	case in.Word("true"):
		return true, nil
	case in.Word("false"):
		return false, nil
	}
	return nil, in.Fail("value expected")
}

func readList(in *jsonscan.Scanner, depth int) (Value, error) {
	var items []Value
	err := in.Array(func() error {
		v, err := read(in, depth)
		items = append(items, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return NewList(items), nil
}

func readObject(in *jsonscan.Scanner, depth int) (Value, error) {
	var members []Member
	err := in.Object(func(name string) error {
		if name == "__proto__" {
			return in.Fail(`the name "__proto__"`)
		}
		v, err := read(in, depth)
		members = append(members, Member{name, v})
		return err
	})
	if err != nil {
		return nil, err
	}
	return NewObject(members), nil
}
