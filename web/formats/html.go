package formats

import (
	"fmt"
	"html"
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
)

// policy is what HTML may hold, on the way in and on the way out.
var policy = func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code", "ul", "ol", "li", "hr", "div", "section", "article",
		"b", "strong", "i", "em", "u", "ins", "s", "del", "strike", "sub", "sup", "span", "mark", "kbd", "samp", "tt", "cite", "q", "small", "label",
		"table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "dl", "dt", "dd", "figure", "figcaption", "header", "footer", "main", "aside", "nav", "address")
	p.AllowAttrs("dir").Matching(regexp.MustCompile(`^(rtl|ltr)$`)).Globally()
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.AllowRelativeURLs(false)
	p.RequireParseableURLs(true)
	p.AllowAttrs("src", "alt", "title").OnElements("img")
	p.AllowAttrs("width", "height").Matching(bluemonday.NumberOrPercent).OnElements("img")
	p.AllowDataURIImages()
	p.AllowAttrs("type").Matching(regexp.MustCompile(`^checkbox$`)).OnElements("input")
	p.AllowAttrs("checked", "disabled").OnElements("input")
	p.AllowStyles("color", "background-color").Matching(colorPattern).OnElements("span", "mark", "p", "li", "a", "b", "strong", "i", "em", "u", "s", "code")
	p.AllowStyles("text-align").MatchingEnum("left", "right", "center", "justify").OnElements("p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "blockquote", "td", "th")
	p.AllowStyles("font-weight", "font-style", "text-decoration", "white-space").OnElements("span", "b", "p", "i")
	p.AllowStyles("margin-left").Matching(regexp.MustCompile(`^\d{1,2}em$`)).OnElements("p", "h1", "h2", "h3", "h4", "h5", "h6")
	p.SkipElementsContent("script", "style", "title", "head", "noscript", "template", "iframe", "object", "svg", "math")
	return p
}()

// colorPattern is a colour by name or number, and nothing else that CSS has.
var colorPattern = regexp.MustCompile(`^(#[0-9a-fA-F]{3,8}|[a-zA-Z]{3,20}|(rgb|rgba|hsl|hsla)\([0-9., %/]{3,40}\))$`)

// renderHTML returns lines as a fragment of HTML, sanitized.
func renderHTML(lines []line) []byte {
	r := renderer{}
	r.lines(lines)
	return policy.SanitizeBytes([]byte(r.String()))
}

// renderer writes lines as blocks.
type renderer struct{ strings.Builder }

// kind is the element that neighbouring lines of a kind stand in together; "" for each by itself.
func (l *line) kind() string {
	switch {
	case l.attrs.on("code-block"):
		return "pre"
	case l.attrs.on("list"):
		return "list"
	case l.attrs.on("blockquote"):
		return "blockquote"
	}
	return ""
}

func (r *renderer) lines(lines []line) {
	for len(lines) > 0 {
		kind, n := lines[0].kind(), 1
		for kind != "" && n < len(lines) && lines[n].kind() == kind {
			n++
		}
		switch kind {
		case "pre":
			r.code(lines[:n])
		case "list":
			r.list(lines[:n], 0)
		case "blockquote":
			r.WriteString("<blockquote>")
			for i := range lines[:n] {
				r.block("p", &lines[i])
			}
			r.WriteString("</blockquote>\n")
		default:
			name := "p"
			if h := lines[0].attrs.num("header", 6); h > 0 {
				name = fmt.Sprintf("h%d", h)
			}
			r.block(name, &lines[0])
			r.WriteString("\n")
		}
		lines = lines[n:]
	}
}

// block writes one line as an element.
func (r *renderer) block(name string, l *line) {
	r.WriteString("<" + name + l.style() + ">")
	r.inline(l)
	if len(l.parts) == 0 {
		r.WriteString("<br>")
	}
	r.WriteString("</" + name + ">")
}

// style returns the attributes of a line's element.
func (l *line) style() string {
	out := ""
	if l.attrs.str("direction") == "rtl" {
		out += ` dir="rtl"`
	}
	css := ""
	switch a := l.attrs.str("align"); a {
	case "right", "center", "justify":
		css += "text-align: " + a + ";"
	}
	if n := l.attrs.num("indent", 8); n > 0 && l.kind() == "" {
		css += fmt.Sprintf("margin-left: %dem;", 3*n)
	}
	if css != "" {
		out += ` style="` + css + `"`
	}
	return out
}

func (r *renderer) code(lines []line) {
	r.WriteString("<pre><code>")
	for i := range lines {
		for _, p := range lines[i].parts {
			if p.embed == nil {
				r.WriteString(html.EscapeString(p.text))
			} else {
				r.WriteString(html.EscapeString(p.name()))
			}
		}
		r.WriteString("\n")
	}
	r.WriteString("</code></pre>\n")
}

// list writes lines of lists, those indented deeper within the item before them.
func (r *renderer) list(lines []line, depth int) {
	for len(lines) > 0 {
		tag := lines[0].tag()
		r.WriteString("<" + tag + ">")
		for len(lines) > 0 && (lines[0].tag() == tag || lines[0].depth() > depth) {
			l := &lines[0]
			r.WriteString("<li" + l.style() + ">")
			if l.depth() <= depth { // else it stands deeper than there is an item for
				switch l.attrs.str("list") {
				case "checked":
					r.WriteString(`<input type="checkbox" checked="" disabled=""> `)
				case "unchecked":
					r.WriteString(`<input type="checkbox" disabled=""> `)
				}
				r.inline(l)
				lines = lines[1:]
			}
			n := 0
			for n < len(lines) && lines[n].depth() > depth {
				n++
			}
			if n > 0 {
				r.list(lines[:n], depth+1)
				lines = lines[n:]
			}
			r.WriteString("</li>")
		}
		r.WriteString("</" + tag + ">")
		if depth == 0 {
			r.WriteString("\n")
		}
	}
}

func (l *line) tag() string {
	if l.attrs.str("list") == "ordered" {
		return "ol"
	}
	return "ul"
}

func (l *line) depth() int { return l.attrs.num("indent", 8) }

// marks are the inline formats that are elements, the outermost first.
var marks = []struct{ attr, tag string }{
	{"bold", "strong"}, {"italic", "em"}, {"underline", "u"}, {"strike", "s"}, {"code", "code"},
}

// inline writes the parts of a line. An element that neighbours share is opened once.
func (r *renderer) inline(l *line) {
	var open []string // tags, with attributes
	for i, p := range l.parts {
		want := p.attrs.tags()
		keep := 0
		for keep < len(open) && keep < len(want) && open[keep] == want[keep] {
			keep++
		}
		r.close(open[keep:])
		for _, tag := range want[keep:] {
			r.WriteString("<" + tag + ">")
		}
		open = want
		r.part(p, i == 0, i == len(l.parts)-1)
	}
	r.close(open)
}

func (r *renderer) close(tags []string) {
	for i := len(tags) - 1; i >= 0; i-- {
		name, _, _ := strings.Cut(tags[i], " ")
		r.WriteString("</" + name + ">")
	}
}

// tags returns the elements that a part stands in, the outermost first.
func (a attrs) tags() (tags []string) {
	if href := a.str("link"); href != "" {
		tags = append(tags, `a href="`+html.EscapeString(href)+`"`)
	}
	for _, m := range marks {
		if a.on(m.attr) {
			tags = append(tags, m.tag)
		}
	}
	switch a.str("script") {
	case "sub", "super":
		tags = append(tags, a.str("script")[:3]) // sub or sup
	}
	css := ""
	for _, c := range []struct{ attr, property string }{{"color", "color"}, {"background", "background-color"}} {
		if v := a.str(c.attr); colorPattern.MatchString(v) {
			css += c.property + ": " + v + ";"
		}
	}
	if css != "" {
		tags = append(tags, `span style="`+css+`"`)
	}
	return tags
}

func (r *renderer) part(p part, first, last bool) {
	if p.embed == nil {
		r.WriteString(spaced(html.EscapeString(p.text), first, last))
		return
	}
	if v, ok := p.embed.Get("image"); ok {
		if src, ok := v.(string); ok {
			r.WriteString(`<img src="` + html.EscapeString(src) + `"`)
			for _, name := range []string{"alt", "width", "height"} {
				if v := p.attrs.str(name); v != "" {
					r.WriteString(" " + name + `="` + html.EscapeString(v) + `"`)
				}
			}
			r.WriteString(">")
			return
		}
	}
	if v, ok := p.embed.Get("video"); ok {
		if src, ok := v.(string); ok {
			r.WriteString(`<a href="` + html.EscapeString(src) + `">` + html.EscapeString(src) + `</a>`)
			return
		}
	}
	if v, ok := p.embed.Get("formula"); ok {
		if tex, ok := v.(string); ok {
			r.WriteString("<code>" + html.EscapeString(tex) + "</code>")
			return
		}
	}
	r.WriteString(html.EscapeString(p.name()))
}

// spaced keeps HTML from dropping spaces: of several, and of one at either end of a
// line, every other one becomes a no-break space.
func spaced(s string, first, last bool) string {
	s = strings.ReplaceAll(s, "\t", " \u00a0 \u00a0")
	s = strings.ReplaceAll(s, "  ", " \u00a0")
	if first && strings.HasPrefix(s, " ") {
		s = "\u00a0" + s[1:]
	}
	if last && strings.HasSuffix(s, " ") {
		s = s[:len(s)-1] + "\u00a0"
	}
	return s
}
