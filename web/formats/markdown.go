package formats

import (
	"bytes"
	"fmt"

	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/strikethrough"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	rawhtml "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"
)

// Markdown goes by way of HTML in both directions. What it has no sign for, but HTML
// within Markdown has (underlining, colours), stays as HTML.

var reader = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(rawhtml.WithUnsafe())) // what is unsafe is taken out after

// maxWork bounds what reading and writing Markdown may take, in the measure of work: about two seconds.
const maxWork = 1e9

// work measures how long Markdown takes in the worst case: the libraries need time in proportion
// to the square of the signs in one block.
func work(md []byte) (sum int) {
	block := 0
	for l := range bytes.Lines(md) {
		l = bytes.TrimSpace(l)
		if len(l) == 0 || l[0] == '#' || len(l) > 1 && l[1] == ' ' && bytes.IndexByte([]byte("-*+"), l[0]) >= 0 {
			sum += block * block
			block = 0
		}
		for _, c := range l {
			if c < 0x80 && signs[c] {
				block++
			}
		}
	}
	return sum + block*block
}

var signs = func() (t [0x80]bool) {
	for _, c := range "*_[]()!<>`~|&\\" {
		t[c] = true
	}
	return t
}()

func parseMarkdown(body []byte) ([]byte, error) {
	if work(body) > maxWork {
		return nil, fmt.Errorf("%w: Markdown with so many signs in one paragraph", ErrTooLarge)
	}
	var b bytes.Buffer
	if err := reader.Convert(body, &b); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return parseHTML(b.Bytes())
}

var writer = func() *converter.Converter {
	c := converter.NewConverter(converter.WithPlugins(base.NewBasePlugin(), commonmark.NewCommonmarkPlugin(), strikethrough.NewStrikethroughPlugin()))
	for _, tag := range []string{"u", "sub", "sup", "span"} {
		c.Register.RendererFor(tag, converter.TagTypeInline, base.RenderAsHTML, converter.PriorityEarly)
	}
	c.Register.RendererFor("input", converter.TagTypeInline, func(_ converter.Context, w converter.Writer, n *html.Node) converter.RenderStatus {
		box := "[ ]"
		if _, on := attribute(n, "checked"); on {
			box = "[x]"
		}
		_, _ = w.WriteString(box)
		return converter.RenderSuccess
	}, converter.PriorityEarly)
	return c
}()

func renderMarkdown(lines []line) ([]byte, error) {
	if work(plain(lines)) > maxWork {
		return nil, fmt.Errorf("%w: a line with so many signs, in Markdown", ErrTooLarge)
	}
	md, err := writer.ConvertString(string(renderHTML(lines)))
	if err != nil {
		return nil, err
	}
	return append([]byte(md), '\n'), nil
}
