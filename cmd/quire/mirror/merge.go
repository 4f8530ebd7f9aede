package mirror

import (
	"quire/ot"
	"quire/ot/diff"
	"quire/ot/text"
)

// merge returns theirs with what leads from base to mine, as the server would bring it in.
func merge(base, mine, theirs string) (string, error) {
	if mine == base || mine == theirs {
		return theirs, nil
	}
	if theirs == base {
		return mine, nil
	}
	op, err := between(base, mine)
	if err != nil {
		return "", err
	}
	over, err := between(base, theirs)
	if err != nil {
		return "", err
	}
	if op, err = text.Transform(op, over, ot.Right); err != nil {
		return "", err
	}
	d, err := text.FromString(theirs)
	if err != nil {
		return "", err
	}
	if d, err = d.Apply(op); err != nil {
		return "", err
	}
	return d.String(), nil
}

// between returns a small operation that leads from one text to another.
func between(from, to string) (text.Op, error) {
	a, err := text.FromString(from)
	if err != nil {
		return nil, err
	}
	b, err := text.FromString(to)
	if err != nil {
		return nil, err
	}
	op, err := diff.Between(text.Type{}, a, b)
	if err != nil {
		return nil, err
	}
	return op.(text.Op), nil
}

// distance is how much has to be put into and taken out of one content to make it another, in
// characters.
func distance(from, to string) (int, error) {
	op, err := between(from, to)
	if err != nil {
		return 0, err
	}
	inserted, deleted := text.Type{}.Measure(op)
	return inserted + deleted, nil
}

// nearer reports whether content is more like a than like b.
func nearer(content, a, b string) (bool, error) {
	toA, err := distance(a, content)
	if err != nil {
		return false, err
	}
	toB, err := distance(b, content)
	return toA < toB, err
}
