package auth

import (
	"slices"
	"strings"
)

// Over returns what may be done with every document of a pattern, whether or not there are any.
func (i *Identity) Over(docs Pattern) Role {
	prefix, many := strings.CutSuffix(string(docs), "*")
	if !many {
		return i.Role(prefix)
	}
	if i.Namespace != "" && !strings.HasPrefix(prefix, i.Namespace+"/") {
		return None
	}
	most := None
	for _, g := range i.Grants {
		if p, all := strings.CutSuffix(string(g.Docs), "*"); all && g.Role > most && strings.HasPrefix(prefix, p) {
			most = g.Role
		}
	}
	return most
}

// With returns the documents with which at least a role is held, among those whose ids begin
// with prefix: patterns of which none matches a document of another, in the byte order of their documents.
func (i *Identity) With(least Role, prefix string) []Pattern {
	if i.Namespace != "" {
		var ok bool
		if prefix, ok = narrower(prefix, i.Namespace+"/"); !ok {
			return nil
		}
	}
	var out []Pattern
	for _, g := range i.Grants {
		if g.Role < least {
			continue
		}
		if p, all := strings.CutSuffix(string(g.Docs), "*"); all {
			if p, ok := narrower(prefix, p); ok {
				out = append(out, Pattern(p+"*"))
			}
		} else if strings.HasPrefix(p, prefix) {
			out = append(out, g.Docs)
		}
	}
	slices.SortFunc(out, func(a, b Pattern) int { return strings.Compare(order(a), order(b)) })
	kept := out[:0]
	for _, p := range out {
		if last := len(kept) - 1; last < 0 || !kept[last].covers(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// narrower returns the longer one of two beginnings of ids; ok is false when no id begins with both.
func narrower(a, b string) (longer string, ok bool) {
	if len(a) < len(b) {
		a, b = b, a
	}
	return a, strings.HasPrefix(a, b)
}

// order is by what patterns are sorted: the first document that they match, and of those with the same
// the one that matches most first.
func order(p Pattern) string {
	if prefix, all := strings.CutSuffix(string(p), "*"); all {
		return prefix
	}
	return string(p) + "\x00"
}

// covers reports whether p matches everything that other does.
func (p Pattern) covers(other Pattern) bool {
	prefix, all := strings.CutSuffix(string(p), "*")
	return p == other || all && strings.HasPrefix(string(other), prefix)
}

// Over returns what may be done now with every document of a pattern; None when it has ended.
func (p *Pass) Over(docs Pattern) Role {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return None
	}
	return p.identity.Over(docs)
}
