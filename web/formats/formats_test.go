package formats

import (
	"errors"
	"strings"
	"testing"

	"quire/ot/delta"
)

// rich is a document with everything that the editor makes.
const rich = `[{"insert":"Title"},{"attributes":{"header":1},"insert":"\n"},{"insert":"Some "},{"attributes":{"bold":true},"insert":"bold"},{"insert":", "},` +
	`{"attributes":{"bold":true,"italic":true},"insert":"both"},{"insert":" and "},{"attributes":{"code":true},"insert":"a < b"},{"insert":" and "},{"attributes":{"strike":true},"insert":"gone"},` +
	`{"insert":" "},{"attributes":{"link":"https://example.org/?a=1&b=2"},"insert":"a link"},{"insert":".\none"},{"attributes":{"list":"bullet"},"insert":"\n"},` +
	`{"insert":"deeper"},{"attributes":{"indent":1,"list":"bullet"},"insert":"\n"},{"insert":"two"},{"attributes":{"list":"bullet"},"insert":"\n"},` +
	`{"insert":"first"},{"attributes":{"list":"ordered"},"insert":"\n"},{"insert":"done"},{"attributes":{"list":"checked"},"insert":"\n"},{"insert":"open"},{"attributes":{"list":"unchecked"},"insert":"\n"},` +
	`{"insert":"wise words"},{"attributes":{"blockquote":true},"insert":"\n"},{"insert":"if x {"},{"attributes":{"code-block":true},"insert":"\n"},{"insert":"    y()"},{"attributes":{"code-block":true},"insert":"\n"},` +
	`{"insert":"}"},{"attributes":{"code-block":true},"insert":"\n"},{"insert":{"image":"https://example.org/a.png"}},{"insert":"\nend *not bold* # nor title\n"}]`

// styled is what only HTML can say.
const styled = `[{"attributes":{"underline":true},"insert":"under"},{"insert":" "},{"attributes":{"color":"#ff0000"},"insert":"red"},{"insert":" H"},{"attributes":{"script":"sub"},"insert":"2"},{"insert":"O"},` +
	`{"attributes":{"align":"center"},"insert":"\n"},{"insert":"\n  spaces   kept "},{"attributes":{"direction":"rtl"},"insert":"\n"},{"insert":"in"},{"attributes":{"indent":2},"insert":"\n"}]`

func render(t *testing.T, format, typ, content string) string {
	t.Helper()
	out, err := Render(format, typ, []byte(content))
	if err != nil {
		t.Fatalf("%s as %s: %v", typ, format, err)
	}
	return string(out)
}

func parse(t *testing.T, format, typ, body string) string {
	t.Helper()
	_, out, err := Parse(format, typ, []byte(body))
	if err != nil {
		t.Fatalf("from %s: %v", format, err)
	}
	if format != Text || typ == "delta" {
		if _, err := (delta.Type{}).Create(out); err != nil {
			t.Errorf("from %s: %s is no document: %v", format, out, err)
		}
	}
	return string(out)
}

func TestRoundTrips(t *testing.T) {
	for _, test := range []struct{ name, format, content string }{
		{"everything as Markdown", Markdown, rich},
		{"everything as HTML", HTML, rich},
		{"what only HTML can say", HTML, styled},
		{"a Delta", Delta, styled},
		{"an empty document", HTML, `[{"insert":"\n"}]`},
		{"an empty document in Markdown", Markdown, `[{"insert":"\n"}]`},
	} {
		form := render(t, test.format, "delta", test.content)
		if got := parse(t, test.format, "delta", form); got != test.content {
			t.Errorf("%s:\n%s\ngoes through\n%s\nand becomes\n%s", test.name, test.content, form, got)
		}
	}
}

func TestRender(t *testing.T) {
	for _, test := range []struct{ format, typ, content, want string }{
		{Text, "text", `"a\u00e9\n<b>"`, "aé\n<b>"},
		{Text, "text-unicode", `"x"`, "x"},
		{Text, "delta", `[{"insert":"a"},{"attributes":{"header":1},"insert":"\n"},{"insert":{"image":"x"}},{"insert":"b"}]`, "a\n[image]b"},
		{JSON, "json0", `{"a":1}`, `{"a":1}`},
		{HTML, "delta", `[{"insert":"<script>alert(1)</script>\n"}]`, "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"},
		{HTML, "delta", `[{"attributes":{"link":"javascript:alert(1)"},"insert":"x"},{"insert":"\n"}]`, "<p>x</p>\n"},
		{HTML, "delta", `[{"attributes":{"color":"red;background:url(x)"},"insert":"x"},{"insert":"\n"}]`, "<p>x</p>\n"},
		{HTML, "delta", `[{"insert":{"image":"javascript:alert(1)"}},{"insert":"\n"}]`, "<p></p>\n"},
		{HTML, "delta", `[{"insert":{"video":"https://example.org/v"}},{"insert":{"formula":"x<y"}},{"insert":{"poll":1}},{"insert":"\n"}]`,
			`<p><a href="https://example.org/v">https://example.org/v</a><code>x&lt;y</code>[poll]</p>` + "\n"},
		{HTML, "delta", `[{"insert":"deep"},{"attributes":{"indent":2,"list":"bullet"},"insert":"\n"}]`, "<ul><li><ul><li><ul><li>deep</li></ul></li></ul></li></ul>\n"},
		{Markdown, "delta", `[{"insert":"a"},{"attributes":{"list":"checked"},"insert":"\n"}]`, "- [x] a\n"},
	} {
		if got := render(t, test.format, test.typ, test.content); got != test.want {
			t.Errorf("%s of %s: %q, want %q", test.format, test.content, got, test.want)
		}
	}
	for _, bad := range [][2]string{{Markdown, "text"}, {HTML, "json0"}, {Text, "json0"}, {Delta, "text"}, {"pdf", "delta"}} {
		if _, err := Render(bad[0], bad[1], []byte(`[{"insert":"\n"}]`)); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s of %s: %v", bad[0], bad[1], err)
		}
	}
}

func TestParse(t *testing.T) {
	for _, test := range []struct{ format, typ, body, want string }{
		{Text, "", "a\r\nb", `"a\r\nb"`},
		{Text, "delta", "a\r\nb\n", `[{"insert":"a\nb\n"}]`},
		{HTML, "", "<p>a<script>alert(1)</script>b</p>", `[{"insert":"ab\n"}]`},
		{HTML, "", `<a href="javascript:x()">k</a><img src=x onerror=y>`, `[{"insert":"k\n"}]`},
		{HTML, "", "<p>one\n  two</p> <div><div>three</div></div>four", `[{"insert":"one two\nthree\nfour\n"}]`},
		{HTML, "", "a<br>b<br>", `[{"insert":"a\nb\n"}]`},
		{HTML, "", "<p>a</p><p><br></p><p>b</p>", `[{"insert":"a\n\nb\n"}]`},
		{HTML, "", "<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", `[{"insert":"1 | 2\n3\n"}]`},
		{HTML, "", "<pre>a\n  b\n</pre>", `[{"insert":"a"},{"attributes":{"code-block":true},"insert":"\n"},{"insert":"  b"},{"attributes":{"code-block":true},"insert":"\n"}]`},
		{HTML, "", `<b style="font-weight:normal"><span style="font-weight:700">x</span>y</b>`, `[{"attributes":{"bold":true},"insert":"x"},{"insert":"y\n"}]`},
		{Markdown, "", "# T\n\n1. a\n2. b\n", `[{"insert":"T"},{"attributes":{"header":1},"insert":"\n"},{"insert":"a"},{"attributes":{"list":"ordered"},"insert":"\n"},{"insert":"b"},{"attributes":{"list":"ordered"},"insert":"\n"}]`},
		{Markdown, "", "<script>x</script>\n\nok <u>u</u>", `[{"insert":"ok "},{"attributes":{"underline":true},"insert":"u"},{"insert":"\n"}]`},
		{Markdown, "", "", `[{"insert":"\n"}]`},
		{Delta, "", `{"ops":[{"insert":"a"},{"insert":"b","attributes":{}}]}`, `[{"insert":"ab\n"}]`},
	} {
		if got := parse(t, test.format, test.typ, test.body); got != test.want {
			t.Errorf("%s %q: %s, want %s", test.format, test.body, got, test.want)
		}
	}
	for _, bad := range []struct {
		format, typ, body string
		want              error
	}{
		{Text, "", "\xff", ErrMalformed},
		{Delta, "", `[{"retain":1}]`, ErrMalformed},
		{Delta, "", `{"x":1}`, ErrMalformed},
		{Delta, "", `nonsense`, ErrMalformed},
		{Markdown, "text", "x", ErrUnsupported},
		{Delta, "json0", "[]", ErrUnsupported},
		{"pdf", "", "x", ErrUnsupported},
	} {
		if _, _, err := Parse(bad.format, bad.typ, []byte(bad.body)); !errors.Is(err, bad.want) {
			t.Errorf("%s %q: %v", bad.format, bad.body, err)
		}
	}
	deep := strings.Repeat("<div>", 300) + "x"
	if got := parse(t, HTML, "", deep); got != `[{"insert":"x\n"}]` {
		t.Errorf("deep elements: %.100s", got)
	}
	if _, _, err := Parse(HTML, "", []byte(strings.Repeat("<div>", 100_000))); !errors.Is(err, ErrMalformed) {
		t.Errorf("elements without end: %v", err)
	}
}

func TestHostileMarkdownIsRefused(t *testing.T) {
	for _, sign := range []string{"*a_ ", "[a](", "> ", "![["} {
		hostile := strings.Repeat(sign, 100_000)
		if _, _, err := Parse(Markdown, "", []byte(hostile)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("many %q: %v", sign, err)
		}
		if _, err := Render(Markdown, "delta", []byte(`[{"insert":"`+hostile+`\n"}]`)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a text of %q: %v", sign, err)
		}
	}
	list := strings.Repeat("- [a](https://example.org) *b*\n", 5_000)
	if _, _, err := Parse(Markdown, "", []byte(list)); err != nil {
		t.Errorf("a long list: %v", err)
	}
}

// FuzzParse has anything read: what comes out is a document, and one that can be written and read again.
func FuzzParse(f *testing.F) {
	f.Add("<p>a<b>b</b></p><ul><li>x<ul><li>y</ul></ul><pre>\n</pre>", true)
	f.Add("# x\n\n- [ ] a\n  - b\n\n```\ncode\n```\n> q", false)
	f.Fuzz(func(t *testing.T, body string, asHTML bool) {
		format := Markdown
		if asHTML {
			format = HTML
		}
		_, doc, err := Parse(format, "", []byte(body))
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) {
				t.Fatal(err)
			}
			return
		}
		if _, err := (delta.Type{}).Create(doc); err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		for _, format := range Of("delta") {
			out, err := Render(format, "delta", doc)
			if err != nil {
				t.Fatalf("%s of %s: %v", format, doc, err)
			}
			if _, _, err := Parse(format, "delta", out); err != nil {
				t.Fatalf("%s of %s: %v", format, out, err)
			}
		}
	})
}
