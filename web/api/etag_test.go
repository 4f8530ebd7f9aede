package api

import (
	"testing"

	"quire/storage/mem"
	"quire/web/auth"
)

// TestETags changes whatever an answer shows, each time at the same revision, and looks that the ETag is another
// one; and that a text made from one document is not merged into another of its id.
func TestETags(t *testing.T) {
	p := newPlace(t, mem.New(), map[string]*auth.Pass{"op": auth.Anybody()})
	put := func(body, match string) (int, string) {
		got := p.ask("op", "PUT", "/api/docs/a", body, "If-Match", match, "Content-Type", mediaText)
		return got.Code, got.Header().Get("ETag")
	}
	read := func(query string, header ...string) (int, string) {
		got := p.ask("op", "GET", "/api/docs/a"+query, "", header...)
		return got.Code, got.Header().Get("ETag")
	}
	seen := map[string]string{}
	fresh := func(what string) string {
		t.Helper()
		_, tag := read("")
		if was := seen[tag]; was != "" || tag == "" {
			t.Errorf("%s: the ETag %s is that of %s", what, tag, was)
		}
		seen[tag] = what
		if status, _ := read("", "If-None-Match", tag); status != 304 {
			t.Errorf("%s: asked again with its ETag: %d", what, status)
		}
		return tag
	}
	p.create("a")
	first := fresh("the creation")
	_, text := read("?format=text")
	if _, again := read("?format=text"); text == first || text != again {
		t.Errorf("as text %s, then %s, as JSON %s", text, again, first)
	}
	for what, change := range map[string][]string{
		"a title":     {"PATCH", "/api/docs/a", `{"title":"A"}`},
		"a field":     {"PATCH", "/api/docs/a", `{"meta":{"a":1}}`},
		"a redaction": {"POST", "/api/docs/a/redact", `{"text":"cret"}`},
	} {
		if got := p.ask("op", change[0], change[1], change[2]); got.Code != 200 {
			t.Fatalf("%s: %d %s", what, got.Code, got.Body)
		}
		fresh(what)
	}
	for _, match := range []string{first, text, `"0"`, "W/" + first} { // what the title is does not matter for the text
		if status, tag := put("secret "+match, match); status != 200 || tag == "" {
			t.Errorf("If-Match %s: %d, ETag %s", match, status, tag)
		}
	}
	for _, match := range []string{`"0-"`, `"0-zz"`, `"-1-00"`, `"x"`, `0`, `""`, `"0-0000000000000000000000000"`} {
		if status, _ := put("x", match); status != 400 {
			t.Errorf("If-Match %s: %d", match, status)
		}
	}
	if got := p.ask("op", "DELETE", "/api/docs/a", ""); got.Code != 204 {
		t.Fatal(got.Code)
	}
	p.create("a")
	fresh("another document")
	if status, _ := put("what was there before", first); status != 412 {
		t.Errorf("made from another document: %d", status)
	}
	if status, _ := put("secret text", `"0"`); status != 200 {
		t.Errorf("by the revision alone: %d", status)
	}
}
