package api

import (
	"iter"
	"slices"

	"quire/session"
)

// names is what authors of an answer are called, by author, where that is not the author itself.
type names map[string]string

// names returns what authors of a document are called; they have to be in the answer.
func (a *API) names(doc string, authors iter.Seq[string]) names {
	return a.opt.Auth.NamesOf(doc, authors)
}

func (a *API) namesOfParts(doc string, parts []session.Part) names {
	return a.names(doc, each(parts, func(p session.Part) []string { return []string{p.Author} }))
}

// one is a sequence of one author.
func one(author string) iter.Seq[string] { return slices.Values([]string{author}) }

// each is a sequence of all authors of some things.
func each[T any](of []T, authors func(T) []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, v := range of {
			for _, author := range authors(v) {
				if !yield(author) {
					return
				}
			}
		}
	}
}
