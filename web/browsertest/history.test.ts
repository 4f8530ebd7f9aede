import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";

import type { Page } from "playwright-core";

import type { DeltaDoc } from "../client/delta.js";
import { Connection, text } from "../client/index.js";
import { person, picture, QuireServer, richShown, shown, until, untilEqual, untilRich, untilShown, untilState, visit, Way } from "./harness.js";

/** Asks the server something and returns its answer. */
async function ask<T>(server: QuireServer, method: string, path: string, body?: unknown, author = ""): Promise<T> {
  const headers = { "content-type": "application/json", ...(author ? { "quire-author": encodeURIComponent(author) } : {}) };
  const response = await fetch(`${server.url}/api/docs${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const answer = (await response.json()) as T;
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

/** One edit by each author in turn, on what is there. */
async function write(server: QuireServer, id: string, ...edits: [author: string, op: unknown][]): Promise<void> {
  for (const [author, op] of edits) {
    const { rev } = await ask<{ rev: number }>(server, "GET", `/${encodeURIComponent(id)}`);
    await ask(server, "POST", `/${encodeURIComponent(id)}/operations`, { base: rev, ops: [op] }, author);
  }
}

/** Opens the history and waits until its newest revision is shown. */
async function openHistory(page: Page): Promise<void> {
  await page.locator(".history-button").click();
  await settled(page);
}

/** Waits until the history shows a revision, or whatever it is asked for, with everything about it. */
async function settled(page: Page, rev?: number): Promise<void> {
  await page.locator(`dialog.history[data-settled="true"][data-busy="false"]${rev === undefined ? "" : `[data-rev="${rev}"]`}`).waitFor();
}

/** Returns the text that the history shows, without what is gone. For documents that fit on the screen. */
function past(page: Page): Promise<string> {
  return page.locator(".history-plain .cm-content").evaluate((content) =>
    [...content.querySelectorAll(".cm-line")].map((line) => {
      const copy = line.cloneNode(true) as Element;
      for (const gone of copy.querySelectorAll("del, .cm-placeholder")) gone.remove();
      return copy.textContent;
    }).join("\n"));
}

const slider = (page: Page) => page.locator(".history input[type=range]");
const all = (page: Page, selector: string) => page.locator(`.history-paper ${selector}`).allTextContents();
const legend = (page: Page) => page.locator(".history-foot .legend .author").allTextContents();

/** Puts the slider somewhere, as a finger does. */
function slide(page: Page, rev: number): Promise<void> {
  return slider(page).evaluate((node: HTMLInputElement, rev) => {
    node.value = String(rev);
    node.dispatchEvent(new Event("input", { bubbles: true }));
  }, rev);
}

test("the history shows the text at any revision, what changed and by whom, and gives the editor back as it was", async () => {
  const server = await QuireServer.start();
  await ask(server, "POST", "", { id: "letter", content: "Dear Babbage," }, "Ada");
  await write(server, "letter",
    ["Ada", [13, "\n\nI am in dismay"]], // 1
    ["Ada", [29, "."]], // 2
    ["Bob", [20, -9, "deep sorrow"]], // 3
    ["Charles", ["My ", -1, "d"]]); // 4
  const texts = ["Dear Babbage,", "Dear Babbage,\n\nI am in dismay", "Dear Babbage,\n\nI am in dismay.", "Dear Babbage,\n\nI am deep sorrow.", "My dear Babbage,\n\nI am deep sorrow."];
  const ada = await person("Ada", { color: "#b4432f" });
  const { page } = ada;
  const fetched: string[] = [];
  page.on("request", (request) => fetched.push(new URL(request.url()).pathname));
  await visit(page, server.url, "letter");
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+Home");
  for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+ArrowRight");
  assert.ok(!fetched.some((path) => /history\.css|view-/.test(path)), "the history is not fetched before it is asked for");
  await openHistory(page);
  await settled(page, 4);
  assert.equal(await past(page), texts[4]);
  assert.deepEqual([await all(page, "ins.added"), await all(page, "del.gone"), await legend(page)], [["My d"], ["D"], ["Charles"]]);
  await picture(page, "history-text");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Revision");

  // One edit with an arrow, one revision with Shift.
  await page.keyboard.press("ArrowLeft");
  await settled(page, 3);
  assert.equal(await past(page), texts[3]);
  assert.deepEqual([await all(page, "ins.added"), await all(page, "del.gone"), await legend(page)], [["deep sorrow"], ["in dismay"], ["Bob"]]);
  assert.match((await slider(page).getAttribute("aria-valuetext"))!, /^Revision 3 of 4, .*, Bob$/);
  await page.keyboard.press("ArrowLeft");
  await settled(page, 2);
  assert.equal(await past(page), texts[2]);
  assert.equal((await all(page, "ins.added")).join(""), "I am in dismay.", "of two revisions by one author, both are the edit");
  await page.keyboard.press("Shift+ArrowLeft");
  await settled(page, 1);
  assert.equal(await past(page), texts[1]);
  await page.keyboard.press("Home");
  await settled(page, 0);
  assert.equal(await past(page), texts[0]);
  await page.keyboard.press("ArrowRight");
  await settled(page, 2);
  await page.keyboard.press("PageUp");
  await settled(page, 3);
  await page.keyboard.press("End");
  await settled(page, 4);
  await slide(page, 1);
  await settled(page, 1);
  assert.equal(await past(page), texts[1]);
  for (const [words, rev] of [["Edit after", 2], ["Edit before", 0], ["Edit after", 2], ["Edit after", 3]] as const) {
    await page.getByRole("button", { name: words }).click();
    await settled(page, rev);
    assert.equal(await past(page), texts[rev]);
  }

  // The list says the same, and leads there.
  const rows = page.locator(".edits button");
  assert.equal(await rows.count(), 4);
  assert.equal(await page.locator('.edits [aria-current="true"]').evaluate((row) => row.parentElement!.dataset["to"]), "3");
  await rows.nth(2).click();
  await settled(page, 2);
  await page.keyboard.press("ArrowDown");
  await settled(page, 0);
  assert.equal(await page.locator('.edits [aria-current="true"] .size').textContent(), "Created");

  // Back in the document everything is as it was: the selection, and the way to the server.
  await page.keyboard.press("Escape");
  await page.locator("dialog.history").waitFor({ state: "detached" });
  await page.keyboard.type("Our ");
  await untilEqual([page], (text) => text.startsWith("Our dear Babbage"));
  assert.ok((await server.content("letter")).startsWith("Our dear Babbage"));
  assert.deepEqual(ada.complaints, []);
});

test("a version is restored while another window types, and both end with the server's text", async () => {
  const server = await QuireServer.start();
  await ask(server, "POST", "", { id: "both", content: "The first text, which was good.\n" }, "Ada");
  await write(server, "both", ["Bob", [10, -20, "spoilt"]]);
  const ada = await person("Ada", { color: "#b4432f" });
  const bob = await person("Bob", { color: "#3a63b8" });
  for (const { page } of [ada, bob]) await visit(page, server.url, "both");
  await openHistory(ada.page);
  await ada.page.keyboard.press("Home");
  await settled(ada.page, 0);
  await bob.page.locator(".cm-content").click();
  await bob.page.keyboard.press("Control+End");
  // Bob types until the version is there, and a little more.
  let restored = false;
  const letters = "typed all the while, which goes on and on; ";
  const typing = (async () => {
    for (let i = 0; !restored; i++) await bob.page.keyboard.type(letters[i % letters.length]!, { delay: 8 });
    await bob.page.keyboard.type(" to the end");
  })();
  await ada.page.getByRole("button", { name: "Restore this version" }).click();
  await picture(ada.page, "history-restore");
  await ada.page.locator("dialog.confirm").getByRole("button", { name: "Restore", exact: true }).click();
  await ada.page.locator("dialog.history").waitFor({ state: "detached" });
  await ada.page.getByText(/^The document is what it was at revision 0/).first().waitFor();
  await untilShown(bob.page, (text) => text.includes("which was good"));
  restored = true;
  await typing;
  const end = await untilEqual([ada.page, bob.page], (text) => text.includes("which was good") && text.endsWith(" to the end"));
  assert.equal(end, await server.content("both"));
  // Nothing is there but what was restored, and what was typed after that.
  const after = end.replace("The first text, which was good.\n", "");
  assert.ok(letters.repeat(2 + end.length / letters.length).includes(after.slice(0, -" to the end".length)), end);
  // Undo takes back what the person typed, not the restoring, nor anything of it.
  const undone = async () => {
    await bob.page.keyboard.press("Control+z");
    return shown(bob.page);
  };
  await until(undone, (text) => text === "The first text, which was good.\n");
  await untilEqual([ada.page, bob.page], (text) => text === "The first text, which was good.\n");
  // The version is an edit by who restored it.
  await openHistory(ada.page);
  const { edits } = await ask<{ edits: { authors: string[] }[] }>(server, "GET", "/both/history?limit=100");
  assert.ok(edits.some(({ authors }) => authors.includes("Ada")));
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("while the history is open, new edits arrive in it", async () => {
  const server = await QuireServer.start();
  await ask(server, "POST", "", { id: "live", content: "one" }, "Ada");
  const ada = await person("Ada");
  const { page } = ada;
  await visit(page, server.url, "live");
  await openHistory(page);
  await write(server, "live", ["Bob", [3, " two"]]);
  await settled(page, 1);
  assert.equal(await past(page), "one two", "who looks at the newest revision goes on doing so");
  await page.locator('.edits li[data-to="1"]').waitFor();
  await page.keyboard.press("Home");
  await settled(page, 0);
  await write(server, "live", ["Bob", [7, " three"]]);
  await page.locator('.edits li[data-to="2"]').waitFor();
  await page.waitForFunction(() => document.querySelector<HTMLInputElement>(".history input[type=range]")!.max === "2");
  assert.equal(await past(page), "one", "who looks at an old one does, too");
  assert.deepEqual(ada.complaints, []);
});

test("revisions are named, found again, renamed, moved and forgotten", async () => {
  const server = await QuireServer.start();
  await ask(server, "POST", "", { id: "named", content: "a" }, "Ada");
  await write(server, "named", ["Ada", [1, "b"]], ["Bob", [2, "c"]], ["Charles", [3, "d"]]);
  const ada = await person("Ada");
  const { page } = ada;
  const labels = async () => (await ask<{ labels: { name: string; rev: number; author: string }[] }>(server, "GET", "/named/labels")).labels.map(({ name, rev, author }) => [name, rev, author]);
  await visit(page, server.url, "named");
  await openHistory(page);
  await page.keyboard.press("ArrowLeft");
  await settled(page, 2);
  await page.locator("#label-name").fill("to Bob & co / draft");
  await page.keyboard.press("Enter");
  const row = (name: string) => page.locator(`.labels li[data-label="${name}"]`);
  await row("to Bob & co / draft").waitFor();
  assert.deepEqual(await labels(), [["to Bob & co / draft", 2, "Ada"]]);
  assert.equal(await page.locator('.edits li[data-to="2"] .label').textContent(), "to Bob & co / draft");
  assert.equal(await row("to Bob & co / draft").locator(".about").innerText(), "revision 2 · Ada");
  assert.equal(await page.locator(".tick").count(), 1);
  const [told, slider] = [await page.locator(".history .toast").boundingBox(), await page.locator(".timeline").boundingBox()];
  assert.ok(told!.y + told!.height <= slider!.y, "what is told covers no slider");
  await picture(page, "history-labels");
  // A name that is taken is not taken away from where it is.
  await page.locator("#label-name").fill("to Bob & co / draft");
  await page.keyboard.press("Enter");
  await page.getByText("There is a label “to Bob & co / draft” already.").waitFor();
  await page.locator("#label-name").fill("");
  await slide(page, 4 - 1);
  await settled(page, 3);
  await row("to Bob & co / draft").getByRole("button", { name: "to Bob & co / draft", exact: true }).click();
  await settled(page, 2);
  assert.equal(await past(page), "abc");
  await page.locator(".edits button").first().click();
  await settled(page, 3);
  await row("to Bob & co / draft").getByRole("button", { name: "Move to the revision that is shown" }).click();
  await page.locator('.edits li[data-to="3"] .label').waitFor();
  await row("to Bob & co / draft").getByRole("button", { name: "Rename" }).click();
  await page.keyboard.type("sent");
  await page.keyboard.press("Enter");
  await row("sent").waitFor();
  assert.deepEqual(await labels(), [["sent", 3, "Ada"]]);
  await row("sent").getByRole("button", { name: "Remove" }).click();
  await page.locator("dialog.confirm").getByRole("button", { name: "Remove" }).click();
  await row("sent").waitFor({ state: "detached" });
  assert.deepEqual(await labels(), []);
  await page.locator("dialog.history").waitFor();
  assert.deepEqual(ada.complaints, []);
});

test("what one author did in an edit is undone, and everybody else's work stays", async () => {
  const server = await QuireServer.start();
  await ask(server, "POST", "", { id: "undo", content: "one two three" }, "Ada");
  await write(server, "undo", ["Bob", [4, -3, "TWO"]], ["Ada", [13, " four"]]);
  const ada = await person("Ada");
  const { page } = ada;
  await visit(page, server.url, "undo");
  await openHistory(page);
  await page.keyboard.press("ArrowLeft");
  await settled(page, 1);
  await page.getByRole("button", { name: "Undo these edits" }).click();
  await page.locator("dialog.confirm").getByRole("button", { name: "Undo", exact: true }).click();
  await settled(page, 3);
  assert.equal(await past(page), "one two three four");
  await page.keyboard.press("Escape");
  await page.locator("dialog.history").waitFor({ state: "detached" });
  await untilEqual([page], (text) => text === "one two three four");
  assert.equal(await server.content("undo"), "one two three four");
  assert.deepEqual(ada.complaints, []);
});

test("of an edit that many wrote together some are named, and what one of them did is undone", async () => {
  const server = await QuireServer.start();
  await ask(server, "POST", "", { id: "crowd", content: "" }, "Ada");
  const crowd = Array.from({ length: 12 }, (_, i) => `Writer ${i + 1}`);
  await write(server, "crowd", ...[...crowd, ...crowd].map((author): [string, unknown] => [author, [`${author}. `]]));
  const ada = await person("Ada", { phone: true });
  const { page } = ada;
  await visit(page, server.url, "crowd");
  await openHistory(page);
  await settled(page, 24);
  assert.deepEqual(await legend(page), crowd.slice(0, 6));
  assert.match((await page.locator(".history-foot .legend").textContent())!, /and 6 more/);
  await picture(page, "history-crowd");
  await page.getByRole("button", { name: "Undo edits…" }).click();
  await page.locator("dialog.confirm").getByLabel("Author").selectOption("Writer 12");
  await picture(page, "history-undo-whose");
  await page.locator("dialog.confirm").getByRole("button", { name: "Undo", exact: true }).click();
  await settled(page, 25);
  const left = crowd.slice(0, 11).reverse().map((author) => `${author}. `).join("");
  assert.equal(await server.content("crowd"), left + left);
  assert.deepEqual(ada.complaints, []);
});

/** Returns the text in each colour as the editor shows it: by the colour's author, as the legend says. */
function colored(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const names = new Map([...document.querySelectorAll<HTMLElement>(".blame-bar .author")].map((author) => [author.style.getPropertyValue("--peer"), author.textContent]));
    return [...document.querySelectorAll(".cm-content .blamed")].map((part) => `${names.get(getComputedStyle(part).getPropertyValue("--peer").trim())}: ${part.textContent}`);
  });
}

/** Waits until the colours are as they are to be. */
async function untilColored(page: Page, want: string[]): Promise<void> {
  await until(() => colored(page), (have) => JSON.stringify(have) === JSON.stringify(want));
}

test("the text is shown in the colours of its authors while it is written, until they are switched off", async () => {
  const server = await QuireServer.start();
  await ask(server, "POST", "", { id: "colours", content: "Ada began. " }, "Ada");
  await write(server, "colours", ["Bob", [11, "Bob went on."]]);
  const ada = await person("Ada", { color: "#b4432f" });
  const bob = await person("Bob", { color: "#3a63b8" });
  for (const { page } of [ada, bob]) await visit(page, server.url, "colours");
  const { page } = ada;
  assert.deepEqual(await colored(page), []);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByLabel("Colours by author").check();
  await page.keyboard.press("Escape");
  await untilColored(page, ["Ada: Ada began. ", "Bob: Bob went on."]);
  // Their own colours, those of the carets.
  assert.equal(await page.locator(".blamed").nth(1).evaluate((part) => getComputedStyle(part).getPropertyValue("--peer").trim()), "#3a63b8");
  await page.locator(".blamed").nth(1).hover();
  await page.locator(".blame-tip", { hasText: /^Bob, .*revision 1$/ }).waitFor();
  await picture(page, "colours");
  // What is written here is one's own at once; what others write is known soon.
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+End");
  await page.keyboard.type(" Then me.");
  await untilColored(page, ["Ada: Ada began. ", "Bob: Bob went on.", "Ada:  Then me."]);
  await page.getByText(/^At the cursor: Ada, /).waitFor();
  await bob.page.locator(".cm-content").click();
  await bob.page.keyboard.press("Control+Home");
  await bob.page.keyboard.type("Bob: ");
  await untilColored(page, ["Bob: Bob: ", "Ada: Ada began. ", "Bob: Bob went on.", "Ada:  Then me."]);
  // It is this browser's choice, also on the next visit.
  await page.reload();
  await untilColored(page, ["Bob: Bob: ", "Ada: Ada began. ", "Bob: Bob went on.", "Ada:  Then me."]);
  await page.getByRole("button", { name: "Hide colours" }).click();
  await untilColored(page, []);
  await page.reload();
  await untilState(page, "saved");
  assert.equal(await page.locator(".blame-bar").count(), 0);
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

/** Returns the lines of the rich text that the history shows, with marks: `+new+`, `-gone-`, `~formatted~`. */
function richPast(page: Page): Promise<string[]> {
  return page.locator(".history-rich .ql-editor").evaluate((editor) => {
    const signs: Record<string, string> = { new: "+", gone: "-", formatted: "~" };
    return [...editor.querySelectorAll("p, h1, li")].map((line) => {
      const copy = line.cloneNode(true) as Element;
      for (const mark of copy.querySelectorAll<HTMLElement>("[data-mark]")) {
        const sign = signs[mark.dataset["mark"]!.split(" ")[0]!]!;
        mark.prepend(sign);
        mark.append(sign);
      }
      return `${line.tagName.toLowerCase()} ${copy.textContent}`;
    });
  });
}

test("the past of a rich text is shown as the editor shows it, restored and coloured", async () => {
  const server = await QuireServer.start();
  await ask(server, "POST", "", { id: "rich", type: "delta", content: [{ insert: "Title\nHello world\n" }] }, "Ada");
  await write(server, "rich",
    ["Bob", [{ retain: 5 }, { retain: 1, attributes: { header: 1 } }, { retain: 6 }, { insert: "bold ", attributes: { bold: true } }]], // 1
    ["Ada", [{ retain: 6 }, { delete: 6 }, { retain: 5 }, { retain: 5, attributes: { italic: true } }]]); // 2
  const ada = await person("Ada", { color: "#b4432f" });
  const { page } = ada;
  await visit(page, server.url, "rich");
  const now = await richShown(page);
  await openHistory(page);
  await settled(page, 2);
  assert.deepEqual(await richPast(page), ["h1 Title", "p -Hello -bold ~world~"]);
  assert.equal(await page.locator(".history-rich strong").textContent(), "bold ");
  await picture(page, "history-rich");
  await page.keyboard.press("ArrowLeft");
  await settled(page, 1);
  assert.deepEqual(await richPast(page), ["h1 Title", "p Hello +bold +world"]);
  assert.deepEqual(await legend(page), ["Bob"]);
  await page.keyboard.press("Home");
  await settled(page, 0);
  assert.deepEqual((await richPast(page)).map((line) => line.replaceAll("+", "")), ["p Title", "p Hello world"]);
  await page.keyboard.press("Escape");
  await page.locator("dialog.history").waitFor({ state: "detached" });
  assert.deepEqual(await richShown(page), now);

  // Colours, as highlights over the editor.
  await page.getByRole("button", { name: "More" }).click();
  await page.getByLabel("Colours by author").check();
  await page.keyboard.press("Escape");
  const highlighted = () => page.evaluate(() => [...CSS.highlights].map(([, ranges]) => [...ranges].map((range) => String(range)).join("|")).sort());
  await page.locator(".blame-bar .author").nth(1).waitFor();
  await picture(page, "colours-rich");
  assert.ok((await highlighted()).includes("bold "), JSON.stringify(await highlighted()));
  await page.locator(".ql-editor strong").hover();
  await page.locator(".blame-tip", { hasText: /^Bob, .*revision 1$/ }).waitFor();
  await page.getByRole("button", { name: "Hide colours" }).click();
  await until(highlighted, (have) => have.length === 0);

  const before = await untilRich(server, "rich", [page], () => true);
  await openHistory(page);
  await page.keyboard.press("Home");
  await settled(page, 0);
  await page.getByRole("button", { name: "Restore this version" }).click();
  await page.locator("dialog.confirm").getByRole("button", { name: "Restore", exact: true }).click();
  await page.locator("dialog.history").waitFor({ state: "detached" });
  const doc = await untilRich(server, "rich", [page], ([, line]) => line === "p Hello world");
  assert.deepEqual(doc, [{ insert: "Title\nHello world\n" }] satisfies DeltaDoc);
  // Taken back at once, from where it is told: the restoring alone, though the history shows it as one with the edits before it.
  await page.locator(".toast").getByRole("button", { name: "Undo" }).click();
  await page.getByText(/^The version was put back\./).first().waitFor();
  assert.deepEqual(await untilRich(server, "rich", [page], ([, line]) => line !== "p Hello world"), before);
  assert.deepEqual(ada.complaints, []);
});

test("the past of JSON is shown with what changed, restored and coloured; so are the other kinds of text", async () => {
  const server = await QuireServer.start();
  await ask(server, "POST", "", { id: "data", type: "json0", content: { title: "Plan", items: ["a", "b"] } }, "Ada");
  await write(server, "data",
    ["Bob", [{ p: ["items", 1], ld: "b" }, { p: ["items", 1], li: { done: true } }]],
    ["Ada", [{ p: ["title", 4], si: " B" }, { p: ["count"], oi: 2 }]]);
  const ada = await person("Ada");
  const { page } = ada;
  await page.goto(`${server.url}/d/data`);
  await page.locator(".foreign-content").waitFor();
  await openHistory(page);
  await settled(page, 2);
  assert.deepEqual(JSON.parse(await past(page)), { count: 2, items: ["a", { done: true }], title: "Plan B" });
  assert.deepEqual(await all(page, "ins.added"), ['"count": 2', " B"]);
  await page.keyboard.press("ArrowLeft");
  await settled(page, 1);
  assert.deepEqual(JSON.parse(await past(page)), { items: ["a", { done: true }], title: "Plan" });
  assert.deepEqual(await all(page, "del.gone"), ['"b"']);
  await picture(page, "history-json");
  await page.keyboard.press("Home");
  await settled(page, 0);
  await page.getByRole("button", { name: "Restore this version" }).click();
  await page.locator("dialog.confirm").getByRole("button", { name: "Restore", exact: true }).click();
  await page.waitForFunction(() => !document.querySelector(".foreign-content")!.textContent!.includes("count"));
  const { content } = await ask<{ content: unknown }>(server, "GET", "/data");
  assert.deepEqual(content, { title: "Plan", items: ["a", "b"] });
  await page.getByRole("button", { name: "More" }).click();
  await page.getByLabel("Colours by author").check();
  await page.keyboard.press("Escape");
  await page.locator(".blame-bar .author").first().waitFor();
  assert.ok((await page.evaluate(() => [...CSS.highlights.values()].flatMap((ranges) => [...ranges].map(String)))).join("").includes("Plan"));

  // A woman is one code point and two UTF-16 units.
  for (const [type, put, take] of [["text-unicode", [1, "b🌍"], [1, { d: 1 }]], ["text0", [{ p: 2, i: "b🌍" }], [{ p: 2, d: "b" }]]] as const) {
    await ask(server, "POST", "", { id: type, type, content: "👩" }, "Ada");
    await write(server, type, ["Ada", put], ["Bob", take]);
    await page.goto(`${server.url}/d/${type}`);
    await page.locator(".foreign-content").waitFor();
    await openHistory(page);
    await settled(page, 2);
    assert.deepEqual([await past(page), await all(page, "del.gone")], ["👩🌍", ["b"]]);
    await page.keyboard.press("ArrowLeft");
    await settled(page, 1);
    assert.deepEqual([await past(page), await all(page, "ins.added")], ["👩b🌍", ["b🌍"]]);
  }
  assert.deepEqual(ada.complaints, []);
});

test("a long history is loaded as it is scrolled, and found from the slider", async () => {
  const server = await QuireServer.start();
  await ask(server, "POST", "", { id: "long" }, "Ada");
  const many = 260;
  let base = 0;
  for (let i = 0; i < many; i++) {
    ({ rev: base } = await ask<{ rev: number }>(server, "POST", "/long/operations", { base, ops: [base > 0 ? [base, "x"] : ["x"]] }, `Author ${i}`));
  }
  const ada = await person("Ada");
  const { page } = ada;
  await visit(page, server.url, "long");
  await openHistory(page);
  const rows = page.locator(".edits li");
  await rows.first().waitFor();
  const begun = await rows.count();
  assert.ok(begun < many, `${begun} of ${many} at first`);
  await rows.last().scrollIntoViewIfNeeded();
  await rows.nth(begun).waitFor({ state: "attached" });
  await slide(page, 20);
  await settled(page, 20);
  assert.equal(await past(page), "x".repeat(20));
  await page.locator('.edits [aria-current="true"]').waitFor();
  assert.equal(await page.locator('.edits [aria-current="true"]').evaluate((row) => row.parentElement!.dataset["to"]), "20");
  await slider(page).focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await settled(page, 22);
  assert.deepEqual(ada.complaints, []);
});

test("where older revisions are not kept, the history begins later and says so; what is named is still to be seen", async () => {
  const server = await QuireServer.start("--history-keep", "4");
  await ask(server, "POST", "", { id: "short" }, "Ada");
  for (let i = 0; i < 20; i++) {
    await write(server, "short", ["Ada", i > 0 ? [i, "x"] : ["x"]]);
    if (i === 3) await ask(server, "PUT", "/short/labels/early", { rev: 3 }); // while it is sure to be there
  }
  // What is not to be kept goes soon after a start.
  await server.kill("SIGTERM");
  await server.start();
  const { oldest } = await until(() => ask<{ oldest: number }>(server, "GET", "/short"), ({ oldest }) => oldest > 0);
  const ada = await person("Ada");
  const { page } = ada;
  await visit(page, server.url, "short");
  await openHistory(page);
  await page.getByText(`What came before revision ${oldest} is not kept any more`).waitFor();
  await page.keyboard.press("Home");
  await settled(page, oldest);
  assert.equal(await past(page), "x".repeat(oldest));
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Shift+ArrowRight");
  await settled(page, oldest + 1);
  assert.deepEqual(await all(page, "ins.added"), ["x"]);
  await picture(page, "history-squashed");
  await page.locator(".labels").getByRole("button", { name: "early", exact: true }).click();
  await settled(page, 3);
  assert.equal(await past(page), "xxx");
  assert.deepEqual(ada.complaints, []);
});

test("without the server the history says so, and goes on when it is back", async () => {
  const server = await QuireServer.start();
  await ask(server, "POST", "", { id: "away", content: "one" }, "Ada");
  await write(server, "away", ["Bob", [3, " two"]], ["Ada", [7, " three"]]);
  const way = await Way.to(server);
  const ada = await person("Ada");
  const { page } = ada;
  await visit(page, way.url, "away");
  await openHistory(page);
  way.cut();
  await slide(page, 0);
  await page.locator('.history [data-problem="unreachable"]').waitFor();
  assert.equal(await past(page), "one two three", "what was there stays");
  await picture(page, "history-offline");
  way.restore();
  await page.locator(".history-notice").getByRole("button", { name: "Try again" }).click();
  await settled(page, 0);
  assert.equal(await past(page), "one");
  assert.equal(await page.locator(".history [data-problem]").count(), 0);
  assert.deepEqual(ada.complaints, []);
});

test("a title is given, shown to others and in the list, and taken away", async () => {
  const server = await QuireServer.start();
  await server.create("notes/2026");
  const ada = await person("Ada");
  const { page } = ada;
  await visit(page, server.url, "notes/2026");
  await page.locator("h1 button.title").click();
  await page.keyboard.type("Notes of the <year>");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.title === "Notes of the <year> — Quire");
  const title = async () => (await ask<{ title: string }>(server, "GET", "/notes%2F2026")).title;
  await until(title, (given) => given === "Notes of the <year>");
  const bob = await person("Bob");
  await visit(bob.page, server.url, "notes/2026");
  await bob.page.getByRole("button", { name: "Notes of the <year>" }).waitFor();
  await bob.page.goto(server.url);
  await bob.page.locator('section[aria-labelledby="all"] .name', { hasText: "Notes of the <year>notes/2026" }).waitFor();
  await bob.page.locator('section[aria-labelledby="recent"] .name', { hasText: "Notes of the <year>" }).waitFor();
  // What is begun and left is not done.
  await page.locator("h1 button.title").click();
  await page.keyboard.type("Something else");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("h1").textContent(), "Notes of the <year>");
  await page.locator("h1 button.title").click();
  await page.keyboard.press("Delete");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.title === "notes/2026 — Quire");
  await until(title, (given) => given === "");
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("the page follows a document that is renamed while it is open", async () => {
  const server = await QuireServer.start();
  await server.create("before", "Hello");
  const way = await Way.to(server);
  const ada = await person("Ada");
  const { page } = ada;
  await visit(page, way.url, "before");
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+End");
  await ask(server, "PATCH", "/before", { id: "after the rename" });
  await page.waitForURL("**/d/after%20the%20rename");
  await untilState(page, "saved");
  assert.equal(await shown(page), "Hello");
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+End");
  way.cut();
  await untilState(page, "offline");
  await page.keyboard.type(" from here");
  await ask(server, "PATCH", "/after%20the%20rename", { id: "again" });
  way.restore();
  await page.evaluate(() => dispatchEvent(new Event("online")));
  // Who was away when it happened is not told where it is, and gets back what was written.
  await page.locator('[data-panel="not_found"]').waitFor();
  assert.equal(await page.locator('[data-draft="not_found"] textarea').inputValue(), "Hello from here");
  assert.equal(await server.content("again"), "Hello");
  assert.deepEqual(ada.complaints, []);
});

test("files are imported, and a document is exported as each of its formats", async () => {
  const server = await QuireServer.start();
  const ada = await person("Ada");
  const { page } = ada;
  await page.goto(server.url);
  const bring = async (name: string, mimeType: string, content: string) => {
    await page.goto(server.url);
    await page.locator("#import-file").setInputFiles({ name, mimeType, buffer: Buffer.from(content) });
  };
  await bring("Letter.md", "text/markdown", "# Dear Babbage\n\nI am **now** going out.\n");
  await page.locator(".ql-editor h1", { hasText: "Dear Babbage" }).waitFor();
  assert.equal(await page.locator(".ql-editor strong").textContent(), "now");
  assert.equal(await page.locator("h1 button.title").textContent(), "Letter");
  await page.getByRole("button", { name: "More" }).click();
  await picture(page, "menu");
  for (const [format, holds] of [["text", "Dear Babbage"], ["markdown", "**now**"], ["html", "<strong>now</strong>"], ["delta", '"bold":true'], ["bundle", ""]] as const) {
    const href = await page.locator(`.menu a[data-format="${format}"]`).getAttribute("href");
    const response = await fetch(`${server.url}${href}`);
    assert.equal(response.status, 200, format);
    assert.ok((await response.text()).includes(holds), format);
  }
  await page.keyboard.press("Escape");
  await bring("plain.txt", "text/plain", "just text\n");
  await untilShown(page, (text) => text === "just text\n");
  await bring("data.json", "application/json", '{"a":[1,2]}');
  await page.locator(".foreign-content", { hasText: '"a"' }).waitFor();
  await bring("picture.png", "image/png", "\0\x01");
  await page.getByText(/“picture.png” cannot be imported/).waitFor();
  assert.deepEqual(ada.complaints, []);
});

for (const [name, options] of [["light", {}], ["dark", { dark: true }], ["phone", { phone: true }]] as const) {
  test(`the history under a policy without inline styles or scripts: ${name}`, async () => {
    const server = await QuireServer.start();
    await ask(server, "POST", "", { id: "look", title: "Letter to Charles Babbage", content: "My dear Babbage,\n\nI am in much dismay at having got into so amazing a quagmire and botheration with these Numbers, that I cannot possibly get the thing done today.\n" }, "Ada Lovelace");
    await write(server, "look",
      ["Bob", [27, -6, "utter despair"]],
      ["Ada Lovelace", [165, "\n\nI am now going out on horseback. Tant mieux."]],
      ["Charles Babbage", [3, "most "]],
      ["Ada Lovelace", [23, -4, "Sir, I write to you"]]);
    await ask(server, "PUT", "/look/labels/As%20sent", { rev: 3 }, "Bob");
    const ada = await person("Ada Lovelace", { color: "#b4432f", ...options });
    const { page } = ada;
    if ("phone" in options) await page.setViewportSize({ width: 360, height: 740 });
    await visit(page, server.url, "look");
    await picture(page, `header-${name}`);
    await openHistory(page);
    await picture(page, `history-${name}`);
    await page.keyboard.press("ArrowLeft");
    await settled(page, 1);
    await picture(page, `history-${name}-2`);
    const wide = () => page.evaluate(() => [document.documentElement, document.querySelector("dialog.history")!].map((node) => node.scrollWidth - node.clientWidth));
    assert.deepEqual(await wide(), [0, 0], "nothing sticks out to the side");
    const high = await page.locator("dialog.history").evaluate((node) => node.scrollHeight - node.clientHeight);
    assert.equal(high, 0, "nothing sticks out below");
    if ("phone" in options) {
      await page.getByRole("button", { name: "Edits", exact: true }).tap();
      await page.locator(".edits li").first().waitFor();
      await picture(page, "history-phone-edits");
      assert.deepEqual(await wide(), [0, 0]);
      await page.locator(".edits button").last().tap();
      await settled(page, 0);
      await page.locator(".history-plain").waitFor();
    }
    await page.getByRole("button", { name: "Back to the document" }).click();
    await page.locator("dialog.history").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "More" }).click();
    await page.getByLabel("Colours by author").check();
    await picture(page, `menu-${name}`);
    await page.keyboard.press("Escape");
    await page.locator(".blamed").first().waitFor();
    await picture(page, `colours-${name}`);
    assert.equal((await wide().catch(() => [0]))[0], 0);
    assert.deepEqual(ada.complaints, []);
  });
}

test("scrubbing over a recorded session of a quarter of a million edits", async (t) => {
  const file = join(process.env["QUIRE_TRACES"] ?? "", "automerge-paper.json.gz");
  if (!process.env["QUIRE_TRACES"] || !existsSync(file)) return t.skip("QUIRE_TRACES names no folder with automerge-paper.json.gz");
  interface Trace { startContent: string; endContent: string; txns: { patches: [at: number, deleted: number, inserted: string][] }[] }
  const trace = JSON.parse(gunzipSync(readFileSync(file)).toString()) as Trace;
  const server = await QuireServer.start("--max-client-rate", "0", "--max-author-rate", "0", "--max-document-rate", "0");
  await server.create("paper");
  const connection = new Connection({ url: `${server.url.replace("http", "ws")}/ws` });
  await new Promise<void>((resolve, reject) => {
    let edits: number | undefined;
    const document = connection.open("paper", text, {
      compose: false,
      user: { name: "Martin", color: "#1c7391" },
      events: {
        state: ({ kind, code }) => {
          if (kind === "closed") reject(new Error(code));
          if (kind !== "saved" || edits === trace.txns.length) return kind === "saved" ? resolve() : undefined;
          queueMicrotask(() => {
            // Some thousands at a time, so that what waits stays small.
            const from = edits ?? 0;
            edits = Math.min(trace.txns.length, from + 5_000);
            for (const { patches } of trace.txns.slice(from, edits)) {
              for (const [at, deleted, inserted] of patches) document.edit([...(at > 0 ? [at] : []), ...(inserted ? [inserted] : []), ...(deleted > 0 ? [-deleted] : [])]);
            }
          });
        },
      },
    });
  });
  connection.close();
  const { rev: head } = await ask<{ rev: number }>(server, "GET", "/paper");
  const ada = await person("Ada");
  const { page } = ada;
  await visit(page, server.url, "paper");
  await openHistory(page);
  let bytes = 0;
  page.on("response", (response) => void response.body().then((body) => (bytes += body.length), () => {}));
  // A finger goes over the whole life, there and back, for as many frames.
  const drag = await page.evaluate(async (head) => {
    const range = document.querySelector<HTMLInputElement>(".history input[type=range]")!;
    const dialog = document.querySelector<HTMLElement>("dialog.history")!;
    const shown: number[] = [];
    new MutationObserver(() => shown.push(performance.now())).observe(dialog, { attributeFilter: ["data-rev"] });
    const frames = 360;
    const begun = performance.now();
    let longest = 0;
    let last = begun;
    for (let i = 0; i <= frames; i++) {
      range.value = String(Math.round(head * Math.abs(1 - (2 * i) / frames)));
      range.dispatchEvent(new Event("input", { bubbles: true }));
      await new Promise(requestAnimationFrame);
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }
    return { ms: performance.now() - begun, shown: shown.length, longest };
  }, head);
  await settled(page, head);
  const jumps: number[] = [];
  for (let i = 1; i <= 25; i++) {
    const rev = (i * 104_729) % head;
    const begun = performance.now();
    await slide(page, rev);
    await settled(page, rev);
    jumps.push(performance.now() - begun);
  }
  const steps: number[] = [];
  await slider(page).focus();
  for (let i = 0; i < 25; i++) {
    const before = await page.locator("dialog.history").getAttribute("data-rev");
    const begun = performance.now();
    await page.keyboard.press("Shift+ArrowRight");
    await settled(page, Number(before) + 1);
    steps.push(performance.now() - begun);
  }
  const median = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1]!.toFixed(0);
  t.diagnostic(`${head} revisions; ${drag.shown} shown while dragging for ${drag.ms.toFixed(0)} ms, longest frame ${drag.longest.toFixed(0)} ms`);
  t.diagnostic(`a jump with marks: median ${median(jumps)} ms, worst ${jumps.at(-1)!.toFixed(0)} ms; a step of one revision: median ${median(steps)} ms; ${(bytes / 1024).toFixed(0)} KiB fetched`);
  await page.keyboard.press("End");
  await settled(page, head);
  await page.keyboard.press("Home");
  await settled(page, 0);
  assert.equal(await past(page), "");
  await picture(page, "history-long");
  assert.equal(await server.content("paper"), trace.endContent);
  assert.deepEqual(ada.complaints, []);
});
