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

// distance is how many bytes two contents differ by, at most: what lies between what they
// have in common at the beginning and at the end.
func distance(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	a, b = a[n:], b[n:]
	for n = 0; n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n]; {
		n++
	}
	return len(a) + len(b) - 2*n
}
