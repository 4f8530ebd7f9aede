import assert from "node:assert/strict";
import { test } from "node:test";

import type { Page } from "playwright-core";

import { richText, toDeltaOp, type DeltaDoc, type DeltaOp } from "../client/delta.js";
import { Connection, type Document } from "../client/index.js";
import { random, randomDeltaOp } from "../client/test/random.js";
import { person, picture, QuireServer, richLines, richShown, untilRich, untilState, visit, Way } from "./harness.js";

const tool = (page: Page, name: string) => page.locator(`[data-tool="${name}"]`);

test("one goes offline, writes and formats on, and comes back; what is unsent survives the page", async () => {
  const server = await QuireServer.start();
  await server.createRich("offline", [{ insert: "start " }]);
  const way = await Way.to(server);
  const ada = await person("Ada", { color: "#b4432f" });
  const bob = await person("Bob", { color: "#3a63b8" });
  await visit(ada.page, way.url, "offline");
  await visit(bob.page, server.url, "offline");
  await ada.page.keyboard.press("Control+End");
  await bob.page.keyboard.press("Control+Home");
  way.cut();
  await untilState(ada.page, "offline");
  await ada.page.keyboard.press("Control+b");
  await ada.page.keyboard.type("from ada");
  await bob.page.keyboard.type("from bob ");
  await untilState(bob.page, "saved");
  assert.match(await ada.page.locator("[data-state]").innerText(), /^Offline — 8 unsaved changes/);
  assert.match(await ada.page.title(), /^• offline/);
  await picture(ada.page, "rich-offline");
  way.restore();
  const doc = await untilRich(server, "offline", [ada.page, bob.page], ([line]) => line === "p from bob start from ada");
  assert.deepEqual(doc, [{ insert: "from bob start " }, { insert: "from ada", attributes: { bold: true } }, { insert: "\n" }]);

  way.cut();
  await untilState(ada.page, "offline");
  await ada.page.keyboard.type(" and on");
  await ada.page.waitForFunction(() => Object.keys(localStorage).some((key) => key.startsWith("quire:unsent:")));
  await ada.page.close();
  way.restore();
  const later = await ada.context.newPage();
  await later.goto(`${way.url}/d/offline`);
  const whole = await untilRich(server, "offline", [later, bob.page], ([line]) => line === "p from bob start from ada and on");
  assert.deepEqual(whole[1], { insert: "from ada and on", attributes: { bold: true } });
  await later.waitForFunction(() => !Object.keys(localStorage).some((key) => key.startsWith("quire:unsent:")));
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("the server is killed in the middle of typing: nothing is lost, and nothing arrives twice", async () => {
  const server = await QuireServer.start();
  await server.createRich("crash");
  const ways = [await Way.to(server), await Way.to(server)];
  const ada = await person("Ada", { color: "#b4432f" });
  const bob = await person("Bob", { color: "#3a63b8" });
  const pages = [ada.page, bob.page];
  for (const [i, page] of pages.entries()) await visit(page, ways[i]!.url, "crash");
  await ada.page.keyboard.press("Enter");
  await untilRich(server, "crash", pages, (lines) => lines.length === 2);
  await bob.page.keyboard.press("Control+Home");
  const words = ["", ""];
  for (let round = 0; round < 3; round++) {
    const more = ["a", "b"].map((who) => Array.from({ length: 20 }, (_, i) => `${who}${round * 20 + i} `).join(""));
    const typing = Promise.all(pages.map((page, i) => page.keyboard.type(more[i]!, { delay: 2 })));
    more.forEach((text, i) => (words[i] += text));
    await server.kill();
    for (const way of ways) way.cut();
    await server.start();
    for (const way of ways) way.restore();
    await typing;
    for (const page of pages) await untilState(page, "saved");
  }
  await untilRich(server, "crash", pages, (lines) => lines.join("|") === `p ${words[1]}|p ${words[0]}`);
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("an edit that the server refuses becomes a draft, with its formats", async () => {
  const server = await QuireServer.start("--max-document", "120");
  await server.createRich("small", [{ insert: "This is about as much as fits." }]);
  const ada = await person("Ada");
  await visit(ada.page, server.url, "small");
  await ada.page.keyboard.press("Control+End");
  await ada.page.keyboard.press("Control+b");
  await ada.page.keyboard.insertText(" But there is always more to say, and it is said at great length, again and again.");
  const draft = ada.page.locator('[data-draft="too_large"]');
  await draft.waitFor();
  await untilState(ada.page, "saved");
  assert.deepEqual(await richShown(ada.page), ["p This is about as much as fits."]);
  assert.match(await draft.locator("textarea").inputValue(), /^This is about as much as fits\. But there/);
  await picture(ada.page, "rich-draft");
  await ada.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await draft.getByText("Copy with formatting").click();
  await draft.getByText("Copied").waitFor();
  const html = await ada.page.evaluate(async () => (await (await navigator.clipboard.read())[0]!.getType("text/html")).text());
  assert.match(html, /<strong>.*always.*<\/strong>/);
  await ada.page.reload();
  await draft.waitFor();
  assert.deepEqual(ada.complaints, []);
});

test("lines that two people give different formats at once look the same to both", async () => {
  const server = await QuireServer.start();
  await server.createRich("conflict", [{ insert: "one\ntwo" }]);
  const ways = [await Way.to(server), await Way.to(server)];
  const ada = await person("Ada");
  const bob = await person("Bob");
  for (const [i, { page }] of [ada, bob].entries()) {
    await visit(page, ways[i]!.url, "conflict");
    ways[i]!.cut();
    await untilState(page, "offline");
    await page.keyboard.press("Control+a");
  }
  await tool(ada.page, "style").selectOption("Heading 1");
  await tool(ada.page, "bold").click();
  await tool(bob.page, "block").click();
  for (const way of ways) way.restore();
  await untilRich(server, "conflict", [ada.page, bob.page], (lines) => lines.join() === "code one,code two");
  await tool(bob.page, "block").click();
  await untilRich(server, "conflict", [ada.page, bob.page], (lines) => lines.join() === "h1 one,h1 two");
  for (const { page } of [ada, bob]) assert.equal(await page.locator("h1 strong").count(), 2, "what code hid is there again");
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("what the editor cannot show keeps its place, and is not harmed by what is written around it", async () => {
  const server = await QuireServer.start();
  const op: DeltaOp = toDeltaOp([
    { insert: "a" }, { insert: { formula: "e=mc^2" }, attributes: { size: "huge" } }, { insert: "b\r\nc", attributes: { mystery: { x: [1] } } },
    { insert: { video: "https://example.org/v" } }, { insert: "\n", attributes: { "code-block": "python", table: "row-1" } },
    { insert: "d", attributes: { color: 5, header: 1, link: { to: 1 } } }, { insert: { image: "javascript:alert(1)" } },
  ]);
  await server.createRich("odd", op);
  const ada = await person("Ada");
  await visit(ada.page, server.url, "odd");
  const before = await untilRich(server, "odd", [ada.page]);
  await ada.page.locator(".foreign", { hasText: "formula" }).waitFor();
  await picture(ada.page, "rich-odd");
  await ada.page.keyboard.press("Control+End");
  await ada.page.keyboard.type("!");
  const after = await untilRich(server, "odd", [ada.page], (lines) => lines.at(-1)!.endsWith("!"));
  assert.deepEqual(after, [...before.slice(0, -1), { insert: "!\n" }]);
  // Taken out and back again.
  await ada.page.keyboard.press("Control+a");
  await ada.page.keyboard.press("Delete");
  await untilRich(server, "odd", [ada.page], (lines) => lines.length === 1 && lines[0] === "p ");
  for (let i = 0; i < 2; i++) await ada.page.keyboard.press("Control+z"); // one step or two, as fast as the machine was
  assert.deepEqual(await untilRich(server, "odd", [ada.page], (lines) => lines.length > 1 && !lines.at(-1)!.endsWith("!")), before);
  assert.deepEqual(ada.complaints, []);
});

test("documents without a line end at their end, or with more than content, do no harm", async () => {
  const server = await QuireServer.start();
  await server.createRich("bare", [{ insert: "bare" }, { delete: 1 }]);
  const ada = await person("Ada");
  const bob = await person("Bob");
  for (const { page } of [ada, bob]) await visit(page, server.url, "bare");
  assert.deepEqual(await richShown(ada.page), ["p bare"]);
  await ada.page.keyboard.press("Control+End");
  await ada.page.keyboard.press("Enter");
  await ada.page.keyboard.type("more");
  assert.deepEqual(await untilRich(server, "bare", [ada.page, bob.page], (lines) => lines.join() === "p bare,p more"), [{ insert: "bare\nmore\n" }]);
  await server.edit("bare", [{ delete: 10 }]);
  await untilRich(server, "bare", [ada.page, bob.page], (lines) => lines.join() === "p ");
  await bob.page.keyboard.type("again");
  await untilRich(server, "bare", [ada.page, bob.page], (lines) => lines.join() === "p again");
  await server.edit("bare", [{ retain: 9 }, { insert: "far out" }]);
  await ada.page.locator(".toast", { hasText: "for reading" }).waitFor();
  await ada.page.keyboard.type("x");
  await untilState(ada.page, "saved");
  assert.ok(richText.plain(await server.richContent("bare")).startsWith("again\n"));
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("random edits of programs and of a person at the keyboard end in what the store has, on every screen", async () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const rnd = random(seed);
  const server = await QuireServer.start();
  await server.createRich("random", [{ insert: "Hello 🌍\nworld" }]);
  const ada = await person("Ada");
  const bob = await person("Bob");
  for (const { page } of [ada, bob]) {
    await page.route("https://example.org/**", (route) => route.fulfill({ contentType: "image/svg+xml", body: '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>' }));
    await visit(page, server.url, "random");
  }
  const connection = new Connection({ url: `${server.url.replace("http", "ws")}/ws` });
  const program: Document<DeltaDoc, DeltaOp, never> = await new Promise((resolve) => {
    const document = connection.open("random", richText as never, { events: { reset: () => queueMicrotask(() => resolve(document as never)) } });
  });
  const keys = ["Enter", "Backspace", "Delete", "ArrowLeft", "ArrowUp", "ArrowRight", "Home", "End", "Shift+ArrowLeft", "Shift+ArrowRight", "Shift+Home", "Control+b", "Control+i", "Control+z", "Control+y", "Control+Home", "Control+End"];
  const tools = ["bullet", "quote", "block", "rtl", "bold", "code", "clear", "undo", "check"];
  for (let step = 0; step < 250; step++) {
    const dice = rnd();
    if (dice < 0.4) {
      // What keeps the last line end, as editors do.
      const op = randomDeltaOp(rnd, program.content!);
      const last = richText.apply(program.content!, op).at(-1)?.insert;
      if (typeof last === "string" && last.endsWith("\n")) program.edit(op);
    } else {
      const page = dice < 0.8 ? ada.page : bob.page;
      const which = rnd();
      if (which < 0.4) await page.keyboard.type("abc"[rnd.int(3)]!);
      else if (which < 0.9) await page.keyboard.press(keys[rnd.int(keys.length)]!);
      else await tool(page, tools[rnd.int(tools.length)]!).click({ force: true }); // also where there is nothing to undo
    }
    if (step % 50 === 49) {
      const doc = await untilRich(server, "random", [ada.page, bob.page]);
      assert.ok(doc.length > 0);
    }
  }
  const doc = await untilRich(server, "random", [ada.page, bob.page]);
  connection.close();
  // And the same after opening it anew.
  await ada.page.reload();
  await untilState(ada.page, "saved");
  assert.deepEqual(await richShown(ada.page), richLines(doc), `seed ${seed}`);
  assert.deepEqual([...ada.complaints, ...bob.complaints], [], `seed ${seed}`);
});

for (const [name, options] of [["light", {}], ["dark", { dark: true }], ["phone", { phone: true }]] as const) {
  test(`rich text under a policy without inline styles or scripts: ${name}`, async () => {
    const server = await QuireServer.start();
    await server.createRich("Notes", toDeltaOp([
      { insert: "The Analytical Engine" }, { insert: "\n", attributes: { header: 1 } },
      { insert: "It has " }, { insert: "no pretensions", attributes: { bold: true, color: "#c8402f" } }, { insert: " whatever to " },
      { insert: "originate", attributes: { italic: true, background: "#f2d75e80" } }, { insert: " anything. " }, { insert: "See the notes", attributes: { link: "https://example.org/" } }, { insert: ".\n" },
      { insert: "It weaves" }, { insert: "\n", attributes: { list: "ordered" } }, { insert: "algebraical patterns" }, { insert: "\n", attributes: { list: "ordered" } },
      { insert: "just as" }, { insert: "\n", attributes: { list: "ordered", indent: 1 } },
      { insert: "done" }, { insert: "\n", attributes: { list: "checked" } }, { insert: "to do" }, { insert: "\n", attributes: { list: "unchecked" } },
      { insert: "flowers and leaves" }, { insert: "\n", attributes: { blockquote: true } },
      { insert: "for i in range(10):" }, { insert: "\n", attributes: { "code-block": true } }, { insert: "    print(i)" }, { insert: "\n", attributes: { "code-block": true } },
      { insert: "centred " }, { insert: "code", attributes: { code: true } }, { insert: "\n", attributes: { align: "center" } }, { insert: "שלום" },
    ]));
    const ada = await person("Ada Lovelace", { color: "#b4432f", ...options });
    await visit(ada.page, server.url, "Notes");
    const bob = await person("Bob", { color: "#3a63b8" });
    await visit(bob.page, server.url, "Notes");
    await bob.page.locator(".ql-editor p").first().click();
    await bob.page.keyboard.press("End");
    await bob.page.keyboard.press("Shift+Home");
    await ada.page.locator(".peer-selection").first().waitFor();
    await ada.page.locator(".ql-editor").click();
    await ada.page.keyboard.press("Control+End");
    await ada.page.evaluate(() => scrollTo(0, 0));
    await picture(ada.page, `rich-${name}`);
    const wide = await ada.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0, "nothing sticks out to the side");
    for (const control of await ada.page.locator(".tools :is(button, select)").all()) assert.ok(await control.getAttribute("aria-label"));
    await untilRich(server, "Notes", [ada.page]);
    assert.deepEqual([...ada.complaints, ...bob.complaints], []);
  });
}

test("a document of another type is shown for reading, and follows what others do", async () => {
  const server = await QuireServer.start();
  // The real server with its rich text called json0, a type that this page does not edit.
  await server.createRich("data", [{ insert: "first" }]);
  const ada = await person("Ada");
  await ada.page.routeWebSocket("**/ws", (page) => {
    const real = page.connectToServer();
    real.onMessage((message) => page.send(String(message).replace('"type":"delta"', '"type":"json0"')));
  });
  await ada.page.goto(`${server.url}/d/data`);
  const content = ada.page.locator('[data-foreign="json0"] pre');
  await content.getByText("first").waitFor();
  await ada.page.locator(".foreign-note", { hasText: "json0" }).waitFor();
  await picture(ada.page, "foreign");
  await server.edit("data", [{ insert: "second " }]);
  await content.getByText("second first").waitFor();
  await untilState(ada.page, "saved");
  assert.deepEqual(ada.complaints, []);
});
