package formats

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"quire/ot/jsonvalue"
)

// parseHTML returns the content, in JSON wire form, of a rich text given as HTML.
// Anything is HTML that is not nested too deep; what no format stands for is left out, its text is kept.
func parseHTML(body []byte) ([]byte, error) {
	root, err := html.Parse(bytes.NewReader(policy.SanitizeBytes(body)))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	p := parser{}
	p.children(root, context{})
	p.end(nil)
	return writeDelta(p.lines)
}

// context is what holds for everything within an element.
type context struct {
	inline attrs // formats of text
	line   attrs // formats of lines
	pre    bool  // spaces are kept
	list   int   // how many lists deep
	depth  int   // elements
}

// maxNesting is how deep elements are followed; deeper ones count as text only.
const maxNesting = 200

// with returns attributes with one more.
func (a attrs) with(name string, v jsonvalue.Value) attrs {
	out := attrs{name: v}
	for n, old := range a {
		if n != name {
			out[n] = old
		}
	}
	return out
}

// parser puts lines together.
type parser struct {
	lines []line
	at    line
	begun bool // at has something in it, perhaps nothing but a <br>
	space bool // the text so far ends in a space, or nothing is there yet
}

// end ends the line, if one was begun, with its format.
func (p *parser) end(a attrs) {
	if !p.begun {
		return
	}
	if n := len(p.at.parts); n > 0 && p.space && !a.on("code-block") {
		if last := &p.at.parts[n-1]; last.embed == nil { // a space at the end is none
			if last.text = strings.TrimSuffix(last.text, " "); last.text == "" {
				p.at.parts = p.at.parts[:n-1]
			}
		}
	}
	p.at.attrs, p.at.ended = a, true
	p.lines, p.at, p.begun, p.space = append(p.lines, p.at), line{}, false, true
}

// blank adds an empty line.
func (p *parser) blank(a attrs) {
	p.begun = true
	p.end(a)
}

func (p *parser) children(n *html.Node, c context) {
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		switch child.Type {
		case html.TextNode:
			p.text(child.Data, c)
		case html.ElementNode:
			if c.depth++; c.depth > maxNesting {
				p.text(textOf(child), c)
			} else {
				p.element(child, c)
			}
			c.depth--
		}
	}
}

// textOf returns all the text in an element.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

var spaces = regexp.MustCompile(`[ \t\r\n\f]+`)

func (p *parser) text(s string, c context) {
	if c.pre {
		for {
			text, rest, more := strings.Cut(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
			p.add(text, c.inline)
			if !more {
				return
			}
			p.begun = true
			p.end(c.line)
			s = rest
		}
	}
	s = spaces.ReplaceAllString(s, " ")
	if p.space || !p.begun {
		s = strings.TrimPrefix(s, " ")
	}
	p.add(s, c.inline)
}

// add adds text to the line; a no-break space is a space that HTML must not drop.
func (p *parser) add(s string, a attrs) {
	if s == "" {
		return
	}
	p.space = strings.HasSuffix(s, " ")
	s = strings.ReplaceAll(s, "\u00a0", " ")
	p.begun = true
	p.at.parts = append(p.at.parts, part{text: s, attrs: a})
}

func (p *parser) embed(name, value string, a attrs) {
	p.begun, p.space = true, false
	p.at.parts = append(p.at.parts, part{embed: jsonvalue.NewObject([]jsonvalue.Member{{Name: name, Value: value}}), attrs: a})
}

func (p *parser) element(n *html.Node, c context) {
	c.inline = inlineOf(n, c.inline)
	switch n.DataAtom {
	case atom.Br:
		p.begun = true
		if !lastOf(n) || len(p.at.parts) == 0 {
			p.end(c.line)
		}
		return
	case atom.Img:
		p.image(n, c)
		return
	case atom.Input:
		return // a check box: its item says so
	case atom.Hr:
		p.end(c.line)
		p.add("———", nil)
		p.end(nil)
		return
	case atom.Td, atom.Th:
		if p.begun {
			p.add(" | ", nil)
		}
		p.children(n, c)
		return
	}
	if !isBlock(n.DataAtom) {
		p.children(n, c)
		return
	}
	outer := c.line
	p.end(outer)
	c.line = lineOf(n, c)
	switch n.DataAtom {
	case atom.Ul, atom.Ol:
		c.list++
	case atom.Pre:
		c.pre = true
		p.pre(n, c)
		return
	}
	p.children(n, c)
	p.end(c.line)
}

// pre reads a block of code; the line end that it ends with is not another line's.
func (p *parser) pre(n *html.Node, c context) {
	before := len(p.lines)
	p.children(n, c)
	p.end(c.line)
	if len(p.lines) == before {
		p.blank(c.line)
	}
}

func isBlock(a atom.Atom) bool {
	switch a {
	case atom.P, atom.Div, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote, atom.Pre, atom.Ul, atom.Ol, atom.Li,
		atom.Table, atom.Tr, atom.Caption, atom.Dl, atom.Dt, atom.Dd, atom.Figure, atom.Figcaption, atom.Section, atom.Article,
		atom.Header, atom.Footer, atom.Main, atom.Aside, atom.Nav, atom.Address, atom.Body:
		return true
	}
	return false
}

// lastOf reports whether nothing but space comes after n in its block.
func lastOf(n *html.Node) bool {
	for s := n.NextSibling; s != nil; s = s.NextSibling {
		if s.Type == html.ElementNode && isBlock(s.DataAtom) {
			return true
		}
		if s.Type != html.TextNode || strings.TrimSpace(s.Data) != "" {
			return false
		}
	}
	return n.Parent == nil || isBlock(n.Parent.DataAtom) || lastOf(n.Parent)
}

// lineOf returns the format of the lines in a block.
func lineOf(n *html.Node, c context) attrs {
	a := c.line
	switch n.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		a = attrs{"header": float64(n.Data[1] - '0')}
	case atom.Blockquote:
		a = a.with("blockquote", true)
	case atom.Pre:
		a = attrs{"code-block": true}
	case atom.Li:
		a = attrs{"list": "bullet"}
		if n.Parent != nil && n.Parent.DataAtom == atom.Ol {
			a = attrs{"list": "ordered"}
		}
		if box := checkBox(n); box != nil {
			a = attrs{"list": "unchecked"}
			if _, on := attribute(box, "checked"); on {
				a = attrs{"list": "checked"}
			}
		}
		if c.list > 1 {
			a["indent"] = float64(min(c.list-1, 8))
		}
	}
	if dir, _ := attribute(n, "dir"); dir == "rtl" {
		a = a.with("direction", "rtl")
	}
	css := styleOf(n)
	switch align := css["text-align"]; align {
	case "right", "center", "justify":
		a = a.with("align", align)
	}
	if left := strings.TrimSuffix(css["margin-left"], "em"); left != "" && !a.on("list") {
		for i := 1; i <= 8; i++ {
			if left == []string{"3", "6", "9", "12", "15", "18", "21", "24"}[i-1] {
				a = a.with("indent", float64(i))
			}
		}
	}
	return a
}

// checkBox returns the check box that an item begins with, perhaps in a paragraph or a label, or nil.
func checkBox(n *html.Node) *html.Node {
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		switch {
		case child.Type == html.TextNode && strings.TrimSpace(child.Data) == "":
		case child.DataAtom == atom.Input:
			return child
		case child.DataAtom == atom.P, child.DataAtom == atom.Label:
			return checkBox(child)
		default:
			return nil
		}
	}
	return nil
}

// inlineOf returns the format of the text in an element.
func inlineOf(n *html.Node, a attrs) attrs {
	switch n.DataAtom {
	case atom.B, atom.Strong:
		a = a.with("bold", true)
	case atom.I, atom.Em, atom.Cite:
		a = a.with("italic", true)
	case atom.U, atom.Ins:
		a = a.with("underline", true)
	case atom.S, atom.Del, atom.Strike:
		a = a.with("strike", true)
	case atom.Code, atom.Kbd, atom.Samp, atom.Tt:
		if n.Parent == nil || n.Parent.DataAtom != atom.Pre {
			a = a.with("code", true)
		}
	case atom.Sub:
		a = a.with("script", "sub")
	case atom.Sup:
		a = a.with("script", "super")
	case atom.A:
		if href, _ := attribute(n, "href"); href != "" {
			a = a.with("link", href)
		}
	}
	if isBlock(n.DataAtom) {
		return a
	}
	css := styleOf(n)
	for _, c := range []struct{ property, attr string }{{"color", "color"}, {"background-color", "background"}} {
		if v := css[c.property]; colorPattern.MatchString(v) {
			a = a.with(c.attr, v)
		}
	}
	switch css["font-weight"] {
	case "bold", "600", "700", "800", "900":
		a = a.with("bold", true)
	case "normal", "400": // what a pasted document says of its outermost <b>
		a = a.without("bold")
	}
	if css["font-style"] == "italic" {
		a = a.with("italic", true)
	}
	if d := css["text-decoration"]; strings.Contains(d, "underline") {
		a = a.with("underline", true)
	} else if strings.Contains(d, "line-through") {
		a = a.with("strike", true)
	}
	return a
}

func (a attrs) without(name string) attrs {
	out := attrs{}
	for n, v := range a {
		if n != name {
			out[n] = v
		}
	}
	return out
}

func (p *parser) image(n *html.Node, c context) {
	src, _ := attribute(n, "src")
	if src == "" {
		if alt, _ := attribute(n, "alt"); alt != "" {
			p.add(alt, c.inline)
		}
		return
	}
	a := c.inline
	for _, name := range []string{"alt", "width", "height"} {
		if v, _ := attribute(n, name); v != "" {
			a = a.with(name, v)
		}
	}
	p.embed("image", src, a)
}

func attribute(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// styleOf returns an element's own style by property.
func styleOf(n *html.Node) map[string]string {
	style, ok := attribute(n, "style")
	if !ok {
		return nil
	}
	css := map[string]string{}
	for d := range strings.SplitSeq(style, ";") {
		if property, v, ok := strings.Cut(d, ":"); ok {
			css[strings.TrimSpace(property)] = strings.TrimSpace(v)
		}
	}
	return css
}
