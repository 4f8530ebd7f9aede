package commands

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"quire/cmd/quire/remote"
)

// log lists a document's edits.
func (p *Program) log() *builder {
	b := p.new("log DOC[@POINT]", "list a document's edits, newest first", "quire log notes\nquire log notes --oneline --limit 5", cobra.ExactArgs(1))
	most := b.cmd.Flags().IntP("limit", "n", 0, "list at most this `number` of edits; 0: all")
	short := b.cmd.Flags().Bool("oneline", false, "one line an edit")
	return b.does("p", func(c *call) error {
		id, at, _ := splitPoint(c.args[0])
		before, err := revision(c, id, at)
		if err != nil {
			return err
		}
		for n := 0; *most <= 0 || n < *most; {
			page := 100
			if *most > 0 {
				page = min(page, *most-n)
			}
			groups, next, err := c.History(c.ctx, id, before, page)
			if err != nil {
				return err
			}
			var all crowd
			for _, g := range groups {
				all.add(g.Names, g.Authors...)
			}
			for _, g := range groups {
				if err := c.group(g, &all, *short); err != nil {
					return err
				}
			}
			n += len(groups)
			if before = next; next == nil {
				break
			}
		}
		return nil
	})
}

// revision is the revision of a point, nil for the head.
func revision(c *call, id string, at remote.Point) (*int64, error) {
	if at.IsHead() || at.Rev != nil {
		return at.Rev, nil
	}
	d, err := c.Get(c.ctx, id, at)
	return &d.Rev, err
}

// group prints an edit.
func (c *call) group(g remote.Group, all *crowd, short bool) error {
	if c.json {
		return c.line(g)
	}
	labels := ""
	if len(g.Labels) > 0 {
		labels = " (" + c.paint(cyan, plain(strings.Join(g.Labels, ", "))) + ")"
	}
	names := make([]string, len(g.Authors))
	for i, a := range g.Authors {
		if names[i] = all.who(a); !short { // with which revert knows them
			names[i] = all.full(a)
		}
	}
	authors := strings.Join(names, ", ")
	if short {
		fmt.Fprintf(c.out, "%s%s %s %s: %s\n", c.paint(yellow, revisions(g)), labels, when(g.End.Time), authors, c.measure(g))
		return nil
	}
	fmt.Fprintf(c.out, "%s%s\nAuthor: %s\nTime:   %s", c.paint(yellow, "revision "+revisions(g)), labels, authors, when(g.Start.Time))
	if end := when(g.End.Time); end != when(g.Start.Time) {
		fmt.Fprintf(c.out, " to %s", end)
	}
	fmt.Fprintf(c.out, "\n\n    %s\n\n", c.measure(g))
	return nil
}

// revisions names those of a group.
func revisions(g remote.Group) string {
	if g.To == g.From+1 {
		return strconv.FormatInt(g.To, 10)
	}
	return fmt.Sprintf("%d-%d", g.From+1, g.To)
}

// measure says what a group did.
func (c *call) measure(g remote.Group) string {
	switch g.Kind {
	case "create":
		return "created the document, " + c.paint(green, fmt.Sprintf("+%d", g.Inserted))
	case "delete":
		return c.paint(red, "deleted the document")
	}
	return count(g.Operations, "operation") + ", " + c.paint(green, fmt.Sprintf("+%d", g.Inserted)) + " " + c.paint(red, fmt.Sprintf("-%d", g.Deleted))
}

// diff shows what changed.
func (p *Program) diff() *builder {
	b := p.new("diff DOC[@A] [@B]", "show what changed between two points, or in the last edit", "quire diff notes\nquire diff notes@3\nquire diff notes@3 @7", cobra.RangeArgs(1, 2))
	return b.does("p", func(c *call) error {
		id, from, given := splitPoint(c.args[0])
		var to remote.Point
		if len(c.args) == 2 {
			if !given {
				return Errorf(Usage, "say from where: quire diff %s@A @B", id)
			}
			to = parsePoint(strings.TrimPrefix(c.args[1], "@"))
		}
		if !given {
			last, _, err := c.History(c.ctx, id, nil, 1)
			if err != nil {
				return err
			}
			if len(last) == 0 || last[0].From < 0 {
				return Errorf(NotFound, "nothing was edited since %s was made", id)
			}
			from, to = remote.AtRev(last[0].From), remote.AtRev(last[0].To)
		}
		d, err := c.Diff(c.ctx, id, from, to)
		if err != nil {
			return err
		}
		if c.json {
			return c.line(d)
		}
		for line := range strings.Lines(d.Unified) {
			text := strings.TrimSuffix(line, "\n")
			fmt.Fprintln(c.out, c.paint(diffColor(text), c.text(text)))
		}
		return nil
	})
}

func diffColor(line string) string {
	switch {
	case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
		return bold
	case strings.HasPrefix(line, "@@"):
		return cyan
	case strings.HasPrefix(line, "+"):
		return green
	case strings.HasPrefix(line, "-"):
		return red
	}
	return ""
}

// restore makes a document what it was.
func (p *Program) restore() *builder {
	b := p.new("restore DOC@POINT", "make a document what it was, by an edit that everybody sees", "quire restore notes@12\nquire restore notes@draft", cobra.ExactArgs(1))
	return b.does("p", func(c *call) error {
		id, at, given := splitPoint(c.args[0])
		if !given || at.IsHead() {
			return Errorf(Usage, "say what to restore: a revision, a time or a label, as in quire restore %s@12", id)
		}
		e, err := c.Restore(c.ctx, id, at)
		if err != nil {
			return err
		}
		return c.done(e, "%s", edited(id, e))
	})
}

// revert takes back what somebody did.
func (p *Program) revert() *builder {
	b := p.new("revert DOC AUTHOR", "take back what one author did, keeping everybody else's work", "quire revert notes Mallory\nquire revert notes Mallory --since 2h", cobra.ExactArgs(2))
	since := b.cmd.Flags().String("since", "", "only what came after this `point`: a revision or a time")
	until := b.cmd.Flags().String("until", "", "only what came up to this `point`: a revision or a time")
	return b.does("dx", func(c *call) error {
		id := document(c.args[0])
		from, to := parsePoint(*since), parsePoint(*until)
		if from.Label != "" || to.Label != "" {
			return Errorf(Usage, "--since and --until are a revision or a time, such as 12, 10:00 or 2h")
		}
		e, err := c.Revert(c.ctx, id, c.args[1], from, to)
		if err != nil {
			return err
		}
		return c.done(e, "%s", edited(id, e))
	})
}

// label has the commands on names of revisions.
func (p *Program) label() *builder {
	top := &builder{p: p, cmd: &cobra.Command{Use: "label", Short: "name revisions", GroupID: "docs", Args: cobra.NoArgs}}
	list := p.new("list DOC", "list a document's labels", "quire label list notes", cobra.ExactArgs(1)).does("d", func(c *call) error {
		labels, err := c.Labels(c.ctx, document(c.args[0]))
		if err != nil {
			return err
		}
		var rows [][]string
		var all crowd
		for _, l := range labels {
			all.add(l.Names, l.Author)
		}
		for _, l := range labels {
			if c.json {
				if err := c.line(l); err != nil {
					return err
				}
			}
			rows = append(rows, []string{l.Name, strconv.FormatInt(l.Rev, 10), all.who(l.Author), when(l.Time.Time)})
		}
		if len(rows) == 0 {
			c.remark("%s has no labels.", plain(document(c.args[0])))
		}
		if c.json || len(rows) == 0 {
			return nil
		}
		return c.table("LABEL\tREVISION\tSET BY\tSET", rows)
	})
	set := p.new("set DOC[@POINT] NAME", "name a revision, or move a name to it", "quire label set notes draft\nquire label set notes@12 draft", cobra.ExactArgs(2)).does("pn", func(c *call) error {
		id, at, _ := splitPoint(c.args[0])
		rev, err := revision(c, id, at)
		if err != nil {
			return err
		}
		l, err := c.SetLabel(c.ctx, id, c.args[1], rev)
		if err != nil {
			return err
		}
		return c.done(l, "%s is revision %d of %s.", plain(l.Name), l.Rev, plain(id))
	})
	rm := p.new("rm DOC NAME", "remove a label", "quire label rm notes draft", cobra.ExactArgs(2)).does("dn", func(c *call) error {
		if err := c.DeleteLabel(c.ctx, document(c.args[0]), c.args[1]); err != nil {
			return err
		}
		return c.done(map[string]string{"removed": c.args[1]}, "Removed the label %s.", plain(c.args[1]))
	})
	for _, b := range []*builder{list, set, rm} {
		b.cmd.GroupID = ""
		top.cmd.AddCommand(b.cmd)
	}
	return top
}

// blame shows who wrote what.
func (p *Program) blame() *builder {
	b := p.new("blame DOC[@POINT]", "show who wrote each line last, and when", "quire blame notes\nquire blame notes@12", cobra.ExactArgs(1))
	return b.does("p", func(c *call) error {
		id, at, _ := splitPoint(c.args[0])
		d, err := c.Get(c.ctx, id, at)
		if err != nil {
			return err
		}
		spans, _, err := c.Blame(c.ctx, id, &d.Rev)
		if err != nil {
			return err
		}
		if c.json {
			for _, s := range spans {
				if err := c.line(s); err != nil {
					return err
				}
			}
			return nil
		}
		lines, err := blamed(d, spans)
		if err != nil {
			return err
		}
		c.blameLines(lines)
		return nil
	})
}

// blameLines prints lines with who made them, in columns.
func (c *call) blameLines(lines []blameLine) {
	revs, names := 0, 0
	var all crowd
	for _, l := range lines {
		all.add(l.Names, l.Author)
	}
	for _, l := range lines {
		revs = max(revs, len(strconv.FormatInt(l.Rev, 10)))
		names = max(names, len([]rune(all.who(l.Author))))
	}
	for i, l := range lines {
		origin := fmt.Sprintf("%*d  %-*s  %s", revs, l.Rev, names, all.who(l.Author), when(l.Time.Time))
		fmt.Fprintf(c.out, "%s %*d  %s\n", c.paint(yellow, origin), len(strconv.Itoa(len(lines))), i+1, c.text(l.text))
	}
}

// blameLine is a line of a document with its newest part.
type blameLine struct {
	remote.Span
	text string
}

// blamed makes lines of a document's parts: of its text, or for JSON one for each part with its path.
func blamed(d remote.Document, spans []remote.Span) ([]blameLine, error) {
	if d.Type == "json0" {
		lines := make([]blameLine, len(spans))
		for i, s := range spans {
			lines[i] = blameLine{s, pathText(s.Path)}
			if s.Length > 0 {
				lines[i].text += fmt.Sprintf(" [%d:%d]", s.Start, s.Start+s.Length)
			}
		}
		return lines, nil
	}
	text, err := runOfText(d)
	if err != nil {
		return nil, err
	}
	var lines []blameLine
	at, next := 0, 0
	for line := range strings.Lines(text) {
		end := at
		for _, r := range line {
			end += unitsOf(d.Type, r)
		}
		for next < len(spans) && spans[next].Start+spans[next].Length <= at {
			next++
		}
		l := blameLine{text: strings.TrimRight(line, "\r\n")}
		for i := next; i < len(spans) && spans[i].Start < end; i++ {
			if i == next || spans[i].Rev >= l.Rev {
				l.Span = spans[i]
			}
		}
		lines = append(lines, l)
		at = end
	}
	return lines, nil
}

// unitsOf is how many of a type's units a character is.
func unitsOf(docType string, r rune) int {
	if docType != "text-unicode" && r > 0xFFFF {
		return 2
	}
	return 1
}

// runOfText is the text of a document, with an object replacement character for each embed.
func runOfText(d remote.Document) (string, error) {
	var s string
	if d.Type != "delta" {
		err := json.Unmarshal(d.Content, &s)
		return s, err
	}
	var parts []struct {
		Insert json.RawMessage `json:"insert"`
	}
	if err := json.Unmarshal(d.Content, &parts); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range parts {
		if json.Unmarshal(p.Insert, &s) == nil {
			b.WriteString(s)
		} else {
			b.WriteRune('\uFFFC')
		}
	}
	return b.String(), nil
}

// pathText writes a path like a pointer.
func pathText(path json.RawMessage) string {
	var parts []any
	if json.Unmarshal(path, &parts) != nil || len(parts) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, p := range slices.All(parts) {
		fmt.Fprintf(&b, "/%v", p)
	}
	return b.String()
}
