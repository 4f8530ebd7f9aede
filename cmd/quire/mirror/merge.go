package mirror

import (
	"quire/cmd/quire/form"
	"quire/ot"
	"quire/ot/diff"
	"quire/ot/json0"
	"quire/ot/text"
)

// algebra returns the type by which files of a form are merged: what is JSON stays JSON.
func algebra(f form.Form) ot.Type {
	if f == form.JSON {
		return json0.Type{}
	}
	return text.Type{}
}

// document reads a file's content as one of t.
func document(t ot.Type, content string) (ot.Doc, error) {
	if _, ok := t.(text.Type); ok {
		return text.FromString(content)
	}
	return t.Create([]byte(content))
}

// merge returns theirs with what leads from base to mine, as the server would bring it in. All
// three are fit for the form.
func merge(f form.Form, base, mine, theirs string) (string, error) {
	if f.Same(mine, base) || f.Same(mine, theirs) {
		return theirs, nil
	}
	if f.Same(theirs, base) {
		return mine, nil
	}
	t := algebra(f)
	var docs [3]ot.Doc
	for i, s := range []string{base, mine, theirs} {
		d, err := document(t, s)
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
	if plain, ok := d.(*text.Doc); ok {
		return plain.String(), nil
	}
	return f.Show(t.AppendDoc(nil, d))
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
func nearer(f form.Form, content, a, b string) (bool, error) {
	content = f.Plain(content)
	toA, err := distance(f.Plain(a), content)
	if err != nil {
		return false, err
	}
	toB, err := distance(f.Plain(b), content)
	return toA < toB, err
}
