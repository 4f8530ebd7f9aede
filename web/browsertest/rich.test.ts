import assert from "node:assert/strict";
import { test } from "node:test";

import type { Page } from "playwright-core";

import type { DeltaOp } from "../client/delta.js";
import { person, picture, QuireServer, richShown, until, untilNamed, untilRich, untilState, visit } from "./harness.js";

/** A picture of 40 by 30 units. */
const painting = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACgAAAAeCAIAAADRv8uKAAAAOElEQVR42u3NMQEAAAgDoK1/aE3h4QcJyDTYNAiBQCAQCAQCgUAgEAgEAoFAIBAIBAKBQCD4CxaDbQABv6yh2QAAAABJRU5ErkJggg==";

/** Two people in one new rich text of a server of their own. */
async function two(id: string, op: DeltaOp = [], second = "Bob") {
  const server = await QuireServer.start();
  await server.createRich(id, op);
  const ada = await person("Ada Lovelace", { color: "#b4432f" });
  const bob = await person(second, { color: "#3a63b8" });
  for (const { page } of [ada, bob]) await visit(page, server.url, id);
  return { server, ada, bob, pages: [ada.page, bob.page] };
}

const editor = (page: Page) => page.locator(".ql-editor");
const tool = (page: Page, name: string) => page.locator(`[data-tool="${name}"]`);

/** Pastes something, as what the browser says the clipboard holds. */
function paste(page: Page, html: string, text: string): Promise<void> {
  return editor(page).evaluate((node, [html, text]) => {
    const clipboardData = new DataTransfer();
    if (html) clipboardData.setData("text/html", html);
    clipboardData.setData("text/plain", text!);
    node.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  }, [html, text]);
}

test("a rich text is made from the list, written and formatted, and somebody else sees it", async () => {
  const server = await QuireServer.start();
  const ada = await person("Ada Lovelace", { color: "#b4432f" });
  const { page } = ada;
  const fetched: string[] = [];
  page.on("request", (request) => fetched.push(new URL(request.url()).pathname));
  await page.goto(server.url);
  await page.locator("#new-name").fill("Sketch");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowRight");
  await picture(page, "rich-list-new");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/d/Sketch");
  await untilState(page, "saved");
  await page.locator(".ql-editor:focus").waitFor();
  await tool(page, "style").selectOption("Heading 1");
  await page.keyboard.type("Notes on the Engine");
  await page.keyboard.press("Enter");
  await page.keyboard.type("It can do ");
  await page.keyboard.press("Control+b");
  await page.keyboard.type("whatever");
  await page.keyboard.press("Control+b");
  await page.keyboard.type(" we ");
  await tool(page, "italic").click();
  await page.keyboard.type("know how to order");
  await tool(page, "italic").click();
  await page.keyboard.press("Enter");
  await page.keyboard.type("- a list");
  await page.keyboard.press("Enter");
  await page.keyboard.type("of two");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await tool(page, "quote").click();
  await page.keyboard.type("a quotation");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await tool(page, "block").click();
  await page.keyboard.type("let x = 1;");
  const bob = await person("Bob", { color: "#3a63b8" });
  await visit(bob.page, server.url, "Sketch");
  const doc = await untilRich(server, "Sketch", [page, bob.page], (lines) => lines.at(-1) === "code let x = 1;");
  assert.deepEqual(doc, [
    { insert: "Notes on the Engine" },
    { insert: "\n", attributes: { header: 1 } },
    { insert: "It can do " },
    { insert: "whatever", attributes: { bold: true } },
    { insert: " we " },
    { insert: "know how to order", attributes: { italic: true } },
    { insert: "\na list" },
    { insert: "\n", attributes: { list: "bullet" } },
    { insert: "of two" },
    { insert: "\n", attributes: { list: "bullet" } },
    { insert: "a quotation" },
    { insert: "\n", attributes: { blockquote: true } },
    { insert: "let x = 1;" },
    { insert: "\n", attributes: { "code-block": true } },
  ]);
  assert.equal(await bob.page.locator(".ql-editor strong").textContent(), "whatever");
  assert.equal(await tool(page, "block").getAttribute("aria-pressed"), "true");
  await picture(bob.page, "rich-formats");
  await bob.page.goto(server.url);
  await bob.page.locator(".docs a", { hasText: "Sketch" }).locator(".kind", { hasText: "rich text" }).first().waitFor();
  await picture(bob.page, "rich-list");
  assert.ok(fetched.some((path) => path.startsWith("/assets/rich-")));
  assert.ok(!fetched.some((path) => path.startsWith("/assets/binding-")), "the editor of plain text is not fetched");
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("a plain text does not fetch the editor of rich text", async () => {
  const server = await QuireServer.start();
  await server.create("plain", "Hello");
  const ada = await person("Ada");
  const fetched: string[] = [];
  ada.page.on("request", (request) => fetched.push(new URL(request.url()).pathname));
  await visit(ada.page, server.url, "plain");
  assert.ok(!fetched.some((path) => /\/assets\/rich/.test(path)), fetched.join(" "));
});

test("two people type in one rich text at once and end with the same, which is the store's", async () => {
  const { server, ada, bob, pages } = await two("both");
  const letter = "My dear Babbage, I am in much dismay at having got into so amazing a quagmire.";
  const marks = "0123456789".repeat(8);
  await Promise.all([ada.page.keyboard.type(letter, { delay: 3 }), bob.page.keyboard.type(marks, { delay: 3 })]);
  const doc = await untilRich(server, "both", pages, ([line]) => line!.length === "p ".length + letter.length + marks.length);
  const all = String(doc[0]!.insert);
  assert.equal(all.replace(/[\d\n]/g, ""), letter, "what Ada typed, in her order");
  assert.equal(all.replace(/\D/g, ""), marks, "what Bob typed, in his order");
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("carets and selections of others are shown with their names where they are, and go when they go", async () => {
  const { server, ada, bob, pages } = await two("carets", [{ insert: "A first line\nA second line" }]);
  await bob.page.keyboard.press("Control+End");
  await bob.page.keyboard.press("Shift+Home");
  const caret = ada.page.locator('.peer-caret[data-peer="Bob"]');
  await caret.waitFor();
  await ada.page.locator(".peer-selection").first().waitFor();
  await ada.page.locator('.people [data-peer="Bob"]').waitFor();
  const line = (await editor(ada.page).locator("p").nth(1).boundingBox())!;
  const box = (await caret.boundingBox())!;
  assert.ok(Math.abs(box.x + box.width / 2 - line.x) < 3, `the caret is at ${box.x}, where the selection was drawn to: the start of the line at ${line.x}`);
  assert.ok(box.y >= line.y - 2 && box.y + box.height <= line.y + line.height + 2, "in the line where Bob is");
  await picture(ada.page, "rich-carets");

  // It stays with its text when others type before it, and when lines are put above.
  await bob.page.keyboard.press("End");
  await ada.page.keyboard.press("Control+Home");
  await ada.page.keyboard.type("0123456789");
  await ada.page.keyboard.press("Enter");
  await bob.page.keyboard.type("!");
  await untilRich(server, "carets", pages, (lines) => lines.at(-1) === "p A second line!" && lines.length === 3);
  const last = editor(ada.page).locator("p").nth(2);
  await ada.page.waitForFunction(() => {
    const range = document.createRange();
    range.selectNodeContents(document.querySelectorAll(".ql-editor p")[2]!);
    const text = range.getBoundingClientRect();
    const caret = document.querySelector(".peer-caret")!.getBoundingClientRect();
    return Math.abs(caret.x + caret.width / 2 - text.right) < 3 && caret.y >= text.y - 4 && caret.bottom <= text.bottom + 4;
  });
  assert.equal(await last.textContent(), "A second line!");

  await bob.page.close();
  await ada.page.locator(".people li").waitFor({ state: "detached" });
  await caret.waitFor({ state: "detached" });
  assert.deepEqual(ada.complaints, []);
});

test("a name fits beside its caret in a narrow window", async () => {
  const { ada, bob } = await two("narrow", [{ insert: "It goes to the edge\n" }], "Robert Fitzgerald-Smith of Edinburgh");
  await ada.page.setViewportSize({ width: 260, height: 600 });
  await bob.page.keyboard.press("Control+End");
  await untilNamed(ada.page);
  await bob.page.keyboard.press("Control+Home");
  await untilNamed(ada.page);
});

test("undo and redo take back one's own edits only, formats and pictures too, wherever others have moved them", async () => {
  const { server, ada, bob, pages } = await two("undo");
  // At once: what is typed slowly is undone in pieces.
  await ada.page.keyboard.insertText("ada");
  await untilRich(server, "undo", pages, ([line]) => line === "p ada");
  await bob.page.keyboard.press("Control+Home");
  await bob.page.keyboard.insertText("bob ");
  await untilRich(server, "undo", pages, ([line]) => line === "p bob ada");
  await ada.page.keyboard.press("Control+z");
  await untilRich(server, "undo", pages, ([line]) => line === "p bob ");
  await ada.page.keyboard.press("Control+z"); // there is nothing more of hers
  await ada.page.keyboard.press("Control+y");
  await untilRich(server, "undo", pages, ([line]) => line === "p bob ada");
  await bob.page.keyboard.press("Control+z");
  await untilRich(server, "undo", pages, ([line]) => line === "p ada");
  await bob.page.keyboard.press("Control+Shift+z");
  await untilRich(server, "undo", pages, ([line]) => line === "p bob ada");

  // A format, which somebody types into.
  await ada.page.keyboard.press("Control+a");
  await tool(ada.page, "bold").click();
  await bob.page.locator(".ql-editor strong").waitFor();
  await bob.page.keyboard.press("Control+Home");
  await bob.page.keyboard.press("ArrowRight");
  await bob.page.keyboard.type("X");
  await untilRich(server, "undo", pages, ([line]) => line === "p bXob ada");
  await tool(ada.page, "undo").click();
  // Only what Bob typed stays bold.
  await until(() => server.richContent("undo"), (doc) => doc.filter(({ attributes }) => attributes).map(({ insert }) => insert).join("|") === "X");
  await untilRich(server, "undo", pages, ([line]) => line === "p bXob ada");
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("pictures: from an address, from a file; nothing else", async () => {
  const { server, ada, bob, pages } = await two("pictures", [{ insert: "Before after" }]);
  const { page } = ada;
  await page.route("https://pictures.example/**", (route) => route.fulfill({ contentType: "image/png", body: Buffer.from(painting.slice(painting.indexOf(",") + 1), "base64") }));
  await bob.page.route("https://pictures.example/**", (route) => route.fulfill({ contentType: "image/png", body: Buffer.from(painting.slice(painting.indexOf(",") + 1), "base64") }));
  for (let i = 0; i < 7; i++) await page.keyboard.press("ArrowRight");
  await tool(page, "image").click();
  await page.locator("#image-address").fill("javascript:alert(1)");
  await page.keyboard.press("Enter");
  await page.locator(".ask .problem", { hasText: "http" }).waitFor();
  await picture(page, "rich-ask-picture");
  await page.locator("#image-address").fill("https://pictures.example/engine.png");
  await page.locator("#image-alt").fill("The Engine");
  await page.keyboard.press("Enter");
  const shown = bob.page.locator('.ql-editor img[alt="The Engine"]');
  await shown.waitFor();
  await bob.page.waitForFunction(() => document.querySelector<HTMLImageElement>(".ql-editor img")!.naturalWidth === 40);
  await tool(page, "image").click();
  await page.locator("#image-file").setInputFiles({ name: "big.png", mimeType: "image/png", buffer: Buffer.alloc(300 << 10) });
  await page.keyboard.press("Escape");
  await tool(page, "image").click();
  await page.locator("#image-file").setInputFiles({ name: "small.png", mimeType: "image/png", buffer: Buffer.from(painting.slice(painting.indexOf(",") + 1), "base64") });
  await page.locator(".ask button.primary").click();
  const doc = await untilRich(server, "pictures", pages, ([line]) => line === "p Before **after");
  assert.deepEqual(doc, [
    { insert: "Before " },
    { insert: { image: "https://pictures.example/engine.png" }, attributes: { alt: "The Engine" } },
    { insert: { image: painting } },
    { insert: "after\n" },
  ]);
  await picture(page, "rich-pictures");

  // A file that is too large is refused, with a word about it.
  await tool(page, "image").click();
  await page.locator("#image-file").setInputFiles({ name: "big.png", mimeType: "image/png", buffer: Buffer.alloc(300 << 10) });
  await page.locator(".ask button.primary").click();
  await page.locator(".toast", { hasText: "256 KiB" }).waitFor();
  assert.equal(await page.locator(".ql-editor img").count(), 2);
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("links lead to addresses of the web and of mail only, and can be changed and taken away", async () => {
  const { server, ada, bob, pages } = await two("links", [{ insert: "See the page" }]);
  const { page } = ada;
  await page.keyboard.press("Control+End");
  await page.keyboard.press("Control+Shift+ArrowLeft");
  await page.keyboard.press("Control+k");
  await page.locator("#link-address").fill("javascript:alert(1)");
  await page.keyboard.press("Enter");
  await page.locator(".ask .problem", { hasText: "mailto:" }).waitFor();
  await picture(page, "rich-ask-link");
  await page.locator("#link-address").fill("example.org/engine");
  await page.keyboard.press("Enter");
  const link = bob.page.locator('.ql-editor a[href="https://example.org/engine"]');
  await link.waitFor();
  assert.equal(await link.textContent(), "page");
  assert.equal(await link.getAttribute("rel"), "noopener noreferrer");
  await page.keyboard.press("ArrowLeft");
  await tool(page, "link").click();
  assert.equal(await page.locator("#link-address").inputValue(), "https://example.org/engine");
  await page.locator("#link-address").fill("ada@example.org");
  await page.keyboard.press("Enter");
  await bob.page.locator('.ql-editor a[href="mailto:ada@example.org"]').waitFor();
  await tool(page, "link").click();
  await page.getByText("Remove").click();
  await link.waitFor({ state: "detached" });
  assert.deepEqual(await untilRich(server, "links", pages), [{ insert: "See the page\n" }]);

  // One that somebody else's program put in leads nowhere here.
  await server.edit("links", [{ insert: "evil", attributes: { link: "javascript:alert(1)" } }, { insert: { image: "javascript:alert(1)" } }]);
  await page.locator('.ql-editor a[href="about:blank"]').waitFor();
  assert.equal(await page.locator('.ql-editor [src^="javascript"]').count(), 0);
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("what is pasted keeps its formats and loses what is dangerous", async () => {
  const { server, ada, bob, pages } = await two("paste");
  await paste(
    ada.page,
    `<h2 onclick="alert(1)">Title</h2><p style="color: red; position: fixed">a <b>bold</b> <a href="javascript:alert(1)">link</a> <a href="https://example.org/">good</a></p>
     <script>alert(1)</script><style>p { color: red }</style><iframe src="https://example.org/"></iframe><img src="x" onerror="alert(1)"><ol><li>one</li></ol>`,
    "",
  );
  const doc = await untilRich(server, "paste", pages, (lines) => lines[0] === "h2 Title");
  const html = await editor(bob.page).innerHTML();
  assert.ok(!/script|iframe|onclick|onerror|javascript|position/i.test(html), html);
  assert.ok(doc.some(({ insert, attributes }) => insert === "bold" && attributes?.["bold"] === true), JSON.stringify(doc));
  assert.ok(doc.some(({ attributes }) => attributes?.["link"] === "https://example.org/"));
  assert.ok(doc.some(({ attributes }) => attributes?.["list"] === "ordered"));
  await picture(bob.page, "rich-pasted");

  // More, and with more formats in it, than fits into one message.
  await ada.page.keyboard.press("Control+a");
  await ada.page.keyboard.press("Delete");
  await untilRich(server, "paste", pages, (lines) => lines.length === 1);
  const lines = Array.from({ length: 1_500 }, (_, i) => `<p>line <b>${i}</b> <i style="color: #${String(100000 + i)}">${"coloured ".repeat(50)}</i></p>`);
  await paste(ada.page, lines.join(""), "");
  const long = await untilRich(server, "paste", pages, (lines) => lines.length >= 1_500);
  assert.ok(JSON.stringify(long).length > 700_000, `${JSON.stringify(long).length}`);
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("emoji, composed characters and text from right to left", async () => {
  const { server, ada, bob, pages } = await two("world");
  await ada.page.keyboard.insertText("Family 👩‍👩‍👧 and 😀");
  await ada.page.keyboard.press("Shift+ArrowLeft");
  await ada.page.keyboard.insertText("😃"); // differs in its second half only
  await ada.page.keyboard.press("Enter");
  await ada.page.keyboard.insertText("שלום עולם");
  await ada.page.keyboard.press("Enter");
  await ada.page.keyboard.type("left, but ");
  await tool(ada.page, "rtl").click();
  await bob.page.keyboard.press("Control+Home");
  await bob.page.keyboard.insertText("🌍");
  const doc = await untilRich(server, "world", pages, (lines) => lines.length === 3 && lines[0]!.startsWith("p 🌍") && lines[2] === "p left, but ");
  assert.equal(doc[0]!.insert, "🌍Family 👩‍👩‍👧 and 😃\nשלום עולם\nleft, but ");
  assert.deepEqual(doc[1], { insert: "\n", attributes: { direction: "rtl" } });

  // Bob's caret at the start of the Hebrew line is on its right.
  await bob.page.keyboard.press("ArrowDown");
  await bob.page.keyboard.press("Home");
  await ada.page.waitForFunction(() => {
    const line = document.querySelectorAll(".ql-editor p")[1]!;
    const range = document.createRange();
    range.selectNodeContents(line);
    const text = range.getBoundingClientRect();
    const caret = document.querySelector(".peer-caret")!.getBoundingClientRect();
    return text.right > innerWidth / 2 && Math.abs(caret.x + 1 - text.right) < 4 && caret.y > text.y - 6 && caret.bottom < text.bottom + 6;
  });
  await ada.page.keyboard.press("Backspace");
  await picture(ada.page, "rich-world");
  await ada.page.keyboard.press("Control+Home");
  await ada.page.keyboard.press("Delete"); // the whole of the globe
  await untilRich(server, "world", pages, (lines) => lines[0]!.startsWith("p Family"));
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("a character of two units is taken out whole where formats meet", async () => {
  const bold = { bold: true };
  const { server, ada, bob, pages } = await two("whole", [{ insert: "🌍", attributes: bold }, { insert: "ab" }, { insert: "😀", attributes: bold }]);
  await ada.page.keyboard.press("ArrowRight");
  await ada.page.keyboard.press("Backspace");
  assert.deepEqual(await untilRich(server, "whole", pages, ([line]) => line === "p ab😀"), [{ insert: "ab" }, { insert: "😀", attributes: bold }, { insert: "\n" }]);
  await ada.page.keyboard.press("ArrowRight");
  await ada.page.keyboard.press("ArrowRight");
  await ada.page.keyboard.press("Delete");
  await untilRich(server, "whole", pages, ([line]) => line === "p ab");
  await ada.page.keyboard.type("!");
  await untilRich(server, "whole", pages, ([line]) => line === "p ab!");
  for (let i = 0; i < 3; i++) await ada.page.keyboard.press("Control+z"); // one to three steps, as fast as the machine was
  await untilRich(server, "whole", pages, ([line]) => line === "p 🌍ab😀");
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("what others do while characters are composed is shown after, and nothing is lost", async () => {
  const { server, ada, bob, pages } = await two("compose", [{ insert: "start end" }]);
  for (let i = 0; i < 6; i++) await ada.page.keyboard.press("ArrowRight");
  const input = await ada.context.newCDPSession(ada.page);
  const compose = (text: string) => input.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });
  await compose("に");
  await bob.page.keyboard.press("Control+Home");
  await bob.page.keyboard.type("bob ");
  await bob.page.keyboard.press("Control+End");
  await tool(bob.page, "style").selectOption("Heading 2");
  await untilRich(server, "compose", [bob.page], ([line]) => line === "h2 bob start end");
  await compose("にほ");
  await compose("にほん");
  assert.deepEqual(await richShown(ada.page), ["p start にほんend"], "the line is left alone meanwhile");
  await input.send("Input.insertText", { text: "日本" });
  await untilRich(server, "compose", pages, ([line]) => line === "h2 bob start 日本end");
  await ada.page.keyboard.type("!");
  await untilRich(server, "compose", pages, ([line]) => line === "h2 bob start 日本!end");
  for (let i = 0; i < 2; i++) await ada.page.keyboard.press("Control+z"); // one step or two, as fast as the machine was
  await untilRich(server, "compose", pages, ([line]) => line === "h2 bob start end");
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("the focus stays where it is when others write", async () => {
  const { server, ada, bob, pages } = await two("focus", [{ insert: "text" }]);
  await ada.page.keyboard.press("Control+End");
  await ada.page.keyboard.press("Shift+Tab");
  const focused = () => ada.page.evaluate(() => document.activeElement?.getAttribute("data-tool"));
  assert.equal(await focused(), "undo", "one stop for all tools");
  await ada.page.keyboard.press("ArrowRight");
  await ada.page.keyboard.press("ArrowRight");
  await ada.page.keyboard.press("ArrowRight");
  assert.equal(await focused(), "bold");
  await bob.page.keyboard.type("bob ");
  await untilRich(server, "focus", pages, ([line]) => line === "p bob text");
  assert.equal(await focused(), "bold");
  await ada.page.keyboard.press("Escape");
  await ada.page.keyboard.type("!");
  await untilRich(server, "focus", pages, ([line]) => line === "p bob text!");
  await ada.page.keyboard.press("Tab"); // out of the text, not into it
  await ada.page.keyboard.type("?");
  await untilRich(server, "focus", pages, ([line]) => line === "p bob text!");
});
