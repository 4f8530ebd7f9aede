import assert from "node:assert/strict";
import { test } from "node:test";

import { AuthorNames, distinct, stripped, visible } from "../src/names.js";
import { Access, includes } from "../src/session.js";
import { troubleIn } from "../src/states.js";

test("what cannot be seen in a name is shown or taken out, what is meant stays", () => {
  const cases: [name: string, visible: string, stripped: string][] = [
    ["Ada Lovelace", "Ada Lovelace", "Ada Lovelace"],
    ["Ada\u202egnp.exe", "Ada[U+202E]gnp.exe", "Ada gnp.exe"],
    ["\u2066Bob\u2069", "[U+2066]Bob[U+2069]", "Bob"],
    ["A\u200bda", "A[U+200B]da", "A da"],
    ["A\u00adda", "A[U+00AD]da", "A da"],
    ["\u3164", "[U+3164]", ""],
    ["a\nb\0c", "a[U+000A]b[U+0000]c", "a b c"],
    ["x\u{e0041}", "x[U+E0041]", "x"],
    ["ab\ufe0f", "ab[U+FE0F]", "ab"],
    ["\u{1f469}\u200d\u{1f680} and \u2764\ufe0f", "\u{1f469}\u200d\u{1f680} and \u2764\ufe0f", "\u{1f469}\u200d\u{1f680} and \u2764\ufe0f"],
    ["\u0646\u0627\u0645\u0647\u200c\u0627\u06cc", "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc", "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc"],
    ["Zo\u00eb \u05d0\u05d1", "Zo\u00eb \u05d0\u05d1", "Zo\u00eb \u05d0\u05d1"],
  ];
  for (const [name, seen, rest] of cases) {
    assert.equal(visible(name), seen);
    assert.equal(stripped(name), rest);
  }
});

test("people of one name can be told apart", () => {
  const people = (...named: (string | [name: string, author: string])[]) => distinct(named.map((one) => (typeof one === "string" ? { name: one } : { name: one[0], author: one[1] })));
  assert.deepEqual(people("Ada", "Bob"), ["Ada", "Bob"]);
  assert.deepEqual(people("Ada", "Ada", "ada "), ["Ada", "Ada (2)", "ada  (3)"]);
  assert.deepEqual(people("Ada", "\u0410da"), ["Ada", "\u0410da (2)"], "a Cyrillic letter is no way to be somebody else");
  assert.deepEqual(people(["Ada", "u1"], ["Ada", "Ada~x1y2z3"]), ["Ada (u1)", "Ada (Ada~x1y2z3)"]);
  assert.deepEqual(people(["Ada", "u1"], ["Ada", "u1"]), ["Ada", "Ada"], "one person in two windows");
  assert.deepEqual(people("", ""), ["Somebody", "Somebody (2)"]);
});

test("authors are called by their names, and no two alike", () => {
  const names = new AuthorNames();
  const called = (...authors: string[]) => authors.map((author) => names.call(author));
  assert.deepEqual(called("idp|1", "Bob", ""), ["idp|1", "Bob", "Somebody"]);
  assert.equal(names.recorded("Bob"), "");
  names.learn();
  assert.equal(names.version, 0);
  names.learn({ "idp|1": "Ada", "idp|2": "Bo\u202eb", "idp|3": " \u200b", "Cy~00aaff11": "Cy", "Cy~nothex": "Dan" });
  assert.ok(names.version > 0, "who was called by their author is to be called anew");
  assert.deepEqual(called("idp|1", "idp|2", "idp|3", "Cy~00aaff11", "Cy~nothex"), ["Ada", "Bo[U+202E]b (idp|2)", "idp|3", "Cy (guest)", "Dan"]);
  assert.deepEqual(["idp|1", "idp|3", "Cy~00aaff11"].map((author) => names.recorded(author)), ["idp|1", "", "Cy~00aaff11"]);
  assert.equal(names.call("Bob"), "Bob", "who is recorded so is called so");

  const before = names.version;
  names.learn({ "idp|4": "\u0410da" });
  assert.ok(names.version > before, "two are alike now");
  assert.deepEqual(called("idp|1", "idp|4"), ["Ada (idp|1)", "\u0410da (idp|4)"]);
  names.learn({ "idp|4": "Eve" });
  assert.deepEqual(called("idp|1", "idp|4"), ["Ada", "Eve"]);
  names.learn({ "idp|5": "Ada (idp|1)", "idp|6": "Cy (guest)" });
  assert.deepEqual(called("idp|5", "idp|6"), ["Ada (idp|1) (idp|5)", "Cy (guest) (idp|6)"], "nobody is called as another is told apart");
  const settled = names.version;
  names.learn({ "idp|4": "Eve", "idp|1": "Ada" });
  assert.equal(names.version, settled);
});

test("what a session allows", () => {
  const of = (grants: [docs: string, role: any][], namespace?: string) =>
    new Access("known", { author: "a", ...(namespace ? { namespace } : {}), grants: grants.map(([docs, role]) => ({ docs, role })) });
  const some = of([["plans/*", "read"], ["plans/mine*", "write"], ["todo", "admin"]]);
  assert.deepEqual(["plans/a", "plans/mine-1", "todo", "todo2", "other"].map((id) => some.role(id)), ["read", "write", "admin", "none", "none"]);
  assert.deepEqual(some.beginnings, ["plans/mine"]);
  assert.deepEqual(of([["*", "write"], ["plans/*", "admin"]]).beginnings, [""]);
  assert.deepEqual(of([["*", "admin"]], "acme").beginnings, ["acme/"]);
  assert.deepEqual(of([["acme/plans/*", "write"], ["other/*", "write"]], "acme").beginnings, ["acme/plans/"]);
  assert.equal(of([["*", "admin"]], "acme").role("acmes/plan"), "none");
  assert.deepEqual(of([["todo", "admin"]]).beginnings, []);
  assert.equal(new Access("open").role("x"), "admin");
  assert.equal(new Access("nobody").role("x"), "none");
  const bob = new Access("known", { author: "Bob~aaaaaa" });
  assert.deepEqual([undefined, "Bob~aaaaaa", "Bob~bbbbbb", "Bob", "Eve~aaaaaa"].map((by) => bob.continues(by)), [true, true, true, false, false]);
  assert.deepEqual(["todo", "a", "a~"].map((by) => some.continues(by)), [false, true, false]);
  assert.ok(includes("admin", "write") && !includes("read", "write"));
});

test("what a server says of its trouble comes down to a few words", () => {
  assert.equal(troubleIn("not ready: write /x: no space left on device"), "its disk is full");
  assert.equal(troubleIn("not ready: open: read-only file system"), "its disk can only be read");
  assert.equal(troubleIn("not ready: the disk is full; edits of 1 document are kept in memory and tried again"), "its disk is full");
  assert.equal(troubleIn("not ready: the disk reports errors"), "its disk fails");
  assert.equal(troubleIn("not ready: the disk is slow: a commit has been under way for 2s"), "its disk is slow");
  assert.equal(troubleIn("not ready: <b>x</b>"), "");
});
