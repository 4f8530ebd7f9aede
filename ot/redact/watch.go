package redact

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"quire/ot/runs"
	"quire/ot/units"
)

// Marks are numbers of units that are to be redacted: everything that was ever inserted is
// numbered from 0, in the order in which it was. The zero value has none.
type Marks struct {
	list []mark
	kept int // how many there were when they were put in order last
}

type mark struct{ from, to int64 }

// Add marks n units from the given number on.
func (m *Marks) Add(first int64, n int) {
	m.list = append(m.list, mark{first, first + int64(n)})
	if len(m.list) > 2*m.kept+1024 {
		m.Sort()
	}
}

// Found reports whether there are any.
func (m *Marks) Found() bool { return len(m.list) > 0 }

// Sort puts the marks in order, as Cover needs them.
func (m *Marks) Sort() {
	slices.SortFunc(m.list, func(a, b mark) int { return cmp.Compare(a.from, b.from) })
	out := m.list[:0]
	for _, next := range m.list {
		if last := len(out) - 1; last >= 0 && next.from <= out[last].to {
			out[last].to = max(out[last].to, next.to)
		} else {
			out = append(out, next)
		}
	}
	m.list, m.kept = out, len(out)
}

// Cover returns text, whose units are numbered from first on, with filler in the place of
// those that are marked.
func (m *Marks) Cover(text string, unit units.Unit, first int64, filler string) string {
	i := sort.Search(len(m.list), func(i int) bool { return m.list[i].to > first })
	if i == len(m.list) || text == "" || m.list[i].from >= first+int64(len(text)) {
		return text
	}
	var out strings.Builder
	at := first
	for ; i < len(m.list) && text != ""; i++ {
		keep, _ := units.Seek(text, unit, int(max(0, m.list[i].from-at)))
		out.WriteString(text[:keep[units.Bytes]])
		text = text[keep[units.Bytes]:]
		at += int64(keep[unit])
		gone, _ := units.Seek(text, unit, int(m.list[i].to-at))
		out.WriteString(strings.Repeat(filler, gone[unit]))
		text = text[gone[units.Bytes]:]
		at += int64(gone[unit])
	}
	out.WriteString(text)
	return out.String()
}

// A Watch looks for a secret in one text while that is edited, near each edit, and marks
// the units that make it up, wherever they came from.
type Watch struct {
	*Secret
	*Marks
	Unit units.Unit
	// IDs has the numbers of the units that are in the text; it is Rising.
	IDs     *runs.List
	changes [][2]int // [from, to) in the text as it became, in order
}

// Changed says that the units [at, at+n) are new, or with n 0 that some before at are gone. Calls
// come in the order of the text.
func (w *Watch) Changed(at, n int) {
	if last := len(w.changes) - 1; last >= 0 && at-w.changes[last][1] < 2*w.Len(w.Unit) {
		w.changes[last][1] = at + n
		return
	}
	w.changes = append(w.changes, [2]int{at, at + n})
}

// Seen lets go of what only Look needs, puts the marks in order and reports whether there are any.
func (w *Watch) Seen() bool {
	w.IDs, w.changes = nil, nil
	w.Sort()
	return w.Found()
}

// Look marks what is found around the changes. slice returns the units [from, to) of the
// text, or an error when one of them is within a character.
func (w *Watch) Look(slice func(from, to int) (string, error)) {
	near := w.Len(w.Unit) - 1
	for _, c := range w.changes {
		from, to := max(0, c[0]-near), min(w.IDs.Len(), c[1]+near)
		s, err := slice(from, to)
		for k := 1; err != nil && k < 4; k++ { // no secret begins or ends within a character
			if s, err = slice(from+k&1, to-k>>1); err == nil {
				from += k & 1
			}
		}
		at := 0
		for i, j := range w.Find(s) {
			from += units.Count(s[at:i])[w.Unit]
			n := units.Count(s[i:j])[w.Unit]
			for r := range w.IDs.Range(from, from+n) {
				w.Add(r.First, r.N)
			}
			from, at = from+n, j
		}
	}
	w.changes = w.changes[:0]
}
