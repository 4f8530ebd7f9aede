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
	t := text.Type{}
	var docs [3]ot.Doc
	for i, s := range []string{base, mine, theirs} {
		d, err := text.FromString(s)
		if err != nil {
			return "", err
		}
		docs[i] = d
	}
	op, err := diff.Between(t, docs[0], docs[1])
	if err != nil {
		return "", err
	}
	over, err := diff.Between(t, docs[0], docs[2])
	if err != nil {
		return "", err
	}
	if op, err = t.Transform(op, over, ot.Right); err != nil {
		return "", err
	}
	d, err := t.Apply(docs[2], op)
	if err != nil {
		return "", err
	}
	return d.(*text.Doc).String(), nil
}

// distance is how much has to be put into and taken out of one content to make it another, in
// characters.
func distance(from, to string) (int, error) {
	t := text.Type{}
	a, err := text.FromString(from)
	if err != nil {
		return 0, err
	}
	b, err := text.FromString(to)
	if err != nil {
		return 0, err
	}
	op, err := diff.Between(t, a, b)
	if err != nil {
		return 0, err
	}
	inserted, deleted := t.Measure(op)
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
