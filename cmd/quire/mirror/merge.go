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
