import assert from "node:assert/strict";
import { test } from "node:test";

import { importOf } from "../src/import.js";

test("what a file is imported as, by its name and what it holds", () => {
  const cases: [name: string, text: string | null, type: string | null, title?: string][] = [
    ["notes.txt", "hello", "text/plain; charset=utf-8", "notes"],
    ["no end", "hello", "text/plain; charset=utf-8", "no end"],
    ["main.go", "package main", "text/plain; charset=utf-8", "main"],
    ["A.B.MD", "# hello", "text/markdown; charset=utf-8", "A.B"],
    ["page.htm", "<p>", "text/html; charset=utf-8", "page"],
    ["x.json", '[{"insert":"a\\n"}]', "application/vnd.quire.delta+json"],
    ["x.json", '{"ops":[{"insert":"a\\n"}]}', "application/vnd.quire.delta+json"],
    ["x.json", '{"a":[1]}', "application/json"],
    ["x.json", "[]", "application/json"],
    ["x.json", "{", null],
    ["whole.quire", null, "application/vnd.quire.bundle"],
    ["picture.png", null, null],
    [".profile", "x", "text/plain; charset=utf-8", ".profile"],
  ];
  for (const [name, text, type, title] of cases) {
    const what = importOf(name, text);
    assert.equal(what?.contentType ?? null, type, name);
    if (title !== undefined) assert.equal(what?.title, title);
  }
  assert.deepEqual(JSON.parse(importOf("x.json", '{"ops":[{"insert":"a"}]}')!.body!), [{ insert: "a" }]);
  assert.deepEqual(JSON.parse(importOf("x.json", "[1]")!.body!), { type: "json0", content: [1], title: "x" });
});
