package main

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"quire/session"
)

const (
	jsonType  = "application/json"
	plainText = "text/plain; charset=utf-8"
	bundle    = "application/vnd.quire.bundle"
)

func header(kv ...string) map[string]string {
	h := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		h[kv[i]] = kv[i+1]
	}
	return h
}

// TestHTTPInterface calls every operation, as it should be called and in every wrong way,
// and checks each answer against the OpenAPI document.
func TestHTTPInterface(t *testing.T) {
	data := t.TempDir()
	m, base, done := start(t, "--data", data, "--max-message", "4096", "--max-body", "100000", "--max-import", "20000")
	d := newDescribed(t, strings.TrimSuffix(base, "/"))
	evil := header("Origin", "https://evil.example")

	for _, x := range []exchange{
		// Creating.
		{"POST /api/docs", header("Quire-Author", "Ada%20L%C3%B6"), `{"id":"a","content":"Hello\n","title":"First","meta":{"tags":["x"]}}`, 201, `"title":"First","meta":{"tags":["x"]},"rev":0`},
		{"POST /api/docs", nil, `{}`, 201, `"type":"text"`},
		{"POST /api/docs", nil, `{"id":"json","type":"json0","content":{"list":[1]}}`, 201, `"type":"json0"`},
		{"POST /api/docs", nil, `{"id":"rich","type":"delta","content":[{"insert":"Rich\n"}]}`, 201, `"type":"delta"`},
		{"POST /api/docs?id=plain&title=Plain", header("Content-Type", plainText), "one\ntwo\n", 201, `"id":"plain","type":"text","title":"Plain"`},
		{"POST /api/docs?id=points&type=text-unicode", header("Content-Type", plainText), "🌍", 201, `"type":"text-unicode"`},
		{"POST /api/docs?id=mark", header("Content-Type", "text/markdown"), "# Title\n\nsome *text*\n", 201, `"type":"delta"`},
		{"POST /api/docs?id=source&type=text", header("Content-Type", "text/markdown"), "# Title\n", 201, `"type":"text"`},
		{"POST /api/docs?id=page", header("Content-Type", "text/html"), "<p>some <b>text</b></p>", 201, `"type":"delta"`},
		{"POST /api/docs?id=ops", header("Content-Type", "application/vnd.quire.delta+json"), `[{"insert":"x\n"}]`, 201, `"type":"delta"`},
		{"POST /api/docs", nil, `{"id":"a"}`, 409, "exists"},
		{"POST /api/docs", nil, `{"id":""}`, 400, "bad_id"},
		{"POST /api/docs", nil, `{"id":"line\nbreak"}`, 400, "bad_id"},
		{"POST /api/docs", nil, `{"id":"x","type":"poem"}`, 400, "bad_type"},
		{"POST /api/docs", nil, `{"id":"x","content":[1]}`, 400, "bad_op"},
		{"POST /api/docs", nil, `{"id":7}`, 400, "bad_field"},
		{"POST /api/docs", nil, `{"id":"x","titel":"y"}`, 400, "unknown_field"},
		{"POST /api/docs", nil, `{"id":"x","ID":"y"}`, 400, "unknown_field"},
		{"POST /api/docs", nil, `{"id":"x","id":"y"}`, 400, "repeated_field"},
		{"POST /api/docs", nil, `{"id":"x"} more`, 400, "bad_json"},
		{"POST /api/docs", nil, `{"id":"x"`, 400, "bad_json"},
		{"POST /api/docs", nil, "{\"id\":\"\xff\"}", 400, "not_utf8"},
		{"POST /api/docs", nil, `{"id":"x","meta":[1]}`, 400, "bad_field"},
		{"POST /api/docs", nil, `{"id":"x","title":"` + strings.Repeat("t", 201) + `"}`, 413, "too_large"},
		{"POST /api/docs", nil, `{"id":"x","meta":{"a":"` + strings.Repeat("t", 17<<10) + `"}}`, 413, "too_large"},
		{"POST /api/docs", nil, `{"id":"x","meta":` + strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33) + `}`, 413, "too_large"},
		{"POST /api/docs?id=x", nil, `{"title":"y"}`, 400, "unknown_parameter"},
		{"POST /api/docs?type=poem", header("Content-Type", plainText), "x", 400, "bad_type"},
		{"POST /api/docs?type=json0", header("Content-Type", plainText), "x", 415, "content_type"},
		{"POST /api/docs", header("Content-Type", "image/png"), "x", 415, "content_type"},
		{"POST /api/docs", header("Content-Type", "text/plain; charset=latin1"), "x", 415, "content_type"},
		{"POST /api/docs", header("Content-Type", plainText, "Content-Encoding", "gzip"), "x", 415, "content_encoding"},
		{"POST /api/docs", header("Content-Type", plainText), "\x89PNG\xff", 400, "not_utf8"},
		{"POST /api/docs", header("Content-Type", "application/vnd.quire.delta+json"), `{"not":"delta"}`, 400, "bad_content"},
		{"POST /api/docs", header("Quire-Author", "%zz"), `{}`, 400, "bad_author"},
		{"POST /api/docs", header("Quire-Author", strings.Repeat("a", 65)), `{}`, 400, "bad_author"},
		{"POST /api/docs", evil, `{"id":"evil"}`, 403, "origin"},
		{"PUT /api/docs", nil, `{}`, 405, "method"},
		{"DELETE /api/docs", nil, "", 405, "method"},
		{"GET /api/docs/", nil, "", 404, "no_such_page"},
		{"GET /api/nothing", nil, "", 404, "no_such_page"},

		// Ids.
		{"POST /api/docs", nil, `{"id":"a/b%ü ..?"}`, 201, `"id":"a/b%ü ..?"`},
		{"GET /api/docs/a%2Fb%25%C3%BC%20..%3F", nil, "", 200, `"id":"a/b%ü ..?"`},
		{"GET /api/docs/a/b%25%C3%BC%20..%3F", nil, "", 404, "no_such_page"},
		{"POST /api/docs", nil, `{"id":".."}`, 201, `"id":".."`},
		{"GET /api/docs/..", nil, "", 200, `"id":".."`},
		{"GET /api/docs/%2e%2e/labels", nil, "", 200, `{"labels":[]}`},
		{"GET /api/docs/%zz", nil, "", 400, "bad_id"},
		{"GET /api/docs/%00", nil, "", 400, "bad_id"},
		{"GET /api/docs/%ff", nil, "", 400, "bad_id"},
		{"GET /api/docs/" + strings.Repeat("x", 513), nil, "", 400, "bad_id"},
		{"GET /api/docs/a/", nil, "", 404, "no_such_page"},
		{"GET /api/docs//labels", nil, "", 404, "no_such_page"},

		// Listing.
		{"GET /api/docs", nil, "", 200, `"id":"a"`},
		{"GET /api/docs?prefix=p&limit=1", nil, "", 200, `"next":"page"`},
		{"GET /api/docs?prefix=p&after=page", nil, "", 200, `"id":"plain"`},
		{"HEAD /api/docs", nil, "", 200, ""},
		{"GET /api/docs?limit=0", nil, "", 400, "bad_limit"},
		{"GET /api/docs?limit=1001", nil, "", 400, "bad_limit"},
		{"GET /api/docs?limit=x", nil, "", 400, "bad_limit"},
		{"GET /api/docs?limits=5", nil, "", 400, "unknown_parameter"},
		{"GET /api/docs?limit=5&limit=6", nil, "", 400, "repeated_parameter"},
		{"GET /api/docs?prefix=%ff", nil, "", 400, "not_utf8"},

		// Reading.
		{"GET /api/docs/a", nil, "", 200, `"content":"Hello\n"`},
		{"HEAD /api/docs/a", nil, "", 200, ""},
		{"GET /api/docs/a", header("If-None-Match", `*`), "", 304, ""},
		{"GET /api/docs/a", header("If-None-Match", `"7"`), "", 200, "Hello"},
		{"GET /api/docs/a", header("Accept", "text/plain"), "", 200, "Hello\n"},
		{"GET /api/docs/a?format=text", header("Accept", jsonType), "", 200, "Hello\n"},
		{"GET /api/docs/a", header("Accept", "text/*;q=0.5, application/json;q=0.4"), "", 200, "Hello\n"},
		{"GET /api/docs/a", header("Accept", "text/plain;q=0, */*;q=0.1"), "", 200, `"content"`},
		{"GET /api/docs/rich", header("Accept", "text/html, application/json;q=0.9"), "", 200, "<p>Rich</p>"},
		{"GET /api/docs/rich?format=markdown", nil, "", 200, "Rich"},
		{"GET /api/docs/rich?format=delta", nil, "", 200, `[{"insert":"Rich\n"}]`},
		{"GET /api/docs/rich?format=text", nil, "", 200, "Rich"},
		{"GET /api/docs/json", nil, "", 200, `"content":{"list":[1]}`},
		{"GET /api/docs/json?format=text", nil, "", 406, "not_acceptable"},
		{"GET /api/docs/a", header("Accept", "image/png"), "", 406, "not_acceptable"},
		{"GET /api/docs/a", header("Accept", "application/json;q=0"), "", 406, "not_acceptable"},
		{"GET /api/docs/a?format=pdf", nil, "", 400, "bad_format"},
		{"GET /api/docs/none", nil, "", 404, "not_found"},
		{"GET /api/docs/a?rev=0", nil, "", 200, `"rev":0`},
		{"GET /api/docs/a?rev=1", nil, "", 404, "future"},
		{"GET /api/docs/a?rev=-1", nil, "", 400, "bad_revision"},
		{"GET /api/docs/a?rev=x", nil, "", 400, "bad_revision"},
		{"GET /api/docs/a?rev=1.5", nil, "", 400, "bad_revision"},
		{"GET /api/docs/a?rev=99999999999999999999", nil, "", 400, "bad_revision"},
		{"GET /api/docs/a?at=2000-01-01T00:00:00Z", nil, "", 404, "before_creation"},
		{"GET /api/docs/none?at=2000-01-01T00:00:00Z", nil, "", 404, "not_found"},
		{"GET /api/docs/a?at=yesterday", nil, "", 400, "bad_time"},
		{"GET /api/docs/a?at=2999-01-01T00:00:00%2B02:00", nil, "", 200, `"rev":0`},
		{"GET /api/docs/a?label=none", nil, "", 404, "no_such_label"},
		{"GET /api/docs/a?rev=0&label=x", nil, "", 400, "ambiguous"},
		{"POST /api/docs/a", nil, `{}`, 405, "method"},

		// Editing by operations.
		{"POST /api/docs/a/operations", header("Quire-Author", "Ada", "Idempotency-Key", "k1"), `{"base":0,"ops":[[5," there"],[11,"!"]]}`, 200, `{"rev":1,"base":0,"type":"text","op":[5," there!"]}`},
		{"POST /api/docs/a/operations", header("Quire-Author", "Ada", "Idempotency-Key", "k1"), `{"base":0,"ops":[[5," there"],[11,"!"]]}`, 200, `"repeated":true`},
		{"POST /api/docs/a/operations", header("Quire-Author", "Ada", "Idempotency-Key", "k1"), `{"base":0,"ops":[[5," other"]]}`, 409, "reused"},
		{"POST /api/docs/a/operations", header("Idempotency-Key", strings.Repeat("k", 201)), `{"base":0,"ops":[["x"]]}`, 400, "bad_key"},
		{"POST /api/docs/a/operations", nil, `{"base":0,"ops":[["> "]]}`, 200, `{"rev":2,"base":1,"type":"text","op":["> "]}`},
		{"POST /api/docs/json/operations", nil, `{"base":0,"ops":[[{"p":["list",0],"li":0}]]}`, 200, `"type":"json0"`},
		{"POST /api/docs/a/operations", nil, `{"base":9,"ops":[["x"]]}`, 404, "future"},
		{"POST /api/docs/a/operations", nil, `{"base":-1,"ops":[["x"]]}`, 400, "bad_revision"},
		{"POST /api/docs/a/operations", nil, `{"base":"0","ops":[["x"]]}`, 400, "bad_field"},
		{"POST /api/docs/a/operations", nil, `{"ops":[["x"]]}`, 400, "missing_field"},
		{"POST /api/docs/a/operations", nil, `{"base":0,"ops":[]}`, 400, "missing_field"},
		{"POST /api/docs/a/operations", nil, `{"base":0,"ops":[[999,"x"]]}`, 400, "bad_op"},
		{"POST /api/docs/a/operations", nil, `{"base":0,"ops":[{"x":1}]}`, 400, "bad_op"},
		{"POST /api/docs/a/operations", nil, `{"base":0,"ops":[` + strings.Repeat(`["x"],`, 10000) + `["x"]]}`, 413, "too_large"},
		{"POST /api/docs/none/operations", nil, `{"base":0,"ops":[["x"]]}`, 404, "not_found"},
		{"POST /api/docs/a/operations", header("Content-Type", plainText), "x", 415, "content_type"},
		{"POST /api/docs/a/operations", evil, `{"base":0,"ops":[["x"]]}`, 403, "origin"},
		{"GET /api/docs/a/operations", nil, "", 405, "method"},

		// Editing by texts: two from one base are both in.
		{"PUT /api/docs/plain", header("If-Match", `"0"`, "Content-Type", plainText, "Quire-Author", "Ada", "Idempotency-Key", "p1"), "one!\ntwo\n", 200, `{"rev":1,"base":0,"type":"text","op":[3,"!"]}`},
		{"PUT /api/docs/plain", header("If-Match", `"0"`, "Content-Type", plainText, "Quire-Author", "Bob"), "one\ntwo\nthree\n", 200, `{"rev":2,"base":1,"type":"text","op":[9,"three\n"]}`},
		{"PUT /api/docs/plain", header("If-Match", `"0"`, "Content-Type", plainText, "Idempotency-Key", "p1"), "two\n", 409, "reused"},
		{"GET /api/docs/plain?format=text", nil, "", 200, "one!\ntwo\nthree\n"},
		{"PUT /api/docs/plain", header("If-Match", `"2"`, "Content-Type", plainText), "one!\ntwo\nthree\n", 200, `{"rev":2,"base":2,"type":"text","op":[]}`},
		{"PUT /api/docs/json", header("If-Match", `"1"`, "Content-Type", jsonType), `{"list":[0,1],"b":true}`, 200, `"type":"json0"`},
		{"PUT /api/docs/mark", header("If-Match", `"0"`, "Content-Type", "text/markdown"), "# Title\n\nmore *text*\n", 200, `"type":"delta"`},
		{"PUT /api/docs/new%20one", header("If-None-Match", "*", "Content-Type", plainText), "fresh", 201, `"id":"new one"`},
		{"PUT /api/docs/new%20one", header("If-None-Match", "*", "Content-Type", plainText), "fresh", 412, "exists"},
		{"PUT /api/docs/newjson?type=json0", header("If-None-Match", "*", "Content-Type", jsonType), `[]`, 201, `"type":"json0"`},
		{"PUT /api/docs/plain", header("Content-Type", plainText), "x", 428, "precondition_required"},
		{"PUT /api/docs/plain", header("If-Match", "*", "Content-Type", plainText), "x", 400, "bad_precondition"},
		{"PUT /api/docs/plain", header("If-Match", "2", "Content-Type", plainText), "x", 400, "bad_precondition"},
		{"PUT /api/docs/plain", header("If-Match", `"x"`, "Content-Type", plainText), "x", 400, "bad_revision"},
		{"PUT /api/docs/plain", header("If-Match", `"99"`, "Content-Type", plainText), "x", 412, "future"},
		{"PUT /api/docs/plain", header("If-Match", `"2"`, "If-None-Match", "*", "Content-Type", plainText), "x", 400, "bad_precondition"},
		{"PUT /api/docs/plain", header("If-Match", `"2"`), "x", 415, "content_type"},
		{"PUT /api/docs/plain", header("If-Match", `"2"`, "Content-Type", plainText), "\x00\xff\xfe", 400, "not_utf8"},
		{"PUT /api/docs/plain", header("If-Match", `"2"`, "Content-Type", jsonType), `{"not":"text"}`, 400, "bad_op"},
		{"PUT /api/docs/plain", header("If-Match", `"2"`, "Content-Type", jsonType), `nonsense`, 400, "bad_json"},
		{"PUT /api/docs/plain", header("Content-Type", "application/x-www-form-urlencoded"), "x", 428, "precondition_required"},
		{"PUT /api/docs/plain", header("If-Match", "2", "Content-Type", "image/png"), "x", 400, "bad_precondition"},
		{"PUT /api/docs/json", header("If-Match", `"1"`, "Content-Type", plainText), "x", 415, "content_type"},

		// What would take too long to write as Markdown.
		{"POST /api/docs", nil, `{"id":"signs","type":"delta","content":[{"insert":"` + strings.Repeat("*a_", 16_000) + `\n"}]}`, 201, ""},
		{"GET /api/docs/signs?format=markdown", nil, "", 406, "not_acceptable"},
		{"PUT /api/docs/signs", header("If-Match", `"0"`, "Content-Type", "text/markdown"), "x", 413, "too_large"},

		// Editing rich text in forms that do not say everything: the rest stays.
		{"POST /api/docs", nil, `{"id":"formatted","type":"delta","content":[{"insert":"Helo","attributes":{"underline":true,"font":"serif","color":"red"}},{"insert":" world"},{"insert":"\n","attributes":{"align":"center"}},{"insert":"\n\nand more\n"}]}`, 201, ""},
		{"PUT /api/docs/formatted", header("If-Match", `"0"`, "Content-Type", plainText), "Helo world\n\n\nand even more\n", 200, `"op":[{"retain":17},{"insert":"even "}]`},
		{"PUT /api/docs/formatted", header("If-Match", `"0"`, "Content-Type", "text/markdown"), "<span style=\"color: red\"><u>Helo</u></span> worlds\n\nand more\n", 200, `"op":[{"retain":10},{"insert":"s"}]`},
		{"PUT /api/docs/formatted", header("If-Match", `"0"`, "Content-Type", "text/html"), `<p style="text-align: center"><span style="color: red"><u>Helo</u></span> world!</p><p>and more</p>`, 200, ""},
		{"GET /api/docs/formatted?format=delta", nil, "", 200, `"color":"red"`},
		{"PUT /api/docs/none", header("If-Match", `"0"`, "Content-Type", plainText), "x", 404, "not_found"},
		{"PUT /api/docs/plain", header("If-Match", `"2"`, "Content-Type", plainText), strings.Repeat("x", 100_001), 413, "too_large"},
		{"PUT /api/docs/plain", header("If-Match", `"2"`, "Content-Type", plainText, "Origin", "null"), "x", 403, "origin"},
		{"PUT /api/docs/plain?typ=text", header("If-Match", `"2"`, "Content-Type", plainText), "x", 400, "unknown_parameter"},
		{"PUT /api/docs/plain?type=text", header("If-Match", `"2"`, "Content-Type", plainText), "x", 400, "unknown_parameter"},

		// Labels.
		{"PUT /api/docs/a/labels/first%20draft", header("Quire-Author", "Ada"), `{"rev":1}`, 200, `{"name":"first draft","rev":1,"author":"Ada"`},
		{"PUT /api/docs/a/labels/newest", nil, "", 200, `"rev":2`},
		{"GET /api/docs/a/labels", nil, "", 200, `"name":"first draft"`},
		{"GET /api/docs/a?label=first%20draft", nil, "", 200, `"rev":1`},
		{"PUT /api/docs/a/labels/later", nil, `{"rev":77}`, 404, "future"},
		{"PUT /api/docs/a/labels/later", nil, `{"rev":-2}`, 400, "bad_revision"},
		{"PUT /api/docs/a/labels/later", nil, `{"ref":1}`, 400, "unknown_field"},
		{"PUT /api/docs/a/labels/later", header("Content-Type", plainText), "1", 415, "content_type"},
		{"PUT /api/docs/a/labels/later", nil, `{"rev":` + strings.Repeat("1", 5000) + `}`, 413, "too_large"},
		{"PUT /api/docs/none/labels/x", nil, "", 404, "not_found"},
		{"PUT /api/docs/a/labels/x", evil, "", 403, "origin"},
		{"DELETE /api/docs/a/labels/newest", nil, "", 204, ""},
		{"DELETE /api/docs/a/labels/newest", nil, "", 404, "no_such_label"},
		{"DELETE /api/docs/none/labels/x", nil, "", 404, "not_found"},
		{"DELETE /api/docs/a/labels/%zz", nil, "", 400, "bad_id"},
		{"DELETE /api/docs/a/labels/x", evil, "", 403, "origin"},
		{"GET /api/docs/none/labels", nil, "", 404, "not_found"},
		{"GET /api/docs/a/labels?x=1", nil, "", 400, "unknown_parameter"},

		// The past.
		{"GET /api/docs/a/history", nil, "", 200, `"labels":["first draft"]`},
		{"GET /api/docs/a/history?limit=1&pause=1s&span=1m", nil, "", 200, `"next":`},
		{"GET /api/docs/a/history?before=1", nil, "", 200, `"to":1`},
		{"GET /api/docs/a/history?before=99", nil, "", 404, "future"},
		{"GET /api/docs/a/history?before=x", nil, "", 400, "bad_revision"},
		{"GET /api/docs/a/history?pause=1", nil, "", 400, "bad_pause"},
		{"GET /api/docs/a/history?span=-1s", nil, "", 400, "bad_span"},
		{"GET /api/docs/none/history", nil, "", 404, "not_found"},
		{"GET /api/docs/a/history/0", nil, "", 200, `"kind":"create","type":"text","author":"Ada Lö"`},
		{"GET /api/docs/a/history/1", nil, "", 200, `"op":[5," there!"]`},
		{"GET /api/docs/a/history/99", nil, "", 404, "future"},
		{"GET /api/docs/a/history/x", nil, "", 400, "bad_revision"},
		{"GET /api/docs/a/diff?from=0", nil, "", 200, `"op":["> ",5," there!"]`},
		{"GET /api/docs/a/diff?from=0&to=2&fields=op,unified", nil, "", 200, `+> Hello there!`},
		{"GET /api/docs/a/diff?from=2&to=0", nil, "", 200, `"spans":[]`},
		{"GET /api/docs/a/diff?from_label=first%20draft&to_at=2999-01-01T00:00:00Z", nil, "", 200, `"from":1,"to":2`},
		{"GET /api/docs/a/diff?from=0", header("Accept", "text/x-diff"), "", 200, "+> Hello there!\n"},
		{"GET /api/docs/json/diff?from=0", nil, "", 200, `+    0,\n`},
		{"GET /api/docs/rich/diff?from=0", nil, "", 200, `"unified":""`},
		{"GET /api/docs/a/diff", nil, "", 400, "missing_parameter"},
		{"GET /api/docs/a/diff?from=0&from_at=2000-01-01T00:00:00Z", nil, "", 400, "ambiguous"},
		{"GET /api/docs/a/diff?from=0&fields=op,spam", nil, "", 400, "bad_fields"},
		{"GET /api/docs/a/diff?from=99", nil, "", 404, "future"},
		{"GET /api/docs/a/diff?from=0", header("Accept", "image/png"), "", 406, "not_acceptable"},
		{"GET /api/docs/a/blame", nil, "", 200, `"author":"Ada Lö","rev":0`},
		{"GET /api/docs/a/blame?rev=2&since=1", nil, "", 200, `[{"start":0,"length":2,`},
		{"GET /api/docs/a/blame?rev=99", nil, "", 404, "future"},
		{"GET /api/docs/a/blame?rev=now", nil, "", 400, "bad_revision"},
		{"GET /api/docs/json/blame", nil, "", 200, `"path":[`},

		// Going back.
		{"POST /api/docs/a/revert", header("Quire-Author", "Bob"), `{"author":"Ada","from":0,"to":2}`, 200, `"rev":3`},
		{"GET /api/docs/a?format=text", nil, "", 200, "> Hello\n"},
		{"POST /api/docs/a/revert", nil, `{"author":"Nobody","since":"2000-01-01T00:00:00Z"}`, 200, `"rev":3,"base":3`},
		{"POST /api/docs/a/revert", nil, `{"from":0}`, 400, "missing_field"},
		{"POST /api/docs/a/revert", nil, `{"author":"Ada","from":2,"to":1}`, 400, "bad_range"},
		{"POST /api/docs/a/revert", nil, `{"author":"Ada","from":1,"since":"2000-01-01T00:00:00Z"}`, 400, "ambiguous"},
		{"POST /api/docs/a/revert", nil, `{"author":"Ada","to":99}`, 404, "future"},
		{"POST /api/docs/a/revert", nil, `{"author":"Ada","until":"2000-01-01T00:00:00Z"}`, 404, "before_creation"},
		{"POST /api/docs/a/revert", header("Content-Type", plainText), "Ada", 415, "content_type"},
		{"POST /api/docs/a/revert", nil, `{"author":"` + strings.Repeat("A", 5000) + `"}`, 413, "too_large"},
		{"POST /api/docs/a/revert", evil, `{"author":"Ada"}`, 403, "origin"},
		{"POST /api/docs/a/restore", header("Idempotency-Key", "k2"), `{"rev":0}`, 200, `"rev":4`},
		{"POST /api/docs/a/restore", header("Idempotency-Key", "k2"), `{"rev":1}`, 409, "reused"},
		{"POST /api/docs/a/revert", header("Idempotency-Key", "k2"), `{"author":"Ada"}`, 409, "reused"},
		{"POST /api/docs/a/restore", nil, `{"label":"first draft"}`, 200, `"rev":5`},
		{"GET /api/docs/a?format=text", nil, "", 200, "Hello there!\n"},
		{"POST /api/docs/a/restore", nil, `{"at":"2999-01-01T00:00:00Z"}`, 200, `"rev":5,"base":5`},
		{"POST /api/docs/a/restore", nil, `{}`, 400, "missing_field"},
		{"POST /api/docs/a/restore", nil, ``, 400, "bad_json"},
		{"POST /api/docs/a/restore", nil, `{"rev":0,"label":"x"}`, 400, "ambiguous"},
		{"POST /api/docs/a/restore", nil, `{"rev":99}`, 404, "future"},
		{"POST /api/docs/a/restore", nil, `{"at":"2000-01-01T00:00:00Z"}`, 404, "before_creation"},
		{"POST /api/docs/a/restore", header("Content-Type", plainText), "0", 415, "content_type"},
		{"POST /api/docs/a/restore", nil, `{"label":"` + strings.Repeat("A", 5000) + `"}`, 413, "too_large"},
		{"POST /api/docs/a/restore", evil, `{"rev":0}`, 403, "origin"},

		// Following.
		{"GET /api/docs/a/events?from=-1", nil, "", 200, "id: 0\nevent: create\ndata: {\"rev\":0,"},
		{"GET /api/docs/a/events?from=0", nil, "", 200, "id: 1\nevent: edit\n"},
		{"GET /api/docs/a/events", header("Last-Event-ID", "2"), "", 200, "id: 3\nevent: edit\n"},
		{"HEAD /api/docs/a/events", nil, "", 200, ""},
		{"GET /api/docs/a/events?from=99", nil, "", 404, "future"},
		{"GET /api/docs/a/events?from=x", nil, "", 400, "bad_revision"},
		{"GET /api/docs/none/events", nil, "", 404, "not_found"},

		// Redaction.
		{"POST /api/docs/a/redact", nil, `{"text":"there"}`, 200, `{"revisions":`},
		{"GET /api/docs/a?format=text", nil, "", 200, "Hello !\n"},
		{"POST /api/docs/a/redact", nil, `{"author":"Ada","as":"someone"}`, 200, `{"revisions":`},
		{"POST /api/docs/a/redact", nil, `{}`, 400, "missing_field"},
		{"POST /api/docs/a/redact", nil, `{"text":""}`, 400, "missing_field"},
		{"POST /api/docs/a/redact", nil, `{"text":"x","as":"y"}`, 400, "missing_field"},
		{"POST /api/docs/none/redact", nil, `{"text":"x"}`, 404, "not_found"},
		{"POST /api/docs/a/redact", header("Content-Type", plainText), "there", 415, "content_type"},
		{"POST /api/docs/a/redact", nil, `{"text":"` + strings.Repeat("A", 5000) + `"}`, 413, "too_large"},
		{"POST /api/docs/a/redact", evil, `{"text":"x"}`, 403, "origin"},

		// What is said of a document, its id, and its end.
		{"PATCH /api/docs/a", nil, `{"title":"Second","meta":{"tags":null,"n":{"x":1}}}`, 200, `"title":"Second","meta":{"n":{"x":1}}`},
		{"PATCH /api/docs/a", nil, `{"meta":{"less":"` + strings.Repeat("<", 3000) + `"}}`, 200, "<<<"},
		{"PATCH /api/docs/a", nil, `{"meta":{"more":` + strings.Repeat(`{"a":`, 600) + "1" + strings.Repeat("}", 600) + `}}`, 413, "too_large"},
		{"PATCH /api/docs/a", header("Content-Type", "application/merge-patch+json"), `{"title":null,"meta":null}`, 200, `"title":"","rev"`},
		{"PATCH /api/docs/a", nil, `{"id":"b"}`, 200, `"id":"b"`},
		{"GET /api/docs/a", nil, "", 404, "not_found"},
		{"PATCH /api/docs/b", nil, `{"id":"plain"}`, 409, "exists"},
		{"PATCH /api/docs/b", nil, `{"id":""}`, 400, "bad_id"},
		{"PATCH /api/docs/b", nil, `{"meta":5}`, 400, "bad_field"},
		{"PATCH /api/docs/b", nil, `{"title":5}`, 400, "bad_field"},
		{"PATCH /api/docs/b", nil, `{"content":"x"}`, 400, "unknown_field"},
		{"PATCH /api/docs/b", header("Content-Type", plainText), "x", 415, "content_type"},
		{"PATCH /api/docs/b", nil, `{"title":"` + strings.Repeat("t", 5000) + `"}`, 413, "too_large"},
		{"PATCH /api/docs/none", nil, `{"title":"x"}`, 404, "not_found"},
		{"PATCH /api/docs/b", evil, `{"title":"x"}`, 403, "origin"},
		{"DELETE /api/docs/b", evil, "", 403, "origin"},
		{"DELETE /api/docs/b?force=1", nil, "", 400, "unknown_parameter"},
		{"DELETE /api/docs/b", nil, "more", 400, "unwanted_body"},
		{"DELETE /api/docs/b", nil, "", 204, ""},
		{"DELETE /api/docs/b", nil, "", 404, "not_found"},
		{"GET /api/docs/b", nil, "", 404, "not_found"},
		{"GET /api/docs/b/history", nil, "", 404, "not_found"},

		// The rest.
		{"GET /api/openapi.json", nil, "", 200, `"openapi"`},
		{"GET /api/openapi.json?x", nil, "", 400, "unknown_parameter"},
		{"GET /api/backup", nil, "", 200, ""},
		{"HEAD /api/backup", nil, "", 200, ""},
		{"GET /api/backup?x", nil, "", 400, "unknown_parameter"},
		{"GET /api/backup", evil, "", 403, "origin"},
		{"GET /api/backup", header("Sec-Fetch-Site", "cross-site"), "", 403, "origin"}, // as for an image
		{"HEAD /api/backup", header("Sec-Fetch-Site", "same-origin"), "", 200, ""},
	} {
		a := d.do(x)
		if a.status == 405 && a.header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", x.request)
		}
	}

	webhooks(t, d)

	// What retention has dropped.
	m.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	squash(t, data, "plain", session.Keep{Count: 1})
	_, base, _ = start(t, "--data", data)
	d.url = strings.TrimSuffix(base, "/")
	for _, x := range []exchange{
		{"GET /api/docs/plain", nil, "", 200, `"rev":2,"oldest":2,`},
		{"GET /api/docs/plain?rev=2", nil, "", 200, `"content":"one!\ntwo\nthree\n"`},
		{"GET /api/docs/plain?rev=1", nil, "", 410, "gone"},
		{"GET /api/docs/plain/events?from=1", nil, "", 410, "gone"},
		{"GET /api/docs/plain/history", nil, "", 200, `{"edits":[]`},
		{"GET /api/docs/plain/history?before=1", nil, "", 410, "gone"},
		{"GET /api/docs/plain/history/1", nil, "", 410, "gone"},
		{"GET /api/docs/plain/diff?from=0", nil, "", 410, "gone"},
		{"GET /api/docs/plain/blame", nil, "", 200, `"author":"Bob"`},
		{"GET /api/docs/plain/blame?rev=1", nil, "", 410, "gone"},
		{"PUT /api/docs/plain", header("If-Match", `"1"`, "Content-Type", plainText), "x", 410, "gone"},
		{"PUT /api/docs/plain/labels/x", nil, `{"rev":1}`, 410, "gone"},
		{"POST /api/docs/plain/operations", nil, `{"base":1,"ops":[["x"]]}`, 410, "gone"},
		{"POST /api/docs/plain/restore", nil, `{"rev":1}`, 410, "gone"},
		{"POST /api/docs/plain/revert", nil, `{"author":"Ada","from":0}`, 410, "gone"},
	} {
		if a := d.do(x); a.status == 410 && !strings.Contains(string(a.body), `"oldest":2`) {
			t.Errorf("%s: %s", x.request, a.body)
		}
	}
	d.people()
	d.complete()
}

// webhooks calls what there is for webhooks; no document is any that they hear of.
func webhooks(t *testing.T, d *described) {
	t.Helper()
	a := d.do(exchange{"POST /api/hooks", nil, `{"url":"https://example.org/quire","docs":"none/"}`, 201, `"secret":`})
	hook := a.header.Get("Location")
	for _, x := range []exchange{
		{"GET /api/hooks", nil, "", 200, `"docs":"none/"`},
		{"GET " + hook, nil, "", 200, `"state":"active"`},
		{"GET " + hook + "/dead?limit=5", nil, "", 200, `{"letters":[]}`},
		{"GET " + hook + "/dead?limit=0", nil, "", 400, "bad_limit"},
		{"POST " + hook + "/dead/retry", nil, "", 202, `{"retrying":0}`},
		{"POST " + hook + "/dead/retry", header("Origin", "https://evil.example"), "", 403, "origin"},
		{"POST /api/hooks", header("Origin", "https://evil.example"), `{"url":"https://example.org/quire"}`, 403, "origin"},
		{"POST /api/hooks", nil, `{"url":"ftp://example.org"}`, 400, "bad_message"},
		{"POST /api/hooks", nil, `{"uri":"https://example.org"}`, 400, "unknown_field"},
		{"POST /api/hooks", nil, `{"url":"https://example.org","URL":"https://example.net"}`, 400, "unknown_field"},
		{"POST /api/hooks", nil, `{"url":"https://example.org","url":"https://example.net"}`, 400, "repeated_field"},
		{"POST /api/hooks", nil, `{"url":"https://example.org"} more`, 400, "bad_json"},
		{"POST /api/hooks?url=x", nil, `{"url":"https://example.org"}`, 400, "unknown_parameter"},
		{"GET /api/hooks?limit=5", nil, "", 400, "unknown_parameter"},
		{"GET " + hook + "?dead=1", nil, "", 400, "unknown_parameter"},
		{"GET " + hook + "/dead?limit=5&limit=6", nil, "", 400, "repeated_parameter"},
		{"GET " + hook + "/dead?before=5", nil, "", 400, "unknown_parameter"},
		{"POST " + hook + "/dead/retry?all=1", nil, "", 400, "unknown_parameter"},
		{"DELETE " + hook + "?now=1", nil, "", 400, "unknown_parameter"},
		{"POST /api/hooks", nil, `{"url":"https://example.org/` + strings.Repeat("x", 5000) + `"}`, 413, "too_large"},
		{"POST /api/hooks", header("Content-Type", "text/plain"), "x", 415, "content_type"},
		{"PUT " + hook, nil, "", 405, "method"},
		{"GET /api/hooks/none", nil, "", 404, "not_found"},
		{"GET /api/hooks/none/dead", nil, "", 404, "not_found"},
		{"POST /api/hooks/none/dead/retry", nil, "", 404, "not_found"},
		{"DELETE " + hook, header("Origin", "https://evil.example"), "", 403, "origin"},
		{"DELETE " + hook, nil, "", 204, ""},
		{"DELETE " + hook, nil, "", 404, "not_found"},
	} {
		d.do(x)
	}
	for range 100 {
		d.do(exchange{"POST /api/hooks", nil, `{"url":"https://example.org/quire","docs":"none/"}`, 201, ""})
	}
	d.do(exchange{"POST /api/hooks", nil, `{"url":"https://example.org/quire","docs":"none/"}`, 409, "too_many"})
}

// squash drops what keep does not keep of a document in the data of a server that is
// stopped.
func squash(t *testing.T, data, doc string, keep session.Keep) {
	t.Helper()
	c, err := configure([]string{"--data", data}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	store, err := openStore(c, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	m := session.New(session.Options{Store: store, Types: types(), Logger: log})
	_, err = m.Squash(t.Context(), doc, keep)
	if err := errors.Join(err, m.Close(t.Context()), store.Close()); err != nil {
		t.Fatal(err)
	}
}
