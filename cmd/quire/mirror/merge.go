package mirror

import (
	"slices"
	"strings"

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

// between returns an operation that leads from one text to another. Lines that are in both once, and in
// the same order, stay, however much is changed around them: both sides of a merge
// are found so, and what one of them took out and put in again would be there twice.
func between(from, to string) (text.Op, error) {
	a, b := slices.Collect(strings.Lines(from)), slices.Collect(strings.Lines(to))
	var out text.Builder
	i, j := 0, 0
	for _, at := range append(anchors(a, b), [2]int{len(a), len(b)}) {
		if err := change(&out, strings.Join(a[i:at[0]], ""), strings.Join(b[j:at[1]], "")); err != nil {
			return nil, err
		}
		if i, j = at[0], at[1]; i < len(a) {
			if err := change(&out, a[i], b[j]); err != nil {
				return nil, err
			}
		}
		i, j = i+1, j+1
	}
	return out.Op()
}

// change adds what leads from one piece of text to another.
func change(out *text.Builder, from, to string) error {
	a, err := text.FromString(from)
	if err != nil {
		return err
	}
	if from == to {
		out.Retain(a.Len())
		return nil
	}
	b, err := text.FromString(to)
	if err != nil {
		return err
	}
	op, err := diff.Between(text.Type{}, a, b)
	if err != nil {
		return err
	}
	rest := a.Len()
	for _, c := range op.(text.Op) {
		switch c.Kind {
		case text.Retain:
			out.Retain(c.N)
			rest -= c.N
		case text.Delete:
			out.Delete(c.N)
			rest -= c.N
		case text.Insert:
			out.Insert(c.S)
		}
	}
	out.Retain(rest)
	return nil
}

// anchors returns, in order, the pairs of indexes of lines that are once in a and once in b: as many as
// there are in the same order in both.
func anchors(a, b []string) [][2]int {
	const twice = -1
	in := func(lines []string) map[string]int {
		at := make(map[string]int, len(lines))
		for i, l := range lines {
			if _, ok := at[l]; ok {
				i = twice
			}
			at[l] = i
		}
		return at
	}
	inA, inB := in(a), in(b)
	type link struct {
		pair [2]int
		back *link
	}
	var ends []*link // of the runs of each length, the one that ends soonest in b
	for i, l := range a {
		j, ok := inB[l]
		if !ok || j == twice || inA[l] == twice {
			continue
		}
		n, _ := slices.BinarySearchFunc(ends, j, func(e *link, j int) int { return e.pair[1] - j })
		x := &link{pair: [2]int{i, j}}
		if n > 0 {
			x.back = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, x)
		} else {
			ends[n] = x
		}
	}
	var out [][2]int
	if len(ends) > 0 {
		for x := ends[len(ends)-1]; x != nil; x = x.back {
			out = append(out, x.pair)
		}
	}
	slices.Reverse(out)
	return out
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
