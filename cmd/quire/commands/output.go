package commands

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"quire/cmd/quire/remote"
)

// Colours of a terminal.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// printer writes what a command has to say.
type printer struct {
	out    *bufio.Writer
	err    io.Writer
	json   bool
	color  bool
	people bool // somebody looks at out
	watch  bool // somebody looks at err
}

// printer makes a command's printer; when is what --color says.
func (p *Program) printer(when string, json bool) (printer, error) {
	pr := printer{out: bufio.NewWriter(p.Out), err: p.Err, json: json, people: p.Terminal && !json, watch: p.ErrTerminal && !json}
	switch when {
	case "always":
		pr.color = !json
	case "never":
	case "auto":
		pr.color = pr.people && p.Env("NO_COLOR") == "" && p.Env("TERM") != "dumb"
	default:
		return pr, Errorf(Usage, "--color is %q; it has to be auto, always or never", when)
	}
	return pr, nil
}

// flush writes out what is waiting.
func (p printer) flush() error { return p.out.Flush() }

// paint puts s in a colour, when there are colours.
func (p printer) paint(color, s string) string {
	if !p.color || s == "" || color == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// line prints v as a line of JSON.
func (p printer) line(v any) error {
	enc := json.NewEncoder(p.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// remark tells people what happened; scripts are told by the exit code.
func (p printer) remark(format string, args ...any) {
	if p.people {
		fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// done reports a result: as JSON, or as a remark to people.
func (p printer) done(v any, format string, args ...any) error {
	if p.json {
		return p.line(v)
	}
	p.remark(format, args...)
	return nil
}

// progress tells people how far a long thing is, on one line of err that is overwritten.
func (p printer) progress(format string, args ...any) {
	if p.watch {
		fmt.Fprintf(p.err, "\r\x1b[K"+format, args...)
	}
}

// progressed ends the line of progress.
func (p printer) progressed() {
	if p.watch {
		fmt.Fprint(p.err, "\r\x1b[K")
	}
}

// table prints rows: for people in columns under a header, for programs with tabs between the cells.
func (p printer) table(header string, rows [][]string) error {
	if !p.people {
		for _, row := range rows {
			fmt.Fprintln(p.out, strings.Join(clean(row), "\t"))
		}
		return nil
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(clean(row), "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, line := range strings.SplitAfter(b.String(), "\n") {
		text := strings.TrimRight(line, " \n")
		if i == 0 {
			text = p.paint(bold, text)
		}
		if line != "" {
			fmt.Fprintln(p.out, text)
		}
	}
	return nil
}

func clean(cells []string) []string {
	for i, c := range cells {
		cells[i] = plain(c)
	}
	return cells
}

// plain is s without what would move a terminal's cursor or change its colours: others may have
// written it.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// Plain is s without what would move a terminal's cursor or change its colours: others may have
// written it.
func Plain(s string) string { return plain(s) }

// text is a line of a document for out: as it is for programs, for people without what would
// disturb the terminal. Tabs stay.
func (p printer) text(s string) string {
	if !p.people {
		return s
	}
	parts := strings.Split(s, "\t")
	return strings.Join(clean(parts), "\t")
}

// when writes a time for people.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// crowd are authors that people are told of, with what they are called.
type crowd struct {
	names map[string]string // by author
	alike map[string]int    // how many authors are called so
}

// add takes in authors with their names where they have some, before any of the crowd is written.
func (c *crowd) add(names remote.Names, authors ...string) {
	if c.names == nil {
		c.names, c.alike = map[string]string{}, map[string]int{}
	}
	for _, author := range authors {
		if _, known := c.names[author]; known {
			continue
		}
		name := author
		if n, ok := names[author]; ok {
			name = n
		}
		c.names[author] = name
		c.alike[strings.ToLower(seen(name))]++
	}
}

// who writes an author for people: by name, and as recorded, too, when another has that name.
func (c *crowd) who(author string) string {
	name := c.names[author]
	if c.alike[strings.ToLower(seen(name))] > 1 {
		return c.full(author)
	}
	return known(name)
}

// full writes an author by name and as recorded.
func (c *crowd) full(author string) string {
	return known(Called(author, c.names[author]))
}

func known(name string) string {
	if name == "" {
		return "anonymous"
	}
	return seen(name)
}

// Called writes an author and, before it, the name where there is another: without what cannot be seen in them.
func Called(author, name string) string {
	if name == "" || name == author {
		return seen(author)
	}
	return seen(name) + " (" + seen(author) + ")"
}

// seen is a name without what cannot be seen in it: it could look like another's.
func seen(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || r == 0x2800 {
			return unicode.ReplacementChar
		}
		return r
	}, name)
}

// count puts a number before a noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d MB", n/1_000_000)
}
