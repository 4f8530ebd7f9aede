package commands

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"quire/cmd/quire/form"
	"quire/cmd/quire/remote"
)

// ls lists documents.
func (p *Program) ls() *builder {
	b := p.new("ls [PREFIX]", "list documents", "quire ls\nquire ls reports/ --json", cobra.MaximumNArgs(1))
	most := b.cmd.Flags().Int("limit", 0, "list at most this `number`; 0: all")
	return b.does("b", func(c *call) error {
		if *most < 0 {
			return Errorf(Usage, "--limit is %d; it has to be 0 or more", *most)
		}
		prefix, after := strings.Join(c.args, ""), ""
		var rows [][]string
		for left := *most; ; {
			page := 1000
			if *most > 0 {
				page = min(page, left)
			}
			docs, next, err := c.List(c.ctx, prefix, after, page)
			if err != nil {
				return err
			}
			for _, d := range docs {
				if c.json {
					if err := c.line(d); err != nil {
						return err
					}
					continue
				}
				rows = append(rows, []string{d.ID, orDash(d.Type), strconv.FormatInt(d.Rev, 10), when(d.Modified.Time), d.Title})
			}
			left -= len(docs)
			if after = next; next == "" || *most > 0 && left <= 0 {
				break
			}
		}
		if c.json {
			return nil
		}
		if len(rows) == 0 {
			c.remark("There are no documents here.")
			return nil
		}
		return c.table("DOCUMENT\tTYPE\tREVISION\tMODIFIED\tTITLE", rows)
	})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// cat prints a document.
func (p *Program) cat() *builder {
	b := p.new("cat DOC[@POINT]", "print a document, now or as it was", "quire cat notes\nquire cat notes@12\nquire cat 'notes@2026-11-20 10:00'\nquire cat notes@2h", cobra.ExactArgs(1))
	format := formatFlag(b, "")
	return b.does("p", func(c *call) error {
		id, at, _ := splitPoint(c.args[0])
		if _, err := form.Named(*format, ""); err != nil {
			return &Error{Usage, err}
		}
		if c.json && *format == "" {
			d, err := c.Get(c.ctx, id, at)
			if err != nil {
				return err
			}
			return c.line(d)
		}
		content, _, err := read(c, id, at, *format)
		if err == nil {
			_, err = c.out.WriteString(content)
		}
		return err
	})
}

// formatFlag declares --format.
func formatFlag(b *builder, more string) *string {
	names := []string{"text", "json", "markdown", "html", "delta"}
	if more != "" {
		names = append(names, more)
	}
	f := b.cmd.Flags().String("format", "", "`form` of the content: "+strings.Join(names, ", ")+" (default what suits the type)")
	_ = b.cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return f
}

// read returns a document's content in a form, the one that suits its type for "", and the revision.
func read(c *call, id string, at remote.Point, format string) (string, int64, error) {
	if format == "" || format == string(form.JSON) {
		d, err := c.Get(c.ctx, id, at)
		if err != nil {
			return "", 0, err
		}
		f, ok := form.Of(d.Type)
		if !ok {
			return "", 0, Errorf(NotFound, "%s has no content at revision %d: it was deleted", id, d.Rev)
		}
		if f != form.Markdown {
			s, err := f.Show(d.Content)
			return s, d.Rev, err
		}
		format, at = "markdown", remote.AtRev(d.Rev)
	}
	body, rev, err := c.Raw(c.ctx, id, at, format)
	if err != nil {
		return "", 0, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	return string(data), rev, err
}

// put is what the command put prints with --json.
type put struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Rev     int64  `json:"rev"`
	Created bool   `json:"created"`
}

// put brings a file's content into a document.
func (p *Program) put() *builder {
	b := p.new("put DOC FILE|-", "make a document of a file, or bring a file's changes into it", "quire put notes notes.txt\necho Hello | quire put notes -\nquire put notes notes.txt --base 12", cobra.ExactArgs(2))
	base := b.cmd.Flags().Int64("base", 0, "the `revision` that the file was made from (default the newest)")
	typ := typeFlag(b)
	title := b.cmd.Flags().String("title", "", "`title` of a new document")
	format := formatFlag(b, "")
	return b.does("df", func(c *call) error {
		id, based := document(c.args[0]), b.cmd.Flags().Changed("base")
		if *base < 0 {
			return Errorf(Usage, "--base is %d; it has to be 0 or more", *base)
		}
		data, err := c.readInput(c.args[1])
		if err != nil {
			return err
		}
		f, err := form.Named(*format, c.args[1])
		if err != nil {
			return &Error{Usage, err}
		}
		d, err := c.Stat(c.ctx, id)
		switch {
		case remote.IsCode(err, "not_found") && !based:
			d, err = create(c, remote.New{ID: id, Type: *typ, Title: *title}, f, c.args[1], data)
			if err != nil {
				return err
			}
			return c.done(put{d.ID, d.Type, d.Rev, true}, "Made %s, %s.", plain(d.ID), d.Type)
		case err != nil:
			return err
		case *typ != "" && *typ != d.Type:
			return Errorf(Changed, "%s is there with the type %s", id, orDash(d.Type))
		}
		if !based {
			*base = d.Rev
		}
		body, contentType, err := wire(f.For(d.Type), c.args[1], data)
		if err != nil {
			return err
		}
		e, err := c.Put(c.ctx, id, *base, contentType, body, "")
		if err != nil {
			return err
		}
		return c.done(put{id, e.Type, e.Rev, false}, "%s", edited(id, e))
	})
}

func typeFlag(b *builder) *string {
	names := []string{"text", "delta", "json0", "text0", "text-unicode"}
	t := b.cmd.Flags().String("type", "", "`type` of a new document: "+strings.Join(names, ", ")+" (default by the file's name, else text)")
	_ = b.cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return t
}

// edited says what became of an edit.
func edited(id string, e remote.Edited) string {
	if e.Rev == e.Base {
		return fmt.Sprintf("Nothing to change; %s is at revision %d.", plain(id), e.Rev)
	}
	return fmt.Sprintf("%s is at revision %d.", plain(id), e.Rev)
}

// wire is a file's content as a request's body, and its content type.
func wire(f form.Form, file string, data []byte) ([]byte, string, error) {
	body, contentType, err := f.Wire(data)
	if err != nil {
		if file == "-" {
			file = "standard input"
		}
		err = fmt.Errorf("%s is not taken: %w", file, err)
	}
	return body, contentType, err
}

// create makes a document of a file's content in a form; without a type, of the one that suits the form.
func create(c *call, n remote.New, f form.Form, file string, data []byte) (remote.Doc, error) {
	if n.Type == "" {
		n.Type = f.Type()
	}
	f = f.For(n.Type)
	body, contentType, err := wire(f, file, data)
	if err != nil {
		return remote.Doc{}, err
	}
	if content, ok := f.Content(body); ok {
		n.Content = content
		return c.Create(c.ctx, n)
	}
	return c.Import(c.ctx, n, contentType, "", bytes.NewReader(body))
}

// rm removes documents for good.
func (p *Program) rm() *builder {
	b := p.new("rm DOC…", "remove documents for good, with their history", "quire rm notes --yes", cobra.MinimumNArgs(1))
	yes := b.cmd.Flags().BoolP("yes", "y", false, "do not ask")
	return b.does("d", func(c *call) error {
		if !*yes {
			if !c.people {
				return Errorf(Usage, "removing is for good, and nobody is here to be asked: say --yes")
			}
			fmt.Fprintf(c.out, "Remove %s for good, with all history? [y/N] ", plain(strings.Join(c.args, ", ")))
			if err := c.flush(); err != nil {
				return err
			}
			var answer string
			_, _ = fmt.Fscanln(c.in(), &answer)
			if err := c.ctx.Err(); err != nil {
				return err
			}
			if a := strings.ToLower(answer); a != "y" && a != "yes" {
				return Errorf(Failed, "nothing was removed")
			}
		}
		for _, arg := range c.args {
			id := document(arg)
			if err := c.Delete(c.ctx, id); err != nil {
				return fmt.Errorf("%s: %w", plain(id), err)
			}
			if err := c.done(map[string]string{"removed": id}, "Removed %s.", plain(id)); err != nil {
				return err
			}
		}
		return nil
	})
}
