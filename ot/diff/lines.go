package diff

import (
	"fmt"
	"strings"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/json0"
	"quire/ot/jsonvalue"
	"quire/ot/text"
)

// Unified returns what differs between two texts, both valid UTF-8, as a unified diff: lines that
// begin with "-" and "+", with so many lines of context around them, at least 0. It is empty when
// the texts are equal. It takes time near-linear in the texts and is not much longer
// than both.
func Unified(fromName, toName string, from, to string, context int) string {
	edits := lineEdits(from, to)
	if len(edits) == 0 {
		return ""
	}
	u := unified{from: from, context: max(0, context)}
	u.out.WriteString("--- " + fromName + "\n+++ " + toName + "\n")
	for _, e := range edits {
		u.edit(e, to[e.ReplStart:e.ReplEnd])
	}
	u.end()
	return u.out.String()
}

// lineEdits returns the edits in bytes that lead from one text to another by whole lines.
func lineEdits(from, to string) []edit {
	whole := wholeLines(from, to)
	if strings.Count(from[whole.Start:whole.End], "\n")+strings.Count(to[whole.ReplStart:whole.ReplEnd], "\n") > maxLines {
		return []edit{whole}
	}
	t := texts{from, to, newBudget()}
	return t.compare(whole, strings.Lines, true)
}

// unified writes a unified diff.
type unified struct {
	out     strings.Builder
	from    string
	context int

	at, line int // in from: what was written or passed over, in bytes and in lines
	shift    int // how many lines more there are in the other text up to there

	// The hunk that is being written: its lines, where it begins, how many lines it has of each text.
	hunk               strings.Builder
	fromLine, toLine   int
	fromCount, toCount int
}

// edit writes that lines of from give way to others.
func (u *unified) edit(e edit, put string) {
	gap := strings.Count(u.from[u.at:e.Start], "\n")
	if u.hunk.Len() == 0 || gap > 2*u.context {
		if u.hunk.Len() > 0 {
			u.end()
			gap -= u.context
		}
		for range gap - u.context {
			u.next()
			gap--
		}
		u.fromLine, u.toLine, u.fromCount, u.toCount = u.line, u.line+u.shift, 0, 0
	}
	u.same(gap)
	for u.at < e.End {
		u.write('-', u.next())
		u.fromCount++
		u.shift--
	}
	for line := range strings.Lines(put) {
		u.write('+', line)
		u.toCount++
		u.shift++
	}
}

// next passes over a line of from.
func (u *unified) next() string {
	n := strings.IndexByte(u.from[u.at:], '\n') + 1
	if n == 0 {
		n = len(u.from) - u.at
	}
	u.at += n
	u.line++
	return u.from[u.at-n : u.at]
}

// same writes n lines of from, or as many as there are.
func (u *unified) same(n int) {
	for ; n > 0 && u.at < len(u.from); n-- {
		u.write(' ', u.next())
		u.fromCount++
		u.toCount++
	}
}

func (u *unified) write(mark byte, line string) {
	u.hunk.WriteByte(mark)
	u.hunk.WriteString(line)
	if !strings.HasSuffix(line, "\n") {
		u.hunk.WriteString("\n\\ No newline at end of file\n")
	}
}

// end ends the hunk.
func (u *unified) end() {
	u.same(u.context)
	fmt.Fprintf(&u.out, "@@ -%s +%s @@\n", lineRange(u.fromLine, u.fromCount), lineRange(u.toLine, u.toCount))
	u.out.WriteString(u.hunk.String())
	u.hunk.Reset()
}

// lineRange says where n lines are that follow the first so many; of none, after which one.
func lineRange(before, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", before)
	case 1:
		return fmt.Sprint(before + 1)
	}
	return fmt.Sprintf("%d,%d", before+1, n)
}

// Lines returns how a document reads as lines, for Unified: text as it is, rich text as its
// text with "[image]" where an image is embedded, and so with other objects; JSON indented,
// with names in the order of RFC 8785. Formatting does not show.
func Lines(t ot.Type, d ot.Doc) string {
	switch d := d.(type) {
	case *text.Doc:
		return d.String()
	case *delta.Doc:
		return richLines(d)
	case *json0.Doc:
		var w jsonLines
		w.value(d.Value(), "\n")
		w.out.WriteByte('\n')
		return w.out.String()
	}
	return string(t.AppendDoc(nil, d))
}

func richLines(d *delta.Doc) string {
	var out strings.Builder
	head, _, _ := inserts(d)
	for _, c := range head {
		out.WriteString(c.S)
		if c.S == "" {
			name := "object"
			if c.Embed.Len() > 0 {
				name = c.Embed.Member(0).Name
			}
			out.WriteString("[" + name + "]")
		}
	}
	return out.String()
}

// maxLaid bounds the bytes that are laid out in lines: what follows is written in one.
const maxLaid = 64 << 20

// jsonLines writes JSON in lines.
type jsonLines struct{ out strings.Builder }

// value writes v, where newline begins a line that v ends in.
func (w *jsonLines) value(v jsonvalue.Value, newline string) {
	const indent = "  "
	if w.out.Len() > maxLaid {
		w.out.Write(jsonvalue.Append(nil, v))
		return
	}
	switch v := v.(type) {
	case *jsonvalue.List:
		w.out.WriteByte('[')
		for i := range v.Len() {
			w.item(i, newline+indent)
			w.value(v.At(i), newline+indent)
		}
		w.end(v.Len(), newline, ']')
	case *jsonvalue.Object:
		w.out.WriteByte('{')
		for i := range v.Len() {
			w.item(i, newline+indent)
			w.out.Write(append(jsonvalue.Append(nil, v.Member(i).Name), ": "...))
			w.value(v.Member(i).Value, newline+indent)
		}
		w.end(v.Len(), newline, '}')
	default:
		w.out.Write(jsonvalue.Append(nil, v))
	}
}

// item begins the line of item i.
func (w *jsonLines) item(i int, newline string) {
	if i > 0 {
		w.out.WriteByte(',')
	}
	w.line(newline)
}

// end ends a list or object of n items.
func (w *jsonLines) end(n int, newline string, bracket byte) {
	if n > 0 {
		w.line(newline)
	}
	w.out.WriteByte(bracket)
}

func (w *jsonLines) line(newline string) {
	if w.out.Len() <= maxLaid {
		w.out.WriteString(newline)
	}
}
